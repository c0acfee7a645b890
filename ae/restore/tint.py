"""Tints of gray pictures: sepia, blue prints, faded scans, whose chroma follows from luma alone."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ae.color import luma, rgb_to_chroma, ycbcr_to_rgb
from ae.restore.resizing import interpolation

SIDE = 48  # pixels of the small copy that is looked at, in which grain and JPEG's blocks hardly show
DEGREE = 3  # of the polynomial of luma that a tint is
GRAY = 1.8 / 255  # deviation of chroma from the tint up to which a picture counts as gray
VISIBLE = 2 / 255  # chroma from which on a tint is one


class Tint(NamedTuple):
    """How the chroma of a picture depends on luma, and how much it does not."""

    curve: np.ndarray  # polynomial of luma for Cb and Cr, highest power first: [DEGREE + 1, 2]
    strength: float  # of chroma in the picture: root mean square
    spread: float  # of chroma around the curve

    @property
    def is_gray(self) -> bool:
        """Return whether the picture has no colours, but perhaps one tint."""
        return self.spread < GRAY

    @property
    def is_tinted(self) -> bool:
        """Return whether it is gray and its tint can be seen."""
        return self.is_gray and self.strength > VISIBLE

    @property
    def name(self) -> str:
        """Return the colour that middle gray has, as in #aabbcc."""
        chroma = np.float32(np.vander([0.5], DEGREE + 1) @ self.curve)
        rgb = np.clip(np.asarray(ycbcr_to_rgb(jnp.full((1, 1), 0.5), jnp.asarray(chroma))), 0, 1)
        return "#" + "".join(f"{round(255 * value):02x}" for value in rgb[0].tolist())


def tint_of(rgb: np.ndarray) -> Tint:
    """Measure the tint of a picture [H, W, 3] in [0, 1]."""
    rows, columns = (interpolation(length, min(SIDE, length)) for length in rgb.shape[:2])
    small = np.einsum("hH,HWc,wW->hwc", rows, rgb, columns, optimize=True)
    return tint_of_planes(luma(small), rgb_to_chroma(small))


def tint_of_planes(gray: np.ndarray, chroma: np.ndarray) -> Tint:
    """Measure the tint of luma [..., 1] in [0, 1] and chroma [..., 2] of a small picture."""
    powers = np.vander(np.float64(gray).ravel(), DEGREE + 1)
    values = np.float64(chroma).reshape(-1, 2)
    curve = np.linalg.lstsq(powers.T @ powers, powers.T @ values, rcond=None)[0]  # faster than of all pixels
    strength, spread = (float(np.sqrt(np.square(part).sum(1).mean())) for part in (values, values - powers @ curve))
    return Tint(curve, strength, spread)
