"""Faults, each tried again and again: what was promised, and how often it held.

CI tries a few of each. In earnest, fourteen minutes, and writing results/reliability.json and the pages that show it:
`pytest tests/test_faults.py -n 0 --faults 50 --inputs 1000 --record results`.
"""

import json
import os
import random
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
import pytest
from clips import colorizer, luma_frames, make_clip
from conftest import ROOT, TINY, equal_trees, killed, python, says, slow_training, tiny_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ae.data import load_data
from ae.errors import InputError
from ae.presets import load_preset
from ae.report.markdown import rows_of
from ae.restore.weights import read_weights, write_weights
from ae.train.checkpoint import Checkpoints
from ae.train.loop import fit
from ae.train.step import create_state

TESTS = Path(__file__).parent
MOST_SECONDS = 60  # for one damaged file


@pytest.fixture
def times(request):
    return request.config.getoption("--faults")


@pytest.fixture
def inputs(request):
    return request.config.getoption("--inputs")


@pytest.fixture
def weights(tmp_path):
    """A file with the weights of a small colorizer."""
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "model.safetensors", config, variables, {"epochs": 0}, "float32")
    return tmp_path / "model.safetensors"


def test_kill_9_while_training(tmp_path, times, tally):
    """One run, killed again and again, that ends as if nothing had been."""
    rng, epochs = random.Random(0), 3 * times
    config, data = replace(TINY, epochs=epochs, patience=epochs), tiny_data()
    whole, _ = fit(config, data, out=tmp_path / "whole")
    fault = "kill -9 while training, at a random moment"
    for _ in range(times):
        killed(slow_training(tmp_path / "killed", epochs), says("training"), rng.uniform(0.5, 4))
        checkpoints = tmp_path / "killed/checkpoints"
        said = StringIO()
        with redirect_stderr(said):
            found = checkpoints.is_dir() and Checkpoints(checkpoints, read_only=True).restore(
                create_state(config, data)
            )
        print(said.getvalue())  # shown where it fails
        tally(
            fault,
            "the last checkpoint is whole",
            "damaged" not in said.getvalue() and (found or not any(checkpoints.glob("[0-9]*"))),
        )
    resumed, _ = fit(config, data, out=tmp_path / "killed", resume=True)
    tally(
        f"all of these kills of one run, {times} in number",
        "the run ends with the same bits",
        equal_trees(whole, resumed),
    )


SAVING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_faults import saved_tree
from ae.train.checkpoint import Checkpoints
from ae.presets import load_preset
from ae.data import load_data
checkpoints = Checkpoints(Path(sys.argv[1]))
first = 1 + max([int(path.name) for path in Path(sys.argv[1]).iterdir()], default=0)
print("saving", flush=True)
for number in range(first, first + 10**6):
    checkpoints.save(number, saved_tree(number), {"number": number}, score=1 / number)
