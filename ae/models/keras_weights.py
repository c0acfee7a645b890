"""Keras variables to ours."""

import re
from collections import Counter
from collections.abc import Mapping

import flax.linen as nn
import flax.traverse_util
import numpy as np

from ae.errors import InputError
from ae.models.apply import variable_shapes

LAYERS = {"Dense": "Dense", "Conv2D": "Conv", "Conv2DTranspose": "ConvTranspose", "BatchNormalization": "BatchNorm"}
VARIABLES = {
    "kernel": ("params", "kernel"),
    "bias": ("params", "bias"),
    "gamma": ("params", "scale"),
    "beta": ("params", "bias"),
    "moving_mean": ("batch_stats", "mean"),
    "moving_variance": ("batch_stats", "var"),
}


def from_keras(model: nn.Module, arrays: Mapping[str, np.ndarray]) -> dict:
    """Convert the variables of a Keras model into those of the same model here.

    `arrays` is keyed `NN.LayerClass/name`, NN counting the layers that have variables, for example `04.Conv2D/kernel`:

        arrays = {
            f"{i:02}.{type(layer).__name__}/{variable.name}": variable.numpy()
            for i, layer in enumerate(layer for layer in keras_model.layers if layer.weights)
            for variable in layer.weights
        }

    Returns `{"params": ..., "batch_stats": ...}` with the arrays' own dtype. Raises InputError where a layer or a shape is
    not the model's.
    """
    flat: dict[tuple[str, ...], np.ndarray] = {}
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for key in sorted(arrays):
        match = re.fullmatch(r"(\d+)\.(\w+)/(\w+)", key)
        if not match or match[2] not in LAYERS or match[3] not in VARIABLES:
            raise InputError(f"{key!r} is not a Keras variable keyed NN.LayerClass/name, like '04.Conv2D/kernel'")
        layer, kind = match[1], LAYERS[match[2]]
        if layer not in names:  # the n-th layer of its class is the n-th of ours
            names[layer] = f"{kind}_{counts[kind]}"
            counts[kind] += 1
        collection, name = VARIABLES[match[3]]
        flat[collection, names[layer], name] = np.asarray(arrays[key])
    _check_shapes(model, flat)
    return flax.traverse_util.unflatten_dict(flat)


def _check_shapes(model: nn.Module, flat: dict[tuple[str, ...], np.ndarray]) -> None:
    expected = flax.traverse_util.flatten_dict(variable_shapes(model, model.input_shape))
    for path in sorted(expected.keys() | flat.keys()):
        ours = expected[path].shape if path in expected else None
        theirs = flat[path].shape if path in flat else None
        if ours != theirs:
            raise InputError(f"{'/'.join(path)}: {type(model).__name__} has shape {ours}, the Keras variables {theirs}")
