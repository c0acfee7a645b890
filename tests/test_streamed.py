import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, equal_trees, free_port, printed, refused, start_on, tiny_data
from test_fit import interrupt_after, timeless

from ae.data import load_data
from ae.data.streamed import PLACED, THREADS, Streamed, stream
from ae.data.tfds import find_prepared
from ae.errors import InputError
from ae.presets import QUICK, load_preset, preset
from ae.runtime import progress
from ae.score import baselines
from ae.score.evaluate import evaluate, predictor
from ae.score.pictures import pictures
from ae.tasks import Denoise
from ae.train.loop import fit

LOSSES = ("loss", "accuracy", "val_loss", "val_accuracy")


def streamed(data):
    """The same data, read image by image."""
    parts = {part: getattr(data, part) for part in ("train", "validation", "test")}
    return data._replace(
        **{part: split._replace(images=Streamed.all_of(split.images)) for part, split in parts.items()}
    )


def same_losses(config, resident, streaming, within=1e-6):
    (state, history), (other, others) = fit(config, resident), fit(config, streaming)
    for row, other_row in zip(history, others, strict=True):
        assert [row[name] for name in LOSSES] == pytest.approx([other_row[name] for name in LOSSES], abs=within)
    return state, other


# Images of a source, in the place of an array.


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (20, 4, 5, 3), np.uint8)


def test_streamed_images_are_read_as_those_of_an_array(images):
    whole = Streamed.all_of(images)
    assert whole.shape == images.shape
    part, expected = whole.part(range(5, 15)), images[5:15]
    assert (len(part), part.shape) == (10, expected.shape)
    for chosen in (slice(1), slice(3, 7), slice(-2, None), np.array([9, 0, 9]), [4]):
        assert np.array_equal(part[chosen], expected[chosen])
    assert np.array_equal(part.part(range(2, 4))[:], images[7:9])


def test_a_stream_has_the_order_asked_for_and_a_last_batch(images):
    order = np.random.default_rng(1).permutation(20)
    batches = list(stream(Streamed.all_of(images), order, 8))
    assert [len(index) for _, index in batches] == [8, 8, 4]
    assert np.array_equal(np.concatenate([index for _, index in batches]), order)
    for batch, index in batches:
        assert batch.dtype == np.uint8
        assert np.array_equal(batch, images[index])
    assert list(stream(Streamed.all_of(images), order[20:], 8)) == []


class Counted:
    """A source that says which images were asked for."""

    def __init__(self, images):
        self.images, self.read, self.threads = images, [], set()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        self.read.append(number)
        self.threads.add(threading.current_thread())
        return self.images[number]


def test_only_a_few_batches_are_read_ahead_of_use():
    source, size = Counted(np.zeros((4000, 2, 2, 1), np.uint8)), 4
    most = size * (THREADS + PLACED)
    with_pauses = stream(Streamed.all_of(source), np.arange(4000), size)
    for batch in range(1, 6):
        next(with_pauses)
        time.sleep(0.1)
        assert batch * size < len(source.read) <= batch * size + most
    assert threading.main_thread() not in source.threads
    with_pauses.close()
    time.sleep(0.1)
    stopped = len(source.read)
    time.sleep(0.2)
    assert len(source.read) == stopped


class Damaged(Counted):
    def __getitem__(self, number):
        if number == 11:
            raise InputError("cannot read image 11 of a.file")
        return super().__getitem__(number)


def test_an_image_that_cannot_be_read_ends_the_stream(images, data):
    damaged = data.train._replace(images=Streamed.all_of(Damaged(data.train.images)))
    for use in (
        lambda: list(stream(Streamed.all_of(Damaged(images)), np.arange(20), 4)),
        lambda: fit(TINY, data._replace(train=damaged)),
        lambda: evaluate(predictor(TINY), {}, TINY.task, damaged),
    ):
        with pytest.raises(InputError) as error:
            use()
        assert str(error.value) == "cannot read image 11 of a.file"


# Training and scores.


@pytest.mark.parametrize(
    "changes", [{}, {"new_noise_each_epoch": True, "schedule": "one-cycle", "ema_decay": 0.9}, {"batch_size": 64}]
)
def test_streamed_and_resident_splits_train_alike(tiny, data, changes):
    same_losses(replace(tiny, **changes), data, streamed(data))


