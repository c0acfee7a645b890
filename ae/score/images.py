"""Denoisers scored on images of any size, one at a time: PSNR and SSIM of each, as the papers on denoising measure them."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ae import metrics
from ae.runtime import progress

SEED = 0  # of all noise that is made
NOISY = "noisy"

Method = Callable[[np.ndarray, float], np.ndarray]
"""(noisy [H, W, C], standard deviation of the noise) -> [H, W, C]. The noisy image may leave [0, 1], the result too."""


class Pair(NamedTuple):
    """An image with noise, and the one without it."""

    noisy: np.ndarray  # float32 [H, W, C]; it may leave [0, 1]
    clean: np.ndarray  # float32 [H, W, C] in [0, 1]
    sigma: float  # standard deviation of the noise


def add_noise(clean: np.ndarray, sigma: float, index: int) -> Pair:
    """Return a clean image [H, W, C] in [0, 1] with Gaussian noise, which is not clipped.

    `index`: of the image in its set. The noise is numpy's `default_rng((SEED, index)).standard_normal`, times sigma.
    """
    noise = np.random.default_rng((SEED, index)).standard_normal(clean.shape, np.float32)
    return Pair(clean + np.float32(sigma) * noise, clean, sigma)


def in_8_bits(image: np.ndarray) -> np.ndarray:
    """Return an image cut to [0, 1] and rounded to multiples of 1/255, as FFDNet's test programs do before they score."""
    return np.round(255 * np.clip(image, 0, 1)).astype(np.float32) / 255


def score(output: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Compute `psnr` and `ssim` (see `ae.metrics`) of one image [H, W, C] over all its channels."""
    pair = jnp.asarray(output)[None], jnp.asarray(clean)[None]
    return {"psnr": float(metrics.psnr(*pair)[0]), "ssim": float(metrics.ssim(*pair)[0])}


def score_images(
    methods: Mapping[str, Method], pairs: Iterable[Pair], *, count: int, label: str
) -> dict[str, list[dict[str, float]]]:
    """Return the scores of each image by method, in 8 bits; those of the noisy images, as they are, come first.

    All methods get the same noise. `count` and `label`: how many pairs there are, and what the progress bar says.
    """
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in (NOISY, *methods)}
    with progress.bar(label, count * len(methods)) as bar:
        for noisy, clean, sigma in pairs:
            scores[NOISY].append(score(noisy, clean))
            for name, method in methods.items():
                bar.set_postfix_str(name, refresh=False)
                scores[name].append(score(in_8_bits(method(noisy, sigma)), clean))
                bar.update()
    return scores
