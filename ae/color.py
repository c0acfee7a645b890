"""Luma and chroma."""

import jax
import jax.numpy as jnp

from ae.errors import InputError

BT601 = (0.299, 0.587, 0.114)
"""Weights of R, G and B in luma (Rec. ITU-R BT.601)."""


def luma(rgb: jax.Array, weights: tuple[float, float, float] = BT601) -> jax.Array:
    """Luma of RGB images: [..., 3] -> [..., 1], in the range of the input. Raises InputError for other shapes."""
    if rgb.shape[-1] != 3:
        raise InputError(f"expected RGB images [..., 3], got {rgb.shape}")
    return jnp.sum(rgb * jnp.asarray(weights, rgb.dtype), axis=-1, keepdims=True)
