"""Convolution and transposed convolution, with gradients, as functions and as layers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from ae.layers.conv.products import (
    input_gradient,
    input_gradient_by_lax,
    input_gradient_by_patches,
    kernel_gradient,
    output,
    output_by_lax,
    output_by_rows,
)
from ae.layers.conv.tiles import Pair
from ae.layers.parameters import parameter


class _Forward(NamedTuple):
    """How convolutions and transposed ones are computed, unless gradients are asked for."""

    conv: Callable[[jax.Array, jax.Array, Pair], jax.Array]
    conv_transpose: Callable[[jax.Array, jax.Array, Pair, Pair], jax.Array]


_TILED = _Forward(output, input_gradient)
_BY_XLA = _Forward(output_by_lax, input_gradient_by_lax)
_BY_ROWS = _Forward(output_by_rows, input_gradient_by_patches)
_forward: ContextVar[_Forward] = ContextVar("_forward", default=_TILED)


@contextmanager
def _computed_by(forward: _Forward) -> Iterator[None]:
    token = _forward.set(forward)
    try:
        yield
    finally:
        _forward.reset(token)


def xla_convolutions() -> AbstractContextManager[None]:
    """Make convolutions that are traced in here XLA's own on a CPU too, unless gradients are asked for.

    They compile ten times faster, and run half as fast: for images of any size, each of which is a program of its own.
    """
    return _computed_by(_BY_XLA)


def row_convolutions() -> AbstractContextManager[None]:
    """Make convolutions that are traced in here products of rows on a CPU, unless gradients are asked for.

    They compile four times faster, and run nearly as fast on small maps: for the frames of clips.
    """
    return _computed_by(_BY_ROWS)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """Convolve with "same" padding: [B, H, W, I] and kernel [kh, kw, I, O] -> [B, ceil(H / sh), ceil(W / sw), O]."""
    return _forward.get().conv(x, w, strides)


def _conv_forward(x: jax.Array, w: jax.Array, strides: Pair) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return output(x, w, strides), (x, w)


def _conv_backward(strides: Pair, saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, w = saved
    return input_gradient(g, w, strides, x.shape[1:3]), kernel_gradient(x, g, strides, w.shape[:2])


conv.defvjp(_conv_forward, _conv_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(x: jax.Array, w: jax.Array, strides: Pair) -> jax.Array:
    """Compute the transpose of `conv`: [B, H, W, I] and kernel [kh, kw, O, I] -> [B, H * sh, W * sw, O]."""
    return _forward.get().conv_transpose(x, w, strides, _stretched(x, strides))


def _stretched(x: jax.Array, strides: Pair) -> Pair:
    return x.shape[1] * strides[0], x.shape[2] * strides[1]


def _conv_transpose_forward(x: jax.Array, w: jax.Array, strides: Pair) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return input_gradient(x, w, strides, _stretched(x, strides)), (x, w)


def _conv_transpose_backward(
    strides: Pair, saved: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, w = saved
    return output(g, w, strides), kernel_gradient(g, x, strides, w.shape[:2])


conv_transpose.defvjp(_conv_transpose_forward, _conv_transpose_backward)


def _parameters(layer: Any, x: jax.Array, shape: tuple[int, ...]) -> list[Any]:
    """Return the input, the kernel and the bias of a layer, in the dtype of the kernel; 0 where it has no bias."""
    kernel = parameter(layer, "kernel", nn.initializers.glorot_uniform(), shape)
    if not layer.use_bias:
        return [*nn.dtypes.promote_dtype(x, kernel, dtype=kernel.dtype), 0]
    bias = parameter(layer, "bias", nn.initializers.zeros_init(), (layer.features,))
    return nn.dtypes.promote_dtype(x, kernel, bias, dtype=kernel.dtype)


class Conv(nn.Module):
    """`flax.linen.Conv` with "same" padding and Keras' initialisers.

    [B, H, W, I] -> [B, ceil(H / sh), ceil(W / sw), features].
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True

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
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, self.features, x.shape[-1])
        x, kernel, bias = _parameters(self, x, shape)
        return conv_transpose(x, kernel, self.strides) + bias
