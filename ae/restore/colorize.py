"""Colour for gray frames of any size: computed small, brought to full size along the edges of luma, luma untouched.

A model sees a small copy of a frame (its working size), which is what it was trained on and what it costs. Its chroma is
brought to full size as a guided filter does it (He, Sun and Tang, "Guided image filtering", 2010; on small copies: He and
Sun, "Fast guided filter", 2015): around every point chroma is taken to be a line in luma, whose slope and offset are smooth
and can be enlarged without blurring an edge.
"""

from dataclasses import dataclass
from functools import cache, partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae.color import BT601, Coding, into_gamut, rgb_to_chroma, ycbcr_to_rgb
from ae.config import Config
from ae.errors import InputError
from ae.layers.conv import compiled_quickly
from ae.models import input_shape
from ae.models.apply import apply
from ae.restore.weights import Pretrained, check_range
from ae.runtime import devices
from ae.runtime.chain import Frame, in_batches

PIXELS = 1800  # of the working size: models that have learnt from small images know large shapes by their outlines
RADIUS = 1  # of the guided filter's windows, in pixels of the working size
FLATNESS = 1e-3  # variance of luma below which a window counts as flat, and its chroma as constant
BATCH_SIZE = 8
SAMPLES = 256  # most rows and columns of pixels that are looked at for flicker
STRIP = 2**20  # pixels of an image that are brought to full size at a time


class Colours(NamedTuple):
    """What a model says of a frame at working size; around each pixel chroma is `slope * luma + offset`, roughly."""

    chroma: jax.Array  # [h, w, 2]
    slope: jax.Array  # [h, w, 2]
    offset: jax.Array  # [h, w, 2]


Rows = tuple[Any, Any]  # see `neighbours`


class Planes(NamedTuple):
    """What is computed of the luma of a clip's frames."""

    cb: jax.Array  # [B, h, w], integers in the clip's coding
    cr: jax.Array  # [B, h, w]
    samples: jax.Array  # some of the frames' pixels at regular places, RGB [B, h', w', 3] in [0, 1]


