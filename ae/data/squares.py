"""Squares of photographs, for colorizers that else see only those of Tiny ImageNet: photo_squares and object_squares.

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

SIDE = 64  # of the squares, as Tiny ImageNet's images have


class Squares(NamedTuple):
    """How a set of squares is cut from others."""

    set_aside: dict[str, int]  # of each set that it is cut from, one photograph in so many
    short_sides: tuple[int, ...]  # to which photographs are reduced before they are cut


SQUARES = {
    "photo_squares": Squares({"imagenet_samples": 3, "bsds500": 10}, (96, 128, 192)),  # things from near
    "object_squares": Squares({"caltech": 10}, (72,)),  # nearly whole pictures of other things
}


def prepare_squares(name: str, root: Path) -> Path:
    """Cut a set of squares from the prepared ones as the folder `root/name`, and return it.

    Where it is there already, nothing is done. Raises InputError where the sets that it is cut from are not there.
    """
    folder = root / name
    if folder.exists():
        return folder
    set_aside, short_sides = SQUARES[name]
    paths = [path for source, every in set_aside.items() for path in _learnt_from(root / source, every)]
    with new_folder(folder) as temporary, progress.bar(name, len(paths)) as bar:
        (temporary / "train").mkdir()
        for path in paths:
            for place, square in _squares(path, short_sides):
                square.save(temporary / "train" / f"{path.stem}-{place}.png")
            bar.update()
    return folder


def _learnt_from(folder: Path, every: int) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not there: python scripts/prepare.py {folder.name} prepares it")
    photographs = split_folder(folder)["train"]
    return sorted(set(photographs) - set(photographs[::every]))


def _squares(path: Path, short_sides: tuple[int, ...]) -> Iterator[tuple[str, Image.Image]]:
    photograph = read_photograph(path)
    for short in short_sides:
        for number, square in enumerate(tiles_of(reduced(photograph, short / min(photograph.shape[:2])), SIDE)):
            yield f"{short}-{number}", Image.fromarray(square)
