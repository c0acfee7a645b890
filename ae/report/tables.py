"""Results as Markdown tables. No figure is ever typed into one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ae.report.markdown import Row, columns, fill_pages
from ae.report.overview import overview
from ae.report.reference import REPORTED
from ae.report.studies import studies
from ae.runtime.files import read_json, write_text


def describe_model(config: dict[str, Any]) -> str:
    """The model as Python would write it; of a configuration as JSON values."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in config["model"].items()}
    name = values.pop("class")
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder: digits, colours, then what the reference does not do; best last."""
    files = [read_json(path) for path in sorted(folder.glob("*.json"))]
    return sorted((values for values in files if "preset" in values), key=_order)


def _order(result: dict[str, Any]) -> tuple[bool, bool, str, float]:
    return _is_gray(result), _task(result)["class"] != "Denoise", _group(result), -result["reference_split"]["loss"]


SCORES = {"mse": "MSE", "psnr_pooled": "PSNR pooled", "psnr_mean": "PSNR mean", "ssim": "SSIM",
          "colourfulness": "colourfulness"}  # fmt: skip
DIGITS = {"loss": 4, "accuracy": 4, "mse": 5, "psnr_pooled": 2, "psnr_mean": 2, "ssim": 3, "colourfulness": 1}
COLUMNS = ("", "parameters", "multiply-adds", "epochs", "best loss", "minutes", "to the reference's loss", "chosen on",
           "training loss", "loss", "accuracy", *SCORES.values())  # fmt: skip


def scores_table(rows: dict[str, dict[str, float]], accuracy_name: str) -> str:
    """Scores (see `ae.score.evaluate.measure`) by name, as a Markdown table."""
    cells = [{"": name, **_cells(("loss", "accuracy"), row), **_cells(SCORES, row)} for name, row in rows.items()]
    return columns(cells, COLUMNS).replace("accuracy", accuracy_name, 1)


def _task(result: dict[str, Any]) -> dict[str, Any]:
    return result["config"]["task"]


def _is_gray(result: dict[str, Any]) -> bool:
    return _task(result).get("gray", False)


DOING = {"Denoise": "Denoising", "Colorize": "Colorizing"}


def _group(result: dict[str, Any]) -> str:
    """What a table is of: a task and a data set."""
    task, images = _task(result)["class"], "the luma of " if _is_gray(result) else ""
    return f"{DOING.get(task, task)} {images}{result['data']['name']}"


def table(results: Sequence[dict[str, Any]]) -> str:
    """One Markdown table a task and data set: its baselines, then each model, and the reference's figures below ours."""
    tables = []
    for group in dict.fromkeys(map(_group, results)):
        members = [result for result in results if _group(result) == group]
        compared, test = members[0]["reference_split"]["split"], members[0]["test"]["split"]
        accuracy = members[0]["accuracy_name"]
        title = f"{group}: loss and {accuracy} on {compared}, the scores after them on {test}.\n\n"
        models = (row for result in members for row in (_model_row(result), *_reference_row(result)))
        tables.append(title + columns([*_baseline_rows(members), *models], COLUMNS))
    return "\n".join(tables)


def _baseline_rows(results: Sequence[dict[str, Any]]) -> list[Row]:
    rows = {name: scores for result in results for name, scores in result["baselines"].items()}
    return [{"": _fitted(name, scores), **_scores(scores)} for name, scores in rows.items()]


def _fitted(name: str, scores: dict[str, Any]) -> str:
    """A baseline's name, with the parameters that were fitted."""
    return ", ".join([name, *(f"{key} {value:g}" for key, value in scores.get("fitted", {}).items())])


def _model_row(result: dict[str, Any]) -> Row:
    spread = result.get("spread", {})
    return {
        "": f"**{result['preset']}**",
        "parameters": f"{result['parameters']:,}",
        "multiply-adds": f"{result['multiply_adds'] / 1e6:.1f} M",
        "epochs": f"{result['epochs']}{', stopped early' if result['stopped_early'] else ''}",
        "best loss": _best(result["val_loss_by_epoch"]),
        "minutes": f"{result['wall_seconds'] / 60:.1f}",
        "to the reference's loss": _minutes_to_the_references_loss(result),
        "chosen on": result["validation"]["split"],
        "training loss": _number("loss", result["train"], spread.get("train")),
        **_scores(result, spread),
    }


def _best(losses: Sequence[float]) -> str:
    return f"{min(losses):.4f} in epoch {losses.index(min(losses)) + 1}"


