"""Colour for files: what is read goes through a model in batches and is written, all three at the same time."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ae.color import luma
from ae.colorize import BATCH_SIZE, Colorizer
from ae.errors import InputError
from ae.files import check_target, with_word, written_whole
from ae.interrupts import deferred_interrupts
from ae.progress import bar
from ae.stages import Frame, background, in_batches
from ae.video.check import Check, checked
from ae.video.clips import Clip
from ae.video.images import DEEP, Picture, check_holds, image_files, read_image, with_pixels, write_image
from ae.video.sidedata import left_behind
from ae.video.steadiness import Steadiness
from ae.video.writer import SUFFIXES, ClipWriter

MOST_NAMED = 3  # of the parts that could not be read


class Report(NamedTuple):
    """What became of a clip."""

    path: Path  # that was written; where a check failed, not the one that was asked for
    checks: list[Check]
    lost: list[str]  # what could not be read of the source, a line each
    left_out: list[str]  # names of what the container, the encoder or an option leaves out
    steadiness: Steadiness

    @property
    def passed(self) -> bool:
        """Whether what was written is what ought to be."""
        return all(check.passed for check in self.checks)

    @property
    def missing(self) -> str:
        """What could not be read, in short."""
        more = f" and {len(self.lost) - MOST_NAMED} more" if len(self.lost) > MOST_NAMED else ""
        return f"{'; '.join(self.lost[:MOST_NAMED])}{more}"

    @property
    def wrong(self) -> str:
        """What the checks found."""
        return "; ".join(f"{c.name}: {c.found}, not {c.wanted}" for c in self.checks if not c.passed)

    @property
    def verdict(self) -> str:
        """One line: PASS, PASS without what is left out, or FAIL with what is wrong or could not be read."""
        if faults := [fault for fault in (self.wrong, self.lost and f"without {self.missing}") if fault]:
            return f"FAIL {self.path}: {'; '.join(faults)}"
        return f"PASS without {', '.join(self.left_out)}: {self.path}" if self.left_out else f"PASS {self.path}"


class CheckFailedError(InputError):
    """A clip was written, but is not what it ought to be; `report` says where it is kept, and what is wrong."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"{report.path} failed the check: {report.wrong}")
        self.report = report


def colorize_clip(
    source: Path,
    target: Path,
    colorizer: Colorizer,
    *,
    batch_size: int = BATCH_SIZE,
    seconds: float | None = None,
    most_pixels: int | None = None,
    beside: bool = False,
    deinterlace: bool = False,
    codec: str | None = None,
    options: dict[str, str] | None = None,
    audio: str = "copy",
    say: Callable[[str], None] = print,
) -> Report:
    """Gives a clip colour, and keeps its luma, frames, times and all other streams; then checks what was written.

    `seconds`: only so many from its beginning. `most_pixels`: that a frame may have. `beside`: gray and coloured side by
    side. `deinterlace`: two fields become one picture, whose luma is kept. `codec`, `options`: of the encoder. `audio`: how
    sound is encoded that the container does not take as it is, "aac" or "opus"; "copy" leaves it out. `say` is told what is
    left out or changed, before the first frame, and at the end what was done to frames and times.
    Raises InputError where the source cannot be read or the target not be written, with nothing left of it, and
    CheckFailedError, with the clip kept as NAME.failed.SUFFIX.
    """
    check_apart(source, target)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"{target} has no suffix of a clip; there are {', '.join(SUFFIXES)}")
    clip = Clip(source, seconds, most_pixels=most_pixels, deinterlace=deinterlace)
    with closing(clip), written_whole(target) as temporary:
        writer = ClipWriter(temporary, clip, codec=codec, options=options, audio=audio, beside=beside)
        with closing(writer):
            for line in writer.remarks:
                say(line)
            carried = set(clip.carried)
            steadiness = _write_frames(clip, writer, colorizer, batch_size)
            late = left_behind(writer.codec, clip.carried - carried, begun=True)
            for line in [*clip.notes, *late.values()]:
                say(line)
        left_out = list(dict.fromkeys([*writer.left_out, *late]))
        checks = list(checked(temporary, clip, writer))
        report = Report(target, checks, clip.lost + writer.lost, left_out, steadiness)
        if not report.passed:
            report = report._replace(path=with_word(target, "failed"))
            os.replace(temporary, report.path)
            raise CheckFailedError(report)
    return report


def check_apart(source: Path, target: Path) -> None:
    """Raise InputError where the target is the source, or there is no folder for it."""
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target} is the input itself: name another output")
    check_target(target)


