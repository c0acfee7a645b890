"""Images: colour or less noise for one, or for many while others are read and written."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ae.color import luma
from ae.errors import InputError
from ae.media import images
from ae.media.clips import suffixes
from ae.media.folders import Job, Outcome
from ae.media.images import Picture, check_holds, in_srgb, read_image, with_pixels, write_image
from ae.restore.colorize import Colorizer
from ae.restore.denoise import Denoised, Denoiser
from ae.restore.hints import Hints, hints_in
from ae.restore.reference import LEAST_SIDE
from ae.restore.restoration import Restoration
from ae.restore.tint import tint_of
from ae.runtime.chain import background
from ae.runtime.files import check_distinct

Change = Callable[[Picture], Picture]


def gray_frames(picture: Picture) -> np.ndarray:
    """Return the luma of a picture's frames, [T, H, W] in [0, 1]."""
    values = picture.pixels.astype(np.float32) / np.float32(picture.max_value)
    return values[..., 0] if picture.is_gray else luma(values)[..., 0]


def colorize_picture(
    picture: Picture,
    colorizer: Colorizer,
    *,
    side_by_side: bool = False,
    hints: Picture | None = None,
    restoration: Restoration | None = None,
) -> Picture:
    """Return the picture in RGB, with the luma that it has; `side_by_side`: gray on the left.

    `hints`: a picture with colours where a person wants them (see `ae.restore.hints.hints_in`). `restoration`: what is done
    to noise. Raises InputError where there are no hints in the picture, or the model takes none.
    """
    picture = in_srgb(picture)
    gray, tint = gray_frames(picture), tint_of(_rgb(picture))
    if tint.is_tinted:
        picture = replace(picture, remarks=(*picture.remarks, f"it is gray with a tint ({tint.name}), which goes"))
    named = None if hints is None else painted(hints, picture)
    if named is not None:
        picture = replace(picture, remarks=(*picture.remarks, *scaling_remarks([named], gray.shape[1:])))
    if restoration is None:
        rgb = np.stack([colorizer.image(frame, hints=named) for frame in gray])
    else:
        clean = [restoration.denoiser.denoise(frame) for frame in gray]
        coloured = (colorizer.image(frame.image, hints=named) for frame in clean)
        rgb = np.stack([restoration.finished(*pair) for pair in zip(coloured, gray, strict=True)])
        picture = replace(picture, remarks=(*picture.remarks, noise_remark(clean)))
    if not side_by_side:
        return with_pixels(picture, rgb)
    twice = None if picture.alpha is None else np.concatenate([picture.alpha] * 2, axis=2)
    both = np.concatenate([np.broadcast_to(gray[..., None], rgb.shape), rgb], axis=2)
    return with_pixels(replace(picture, alpha=twice), both)


def painted(hints: Picture, photograph: Picture | None = None) -> Hints:
    """Return the hints in the first frame of a picture, for a photograph where that is known.

    Raises InputError where there are none.
    """
    rgb = _rgb(in_srgb(hints))
    alpha = None if hints.alpha is None else hints.alpha[0, ..., 0] / hints.max_value
    original = None if photograph is None else _rgb(in_srgb(photograph))
    return hints_in(rgb, alpha, original if original is not None and original.shape == rgb.shape else None)


def scaling_remarks(hints: Iterable[Hints], size: tuple[int, ...]) -> list[str]:
    """Return a line for each other size that hints have than what they are for, [H, W]."""
    others = dict.fromkeys(named.size for named in hints if named.size != size)
    return [f"hints of {width}x{height} scaled to {size[1]}x{size[0]}" for height, width in others]


def reference_colours(picture: Picture, name: str) -> np.ndarray:
    """Return a picture as RGB [H, W, 3] in [0, 1]. Raises InputError where it is too small, or has no colours."""
    rgb = _rgb(in_srgb(picture))
    if min(rgb.shape[:2]) < LEAST_SIDE:
        size = f"{rgb.shape[1]}x{rgb.shape[0]}"
        raise InputError(f"{name} is too small, {size}: a reference has {LEAST_SIDE} pixels a side at least")
    if tint_of(rgb).is_gray:
        raise InputError(f"{name} is gray, or has one tint: a reference is a picture in colour")
    return rgb


