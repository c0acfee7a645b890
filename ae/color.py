"""Luma and chroma."""

import jax
import jax.numpy as jnp

from ae.errors import InputError

BT601 = (0.299, 0.587, 0.114)
"""Weights of R, G and B in luma (Rec. ITU-R BT.601): standard definition, JPEG, and what our models learn from."""
BT709 = (0.2126, 0.7152, 0.0722)
"""Weights of high definition (Rec. ITU-R BT.709)."""
BT2020 = (0.2627, 0.6780, 0.0593)
"""Weights of ultra-high definition (Rec. ITU-R BT.2020, not constant luminance)."""


def luma(rgb: jax.Array, weights: tuple[float, float, float] = BT601) -> jax.Array:
    """Luma of RGB images: [..., 3] -> [..., 1], in the range of the input. Raises InputError for other shapes."""
    if rgb.shape[-1] != 3:
        raise InputError(f"expected RGB images [..., 3], got {rgb.shape}")
    return jnp.sum(rgb * jnp.asarray(weights, rgb.dtype), axis=-1, keepdims=True)


def rgb_to_chroma(rgb: jax.Array, weights: tuple[float, float, float] = BT601) -> jax.Array:
    """Chroma Cb, Cr [..., 2] in [-0.5, 0.5] of RGB [..., 3] in [0, 1]."""
    red, _, blue = weights
    difference = rgb - luma(rgb, weights)
    return jnp.stack([difference[..., 2] / (2 * (1 - blue)), difference[..., 0] / (2 * (1 - red))], axis=-1)


def ycbcr_to_rgb(luma: jax.Array, chroma: jax.Array, weights: tuple[float, float, float] = BT601) -> jax.Array:
    """RGB [..., 3] of luma [..., 1] in [0, 1] and chroma Cb, Cr [..., 2] in [-0.5, 0.5]; its luma is the given one.

    Where chroma is too strong for the luma, values are outside [0, 1].
    """
    red, green, blue = weights
    cb, cr = chroma[..., :1], chroma[..., 1:]
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    return jnp.concatenate([r, (luma - red * r - blue * b) / green, b], axis=-1)


def into_gamut(luma: jax.Array, chroma: jax.Array, weights: tuple[float, float, float] = BT601) -> jax.Array:
    """Chroma [..., 2], made weaker where RGB would leave [0, 1] otherwise: hue and luma [..., 1] stay."""
    difference = ycbcr_to_rgb(luma, chroma, weights) - luma
    room = jnp.where(difference > 0, 1 - luma, luma)
    strength = room / jnp.maximum(jnp.abs(difference), room + 1e-12)
    return chroma * strength.min(axis=-1, keepdims=True)


def saturated(rgb: jax.Array, factor: float | jax.Array) -> jax.Array:
    """RGB [..., 3] in [0, 1] with its chroma multiplied, as far as [0, 1] allows; luma and hue stay."""
    gray = luma(rgb)
    return ycbcr_to_rgb(gray, into_gamut(gray, factor * rgb_to_chroma(rgb)))


def colourfulness(rgb: jax.Array) -> jax.Array:
    """How colourful images are: RGB [..., H, W, 3] in [0, 1] -> [...]; gray is 0, vivid about 100.

    From Hasler and Suesstrunk, "Measuring colourfulness in natural images" (2003), with its signed differences of channels:
    tools that take their absolute value give lower figures.
    """
    r, g, b = jnp.moveaxis(255 * rgb, -1, 0)
    opponents = jnp.stack([r - g, (r + g) / 2 - b])
    deviation, mean = opponents.std(axis=(-2, -1)), opponents.mean(axis=(-2, -1))
    return jnp.hypot(*deviation) + 0.3 * jnp.hypot(*mean)
