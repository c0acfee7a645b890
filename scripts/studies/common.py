"""What all studies need: options, trained models, and files written."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from ae.runtime import cli

SHOWN_WIDTH = 180  # of a photograph or a frame, in pixels

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


def load_test_data(config: Any, data_dir: Path | None, limit: int | None) -> Any:
    from ae import load_data, override

    return load_data(override(config, limit=limit), data_dir=data_dir)


def trained(models: Sequence[str]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """(name of the preset, (predict, variables)) of each model."""
    from ae import load_model, predictor

    for model in models:
        config, variables, _ = load_model(model)
        yield config.name, (predictor(config), variables)


def mse_of(predict: Any, variables: Any, task: Any, split: Any) -> float:
    from ae.score.evaluate import evaluate

    return evaluate(predict, variables, task, split, names=("mse",), batch_size=64)["mse"]


def about(data: Any) -> dict[str, Any]:
    """What a study of a data set was made with."""
    from ae.report.made_with import made_with

    split = {"data": data.name, "split": data.test.name, "fitted on": data.train.name}
    return made_with(cli.command()) | split


def write_chart(
    out: Path, name: str, values: dict[str, Any], x: str, y: str, curves: dict[str, Any], *, log: bool = False
) -> None:
    """Writes a study's figures and its chart, and the tables that show them."""
    from ae.report.figures import save_lines

    out.mkdir(parents=True, exist_ok=True)
    save_lines(out / f"{name}.png", x, y, curves, log=log)
    write(out, name, values)


def write(out: Path, name: str, values: dict[str, Any]) -> None:
    """Writes a study's figures, and the tables that show them."""
    from ae.report.markdown import fill_pages
    from ae.report.studies import STUDIES
    from ae.report.tables import write_tables
    from ae.runtime.files import write_text

    write_text(out / f"{name}.json", json.dumps(values, indent=2) + "\n")
    table = STUDIES[name](values)
    write_tables(out)
    fill_pages(out / f"{name}.json", table)
    print(table)
