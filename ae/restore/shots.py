"""Shots of a film: where the scene is cut, found while frames go by, a few frames behind.

A frame is compared with the one before it by small copies: block by block at the best of some shifts, so that motion and a
camera that pans are no cut, in luma that is brought to the same mean and contrast everywhere, so that light is none; and by
the shares of dark and bright pixels, which hardly depend on motion.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae.camera import soften
from ae.restore.blocks import block_means
from ae.runtime.chain import Frame

ROWS, COLUMNS = 54, 96  # of the small copies, about
BLOCK = 9  # rows and columns that move together
SHIFTS = (3, 6)  # rows and columns that they move at most
WIDTH = 4.0  # of the window in which mean and contrast are taken, in pixels of the small copy
FLOOR = 0.06  # of contrast, which noise has as well
BINS = 32  # of luma
FAR = 2.5  # standard deviations from the mean luma that they reach
FLAT = 0.2  # detail of evened luma below which differences count less
CUT = 0.82  # unlikeness from which on two frames are of different scenes
BLANK = 0.02  # standard deviation of luma up to which a frame shows nothing
FLASH = 3  # frames that one takes at most, and what comes after it
RISE = 1.05  # by which contrast grows from frame to frame while a scene fades in
AHEAD = 6  # frames that are looked ahead, for fades
HALFWAY = 0.4  # of a fade: by how much its middle differs from the mean of its ends, of which motion is far away
LESS_DETAIL = 0.9  # than its ends have, in the middle of a fade


class Glance(NamedTuple):
    """What is kept of a frame to compare it with others."""

    small: np.ndarray  # luma [h, w] in [0, 1]
    soft: np.ndarray  # the same, blurred, so that motion does little
    even: np.ndarray  # of the same mean and contrast everywhere
    shares: np.ndarray  # of pixels by luma [BINS]
    contrast: float  # standard deviation of luma
    detail: float  # that of what is finer than the blurred copy

    @property
    def is_blank(self) -> bool:
        """Return whether it shows nothing."""
        return self.contrast < BLANK


def glance(gray: np.ndarray, white: float = 1.0) -> Glance:
    """Return what is kept of a frame's luma [H, W], whose white is that."""
    down, right = (max(1, size // most) for size, most in zip(gray.shape, (ROWS, COLUMNS), strict=True))
    size = len(gray) // down, gray.shape[1] // right
    small = block_means(gray, size, (down, right)) / np.float32(white)
    contrast = float(small.std())
    bins = BINS * (0.5 + (small - small.mean()) / (2 * FAR * (contrast + FLOOR)))
    inside = bins[(bins >= 0) & (bins < BINS)].astype(int)
    counts = np.bincount(inside, minlength=BINS)  # many times faster than np.histogram
    soft, even = map(np.asarray, _evened(small))
    shares = (counts / small.size).astype(np.float32)
    return Glance(small, soft, even, shares, contrast, float((small - soft).std()))


@jax.jit
def _evened(small: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the mean around each pixel, and the difference from it in units of the deviation around."""
    mean, square = jnp.split(soften(jnp.stack([small, small * small], axis=-1), WIDTH), 2, axis=-1)
    contrast = jnp.sqrt(jnp.maximum(square - mean * mean, 0))
    return mean[..., 0], (small - mean[..., 0]) / (contrast[..., 0] + FLOOR)


def is_other_scene(one: Glance, other: Glance) -> bool:
    """Return whether two frames are of different scenes.

    Their unlikeness is about .2 for neighbours in a shot, and about 1.3 for frames of two scenes. Where they hardly differ
    without motion, none has to be found.
    """
    shares = _other_shares(one, other)
    unmoved = np.abs(one.even - other.even).mean() / (np.abs(one.even).mean() + FLAT)
    return unmoved + shares > CUT and float(_moved(one.even, other.even)) + shares > CUT


def _other_shares(one: Glance, other: Glance) -> float:
    return float(np.abs(one.shares - other.shares).sum())


@jax.jit
def _moved(one: jax.Array, other: jax.Array) -> jax.Array:
    """Return what is left of the difference of two frames [h, w] when each block has moved to where it fits best."""
    down, right = SHIFTS
    height, width = one.shape
    padded = jnp.pad(other, ((down, down), (right, right)), mode="edge")
    best = jnp.full((-(-height // BLOCK), -(-width // BLOCK)), jnp.inf)
    for row in range(2 * down + 1):
        for column in range(2 * right + 1):
            difference = jnp.abs(one - padded[row : row + height, column : column + width])
            best = jnp.minimum(best, _block_sums(difference))
    return best.sum() / one.size / (jnp.abs(one).mean() + FLAT)


def _block_sums(values: jax.Array) -> jax.Array:
    height, width = values.shape
    padded = jnp.pad(values, ((0, -height % BLOCK), (0, -width % BLOCK)))
    return padded.reshape(-(-height // BLOCK), BLOCK, -(-width // BLOCK), BLOCK).sum(axis=(1, 3))


class ShotFinder:
    """Tells of each frame whether it begins a shot, once those that follow it are known."""

    def __init__(self) -> None:
        self._past: deque[Glance] = deque(maxlen=AHEAD)
        self._clear: Glance | None = None  # the last frame that showed something
        self._after_blank = False
        self._rising = False  # the picture becomes clearer, after a blank one
        self._since = 10**9  # frames since the last cut

    def begins(self, frame: Glance, following: list[Glance]) -> bool:
        """Return whether a frame begins a shot; `following`: up to AHEAD frames after it. Call it for each in turn."""
        self._rising &= bool(self._past) and frame.contrast > RISE * self._past[-1].contrast
        begins = bool(self._past) and self._is_cut(frame, following)
        self._rising |= self._after_blank
        self._since = 0 if begins else self._since + 1
        if frame.is_blank:
            self._after_blank = True
        else:
            self._after_blank, self._clear = False, frame
        self._past.append(frame)
        return begins

    def _is_cut(self, frame: Glance, following: list[Glance]) -> bool:
        if frame.is_blank:
            return False
        if self._after_blank:  # the scene is another where it is clear, which it is a few frames later
            later = next((glance for glance in reversed(following) if not glance.is_blank), frame)
            return self._clear is not None and is_other_scene(self._clear, later)
        if not self._rising and not self._is_falling(frame, following) and is_other_scene(self._past[-1], frame):
            # and what is around it, or it is a flash
            pairs = product(list(self._past)[-FLASH:], [frame, *following[: FLASH - 1]])
            return all(is_other_scene(*pair) for pair in pairs if not any(glance.is_blank for glance in pair))
        return self._since >= 2 * AHEAD and self._is_halfway(frame, following)

    def _is_falling(self, frame: Glance, following: list[Glance]) -> bool:
        """Return whether a scene fades out."""
        ends_blank = any(glance.is_blank for glance in following)
        return ends_blank and RISE * frame.contrast < self._past[-1].contrast

    def _is_halfway(self, frame: Glance, following: list[Glance]) -> bool:
        """Return whether one scene fades into another, and this is the middle."""
        around = [*self._past, *following]
        if len(around) < 2 * AHEAD or any(glance.is_blank for glance in around):
            return False
        if frame.detail > LESS_DETAIL * (self._past[0].detail + following[-1].detail) / 2:
            return False
        first, last = self._past[0].soft, following[-1].soft
        distance = np.sqrt(np.square(last - first).mean())
        off = np.sqrt(np.square(frame.soft - (first + last) / 2).mean())
        return bool(off < HALFWAY * distance) and is_other_scene(self._past[0], following[-1])


def with_shots(items: Iterable[Any], white: float) -> Iterator[Any]:
    """Yield items, frames among them with the number of their shot, from 0 on; a frame is held until AHEAD more are there.

    `white`: of the frames' luma.
    """
    finder, number = ShotFinder(), 0
    waiting: deque[Any] = deque()
    glances: deque[Glance] = deque()

    def release() -> Iterator[Any]:
        nonlocal number
        current = glances.popleft()
        number += finder.begins(current, list(glances))
        yield waiting.popleft()._replace(shot=number)
        while waiting and not isinstance(waiting[0], Frame):
            yield waiting.popleft()

    for item in items:
        if not waiting and not isinstance(item, Frame):
            yield item
            continue
        waiting.append(item)
        if isinstance(item, Frame):
            glances.append(glance(item.luma, white))
        if len(glances) > AHEAD:
            yield from release()
    while glances:
        yield from release()