def _rgb(picture: Picture) -> np.ndarray:
    first = picture.pixels[0].astype(np.float32) / np.float32(picture.max_value)
    return first.repeat(3, axis=-1) if picture.is_gray else first


def denoise_picture(
    picture: Picture, denoiser: Denoiser, *, sigma: float | None = None, strength: float = 1.0
) -> Picture:
    """Return the picture with less noise in each of its frames, and a remark on how much there was; alpha stays."""
    frames = [denoiser.denoise(frame, sigma=sigma, strength=strength) for frame in picture.pixels]
    pixels = np.stack([frame.image for frame in frames]) if len(frames) > 1 else frames[0].image[None]  # no copy
    return replace(picture, pixels=pixels, remarks=(*picture.remarks, noise_remark(frames)))


def noise_remark(frames: Sequence[Denoised]) -> str:
    """Return a line on how much noise frames had, and how much was taken away."""
    return ", ".join(
        f"{what} {255 * np.mean(levels):.1f} of 255"
        for what, levels in (
            ("noise of sigma", [frame.sigma for frame in frames if frame.sigma is not None]),
            ("taken away", [frame.taken for frame in frames]),
        )
        if levels
    )


def change_image(
    source: Path,
    target: Path,
    change: Change,
    *,
    most_pixels: int | None = None,
    log: Callable[[str], None] = print,
) -> None:
    """Read an image, change it and write it; `log` is told of remarks, and of the file's name.

    Raises InputError where it cannot be read or written; and, with the file written, where a part could not be read.
    """
    check_distinct(source, target)
    picture = read_image(source, most_pixels=most_pixels)
    check_holds(target, picture)
    outcome = _written(target, change(picture))
    for line in (*(f"{source.name}: {remark}" for remark in outcome.remarks), str(target)):
        log(line)
    if outcome.lost:
        raise InputError(f"{target} is without {'; '.join(outcome.lost)}, which could not be read")


def change_images(jobs: list[Job], change: Change, *, most_pixels: int | None = None) -> Generator[tuple[Job, Outcome]]:
    """Read, change and write images, all three at the same time; yield what became of each."""
    items = background(_changed(change, background(_read(jobs, most_pixels))))
    with closing(items):
        for job, picture in items:
            yield job, picture if isinstance(picture, Outcome) else _or_outcome(_written, job.target, picture)


def _read(jobs: list[Job], most_pixels: int | None) -> Iterator[tuple[Job, Picture | Outcome]]:
    for job in jobs:
        yield job, _or_outcome(_readable, job, most_pixels)


def _readable(job: Job, most_pixels: int | None) -> Picture:
    picture = read_image(job.source, most_pixels=most_pixels)
    check_holds(job.target, picture)
    return picture


def _changed(change: Change, items: Iterator[tuple[Job, Picture | Outcome]]) -> Iterator[tuple[Job, Picture | Outcome]]:
    for job, picture in items:
        yield job, picture if isinstance(picture, Outcome) else _or_outcome(change, picture)


def _written(target: Path, picture: Picture) -> Outcome:
    left_out = write_image(target, picture)
    return Outcome((*picture.remarks, *left_out), picture.lost)


def _or_outcome(function: Callable, *arguments):
    """Return what a function returns, or the outcome that it failed."""
    try:
        return function(*arguments)
    except InputError as error:
        return Outcome(error=error)


def is_image(path: Path) -> bool:
    """Return whether a file is an image: by its suffix, or by its content where that says nothing."""
    suffix = path.suffix.lower()
    if suffix in images.SUFFIXES or suffix in (*suffixes.SUFFIXES, *suffixes.READ_ONLY):
        return suffix in images.SUFFIXES
    try:
        with Image.open(path):
            return True
    except Exception:  # whatever Pillow makes of what it does not know
        return False
