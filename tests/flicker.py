"""Short clips in colour, steady ones and others."""

import jax.numpy as jnp

from ae.color import ycbcr_to_rgb


def coloured(colour, frames=12, gray=0.5):
    """Frames of one luma and a chroma that is given for each, RGB [T, 16, 16, 3]."""
    cb = jnp.broadcast_to(jnp.asarray(colour, jnp.float32), (frames,))
    chroma = jnp.stack([cb, jnp.zeros(frames)], -1)[:, None, None]
    pattern = gray + 0.1 * jnp.sin(jnp.arange(256.0)).reshape(1, 16, 16, 1)
    return ycbcr_to_rgb(jnp.broadcast_to(pattern, (frames, 16, 16, 1)), jnp.broadcast_to(chroma, (frames, 16, 16, 2)))


STEADY, GRAY = coloured(0.1), coloured(0.0)
FLICKERING = coloured(jnp.where(jnp.arange(12) % 2 == 0, 0.08, 0.12))
CUT = jnp.concatenate([coloured(0.1, 6), coloured(-0.1, 6, gray=0.8)])
