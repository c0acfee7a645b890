"""How a clip is written to a container: by the encoder that fits, with all streams that it takes, which trials tell."""

from contextlib import closing
from itertools import product
from typing import Any, NamedTuple

from ae.errors import InputError
from ae.media.clips.encoders import Encoding, encodings
from ae.media.clips.formats import ERRORS, can_decode, reason
from ae.media.clips.reading import Clip
from ae.media.clips.streams import AUDIO, Way, encodes, ways
from ae.media.clips.trial import Form, OutOfStepError, Trials

ELSEWHERE = Form(".mkv", "matroska")  # named where a container does not take something, if it does


class Plan(NamedTuple):
    """How a clip is to be written."""

    encoding: Encoding
    others: dict[int, Way]  # by the number of the source's stream
    left_out: list[str]  # names of streams
    remarks: list[str]  # what is left out or not as it was, a line each


def planned(
    clip: Clip,
    form: Form,
    *,
    codec: str | None = None,
    options: dict[str, str] | None = None,
    audio: str = "copy",
    side_by_side: bool = False,
) -> Plan:
    """Return how a clip can be written. Raises InputError where no encoder takes its frames, with what would work."""
    tried = list(encodings(clip, form.suffix, codec=codec, options=options))
    wanted, errors = tried[0], []
    with closing(Trials(clip, side_by_side=side_by_side)) as trials:
        for strict, encoding in product((True, False), tried):
            try:
                if error := trials.error(form, encoding, {}):
                    raise error
                plan = Plan(encoding, {}, [], _instead(clip, form, wanted, encoding))
                return _with_others(trials, form, plan, audio, strict=strict)
            except ERRORS as error:
                errors.append(error)
        hint = _hint(clip, trials, form, wanted, given=codec is not None or options is not None)
    raise InputError(f"{_cannot(clip, form, wanted)} ({reason(errors[0])}){hint}")


def _instead(clip: Clip, form: Form, wanted: Encoding, encoding: Encoding) -> list[str]:
    """Return a line where an encoding is not the one that is looked for."""
    pixels = f" in {encoding.pixels}" * (encoding.pixels != wanted.pixels)
    line = f"{_cannot(clip, form, wanted)}: it is written with {encoding.codec}{pixels}"
    return [line] * (encoding[:2] != wanted[:2])


def _cannot(clip: Clip, form: Form, encoding: Encoding) -> str:
    (height, width), subsampling = clip.size, clip.coding.subsampling
    odd = " (odd)" * bool(height % subsampling[0] or width % subsampling[1])
    return f"{encoding.codec} cannot write {width}x{height}{odd} in {encoding.pixels} to {form.suffix}"


def _hint(clip: Clip, trials: Trials, form: Form, wanted: Encoding, *, given: bool) -> str:
    """Return what would work."""
    for other in dict.fromkeys((form, ELSEWHERE)):
        for encoding in (wanted, *encodings(clip, other.suffix)):
            if not trials.error(other, encoding, {}):
                freely = " without --codec and --encoder-options" * (given and encoding != wanted)
                return f"; {other.suffix} takes it{freely}, with {encoding.codec}"
    return ""


def _with_others(trials: Trials, form: Form, plan: Plan, audio: str, *, strict: bool) -> Plan:
    """Return the plan with all streams that the container takes, and a line for each that it does not, or not as it is.

    `strict`: raises OutOfStepError where they are not at their times beside such pictures; else the check will tell.
    """
    choices = {index: ways(stream, trials.packets[index], audio) for index, stream in trials.streams.items()}
    best = {index: choice[0] for index, choice in choices.items()}
    if not trials.error(form, plan.encoding, best):
        return plan._replace(others=best)
    for index, choice in choices.items():
        way = next((way for way in choice if _is_taken(trials, form, plan, index, way, strict=strict)), None)
        plan = _with_stream(trials, form, plan, index, way, audio)
    return plan


def _is_taken(trials: Trials, form: Form, plan: Plan, index: int, way: Way, *, strict: bool) -> bool:
    """Return whether a stream can go along that way, beside those of a plan."""
    error = trials.error(form, plan.encoding, plan.others | {index: way})
    if isinstance(error, OutOfStepError) and strict:
        raise error
    return error is None or isinstance(error, OutOfStepError)


def _with_stream(trials: Trials, form: Form, plan: Plan, index: int, way: Way | None, audio: str) -> Plan:
    """Return the plan with a stream, or without it, and said."""
    name, others = stream_name(trials.streams[index]), plan.others if way is None else plan.others | {index: way}
    what = f"{form.suffix} cannot hold {name}, which is"
    if way is None:
        line = f"{what} left out{_keeper(trials, form, plan, index)}"
        return plan._replace(left_out=[*plan.left_out, name], remarks=[*plan.remarks, line])
    lines = [f"{what} encoded anew as {audio}"] * encodes(way)
    return plan._replace(others=others, remarks=[*plan.remarks, *lines])


def _keeper(trials: Trials, form: Form, plan: Plan, index: int) -> str:
    """Return what would keep a stream."""
    stream, found = trials.streams[index], []
    for codec in AUDIO:
        choice = [way for way in ways(stream, [], codec) if encodes(way)]
        if choice and not trials.error(form, plan.encoding, {index: choice[0]}):
            found.append(f"--audio {codec} keeps it")
            break
    copies = ways(stream, trials.packets[index])
    if form != ELSEWHERE and any(not trials.error(ELSEWHERE, plan.encoding, {index: way}) for way in copies):
        found.append(f"{ELSEWHERE.suffix} can hold it")
    return f"; {', '.join(found)}" if found else ""


def stream_name(stream: Any) -> str:
    """Return a stream by its type, number and coding."""
    known = stream.codec_context.codec.canonical_name if can_decode(stream) else getattr(stream, "name", None)
    known = known or ("time code" if "timecode" in stream.metadata else "of unknown coding")
    return f"the {stream.type} stream {stream.index} ({known})"
