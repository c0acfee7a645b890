"""Models as ONNX files: what another program computes with them is what ours compute."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT

from ae import ChromaUNet, UNet, load_model, preset
from ae.errors import InputError
from ae.models import input_shape
from ae.restore.onnx import export_onnx, input_channels
from ae.restore.weights import Pretrained, pretrained_names

ANY_SIZE = {
    "gray": UNet((4, 6, 8), residual=True, patch=2, biases=False),
    "colour": UNet((4, 6), outputs=3, residual=True, depth=1),
    "not_residual": UNet((4, 6)),
    "chroma": ChromaUNet((4, 6, 8)),
    "hints": ChromaUNet((4, 6), relative=True, hints=True),
}
SIZES = [(1, 32, 32), (2, 57, 83), (3, 1, 5)]


@pytest.fixture(scope="module")
def runtime():
    pytest.importorskip("jax2onnx", reason="this needs pip install 'ae[onnx]'")
    return pytest.importorskip("onnxruntime")


def untrained(model, channels, name="model"):
    """A model whose weights, and whose running statistics, are drawn."""
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *input_shape(model)[:2], channels)))
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    drawn = [leaf + 0.1 * jnp.abs(jax.random.normal(key, leaf.shape)) for leaf, key in zip(leaves, keys, strict=True)]
    config = preset("chroma_unet" if isinstance(model, ChromaUNet) else "unet_denoiser")
    config = config.__class__(name, model, config.task, config.data)
    return Pretrained(config, jax.tree.unflatten(tree, drawn), {"input_shape": [32, 32, channels]})


def compared(runtime, trained, path, shapes):
    """The largest difference between the file's answers and ours."""
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    differences = []
    for shape in shapes:
        images = np.random.default_rng(0).random(shape).astype(np.float32)
        (answer,) = session.run(["outputs"], {"images": images})
        ours = np.asarray(trained.apply(jnp.asarray(images)))
        assert answer.shape == ours.shape
        differences.append(np.abs(answer - ours).max())
    return max(differences)


@pytest.mark.parametrize("name", ANY_SIZE)
def test_models_of_any_size_answer_the_same(runtime, tmp_path, name):
    channels = {"colour": 3, "hints": 4}.get(name, 1)
    trained = untrained(ANY_SIZE[name], channels)
    export_onnx(trained, tmp_path / "model.onnx")
    shapes = [(*size, channels) for size in SIZES]
    assert compared(runtime, trained, tmp_path / "model.onnx", shapes) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", pretrained_names())
def test_released_models_answer_the_same(runtime, tmp_path, name):
    trained = load_model(name)
    export_onnx(trained, tmp_path / "model.onnx")
    shapes = [(*size, input_channels(trained)) for size in [(1, 256, 256), (2, 57, 83), (1, 100, 40)]]
    assert compared(runtime, trained, tmp_path / "model.onnx", shapes) < 1e-4


@pytest.mark.parametrize("name", ["pixel_mlp", "conv_ae", "keras_io_denoiser", "colorizer_ae", "dense_ae_32"])
def test_models_of_one_size_have_that(runtime, tmp_path, name):
    model = preset(name).model
    height, width, channels = input_shape(model)
    trained = untrained(model, channels)._replace(result={"input_shape": [height, width, channels]})
    export_onnx(trained, tmp_path / "model.onnx")
    assert compared(runtime, trained, tmp_path / "model.onnx", [(2, height, width, channels)]) < 1e-4


def test_the_file_says_what_it_is(runtime, tmp_path):
    export_onnx(untrained(UNet((4, 6)), 1, "mine"), tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    assert about["name"] == "mine"
    assert about["license"] == "MIT"
    assert about["version"]
    assert "floats in [0, 1]" in about["input"]
    assert session.get_inputs()[0].shape == ["batch", "height", "width", 1]


def test_without_the_converter_the_command_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['onnx'] = None; from pathlib import Path; import ae; from ae.restore.onnx import *;"
    code += "export_onnx(ae.load_model('gray_denoiser'), Path('x.onnx'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "InputError: an ONNX file needs more packages: pip install 'ae[onnx]'" in done.stderr


def test_the_command_writes_one(runtime, call, tmp_path):
    said = call("export.py", "gray_denoiser", "gray.onnx").stdout
    assert "gray.onnx: " in said
    assert (tmp_path / "gray.onnx").stat().st_size < 3e6


def test_a_model_that_cannot_be_converted_is_said_to_be(runtime, tmp_path):
    import flax.linen as nn

    class Odd(nn.Module):
        input_shape = (8, 8, 1)

        @nn.compact
        def __call__(self, x, train=False):
            return jax.pure_callback(lambda y: y, x, x) * self.param("p", nn.initializers.ones, ())

    trained = untrained(Odd(), 1, "odd")._replace(result={"input_shape": [8, 8, 1]})
    with pytest.raises(InputError, match="odd cannot be written as ONNX"):
        export_onnx(trained, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
