"""Images cut into patches, windows and tiles, and put together again."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

Pair = Sequence[int]  # of rows and columns
Padding = Sequence[tuple[int, int]]
Grid = list[list[jax.Array]]


def as_matrix(x: jax.Array) -> jax.Array:
    """Reshape to a matrix with all pixels, or all taps, as rows: [..., C] -> [N, C]."""
    return x.reshape(-1, x.shape[-1])


def pad(x: jax.Array, padding: Padding) -> jax.Array:
    """Pad images [B, H, W, C] with zeros; a negative number takes away."""
    edges = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def strided_slice(x: jax.Array, first: Pair, steps: Pair, count: Pair) -> jax.Array:
    """Take pixels of images at regular places, from the first: [B, *count, C]."""
    ends = [f + (n - 1) * s + 1 for f, n, s in zip(first, count, steps, strict=True)]
    return lax.slice(x, (0, *first, 0), (len(x), *ends, x.shape[3]), (1, *steps, 1))


def to_patches(x: jax.Array, patch: Pair, padding: Padding) -> jax.Array:
    """Cut images into patches: [B, H, W, C] -> [B, H / h, W / w, h * w * C]."""
    x = pad(x, padding)
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // patch[0], patch[0], width // patch[1], patch[1], channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(*x.shape[:2], x.shape[3], -1)


def from_patches(patches: jax.Array, patch: Pair, size: Pair, padding: Padding) -> jax.Array:
    """Compute the inverse of `to_patches`."""
    batch, height, width, _ = patches.shape
    x = patches.reshape(batch, height, width, *patch, -1).transpose(0, 1, 3, 2, 4, 5)
    return pad(x.reshape(batch, height * patch[0], width * patch[1], -1), [(-low, -high) for low, high in padding])


def to_windows(x: jax.Array, kernel: Pair, strides: Pair, padding: Padding) -> jax.Array:
    """Gather the pixels under the kernel at each place ("im2col"): [B, H, W, C] -> [B, H / sh, W / sw, kh * kw * C]."""
    x = pad(x, padding)
    count = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:3], kernel, strides, strict=True)]
    taps = [strided_slice(x, (i, j), strides, count) for i in range(kernel[0]) for j in range(kernel[1])]
    return jnp.concatenate(taps, axis=-1)


def to_tiles(x: jax.Array, low: Pair, reach: Pair, steps: Pair, count: Pair) -> Grid:
    """Take the pixels (i, j) of all tiles of an image, each [B, *count, C]. A tile reaches over `reach` pixels."""
    length = [(n - 1) * s + r for n, s, r in zip(count, steps, reach, strict=True)]
    x = pad(x, [(lo, n - lo - size) for lo, n, size in zip(low, length, x.shape[1:3], strict=True)])
    return [[strided_slice(x, (i, j), steps, count) for j in range(reach[1])] for i in range(reach[0])]


def overlap_add(parts: list[jax.Array], axis: int, low: int, step: int, size: int) -> jax.Array:
    """Compute the transpose of `to_tiles` along an axis: pixels 0, 1, ... of all tiles, and what tiles share is added."""

    def pad_axis(x: jax.Array, before: int, after: int) -> jax.Array:
        return pad(x, [(before, after) if i == axis else (0, 0) for i in (1, 2)])

    last = (len(parts) - 1) // step  # tiles that a tile reaches into
    phases = [
        sum(pad_axis(part, i, last - i) for i, part in enumerate(parts[phase::step]))
        for phase in range(min(step, len(parts)))
    ]
    phases += [jnp.zeros_like(phases[0])] * (step - len(phases))
    x = jnp.stack(phases, axis + 1)
    x = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
    return pad_axis(x, -low, low + size - x.shape[axis])
