"""Noise taken from images of any size, tile by tile: beside the image and the result, memory holds one tile."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice, pairwise, product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ae.errors import InputError
from ae.restore.shots import with_shots
from ae.restore.weights import Pretrained, check_range
from ae.runtime import progress
from ae.runtime.chain import Frame
from ae.tasks import Denoise

STRIDE = 512  # rows and columns, about, that are kept of a tile; of smaller tiles, more would be margin
STRIDE_OF_MANY = 352  # the same for faster convolutions, which are at their best in small tiles, and take more memory
SAMPLE = 256  # rows and columns of the squares by which the noise of an image is known
MOST_SAMPLES = 16  # squares, about, by which noise is known
MANY = 12_600_000  # pixels from which on faster convolutions pay at once, though they take ten seconds to compile
MOST_FRAMES = 8  # of a film that a device computes at a time
MOST_TILES = 4  # tiles, about, by which it is known what a model would take


def noise_level(gray: np.ndarray) -> float:
    """Return the standard deviation of Gaussian noise in an image [H, W] in [0, 1], from the median of its finest wavelets.

    0 for images of one value. Too low where noise was cut at black and white, as it is around digits, and where it spreads
    over neighbours, as in most photographs. From Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage"
    (1994).
    """
    from skimage.restoration import estimate_sigma

    with warnings.catch_warnings():  # of very small images, and of those of one value
        warnings.simplefilter("ignore")
        return float(np.nan_to_num(estimate_sigma(gray)))


class Denoised(NamedTuple):
    """An image without its noise, and how much that was."""

    image: np.ndarray  # of the shape that was given; of its dtype, or float32 in [0, 1]
    sigma: float | None  # standard deviation of the noise, given or estimated; None: the model knows one level alone
    taken: float  # standard deviation of what was taken away


class Amount(NamedTuple):
    """How much noise there is, and how much of it is to be taken."""

    sigma: float | None  # standard deviation of the noise, given or estimated; None: the model knows one level alone
    share: float  # of what the model would take, up to 1


class _Tile(NamedTuple):
    """What is kept of a tile of images."""

    place: tuple[slice, slice, slice, slice]  # all images; rows, columns and channels in them
    noisy: np.ndarray  # float32 [B, h, w, C]
    answer: np.ndarray  # the model's, in [0, 1]


@dataclass(frozen=True)
class Denoiser:
    """A trained model that takes noise from images of any size. One of gray images takes each channel as an image."""

    trained: Pretrained
    to_come: int = 0  # pixels, where there are more images of one size to come, as in a clip

    def image(self, noisy: np.ndarray, *, sigma: float | None = None, strength: float = 1.0) -> np.ndarray:
        """Return an image [H, W] or [H, W, C] without its noise (see `denoise`)."""
        return self.denoise(noisy, sigma=sigma, strength=strength).image

    def denoise(self, noisy: np.ndarray, *, sigma: float | None = None, strength: float = 1.0) -> Denoised:
        """Take the noise from an image [H, W] or [H, W, C]: uint8, uint16, or floats in [0, 1].

        `sigma`: the standard deviation of the noise, of white 1; no more than that is taken away, so that fine detail stays
        where there is little noise. By default it is estimated, and limits models of Gaussian noise of all levels.
        `strength`: multiplies what is taken away. Raises InputError for other shapes, dtypes and ranges, and where the
        model takes another size only.
        """
        noisy = np.asarray(noisy)
        _check(noisy)
        image = noisy.reshape(*noisy.shape[:2], -1)
        amount = self.amount(image, sigma=sigma)
        clean = np.empty(image.shape, image.dtype if image.dtype.kind == "u" else np.float32)
        taken = self._write(clean[None], image[None], np.float32(strength * amount.share))
        return Denoised(clean.reshape(noisy.shape), amount.sigma, taken)

    def stream(
        self, frames: Iterable[np.ndarray], *, sigma: float | None = None, strength: float = 1.0
    ) -> Iterator[np.ndarray]:
        """Yield the frames of a film without their noise, which is found out once for each shot, so that nothing pumps.

        Frames are all of one shape and dtype, as `denoise` takes them, and some are held until it is known whether the
        scene is cut (see `ae.restore.shots`). Those of a shot are computed in batches that are split over the devices, each
        of which gets as many as a tile of a large image has room for. Raises InputError where one is of another shape or
        dtype.
        """
        numbered = enumerate(map(np.asarray, frames), 1)
        first = next(numbered, None)
        if first is None:
            return
        shape, dtype = first[1].shape, first[1].dtype
        items = (_frame(frame, number, shape, dtype) for number, frame in chain([first], numbered))
        amount, shot, size = Amount(sigma, 1.0), -1, _frames_together(*shape[:2])
        for batch in _of_one_shot(with_shots(items, float(_white(dtype))), size):
            images = np.stack([item.source for item in batch]).reshape(len(batch), *shape[:2], -1)
            if batch[0].shot != shot:
                amount, shot = self.amount(images[0], sigma=sigma), batch[0].shot
            lacking = [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)]
            images = np.pad(images, lacking, mode="edge")  # so that all batches take one program
            clean = np.empty(images.shape, dtype if dtype.kind == "u" else np.float32)
            self._write(clean, images, np.float32(strength * amount.share))
            yield from clean[: len(batch)].reshape(-1, *shape)

    def _write(self, clean: np.ndarray, noisy: np.ndarray, share: np.float32) -> float:
        """Write images [B, H, W, C] without a share of what the model would take; return the standard deviation of that."""
        total = 0.0
        with progress.bar("denoising", noisy.size, unit="values") as bar:
            for place, given, answer in self._tiles(noisy):
                part = np.clip(given - share * (given - answer), 0, 1)
                total += float(np.square(part - given, dtype=np.float64).sum())
                clean[place] = np.round(part * _white(clean.dtype)) if clean.dtype.kind == "u" else part
                bar.update(part.size)
        return float(np.sqrt(total / noisy.size))

    def amount(self, noisy: np.ndarray, *, sigma: float | None = None) -> Amount:
        """Return how much noise is in an image [H, W, C], and what share of what the model would take is to be taken.

        For images of one kind, as the frames of a shot are, it can be found out once. `sigma`: see `denoise`.
        """
        task = self.trained.config.training_task
        if sigma is None and isinstance(task, Denoise) and task.least_sigma is None:
            return Amount(None, 1.0)
        level = _estimated_level(noisy) if sigma is None else sigma
        limited = sigma is not None or isinstance(task, Denoise)
        return Amount(level, self._share(noisy, level) if limited else 1.0)

    def _share(self, noisy: np.ndarray, limit: float) -> float:
        """Return what part of what the model would take is no more than the limit."""
        squares = [np.square(given - answer).mean() for _, given, answer in self._tiles(noisy[None], MOST_TILES)]
        return min(1.0, limit / max(float(np.sqrt(np.mean(squares))), 1e-12))

    def output(self, noisy: np.ndarray) -> np.ndarray:
        """Return the model's answer in [0, 1] to an image [H, W, C], float32 of any range: noise may lead out of [0, 1].

        Computed tile by tile where the model says how far it looks (see `ae.models`), else at once.
        """
        clean = np.empty(noisy.shape, np.float32)
        for place, _, answer in self._tiles(noisy[None]):
            clean[None][place] = answer
        return clean

    def _tiles(self, noisy: np.ndarray, most: int | None = None) -> Iterator[_Tile]:
        """Yield the tiles of images [B, H, W, C]; a model of gray images sees their channels one after the other.

        `most`: only so many of each, or a few more, at regular places.
        """
        model, channels = self.trained.config.model, noisy.shape[3]
        multiple, reach = getattr(model, "multiple", 1), getattr(model, "reach", None)
        many = max(self.to_come, noisy.shape[1] * noisy.shape[2]) > MANY
        stride = STRIDE_OF_MANY if many else STRIDE
        places = list(product(*(tiles(length, reach, multiple, stride) for length in noisy.shape[1:3])))
        together = channels if channels == self.trained.input_shape[2] else 1
        for first in range(0, channels, together):
            part = slice(first, first + together)
            for rows, columns in places[:: max(1, len(places) // most) if most else 1]:
                given = _in_unit_range(noisy[:, rows.seen, columns.seen, part])
                lacking = [(0, span.size - size) for span, size in zip((rows, columns), given.shape[1:], strict=False)]
                answer = self._answer(np.pad(given, [(0, 0), *lacking, (0, 0)], mode="reflect"), many=many)
                kept = slice(None), rows.kept_of_seen, columns.kept_of_seen
                yield _Tile((slice(None), rows.kept, columns.kept, part), given[kept], answer[kept])

    def _answer(self, tile: np.ndarray, *, many: bool) -> np.ndarray:
        """Return the model's answer to tiles [B, h, w, C]; a model of RGB sees gray in all three channels."""
        alike = self.trained.input_shape[2] // tile.shape[3]
        answer = np.asarray(self.trained.apply(jnp.asarray(tile.repeat(alike, axis=3)), many=many))
        if np.isnan(answer).any():
            raise InputError("the model's output holds values that are not numbers (NaN): use another model")
        return answer if alike == 1 else answer.mean(axis=3, keepdims=True)


