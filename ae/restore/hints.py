"""Colours that a person names at points of a picture, and how they reach what is computed at working size."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.sparse.linalg import cg

from ae.color import rgb_to_chroma
from ae.errors import InputError

Point = tuple[float, float, str]  # row, column, "#rrggbb"

POINT = 4  # pixels to each side of a point that belong to its hint
SAME_REGION = 0.1  # difference of luma up to which they do
PAINTED = 0.02  # difference of chroma from which a pixel of an opaque picture counts as painted
NEAR = 1.5  # cells of the working size: standard deviation of how far a correction spreads
LIKE = 0.1  # the same for luma
WINDOW = 3  # cells to each side that it reaches
ROUNDS = 3  # of corrections
FIRM = 100.0  # how much hints count against smoothness when colours are carried on
LOOSE = 16.0  # how much the model's answer does, in all cells together
HELD = 100.0  # how much more it does far from hints
ALIKE = 0.014  # standard deviation of luma within which pixels have one colour
ALIKE_CHROMA = 0.011  # the same for the model's chroma
AROUND = 0.17  # of the shorter side: standard deviation of how far from hints colours are smoothed
APART = (1, 4, 16)  # pixels, in height and width, between those that are to have one colour
STEPS = (0, *APART, *(-pixels for pixels in APART))
MOVES = np.array([move for move in product(STEPS, STEPS) if any(move)])  # to all of them


@dataclass(frozen=True)
class Hints:
    """Colours at pixels of a picture."""

    rows: np.ndarray  # [N], integers
    columns: np.ndarray  # [N], integers
    chroma: np.ndarray  # Cb, Cr [N, 2]
    size: tuple[int, int]  # height and width of the picture

    def scaled(self, size: tuple[int, int]) -> "Hints":
        """Return the hints for a picture of another size."""
        rows, columns = (
            np.minimum((at + 0.5) * target / source, target - 1).astype(int)
            for at, source, target in zip((self.rows, self.columns), self.size, size, strict=True)
        )
        return Hints(rows, columns, self.chroma, size)


class TimedHints(NamedTuple):
    """Hints for a clip from some time on, until the scene is cut or there are others."""

    start: float  # seconds from the beginning of the clip
    hints: Hints


def no_hints(size: tuple[int, ...]) -> Hints:
    """Return that there are none in a picture of a size [H, W]."""
    nowhere = np.empty(0, int)
    return Hints(nowhere, nowhere, np.empty((0, 2), np.float32), (size[0], size[1]))


def hints_at(points: Sequence[Point], gray: np.ndarray) -> Hints:
    """Return the hints of points (row, column, "#rrggbb") of luma [H, W] in [0, 1].

    Pixels next to a point belong to its hint where their luma is nearly the same. Raises InputError for points outside of
    the picture, and for colours that are written in another way.
    """
    if not points:
        raise InputError("there is no hint: name at least one (row, column, colour)")
    rows, columns, chroma = (
        np.concatenate(values) for values in zip(*(_around(point, gray) for point in points), strict=True)
    )
    height, width = gray.shape
    return Hints(rows, columns, chroma, (height, width))


def _around(point: Point, gray: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    row, column, colour = point
    height, width = gray.shape
    if not (0 <= row < height and 0 <= column < width):
        raise InputError(f"the hint at row {row:g}, column {column:g} is outside of the picture, {height}x{width}")
    row, column = int(row), int(column)
    top, left = max(0, row - POINT), max(0, column - POINT)
    part = gray[top : row + POINT + 1, left : column + POINT + 1]
    rows, columns = np.nonzero(np.abs(part - gray[row, column]) <= SAME_REGION)
    return top + rows, left + columns, np.broadcast_to(chroma_of(colour), (len(rows), 2))


def chroma_of(colour: str) -> np.ndarray:
    """Return Cb and Cr [2] of a colour, "#rrggbb". Raises InputError for other strings."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise InputError(f"a colour is written as in #aabbcc, not {colour!r}")
    return np.asarray(rgb_to_chroma(jnp.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])))


def hints_in(rgb: np.ndarray, alpha: np.ndarray | None, original: np.ndarray | None = None) -> Hints:
    """Return the hints that a picture [H, W, 3] in [0, 1] has: its pixels that are not transparent.

    `alpha`: [H, W] in [0, 1]. One that is opaque everywhere is the photograph itself painted over: its hints are the pixels
    whose chroma is another than that of the `original`, [H, W, 3] of the same size, or than gray's. Raises InputError where
    there are none.
    """
    chroma = np.asarray(rgb_to_chroma(jnp.asarray(rgb)))
    if alpha is not None and alpha.min() < 0.5:
        there = alpha >= 0.5
        problem = "all of its pixels are transparent"
    else:
        before = 0 if original is None else np.asarray(rgb_to_chroma(jnp.asarray(original)))
        there = np.linalg.norm(chroma - before, axis=-1) > PAINTED
        problem = "no pixel is transparent, and none has another colour than the photograph"
    if not there.any():
        raise InputError(f"there is no hint: {problem}")
    rows, columns = np.nonzero(there)
    height, width = there.shape
    return Hints(rows, columns, chroma[there], (height, width))


def hint_cells(hints: Hints, gray: np.ndarray, working: tuple[int, int]) -> np.ndarray:
    """Return hints for the cells of the working size: mean Cb and Cr, 1 where there are any, mean luma; [h, w, 4].

    `gray`: luma [H, W] in [0, 1] of the picture.
    """
    hints = hints if hints.size == gray.shape else hints.scaled(gray.shape)
    rows, columns = (
        at * small // size for at, size, small in zip((hints.rows, hints.columns), gray.shape, working, strict=True)
    )
    values = np.column_stack([hints.chroma, np.ones(len(rows)), gray[hints.rows, hints.columns]])
    cells = np.zeros((*working, 4))
    np.add.at(cells, (rows, columns), values)
    count = cells[..., 2:3].copy()
    return (cells / np.maximum(count, 1)).astype(np.float32)


