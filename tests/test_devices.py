from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, free_port, printed, start_on, tiny_data

from ae.data import load_data
from ae.errors import InputError
from ae.models import UNet
from ae.presets import PRESETS
from ae.runtime import devices
from ae.tasks import Colorize
from ae.train.epoch import Epoch, train_steps
from ae.train.loop import fit
from ae.train.step import create_state, state_for

LOSSES = """
import itertools, json, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import jax
import numpy as np
from dataclasses import replace
from ae.runtime import devices
from ae.score.evaluate import examples_of_batch, noise_key, outputs_of_batch
from conftest import TINY, tiny_data
from ae.train import epoch
from ae.train.epoch import Epoch, epoch_order, train_steps
from ae.train.loop import fit
from ae.score.evaluate import predictor

epoch.MOST_STEPS = 1  # of a block, so that there is something between them

def interrupt_in_second_epoch():
    calls, usual = itertools.count(), devices.any_process
    def any_process(*flags):
        if next(calls) == 8:
            signal.raise_signal(signal.SIGTERM)
        return usual(*flags)
    devices.any_process = any_process

def work(state, split):
    # floating-point operations of a device for a batch of eight images, in training and in evaluation
    inputs = split.images, epoch_order(0, 1, len(split.images)), noise_key(1), np.ones(6, np.float32)
    images, order, key, rates = devices.replicate(inputs)
    training = train_steps.lower(TINY.compile_key, 8, 5, state, images, Epoch(1, 0, 1, 0, order, rates), 0)
    batch, _ = examples_of_batch(TINY.task, key, images[:8], np.arange(8))
    scoring = outputs_of_batch.lower(predictor(TINY), state.variables, batch)
    return [program.compile().cost_analysis()["flops"] for program in (training, scoring)]

if len(sys.argv) > 3:
    devices.join_processes(sys.argv[3], 2, int(sys.argv[4]))
    if sys.argv[4] == "1":
        interrupt_in_second_epoch()
data, run, interrupted = tiny_data(train=45), Path(sys.argv[2]), False
try:
    fit(replace(TINY, epochs=2, patience=4), data, out=run)
except KeyboardInterrupt:
    interrupted = True
state, history = fit(replace(TINY, epochs=4, patience=4), data, out=run, resume=True)
assert len(state.params["Conv_0"]["kernel"].sharding.device_set) == jax.device_count()
values = [[row["loss"], row["val_loss"]] for row in history]
flops = work(state, data.train) if jax.process_count() == 1 else None
print(json.dumps([jax.device_count(), int(state.step), interrupted, values, flops]))
"""


def start(out, count, *arguments):
    return start_on(count, LOSSES, Path(__file__).parent, out, *arguments)


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    count, steps, _, values, flops = printed(start(tmp_path_factory.mktemp("one") / "run", 1))
    assert (count, steps) == (1, 24)
    return values, flops


def test_eight_devices_train_as_one_does(one_device, tmp_path):
    """Twenty-four steps, a batch at the end of each epoch that divides over no devices, validation, and a resume."""
    count, steps, _, values, flops = printed(start(tmp_path / "run", 8))
    assert (count, steps) == (8, 24)
    np.testing.assert_allclose(values, one_device[0], atol=1e-5)
    for shared, alone in zip(flops, one_device[1], strict=True):
        assert shared < 0.2 * alone  # of eight images, each computes one


def test_two_processes_train_as_one_does(one_device, tmp_path):
    """SIGTERM in the second stops both after a checkpoint, and they go on from there."""
    address = f"localhost:{free_port()}"
    outs = [tmp_path / f"process{i}" for i in range(2)]
    both = [printed(process) for process in [start(outs[i], 1, address, i) for i in range(2)]]
    assert both[0] == both[1]
    assert both[0][:3] == [2, 24, True]
    np.testing.assert_allclose(both[0][3], one_device[0], atol=1e-5)
    assert (outs[0] / "history.csv").exists()
    assert not outs[1].exists()  # the first process writes, and no other


