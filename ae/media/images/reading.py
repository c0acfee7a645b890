"""Reading images: by their content, whatever the suffix says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ae.errors import InputError
from ae.media.images import tiff
from ae.media.images.deep import deep_reader, truncated_bit_depth
from ae.media.images.formats import HEIF, HEIF_BRANDS, has_heif
from ae.media.images.metadata import metadata_of, orientation_of, valid_metadata
from ae.media.images.picture import MOST_PIXELS, Picture, check_pixels, split_alpha, upright
from ae.media.images.profiles import FROM_LAB, from_cmyk, from_lab

MODES = {
    **{mode: mode for mode in ("L", "LA", "RGB", "RGBA")},
    **dict.fromkeys(("P", "RGBX", "YCbCr", "HSV"), "RGB"),
    **{"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"},
}
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")  # formats whose pictures follow each other in time
UNTIMED = 100  # milliseconds of a frame of which nothing is said
Image.MAX_IMAGE_PIXELS = None  # its own limit says nothing of what to do
_pillow_lock = threading.Lock()


def read_image(path: Path, *, most_pixels: int | None = None) -> Picture:
    """Read an image or an animation: gray or RGB, upright, as uint8, uint16 or float32 in [0, 1].

    What is cut short is read as far as it goes: `lost` says so. Raises InputError where it cannot be read, or has more
    pixels, all frames together: a small file can unfold to an image that no memory holds.
    """
    most = most_pixels or MOST_PIXELS
    try:
        return _read(path, most)
    except InputError:
        raise
    except Exception as error:  # whatever the readers make of a damaged file
        raise InputError(f"{path} cannot be read as an image: {_reason(path, error)}") from error


def _reason(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        brand = file.read(12)[8:]
    if not has_heif() and (brand in HEIF_BRANDS or path.suffix.lower() in HEIF):
        return "HEIC needs another package: pip install pillow-heif"
    if isinstance(error, UnidentifiedImageError):
        return "it is of no format that is known"
    return str(error).partition("\n")[0] or type(error).__name__


def _read(path: Path, most: int) -> Picture:
    has_heif()  # so that Pillow knows it
    with path.open("rb") as file:
        is_tiff = file.read(4) in tiff.MAGIC
    if is_tiff and tiff.is_deep(path):
        return tiff.read_tiff(path, most)
    try:
        return _read_with_pillow(path, most)
    except InputError:
        raise
    except Exception as error:
        if is_tiff:
            return tiff.read_tiff(path, most)
        picture = _read_with_pillow(path, most, allow_truncated=True)
        return replace(picture, lost=(f"a part ({str(error).partition(chr(10))[0]})",))


@contextmanager
def _pillow_settings(*, allow_truncated: bool) -> Iterator[None]:
    """Set Pillow's switches, which all threads share: whether it reads files that are cut short, and its limit."""
    with _pillow_lock:
        ImageFile.LOAD_TRUNCATED_IMAGES = allow_truncated
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None


def _read_with_pillow(path: Path, most: int, *, allow_truncated: bool = False) -> Picture:
    with _pillow_settings(allow_truncated=allow_truncated), Image.open(path) as image:
        count = getattr(image, "n_frames", 1)
        animated = count > 1 and image.format in ANIMATED
        check_pixels(path, image.width * image.height * (count if animated else 1), most)
        Image.MAX_IMAGE_PIXELS = most  # later frames of a damaged file may be larger than the first
        deep, cut = deep_reader(path, image), truncated_bit_depth(path, image)
        if not deep and image.format != "TIFF":  # which loses tags; in others some come after the pixels
            image.load()
        info, remarks = metadata_of(image)
        if animated and not deep:
            picture = _animation(image, count, allow_truncated=allow_truncated)
        else:
            picture = (
                split_alpha(deep(allow_truncated)[None], {}) if deep else _still(path, image, info.get("icc_profile"))
            )
            if count > 1 and image.format != "PSD":  # whose picture is of all layers
                remarks.append(f"it has {count} pictures, of which the first is taken")
        if cut and not deep:
            remarks.append(f"its {cut} bits are read as 8")
        picture = replace(picture, info=valid_metadata(info | picture.info), remarks=(*remarks, *picture.remarks))
        return upright(picture, orientation_of(image))  # a TIFF has been turned by Pillow


def _still(path: Path, image: Any, profile: bytes | None) -> Picture:
    """Return the one picture that Pillow reads."""
    if image.mode.startswith(("I", "F")):
        return split_alpha(_wide(path, np.asarray(image))[None, ..., None], {})
    if image.mode == "CMYK":
        rgb, line = from_cmyk(np.asarray(image), profile)
        return split_alpha(rgb[None], {"icc_profile": None}, remarks=(line,))
    if image.mode == "LAB":
        rgb = from_lab(np.asarray(image) ^ np.array([0, 128, 128], np.uint8))
        return split_alpha(rgb[None], {"icc_profile": None}, remarks=(FROM_LAB,))
    wanted = MODES[image.mode]
    if image.has_transparency_data and wanted in ("L", "RGB"):
        wanted = {"L": "LA", "RGB": "RGBA"}[wanted]
    values = np.asarray(image.convert(wanted))
    return split_alpha(values.reshape(1, *values.shape[:2], -1), {})


def _wide(path: Path, values: np.ndarray) -> np.ndarray:
    """Return gray of more than 8 bits, as uint16 or float32."""
    least, most = values.min(initial=0), values.max(initial=0)
    full = 1 if values.dtype.kind == "f" else 65535
    if not (least >= 0 and most <= full):
        raise InputError(f"{path} has values from {least:g} to {most:g}: they have to lie in [0, {full}]")
    return values.astype(np.float32 if full == 1 else np.uint16)


def _animation(image: Any, count: int, *, allow_truncated: bool) -> Picture:
    """Return all frames, with how long each is shown and how often all are."""
    gray = MODES.get(image.mode) in ("L", "LA")
    plays = _plays(image)
    times: list[float] = []
    first = int(bool(image.info.get("default_image")))  # which is shown where animations are not
    frames = np.empty((count - first, image.height, image.width, 4), np.uint8)
    for index in range(first, count):
        try:
            image.seek(index)
            frames[len(times)] = image.convert("RGBA")
        except Exception:
            if allow_truncated and times:
                break
            raise
        times.append(image.info.get("duration", UNTIMED))
    opaque = frames[: len(times), ..., 3].min() == 255
    channels = slice(2 if gray else 0, 3 if opaque else 4)
    return split_alpha(frames[: len(times), ..., channels], {"duration": times, "plays": plays})


def _plays(image: Any) -> int:
    """Return how often an animation is shown, 0 being for ever; a GIF says how often it is shown again."""
    loop = image.info.get("loop", 1 if image.format == "GIF" else 0)
    return loop + 1 if image.format == "GIF" and "loop" in image.info and loop else loop
