"""Writing clips through PyAV: luma as it was decoded, the chroma that was computed, and all that goes along."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from ae.errors import InputError
from ae.media.clips.check import Tally
from ae.media.clips.coding import SUBSAMPLING, planes
from ae.media.clips.encoders import bits_of
from ae.media.clips.fields import field_remarks, keeps_fields
from ae.media.clips.formats import ERRORS, can_decode, reason
from ae.media.clips.output import Output, close_quietly, mend_decoding_times
from ae.media.clips.plan import FALLBACK, make_plan
from ae.media.clips.reading import Clip
from ae.media.clips.settings import DEFAULTS, ClipSettings
from ae.media.clips.sidedata import dropped_side_data
from ae.media.clips.streams import Encoded
from ae.media.clips.times import format_time, time_of
from ae.media.clips.trial import Target
from ae.media.clips.work import Packed, Segment
from ae.runtime.chain import Frame

REFUSED = (av.error.ArgumentError, av.error.InvalidDataError)  # what is damaged, or has times that go back


class ExpectedStream(NamedTuple):
    """Another stream as the source has it, with which the written one is compared."""

    name: str
    unit: str  # in which it is compared: packets, bytes, or seconds where it is encoded anew
    tally: Tally


class ClipWriter:
    """A clip that is written: the frames of a source with other chroma, and all of its other streams.

    `left_out` names what the container or the encoder cannot hold, and `remarks` says it, a line each, before the first
    frame. Raises InputError where the codec cannot hold the frames, or the file cannot be written.
    """

    def __init__(self, path: Path, clip: Clip, settings: ClipSettings = DEFAULTS) -> None:
        self.path, self.clip, self.side_by_side = path, clip, settings.side_by_side
        self.lost: list[str] = []  # packets that could not be written, a line each
        self.altered = 0  # frames whose luma is not the source's
        self.waiting = 0  # frames of the segment that is being encoded
        self._altered = 0  # of these
        self._pictures: list[Any] = []  # packets of the segment
        self._others: list[Any] = []  # packets of the other streams that came meanwhile
        self._done: deque[Segment] = deque()  # that were done already, and wait for the packets that go with them
        try:
            container: Any = av.open(str(path.absolute()), "w")  # or a name like "10:30.mp4" were a protocol
        except ERRORS as error:
            raise InputError(f"cannot write {path.name} to {path.parent}: {reason(error)}") from error
        target = Target(path.suffix.lower(), container.format.name)
        plan = make_plan(clip, target, settings)
        self.codec, self.pixels, self._clock = plan.encoding.codec, plan.encoding.pixels, plan.encoding.clock
        carried = dropped_side_data(self.codec, clip.side_data)
        self.left_out = [*plan.left_out, *carried]
        self.remarks = [*clip.remarks, *plan.remarks, *field_remarks(self.codec, clip), *carried.values()]
        streams = {stream.index: stream for stream in clip.others}
        try:
            self._output = Output(container, clip, plan.encoding, plan.others, streams, side_by_side=self.side_by_side)
        except ERRORS as error:
            close_quietly(container)
            raise InputError(f"cannot write {path.name} to {path.parent}: {reason(error)}") from error
        self.keys = self._output.keys
        self.expected = {index: _expected_stream(streams[index], other) for index, other in self._output.others.items()}

    @property
    def coding(self) -> Any:
        """Return the coding of the chroma planes that are to be computed."""
        layout = next(subsampling for part, subsampling in SUBSAMPLING.items() if part in self.pixels)
        interlaced = self.clip.interlaced and keeps_fields(self.codec, self.clip)
        return self.clip.coding._replace(subsampling=layout, interlaced=interlaced)

    @property
    def luma_conditions(self) -> str:
        """Return under which conditions luma equals the source's, for the name of that check."""
        bits = bits_of(self.pixels)
        return self.clip.luma_conditions + f", at {bits} bits" * (bits < self.clip.coding.bits)

    def write(self, item: Frame | av.Packet) -> None:
        """Encode a frame at the time of its source, or take a packet of another stream, which waits for the segment's end.

        Raises OSError where the disk is full, and InputError where the encoder cannot hold the time of a frame.
        """
        if isinstance(item, Frame):
            with self._naming_errors(f"the frame at {format_time(item.time)}"):
                self._pictures += self._output.encode(self._frame(item))
            self.waiting += 1
        elif item.stream.index in self.expected:
            self._others.append(item)
            self._write_done()

    def end_segment(self, states: Any, thumbnails: dict[str, bytes] | None = None) -> Segment:
        """Write the frames and packets that wait, and return the segment, with what is given (see `Segment`).

        Raises OSError where the disk is full, and InputError where the container cannot hold the time of a frame.
        """
        with self._naming_errors("the last frames"):
            self._pictures += self._output.end_segment()
        mend_decoding_times(self._pictures)
        self._write_done(least=0)
        packets = [Packed.of(packet) for packet in self._pictures]
        segment = Segment(self.waiting, self._altered, packets, len(self._others), states, thumbnails or {})
        self._write(self._pictures, segment)
        self.waiting, self._altered, self._pictures = 0, 0, []
        return segment

    def write_again(self, segment: Segment) -> None:
        """Write a segment that is done already, once the packets that went with it are there. Raises as `end_segment`."""
        self._done.append(segment)
        self._write_done()

    def _write_done(self, least: int | None = None) -> None:
        """Write what is done already with the packets that went with it, so that all lie in the file as they would."""
        while self._done and len(self._others) >= (self._done[0].others if least is None else least):
            segment = self._done.popleft()
            pictures = [packed.packet(self._output.picture, self._clock) for packed in segment.packets]
            self._write(pictures, segment)

    def _write(self, pictures: list[Any], segment: Segment) -> None:
        with self._naming_errors("the time of a frame"):
            self._output.write_pictures(pictures)
        for packet in self._others[: segment.others]:
            self._write_packet(packet.stream, packet)
        del self._others[: segment.others]
        self.altered += segment.altered

    @contextmanager
    def _naming_errors(self, item: str) -> Iterator[None]:
        try:
            yield
        except REFUSED as error:
            line = f"{self.path.suffix} cannot hold {item} ({reason(error)}): write a {FALLBACK.suffix}"
            raise InputError(line) from error

    def _write_packet(self, source: Any, packet: av.Packet) -> None:
        start = time_of(packet)
        self.expected[source.index].tally.add(packet)
        try:
            self._output.write_packet(source.index, packet)
        except REFUSED as error:
            self.lost.append(
                f"a packet of {source.type} stream {source.index} at {format_time(start)}: {reason(error)}"
            )

    def _frame(self, item: Frame) -> av.VideoFrame:
        """Return the source's frame, with what it carries beside its pixels, in which the chroma is now the computed one."""
        context, width = self._output.picture.codec_context, item.luma.shape[1]
        frame = item.source.reformat(context.width, context.height, context.pix_fmt)
        luma_is_there = frame is item.source and np.may_share_memory(planes(frame)[0], item.luma)
        luma, *chroma = (self._shallow(plane) for plane in (item.luma.copy(), item.cb, item.cr))  # its memory may go
        frame.make_writable()
        frame.pict_type = 0  # the encoder is free to choose
        shown = [luma, *chroma]
        if self.side_by_side:
            neutral = np.full_like(chroma[0], 2 ** (bits_of(self.pixels) - 1))
            shown = [np.hstack(pair) for pair in zip([luma, neutral, neutral], shown, strict=True)]
        for lines, values in list(zip(planes(frame), shown, strict=True))[luma_is_there:]:
            lines[:] = values[:, : lines.shape[1]]
        self._altered += not np.array_equal(planes(frame)[0][:, -width:], luma)
        return frame

    def _shallow(self, plane: np.ndarray) -> np.ndarray:
        """Return a plane in as many bits as are written."""
        less = self.clip.coding.bits - (bits := bits_of(self.pixels))
        return (plane >> less).astype(np.uint8 if bits == 8 else np.uint16) if less else plane

    def finish(self) -> None:
        """Write all that waits, and close the file. Raises as `end_segment` does."""
        self.end_segment(None)
        with self._naming_errors("the end"):
            self._output.finish()
        for index, other in self._output.others.items():
            if isinstance(other, Encoded):  # packets may start before the samples that can be made of them
                tally = self.expected[index].tally
                tally.start, tally.end = other.start, other.end

    def close(self) -> None:
        """Close the file as it is."""
        close_quietly(self._output.container)


def _expected_stream(stream: Any, other: Any) -> ExpectedStream:
    known = stream.codec_context.name if can_decode(stream) else ""
    size = len(stream.data) if stream.type == "attachment" else 0
    unit = "seconds" if isinstance(other, Encoded) else "bytes" if size or known.startswith("pcm_") else "packets"
    return ExpectedStream(f"{stream.type} stream {stream.index}", unit, Tally(size=size))
