"""Colour for gray frames of any size: RGB of images, chroma planes of clips; luma stays as it is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae.color import Coding, luma
from ae.config import Config
from ae.errors import InputError
from ae.models import input_shape
from ae.models.apply import variable_shapes
from ae.restore.chroma import Colours, Look, answered_chroma, carried_colours, mean_colours
from ae.restore.frames import Planes, chroma_planes, rgb_frames, rgb_of
from ae.restore.hints import Hints, Point, hint_cells, hints_at
from ae.restore.reference import Reference, reference_of
from ae.restore.resizing import interpolation, neighbours, resized, sharpened
from ae.restore.shots import with_shots
from ae.restore.steady import STRENGTH, Before, Steady, before_first
from ae.restore.weights import Pretrained, check_range
from ae.runtime import devices
from ae.runtime.chain import Array, Batch, Frame, run
from ae.tasks import ColorizePhotograph

PIXELS = 3136  # of a photograph's working size: models that have learnt from small images know shapes by their outlines
FINER_PIXELS = 9408  # of a second copy, for models that have learnt from photographs: they know detail, too
FILM_PIXELS = 1800  # of a frame's, which is to cost little
HINTED_PIXELS = 12544  # of the size at which hints are carried on in a photograph
BATCH_SIZE = 8
STRIP = 2**20  # pixels of an image that are brought to full size at a time


def working_size(config: Config, height: int, width: int, pixels: int = FILM_PIXELS) -> tuple[int, int]:
    """Return the size at which a model sees a frame: about so many pixels in the frame's shape, in multiples of 8.

    A model that takes one size only is given that.
    """
    scale = min(1.0, (pixels / (height * width)) ** 0.5)
    short, long = sorted((height, width))
    small_short = max(8, 8 * round(scale * short / 8))
    small_long = max(8, 8 * round(min(small_short * long / short, scale * long + 8) / 8))
    size = (small_short, small_long) if height <= width else (small_long, small_short)
    return size if _takes(config, size) else input_shape(config.model)[:2]


@cache
def _takes(config: Config, size: tuple[int, int]) -> bool:
    if hasattr(config.model, "multiple"):  # to which it pads all sizes: tracing it would take a quarter of a second
        return True
    try:
        variable_shapes(config.model, (*size, 1))
    except InputError:
        return False
    return True


_answered_chroma = jax.jit(answered_chroma)
_mean_colours = jax.jit(mean_colours)
_finer_colours = jax.jit(carried_colours)
_reference_of = jax.jit(reference_of)


@dataclass(frozen=True)
class Colorizer:
    """A trained model that maps luma to RGB, for frames of any size."""

    trained: Pretrained
    saturation: float = 1.0  # what chroma is multiplied with
    pixels: int | None = None  # of the one copy that the model sees (default: see `working_sizes` and `film_size`)
    white_balance: bool = False  # take away the tint of what ought to be white
    references: tuple[Reference, ...] = ()  # of one picture, for each working size (see `with_reference`)
    vivid: float = 0.0  # share of livelier chroma, of a model that answers with such

    def __call__(
        self, frames: np.ndarray, *, hints: Hints | Sequence[Point] | None = None, batch_size: int = BATCH_SIZE
    ) -> np.ndarray:
        """Return RGB [T, H, W, 3] for gray frames [T, H, W], or of one [H, W]: uint8 of uint8, float32 of floats in [0, 1].

        Each frame is coloured alone; `stream` steadies those of a film. `hints`: colours at points, (row, column,
        "#rrggbb"), or `Hints`, for all frames. Beside input and result, memory
        holds two batches of frames. Raises InputError for other shapes, dtypes and ranges, and for hints that cannot be.
        """
        one = frames.ndim == 2
        frames = frames[None] if one else frames
        check_range(frames, "gray frames [T, H, W]", ndim=3)
        rgb = np.empty((*frames.shape, 3), np.uint8 if frames.dtype == np.uint8 else np.float32)
        alone = one or hints is not None
        coloured = self._one_by_one(frames, hints) if alone else self.stream(frames, steady=0, batch_size=batch_size)
        for index, frame in enumerate(coloured):
            rgb[index] = frame
        return rgb[0] if one else rgb

    def _one_by_one(self, frames: np.ndarray, hints: Hints | Sequence[Point] | None) -> Iterator[np.ndarray]:
        white = np.float32(255 if frames.dtype == np.uint8 else 1)
        for frame in frames:
            rgb = self.image(frame.astype(np.float32) / white, hints=hints)
            yield np.round(255 * rgb) if frames.dtype == np.uint8 else rgb

    def stream(
        self, frames: Iterable[np.ndarray], *, steady: float = STRENGTH, batch_size: int = BATCH_SIZE
    ) -> Iterator[np.ndarray]:
        """Yield RGB [H, W, 3] for frames, gray [H, W] or RGB [H, W, 3], of which luma is taken and kept.

        `steady`: share of the colours of the frame before, moved along, where both agree and no scene is cut; a few frames
        are held for that. Each is drawn when it is needed: a batch is computed while the frames of the one before it are
        taken, and no more than two are held. uint8 becomes uint8, floats in [0, 1] become float32. Raises InputError for
        other shapes, dtypes and ranges, and where frames are not of one size and dtype.
        """
        frames = map(np.asarray, frames)
        first = next(frames, None)
        if first is None:
            return
        size, dtype = first.shape[:2], first.dtype
        numbered = enumerate(chain([first], frames), 1)
        del first  # which would be held to the end
        items = (Frame(_checked_luma(frame, number, size, dtype), None) for number, frame in numbered)
        known = with_shots(items, 1.0) if steady else items
        for item in run((_ToRgb(self, dtype, steady),), known, batch_size, fetch=("rgb",)):
            if isinstance(item, Frame):
                yield item.rgb

    def planes(self, codes: Array, coding: Coding) -> Planes:
        """Return chroma planes and samples for luma planes [B, H, W], integers, of a clip."""
        return self.film_planes(codes, coding)[1]

    def film_planes(
        self, codes: Array, coding: Coding, *, cells: Array | None = None, steady: Steady | None = None
    ) -> tuple[Before | None, Planes]:
        """Return what is kept for the next frames, and planes as `planes` does, with hints and carried colours.

        `cells`: hints for each frame, as `clip_cells` makes them. `steady`: see `chroma_planes`.
        """
        working = self.clip_working(codes.shape[1:], coding)
        planes = partial(chroma_planes, working=working, coding=coding)
        return planes(*self._model, codes, self.look, cells, steady, self._film_reference)

    def clip_cells(self, hints: Hints | None, codes: np.ndarray, coding: Coding) -> np.ndarray:
        """Return hints [h, w, 4] for a frame's luma plane [H, W], as it is stored; None: that there are none."""
        working = self.clip_working(codes.shape, coding)
        if hints is None:
            cells = np.zeros((*working, 4), np.float32)
        else:
            gray = np.asarray(coding.luma(jnp.asarray(np.rot90(codes, coding.turns))))
            cells = hint_cells(self._hints(hints, gray), gray, working)
        return np.rot90(cells, -coding.turns)

    def clip_working(self, size: tuple[int, ...], coding: Coding) -> tuple[int, int]:
        """Return the working size of upright frames that are stored with a size [H, W]."""
        return self.film_size(*(size[::-1] if coding.turns % 2 else size))

    def frames(self, gray: Array) -> jax.Array:
        """Return RGB [B, H, W, 3] in [0, 1] for luma [B, H, W] in [0, 1]."""
        working = self.film_size(*gray.shape[1:])
        return rgb_frames(*self._model, gray, self.look, self._film_reference, working=working)[1]

    def steady_frames(self, gray: Array, steady: Steady) -> tuple[Before | None, jax.Array]:
        """Return what is kept for the next frames, and RGB as `frames` does, with carried colours."""
        working = self.film_size(*gray.shape[1:])
        return rgb_frames(*self._model, gray, self.look, self._film_reference, steady, working=working)

    def image(
        self,
        gray: np.ndarray,
        *,
        hints: Hints | Sequence[Point] | None = None,
        shrink: Callable[[int, int], np.ndarray] = sharpened,
    ) -> np.ndarray:
        """Return RGB [H, W, 3] in [0, 1] for luma [H, W] in [0, 1] of one image, however large.

        `hints`: colours at points, (row, column, "#rrggbb"), or `Hints`. `shrink`: weights by which copies are made small,
        as those of `ae.restore.resizing`. Other sizes compile nothing that takes long, and rows are computed a few at a
        time. Raises InputError for hints that a model does not take, and for points outside.
        """
        asked = None if hints is None else self._hints(hints, gray)
        height, width = gray.shape
        sizes = self.working_sizes(height, width)
        answers = [self._answer(gray, size, number, asked, shrink) for number, size in enumerate(sizes)]
        colours = _mean_colours(answers, _made_small(gray, sizes[-1], interpolation)[..., None])
        if asked is not None and len(asked.rows):
            size = working_size(self.trained.config, height, width, HINTED_PIXELS)
            finer = _made_small(gray, size, interpolation)[..., None]
            colours = _finer_colours(colours, finer, hint_cells(asked, gray, size))
        return _in_strips(colours, gray)

    def _answer(
        self,
        gray: np.ndarray,
        size: tuple[int, int],
        number: int,
        hints: Hints | None,
        shrink: Callable[[int, int], np.ndarray],
    ) -> jax.Array:
        """Return the chroma [h, w, 2] of luma [H, W] that the model answers to its copy of a number and a size."""
        seen = _made_small(gray, size, shrink)[..., None]
        cells = None if hints is None else hint_cells(hints, gray, size)
        reference = self.references[min(number, len(self.references) - 1)] if self.references else None
        return _answered_chroma(*self._model, seen, self.look, cells, reference)

    def working_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return the sizes of the copies of an upright photograph that the model sees, the smallest first.

        One that has learnt from photographs sees two, and the mean of its answers counts.
        """
        both = isinstance(self.trained.config.training_task, ColorizePhotograph)
        counts = (self.pixels,) if self.pixels else (PIXELS, FINER_PIXELS) if both else (PIXELS,)
        return list(dict.fromkeys(working_size(self.trained.config, height, width, pixels) for pixels in counts))

    def film_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which the model sees an upright frame of a film."""
        return working_size(self.trained.config, height, width, self.pixels or FILM_PIXELS)

    def with_reference(self, rgb: np.ndarray) -> "Colorizer":
        """Return a colorizer that takes the colours of what is alike in another picture, RGB [H, W, 3] in [0, 1].

        Raises InputError where the model takes no hints, which they are given as.
        """
        self.check_takes_hints()
        copies = [resized(jnp.asarray(rgb), size) for size in self.working_sizes(*rgb.shape[:2])]
        return replace(self, references=tuple(_reference_of(*self._model, copy) for copy in copies))

    @property
    def _film_reference(self) -> Reference | None:
        """Return the reference picture at the size that is nearest to that of a film's frames."""
        return self.references[0] if self.references else None

    def __post_init__(self) -> None:
        if self.vivid and not self.answers_vividly:
            raise InputError(f"{self.trained.config.name} has no livelier colours: take another model, or a saturation")

    @property
    def takes_hints(self) -> bool:
        """Return whether the model has learnt from hints."""
        return bool(getattr(self.trained.config.model, "hints", False))

    @property
    def answers_vividly(self) -> bool:
        """Return whether the model answers with livelier chroma as well."""
        return bool(getattr(self.trained.config.model, "vivid", False))

    def check_takes_hints(self) -> None:
        """Raise InputError where the model has not learnt from hints."""
        if not self.takes_hints:
            raise InputError(f"{self.trained.config.name} has not learnt from hints: take another model")

    def _hints(self, hints: Hints | Sequence[Point], gray: np.ndarray) -> Hints:
        self.check_takes_hints()
        return hints if isinstance(hints, Hints) else hints_at(hints, gray)

    @property
    def look(self) -> Look:
        """Return what is wanted of the colours."""
        return Look(self.saturation, self.vivid, float(self.white_balance))

    @property
    def _model(self) -> tuple[Config, Any]:
        return self.trained.config.compile_key, self.trained.variables


