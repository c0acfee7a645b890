"""Clips with all that may go along with pictures, made on the spot."""

from fractions import Fraction

import av
import numpy as np
from clips import colorizer, frame_of, luma_frames, make_clip

from ae.media.clips.conversions import colorize_clip
from ae.media.clips.formats import TEXT
from ae.media.clips.settings import ClipSettings

LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def colorized(source, target, **settings):
    """The report, and all lines that were said."""
    lines = []
    settings = ClipSettings(**{"batch_size": 4} | settings)
    return colorize_clip(source, target, colorizer(pixels=512), settings, log=lines.append), lines


def streams(path):
    """The type of each stream, whether it is a cover, and the bytes of its packets."""
    with av.open(str(path), **TEXT) as container:
        found = {stream.index: [] for stream in container.streams}
        for packet in container.demux():
            if packet.size:
                found[packet.stream.index].append(bytes(packet))
        covers = {s.index: bool(s.disposition & av.stream.Disposition.attached_pic) for s in container.streams}
        return [(s.type, covers[s.index], found[s.index]) for s in container.streams]


def of_kind(path, kind):
    """The packets of all streams of a kind after the first video."""
    return [packets for type_, _, packets in streams(path)[1:] if type_ == kind]


def start_of(path):
    """When the first packet is shown, in seconds."""
    with av.open(str(path), **TEXT) as container:
        return min(packet.pts * packet.time_base for packet in container.demux() if packet.pts is not None)


def with_sound(path, codec, *, picture="mpeg4", layout="stereo", count=12, rate=44100):
    """A clip with sound in a coding of one's choice."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(picture, rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream(codec, rate=rate, layout=layout, bit_rate=128_000)
        for index, values in enumerate(luma_frames(count, 32, 48)):
            container.mux(video.encode(frame_of(values, "yuv420p", index, Fraction(1, 25))))
        container.mux(video.encode(None))
        noise = np.random.default_rng(0).uniform(-0.2, 0.2, (2, int(rate * count / 25))).astype(np.float32)
        for start in range(0, noise.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(noise[:, start : start + 1024].copy(), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def joined_streams(target, *sources, options=None, shift=0, cover=None):
    """Puts the streams of several files into one, so many seconds later, with a cover where there is one."""
    with av.open(str(target), "w", options=options or {}) as container:
        opened = [av.open(str(source)) for source in sources]
        copies = {
            (file, stream.index): container.add_stream_from_template(stream)
            for file in opened
            for stream in file.streams
        }
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 16, 16, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            container.start_encoding()
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 1)
            container.mux(packet)
        for file in opened:
            for packet in file.demux():
                if packet.size:
                    ticks = round(shift / packet.time_base)
                    packet.pts += ticks
                    packet.dts = None if packet.dts is None else packet.dts + ticks
                    packet.stream = copies[file, packet.stream.index]
                    container.mux(packet)
            file.close()
    return target


def jpeg():
    """A small picture."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 16, 16, "yuvj420p", Fraction(1, 1)
    frame = frame_of(luma_frames(1, 16, 16)[0], "yuvj420p", 0, Fraction(1, 1))
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def time_coded(path):
    """A clip with a track of time codes."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options=LOSSLESS)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        video.metadata["timecode"] = "01:00:00:00"
        for index, values in enumerate(luma_frames(6, 32, 48)):
            container.mux(video.encode(frame_of(values, "yuv420p", index, Fraction(1, 25))))
        container.mux(video.encode(None))
    return path


def with_font(path):
    """A clip with a font, as subtitles ask for."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        container.add_attachment("a.ttf", "font/ttf", b"a font" * 10)
        for index, values in enumerate(luma_frames(3, 32, 48)):
            container.mux(video.encode(frame_of(values, "yuv420p", index, Fraction(1, 25))))
        container.mux(video.encode(None))
    return path


def with_subtitles(path, folder):
    """A clip with subtitles as text."""
    (folder / "a.srt").write_text("1\n00:00:00,000 --> 00:00:00,200\nHello\n")
    return joined_streams(path, make_clip(folder / "plain.mkv", luma_frames(9, 32, 32)), folder / "a.srt")
