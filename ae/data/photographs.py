"""Photographs of any format and size, as tiles of one size."""

import sys
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ae.data.cache import cached
from ae.data.scored import scored_as
from ae.data.splits import Stored
from ae.data.streamed import Source
from ae.errors import InputError
from ae.media.folders import walk
from ae.media.images import SUFFIXES, in_srgb, read_image
from ae.media.images.picture import as_dtype
from ae.runtime import progress

SPLITS = ("train", "validation", "test")
NAMED = 3  # skipped photographs that are named; others are counted alone
NOTHING = np.empty(0, np.uint8)  # tiles of a photograph that is skipped


class Cut(NamedTuple):
    """How photographs become images of one size."""

    tile: int = 0  # side of the squares; 0: photographs stay whole, and all have one size
    scale: float = 1.0  # to which they are reduced before that

    def __str__(self) -> str:
        return f"{self.tile}-{self.scale:g}"


class Files:
    """Photographs in files, uint8 RGB [H, W, 3]. Raises InputError where one cannot be read, or not to its end."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> np.ndarray:
        return read_photograph(self.paths[number])


def read_photograph(path: Path) -> np.ndarray:
    """Read a photograph as sRGB [H, W, 3], uint8; gray ones have three equal channels, alpha is left out.

    Raises InputError where it cannot be read, or is cut short.
    """
    picture = read_image(path)
    if picture.lost:
        raise InputError(f"{path} is without {'; '.join(picture.lost)}, which could not be read")
    picture = in_srgb(picture)
    return to_rgb(picture.pixels[0])


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Return an image [H, W, C] as RGB [H, W, 3], uint8. It may be gray, have alpha, be of 16 bits, or float to 1."""
    colours = image[..., : 1 if image.shape[-1] < 3 else 3]
    if colours.dtype != np.uint8:
        most = 1 if colours.dtype.kind == "f" else np.iinfo(colours.dtype).max
        colours = as_dtype(colours / np.float32(most), np.uint8)
    return np.broadcast_to(colours, (*colours.shape[:2], 3))


def split_folder(folder: Path) -> dict[str, list[Path]]:
    """Return the photographs of a folder and its subfolders by source split, in the order of their names.

    Subfolders train, validation and test are source splits; where there are none, all photographs are "train". Raises
    InputError where there is none.
    """
    splits = {name: folder / name for name in SPLITS if (folder / name).is_dir()} or {"train": folder}
    found = {
        name: [path for path in walk(inside, set()) if path.suffix.lower() in SUFFIXES and path.is_file()]
        for name, inside in splits.items()
    }
    if not any(found.values()):
        raise InputError(f"{folder} holds no photographs; they are files that end with {', '.join(SUFFIXES)}")
    return found


def checksum_of_files(folder: Path, paths: list[Path]) -> int:
    """Return a checksum of the files' names, sizes and times of change."""
    facts = [(path.relative_to(folder).as_posix(), path.stat()) for path in paths]
    lines = [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in facts]
    return zlib.crc32("\n".join(lines).encode())


def store(photographs: Source, cut: Cut, label: str, stem: str, *, for_tests: bool = False) -> Stored:
    """Return the tiles of photographs, from the cache or cut and written to it.

    `label` names the photographs in messages, `stem` what they are (see `cached`). Those that cannot be read, are smaller
    than a tile, or, unless they are `for_tests`, are pictures that models are scored on, are left out and counted. Raises
    InputError where none is left.
    """
    use = "-tests" if for_tests else ""
    decoded = cached(f"{stem}-{cut}{use}", label, partial(_cut_all, photographs, cut, label, for_tests))
    if skipped := int((decoded.counts == 0).sum()):
        print(f"{label}: {skipped:,} of {len(decoded.counts):,} photographs are left out", file=sys.stderr)
    return Stored(decoded.images, np.concatenate([[0], np.cumsum(decoded.counts)]))


def _cut_all(photographs: Source, cut: Cut, label: str, for_tests: bool) -> Iterator[np.ndarray]:
    """Yield the tiles of each photograph."""
    skipped: list[str] = []
    size: tuple[int, ...] | None = None
    with progress.bar(f"cutting {label}", len(photographs)) as bar:
        for number in range(len(photographs)):
            tiles = NOTHING
            try:
                image = photographs[number]
                if not for_tests:
                    _check_not_scored(image, label, number)
                tiles = tiles_of(reduced(image, cut.scale), cut.tile)
            except InputError as error:
                skipped.append(str(error))
            if len(tiles):
                size = size or tiles.shape[1:3]
                _check_size(label, size, tiles.shape[1:3])
            yield tiles
            bar.update()
    for line in skipped[:NAMED]:
        print(line, file=sys.stderr)
    if size is None:
        why = skipped[0] if skipped else f"none is as large as a tile, {cut.tile}x{cut.tile}, at scale {cut.scale:g}"
        raise InputError(f"{label} has no photograph to train on: {why}")


def _check_not_scored(image: np.ndarray, label: str, number: int) -> None:
    if name := scored_as(image):
        raise InputError(f"photograph {number + 1} of {label} is {name}, which models are scored on")


def _check_size(label: str, size: tuple[int, ...], other: tuple[int, ...]) -> None:
    if other != size:
        raise InputError(
            f"{label} has images of {size[0]}x{size[1]} and of {other[0]}x{other[1]}: --tile 64 cuts them into squares of "
            "one size"
        )


def reduced(image: np.ndarray, scale: float) -> np.ndarray:
    """Return a photograph [H, W, 3], uint8, reduced to a share of its height and width, by Lanczos' filter."""
    if scale == 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def tiles_of(image: np.ndarray, side: int) -> np.ndarray:
    """Return the squares that cover an image [H, W, C], as few as do: [N, side, side, C], row by row.

    They overlap so that every pixel is in one. An image that is smaller has none. `side` 0: the whole image.
    """
    if not side:
        return image[None]
    height, width, channels = image.shape
    if side > min(height, width):
        return np.empty((0, side, side, channels), np.uint8)
    corners = [(row, column) for row in _starts(height, side) for column in _starts(width, side)]
    return np.stack([image[row : row + side, column : column + side] for row, column in corners])


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin that cover a length, as evenly as they can."""
    count = -(-length // side)
    return [round(number * (length - side) / max(1, count - 1)) for number in range(count)]
