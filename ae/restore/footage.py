"""Mixed footage: which shots of a film are gray and are to be coloured, and which have colours that they keep."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ae.color import Coding
from ae.errors import InputError
from ae.restore.blocks import block_means
from ae.restore.tint import GRAY, SIDE, VISIBLE, tint_of_planes
from ae.runtime.chain import Frame
from ae.runtime.files import write_text

LOOK = 8  # frames of a shot that are looked at before it is known what it is
COLUMNS_SEEN = 160  # of luma, about, that tell whether a frame is a title
NEAR = 0.06  # difference of luma up to which pixels are alike
GROUND = 0.7  # share of pixels that the ground of a title has, at least
STROKES = 0.2  # edges for each of the others: letters are thin
DARK = 0.15  # luma up to which a ground is dark, and from 1 less that on bright
SPECKS = 0.002  # share of the pixels that a ground alone may lack
BINS = 32  # of luma
LATEST = 3  # looks that decide
WIDE = 2.5 / 255  # spread that no tint has; below it,
LEAST_SHARE = 0.22  # of chroma has to be unexplained: strong tints leave an eighth where edges are
VIVID = 0.15  # chroma that tints do not reach
EVERY = 4  # frames of which one is looked at, once it is known what the shot is


class Kind(IntEnum):
    """What a frame is, which says what becomes of it."""

    GRAY = 0  # perhaps with a tint: it is coloured
    COLOUR = 1  # it keeps its colours
    BLANK = 2  # black, white, or a title: it has no colours


class Seen(NamedTuple):
    """What is seen of a frame."""

    kind: Kind  # that it is by itself
    spread: float  # of chroma around a tint: root mean square
    tint: float  # its strength: root mean square


class Shot(NamedTuple):
    """A shot of a film, with what was decided, and why."""

    start: float  # in seconds
    kind: Kind
    spread: float  # of chroma around a tint: medians of what was seen (see `Seen`)
    tint: float

    @property
    def what(self) -> str:
        """Return the kind in a word; gray with a tint that is seen is told apart."""
        return "tinted" if self.kind == Kind.GRAY and self.tint > VISIBLE else self.kind.name.lower()


def with_own_kind(frame: Frame, coding: Coding) -> Frame:
    """Return a clip's frame with its kind as its luma alone tells it: blank, or gray."""
    return frame._replace(kind=int(Kind.BLANK if is_blank(frame, coding) else Kind.GRAY))


