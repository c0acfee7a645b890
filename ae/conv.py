"""Convolutions with flax's parameters and Keras' "same" padding, lowered to what is fast on the backend in use.

A convolution needs three products: its output, the gradient of its input and the gradient of its kernel. A transposed
convolution is the same three with the first two exchanged. On GPU and TPU each is one `lax.conv_general_dilated`. XLA's CPU
backend runs the first well and the gradients badly, those of kernels some fifty times slower inside a loop than outside, so
on a CPU they are sums of matrix products, one for each tap (i, j) of the kernel:

    output            y[p, q]     = sum over taps of  x[s p + i, s q + j] @ w[i, j]
    input gradient    dx[s p + i, s q + j]  +=        g[p, q] @ w[i, j].T
    kernel gradient   dw[i, j]    = sum over p, q of  x[s p + i, s q + j].T @ g[p, q]
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

NHWC = ("NHWC", "HWIO", "NHWC")
Pair = tuple[int, int]

THIN = 8  # with so few channels, a matrix product for each tap has too few rows or columns


def _padding(size: tuple[int, ...], kernel: tuple[int, ...], strides: Pair) -> list[Pair]:
    return lax.padtype_to_pads(size, kernel, strides, "SAME")


def _lax(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    return lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=NHWC)


# The three products. x [B, H, W, I], w [kh, kw, I, O], g and the output [B, H / strides, W / strides, O].


def _output(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    cpu = partial(_output_on_cpu, strides=strides)
    return lax.platform_dependent(x, w, cpu=_in_float32(cpu), default=partial(_lax, strides=strides))


def _input_gradient(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    def by_lax(g: jax.Array, w: jax.Array) -> jax.Array:
        x = jax.ShapeDtypeStruct((len(g), *size, w.shape[2]), g.dtype)
        return jax.linear_transpose(lambda x: _lax(x, w, strides), x)(g)[0]

    cpu = partial(_input_gradient_on_cpu, strides=strides, size=size)
    return lax.platform_dependent(g, w, cpu=_in_float32(cpu), default=by_lax)


def _kernel_gradient(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    def by_lax(x: jax.Array, g: jax.Array) -> jax.Array:
        w = jax.ShapeDtypeStruct((*kernel, x.shape[3], g.shape[3]), x.dtype)
        return jax.linear_transpose(lambda w: _lax(x, w, strides), w)(g)[0]

    cpu = partial(_kernel_gradient_on_cpu, strides=strides, kernel=kernel)
    return lax.platform_dependent(x, g, cpu=_in_float32(cpu), default=by_lax)


def _in_float32(product: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """bfloat16 is no faster on most CPUs, and sums of tiles would lose digits in it."""

    def wider(a: jax.Array, b: jax.Array) -> jax.Array:
        dtype = jnp.promote_types(a.dtype, jnp.float32)
        return product(a.astype(dtype), b.astype(dtype)).astype(a.dtype)

    return wider


# Their forms for CPUs.


def _output_on_cpu(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    if w.shape[:2] == strides:
        patches = _patches(x, strides)
        return (_matrix(patches) @ w.reshape(-1, w.shape[3])).reshape(*patches.shape[:3], w.shape[3])
    if w.shape[2] <= THIN or (w.shape[3] <= THIN and strides != (1, 1)):
        return _lax(x, w, strides)
    if w.shape[3] <= THIN:
        return _output_by_taps(x, w)
    return _output_by_winograd(x, w, strides)


def _input_gradient_on_cpu(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    if w.shape[:2] == strides:
        columns = lax.dot_general(_matrix(g), w.reshape(-1, w.shape[3]), (((1,), (1,)), ((), ())))
        return _from_patches(columns.reshape(*g.shape[:3], -1), strides, size)
    if min(w.shape[2:]) <= THIN:
        return _input_gradient_by_taps(g, w, strides, size)
    return _input_gradient_by_winograd(g, w, strides, size)


def _kernel_gradient_on_cpu(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    shape = (*kernel, x.shape[3], g.shape[3])
    if kernel == strides:
        return (_matrix(_patches(x, strides)).T @ _matrix(g)).reshape(shape)
    if x.shape[3] <= THIN or (g.shape[3] <= THIN and strides != (1, 1)):
        return (_matrix(jnp.concatenate(_taps(x, kernel, strides), axis=-1)).T @ _matrix(g)).reshape(shape)
    if g.shape[3] <= THIN:
        return _kernel_gradient_by_taps_of_output(x, g, kernel)
    return _kernel_gradient_by_winograd(x, g, strides, kernel)


def _matrix(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[-1])


# Kernels as large as their strides: patches do not overlap, so they are rearranged and multiplied once.


def _patches(x: jax.Array, patch: Pair) -> jax.Array:
    """[B, H, W, C] -> [B, H / h, W / w, h * w * C], zeros around."""
    (rows, columns), zero = _padding(x.shape[1:3], patch, patch), jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, ((0, 0, 0), (*rows, 0), (*columns, 0), (0, 0, 0)))
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // patch[0], patch[0], width // patch[1], patch[1], channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(*x.shape[:2], x.shape[3], -1)


def _from_patches(patches: jax.Array, patch: Pair, size: Pair) -> jax.Array:
    """The inverse of `_patches`."""
    batch, height, width, _ = patches.shape
    (top, _), (left, _) = _padding(size, patch, patch)
    x = patches.reshape(batch, height, width, *patch, -1).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch, height * patch[0], width * patch[1], -1)
    return x[:, top : top + size[0], left : left + size[1]]


# Thin sides: so few channels that a product for each tap would have too few rows or columns.


def _taps(x: jax.Array, kernel: Pair, strides: Pair) -> list[jax.Array]:
    """For each tap, the pixels that it is multiplied with: kh * kw times [B, H / strides, W / strides, I]."""
    batch, height, width, channels = x.shape
    (rows, columns) = _padding((height, width), kernel, strides)
    padded = jnp.pad(x, ((0, 0), rows, columns, (0, 0)))
    reach = [(-(-size // stride) - 1) * stride + 1 for size, stride in zip((height, width), strides, strict=True)]
    return [
        lax.slice(padded, (0, i, j, 0), (batch, i + reach[0], j + reach[1], channels), (1, *strides, 1))
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


def _kernel_gradient_by_taps_of_output(x: jax.Array, g: jax.Array, kernel: Pair) -> jax.Array:
    (top, bottom), (left, right) = _padding(x.shape[1:3], kernel, (1, 1))
    padded = jnp.pad(g, ((0, 0), (bottom, top), (right, left), (0, 0)))
    height, width = x.shape[1:3]
    taps = [
        padded[:, kernel[0] - 1 - i :][:, :height, kernel[1] - 1 - j :][:, :, :width]
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    columns = _matrix(x).T @ _matrix(jnp.concatenate(taps, axis=-1))  # [I, kh * kw * O]
    return columns.reshape(x.shape[3], *kernel, g.shape[3]).transpose(1, 2, 0, 3)


def _input_gradient_by_taps(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    columns = lax.dot_general(_matrix(g), _matrix(w), (((1,), (1,)), ((), ())))  # [B * h * w, kh * kw * I]
    columns = columns.reshape(*g.shape[:3], *w.shape[:3])
    return _add_shifted(columns, strides, size, _padding(size, w.shape[:2], strides))


def _output_by_taps(x: jax.Array, w: jax.Array) -> jax.Array:
    """For thin outputs: one product with kh * kw * O columns, where the plain one has O."""
    flipped = w[::-1, ::-1].transpose(2, 0, 1, 3)  # [I, kh, kw, O]
    columns = (_matrix(x) @ flipped.reshape(len(flipped), -1)).reshape(*x.shape[:3], *flipped.shape[1:])
    padding = [(high, low) for low, high in _padding(x.shape[1:3], w.shape[:2], (1, 1))]
    return _add_shifted(columns, (1, 1), x.shape[1:3], padding)


def _add_shifted(columns: jax.Array, strides: Pair, size: Pair, padding: list[Pair]) -> jax.Array:
    """Sums columns [B, h, w, kh, kw, C], each laid at (strides * p + tap - padding) of an image [B, *size, C]."""
    zero = jnp.zeros((), columns.dtype)

    def edges(axis: int, tap: int) -> tuple[int, int, int]:
        low, stride = tap - padding[axis][0], strides[axis]
        return low, size[axis] - low - (columns.shape[1 + axis] - 1) * stride - 1, stride - 1

    return sum(
        lax.pad(columns[:, :, :, i, j], zero, ((0, 0, 0), edges(0, i), edges(1, j), (0, 0, 0)))
        for i in range(columns.shape[3])
        for j in range(columns.shape[4])
    )


# Winograd's algorithms: two outputs of a row with three taps cost four products, not six; with two taps three, not four.


class _Axis(NamedTuple):
    """How one axis is cut into tiles: outputs = A^T ((G kernel) * (B^T inputs)), tile by tile."""

    size: int  # of the input
    low: int  # zeros before it
    stride: int
    tile: int  # outputs made together
    count: int  # of tiles
    inputs: np.ndarray  # B^T [products, inputs of a tile]
    kernel: np.ndarray  # G [products, taps]
    outputs: np.ndarray  # A^T [tile, products]


WINOGRAD = {  # (outputs, taps): B^T, G, A^T. Winograd (1980); for convolutional networks Lavin and Gray (2016)
    (2, 2): ([[1, -1, 0], [0, 1, 0], [0, -1, 1]], [[1, 0], [1, 1], [0, 1]], [[1, 1, 0], [0, 1, 1]]),
    (2, 3): (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]],
        [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, 1]],
    ),
}


def _algorithm(tile: int, taps: int) -> list[np.ndarray]:
    """B^T, G and A^T of one axis; with one output or one tap there is nothing to save."""
    if (tile, taps) in WINOGRAD:
        return [np.array(matrix, float) for matrix in WINOGRAD[tile, taps]]
    return [
        np.eye(max(tile, taps)),
        np.eye(taps) if tile == 1 else np.ones((tile, 1)),
        np.ones((1, taps)) if tile == 1 else np.eye(tile),
    ]


def _axis(size: int, kernel: int, stride: int) -> _Axis:
    """The taps 0, s, 2s, ... of a strided convolution, the taps 1, s + 1, ... and so on each have an algorithm."""
    outputs, taps = -(-size // stride), -(-kernel // stride)
    tile = 2 if outputs > 1 and (2, taps) in WINOGRAD else 1
    parts = []
    for phase in range(min(stride, kernel)):
        b, g, a = _algorithm(tile, len(range(phase, kernel, stride)))
        inputs, kernels = np.zeros((len(b), (tile - 1) * stride + kernel)), np.zeros((len(g), kernel))
        inputs[:, phase::stride][:, : b.shape[1]], kernels[:, phase::stride] = b, g
        parts.append((inputs, kernels, a))
    b, g, a = zip(*parts, strict=True)
    matrices = np.concatenate(b), np.concatenate(g), np.concatenate(a, axis=1)
    return _Axis(size, _padding((size,), (kernel,), (stride,))[0][0], stride, tile, -(-outputs // tile), *matrices)


def _axes(size: Pair, kernel: Pair, strides: Pair) -> tuple[_Axis, _Axis]:
    return tuple(_axis(*axis) for axis in zip(size, kernel, strides, strict=True))


def _combine(factors: np.ndarray, arrays: list[jax.Array]) -> jax.Array:
    """The sum of factors * arrays; XLA drops the products by one, and these are those by zero."""
    terms = [float(factor) * array for factor, array in zip(factors, arrays, strict=True) if factor]
    return sum(terms[1:], start=terms[0])


Grid = list[list[jax.Array]]


def _combine_grid(rows: np.ndarray, columns: np.ndarray, grid: Grid) -> Grid:
    """rows @ grid @ columns.T, where each element of the grid is an array."""
    grid = [[_combine(row, list(column)) for column in zip(*grid, strict=True)] for row in rows]
    return [[_combine(column, row) for column in columns] for row in grid]


def _tiles(x: jax.Array, low: Pair, reach: Pair, steps: Pair, count: Pair) -> Grid:
    """The pixels (i, j) of all tiles of an image, each [B, *count, C]; a tile has `reach` pixels and starts after `steps`."""
    length = [(n - 1) * s + r for n, s, r in zip(count, steps, reach, strict=True)]
    edges = [(lo, n - lo - size, 0) for lo, n, size in zip(low, length, x.shape[1:3], strict=True)]
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    ends = [(n - 1) * s + 1 for n, s in zip(count, steps, strict=True)]

    def pixels(i: int, j: int) -> jax.Array:
        return lax.slice(x, (0, i, j, 0), (len(x), i + ends[0], j + ends[1], x.shape[3]), (1, *steps, 1))

    return [[pixels(i, j) for j in range(reach[1])] for i in range(reach[0])]


def _untile(grid: Grid, low: Pair, steps: Pair, size: Pair) -> jax.Array:
    """The transpose of `_tiles`: what tiles share is added."""
    rows = [_overlap(row, 2, low[1], steps[1], size[1]) for row in grid]
    return _overlap(rows, 1, low[0], steps[0], size[0])


def _overlap(parts: list[jax.Array], axis: int, low: int, step: int, size: int) -> jax.Array:
    zero, after = jnp.zeros((), parts[0].dtype), (len(parts) - 1) // step

    def pad(x: jax.Array, before: int, after: int) -> jax.Array:
        return lax.pad(x, zero, [(before, after, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)])

    phases = [
        sum(pad(part, i, after - i) for i, part in enumerate(parts[phase::step]))
        for phase in range(min(step, len(parts)))
    ]
    phases += [jnp.zeros_like(phases[0])] * (step - len(phases))
    x = jnp.stack(phases, axis + 1)
    x = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
    return pad(x, -low, low + size - x.shape[axis])


def _input_tiles(x: jax.Array, axes: tuple[_Axis, _Axis]) -> Grid:
    reach, steps = [a.inputs.shape[1] for a in axes], [a.tile * a.stride for a in axes]
    tiles = _tiles(x, [a.low for a in axes], reach, steps, [a.count for a in axes])
    return _combine_grid(*(a.inputs for a in axes), tiles)


def _output_gradient_tiles(g: jax.Array, axes: tuple[_Axis, _Axis]) -> Grid:
    tile = [a.tile for a in axes]
    return _combine_grid(*(a.outputs.T for a in axes), _tiles(g, (0, 0), tile, tile, [a.count for a in axes]))


def _kernel_tiles(w: jax.Array, axes: tuple[_Axis, _Axis]) -> Grid:
    return _combine_grid(*(a.kernel for a in axes), [[w[i, j] for j in range(w.shape[1])] for i in range(w.shape[0])])


def _products(first: Grid, second: Grid, contract: Pair) -> Grid:
    """The matrix product of each pair; images are matrices [pixels, channels]."""

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        c = lax.dot_general(_matrix(a), _matrix(b), (((contract[0],), (contract[1],)), ((), ())))
        return c.reshape(*a.shape[:-1], c.shape[-1]) if contract[0] else c

    return [[product(a, b) for a, b in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)]


def _output_by_winograd(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    axes = _axes(x.shape[1:3], w.shape[:2], strides)
    products = _products(_input_tiles(x, axes), _kernel_tiles(w, axes), (1, 0))
    outputs, tile = [-(-a.size // a.stride) for a in axes], [a.tile for a in axes]
    return _untile(_combine_grid(*(a.outputs for a in axes), products), (0, 0), tile, outputs)


def _input_gradient_by_winograd(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    axes = _axes(size, w.shape[:2], strides)
    products = _products(_output_gradient_tiles(g, axes), _kernel_tiles(w, axes), (1, 1))
    tiles = _combine_grid(*(a.inputs.T for a in axes), products)
    return _untile(tiles, [a.low for a in axes], [a.tile * a.stride for a in axes], size)


def _kernel_gradient_by_winograd(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    axes = _axes(x.shape[1:3], kernel, strides)
    products = _products(_input_tiles(x, axes), _output_gradient_tiles(g, axes), (0, 0))
    return jnp.stack([jnp.stack(row) for row in _combine_grid(*(a.kernel.T for a in axes), products)])


# Convolution and transposed convolution, with gradients.


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """Convolution with "same" padding: [B, H, W, I] and kernel [kh, kw, I, O] -> [B, ceil(H / sh), ceil(W / sw), O]."""
    return _output(x, w, strides)


def _conv_forward(x: jax.Array, w: jax.Array, strides: Pair) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _output(x, w, strides), (x, w)


def _conv_backward(strides: Pair, saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, w = saved
    return _input_gradient(g, w, strides, x.shape[1:3]), _kernel_gradient(x, g, strides, w.shape[:2])


conv.defvjp(_conv_forward, _conv_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """The transpose of `conv`: [B, H, W, I] and kernel [kh, kw, O, I] -> [B, H * sh, W * sw, O]."""
    return _input_gradient(x, w, strides, (x.shape[1] * strides[0], x.shape[2] * strides[1]))


def _conv_transpose_forward(x: jax.Array, w: jax.Array, strides: Pair) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return conv_transpose(x, w, strides), (x, w)


def _conv_transpose_backward(
    strides: Pair, saved: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, w = saved
    return _output(g, w, strides), _kernel_gradient(g, x, strides, w.shape[:2])


conv_transpose.defvjp(_conv_transpose_forward, _conv_transpose_backward)


def _parameters(layer: nn.Module, x: jax.Array, shape: tuple[int, ...]) -> list[jax.Array]:
    """The input, the kernel and the bias of a layer, of one dtype."""
    kernel = layer.param("kernel", nn.initializers.glorot_uniform(), shape, jnp.float32)
    bias = layer.param("bias", nn.initializers.zeros_init(), (layer.features,), jnp.float32)
    return nn.dtypes.promote_dtype(x, kernel, bias)


class Conv(nn.Module):
    """`flax.linen.Conv` with "same" padding and Keras' initialisers.

    [B, H, W, I] -> [B, ceil(H / sh), ceil(W / sw), features].
    """

    features: int
    kernel_size: Pair
    strides: Pair = (1, 1)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        x, kernel, bias = _parameters(self, x, shape)
        return conv(x, kernel, self.strides) + bias


class ConvTranspose(nn.Module):
    """`flax.linen.ConvTranspose` with "same" padding, `transpose_kernel=True` and Keras' initialisers.

    [B, H, W, I] -> [B, H * sh, W * sw, features]; the kernel is (kh, kw, features, I), as Keras stores it.
    """

    features: int
    kernel_size: Pair
    strides: Pair = (1, 1)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, self.features, x.shape[-1])
        x, kernel, bias = _parameters(self, x, shape)
        return conv_transpose(x, kernel, self.strides) + bias
