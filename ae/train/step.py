"""Steps of training as pure functions: (config, state, batch, key) -> (state, scores).

Compiled ones take a configuration as a pytree: weight decay and noise are values, and the rest of it says which program it
is. Learning rates are values too.
"""

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
from ae.score.flops import training_flops
from ae.train.optimizer import learning_rates, optimizer


class TrainState(struct.PyTreeNode):
    """All that training changes; its tree is what checkpoints hold."""

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
    """Return the state before the first step."""
    return _create_state(config.program, np.uint32(config.seed), data.train.images[:1])


@jax.jit  # compiled as one: a hundred small programs take seconds
def _create_state(config: Config, seed: ArrayLike, image: jax.Array) -> TrainState:
    key = jax.random.fold_in(jax.random.key(seed), 0)
    return state_for(config, key, examples(config.task, key, image, jnp.arange(1))[0])


def state_for(config: Config, key: jax.Array, inputs: jax.Array) -> TrainState:
    """Return the state before the first step of a model for such inputs [1, H, W, C]."""
    variables = config.model.init(key, inputs)
    params = variables["params"]
    opt_state = optimizer(config, config.learning_rate).init(params)
    average = jax.tree.map(jnp.copy, params) if config.ema_decay else {}
    return TrainState(jnp.int32(0), params, variables.get("batch_stats", {}), opt_state, average, zero_sums())


def zero_sums() -> dict[str, jax.Array]:
    """Return the sums of scores before an epoch."""
    return {name: jnp.float32(0) for name in TRAINING_SCORES} | {"count": jnp.int32(0)}


def train_step(
    config: Config,
    state: TrainState,
    batch: tuple[jax.Array, jax.Array],
    key: jax.Array,
    *,
    rate: float | jax.Array | None = None,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Make one update on a batch (inputs, targets), each [B, H, W, C]: (new state, scores [B] before the update).

    `key` is for models that draw random numbers, as dropout does. `rate`: learning rate, if not the configuration's.
    """
    state, batch_scores, _ = _step(config, state, batch, key, config.learning_rate if rate is None else rate)
    return state, batch_scores


def _step(
    config: Config, state: TrainState, batch: tuple[jax.Array, jax.Array], key: jax.Array, rate: float | jax.Array
) -> tuple[TrainState, dict[str, jax.Array], dict[str, jax.Array]]:
    """`train_step`, and its diagnostics."""
    gradients, batch_stats, batch_scores = _gradients(config, state, batch, key)
    updates, opt_state = optimizer(config, rate).update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    average = _averaged(config, state, params)
    state = TrainState(state.step + 1, params, batch_stats, opt_state, average, state.sums)
    trees = {"gradient_norm": gradients, "parameter_norm": params, "update_norm": updates}
    trees = lax.optimization_barrier(trees)  # or XLA fuses norms with gradients, which rounds these in another way
    norms = {name: optax.tree.norm(tree) for name, tree in trees.items()}
    return state, batch_scores, {"learning_rate": jnp.float32(rate), **norms}


def _gradients(
    config: Config, state: TrainState, batch: tuple[jax.Array, jax.Array], key: jax.Array
) -> tuple[Any, Any, dict[str, jax.Array]]:
    """Gradients of the mean loss, BatchNorm's statistics after the batch, and the scores [B] of its images."""
    inputs, targets = batch

    def mean_loss(params):
        variables = state.variables | {"params": params}
        kwargs: dict[str, Any] = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": key}}
        output, updates = apply(config.model, variables, inputs, **config.numerics, **kwargs)
        batch_scores = scores(config.training_task, TRAINING_SCORES, output, targets)
        return batch_scores["loss"].mean(), (updates.get("batch_stats", state.batch_stats), batch_scores)

    with jax.default_matmul_precision(config.precision):  # of the gradients' products too
        gradients, (batch_stats, batch_scores) = jax.grad(mean_loss, has_aux=True)(state.params)
    return gradients, batch_stats, batch_scores


def _averaged(config: Config, state: TrainState, params: Any) -> Any:
    """The running average of the weights after a step: at first the mean of all so far."""
    if not config.ema_decay:
        return state.average
    share = jnp.maximum(1 - config.ema_decay, 1 / (state.step + 1))
    return optax.incremental_update(params, state.average, share)


def _training_key(seed: ArrayLike) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), 1)


@partial(jax.jit, static_argnums=2)
def epoch_order(seed: ArrayLike, epoch: int, count: int) -> jax.Array:
    """Return the order in which an epoch goes through so many images."""
    return jax.random.permutation(jax.random.fold_in(_training_key(seed), epoch), count)


BLOCK_FLOPS = 1e11  # half a second of a CPU
MOST_STEPS = 32  # of a block
DIAGNOSTICS = ("learning_rate", "gradient_norm", "parameter_norm", "update_norm")  # of a step
Diagnosed = tuple[TrainState, dict[str, jax.Array]]
"""A state, and the `DIAGNOSTICS` of the step that led to it."""