def seen(frame: Frame, coding: Coding) -> Seen:
    """Look at a clip's frame (see `with_own_kind`)."""
    blank = frame.kind == Kind.BLANK
    if not frame.cb.size:
        return Seen(Kind(frame.kind), 0.0, 0.0)
    planes = frame.cb, frame.cr
    down, right = (max(1, length // SIDE) for length in frame.cb.shape)
    height, width = len(frame.cb) // down, frame.cb.shape[1] // right
    chroma = np.stack(
        [_chroma(block_means(plane, (height, width), (down, right)), coding) for plane in planes], axis=-1
    )
    rows, columns = coding.subsampling
    gray = _luma(np.round(block_means(frame.luma, (height, width), (rows * down, columns * right))).astype(int), coding)
    tint = tint_of_planes(gray, chroma)
    spreads = tint.spread >= min(WIDE, max(GRAY, LEAST_SHARE * tint.strength))
    colours = spreads or (blank and _has_vivid(planes, coding))
    return Seen(Kind.COLOUR if colours else Kind(frame.kind), tint.spread, tint.strength)


def _has_vivid(planes: tuple[np.ndarray, np.ndarray], coding: Coding) -> bool:
    """Return whether some chroma is stronger than tints are: coloured letters, whose chroma follows from luma as well."""
    cb, cr = (_chroma(plane[::2, ::2], coding) for plane in planes)
    return bool(np.quantile(np.hypot(cb, cr), 1 - SPECKS) > VIVID)


@cache
def _luma_of_codes(coding: Coding) -> np.ndarray:
    return np.asarray(coding.luma(jnp.arange(coding.largest + 1)))


def _luma(codes: np.ndarray, coding: Coding) -> np.ndarray:
    """Return what `Coding.luma` returns; for a few pixels, many times faster."""
    return _luma_of_codes(coding)[codes]


def _chroma(codes: np.ndarray, coding: Coding) -> np.ndarray:
    """Return what `Coding.chroma` returns, likewise."""
    return (codes.astype(np.float32) - 2 ** (coding.bits - 1)) / coding.chroma_scale


def is_blank(frame: Frame, coding: Coding) -> bool:
    """Return whether a frame has one ground alone, or a dark or bright ground and letters on it."""
    step = max(1, frame.luma.shape[1] // COLUMNS_SEEN)
    gray = _luma(frame.luma[::step, ::step], coding)
    ground = _mode(gray)
    others = np.abs(gray - ground) > NEAR
    count = int(others.sum())
    if count < SPECKS * gray.size:
        return True
    edges = int((others[:, 1:] != others[:, :-1]).sum())
    return count < (1 - GROUND) * gray.size and not DARK < ground < 1 - DARK and edges > STROKES * count


def _mode(values: np.ndarray) -> float:
    """Return the luma that most have, about."""
    bins = np.minimum(BINS * values, BINS - 1).astype(np.uint8)  # many times faster than np.histogram
    return float(values[bins == np.bincount(bins.ravel()).argmax()].mean())


def with_kinds(items: Iterable[Any], coding: Coding, shots: list[Shot]) -> Iterator[Any]:
    """Yield a clip's items, frames among them with their kind; their shots are known. Shots are added to a list.

    What a shot is follows from its first LOOK frames, which are held. One that turns out to have colours keeps them from
    there on: dark frames of a scene that fades in have none.
    """
    waiting: deque[Any] = deque()
    looks: deque[Seen] = deque(maxlen=LOOK)
    current, since = -1, 0

    def release() -> Iterator[Any]:
        if looks and len(shots) <= current:
            start = next(item.time for item in waiting if isinstance(item, Frame))
            shots.append(_shot(start, looks))
        while waiting:
            item = waiting.popleft()
            coloured = isinstance(item, Frame) and shots[-1].kind == Kind.COLOUR
            yield item._replace(kind=int(Kind.COLOUR)) if coloured else item

    for item in items:
        if not isinstance(item, Frame):
            waiting.append(item)
            continue
        if item.shot != current:
            yield from release()
            looks.clear()
            current, since = item.shot, 0
        frame, since = with_own_kind(item, coding), since + 1
        waiting.append(frame)
        if since <= LOOK or since % EVERY == 0:
            looks.append(seen(frame, coding))
            if since > LOOK and shots[-1].kind != Kind.COLOUR:
                shots[-1] = _shot(shots[-1].start, looks)
        if since >= LOOK:
            yield from release()
    yield from release()


def _shot(start: float, looks: Iterable[Seen]) -> Shot:
    """Return a shot by what was seen of it last: before that another may fade out, or it fades in."""
    last = list(looks)[-LATEST:]
    spread, tint = (float(np.median([getattr(look, name) for look in last])) for name in ("spread", "tint"))
    kinds = [look.kind for look in last]
    return Shot(start, max(kinds, key=kinds.count), spread, tint)


def with_given(items: Iterable[Any], shots: list[Shot], origin: float) -> Iterator[Any]:
    """Yield a clip's items, frames among them with shots and kinds as a person has named them.

    `origin`: the time from which theirs count.
    """
    for item in items:
        if not isinstance(item, Frame):
            yield item
            continue
        number = max(0, begun(shots, item.time - origin) - 1)
        yield item._replace(shot=number, kind=int(shots[number].kind))


def begun(shots: Sequence[Shot], time: float) -> int:
    """Return how many shots have begun at a time."""
    return sum(shot.start <= time + 1e-4 for shot in shots)


COLUMNS = ("start", "what", "spread", "tint")


def write_shots(path: Path, shots: list[Shot], origin: float) -> None:
    """Write shots as a table that can be edited and read again: seconds, what they are, and the two numbers that say so."""
    rows = [f"{shot.start - origin:.3f},{shot.what},{255 * shot.spread:.2f},{255 * shot.tint:.2f}" for shot in shots]
    write_text(path, "\n".join([",".join(COLUMNS), *rows, ""]))


def read_shots(path: Path) -> list[Shot]:
    """Read shots as `write_shots` writes them; the two numbers may be left out.

    Raises InputError where it is no such table, and where times do not grow.
    """
    try:
        reader = csv.DictReader(path.read_text().splitlines())
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of shots: {error}") from error
    shots = [_row(path, number, row) for number, row in rows]
    if not shots:
        raise InputError(f"{path} has no shots: its first line is {','.join(COLUMNS)}, and each other one is a shot")
    for (number, _), (before, after) in zip(rows[1:], pairwise(shots), strict=True):
        if after.start <= before.start:
            times = f"at {after.start:.10g} s, not after the one before it, which starts at {before.start:.10g} s"
            raise InputError(f"{path}, line {number}: the shot starts {times}")
    return shots


WORDS = {kind.name.lower(): kind for kind in Kind} | {"tinted": Kind.GRAY}


def _row(path: Path, number: int, row: dict[str, str]) -> Shot:
    what, start = (row.get("what") or "").strip(), row.get("start") or ""
    if what not in WORDS:
        raise InputError(f"{path}, line {number}: a shot is {', '.join(WORDS)}, not {what!r}")
    try:
        seconds = float(start)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise InputError(f"{path}, line {number}: a shot starts at a number of seconds, not {start!r}")
    return Shot(seconds, WORDS[what], 0.0, 0.0)
