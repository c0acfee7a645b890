"""What goes along with the pictures: sound, subtitles, covers, fonts, time codes, each in the way that a container takes."""

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from ae.errors import InputError
from ae.media.clips.formats import ERRORS, can_decode, has_flag, readable

COVER = av.stream.Disposition.attached_pic
IMAGES = {"mjpeg": "jpeg", "png": "png", "gif": "gif", "webp": "webp", "bmp": "bmp", "tiff": "tiff"}  # MIME types
AUDIO = {"aac": "aac", "opus": "libopus"}  # codecs that sound can be given, and their encoders
BIT_RATE = 96_000  # of a channel
GAP = Fraction(1, 20)  # seconds between sounds that are taken for silence


class Copied:
    """A stream whose packets go to the container as they are."""

    def __init__(self, container: Any, source: Any, target: Any) -> None:
        self.kind, self.is_last = source.type, bool(source.disposition & COVER)
        self._container, self._target = container, target
        self._last: int | None = None  # time of decoding, in ticks of the container
        self._may_repeat = has_flag(container.format, av.format.Flags.ts_nonstrict)
        target.metadata.update(readable(source.metadata))
        target.disposition = source.disposition

    def write(self, packet: av.Packet) -> None:
        """Write a packet, whose times are the container's. Raises what the muxer raises."""
        if packet.pts is None and packet.dts is None:  # a cover
            packet.pts = packet.dts = 0
        packet.stream = self._target
        self._set_times(packet)
        self._container.mux(packet)

    def _set_times(self, packet: Any) -> None:
        """Set times in ticks of the container, which may not go back, and a duration: without one the last is lost."""
        scale = Fraction(packet.time_base) / Fraction(self._target.time_base)
        pts, dts = (None if time is None else round(time * scale) for time in (packet.pts, packet.dts))
        length = round((packet.duration or 0) * scale)
        if dts is not None:
            least = dts if self._last is None else self._last + (not self._may_repeat)
            if self.kind == "audio" and not length and self._last is not None:
                length = max(0, dts - self._last)
            dts = self._last = max(dts, least)
            pts = None if pts is None else max(pts, dts)
        packet.pts, packet.dts, packet.duration, packet.time_base = pts, dts, length, self._target.time_base

    def finish(self) -> None:
        """Write what is still waiting."""


StreamFactory = Callable[[Any, Any], Any]  # a container, a stream of the source -> a `Copied` or the like


def stream_factories(source: Any, packets: Sequence[av.Packet], audio: str = "copy") -> list[StreamFactory]:
    """Return how a stream may be added to a container, the best first; `packets` are its first."""
    found: list[StreamFactory] = [_from_template, _with_source_tag, _with_avi_tag]
    if source.disposition & COVER and packets and can_decode(source):
        found.insert(0, partial(Cover, data=bytes(packets[0])))
    if source.type == "audio" and audio != "copy" and can_decode(source):
        found.append(partial(Encoded, codec=AUDIO[audio]))
    return found


def _from_template(container: Any, source: Any) -> Copied:
    """Return a copy that the container gives a tag of its own."""
    target = container.add_stream_from_template(source, opaque=True)
    if source.type == "audio" and source.codec_context:
        name = source.codec_context.layout.name
        if name.endswith("channels"):  # in no known order: the usual one for so many
            target.codec_context.layout = f"{name.split()[0]}c"
    return Copied(container, source, target)


def _with_source_tag(container: Any, source: Any) -> Copied:
    """Return a copy with the source's tag; PyAV has none where a container's tables lack the coding, as WMA in Matroska."""
    return Copied(container, source, _add_like(container, source))


