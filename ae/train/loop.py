"""The training loop: one for all models and tasks.

Every random number is a function of (seed, epoch, step, index), the state is explicit, and what is computed does not depend
on how an epoch is cut into calls: an interrupted run that is resumed equals an uninterrupted one bit for bit.
"""

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ae import metrics
from ae.config import Config
from ae.data import Data, Split
from ae.data.splits import on_devices
from ae.errors import TrainingError
from ae.models import input_shape
from ae.models.apply import Predict
from ae.restore.load import read_config, read_result
from ae.restore.weights import Pretrained
from ae.runtime import devices, progress
from ae.runtime.interrupts import deferred_interrupts
from ae.score.evaluate import evaluate, predictor
from ae.score.pictures import pictures
from ae.train.early_stopping import EarlyStop, History
from ae.train.epoch import train_epoch
from ae.train.profile import write_profile
from ae.train.run import Run, read_checkpoint
from ae.train.step import TrainState, create_state, state_for, with_initial_weights, zero_sums


def fit(
    config: Config, data: Data, *, out: str | Path | None = None, resume: bool = False, profile: bool = False
) -> tuple[TrainState, History]:
    """Train until the epochs are up or early stopping says so; the last weights stay.

    Everything is written to the run directory `out` (see `ae.train.run`); where it is None, nothing is kept. `resume`
    goes on from the last checkpoint in it. `profile`: first write a trace of twenty steps there, for TensorBoard. Ctrl-C and
    SIGTERM end training after a checkpoint, with KeyboardInterrupt.
    Raises InputError where `out` cannot be used, TrainingError where a loss or a weight is not finite,
    or no checkpoint can be written.
    """
    devices.check_batch_size(config.batch_size)
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            return fit(config, data, out=folder)
    with Run(Path(out), config, data.train.images.shape[1:], resume=resume) as run:
        state, history = run.restore(with_initial_weights(config, create_state(config, data)))
        train, predict = [on_devices(split) for split in data.training], predictor(config)
        if profile:
            write_profile(config, state, train[0], run.path / "tensorboard")
        stop = EarlyStop.after(history, config.patience)
        while not stop.stop and len(history) < config.epochs:
            state = _train_epoch(config, run, state, history, train)
            row = _score_epoch(config, run, state, history, predict, data)
            history, stop = (*history, row), stop.update(row["val_loss"])
            state = state.replace(sums=devices.replicate(zero_sums()))
            run.save(state, history)
            shown = pictures(predict, state.variables, config.task, data.validation, batch_size=config.batch_size)
            run.log_epoch(history, shown)
    return state, history


def restore(path: Path, config: Config, *, best: bool = False) -> tuple[TrainState, History]:
    """Read state and history of the last (or best) checkpoint of a run directory, which stays as it is.

    Raises InputError where there is none, or where it is not of this configuration.
    """
    inputs = jax.ShapeDtypeStruct((1, *input_shape(config.model)), jnp.float32)
    template = jax.eval_shape(partial(state_for, config), jax.random.key(0), inputs)
    return read_checkpoint(path, config, template, best=best)


def read_trained(path: Path, preset: Config | None = None, *, best: bool = False) -> Pretrained:
    """Read the model in the last (or best) checkpoint of a run directory: of runs that have left no weights.

    Raises InputError where there is none.
    """
    config = read_config(path, preset)
    state, history = restore(path, config, best=best)
    return Pretrained(config, state.variables, {"epochs": len(history)} | read_result(path, len(history)))


def _train_epoch(config: Config, run: Run, state: TrainState, history: History, train: Sequence[Split]) -> TrainState:
    """The rest of an epoch, with progress, checkpoints and interrupts between the calls."""
    epoch = len(history) + 1
    calls = train_epoch(config, state, train[0], epoch, train[1:])
    bar = progress.bar(
        f"epoch {epoch}/{config.epochs}", sum(len(split.images) for split in train), done=int(state.sums["count"])
    )
    with bar, deferred_interrupts() as interrupted:
        for state, diagnostics in calls:
            _check_finite(state.sums["loss"], epoch)  # waits for the device
            bar.set_postfix(loss=f"{metrics.means(state.sums)['loss']:.4f}", refresh=False)
            bar.update(int(state.sums["count"]) - bar.n)
            run.log_steps(state, diagnostics, history)
            stop, save = devices.any_process(interrupted.is_set(), run.save_is_due)
            if stop or save:
                _check_finite(_norm(state.params), epoch)
                run.save(state, history)
            if stop:
                raise KeyboardInterrupt
    _check_finite(_norm(state.params), epoch)
    return state


def _score_epoch(
    config: Config, run: Run, state: TrainState, history: History, predict: Predict, data: Data
) -> dict[str, Any]:
    """The history's row of an epoch that has been trained."""
    together = deferred_interrupts() if jax.process_count() > 1 else nullcontext()  # or the others would wait for ever
    try:
        with together:
            validation = evaluate(predict, state.variables, config.task, data.validation, batch_size=config.batch_size)
    except KeyboardInterrupt:
        run.save(state, history)
        raise
    epoch = len(history) + 1
    _check_finite(validation["loss"], epoch)
    val = {f"val_{name}": value for name, value in validation.items()}
    training = metrics.means(state.sums)
    return {"epoch": epoch, **training, **val, "validation": data.validation.name, "seconds": run.elapsed}


_norm = jax.jit(optax.tree.norm)


def _check_finite(value: jax.Array | float, epoch: int) -> None:
    if not jnp.isfinite(value):
        raise TrainingError(
            f"loss or weights are no longer finite in epoch {epoch}; the last checkpoint, if there is one, is sound: "
            "lower the learning rate, or look at the data"
        )
