"""Reading clips through PyAV: frames with their planes and times, and every other stream as its packets.

imageio's own video backends give neither planes nor packets: their formats alter luma, and sound, times and tags are lost.
"""

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ae.errors import InputError
from ae.media.clips.coding import GRAY, PLANAR, SEMIPLANAR, coding_of, planar, planes, target_format
from ae.media.clips.fields import Deinterlacer
from ae.media.clips.formats import (
    ERRORS,
    hardware_error,
    has_flag,
    is_decoded_from,
    open_clip_at,
    picture_stream,
    reason,
)
from ae.media.clips.settings import DEFAULTS, ClipSettings
from ae.media.clips.sidedata import side_data_of
from ae.media.clips.times import ContinuousClock, MonotonicTimes, Timed, finer_time_base, format_time, time_of
from ae.media.images import MOST_PIXELS
from ae.runtime.chain import Frame

MISSING_SECONDS = 0.25  # by which the last packet may end before the container says
USUAL_RATE = Fraction(25)  # where a file says none


class Clip:
    """A clip that is read once, from its beginning to its end or for the seconds in its settings.

    Raises InputError where it cannot be read, or its frames have more pixels than the settings allow.
    """

    def __init__(self, path: Path, settings: ClipSettings = DEFAULTS) -> None:
        self.path, self.deinterlaced, seconds = path, settings.deinterlace, settings.seconds
        self.seconds = None if seconds is None else Fraction(seconds).limit_denominator(10**6)
        self.lost: list[str] = []  # what could not be read, a line each
        self.times: list[tuple[Fraction, Fraction]] = []  # of the frames so far: start and duration in seconds
        self.side_data: set[str] = set()  # what else the frames so far carry (see `sidedata`)
        self.first: Any  # frame, as it was decoded
        self.rescaled = 0  # frames of another size or pixel format than the first's, which they were given
        self._shape: tuple[int, int, str] | None = None  # of the first frame
        self._rescaled_from: Fraction | None = None
        self._late_fields = 0
        self._sent: list[int] | None = []  # times of the pictures before there is a frame; then None
        self._undecoded = 0  # of these, before the first frame
        self._origin: Any = None  # when the first frame is shown
        self.skipped = Fraction(settings.start).limit_denominator(10**6)  # seconds
        hwaccel = settings.hwaccel
        refusal = hardware_error(path, hwaccel) if hwaccel else None
        self._fallback = [f"{path.name} is decoded by the CPU, as {hwaccel} does not: {refusal}"] if refusal else []
        most_pixels = settings.most_pixels or MOST_PIXELS
        start = self.skipped if self.skipped and is_decoded_from(path, self.skipped, most_pixels) else Fraction(0)
        self.container = open_clip_at(path, start, None if refusal else hwaccel)
        self.begins = self._start() + self.skipped if self.skipped else None  # the time before which nothing is taken
        self.video = picture_stream(self.container, path, most_pixels)
        self.others = [stream for stream in self.container.streams if stream is not self.video]
        self.time_base = finer_time_base(self.video.time_base)  # of the frames that are given
        self._times = MonotonicTimes(self.time_base, 1 / Fraction(self.video.average_rate or USUAL_RATE), self._start())
        self._clock = ContinuousClock() if has_flag(self.container.format, av.format.Flags.ts_discont) else None
        self._items = self._pictures(self._timed(self._decoded(self._packets())))
        self._ahead: list[Any] = []
        for item in self._items:  # up to the first frame, which tells what there is to know
            self._ahead.append(item)
            if isinstance(item, Frame):
                break
        else:
            why = f": {self.lost[0]}" if self.lost else ""
            after = f" from {format_time(self.skipped)} on" if self.skipped else ""
            raise InputError(f"{path} ({self.container.format.name}) has no frame that can be decoded{after}{why}")
        self.coding = coding_of(self.first)

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width of the frames as they are stored."""
        return self.first.height, self.first.width

    @property
    def origin(self) -> float:
        """Return the time from which people count that of its frames, in seconds."""
        return float(self.times[0][0] - self.skipped)

    @property
    def interlaced(self) -> bool:
        """Return whether its frames are of two fields each."""
        return self.first.interlaced_frame and not self.deinterlaced

    @property
    def remarks(self) -> list[str]:
        """Return what of its frames will not be as it was, a line each."""
        pixels, target = self.first.format, target_format(self.first)
        lines = self._fallback + [f"{self.path.name} is deinterlaced by FFmpeg's bwdif"] * self.deinterlaced
        if pixels.name not in {*PLANAR, *GRAY, *SEMIPLANAR}:
            lines.append(f"{self.path.name} has pixels in {pixels.name}: they are written as {target}")
        return lines

    @property
    def notes(self) -> list[str]:
        """Return what was done to what has been read so far, a line each."""
        (height, width), name, lines = self.size, self.path.name, []
        if self._undecoded:
            what = f"pictures of {name} that cannot be decoded without others, which are not there"
            lines.append(f"{what}: {self._undecoded}, all before {format_time(self.times[0][0])}")
        if self._clock and self._clock.discontinuities:
            number = self._clock.discontinuities
            lines.append(f"places where {name} sets its clock anew: {number}; what follows goes on from there")
        if self._times.interpolated:
            what = f"{name} has no time, or none that grows, for {self._times.interpolated} of its frames"
            lines.append(f"{what}: they share the time between the frames around them")
        if self.rescaled:
            start = format_time(self._rescaled_from)
            what = f"{name} changes size or pixel format at {start}, for {self.rescaled} of its frames"
            lines.append(f"{what}: they are scaled to the first's {width}x{height} in {self._format}")
        if self._late_fields:
            what = f"{name} is interlaced in {self._late_fields} of its frames, unlike in the first"
            lines.append(f"{what}: both fields become one progressive frame")
        return lines

    @property
    def luma_conditions(self) -> str:
        """Return under which conditions luma equals the source's, for the name of that check."""
        source = ", as deinterlaced" if self.deinterlaced else ""
        return f"{source}, without {self.rescaled} that were scaled" if self.rescaled else source

    @property
    def count(self) -> int | None:
        """Return how many frames there are to come in all, as far as the container tells."""
        if self.video.frames and not self.seconds and not self.skipped:
            return self.video.frames
        if not (rate := self.video.average_rate):
            return None
        whole = self.container.duration / av.time_base - self.skipped if self.container.duration else None
        lengths = [length for length in (whole, self.seconds) if length]
        return round(min(lengths) * rate) if lengths else None

    def __iter__(self) -> Iterator[Frame | av.Packet]:
        """Yield frames in the order of decoding, and packets of the other streams between them as they lie in the file."""
        yield from self._ahead
        self._ahead = []
        yield from self._items

    # Each of these takes what the one before it gives. Packets of other streams pass by.

    def _packets(self) -> Iterator[Any]:
        """Yield all packets, with a line in `lost` where the file ends before its end."""
        ends: dict[int, Fraction] = {}
        try:
            for packet in self.container.demux():
                if self._clock:
                    self._clock.set(packet)
                if packet.is_corrupt:
                    self.lost.append(f"a {packet.stream.type} packet at {format_time(time_of(packet))}, damaged")
                if packet.pts is not None:
                    end = Fraction((packet.pts + (packet.duration or 0)) * packet.time_base)
                    ends[packet.stream.index] = max(end, ends.get(packet.stream.index, end))
                yield packet
        except av.error.FFmpegError as error:
            self.lost.append(f"what follows {format_time(max(ends.values(), default=None))}: {reason(error)}")
            yield self._flush_packet()
            return
        except IndexError:  # PyAV's, when all the streams that it has seen at the beginning are at their end
            self.lost.append("a stream that begins midway")
        last, whole = max(ends.values(), default=Fraction(0)), self._end_time()
        if whole - last > MISSING_SECONDS:
            self.lost.append(f"what follows {format_time(last)} of {format_time(whole)}: the file ends there")

    def _flush_packet(self) -> av.Packet:
        """Return the packet that has the decoder give what it holds."""
        packet = av.Packet()
        packet.stream, packet.time_base = self.video, self.video.time_base
        return packet

    def _end_time(self) -> Fraction:
        """Return when the last stream ends, in seconds, as the container tells; 0 where FFmpeg would have to guess."""
        if has_flag(self.container.format, av.format.Flags.no_timestamps) or (
            self._clock and self._clock.discontinuities
        ):
            return Fraction(0)
        container = self.container
        return Fraction((container.duration or 0) + max(container.start_time or 0, 0), av.time_base)

    def _decoded(self, packets: Iterator[av.Packet]) -> Iterator[av.VideoFrame | av.Packet]:
        for packet in packets:
            if packet.stream is self.video:
                yield from self._frames(packet)
            elif packet.size:  # others only end a stream
                yield packet

    def _frames(self, packet: Any) -> list[av.VideoFrame]:
        try:
            frames = packet.decode()
        except ERRORS as error:
            if not isinstance(error, EOFError) and not self.is_before(time_of(packet)):
                self.lost.append(f"a frame at {format_time(time_of(packet))}: {reason(error)}")
            return []
        if self._sent is not None:
            self._count_undecoded(packet, frames)
        for frame in frames:
            if frame.is_corrupt and not self.is_before(time_of(frame)):
                self.lost.append(f"parts of the frame at {format_time(time_of(frame))}, damaged")
        return frames

    def _count_undecoded(self, packet: Any, frames: list[Any]) -> None:
        """Count the pictures before the first frame: those that build on what is not there are decoded to nothing."""
        if self._sent is not None and packet.pts is not None and not packet.is_discard:
            self._sent += [] if self.is_before(time_of(packet)) else [packet.pts]
        if frames:
            first = frames[0].pts
            self._undecoded = 0 if first is None else sum(pts < first for pts in self._sent or ())
            self._sent = None

    def _timed(self, items: Iterator[Any]) -> Iterator[Timed | av.Packet]:
        for item in items:
            if isinstance(item, av.VideoFrame):
                duration = Fraction((item.duration or 0) * (item.time_base or 0))
                yield from self._times.add(item, time_of(item), duration)
            else:
                yield item
        yield from self._times.finish()

    def _pictures(self, items: Iterator[Timed | av.Packet]) -> Generator[Frame | av.Packet]:
        """Yield frames as they are written, up to the seconds that are asked for."""
        whole = None
        for item in items:
            if self.is_before(time_of(item) if isinstance(item, av.Packet) else item[1]):
                continue
            if isinstance(item, av.Packet):
                if not self._is_past(time_of(item)):
                    yield item
                continue
            if self._origin is None:
                self._origin = item[1]
            if self._is_past(item[1]):
                break
            if (picture := self._picture(*item)) is None:
                continue
            if self.deinterlaced:
                whole = whole or Deinterlacer(picture)
                yield from map(self._frame, whole.add(picture))
            else:
                yield self._frame(picture)
        if whole:
            yield from map(self._frame, whole.add(None))

    def _picture(self, frame: av.VideoFrame, start: Fraction, duration: Fraction) -> av.VideoFrame | None:
        """Return a decoded frame in a planar format, with its new time, and of the first one's size."""
        try:
            picture = self._rescaled(frame)
        except ERRORS as error:
            self.lost.append(f"a frame at {format_time(start)} in {frame.format.name}: {reason(error)}")
            return None
        picture.time_base = self.time_base
        picture.pts, picture.duration = round(start / self.time_base), round(duration / self.time_base)
        self.side_data |= side_data_of(frame).keys()
        self._late_fields += frame.interlaced_frame and not (self.first.interlaced_frame or self.deinterlaced)
        return picture

    def _rescaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        shape = frame.width, frame.height, frame.format.name
        if self._shape is None:
            picture = planar(frame)
            self.first, self._shape, self._format = frame, shape, picture.format.name
            return picture
        if shape == self._shape:
            return planar(frame)
        self._rescaled_from = self._rescaled_from or time_of(frame)
        self.rescaled += 1
        return frame.reformat(*self._shape[:2], self._format)

    def _frame(self, picture: Any) -> Frame:
        start = picture.pts * self.time_base
        self.times.append((start, picture.duration * self.time_base))
        luma, *chroma = planes(picture)
        frame = Frame(luma, picture, float(start))
        return frame._replace(cb=chroma[0], cr=chroma[1]) if chroma else frame

    def is_before(self, time: Fraction | None) -> bool:
        """Return whether it is before what is taken."""
        return self.begins is not None and (time is None or time < self.begins)

    def _is_past(self, time: Fraction | None) -> bool:
        """Return whether it is beyond the seconds that are asked for, which begin with the first frame."""
        known = self.seconds is not None and time is not None and self._origin is not None
        return known and time - self._origin >= self.seconds

    def _start(self) -> Fraction:
        return Fraction(max(self.container.start_time or 0, 0), av.time_base)

    def close(self) -> None:
        """Close the file."""
        self._items.close()
        self.container.close()
