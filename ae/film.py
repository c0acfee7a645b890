"""What film and scanning leave of a photograph's luma: blur, grain, faded contrast, other weights of colours, JPEG."""

import jax
import jax.numpy as jnp

from ae.camera import jpeg, soften, spread
from ae.color import BT601, luma

MOST_BLUR = 1.2  # standard deviation in pixels
MOST_GRAIN = 0.06  # standard deviation, for luma in [0, 1]
LEAST_QUALITY = 30.0  # of JPEG
MOST_FOG = 0.2  # what black becomes
LEAST_WHITE = 0.7  # what white becomes, black being 0
SENSITIVITY = 0.5  # deviation of the logarithm of a colour's weight


def sensitivity(key: jax.Array) -> jax.Array:
    """Draw the weights [3] of R, G and B in a gray picture, whose sum is 1: around those of luma, as of old emulsions."""
    weights = jnp.array(BT601) * jnp.exp(SENSITIVITY * jax.random.normal(key, (3,)))
    return weights / weights.sum()


def aged(key: jax.Array, gray: jax.Array, share: float | jax.Array = 0.3) -> tuple[jax.Array, jax.Array]:
    """Return luma [H, W, 1] in [0, 1] as old material has it, and its contrast, by which chroma is to be multiplied.

    `share`: how likely each of blur, grain, JPEG and fading is. Height and width have to be multiples of 16.
    """
    chance_key, size_key, grain_key = jax.random.split(key, 3)
    blurred, grainy, coded, faded = jax.random.uniform(chance_key, (4,)) < share
    blur, grain, width, quality, fog, white = jax.random.uniform(size_key, (6,))
    gray = jnp.where(blurred, soften(gray, MOST_BLUR * blur), gray)
    grains = MOST_GRAIN * grain**2 * spread(jax.random.normal(grain_key, gray.shape), width)
    gray = jnp.clip(gray + jnp.where(grainy, grains, 0), 0, 1)
    quality = LEAST_QUALITY + (100 - LEAST_QUALITY) * quality
    gray = jnp.where(coded, luma(jpeg(gray.repeat(3, axis=-1), quality)), gray)
    black = jnp.where(faded, MOST_FOG * fog, 0)
    contrast = jnp.where(faded, LEAST_WHITE + (1 - LEAST_WHITE) * white, 1) - black
    return black + contrast * gray, contrast
