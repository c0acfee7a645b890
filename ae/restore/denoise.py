"""Noise taken from images of any size, in tiles."""

import warnings
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

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


class Denoised(NamedTuple):
    """An image without its noise, and how much that was."""

    image: np.ndarray  # of the shape that was given, in [0, 1]
    sigma: (
        float | None
    )  # standard deviation of the noise, given or estimated; None: the model takes one level to be there
    taken: float  # standard deviation of what was taken away


@dataclass(frozen=True)
class Denoiser:
    """A trained model that takes noise from images of any size. One of gray images takes each channel as an image."""

    trained: Pretrained

    def image(self, noisy: np.ndarray, *, sigma: float | None = None, strength: float = 1.0) -> np.ndarray:
        """Return an image [H, W] or [H, W, C] in [0, 1] without its noise (see `denoise`)."""
        return self.denoise(noisy, sigma=sigma, strength=strength).image

    def denoise(self, noisy: np.ndarray, *, sigma: float | None = None, strength: float = 1.0) -> Denoised:
        """Take the noise from an image [H, W] or [H, W, C] in [0, 1].

        `sigma`: the standard deviation of the noise; no more than that is taken away, so that fine detail stays where there
        is little noise. By default it is estimated, unless the model has learnt from noise of one level, which it takes to
        be there. `strength`: multiplies what is taken away. Raises InputError for other shapes and ranges, and where the
        model takes another size only.
        """
        given = np.asarray(in_range(noisy, "an image [H, W] or [H, W, C]", ndim=3 if np.ndim(noisy) == 3 else 2))
        image = given.reshape(*given.shape[:2], -1)
        together = image.shape[2] if self.trained.input_shape[2] == image.shape[2] else 1
        parts = [
            self._denoise(image[..., first : first + together], sigma, strength)
            for first in range(0, image.shape[2], together)
        ]
        clean = np.concatenate([part.image for part in parts], axis=-1).reshape(given.shape)
        levels = [part.sigma for part in parts if part.sigma is not None]
        return Denoised(
            clean, _root_mean_square(levels) if levels else None, _root_mean_square([p.taken for p in parts])
        )

    def _denoise(self, noisy: np.ndarray, sigma: float | None, strength: float) -> Denoised:
        """The same for channels [H, W, C] that the model sees together, or for one that it gets as all of its own."""
        channels = self.trained.input_shape[2]
        alone = noisy.shape[2] < channels
        output = self.output(np.repeat(noisy, channels, axis=2) if alone else noisy)
        taken = noisy - (output.mean(axis=2, keepdims=True) if alone else output)
        if sigma is None and not self._knows_one_level:
            sigma = _root_mean_square([noise_level(channel) for channel in np.moveaxis(noisy, -1, 0)])
        if sigma is not None:
            taken *= np.float32(min(1.0, sigma / max(_root_mean_square(taken), 1e-12)))
        clean = np.clip(noisy - np.float32(strength) * taken, 0, 1)
        return Denoised(clean, sigma, _root_mean_square(clean - noisy))

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


def _root_mean_square(values: ArrayLike) -> float:
    return float(np.sqrt(np.square(values).mean()))


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
