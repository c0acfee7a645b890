"""What a camera adds to a photograph: noise that depends on light, spread over neighbours and channels, under JPEG.

Raw pixels have Poisson and Gaussian noise (Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
single-image raw-data", 2008). What follows in the camera makes it differ between channels, which it mixes, and spreads it
over neighbours (Guo et al., "Toward convolutional blind denoising of real photographs", 2019, train on such noise too).
"""

import jax
import jax.numpy as jnp
import numpy as np

from ae.color import luma, rgb_to_chroma, ycbcr_to_rgb
from ae.errors import InputError

REACH = 9  # pixels over which noise spreads to each side
WIDEST_SPREAD = (1.2, 3.0, 3.0)  # of luma and chroma: standard deviation in pixels
SOFTEST = 1.2  # blur of photographs of many megapixels, likewise
MOST_CHROMA = (1.13, 1.43)  # deviation of Cb and Cr, that of luma being 1; blue less luma, and red, then have 2
DCT = np.float32(
    np.sqrt(np.where(np.arange(8)[:, None] == 0, 1, 2) / 8)
    * np.cos(np.pi / 16 * np.outer(np.arange(8), 2 * np.arange(8) + 1))
)
LUMA_STEPS = np.array([  # ITU-T T.81, table K.1
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
], np.float32)  # fmt: skip
CHROMA_STEPS = np.full((8, 8), 99, np.float32)  # table K.2
CHROMA_STEPS[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


def camera_noise(key: jax.Array, image: jax.Array, sigma: float | jax.Array) -> jax.Array:
    """Add noise to a photograph [H, W, 3] in [0, 1]: the same shape, not clipped.

    That of luma is fine, its standard deviation at middle gray `sigma`. That of chroma is coarse, since cameras smooth it,
    and up to twice as large. How wide both spread, and how much they grow or fall with light, is drawn from the key.
    """
    white_key, light_key, chroma_key, spread_key = jax.random.split(key, 4)
    growth = jax.random.uniform(light_key, minval=-0.9, maxval=0.9)
    deviation = sigma * jnp.sqrt(1 + growth * (2 * image - 1))
    widths = jnp.array(WIDEST_SPREAD) * jax.random.uniform(spread_key, (3,))
    noise = spread(jax.random.normal(white_key, image.shape), widths)
    chroma = noise[..., 1:] * jax.random.uniform(chroma_key, (2,)) * jnp.array(MOST_CHROMA)
    return image + deviation * ycbcr_to_rgb(noise[..., :1], chroma)


def spread(noise: jax.Array, width: float | jax.Array) -> jax.Array:
    """Spread white noise [H, W, C] over its neighbours by a Gaussian of so many pixels; its deviation stays.

    `width`: one for all channels, or [C].
    """
    weights = _gaussian(width)
    return _filtered(noise, weights / jnp.linalg.norm(weights, axis=0))


def soften(image: jax.Array, width: float | jax.Array) -> jax.Array:
    """Blur an image [H, W, C] by a Gaussian of so many pixels; its mean stays."""
    weights = _gaussian(width)
    return _filtered(image, weights / weights.sum(axis=0))


def _gaussian(width: float | jax.Array) -> jax.Array:
    """Return the weights of a Gaussian for each of its widths: [1 + 2 * REACH, widths]."""
    return jnp.exp(-0.5 * (jnp.arange(-REACH, REACH + 1)[:, None] / jnp.maximum(width, 1e-2)) ** 2)


def _filtered(image: jax.Array, weights: jax.Array) -> jax.Array:
    """Sum each pixel's neighbours, down and then across, by weights; beyond the edges the image is mirrored."""
    for axis in (0, 1):
        padding = [(REACH, REACH) if axis == other else (0, 0) for other in range(3)]
        padded, size = jnp.pad(image, padding, mode="symmetric"), image.shape[axis]
        parts = [weight * jax.lax.slice_in_dim(padded, at, at + size, axis=axis) for at, weight in enumerate(weights)]
        image = sum(parts[1:], parts[0])
    return image


def jpeg(image: jax.Array, quality: float | jax.Array, *, halved: bool | jax.Array = False) -> jax.Array:
    """Return a photograph [H, W, 3] in [0, 1] as it comes back from JPEG, but for the rounding of pixels.

    `quality`: 1 to 100, as libjpeg counts it. `halved`: chroma has half of the rows and columns (4:2:0). Raises InputError
    where height or width are no multiples of 16.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.shape[0] % 16 or image.shape[1] % 16:
        raise InputError(f"expected an image [H, W, 3] whose sides are multiples of 16, got {image.shape}")
    chroma = rgb_to_chroma(image)
    height, width, _ = chroma.shape
    small = chroma.reshape(height // 2, 2, width // 2, 2, 2).mean(axis=(1, 3))
    halves = _quantized(small, CHROMA_STEPS, quality).repeat(2, axis=0).repeat(2, axis=1)
    chroma = jnp.where(halved, halves, _quantized(chroma, CHROMA_STEPS, quality))
    return jnp.clip(ycbcr_to_rgb(_quantized(luma(image) - 0.5, LUMA_STEPS, quality) + 0.5, chroma), 0, 1)


def _quantized(planes: jax.Array, steps: np.ndarray, quality: float | jax.Array) -> jax.Array:
    """Round the cosine transforms of the 8x8 blocks of planes [H, W, C] around 0 to multiples of their steps."""
    scale = jnp.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    step = jnp.clip(jnp.floor((scale * steps + 50) / 100), 1, 255) / 255
    height, width, channels = planes.shape
    blocks = planes.reshape(height // 8, 8, width // 8, 8, channels)
    there = jnp.einsum("ui,aibjc,vj->aubvc", DCT, blocks, DCT)
    rounded = jnp.round(there / step[None, :, None, :, None]) * step[None, :, None, :, None]
    return jnp.einsum("ui,aubvc,vj->aibjc", DCT, rounded, DCT).reshape(planes.shape)
