"""Trained models as ONNX files, which other programs run: of images of any size, where the model takes any."""

from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import jax

from ae.errors import InputError
from ae.layers.conv import xla_convolutions
from ae.restore.weights import Pretrained, predict
from ae.runtime.files import atomic_write

# The converter wants sizes that are multiples of what the model halves them to. So the file first mirrors the last rows and
# columns, as `ae.models.unet.padded` does, and at the end leaves them out again.
PADDING = """
<ir_version: {ir}, opset_import: ["" : {opset}]>
padding (float[batch, height, width, {channels}] images) => (float[b, h, w, {channels}] padded, int64[2] size)
<int64 zero = {{0}}, int64 one = {{1}}, int64 two = {{2}}, int64 cell = {{{multiple}}},
 int64[1] first = {{1}}, int64[1] end = {{3}}>
{{
  shape = Shape(images)
  size = Slice(shape, first, end)
  {rows}
  {columns}
}}
"""
MIRRORED = """
  length_{axis} = Gather(shape, {number})
  beyond_{axis} = Add(length_{axis}, cell)
  last_in_{axis} = Sub(beyond_{axis}, one)
  cells_{axis} = Div(last_in_{axis}, cell)
  whole_{axis} = Mul(cells_{axis}, cell)
  places_{axis} = Range(zero, whole_{axis}, one)
  last_{axis} = Sub(length_{axis}, one)
  there_{axis} = Mul(last_{axis}, two)
  period_{axis} = Max(there_{axis}, one)
  phase_{axis} = Mod(places_{axis}, period_{axis})
  back_{axis} = Sub(period_{axis}, phase_{axis})
  mirrored_{axis} = Min(phase_{axis}, back_{axis})
  {to} = Gather <axis = {axis}> ({source}, mirrored_{axis})
"""
CROPPING = """
<ir_version: {ir}, opset_import: ["" : {opset}]>
cropping (float[b, h, w, {channels}] whole, int64[2] bounds) => (float[batch, height, width, {channels}] outputs)
<int64[2] start = {{0, 0}}, int64[2] axes = {{1, 2}}>
{{
  outputs = Slice(whole, start, bounds, axes)
}}
"""


def export_onnx(trained: Pretrained, path: Path) -> None:
    """Write a model as an ONNX file: images [B, H, W, C], floats in [0, 1] -> the same.

    Of any size where the model takes any, else of the one that it takes. The metadata has the model's name, the version and
    licence of this package, and the range of inputs. Raises InputError where the extra "onnx" is not installed, and where
    the converter does not know an operation of the model.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError("an ONNX file needs more packages: pip install 'ae[onnx]'") from error
    channels = input_channels(trained)
    model = _of_any_size(trained, channels) or _converted(trained, ("batch", *trained.input_shape))
    about = metadata("ae")
    properties = {
        "name": trained.config.name,
        "version": about["Version"],
        "license": about["License-Expression"] or about["License"],
        "input": f"images [batch, height, width, {channels}], floats in [0, 1]",
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    with atomic_write(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def input_channels(trained: Pretrained) -> int:
    """Return how many channels inputs have: those of hints too."""
    return 4 if getattr(trained.config.model, "hints", False) else trained.input_shape[2]


def _of_any_size(trained: Pretrained, channels: int) -> Any:
    """Return the ONNX model for images of any size, or None where the model takes one size only."""
    from onnx import compose, parser

    multiple = getattr(trained.config.model, "multiple", 1)
    try:
        core = _converted(trained, ("batch", f"{multiple}*h", f"{multiple}*w", channels))
    except InputError:
        return None
    how = {"ir": core.ir_version, "opset": core.opset_import[0].version, "channels": channels, "multiple": multiple}
    rows = MIRRORED.format(axis=1, number="one", source="images", to="of_rows")
    columns = MIRRORED.format(axis=2, number="two", source="of_rows", to="padded")
    padding = parser.parse_model(PADDING.format(**how, rows=rows, columns=columns))
    outputs = core.graph.output[0].type.tensor_type.shape.dim[3].dim_value
    cropping = parser.parse_model(CROPPING.format(**how | {"channels": outputs}))
    core = compose.add_prefix(core, "core_")
    padded = compose.merge_models(padding, core, [("padded", "core_images")])
    return compose.merge_models(padded, cropping, [("core_outputs", "whole"), ("size", "bounds")])


def _converted(trained: Pretrained, shape: tuple[int | str, ...]) -> Any:
    """Return the ONNX model for images of a shape. Raises InputError where that cannot be."""
    from jax2onnx import to_onnx

    def program(images: jax.Array) -> jax.Array:
        with xla_convolutions():
            return predict(trained.config, trained.variables, images)

    try:
        return to_onnx(
            program, [shape], model_name=trained.config.name, input_names=["images"], output_names=["outputs"]
        )
    except (InputError, NotImplementedError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{trained.config.name} cannot be written as ONNX: {reason}") from error
