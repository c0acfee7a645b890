"""Convolutions with flax's parameters and Keras' "same" padding, lowered to what is fast on the backend in use.

A convolution needs three products: its output, the gradient of its input and the gradient of its kernel. A transposed
convolution is the same three with the first two exchanged. On GPU and TPU each is one `lax.conv_general_dilated`. XLA's CPU
backend runs the first well and the gradients badly, those of kernels some fifty times slower inside a loop than outside. So
on a CPU all three are matrix products:

Patches. Where the kernel is as large as its stride, the image is rearranged into patches and multiplied once.

Winograd. Elsewhere the image is cut into tiles of 2x2 outputs (4x4 on large maps) whose pixels are added and subtracted so
that fewer products are needed: 2.25 times fewer for a 3x3 kernel, 1.78 for 2x2, 1.44 for 3x3 with stride 2 (taps of a stride
are convolutions of their own), 4 with the larger tiles. What is left is a matrix product for each pixel of a transformed
tile, [tiles, I] @ [I, O], which XLA runs near the machine's limit. The kernel's gradient uses the same transformed images,
and XLA computes them once for both.

Thin sides. A matrix product with three columns is slow. Where the output has so few channels, it is one product for all
taps at once, whose columns are then shifted and added. Where the input has, the output and the kernel's gradient are
products with its windows ("im2col"), which XLA computes once for both.

What each part gives, in images a second of training steps and as a share of the whole (`scripts/benchmark.py ablation`):

<!-- table: results/benchmark_ablation.json -->
| images/s | conv_ae | colorizer_ae | unet |
| --- | --- | --- | --- |
| all | 62.6 | 420.6 | 275.3 |
| tiles of 2 on large maps too | 59.3 (0.96) | 422.7 (1.00) | 228.5 (0.83) |
| tiles of 4 on small maps too | 60.6 (0.96) | 455.8 (1.02) | 301.7 (1.06) |
| a product for each tap instead of Winograd's | 41.6 (0.68) | 374.3 (0.83) | 122.8 (0.41) |
| thin sides like others | 56.6 (0.90) | 423.1 (0.97) | 296.9 (1.07) |
| others like thin sides | 37.9 (0.62) | 326.3 (0.78) | 126.1 (0.44) |
| a call for each step | 61.6 (0.99) | 380.4 (0.92) | 281.4 (0.99) |
| XLA's own, a call for each step | 30.8 (0.49) | 268.7 (0.60) | 128.7 (0.45) |
<!-- end -->

Tried without gain: Winograd in chunks of 2 to 16 images that fit the cache (the kernel is transformed anew each time);
tiles of 4 on maps of 14 and for strides; one batched product for all pixels of a tile (gathering them costs more than is
saved); im2col everywhere; stages within the transforms kept apart by force (XLA's fusion is as good); tiles of 4 for 2x2
kernels; the input's gradient as the transpose of Winograd's output where the stride is one (overlapping tiles are slow to
add). The rounding error is about 1e-6 of the largest output, 1e-5 with tiles of 4.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, reduce
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.export import is_symbolic_dim

NHWC = ("NHWC", "HWIO", "NHWC")
Pair = Sequence[int]  # of rows and columns
Padding = Sequence[tuple[int, int]]
Product = Callable[[jax.Array, jax.Array], jax.Array]

THIN = 8  # with so few channels, a matrix product for each tap has too few rows or columns


def _padding(size: Pair, kernel: Pair, strides: Pair) -> Padding:
    return lax.padtype_to_pads(size, kernel, strides, "SAME")


def _lax(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    return lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=NHWC)


# The three products. x [B, H, W, I], w [kh, kw, I, O], g and the output [B, H / strides, W / strides, O]. Under jit they are
# traced once for each shape: to be summed up, initialised and trained, a model is traced three times at each start.


@partial(jax.jit, static_argnames="strides", inline=True)
def _output(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    cpu, default = partial(_output_on_cpu, strides=strides), partial(_lax, strides=strides)
    return _by_platform(x, w, cpu, default)


@partial(jax.jit, static_argnames=("strides", "size"), inline=True)
def _input_gradient(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    cpu = partial(_input_gradient_on_cpu, strides=strides, size=size)
    default = partial(_input_gradient_by_lax, strides=strides, size=size)
    return _by_platform(g, w, cpu, default)


@partial(jax.jit, static_argnames=("strides", "kernel"), inline=True)
def _kernel_gradient(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    cpu = partial(_kernel_gradient_on_cpu, strides=strides, kernel=kernel)
    default = partial(_kernel_gradient_by_lax, strides=strides, kernel=kernel)
    return _by_platform(x, g, cpu, default)


def _by_platform(a: jax.Array, b: jax.Array, cpu: Product, default: Product) -> jax.Array:
    """Chosen when the program is lowered; tiles need to know how many they are, so symbolic sizes get the default."""
    if any(map(is_symbolic_dim, a.shape)):
        return default(a, b)
    return lax.platform_dependent(a, b, cpu=_in_float32(cpu), default=default)


def _input_gradient_by_lax(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    x = jax.ShapeDtypeStruct((g.shape[0], *size, w.shape[2]), g.dtype)
    return jax.linear_transpose(lambda x: _lax(x, w, strides), x)(g)[0]


def _kernel_gradient_by_lax(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    w = jax.ShapeDtypeStruct((*kernel, x.shape[3], g.shape[3]), x.dtype)
    return jax.linear_transpose(lambda w: _lax(x, w, strides), w)(g)[0]


def _in_float32(product: Product) -> Product:
    """bfloat16 is no faster on most CPUs, and sums of tiles would lose digits in it."""

    def wider(a: jax.Array, b: jax.Array) -> jax.Array:
        dtype = jnp.promote_types(a.dtype, jnp.float32)
        return product(a.astype(dtype), b.astype(dtype)).astype(a.dtype)

    return wider


# Their forms for CPUs.


def _output_on_cpu(x: jax.Array, w: jax.Array, strides: Pair, padding: Padding | None = None) -> jax.Array:
    padding = padding or _padding(x.shape[1:3], w.shape[:2], strides)
    if w.shape[:2] == strides:
        patches = _patches(x, strides, padding)
        return (_matrix(patches) @ _matrix(w)).reshape(*patches.shape[:3], w.shape[3])
    if w.shape[2] <= THIN:
        windows = _windows(x, w.shape[:2], strides, padding)
        return (_matrix(windows) @ _matrix(w)).reshape(*windows.shape[:3], w.shape[3])
    if w.shape[3] <= THIN and strides != (1, 1):
        return lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=NHWC)
    if w.shape[3] <= THIN:
        return _output_by_shifts(x, w, padding)
    return _output_by_winograd(x, w, _axes(x.shape[1:3], w.shape[:2], strides, padding))


def _input_gradient_on_cpu(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    padding = _padding(size, w.shape[:2], strides)
    if w.shape[:2] == strides:
        patches = lax.dot_general(_matrix(g), _matrix(w), (((1,), (1,)), ((), ())))
        return _from_patches(patches.reshape(*g.shape[:3], -1), strides, size, padding)
    if strides == (1, 1):  # another convolution, with the kernel turned by half a turn
        return _output_on_cpu(g, w[::-1, ::-1].swapaxes(2, 3), strides, _mirrored(w.shape[:2], padding))
    return _input_gradient_by_winograd(g, w, _axes(size, w.shape[:2], strides, padding))


def _kernel_gradient_on_cpu(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    padding, shape = _padding(x.shape[1:3], kernel, strides), (*kernel, x.shape[3], g.shape[3])
    if kernel == strides:
        return (_matrix(_patches(x, strides, padding)).T @ _matrix(g)).reshape(shape)
    if x.shape[3] <= THIN or (g.shape[3] <= THIN and strides != (1, 1)):
        return (_matrix(_windows(x, kernel, strides, padding)).T @ _matrix(g)).reshape(shape)
    if g.shape[3] <= THIN:  # the windows of g are thinner than those of x
        windows = _windows(g, kernel, (1, 1), _mirrored(kernel, padding))
        turned = (_matrix(x).T @ _matrix(windows)).reshape(x.shape[3], *kernel, g.shape[3])
        return turned.transpose(1, 2, 0, 3)[::-1, ::-1]
    return _kernel_gradient_by_winograd(x, g, _axes(x.shape[1:3], kernel, strides, padding))


def _mirrored(kernel: Pair, padding: Padding) -> Padding:
    """The padding with which a convolution of stride one is turned back."""
    return [(k - 1 - low, k - 1 - high) for k, (low, high) in zip(kernel, padding, strict=True)]


def _matrix(x: jax.Array) -> jax.Array:
    """All pixels, or all taps, as rows."""
    return x.reshape(-1, x.shape[-1])


# Kernels as large as their strides: patches do not overlap, so they are rearranged and multiplied once.


def _pad(x: jax.Array, padding: Padding) -> jax.Array:
    """Zeros around images [B, H, W, C]; a negative number takes away."""
    edges = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def _patches(x: jax.Array, patch: Pair, padding: Padding) -> jax.Array:
    """[B, H, W, C] -> [B, H / h, W / w, h * w * C]."""
    x = _pad(x, padding)
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // patch[0], patch[0], width // patch[1], patch[1], channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(*x.shape[:2], x.shape[3], -1)


def _from_patches(patches: jax.Array, patch: Pair, size: Pair, padding: Padding) -> jax.Array:
    """The inverse of `_patches`."""
    batch, height, width, _ = patches.shape
    x = patches.reshape(batch, height, width, *patch, -1).transpose(0, 1, 3, 2, 4, 5)
    return _pad(x.reshape(batch, height * patch[0], width * patch[1], -1), [(-low, -high) for low, high in padding])


# Thin sides: so few channels that one matrix product for each tap would have too few rows or columns.


def _windows(x: jax.Array, kernel: Pair, strides: Pair, padding: Padding) -> jax.Array:
    """The pixels under the kernel at each place ("im2col"): [B, H, W, C] -> [B, H / sh, W / sw, kh * kw * C]."""
    x = _pad(x, padding)
    count = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:3], kernel, strides, strict=True)]
    taps = [_every(x, (i, j), strides, count) for i in range(kernel[0]) for j in range(kernel[1])]
    return jnp.concatenate(taps, axis=-1)


def _every(x: jax.Array, first: Pair, steps: Pair, count: Pair) -> jax.Array:
    """Pixels of images at regular places, from the first: [B, *count, C]."""
    ends = [f + (n - 1) * s + 1 for f, n, s in zip(first, count, steps, strict=True)]
    return lax.slice(x, (0, *first, 0), (len(x), *ends, x.shape[3]), (1, *steps, 1))


def _output_by_shifts(x: jax.Array, w: jax.Array, padding: Padding) -> jax.Array:
    """One product with kh * kw * O columns, where the plain one has O; then each tap's share goes to its place."""
    columns = _matrix(x) @ w.transpose(2, 0, 1, 3).reshape(x.shape[3], -1)
    columns = columns.reshape(*x.shape[:3], *w.shape[:2], w.shape[3])

    def shifted(i: int, j: int) -> jax.Array:
        shifts = [(low - t, high - k + 1 + t) for (low, high), k, t in zip(padding, w.shape, (i, j), strict=False)]
        return _pad(columns[:, :, :, i, j], shifts)

    return reduce(jnp.add, (shifted(i, j) for i in range(w.shape[0]) for j in range(w.shape[1])))


