"""The training loop: one for all models and tasks.

Every random number is a function of (seed, epoch, step, index), the state is explicit, and what is computed does not depend
on how an epoch is cut into calls: an interrupted run that is resumed equals an uninterrupted one bit for bit.
"""

import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax import lax
from jax.typing import ArrayLike

from ae import devices, metrics, progress
from ae.apply import Predict, apply, predictor
from ae.config import Config
from ae.data import Data, Split
from ae.early_stopping import EarlyStop
from ae.errors import TrainingError
from ae.evaluation import TRAINING_SCORES, evaluate, examples, noise_key, pictures, scores
from ae.interrupts import deferred_interrupts
from ae.models import input_shape
from ae.optimizer import keras_adam, learning_rate
from ae.run import History, Run, read_checkpoint


class TrainState(struct.PyTreeNode):
    """All that training changes."""

    step: jax.Array  # updates so far, int32
    params: Any
    batch_stats: Any  # BatchNorm's running statistics; empty for models without
    opt_state: Any
    average: Any  # of the weights over the last steps; empty unless the configuration asks for it
    sums: dict[str, jax.Array]  # of the scores in the epoch under way, before each update

    @property
    def variables(self) -> dict[str, Any]:
        """What `model.apply` takes to predict."""
        return {"params": self.average or self.params, "batch_stats": self.batch_stats}


def create_state(config: Config, data: Data) -> TrainState:
    """The state before the first step."""
    return _create_state(config.program, np.uint32(config.seed), data.train.images[:1])


@partial(jax.jit, static_argnums=0)  # compiled as one: a hundred small programs take seconds
def _create_state(config: Config, seed: ArrayLike, image: jax.Array) -> TrainState:
    key = jax.random.fold_in(jax.random.key(seed), 0)
    return _state_for(config, key, examples(config.task, key, image, jnp.arange(1))[0])


def _state_for(config: Config, key: jax.Array, inputs: jax.Array) -> TrainState:
    """The state before the first step of a model for such inputs [1, H, W, C]."""
    variables = config.model.init(key, inputs)
    params = variables["params"]
    opt_state = keras_adam(config.learning_rate).init(params)
    average = jax.tree.map(jnp.copy, params) if config.average else {}
    return TrainState(jnp.int32(0), params, variables.get("batch_stats", {}), opt_state, average, _zero_sums())


def _zero_sums() -> dict[str, jax.Array]:
    return {name: jnp.float32(0) for name in TRAINING_SCORES} | {"count": jnp.int32(0)}


