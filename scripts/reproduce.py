"""Train the reference's three models, and write the tables and pictures of what came of it."""

import shutil
from dataclasses import replace
from pathlib import Path

from ae import cli


def main(
    quick: bool = False,
    only: tuple[str, ...] = (),
    seeds: int = 1,
    out: Path | None = None,
    data_dir: Path | None = None,
    limit: int | None = None,
    epochs: int | None = None,
) -> None:
    """Train the reference's three models on MNIST and CIFAR-100. Go on with what an earlier call left in runs/.

    Args:
        quick: Narrow models on data that comes with the dependencies: minutes on two cores, no download.
        only: Train these presets alone.
        seeds: Train each so many times, with seeds 0, 1, 2, ...; tables then give mean and spread.
        out: Folder for results and tables (default: results, or runs/quick with --quick).
        data_dir: Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        limit: Use only so many images of each split.
        epochs: Train for so many epochs at most.
    """
    from ae import preset, report
    from ae.config import QUICK, REFERENCE

    out = out or Path("runs/quick" if quick else "results")
    configs = [preset(name) for name in only] or list(QUICK if quick else REFERENCE)
    for config in configs:
        if limit or epochs:
            config = replace(config, limit=limit or config.limit, epochs=epochs or config.epochs)
        results = [train(replace(config, seed=seed), data_dir) for seed in range(seeds)]
        report.publish(out, config.name, results)
        folder = run_folder(replace(config, seed=0))
        for picture in ("curves.png", "grid.png"):
            shutil.copy(folder / picture, out / f"{config.name}_{picture}")
    print(report.write_tables(out))
    print(f"{out}: README.md, and for each preset .json, _curves.png and _grid.png")


def run_folder(config):
    ...
