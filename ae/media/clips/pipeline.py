"""Clips that are changed: what is read goes through a model in batches and is written, all three at a time."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import av
import jax

from ae.color import Coding
from ae.errors import CheckFailedError, InputError
from ae.media.clips.check import Check, check_clip
from ae.media.clips.reading import Clip
from ae.media.clips.settings import DEFAULTS, ClipSettings
from ae.media.clips.sheet import Sheet, write_sheet
from ae.media.clips.sidedata import dropped_side_data
from ae.media.clips.suffixes import SUFFIXES
from ae.media.clips.times import format_time
from ae.media.clips.work import Done, Work, identity, saved, sources, work_folder
from ae.media.clips.writing import ClipWriter
from ae.media.folders import Job, Outcome
from ae.media.stages.noise import ClipNoise
from ae.media.stages.statistics import ClipStatistics
from ae.runtime.chain import Checkpoint, Frame, Skipped, Stage, States, background, run
from ae.runtime.files import atomic_write, check_distinct, remove_abandoned, with_infix
from ae.runtime.interrupts import deferred_interrupts
from ae.runtime.progress import bar

SEGMENT = 240  # frames, at least, that are encoded as one
MOST_NAMED = 3  # parts that could not be read, or shots, in a line


class Report(NamedTuple):
    """Result of changing a clip: its checks and statistics, and what it is without."""

    path: Path  # that was written; where a check failed, not the one that was asked for
    checks: list[Check]
    lost: list[str]  # what could not be read of the source, a line each
    left_out: list[str]  # names of what the container, the encoder or an option leaves out
    statistics: ClipStatistics | ClipNoise

    @property
    def passed(self) -> bool:
        """Return whether what was written is what ought to be."""
        return all(check.passed for check in self.checks)

    @property
    def missing(self) -> str:
        """Return what could not be read, in short."""
        more = f" and {len(self.lost) - MOST_NAMED} more" if len(self.lost) > MOST_NAMED else ""
        return f"{'; '.join(self.lost[:MOST_NAMED])}{more}"

    @property
    def failures(self) -> str:
        """Return what the checks found."""
        return "; ".join(f"{c.name}: {c.actual}, not {c.expected}" for c in self.checks if not c.passed)

    @property
    def verdict(self) -> str:
        """Return one line: PASS, PASS without what is left out, or FAIL with what is wrong or could not be read."""
        if faults := [fault for fault in (self.failures, self.lost and f"without {self.missing}") if fault]:
            return f"FAIL {self.path}: {'; '.join(faults)}"
        return f"PASS without {', '.join(self.left_out)}: {self.path}" if self.left_out else f"PASS {self.path}"


class Change(NamedTuple):
    """What is done to the frames of a clip."""

    stages: Callable[[Clip, Coding], Sequence[Stage]]  # of a clip, and of the coding that is written
    send: tuple[str, ...]  # planes of the source that they need
    planes: tuple[str, ...]  # that they make
    finished: Callable[[Clip, States], ClipStatistics | ClipNoise]  # takes the stages' states after all frames
    items: Callable[[Clip], Iterable[Any]]  # the clip's, with what they need to know of frames
    made_with: str  # a fingerprint of models and settings
    remarks: Callable[[Clip], Sequence[str]] = lambda clip: ()  # to be known before the first frame, a line each


def change_clip(
    source: Path,
    target: Path,
    change: Change,
    settings: ClipSettings = DEFAULTS,
    *,
    log: Callable[[str], None] = print,
) -> Report:
    """Change the frames of a clip, and keep their number, times and all other streams; then check what was written.

    `log` is told what is left out or changed, before the first frame, and at the end what was done to frames and times.
    Raises InputError where the source cannot be read or the target not be written, with nothing left of it, and
    CheckFailedError, with the clip kept as NAME.failed.SUFFIX.
    """
    check_distinct(source, target)
    if target.suffix.lower() not in SUFFIXES:
        there = f"there are {', '.join(SUFFIXES)}, and numbered frames, as in frames/%06d.png"
        raise InputError(f"{target} has no suffix of a clip that is written; {there}")
    clip = Clip(source, settings)
    made = made_from(source, change, settings)
    with (
        closing(clip),
        work_folder(target, made, resume=settings.resume) as work,
        atomic_write(target) as temporary,
    ):
        remove_abandoned(target)
        writer = ClipWriter(temporary, clip, settings)
        with closing(writer):
            for line in [*writer.remarks, *change.remarks(clip), *work.remarks]:
                log(line)
            carried = set(clip.side_data)
            statistics = _write_frames(clip, writer, change, settings, work)
            late = dropped_side_data(writer.codec, clip.side_data - carried, encoder_open=True)
            for line in [*clip.notes, *late.values()]:
                log(line)
        left_out = list(dict.fromkeys([*writer.left_out, *late, *_cut_off(clip)]))
        checks = list(check_clip(temporary, clip, writer, luma="luma" not in change.planes))
        report = Report(target, checks, clip.lost + writer.lost, left_out, statistics)
        if not report.passed:
            report = report._replace(path=with_infix(target, "failed"))
            os.replace(temporary, report.path)
            work.remove()  # it would be the same again
            raise CheckFailedError(report)
    return report


def made_from(source: Path, change: Change, settings: ClipSettings) -> dict[str, Any]:
    """Return what a clip is made from, by what a person calls it."""
    options = {
        field.name: repr(getattr(settings, field.name))
        for field in fields(settings)
        if field.name not in ("shots", "sheet", "resume")
    }
    packages = {name: version(name) for name in ("jax", "jaxlib", "flax", "av")}
    return {
        "input": identity(source),
        "model or options": [change.made_with, options, settings.sheet is not None],
        "version": packages | {"ae": sources(), "device": jax.devices()[0].device_kind, "devices": jax.device_count()},
    }


def print_report(report: Report) -> None:
    """Print what was checked, what was measured, and the verdict. Raises InputError where not all could be read."""
    for check in report.checks:
        print(f"  {check.name}: {check.actual}{'' if check.passed else f', not {check.expected}'}")
    print(report.statistics.summary)
    print(report.verdict)
    if report.passed and report.lost:
        raise InputError(f"{report.path} is without {report.missing}, which could not be read")


def _cut_off(clip: Clip) -> list[str]:
    """Return what a preview leaves out."""
    whole, end = clip.container.duration, clip.skipped + (clip.seconds or 0)
    is_cut = clip.seconds is not None and (not whole or whole > end * av.time_base)
    before = [f"what comes before {format_time(clip.skipped)}"] * bool(clip.skipped)
    return [*before, *[f"what follows {format_time(end)}"] * is_cut]


def change_clips(jobs: list[Job], convert: Callable[..., Report]) -> Generator[tuple[Job, Outcome]]:
    """Change clips, one after the other; `convert(source, target, log=...)` does one. Yields what became of each."""
    for job in jobs:
        lines: list[str] = []
        try:
            report = convert(job.source, job.target, log=lines.append)
        except InputError as error:
            yield job, Outcome(tuple(lines), error=error)
        else:
            yield job, Outcome((*lines, *[report.verdict] * (not report.lost)), tuple(report.lost))


def _write_frames(
    clip: Clip, writer: ClipWriter, change: Change, settings: ClipSettings, work: Work
) -> ClipStatistics | ClipNoise:
    """Write all frames in segments, those first that are done already; return what the stages know after the last."""
    stages, states = change.stages(clip, writer.coding), ()
    sheet = None if settings.sheet is None else Sheet(writer.coding, clip.origin)
    how: dict[str, Any] = {"send": change.send, "fetch": change.planes, "done": work.done}
    with run_stages(clip, change.items(clip), stages, settings.batch_size, **how) as items:
        for item in items:
            if isinstance(item, Skipped):
                segment = work.done.passed()
                if segment:
                    writer.write_again(segment)
                if sheet:
                    sheet.pass_by(item.frame)
                    sheet.thumbnails |= segment.thumbnails if segment else {}
            elif isinstance(item, Checkpoint):
                states = item.states
                if writer.waiting >= SEGMENT:
                    work.add(writer.end_segment(saved(states), sheet.taken() if sheet else {}))
            else:
                writer.write(item)
                if sheet and isinstance(item, Frame):
                    sheet.add(item)
        writer.finish()
    if sheet and settings.sheet:
        write_sheet(settings.sheet, sheet.thumbnails)
    return change.finished(clip, states)


@contextmanager
def run_stages(
    clip: Clip,
    given: Iterable[Any],
    stages: Sequence[Stage],
    batch_size: int,
    *,
    fetch: Sequence[str],
    send: Sequence[str] = ("luma",),
    done: Done | None = None,
) -> Iterator[Iterator[Frame | av.Packet | Checkpoint | Skipped]]:
    """Give what `ae.runtime.chain.run` makes of a clip's frames, and its packets, with a bar; Ctrl-C ends it between two.

    Reading, the stages and whoever takes them work at the same time. `given`: the clip's items. `done`: segments whose
    frames pass the stages by.
    """
    frames = background(done.skipped(given) if done else given, 2 * batch_size)
    states = done.states if done else None
    items = background(run(stages, frames, batch_size, send=send, fetch=fetch, states=states), batch_size)
    with (
        closing(frames),  # which nobody takes any more once the items are closed
        closing(items),
        deferred_interrupts() as interrupted,
        bar(clip.path.name, clip.count, unit="frame") as progress,
    ):

        def watched() -> Iterator[Frame | av.Packet | Checkpoint | Skipped]:
            for item in items:
                if interrupted.is_set():
                    raise KeyboardInterrupt
                yield item
                progress.update(isinstance(item, Frame | Skipped))

        yield watched()
