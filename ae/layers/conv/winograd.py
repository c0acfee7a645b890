"""Winograd's algorithms for the three products of a convolution.

Two outputs of a row with three taps cost four products instead of six, with two taps three instead of four, and in two
dimensions the square of that. The taps 0, s, 2s, ... of a strided convolution, the taps 1, s + 1, ...
and so on have an algorithm each.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ae.layers.conv.tiles import Grid, Padding, Pair, as_matrix, overlap_add, to_tiles


class _Axis(NamedTuple):
    """One axis, computed tile by tile: outputs = A^T ((G kernel) * (B^T inputs))."""

    low: int  # zeros before the input
    stride: int
    size: int  # of the input
    size_out: int  # of the output
    tile: int  # outputs made together
    tiles: int
    inputs: np.ndarray  # B^T [products, inputs of a tile]
    kernel: np.ndarray  # G [products, taps]
    outputs: np.ndarray  # A^T [tile, products]


Axes = Sequence[_Axis]

WINOGRAD = {  # (outputs, taps): B^T, G, A^T (Winograd, 1980; Lavin and Gray, 2016)
    (2, 2): ([[1, -1, 0], [0, 1, 0], [0, -1, 1]], [[1, 0], [1, 1], [0, 1]], [[1, 1, 0], [0, 1, 1]]),
    (2, 3): (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]],
        [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, 1]],
    ),
    (4, 3): (
        [
            *([4, 0, -5, 0, 1, 0], [0, 4, 4, -1, -1, 0], [0, -4, 4, 1, -1, 0]),
            *([0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]),
        ],
        [
            *([1 / 4, 0, 0], [1 / 6, 1 / 6, 1 / 6], [1 / 6, -1 / 6, 1 / 6]),
            *([1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]),
        ],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    ),
}
LARGE = 16  # outputs a side, from which on tiles of four pay; they lose a digit to those of two


def _algorithm(tile: int, taps: int) -> list[np.ndarray]:
    if (tile, taps) in WINOGRAD:
        return [np.array(factors, float) for factors in WINOGRAD[tile, taps]]
    if tile == 1:
        return [np.eye(taps), np.eye(taps), np.ones((1, taps))]
    return [np.eye(tile), np.ones((tile, 1)), np.eye(tile)]  # one tap


def _tile(outputs: int, taps: int, stride: int) -> int:
    if (4, taps) in WINOGRAD and stride == 1 and outputs >= LARGE:
        return 4
    return 2 if (2, taps) in WINOGRAD and outputs > 1 else 1


def _axis(size: int, kernel: int, stride: int, padding: Pair) -> _Axis:
    outputs = (size + sum(padding) - kernel) // stride + 1
    tile = _tile(outputs, -(-kernel // stride), stride)
    parts = []
    for phase in range(min(stride, kernel)):
        b, g, a = _algorithm(tile, len(range(phase, kernel, stride)))
        inputs, taps = np.zeros((len(b), (tile - 1) * stride + kernel)), np.zeros((len(g), kernel))
        inputs[:, phase::stride][:, : b.shape[1]], taps[:, phase::stride] = b, g
        parts.append((inputs, taps, a))
    b, g, a = zip(*parts, strict=True)
    matrices = np.concatenate(b), np.concatenate(g), np.concatenate(a, axis=1)
    return _Axis(padding[0], stride, size, outputs, tile, -(-outputs // tile), *matrices)


def axes_of(size: Pair, kernel: Pair, strides: Pair, padding: Padding) -> Axes:
    """Return the tiles and matrices of both axes, for images of a size [H, W]."""
    return tuple(_axis(*axis) for axis in zip(size, kernel, strides, padding, strict=True))


def output(x: jax.Array, w: jax.Array, axes: Axes) -> jax.Array:
    """Compute the output [B, H', W', O] of a convolution of x [B, H, W, I] with w [kh, kw, I, O]."""
    products = _products(_transformed_inputs(x, axes), _transformed_kernel(w, axes), (1, 0))
    tile = [axis.tile for axis in axes]
    return _assembled(products, [axis.outputs for axis in axes], (0, 0), tile, [axis.size_out for axis in axes])


def input_gradient(g: jax.Array, w: jax.Array, axes: Axes) -> jax.Array:
    """Compute the gradient of x, [B, H, W, I], of the gradient g [B, H', W', O] of the output."""
    products = _products(_transformed_gradient(g, axes), _transformed_kernel(w, axes), (1, 1))
    low, steps = [axis.low for axis in axes], [axis.tile * axis.stride for axis in axes]
    return _assembled(products, [axis.inputs.T for axis in axes], low, steps, [axis.size for axis in axes])


def kernel_gradient(x: jax.Array, g: jax.Array, axes: Axes) -> jax.Array:
    """Compute the gradient of w, [kh, kw, I, O], of x [B, H, W, I] and the gradient g [B, H', W', O] of the output."""
    products = _products(_transformed_inputs(x, axes), _transformed_gradient(g, axes), (0, 0))
    taps = _combine_grid([axis.kernel.T for axis in axes], products)
    return jnp.stack([jnp.stack(row) for row in taps])


def _transformed_inputs(x: jax.Array, axes: Axes) -> Grid:
    reach, steps = [a.inputs.shape[1] for a in axes], [a.tile * a.stride for a in axes]
    tiles = to_tiles(x, [a.low for a in axes], reach, steps, [a.tiles for a in axes])
    return _combine_grid([axis.inputs for axis in axes], tiles)


def _transformed_gradient(g: jax.Array, axes: Axes) -> Grid:
    tile = [axis.tile for axis in axes]
    tiles = to_tiles(g, (0, 0), tile, tile, [axis.tiles for axis in axes])
    return _combine_grid([axis.outputs.T for axis in axes], tiles)


def _transformed_kernel(w: jax.Array, axes: Axes) -> Grid:
    taps = [[w[i, j] for j in range(w.shape[1])] for i in range(w.shape[0])]
    return _combine_grid([axis.kernel for axis in axes], taps)


def _products(first: Grid, second: Grid, contract: Pair) -> Grid:
    """Compute the matrix product of each pair; images are matrices [pixels, channels]."""

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        c = lax.dot_general(as_matrix(a), as_matrix(b), (((contract[0],), (contract[1],)), ((), ())))
        return c.reshape(*a.shape[:-1], c.shape[-1]) if contract[0] else c

    return [[product(a, b) for a, b in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)]


def _combine_grid(matrices: list[np.ndarray], grid: Grid) -> Grid:
    """Compute rows @ grid @ columns.T, where each element of the grid is an array."""
    rows, columns = matrices
    grid = [[_combine(row, column) for column in zip(*grid, strict=True)] for row in rows]
    return [[_combine(column, row) for column in columns] for row in grid]


def _combine(factors: np.ndarray, arrays: Sequence[jax.Array]) -> jax.Array:
    """Sum factors * arrays without those by zero; XLA drops the products by one. One factor is positive."""
    added = [float(factor) * array for factor, array in zip(factors, arrays, strict=True) if factor > 0]
    taken = [float(-factor) * array for factor, array in zip(factors, arrays, strict=True) if factor < 0]
    total = sum(added[1:], start=added[0])
    return total - sum(taken[1:], start=taken[0]) if taken else total


def _assembled(grid: Grid, matrices: list[np.ndarray], low: Pair, steps: Pair, size: Pair) -> jax.Array:
    """Assemble the image of the tiles rows @ grid @ columns.T, the transpose of `to_tiles`: what tiles share is added."""
    rows, columns = matrices
    parts = [[_combine(column, line) for column in columns] for line in grid]
    # Lines before rows are combined: then XLA computes each once.
    lines = [overlap_add(line, 2, low[1], steps[1], size[1]) for line in parts]
    return overlap_add([_combine(row, lines) for row in rows], 1, low[0], steps[0], size[0])
