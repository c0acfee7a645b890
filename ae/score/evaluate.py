"""Scores of any predictor, trained or not, on a split of the data."""

from contextlib import closing
from functools import cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ae import metrics
from ae.config import Config
from ae.data import Split
from ae.data.streamed import Streamed, stream
from ae.errors import InputError
from ae.models.apply import Predict, apply
from ae.runtime import devices, progress
from ae.tasks import Task

TRAINING_SCORES = ("loss", "accuracy")
METRICS = {"mse": metrics.mse, "psnr": metrics.psnr, "ssim": metrics.ssim}


def predictor(config: Config) -> Predict:
    """Return the model as it predicts, with BatchNorm's running statistics: (variables, inputs) -> outputs.

    It is the same function for all configurations of one model, so that programs are compiled for it once.
    """
    return _predictor(config.model, **config.numerics)


@cache
def _predictor(model: nn.Module, dtype: str, precision: str) -> Predict:
    return partial(apply, model, dtype=dtype, precision=precision, train=False)


def noise_key(noise_id: ArrayLike, *, seed: ArrayLike = 0) -> jax.Array:
    """Return the key of the noise of a source split, which an integer below 2**32 names.

    Evaluation always uses seed 0: all models see the same noisy images.
    """
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 2), jnp.uint32(noise_id))


def examples(task: Task, key: jax.Array, images: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return inputs and targets in [0, 1] from uint8 images [B, H, W, C]; the noise of an image depends on (key, index)."""
    keys = jax.vmap(partial(jax.random.fold_in, key))(index)
    return jax.vmap(task)(keys, images.astype(jnp.float32) / 255)


@jax.jit
def examples_of_batch(task: Task, key: jax.Array, images: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return what `examples` does, split over the devices."""
    return devices.split(examples(task, key, images, index))


@partial(jax.jit, static_argnums=0)
def outputs_of_batch(predict: Predict, variables: Any, inputs: jax.Array) -> jax.Array:
    """Return the outputs of a predictor."""
    return predict(variables, inputs)


def scores(task: Task, names: tuple[str, ...], output: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
    """Return the named scores of each image of a batch, [B] each; those that are no metrics are the task's methods.

    Raises InputError where a task's score is no number an image: one for the whole batch would count what fills it up.
    """
    functions = {name: METRICS.get(name) or getattr(task, name) for name in names}
    values = {name: function(output, target) for name, function in functions.items()}
    for name, value in values.items():
        if value.shape != target.shape[:1]:
            raise InputError(f"{type(task).__name__}.{name} has to give one number an image, [B], not {value.shape}")
    return values


def evaluate(
    predict: Predict,
    variables: Any,
    task: Task,
    split: Split,
    *,
    names: tuple[str, ...] = TRAINING_SCORES,
    batch_size: int = 256,
) -> dict[str, float]:
    """Return the means of the named scores (see `scores`) over all images of a split.

    `predict(variables, inputs)` is compiled; pass the same function again to compile it once.
    """
    size, count, key = devices.round_up(batch_size), len(split.images), noise_key(split.noise_id)
    sums = devices.replicate(dict.fromkeys(names, np.float32(0)) | {"count": np.int32(0)})
    positions = np.arange(-(-count // size) * size).reshape(-1, size)
    with progress.bar(split.name, count) as bar, closing(_batches(split.images, positions)) as batches:
        for first, last in progress.paced(0, len(positions)):
            for position, images in zip(positions[first:last], batches, strict=False):
                if isinstance(split.images, Streamed):
                    jax.block_until_ready(sums)  # or batches would pile up on the devices
                inputs, targets = examples_of_batch(task, key, images, split.start + position)
                outputs = outputs_of_batch(predict, variables, inputs)
                sums = _add_scores(task, names, outputs, targets, position < count, sums)
            bar.update(int(sums["count"]) - bar.n)  # waits for the device
    return metrics.means(sums)


def _batches(images, positions):
    """Yield the images at each row of positions; beyond the last one, that one again."""
    positions = np.minimum(positions, len(images) - 1)
    if isinstance(images, Streamed):
        with closing(stream(images, positions.ravel(), positions.shape[1])) as batches:
            yield from (batch for batch, _ in batches)
    else:
        images = devices.replicate(images)
        yield from (_taken(images, position) for position in positions)


@jax.jit
def _taken(images: jax.Array, index: jax.Array) -> jax.Array:
    return images[index]


# Apart from the model, and from what makes examples: a program for all predictors.
@partial(jax.jit, static_argnums=1)
def _add_scores(task, names, output, target, mask, sums):
    """Add the scores of a batch to the sums; what the mask leaves out is none of the images."""
    return jax.tree.map(jnp.add, sums, metrics.masked_sums(scores(task, names, output, target), mask))


def measure(predict: Predict, variables: Any, task: Task, split: Split, *, batch_size: int = 256) -> dict[str, float]:
    """Return a predictor's scores: loss, accuracy, mse, psnr_pooled, psnr_mean, ssim, and the task's further scores."""
    names = (*TRAINING_SCORES, *METRICS, *task.further_scores)
    means = evaluate(predict, variables, task, split, names=names, batch_size=batch_size)
    mean_psnr = means.pop("psnr")
    return means | {"psnr_pooled": float(metrics.pooled_psnr(means["mse"])), "psnr_mean": mean_psnr}
