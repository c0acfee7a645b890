"""Common parts of all studies: options, trained models, and files written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from ae.report.markdown import Table
from ae.runtime import cli

VIVID = (0.5, 1.0)  # shares of livelier chroma that are measured
SHOWN_WIDTH = 180  # of a photograph or a frame, in pixels

Photographs = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(help="Folder of photographs of any size and format.")]
Models = Annotated[
    tuple[str, ...], tyro.conf.arg(help="Run directories, files of weights, or names of weights in the package.")
]
Model = Annotated[str, tyro.conf.arg(help="Name of weights in the package, a file of weights, or a run directory.")]
Runs = Annotated[Path, tyro.conf.arg(help="Folder of run directories.")]
Out = Annotated[Path, tyro.conf.arg(help="Folder for figures and pictures, and for the tables of all results.")]
DataDir = Annotated[
    Path | None,
    tyro.conf.arg(help="Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets)."),
]
Limit = Annotated[int | None, tyro.conf.arg(help="Use only so many images, photographs, or frames of a clip.")]


def photographs_of(folder: Path, limit: int | None = None, every: int = 1) -> Any:
    """Return the photographs of a folder and its subfolders, or one in so many: uint8 RGB [H, W, 3], with their `paths`."""
    from ae.data.photographs import Files, split_folder

    return Files([path for paths in split_folder(folder).values() for path in paths][::every][:limit])


def plain_and_vivid(trained: Any) -> dict[str, Any]:
    """Return colorizers of a model by name: as it comes, and vivid where it can be."""
    from ae import Colorizer

    name, plain = trained.config.name, Colorizer(trained)
    vivid = {f"{name}, vivid {share:g}": Colorizer(trained, vivid=share) for share in VIVID if plain.answers_vividly}
    return {name: plain, **vivid}


def load_test_data(config: Any, data_dir: Path | None, limit: int | None) -> Any:
    """Return the data of a configuration, of each split `limit` images at most."""
    from ae import load_data, override

    return load_data(override(config, limit=limit), data_dir=data_dir)


def trained(models: Sequence[str]) -> list[tuple[Any, Any]]:
    """Return (configuration, variables) of each model."""
    from ae import load_model

    return [load_model(model)[:2] for model in models]


def mse(predict: Any, variables: Any, task: Any, split: Any) -> float:
    """Return the mean squared error over a split."""
    from ae.score.evaluate import evaluate

    return evaluate(predict, variables, task, split, names=("mse",), batch_size=64)["mse"]


def splits(data: Any) -> dict[str, str]:
    """Return the names of the data set and of the splits that a study used, as JSON values."""
    return {"data": data.name, "split": data.test.name, "fitted on": data.train.name}


def write_chart(out: Path, name: str, x: str, y: str, curves: dict[str, Any], *, log: bool = False) -> None:
    """Write a chart of a study (see `ae.report.figures.save_lines`)."""
    from ae.report.figures import save_lines

    out.mkdir(parents=True, exist_ok=True)
    save_lines(out / f"{name}.png", x, y, curves, log=log)


def write_study(
    out: Path,
    name: str,
    table: Table,
    configs: Sequence[Any],
    *,
    details: dict[str, Any] | None = None,
    earlier: Sequence[dict[str, Any]] = (),
) -> None:
    """Write a study's table, and the page of all results in the folder.

    `configs`: of the models that were measured. `earlier`: what the rows of earlier commands were made with.
    """
    from ae.report.made_with import made_with
    from ae.report.page import write_measured, write_tables

    made = made_with(cli.command(), *configs)
    kept = [other for other in earlier if other["command"] != made["command"]]
    print(write_measured(out / f"{name}.json", table, [*kept, made], details))
    write_tables(out)
