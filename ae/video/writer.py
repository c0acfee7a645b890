"""Writing clips through PyAV: luma as it was decoded, the chroma that was computed, all that goes with them; and a check."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from ae.errors import InputError
from ae.stages import Frame
from ae.video.clips import Clip
from ae.video.coding import FULL_RANGE, planes, target_format
from ae.video.fields import field_options, field_remarks, keeps_fields
from ae.video.formats import ERRORS, readable, reason
from ae.video.sidedata import carried, left_behind, options_for
from ae.video.times import clock

BT601_NUMBER = 6  # in ITU-T H.273
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
CODECS = {".webm": "libvpx-vp9"}  # by suffix; all others libx264
OPTIONS = {
    "libx264": {"crf": "18", "preset": "medium"},
    "libx265": {"crf": "20", "preset": "medium", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "24", "b": "0", "row-mt": "1", "cpu-used": "4"},
    "libsvtav1": {"crf": "26", "preset": "8"},
}
AT_A_RATE = {"mpeg1video", "mpeg2video", "dvvideo"}  # encoders that know no time but the number of a frame
NOT_COPIED = {"major_brand", "minor_version", "compatible_brands", "encoder"}  # metadata of the container itself


class ClipWriter:
    """A clip that is written: the frames of a source with other chroma, and all of its other streams.

    What the container cannot hold is in `left_out`, a line each, before the first frame. Raises InputError where the codec
    cannot hold the frames, or the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        clip: Clip,
        *,
        codec: str | None = None,
        options: dict[str, str] | None = None,
        beside: bool = False,
    ) -> None:
        self.path, self.clip, self.beside = path, clip, beside
        self.codec = codec or CODECS.get(path.suffix.lower(), "libx264")
        self.coding = clip.coding._replace(interlaced=clip.interlaced and keeps_fields(self.codec, clip))
        self.left_out = [*clip.remarks, *field_remarks(self.codec, clip), *left_behind(self.codec, clip.carried)]
        self.lost: list[str] = []  # packets that could not be copied, a line each
        self.altered = 0  # frames whose luma is not the source's
        self.packets: Counter[int] = Counter()  # that were copied, by the index of their stream in the source
        self.starts: dict[int, Fraction] = {}  # of the streams that were copied, in seconds
        try:
            self.container: Any = av.open(str(path), "w")
        except ERRORS as error:
            raise InputError(f"cannot write {path.name} to {path.parent}: {reason(error)}") from error
        try:
            self._add_streams(OPTIONS.get(self.codec, {}) if options is None else options)
            self.container.start_encoding()
        except ERRORS as error:
            self.close()
            raise InputError(self._refusal(error)) from error

    def _add_streams(self, options: dict[str, str]) -> None:
        source, first = self.clip.video, self.clip.first
        rate = source.average_rate or Fraction(25)
        options = joined(field_options(self.codec, self.clip), options_for(self.codec, carried(first)), options)
        self.video = self.container.add_stream(self.codec, rate=rate, options=options)
        codec, pixels = self.video.codec_context, target_format(first)
        codec.height, codec.width = first.height, first.width * (1 + self.beside)
        codec.pix_fmt = pixels
        codec.time_base = 1 / Fraction(rate) if self.codec in AT_A_RATE else self.clip.time_base
        codec.sample_aspect_ratio = source.sample_aspect_ratio or 1
        codec.color_range = FULL_RANGE if self.clip.coding.full_range else first.color_range
        codec.color_primaries, codec.color_trc = first.color_primaries, first.color_trc
        codec.colorspace = BT601_NUMBER if first.format.is_rgb else first.colorspace
        self.video.metadata.update(readable(source.metadata))
        self.video.disposition = source.disposition
        if first.rotation:
            self.video.set_display_rotation(first.rotation)
        fitting = [stream for stream in self.clip.others if self._fits(stream)]
        self.copies = {stream.index: self._copy(stream) for stream in fitting}
        metadata = readable(self.clip.container.metadata)
        self.container.metadata.update({key: value for key, value in metadata.items() if key not in NOT_COPIED})
        chapters = self.clip.container.chapters()
        self.container.set_chapters([chapter | {"metadata": readable(chapter["metadata"])} for chapter in chapters])

    def _fits(self, stream: av.stream.Stream) -> bool:
        """Whether the container takes a stream, which an empty one in memory is asked."""
        try:
            with av.open(io.BytesIO(), "w", format=self.container.format.name) as trial:
                trial.add_stream_from_template(stream)
                trial.start_encoding()
        except ERRORS:
            name = stream.codec_context.name if stream.codec_context else "of unknown coding"
            what = f"the {stream.type} stream {stream.index} ({name})"
            self.left_out.append(f"{self.path.suffix} cannot hold {what}, which is left out; .mkv can")
            return False
        return True

    def _copy(self, stream: av.stream.Stream) -> av.stream.Stream:
        copy = self.container.add_stream_from_template(stream)
        copy.metadata.update(readable(stream.metadata))
        copy.disposition = stream.disposition
        return copy

    def _refusal(self, error: Exception) -> str:
        (height, width), pixels = self.clip.size, target_format(self.clip.first)
        odd = any(length % shared for length, shared in zip((height, width), self.clip.coding.shared, strict=True))
        what = f"{self.codec} cannot write {width}x{height}{' (odd)' if odd else ''} in {pixels} to {self.path.suffix}"
        return f"{what} ({reason(error)}): try .webm (VP9), or .mkv with --codec libsvtav1 or ffv1"

    def write(self, item: Frame | av.Packet) -> None:
        """Encodes a frame at the time of its source, or copies a packet. Raises OSError where the disk is full."""
        if isinstance(item, Frame):
            self.container.mux(self.video.encode(self._frame(item)))
        elif item.stream.index in self.copies:
            self._copy_packet(item)

    def _copy_packet(self, packet: av.Packet) -> None:
        source, start = packet.stream, None if packet.pts is None else packet.pts * packet.time_base
        packet.stream = self.copies[source.index]
        try:
            self.container.mux(packet)
        except av.error.ArgumentError as error:  # times that go back, in damaged files
            self.lost.append(f"a packet of {source.type} stream {source.index} at {clock(start)}: {reason(error)}")
            return
        self.packets[source.index] += 1
        if start is not None:
            self.starts.setdefault(source.index, start)

    def _frame(self, item: Frame) -> av.VideoFrame:
        """The source's frame, with what it carries beside its pixels, in which the chroma is now the computed one."""
        context, width = self.video.codec_context, item.luma.shape[1]
        luma, cb, cr = (np.array(plane) for plane in (item.luma, *item.outputs[:2]))  # the source's memory may go
        frame = item.source.reformat(context.width, context.height, context.pix_fmt)
        frame.make_writable()
        frame.pict_type = 0  # the encoder is free to choose
        neutral = np.full_like(cb, 2 ** (self.clip.coding.bits - 1))
        for lines, values, left in zip(planes(frame), (luma, cb, cr), (luma, neutral, neutral), strict=True):
            lines[:] = np.hstack([left, values])[:, : lines.shape[1]] if self.beside else values
        self.altered += not np.array_equal(planes(frame)[0][:, -width:], luma)
        return frame

    def finish(self) -> None:
        """Encodes what is still waiting, and closes the file."""
        self.container.mux(self.video.encode(None))
        self.container.close()

    def close(self) -> None:
        """Closes the file as it is."""
        with suppress(*ERRORS):
            self.container.close()


