"""Colour for clips: what is read goes through a model in batches and is written, all three at the same time."""

import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ae.colorize import BATCH_SIZE, Colorizer
from ae.errors import InputError
from ae.files import written_whole
from ae.interrupts import deferred_interrupts
from ae.progress import bar
from ae.stages import Frame, background, in_batches
from ae.video.clips import SUFFIXES, Clip
from ae.video.steadiness import Steadiness
from ae.video.writer import Check, ClipWriter, checked


class Report(NamedTuple):
    """What became of a clip."""

    path: Path  # that was written; where a check failed, not the one that was asked for
    checks: list[Check]
    lost: list[str]  # what could not be read of the source, a line each
    steadiness: Steadiness

    @property
    def passed(self) -> bool:
        """Whether what was written is what ought to be."""
        return all(check.passed for check in self.checks)


class CheckFailedError(InputError):
    """A clip was written, but is not what it ought to be; `report` says where it is kept, and what is wrong."""

    def __init__(self, report: Report) -> None:
        wrong = "; ".join(f"{c.name}: {c.found}, not {c.wanted}" for c in report.checks if not c.passed)
        super().__init__(f"{report.path} failed the check: {wrong}")
        self.report = report


def colorize_clip(
    source: Path,
    target: Path,
    colorizer: Colorizer,
    *,
    batch_size: int = BATCH_SIZE,
    seconds: float | None = None,
    most_pixels: int | None = None,
    beside: bool = False,
    codec: str | None = None,
    options: dict[str, str] | None = None,
    say: Callable[[str], None] = print,
) -> Report:
    """Gives a clip colour, and keeps its luma, frames, times and all other streams; then checks what was written.

    `seconds`: only so many from its beginning. `most_pixels`: that a frame may have. `beside`: gray and coloured side by
    side. `codec`, `options`: of the encoder. `say` is told what the container cannot hold, before the first frame.
    Raises InputError where the source cannot be read or the target not be written, with nothing left of it, and
    CheckFailedError, with the clip kept as NAME.failed.SUFFIX.
    """
    check_apart(source, target)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"{target} has no suffix of a clip; there are {', '.join(SUFFIXES)}")
    with closing(Clip(source, seconds, most_pixels=most_pixels)) as clip, written_whole(target) as temporary:
        with closing(ClipWriter(temporary, clip, codec=codec, options=options, beside=beside)) as writer:
            for line in writer.left_out:
                say(line)
            steadiness = _write_frames(clip, writer, colorizer, batch_size)
        report = Report(target, list(checked(temporary, clip, writer)), clip.lost + writer.lost, steadiness)
        if not report.passed:
            report = report._replace(path=target.with_stem(f"{target.stem}.failed"))
            os.replace(temporary, report.path)
            raise CheckFailedError(report)
    return report


def check_apart(source: Path, target: Path) -> None:
    """Raises InputError where the target is the source, or there is no folder for it."""
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target} is the input itself: name another output")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent} to write {target.name} to")


def _write_frames(clip: Clip, writer: ClipWriter, colorizer: Colorizer, batch_size: int) -> Steadiness:
    steadiness, compute = Steadiness(), partial(colorizer.planes, coding=clip.coding)
    coloured = background(in_batches(compute, background(clip, 2 * batch_size), batch_size), batch_size)
    with (
        closing(coloured),
        deferred_interrupts() as interrupted,
        bar(clip.path.name, clip.count, unit="frame") as progress,
    ):
        for item in coloured:
            if interrupted.is_set():
                raise KeyboardInterrupt
            writer.write(item)
            if isinstance(item, Frame):
                steadiness.add(item.outputs.samples)
                progress.update()
        writer.finish()
    return steadiness
