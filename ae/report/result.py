"""The result of a run, as JSON values and pictures."""

import json
import shutil
import statistics
import sys
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ae.config import DEFAULTS, Config, renamed
from ae.data import Data
from ae.data.sets import SOURCES
from ae.data.squares import SQUARES
from ae.errors import InputError
from ae.models.apply import Predict
from ae.report import figures
from ae.report.made_with import made_with
from ae.report.reference import reported
from ae.runtime import devices
from ae.runtime.files import atomic_write, read_json, write_text
from ae.score.baselines import fitted_baselines
from ae.score.evaluate import measure, predictor
from ae.score.flops import count_values, multiply_adds
from ae.score.pictures import pictures
from ae.train.early_stopping import EarlyStop, History
from ae.train.step import TrainState

Reports = dict[str, dict[str, Any]]  # scores by name: of a split, or of a baseline on all of them
PICTURES = ("curves.png", "grid.png", "images.png")  # of a run


def result(
    config: Config, data: Data, state: TrainState, history: History, *, command: str, baselines: Reports | None = None
) -> dict[str, Any]:
    """Return the result of a finished run and the scores of its task's baselines, as JSON values.

    `train` and `validation` are of the last epoch, whose weights stay. Where test and validation are one split, it is
    scored once. `baselines`: their scores, where another run of this `comparison` has measured them.
    """
    stop = EarlyStop.after(history, config.patience)
    everything = count_values(state.variables)
    last = history[-1]
    return {
        "preset": config.name,
        "config": config.to_dict(),
        "data": {
            "name": data.name,
            "version": data.version,
            "train_images": sum(len(split.images) for split in data.training),
        },
        "parameters": everything,
        "trained_parameters": count_values(state.params),
        "multiply_adds": multiply_adds(config.model, config.task.input_shape(data.train.images.shape[1:])),
        "seeds": [config.seed],
        "epochs": len(history),
        "stopped_early": stop.stop,
        "best_epoch": stop.best_epoch,
        "best_val_loss": stop.best,
        "accuracy_name": config.task.accuracy_name,
        "train": {"split": data.train.name, "loss": last["loss"], "accuracy": last["accuracy"]},
        **split_reports(config, data, predictor(config), state.variables),
        "baselines": baselines or baseline_reports(config, data),
        "reference": reported(config.name),
        "wall_seconds": round(last["seconds"], 1),
        "seconds_by_epoch": [round(row["seconds"], 1) for row in history],
        "val_loss_by_epoch": [row["val_loss"] for row in history],
        **made_with(command, config),
    }


def split_reports(config: Config, data: Data, predict: Predict, variables: Any) -> Reports:
    """Return scores on the validation split, the test split and the reference's, each with the split's name.

    A split with two parts is scored once.
    """
    splits = {"validation": data.validation, "test": data.test, "reference_split": data.reference or data.validation}
    named = {split.name: split for split in splits.values()}
    reports = {
        name: {"split": name} | measure(predict, variables, config.task, split, batch_size=config.batch_size)
        for name, split in named.items()
    }
    return {part: reports[split.name] for part, split in splits.items()}


def baseline_reports(config: Config, data: Data) -> Reports:
    """Return the scores of each baseline of the task, and the parameters that were fitted where they are few."""
    reports = {}
    for name, task, predict, variables in fitted_baselines(config.task, data.train):
        reports[name] = split_reports(replace(config, task=task), data, predict, variables)
        if isinstance(variables, dict):
            reports[name]["fitted"] = variables
    return reports


def comparison(config: Config, data: Data) -> Hashable:
    """Return what the scores of baselines depend on: the task, and all that says which images there are."""
    splits = *data.training, data.validation, data.test, data.reference
    counts = tuple((split.name, split.noise_id, len(split.images)) for split in splits if split)
    return config.task, data.name, data.version, config.tile, config.scale, counts


