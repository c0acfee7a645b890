"""Clips and pictures that tests make on the spot."""

from fractions import Fraction

import av
import jax
import numpy as np
from conftest import SHARED

from ae import Colorize, Config
from ae.models import ChromaUNet
from ae.restore.colorize import Colorizer
from ae.restore.weights import Pretrained

SHARED_CLIPS = SHARED / "clips"


def colorizer(**settings):
    """A small model with random weights, whose colours are strong enough to be seen."""
    config = Config(name="test", model=ChromaUNet((4, 8)), task=Colorize(), data="cifar100")
    variables = config.model.init(jax.random.key(3), np.zeros((1, 32, 32, 1), np.float32))
    variables["params"]["ConvTranspose_1"]["kernel"] *= 10  # of the last layer
    return Colorizer(Pretrained(config, variables, {"epochs": 0}), **{"saturation": 4.0, **settings})


def luma_frames(count, height, width, bits=8, seed=0):
    """A bright square that wanders over blurred noise, within the limited range: [T, H, W]."""
    noise = np.random.default_rng(seed).uniform(40, 120, (height, width))
    frames = np.repeat(noise[None], count, 0)
    for index, frame in enumerate(frames):
        start = (3 * index) % max(1, width - 8)
        frame[height // 4 : height // 2, start : start + 8] = 220
    return np.round(frames * 2 ** (bits - 8)).astype(np.uint8 if bits == 8 else np.uint16)


def make_clip(
    path,
    luma,
    *,
    codec="libx264",
    pixels="yuv420p",
    rate=Fraction(25),
    times=None,
    base=Fraction(1, 12800),
    tracks=(),
    rotation=0,
    options=None,
    metadata=None,
    chapters=(),
    **tags,
):
    """Writes frames with that luma; `times`: in units of `base`; `tracks`: for each audio track its delay in seconds."""
    lossless = {"libx264": {"qp": "0", "preset": "ultrafast"}, "libvpx-vp9": {"lossless": "1", "cpu-used": "8"}}
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        if chapters:
            container.set_chapters(list(chapters))
        video = container.add_stream(codec, rate=rate, options=options or lossless.get(codec, {}))
        video.width, video.height, video.pix_fmt = luma.shape[2], luma.shape[1], pixels
        video.codec_context.time_base = base
        for name, value in tags.items():
            setattr(video.codec_context, name, value)
        if rotation:
            video.set_display_rotation(rotation)
        sounds = [container.add_stream("aac", rate=48000, layout="mono") for _ in tracks]
        for index, values in enumerate(luma):
            pts = times[index] if times else round(index / rate / base)
            container.mux(video.encode(frame_of(values, pixels, pts, base)))
        container.mux(video.encode(None))
        for number, (stream, delay) in enumerate(zip(sounds, tracks, strict=True)):
            seconds = float(len(luma) / rate) - delay
            _write_sound(container, stream, 220 * (number + 1), delay, seconds)
    return path


def frame_of(values, pixels, pts, base):
    frame = av.VideoFrame(values.shape[1], values.shape[0], pixels)
    for index, plane in enumerate(frame.planes):
        lines = np.frombuffer(plane, values.dtype).reshape(plane.height, -1)
        lines[:] = 2 ** (frame.format.components[0].bits - 1)
        if index == 0:
            lines[:, : values.shape[1]] = values
    frame.pts, frame.time_base = pts, base
    return frame


def _write_sound(container, stream, pitch, delay, seconds):
    samples = np.float32(0.3 * np.sin(2 * np.pi * pitch * np.arange(int(48000 * seconds)) / 48000))
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start + round(delay * 48000), Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def decoded(path):
    """Luma [T, H, W] and times in seconds of a clip's frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.video[0]))
        luma = []
        for frame in frames:
            kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
            lines = np.frombuffer(frame.planes[0], kind).reshape(frame.height, -1)
            luma.append(lines[:, : frame.width].copy())
        return np.stack(luma), [frame.pts * frame.time_base for frame in frames]


def packets(path, kind="audio"):
    """For each stream of a kind, the bytes and times of its packets."""
    with av.open(str(path)) as container:
        found = {stream.index: [] for stream in container.streams if stream.type == kind}
        for packet in container.demux():
            if packet.stream.index in found and packet.size:
                found[packet.stream.index].append((bytes(packet), packet.pts * packet.time_base))
        return list(found.values())
