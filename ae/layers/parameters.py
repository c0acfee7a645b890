"""Parameters of layers."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def parameter(layer: nn.Module, name: str, initializer: jax.nn.initializers.Initializer, shape: tuple[int, ...]) -> Any:
    """Return a parameter of a layer, initialized where there is none yet.

    `flax.linen.Module.param` would trace the initializer of one that is there, to compare shapes: half of the time that
    tracing a model takes.
    """
    if layer.has_variable("params", name):
        return layer.get_variable("params", name)
    return layer.param(name, initializer, shape, jnp.float32)
