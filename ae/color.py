"""Luma and chroma, as numbers and as the codes of a clip."""

from functools import reduce
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ae.errors import InputError

Array = TypeVar("Array", jax.Array, np.ndarray)
"""JAX's or NumPy's; what is computed of it is of the same."""

BT601 = (0.299, 0.587, 0.114)
"""Weights of R, G and B in luma (Rec. ITU-R BT.601): standard definition, JPEG, and what our models learn from."""
BT709 = (0.2126, 0.7152, 0.0722)
"""Weights of high definition (Rec. ITU-R BT.709)."""
BT2020 = (0.2627, 0.6780, 0.0593)
"""Weights of ultra-high definition (Rec. ITU-R BT.2020, not constant luminance)."""


def luma(rgb: Array, weights: tuple[float, float, float] = BT601, *, axis: int = -1) -> Array:
    """Compute the luma of RGB images: [..., 3] -> [..., 1], in the range of the input. Raises InputError for other shapes.

    `axis`, here and below: of the channels.
    """
    if rgb.shape[axis] != 3:
        raise InputError(f"expected RGB images [..., 3], got {rgb.shape}")
    channels = _namespace(rgb).split(rgb, 3, axis)
    red, green, blue = (weight * channel for weight, channel in zip(weights, channels, strict=True))
    return red + green + blue


def rgb_to_chroma(rgb: Array, weights: tuple[float, float, float] = BT601, *, axis: int = -1) -> Array:
    """Compute chroma Cb, Cr [..., 2] in [-0.5, 0.5] of RGB [..., 3] in [0, 1]."""
    of = _namespace(rgb)
    gray, (red, _, blue) = luma(rgb, weights, axis=axis), of.split(rgb, 3, axis)
    return of.concatenate([(blue - gray) / (2 * (1 - weights[2])), (red - gray) / (2 * (1 - weights[0]))], axis)


def _namespace(x: jax.Array | np.ndarray) -> Any:
    """Return NumPy for its arrays: JAX takes a tenth of a second for each new shape, which one picture is not worth."""
    return np if isinstance(x, np.ndarray) else jnp


def ycbcr_to_rgb(
    luma: jax.Array, chroma: jax.Array, weights: tuple[float, float, float] = BT601, *, axis: int = -1
) -> jax.Array:
    """Compute RGB [..., 3] of luma [..., 1] in [0, 1] and chroma Cb, Cr [..., 2] in [-0.5, 0.5]; its luma is the given one.

    Where chroma is too strong for the luma, values are outside [0, 1]. Raises InputError for other shapes.
    """
    _check_planes(luma, chroma, axis)
    return jnp.concatenate([luma + difference for difference in _differences(chroma, weights, axis)], axis)


def _check_planes(luma: jax.Array, chroma: jax.Array, axis: int) -> None:
    """Raise InputError for other numbers of channels, of which RGB would silently have more than three."""
    if (luma.shape[axis], chroma.shape[axis]) != (1, 2):
        raise InputError(f"expected luma [..., 1] and chroma [..., 2], got {luma.shape} and {chroma.shape}")


def _differences(chroma: jax.Array, weights: tuple[float, float, float], axis: int) -> list[jax.Array]:
    """Compute what chroma adds to luma in R, G and B."""
    red, green, blue = weights
    cb, cr = jnp.split(chroma, 2, axis)
    r, b = 2 * (1 - red) * cr, 2 * (1 - blue) * cb
    return [r, -(red * r + blue * b) / green, b]


