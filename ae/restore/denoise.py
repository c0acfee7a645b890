"""Noise taken from images of any size, in tiles."""

import warnings
from dataclasses import dataclass
from itertools import product

import jax.numpy as jnp
import numpy as np

from ae.errors import InputError
from ae.restore.weights import Pretrained, in_range

STRIDE = 208  # rows and columns, about, that are kept of a tile


def noise_level(gray: np.ndarray) -> float:
    """Return the standard deviation of Gaussian noise in an image [H, W] in [0, 1], from the median of its finest wavelets.

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
        """Return an image [H, W] in [0, 1] without its noise.

        `sigma`: the standard deviation of the noise; no more than that is taken away, so that fine detail stays where there
        is little noise. By default it is estimated, unless the model has learnt from noise of one level, which it takes to
        be there. Raises InputError for other shapes and ranges, and where the model takes another size only.
        """
        noisy = np.asarray(in_range(noisy, "an image [H, W]", ndim=2))
        taken = self.output(noisy[..., None])[..., 0] - noisy
        if sigma is not None or not self._knows_one_level:
            most = noise_level(noisy) if sigma is None else sigma
            taken *= np.float32(min(1.0, most / max(float(np.sqrt(np.square(taken).mean())), 1e-12)))
        return np.clip(noisy + taken, 0, 1)

    @property
    def _knows_one_level(self) -> bool:
        task = self.trained.config.train_task or self.trained.config.task
        return getattr(task, "least_sigma", None) is None

    def output(self, noisy: np.ndarray) -> np.ndarray:
        """Return the model's answer in [0, 1] to an image [H, W, C], float32 of any range: noise may lead out of [0, 1].

        Computed tile by tile where the model says how far it looks (see `ae.models`), else at once. Raises InputError for
        another number of channels than the model's.
        """
        channels = self.trained.input_shape[2]
        if noisy.ndim != 3 or noisy.shape[2] != channels:
            raise InputError(f"expected an image [H, W, {channels}], got {noisy.shape}")
        model = self.trained.config.model
        multiple = getattr(model, "multiple", 1)
        height, width, _ = noisy.shape
        padded = np.pad(noisy, [(0, -height % multiple), (0, -width % multiple), (0, 0)], mode="edge")
        clean = np.empty_like(padded)
        parts = [tiles(length, getattr(model, "reach", None), multiple) for length in padded.shape[:2]]
        for (rows, kept_rows), (columns, kept_columns) in product(*parts):
            tile = self.trained.apply(jnp.asarray(padded[None, rows, columns]))[0]
            clean[rows, columns][kept_rows, kept_columns] = tile[kept_rows, kept_columns]
        return clean[:height, :width]


def tiles(length: int, reach: int | None, multiple: int) -> list[tuple[slice, slice]]:
    """Return tiles that cover so many rows, a multiple of `multiple`, and what is kept of each: all that sees no edge.

    In the order in which they are to be written: the next one writes over what sees the edge of the one before. All have
    one size, and begin at multiples, as down-sampling does, so that what comes out does not depend on them. `reach`: how
    many rows away a row looks; where it is None, there is one tile.
    """
    if reach is None:
        return [(slice(0, length), slice(None))]
    margin, stride = (-(-rows // multiple) * multiple for rows in (reach, STRIDE))
    size = min(stride + 2 * margin, length)
    starts = [*range(0, length - size, stride), length - size]
    return [(slice(start, start + size), slice(margin * (start > 0), None)) for start in starts]
