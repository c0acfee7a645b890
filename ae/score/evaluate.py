"""Scores of any predictor, trained or not, on a split of the data."""

from contextlib import closing
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
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
MOST_BATCHES = 4  # of a compiled block: GPUs ask the host in each step of a loop whose end is a value
METRICS = {"mse": metrics.mse, "psnr": metrics.psnr, "ssim": metrics.ssim}


def predictor(config: Config) -> Predict:
    """Return the model as it predicts, with BatchNorm's running statistics: (variables, inputs) -> outputs."""
    return partial(apply, config.model, **config.numerics, train=False)


def noise_key(noise_id: ArrayLike, *, seed: ArrayLike = 0) -> jax.Array:
    """Return the key of the noise of a source split, which an integer below 2**32 names.

    Evaluation always uses seed 0: all models see the same noisy images.
    """
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 2), jnp.uint32(noise_id))


def examples(task: Task, key: jax.Array, images: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return inputs and targets in [0, 1] from uint8 images [B, H, W, C]; the noise of an image depends on (key, index)."""
    keys = jax.vmap(partial(jax.random.fold_in, key))(index)
    return jax.vmap(task)(keys, images.astype(jnp.float32) / 255)


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
    zeros = devices.replicate(dict.fromkeys(names, np.float32(0)) | {"count": np.int32(0)})
    add = _add_streamed if isinstance(split.images, Streamed) else _add_resident
    with progress.bar(split.name, len(split.images)) as bar:
        for sums in add(predict, task, names, devices.round_up(batch_size), variables, split, zeros):
            bar.update(int(sums["count"]) - bar.n)  # waits for the device
    return metrics.means(sums)


def _add_resident(predict, task, names, size, variables, split, sums):
    """Yield the sums after each second or so, of a number of calls."""
    images, key = devices.replicate(split.images), noise_key(split.noise_id)
    batches = -(-len(images) // size)
    blocks = -(-batches // MOST_BATCHES)
    length = -(-batches // blocks)  # as near to equal as they can be: what the last has too many is masked
    for first, last in progress.paced(0, blocks):
        for block in range(first, last):
            start = block * length * size
            sums = _add_batches(predict, task, names, size, length, variables, images, split.start, key, sums, start)
        yield sums


@partial(jax.jit, static_argnums=(0, 2, 3, 4))
def _add_batches(predict, task, names, size, length, variables, images, start, key, sums, first):
    """Add the scores of so many batches from image `first` on to the sums; what lies behind the images is masked."""

    def add(i, sums):
        position = first + i * size + jnp.arange(size)
        batch = images.at[position].get(mode="clip")
        return _add_batch(predict, task, names, variables, batch, start + position, position < len(images), key, sums)

    return lax.fori_loop(0, length, add, sums)


def _add_streamed(predict, task, names, size, variables, split, sums):
    """Yield what `_add_resident` does, of images that are read meanwhile."""
    count, key = len(split.images), noise_key(split.noise_id)
    positions = np.arange(-(-count // size) * size)
    with closing(stream(split.images, np.minimum(positions, count - 1), size)) as batches:
        for first, last in progress.paced(0, len(positions) // size):
            for i, (images, _) in zip(range(first, last), batches, strict=False):
                position = positions[i * size : (i + 1) * size]
                jax.block_until_ready(sums)  # or batches would pile up on the devices
                sums = _add_one_batch(
                    predict, task, names, variables, images, split.start + position, position < count, key, sums
                )
            yield sums


def _add_batch(predict, task, names, variables, images, index, mask, key, sums):
    inputs, targets = devices.split(examples(task, key, images, index))
    batch_scores = scores(task, names, predict(variables, inputs), targets)
    return jax.tree.map(jnp.add, sums, metrics.masked_sums(batch_scores, mask))


_add_one_batch = jax.jit(_add_batch, static_argnums=(0, 1, 2))


def measure(predict: Predict, variables: Any, task: Task, split: Split, *, batch_size: int = 256) -> dict[str, float]:
    """Return a predictor's scores: loss, accuracy, mse, psnr_pooled, psnr_mean, ssim, and the task's further scores."""
    names = (*TRAINING_SCORES, *METRICS, *task.further_scores)
    means = evaluate(predict, variables, task, split, names=names, batch_size=batch_size)
    mean_psnr = means.pop("psnr")
    return means | {"psnr_pooled": float(metrics.pooled_psnr(means["mse"])), "psnr_mean": mean_psnr}
