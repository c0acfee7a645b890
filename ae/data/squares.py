"""Squares of large photographs, for colorizers that else see only photographs that are small: the set photo_squares.

Every third photograph of imagenet_samples' training split and every tenth of bsds500, by name, is set aside: models are
chosen by these.
"""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ae.data.photographs import read_photograph, reduced, split_folder, tiles_of
from ae.data.sets import new_folder
from ae.errors import InputError
from ae.runtime import progress

NAME = "photo_squares"
SIDE = 64  # of the squares, as Tiny ImageNet's images have
SHORT_SIDES = (96, 128, 192)  # to which photographs are reduced before they are cut
SET_ASIDE = {"imagenet_samples": 3, "bsds500": 10}  # of each set, one photograph in so many


def prepare_squares(root: Path) -> Path:
    """Cut the set from the prepared ones as the folder `root/photo_squares`, and return it.

    Where it is there already, nothing is done. Raises InputError where the sets that it is cut from are not there.
    """
    folder = root / NAME
    if folder.exists():
        return folder
    paths = [path for name, every in SET_ASIDE.items() for path in _learnt_from(root / name, every)]
    with new_folder(folder) as temporary, progress.bar(NAME, len(paths)) as bar:
        (temporary / "train").mkdir()
        for path in paths:
            for name, square in _squares(path):
                square.save(temporary / "train" / f"{path.stem}-{name}.png")
            bar.update()
    return folder


def _learnt_from(folder: Path, every: int) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not there: python scripts/prepare.py {folder.name} prepares it")
    photographs = split_folder(folder)["train"]
    return sorted(set(photographs) - set(photographs[::every]))


def _squares(path: Path) -> Iterator[tuple[str, Image.Image]]:
    photograph = read_photograph(path)
    for short in SHORT_SIDES:
        for number, square in enumerate(tiles_of(reduced(photograph, short / min(photograph.shape[:2])), SIDE)):
            yield f"{short}-{number}", Image.fromarray(square)
