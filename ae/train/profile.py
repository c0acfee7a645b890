"""A profile of training, for TensorBoard."""

from pathlib import Path

import jax
import jax.numpy as jnp

from ae.config import Config
from ae.data import Split
from ae.runtime import devices, progress
from ae.train.step import TrainState, train_epoch

PROFILED_STEPS = 20


def write_profile(config: Config, state: TrainState, train: Split, folder: Path) -> None:
    """Write a trace of twenty steps after the first, which compiles, to a folder of TensorBoard; the state stays.

    Of fewer where the split has not so many batches.
    """
    images = devices.replicate(train.images[: (1 + PROFILED_STEPS) * config.batch_size])
    state = jax.tree.map(jnp.copy, state.replace(sums=jax.tree.map(jnp.zeros_like, state.sums)))
    calls = train_epoch(config, state, train._replace(images=images), epoch=1)
    with progress.bar("profile", len(images)) as bar:
        for number, (state, _) in enumerate(calls):
            bar.update(int(state.sums["count"]) - bar.n)  # waits for the device
            if number == 0 and devices.is_first():
                jax.profiler.start_trace(folder)
    if devices.is_first():
        jax.profiler.stop_trace()
