"""A configuration's model as a function of images, in the precision that the configuration asks for."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ae.config import Config

Predict = Callable[[Any, jax.Array], jax.Array]
"""(variables, inputs [B, H, W, C]) -> outputs [B, H, W, C']"""


def apply(config: Config, variables: Any, inputs: jax.Array, **kwargs: Any) -> Any:
    """Call `config.model.apply` in the configuration's precision; parameters, statistics and outputs stay float32."""
    if config.dtype == "float32":
        return config.model.apply(variables, inputs, **kwargs)
    params = jax.tree.map(lambda x: x.astype(config.dtype), variables["params"])
    output = config.model.apply(variables | {"params": params}, inputs.astype(config.dtype), **kwargs)
    return jax.tree.map(lambda x: x.astype(jnp.float32), output)


def predictor(config: Config) -> Predict:
    """Return the model as it predicts, with BatchNorm's running statistics: (variables, inputs) -> outputs."""
    return partial(apply, config, train=False)