"""


def saved_tree(number):
    return {"a": np.full((700, 700), number, np.float32), "b": np.arange(9, dtype=np.int32) * number}


def test_kill_9_while_a_checkpoint_is_written(tmp_path, times, tally):
    rng = random.Random(1)
    for _ in range(times):
        killed(python("-c", SAVING, tmp_path / "checkpoints", TESTS), says("saving"), rng.uniform(0, 1))
        said = StringIO()
        with redirect_stderr(said):
            found = Checkpoints(tmp_path / "checkpoints", read_only=True).restore(saved_tree(0))
        whole = found is None or equal_trees(found[0], saved_tree(found[1]["number"]))
        tally("kill -9 while a checkpoint is written", "the last one is whole", whole and not said.getvalue())


def test_kill_9_while_a_clip_is_written(tmp_path, times, tally, weights):
    """One clip, killed again and again, that ends as if nothing had been."""
    rng = random.Random(2)
    make_clip(tmp_path / "in.mp4", luma_frames(12000, 64, 64), tracks=[0.0])
    (tmp_path / "out.mp4").write_bytes(b"an earlier result")

    def command(target):
        script = ROOT / "scripts/colorize.py"
        return python(script, "in.mp4", target, "--model", weights.name, "--batch", "4", "--resume")

    def begun(process):
        while not (tmp_path / f".{process.pid}-out.mp4").exists() and process.poll() is None:
            time.sleep(0.02)

    for _ in range(times):
        killed(command("out.mp4"), begun, rng.uniform(0, 2), cwd=tmp_path)
        left = {path.name for path in tmp_path.iterdir() if "out" in path.name and not path.name.startswith(".")}
        kept = left <= {"out.mp4", "out.mp4.work"} and (tmp_path / "out.mp4").read_bytes() == b"an earlier result"
        promise = "the earlier result is untouched, and beside it is only the work folder"
        tally("kill -9 while a clip is written", promise, kept)
    for target in ("out.mp4", "whole.mp4"):
        subprocess.run(command(target), cwd=tmp_path, check=True, capture_output=True)
    tally(
        f"all of these kills of one clip, {times} in number",
        "--resume ends with the same packets and times",
        packets_of(tmp_path / "out.mp4") == packets_of(tmp_path / "whole.mp4"),
    )
    assert not list(tmp_path.glob("*.work"))
    assert not list(tmp_path.glob(".*out.mp4"))  # what was killed left its file


def test_kill_9_while_a_folder_is_coloured(tmp_path, times, tally, weights):
    rng, values = random.Random(4), np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(400):
        iio.imwrite(tmp_path / f"in/{number:03}.png", values.integers(0, 256, (48, 64)).astype(np.uint8))

    def command(target):
        script = ROOT / "scripts/colorize.py"
        return python(script, "in", target, "--model", weights.name, "--skip-existing")

    subprocess.run(command("whole"), cwd=tmp_path, check=True, capture_output=True)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}

    def found():
        return {path.name: path.read_bytes() for path in (tmp_path / "out").glob("[0-9]*")}

    def begun(process):
        while not found() and process.poll() is None:
            time.sleep(0.02)

    for _ in range(times):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        killed(command("out"), begun, rng.uniform(0, 1), cwd=tmp_path)
        promise = "each file is whole; --skip-existing makes the others"
        tally("kill -9 while a folder is coloured", promise, found().items() <= whole.items())
    subprocess.run(command("out"), cwd=tmp_path, check=True, capture_output=True)
    assert found() == whole


def test_kill_9_while_a_data_set_is_prepared(tmp_path, times, tally):
    rng, values = random.Random(5), np.random.default_rng(0)
    (tmp_path / "caltech").mkdir()
    for number in range(300):
        image = values.integers(0, 256, (100, 150, 3)).astype(np.uint8)
        iio.imwrite(tmp_path / f"caltech/anchor_{number:04}.jpg", image)
    command = python(ROOT / "scripts/prepare.py", "object_squares", "--data-dir", tmp_path)

    def begun(process):
        while not list(tmp_path.glob(".object_squares-*")) and process.poll() is None:
            time.sleep(0.02)

    for _ in range(times):
        shutil.rmtree(tmp_path / "object_squares", ignore_errors=True)
        killed(command, begun, rng.uniform(0, 1.5), cwd=tmp_path)
        for left in tmp_path.glob(".object_squares-*"):
            shutil.rmtree(left)
        squares = list((tmp_path / "object_squares/train").glob("*.png"))
        tally("kill -9 while a data set is prepared", "it is there whole, or not at all", len(squares) in (0, 4 * 270))
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert len(list((tmp_path / "object_squares/train").iterdir())) == 4 * 270


def packets_of(path):
    """The packets of all streams, in the order in which they lie in the file."""
    with av.open(str(path)) as container:
        return [(p.stream.index, p.pts, p.dts, p.duration, bytes(p)) for p in container.demux() if p.size]


def limited(kilobytes, command, **settings):
    """Runs a command that may write files of so many kilobytes only: the disk is full to those who write."""
    script = f'trap "" XFSZ; ulimit -f {kilobytes}; exec "$@"'
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false", "PYTHONDONTWRITEBYTECODE": "1"}
    whole = ["bash", "-c", script, "bash", *command]
    return subprocess.run(whole, capture_output=True, text=True, env=environment, timeout=600, **settings)


def one_line(done):
    """Whether a command ended with one line for its user."""
    last = done.stderr.strip().splitlines()[-1:]
    return done.returncode == 2 and "Traceback" not in done.stderr and last != [] and last[0].startswith("error: ")


FULL = "one line, exit status 2; earlier results are untouched, nothing half-written has a final name"


def test_a_full_disk(tmp_path, times, tally, weights):
    """At sizes at which some files fit and others do not."""
    rng = random.Random(3)
    noise = np.random.default_rng(0).integers(16, 235, (60, 128, 128)).astype(np.uint8)
    make_clip(tmp_path / "in.mp4", noise)
    iio.imwrite(tmp_path / "in.png", noise[0].repeat(6, 0).repeat(6, 1))
    commands = {
        "a clip is written": ["colorize.py", "in.mp4", "out.mp4", "--encoder-options", "qp", "0"],
        "an image is written": ["colorize.py", "in.png", "out.png"],
    }
    for _ in range(max(1, times // 2)):
        for what, (script, *options) in commands.items():
            target = tmp_path / options[1]
            target.write_bytes(b"an earlier result")
            command = python(ROOT / "scripts" / script, *options, "--model", weights.name)
            done = limited(rng.randint(1, 60), command, cwd=tmp_path)
            held = one_line(done) and target.read_bytes() == b"an earlier result"
            held &= not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
            tally(f"the disk is full while {what}", FULL, held)


SMALL = """
import sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from ae import preset
from conftest import Tiny
PRESET = replace(preset("conv_ae_quick", limit=32, epochs=2), name="small", model=Tiny())
"""


def test_a_full_disk_while_training(tmp_path, times, tally):
    rng = random.Random(4)
    (tmp_path / "small.py").write_text(SMALL.format(tests=str(TESTS)))
    config = load_preset(str(tmp_path / "small.py"))
    for number in range(max(1, times // 2)):
        command = python(ROOT / "scripts/train.py", "small.py", "--out", f"run{number}")
        done = limited(rng.randint(1, 900), command, cwd=tmp_path)
        _, history = fit(config, load_data(config), out=tmp_path / f"run{number}", resume=True)
        held = one_line(done) and len(history) == 2
        tally("the disk is full while training", "one line, exit status 2; with room again, --resume goes on", held)


# Damaged files: of each kind a good one, damaged in many ways.


@st.composite
def damages(draw, size):
    """What can befall so many bytes, each as (place, bytes lost, what comes instead): cut, overwritten, shifted."""
    runs = st.builds(lambda byte, length: bytes([byte]) * length, st.sampled_from([0, 255]), st.integers(1, 256))
    return [
        (draw(st.integers(0, size - 1)), draw(st.sampled_from([len(instead), 0, 256, size])), instead)
        for instead in draw(st.lists(st.binary(max_size=256) | runs, min_size=1, max_size=4))
    ]


def damaged(content, damage):
    """The bytes with that damage."""
    data = bytearray(content)
    for place, lost, instead in damage:
        data[place : place + lost] = instead
    return bytes(data)


def is_refused_or_read(read):
    """Whether reading a file ends in time, well or with a line for the user."""
    began = time.monotonic()
    with suppress(InputError), redirect_stderr(StringIO()):
        read()
    return time.monotonic() - began < MOST_SECONDS


def make_images(folder):
    gray = np.uint8(np.random.default_rng(0).uniform(0, 255, (12, 17)).repeat(3, 0).repeat(3, 1))
    rgb = np.dstack([gray, gray[::-1], 255 - gray])
    names = (
        "a.png",
        "a.jpg",
        "a.webp",
        "a.bmp",
        "a.gif",
        "a.tif",
        "a.jp2",
        "a.avif",
        "a.ppm",
        "deep.png",
        "deep.tif",
        "lzw.tif",
    )
    files = [folder / name for name in names]
    for path in files[:9]:
        iio.imwrite(path, rgb if path.suffix != ".gif" else np.stack([rgb] * 3), plugin="pillow")
    iio.imwrite(files[9], np.uint16(gray) * 257)
    iio.imwrite(files[10], np.uint16(rgb) * 257, plugin="tifffile")
    iio.imwrite(files[11], np.uint16(rgb) * 257, plugin="tifffile", compression="lzw", rowsperstrip=9)
    return files


def tried(files, number, read, tally, fault, promise):
    """Damages one of some files and reads it, so many times; damage that makes trouble is reduced to what is needed."""
    originals = {path: path.read_bytes() for path in files}
    choices = [st.tuples(st.just(path), damages(len(content))) for path, content in originals.items()]

    @settings(max_examples=number, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
    @given(st.one_of(choices))
    def once(choice):
        path, damage = choice
        path.write_bytes(damaged(originals[path], damage))
        try:
            held = is_refused_or_read(lambda: read(path))
        finally:
            path.write_bytes(originals[path])
        tally(fault, promise, held)

    once()


READ = f"read, or refused with one line, within {MOST_SECONDS} s"


def test_damaged_images(tmp_path, inputs, tally):
    from ae.media.images import read_image

    tried(make_images(tmp_path), inputs, read_image, tally, "a damaged image", READ)


def test_damaged_clips(tmp_path, inputs, tally):
    from ae.media.clips.conversions import colorize_clip
    from ae.media.clips.settings import ClipSettings

    suffixes = (".mp4", ".mkv", ".ts")
    files = [make_clip(tmp_path / f"in{suffix}", luma_frames(20, 48, 64), tracks=[0.0]) for suffix in suffixes]
    model = colorizer()

    def read(path):
        colorize_clip(
            path, tmp_path / f"out{path.suffix}", model, ClipSettings(encoder_options={"preset": "ultrafast"})
        )

    tried(files, inputs // 2, read, tally, "a damaged clip", READ)


def test_damaged_work_folders(tmp_path, inputs, tally):
    """Segments that were damaged are made again; of journals it is said what is not the same."""
    from ae.media.clips.conversions import colorize_clip
    from ae.media.clips.settings import ClipSettings

    source, model = make_clip(tmp_path / "in.mp4", luma_frames(600, 32, 32)), colorizer()
    settings_of_clip = ClipSettings(encoder_options={"preset": "ultrafast"}, resume=True)
    interrupted(source, tmp_path / "out.mkv", model, settings_of_clip)
    kept, work = tmp_path / "kept", tmp_path / "out.mkv.work"
    work.rename(kept)
    colorize_clip(source, tmp_path / "whole.mkv", model, settings_of_clip)
    wanted = packets(tmp_path / "whole.mkv")

    def read(_):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(kept, work)
        colorize_clip(source, tmp_path / "out.mkv", model, settings_of_clip, log=lambda line: None)
        assert packets(tmp_path / "out.mkv") == wanted

    promise = "the same packets as without an interruption, or refused with one line"
    tried(list(kept.iterdir()), max(2, inputs // 20), read, tally, "a damaged work folder of a clip", promise)


def interrupted(source, target, model, settings_of_clip):
    """Colours a clip until its second segment is written."""
    from ae.media.clips import work
    from ae.media.clips.conversions import colorize_clip

    keep = work.Work.add

    def add(self, *arguments):
        keep(self, *arguments)
        if len(list(self.folder.glob("*.segment"))) > 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(work.Work, "add", add)
        colorize_clip(source, target, model, settings_of_clip, log=lambda line: None)


def packets(path):
    """What is in a clip: its packets with their times."""
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux() if packet.size]


def test_damaged_hints_and_references(tmp_path, inputs, tally):
    from ae.media.images import read_image
    from ae.media.pictures import painted, reference_colours

    rgba = np.zeros((24, 32, 4), np.uint8)
    rgba[4:9, 5:12] = [200, 60, 40, 255]
    iio.imwrite(tmp_path / "dots.png", rgba)
    iio.imwrite(tmp_path / "reference.jpg", np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8))

    def read(path):
        picture = read_image(path)
        return painted(picture) if path.suffix == ".png" else reference_colours(picture, path.name)

    files = [tmp_path / name for name in ("dots.png", "reference.jpg")]
    tried(files, inputs, read, tally, "damaged hints or a damaged reference", READ)


def test_damaged_weights(weights, inputs, tally):
    tried([weights], inputs, read_weights, tally, "a damaged file of weights", READ)


def test_damaged_configurations(tmp_path, inputs, tally):
    from ae.presets import PRESETS
    from ae.restore.load import read_config

    files = []
    for name in ("conv_ae", "chroma_unet"):
        (tmp_path / name).mkdir()
        files.append(tmp_path / name / "config.json")
        files[-1].write_text(json.dumps(PRESETS[name].to_dict()))
    tried(files, inputs, lambda path: read_config(path.parent), tally, "a damaged config.json", READ)


def test_damaged_checkpoints(tmp_path, inputs, tally):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for number in (1, 2):
        checkpoints.save(number, saved_tree(number), {"number": number})
    files = [path for path in (tmp_path / "checkpoints/2").rglob("*") if path.is_file() and path.stat().st_size]

    def read(_):
        tree, record = Checkpoints(tmp_path / "checkpoints", read_only=True).restore(saved_tree(0))
        assert equal_trees(tree, saved_tree(record["number"]))

    promise = "what is restored is whole: this checkpoint, or the one before it"
    tried(files, inputs // 5, read, tally, "a damaged checkpoint", promise)


def test_damaged_caches(inputs, tally, cache_dir):
    from ae.data.cache import cached

    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1)).astype(np.uint8)
    decode = lambda: iter([images])  # noqa: E731
    cached("mnist-train", "mnist", decode)

    def read(_):
        np.testing.assert_array_equal(cached("mnist-train", "mnist", decode).images, images)

    files = list((cache_dir / "ae/data").glob("*.npy"))
    assert len(files) == 1
    tried(files, inputs, read, tally, "a damaged cache of decoded images", "the images are whole")


def test_compiled_programs_that_were_cut_short(tmp_path, weights):
    """As a kill leaves them."""
    iio.imwrite(tmp_path / "in.png", np.uint8(np.arange(400).reshape(20, 20) % 256))
    compiled = tmp_path / "compiled"
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(compiled), "JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}
    written = []
    for name in ("whole.png", "again.png"):
        command = python(ROOT / "scripts/colorize.py", "in.png", name, "--model", weights.name)
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, "")
        written.append(iio.imread(tmp_path / name))
        programs = [path for path in compiled.iterdir() if path.name.endswith("-cache")]
        assert programs
        for path in programs:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    np.testing.assert_array_equal(*written)


def test_the_page_under_twenty_uploads_at_once(site, tmp_path, times, tally):
    """Photographs, damaged ones among them: each is answered as it should be."""
    client = pytest.importorskip("gradio_client")
    address, left, process = site
    files = uploads(tmp_path, 20)

    def upload(path):
        try:
            return answered(client, address, path)
        except client.exceptions.AppError as error:
            return str(error)

    for _ in range(max(1, times // 10)):
        with ThreadPoolExecutor(len(files)) as pool:
            answers = list(pool.map(upload, files))
        for path, answer in zip(files, answers, strict=True):
            right = isinstance(answer, str) and "\n" not in answer and path.name in answer
            held = right if "bad" in path.name else isinstance(answer, dict) and answer["after"].startswith("data:")
            tally("twenty uploads to the page at once", "each has its answer, or one line", held)
    most = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 2**20
    tally("all of these uploads", "less than 3 GB of memory", most < 3)
    assert list(left.iterdir())  # the fixture sees that nothing is left when the page ends


def answered(client, address, path):
    session = client.Client(address, verbose=False)
    return session.predict(client.handle_file(path), 1.0, False, api_name="/opened")


def uploads(folder, number):
    """Photographs of 3 megapixels, of which each fifth is damaged."""
    rng = np.random.default_rng(0)
    paths = []
    for index in range(number):
        bad = index % 5 == 4
        paths.append(folder / f"{'bad' if bad else 'good'}{index}.jpg")
        smooth = np.repeat(np.repeat(rng.integers(0, 256, (15, 20, 3)), 100, axis=0), 100, axis=1)
        iio.imwrite(paths[-1], smooth.astype(np.uint8))
        if bad:
            paths[-1].write_bytes(b"no photograph" + paths[-1].read_bytes()[:200])
    return paths


def test_the_record_is_of_promises_that_held():
    rows = rows_of(json.loads((ROOT / "results/reliability.json").read_text()))
    assert all(row["held"] == row["tried"] > 0 for row in rows)
