"""Prepare a set of photographs: benchmarks of denoising, and photographs to train on."""

from pathlib import Path
from typing import Annotated

import tyro

from ae.runtime import cli


def main(
    name: tyro.conf.Positional[str],
    local_copy: Annotated[Path | None, tyro.conf.arg(name="from", metavar="ZIP|DIR")] = None,
    data_dir: Path | None = None,
) -> None:
    """Prepare a set of photographs as DATA_DIR/NAME, whole or not at all.

    Args:
        name: bsds500, tiny_imagenet, imagenet_samples or caltech (to train on), photo_squares (cut from bsds500 and
            imagenet_samples), object_squares (cut from caltech), large_squares (cut from all three), set12, bsd68, cbsd68,
            kodak24, mcmaster or polyu (benchmarks).
        local_copy: A zip or a folder of the repository that holds them; without it, a zip is downloaded from GitHub.
        data_dir: Folder of data sets (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
    """
    from ae.data.sets import SOURCES, prepare_set
    from ae.data.squares import SQUARES, prepare_squares
    from ae.data.tfds import data_folder
    from ae.errors import InputError

    if name in SQUARES:
        print(prepare_squares(name, data_folder(data_dir)))
        return
    if name not in SOURCES:
        raise InputError(f"unknown set {name!r}; there are {', '.join([*SOURCES, *SQUARES])}")
    source = SOURCES[name]
    print(f"{source.title}: https://github.com/{source.repository}\n{source.licence}", flush=True)
    folder = prepare_set(name, source, data_folder(data_dir), local_copy=local_copy)
    print(f"{folder}: {source.images:,} images")


if __name__ == "__main__":
    cli.run(main)
