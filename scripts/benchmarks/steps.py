"""Timed programs: training steps on noise, and a product of matrices beside them."""

import time
from typing import Any

from benchmarks.workers import Timer


def compiled_steps(config: Any, *, looped: bool = True) -> Timer:
    """Compile steps on one batch as one loop, or one by one, as XLA's own gradients are faster; return their timer."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    from ae.score.evaluate import examples
    from ae.train.step import train_step

    images, start = example(config, config.batch_size)
    batch, key = examples(config.task, jax.random.key(0), images, jnp.arange(len(images))), jax.random.key(0)

    def steps(state, batch, number):
        return lax.fori_loop(0, number, lambda _, state: train_step(config.compile_key, state, batch, key)[0], state)

    def step(state, batch, number):
        return train_step(config.compile_key, state, batch, key)[0]

    compiled = jax.jit(steps if looped else step).lower(start, batch, 1).compile()

    def timer(number: int) -> float:
        began = time.perf_counter()
        state = start
        for _ in range(1 if looped else number):
            state = compiled(state, batch, number)
        jax.block_until_ready(state)
        return time.perf_counter() - began

    return timer


def example(config: Any, images: int) -> tuple[Any, Any]:
    """Return (images, state) that training starts from, on noise."""
    import numpy as np

    from ae.data import Data, Split
    from ae.runtime import devices
    from ae.tasks import Colorize
    from ae.train.step import create_state

    channels = 3 if isinstance(config.task, Colorize) else 1
    shape = (images, *config.model.input_shape[:2], channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    split = Split("noise", pixels, 0, 1)
    return devices.replicate((pixels, create_state(config, Data("noise", "1", split, split, split))))


SIDE = 2048  # of the matrices whose product tells what the machine can do


def matrix_product(steps: int) -> float:
    """Return the seconds that so many products of two matrices take."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.full((SIDE, SIDE), 1e-3)

    @jax.jit
    def powers(a, number):
        return jax.lax.fori_loop(0, number, lambda _, b: a @ b, a)

    jax.block_until_ready(powers(matrix, 1))
    began = time.perf_counter()
    jax.block_until_ready(powers(matrix, steps))
    return time.perf_counter() - began
