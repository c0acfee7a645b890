import os
import signal
import subprocess
import time
from fractions import Fraction

import imageio.v3 as iio
import numpy as np
import pytest
from benchmarks.workers import most_memory
from clips import colorizer, decoded, luma_frames, make_clip, packets
from conftest import ROOT, python, refused
from writing import with_sound

from ae import Denoise
from ae.config import Config
from ae.media.clips.check import Contents
from ae.models import UNet
from ae.restore.weights import write_weights

GRAY = np.uint8(np.random.default_rng(0).uniform(60, 200, (5, 7)).repeat(8, 0).repeat(8, 1))


@pytest.fixture
def model(tmp_path):
    """A file with the weights of a small colorizer."""
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "model.safetensors", config, variables, {"epochs": 0}, "float32")
    return "model.safetensors"


@pytest.fixture
def denoiser(tmp_path):
    """A file with the weights of a small denoiser that changes nothing."""
    import jax

    config = Config(name="test", model=UNet((4, 8), residual=True), task=Denoise(), data="mnist")
    variables = config.model.init(jax.random.key(3), np.zeros((1, 28, 28, 1), np.float32))
    unchanged = jax.tree.map(np.zeros_like, variables)
    write_weights(tmp_path / "denoiser.safetensors", config, unchanged, {"epochs": 0}, "float32")
    return "denoiser.safetensors"


def test_an_image_a_folder_and_a_clip(call, tmp_path, model):
    (tmp_path / "in").mkdir()
    for index in range(3):
        iio.imwrite(tmp_path / "in" / f"{index}.png", GRAY)
    call("colorize.py", "in/0.png", "one image.png", "--model", model)
    call("colorize.py", "in", "out", "--model", model, "--saturation", "2")
    call("colorize.py", "in/[12].png", "some", "--model", model)
    assert iio.imread(tmp_path / "one image.png").shape == (40, 56, 3)
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["1.png", "2.png"]
    done = call("colorize.py", "in", "some", "--model", model, "--skip-existing")
    assert done.stdout.startswith("1 done, 2 skipped (2 there already), 0 failed")

    source = make_clip(tmp_path / "in.mp4", luma_frames(10, 32, 32), tracks=[0.0])
    done = call("colorize.py", "in.mp4", "out.mp4", "--model", model, "--encoder-options", "qp", "0")
    assert "PASS out.mp4" in done.stdout
    assert "colourfulness" in done.stdout
    assert "frames: 10" in done.stdout
    np.testing.assert_array_equal(decoded(tmp_path / "out.mp4")[0], decoded(source)[0])
    assert packets(tmp_path / "out.mp4") == packets(source)


def test_the_last_line_is_the_verdict(call, tmp_path, model):
    with_sound(tmp_path / "in.wmv", "wmav2", picture="wmv2")
    words = ("in.wmv", "out.mp4", "--model", model)
    done = call("colorize.py", *words)
    assert "audio stream 1 (wmav2), which is left out" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1] == "PASS without the audio stream 1 (wmav2): out.mp4"
    done = call("colorize.py", *words, "--audio", "aac")
    assert done.stdout.splitlines()[-1] == "PASS out.mp4"
    assert "audio stream 1, duration: " in done.stdout
    done = call("colorize.py", *words, "--audio", "aac", "--preview", "0.2")
    assert done.stdout.splitlines()[-1] == "PASS without what follows 0:00.200: out.mp4"


