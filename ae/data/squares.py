"""Squares of photographs, for colorizers that else see only Tiny ImageNet's: photo_squares, object_squares, large_squares.

Of the sets that they are cut from, every so many photographs, by name, are set aside: models are chosen by these.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ae.data.photographs import read_photograph, reduced, split_folder, tiles_of
from ae.data.sets import new_folder
from ae.errors import InputError
from ae.runtime import progress


class Squares(NamedTuple):
    """How a set of squares is cut from others."""

    side: int  # of the squares
    short_sides: dict[str, tuple[int, ...]]  # to which the photographs of each set are reduced before they are cut


SET_ASIDE = {"imagenet_samples": 3, "bsds500": 10, "caltech": 10}
"""Of each set one photograph in so many is in no square."""
SQUARES = {  # of 64 pixels a side, as Tiny ImageNet's images have, and larger ones
    "photo_squares": Squares(64, {"imagenet_samples": (96, 128, 192), "bsds500": (96, 128, 192)}),  # things from near
    "object_squares": Squares(64, {"caltech": (72,)}),  # nearly whole pictures of other things
    "large_squares": Squares(96, {"imagenet_samples": (144, 192, 288), "bsds500": (144, 192, 288), "caltech": (108,)}),
}


def prepare_squares(name: str, root: Path) -> Path:
    """Cut a set of squares from the prepared ones as the folder `root/name`, and return it.

    Where it is there already, nothing is done. Raises InputError where the sets that it is cut from are not there.
    """
    folder = root / name
    if folder.exists():
        return folder
    side, sources = SQUARES[name]
    paths = [(path, shorts) for source, shorts in sources.items() for path in _learnt_from(root / source)]
    with new_folder(folder) as temporary, progress.bar(name, len(paths)) as bar:
        (temporary / "train").mkdir()
        for path, short_sides in paths:
            for place, square in _squares(path, short_sides, side):
                square.save(temporary / "train" / f"{path.stem}-{place}.png")
            bar.update()
    return folder


def _learnt_from(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not there: python scripts/prepare.py {folder.name} prepares it")
    photographs = split_folder(folder)["train"]
    return sorted(set(photographs) - set(photographs[:: SET_ASIDE[folder.name]]))


def _squares(path: Path, short_sides: tuple[int, ...], side: int) -> Iterator[tuple[str, Image.Image]]:
    photograph = read_photograph(path)
    for short in short_sides:
        for number, square in enumerate(tiles_of(reduced(photograph, short / min(photograph.shape[:2])), side)):
            yield f"{short}-{number}", Image.fromarray(square)