def working_size(config: Config, height: int, width: int, pixels: int = PIXELS) -> tuple[int, int]:
    """The size at which a model sees a frame: about so many pixels in the frame's shape, in multiples of 8.

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
    try:
        jax.eval_shape(config.model.init, jax.random.key(0), jnp.zeros((1, *size, 1)))
    except InputError:
        return False
    return True


def colours(
    config: Config,
    variables: Any,
    small: jax.Array,
    saturation: jax.Array | float,
    *,
    weights: tuple[float, float, float] = BT601,
    turns: int = 0,
) -> Colours:
    """What a model says of a small frame [h, w, 1] in [0, 1], whose luma has these weights; upright after `turns`."""
    with compiled_quickly():
        upright = jnp.rot90(small, turns)[None]
        rgb = apply(config.model, variables, upright, **config.numerics, train=False)[0]
    chroma = saturation * rgb_to_chroma(jnp.rot90(rgb, -turns))
    if weights != BT601:  # which models have learned from
        chroma = rgb_to_chroma(ycbcr_to_rgb(small, chroma), weights)
    mean_luma, mean_chroma = window_mean(small), window_mean(chroma)
    variance = window_mean(small * small) - mean_luma * mean_luma
    slope = (window_mean(small * chroma) - mean_luma * mean_chroma) / (variance + FLATNESS)
    offset = mean_chroma - slope * mean_luma
    return Colours(chroma, window_mean(slope), window_mean(offset))


def full_chroma(
    found: Colours, gray: jax.Array, weights: tuple[float, float, float] = BT601, rows: Rows | None = None
) -> jax.Array:
    """Chroma [2, H, W] for luma [H, W] in [0, 1] of the frame, or of a part of its rows.

    `rows`: the part of `neighbours(h, H)`. Planes are many times faster on a CPU than pixels of two channels.
    """
    if rows is None and found.chroma.shape[:2] == gray.shape:
        return into_gamut(gray[None], jnp.moveaxis(found.chroma, -1, 0), weights, axis=0)
    upper, share = neighbours(found.slope.shape[0], gray.shape[0]) if rows is None else rows
    columns = interpolation(found.slope.shape[1], gray.shape[1])
    lines = jnp.moveaxis(jnp.concatenate([found.slope, found.offset], -1), -1, 0) @ columns.T  # [4, h, W]
    above, below = lines[:, upper], lines[:, jnp.minimum(jnp.asarray(upper) + 1, lines.shape[1] - 1)]
    slope, offset = jnp.split(above + (below - above) * jnp.asarray(share)[:, None], 2)
    return into_gamut(gray[None], slope * gray + offset, weights, axis=0)


def neighbours(source: int, target: int) -> Rows:
    """For each of so many rows, the upper of the two of the source that it lies between, and how near it is to the lower."""
    places = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    upper = np.minimum(places.astype(np.int32), max(0, source - 2))
    return upper, (places - upper).astype(np.float32)


def window_mean(x: jax.Array) -> jax.Array:
    """Means over the window around each pixel, as far as it lies in the image: [H, W, C] -> the same."""
    size = 2 * RADIUS + 1
    padded = jnp.pad(x, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge")
    rows = reduce(jnp.add, (padded[i : i + x.shape[0]] for i in range(size)))
    return reduce(jnp.add, (rows[:, i : i + x.shape[1]] for i in range(size))) / size**2


def interpolation(source: int, target: int) -> np.ndarray:
    """Weights [target, source] that bring so many values to another number: straight lines, or averages where it is less."""
    places = (np.arange(target) + 0.5) * source / target - 0.5
    distances = np.abs(places[:, None] - np.arange(source)) / max(1, source / target)
    weights = np.maximum(0, 1 - distances)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def sampled(x: jax.Array) -> jax.Array:
    """Pixels at regular places, at most `SAMPLES` rows and columns: [H, W, ...] -> [h, w, ...]."""
    step = -(-max(x.shape[:2]) // SAMPLES)
    return x[::step, ::step]


def resized(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """An image [H, W, C] at another size."""
    rows, columns = (interpolation(*lengths) for lengths in zip(x.shape[:2], size, strict=True))
    return jnp.einsum("hH,HWc,wW->hwc", rows, x, columns)


def shrunk_fields(x: jax.Array, subsampling: tuple[int, int]) -> jax.Array:
    """What `shrunk` makes of each of the two fields of [H, W], line by line in turn."""
    fields = [shrunk(x[first::2], subsampling) for first in range(2)]
    lines = jnp.stack([jnp.resize(field, fields[0].shape) for field in fields], axis=1)
    return lines.reshape(-1, lines.shape[2])[: -(-x.shape[0] // subsampling[0])]


def shrunk(x: jax.Array, subsampling: tuple[int, int]) -> jax.Array:
    """Means over blocks of so many rows and columns: integers [H, W] -> [ceil(H / rows), ceil(W / columns)]."""
    rows, columns = subsampling
    x = jnp.pad(x, ((0, -x.shape[0] % rows), (0, -x.shape[1] % columns)), mode="edge").astype(jnp.uint16)
    x = reduce(jnp.add, (x[first::rows] for first in range(rows)))
    x = reduce(jnp.add, (x[:, first::columns] for first in range(columns)))
    return jnp.float32(x) / (rows * columns)


@partial(jax.jit, static_argnames=("config", "working", "coding"))
def chroma_planes(
    config: Config,
    variables: Any,
    codes: jax.Array,
    saturation: float,
    *,
    working: tuple[int, int],
    coding: Coding,
) -> Planes:
    """What is computed of luma planes [B, H, W] of a clip."""
    size = working[::-1] if coding.turns % 2 else working

    def one(codes: jax.Array) -> Planes:
        shrink = shrunk_fields if coding.interlaced else shrunk
        gray = coding.luma(shrink(codes, coding.subsampling))
        small = resized(gray[..., None], size)
        found = colours(config, variables, small, saturation, weights=coding.weights, turns=coding.turns)
        chroma = full_chroma(found, gray, coding.weights)
        cb, cr = coding.chroma_codes(chroma)
        samples = ycbcr_to_rgb(sampled(gray)[None], jax.vmap(sampled)(chroma), coding.weights, axis=0)
        return Planes(cb, cr, jnp.moveaxis(samples, 0, -1))

    return jax.vmap(one)(devices.split(codes))


@partial(jax.jit, static_argnames="coding")
def shown_frames(codes: jax.Array, cb: jax.Array, cr: jax.Array, coding: Coding) -> jax.Array:
    """RGB [B, H, W, 3] in [0, 1] of a clip's planes, as a player shows them: luma [B, H, W], chroma [B, h, w] repeated."""
    chroma = jnp.stack([coding.chroma(plane) for plane in (cb, cr)], axis=-1)
    rows, columns = coding.subsampling
    full = chroma.repeat(rows, axis=1).repeat(columns, axis=2)[:, : codes.shape[1], : codes.shape[2]]
    return jnp.clip(ycbcr_to_rgb(coding.luma(codes)[..., None], full, coding.weights), 0, 1)