def _check(noisy: np.ndarray) -> None:
    """Raise InputError for shapes, dtypes and ranges that no image has."""
    if noisy.dtype != np.uint16 or noisy.ndim not in (2, 3):
        check_range(noisy, "an image [H, W] or [H, W, C]", ndim=3 if noisy.ndim == 3 else 2)


def _frame(frame: np.ndarray, number: int, shape: tuple[int, ...], dtype: np.dtype) -> Frame:
    """Return a frame of a film, with the luma by which shots are found."""
    if (frame.shape, frame.dtype) != (shape, dtype):
        found, wanted = f"{frame.shape} of {frame.dtype}", f"{shape} of {dtype}"
        raise InputError(f"frame {number} is {found}, the first {wanted}: frames are of one size and dtype")
    _check(frame)
    return Frame(frame.reshape(*shape[:2], -1).mean(axis=2), frame)


def _root_mean_square(values: ArrayLike) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _frames_together(height: int, width: int) -> int:
    """Return how many frames of a film are computed at a time: on each device as many as are a tile, or one."""
    return jax.device_count() * min(MOST_FRAMES, max(1, STRIDE**2 // (height * width)))


def _of_one_shot(frames: Iterable[Frame], most: int) -> Iterator[list[Frame]]:
    """Yield frames of one shot together, up to so many."""
    for _, shot in groupby(frames, key=lambda frame: frame.shot):
        while batch := list(islice(shot, most)):
            yield batch


def _white(dtype: np.dtype) -> np.float32:
    return np.float32(np.iinfo(dtype).max if dtype.kind == "u" else 1)


def _in_unit_range(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as float32 of which white is 1."""
    return pixels.astype(np.float32) / _white(pixels.dtype)


def _estimated_level(noisy: np.ndarray) -> float:
    """Return the noise level of channels [H, W, C] together: of each the median over squares at regular places."""
    places = list(product(*(range(0, max(1, length - SAMPLE // 2), SAMPLE) for length in noisy.shape[:2])))
    squares = [
        _in_unit_range(noisy[row : row + SAMPLE, column : column + SAMPLE])
        for row, column in places[:: max(1, len(places) // MOST_SAMPLES)]
    ]
    levels = [[noise_level(channel) for channel in np.moveaxis(square, -1, 0)] for square in squares]
    return _root_mean_square(np.median(levels, axis=0))


class Span(NamedTuple):
    """Rows of a tile, or columns."""

    seen: slice  # that the model sees; it may end behind the image, which is then mirrored
    kept: slice  # that are kept, each row in one tile

    @property
    def size(self) -> int:
        """Return how many rows the model sees."""
        return self.seen.stop - self.seen.start

    @property
    def kept_of_seen(self) -> slice:
        """Return what is kept, counted from where the tile begins."""
        return slice(self.kept.start - self.seen.start, self.kept.stop - self.seen.start)


def tiles(length: int, reach: int | None, multiple: int, stride: int = STRIDE) -> list[Span]:
    """Return tiles that cover so many rows; what is kept of each sees no edge but those of the image.

    All have one size, a multiple of `multiple`, and begin at multiples, as down-sampling does, so that what comes out does
    not depend on them. `reach`: how many rows away a row looks; where it is None, there is one tile. `stride`: how many are
    kept of each, about.
    """
    whole = -(-length // multiple) * multiple
    if reach is None:
        return [Span(slice(0, whole), slice(0, length))]
    margin, stride = (-(-rows // multiple) * multiple for rows in (reach, stride))
    size = min(stride + 2 * margin, whole)
    starts = [*range(0, whole - size, stride), whole - size]
    bounds = [0, *(start + margin for start in starts[1:]), length]
    return [
        Span(slice(start, start + size), slice(*kept)) for start, kept in zip(starts, pairwise(bounds), strict=True)
    ]
