"""PNG, JPEG 2000 and PNM with 16 bits a channel, which Pillow would cut to 8."""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from ae.media.images.picture import as_dtype

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIECE = 1024  # bytes that are unpacked at a time
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by the colour type in the header


def deep_reader(path: Path, image: Any) -> Callable[[bool], np.ndarray] | None:
    """Return what reads [H, W, C], uint16, from a file that Pillow has opened; None where Pillow reads it as well.

    The reader is told whether to read on where the file is cut short.
    """
    with path.open("rb") as file:
        head = file.read(2**16)
    if image.format == "PNG" and head[24:25] == b"\x10":
        return partial(_read_png, path)
    if image.format == "JPEG2000" and (bits := _bits_of_jpeg_2000(head)) > 8:
        return partial(_read_jpeg_2000, path, bits)
    if image.format == "PPM" and head[:2] == b"P6" and (most := image.tile[0][3]) and _most_of(most) > 255:
        return partial(_read_pnm, path, image.size, image.tile[0][2], _most_of(most))
    return None


def truncated_bit_depth(path: Path, image: Any) -> int:
    """Return how many bits a channel has of which Pillow reads 8; 0 where it reads all."""
    if image.format == "HEIF":
        bits = image.info.get("bit_depth", 8)
    elif image.format == "AVIF":
        bits = _bits_of_av1(path)
    else:
        codecs = [str((tile[0], tile[3])) for tile in getattr(image, "tile", ())]
        is_wide = any("16" in re.sub(r"\b\d+\b", "", codec) for codec in codecs)  # as in "RGB;16B", but no lone number
        bits = 16 if is_wide and not image.mode.startswith(("I", "F")) else 8
    return bits if bits > 8 else 0


def _bits_of_av1(path: Path) -> int:
    """Read it from the box with the codec's configuration."""
    with path.open("rb") as file:
        _, found, box = file.read(2**16).partition(b"av1C")
    flags = box[2] if found and len(box) > 2 else 0
    return 12 if flags & 0x20 else 10 if flags & 0x40 else 8


def _read_png(path: Path, allow_truncated: bool) -> np.ndarray:
    content = path.read_bytes()
    return _with_channels(imagecodecs.png_decode(_completed(content) if allow_truncated else content))


def _bits_of_jpeg_2000(head: bytes) -> int:
    """Read those of the first channel from the codestream's header."""
    place = head.find(b"\xff\x4f\xff\x51") + 42
    return (head[place] & 127) + 1 if 42 <= place < len(head) else 8


def _read_jpeg_2000(path: Path, bits: int, allow_truncated: bool) -> np.ndarray:
    return _with_channels(_as_16_bits(imagecodecs.jpeg2k_decode(path.read_bytes()), 2**bits - 1))


def _most_of(arguments: Any) -> int:
    """Return the largest number in a PNM, from what Pillow would give its decoder."""
    found = arguments[-1] if isinstance(arguments, tuple) else arguments
    return found if isinstance(found, int) else 255


def _read_pnm(path: Path, size: tuple[int, int], offset: int, most: int, allow_truncated: bool) -> np.ndarray:
    width, height = size
    data = path.read_bytes()[offset : offset + 6 * width * height]
    if allow_truncated:
        data = data.ljust(6 * width * height, b"\0")
    return _as_16_bits(np.frombuffer(data, ">u2").reshape(height, width, 3).astype(np.uint16), most)


def _as_16_bits(values: np.ndarray, most: int) -> np.ndarray:
    return values if most == 65535 else as_dtype(values / np.float32(most), np.uint16)


def _with_channels(frame: np.ndarray) -> np.ndarray:
    return frame[..., None] if frame.ndim == 2 else frame


def write_pnm(path: Path, frame: np.ndarray) -> None:
    """Write [H, W, 1 or 3], uint16, as PGM or PPM."""
    height, width, channels = frame.shape
    head = f"P{5 if channels == 1 else 6} {width} {height} 65535\n".encode()
    path.write_bytes(head + frame.astype(">u2").tobytes())


def write_png(path: Path, frame: np.ndarray, options: dict[str, Any]) -> None:
    """Write [H, W, 1 to 4], uint16, as a PNG with the other chunks that Pillow makes of these options."""
    small = BytesIO()
    Image.new("L", (1, 1)).save(small, "PNG", **options)
    beside = b"".join(
        _chunk(*found) for found in _chunks(small.getvalue()) if found[0] not in (b"IHDR", b"IDAT", b"IEND")
    )
    frame = np.ascontiguousarray(frame)  # turned ones are not
    content = imagecodecs.png_encode(frame[..., 0] if frame.shape[2] == 1 else frame)
    after_header = len(SIGNATURE) + 25
    path.write_bytes(content[:after_header] + beside + content[after_header:])


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and contents of the chunks; the last may be cut short."""
    place = len(SIGNATURE)
    while place + 8 < len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        yield name, content[place + 8 : place + 8 + length]
        place += length + 12


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _completed(content: bytes) -> bytes:
    """Return a whole PNG with what can be unpacked of one that is cut short, and zeros after it."""
    chunks = list(_chunks(content))
    width, height, _, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    size = (height + 15) * (2 * width * CHANNELS[kind] + 1)  # interlaced rows are more and shorter
    data = _unpacked(b"".join(body for name, body in chunks if name == b"IDAT"), size)
    kept = [found for found in chunks if found[0] in (b"IHDR", b"tRNS")]
    filled = [*kept, (b"IDAT", zlib.compress(data.ljust(size, b"\0"), 1)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(*found) for found in filled)


def _unpacked(data: bytes, most: int) -> bytes:
    """Return what can be unpacked before the first fault, and so many bytes of it."""
    unpack, found = zlib.decompressobj(), bytearray()
    with suppress(zlib.error):
        for start in range(0, len(data), PIECE):
            if len(found) < most:
                found += unpack.decompress(data[start : start + PIECE], most - len(found))
    return bytes(found)