@partial(jax.jit, static_argnames=("config", "working"))
def rgb_frames(
    config: Config, variables: Any, gray: jax.Array, saturation: float, *, working: tuple[int, int]
) -> jax.Array:
    """RGB [B, H, W, 3] in [0, 1] for luma [B, H, W] in [0, 1]."""

    def one(gray: jax.Array) -> jax.Array:
        found = colours(config, variables, resized(gray[..., None], working), saturation)
        return rgb_of(found, gray)

    return jax.vmap(one)(devices.split(gray))


_small_colours = jax.jit(colours, static_argnames=("config", "weights", "turns"))


@jax.jit
def rgb_of(found: Colours, gray: jax.Array, rows: Rows | None = None) -> jax.Array:
    """RGB [H, W, 3] in [0, 1] for luma [H, W] of a frame, or of some of its rows (see `full_chroma`)."""
    planes = ycbcr_to_rgb(gray[None], full_chroma(found, gray, rows=rows), axis=0)
    return jnp.moveaxis(jnp.clip(planes, 0, 1), 0, -1)


@dataclass(frozen=True)
class Colorizer:
    """A trained model that maps luma to RGB, for frames of any size."""

    trained: Pretrained
    saturation: float = 1.0  # what chroma is multiplied with
    pixels: int = PIXELS  # of the working size

    def __call__(self, frames: np.ndarray, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Return RGB [T, H, W, 3] for gray frames [T, H, W]: uint8 for uint8, float32 in [0, 1] for floats in [0, 1].

        Beside the two, memory holds a batch or two of frames. Raises InputError for other shapes, dtypes and ranges.
        """
        check_range(frames, "gray frames [T, H, W]", ndim=3)
        codes = frames.dtype == np.uint8
        rgb = np.empty((*frames.shape, 3), np.uint8 if codes else np.float32)
        items = (Frame(np.asarray(frame, np.float32) / np.float32(255 if codes else 1), None) for frame in frames)
        for index, frame in enumerate(in_batches(self.frames, items, batch_size)):
            rgb[index] = np.round(255 * frame.outputs) if codes else frame.outputs
        return rgb

    def planes(self, codes: np.ndarray, coding: Coding) -> Planes:
        """What is computed of luma planes [B, H, W] of a clip."""
        height, width = codes.shape[:0:-1] if coding.turns % 2 else codes.shape[1:]
        working = working_size(self.trained.config, height, width, self.pixels)
        return chroma_planes(*self._model, codes, self.saturation, working=working, coding=coding)

    def frames(self, gray: np.ndarray) -> jax.Array:
        """RGB [B, H, W, 3] in [0, 1] for luma [B, H, W] in [0, 1]."""
        height, width = gray.shape[1:]
        working = working_size(self.trained.config, height, width, self.pixels)
        return rgb_frames(*self._model, gray, self.saturation, working=working)

    def image(self, gray: np.ndarray) -> np.ndarray:
        """RGB [H, W, 3] in [0, 1] for luma [H, W] in [0, 1]; like `frames`, for one image, however large.

        Other sizes compile nothing that takes long, and rows are computed a few at a time.
        """
        height, width = gray.shape
        working = working_size(self.trained.config, height, width, self.pixels)
        rows, columns = (interpolation(*lengths) for lengths in zip(gray.shape, working, strict=True))
        small = rows @ (gray @ columns.T)
        found = _small_colours(*self._model, small[..., None], self.saturation)
        if working == gray.shape:
            return np.asarray(rgb_of(found, gray))
        (upper, share), each = neighbours(working[0], height), max(1, STRIP // width)
        rgb = np.empty((height, width, 3), np.float32)
        for first in range(0, height, each):
            start = min(first, max(0, height - each))  # strips of one shape: the last overlaps the one before it
            strip = slice(start, start + each)
            rgb[strip] = rgb_of(found, gray[strip], (upper[strip], share[strip]))
        return rgb

    @property
    def _model(self) -> tuple[Config, Any]:
        return self.trained.config.compile_key, self.trained.variables