def into_gamut(
    luma: jax.Array, chroma: jax.Array, weights: tuple[float, float, float] = BT601, *, axis: int = -1
) -> jax.Array:
    """Weaken chroma [..., 2] where RGB would leave [0, 1] otherwise: hue and luma [..., 1] stay.

    White has none, even where luma was rounded to a little less: what little room that leaves would be a hue.
    Raises InputError for other shapes.
    """
    _check_planes(luma, chroma, axis)
    differences = _differences(chroma, weights, axis)
    strongest, weakest = reduce(jnp.maximum, differences), reduce(jnp.minimum, differences)
    room_above = jnp.maximum(1 - luma - 1e-6, 0.0) / jnp.maximum(strongest, 1e-12)
    room_below = luma / jnp.maximum(-weakest, 1e-12)
    strength = jnp.minimum(1.0, jnp.minimum(room_above, room_below))
    # Channel by channel: this fuses, as one product does not.
    return jnp.concatenate([strength * part for part in jnp.split(chroma, 2, axis)], axis)


def saturated(rgb: jax.Array, factor: float | jax.Array) -> jax.Array:
    """Multiply the chroma of RGB [..., 3] in [0, 1], as far as [0, 1] allows; luma and hue stay."""
    gray = luma(rgb)
    return ycbcr_to_rgb(gray, into_gamut(gray, factor * rgb_to_chroma(rgb)))


def with_luma(rgb: jax.Array, luma: jax.Array) -> jax.Array:
    """Give RGB [..., 3] in [0, 1] another luma [..., 1]; chroma stays as far as that allows."""
    return ycbcr_to_rgb(luma, into_gamut(luma, rgb_to_chroma(rgb)))


def colourfulness(rgb: jax.Array) -> jax.Array:
    """Compute how colourful images are: RGB [..., H, W, 3] in [0, 1] -> [...]; gray is 0, vivid about 100.

    From Hasler and Suesstrunk, "Measuring colourfulness in natural images" (2003), with its signed differences of channels:
    tools that take their absolute value give lower figures.
    """
    r, g, b = jnp.moveaxis(255 * rgb, -1, 0)
    opponents = jnp.stack([r - g, (r + g) / 2 - b])
    deviation, mean = opponents.std(axis=(-2, -1)), opponents.mean(axis=(-2, -1))
    return jnp.hypot(*deviation) + 0.3 * jnp.hypot(*mean)


class Coding(NamedTuple):
    """Coding of luma and chroma as integers in the planes of a clip, and how frames are turned for display."""

    bits: int = 8
    full_range: bool = False  # luma from 0 to the largest number; otherwise from 16 to 235, for 8 bits
    weights: tuple[float, float, float] = BT601  # of R, G and B in luma
    subsampling: tuple[int, int] = (2, 2)  # rows and columns of luma for one value of chroma; 4:2:0 has (2, 2)
    turns: int = 0  # quarter turns, counter-clockwise
    interlaced: bool = False  # every other line is of another moment

    @property
    def _unit(self) -> int:
        return 2 ** (self.bits - 8)

    @property
    def largest(self) -> int:
        """Return the largest integer."""
        return 2**self.bits - 1

    @property
    def luma_scale(self) -> int:
        """Return by how much white is more than black."""
        return self.largest if self.full_range else 219 * self._unit

    @property
    def chroma_scale(self) -> int:
        """Return by how much the strongest chroma is more than the weakest."""
        return self.largest if self.full_range else 224 * self._unit

    def luma(self, codes: jax.Array) -> jax.Array:
        """Convert integers [...] to luma [...] in [0, 1]; what is blacker than black or whiter than white is cut."""
        if self.full_range:
            return jnp.float32(codes) / self.largest
        return jnp.clip((jnp.float32(codes) / self._unit - 16) / 219, 0, 1)

    def chroma_codes(self, chroma: jax.Array) -> jax.Array:
        """Convert Cb or Cr [...] in [-0.5, 0.5] to integers [...]: uint8, or uint16 for more than 8 bits."""
        codes = jnp.round(chroma * self.chroma_scale) + 2 ** (self.bits - 1)
        return jnp.clip(codes, 0, self.largest).astype(jnp.uint8 if self.bits == 8 else jnp.uint16)

    def chroma(self, codes: jax.Array) -> jax.Array:
        """Convert integers [...] to Cb or Cr [...] in [-0.5, 0.5]."""
        return (jnp.float32(codes) - 2 ** (self.bits - 1)) / self.chroma_scale
