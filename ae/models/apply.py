"""A model as a function of images, in some precision."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae.layers.conv import xla_convolutions

Predict = Callable[[Any, jax.Array], jax.Array]
"""(variables, inputs [B, H, W, C]) -> outputs [B, H, W, C']"""


def apply(
    model: nn.Module,
    variables: Any,
    inputs: jax.Array,
    *,
    dtype: str = "float32",
    precision: str = "default",
    **kwargs: Any,
) -> Any:
    """Call `model.apply` with parameters and inputs in a dtype; what it returns is float32.

    A model that says so (`float32_inputs`) gets its inputs as they are. `precision`: of products of float32.
    """
    if dtype != "float32":
        variables = variables | {"params": jax.tree.map(lambda x: x.astype(dtype), variables["params"])}
        inputs = inputs if getattr(model, "float32_inputs", False) else inputs.astype(dtype)
    with jax.default_matmul_precision(precision):
        output = model.apply(variables, inputs, **kwargs)
    return output if dtype == "float32" else jax.tree.map(lambda x: x.astype(jnp.float32), output)


def variable_shapes(model: nn.Module, shape: tuple[int, ...]) -> Any:
    """Return the variables of a model for inputs [H, W, C] as `jax.ShapeDtypeStruct`; computes nothing.

    Raises what the model raises for inputs that it does not take.
    """
    with xla_convolutions():  # ours take a third of a second to trace
        inputs = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        return jax.eval_shape(lambda inputs: model.init(jax.random.key(0), inputs), inputs)
