"""The result of a run as JSON, and results as Markdown tables. No figure is ever typed into a table."""

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae import figures
from ae.baselines import baselines
from ae.config import Config
from ae.data import Data, Split
from ae.evaluation import Predict, examples, measure, pictures
from ae.reference import reported
from ae.run import write_text
from ae.train import EarlyStop, History, TrainState, predictor

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
        "seeds": [config.seed],
        "epochs": len(history),
        "stopped_early": stop.stop,
        "best_epoch": stop.best_epoch,
        "best_val_loss": stop.best,
        "accuracy_name": config.task.accuracy_name,
        "train": {"split": data.train.name, "loss": last["loss"], "accuracy": last["accuracy"]},
        **split_reports(config, data, predictor(config), state.variables),
        "baselines": {name: split_reports(config, data, predict, {}) for name, predict in baselines(config.task).items()},
        "reference": reported(config.name),
        "wall_seconds": round(last["seconds"], 1),
        "seconds_by_epoch": [round(row["seconds"], 1) for row in history],
        "val_loss_by_epoch": [row["val_loss"] for row in history],
        "hardware": hardware(),
        "versions": {name: version(name) for name in PACKAGES},
        "command": command,
    }


def split_reports(config: Config, data: Data, predict: Predict, variables: Any) -> dict[str, dict[str, Any]]:
    """Scores on the validation and the test split, each with the split's name."""

    def one(split: Split) -> dict[str, Any]:
        return {"split": split.name} | measure(predict, variables, config.task, split, batch_size=config.batch_size)

    validation = one(data.validation)
    return {"validation": validation, "test": validation if data.test.name == data.validation.name else one(data.test)}


def count(variables: Any) -> int:
    """The number of values in a tree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


def hardware() -> str:
    """The devices in use, as one line."""
    devices = jax.devices()
    if devices[0].platform != "cpu":
        return f"{len(devices)} x {devices[0].device_kind}"
    return f"{os.cpu_count()} cores, {_cpu_model()}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def summary(config: Config, data: Data) -> str:
    """The model's layers in the order of their calls: name, output's shape, parameters (BatchNorm's statistics counted)."""
    layers = []

    def record(layer, args, kwargs, context):
        output = layer(*args, **kwargs)
        if context.method_name == "__call__" and len(context.module.path) == 1:
            layers.append((context.module.path[0], output.shape[1:]))
        return output

    key, image = jax.random.key(0), jnp.asarray(data.train.images[:1])
    inputs, _ = examples(config.task, key, image, jnp.arange(1))
    with nn.intercept_methods(record):
        variables = jax.eval_shape(config.model.init, key, inputs)
    sizes = {name: count([tree.get(name, {}) for tree in variables.values()]) for name, _ in layers}
    lines = [f"{type(config.model).__name__} ({config.name}), input {inputs.shape[1:]}"]
    lines += [f"  {name:<18}{shape!s:<16}{sizes[name]:>12,}" for name, shape in layers]
    trained = count(variables["params"])
    return "\n".join([*lines, f"  {count(variables):,} parameters, {trained:,} of them trained"])


def finish(
    folder: Path, config: Config, data: Data, state: TrainState, history: History, *, command: str
) -> dict[str, Any]:
    """Writes a finished run's result to `metrics.json`, its pictures to `curves.png` and `grid.png`; returns the result."""
    values = result(config, data, state, history, command=command)
    model = type(config.model).__name__
    theirs = values["reference"].get("val_loss_by_epoch", ()) if config.data in ("mnist", "cifar100") else ()
    rivals = {name: scores["validation"]["loss"] for name, scores in values["baselines"].items()}
    title = f"{config.name} on {data.name} {data.version}"
    figures.save_curves(folder / "curves.png", config.task, title, history, theirs, rivals)
    shown = pictures(predictor(config), state.variables, config.task, data.test)
    title = f"{model} ({config.name}) on {data.name}: images of {data.test.name}"
    figures.save_grid(folder / "grid.png", config.task, title, shown)
    write_text(folder / "metrics.json", json.dumps(values, indent=2) + "\n")
    return values


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder, ordered by task and preset."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted(results, key=lambda r: (r["config"]["task"]["class"] != "Denoise", -r["validation"]["loss"]))


COLUMNS = ("", "data", "validated on", "parameters", "epochs", "loss", "val. loss", "val. accuracy", "test MSE", "PSNR pooled", "PSNR mean", "SSIM", "minutes")


def table(results: Sequence[dict[str, Any]]) -> str:
    """One Markdown table a task: its baselines, then each model with the reference's figures below it."""
    tables = []
    for task in dict.fromkeys(r["config"]["task"]["class"] for r in results):
        members = [r for r in results if r["config"]["task"]["class"] == task]
        rows = [*_baseline_rows(members), *(row for r in members for row in (_model_row(r), *_reference_rows(r)))]
        tables.append("\n".join(f"| {' | '.join(row)} |" for row in (COLUMNS, ("---",) * len(COLUMNS), *rows)))
    return "\n\n".join(tables) + "\n"


def _baseline_rows(results: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = {
        (name, *_data(result)): (name, *_data(result), "", "", "", *_scores(scores), "")
        for result in results
        for name, scores in result["baselines"].items()
    }
    return list(rows.values())


def _model_row(result: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"**{result['preset']}**",
        *_data(result),
        f"{result['parameters']:,}",
        str(result["epochs"]),
        f"{result['train']['loss']:.4f}",
        *_scores(result),
        f"{result['wall_seconds'] / 60:.1f}",
    )


def _reference_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """The reference's row says which data it is on, and that it is not ours where it is not."""
    theirs = result["reference"]
    if not theirs:
        return []
    data = "MNIST" if result["config"]["task"]["class"] == "Denoise" else "CIFAR-100"
    note = "" if result["data"]["name"] == data.lower().replace("-", "") else ", **other data**"
    return [
        (
            f"reference{note}",
            data,
            "test[:9000]" if data == "MNIST" else "test",
            "",
            f"{theirs['epoch']} of {theirs['epochs']}",
            f"{theirs['loss']:.4f}",
            f"{theirs['val_loss']:.4f}",
            f"{theirs['val_accuracy']:.4f}",
            *[""] * 5,
        )
    ]


def _scores(scores: dict[str, Any]) -> tuple[str, ...]:
    validation, test = scores["validation"], scores["test"]
    return (
        f"{validation['loss']:.4f}",
        f"{validation['accuracy']:.4f}",
        f"{test['mse']:.5f}",
        f"{test['psnr_pooled']:.2f}",
        f"{test['psnr_mean']:.2f}",
        f"{test['ssim']:.3f}",
    )


def _data(result: dict[str, Any]) -> tuple[str, str]:
    return result["data"]["name"], result["validation"]["split"]
