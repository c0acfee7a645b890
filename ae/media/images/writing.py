"""Writing images in the format that the suffix names, whole or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ae.errors import InputError
from ae.media.images.deep import write_png, write_pnm
from ae.media.images.formats import FORMATS, HEIF, JPEG, PNG, PNM, TIFF, Format, has_heif
from ae.media.images.metadata import IPTC, PHOTOSHOP, PHOTOSHOP_IPTC, XMP, supported_metadata
from ae.media.images.picture import Picture, as_dtype
from ae.media.images.profiles import profile_fits
from ae.media.images.tiff import write_tiff
from ae.runtime.files import atomic_write


def check_holds(path: Path, picture: Picture) -> Format:
    """Return the format of a file to be written. Raises InputError where it cannot hold a picture."""
    suffix = path.suffix.lower()
    file_format = FORMATS.get(suffix)
    if file_format is None:
        raise InputError(f"{path} has no suffix of an image that is written; there are {', '.join(FORMATS)}")
    if suffix in HEIF and not has_heif():
        raise InputError(f"{suffix} needs another package: pip install pillow-heif")
    if picture.is_deep and not file_format.deep:
        raise InputError(f"{suffix} cannot take the 16-bit colour of {path.name}: write a .png or .tif")
    if picture.alpha is not None and not file_format.alpha:
        raise InputError(f"{suffix} cannot take the alpha of {path.name}: write a .png")
    count, height, width = picture.pixels.shape[:3]
    if count > 1 and not file_format.frames:
        raise InputError(f"{suffix} cannot take {count} frames: write a .gif, .webp or .png")
    if max(height, width) > file_format.max_side:
        raise InputError(
            f"{suffix} cannot take {width} x {height} pixels, only {file_format.max_side:,} a side: write a .png"
        )
    return file_format


def write_image(path: Path, picture: Picture) -> tuple[str, ...]:
    """Write a picture in the format of the path's suffix, whole or not at all; return what is left out, a line each.

    Raises InputError where it cannot be written.
    """
    file_format = check_holds(path, picture)
    picture, lines = _fitted(picture, file_format, path.suffix)
    try:
        with atomic_write(path) as temporary:
            _write(temporary, picture.joined(), picture.info, file_format)
    except InputError:
        raise
    except Exception as error:  # whatever an encoder does not take
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path} cannot be written: {reason}") from error
    return lines


def _fitted(picture: Picture, file_format: Format, suffix: str) -> tuple[Picture, tuple[str, ...]]:
    """Return what a format can hold of a picture, and what not, a line each."""
    info, lines = picture.info, []
    if not profile_fits(info.get("icc_profile"), picture):
        lines.append("its profile is of another colour space and is left out")
        info = {key: value for key, value in info.items() if key != "icc_profile"}
    info, rest = supported_metadata(info, file_format)
    if rest:
        lines.append(f"{suffix} cannot hold {', '.join(rest)}: left out")
    picture = replace(picture, info=info)
    if picture.max_value == 1 and file_format is not TIFF:
        lines.append("its floats are written with 16 bits")
        alpha = None if picture.alpha is None else as_dtype(picture.alpha, np.uint16)
        picture = replace(picture, pixels=as_dtype(picture.pixels, np.uint16), alpha=alpha)
    return picture, tuple(lines)


def _write(path: Path, frames: np.ndarray, info: dict[str, Any], file_format: Format) -> None:
    if frames.dtype == np.uint8:
        pictures = [Image.fromarray(frame[..., 0] if frame.shape[2] == 1 else frame) for frame in frames]
        options = {**file_format.options, **_options(info, file_format), **_times(info, path, frames)}
        more: dict[str, Any] = {"save_all": True, "append_images": pictures[1:]} if len(pictures) > 1 else {}
        pictures[0].save(path, **options, **more)
    elif file_format is TIFF:
        write_tiff(path, frames[0], info)
    elif file_format is PNM:
        write_pnm(path, frames[0])
    else:
        write_png(path, frames[0], _options(info, file_format))


def _options(info: dict[str, Any], file_format: Format) -> dict[str, Any]:
    """Return what belongs to a picture, as Pillow's encoders take it."""
    options: dict[str, Any] = {
        key: info[key] for key in ("exif", "icc_profile", "dpi", "comment", "xmp") if key in info
    }
    if file_format is PNG:
        options["pnginfo"] = _png_texts(options.pop("comment", b""), options.pop("xmp", b""), info.get("text", {}))
    if file_format is JPEG and "iptc" in info:
        options["extra"] = _photoshop(info["iptc"])
    if file_format is TIFF:
        tags = Image.Exif()
        tags.load(options.get("exif", b""))
        tags.update({tag: value for tag, value in ((XMP, options.pop("xmp", b"")), (IPTC, info.get("iptc"))) if value})
        options["exif"] = tags
    return options


def _png_texts(comment: bytes, xmp: bytes, texts: dict[str, str]) -> PngInfo:
    chunks = PngInfo()
    if xmp:
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    for keyword, text in (texts | ({"Comment": _text(comment)} if comment else {})).items():
        chunks.add_text(keyword, text)
    return chunks


def _text(comment: bytes) -> str:
    """Decode bytes of which no format says how they are encoded."""
    try:
        return comment.decode()
    except UnicodeDecodeError:
        return comment.decode("latin-1")


def _photoshop(iptc: bytes) -> bytes:
    """Return the segment of a JPEG with a resource of Photoshop's that holds IPTC."""
    resource = b"8BIM" + PHOTOSHOP_IPTC.to_bytes(2, "big") + bytes(2) + len(iptc).to_bytes(4, "big") + iptc
    content = PHOTOSHOP + resource + bytes(len(iptc) % 2)
    return b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content


def _times(info: dict[str, Any], path: Path, frames: np.ndarray) -> dict[str, Any]:
    """Return how long each frame is shown, and how often all are; a GIF counts how often they are shown again."""
    if len(frames) == 1:
        return {}
    plays, is_gif = info.get("plays", 0), path.suffix.lower() == ".gif"
    loop = {} if is_gif and plays == 1 else {"loop": plays - 1 if is_gif and plays else plays}
    seen_through = is_gif and frames.shape[3] in (2, 4)
    return {"duration": info["duration"], **loop, **({"disposal": 2} if seen_through else {})}
