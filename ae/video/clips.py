"""Reading clips through PyAV: frames with their planes and times, and every other stream as its packets.

imageio's own video backends give neither planes nor packets: their formats alter luma, and sound, times and tags are lost.
"""

from collections import Counter
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ae.color import BT601, BT709, BT2020
from ae.colorize import Coding
from ae.errors import InputError
from ae.stages import Frame
from ae.video.images import MOST_PIXELS, check_number

MATRICES = {1: BT709, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}  # by number in ITU-T H.273
FULL_RANGE = 2
LEAST_HD_HEIGHT = 720  # from here on, players take colours that nothing is said of to be BT.709
SHARED = {"420": (2, 2), "422": (1, 2), "444": (1, 1)}
PLANAR = {f"yuv{layout}p{depth}" for layout in SHARED for depth in ("", "10le", "12le")} | {f"yuvj{x}p" for x in SHARED}
GRAY = {"gray": "yuv420p", "gray10le": "yuv420p10le", "gray12le": "yuv420p12le"}  # and what they become
SEMIPLANAR = {"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "p010le": "yuv420p10le", "p210le": "yuv422p10le"}
MISSING_SECONDS = 0.25  # by which the last packet may end before the container says
SUFFIXES = (
    ".mp4",
    ".mkv",
    ".mov",
    ".m4v",
    ".webm",
    ".avi",
    ".ts",
    ".m2ts",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".ogv",
    ".3gp",
)
FORMATS = "mov,matroska,avi,mpegts,mpeg,flv,ogg,asf,mxf,ivf,yuv4mpegpipe,m4v,h264,hevc,av1,obu,gif,apng"
ONLY = {"protocol_whitelist": "file", "format_whitelist": FORMATS}  # no playlists: they would read other files
ERRORS = (av.error.FFmpegError, OSError, ValueError)


class Clip:
    """A clip that is read once, from its beginning to its end, or so many seconds of it.

    Raises InputError where it cannot be read, or its frames have more pixels than `most_pixels`.
    """

    def __init__(self, path: Path, seconds: float | None = None, *, most_pixels: int | None = None) -> None:
        self.path = path
        self._most_pixels = most_pixels or MOST_PIXELS
        self.seconds = None if seconds is None else Fraction(seconds).limit_denominator(10**6)
        self.lost: list[str] = []  # what could not be read, a line each
        self.times: list[tuple[Fraction, Fraction]] = []  # of the frames so far: start and duration in seconds
        try:
            self.container = av.open(str(path.absolute()), options=ONLY)  # or a name like "concat:..." were a protocol
        except ERRORS as error:
            raise InputError(f"{path} cannot be read as a video: {reason(error)}") from error
        self.video = self._picture()
        self.others = [stream for stream in self.container.streams if stream is not self.video]
        self._items = self._decoded()
        self._ahead: list[Any] = []
        for item in self._items:  # up to the first frame, which tells what there is to know
            self._ahead.append(item)
            if isinstance(item, Frame):
                break
        else:
            raise InputError(
                f"{path} has no frame that can be decoded{': ' * bool(self.lost)}{'; '.join(self.lost[:1])}"
            )
        self.first: av.VideoFrame = self._ahead[-1].source
        self.coding = coding_of(self.first)

    def _picture(self) -> av.VideoStream:
        pictures = av.stream.Disposition.attached_pic
        for stream in self.container.streams.video:
            if not stream.disposition & pictures:
                context = stream.codec_context
                check_number(self.path, context.width * context.height, self._most_pixels, each=" a frame")
                context.options = {"max_pixels": str(self._most_pixels)}  # frames may differ from what is claimed
                stream.thread_type = "AUTO"
                return stream
        others = kinds(self.container.streams)
        raise InputError(f"{self.path} has no video stream{', only ' * bool(others)}{others}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames as they are stored."""
        return self.first.height, self.first.width

    @property
    def remarks(self) -> list[str]:
        """What of its frames will not be as it was, a line each."""
        pixels, target = self.first.format, target_format(self.first)
        lines = []
        if self.first.interlaced_frame:
            lines.append(f"{self.path.name} is interlaced: both fields of a frame are written as one progressive frame")
        if pixels.name not in {*PLANAR, *GRAY, *SEMIPLANAR}:
            lines.append(f"{self.path.name} has pixels in {pixels.name}: they are written as {target}")
        return lines

    @property
    def count(self) -> int | None:
        """How many frames there are to come in all, as far as the container tells."""
        if self.video.frames and not self.seconds:
            return self.video.frames
        if not (rate := self.video.average_rate):
            return None
        whole = self.container.duration / av.time_base if self.container.duration else None
        lengths = [length for length in (whole, self.seconds) if length]
        return round(min(lengths) * rate) if lengths else None

    def __iter__(self) -> Iterator[Frame | av.Packet]:
        """Frames in the order of their times, and packets of the other streams between them as they lie in the file."""
        yield from self._ahead
        self._ahead = []
        yield from self._items

    def _decoded(self) -> Generator[Frame | av.Packet]:
        size = None
        for packet in self._packets():
            if packet.stream is not self.video:
                if packet.dts is not None and not self._is_past(packet.pts, packet.time_base):
                    yield packet
                continue
            for frame in self._frames(packet):
                if self._is_past(frame.pts, frame.time_base):
                    return
                size = size or (frame.width, frame.height)
                if (frame.width, frame.height) != size:
                    self.lost.append(f"all from {clock(frame.time)} on, where its size changes: cut it there")
                    return
                if self._note_time(frame):
                    yield Frame(planes(planar(frame))[0], frame)

    def _packets(self) -> Iterator[av.Packet]:
        """All packets, with a line in `lost` where the file ends before its end."""
        ends: dict[int, Fraction] = {}
        try:
            for packet in self.container.demux():
                if packet.is_corrupt:
                    self.lost.append(
                        f"a {packet.stream.type} packet at {clock(seconds_of(packet.pts, packet))}, damaged"
                    )
                if packet.pts is not None:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base
                    ends[packet.stream.index] = max(end, ends.get(packet.stream.index, end))
                yield packet
        except av.error.FFmpegError as error:
            self.lost.append(f"what follows {clock(max(ends.values(), default=None))}: {reason(error)}")
            return
        last, whole = max(ends.values(), default=Fraction(0)), self._whole()
        if whole - last > MISSING_SECONDS:
            self.lost.append(f"what follows {clock(last)} of {clock(whole)}: the file ends there")

    def _whole(self) -> Fraction:
        """When the last stream ends, in seconds, as the container tells."""
        container = self.container
        return Fraction((container.duration or 0) + max(container.start_time or 0, 0), av.time_base)

    def _frames(self, packet: av.Packet) -> list[av.VideoFrame]:
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            self.lost.append(f"a frame at {clock(seconds_of(packet.pts, packet))}: {reason(error)}")
            return []
        for frame in frames:
            if frame.is_corrupt:
                self.lost.append(f"parts of the frame at {clock(frame.time)}, damaged")
        return frames

    def _is_past(self, pts: int | None, base: Any) -> bool:
        """Whether it is beyond the seconds that are asked for."""
        return self.seconds is not None and pts is not None and pts * base - self._start() >= self.seconds

    def _start(self) -> Fraction:
        return Fraction(max(self.container.start_time or 0, 0), av.time_base)

    def _note_time(self, frame: Any) -> bool:
        """Keeps the time of a frame, and whether it comes after the one before; one that has no time is given the next."""
        duration = (frame.duration or 0) * frame.time_base or 1 / (self.video.average_rate or Fraction(25))
        if frame.pts is None:
            start = sum(self.times[-1], Fraction(0)) if self.times else Fraction(0)
            frame.pts = round(start / frame.time_base)
        start = frame.pts * frame.time_base
        if self.times and start <= self.times[-1][0]:
            self.lost.append(f"the frame at {clock(start)}, which comes after a later one")
            return False
        self.times.append((start, duration))
        return True

    def close(self) -> None:
        """Closes the file."""
        self._items.close()
        self.container.close()


def reason(error: Exception) -> str:
    """What an error of FFmpeg says, without what else PyAV prints."""
    return getattr(error, "strerror", None) or str(error)


def clock(seconds: Fraction | float | None) -> str:
    """A time as people write it."""
    if seconds is None:
        return "some time"
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:06.3f}"


def seconds_of(pts: int | None, packet: av.Packet) -> Fraction | None:
    return None if pts is None else pts * packet.time_base


def kinds(streams: Any) -> str:
    """What streams there are: "2 audio, 1 subtitle"."""
    return ", ".join(f"{number} {kind}" for kind, number in Counter(stream.type for stream in streams).items())


def coding_of(frame: av.VideoFrame) -> Coding:
    """How the numbers in a frame's planes are to be read."""
    name = target_format(frame)
    layout = next(shared for key, shared in SHARED.items() if key in name)
    implied = name.startswith("yuvj") or (frame.format.name in GRAY and not frame.color_range)
    full = frame.color_range == FULL_RANGE or implied
    unknown = BT709 if frame.height >= LEAST_HD_HEIGHT else BT601
    bits = av.VideoFormat(name).components[0].bits
    weights = BT601 if frame.format.is_rgb else MATRICES.get(frame.colorspace, unknown)  # into which `planar` converts
    return Coding(bits, full, weights, layout, round(frame.rotation / 90) % 4)


def target_format(frame: av.VideoFrame) -> str:
    """The planar format that a frame is written in: its own where it has one, else one with its bits."""
    name = frame.format.name
    if name in PLANAR:
        return name
    deep = frame.format.components[0].bits > 8
    return (GRAY | SEMIPLANAR).get(name, "yuv444p10le" if deep else "yuv444p")


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame with a luma plane of its own; only formats that have none are converted."""
    if frame.format.name in {*PLANAR, *GRAY}:
        return frame
    converted = frame.reformat(format=target_format(frame))
    converted.pts, converted.time_base = frame.pts, frame.time_base
    return converted


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """The planes of a frame in a planar format, uint8 or uint16 [H, W] and [h, w]: views, to be written too."""
    kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    planes: Any = frame.planes
    lines = ((plane, np.frombuffer(plane, kind).reshape(plane.height, -1)) for plane in planes)
    return [values[:, : plane.width] for plane, values in lines]  # lines may be longer in memory
