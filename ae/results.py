"""The result of a run, as JSON values and pictures."""

import json
import math
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from importlib.metadata import version
from operator import getitem
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae import devices, figures
from ae.apply import Predict, predictor
from ae.baselines import fitted
from ae.config import Config
from ae.conv import Conv, ConvTranspose
from ae.data import Data, Split
from ae.early_stopping import EarlyStop
from ae.errors import InputError
from ae.evaluation import examples, measure, pictures
from ae.files import read_json, write_text, written_whole
from ae.reference import reported
from ae.report import describe_model
from ae.train import History, TrainState

PICTURES = ("curves.png", "grid.png", "images.png")  # of a run
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy", "dm-pix")


def result(config: Config, data: Data, state: TrainState, history: History, *, command: str) -> dict[str, Any]:
    """All that there is to say of a finished run, with the baselines of its task, as JSON values.

    `train` and `validation` are of the last epoch, whose weights stay. Where test and validation are one split, it is
    scored once.
    """
    stop = EarlyStop.after(history, config.patience)
    everything = count(state.variables)
    last = history[-1]
    return {
        "preset": config.name,
        "config": config.to_dict(),
        "data": {"name": data.name, "version": data.version, "train_images": len(data.train.images)},
        "parameters": everything,
        "trained_parameters": count(state.params),
        "multiply_adds": multiply_adds(config.model, _example_input(config, data).shape[1:]),
        "seeds": [config.seed],
        "epochs": len(history),
        "stopped_early": stop.stop,
        "best_epoch": stop.best_epoch,
        "best_val_loss": stop.best,
        "accuracy_name": config.task.accuracy_name,
        "train": {"split": data.train.name, "loss": last["loss"], "accuracy": last["accuracy"]},
        **split_reports(config, data, predictor(config), state.variables),
        "baselines": baseline_reports(config, data),
        "reference": reported(config.name),
        "wall_seconds": round(last["seconds"], 1),
        "seconds_by_epoch": [round(row["seconds"], 1) for row in history],
        "val_loss_by_epoch": [row["val_loss"] for row in history],
        **made_with(command),
    }


def split_reports(config: Config, data: Data, predict: Predict, variables: Any) -> dict[str, dict[str, Any]]:
    """Scores on the validation and the test split and on what the reference reports on, each with the split's name.

    A split with two parts is scored once.
    """
    splits = {"validation": data.validation, "test": data.test, "compared": data.compared or data.validation}
    named = {split.name: split for split in splits.values()}
    reports = {
        name: {"split": name} | measure(predict, variables, config.task, split, batch_size=config.batch_size)
        for name, split in named.items()
    }
    return {part: reports[split.name] for part, split in splits.items()}


def baseline_reports(config: Config, data: Data) -> dict[str, dict[str, Any]]:
    """The scores of each baseline of the task, and the parameters that were fitted where they are few."""
    reports = {}
    for name, task, predict, variables in fitted(config.task, data.train):
        reports[name] = split_reports(replace(config, task=task), data, predict, variables)
        if isinstance(variables, dict):
            reports[name]["fitted"] = variables
    return reports


def count(variables: Any) -> int:
    """The number of values in a tree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


TRANSPOSED = (ConvTranspose, nn.ConvTranspose)
MULTIPLYING = (*TRANSPOSED, Conv, nn.Conv, nn.Dense)


def multiply_adds(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Products of a weight and a value that the layers compute for one input [H, W, C]."""
    if getattr(model, "pixel_levels", None):  # which computes each value once for a whole batch
        model = model.clone(pixel_levels=None)
    variables, calls = _calls(model, jnp.zeros((1, *shape)))
    total = 0
    for layer, inputs, output in calls:
        if isinstance(layer, MULTIPLYING):
            places = inputs[0] if isinstance(layer, TRANSPOSED) else output
            kernel = reduce(getitem, (*layer.path, "kernel"), variables["params"])
            total += math.prod(places.shape[:-1]) * kernel.size
    return total


def _calls(model: nn.Module, x: jax.Array) -> tuple[Any, list[tuple[nn.Module, tuple[Any, ...], Any]]]:
    """The variables of a model, and the calls of its layers with inputs and output, of which nothing is computed."""
    calls = []

    def record(layer, args, kwargs, context):
        output = layer(*args, **kwargs)
        if context.method_name == "__call__":
            calls.append((context.module, args, output))
        return output

    with nn.intercept_methods(record):
        return jax.eval_shape(model.init, jax.random.key(0), x), calls


def made_with(command: str) -> dict[str, Any]:
    """What figures were measured with: hardware, versions, and the command."""
    return {"hardware": hardware(), "versions": versions(), "command": command}


def versions() -> dict[str, str]:
    """Of the packages that results depend on."""
    return {name: version(name) for name in PACKAGES}


