"""A container that is being written, in memory or to a file: the pictures first, then what goes along with them."""

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Any

import av

from ae.media.clips.check import Key
from ae.media.clips.encoders import Encoding, add_picture
from ae.media.clips.formats import ERRORS, readable
from ae.media.clips.reading import Clip
from ae.media.clips.streams import COVER, StreamFactory

NOT_COPIED = {"major_brand", "minor_version", "compatible_brands", "encoder"}  # metadata of the container itself


class Output:
    """Streams of a container: the pictures, and others by their number in the source, whose `streams` they come from.

    Times are the source's, less `start`. Pictures are encoded in segments, each by an encoder of its own, so that none needs
    another. Raises what PyAV raises where it cannot be.
    """

    def __init__(
        self,
        container: Any,
        clip: Clip,
        encoding: Encoding,
        others: Mapping[int, StreamFactory],
        streams: Mapping[int, Any],
        *,
        side_by_side: bool = False,
    ) -> None:
        self.container, self.start = container, common_start(clip)
        self._add_picture = partial(add_picture, clip=clip, encoding=encoding, side_by_side=side_by_side)
        self.picture = self._add_picture(container)
        self._encoder: Any = self.picture  # of the segment; None: the next frame begins one
        self._scratch: Any = None  # the container of an encoder but the first
        self._last_dts: Any = None
        made = {index: factory(container, streams[index]) for index, factory in others.items()}
        self.others = dict(sorted(made.items(), key=lambda item: item[1].is_last))
        self.keys = _keys(self.others)
        metadata = readable(clip.container.metadata)
        container.metadata.update({key: value for key, value in metadata.items() if key not in NOT_COPIED})
        container.set_chapters(_moved(clip.container.chapters(), self.start))
        container.start_encoding()

    def encode(self, frame: Any) -> list[av.Packet]:
        """Encode a frame at the time of the source; return the packets that this completes."""
        frame.pts -= round(self.start / Fraction(frame.time_base))
        if self._encoder is None:
            self._scratch, _ = in_memory(self.container.format.name)
            self._encoder = self._add_picture(self._scratch)
            self._scratch.start_encoding()
        return self._encoder.encode(frame)

    def end_segment(self) -> list[av.Packet]:
        """Return the last packets of a segment: the next frame begins another."""
        packets = [] if self._encoder is None else self._encoder.encode(None)
        if self._scratch is not None:
            close_quietly(self._scratch)
        self._encoder = self._scratch = None
        return packets

    def write_pictures(self, packets: Iterable[av.Packet]) -> None:
        """Write packets of the pictures, in the order of decoding."""
        for packet in packets:
            packet.stream = self.picture
            if None not in (self._last_dts, packet.dts) and packet.dts <= self._last_dts:  # segments of a variable rate
                packet.dts = self._last_dts + 1
            self._last_dts = packet.dts
            self.container.mux(packet)

    def write_packet(self, index: int, packet: av.Packet) -> None:
        """Write a packet of the source's stream with that index."""
        ticks = round(self.start / Fraction(packet.time_base)) if packet.time_base else 0
        packet.pts = None if packet.pts is None else packet.pts - ticks
        packet.dts = None if packet.dts is None else packet.dts - ticks
        self.others[index].write(packet)

    def finish(self) -> None:
        """Write what the other streams still hold, and the trailer."""
        for other in self.others.values():
            other.finish()
        self.container.close()


def mend_decoding_times(packets: Sequence[av.Packet]) -> None:
    """Set the times of decoding of a segment of one or two frames, which libx265 leaves to chance."""
    if len(packets) <= 2:
        for packet in packets:
            packet.dts = packet.pts


def in_memory(name: str) -> tuple[Any, io.BytesIO]:
    """Return a container of a format, and the memory that it is written to."""
    memory = io.BytesIO()
    return av.open(memory, "w", format=name), memory


def close_quietly(container: Any) -> None:
    """Close a container as it is."""
    with suppress(*ERRORS):
        container.close()


def _keys(others: Mapping[int, Any]) -> dict[int, Key]:
    """Return how each is found in the file: by its type, of which the pictures are the first video."""
    numbers, keys = {"video": 1}, {}
    for index, other in others.items():
        number = numbers.get(other.kind, 0)
        keys[index], numbers[other.kind] = (other.kind, number), number + 1
    return keys


def common_start(clip: Clip) -> Fraction:
    """Return when the first stream starts, in ticks of the coarsest clock, so that all move by the same."""
    streams = [s for s in clip.container.streams if s.start_time is not None and not s.disposition & COVER]
    bases = [Fraction(clip.time_base), *(Fraction(stream.time_base) for stream in streams)]
    if clip.begins is not None:
        return clip.begins // max(bases) * max(bases)
    starts = [clip.times[0][0], *(stream.start_time * Fraction(stream.time_base) for stream in streams)]
    return min(starts) // max(bases) * max(bases)


def _moved(chapters: Any, start: Fraction) -> list[Any]:
    moved = []
    for chapter in chapters:
        ticks = round(start / Fraction(chapter["time_base"]))
        times = {name: max(0, chapter[name] - ticks) for name in ("start", "end")}
        moved.append(chapter | times | {"metadata": readable(chapter["metadata"])})
    return moved
