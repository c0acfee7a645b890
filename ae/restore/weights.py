"""Trained weights as safetensors files: those that ship with the package, `ae/weights/NAME.safetensors`, and a user's own.

Training leaves two of them in its run directory, which is all that it takes to use the model. A file holds numbers alone, by
their paths in the variables ("params/Conv_0/kernel"), and in its metadata, as JSON, the configuration and the result of the
run that they come from. Nothing in it is ever run.
"""

import hashlib
import json
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ae.config import Config, from_dict
from ae.errors import InputError
from ae.layers.conv import xla_convolutions
from ae.models import input_shape
from ae.models.apply import apply, variable_shapes
from ae.runtime import devices
from ae.runtime.files import atomic_write, write_text

WEIGHTS = Path(__file__).parents[1] / "weights"
CHECKSUMS = "SHA256SUMS"  # as `sha256sum` writes and checks them


class Pretrained(NamedTuple):
    """A trained model, to be called with images."""

    config: Config
    variables: dict[str, Any]  # float32
    result: dict[str, Any]  # of the run: at least "epochs"; of released weights also scores, data, command, versions

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Return [H, W, C] of the images that it was trained on, or, where that is not known, that its model takes."""
        return _input_shape(self.config, self.result)

    def __call__(self, images: np.ndarray | jax.Array) -> jax.Array:
        """Return outputs [B, H, W, C'] in [0, 1] of images [B, H, W, C], float in [0, 1] or uint8.

        Raises InputError for other shapes, dtypes and ranges.
        """
        channels = self.input_shape[2]
        checked = in_range(images, f"images [B, H, W, {channels}]", ndim=4, channels=channels)
        return self.apply(checked)

    def apply(self, images: jax.Array, *, many: bool = False) -> jax.Array:
        """Return outputs [B, H, W, C'] in [0, 1] of float32 images [B, H, W, C] of any range: noise may lead out of it.

        `many`: there are so many of this shape that on a CPU it pays to compile faster convolutions for some ten seconds.
        """
        return _apply(self.config.compile_key, self.variables, images, many)


def predict(config: Config, variables: Any, images: jax.Array) -> jax.Array:
    """Compute the outputs of a model, [B, H, W, C'] cut to [0, 1], for images [B, H, W, C] in [0, 1]."""
    return jnp.clip(apply(config.model, variables, images, **config.numerics, train=False), 0, 1)


@partial(jax.jit, static_argnames="many")
def _apply(config: Config, variables: Any, images: jax.Array, many: bool) -> jax.Array:
    with nullcontext() if many else xla_convolutions():
        return predict(config, variables, devices.split(images))


def _input_shape(config: Config, result: dict[str, Any]) -> tuple[int, int, int]:
    height, width, channels = result.get("input_shape") or input_shape(config.model)
    return int(height), int(width), int(channels)


def in_range(images: np.ndarray | jax.Array, expected: str, *, ndim: int, channels: int | None = None) -> jax.Array:
    """Return images as float32 in [0, 1]; uint8 is divided by 255. Raises InputError for other shapes, dtypes and ranges."""
    check_range(images, expected, ndim=ndim, channels=channels)
    return jnp.asarray(images, jnp.float32) / (255 if images.dtype == np.uint8 else 1)


def check_range(images: np.ndarray | jax.Array, expected: str, *, ndim: int, channels: int | None = None) -> None:
    """Raise InputError for other shapes, other dtypes than uint8 and floats, and floats outside of [0, 1]."""
    if images.ndim != ndim or 0 in images.shape or (channels and images.shape[-1] != channels):
        raise InputError(f"expected {expected}, got {images.shape}")
    if images.dtype == np.uint8:
        return
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError(f"expected images of uint8, or of floats in [0, 1], got {images.dtype}")
    least, most = float(images.min()), float(images.max())
    if not (least >= 0 and most <= 1):  # false for nan as well
        raise InputError(f"expected floats in [0, 1], got {least:g} to {most:g}")


def pretrained_names() -> list[str]:
    """Return the names of the weights that ship with the package."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def load_pretrained(name: str) -> Pretrained:
    """Return the weights of that name that ship with the package.

    Raises InputError for unknown names, and where the file is not the one that was released.
    """
    if name not in pretrained_names():
        raise InputError(
            f"no weights {name!r} ship with the package; there are {', '.join(pretrained_names()) or 'none'}"
        )
    path = WEIGHTS / f"{name}.safetensors"
    if sha256(path) != _checksums().get(path.name):
        raise InputError(f"{path} is damaged, its checksum is another: install the package again")
    return _read(path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _checksums() -> dict[str, str]:
    lines = (WEIGHTS / CHECKSUMS).read_text().splitlines()
    return {name: checksum for checksum, name in (line.split(maxsplit=1) for line in lines)}


def read_weights(path: Path, *, preset: Config | None = None) -> Pretrained:
    """Return the weights in a file. `preset` is needed where its model or task is defined outside of the package.

    Raises InputError where the file is damaged, or its arrays are not those of its model.
    """
    try:
        return _read(path, preset, check=True)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no file of weights that this package wrote, or is damaged: {error}") from error


def _read(path: Path, preset: Config | None = None, *, check: bool = False) -> Pretrained:
    """Return the weights in a file, whose shapes are checked before any is read.

    Not those of a file that is known by its checksum: to trace the model for them takes a tenth of a command's start.
    """
    with safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 (no mapping)
        config = from_dict(json.loads(metadata["config"]), preset)
        result = json.loads(metadata["result"])
        if check:
            _check_shapes(path, shapes, config, _input_shape(config, result))
        arrays = {key: jax.device_put(np.float32(file.get_tensor(key))) for key in shapes}
        return Pretrained(config, _tree(arrays), result)


def _check_shapes(path: Path, shapes: dict[str, tuple[int, ...]], config: Config, inputs: tuple[int, ...]) -> None:
    """Check shapes before anything is read: a file that lies takes no memory. `inputs`: [H, W, C] of the model."""
    expected = _flat(variable_shapes(config.model, inputs))
    for key in sorted({*shapes, *expected}):
        ours, theirs = expected[key].shape if key in expected else None, shapes.get(key)
        if ours != theirs:
            raise InputError(
                f"{path} does not fit {config.name}: {key} is {theirs or 'missing'}, not {ours or 'wanted'}"
            )


def write_weights(path: Path, config: Config, variables: dict[str, Any], result: dict[str, Any], dtype: Any) -> None:
    """Write weights in some precision (float16 halves the file), whole or not at all; in the package, checksums too.

    BatchNorm's statistics, few and of any size, stay float32. Curves of the training are left out of the result.
    """
    arrays = {
        key: np.asarray(value, np.float32 if key.startswith("batch_stats/") else dtype)
        for key, value in _flat(variables).items()
    }
    result = {key: value for key, value in result.items() if not key.endswith("_by_epoch")}
    metadata = {"config": json.dumps(config.to_dict()), "result": json.dumps(result)}
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(arrays, metadata))
    if path.resolve().parent == WEIGHTS:
        lines = (f"{sha256(weights)}  {weights.name}\n" for weights in sorted(WEIGHTS.glob("*.safetensors")))
        write_text(WEIGHTS / CHECKSUMS, "".join(lines))


def _flat(variables: dict[str, Any]) -> dict[str, Any]:
    return {"/".join(path): value for path, value in flatten_dict(variables).items()}


def _tree(arrays: dict[str, Any]) -> dict[str, Any]:
    tree = unflatten_dict({tuple(key.split("/")): value for key, value in arrays.items()})
    return {"batch_stats": {}, **tree}
