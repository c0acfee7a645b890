"""The result of a run as JSON, and results as Markdown tables. No figure is ever typed into a table."""

import json
import os
import platform
import shutil
import statistics
from collections.abc import Iterator, Sequence
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
from ae.errors import InputError
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
        "baselines": {
            name: split_reports(config, data, predict, {}) for name, predict in baselines(config.task).items()
        },
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
    """The model's layers in the order of their calls, with the output's shape and the parameters, and the data.

    Parameters count BatchNorm's statistics, as Keras does.
    """
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
    lines = [f"{config.name}: {_model(config.to_dict())}", f"  {'input':<18}{inputs.shape[1:]}"]
    lines += [f"  {name:<18}{shape!s:<16}{sizes[name]:>12,}" for name, shape in layers]
    trained = count(variables["params"])
    lines.append(f"  {count(variables):,} parameters, {trained:,} of them trained")
    splits = (f"{role} on {len(split.images):,} images of {split.name}" for role, split in _roles(data))
    lines.append(f"{data.name} {data.version}: {', '.join(splits)}")
    if data.validation.source == data.test.source:
        lines.append("Test images choose the epoch, as in the reference: test scores are no independent check.")
    return "\n".join(lines)


def _model(config: dict[str, Any]) -> str:
    """The model as Python would write it; of a configuration as JSON values."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in config["model"].items()}
    name = values.pop("class")
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"


def _roles(data: Data) -> Iterator[tuple[str, Split]]:
    return zip(("training", "validation", "test"), (data.train, data.validation, data.test), strict=True)


def finish(
    folder: Path, config: Config, data: Data, state: TrainState, history: History, *, command: str
) -> dict[str, Any]:
    """Writes a finished run's result to `metrics.json`, its pictures to `curves.png` and `grid.png`; returns the result."""
    values = result(config, data, state, history, command=command)
    theirs = values["reference"] if values["reference"].get("data") == data.name else None
    rivals = {name: scores["validation"]["loss"] for name, scores in values["baselines"].items()}
    title = f"{config.name} on {data.name} {data.version}"
    figures.save_curves(folder / "curves.png", config.task, title, history, theirs, rivals)
    shown = pictures(predictor(config), state.variables, config.task, data.test)
    title = f"{type(config.model).__name__} ({config.name}) on {data.name}: images 10 to 18 of {data.test.name}"
    figures.save_grid(folder / "grid.png", config.task, title, shown)
    write_text(folder / "metrics.json", json.dumps(values, indent=2) + "\n")
    return values


