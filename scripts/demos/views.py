"""Copies of a file that the page shows and changes at once; what one saves is computed by the commands, from the file."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ae import Colorizer, Denoiser
from ae.media.images import Picture, in_srgb, read_image
from ae.media.pictures import gray_frames, painted
from ae.restore.hints import hints_at, no_hints

SIDE = 1000  # pixels of a view, at most
LOUPE = (320, 480)  # rows and columns of the part of a picture that is shown pixel by pixel
MARGIN = 32  # pixels around it that the model sees as well

Point = tuple[float, float, str]  # shares of the height and of the width, and "#rrggbb"


class GrayView(NamedTuple):
    """A small copy of a photograph that is to be coloured."""

    path: Path
    gray: np.ndarray  # luma [h, w] in [0, 1]
    clean: np.ndarray | None = None  # the same without its noise, once that was asked for


class NoisyView(NamedTuple):
    """A photograph whose noise is to be taken, in a file of its own, and a small copy."""

    path: Path
    pixels: Path  # of the first frame, [H, W, C], as NumPy saves them
    small: np.ndarray  # [h, w, C] in [0, 1]
    sigma: float | None  # standard deviation of its noise, of white 1


def open_gray(path: Path, most_pixels: int) -> GrayView:
    """Read a photograph that is to be coloured. Raises InputError where it cannot be read or is too large."""
    picture = in_srgb(read_image(path, most_pixels=most_pixels))
    return GrayView(path, reduced(gray_frames(first_of(picture))[0]))


def open_noisy(path: Path, denoiser: Denoiser, most_pixels: int) -> NoisyView:
    """Read a photograph whose noise is to be taken, and find out how much that is; raises as `open_gray` does."""
    frame = read_image(path, most_pixels=most_pixels).pixels[0]
    kept = path.with_suffix(".npy")
    np.save(kept, frame)
    white = 1 if frame.dtype.kind == "f" else np.iinfo(frame.dtype).max
    small = np.stack([reduced(plane.astype(np.float32) / white) for plane in np.moveaxis(frame, 2, 0)], axis=-1)
    return NoisyView(path, kept, small, denoiser.amount(frame).sigma)


def first_of(picture: Picture) -> Picture:
    """Return a picture with its first frame alone."""
    alpha = None if picture.alpha is None else picture.alpha[:1]
    return replace(picture, pixels=picture.pixels[:1], alpha=alpha)


def reduced(plane: np.ndarray) -> np.ndarray:
    """Return a plane [H, W] in [0, 1] of at most SIDE rows and columns."""
    height, width = plane.shape
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BOX)).clip(0, 1)


def with_clean(view: GrayView, denoiser: Denoiser) -> GrayView:
    """Return a view that knows itself without noise too."""
    return view if view.clean is not None else view._replace(clean=denoiser.image(view.gray))


def coloured(view: GrayView, colorizer: Colorizer, points: Sequence[Point], *, restore: bool = False) -> np.ndarray:
    """Return a view in colour, [h, w, 3] in [0, 1], with colours at points."""
    gray = view.clean if restore and view.clean is not None else view.gray
    if not colorizer.takes_hints:
        return colorizer.image(gray)
    hints = painted(dots(view, points)) if points else no_hints(gray.shape)  # one program, with hints or without
    return colorizer.image(gray, hints=hints)


def dots(view: GrayView, points: Sequence[Point]) -> Picture:
    """Return the picture that the command takes as hints: colours at points of the view, transparent elsewhere."""
    height, width = view.gray.shape
    rgba = np.zeros((1, height, width, 4), np.uint8)
    for row, column, colour in points:
        place = min(int(row * height), height - 1), min(int(column * width), width - 1)
        hints = hints_at([(*place, colour)], view.gray)
        rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        rgba[0, hints.rows, hints.columns] = [*rgb, 255]
    return Picture(rgba[..., :3], rgba[..., 3:])


def write_dots(path: Path, view: GrayView, points: Sequence[Point]) -> None:
    """Write the picture of `dots`."""
    picture = dots(view, points)
    assert picture.alpha is not None
    Image.fromarray(np.concatenate([picture.pixels, picture.alpha], axis=-1)[0]).save(path)


def loupe(view: NoisyView, denoiser: Denoiser, place: tuple[float, float], strength: float) -> tuple[np.ndarray, ...]:
    """Return a part of a photograph pixel by pixel, and the same with less noise: [h, w, C] in [0, 1] twice.

    `place`: of its middle, in shares of height and width.
    """
    pixels = np.load(view.pixels, mmap_mode="r")
    seen, kept = zip(*(spans(*values) for values in zip(place, pixels.shape, LOUPE, strict=False)), strict=True)
    part = np.array(pixels[seen])
    white = 1 if part.dtype.kind == "f" else np.iinfo(part.dtype).max
    noisy = part.astype(np.float32) / np.float32(white)
    return noisy[kept], denoiser.image(noisy, strength=strength)[kept]


def spans(place: float, length: int, size: int) -> tuple[slice, slice]:
    """Return which pixels of a line are seen, with a margin, and which of these are kept."""
    start = max(0, min(int(place * length) - size // 2, length - size))
    stop = min(length, start + size)
    first = max(0, start - MARGIN)
    return slice(first, min(length, stop + MARGIN)), slice(start - first, stop - first)


def as_url(image: np.ndarray) -> str:
    """Return an image [h, w] or [h, w, C] in [0, 1] as a JPEG file that is its own address."""
    rgb = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    rgb = rgb[..., 0] if rgb.ndim == 3 and rgb.shape[2] == 1 else rgb
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=92, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def as_bytes(image: np.ndarray) -> np.ndarray:
    """Return an image [h, w, C] in [0, 1] as RGB in uint8."""
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8).repeat(3 // image.shape[2], axis=2)


def hex_colour(colour: str) -> str:
    """Return a colour as "#rrggbb" that may be written as "rgba(r, g, b, a)". Raises InputError for others."""
    numbers = re.findall(r"[\d.]+", colour) if colour.startswith("rgb") else []
    if numbers:
        return "#" + "".join(f"{round(float(number)):02x}" for number in numbers[:3])
    return colour


def comparison(before: np.ndarray, after: np.ndarray, points: Sequence[Point] = ()) -> dict[str, Any]:
    """Return what the page shows of two images under a slider, and of points on them."""
    return {"before": as_url(before), "after": as_url(after), "points": points}
