"""Clips as numbered frames: a folder of images to a clip, and a clip to images."""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from ae.errors import InputError
from ae.media.clips.coding import planes
from ae.media.clips.conversions import cleaning, colorize_clip, shot_remarks, shots_of
from ae.media.clips.pipeline import Report, run_stages
from ae.media.clips.plan import stream_name
from ae.media.clips.reading import Clip
from ae.media.clips.settings import DEFAULTS, ClipSettings
from ae.media.folders import find_jobs
from ae.media.images import Picture, read_image, write_image
from ae.media.pictures import gray_frames
from ae.media.stages.colour import Rgb
from ae.restore.colorize import Colorizer
from ae.restore.footage import Shot, with_kinds
from ae.restore.restoration import Restoration
from ae.runtime.chain import Frame, background
from ae.runtime.interrupts import deferred_interrupts

NUMBER = re.compile(r"%0?\d*d")  # in the name of a file
DEEP = "gray10le"  # what frames of more than 8 bits become


def is_numbered(target: Path) -> bool:
    """Return whether a name stands for numbered files, as in frames/%06d.png."""
    return bool(NUMBER.search(target.name))


def parse_rate(text: str) -> Fraction:
    """Return a number of frames a second: 24, 23.976 or 24000/1001. Raises InputError for what is none."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise InputError(f"--fps has to be a number like 24, 23.976 or 24000/1001, not {text}")
    return rate.limit_denominator(2**20)


def colorize_frames(
    source: str,
    target: Path,
    colorizer: Colorizer,
    rate: Fraction,
    settings: ClipSettings = DEFAULTS,
    *,
    restoration: Restoration | None = None,
    log: Callable[[str], None] = print,
) -> Report:
    """Make a coloured clip of the images in a folder or of a pattern, in the order in which people count.

    `rate`: frames a second. `restoration` and `log`: as for `colorize_clip`. Raises InputError where images are not of one
    size and depth.
    """
    paths = [job.source for job in find_jobs(source, target, ("image",)).jobs]
    with tempfile.TemporaryDirectory(prefix=".frames-", dir=target.parent) as folder:
        joined = Path(folder, f"{paths[0].parent.name or 'frames'}.nut")  # a format with clocks of any rate
        _write_luma(paths, joined, rate, partial(read_image, most_pixels=settings.most_pixels), log)
        return colorize_clip(joined, target, colorizer, settings, restoration=restoration, log=log)


def _write_luma(
    paths: list[Path], target: Path, rate: Fraction, read: Callable[[Path], Picture], log: Callable[[str], None]
) -> None:
    """Write the luma of images to a clip, without loss."""
    pictures = background((path, read(path)) for path in paths)
    with closing(pictures), deferred_interrupts() as interrupted, av.open(str(target.absolute()), "w") as container:
        stream: Any = None
        for index, (path, picture) in enumerate(pictures):
            if interrupted.is_set():
                raise KeyboardInterrupt
            if stream is None:
                stream, first = _stream(container, picture, rate), picture
                for line in _remarks(path, picture):
                    log(line)
            _check_alike(path, picture, paths[0], first)
            container.mux(stream.encode(_gray_frame(picture, stream.pix_fmt, index, 1 / rate)))
        container.mux(stream.encode(None))


def _stream(container: Any, picture: Picture, rate: Fraction) -> Any:
    stream = container.add_stream("ffv1", rate=rate)
    stream.height, stream.width = picture.pixels.shape[1:3]
    stream.pix_fmt = "gray" if picture.pixels.dtype == np.uint8 else DEEP
    stream.codec_context.time_base = 1 / rate
    return stream


def _remarks(path: Path, picture: Picture) -> Iterator[str]:
    if picture.pixels.dtype != np.uint8:
        yield f"{path.name} has more than 8 bits: the clip has 10"
    if picture.alpha is not None:
        yield f"{path.name} has alpha, which is left out"


def _check_alike(path: Path, picture: Picture, first_path: Path, first: Picture) -> None:
    """Raise InputError where an image is unlike the first."""
    shapes = [(p.pixels.shape[2], p.pixels.shape[1], 8 * p.pixels.dtype.itemsize) for p in (picture, first)]
    if len(picture.pixels) > 1:
        raise InputError(f"{path} is an animation: frames of a clip are single images")
    if shapes[0] != shapes[1]:
        said = ["{}x{} with {} bits".format(*shape) for shape in shapes]
        raise InputError(
            f"{path} is {said[0]}, {first_path.name} {said[1]}: frames of a clip are of one size and depth"
        )


def _gray_frame(picture: Picture, pixels: str, index: int, base: Fraction) -> av.VideoFrame:
    luma = gray_frames(picture)[0]
    frame: Any = av.VideoFrame(luma.shape[1], luma.shape[0], pixels)
    (lines,) = planes(frame)
    lines[:] = np.round(luma * (255 if pixels == "gray" else 1023))
    frame.pts, frame.time_base = index, base
    return frame


def write_frames(
    source: Path,
    target: Path,
    colorizer: Colorizer,
    settings: ClipSettings = DEFAULTS,
    *,
    restoration: Restoration | None = None,
    log: Callable[[str], None] = print,
) -> int:
    """Write the frames of a clip in colour to images with numbers from 1 on, upright; return how many.

    Shots that are in colour keep it, unless the settings say otherwise. `restoration`: what is done to noise. `target`:
    like frames/%06d.png, whose folder is made. Of more than 8 bits become 16. `log` is told what images cannot hold. Raises
    InputError at the end where not all could be read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    number = 0
    clip = Clip(source, settings)
    with closing(clip):
        for line in _left_out(clip):
            log(line)
        noise = cleaning(restoration, clip, clip.coding)
        stages = (*noise, Rgb(colorizer, clip.coding, settings.side_by_side, settings.steady))
        found: list[Shot] = []
        given: Iterable[Any] = with_kinds(shots_of(clip), clip.coding, found)
        if settings.recolour:
            given = shots_of(clip) if noise or settings.steady else clip
        sent = ("luma",) if settings.recolour else ("luma", "cb", "cr")
        with run_stages(clip, given, stages, settings.batch_size, send=sent, fetch=("rgb",)) as items:
            frames = (item for item in items if isinstance(item, Frame))
            for number, frame in enumerate(frames, 1):
                write_image(frame_path(target, number), Picture(frame.rgb[None]))
        for line in [*shot_remarks(found, clip.origin, settings.recolour), *clip.notes]:
            log(line)
        if clip.lost:
            raise InputError(f"{target} is without {'; '.join(clip.lost[:3])}, which could not be read")
    return number


def frame_path(target: Path, number: int) -> Path:
    """Return the path of a frame: frames/%06d.png and 7 -> frames/000007.png."""
    return target.with_name(NUMBER.sub(lambda pattern: pattern[0] % number, target.name))


def _left_out(clip: Clip) -> Iterator[str]:
    """Yield what images cannot hold, a line each."""
    for stream in clip.others:
        yield f"images cannot hold {stream_name(stream)}, which is left out"
    if (shape := clip.video.sample_aspect_ratio) and shape != 1:
        yield f"{clip.path.name} has pixels of the shape {shape}: those of images are square"
