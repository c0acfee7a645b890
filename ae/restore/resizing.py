"""Other sizes for images: enlarged along straight lines, shrunk to means, or sampled."""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SAMPLES = 256  # most rows and columns that `sampled` takes

Rows = tuple[Any, Any]  # see `neighbours`


def interpolation(source: int, target: int) -> np.ndarray:
    """Return weights [target, source] that bring values to another number: straight lines, or averages where it is less."""
    places = (np.arange(target) + 0.5) * source / target - 0.5
    return _tents(places, source / target, source).astype(np.float32)


def sharpened(source: int, target: int) -> np.ndarray:
    """Return weights [target, source] that make a photograph small for a model, which knows things by their outlines.

    A tent a quarter as wide as `interpolation`'s, and half of what one twice as wide takes away. Where values do not
    become fewer, those of `interpolation`.
    """
    if target >= source:
        return interpolation(source, target)
    places, scale = (np.arange(target) + 0.5) * source / target - 0.5, source / target
    fine, wide = (_tents(places, width * scale, source) for width in (0.25, 0.5))
    return (fine + 0.5 * (fine - wide)).astype(np.float32)


def _tents(places: np.ndarray, width: float, source: int) -> np.ndarray:
    heights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(source)) / max(1, width))
    return heights / heights.sum(axis=1, keepdims=True)


def resized(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Return an image [H, W, C] at another size: [*size, C]."""
    rows, columns = (interpolation(*lengths) for lengths in zip(x.shape[:2], size, strict=True))
    return jnp.einsum("hH,HWc,wW->hwc", rows, x, columns)


def neighbours(source: int, target: int) -> Rows:
    """Return for each target row the upper of the two source rows that it lies between, and how near it is to the lower."""
    places = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    upper = np.minimum(places.astype(np.int32), max(0, source - 2))
    return upper, (places - upper).astype(np.float32)


def sampled(x: jax.Array) -> jax.Array:
    """Return pixels at regular places, at most `SAMPLES` rows and columns: [H, W, ...] -> [h, w, ...]."""
    step = -(-max(x.shape[:2]) // SAMPLES)
    return x[::step, ::step]


def shrunk_fields(x: jax.Array, subsampling: tuple[int, int]) -> jax.Array:
    """Return what `shrunk` makes of each of the two fields of [H, W], line by line in turn."""
    fields = [shrunk(x[first::2], subsampling) for first in range(2)]
    lines = jnp.stack([jnp.resize(field, fields[0].shape) for field in fields], axis=1)
    return lines.reshape(-1, lines.shape[2])[: -(-x.shape[0] // subsampling[0])]


def shrunk(x: jax.Array, subsampling: tuple[int, int]) -> jax.Array:
    """Return means over blocks of so many rows and columns: integers [H, W] -> [ceil(H / rows), ceil(W / columns)]."""
    rows, columns = subsampling
    x = jnp.pad(x, ((0, -x.shape[0] % rows), (0, -x.shape[1] % columns)), mode="edge").astype(jnp.uint16)
    x = reduce(jnp.add, (x[first::rows] for first in range(rows)))
    x = reduce(jnp.add, (x[:, first::columns] for first in range(columns)))
    return jnp.float32(x) / (rows * columns)