def publish(results: Sequence[dict[str, Any]], *, pictures: Path, out: Path) -> None:
    """Writes the result of a preset, of one or more seeds, and the first seed's pictures to `out`, named after it."""
    name = results[0]["preset"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for picture in ("curves.png", "grid.png"):
            shutil.copy(pictures / picture, out / f".{name}_{picture}.tmp")
            (out / f".{name}_{picture}.tmp").replace(out / f"{name}_{picture}")
        write_text(out / f"{name}.json", json.dumps(over_seeds(results), indent=2) + "\n")
    except OSError as error:
        raise InputError(f"cannot write to {out} ({error.strerror}): choose another --out") from error


def over_seeds(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first seed's result, and where there are several, the scores of each with mean and standard deviation."""
    first = dict(results[0], seeds=[seed for result in results for seed in result["seeds"]])
    if len(results) == 1:
        return first
    splits = ("train", "validation", "test")
    first["by_seed"] = [{split: result[split] for split in splits} for result in results]
    first["spread"] = {split: _spread([result[split] for result in results]) for split in splits}
    return first


def _spread(scores: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    values = {name: [row[name] for row in scores] for name in scores[0] if name != "split"}
    return {name: {"mean": statistics.mean(v), "std": statistics.stdev(v)} for name, v in values.items()}


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder, by task, best last."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted(
        results, key=lambda result: (_task(result) != "Denoise", _task(result), -result["validation"]["loss"])
    )


SCORES = {"mse": "MSE", "psnr_pooled": "PSNR pooled", "psnr_mean": "PSNR mean", "ssim": "SSIM"}
DIGITS = {"loss": 4, "accuracy": 4, "mse": 5, "psnr_pooled": 2, "psnr_mean": 2, "ssim": 3}
COLUMNS = ("", "data", "parameters", "epochs", "loss", "validated on", "val. loss", "val. accuracy", "tested on",
           *SCORES.values(), "minutes")  # fmt: skip


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


def scores_table(rows: dict[str, dict[str, float]], accuracy_name: str) -> str:
    """Scores (see `ae.evaluation.measure`) by name, as a Markdown table."""
    head = ["", "loss", accuracy_name, *SCORES.values()]
    return markdown([head, *([name, *(f"{row[key]:.{DIGITS[key]}f}" for key in DIGITS)] for name, row in rows.items())])


def _task(result: dict[str, Any]) -> str:
    return result["config"]["task"]["class"]


def table(results: Sequence[dict[str, Any]]) -> str:
    """One Markdown table a task: its baselines, then each model with the reference's figures below it."""
    tables = []
    for task in dict.fromkeys(map(_task, results)):
        members = [result for result in results if _task(result) == task]
        accuracy_name = members[0]["accuracy_name"]
        head = [accuracy_name.join(column.rsplit("accuracy", 1)) for column in COLUMNS]
        models = (row for result in members for row in (_model_row(result), *_reference_rows(result)))
        tables.append(markdown([head, *_baseline_rows(members), *models]))
    return "\n".join(tables)


def _baseline_rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    rows = {
        (name, result["data"]["name"]): [name, result["data"]["name"], "", "", "", *_scores(scores), ""]
        for result in results
        for name, scores in result["baselines"].items()
    }
    return list(rows.values())


def _model_row(result: dict[str, Any]) -> list[str]:
    spread = result.get("spread", {})
    return [
        f"**{result['preset']}**",
        result["data"]["name"],
        f"{result['parameters']:,}",
        str(result["epochs"]),
        _number("loss", result["train"], spread.get("train")),
        *_scores(result, spread),
        f"{result['wall_seconds'] / 60:.1f}",
    ]


def _reference_rows(result: dict[str, Any]) -> list[list[str]]:
    """The reference's figures; where ours are on other data, the row says so."""
    theirs, ours = result["reference"], result["data"]["name"]
    if not theirs:
        return []
    name = "reference" if ours == theirs["data"] else "reference, **on other data**"
    epochs = f"{theirs['epoch']} of {theirs['epochs']}"
    loss, val_loss, val_accuracy = (f"{theirs[key]:.4f}" for key in ("loss", "val_loss", "val_accuracy"))
    return [[name, theirs["data"], "", epochs, loss, theirs["validation"], val_loss, val_accuracy, *[""] * 6]]


def _scores(result: dict[str, Any], spread: dict[str, Any] | None = None) -> list[str]:
    cells = []
    for split, names in (("validation", ("loss", "accuracy")), ("test", SCORES)):
        numbers = (_number(name, result[split], (spread or {}).get(split)) for name in names)
        cells += [result[split]["split"], *numbers]
    return cells


def _number(name: str, scores: dict[str, Any], spread: dict[str, Any] | None = None) -> str:
    digits = DIGITS[name]
    if spread:
        return f"{spread[name]['mean']:.{digits}f} ± {spread[name]['std']:.{digits}f}"
    return f"{scores[name]:.{digits}f}"


PREAMBLE = """# Results

Written by the command that each JSON file names. PSNR has peak 1: "pooled" is that of the mean error, "mean" the mean over
the images, each at most 80 dB. SSIM has a Gaussian window (11x11, sigma 1.5). Binary accuracy cannot count pixels strictly
between 0 and 1; categorical accuracy is the share of pixels whose largest channel is right. The reference, and our presets
that reproduce it, validate on test images; the others do not. The last weights are scored, not the best.

"""


def write_tables(folder: Path, readme: Path = Path("README.md")) -> str:
    """Writes `README.md` in a folder of results, and the table in the main README if that shows this folder; returns it."""
    results = read_results(folder)
    tables = table(results)
    pictures = "".join(
        f"\n## {result['preset']}\n\n`{_model(result['config'])}`\n\n`{result['command']}`, {result['hardware']}\n\n"
        f"![curves]({result['preset']}_curves.png)\n![images]({result['preset']}_grid.png)\n"
        for result in results
    )
    write_text(folder / "README.md", PREAMBLE + tables + pictures)
    if readme.exists() and (filled := fill(readme.read_text(), folder, tables)) != readme.read_text():
        write_text(readme, filled)
    return tables


def fill(text: str, folder: Path, tables: str) -> str:
    """Puts tables between `<!-- table: FOLDER -->` and `<!-- end -->`, where a text has them."""
    start, end = f"<!-- table: {folder.as_posix()} -->\n", "<!-- end -->"
    before, marker, rest = text.partition(start)
    return before + marker + tables + end + rest.partition(end)[2] if marker else text
