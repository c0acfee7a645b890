"""A run in TensorBoard: scores and sample images of each epoch, and the log of steps beside them, under `steps`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ae.config import Config
from ae.score.pictures import strip
from ae.train.log import STEP_COLUMNS


class TensorBoard:
    """Writer of a directory of events. What is there of later epochs and steps than the first written now is hidden."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path, self._config = path, config
        self._writers: dict[str, Any] = {}

    def write_epoch(self, row: dict[str, Any], pictures: Any) -> None:
        """Write an epoch's row of the history, and (inputs, targets, outputs) of sample images, each [N, H, W, C]."""
        writer = self._writer("", row["epoch"])
        for name in ("loss", "accuracy"):
            writer.add_scalars(name, {"train": row[name], row["validation"]: row[f"val_{name}"]}, row["epoch"])
        shown = (strip(*pictures) * 255).round().astype(np.uint8)
        writer.add_image(" / ".join(self._config.task.labels), shown, row["epoch"], dataformats="HWC")
        writer.flush()

    def write_step(self, row: dict[str, Any]) -> None:
        """Write a row of steps."""
        writer = self._writer("steps", row["step"])
        for name in (*STEP_COLUMNS[1:], "loss", "accuracy"):
            if row[name] is not None:
                writer.add_scalar(name, row[name], row["step"])
        writer.flush()

    def _writer(self, folder: str, first: int) -> Any:
        if folder not in self._writers:
            from tensorboardX import SummaryWriter  # takes half a second

            writer = SummaryWriter(str(self._path / folder), purge_step=first)
            writer.add_text("config", f"```\n{json.dumps(self._config.to_dict(), indent=2)}\n```")
            self._writers[folder] = writer
        return self._writers[folder]

    def close(self) -> None:
        """Write what is left."""
        for writer in self._writers.values():
            writer.close()
