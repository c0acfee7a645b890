"""The log of a run: a row an epoch, and rows of steps each half minute, in `history.csv`."""

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from ae import metrics
from ae.config import Config
from ae.runtime.files import write_text
from ae.runtime.peak import peak_flops
from ae.score.flops import training_flops
from ae.train.early_stopping import History
from ae.train.step import DIAGNOSTICS, TrainState

LOG_SECONDS = 30  # of training between two rows of steps
EPOCH_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "validation")
STEP_COLUMNS = ("step", *DIAGNOSTICS, "images_per_second", "share_of_peak")

Rows = tuple[dict[str, Any], ...]
"""Rows of steps: epoch, means of loss and accuracy in it so far, and STEP_COLUMNS."""


class Meter:
    """The speed of training between two rows of steps.

    Left out are the first call of each epoch, which may compile, and the one after a row, which waits for it.
    """

    def __init__(self) -> None:
        self._images, self._seconds = 0, 0.0
        self._last: tuple[int, float] | None = None  # count and time

    def update(self, count: int) -> None:
        """Take note that a call has ended, after so many images of the epoch."""
        now = time.perf_counter()
        if self._last and count > self._last[0]:
            self._images += count - self._last[0]
            self._seconds += now - self._last[1]
        self._last = count, now

    @property
    def row_is_due(self) -> bool:
        """Return whether half a minute of training has passed since the last row."""
        return self._images > 0 and self._seconds >= LOG_SECONDS

    def restart(self) -> float:
        """Return the images a second, and measure anew."""
        speed = self._images / self._seconds
        self._images, self._seconds, self._last = 0, 0.0, None
        return speed


def step_row(
    config: Config, image_shape: tuple[int, ...], state: TrainState, diagnostics: Mapping[str, jax.Array], speed: float
) -> dict[str, Any]:
    """Return the row of a step on images [H, W, C], of which `speed` a second are trained on, epoch apart.

    The share of the peak is of products by the direct algorithm; None where they or the peak are not known.
    """
    inputs = config.training_task.input_shape(image_shape)
    flops = training_flops(config.model, inputs, config.batch_size) / config.batch_size
    peak = peak_flops(config.dtype, config.precision)
    return {
        "step": int(state.step),
        **metrics.means(state.sums),
        **{name: float(value) for name, value in diagnostics.items()},
        "images_per_second": speed,
        "share_of_peak": speed * flops / peak if flops and peak else None,
    }


def write_history(path: Path, history: History, rows: Rows) -> None:
    """Write both kinds of rows, an epoch's after those of its steps; without the rows of steps there is no time in it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, (*EPOCH_COLUMNS, *STEP_COLUMNS), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted((*rows, *history), key=lambda row: row["epoch"]))
    write_text(path, text.getvalue())


def epochs_in(path: Path) -> int:
    """Return how many epochs a `history.csv` has."""
    with path.open(newline="") as file:
        return sum(bool(row["val_loss"]) for row in csv.DictReader(file))
