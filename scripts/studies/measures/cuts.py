"""How well cuts are found: where clips are joined, as that is known, and within clips of one shot, which have none."""

from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ae.errors import InputError
from ae.report.markdown import Cell, Table, tabulate

SIZE = (180, 320)  # to which frames of joined clips are reduced
WHITE = 2**8  # of their luma, as of a clip's of 8 bits
FADE = 12  # frames in which both clips are seen
NEAR = 12  # frames between a fade's middle and the cut that is found for it, at most

Frames = np.ndarray  # luma, uint8 [T, h, w]


class Looked(NamedTuple):
    """A clip that was looked through alone."""

    name: str
    frames: Frames  # of SIZE
    cuts: list[float]  # seconds from its beginning


class Join(NamedTuple):
    """Two clips as one, and what was found in it."""

    names: tuple[str, str]
    place: int  # the frame that begins the second clip, or the middle of the fade
    near: int  # frames from there at which a cut is still right
    cuts: list[int]  # frames that were found to begin a shot

    @property
    def is_found(self) -> bool:
        """Return whether a cut was found where it is right."""
        return any(abs(cut - self.place) <= self.near for cut in self.cuts)


def looked_at(path: Path, limit: int | None) -> Looked:
    """Return a clip's frames, and its cuts at its own size. Raises InputError where it is too short to be joined."""
    from ae.media.clips.coding import planes
    from ae.media.clips.reading import Clip
    from ae.restore.shots import with_shots
    from ae.runtime.chain import Frame

    clip, frames, cuts = Clip(path), [], []
    taken = islice((item for item in clip if isinstance(item, Frame)), limit)
    for frame in with_shots(taken, 2**clip.coding.bits):
        small = frame.source.reformat(width=SIZE[1], height=SIZE[0], format="yuv420p", interpolation="AREA")
        frames.append(planes(small)[0].copy())
        if frame.shot > len(cuts):
            cuts.append(float(frame.time) - clip.origin)
    if len(frames) < FADE:
        raise InputError(f"{path} has {len(frames)} frames: {FADE} or more are needed")
    return Looked(path.stem, np.stack(frames), cuts)


def joined(one: Looked, other: Looked) -> Join:
    """Return what is found in two clips that are joined by a cut."""
    found = cuts_in(np.concatenate([one.frames, other.frames]))
    return Join((one.name, other.name), len(one.frames), 0, found)


def faded(one: Looked, other: Looked) -> Join:
    """Return what is found in two clips that are joined by a cross fade: of the last frames into the first."""
    share = np.linspace(0, 1, FADE + 2)[1:-1, None, None]
    mixed = np.round((1 - share) * one.frames[-FADE:] + share * other.frames[:FADE]).astype(np.uint8)
    found = cuts_in(np.concatenate([one.frames[:-FADE], mixed, other.frames[FADE:]]))
    return Join((one.name, other.name), len(one.frames) - FADE // 2, NEAR, found)


def cuts_in(frames: Frames) -> list[int]:
    """Return the numbers of frames that begin a shot, but for the first."""
    from ae.restore.shots import with_shots
    from ae.runtime.chain import Frame

    shots = [frame.shot for frame in with_shots((Frame(luma, None) for luma in frames), WHITE)]
    return [number for number, (before, after) in enumerate(pairwise(shots), 1) if after > before]


def cuts_table(by_cut: Sequence[Join], by_fade: Sequence[Join], alone: Sequence[Looked]) -> Table:
    """Return the table of what was found in clips that are joined, and in each alone."""
    inside = [f"{clip.name} at {', '.join(f'{second:.2f}' for second in clip.cuts)} s" for clip in alone if clip.cuts]
    title = (
        "Cuts found in clips of one shot: joined in all orders of two, and alone, where there is none to be found. Of a cut "
        f"the very frame is to be found, of a cross fade of {FADE} frames one at most {NEAR} from its middle."
        + (f" Found in clips alone: {'; '.join(inside)}." if inside else "")
    )
    rows = [
        row_of("joined by a cut", by_cut),
        row_of("joined by a cross fade", by_fade),
        {"clips": "alone", "number": len(alone), "cuts": 0, "found elsewhere": sum(len(clip.cuts) for clip in alone)},
    ]
    return tabulate(title, DIGITS, rows)


DIGITS = {
    "clips": None,
    "number": None,
    "cuts": None,
    "found": None,
    "found elsewhere": None,
    "recall": 3,
    "precision": 3,
}


def row_of(name: str, joins: Sequence[Join]) -> dict[str, Cell]:
    """Return the row of clips that were joined in one way."""
    found, every = sum(join.is_found for join in joins), sum(len(join.cuts) for join in joins)
    counts = {"clips": name, "number": len(joins), "cuts": len(joins), "found": found, "found elsewhere": every - found}
    return {**counts, "recall": found / len(joins), "precision": found / every if every else None}
