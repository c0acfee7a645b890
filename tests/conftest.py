import atexit
import gc
import json
import os
import runpy
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # before jax is imported: parallel tests would fight over a GPU's memory

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae.config import Config
from ae.data import Data, Split
from ae.models import ChromaUNet, UNet
from ae.presets import preset
from ae.report.markdown import tabulate
from ae.report.page import write_measured
from ae.restore.weights import write_weights
from ae.runtime import cli
from ae.score import baselines
from ae.tasks import Denoise

ROOT = Path(__file__).parents[1]
MOST_MAPPINGS = 25_000  # at the beginning of a module
SHARED = ROOT.parent / "shared"  # data sets, where the developers have them


@pytest.fixture(autouse=True, scope="module")
def frozen_objects():
    """What is there when a module begins is no longer looked through for garbage: that would take a second each time."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def room_for_programs():
    """Compiled programs are let go of before they are more mappings of memory than Linux gives a process, 65,530."""
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    """Every test has a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def golden(name):
    """What Keras computed with the narrow model of that name (see golden/make.py)."""
    return np.load(Path(__file__).parent / f"golden/{name}.npz")


@pytest.fixture(scope="session")
def tfds_dir():
    """A folder with the real MNIST and CIFAR-100."""
    folder = Path(os.environ.get("TFDS_DATA_DIR") or SHARED / "data/tfds")
    if not all((folder / name).is_dir() for name in ("mnist", "cifar100")):
        pytest.skip("MNIST and CIFAR-100 are not on this machine (TFDS_DATA_DIR)")
    return folder


@pytest.fixture
def decoded(cache_dir, monkeypatch):
    """For tests that only read the data sets: one cache for all of them, so that each is decoded once."""
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ["AE_TESTS_COMPILED"])


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """(folder, images): MNIST with 25 images a split, which are noise, prepared as the real one is."""
    from tensorflow_datasets.core.download import DownloadManager
    from tensorflow_datasets.image_classification import mnist

    from ae.data.prepare import download_and_prepare

    images = np.random.default_rng(0).integers(0, 256, (25, 28, 28), dtype=np.uint8)
    folder, files = tmp_path / "tfds", {"data": tmp_path / "images", "labels": tmp_path / "labels"}
    files["data"].write_bytes(_idx(images))
    files["labels"].write_bytes(_idx(np.arange(25, dtype=np.uint8) % 10))
    paths = {f"{split}_{part}": path for split in ("train", "test") for part, path in files.items()}
    with monkeypatch.context() as download:
        download.setattr(DownloadManager, "download_and_extract", lambda self, urls: paths)
        download.setattr("requests.head", lambda url, **kwargs: None)
        download.setattr(mnist, "_TRAIN_EXAMPLES", 25)
        download.setattr(mnist, "_TEST_EXAMPLES", 25)
        download_and_prepare("mnist", folder)
    return folder, images


def _idx(array):
    """Bytes of an array in the format in which MNIST is distributed."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def run(tmp_path):
    """Runs a script in an empty folder, and returns its completed process."""

    def run(script, *args, status=0, **kwargs):
        command = python(ROOT / "scripts" / script, *args)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, **kwargs)
        assert done.returncode == status, done.stderr
        return done

    return run


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Runs a script as `run` does, in this process, which has loaded and compiled most of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(cli.TUNABLES, "")  # or it starts itself again
    monkeypatch.setattr(jax, "clear_caches", lambda: None)  # the next script takes what one has compiled

    def call(script, *args, status=0):
        script = str(ROOT / "scripts" / script)
        monkeypatch.setattr(sys, "argv", [script, *args])
        code = 0
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        done = subprocess.CompletedProcess(sys.argv, code, *capsys.readouterr())
        assert code == status, done.stderr
        return done

    return call


@pytest.fixture
def ctrl_c():
    """Ctrl-C works, here and in processes that a test starts, even where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def refused(done, *words):
    """One line on stderr with these words, after what a progress bar has taken back on a slow machine."""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.rpartition("\r")[2].startswith("error: ")
    for word in words:
        assert word in done.stderr


class Tiny(nn.Module):
    """One convolution and a BatchNorm: enough for the loop."""

    width: int = 4

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(self.width, (3, 3))(x))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Conv(1, (3, 3))(x)


TINY = Config(name="tiny", model=Tiny(), task=Denoise(), data="tiny", batch_size=8, epochs=3)


def tiny_data(train=37, validation=11):
    """Blurred random images of 12x12; neither split is a multiple of the batch size."""
    noise = np.asarray(jax.random.uniform(jax.random.key(7), (train + validation, 13, 13, 1)))
    images = (255 * (noise[:, 1:, 1:] + noise[:, :-1, :-1]) / 2).astype(np.uint8)
    return Data(
        "tiny",
        "1",
        Split("train", images[:train], 0, 1),
        Split("validation", images[train:], 0, 2),
        Split("test", images[train:], 0, 3),
    )


@pytest.fixture
def tiny():
    return TINY


@pytest.fixture
def data():
    return tiny_data()


