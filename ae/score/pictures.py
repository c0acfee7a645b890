"""Some images of a split as a model gives them back."""

from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from ae.data import Split
from ae.models.apply import Predict
from ae.runtime import devices
from ae.score.evaluate import examples_of_batch, noise_key, outputs_of_batch
from ae.tasks import Task


def pictures(
    predict: Predict,
    variables: Any,
    task: Task,
    split: Split,
    first: int = 10,
    last: int = 19,
    *,
    batch_size: int | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (inputs, targets, outputs), each [last - first, H, W, C], of a split; the reference shows 10 to 18.

    `batch_size`: in which `evaluate` has scored this predictor. They are filled up to as many, and nothing is compiled.
    """
    first, last = min(first, len(split.images) - 1), min(last, len(split.images))
    index = np.arange(first, max(last, first + devices.round_up(batch_size or 1)))
    images = devices.replicate(split.images[first:last][np.minimum(index, last - 1) - first])
    inputs, targets = examples_of_batch(task, noise_key(split.noise_id), images, split.start + index)
    shown = inputs, targets, outputs_of_batch(predict, variables, inputs)
    return devices.gathered(shown, last - first)


def strip(*rows: ArrayLike) -> np.ndarray:
    """Return rows of images, each [N, H, W, 1 or 3] in [0, 1], as one RGB picture [rows * H, N * W, 3]."""
    colored = [np.broadcast_to(np.clip(np.asarray(row), 0, 1), (*np.shape(row)[:3], 3)) for row in rows]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in colored])
