"""Score a trained model on a split of the data or on a benchmark, beside baselines."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from ae.runtime import cli


def main(
    model: tyro.conf.Positional[str],
    split: Literal["validation", "test"] = "test",
    checkpoint: Literal["last", "best"] | None = None,
    data: str | None = None,
    benchmark: str | None = None,
    sigma: tuple[float, ...] = (),
    bm3d_python: Path = Path("peers/bm3d/bin/python"),
    data_dir: Path | None = None,
    preset: str | None = None,
    out: Path | None = None,
) -> None:
    """Score a trained model.

    Args:
        model: Run directory that train.py wrote, a file of weights (.safetensors), or the name of weights in the package.
        split: Which split to score.
        checkpoint: Of a run: the last weights (default), or those with the lowest validation loss.
        data: Another data set; "sample" needs no download.
        benchmark: Score a denoiser on photographs instead: set12, bsd68, cbsd68, kodak24, mcmaster, or polyu, whose noise
            is real (see docs/noise.md).
        sigma: Of the benchmark's noise: standard deviations, of 255 (default: 15 25 50).
        bm3d_python: Python of BM3D's environment, for its row in the benchmark's table.
        data_dir: Folder of data sets prepared by tfds or prepare.py (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        preset: The preset that the run must be of; needed where its model or task is defined in a file of your own
            (my_model.py:PRESET).
        out: Also write the scores to this JSON file; those of a benchmark are written anyway, by default to
            results/benchmark_NAME.json, and into the pages that show this file. The rows of other models and of peers that
            it has stay, and are not measured again.
    """
    from ae import load_model
    from ae.errors import InputError
    from ae.presets import load_preset

    if benchmark and data:
        raise InputError("--benchmark and --data name two things to score on; choose one")
    if sigma and not benchmark:
        raise InputError("--sigma is for the noise of a --benchmark")
    trained = load_model(model, preset=load_preset(preset) if preset else None, checkpoint=checkpoint)
    if benchmark:
        score_benchmark(benchmark, trained, sigma, bm3d_python, data_dir, out)
    else:
        score_split(model, trained, split, data, data_dir, out)


def score_split(
    model: str, trained: Any, split: str, data: str | None, data_dir: Path | None, out: Path | None
) -> None:
    """Print the scores of a model and of its task's baselines on a split, and write them where `out` says."""
    from ae import load_data, measure, on_sample, override, predictor
    from ae.data import choose_splits
    from ae.report.tables import scores_table
    from ae.runtime.files import write_text
    from ae.score.baselines import fitted_baselines

    config, variables, result = trained
    asked = on_sample(config) if data == "sample" else override(config, data=data or config.data)
    loaded = load_data(choose_splits(asked, config, data_dir=data_dir), data_dir=data_dir)
    images = getattr(loaded, split)
    print(f"{model}: {config.name}, after {result['epochs']} epochs; {loaded.name} {images.name}")

    predictors = [
        *fitted_baselines(config.task, loaded.train),
        (config.name, config.task, predictor(config), variables),
    ]
    rows = {
        name: measure(predict, variables, task, images, batch_size=config.batch_size)
        for name, task, predict, variables in predictors
    }
    print(scores_table(rows, config.task.accuracy_name))
    if out:
        values = {"model": model, "data": loaded.name, "version": loaded.version, "split": images.name, "scores": rows}
        write_text(out, json.dumps(values, indent=2) + "\n")


def score_benchmark(
    name: str, trained: Any, sigmas: Sequence[float], bm3d_python: Path, data_dir: Path | None, out: Path | None
) -> None:
    """Print the table of a benchmark; write it as JSON and into the pages that show it."""
    from benchmarks.denoising import measure

    from ae.data.tfds import data_folder
    from ae.report.made_with import made_with
    from ae.report.page import read_measured, write_measured

    out = out or Path(f"results/benchmark_{name}.json")
    earlier = read_measured(out)
    table, details, versions = measure(name, trained, data_folder(data_dir), sigmas, bm3d_python, earlier)
    made = made_with(cli.command(), trained.config)
    entries = earlier.get("made_with", ()) if earlier.get("title") == table["title"] else ()
    kept = {entry["command"]: entry for entry in entries}
    peers = kept.pop(made["command"], made)["versions"]  # of rows that were not measured again
    made["versions"] = peers | made["versions"] | versions
    print(f"{write_measured(out, table, [*kept.values(), made], details)}{out}")


if __name__ == "__main__":
    cli.run(main)
