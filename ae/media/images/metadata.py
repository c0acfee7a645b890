"""What belongs to an image besides its pixels, under one name each, whatever the format.

exif: bytes, without orientation (pixels are upright) and resolution; icc_profile: bytes; dpi: (across, down); xmp: bytes;
iptc: bytes; comment: bytes; text: {keyword: text}, of a PNG.
"""

import math
from typing import Any

from PIL import ExifTags, Image

from ae.media.images.formats import Format

ORIENTATION, UNIT, XMP, IPTC, PROFILE = 274, 296, 700, 33723, 34675  # tags of TIFF and EXIF
RESOLUTION = (282, 283)
DESCRIBING = {
    270,
    271,
    272,
    285,
    305,
    306,
    315,
    316,
    33432,
    *range(40091, 40096),
}  # tags of a TIFF that are not its layout
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
CENTIMETRE = 3
PHOTOSHOP, PHOTOSHOP_IPTC = b"Photoshop 3.0\0", 0x0404
SEGMENT = 65_000  # bytes that a segment of a JPEG holds, besides its name
NAMES = {
    "exif": "EXIF",
    "icc_profile": "the colour profile",
    "dpi": "the resolution",
    "xmp": "XMP",
    "iptc": "IPTC",
    "comment": "the comment",
    "text": "texts",
}


def metadata_of(image: Image.Image) -> tuple[dict[str, Any], list[str]]:
    """Return what belongs to an image that Pillow has opened, and a remark where some is damaged."""
    info: dict[str, Any] = {key: image.info.get(key) for key in ("icc_profile", "dpi", "xmp", "comment")}
    info["iptc"] = (image.info.get("photoshop") or {}).get(PHOTOSHOP_IPTC)
    texts = {key: str(value) for key, value in (getattr(image, "text", None) or {}).items() if _is_text(key)}
    info |= {"comment": texts.pop("Comment", info["comment"]), "text": texts}
    try:
        exif = image.getexif()
        info |= from_tags(exif, is_tiff=image.format == "TIFF")
    except Exception:  # whatever Pillow makes of damaged tags
        return valid_metadata(info), ["its EXIF is damaged and is left out"]
    return with_turned_resolution(valid_metadata(info), orientation_of(image)), []


def with_turned_resolution(info: dict[str, Any], orientation: int) -> dict[str, Any]:
    """Return it with the resolution of an image that is turned upright."""
    return info | {"dpi": info["dpi"][::-1]} if "dpi" in info and orientation in (5, 6, 7, 8) else info


def orientation_of(image: Image.Image) -> int:
    """Return how the pixels are turned, as EXIF says; 1, upright, where it does not or is damaged."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:
        return 1
    return found if isinstance(found, int) else 1


def from_tags(exif: Image.Exif, *, is_tiff: bool) -> dict[str, Any]:
    """Return what stands in EXIF, or in a TIFF's tags."""
    tags = dict(exif)
    info = {}
    if is_tiff:
        named = {"icc_profile": PROFILE, "xmp": XMP, "iptc": IPTC}
        info = {key: _bytes(tags[tag]) for key, tag in named.items() if tag in tags} | {"dpi": _dpi(tags)}
    kept = Image.Exif()
    kept.update({tag: value for tag, value in tags.items() if tag in DESCRIBING or not (is_tiff or _is_layout(tag))})
    for directory in DIRECTORIES:
        if found := dict(exif.get_ifd(directory)):
            kept[directory] = found
    return info | ({"exif": kept.tobytes()} if dict(kept) else {})


def valid_metadata(info: dict[str, Any]) -> dict[str, Any]:
    """Return what there is of it; a resolution of zero, of no number or beyond 16 bits is none."""
    dpi = info.get("dpi") or ()
    if len(dpi) != 2 or not all(math.isfinite(value) and 0 < value < 2**16 for value in dpi):
        info = {key: value for key, value in info.items() if key != "dpi"}
    encoded = {key: value.encode() if isinstance(value, str) else value for key, value in info.items()}
    return {key: value for key, value in encoded.items() if value}


def _is_text(keyword: str) -> bool:
    """Return whether it is not what Pillow also gives under another name, or cannot be written again."""
    return keyword != "XML:com.adobe.xmp" and not keyword.startswith("Raw profile type") and 0 < len(keyword) < 80


def _is_layout(tag: int) -> bool:
    return tag in (256, 257, ORIENTATION, UNIT, *RESOLUTION, *DIRECTORIES)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes(value) if isinstance(value, tuple) else str(value).encode()


def _dpi(tags: dict[int, Any]) -> tuple[float, ...]:
    try:
        across = [float(tags[tag]) * (2.54 if tags.get(UNIT) == CENTIMETRE else 1) for tag in RESOLUTION]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return ()
    return () if tags.get(UNIT) == 1 else tuple(across)  # 1: only the shape of pixels


def supported_metadata(info: dict[str, Any], file_format: Format) -> tuple[dict[str, Any], list[str]]:
    """Return what a format can hold of it, and the names of the rest."""
    in_segments = file_format.max_side == 65500
    long = {key for key in ("exif", "xmp", "iptc", "comment") if in_segments and len(info.get(key, b"")) > SEGMENT}
    rest = [name for key, name in NAMES.items() if key in info and (key not in file_format.metadata or key in long)]
    return {key: value for key, value in info.items() if NAMES.get(key) not in rest}, rest
