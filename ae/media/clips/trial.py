"""What a container takes, which it is asked before the first frame: with real packets, in memory, to the end of the file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import av

from ae.media.clips.check import Contents, Tally, read_contents, time_tolerance
from ae.media.clips.coding import planes
from ae.media.clips.encoders import Encoding, bits_of
from ae.media.clips.formats import ERRORS, open_clip_at
from ae.media.clips.output import Output, close_quietly, in_memory
from ae.media.clips.reading import USUAL_RATE, Clip
from ae.media.clips.streams import Encoded, StreamFactory
from ae.media.clips.times import MIN_INTERVAL, time_of

COUNT = 4  # frames and packets of each stream that a container is tried with
MANY = 100  # frames of which the times are looked at
MOST_BYTES = 2**25  # that are read for it


class Target(NamedTuple):
    """Container format that a clip is to be written to."""

    suffix: str
    name: str  # of the format, in FFmpeg


class OutOfSyncError(ValueError):
    """A stream is in the file, but not at its time beside the pictures."""


class Trials:
    """A clip's first packets, with which containers are asked; to be closed after that."""

    def __init__(self, clip: Clip, *, side_by_side: bool = False) -> None:
        self._clip, self._side_by_side = clip, side_by_side
        self._source = open_clip_at(clip.path, clip.skipped)
        self.streams = {stream.index: stream for stream in self._source.streams}
        self.packets: dict[int, list[av.Packet]] = {index: [] for index in self.streams}
        self._known: list[Fraction] = []  # times of frames, in the order of decoding
        self._read()
        self._times = self._frame_times()
        del self.streams[clip.video.index], self.packets[clip.video.index]

    def _read(self) -> None:
        size = 0
        try:
            for packet in self._source.demux():
                size += packet.size
                found = self.packets.get(packet.stream.index, [])
                if self._clip.is_before(time_of(packet)):
                    continue
                if packet.stream.index == self._clip.video.index and packet.pts is not None:
                    self._known.append(Fraction(packet.pts * packet.time_base))
                if packet.size and len(found) < COUNT:
                    found.append(packet)
                enough = all(len(found) == COUNT for found in self.packets.values()) and len(self._known) > MANY
                if enough or size > MOST_BYTES:
                    return
        except ERRORS:  # will be said when the clip is read
            return

    def _frame_times(self) -> list[Fraction]:
        """Return times for a few frames, as far apart as the first of the source."""
        known, rate = sorted(self._known[:COUNT]), Fraction(self._clip.video.average_rate or USUAL_RATE)
        if len(known) > 1 and all(after - before >= MIN_INTERVAL for before, after in pairwise(known)):
            return known
        return [self._clip.times[0][0] + index / rate for index in range(COUNT)]

    def _check_clock(self, clock: Fraction) -> None:
        """Raise ValueError where a clock that only counts frames has no times for those of the source."""
        known = sorted(set(self._known))[:MANY]  # as what comes between may follow later
        slips = (abs(round((time - known[0]) / clock) * clock - time + known[0]) for time in known)
        if clock != self._clip.time_base and max(slips, default=Fraction(0)) > clock / 4:
            raise ValueError("it knows no times but the numbers of frames")

    def error(self, target: Target, encoding: Encoding, others: Mapping[int, StreamFactory]) -> Exception | None:
        """Write a short clip and read it again; return what is wrong with it, or None."""
        try:
            self._attempt(target.name, encoding, others)
        except ERRORS as error:
            return error
        return None

    def _attempt(self, name: str, encoding: Encoding, others: Mapping[int, StreamFactory]) -> None:
        self._check_clock(encoding.clock)
        container, memory = in_memory(name)
        try:
            output = Output(container, self._clip, encoding, others, self.streams, side_by_side=self._side_by_side)
            pictures = [packet for time in self._times for packet in output.encode(_blank(output, time))]
            output.write_pictures([*pictures, *output.end_segment()])
            for index in others:
                for packet in self.packets[index]:
                    with _kept(packet):
                        output.write_packet(index, packet)
            output.finish()
        finally:
            close_quietly(container)
        memory.seek(0)
        self._check(memory, output)

    def _check(self, memory: Any, output: Output) -> None:
        found = read_contents(memory)
        if len(found.times) != len(self._times):
            raise ValueError("not all frames are in the file")
        apart = [a - self._times[0] - b + found.times[0] for a, b in zip(self._times, found.times, strict=True)]
        if max(map(abs, apart)) > found.tick:
            raise ValueError("the file does not keep the times of frames")
        for index, key in output.keys.items():
            encoded = isinstance(output.others[index], Encoded)
            self._check_stream(index, found.streams.get(key), found, encoded=encoded)

    def _check_stream(self, index: int, tally: Tally | None, found: Contents, *, encoded: bool) -> None:
        if tally is None or (self.packets[index] and not tally.packets):
            raise ValueError("the stream is not in the file")
        sent = Tally()
        for packet in self.packets[index]:
            sent.add(packet)
        if sent.start is None or tally.start is None or encoded:
            return
        slip = (sent.start - self._times[0]) - (tally.start - found.times[0])
        if abs(slip) > time_tolerance(found.tick, sent, tally):
            raise OutOfSyncError(f"sound and picture are {float(abs(slip)):.3f} s apart")

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def _blank(output: Output, time: Fraction) -> av.VideoFrame:
    context = output.picture.codec_context
    frame: Any = av.VideoFrame(context.width, context.height, context.pix_fmt)
    for lines in planes(frame):
        lines[:] = 2 ** (bits_of(context.pix_fmt) - 1)
    frame.pts, frame.time_base = round(time / Fraction(context.time_base)), context.time_base
    return frame


@contextmanager
def _kept(packet: Any) -> Iterator[None]:
    """Keep the times of a packet for another trial: muxers change the times of packets."""
    stream, pts, dts, base = packet.stream, packet.pts, packet.dts, packet.time_base
    yield
    packet.stream, packet.pts, packet.dts, packet.time_base = stream, pts, dts, base