def equal_trees(a, b):
    """Equal bit for bit."""
    a, b = jax.tree.leaves(a), jax.tree.leaves(b)
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def killed(command, ready, seconds, **settings):
    """Runs a command, waits until `ready(process)`, and kills it so many seconds later."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **settings)
    ready(process)
    time.sleep(seconds)
    process.kill()
    process.wait()


def says(word):
    """For `killed`: when a process has printed a word."""

    def ready(process):
        assert process.stdout.readline() == f"{word}\n"

    return ready


SLOW_TRAINING = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from ae.runtime import progress
from ae.train import run
from ae.train.loop import fit
from conftest import TINY, tiny_data
run.CHECKPOINT_SECONDS = 0.05
def slowly(first, last, **kwargs):
    for i in range(first, last):
        yield i, i + 1
        time.sleep(0.02)
progress.paced = slowly
print("training", flush=True)
epochs = int(sys.argv[3])
fit(replace(TINY, epochs=epochs, patience=epochs), tiny_data(), out=sys.argv[2], resume=True)
"""


def slow_training(out, epochs):
    """A command that trains in a run directory, going on with what is there, and writes many checkpoints."""
    return python("-c", SLOW_TRAINING, Path(__file__).parent, out, epochs)


def python(*args, **kwargs):
    """Arguments for subprocess.run."""
    return [sys.executable, *map(str, args)]


def start_on(count, program, *args):
    """Starts a Python program on so many devices."""
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
    return subprocess.Popen(python("-c", program, *args), env=environment, stdout=subprocess.PIPE, text=True)


def printed(process):
    """What a process prints last, as JSON."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


def free_port():
    """A port of this machine that nothing uses."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


# The same programs are compiled by many tests.
if "AE_TESTS_COMPILED" not in os.environ:  # the first process; the others inherit its environment
    os.environ["AE_TESTS_COMPILED"] = tempfile.mkdtemp(prefix="ae-compiled-")
    atexit.register(shutil.rmtree, os.environ["AE_TESTS_COMPILED"], ignore_errors=True)
COMPILED = os.environ["AE_TESTS_COMPILED"]
os.environ |= {"JAX_COMPILATION_CACHE_DIR": COMPILED, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
jax.config.update("jax_compilation_cache_dir", COMPILED)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
# Compiling takes most of the tests' time: half as long without LLVM's optimizations, which scripts run as processes have,
# and a fifth with XLA's older way to emit fusions, where it still has that: an unknown flag ends the process.
jax.config.update("jax_disable_most_optimizations", True)
if jax.__version_info__ < (0, 11):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"
# Non-local means would take longer than all that is trained here.
baselines.TUNED_ON, baselines.PATCHES = 2, ((5, 4),)


@pytest.fixture
def optimized():
    """For what takes longer to run than to compile."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


def pytest_addoption(parser):
    parser.addoption("--faults", type=int, default=1, help="how often each fault of a process is tried")
    parser.addoption("--inputs", type=int, default=20, help="how many damaged files of each kind are tried")
    parser.addoption("--record", type=Path, help="folder for reliability.json (with -n 0)")


TALLIES = pytest.StashKey()


@pytest.fixture
def tally(request):
    """Counts a fault that was tried, and whether what was promised held; fails where it did not."""

    def tally(fault, promise, held):
        row = request.config.stash.setdefault(TALLIES, {}).setdefault((fault, promise), [0, 0])
        row[0] += 1
        row[1] += bool(held)
        assert held, f"{fault}: not so: {promise}"

    return tally


def pytest_sessionfinish(session):
    folder, tallies = session.config.getoption("--record"), session.config.stash.get(TALLIES, {})
    if folder and tallies:
        rows = [
            {"fault": fault, "promise": promise, "tried": tried, "held": held}
            for (fault, promise), (tried, held) in tallies.items()
        ]
        title = "Faults that were tried, and how often what is promised held."
        made_with = {"command": f"pytest {' '.join(session.config.invocation_params.args)}"}
        write_measured(folder / "reliability.json", tabulate(title, dict.fromkeys(rows[0]), rows), [made_with])


def write_denoiser(path, channels=1, **changes):
    """Write a file with the weights of a small denoiser that has learnt nothing."""
    config = replace(TINY, name=path.stem, model=UNet((2, 4), residual=True, outputs=channels), **changes)
    variables = jax.jit(config.model.init)(jax.random.key(0), np.zeros((1, 8, 8, channels), np.float32))
    write_weights(path, config, variables, {"epochs": 0, "input_shape": [8, 8, channels]}, "float32")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Weights of a small colorizer that takes hints, and of a small denoiser, neither of which has learnt anything."""
    folder = tmp_path_factory.mktemp("models")
    config = replace(
        preset("chroma_unet"), name="hinted", model=ChromaUNet((8, 8), relative=True, hints=True, vivid=True)
    )
    variables = jax.jit(config.model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 4)))
    write_weights(
        folder / "hinted.safetensors", config, variables, {"epochs": 0, "input_shape": [32, 32, 1]}, "float32"
    )
    write_denoiser(folder / "denoiser.safetensors", channels=3)
    return folder


@pytest.fixture
def site(models, tmp_path):
    """The page's address, the folder in which it may leave files, and its process."""
    pytest.importorskip("gradio", reason="the page needs gradio: pip install 'ae[demo]'")
    left = tmp_path / "left"
    left.mkdir()
    command = [sys.executable, ROOT / "scripts/demo.py", "--port", str(free_port()), "--most-megabytes", "5"]
    command += ["--colorizer", str(models / "hinted.safetensors"), "--denoiser", str(models / "denoiser.safetensors")]
    server = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(left)}, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        assert urlopen(address).status == 200
        yield address, left, server
    finally:
        server.terminate()
        assert server.wait(30) == 130
    assert not list(left.iterdir())
