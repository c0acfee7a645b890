"""Motion between two frames of a film, from their luma.

Windows are moved to where their luma fits best, by least squares in its slopes, from coarse to fine (Lucas and Kanade, "An
iterative image registration technique", 1981; in pyramids: Bouguet, 2001); where a window has no slopes, it moves as those
around it do.
"""

from functools import reduce

import jax
import jax.numpy as jnp

LEVELS = 4  # each half as high and wide as the one before
ROUNDS = 2  # of least squares at each
WINDOW = 2  # pixels to each side
STIFFNESS = 1e-3  # sum of squared slopes below which a window hardly moves by itself
FARTHEST = 1.0  # pixels that a round moves a window at most


def motion(before: jax.Array, after: jax.Array) -> jax.Array:
    """Return by how many rows and columns each pixel of a frame came from the frame before it: luma [h, w] -> [h, w, 2].

    `moved(before, motion(before, after))` is like `after`, where nothing was hidden.
    """
    pyramid = [(before, after)]
    while len(pyramid) < LEVELS and min(pyramid[-1][0].shape) >= 16:
        first, second = pyramid[-1]
        pyramid.append((_halved(first), _halved(second)))
    flow = jnp.zeros((*pyramid[-1][0].shape, 2))
    for first, second in reversed(pyramid):
        if flow.shape[:2] != first.shape:
            flow = 2 * jax.image.resize(flow, (*first.shape, 2), "linear")
        for _ in range(ROUNDS):
            flow = window_mean(flow + _step(moved(first[..., None], flow)[..., 0], second))
    return flow


def moved(image: jax.Array, flow: jax.Array) -> jax.Array:
    """Return an image [h, w, C] whose pixels come from where a flow [h, w, 2] says, along straight lines between pixels."""
    height, width, _ = image.shape
    rows = jnp.clip(jnp.arange(height)[:, None] + flow[..., 0], 0, height - 1)
    columns = jnp.clip(jnp.arange(width) + flow[..., 1], 0, width - 1)
    top, left = jnp.int32(rows), jnp.int32(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    bottom, last = jnp.minimum(top + 1, height - 1), jnp.minimum(left + 1, width - 1)
    upper = image[top, left] * (1 - right) + image[top, last] * right
    lower = image[bottom, left] * (1 - right) + image[bottom, last] * right
    return upper * (1 - down) + lower * down


def _step(first: jax.Array, second: jax.Array) -> jax.Array:
    """Return how far windows of the first frame still have to move, [h, w, 2], by one round of least squares."""
    padded = jnp.pad(first, 1, mode="edge")
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    right = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    off = second - first
    products = jnp.stack([down * down, right * right, down * right, down * off, right * off], axis=-1)
    a, b, c, p, q = jnp.moveaxis(window_mean(products), -1, 0)
    a, b = a + STIFFNESS, b + STIFFNESS
    determinant = a * b - c * c
    step = jnp.stack([(b * p - c * q) / determinant, (a * q - c * p) / determinant], axis=-1)
    return jnp.clip(step, -FARTHEST, FARTHEST)


def _halved(x: jax.Array) -> jax.Array:
    height, width = x.shape
    padded = jnp.pad(x, ((0, height % 2), (0, width % 2)), mode="edge")
    return padded.reshape(-(-height // 2), 2, -(-width // 2), 2).mean(axis=(1, 3))


def window_mean(x: jax.Array) -> jax.Array:
    """Return means over the window around each pixel, edges repeated: [h, w, C] -> the same."""
    size = 2 * WINDOW + 1
    padded = jnp.pad(x, ((WINDOW, WINDOW), (WINDOW, WINDOW), (0, 0)), mode="edge")
    rows = reduce(jnp.add, (padded[i : i + x.shape[0]] for i in range(size)))
    return reduce(jnp.add, (rows[:, i : i + x.shape[1]] for i in range(size))) / size**2