def joined(*options: dict[str, str]) -> dict[str, str]:
    """Return options of an encoder in one; where several have the same list of parameters, those of the last count."""
    lists: dict[str, list[str]] = {}
    for key, value in chain.from_iterable(some.items() for some in options):
        lists.setdefault(key, []).append(value)
    return {key: ":".join(values) if key.endswith("-params") else values[-1] for key, values in lists.items()}


class Check(NamedTuple):
    """One property of a written clip beside what it ought to be."""

    name: str
    wanted: str
    found: str
    passed: bool


class Written(NamedTuple):
    """What is found in a file, by streams; times in seconds."""

    packets: Counter[int]
    starts: dict[int, Fraction]
    times: list[Fraction]  # of the frames
    end: Fraction  # of the last
    tick: Fraction  # the coarsest time base


def measured(path: Path) -> Written:
    """Reads a clip's packets, without decoding them."""
    with av.open(str(path)) as written:
        video = next(stream for stream in written.streams.video if stream.codec_context.width)
        tick = max(stream.time_base or Fraction(0) for stream in written.streams)
        found = Written(Counter(), {}, [], Fraction(0), tick)
        for packet in written.demux():
            if packet.pts is None:
                continue
            index, start = packet.stream.index, Fraction(packet.pts * packet.time_base)
            found.packets[index] += 1
            found.starts[index] = min(start, found.starts.get(index, start))
            if packet.stream is video:
                found.times.append(start)
                end = start + Fraction((packet.duration or 0) * packet.time_base)
                found = found._replace(end=max(found.end, end))
    return found._replace(times=sorted(found.times))


def checked(path: Path, clip: Clip, writer: ClipWriter) -> Iterator[Check]:
    """Compares a clip that was written with its source: luma, frames and times; packets and starts of other streams."""
    found, first = measured(path), clip.times[0][0]
    shown = found.times[0] if found.times else Fraction(0)
    same = f"all but {writer.altered}" if writer.altered else "all frames"
    yield Check(f"luma equal before encoding{clip.compared}", "all frames", same, not writer.altered)
    numbers = len(clip.times), len(found.times)
    yield Check("frames", str(numbers[0]), str(numbers[1]), numbers[0] == numbers[1])
    apart = [abs(a[0] - first - b + shown) for a, b in zip(clip.times, found.times)]  # noqa: B905 (counted above)
    most = max(apart, default=Fraction(0))
    yield Check(
        "times of frames", f"within {float(found.tick):.2g} s", f"{float(most):.2g} s apart", most <= found.tick
    )
    wanted, length = sum(clip.times[-1], -first), found.end - shown
    passed = abs(wanted - length) <= max(found.tick, clip.times[-1][1])
    yield Check("duration", clock(wanted), clock(length), passed)
    for index, copy in writer.copies.items():
        name = f"{copy.type} stream {index}"
        sent, come = writer.packets[index], found.packets[copy.index]
        yield Check(f"{name}, packets", str(sent), str(come), sent == come)
        if index in writer.starts and copy.index in found.starts:
            delay, kept = writer.starts[index] - first, found.starts[copy.index] - shown
            passed = abs(delay - kept) <= found.tick
            name = f"{name}, start after the picture's"
            yield Check(name, f"{float(delay):.4f} s", f"{float(kept):.4f} s", passed)