@pytest.mark.usefixtures("optimized")  # without LLVM's optimizations, the last bits depend on the program around a step
@pytest.mark.parametrize(
    "config",
    [
        replace(TINY, data="sample-digits"),
        *(pytest.param(config, marks=pytest.mark.slow) for config in QUICK),
    ],
    ids=lambda config: config.name,
)
def test_sample_data_trains_alike(config):
    config = replace(config, epochs=2, limit=200)
    same_losses(config, load_data(config), load_data(config, resident_bytes=0))


@pytest.mark.usefixtures("decoded", "optimized")
@pytest.mark.parametrize("name", ["tiny", pytest.param("pixel_mlp_quick", marks=pytest.mark.slow)])
def test_mnist_trains_alike(tfds_dir, name):
    config = TINY if name == "tiny" else preset(name)
    splits = {"train_split": "test[:9000]", "validation_split": "test[9000:]", "test_split": "test[9000:]"}
    config = replace(config, data="mnist", epochs=2, limit=1000, **splits)
    resident, data = (load_data(config, data_dir=tfds_dir, resident_bytes=size) for size in (2**30, 0))
    for split, array in zip(data[2:5], resident[2:5], strict=True):
        assert split._replace(images=None) == array._replace(images=None)
        assert np.array_equal(split.images[:9], array.images[:9])
    same_losses(config, resident, data)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("calls", "seen"), [(2, 24), (4, 37), (7, 37), (9, 37 + 24)])
def test_an_interrupted_run_goes_on_with_the_same_bits(tiny, data, tmp_path, monkeypatch, calls, seen):
    """Within an epoch, at its end, in validation, in the second epoch; no image that was trained on is read again."""
    config, data = replace(tiny, epochs=3), streamed(data)
    state, history = fit(config, data)
    source = Counted(data.train.images.source)
    data = data._replace(train=data.train._replace(images=Streamed.all_of(source)))
    with monkeypatch.context() as patch:
        patch.setattr(progress, "paced", interrupt_after(calls))
        with pytest.raises(KeyboardInterrupt):
            fit(config, data, out=tmp_path / "run")
    source.read.clear()
    resumed, resumed_history = fit(config, data, out=tmp_path / "run", resume=True)
    assert equal_trees(state, resumed)
    assert timeless(history) == timeless(resumed_history)
    assert len(source.read) == 3 * 37 - seen + 2  # and the first, for the shapes of inputs and of weights


@pytest.mark.parametrize("size", [4, 11, 256])
def test_streamed_and_resident_splits_are_scored_alike(tiny, data, size):
    state, _ = fit(replace(tiny, epochs=1), data)
    splits = data.validation._replace(start=50), streamed(data).validation._replace(start=50)
    scores = [evaluate(predictor(tiny), state.variables, tiny.task, split, batch_size=size) for split in splits]
    assert scores[1] == pytest.approx(scores[0], abs=1e-6)
    shown = [pictures(predictor(tiny), state.variables, tiny.task, split) for split in splits]
    assert equal_trees(*shown)


def test_baselines_are_fitted_to_the_first_images_of_a_streamed_split(data, monkeypatch):
    monkeypatch.setattr(baselines, "FITTED_ON", 10)
    first = data.train._replace(images=data.train.images[:10])
    fitted = [list(baselines.fitted_baselines(Denoise(), split)) for split in (streamed(data).train, first)]
    for (name, _, _, variables), (_, _, _, expected) in zip(*fitted, strict=True):
        assert equal_trees(variables, expected), name


# The choice.


@pytest.mark.usefixtures("decoded")
def test_the_size_of_the_decoded_images_chooses(tfds_dir):
    config = preset("conv_ae", train_split="test[:500]", validation_split="test", limit=100)
    size = 10_000 * 28 * 28
    found = find_prepared("cifar100", tfds_dir)
    assert (found.shape, found.splits) == ((32, 32, 3), {"train": 50_000, "test": 10_000})
    assert isinstance(load_data(config, data_dir=tfds_dir, resident_bytes=size).train.images, np.ndarray)
    assert isinstance(load_data(config, data_dir=tfds_dir, resident_bytes=size - 1).train.images, Streamed)
    assert isinstance(load_data(config, data_dir=tfds_dir).train.images, np.ndarray)


