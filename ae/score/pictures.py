"""Some images of a split as a model gives them back."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ae.data import Split
from ae.models.apply import Predict
from ae.score.evaluate import examples, noise_key
from ae.tasks import Task


@partial(jax.jit, static_argnums=0)
def _predict_examples(predict, task, variables, key, images, index):
    inputs, targets = examples(task, key, images, index)
    return inputs, targets, predict(variables, inputs)


def pictures(
    predict: Predict, variables: Any, task: Task, split: Split, first: int = 10, last: int = 19
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (inputs, targets, outputs), each [last - first, H, W, C], of a split; the reference shows 10 to 18."""
    chosen = slice(min(first, len(split.images) - 1), min(last, len(split.images)))
    index = split.start + jnp.arange(chosen.start, chosen.stop)
    return _predict_examples(predict, task, variables, noise_key(split.noise_id), split.images[chosen], index)


def strip(*rows: ArrayLike) -> np.ndarray:
    """Return rows of images, each [N, H, W, 1 or 3] in [0, 1], as one RGB picture [rows * H, N * W, 3]."""
    colored = [np.broadcast_to(np.clip(np.asarray(row), 0, 1), (*np.shape(row)[:3], 3)) for row in rows]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in colored])
