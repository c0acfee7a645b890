"""TIFF of more than 8 bits, or of kinds that Pillow does not read, through tifffile."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC

from ae.errors import InputError
from ae.media.images.metadata import IPTC, ORIENTATION, XMP, from_tags, valid_metadata, with_turned_resolution
from ae.media.images.picture import Picture, as_dtype, check_pixels, upright
from ae.media.images.profiles import FROM_LAB, from_cmyk, from_lab

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "PALETTE": 1, "RGB": 3, "YCBCR": 3, "CIELAB": 3, "SEPARATED": 4}
MOST_CHANNELS = 16
JPEGS = (COMPRESSION.OJPEG, COMPRESSION.JPEG)  # whose YCbCr tifffile makes RGB
OF_LINES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


class Samples(NamedTuple):
    """Samples of a page of a TIFF, before they are converted to colours."""

    values: np.ndarray  # [H, W, C]
    page: Any
    info: dict[str, Any]
    remarks: list[str]
    lost: tuple[str, ...]
    orientation: int
    palette: np.ndarray | None  # [3, N]


def is_deep(path: Path) -> bool:
    """Return whether the first page of a TIFF has more than 8 bits a channel; False where tifffile cannot read it."""
    try:
        with tifffile.TiffFile(path) as file:
            return int(np.max(file.pages[0].bitspersample)) > 8  # type: ignore[union-attr]
    except Exception:
        return False


def read_tiff(path: Path, most: int) -> Picture:
    """Read the first page of a TIFF: gray or RGB, uint8, uint16 or float32.

    Raises InputError where it has more pixels than `most`, or is of a kind that is not read.
    """
    samples = _samples(path, most)
    colours, alpha = _channels(samples)
    colours, remarks = _coloured(samples, colours)
    info = dict(samples.info)
    if remarks:  # its colours are of another space now
        info.pop("icc_profile", None)
    picture = Picture(colours[None], None if alpha is None else alpha[None], info)
    picture = replace(picture, remarks=(*samples.remarks, *remarks), lost=samples.lost)
    return upright(picture, samples.orientation)


def _samples(path: Path, most: int) -> Samples:
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        pixels = page.imagewidth * page.imagelength * page.imagedepth
        check_pixels(path, max(pixels, page.tilewidth * page.tilelength), most)
        _check_kind(path, page)
        values, lost = _decoded(page)
        numbers = _numbers(path, page, values)
        info, orientation, remarks = _tags(file, page)
        if page.bitspersample > 16 and values.dtype.kind == "u":
            remarks.append(f"its {page.bitspersample} bits are cut to 16")
        return Samples(numbers, page, info, remarks, lost, orientation, page.colormap)


def _check_kind(path: Path, page: Any) -> None:
    kind = page.photometric.name if isinstance(page.photometric, PHOTOMETRIC) else str(page.photometric)
    if kind not in COLOURS or page.axes not in ("YX", "YXS", "SYX") or page.samplesperpixel < COLOURS[kind]:
        raise InputError(f"{path} is a TIFF of kind {kind}, {page.axes}, which is not read: save it as gray or RGB")
    if page.samplesperpixel > MOST_CHANNELS:
        raise InputError(f"{path} has {page.samplesperpixel} channels, which are not read: save it as gray or RGB")
    if kind == "YCBCR" and page.compression not in JPEGS:
        raise InputError(f"{path} is a TIFF in YCbCr that is not compressed as JPEG: save it as RGB")


def _tags(file: tifffile.TiffFile, page: Any) -> tuple[dict[str, Any], int, list[str]]:
    """Return what belongs to the picture, how it is turned, and remarks."""
    exif, remarks = Image.Exif(), []
    exif.endian, exif.bigtiff = file.byteorder, file.is_bigtiff
    try:
        exif.load_from_fp(file.filehandle, page.offset)  # type: ignore[arg-type]
        info, orientation = valid_metadata(from_tags(exif, is_tiff=True)), int(exif.get(ORIENTATION, 1))
    except Exception:
        remarks.append("its tags are damaged and are left out")
        info, orientation = {}, 1
    with suppress(Exception):  # where the file ends before its next page
        if (count := len(file.pages)) > 1:
            remarks.append(f"it has {count} pages, of which the first is taken")
    return with_turned_resolution(info, orientation), orientation, remarks


def _decoded(page: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return samples [H, W, C], and a line where not all strips or tiles could be read, which are left black."""
    try:
        values, missing = page.asarray(), 0
    except Exception:
        values, missing, found = _by_segments(page)
        if not found:
            raise
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    lost = (f"{missing} of {len(page.dataoffsets)} strips or tiles",) if missing else ()
    return values[..., None] if values.ndim == 2 else values, lost


def _by_segments(page: Any) -> tuple[np.ndarray, int, int]:
    """Return samples, and how many strips or tiles are missing or cut short, and how many are there."""
    result, missing, found = np.zeros(page.shaped, page.dtype), 0, 0
    for index, (offset, length) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
        try:
            page.parent.filehandle.seek(offset)
            data = page.parent.filehandle.read(length)
            whole = data.ljust(length, b"\0") if page.compression == COMPRESSION.NONE and data else data
            segment, (sample, depth, row, column, _), _ = page.decode(whole, index, jpegtables=page.jpegtables)
            place = result[sample, depth:, row : row + segment.shape[1], column : column + segment.shape[2]]
            place[:] = segment[:, : place.shape[1], : place.shape[2]]
            missing, found = missing + (len(data) < length), found + 1
        except Exception:
            missing += 1
    return result.reshape(page.shape), missing, found


