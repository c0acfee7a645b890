"""What a model has to beat: predictors without training, scored by the same code as models."""

from typing import Any

import jax
import jax.numpy as jnp

from ae.evaluation import Predict
from ae.tasks import Colorize, Denoise, Task


def unchanged(variables: Any, inputs: jax.Array) -> jax.Array:
    """The input itself."""
    return inputs


def gray_copy(variables: Any, inputs: jax.Array) -> jax.Array:
    """Gray in all three channels: [B, H, W, 1] -> [B, H, W, 3]."""
    return jnp.repeat(inputs, 3, axis=-1)


def baselines(task: Task) -> dict[str, Predict]:
    """The baseline rows of a task's tables, by name."""
    match task:
        case Denoise():
            return {"noisy input": unchanged}
        case Colorize():
            return {"gray copy": gray_copy}
    return {}
