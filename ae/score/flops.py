"""Counts of parameters and of products."""

import math
from functools import reduce
from operator import getitem
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae.layers.conv import Conv, ConvTranspose


def count(variables: Any) -> int:
    """The number of values in a tree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


TRANSPOSED = (ConvTranspose, nn.ConvTranspose)


MULTIPLYING = (*TRANSPOSED, Conv, nn.Conv, nn.Dense)


def multiply_adds(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Products of a weight and a value that the layers compute for one input [H, W, C]."""
    if getattr(model, "pixel_levels", None):  # which computes each value once for a whole batch
        model = model.clone(pixel_levels=None)
    variables, calls = calls_of_layers(model, jnp.zeros((1, *shape)))
    total = 0
    for layer, inputs, output in calls:
        if isinstance(layer, MULTIPLYING):
            places = inputs[0] if isinstance(layer, TRANSPOSED) else output
            kernel = reduce(getitem, (*layer.path, "kernel"), variables["params"])
            total += math.prod(places.shape[:-1]) * kernel.size
    return total


def calls_of_layers(model: nn.Module, x: jax.Array) -> tuple[Any, list[tuple[nn.Module, tuple[Any, ...], Any]]]:
    """The variables of a model, and the calls of its layers with inputs and output, of which nothing is computed."""
    calls = []

    def record(layer, args, kwargs, context):
        output = layer(*args, **kwargs)
        if context.method_name == "__call__":
            calls.append((context.module, args, output))
        return output

    with nn.intercept_methods(record):
        return jax.eval_shape(model.init, jax.random.key(0), x), calls