def _write_frames(clip: Clip, writer: ClipWriter, colorizer: Colorizer, batch_size: int) -> Steadiness:
    steadiness, compute = Steadiness(), partial(colorizer.planes, coding=writer.coding)
    coloured = background(in_batches(compute, background(clip, 2 * batch_size), batch_size), batch_size)
    with (
        closing(coloured),
        deferred_interrupts() as interrupted,
        bar(clip.path.name, clip.count, unit="frame") as progress,
    ):
        for item in coloured:
            if interrupted.is_set():
                raise KeyboardInterrupt
            writer.write(item)
            if isinstance(item, Frame):
                steadiness.add(item.outputs.samples)
                progress.update()
        writer.finish()
    return steadiness


def gray_frames(picture: Picture) -> np.ndarray:
    """The luma of a picture's frames, [T, H, W] in [0, 1]."""
    values = picture.pixels.astype(np.float32) / np.float32(picture.full)
    return values[..., 0] if values.shape[3] == 1 else np.asarray(luma(jnp.asarray(values)))[..., 0]


def colorize_picture(picture: Picture, colorizer: Colorizer, *, beside: bool = False) -> Picture:
    """The picture in RGB, with the luma that it has; `beside`: gray and coloured side by side."""
    gray = gray_frames(picture)
    rgb = np.stack([colorizer.image(frame) for frame in gray])
    if not beside:
        return with_pixels(picture, rgb)
    twice = None if picture.alpha is None else np.concatenate([picture.alpha] * 2, axis=2)
    both = np.concatenate([np.broadcast_to(gray[..., None], rgb.shape), rgb], axis=2)
    return with_pixels(replace(picture, alpha=twice), both)


def map_channels(picture: Picture, function: Callable[[np.ndarray], np.ndarray]) -> Picture:
    """The picture with a function of [H, W] in [0, 1] applied to each channel of each frame; alpha stays."""
    values = np.moveaxis(picture.pixels.astype(np.float32) / picture.full, -1, 1)
    changed = np.stack([np.stack([function(channel) for channel in frame], axis=-1) for frame in values])
    return with_pixels(picture, changed)


Change = Callable[[Picture], Picture]


def is_many(source: str) -> bool:
    """Whether a source is a folder or a pattern, of images."""
    return Path(source).is_dir() or (has_magic(source) and not Path(source).exists())


def change_image(source: Path, target: Path, change: Change, *, most_pixels: int | None = None) -> tuple[str, ...]:
    """Reads an image, changes it and writes it; returns remarks, a line each. Raises InputError where one cannot be."""
    check_apart(source, target)
    picture = read_image(source, most_pixels=most_pixels)
    check_holds(target, picture)
    write_image(target, change(picture))
    return picture.remarks


def change_images(
    source: str,
    folder: Path,
    change: Change,
    *,
    most_pixels: int | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Changes the images of a folder or pattern and writes them to a folder under their names, made if it is not there.

    Reading, changing and writing go on at the same time. `say` is told of remarks and of images that cannot be read or
    written, after which the others go on; then InputError is raised at the end.
    """
    files = image_files(source)
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    read = partial(read_image, most_pixels=most_pixels)
    items = background(_changed(change, background((path, _or_error(read, path)) for path in files)))
    with closing(items), deferred_interrupts() as interrupted, bar(folder.name, len(files)) as progress:
        for path, picture in items:
            if interrupted.is_set():
                raise KeyboardInterrupt
            line = picture if isinstance(picture, InputError) else _or_error(partial(_write, path, folder), picture)
            failed += isinstance(line, InputError)
            if str(line):
                say(f"{path.name}: {line}")
            progress.update()
    if failed:
        raise InputError(f"{failed} of {len(files)} images could not be read or written; the others are in {folder}")


def _changed(change: Change, items: Iterable[tuple[Path, Any]]) -> Iterator[tuple[Path, Any]]:
    for path, picture in items:
        yield path, picture if isinstance(picture, InputError) else _or_error(change, picture)


def _write(source: Path, folder: Path, picture: Picture) -> str:
    """Writes to a folder what came of a file; returns a remark. 16-bit colour becomes a TIFF where it has to."""
    target = folder / source.name
    if picture.full > 255 and source.suffix.lower() not in DEEP:
        target = target.with_suffix(".tif")
    check_apart(source, target)
    write_image(target, picture)
    renamed = [f"written as {target.name}, which holds 16-bit colour"] if target.name != source.name else []
    return "; ".join([*picture.remarks, *renamed])


def _or_error(function: Callable[[Any], Any], argument: Any) -> Any:
    try:
        return function(argument)
    except InputError as error:
        return error