# Winograd's algorithms: two outputs of a row with three taps cost four products instead of six, with two taps three instead
# of four, and in two dimensions the square of that. The taps 0, s, 2s, ... of a strided convolution, the taps 1, s + 1, ...
# and so on have an algorithm each.


class _Axis(NamedTuple):
    """How one axis is computed, tile by tile: outputs = A^T ((G kernel) * (B^T inputs))."""

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
Grid = list[list[jax.Array]]

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
        return [np.array(matrix, float) for matrix in WINOGRAD[tile, taps]]
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


def _axes(size: Pair, kernel: Pair, strides: Pair, padding: Padding) -> Axes:
    return tuple(_axis(*axis) for axis in zip(size, kernel, strides, padding, strict=True))


def _output_by_winograd(x: jax.Array, w: jax.Array, axes: Axes) -> jax.Array:
    products = _products(_transformed_inputs(x, axes), _transformed_kernel(w, axes), (1, 0))
    tile = [axis.tile for axis in axes]
    return _assembled(products, [axis.outputs for axis in axes], (0, 0), tile, [axis.size_out for axis in axes])


def _input_gradient_by_winograd(g: jax.Array, w: jax.Array, axes: Axes) -> jax.Array:
    products = _products(_transformed_gradient(g, axes), _transformed_kernel(w, axes), (1, 1))
    low, steps = [axis.low for axis in axes], [axis.tile * axis.stride for axis in axes]
    return _assembled(products, [axis.inputs.T for axis in axes], low, steps, [axis.size for axis in axes])


