"""Images and animations through imageio, with what belongs to them: alpha, ICC profile, EXIF, times."""

import math
import re
from dataclasses import dataclass, field, replace
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from PIL import Image

from ae.errors import InputError
from ae.files import written_whole

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm")
DEEP = (".tif", ".tiff")  # formats that hold 16-bit colour, as far as it can be written here
OPAQUE = (".jpg", ".jpeg", ".bmp", ".ppm")  # formats without alpha
ORIENTATION = 0x0112  # the EXIF tag
MODES = {"1": "L", "LA": "LA", "La": "LA", "L": "L", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA"} | dict.fromkeys(
    ("P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"), "RGB"
)
OPTIONS: dict[str, dict[str, Any]] = {".jpg": {"quality": 95, "subsampling": 0}, ".jpeg": {"quality": 95, "subsampling": 0},
           ".webp": {"lossless": True}}  # fmt: skip


MOST_PIXELS = 2**27  # of an image, all frames together, or of one frame of a clip
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit, which knows no frames
imopen: Any = iio.imopen  # whose plugins take more than the type that it is declared to return


@dataclass(frozen=True)
class Picture:
    """The frames of an image file, upright, and what belongs to them."""

    pixels: np.ndarray  # [T, H, W, C], gray or RGB, uint8 or uint16
    alpha: np.ndarray | None = None  # [T, H, W, 1], like `pixels`
    info: dict[str, Any] = field(
        default_factory=dict
    )  # what imageio's writer is to be given along: exif, icc_profile, ...
    remarks: tuple[str, ...] = ()  # what could not be kept, a line each

    @property
    def full(self) -> int:
        """The value of white."""
        return np.iinfo(self.pixels.dtype).max


def read_image(path: Path, *, most_pixels: int | None = None) -> Picture:
    """Reads an image or an animation; palettes become RGB, and what EXIF says is turned is turned.

    Raises InputError where it cannot be read, or has more pixels, all frames together: a small file can unfold to an image
    that no memory holds.
    """
    most = most_pixels or MOST_PIXELS
    try:
        if path.suffix.lower() in DEEP and (about := iio.improps(path, plugin="tifffile")).dtype == np.uint16:
            check_number(path, math.prod(about.shape[:2]), most)
            return _read_deep_tiff(path)
        with Image.open(path) as image:
            check_number(path, image.width * image.height * getattr(image, "n_frames", 1), most)
        return _read_deep_png(path) if _is_deep_png(path) else _read_with_pillow(path)
    except InputError:
        raise
    except Exception as error:  # whatever the readers make of a damaged file
        raise InputError(f"{path} cannot be read as an image: {str(error).partition(chr(10))[0]}") from error


def check_number(path: Path, pixels: int, most: int, *, each: str = "") -> None:
    """Raises InputError where a file claims to unfold to more pixels than are allowed."""
    if pixels > most:
        raise InputError(
            f"{path} has {pixels:,} pixels{each}, more than the {most:,} allowed: --most-pixels {pixels} allows them"
        )


def _read_with_pillow(path: Path) -> Picture:
    with imopen(path, "r", plugin="pillow") as file:
        about = file.metadata(index=0, exclude_applied=False)
        mode = about["mode"]
        if not mode.startswith("I;16") and mode not in MODES:
            raise InputError(f"{path} has pixels of kind {mode}, which are not read: save it with 8 or 16 bits")
        wanted = MODES.get(mode)
        if "transparency" in about and wanted in ("L", "RGB"):
            wanted = {"L": "LA", "RGB": "RGBA"}[wanted]
        count = file.properties(index=...).n_images or 1
        animated = count > 1 and path.suffix.lower() not in DEEP
        frames = [file.read(index=index, mode=wanted, rotate=True) for index in range(count if animated else 1)]
        info = {key: about[key] for key in ("exif", "icc_profile", "dpi") if about.get(key)}
        if animated:
            durations = [file.metadata(index=index).get("duration", 100) for index in range(count)]
            info |= {"duration": durations, "loop": about.get("loop", 0)}
    if "exif" in info:
        info["exif"] = _upright(info["exif"])
    remarks = (f"{path} has {count} pages, of which the first is taken",) if count > 1 and not animated else ()
    return _picture(np.stack(frames), info, remarks)


def _upright(exif: bytes) -> bytes:
    tags = Image.Exif()
    tags.load(exif)
    if ORIENTATION in tags:
        tags[ORIENTATION] = 1
    return tags.tobytes()


