"""Formats of images by their suffixes: which are read, and what those that are written can hold."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple


class Format(NamedTuple):
    """Limits of a file format."""

    metadata: frozenset[str] = frozenset()  # of what `metadata` finds
    deep: bool = False  # 16-bit colour
    alpha: bool = True
    frames: bool = False  # animations
    max_side: int = 2**31 - 1  # most pixels in a row or column
    options: Mapping[str, Any] = MappingProxyType({})  # for Pillow's encoder


def _keeps(names: str) -> frozenset[str]:
    return frozenset(names.split())


FINE = {"quality": 95, "subsampling": "4:4:4"}
JPEG = Format(
    _keeps("exif icc_profile dpi xmp iptc comment"),
    alpha=False,
    max_side=65500,
    options={"quality": 95, "subsampling": 0},
)
PNG = Format(_keeps("exif icc_profile dpi xmp comment text"), deep=True, frames=True)
TIFF = Format(_keeps("exif icc_profile dpi xmp iptc"), deep=True)
HEIC = Format(_keeps("exif icc_profile xmp"), max_side=16384, options={"quality": 95, "chroma": 444})
JPEG_2000 = Format(_keeps("comment"))
BMP = Format(_keeps("dpi"), alpha=False)
PNM = Format(alpha=False, deep=True)
FORMATS = {
    ".png": PNG,
    ".apng": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".jpe": JPEG,
    ".jfif": JPEG,
    ".webp": Format(_keeps("exif icc_profile xmp"), frames=True, max_side=16383, options={"lossless": True}),
    ".tif": TIFF,
    ".tiff": TIFF,
    ".bmp": BMP,
    ".dib": BMP,
    ".gif": Format(_keeps("comment"), frames=True, max_side=65535),
    ".ppm": PNM,
    ".pgm": PNM,
    ".pnm": PNM,
    ".jp2": JPEG_2000,
    ".j2k": JPEG_2000,
    ".avif": Format(_keeps("exif icc_profile xmp"), frames=True, max_side=65535, options=FINE),
    ".heic": HEIC,
    ".heif": HEIC,
    ".tga": Format(max_side=65535),
}
READ_ONLY = (".mpo", ".psd", ".pcx", ".sgi", ".ico", ".dds", ".qoi", ".pbm", ".jpx", ".jpf", ".j2c", ".hif", ".avifs")
SUFFIXES = (*FORMATS, *READ_ONLY)
HEIF = (".heic", ".heif", ".hif")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@cache
def has_heif() -> bool:
    """Return whether Pillow reads and writes HEIC: only with the extra package."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True
