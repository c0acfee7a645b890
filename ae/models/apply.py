"""A model as a function of images, in some precision."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

Predict = Callable[[Any, jax.Array], jax.Array]
"""(variables, inputs [B, H, W, C]) -> outputs [B, H, W, C']"""


def apply(model: nn.Module, variables: Any, inputs: jax.Array, *, dtype: str = "float32", **kwargs: Any) -> Any:
    """Call `model.apply` with parameters and inputs in a precision; what it returns is float32."""
    if dtype == "float32":
        return model.apply(variables, inputs, **kwargs)
    params = jax.tree.map(lambda x: x.astype(dtype), variables["params"])
    output = model.apply(variables | {"params": params}, inputs.astype(dtype), **kwargs)
    return jax.tree.map(lambda x: x.astype(jnp.float32), output)