def test_a_failed_check_is_the_last_line_too(call, tmp_path, model, monkeypatch):
    make_clip(tmp_path / "in.mp4", luma_frames(4, 32, 32))
    monkeypatch.setattr("ae.media.clips.check.read_contents", lambda file: Contents())
    monkeypatch.setattr("ae.media.clips.trial.Trials.error", lambda *arguments: None)
    done = call("colorize.py", "in.mp4", "out.mp4", "--model", model, status=2)
    assert "  frames: 0, not 4" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("FAIL out.failed.mp4: frames: 0, not 4")
    refused(done, "out.failed.mp4 failed the check: frames: 0, not 4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_folder_of_clips_and_images(call, tmp_path, model):
    (tmp_path / "in/deep").mkdir(parents=True)
    with_sound(tmp_path / "in/a.wmv", "wmav2", picture="wmv2")
    make_clip(tmp_path / "in/deep/b.mpg", luma_frames(4, 32, 48), codec="mpeg2video", base=Fraction(1, 25))
    make_clip(tmp_path / "in/c.mp4", luma_frames(4, 32, 48))
    cut = make_clip(tmp_path / "in/d.mkv", luma_frames(60, 64, 64))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (tmp_path / "in/e.mp4").write_text("no clip")
    iio.imwrite(tmp_path / "in/f.png", GRAY)
    done = call("colorize.py", "in", "out", "--model", model, status=2)
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["a.wmv", "c.mp4", "d.mkv", "deep/b.mkv", "f.png"]
    lines = done.stdout.splitlines()
    assert "in/c.mp4: PASS out/c.mp4" in lines
    assert "in/deep/b.mpg: PASS out/deep/b.mkv" in lines
    assert any(line.startswith("in/d.mkv: it is without what follows") for line in lines)
    assert any(line.startswith("in/e.mp4") and "cannot be read as a video" in line for line in lines)
    assert lines[-1].startswith("5 done, 0 skipped, 1 failed")
    refused(done, "1 of 6 files could not be read or written", "1 of 6 files could be read in part only")


def test_what_cannot_be_read_to_its_end_is_written_and_said(call, tmp_path, model):
    source = make_clip(tmp_path / "in.mkv", luma_frames(100, 64, 64), tracks=[0.0])
    source.write_bytes(source.read_bytes()[: int(0.6 * source.stat().st_size)])
    done = call("colorize.py", "in.mkv", "out.mkv", "--model", model, status=2)
    refused(done, "out.mkv is without what follows 0:0", "the file ends there")
    assert done.stdout.splitlines()[-1].startswith("FAIL out.mkv: without what follows 0:0")
    assert len(decoded(tmp_path / "out.mkv")[0]) > 20


@pytest.mark.parametrize("script", ["colorize.py", "denoise.py"])
def test_an_image_that_is_cut_short_is_written_and_said(call, tmp_path, model, denoiser, script):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60), dtype=np.uint8)
    iio.imwrite(tmp_path / "in.jpg", noise)
    content = (tmp_path / "in.jpg").read_bytes()
    (tmp_path / "in.jpg").write_bytes(content[: len(content) * 2 // 3])
    weights = model if script == "colorize.py" else denoiser
    done = call(script, "in.jpg", "out.png", "--model", weights, status=2)
    assert done.stdout.splitlines()[-1] == "out.png"
    refused(done, "out.png is without", "could not be read")
    assert iio.imread(tmp_path / "out.png").shape[:2] == (60, 60)


def test_an_image_without_a_known_suffix_is_one_by_its_content(call, tmp_path, model):
    iio.imwrite(tmp_path / "in.png", GRAY)
    (tmp_path / "in.png").rename(tmp_path / "scan.001")
    call("colorize.py", "scan.001", "out.jfif", "--model", model)
    assert iio.imread(tmp_path / "out.jfif").shape == (40, 56, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.mp4", "out.mp4"], ["missing.mp4 does not exist"]),
        (["model.safetensors", "out.mp4"], ["cannot be read as a video"]),
        (["in.mp4", "in.mp4"], ["is the input itself"]),
        (["in.mp4", "nowhere/out.mp4"], ["no folder nowhere"]),
        (["in.mp4", "out.xyz"], ["out.xyz"]),
        (["in.mp4", "out.png"], ["out.png", "%06d.png"]),
        (["in.mp4", "out.mpg"], ["out.mpg", ".mkv"]),
        (["in.mp4", "."], [". is a folder: name a file in it"]),
        (["in.mp4", "in.png/out.mp4"], ["in.png is no folder"]),
        (["in.mp4", "out.mp4", "--codec", "nonsense"], ["nonsense"]),
        (["in.mp4", "out.mp4", "--batch", "0"], ["--batch"]),
        (["in.mp4", "out.mp4", "--preview", "0"], ["--preview"]),
        (["in.png", "out.png", "--saturation", "-1"], ["--saturation"]),
        (["in.png", "out.png", "--pixels", "0"], ["--pixels"]),
        (["in.png", "out.xyz"], ["out.xyz"]),
        (["text.png", "out.png"], ["cannot be read as an image"]),
        (["*.jpg", "out"], ["holds no image"]),
        (["in.png", "out.png", "--model", "nonsense"], ["nonsense"]),
        (["in.png", "out.png", "--model", "denoiser.safetensors"], ["another task"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(call, tmp_path, model, denoiser, arguments, words):
    make_clip(tmp_path / "in.mp4", luma_frames(3, 32, 32))
    iio.imwrite(tmp_path / "in.png", GRAY)
    (tmp_path / "text.png").write_text("no image")
    before = sorted(tmp_path.iterdir())
    given = arguments if "--model" in arguments else [*arguments, "--model", model]
    refused(call("colorize.py", *given, status=2), *words)
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_leaves_nothing(tmp_path, model):
    """The size of files is limited, which the encoder meets as it would a disk that is full."""
    noise = np.random.default_rng(0).integers(16, 235, (60, 128, 128)).astype(np.uint8)
    make_clip(tmp_path / "in.mp4", noise)
    options = ("--model", model, "--encoder-options", "qp", "0")
    script = python(ROOT / "scripts" / "colorize.py", "in.mp4", "out.mp4", *options)
    limited = ["bash", "-c", 'trap "" XFSZ; ulimit -f 100; exec "$@"', "bash", *script]
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in.mp4", "model.safetensors"]


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_nothing(tmp_path, model):
    make_clip(tmp_path / "in.mp4", luma_frames(3000, 64, 64))
    command = python(ROOT / "scripts" / "colorize.py", "in.mp4", "out.mp4", "--model", model)
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 120
    while not list(tmp_path.glob(".*out.mp4")) and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "interrupted; nothing was written" in process.stderr.read()
    assert not [path.name for path in tmp_path.iterdir() if "out" in path.name]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_clip(tmp_path, model):
    """The least of three peaks: threads that meet by chance add some percent to any of them."""
    peaks = []
    for count in (50, 400):
        make_clip(tmp_path / "in.mp4", luma_frames(count, 240, 320))
        options = ("--model", model, "--encoder-options", "preset", "ultrafast")
        script = python(ROOT / "scripts" / "colorize.py", "in.mp4", f"{count}.mp4", *options)
        peaks.append(min(most_memory(script, cwd=tmp_path) for _ in range(3)))
    assert peaks[1] < 1.05 * peaks[0]


def test_denoise(call, tmp_path, denoiser):
    iio.imwrite(tmp_path / "in.png", np.dstack([GRAY, GRAY, 255 - GRAY]))
    call("denoise.py", "in.png", "out.png", "--model", denoiser)
    np.testing.assert_array_equal(iio.imread(tmp_path / "out.png"), iio.imread(tmp_path / "in.png"))
    (tmp_path / "folder").mkdir()
    iio.imwrite(tmp_path / "folder" / "a.jpg", GRAY)
    call("denoise.py", "folder", "results", "--model", denoiser, "--sigma", "0.3")
    done = call("denoise.py", "folder", "results", "--model", denoiser, "--skip-existing")
    assert done.stdout.startswith("0 done, 1 skipped (1 there already), 0 failed")
    assert iio.imread(tmp_path / "results" / "a.jpg").shape == GRAY.shape


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.png", "out.png"], ["does not exist"]),
        (["in.png", "out.png", "--sigma", "-1"], ["--sigma"]),
        (["in.png", "out.png", "--model", "model.safetensors"], ["another task"]),
        (["in.png", "in.png"], ["is the input itself"]),
    ],
)
def test_denoise_refuses(call, tmp_path, model, denoiser, arguments, words):
    iio.imwrite(tmp_path / "in.png", GRAY)
    given = arguments if "--model" in arguments else [*arguments, "--model", denoiser]
    refused(call("denoise.py", *given, status=2), *words)