def _kernel_gradient_by_winograd(x: jax.Array, g: jax.Array, axes: Axes) -> jax.Array:
    products = _products(_transformed_inputs(x, axes), _transformed_gradient(g, axes), (0, 0))
    taps = _combine_grid([axis.kernel.T for axis in axes], products)
    return jnp.stack([jnp.stack(row) for row in taps])


def _transformed_inputs(x: jax.Array, axes: Axes) -> Grid:
    reach, steps = [a.inputs.shape[1] for a in axes], [a.tile * a.stride for a in axes]
    tiles = _tiles(x, [a.low for a in axes], reach, steps, [a.tiles for a in axes])
    return _combine_grid([axis.inputs for axis in axes], tiles)


def _transformed_gradient(g: jax.Array, axes: Axes) -> Grid:
    tile = [axis.tile for axis in axes]
    tiles = _tiles(g, (0, 0), tile, tile, [axis.tiles for axis in axes])
    return _combine_grid([axis.outputs.T for axis in axes], tiles)


def _transformed_kernel(w: jax.Array, axes: Axes) -> Grid:
    taps = [[w[i, j] for j in range(w.shape[1])] for i in range(w.shape[0])]
    return _combine_grid([axis.kernel for axis in axes], taps)


def _products(first: Grid, second: Grid, contract: Pair) -> Grid:
    """The matrix product of each pair; images are matrices [pixels, channels]."""

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        c = lax.dot_general(_matrix(a), _matrix(b), (((contract[0],), (contract[1],)), ((), ())))
        return c.reshape(*a.shape[:-1], c.shape[-1]) if contract[0] else c

    return [[product(a, b) for a, b in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)]


