"""Frames of two fields, each half of the lines and a moment of its own."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import av
from av.filter import Graph

from ae.errors import InputError
from ae.media.clips.formats import ERRORS, reason

ORDERS = {2: "tt", 3: "bb", 4: "tb", 5: "bt"}  # of fields in the file and in time, as FFmpeg numbers and names them
ENCODERS = {"libx264", "ffv1", "mpeg2video", "mpeg4", "prores", "prores_ks", "dnxhd"}  # those that code and mark fields


def keeps_fields(codec: str, clip: Any) -> bool:
    """Return whether the fields of a clip stay fields: x264 takes chroma of whole lines in each only."""
    return codec in ENCODERS and clip.size[0] % (2 * clip.coding.subsampling[0]) == 0


def field_options(codec: str, clip: Any) -> dict[str, str]:
    """Return the options that have an encoder write fields; the frames say which is first."""
    if not (clip.interlaced and keeps_fields(codec, clip)):
        return {}
    order = ORDERS.get(getattr(clip.video.codec_context, "field_order", 0))
    return {"flags": "+ildct+ilme"} | ({"field_order": order} if order else {})


def field_remarks(codec: str, clip: Any) -> list[str]:
    """Return the line that says that fields are written as whole frames, where they are."""
    if not clip.interlaced or keeps_fields(codec, clip):
        return []
    what = f"{clip.path.name} is interlaced, which {codec} cannot write: both fields become one progressive frame"
    return [f"{what}; --deinterlace makes whole pictures of them"]


class Deinterlacer:
    """FFmpeg's bwdif: one whole picture for each frame, at its time. All frames have one size and format."""

    def __init__(self, first: av.VideoFrame) -> None:
        self._graph, self._sent = Graph(), deque[Any]()
        source = self._graph.add_buffer(
            width=first.width, height=first.height, format=first.format, time_base=first.time_base
        )
        self._graph.link_nodes(source, self._graph.add("bwdif", "mode=send_frame"), self._graph.add("buffersink"))
        try:
            self._graph.configure()
        except ERRORS as error:
            what = f"{first.width}x{first.height} in {first.format.name}"
            raise InputError(f"bwdif cannot deinterlace {what}: {reason(error)}") from error

    def add(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """Take the next frame, or None after the last, and return those that are done."""
        if frame is not None:
            self._sent.append((frame.pts, frame.time_base, frame.duration))
        self._graph.vpush(frame)
        while self._sent:
            try:
                done = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            done.pts, done.time_base, done.duration = self._sent.popleft()
            yield done
