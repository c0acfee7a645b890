"""Noise taken from images of any size, in tiles."""

import warnings
from dataclasses import dataclass

import numpy as np

from ae.pretrained import Pretrained

TILE = 256  # most rows and columns that are computed at a time
MARGIN = 32  # around what is kept of a tile: more than a U-Net of three levels sees around a pixel
GRID = 8  # tiles begin at multiples of it, as down-sampling does: what comes out does not depend on the tiles


def noise_level(gray: np.ndarray) -> float:
    """The standard deviation of Gaussian noise in an image [H, W] in [0, 1], from the median of its finest wavelets.

    0 for images of one value. Too low where noise was cut at black and white, as it is around digits. From Donoho and
    Johnstone, "Ideal spatial adaptation by wavelet shrinkage" (1994).
    """
    from skimage.restoration import estimate_sigma

    with warnings.catch_warnings():  # of very small images, and of those of one value
        warnings.simplefilter("ignore")
        return float(np.nan_to_num(estimate_sigma(gray)))


@dataclass(frozen=True)
class Denoiser:
    """A trained model that takes noise from images of any size."""

    trained: Pretrained

    def image(self, noisy: np.ndarray, *, sigma: float | None = None) -> np.ndarray:
        """An image [H, W] in [0, 1] without its noise.

        `sigma`: the standard deviation of the noise; no more than that is taken away, so that fine detail stays where there
        is little noise. By default it is estimated, unless the model has learnt from noise of one level, which it takes to
        be there. Raises InputError where the model takes another size only.
        """
        taken = self._clean(noisy) - noisy
        if sigma is None and self._knows_one_level:
            return noisy + taken
        most = noise_level(noisy) if sigma is None else sigma
        return noisy + np.float32(min(1.0, most / max(float(np.sqrt(np.square(taken).mean())), 1e-12))) * taken

    @property
    def _knows_one_level(self) -> bool:
        task = self.trained.config.train_task or self.trained.config.task
        return getattr(task, "least_sigma", None) is None

    def _clean(self, noisy: np.ndarray) -> np.ndarray:
        """The model's answer, tile by tile."""
        height, width = noisy.shape
        beyond = [(0, -length % GRID if length > TILE else 0) for length in noisy.shape]
        padded = np.pad(noisy, beyond, mode="edge")
        clean = np.empty(padded.shape, np.float32)
        for rows in tiles(padded.shape[0]):
            for columns in tiles(padded.shape[1]):
                tile = self.trained(padded[None, rows, columns, None])[0, ..., 0]
                kept = [slice(MARGIN * (part.start > 0), None) for part in (rows, columns)]
                clean[rows, columns][*kept] = tile[*kept]
        return clean[:height, :width]


def tiles(length: int) -> list[slice]:
    """Parts that cover so many rows, a multiple of 8; each overlaps the one before by at least two margins.

    In the order in which they are to be written, each without its first rows, which lie in the margin.
    """
    size = min(TILE, length)
    starts = [*range(0, length - size, TILE - 2 * MARGIN), length - size]
    return [slice(start, start + size) for start in starts]