def train_step(
    config: Config,
    state: TrainState,
    batch: tuple[jax.Array, jax.Array],
    key: jax.Array,
    *,
    rate: float | jax.Array | None = None,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One update on a batch (inputs, targets), each [B, H, W, C]: (new state, scores [B] before the update).

    `key` is for models that draw random numbers, as dropout does. `rate`: learning rate, if not the configuration's.
    """
    inputs, targets = batch

    def mean_loss(params):
        variables = state.variables | {"params": params}
        output, updates = apply(config, variables, inputs, train=True, mutable=["batch_stats"], rngs={"dropout": key})
        batch_scores = scores(config.training_task, TRAINING_SCORES, output, targets)
        return batch_scores["loss"].mean(), (batch_scores, updates.get("batch_stats", state.batch_stats))

    (_, (batch_scores, batch_stats)), gradients = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
    optimizer = keras_adam(config.learning_rate if rate is None else rate)
    updates, opt_state = optimizer.update(gradients, state.opt_state)
    params = optax.apply_updates(state.params, updates)
    changes = {"params": params, "batch_stats": batch_stats, "opt_state": opt_state}
    if config.average:
        share = jnp.maximum(1 - config.average, 1 / (state.step + 1))  # at first the mean of all weights so far
        changes["average"] = optax.incremental_update(params, state.average, share)
    return state.replace(step=state.step + 1, **changes), batch_scores


def _training_key(seed: ArrayLike) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), 1)


@partial(jax.jit, static_argnums=2)
def epoch_order(seed: ArrayLike, epoch: int, count: int) -> jax.Array:
    """The order in which an epoch goes through so many images."""
    return jax.random.permutation(jax.random.fold_in(_training_key(seed), epoch), count)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def train_steps(
    config: Config,
    size: int,
    state: TrainState,
    images: jax.Array,
    order: jax.Array,
    place: tuple[ArrayLike, int],
    seed: ArrayLike,
    epoch: int,
    first: int,
    last: int,
) -> TrainState:
    """Trains on images first..last of an epoch's order, `size` at a time.

    `place`: the source split of the images, and the index there of the first of them.
    """
    source, start = place
    key = _training_key(seed)
    noise = noise_key(source, seed=seed)
    noise = jax.random.fold_in(noise, epoch) if config.fresh else noise
    steps = config.epochs * -(-len(images) // config.batch_size)

    def step(i, state):
        index = lax.dynamic_slice_in_dim(order, first + i * size, size)
        batch = devices.split(examples(config.training_task, noise, images[index], start + index))
        rate = learning_rate(config.schedule, config.learning_rate, steps, state.step)
        state, batch_scores = train_step(config, state, batch, jax.random.fold_in(key, state.step), rate=rate)
        sums = metrics.masked_sums(batch_scores, jnp.ones(size, bool))
        return state.replace(sums=jax.tree.map(jnp.add, state.sums, sums))

    return lax.fori_loop(0, (last - first) // size, step, state)


def train_epoch(config: Config, state: TrainState, split: Split, epoch: int) -> Iterator[TrainState]:
    """Yields the state after each call of about a second, from where the state is in the epoch to its end.

    A last batch that is not full is trained on all the same, as Keras does.
    """
    images, place, seed = split.images, (np.uint32(split.source), split.start), np.uint32(config.seed)
    order = devices.replicate(epoch_order(seed, epoch, len(images)))
    size = min(config.batch_size, len(images))
    full, seen = len(images) // size, int(state.sums["count"])
    for first, last in progress.paced(seen // size, full):
        state = train_steps(config.program, size, state, images, order, place, seed, epoch, first * size, last * size)
        yield state
    if (rest := len(images) % size) and seen < len(images):
        state = train_steps(config.program, rest, state, images, order, place, seed, epoch, full * size, len(images))
        yield state


def fit(
    config: Config, data: Data, *, out: str | Path | None = None, resume: bool = False
) -> tuple[TrainState, History]:
    """Trains until the epochs are up or early stopping says so; the last weights stay.

    Everything is written to the run directory `out` (see `ae.run`); where it is None, nothing is kept. `resume` goes on from
    the last checkpoint in it. Ctrl-C and SIGTERM end training after a checkpoint, with KeyboardInterrupt.
    Raises InputError where `out` cannot be used, TrainingError where a loss or a weight is not finite,
    or no checkpoint can be written.
    """
    devices.check_batch_size(config.batch_size)
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            return fit(config, data, out=folder)
    inputs, _ = jax.eval_shape(partial(examples, config.task), jax.random.key(0), data.train.images[:1], jnp.arange(1))
    with Run(Path(out), config, inputs.shape[1:], resume=resume) as run:
        state, history = run.restore(create_state(config, data))
        train, predict = data.train._replace(images=devices.replicate(data.train.images)), predictor(config)
        stop = EarlyStop.after(history, config.patience)
        while not stop.stop and len(history) < config.epochs:
            state = _train_epoch(config, run, state, history, train)
            row = _score_epoch(config, run, state, history, predict, data)
            history, stop = (*history, row), stop.update(row["val_loss"])
            state = state.replace(sums=devices.replicate(_zero_sums()))
            run.save(state, history)
            run.log(history, pictures(predict, state.variables, config.task, data.validation))
    return state, history


def restore(path: Path, config: Config, *, best: bool = False) -> tuple[TrainState, History]:
    """Read state and history of the last (or best) checkpoint of a run directory, which stays as it is.

    Raises InputError where there is none, or where it is not of this configuration.
    """
    inputs = jax.ShapeDtypeStruct((1, *input_shape(config.model)), jnp.float32)
    template = jax.eval_shape(partial(_state_for, config), jax.random.key(0), inputs)
    return read_checkpoint(path, config, template, best=best)


def _train_epoch(config: Config, run: Run, state: TrainState, history: History, train: Split) -> TrainState:
    """The rest of an epoch, with progress, checkpoints and interrupts between the calls."""
    epoch = len(history) + 1
    calls = train_epoch(config, state, train, epoch)
    bar = progress.bar(f"epoch {epoch}/{config.epochs}", len(train.images), done=int(state.sums["count"]))
    with bar, deferred_interrupts() as interrupted:
        for state in calls:
            _check_finite(state.sums["loss"], epoch)  # waits for the device
            bar.set_postfix(loss=f"{metrics.means(state.sums)['loss']:.4f}", refresh=False)
            bar.update(int(state.sums["count"]) - bar.n)
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
