"""Decoded images, kept in the user's cache directory: written piece by piece, whole or not at all, and memory-mapped.

A file is an array of images followed by one of counts, both as .npy; its name ends with the checksum of both.
"""

import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import platformdirs

from ae.runtime import progress

PIECE = 2**24  # bytes of which a checksum is computed at a time


class Decoded(NamedTuple):
    """Images of a source split, in the batches in which they were decoded."""

    images: np.ndarray  # uint8 [N, H, W, C]
    counts: np.ndarray  # int64 [batches]: how many images each batch had


def cached(stem: str, label: str, decode: Callable[[], Iterator[np.ndarray]]) -> Decoded:
    """Return what `decode` yields, memory-mapped from the cache, which is filled or mended where needed.

    `stem`: begins the file's name, and says all that the images depend on. `decode` yields batches [B, H, W, C], uint8; an
    empty one may have any shape. `label`: what messages call the images.
    """
    cache = Path(platformdirs.user_cache_dir("ae")) / "data"
    for path in cache.glob(f"{stem}-*.npy"):
        try:
            found = _read(path)
            if path.stem == f"{stem}-{_checksum(found, label):08x}":
                return found
        except Exception:  # whatever numpy makes of a damaged header
            pass
        print(f"the cache file {path} is damaged: decoding {label} again", file=sys.stderr)
        path.unlink(missing_ok=True)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return _read(_write(cache, stem, label, decode()))
    except OSError as error:
        print(f"cannot keep the decoded images in {cache}: {error}; the next start will decode again", file=sys.stderr)
        batches = list(decode())
        images = np.concatenate([batch for batch in batches if len(batch)])
        return Decoded(images, np.array([len(batch) for batch in batches]))


def _read(path: Path) -> Decoded:
    images = np.load(path, mmap_mode="r", allow_pickle=False)
    with path.open("rb") as file:
        end_of_images = file.seek(images.offset + images.nbytes)
        if end_of_images == path.stat().st_size:  # as earlier versions left it
            return Decoded(images, np.empty(0, np.int64))
        return Decoded(images, np.load(file, allow_pickle=False))


def _write(cache: Path, stem: str, label: str, batches: Iterator[np.ndarray]) -> Path:
    """Write a file of the cache, whole or not at all, and return its path."""
    temporary = cache / f".{os.getpid()}-{stem}.npy"
    try:
        counts: list[int] = []
        shape: tuple[int, ...] | None = None
        with temporary.open("wb") as file:
            for batch in batches:
                if shape is None and len(batch):
                    shape = batch.shape[1:]
                    _write_header(file, 0, shape)  # numpy leaves room for the number that it has in the end
                file.write(np.ascontiguousarray(batch).data)
                counts.append(len(batch))
            assert shape is not None  # `decode` raises where there is no image
            np.save(file, np.array(counts, np.int64), allow_pickle=False)
            file.seek(0)
            _write_header(file, sum(counts), shape)
        path = cache / f"{stem}-{_checksum(_read(temporary), label):08x}.npy"
        os.replace(temporary, path)
        return path
    finally:
        temporary.unlink(missing_ok=True)


def _write_header(file: IO[bytes], count: int, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(file, header)


def _checksum(decoded: Decoded, label: str) -> int:
    checksum, content = 0, decoded.images.reshape(-1)
    with progress.bar(f"checking {label}", content.nbytes, unit="B") as bar:
        for first in range(0, content.nbytes, PIECE):
            piece = content[first : first + PIECE]
            checksum = zlib.crc32(piece.data, checksum)
            bar.update(piece.nbytes)
    return zlib.crc32(decoded.counts.data, checksum)
