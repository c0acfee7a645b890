"""Trained models as programs that run without this package."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from ae.errors import InputError
from ae.restore.weights import Pretrained, predict
from ae.runtime.files import atomic_write

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def export_program(trained: Pretrained, path: Path) -> None:
    """Write a convolutional model as a `jax.export` program for images [B, H, W, C] of any size, on CPU, GPU and TPU.

    It runs without this package: `jax.export.deserialize(path.read_bytes()).call(images)`. Convolutions are XLA's own.
    Raises InputError where the model takes one size only.
    """
    batch, height, width = jax.export.symbolic_shape("batch, height, width")
    images = jax.ShapeDtypeStruct((batch, height, width, trained.input_shape[2]), jnp.float32)
    try:
        program = jax.export.export(jax.jit(partial(predict, *trained[:2])), platforms=PLATFORMS)(images)
    except (InputError, TypeError, ValueError) as error:  # what JAX makes of sizes that have to be known
        reason = str(error).partition("\n")[0]
        raise InputError(f"{trained.config.name} cannot be written for any size: {reason}") from error
    with atomic_write(path) as temporary:
        temporary.write_bytes(program.serialize())
