"""Pictures of a run: curves of loss and accuracy, strips of test images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from PIL import Image

from ae.runtime.files import atomic_write
from ae.score.pictures import strip
from ae.tasks import Task

History = Sequence[dict[str, Any]]
DPI = 100
BLUE, ORANGE, GRAY = "#2369bd", "#e07b1f", "#777777"


def save_grid(path: Path, task: Task, title: str, pictures: tuple[ArrayLike, ArrayLike, ArrayLike]) -> None:
    """Write (inputs, targets, outputs), each [N, H, W, C] in [0, 1], as three labelled rows."""
    rows = dict(zip(task.labels, pictures, strict=True))
    names = list(rows) if task.labels[0] == "gray" else [task.labels[1], task.labels[0], task.labels[2]]
    save_rows(path, {name: rows[name] for name in names}, title)


def save_strip(path: Path, *rows: ArrayLike) -> None:
    """Write rows of images, each [N, H, W, 1 or 3] in [0, 1], pixel for pixel in 8 bits."""
    with atomic_write(path) as temporary:
        Image.fromarray(np.round(strip(*rows) * 255).astype(np.uint8)).save(temporary, "png", optimize=True)


def read_strip(path: Path) -> list[np.ndarray]:
    """Read what `save_strip` wrote of three rows of square images: each [N, H, W, 3] in [0, 1]."""
    pixels = np.asarray(Image.open(path)) / np.float32(255)
    size = len(pixels) // 3
    return [np.stack(np.split(row, row.shape[1] // size, axis=1)) for row in np.split(pixels, 3)]


def save_rows(path: Path, rows: Mapping[str, ArrayLike], title: str = "") -> None:
    """Write labelled rows of images, each [N, H, W, 1 or 3] in [0, 1]."""
    count, height, width = np.shape(next(iter(rows.values())))[:3]
    inches = max(1.05, width / DPI)  # of an image: small ones are enlarged, large ones keep their pixels
    labels = 0.1 * max(map(len, rows)) + 0.2
    figure = _figure(figsize=(inches * count + labels, inches * len(rows) * height / width + 0.35 * bool(title)))
    axes = figure.add_subplot()
    axes.imshow(strip(*rows.values()), interpolation="nearest")
    for line in range(1, count):
        axes.axvline(line * width - 0.5, color="white", linewidth=2)
    for line in range(1, len(rows)):
        axes.axhline(line * height - 0.5, color="white", linewidth=2)
    axes.set_yticks([(i + 0.5) * height for i in range(len(rows))], rows, fontsize=12)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=12)
    _save(figure, path, bbox_inches="tight")


def save_lines(
    path: Path, x: str, y: str, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, log: bool = False
) -> None:
    """Write a chart of named curves (xs, ys) with the names of its axes; `log` makes the axis of y logarithmic."""
    figure = _figure(figsize=(7, 4.4))
    axes = figure.add_subplot()
    for name, (xs, ys) in curves.items():
        axes.plot(xs, ys, "o-", markersize=4, label=name)
    axes.set(xlabel=x, ylabel=y, yscale="log" if log else "linear")
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def save_curves(
    path: Path,
    task: Task,
    title: str,
    history: History,
    reference: dict[str, Any] | None = None,
    baseline: dict[str, float] | None = None,
) -> None:
    """Write curves of loss and accuracy over the epochs, for training and validation.

    Losses in dB are below 0, and have no place on a logarithmic axis: where that of training alone is one, its curve is left
    out; where that of validation is one, the axis is linear. `reference`: the figures of the reference on the same data.
    `baseline`: name -> validation loss.
    """
    figure = _figure(figsize=(10, 3.8))
    log = min(row["val_loss"] for row in history) > 0
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, color, label in ((name, BLUE, "training"), (f"val_{name}", ORANGE, history[0]["validation"])):
            values = [row[key] for row in history]
            if name == "loss" and log and min(values) <= 0:
                continue
            label = label if color == BLUE else f"validation on {label}"
            axes.plot(range(1, len(values) + 1), values, "o-", color=color, markersize=4, label=label)
        if name == "loss":
            _add_references(axes, reference, baseline)
        if name == "loss" and log:
            _make_logarithmic(axes)
        axes.set(xlabel="epoch", title="loss" if name == "loss" else task.accuracy_name)
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    figure.suptitle(title)
    _save(figure, path)


def _add_references(axes: Any, reference: dict[str, Any] | None, baseline: dict[str, float] | None) -> None:
    """Add losses to compare with."""
    if reference:
        losses, label = reference["val_loss_by_epoch"], f"reference, on {reference['validation']}"
        axes.plot(range(1, len(losses) + 1), losses, "--", color=GRAY, label=label)
    for style, (name, loss) in zip((":", "-."), (baseline or {}).items(), strict=False):
        axes.axhline(loss, color=GRAY, linestyle=style, label=name)


def _make_logarithmic(axes: Any) -> None:
    """Make the axis of losses logarithmic, since they fall by orders of magnitude."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter("{x:.3g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _figure(figsize: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=figsize, dpi=DPI, layout="constrained")


def _save(figure: Any, path: Path, **settings: Any) -> None:
    """Write the file whole or not at all: PNG, or JPEG where its name says so."""
    jpeg = path.suffix == ".jpg"
    settings |= {"format": "jpeg" if jpeg else "png", "pil_kwargs": {"quality": 85} if jpeg else {"optimize": True}}
    with atomic_write(path) as temporary:
        figure.savefig(temporary, **settings)