def carried_on(chroma: jax.Array, asked: jax.Array, there: jax.Array, small: jax.Array) -> jax.Array:
    """Return chroma [h, w, 2] that is what hints ask for, and carries that on as far as luma `small` [h, w, 1] is smooth.

    The smoothest chroma of Levin, Lischinski and Weiss ("Colorization using optimization", 2004), but that it may change
    where the model's `chroma` does too, is to be near that, and far from hints changes as that does. Pixels further apart
    are to be alike as well (as in Chen, Li and Tang, "KNN matting", 2012), so that colours reach like things behind an
    edge. `asked`: chroma of the hints [h, w, 2]. `there`: 1 where there are any [h, w, 1].
    """
    chroma, asked, there, small = (jnp.moveaxis(x, -1, 0) for x in (chroma, asked, there, small))  # faster as planes
    far = _far(there)
    ties, trusted = _ties(chroma, small, far)
    loose = (LOOSE + HELD * far) / small.size
    firm = FIRM * there + loose
    wanted = FIRM * there * asked + loose * chroma + _smoothness(chroma, ties * trusted)
    found, _ = cg(
        lambda c: firm * c + _smoothness(c, ties),
        wanted,
        x0=chroma,
        maxiter=sum(small.shape[1:]) // 2,  # what hints ask for has to get across
        tol=1e-5,
        M=lambda c: c / (firm + ties.sum(axis=0)),
    )
    return jnp.moveaxis(found, 0, -1)


def _ties(chroma: jax.Array, small: jax.Array, far: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return how much each pixel is to be like the one a move away, and how far from hints both are: [moves, 1, h, w]."""
    looks = jnp.concatenate([small / ALIKE, chroma / ALIKE_CHROMA])
    others, there, others_far = (_padded(x) for x in (looks, jnp.ones_like(small), far))

    def tie(move: jax.Array) -> tuple[jax.Array, jax.Array]:
        unlike = jnp.square(looks - _moved(others, move)).sum(axis=0, keepdims=True)
        nearness = 1 / jnp.sqrt(jnp.abs(move).max())
        return nearness * _moved(there, move) * jnp.exp(-0.5 * unlike), 0.5 * (far + _moved(others_far, move))

    return lax.map(tie, MOVES)


def _smoothness(c: jax.Array, ties: jax.Array) -> jax.Array:
    """Return the gradient of half the sum of squared changes, each times its tie [moves, 1, h, w]: [C, h, w] -> the same."""
    padded = _padded(c)

    def add(total: jax.Array, tied: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        move, tie = tied
        return total + tie * (c - _moved(padded, move)), None

    return lax.scan(add, jnp.zeros_like(c), (jnp.asarray(MOVES), ties))[0]


def _padded(x: jax.Array) -> jax.Array:
    return jnp.pad(x, ((0, 0), (max(APART), max(APART)), (max(APART), max(APART))))


def _moved(padded: jax.Array, move: jax.Array) -> jax.Array:
    """Return of each pixel of what `_padded` has padded the one that lies a move away; 0 outside of the picture."""
    channels, height, width = padded.shape
    size = channels, height - 2 * max(APART), width - 2 * max(APART)
    return lax.dynamic_slice(padded, (0, move[0] + max(APART), move[1] + max(APART)), size)


def _far(there: jax.Array) -> jax.Array:
    """Return [1, h, w]: 1 far from all hints, 0 where there are many."""
    reach = AROUND * min(there.shape[1:])
    places = (jnp.arange(length) / reach for length in there.shape[1:])
    rows, columns = (jnp.exp(-0.5 * jnp.square(at[:, None] - at)) for at in places)
    return jnp.exp(-(rows @ there @ columns))


def correction(asked: jax.Array, chroma: jax.Array, small: jax.Array, cells: jax.Array) -> jax.Array:
    """Return what to add to chroma [h, w, 2], for the colours at hints to be those that were asked for: [h, w, 2].

    `chroma`: what is answered for the luma of each cell's hints. `small`: luma [h, w, 1]. `cells`: see `hint_cells`. It
    spreads to near cells of like luma, and where hints disagree the nearer one counts more.
    """
    there = cells[..., 2:3]
    total = jnp.zeros_like(chroma)
    for _ in range(ROUNDS):
        total = total + _spread(there * (asked - chroma - total), there, cells[..., 3:4], small)
    return total


def _spread(error: jax.Array, there: jax.Array, luma: jax.Array, small: jax.Array) -> jax.Array:
    """Return means of errors [h, w, 2] at hints, weighted by distance and by luma; far from any they fall to 0."""
    height, width, _ = small.shape
    parts = jnp.pad(jnp.concatenate([error, there, luma], axis=-1), ((WINDOW, WINDOW), (WINDOW, WINDOW), (0, 0)))
    sums, weights = jnp.zeros_like(error), jnp.zeros_like(there)
    for row in range(2 * WINDOW + 1):
        for column in range(2 * WINDOW + 1):
            part = parts[row : row + height, column : column + width]
            distance = ((row - WINDOW) ** 2 + (column - WINDOW) ** 2) / NEAR**2
            unlike = jnp.square((part[..., 3:] - small) / LIKE) if distance else 0.0
            weight = part[..., 2:3] * jnp.exp(-0.5 * (distance + unlike))
            sums, weights = sums + weight * part[..., :2], weights + weight
    return sums / jnp.maximum(weights, 1)
