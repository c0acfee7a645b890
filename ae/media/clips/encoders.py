"""Encoders of pictures: which may take a clip's frames, and how they are told of them."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

import av

from ae.media.clips.coding import FULL_RANGE, target_format
from ae.media.clips.fields import field_options
from ae.media.clips.formats import readable
from ae.media.clips.reading import USUAL_RATE, Clip
from ae.media.clips.settings import DEFAULTS, ClipSettings
from ae.media.clips.sidedata import side_data_of, side_data_options

BT601_NUMBER = 6  # in ITU-T H.273
CODECS = {".webm": "libvpx-vp9"}  # by suffix; all others libx264
OPTIONS: dict[str, dict[str, str]] = {  # in the order in which they are tried
    "libx264": {"crf": "18", "preset": "medium"},
    "libx265": {"crf": "20", "preset": "medium", "x265-params": "log-level=none"},
    "libvpx-vp9": {"crf": "24", "b": "0", "row-mt": "1", "cpu-used": "4"},
    "libsvtav1": {"crf": "26", "preset": "8"},
    "ffv1": {},
}
NVIDIA = {"h264_nvenc": "libx264", "hevc_nvenc": "libx265", "av1_nvenc": "libsvtav1"}  # and what stands in for them
NVIDIA_OPTIONS = {"preset": "p5", "rc": "vbr", "cq": "19", "b": "0"}


class Encoding(NamedTuple):
    """An encoder of frames, with the format of their pixels, its options and its clock."""

    codec: str
    pixels: str  # FFmpeg's name of the format
    options: dict[str, str]
    clock: Fraction  # seconds of a tick


def encodings(clip: Clip, suffix: str, settings: ClipSettings = DEFAULTS) -> Iterator[Encoding]:
    """Yield encodings that may take a clip's frames, the best first.

    A codec that is asked for stands alone, and so does the usual one where options are given, which are for it; but where
    hardware is not there, a program does its work. Some containers and codecs know no times but the number of a frame.
    """
    options = settings.encoder_options
    usual, pixels = settings.codec or CODECS.get(suffix, "libx264"), target_format(clip.first)
    given, stand_in = settings.names_encoder, [NVIDIA[usual]] if usual in NVIDIA else []
    for pixel_format in [pixels] if given else fallback_formats(pixels):
        for name in [usual, *stand_in] if given else dict.fromkeys([usual, *OPTIONS]):
            chosen = options if options is not None and name == usual else _usual_options(name)
            for clock in (clip.time_base, 1 / Fraction(clip.video.average_rate or USUAL_RATE)):
                yield Encoding(name, pixel_format, chosen, clock)


def _usual_options(codec: str) -> dict[str, str]:
    return NVIDIA_OPTIONS if codec in NVIDIA else OPTIONS.get(codec, {})


def fallback_formats(pixels: str) -> list[str]:
    """Return a planar format and those that may stand for it: with chroma for each pixel, then with fewer bits."""
    bits, layout = bits_of(pixels), next(part for part in ("420", "422", "444") if part in pixels)
    shallower = [depth for depth in (10, 8) if depth < bits]
    own = [pixels, pixels.replace(layout, "444")]
    return list(dict.fromkeys(own + [f"yuv{x}p{'10le' * (d == 10)}" for d in shallower for x in (layout, "444")]))


def bits_of(pixels: str) -> int:
    """Return how many bits luma has in a pixel format."""
    return av.VideoFormat(pixels).components[0].bits


def add_picture(container: Any, clip: Clip, encoding: Encoding, *, side_by_side: bool = False) -> Any:
    """Add the stream for a clip's frames to a container: of their size, shape, clock and colours.

    `side_by_side`: twice as wide. Raises what PyAV raises where the container does not take the codec.
    """
    source, first, codec = clip.video, clip.first, encoding.codec
    rate = source.average_rate or USUAL_RATE
    options = merge_options(field_options(codec, clip), side_data_options(codec, side_data_of(first)), encoding.options)
    stream = container.add_stream(codec, rate=rate, options=options)
    context = stream.codec_context
    context.thread_type = "AUTO"  # PyAV's default cuts frames into slices, which is slower, and larger files
    context.height, context.width = first.height, first.width * (1 + side_by_side)
    context.pix_fmt = encoding.pixels
    context.time_base = encoding.clock
    context.sample_aspect_ratio = source.sample_aspect_ratio or 1
    context.color_range = FULL_RANGE if clip.coding.full_range else first.color_range
    context.color_primaries, context.color_trc = first.color_primaries, first.color_trc
    context.colorspace = BT601_NUMBER if first.format.is_rgb else first.colorspace
    stream.metadata.update(readable(source.metadata))
    stream.disposition = source.disposition
    if first.rotation:
        stream.set_display_rotation(first.rotation)
    return stream


def merge_options(*options: dict[str, str]) -> dict[str, str]:
    """Return options of an encoder in one; where several have the same list of parameters, those of the last count."""
    lists: dict[str, list[str]] = {}
    for key, value in chain.from_iterable(some.items() for some in options):
        lists.setdefault(key, []).append(value)
    return {key: ":".join(values) if key.endswith("-params") else values[-1] for key, values in lists.items()}
