"""How a clip is written to a container: by the encoder that fits, with all streams that it takes, which trials tell."""

from contextlib import closing
from itertools import product
from typing import Any, NamedTuple

from ae.errors import InputError
from ae.media.clips.encoders import Encoding, encodings
from ae.media.clips.formats import ERRORS, can_decode, reason
from ae.media.clips.reading import Clip
from ae.media.clips.settings import ClipSettings
from ae.media.clips.streams import AUDIO, StreamFactory, reencodes, stream_factories
from ae.media.clips.trial import OutOfSyncError, Target, Trials

FALLBACK = Target(".mkv", "matroska")  # named where a container does not take something, if it does


class Plan(NamedTuple):
    """Encoding of a clip's frames, and what becomes of its other streams."""

    encoding: Encoding
    others: dict[int, StreamFactory]  # by the number of the source's stream
    left_out: list[str]  # names of streams
    remarks: list[str]  # what is left out or not as it was, a line each


def make_plan(clip: Clip, target: Target, settings: ClipSettings) -> Plan:
    """Return how a clip can be written. Raises InputError where no encoder takes its frames, with what would work."""
    candidates = list(encodings(clip, target.suffix, settings))
    wanted, errors = candidates[0], []
    with closing(Trials(clip, side_by_side=settings.side_by_side)) as trials:
        for strict, encoding in product((True, False), candidates):
            try:
                if error := trials.error(target, encoding, {}):
                    raise error
                plan = Plan(encoding, {}, [], _encoding_remarks(clip, target, wanted, encoding))
                return _with_others(trials, target, plan, settings.audio, strict=strict)
            except ERRORS as error:
                errors.append(error)
        hint = _hint(clip, trials, target, wanted, given=settings.names_encoder)
    raise InputError(f"{_refusal(clip, target, wanted)} ({reason(errors[0])}){hint}")


def _encoding_remarks(clip: Clip, target: Target, wanted: Encoding, encoding: Encoding) -> list[str]:
    """Return a line where an encoding is not the one that is looked for."""
    pixels = f" in {encoding.pixels}" * (encoding.pixels != wanted.pixels)
    line = f"{_refusal(clip, target, wanted)}: it is written with {encoding.codec}{pixels}"
    return [line] * (encoding[:2] != wanted[:2])


def _refusal(clip: Clip, target: Target, encoding: Encoding) -> str:
    (height, width), subsampling = clip.size, clip.coding.subsampling
    odd = " (odd)" * bool(height % subsampling[0] or width % subsampling[1])
    return f"{encoding.codec} cannot write {width}x{height}{odd} in {encoding.pixels} to {target.suffix}"


def _hint(clip: Clip, trials: Trials, target: Target, wanted: Encoding, *, given: bool) -> str:
    """Return what would work."""
    for other in dict.fromkeys((target, FALLBACK)):
        for encoding in (wanted, *encodings(clip, other.suffix)):
            if not trials.error(other, encoding, {}):
                freely = " without --codec and --encoder-options" * (given and encoding != wanted)
                return f"; {other.suffix} takes it{freely}, with {encoding.codec}"
    return ""


def _with_others(trials: Trials, target: Target, plan: Plan, audio: str, *, strict: bool) -> Plan:
    """Return the plan with all streams that the container takes, and a line for each that it does not, or not as it is.

    `strict`: raises OutOfSyncError where they are not at their times beside such pictures; else the check will tell.
    """
    choices = {
        index: stream_factories(stream, trials.packets[index], audio) for index, stream in trials.streams.items()
    }
    best = {index: choice[0] for index, choice in choices.items()}
    if not trials.error(target, plan.encoding, best):
        return plan._replace(others=best)
    for index, choice in choices.items():
        taken = (factory for factory in choice if _accepts(trials, target, plan, index, factory, strict=strict))
        factory = next(taken, None)
        plan = _with_stream(trials, target, plan, index, factory, audio)
    return plan


def _accepts(trials: Trials, target: Target, plan: Plan, index: int, factory: StreamFactory, *, strict: bool) -> bool:
    """Return whether the container takes a stream as a factory makes it, beside those of a plan."""
    error = trials.error(target, plan.encoding, plan.others | {index: factory})
    if isinstance(error, OutOfSyncError) and strict:
        raise error
    return error is None or isinstance(error, OutOfSyncError)


def _with_stream(
    trials: Trials, target: Target, plan: Plan, index: int, factory: StreamFactory | None, audio: str
) -> Plan:
    """Return the plan with a stream, or without it, and said."""
    name, others = (
        stream_name(trials.streams[index]),
        plan.others if factory is None else plan.others | {index: factory},
    )
    what = f"{target.suffix} cannot hold {name}, which is"
    if factory is None:
        line = f"{what} left out{_keeping_hint(trials, target, plan, index)}"
        return plan._replace(left_out=[*plan.left_out, name], remarks=[*plan.remarks, line])
    lines = [f"{what} encoded anew as {audio}"] * reencodes(factory)
    return plan._replace(others=others, remarks=[*plan.remarks, *lines])


def _keeping_hint(trials: Trials, target: Target, plan: Plan, index: int) -> str:
    """Return what would keep a stream."""
    stream, found = trials.streams[index], []
    for codec in AUDIO:
        choice = [factory for factory in stream_factories(stream, [], codec) if reencodes(factory)]
        if choice and not trials.error(target, plan.encoding, {index: choice[0]}):
            found.append(f"--audio {codec} keeps it")
            break
    copies = stream_factories(stream, trials.packets[index])
    if target != FALLBACK and any(not trials.error(FALLBACK, plan.encoding, {index: factory}) for factory in copies):
        found.append(f"{FALLBACK.suffix} can hold it")
    return f"; {', '.join(found)}" if found else ""


def stream_name(stream: Any) -> str:
    """Return a stream by its type, number and coding."""
    known = stream.codec_context.codec.canonical_name if can_decode(stream) else getattr(stream, "name", None)
    known = known or ("time code" if "timecode" in stream.metadata else "of unknown coding")
    return f"the {stream.type} stream {stream.index} ({known})"