@partial(jax.jit, static_argnums=(1, 2), donate_argnums=3)
def train_steps(
    config: Config,
    size: int,
    steps: int,
    state: TrainState,
    images: jax.Array,
    order: jax.Array,
    rates: jax.Array,
    place: tuple[ArrayLike, int],
    seed: ArrayLike,
    epoch: int,
    first: int,
) -> Diagnosed:
    """Make so many steps on the images of an epoch's order from `first` on, `size` at a time.

    The number is part of the program: of a loop whose end is a value, GPUs ask the host in each step. `config`: a
    `Config.program`. `rates`: learning rates of the epoch's steps. `place`: the source split of the images, and
    the index there of the first of them.
    """
    keys = _keys(config, place, seed, epoch)

    def step(carry, start):
        index = lax.dynamic_slice_in_dim(order, start, size)
        return _train_batch(config, carry[0], images[index], place[1] + index, rates, keys), None

    nothing = dict.fromkeys(DIAGNOSTICS, jnp.float32(0))
    return lax.scan(step, (state, nothing), first + size * jnp.arange(steps))[0]


@partial(jax.jit, donate_argnums=1)
def train_on_batch(
    config: Config,
    state: TrainState,
    images: jax.Array,
    index: jax.Array,
    rates: jax.Array,
    place: tuple[ArrayLike, int],
    seed: ArrayLike,
    epoch: int,
) -> Diagnosed:
    """Train on images [B, H, W, C] with these indices in their split, as `train_steps` does."""
    return _train_batch(config, state, images, place[1] + index, rates, _keys(config, place, seed, epoch))


def _keys(config: Config, place: tuple[ArrayLike, int], seed: ArrayLike, epoch: int) -> tuple[jax.Array, jax.Array]:
    """Of the steps, and of the images' noise."""
    key, noise = _training_key(seed), noise_key(place[0], seed=seed)
    return key, jax.random.fold_in(noise, epoch) if config.new_noise_each_epoch else noise


def _train_batch(
    config: Config,
    state: TrainState,
    images: jax.Array,
    index: jax.Array,
    rates: jax.Array,
    keys: tuple[jax.Array, jax.Array],
) -> Diagnosed:
    """A step of an epoch, on images with these indices in the source split."""
    key, noise = keys
    batch = devices.split(examples(config.training_task, noise, images, index))
    rate = rates[state.step % len(rates)]
    state, batch_scores, diagnostics = _step(config, state, batch, jax.random.fold_in(key, state.step), rate)
    sums = metrics.masked_sums(batch_scores, jnp.ones(len(images), bool))
    return state.replace(sums=jax.tree.map(jnp.add, state.sums, sums)), diagnostics


def train_epoch(config: Config, state: TrainState, split: Split, epoch: int) -> Iterator[Diagnosed]:
    """Yield the state after each call of about a second, from where the state is in the epoch to its end.

    A last batch that is not full is trained on all the same, as Keras does. Whether the split is resident or streamed,
    its images come in the same order, with the same noise.
    """
    place, seed = (np.uint32(split.noise_id), split.start), np.uint32(config.seed)
    order = epoch_order(seed, epoch, len(split.images))
    size = min(config.batch_size, len(split.images))
    rates = devices.replicate(learning_rates(config, epoch, -(-len(split.images) // size)))
    if isinstance(split.images, Streamed):
        yield from _train_streamed(
            config.program, size, state, split.images, np.asarray(order), rates, place, seed, epoch
        )
    else:
        order = devices.replicate(order)
        yield from _train_resident(config.program, size, state, split.images, order, rates, place, seed, epoch)


def _train_streamed(config, size, state, images, order, rates, place, seed, epoch):
    count, seen = len(images), int(state.sums["count"])
    with closing(stream(images, order[seen:], size)) as batches:
        for first, last in progress.paced(-(-seen // size), -(-count // size)):
            for batch, index in islice(batches, last - first):
                jax.block_until_ready(state.step)  # or batches would pile up on the devices
                state, diagnostics = train_on_batch(config, state, batch, index, rates, place, seed, epoch)
            yield state, diagnostics


def _train_resident(config, size, state, images, *of_epoch):
    full, seen = len(images) // size, int(state.sums["count"])
    for blocks in progress.paced_blocks(seen // size, full, _steps_of_block(config, size, images.shape[1:])):
        for first, steps in blocks:
            state, diagnostics = train_steps(config, size, steps, state, images, *of_epoch, first * size)
        yield state, diagnostics
    if (rest := len(images) % size) and seen < len(images):
        yield train_steps(config, rest, 1, state, images, *of_epoch, full * size)


def _steps_of_block(config: Config, size: int, shape: tuple[int, ...]) -> int:
    """How many steps on images [H, W, C] a compiled block may have: so few that a CPU takes less than a second."""
    inputs, _ = jax.eval_shape(config.task, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))
    flops = training_flops(config.model, inputs.shape, size)
    return int(min(max(1, BLOCK_FLOPS / flops), MOST_STEPS)) if flops else 1
