"""Baselines: predictors that are no networks, fitted on training images where they have anything to fit.

They are scored by the same code as models. Some are limits, and their names say so: the best map of single pixels, and
oracles, which know the clean image or its mean chroma.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae.data import Split
from ae.data.streamed import Streamed
from ae.models.apply import Predict
from ae.runtime import progress
from ae.score.evaluate import examples_of_batch, noise_key
from ae.tasks import Colorize, Denoising, Task


def _nothing(task: Task, train: Split) -> dict[str, Any]:
    return {}


class Baseline(NamedTuple):
    """A predictor, and how its variables are fitted to the examples of a training split."""

    predict: Predict
    fit: Callable[[Task, Split], Any] = _nothing
    task: Task | None = None  # whose inputs it sees, where they are others than a model's: an oracle's
    small: bool = False  # for gray images of no more than SMALL pixels: others take too long, or too much memory


def baselines(task: Task) -> dict[str, Baseline]:
    """Return the baselines of a task by name, in the order of the tables."""
    match task:
        case Denoising():
            return {
                "noisy input": Baseline(unchanged),
                "best map of a single pixel (floor of PixelMLP)": Baseline(
                    mean_of_level, fit_means_of_levels, small=True
                ),
                "median filter, 3x3": Baseline(median_filter),
                "non-local means (scikit-image)": Baseline(non_local_means, fit_non_local_means, small=True),
                "best affine map of the whole image": Baseline(affine_map, fit_affine_map, small=True),
                "the clean image itself (ceiling of accuracy)": Baseline(unchanged, task=oracle(task)),
            }
        case Colorize():
            return {
                "gray copy": Baseline(gray_copy),
                "mean colour of each gray level": Baseline(mean_of_level, fit_means_of_levels),
                "gray and the image's true mean chroma (an oracle)": Baseline(unchanged, task=MeanChromaOracle()),
                "the true image itself": Baseline(unchanged, task=oracle(task)),
            }
    return {}


SMALL = 64 * 64  # pixels
FITTED_ON = 10_000  # images at most, of a split that is streamed: each fit reads them again


def fitted_baselines(task: Task, train: Split) -> Iterator[tuple[str, Task, Predict, Any]]:
    """Yield (name, task whose inputs it sees, predict, variables) of each baseline of a task.

    They are fitted to all images of a resident split, and to the first FITTED_ON of one that is streamed. Those for small
    gray images are left out for others.
    """
    height, width, channels = task.input_shape(train.images.shape[1:])
    small = channels == 1 and height * width <= SMALL
    if isinstance(train.images, Streamed):
        train = train._replace(images=train.images.part(range(len(train.images))[:FITTED_ON]))
    for name, baseline in baselines(task).items():
        if small or not baseline.small:
            yield name, baseline.task or task, baseline.predict, baseline.fit(task, train)


def unchanged(variables: Any, inputs: jax.Array) -> jax.Array:
    """Return the inputs."""
    return inputs


def gray_copy(variables: Any, inputs: jax.Array) -> jax.Array:
    """Return gray in all three channels: [B, H, W, 1] -> [B, H, W, 3]."""
    return jnp.repeat(inputs, 3, axis=-1)


def median_filter(variables: Any, inputs: jax.Array) -> jax.Array:
    """Return the median of each pixel and its eight neighbours, those at the edge repeated: [B, H, W, C] -> the same."""
    _, height, width, _ = inputs.shape
    padded = jnp.pad(inputs, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    return jnp.median(jnp.stack([padded[:, i : i + height, j : j + width] for i, j in product(range(3), repeat=2)]), 0)


# Means of the target given the input: what no map of a single pixel can beat in squared error.

LEVELS = 256


def mean_of_level(variables: Any, inputs: jax.Array) -> jax.Array:
    """Return the mean target of each gray level: [B, H, W, 1] -> [B, H, W, C]."""
    return variables[_level(inputs)]


def _level(gray: jax.Array) -> jax.Array:
    return jnp.round(gray[..., 0] * (LEVELS - 1)).astype(jnp.int32)


def fit_means_of_levels(task: Task, train: Split) -> jax.Array:
    """Return the mean target of each level, [levels, C]; a level that is never seen has its own gray."""

    def sums(inputs, targets):
        level = _level(inputs)
        ones, channels = jnp.ones((*level.shape, 1)), targets.shape[-1]
        return jnp.zeros((LEVELS, channels + 1)).at[level].add(jnp.concatenate([targets, ones], axis=-1))

    total = _sum_over_examples(sums, task, train)
    own = np.linspace(0, 1, LEVELS)[:, None]
    return jnp.float32(np.where(total[:, -1:] > 0, total[:, :-1] / np.maximum(total[:, -1:], 1), own))


def _sum_over_examples(function: Callable[[jax.Array, jax.Array], jax.Array], task: Task, split: Split) -> np.ndarray:
    """Sum function(inputs, targets) over the batches of a split, in float64, as many small numbers are added."""
    total: Any = 0.0
    batch_sums = jax.jit(function)
    with progress.bar("fitting a baseline", len(split.images)) as bar:
        for inputs, targets in _batches(task, split):
            total = total + np.asarray(batch_sums(inputs, targets), np.float64)
            bar.update(len(inputs))
    return total


def _batches(task: Task, split: Split, most: int = 1000) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Yield the inputs and targets of a split, as nearly equal in number as they can be: each is a program."""
    key, count = noise_key(split.noise_id), len(split.images)
    size = -(-count // -(-count // most))
    for first in range(0, count, size):
        images = split.images[first : first + size]
        yield examples_of_batch(task, key, images, split.start + first + np.arange(len(images)))


# The best affine map of the whole image, by ridge regression.

RIDGE = 1e-3  # of the number of images: far less than the noise already adds


def affine_map(variables: Any, inputs: jax.Array) -> jax.Array:
    """Return each pixel as a weighted sum of all pixels, clipped to [0, 1]: [B, H, W, 1] -> the same."""
    return jnp.clip((_with_bias(inputs) @ variables).reshape(inputs.shape), 0, 1)


def fit_affine_map(task: Task, train: Split) -> jax.Array:
    """Return the weights of `affine_map`, [H * W + 1, H * W]."""

    def moments(inputs, targets):
        x = _with_bias(inputs)
        return x.T @ jnp.concatenate([x, targets.reshape(len(x), -1)], axis=-1)

    total = _sum_over_examples(moments, task, train)
    inputs = len(total)
    ridge = RIDGE * len(train.images) * np.eye(inputs)
    return jnp.float32(np.linalg.solve(total[:, :inputs] + ridge, total[:, inputs:]))


def _with_bias(images: jax.Array) -> jax.Array:
    """Return images as rows with a one at the end: [B, H, W, 1] -> [B, H * W + 1]."""
    return jnp.pad(images.reshape(len(images), -1), [(0, 0), (0, 1)], constant_values=1.0)


# Non-local means (Buades, Coll and Morel, 2005), on the host.

STRENGTHS = (1 / 3, 1 / 2, 2 / 3, 1)  # of the filter ("h"), in standard deviations of the noise
SUBTRACTED = (0, 1 / 3)  # deviation that is expected between patches ("sigma"), likewise
PATCHES = ((3, 6), (5, 6), (5, 9))  # size of patches, and how far away they are looked for
TUNED_ON = 30  # images
# Numbers that a callback is given: XLA leaves more of them to a thread, which on one core is the one that waits for it.
COPIED_AT_ONCE = 25_000


def non_local_means(variables: Any, inputs: jax.Array) -> jax.Array:
    """Return images denoised by scikit-image's `denoise_nl_means` with fitted parameters: [B, H, W, 1] -> the same."""
    several = max(1, COPIED_AT_ONCE // inputs[0].size)

    def denoised(part: jax.Array) -> jax.Array:
        return jax.pure_callback(_non_local_means, jax.ShapeDtypeStruct(part.shape, part.dtype), part, variables)

    return jnp.concatenate([denoised(inputs[i : i + several]) for i in range(0, len(inputs), several)])


def fit_non_local_means(task: Any, train: Split) -> dict[str, float]:
    """Return the strengths, patch size and distance with the least squared error on some training images."""
    inputs, targets = (np.asarray(array[:TUNED_ON]) for array in next(_batches(task, train)))
    tried = [
        {"h": h * task.sigma, "sigma": s * task.sigma, "patch_size": p, "patch_distance": d}
        for h, s, (p, d) in product(STRENGTHS, SUBTRACTED, PATCHES)
    ]
    return min(tried, key=lambda variables: np.square(_non_local_means(inputs, variables) - targets).mean())


def _non_local_means(images: np.ndarray, variables: dict[str, Any]) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    types = {"h": float, "sigma": float, "patch_size": int, "patch_distance": int}
    denoise = partial(denoise_nl_means, fast_mode=True, **{name: type(variables[name]) for name, type in types.items()})
    images = np.asarray(images)[..., 0]  # whose slices would be computed by that thread too
    return np.stack([denoise(image) for image in images])[..., None].astype(np.float32)


def non_local_means_at(noisy: np.ndarray, sigma: float) -> np.ndarray:
    """Return an image [H, W, C] of any range denoised for a known standard deviation of the noise, its channels together.

    With the settings that scikit-image's documentation advises.
    """
    from skimage.restoration import denoise_nl_means

    if sigma == 0:
        return noisy
    settings = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
    return denoise_nl_means(noisy, h=0.8 * sigma, sigma=sigma, **settings).reshape(noisy.shape)


def oracle(task: Task) -> Task:
    """Return the task with its target as its input."""
    cls: Any = type(task)
    return _oracle_class(cls)(**{field.name: getattr(task, field.name) for field in fields(task)})


@cache  # one class for all noise levels, as programs are compiled for classes
def _oracle_class(cls: Any) -> Any:
    def call(self: Task, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        _, target = cls.__call__(self, key, image)
        return target, target

    return type("Known", (cls,), {"__call__": call})


@dataclass(frozen=True)
class MeanChromaOracle(Colorize):
    """Colorizing where the input is gray with the image's true mean chroma, [H, W, 3]: an oracle."""

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        gray, image = super().__call__(key, image)
        return gray + (image - gray).mean(axis=(0, 1)), image