def _minutes_to_the_references_loss(result: dict[str, Any]) -> str:
    """After which epoch's minutes the validation loss was at most what the reference reports for its best model."""
    same = (result["data"]["name"], _task(result)["class"])
    losses = [figures["val_loss"] for figures in REPORTED.values() if (figures["data"], figures["task"]) == same]
    epochs = zip(result["seconds_by_epoch"], result["val_loss_by_epoch"], strict=True)
    reached = (seconds for seconds, loss in epochs if losses and round(loss, 4) <= min(losses))
    seconds = next(reached, None)
    return f"{seconds / 60:.1f}" if seconds else ""


def _reference_row(result: dict[str, Any]) -> list[Row]:
    """The reference's figures, if it has any; where ours are on other data, the row says so."""
    theirs, ours = result["reference"], result["data"]["name"]
    if not theirs:
        return []
    return [
        {
            "": "reference" if ours == theirs["data"] else f"reference, **on other data: {theirs['data']}**",
            "epochs": f"{theirs['epoch']} of {theirs['epochs']}",
            "best loss": _best(theirs["val_loss_by_epoch"]),
            "chosen on": theirs["validation"],
            "training loss": f"{theirs['loss']:.4f}",
            "loss": f"{theirs['val_loss']:.4f}",
            "accuracy": f"{theirs['val_accuracy']:.4f}",
        }
    ]


def _scores(result: dict[str, Any], spread: dict[str, Any] | None = None) -> Row:
    spread = spread or {}
    compared = _cells(("loss", "accuracy"), result["reference_split"], spread.get("reference_split"))
    return compared | _cells(SCORES, result["test"], spread.get("test"))


def _cells(names: Iterable[str], scores: dict[str, Any], spread: dict[str, Any] | None = None) -> Row:
    return {SCORES.get(name, name): _number(name, scores, spread) for name in names if name in scores}


def _number(name: str, scores: dict[str, Any], spread: dict[str, Any] | None = None) -> str:
    digits = DIGITS[name]
    if spread:
        return f"{spread[name]['mean']:.{digits}f} ± {spread[name]['std']:.1g}"
    return f"{scores[name]:.{digits}f}"


PREAMBLE = """# Results

Scripts write this page from the JSON files beside it. Each JSON file names the command, the seeds and the hardware.

- **loss, accuracy**: on the images that the reference reports on; for `test[:9000]`, the first 9,000 test images. The
  other scores are on all test images.
- **MSE, PSNR, SSIM**: for pixels in [0, 1]. "PSNR pooled" is the PSNR of the mean error, "PSNR mean" the mean of the
  images' PSNR; each is at most 80 dB. SSIM uses a Gaussian window (11x11, sigma 1.5).
- **binary accuracy**: the share of pixels whose output, rounded to 0 or 1, equals the clean value. Pixels strictly
  between 0 and 1 never count as right. **categorical accuracy**: the share of pixels whose largest colour channel is
  the right one.
- **best loss**: the lowest of all epochs, on the images that the run was chosen on. All other scores are those of the
  last weights.
- **chosen on**: the images that early stopping looks at. The reference uses test images; so do the presets that
  reproduce it.
- **training loss**: the loss that is minimised. For `keras_io_denoiser` it is cross entropy, for all others the mean
  squared error.
- **minutes**: wall-clock time, on machines of different speed that may have had other work.
- **to the reference's loss**: minutes until the end of the first epoch whose validation loss is at most what the
  reference reports for its best model.
- **±**: mean and standard deviation over several seeds. All else in the row, the pictures and the released weights are
  of the first seed.

"""


def write_tables(folder: Path) -> str:
    """Write `README.md` in a folder of results and the overview in the pages that show this folder; return all tables."""
    results = read_results(folder)
    tables = table(results)
    pictures = "".join(
        f"\n## {result['preset']}\n\n`{describe_model(result['config'])}`\n\n`{result['command']}`, {result['hardware']}\n\n"
        f"![curves]({result['preset']}_curves.png)\n![images]({result['preset']}_grid.png)\n"
        for result in results
    )
    grids = "".join(f"\n![{path.stem}]({path.name})\n" for path in sorted(folder.glob("side_by_side_*.png")))
    write_text(folder / "README.md", PREAMBLE + tables + grids + studies(folder) + pictures)
    fill_pages(folder, overview(results))
    return tables
