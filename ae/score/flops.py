"""Counts of parameters and of multiply-adds."""

import math
from functools import reduce
from operator import getitem
from typing import Any

import flax.linen as nn
import jax

from ae.layers.conv import Conv, ConvTranspose
from ae.models.apply import variable_shapes

TRANSPOSED = (ConvTranspose, nn.ConvTranspose)
MULTIPLYING = (*TRANSPOSED, Conv, nn.Conv, nn.Dense)


def count_values(variables: Any) -> int:
    """Return the number of values in a tree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


def multiply_adds(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Return the products of a weight and a value that a model computes for one input [H, W, C], by the direct algorithm."""
    return sum(multiply_adds_by_layer(model, shape))


def multiply_adds_by_layer(model: nn.Module, shape: tuple[int, ...]) -> list[int]:
    """Return `multiply_adds` of each convolution and dense layer, in the order of their calls."""
    if getattr(model, "pixel_levels", None):  # which computes each value once for a whole batch
        model = model.clone(pixel_levels=None)
    variables, calls = calls_of_layers(model, shape)
    products = []
    for layer, inputs, output in calls:
        if isinstance(layer, MULTIPLYING):
            places = inputs[0] if isinstance(layer, TRANSPOSED) else output
            kernel = reduce(getitem, (*layer.path, "kernel"), variables["params"])
            products.append(math.prod(places.shape[:-1]) * kernel.size)
    return products


def calls_of_layers(
    model: nn.Module, shape: tuple[int, ...]
) -> tuple[Any, list[tuple[nn.Module, tuple[Any, ...], Any]]]:
    """Return a model's variables and the calls of its layers for an input [H, W, C]: (layer, inputs, output).

    Arrays are shapes and types only; nothing is computed.
    """
    calls = []

    def record(layer, args, kwargs, context):
        output = layer(*args, **kwargs)
        if context.method_name == "__call__":
            calls.append((context.module, args, output))
        return output

    with nn.intercept_methods(record):
        return variable_shapes(model, shape), calls


def training_flops(model: nn.Module, shape: tuple[int, ...], batch_size: int) -> float:
    """Return the floating-point operations of a training step on a batch of inputs [H, W, C].

    A product is two, and gradients take twice those of the outputs. A model by levels computes each of them once a batch.
    """
    levels = getattr(model, "pixel_levels", None)
    images = levels / math.prod(shape[:2]) if levels else batch_size
    return 3 * 2 * images * multiply_adds(model, shape)
