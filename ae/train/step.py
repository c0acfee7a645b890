"""Steps of training as pure functions: (state, batch, key) -> (state, scores)."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax import lax
from jax.typing import ArrayLike

from ae import metrics
from ae.config import Config
from ae.data import Data, Split
from ae.data.streamed import Streamed, stream
from ae.models.apply import apply
from ae.runtime import devices, progress
from ae.score.evaluate import TRAINING_SCORES, examples, noise_key, scores
from ae.train.optimizer import keras_adam, learning_rate


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
    return _create_state(config.compile_key, np.uint32(config.seed), data.train.images[:1])


@partial(jax.jit, static_argnums=0)  # compiled as one: a hundred small programs take seconds
def _create_state(config: Config, seed: ArrayLike, image: jax.Array) -> TrainState:
    key = jax.random.fold_in(jax.random.key(seed), 0)
    return state_for(config, key, examples(config.task, key, image, jnp.arange(1))[0])


def state_for(config: Config, key: jax.Array, inputs: jax.Array) -> TrainState:
    """The state before the first step of a model for such inputs [1, H, W, C]."""
    variables = config.model.init(key, inputs)
    params = variables["params"]
    opt_state = keras_adam(config.learning_rate).init(params)
    average = jax.tree.map(jnp.copy, params) if config.ema_decay else {}
    return TrainState(jnp.int32(0), params, variables.get("batch_stats", {}), opt_state, average, zero_sums())


def zero_sums() -> dict[str, jax.Array]:
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
        kwargs = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": key}}
        output, updates = apply(config.model, variables, inputs, dtype=config.dtype, **kwargs)
        batch_scores = scores(config.training_task, TRAINING_SCORES, output, targets)
        return batch_scores["loss"].mean(), (batch_scores, updates.get("batch_stats", state.batch_stats))

    (_, (batch_scores, batch_stats)), gradients = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
    optimizer = keras_adam(config.learning_rate if rate is None else rate)
    updates, opt_state = optimizer.update(gradients, state.opt_state)
    params = optax.apply_updates(state.params, updates)
    changes = {"params": params, "batch_stats": batch_stats, "opt_state": opt_state}
    if config.ema_decay:
        share = jnp.maximum(1 - config.ema_decay, 1 / (state.step + 1))  # at first the mean of all weights so far
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
    """Train on images first..last of an epoch's order, `size` at a time.

    `place`: the source split of the images, and the index there of the first of them.
    """
    key, noise = _keys(config, place, seed, epoch)
    steps = _steps_of_run(config, len(images))

    def step(i, state):
        index = lax.dynamic_slice_in_dim(order, first + i * size, size)
        return _train_batch(config, steps, state, images[index], place[1] + index, key, noise)

    return lax.fori_loop(0, (last - first) // size, step, state)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def train_on_batch(
    config: Config,
    count: int,
    state: TrainState,
    images: jax.Array,
    index: jax.Array,
    place: tuple[ArrayLike, int],
    seed: ArrayLike,
    epoch: int,
) -> TrainState:
    """Train on images [B, H, W, C] with these indices in a split of `count`, as `train_steps` does."""
    key, noise = _keys(config, place, seed, epoch)
    return _train_batch(config, _steps_of_run(config, count), state, images, place[1] + index, key, noise)


def _keys(config: Config, place: tuple[ArrayLike, int], seed: ArrayLike, epoch: int) -> tuple[jax.Array, jax.Array]:
    """Of the steps, and of the images' noise."""
    key, noise = _training_key(seed), noise_key(place[0], seed=seed)
    return key, jax.random.fold_in(noise, epoch) if config.new_noise_each_epoch else noise


def _steps_of_run(config: Config, count: int) -> int:
    return config.epochs * -(-count // config.batch_size)


def _train_batch(
    config: Config,
    steps: int,
    state: TrainState,
    images: jax.Array,
    index: jax.Array,
    key: jax.Array,
    noise: jax.Array,
) -> TrainState:
    """One of the run's `steps`, on images with these indices in the source split."""
    batch = devices.split(examples(config.training_task, noise, images, index))
    rate = learning_rate(config.schedule, config.learning_rate, steps, state.step)
    state, batch_scores = train_step(config, state, batch, jax.random.fold_in(key, state.step), rate=rate)
    sums = metrics.masked_sums(batch_scores, jnp.ones(len(images), bool))
    return state.replace(sums=jax.tree.map(jnp.add, state.sums, sums))


def train_epoch(config: Config, state: TrainState, split: Split, epoch: int) -> Iterator[TrainState]:
    """Yield the state after each call of about a second, from where the state is in the epoch to its end.

    A last batch that is not full is trained on all the same, as Keras does. Whether the split is resident or streamed,
    its images come in the same order, with the same noise.
    """
    place, seed = (np.uint32(split.noise_id), split.start), np.uint32(config.seed)
    order = epoch_order(seed, epoch, len(split.images))
    if isinstance(split.images, Streamed):
        yield from _train_streamed(config, state, split.images, np.asarray(order), place, seed, epoch)
    else:
        yield from _train_resident(config, state, split.images, devices.replicate(order), place, seed, epoch)


def _train_streamed(config, state, images, order, place, seed, epoch):
    size, count, seen = min(config.batch_size, len(images)), len(images), int(state.sums["count"])
    with closing(stream(images, order[seen:], size)) as batches:
        for first, last in progress.paced(-(-seen // size), -(-count // size)):
            for batch, index in islice(batches, last - first):
                jax.block_until_ready(state.step)  # or batches would pile up on the devices
                state = train_on_batch(config.compile_key, count, state, batch, index, place, seed, epoch)
            yield state


def _train_resident(config, state, images, order, place, seed, epoch):
    size = min(config.batch_size, len(images))
    full, seen = len(images) // size, int(state.sums["count"])
    for first, last in progress.paced(seen // size, full):
        state = train_steps(
            config.compile_key, size, state, images, order, place, seed, epoch, first * size, last * size
        )
        yield state
    if (rest := len(images) % size) and seen < len(images):
        state = train_steps(
            config.compile_key, rest, state, images, order, place, seed, epoch, full * size, len(images)
        )
        yield state