def _with_avi_tag(container: Any, source: Any) -> Copied:
    """Return the same with the tag that AVI gives it, which several containers share."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="avi") as header:
        header.add_stream_from_template(source, opaque=True)
        header.start_encoding()
    memory.seek(0)
    with av.open(memory) as header:
        return Copied(container, source, _add_like(container, header.streams[0]))


def _add_like(container: Any, stream: Any) -> Any:
    """Return a stream with all parameters of another."""
    picture = container.streams[0]
    rate = getattr(stream, "average_rate", None) if stream.type == "video" else None
    target = container.add_mux_stream(picture.codec_context.name, rate=rate or picture.average_rate)
    BitStreamFilterContext("null", in_stream=stream, out_stream=target)
    target.time_base = stream.time_base
    return target


class Cover:
    """A picture that lies in the container as a file."""

    kind, is_last = "video", True  # which is how it is read

    def __init__(self, container: Any, source: Any, data: bytes) -> None:
        mime = IMAGES.get(source.codec_context.name, "jpeg")
        name = source.metadata.get("filename", f"cover.{'jpg' if mime == 'jpeg' else mime}")
        container.add_attachment(name, source.metadata.get("mimetype", f"image/{mime}"), data)

    def write(self, packet: av.Packet) -> None:
        """Do nothing: it was written at the beginning."""

    def finish(self) -> None:
        """Do nothing."""


class Encoded:
    """Sound that is decoded and encoded anew. `start` and `end` are those of the samples so far, in seconds."""

    kind, is_last = "audio", False

    def __init__(self, container: Any, source: Any, codec: str) -> None:
        self.start: Fraction | None = None
        self.end = Fraction(0)
        self._form: tuple[str, str, int] | None = None
        self._container, self._decoder = container, source.codec_context
        context = _sound_encoder(codec, self._decoder)
        self._target = container.add_stream(codec, rate=context.sample_rate)
        self._target.codec_context.layout = context.layout
        self._target.codec_context.bit_rate = context.bit_rate
        self._target.metadata.update(readable(source.metadata))
        self._target.disposition = source.disposition

    def write(self, packet: av.Packet) -> None:
        """Decode a packet and write what can be encoded by now."""
        self._encode(packet.decode())

    def _encode(self, frames: Sequence[Any]) -> None:
        for frame in chain.from_iterable(map(self._resampled, frames)):
            self._set_time(frame)
            self._container.mux(self._target.encode(frame))

    def _resampled(self, frame: Any) -> Sequence[Any]:
        """Return a frame with the first's rate and layout, as broadcasts change them on the way."""
        form = frame.format.name, frame.layout.name, frame.sample_rate
        self._form = self._form or form
        if form == self._form:
            return [frame]
        resampler = av.AudioResampler(*self._form)
        return [*resampler.resample(frame), *resampler.resample(None)]

    def _set_time(self, frame: Any) -> None:
        """Have a frame go on where the one before ends, unless there is a gap: many clocks are too coarse for samples."""
        time = self.end if frame.pts is None else Fraction(frame.pts * frame.time_base)
        if self.start is None:
            self.start = self.end = time
        elif time < self.end + GAP:
            time = self.end
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(time * frame.sample_rate)
        self.end = time + Fraction(frame.samples, frame.sample_rate)

    def finish(self) -> None:
        """Write what decoder and encoder still hold."""
        self._encode(self._decoder.decode(None))
        self._decoder.flush_buffers()
        self._container.mux(self._target.encode(None))


def _sound_encoder(codec: str, source: Any) -> Any:
    """Return an encoder with the source's rate and layout, or the nearest that it takes."""
    encoder: Any = av.Codec(codec, "w")
    rates = encoder.audio_rates or [source.sample_rate]
    rate = min(rates, key=lambda rate: (rate < source.sample_rate, abs(rate - source.sample_rate)))
    number = source.layout.nb_channels
    for layout in (source.layout.name, f"{number}c", "stereo", "mono"):
        context: Any = av.CodecContext.create(codec, "w")
        try:
            context.layout, context.sample_rate, context.time_base = layout, rate, Fraction(1, rate)
            context.bit_rate = BIT_RATE * context.layout.nb_channels
            context.format = encoder.audio_formats[0]
            context.open()
        except ERRORS:
            continue
        return context
    raise InputError(f"{codec} cannot take sound of {number} channels at {source.sample_rate} Hz")


def reencodes(factory: StreamFactory) -> bool:
    """Return whether a factory makes a stream that is encoded anew."""
    return getattr(factory, "func", None) is Encoded