def finish(folder: Path, config: Config, data: Data, state: TrainState, history: History, **how: Any) -> dict[str, Any]:
    """Write a finished run's `result` to `metrics.json`, then its `PICTURES`, and return the result.

    `how`: the arguments of `result` that are named.

    A picture that fails costs nothing but itself, and a line on stderr.
    """
    values = result(config, data, state, history, **how)
    if devices.is_first():
        write_text(folder / "metrics.json", json.dumps(values, indent=2) + "\n")
    shown = pictures(predictor(config), state.variables, config.task, data.test, batch_size=config.batch_size)
    if devices.is_first():
        try:
            _draw(folder, config, data, history, values, shown)
        except Exception as error:  # whatever matplotlib makes of its settings, or a full disk
            reason = str(error).partition("\n")[0]
            print(f"{folder} is without pictures ({reason}); the scores are in metrics.json", file=sys.stderr)
    return values


def _draw(folder: Path, config: Config, data: Data, history: History, values: dict[str, Any], shown: Any) -> None:
    """Write the pictures of a run; `shown`: (inputs, targets, outputs) of test images."""
    theirs = values["reference"] if values["reference"].get("data") == data.name else None
    baselines = {name: scores["validation"]["loss"] for name, scores in values["baselines"].items()}
    title = f"{config.name} on {data.name} {data.version}"
    figures.save_curves(folder / "curves.png", config.task, title, history, theirs, baselines)
    title = f"{type(config.model).__name__} ({config.name}) on {data.name}: images 10 to 18 of {data.test.name}"
    figures.save_grid(folder / "grid.png", config.task, title, shown)
    figures.save_strip(folder / "images.png", *shown)


def publish(result: dict[str, Any], *, pictures: Path, out: Path) -> None:
    """Write a preset's result and pictures to `out`, named after it.

    Results of other seeds and the same configuration that are there already count in mean and spread; the pictures are
    those of the least seed, but of named sets of photographs, which may not be shown, the curves alone. Raises
    InputError where `out` cannot be written or holds a damaged result.
    """
    path = out / f"{result['preset']}.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        combined = over_seeds([*_published(result["config"], path), result])
        sets = {*SOURCES, *SQUARES} & set(result["config"]["data"].split("+"))
        shown = PICTURES[:1] if sets else PICTURES  # licences of photographs
        made = [name for name in shown if (pictures / name).exists()]
        for picture in made if combined["seeds"][0] == result["seeds"][0] else ():
            with atomic_write(out / f"{result['preset']}_{picture}") as temporary:
                shutil.copy(pictures / picture, temporary)
        write_text(path, json.dumps(combined, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"cannot write to {out} ({error.strerror}): choose another --out") from error


def _published(config: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """Return the result in a file, in a list that is empty where there is none or one of another configuration."""
    earlier = [read_json(path)] if path.exists() else []
    return [values for values in earlier if _without_seed(values["config"]) == _without_seed(config)]


def _without_seed(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's values with the fields that it lacks, which were added since."""
    return DEFAULTS | renamed(config) | {"seed": None}


SPLITS = ("train", "validation", "test", "reference_split")


def over_seeds(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the least seed's result, and where there are several, the scores of each with mean and standard deviation.

    Of two results with one seed the later counts.
    """
    first = min(reversed(results), key=lambda result: result["seeds"])
    by_seed = dict(item for result in results for item in _by_seed(result))
    if len(by_seed) == 1:
        return first
    seeds = sorted(by_seed)
    rows = [by_seed[seed] for seed in seeds]
    spread = {split: _spread([row[split] for row in rows]) for split in SPLITS}
    return first | {"seeds": seeds, "by_seed": rows, "spread": spread}


def _by_seed(result: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    for seed, row in zip(result["seeds"], result.get("by_seed", [result]), strict=True):
        yield seed, {split: row[split] for split in SPLITS}


def _spread(scores: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    values = {name: [row[name] for row in scores] for name in scores[0] if name != "split"}
    return {name: {"mean": statistics.mean(v), "std": statistics.stdev(v)} for name, v in values.items()}
