"""Results of training as tables. No figure is ever typed into one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ae.report.markdown import Cell, Row, Table, tabulate, to_markdown
from ae.report.reference import REPORTED
from ae.runtime.files import read_json


def describe_model(config: dict[str, Any]) -> str:
    """Return the model of a configuration, which is given as JSON values, as Python would write it."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in config["model"].items()}
    name = values.pop("class")
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Return the results of training in a folder: digits, colours, then what the reference does not do; best last.

    Raises InputError where a JSON file in it is damaged.
    """
    files = [read_json(path) for path in sorted(folder.glob("*.json"))]
    return sorted((values for values in files if "preset" in values), key=_order)


def _order(result: dict[str, Any]) -> tuple[bool, bool, str, float]:
    return _is_gray(result), _task(result)["class"] != "Denoise", _group(result), -result["reference_split"]["loss"]


SCORES = {  # by name: heading and digits
    "loss": ("loss", 4), "accuracy": ("accuracy", 4), "mse": ("MSE", 5), "psnr_pooled": ("PSNR pooled", 2),
    "psnr_mean": ("PSNR mean", 2), "ssim": ("SSIM", 3), "colourfulness": ("colourfulness", 1),
}  # fmt: skip
COMPARED = {"loss", "accuracy"}  # on the split that the reference reports on; all others on the test split
COLUMNS: dict[str, int | None] = {
    "": None, "parameters": None, "multiply-adds, M": 1, "epochs": None, "best loss": None, "minutes": 1,
    "to the reference's loss": 1, "chosen on": None, "training loss": 4, **dict(SCORES.values()),
}  # fmt: skip


def scores_table(rows: dict[str, dict[str, float]], accuracy_name: str) -> str:
    """Return scores (see `ae.score.evaluate.measure`) by name, as a Markdown table."""
    shown = SCORES | {"accuracy": (accuracy_name, 4)}
    cells = [
        {"": name} | {heading: row[key] for key, (heading, _) in shown.items() if key in row}
        for name, row in rows.items()
    ]
    return to_markdown(tabulate("", {"": None, **dict(shown.values())}, cells))


def _task(result: dict[str, Any]) -> dict[str, Any]:
    return result["config"]["task"]


def _is_gray(result: dict[str, Any]) -> bool:
    return _task(result).get("gray", False)


DOING = {"Denoise": "Denoising", "Colorize": "Colorizing"}


def _group(result: dict[str, Any]) -> str:
    """Return the task and the data set of a result."""
    task, images = _task(result)["class"], "the luma of " if _is_gray(result) else ""
    return f"{DOING.get(task, task)} {images}{result['data']['name']}"


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table of each task and data set: baselines, then each model with the reference's figures below."""
    return "\n".join(map(to_markdown, tables(results)))


def tables(results: Sequence[dict[str, Any]]) -> list[Table]:
    """Return a table of each task and data set."""
    groups = {group: [result for result in results if _group(result) == group] for group in map(_group, results)}
    return [_group_table(group, members) for group, members in groups.items()]


def _group_table(group: str, results: Sequence[dict[str, Any]]) -> Table:
    compared, test = results[0]["reference_split"]["split"], results[0]["test"]["split"]
    title = f"{group}: loss and {results[0]['accuracy_name']} on {compared}, the scores after them on {test}."
    models = (row for result in results for row in (_model_row(result), *_reference_row(result)))
    return tabulate(title, COLUMNS, [*_baseline_rows(results), *models])


def _baseline_rows(results: Sequence[dict[str, Any]]) -> list[Row]:
    rows = {name: scores for result in results for name, scores in result["baselines"].items()}
    return [{"": _fitted(name, scores), **_scores(scores)} for name, scores in rows.items()]


def _fitted(name: str, scores: dict[str, Any]) -> str:
    """Return a baseline's name, with the parameters that were fitted."""
    return ", ".join([name, *(f"{key} {value:g}" for key, value in scores.get("fitted", {}).items())])


def _model_row(result: dict[str, Any]) -> Row:
    spread = result.get("spread", {})
    return {
        "": f"**{result['preset']}**",
        "parameters": result["parameters"],
        "multiply-adds, M": result["multiply_adds"] / 1e6,
        "epochs": f"{result['epochs']}{', stopped early' if result['stopped_early'] else ''}",
        "best loss": _best(result["val_loss_by_epoch"]),
        "minutes": result["wall_seconds"] / 60,
        "to the reference's loss": _minutes_to_the_references_loss(result),
        "chosen on": result["validation"]["split"],
        "training loss": _cell("loss", result["train"], spread.get("train")),
        **_scores(result, spread),
    }


def _best(losses: Sequence[float]) -> str:
    return f"{min(losses):.4f} in epoch {losses.index(min(losses)) + 1}"


def _minutes_to_the_references_loss(result: dict[str, Any]) -> float | None:
    """Return the minutes to the end of the first epoch whose loss is at most the lowest of the reference's, if one is."""
    same = (result["data"]["name"], _task(result)["class"])
    losses = [figures["val_loss"] for figures in REPORTED.values() if (figures["data"], figures["task"]) == same]
    epochs = zip(result["seconds_by_epoch"], result["val_loss_by_epoch"], strict=True)
    reached = (seconds for seconds, loss in epochs if losses and round(loss, 4) <= min(losses))
    seconds = next(reached, None)
    return seconds / 60 if seconds else None


def _reference_row(result: dict[str, Any]) -> list[Row]:
    """Return the reference's figures, if it has any; where ours are on other data, the row says so."""
    theirs, ours = result["reference"], result["data"]["name"]
    if not theirs:
        return []
    return [
        {
            "": "reference" if ours == theirs["data"] else f"reference, **on other data: {theirs['data']}**",
            "epochs": f"{theirs['epoch']} of {theirs['epochs']}",
            "best loss": _best(theirs["val_loss_by_epoch"]),
            "chosen on": theirs["validation"],
            "training loss": theirs["loss"],
            "loss": theirs["val_loss"],
            "accuracy": theirs["val_accuracy"],
        }
    ]


def _scores(result: dict[str, Any], spread: dict[str, Any] | None = None) -> Row:
    """Return scores on the two splits; `spread` has mean and standard deviation of each, where there are several seeds."""
    spread = spread or {}
    compared = _cells(COMPARED, result["reference_split"], spread.get("reference_split"))
    return compared | _cells(SCORES.keys() - COMPARED, result["test"], spread.get("test"))


def _cells(names: Iterable[str], scores: dict[str, Any], spread: dict[str, Any] | None) -> dict[str, Cell]:
    return {SCORES[name][0]: _cell(name, scores, spread) for name in names if name in scores}


def _cell(name: str, scores: dict[str, Any], spread: dict[str, Any] | None) -> Cell:
    return (spread[name]["mean"], spread[name]["std"]) if spread else scores[name]