def _combine_grid(matrices: list[np.ndarray], grid: Grid) -> Grid:
    """rows @ grid @ columns.T, where each element of the grid is an array."""
    rows, columns = matrices
    grid = [[_combine(row, column) for column in zip(*grid, strict=True)] for row in rows]
    return [[_combine(column, row) for column in columns] for row in grid]


def _combine(factors: np.ndarray, arrays: Sequence[jax.Array]) -> jax.Array:
    """The sum of factors * arrays without those by zero; XLA drops the products by one. One factor is positive."""
    added = [float(factor) * array for factor, array in zip(factors, arrays, strict=True) if factor > 0]
    taken = [float(-factor) * array for factor, array in zip(factors, arrays, strict=True) if factor < 0]
    total = sum(added[1:], start=added[0])
    return total - sum(taken[1:], start=taken[0]) if taken else total


def _tiles(x: jax.Array, low: Pair, reach: Pair, steps: Pair, count: Pair) -> Grid:
    """The pixels (i, j) of all tiles of an image, each [B, *count, C]. A tile reaches over `reach` pixels."""
    length = [(n - 1) * s + r for n, s, r in zip(count, steps, reach, strict=True)]
    x = _pad(x, [(lo, n - lo - size) for lo, n, size in zip(low, length, x.shape[1:3], strict=True)])
    return [[_every(x, (i, j), steps, count) for j in range(reach[1])] for i in range(reach[0])]