def hardware() -> str:
    """The devices in use, as one line."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return f"{jax.device_count()} x {device.device_kind}"
    return f"{os.cpu_count()} cores, {_cpu_model()}"


def _cpu_model() -> str:
    """With family and model, which tell the generation: some virtual machines leave it out of the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        entry = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return f"{entry['model name']} (family {entry['cpu family']}, model {entry['model']})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def summary(config: Config, data: Data) -> str:
    """The model's layers in the order of their calls, with the output's shape and the parameters, and the data.

    Parameters count BatchNorm's statistics, as Keras does.
    """
    inputs = _example_input(config, data)
    variables, calls = _calls(config.model, inputs)
    layers = [(layer.path[0], getattr(output, "shape", ())[1:]) for layer, _, output in calls if len(layer.path) == 1]
    sizes = {name: count([tree.get(name, {}) for tree in variables.values()]) for name, _ in layers}
    lines = [f"{config.name}: {describe_model(config.to_dict())}", f"  {'input':<18}{inputs.shape[1:]}"]
    lines += [f"  {name:<18}{shape!s:<16}{sizes[name]:>12,}" for name, shape in layers]
    trained = count(variables["params"])
    lines.append(f"  {count(variables):,} parameters, {trained:,} of them trained")
    splits = (f"{role} on {len(split.images):,} images of {split.name}" for role, split in _roles(data))
    lines.append(f"{data.name} {data.version}: {', '.join(splits)}")
    if data.validation.source == data.test.source:
        lines.append("Test images choose the epoch, as in the reference: test scores are no independent check.")
    return "\n".join(lines)


def _example_input(config: Config, data: Data) -> jax.Array:
    """[1, H, W, C]"""
    return examples(config.task, jax.random.key(0), jnp.asarray(data.train.images[:1]), jnp.arange(1))[0]


def _roles(data: Data) -> Iterator[tuple[str, Split]]:
    return zip(("training", "validation", "test"), (data.train, data.validation, data.test), strict=True)


def finish(
    folder: Path, config: Config, data: Data, state: TrainState, history: History, *, command: str
) -> dict[str, Any]:
    """Write a finished run's result to `metrics.json`, then its `PICTURES`, and return the result.

    A picture that fails costs nothing but itself, and a line on stderr.
    """
    values = result(config, data, state, history, command=command)
    if devices.is_first():
        write_text(folder / "metrics.json", json.dumps(values, indent=2) + "\n")
    shown = pictures(predictor(config), state.variables, config.task, data.test)
    if devices.is_first():
        try:
            _draw(folder, config, data, history, values, shown)
        except Exception as error:  # whatever matplotlib makes of its settings, or a full disk
            reason = str(error).partition("\n")[0]
            print(f"{folder} is without pictures ({reason}); the scores are in metrics.json", file=sys.stderr)
    return values


def _draw(folder: Path, config: Config, data: Data, history: History, values: dict[str, Any], shown: Any) -> None:
    """Writes the pictures of a run; `shown`: (inputs, targets, outputs) of test images."""
    theirs = values["reference"] if values["reference"].get("data") == data.name else None
    rivals = {name: scores["validation"]["loss"] for name, scores in values["baselines"].items()}
    title = f"{config.name} on {data.name} {data.version}"
    figures.save_curves(folder / "curves.png", config.task, title, history, theirs, rivals)
    title = f"{type(config.model).__name__} ({config.name}) on {data.name}: images 10 to 18 of {data.test.name}"
    figures.save_grid(folder / "grid.png", config.task, title, shown)
    figures.save_strip(folder / "images.png", *shown)


def publish(result: dict[str, Any], *, pictures: Path, out: Path) -> None:
    """Writes a preset's result and pictures to `out`, named after it.

    What is there of other seeds and the same configuration counts in mean and spread; the pictures are the least seed's.
    """
    path = out / f"{result['preset']}.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        combined = over_seeds([*_published(result["config"], path), result])
        made = [name for name in PICTURES if (pictures / name).exists()]
        for picture in made if combined["seeds"][0] == result["seeds"][0] else ():
            with written_whole(out / f"{result['preset']}_{picture}") as temporary:
                shutil.copy(pictures / picture, temporary)
        write_text(path, json.dumps(combined, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"cannot write to {out} ({error.strerror}): choose another --out") from error


def _published(config: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """The result in a file, in a list that is empty where there is none or one of another configuration."""
    earlier = [read_json(path)] if path.exists() else []
    return [values for values in earlier if values["config"] | {"seed": None} == config | {"seed": None}]


SPLITS = ("train", "validation", "test", "compared")


def over_seeds(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The least seed's result, and where there are several, the scores of each with mean and standard deviation.

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
