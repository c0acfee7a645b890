"""Motion between two frames of a film, from their luma.

Windows are moved to where their luma fits best, by least squares in its slopes, from coarse to fine (Lucas and Kanade, "An
iterative image registration technique", 1981; in pyramids: Bouguet, 2001); where a window has no slopes, it moves as those
around it do.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp

LEVELS = 4  # each half as high and wide as the one before
ROUNDS = 3  # of least squares at each
WINDOW = 2  # pixels to each side
STIFFNESS = 1e-3  # sum of squared slopes below which a window hardly moves by itself
FARTHEST = 1.0  # pixels that a round moves a window at most


def motion(before: jax.Array, after: jax.Array) -> jax.Array:
    """Return by how many rows and columns each pixel of a frame came from the frame before it: luma [h, w] -> [h, w, 2].

    `moved(before, motion(before, after))` is like `after`, where nothing was hidden.
    """
    pyramid = [(jnp.asarray(before), jnp.asarray(after))]
    while len(pyramid) < LEVELS and min(pyramid[-1][0].shape) >= 16:
        first, second = pyramid[-1]
        pyramid.append((halved(first), halved(second)))
    flow = jnp.zeros((2, *pyramid[-1][0].shape))
    for first, second in reversed(pyramid):
        if flow.shape[1:] != first.shape:
            flow = 2 * jax.image.resize(flow, (2, *first.shape), "linear")
        flow = jax.lax.fori_loop(0, ROUNDS, partial(_improved, first=first, second=second), flow)
    return jnp.moveaxis(flow, 0, -1)


def _improved(_: int, flow: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """Return a better flow [2, h, w]; without a loop around it, XLA computes much of one round again for the next."""
    return window_mean(flow + _step(_moved(first[None], flow)[0], second))


def moved(image: jax.Array, flow: jax.Array) -> jax.Array:
    """Return an image [h, w, C] whose pixels come from where a flow [h, w, 2] says, along straight lines between pixels."""
    planes, flow = (jnp.moveaxis(x, -1, 0) for x in (image, flow))
    return jnp.moveaxis(_moved(planes, flow), 0, -1)


# Planes are many times faster on a CPU than pixels of few channels.


def _moved(planes: jax.Array, flow: jax.Array) -> jax.Array:
    """Return planes [C, h, w], moved by a flow [2, h, w]."""
    _, height, width = planes.shape
    rows = jnp.clip(jnp.arange(height)[:, None] + flow[0], 0, height - 1)
    columns = jnp.clip(jnp.arange(width) + flow[1], 0, width - 1)
    top, left = jnp.int32(rows), jnp.int32(columns)
    down, right = rows - top, columns - left
    bottom, last = jnp.minimum(top + 1, height - 1), jnp.minimum(left + 1, width - 1)
    upper = planes[:, top, left] * (1 - right) + planes[:, top, last] * right
    lower = planes[:, bottom, left] * (1 - right) + planes[:, bottom, last] * right
    return upper * (1 - down) + lower * down


def _step(first: jax.Array, second: jax.Array) -> jax.Array:
    """Return how far windows of the first frame still have to move, [2, h, w], by one round of least squares."""
    padded = jnp.pad(first, 1, mode="edge")
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    right = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    off = second - first
    a, b, c, p, q = window_mean(jnp.stack([down * down, right * right, down * right, down * off, right * off]))
    a, b = a + STIFFNESS, b + STIFFNESS
    determinant = a * b - c * c
    step = jnp.stack([(b * p - c * q) / determinant, (a * q - c * p) / determinant])
    return jnp.clip(step, -FARTHEST, FARTHEST)


def halved(x: jax.Array) -> jax.Array:
    """Return means of 2x2 pixels, the last repeated where they are odd in number: [h, w] -> [ceil(h / 2), ceil(w / 2)]."""
    height, width = x.shape
    padded = jnp.pad(x, ((0, height % 2), (0, width % 2)), mode="edge")
    rows = padded[::2] + padded[1::2]  # four times as fast as a mean over axes
    return (rows[:, ::2] + rows[:, 1::2]) / 4


def window_mean(planes: jax.Array) -> jax.Array:
    """Return means over the window around each pixel, edges repeated: [C, h, w] -> the same."""
    size = 2 * WINDOW + 1
    padded = jnp.pad(planes, ((0, 0), (WINDOW, WINDOW), (WINDOW, WINDOW)), mode="edge")
    rows = reduce(jnp.add, (padded[:, i : i + planes.shape[1]] for i in range(size)))
    return reduce(jnp.add, (rows[:, :, i : i + planes.shape[2]] for i in range(size))) / size**2