def _numbers(path: Path, page: Any, values: np.ndarray) -> np.ndarray:
    """Return them as uint8, uint16 or float32, of which the largest number, or 1, is full."""
    bits, kind = int(np.max(page.bitspersample)), values.dtype.kind
    if kind == "f":
        least, most = values.min(initial=0), values.max(initial=0)
        if np.isnan(least):
            raise InputError(f"{path} has values that are not numbers (NaN): floats have to lie in [0, 1]")
        if not (least >= 0 and most <= 1):
            raise InputError(f"{path} has values from {least:g} to {most:g}: floats have to lie in [0, 1]")
        return values.astype(np.float32)
    if page.photometric == PHOTOMETRIC.PALETTE:
        return values
    if kind == "i" and page.photometric != PHOTOMETRIC.CIELAB:
        raise InputError(f"{path} has numbers with a sign, which are not read: save it with 8 or 16 bits, or as floats")
    full, target = 2**bits - 1, np.dtype(np.uint8 if bits <= 8 else np.uint16)
    if bits in (8, 16):
        return values.view(target) if kind == "i" else values
    if bits > 16:
        return (values >> (bits - 16)).astype(np.uint16)
    return as_dtype(values / np.float32(full), target)


def _channels(samples: Samples) -> tuple[np.ndarray, np.ndarray | None]:
    """Return colours without alpha, and alpha; what is premultiplied is divided, channels of other use are left out."""
    values, page = samples.values, samples.page
    number = COLOURS[page.photometric.name]
    colours, extra = values[..., :number], values[..., number:]
    kinds = [*page.extrasamples, *[EXTRASAMPLE.UNSPECIFIED] * extra.shape[2]][: extra.shape[2]]
    place = next((index for index, kind in enumerate(kinds) if kind), None)
    if len(kinds) > (place is not None):
        samples.remarks.append(f"{len(kinds) - (place is not None)} of its channels, of unknown use, are left out")
    if place is None:
        return colours, None
    alpha = extra[..., place : place + 1]
    if kinds[place] == EXTRASAMPLE.ASSOCALPHA:
        full = 1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
        colours = as_dtype(colours / np.maximum(alpha.astype(np.float64), 1e-12 * full), values.dtype)
    return colours, alpha


def _coloured(samples: Samples, values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return gray or RGB of samples, and a line where colours are converted from another space."""
    kind, profile = samples.page.photometric, samples.info.get("icc_profile")
    is_float = values.dtype.kind == "f"
    if kind == PHOTOMETRIC.MINISWHITE:
        return (1 if is_float else np.iinfo(values.dtype).max) - values, []
    if samples.palette is not None and kind == PHOTOMETRIC.PALETTE:
        return np.moveaxis(samples.palette[:, values[..., 0]], 0, -1), []
    if kind == PHOTOMETRIC.SEPARATED:
        rgb, line = from_cmyk(as_dtype(values, np.uint16) if is_float else values, profile)
        return rgb, [line]
    if kind == PHOTOMETRIC.CIELAB:
        return from_lab(_lab_codes(values)), [FROM_LAB]
    return values, []


def _lab_codes(values: np.ndarray) -> np.ndarray:
    """Return L*, a* and b* as `from_lab` takes them, of a TIFF's, where a* and b* have a sign."""
    if values.dtype == np.uint8:
        return values ^ np.array([0, 128, 128], np.uint8)
    signed = np.round(values.view(np.int16) * (257 / 256) + 32896)
    return np.stack([values[..., 0], *np.moveaxis(signed[..., 1:], -1, 0)], axis=-1).astype(np.uint16)


def write_tiff(path: Path, frame: np.ndarray, info: dict[str, Any]) -> None:
    """Write [H, W, C], uint16 or float32, and what belongs to it."""
    exif = Image.Exif()
    exif.load(info.get("exif", b""))
    beside = {tag: dict(exif.get_ifd(tag)) for tag in OF_LINES if exif.get_ifd(tag)}
    tags: list[Any] = [(tag, "s", 0, str(value), True) for tag, value in exif.items() if isinstance(value, str)]
    tags += [(tag, "B", len(info[key]), info[key], True) for key, tag in (("xmp", XMP), ("iptc", IPTC)) if key in info]
    tags += [(tag, "I", 1, 0, True) for tag in beside]
    tifffile.imwrite(
        path,
        frame[..., 0] if frame.shape[2] == 1 else frame,
        byteorder="<",
        photometric="rgb" if frame.shape[2] > 2 else "minisblack",
        planarconfig="contig" if frame.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if frame.shape[2] in (2, 4) else None,
        iccprofile=info.get("icc_profile"),
        resolution=info.get("dpi"),
        resolutionunit="INCH" if "dpi" in info else None,
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
        extratags=tags,
    )
    for tag, values in beside.items():
        _append_directory(path, tag, values)


def _append_directory(path: Path, tag: int, values: dict[int, Any]) -> None:
    """Put a directory of EXIF at the end of a TIFF; tifffile writes none."""
    directory = ImageFileDirectory_v2(b"II*\0\x08\0\0\0", group=tag)
    directory.update(values)
    offset = path.stat().st_size + path.stat().st_size % 2
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(directory.tobytes(offset))
    with tifffile.TiffFile(path, mode="r+") as written:
        written.pages[0].tags[tag].overwrite(offset)  # type: ignore[union-attr]
