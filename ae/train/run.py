"""The directory of a run.

config.json     what was asked for
history.csv     a row an epoch, and each half minute one of steps, which has no val_loss
checkpoints/    the last two, and the best
weights.safetensors, weights_best.safetensors    after the last epoch, and after the best: what it takes to use the model
tensorboard/    both, with sample images; a profile, where one was asked for
metrics.json, curves.png, grid.png, images.png    once it is finished (see `ae.report.result`)
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ae.config import Config, from_dict
from ae.errors import InputError, TrainingError
from ae.restore.load import RUN_WEIGHTS, Checkpoint, read_config
from ae.restore.weights import write_weights
from ae.runtime import devices
from ae.runtime.files import write_text
from ae.train import log
from ae.train.checkpoint import Checkpoints
from ae.train.early_stopping import History
from ae.train.step import TrainState
from ae.train.tensorboard import TensorBoard

CHECKPOINT_SECONDS = 180  # between two checkpoints within an epoch


def differences(ours: Config, theirs: Config) -> list[str]:
    """Return in which fields two configurations differ that training depends on.

    Name and patience are not among them, and neither is the number of epochs, unless the schedule depends on it. Precision
    is left to who resumes: earlier versions did not record it.
    """
    a, b = ours.to_dict(), theirs.to_dict()
    free = ("name", "patience", "reference_split", "precision", *(["epochs"] if ours.schedule == "constant" else []))
    return [f"{key} is {b[key]}, not {a[key]}" for key in a if a[key] != b[key] and key not in free]


def start_from(path: Path, config: Config, other: Path) -> None:
    """Give a run that has not begun the checkpoints of another one, where that has trained in the same way and less."""
    history = other / "history.csv"
    if path.exists() or not history.exists() or log.epochs_in(history) >= config.epochs:
        return
    if differences(config, read_config(other, config, any_name=True)):
        return
    temporary = path.with_name(f".{path.name}")  # a run that begins with half a checkpoint could not go on
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(other / "checkpoints", temporary / "checkpoints")
    temporary.rename(path)


def read_checkpoint(path: Path, config: Config, template: Any, *, best: bool = False) -> tuple[Any, History]:
    """Read (state, history) of the last or best checkpoint of a run directory.

    Raises InputError where there is none, or where it is of another configuration.
    """
    if not (path / "checkpoints").is_dir():
        raise InputError(f"{path} has no checkpoint yet")
    checkpoints = Checkpoints(path / "checkpoints", read_only=True)
    restored = checkpoints.restore(template, best=best)
    checkpoints.close()
    if restored is None:
        raise InputError(f"{path} has no checkpoint yet")
    state, record = restored
    _check_record(path, config, record)
    return state, tuple(record["history"])


def _check_record(path: Path, config: Config, record: dict[str, Any]) -> None:
    if different := differences(config, from_dict(record["config"], config)):
        raise InputError(f"the checkpoints in {path} are of another run: {'; '.join(different)}")


class Run:
    """A run directory that is being written, as a context manager. Raises InputError where that cannot be.

    `image_shape`: [H, W, C] of the training images. Of several processes the first writes; the others know of the directory
    what it tells them.
    """

    def __init__(self, path: Path, config: Config, image_shape: tuple[int, ...], *, resume: bool) -> None:
        self.path, self._config, self._image_shape = path, config, image_shape
        self._checkpoints = self._open(resume) if devices.is_first() else None
        self._tensorboard = TensorBoard(path / "tensorboard", config)
        self._meter, self._rows = log.Meter(), log.Rows()
        self._began = self._saved = time.perf_counter()

    def _open(self, resume: bool) -> Checkpoints:
        path, config = self.path, self._config
        if (path / "config.json").exists():
            if not resume:
                raise InputError(f"{path} holds a run already: --resume goes on with it, or choose another --out")
            if different := differences(config, read_config(path, config)):
                raise InputError(f"{path} holds another run: {'; '.join(different)}. Choose another --out")
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_text(path / "config.json", json.dumps(config.to_dict(), indent=2) + "\n")
            return Checkpoints(path / "checkpoints")
        except OSError as error:
            raise InputError(f"cannot write to {path} ({error.strerror}): choose another --out") from error

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._checkpoints:
            self._checkpoints.close()
        self._tensorboard.close()

    def restore(self, state: Any) -> tuple[Any, History]:
        """Return state and history of the last whole checkpoint, or those of the beginning; on every device."""
        restored = self._checkpoints.restore(state) if self._checkpoints else None
        if restored:
            _check_record(self.path, self._config, restored[1])
            self._rows = tuple(restored[1].get("steps", ()))  # which runs of earlier versions lack
            self._write_history(restored[1]["history"])  # it may be a row behind, or ahead
        state, record = restored or (state, {"elapsed": 0, "history": ()})
        state = devices.replicate(devices.from_first(state))
        record = json.loads(devices.text_from_first(json.dumps(record)))
        self._began -= record["elapsed"]
        return state, tuple(record["history"])

    @property
    def elapsed(self) -> float:
        """Return the seconds that the run has taken, those before an interruption counted."""
        return time.perf_counter() - self._began

    @property
    def save_is_due(self) -> bool:
        """Return whether the last checkpoint is CHECKPOINT_SECONDS old."""
        return time.perf_counter() - self._saved > CHECKPOINT_SECONDS

    def save(self, state: Any, history: History) -> None:
        """Write a checkpoint and, at the end of an epoch, the weights and the history.

        Weights come first: a run that is killed in between writes the same again, and is never without its best.
        """
        self._saved = time.perf_counter()
        if not self._checkpoints:
            return
        ended = int(state.sums["count"]) == 0
        if ended:
            self._write_weights(state.variables, history)
        record = {"config": self._config.to_dict(), "history": history, "steps": self._rows, "elapsed": self.elapsed}
        # A step and the end of an epoch each count one, so that the last step of an epoch and its end have two numbers.
        number = int(state.step) + len(history)
        self._checkpoints.save(number, state, record, score=history[-1]["val_loss"] if ended else None)
        if ended:
            self._write_history(history)

    def _write_history(self, history: History) -> None:
        with self._naming_errors("history"):
            log.write_history(self.path / "history.csv", history, self._rows)

    @contextmanager
    def _naming_errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f"no {name} can be written to {self.path} ({error.strerror}): make room, then go on with --resume"
            ) from error

    def _write_weights(self, variables: dict[str, Any], history: History) -> None:
        *before, last = (row["val_loss"] for row in history)
        inputs = self._config.task.input_shape(self._image_shape)
        result = {"preset": self._config.name, "epochs": len(history), "input_shape": list(inputs)}
        names: list[Checkpoint] = ["last", "best"] if all(last < loss for loss in before) else ["last"]
        with self._naming_errors("weights"):
            for name in names:
                write_weights(self.path / RUN_WEIGHTS[name], self._config, variables, result, np.float32)

    def log_steps(self, state: TrainState, diagnostics: Mapping[str, jax.Array], history: History) -> None:
        """Write a row of steps, where half a minute of training has passed since the last one."""
        self._meter.update(int(state.sums["count"]))
        if not self._checkpoints or not self._meter.row_is_due:
            return
        values = log.step_row(self._config, self._image_shape, state, diagnostics, self._meter.restart())
        row = {"epoch": len(history) + 1, **values}
        self._rows = (*self._rows, row)
        self._write_history(history)
        self._tensorboard.write_step(row)

    def log_epoch(self, history: History, pictures: tuple[jax.Array, jax.Array, jax.Array]) -> None:
        """Print the last epoch, and write it to TensorBoard with (inputs, targets, outputs) of sample images."""
        if not self._checkpoints:
            return
        row, task = history[-1], self._config.task
        print(
            f"epoch {row['epoch']:3}  loss {row['loss']:.4f}  {task.accuracy_name} {row['accuracy']:.4f}  "
            f"{row['validation']}: loss {row['val_loss']:.4f}  {task.accuracy_name} {row['val_accuracy']:.4f}  "
            f"{row['seconds']:.0f} s",
            flush=True,
        )
        self._tensorboard.write_epoch(row, pictures)