def _assembled(grid: Grid, matrices: list[np.ndarray], low: Pair, steps: Pair, size: Pair) -> jax.Array:
    """The image of the tiles rows @ grid @ columns.T, the transpose of `_tiles`: what tiles share is added."""
    rows, columns = matrices
    parts = [[_combine(column, line) for column in columns] for line in grid]
    lines = [_overlap(line, 2, low[1], steps[1], size[1]) for line in parts]  # before rows: then XLA computes each once
    return _overlap([_combine(row, lines) for row in rows], 1, low[0], steps[0], size[0])


def _overlap(parts: list[jax.Array], axis: int, low: int, step: int, size: int) -> jax.Array:
    def pad(x: jax.Array, before: int, after: int) -> jax.Array:
        return _pad(x, [(before, after) if i == axis else (0, 0) for i in (1, 2)])

    last = (len(parts) - 1) // step  # tiles that a tile reaches into
    phases = [
        sum(pad(part, i, last - i) for i, part in enumerate(parts[phase::step]))
        for phase in range(min(step, len(parts)))
    ]
    phases += [jnp.zeros_like(phases[0])] * (step - len(phases))
    x = jnp.stack(phases, axis + 1)
    x = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
    return pad(x, -low, low + size - x.shape[axis])


# Convolution and transposed convolution, with gradients.


_quickly: ContextVar[bool] = ContextVar("_quickly", default=False)


@contextmanager
def compiled_quickly() -> Iterator[None]:
    """Convolutions that are traced in here are XLA's own on a CPU too, unless gradients are asked for.

    They compile some twenty times faster, and are nearly as fast as long as they are in no loop of XLA's: for images and
    clips of any size, each of which is a program of its own.
    """
    token = _quickly.set(True)
    try:
        yield
    finally:
        _quickly.reset(token)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """Convolution with "same" padding: [B, H, W, I] and kernel [kh, kw, I, O] -> [B, ceil(H / sh), ceil(W / sw), O]."""
    return _lax(x, w, strides) if _quickly.get() else _output(x, w, strides)


def _conv_forward(x: jax.Array, w: jax.Array, strides: Pair) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _output(x, w, strides), (x, w)


def _conv_backward(strides: Pair, saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, w = saved
    return _input_gradient(g, w, strides, x.shape[1:3]), _kernel_gradient(x, g, strides, w.shape[:2])


conv.defvjp(_conv_forward, _conv_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """The transpose of `conv`: [B, H, W, I] and kernel [kh, kw, O, I] -> [B, H * sh, W * sw, O]."""
    product = _input_gradient_by_lax if _quickly.get() else _input_gradient
    return product(x, w, strides, _stretched(x, strides))


def _stretched(x: jax.Array, strides: Pair) -> Pair:
    return x.shape[1] * strides[0], x.shape[2] * strides[1]


def _conv_transpose_forward(x: jax.Array, w: jax.Array, strides: Pair) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _input_gradient(x, w, strides, _stretched(x, strides)), (x, w)


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
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)

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
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, self.features, x.shape[-1])
        x, kernel, bias = _parameters(self, x, shape)
        return conv_transpose(x, kernel, self.strides) + bias
