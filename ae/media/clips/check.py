"""A written clip beside its source: frames, their times, and what goes along with them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from ae.media.clips.formats import TEXT
from ae.media.clips.reading import Clip
from ae.media.clips.streams import COVER
from ae.media.clips.times import format_time

EDITS = Fraction(1, 1000)  # seconds: in which MP4's edit lists count, that say when a stream starts
Key = tuple[str, int]  # a stream's type, and how many of that type come before it: its number may change


class Check(NamedTuple):
    """A property of a written clip, as it is expected and as it is."""

    name: str
    expected: str
    actual: str
    passed: bool


@dataclass
class Tally:
    """Packets of a stream: their number and bytes, and when the first starts and the last ends, in seconds."""

    packets: int = 0
    size: int = 0
    start: Fraction | None = None
    end: Fraction | None = None
    length: Fraction = Fraction(0)  # of its longest packet
    base: Fraction = Fraction(0)  # its clock

    def add(self, packet: Any) -> None:
        """Count a packet."""
        self.packets += 1
        self.size += packet.size
        if packet.pts is None or not packet.time_base:
            return
        self.base = Fraction(packet.time_base)
        start, length = packet.pts * self.base, (packet.duration or 0) * self.base
        self.start = start if self.start is None else min(self.start, start)
        self.end = start + length if self.end is None else max(self.end, start + length)
        self.length = max(self.length, length)


@dataclass
class Contents:
    """Frames and streams of a file; times in seconds."""

    times: list[Fraction] = field(default_factory=list)  # of the frames
    end: Fraction = Fraction(0)  # of the last
    last: Fraction = Fraction(0)  # its duration
    tick: Fraction = Fraction(0)  # the clock of the frames
    streams: dict[Key, Tally] = field(default_factory=dict)  # all others


def read_contents(file: Any) -> Contents:
    """Return what is in a clip, a path or a file in memory, without decoding it. Raises what PyAV raises."""
    contents = Contents()
    with av.open(str(file.absolute()) if isinstance(file, Path) else file, **TEXT) as container:
        keys = stream_keys(container.streams)
        sizes = {s.index: len(s.data) if s.type == "attachment" else 0 for s in container.streams}
        contents.streams = {keys[index]: Tally(size=size) for index, size in sizes.items()}
        for packet in container.demux():
            if packet.size and (key := keys.get(packet.stream.index)):
                contents.streams[key].add(packet)
                if key == ("video", 0) and packet.pts is not None:
                    start, length = (Fraction(ticks * packet.time_base) for ticks in (packet.pts, packet.duration or 0))
                    contents.times.append(start)
                    contents.end, contents.last = max((contents.end, contents.last), (start + length, length))
    contents.tick = contents.streams.pop(("video", 0), Tally()).base
    contents.times.sort()
    return contents


def stream_keys(streams: Any) -> dict[int, Key]:
    """Return how each stream is known, by its number; covers come after moving pictures."""
    numbers, keys = Counter[str](), {}
    for stream in sorted(streams, key=lambda stream: bool(stream.disposition & COVER)):
        keys[stream.index] = (stream.type, numbers[stream.type])
        numbers[stream.type] += 1
    return keys


def check_clip(file: Any, clip: Clip, writer: Any, *, luma: bool = True) -> Iterator[Check]:
    """Yield the checks of a written clip against its source: frames and their times, and the other streams.

    `luma`: also that it is the source's.
    """
    contents, first = read_contents(file), clip.times[0][0]
    shown = contents.times[0] if contents.times else Fraction(0)
    if luma:
        same = f"all but {writer.altered}" if writer.altered else "all frames"
        yield Check(f"luma equal before encoding{writer.luma_conditions}", "all frames", same, not writer.altered)
    yield _equal("frames", len(clip.times), len(contents.times))
    apart = [abs(a[0] - first - b + shown) for a, b in zip(clip.times, contents.times)]  # noqa: B905 (counted above)
    yield _near("times of frames", Fraction(0), max(apart, default=Fraction(0)), contents.tick)
    last, duration = clip.times[-1]
    ends = (
        last + duration - first,
        contents.end - shown,
    )  # not every container and source says where the last frame ends
    passed = abs(ends[0] - ends[1]) <= max(contents.tick, duration, contents.last)
    yield Check("duration", format_time(ends[0]), format_time(ends[1]), passed)
    for index, (name, unit, expected) in writer.expected.items():
        tally = contents.streams.get(writer.keys[index], Tally())
        yield from _stream_checks(name, unit, expected, tally, first, shown, contents.tick)


def _stream_checks(
    name: str, unit: str, expected: Tally, actual: Tally, first: Fraction, shown: Fraction, tick: Fraction
) -> Iterator[Check]:
    """Check what goes along: as much as the source has, at the same time beside the pictures."""
    if unit == "bytes":  # PCM, which containers cut anew
        yield _equal(f"{name}, bytes", expected.size, actual.size)
    elif unit == "packets":
        yield _equal(f"{name}, packets", expected.packets, actual.packets)
    if expected.start is None or actual.start is None or expected.end is None or actual.end is None:
        return
    allowed = time_tolerance(tick, expected, actual)
    if unit == "seconds":  # encoded anew, in frames of another length, and with some silence before the first
        allowed += 2 * max(actual.length, expected.length)
        yield _near(f"{name}, duration", expected.end - expected.start, actual.end - actual.start, allowed)
    yield _near(f"{name}, start after the picture's", expected.start - first, actual.start - shown, allowed)


def time_tolerance(tick: Fraction, *streams: Tally) -> Fraction:
    """Return how far apart times may be: the coarsest clock that had a hand in them."""
    return max(tick, EDITS, *(stream.base for stream in streams))


def _equal(name: str, expected: int, actual: int) -> Check:
    return Check(name, str(expected), str(actual), expected == actual)


def _near(name: str, expected: Fraction, actual: Fraction, allowed: Fraction) -> Check:
    within = f"{float(expected):.4f} s within {float(allowed):.2g} s"
    return Check(name, within, f"{float(actual):.4f} s", abs(expected - actual) <= allowed)