def _made_small(gray: np.ndarray, working: tuple[int, int], weights: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """Return luma [H, W] in [0, 1] at working size, [h, w], by weights of its rows and columns."""
    rows, columns = (weights(*lengths) for lengths in zip(gray.shape, working, strict=True))
    return np.clip(rows @ (gray @ columns.T), 0, 1)


def _in_strips(colours: Colours, gray: np.ndarray) -> np.ndarray:
    """Return RGB [H, W, 3] in [0, 1] for luma [H, W] of an image, computed a few rows at a time."""
    height, width = gray.shape
    if colours.chroma.shape[:2] == gray.shape:
        return np.asarray(rgb_of(colours, gray))
    (upper, share), lines = neighbours(colours.chroma.shape[0], height), max(1, STRIP // width)
    rgb = np.empty((height, width, 3), np.float32)
    for first in range(0, height, lines):
        start = min(first, max(0, height - lines))  # strips of one shape: the last overlaps the one before it
        strip = slice(start, start + lines)
        rgb[strip] = rgb_of(colours, gray[strip], (upper[strip], share[strip]))
    return rgb


@dataclass(frozen=True)
class _ToRgb:
    """A stage that gives luma in [0, 1] its colours, in uint8 or floats."""

    colorizer: Colorizer
    dtype: np.dtype
    steady: float = 0.0  # share of the colours of the frame before, where luma agrees

    def init(self, first: Batch) -> Before | tuple[()]:
        working = self.colorizer.film_size(*first.luma.shape[1:])
        return devices.replicate(before_first(working)) if self.steady else ()

    def step(self, state: Before | tuple[()], batch: Batch) -> tuple[Before | tuple[()], Batch]:
        before: Before | None = None
        if isinstance(state, Before):
            before, rgb = self.colorizer.steady_frames(batch.luma, Steady(state, batch.shots, self.steady))
        else:
            rgb = self.colorizer.frames(batch.luma)
        return before or (), batch._replace(rgb=_to_uint8(rgb) if self.dtype == np.uint8 else rgb)


@jax.jit
def _to_uint8(x: jax.Array) -> jax.Array:
    return jnp.round(255 * x).astype(jnp.uint8)


def _checked_luma(frame: np.ndarray, number: int, size: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return luma [H, W] in [0, 1] of a frame, which has to have the first one's size and dtype."""
    channels = 3 if frame.ndim == 3 else None
    try:
        check_range(frame, "[H, W] or [H, W, 3]", ndim=3 if channels else 2, channels=channels)
    except InputError as error:
        raise InputError(f"frame {number}: {error}") from error
    if (frame.shape[:2], frame.dtype) != (size, dtype):
        found, wanted = f"{frame.shape[:2]} of {frame.dtype}", f"{size} of {dtype}"
        raise InputError(f"frame {number} is {found}, the first {wanted}: frames are of one size and dtype")
    values = frame.astype(np.float32) / np.float32(255 if dtype == np.uint8 else 1)
    return luma(values)[..., 0] if channels else values
