"""Epochs: training steps on a split of the data, resident or streamed, in calls of about a second.

Compiled functions take a configuration as a pytree: weight decay and noise are values, and the rest of it says which program
it is. Learning rates are values too.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from ae import metrics
from ae.config import Config
from ae.data import Split
from ae.data.streamed import Streamed, stream
from ae.runtime import devices, progress
from ae.score.evaluate import examples, noise_key
from ae.score.flops import training_flops
from ae.train.optimizer import learning_rates
from ae.train.step import DIAGNOSTICS, TrainState, diagnosed_step

BLOCK_FLOPS = 1e11  # half a second of a CPU
MOST_STEPS = 32  # of a block
TURN = 16  # batches of images of one size, before those of another come

Diagnosed = tuple[TrainState, dict[str, jax.Array]]
"""A state, and the `DIAGNOSTICS` of the step that led to it."""


class Epoch(NamedTuple):
    """One pass over a split: all that its steps depend on, beside the configuration."""

    number: ArrayLike  # from 1
    seed: ArrayLike
    noise_id: ArrayLike  # of the split's source
    start: int | jax.Array  # index in that source of the split's first image
    order: jax.Array  # [N]: indices in the split, as they are trained on; empty where batches come with theirs
    rates: jax.Array  # [steps]: learning rates


def train_epoch(
    config: Config, state: TrainState, split: Split, number: int, others: Sequence[Split] = ()
) -> Iterator[Diagnosed]:
    """Yield the state after each call of about a second, from where the state is in the epoch to its end.

    A last batch that is not full is trained on all the same, as Keras does. Whether the split is resident or streamed,
    its images come in the same order, with the same noise. `others`: further images, of other sizes; they come in turn.
    """
    parts, seed = (split, *others), np.uint32(config.seed)
    counts = [len(part.images) for part in parts]
    size = min(config.batch_size, *counts)
    rates = devices.replicate(learning_rates(config, number, sum(-(-count // size) for count in counts)))
    epochs = [
        Epoch(number, seed, np.uint32(part.noise_id), part.start, epoch_order(seed, number, count), rates)
        for part, count in zip(parts, counts, strict=True)
    ]
    seen = int(state.sums["count"])
    for which, first, last in _turns(counts, size):
        if seen < last - first:
            images = parts[which].images
            train = _train_streamed if isinstance(images, Streamed) else _train_resident
            for now in train(config, size, state, images, epochs[which], first + seen, last):
                yield now
            state = now[0]
        seen = max(0, seen - (last - first))


def _turns(counts: Sequence[int], size: int) -> list[tuple[int, int, int]]:
    """Return what comes one after the other: (part, first, last) of its order. Each part is spread over the epoch evenly."""
    if len(counts) == 1:
        return [(0, 0, counts[0])]
    length = TURN * size
    turns = [
        (first / count, part, first, min(first + length, count))
        for part, count in enumerate(counts)
        for first in range(0, count, length)
    ]
    return [turn[1:] for turn in sorted(turns)]


@partial(jax.jit, static_argnums=2)
def epoch_order(seed: ArrayLike, epoch: int, count: int) -> jax.Array:
    """Return the order in which an epoch goes through so many images."""
    return jax.random.permutation(jax.random.fold_in(_training_key(seed), epoch), count)


def _training_key(seed: ArrayLike) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), 1)


def _train_resident(config, size, state, images, epoch, first, last):
    epoch, steps_of_block = epoch._replace(order=devices.replicate(epoch.order)), _steps_of_block(config, size, images)
    for blocks in progress.paced_blocks(first // size, last // size, steps_of_block):
        for step, steps in blocks:
            state, diagnostics = train_steps(config.compile_key, size, steps, state, images, epoch, step * size)
        yield state, diagnostics
    if rest := last % size:
        yield train_steps(config.compile_key, rest, 1, state, images, epoch, last - rest)


def _steps_of_block(config, size, images) -> int:
    """How many steps a compiled block may have: so few that a CPU takes less than a second."""
    flops = training_flops(config.model, config.training_task.input_shape(images.shape[1:]), size)
    return int(min(max(1, BLOCK_FLOPS / flops), MOST_STEPS)) if flops else 1


def _train_streamed(config, size, state, images, epoch, first, last):
    order, epoch = np.asarray(epoch.order)[first:last], epoch._replace(order=np.zeros(0, np.int32))
    with closing(stream(images, order, size)) as batches:
        for step, stop in progress.paced(0, -(-len(order) // size)):
            for batch, index in islice(batches, stop - step):
                jax.block_until_ready(state.step)  # or batches would pile up on the devices
                state, diagnostics = train_on_batch(config.compile_key, state, batch, index, epoch)
            yield state, diagnostics


@partial(jax.jit, static_argnums=(1, 2), donate_argnums=3)
def train_steps(
    config: Config, size: int, steps: int, state: TrainState, images: jax.Array, epoch: Epoch, first: int
) -> Diagnosed:
    """Make so many steps on the images [N, H, W, C] of an epoch's order from `first` on, `size` at a time.

    The number is part of the program: of a loop whose end is a value, GPUs ask the host in each step. `config`: a
    `Config.compile_key`.
    """

    def step(carry, start):
        index = lax.dynamic_slice_in_dim(epoch.order, start, size)
        return _train_batch(config, carry[0], images[index], index, epoch), None

    nothing = dict.fromkeys(DIAGNOSTICS, jnp.float32(0))
    return lax.scan(step, (state, nothing), first + size * jnp.arange(steps))[0]


@partial(jax.jit, donate_argnums=1)
def train_on_batch(config: Config, state: TrainState, images: jax.Array, index: jax.Array, epoch: Epoch) -> Diagnosed:
    """Train on images [B, H, W, C] with these indices in their split, as `train_steps` does."""
    return _train_batch(config, state, images, index, epoch)


def _train_batch(config: Config, state: TrainState, images: jax.Array, index: jax.Array, epoch: Epoch) -> Diagnosed:
    key, noise = _training_key(epoch.seed), noise_key(epoch.noise_id, seed=epoch.seed)
    if config.new_noise_each_epoch:
        noise = jax.random.fold_in(noise, epoch.number)
    batch = devices.split(examples(config.training_task, noise, images, epoch.start + index))
    rate = epoch.rates[state.step % len(epoch.rates)]
    state, batch_scores, diagnostics = diagnosed_step(config, state, batch, jax.random.fold_in(key, state.step), rate)
    sums = metrics.masked_sums(batch_scores, jnp.ones(len(images), bool))
    return state.replace(sums=jax.tree.map(jnp.add, state.sums, sums)), diagnostics
