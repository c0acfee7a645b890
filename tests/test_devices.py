import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, python, tiny_data

from ae import devices
from ae.config import PRESETS
from ae.data import Data, Split, load_data
from ae.errors import InputError
from ae.train import create_state, fit, train_steps

LOSSES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import jax
from dataclasses import replace
from conftest import TINY, tiny_data
from ae.train import fit
data = tiny_data(train=45)
state, history = fit(replace(TINY, epochs=4, patience=4), data)
assert len(state.params["Conv_0"]["kernel"].devices()) == jax.device_count()
print(json.dumps([jax.device_count(), int(state.step), [[row["loss"], row["val_loss"]] for row in history]]))
"""


def losses(count):
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
    command = python("-c", LOSSES, Path(__file__).parent)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_eight_devices_train_as_one_does():
    """Twenty-four steps, a batch at the end of each epoch that divides over no devices, and validation."""
    one, eight = losses(1), losses(8)
    assert (one[0], eight[0]) == (1, 8)
    assert one[1] == eight[1] == 24
    np.testing.assert_allclose(one[2], eight[2], atol=1e-5)


def test_a_batch_that_does_not_divide_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    with pytest.raises(InputError, match="a batch of 8 images does not divide over 3 devices: .*batch_size=9"):
        fit(TINY, tiny_data())
    assert devices.round_up(8) == 9


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize(("name", "convolutions"), [("pixel_mlp", 0), ("conv_ae", 32), ("colorizer_ae", 20)])
def test_accelerators_get_plain_convolutions(name, convolutions, platform):
    """Three a layer (output, input's gradient, kernel's gradient), but for the input's gradient of the first."""
    config = PRESETS[name]
    height, width, _ = config.model.input_shape
    images = np.zeros((64, height, width, 3 if name == "colorizer_ae" else 1), np.uint8)
    split = Split("train", images, 0, 1)
    state = jax.eval_shape(lambda: create_state(config, Data(name, "1", split, split, split)))
    exported = jax.export.export(train_steps, platforms=[platform])(
        config.program, 32, state, jnp.asarray(images), (1, 0), 0, 1, 0, 64
    )
    text = exported.mlir_module()
    assert text.count("stablehlo.convolution") == convolutions
    if name != "pixel_mlp":  # matrix products are those of the dense layers, and no convolution in disguise
        assert text.count("stablehlo.dot_general") == 3 * (name == "colorizer_ae") * 2


@pytest.mark.parametrize("name", ["conv_ae_quick", "colorizer_ae_quick"])
def test_bfloat16_trains_as_float32_does(name):
    """The mean loss of a hundred steps within 2 %, with parameters and statistics in float32."""
    config = replace(PRESETS[name], batch_size=16)
    data = load_data(config)
    means = []
    for dtype in ("float32", "bfloat16"):
        precise = replace(config, dtype=dtype).program
        state = create_state(precise, data)
        state = train_steps(precise, 16, state, jnp.asarray(data.train.images[:1600]), (1, 0), 0, 1, 0, 1600)
        assert {leaf.dtype for leaf in jax.tree.leaves(state.variables)} == {jnp.dtype("float32")}
        means.append(float(state.sums["loss"]) / int(state.sums["count"]))
    assert means[1] != means[0]
    assert means[1] == pytest.approx(means[0], rel=0.02)