def _picture(frames: np.ndarray, info: dict[str, Any], remarks: tuple[str, ...] = ()) -> Picture:
    """Of frames [T, H, W] or [T, H, W, C], the last of two or four channels being alpha."""
    frames = frames[..., None] if frames.ndim == 3 else frames
    colours = 1 if frames.shape[3] < 3 else 3
    pixels, alpha = frames[..., :colours], frames[..., colours:]
    return Picture(pixels, alpha if alpha.shape[3] else None, info, remarks)


def _is_deep_png(path: Path) -> bool:
    """Whether it is a PNG with 16-bit colour, which Pillow would cut to 8 bits without a word."""
    with path.open("rb") as file:
        head = file.read(26)
    return head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:26] in (b"\x10\x02", b"\x10\x06", b"\x10\x04")


def _read_deep_png(path: Path) -> Picture:
    with imopen(path, "r", plugin="pillow") as file:
        about = file.metadata(index=0, exclude_applied=False)
    frame = iio.imread(path, plugin="pyav", index=0, format="rgba64le")
    opaque = bool((frame[..., 3] == 65535).all())
    info = {key: about[key] for key in ("exif", "icc_profile") if about.get(key)}
    return _picture(frame[None, ..., :3] if opaque else frame[None], info)


def _read_deep_tiff(path: Path) -> Picture:
    with imopen(path, "r", plugin="tifffile") as file:
        frame, count = file.read(index=0), file.properties(index=...).n_images or 1
        profile = file.metadata(index=0).get("InterColorProfile")
    if frame.ndim not in (2, 3) or frame.shape[2:] > (4,):
        raise InputError(f"{path} is of shape {frame.shape}, which is not read: save it as gray or RGB")
    remarks = (f"{path} has {count} pages, of which the first is taken",) if count > 1 else ()
    return _picture(frame[None], {"icc_profile": profile} if profile else {}, remarks)


def check_holds(path: Path, picture: Picture) -> None:
    """Raises InputError where the format of a file to be written cannot hold a picture."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path} has no suffix of an image; there are {', '.join(SUFFIXES)}")
    if picture.pixels.dtype == np.uint16 and suffix not in DEEP:
        raise InputError(f"{suffix} cannot take the 16-bit colour of {path.name}: write a .tif")
    if picture.alpha is not None and suffix in OPAQUE:
        raise InputError(f"{suffix} cannot take the alpha of {path.name}: write a .png")
    if len(picture.pixels) > 1 and suffix not in (".gif", ".webp", ".png"):
        raise InputError(f"{suffix} cannot take {len(picture.pixels)} frames: write a .gif, .webp or .png")


def write_image(path: Path, picture: Picture) -> None:
    """Writes a picture in the format of the path's suffix, whole or not at all; raises InputError where that cannot be."""
    check_holds(path, picture)
    pixels = picture.pixels if picture.alpha is None else np.concatenate([picture.pixels, picture.alpha], axis=-1)
    info = picture.info
    if info.get("icc_profile", b"")[16:20] == b"GRAY" and pixels.shape[3] > 2:  # says nothing of colours
        info = {key: value for key, value in info.items() if key != "icc_profile"}
    try:
        with written_whole(path) as temporary:
            if pixels.dtype == np.uint16:
                _write_deep_tiff(temporary, pixels[0], info)
            else:
                frames = pixels[..., 0] if pixels.shape[3] == 1 else pixels
                options = info | OPTIONS.get(path.suffix.lower(), {})
                iio.imwrite(temporary, frames, plugin="pillow", is_batch=True, **options)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def _write_deep_tiff(path: Path, pixels: np.ndarray, info: dict[str, Any]) -> None:
    options: dict[str, Any] = {"photometric": "rgb" if pixels.shape[2] > 2 else "minisblack", "planarconfig": "contig"}
    if pixels.shape[2] in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    if "icc_profile" in info:
        options["iccprofile"] = info["icc_profile"]
    iio.imwrite(path, pixels, plugin="tifffile", is_batch=False, compression="zlib", **options)


def with_pixels(picture: Picture, pixels: np.ndarray) -> Picture:
    """The picture with other pixels, floats in [0, 1], rounded to its own kind of integers."""
    return replace(picture, pixels=np.round(pixels * picture.full).astype(picture.pixels.dtype))


def image_files(source: str) -> list[Path]:
    """The images of a folder or of a glob pattern, by their suffixes, in the order in which people count: 2 before 10.

    Raises InputError where there is none.
    """
    paths = [Path(path) for path in glob(source)] if has_magic(source) else list(Path(source).iterdir())
    files = [path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    if not files:
        raise InputError(f"{source} holds no image; there are {', '.join(SUFFIXES)}")
    return sorted(files, key=natural)


def natural(path: Path) -> list[tuple[int, str]]:
    """A key to sort by, in which runs of digits are numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