def test_samples_are_streamed_where_they_are_asked_to(tiny):
    config = preset("pixel_mlp_quick", limit=100)
    size = 1797 * 28 * 28
    arrays, streams = load_data(config, resident_bytes=size), load_data(config, resident_bytes=size - 1)
    for array, images in zip(arrays[2:5], streams[2:5], strict=True):
        assert isinstance(array.images, np.ndarray)
        assert isinstance(images.images, Streamed)
        assert (array.name, array.start) == (images.name, images.start)
        assert np.array_equal(array.images, images.images[:])


ON_TEST = """
from ae import preset
splits = dict.fromkeys(("train_split", "validation_split", "test_split"), "test")
PRESET = preset("pixel_mlp_quick", data="mnist", **splits)
"""


@pytest.fixture
def damaged_mnist(tfds_dir, tmp_path):
    """MNIST with one bit of its test images turned over."""
    folder = tmp_path / "damaged/mnist/3.0.1"
    folder.mkdir(parents=True)
    for path in (tfds_dir / "mnist/3.0.1").iterdir():
        if "train" not in path.name:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= "array_record" in path.name
            (folder / path.name).write_bytes(content)
    return tmp_path / "damaged"


def test_a_damaged_record_is_named(damaged_mnist, call):
    (damaged_mnist / "on_test.py").write_text(ON_TEST)
    config = load_preset(str(damaged_mnist / "on_test.py"))
    images = load_data(config, data_dir=damaged_mnist, resident_bytes=0).train.images
    with pytest.raises(InputError, match=r"cannot read image 5194 of \S*mnist-test.array_record-00000-of-00001: Corr"):
        images[5000:5200]
    assert images[5100:5110].any()
    command = ("train.py", str(damaged_mnist / "on_test.py"), "--data-dir", str(damaged_mnist), "--resident-bytes", "0")
    refused(call(*command, status=2), "cannot read image 5194", "array_record-00000-of-00001", "--data-dir")


# Several devices, and several processes.

PROCESS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
import jax
from conftest import TINY, tiny_data
from ae.data.streamed import Streamed
from ae.runtime import devices
from ae.train.loop import fit
if len(sys.argv) > 2:
    devices.join_processes(sys.argv[2], 2, int(sys.argv[3]))
from test_streamed import LOSSES, Counted, streamed
data, config = streamed(tiny_data(train=45)), replace(TINY, epochs=2)
source = Counted(data.train.images.source)
data = data._replace(train=data.train._replace(images=Streamed.all_of(source)))
_, history = fit(config, data)
print(json.dumps([jax.device_count(), [[row[name] for name in LOSSES] for row in history], source.read]))
"""


def start(count, *arguments):
    return start_on(count, PROCESS, Path(__file__).parent, *arguments)


@pytest.fixture(scope="module")
def alone():
    """Losses of a resident split on one device."""
    _, history = fit(replace(TINY, epochs=2), tiny_data(train=45))
    return [[row[name] for name in LOSSES] for row in history]


def test_eight_devices_are_given_their_rows(alone):
    count, losses, _ = printed(start(8))
    assert count == 8
    np.testing.assert_allclose(losses, alone, atol=1e-5)


def test_each_of_two_processes_reads_its_part(alone):
    """Of five full batches an epoch each reads the half, and both read the last, which does not divide."""
    address = f"localhost:{free_port()}"
    both = [printed(process) for process in [start(1, address, i) for i in range(2)]]
    assert both[0][:2] == both[1][:2]
    assert both[0][0] == 2
    np.testing.assert_allclose(both[0][1], alone, atol=1e-5)
    epochs = [sorted(numbers[2:]) for *_, numbers in both]  # after those that shapes and weights are made of
    assert [len(numbers) for numbers in epochs] == [2 * (5 * 4 + 5)] * 2
    assert set(epochs[0]) | set(epochs[1]) == set(range(45))
