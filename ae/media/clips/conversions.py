"""Colour or less noise for clips: the stages that frames go through, and what these need to know of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ae.color import Coding
from ae.media.clips.pipeline import MOST_NAMED, Change, Report, change_clip
from ae.media.clips.reading import Clip
from ae.media.clips.settings import DEFAULTS, ClipSettings
from ae.media.clips.times import format_time
from ae.media.clips.work import fingerprint
from ae.media.pictures import scaling_remarks
from ae.media.stages.colour import Chroma
from ae.media.stages.noise import Noise, clip_noise
from ae.media.stages.statistics import ClipStatistics, Statistics, clip_statistics
from ae.restore.colorize import Colorizer
from ae.restore.denoise import Denoiser
from ae.restore.footage import Kind, Shot, begun, read_shots, with_given, with_kinds, write_shots
from ae.restore.hints import TimedHints
from ae.restore.restoration import Restoration
from ae.restore.shots import with_shots
from ae.runtime.chain import Frame, Stage, States


def colorize_clip(
    source: Path,
    target: Path,
    colorizer: Colorizer,
    settings: ClipSettings = DEFAULTS,
    *,
    restoration: Restoration | None = None,
    hints: Sequence[TimedHints] = (),
    log: Callable[[str], None] = print,
) -> Report:
    """Give a clip colour, and keep its luma, frames, times and all other streams (see `change_clip`).

    Shots that are in colour keep it, unless the settings say otherwise, and black, white and title frames stay gray.

    `restoration`: what is done to noise; where it is not kept, luma is written without it. `hints`: colours at points, in
    any order of their times. Raises InputError where the model takes no hints and there are some, and where a table of shots
    cannot be read.
    """
    moved = [timed._replace(start=timed.start - settings.start) for timed in hints]
    named = tuple(sorted(moved, key=lambda timed: timed.start))
    if named:
        colorizer.check_takes_hints()

    shots = settings.shots
    given = read_shots(shots) if shots is not None and shots.exists() else []
    found: list[Shot] = []

    def items(clip: Clip) -> Iterable[Any]:
        if given:
            return with_given(clip, given, clip.origin)
        if settings.recolour and shots is None and settings.sheet is None:
            return shots_of(clip) if restoration is not None or named or settings.steady else clip
        known = with_kinds(shots_of(clip), clip.coding, found)
        return (recoloured(item) for item in known) if settings.recolour else known

    def stages(clip: Clip, written: Coding) -> Sequence[Stage]:
        chroma = Chroma(colorizer, written, named, settings.steady, clip.coding.subsampling)
        return *cleaning(restoration, clip, written), chroma, Statistics()

    def finished(clip: Clip, states: States) -> ClipStatistics:
        if restoration is not None:
            log(clip_noise(states[0]).summary)
        for timed in named[states[-2].named.given :] if named else ():
            log(f"the hints at {format_time(timed.start + settings.start)} come after the last frame")
        for line in [*shot_remarks(found, clip.origin, settings.recolour), *late_remarks(given, clip)]:
            log(line)
        if shots is not None and not given:
            write_shots(shots, found, clip.origin)
            log(f"{len(found)} shots: {shots}")
        return clip_statistics(states[-1])

    planes = ("cb", "cr") if restoration is None or restoration.keep_grain else ("luma", "cb", "cr")
    sent = ("luma",) if settings.recolour and not given else ("luma", "cb", "cr")
    made_with = fingerprint("colour", colorizer, restoration, named, given)

    def remarks(clip: Clip) -> Sequence[str]:
        upright = clip.size[::-1] if clip.coding.turns % 2 else clip.size
        return scaling_remarks([timed.hints for timed in named], upright)

    change = Change(stages, sent, planes, finished, items, made_with, remarks)
    return change_clip(source, target, change, settings, log=log)


def shots_of(clip: Clip) -> Iterator[Any]:
    """Yield a clip's items, frames with the number of their shot."""
    return with_shots(clip, 2**clip.coding.bits)


def recoloured(item: Any) -> Any:
    """Return an item of a clip, a frame in colour as if it were gray."""
    return item._replace(kind=int(Kind.GRAY)) if isinstance(item, Frame) and item.kind == Kind.COLOUR else item


def shot_remarks(shots: Sequence[Shot], origin: float, recolour: bool) -> Iterator[str]:
    """Yield a line on the shots that keep their colours, unless they get new ones, and one on those that lose a tint.

    `origin`: the time from which theirs count.
    """
    kept = [shot for shot in shots if shot.kind == Kind.COLOUR and not recolour]
    tinted = [shot for shot in shots if shot.what == "tinted"]
    for some, what in ((kept, "are in colour and keep it"), (tinted, "are gray with a tint, which goes")):
        if some:
            yield f"{len(some)} of {len(shots)} shots {what}, from {_starts(some, origin)} on"


def late_remarks(given: Sequence[Shot], clip: Clip) -> Iterator[str]:
    """Yield a line where shots that a person has named begin after the last frame that was read."""
    late = given[begun(given, float(clip.times[-1][0]) - clip.origin) :]
    if late:
        yield f"{len(late)} of {len(given)} shots come after the last frame, from {_starts(late, 0.0)} on"


def _starts(shots: Sequence[Shot], origin: float) -> str:
    starts = ", ".join(format_time(shot.start - origin) for shot in shots[:MOST_NAMED])
    return starts + f" and {len(shots) - MOST_NAMED} more" * (len(shots) > MOST_NAMED)


def cleaning(restoration: Restoration | None, clip: Clip, written: Coding) -> Sequence[Stage]:
    """Return the stages that take noise from a clip's luma before it is coloured."""
    if restoration is None:
        return ()
    return (Noise(_denoiser_for(clip, restoration.denoiser), clip.coding, written, aside=restoration.keep_grain),)


def _denoiser_for(clip: Clip, denoiser: Denoiser) -> Denoiser:
    height, width = clip.size
    return replace(denoiser, to_come=(clip.count or 0) * height * width)


def denoise_clip(
    source: Path,
    target: Path,
    denoiser: Denoiser,
    settings: ClipSettings = DEFAULTS,
    *,
    sigma: float | None = None,
    strength: float = 1.0,
    log: Callable[[str], None] = print,
) -> Report:
    """Take the noise from a clip, and keep its frames, times and all other streams (see `change_clip`).

    `sigma` and `strength`: as for `Denoiser.denoise`.
    """

    def stages(clip: Clip, written: Coding) -> Sequence[Stage]:
        return (Noise(_denoiser_for(clip, denoiser), clip.coding, written, sigma, strength),)

    planes, made_with = ("luma", "cb", "cr"), fingerprint("noise", denoiser, sigma, strength)
    change = Change(stages, planes, planes, lambda _, states: clip_noise(states[-1]), shots_of, made_with)
    return change_clip(source, target, change, settings, log=log)
