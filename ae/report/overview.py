"""The README's table: models whose rows say most, each beside a simple baseline and the reference."""

from collections.abc import Sequence
from typing import Any

from ae.report.markdown import Row, tabulate, to_markdown
from ae.report.reference import REPORTED

SHOWN = (
    *("pixel_mlp", "conv_ae", "conv_ae_14", "keras_io_denoiser"),
    *("unet_denoiser", "colorizer_ae", "chroma_unet_cifar"),
)
SIMPLE = {"Denoise": "best affine map of the whole image", "Colorize": "mean colour of each gray level"}
DATA = {"mnist": "MNIST", "cifar100": "CIFAR-100"}
COLUMNS = dict.fromkeys(("model", "task", "data", "parameters", "MSE", "simple baseline", "reference")) | {"MSE": 4}


def overview(results: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table of the results in `SHOWN`: mean squared errors on the images that the reference reports on."""
    by_preset = {result["preset"]: result for result in results}
    return to_markdown(tabulate("", COLUMNS, [_row(by_preset[name]) for name in SHOWN if name in by_preset]))


def _row(result: dict[str, Any]) -> Row:
    task, baseline = result["config"]["task"], SIMPLE[result["config"]["task"]["class"]]
    return {
        "model": f"`{result['preset']}`",
        "task": f"denoising, sigma {task['sigma']:g}" if task["class"] == "Denoise" else "colorizing",
        "data": ("luma of " if task.get("gray") else "") + DATA[result["data"]["name"]],
        "parameters": result["parameters"],
        "MSE": _mean(result),
        "simple baseline": f"{result['baselines'][baseline]['reference_split']['mse']:.4f} ({baseline})",
        "reference": _reference(result),
    }


def _mean(result: dict[str, Any]) -> float:
    spread = result.get("spread")
    return spread["reference_split"]["mse"]["mean"] if spread else result["reference_split"]["mse"]


def _reference(result: dict[str, Any]) -> str:
    """Return the reference's figure for this model; for one that it does not have, its best on the same task and data."""
    same = (result["data"]["name"], result["config"]["task"]["class"])
    best = [figures["val_loss"] for figures in REPORTED.values() if (figures["data"], figures["task"]) == same]
    if not result["reference"]:
        return f"{min(best):.4f} (its best)" if best else ""
    return f"{result['reference']['val_loss']:.4f}"