def test_a_batch_that_does_not_divide_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    with pytest.raises(InputError, match="a batch of 8 images does not divide over 3 devices: .*batch_size=9"):
        fit(TINY, tiny_data())
    assert devices.round_up(8) == 9


LEVELS = """
import sys
sys.path.insert(0, sys.argv[1])
import jax, jax.numpy as jnp
from ae.runtime import devices
from ae.models import PixelMLP
model = PixelMLP((64, 64), (True, False), pixel_levels=4096)
images = jnp.zeros((8, 28, 28, 1))
variables = model.init(jax.random.key(0), images)
def loss(params, images):
    output, _ = model.apply({**variables, "params": params}, devices.split(images), train=True, mutable=["batch_stats"])
    return output.mean()
print(jax.jit(jax.grad(loss)).lower(variables["params"], images).compile().cost_analysis()["flops"])
"""


def test_levels_of_the_pixel_mlp_are_split_over_devices():
    """Each of eight devices has about an eighth of the work."""

    def flops(count):
        return printed(start_on(count, LEVELS, Path(__file__).parent))

    assert flops(8) < flops(1) / 6


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize(
    ("name", "convolutions"), [("pixel_mlp", 0), ("conv_ae", 32), ("colorizer_ae", 20), ("unet", 44)]
)
def test_accelerators_get_plain_convolutions(name, convolutions, platform):
    """Three a layer (output, input's gradient, kernel's gradient), but for the input's gradient of the first."""
    config = (PRESETS | {"unet": replace(PRESETS["colorizer_ae"], model=UNet(outputs=3))})[name]
    height, width, _ = config.model.input_shape
    images = np.zeros((64, height, width, 3 if isinstance(config.task, Colorize) else 1), np.uint8)
    inputs = jax.ShapeDtypeStruct((1, *config.task.input_shape(images.shape[1:])), jnp.float32)
    state = jax.eval_shape(partial(state_for, config), jax.random.key(0), inputs)
    exported = jax.export.export(train_steps, platforms=[platform])(
        config.compile_key, 32, 2, state, jnp.asarray(images), Epoch(1, 0, 1, 0, jnp.arange(64), jnp.ones(2)), 0
    )
    text = exported.mlir_module()
    assert text.count("stablehlo.convolution") == convolutions
    if convolutions:  # matrix products are those of the dense layers, and no convolution in disguise
        assert text.count("stablehlo.dot_general") == 3 * (name == "colorizer_ae") * 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conv_ae_quick", "colorizer_ae_quick"])
def test_bfloat16_trains_as_float32_does(name):
    """The mean loss of fifty steps within 1 %, with parameters and statistics in float32.

    From a state after fifty steps: in the first ones the loss falls so steeply that even a learning rate larger by
    1e-4 of itself moves their mean by up to 4 %.
    """
    config = replace(PRESETS[name], batch_size=4)
    data = load_data(config)
    images = jnp.asarray(np.resize(data.train.images, (400, *data.train.images.shape[1:])))

    def train(dtype, state, first):
        program = replace(config, dtype=dtype).compile_key
        rates = jnp.full(100, config.learning_rate)
        return train_steps(program, 4, 50, state, images, Epoch(1, 0, 1, 0, jnp.arange(400), rates), first)[0]

    start = train("float32", create_state(config, data), 0)
    before, means = float(start.sums["loss"]), []
    for dtype in ("float32", "bfloat16"):
        state = train(dtype, jax.tree.map(jnp.copy, start), 200)
        assert {leaf.dtype for leaf in jax.tree.leaves(state.variables)} == {jnp.dtype("float32")}
        means.append((float(state.sums["loss"]) - before) / 200)
    assert means[1] != means[0]
    assert means[1] == pytest.approx(means[0], rel=0.01)
