"""A profile of training, for TensorBoard."""

from pathlib import Path

import jax
import jax.numpy as jnp
from tqdm import tqdm

from ae.config import Config
from ae.data import Split
from ae.runtime import devices, progress
from ae.train.epoch import train_epoch
from ae.train.step import TrainState

PROFILED_STEPS = 20


def write_profile(config: Config, state: TrainState, train: Split, folder: Path) -> None:
    """Write a trace of twenty steps to a folder of TensorBoard; the state stays.

    They run once before, which compiles them. Fewer are traced where the split has not so many batches.
    """
    split = train._replace(images=devices.replicate(train.images[: PROFILED_STEPS * config.batch_size]))
    with progress.bar("profile", 2 * len(split.images)) as bar:
        _train(config, state, split, bar)
        if devices.is_first():
            jax.profiler.start_trace(folder)
        _train(config, state, split, bar)
    if devices.is_first():
        jax.profiler.stop_trace()


def _train(config: Config, state: TrainState, split: Split, bar: tqdm) -> None:
    """Train an epoch from a copy of the state, as steps take their state's memory."""
    state, before = jax.tree.map(jnp.copy, state.replace(sums=jax.tree.map(jnp.zeros_like, state.sums))), bar.n
    for now, _ in train_epoch(config, state, split, 1):
        bar.update(before + int(now.sums["count"]) - bar.n)  # waits for the device
