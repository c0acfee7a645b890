"""Convolutions with flax's parameters and Keras' "same" padding, lowered to what is fast on the backend in use.

A convolution needs three products: its output, the gradient of its input and the gradient of its kernel. A transposed
convolution is the same three with the first two exchanged. On GPU and TPU each is one `lax.conv_general_dilated`. XLA's CPU
backend runs the first well and the gradients badly, those of kernels some fifty times slower inside a loop than outside, so
on a CPU they are sums of matrix products, one for each tap (i, j) of the kernel:

    output            y[p, q]     = sum over taps of  x[s p + i, s q + j] @ w[i, j]
    input gradient    dx[s p + i, s q + j]  +=        g[p, q] @ w[i, j].T
    kernel gradient   dw[i, j]    = sum over p, q of  x[s p + i, s q + j].T @ g[p, q]
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
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
    cpu = _output_by_taps if w.shape[3] <= THIN and strides == (1, 1) else _lax
    return lax.platform_dependent(x, w, cpu=partial(cpu, strides=strides), default=partial(_lax, strides=strides))


def _input_gradient(g: jax.Array, w: jax.Array, strides: Pair, size: Pair) -> jax.Array:
    def by_lax(g: jax.Array, w: jax.Array) -> jax.Array:
        x = jax.ShapeDtypeStruct((len(g), *size, w.shape[2]), g.dtype)
        return jax.linear_transpose(lambda x: _lax(x, w, strides), x)(g)[0]

    by_taps = partial(_input_gradient_by_taps, strides=strides, size=size)
    return lax.platform_dependent(g, w, cpu=by_taps, default=by_lax)


def _kernel_gradient(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    def by_lax(x: jax.Array, g: jax.Array) -> jax.Array:
        w = jax.ShapeDtypeStruct((*kernel, x.shape[3], g.shape[3]), x.dtype)
        return jax.linear_transpose(lambda w: _lax(x, w, strides), w)(g)[0]

    by_taps = partial(_kernel_gradient_by_taps, strides=strides, kernel=kernel)
    return lax.platform_dependent(x, g, cpu=by_taps, default=by_lax)


# Their forms for CPUs.


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


def _matrix(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[-1])


def _kernel_gradient_by_taps(x: jax.Array, g: jax.Array, strides: Pair, kernel: Pair) -> jax.Array:
    shape = (*kernel, x.shape[3], g.shape[3])
    if g.shape[3] <= THIN and strides == (1, 1):  # shift the thin side: one product with kh * kw * O columns
        return _kernel_gradient_by_taps_of_output(x, g, kernel)
    taps = _taps(x, kernel, strides)
    if x.shape[3] <= THIN:
        return (_matrix(jnp.concatenate(taps, axis=-1)).T @ _matrix(g)).reshape(shape)
    return jnp.stack([_matrix(tap).T @ _matrix(g) for tap in taps]).reshape(shape)


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


def _output_by_taps(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """For thin outputs: one product with kh * kw * O columns, where the plain one has O."""
    flipped = w[::-1, ::-1].transpose(2, 0, 1, 3)  # [I, kh, kw, O]
    columns = (_matrix(x) @ flipped.reshape(len(flipped), -1)).reshape(*x.shape[:3], *flipped.shape[1:])
    padding = [(high, low) for low, high in _padding(x.shape[1:3], w.shape[:2], strides)]
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
