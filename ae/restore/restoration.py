"""Old material: its noise is taken away before it is coloured."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ae.color import with_luma
from ae.restore.denoise import Denoiser


class Restoration(NamedTuple):
    """What is done to old material beside colouring it."""

    denoiser: Denoiser
    keep_grain: bool = False  # the result has the luma that was given; otherwise that without noise

    def finished(self, rgb: np.ndarray, gray: np.ndarray) -> np.ndarray:
        """Return RGB [H, W, 3] of luma without noise, with the noise of the luma [H, W] that was given where it is kept."""
        return np.asarray(with_luma(jnp.asarray(rgb), jnp.asarray(gray)[..., None])) if self.keep_grain else rgb
