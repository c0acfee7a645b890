"""The three products of a convolution: its output, the gradient of its input and that of its kernel."""

from collections.abc import Callable
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax
from jax.export import is_symbolic_dim

from ae.layers.conv import winograd
from ae.layers.conv.tiles import Padding, Pair, as_matrix, from_patches, pad, to_patches, to_windows

NHWC = ("NHWC", "HWIO", "NHWC")
Product = Callable[[jax.Array, jax.Array], jax.Array]

THIN = 8  # with so few channels, a matrix product for each tap has too few rows or columns


def _padding(size: Pair, kernel: Pair, strides: Pair) -> Padding:
    return lax.padtype_to_pads(size, kernel, strides, "SAME")


def output_by_lax(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """Compute `output` with XLA's own convolution, on any backend."""
    return lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=NHWC)


# The three products. x [B, H, W, I], w [kh, kw, I, O], g and the output [B, H / strides, W / strides, O]. Under jit they are
# traced once for each shape: to be summed up, initialised and trained, a model is traced three times at each start.


@partial(jax.jit, static_argnames="strides", inline=True)
def output(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """Compute the output of a convolution."""
    cpu, default = partial(_output_on_cpu, strides=strides), partial(output_by_lax, strides=strides)
    return _by_platform(x, w, cpu, default)


@partial(jax.jit, static_argnames="strides", inline=True)
def output_by_rows(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """Compute `output`, on a CPU by products that are traced and compiled in a quarter of the time."""
    cpu, default = partial(_output_by_rows_on_cpu, strides=strides), partial(output_by_lax, strides=strides)
    return _by_platform(x, w, cpu, default)


@partial(jax.jit, static_argnames=("strides", "size"), inline=True)
def input_gradient_by_patches(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    """Compute `input_gradient`, on a CPU in the same way, where kernels are as large as their strides."""
    default = partial(input_gradient_by_lax, strides=strides, size=size)
    cpu = partial(_input_gradient_on_cpu, strides=strides, size=size) if w.shape[:2] == strides else default
    return _by_platform(g, w, cpu, default)


@partial(jax.jit, static_argnames=("strides", "size"), inline=True)
def input_gradient(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    """Compute the gradient of the input, [B, *size, I], of that of the output."""
    cpu = partial(_input_gradient_on_cpu, strides=strides, size=size)
    default = partial(input_gradient_by_lax, strides=strides, size=size)
    return _by_platform(g, w, cpu, default)


@partial(jax.jit, static_argnames=("strides", "kernel"), inline=True)
def kernel_gradient(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    """Compute the gradient of the kernel, [*kernel, I, O], of the input and the gradient of the output."""
    cpu = partial(_kernel_gradient_on_cpu, strides=strides, kernel=kernel)
    default = partial(kernel_gradient_by_lax, strides=strides, kernel=kernel)
    return _by_platform(x, g, cpu, default)


def _by_platform(a: jax.Array, b: jax.Array, cpu: Product, default: Product) -> jax.Array:
    """Choose when the program is lowered; tiles need to know how many they are, so symbolic sizes get the default."""
    if any(map(is_symbolic_dim, a.shape)):
        return default(a, b)
    return lax.platform_dependent(a, b, cpu=_in_float32(cpu), default=default)


def input_gradient_by_lax(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    """Compute `input_gradient` with XLA's own convolution, on any backend.

    Spelled out, as converters to other formats do not know the convolution that JAX's transposition makes of it.
    """
    kernel = w.shape[:2]
    lows = [low for low, _ in _padding(size, kernel, strides)]
    padding = list(map(_transposed_padding, g.shape[1:3], size, kernel, strides, lows))
    flipped = jnp.flip(w, (0, 1)).swapaxes(2, 3)
    return lax.conv_general_dilated(g, flipped, (1, 1), padding, lhs_dilation=strides, dimension_numbers=NHWC)


def _transposed_padding(outputs: int, inputs: int, taps: int, stride: int, low: int) -> tuple[int, int]:
    """Return by how much outputs, with zeros between them, are padded for as many inputs as there were before."""
    before, spread = taps - 1 - low, (outputs - 1) * stride + 1
    return before, inputs + taps - 1 - spread - before


def kernel_gradient_by_lax(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    """Compute `kernel_gradient` with XLA's own convolution, on any backend."""
    w = jax.ShapeDtypeStruct((*kernel, x.shape[3], g.shape[3]), x.dtype)
    return jax.linear_transpose(lambda w: output_by_lax(x, w, strides), w)(g)[0]


def _in_float32(product: Product) -> Product:
    """Compute in float32: bfloat16 is no faster on most CPUs, and sums of tiles would lose digits in it."""

    def wider(a: jax.Array, b: jax.Array) -> jax.Array:
        dtype = jnp.promote_types(a.dtype, jnp.float32)
        return product(a.astype(dtype), b.astype(dtype)).astype(a.dtype)

    return wider


# Their forms for CPUs; `ae.layers.conv` says why each is as it is.


def _output_on_cpu(x: jax.Array, w: jax.Array, strides: Pair, padding: Padding | None = None) -> jax.Array:
    padding = padding or _padding(x.shape[1:3], w.shape[:2], strides)
    if w.shape[:2] == strides:
        patches = to_patches(x, strides, padding)
        return (as_matrix(patches) @ as_matrix(w)).reshape(*patches.shape[:3], w.shape[3])
    if w.shape[2] <= THIN:
        windows = to_windows(x, w.shape[:2], strides, padding)
        return (as_matrix(windows) @ as_matrix(w)).reshape(*windows.shape[:3], w.shape[3])
    if w.shape[3] <= THIN and strides != (1, 1):
        return lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=NHWC)
    if w.shape[3] <= THIN:
        return _output_by_shifts(x, w, padding)
    return winograd.output(x, w, winograd.axes_of(x.shape[1:3], w.shape[:2], strides, padding))


def _output_by_rows_on_cpu(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    if w.shape[:2] == strides:
        return _output_on_cpu(x, w, strides)
    if strides != (1, 1) or min(w.shape[2:]) <= THIN:
        return output_by_lax(x, w, strides)
    windows = to_windows(x, (1, w.shape[1]), strides, _padding(x.shape[1:3], w.shape[:2], strides))
    height, width = x.shape[1:3]
    rows = (as_matrix(windows[:, i : i + height]) @ as_matrix(taps) for i, taps in enumerate(w))
    return reduce(jnp.add, rows).reshape(-1, height, width, w.shape[3])


def _input_gradient_on_cpu(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    padding = _padding(size, w.shape[:2], strides)
    if w.shape[:2] == strides:
        patches = lax.dot_general(as_matrix(g), as_matrix(w), (((1,), (1,)), ((), ())))
        return from_patches(patches.reshape(*g.shape[:3], -1), strides, size, padding)
    if strides == (1, 1):  # another convolution, with the kernel turned by half a turn
        return _output_on_cpu(g, w[::-1, ::-1].swapaxes(2, 3), strides, _mirrored(w.shape[:2], padding))
    return winograd.input_gradient(g, w, winograd.axes_of(size, w.shape[:2], strides, padding))


def _kernel_gradient_on_cpu(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    padding, shape = _padding(x.shape[1:3], kernel, strides), (*kernel, x.shape[3], g.shape[3])
    if kernel == strides:
        return (as_matrix(to_patches(x, strides, padding)).T @ as_matrix(g)).reshape(shape)
    if x.shape[3] <= THIN or (g.shape[3] <= THIN and strides != (1, 1)):
        return (as_matrix(to_windows(x, kernel, strides, padding)).T @ as_matrix(g)).reshape(shape)
    if g.shape[3] <= THIN:  # the windows of g are thinner than those of x
        windows = to_windows(g, kernel, (1, 1), _mirrored(kernel, padding))
        turned = (as_matrix(x).T @ as_matrix(windows)).reshape(x.shape[3], *kernel, g.shape[3])
        return turned.transpose(1, 2, 0, 3)[::-1, ::-1]
    return winograd.kernel_gradient(x, g, winograd.axes_of(x.shape[1:3], kernel, strides, padding))


def _mirrored(kernel: Pair, padding: Padding) -> Padding:
    """Return the padding of the convolution that gives the gradient of one of stride one."""
    return [(k - 1 - low, k - 1 - high) for k, (low, high) in zip(kernel, padding, strict=True)]


def _output_by_shifts(x: jax.Array, w: jax.Array, padding: Padding) -> jax.Array:
    """Compute one product with kh * kw * O columns, where the plain one has O; then each tap's share goes to its place."""
    columns = as_matrix(x) @ w.transpose(2, 0, 1, 3).reshape(x.shape[3], -1)
    columns = columns.reshape(*x.shape[:3], *w.shape[:2], w.shape[3])

    def shifted(i: int, j: int) -> jax.Array:
        shifts = [(low - t, high - k + 1 + t) for (low, high), k, t in zip(padding, w.shape, (i, j), strict=False)]
        return pad(columns[:, :, :, i, j], shifts)

    return reduce(jnp.add, (shifted(i, j) for i in range(w.shape[0]) for j in range(w.shape[1])))
