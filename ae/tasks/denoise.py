"""Denoising, of Gaussian noise and of what cameras add."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import jax
import jax.numpy as jnp

from ae import metrics
from ae.camera import SOFTEST, camera_noise, jpeg, soften
from ae.color import luma
from ae.errors import InputError
from ae.tasks.task import Task
from ae.tasks.variation import check_crop, check_shares, variation, varied


@dataclass(frozen=True)
class Denoising(Task):
    """A task to take noise away, whatever kind it is of."""

    labels: ClassVar = ("noisy", "clean", "denoised")
    accuracy_name: ClassVar = "binary accuracy"

    def accuracy(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the binary accuracy of each image: [B, H, W, C] twice -> [B]."""
        return metrics.binary_accuracy(output, target)


@dataclass(frozen=True)
class Denoise(Denoising):
    """Denoising of Gaussian noise: image + sigma * N(0, 1), cut to [0, 1] unless it is not `clipped` -> image."""

    sigma: float = 0.3  # standard deviation of the noise, for images in [0, 1]
    least_sigma: float | None = None  # of noise whose level is drawn for each image, evenly from here to `sigma`
    gray: bool = False  # of the luma of RGB images
    crop: int = 0  # side of a square that is cut from each image at a random place; 0: images stay whole
    reduced: float = 0.0  # share of crops that are of twice that side, and reduced to it
    mirrored: bool = False  # left and right exchanged in half of the images, by chance
    turned: bool = False  # by 0 to 3 quarter turns, by chance
    permuted: float = 0.0  # share of images whose channels change places
    vivid: float = 0.0  # share of RGB images whose colours are made up to three times as strong
    clipped: bool = True  # noisy pixels are cut to [0, 1]; benchmarks of denoising leave them as they are
    clipped_share: float = 0.0  # of images whose noisy pixels are cut where not all are

    traced_fields: ClassVar = ("sigma", "least_sigma")

    def __post_init__(self) -> None:
        least = 0.0 if self.least_sigma is None else self.least_sigma
        if not 0 <= least <= self.sigma < inf:
            raise InputError(f"noise has to be 0 <= least_sigma <= sigma, not {least} and {self.sigma}")
        check_crop(self.crop)
        check_shares(self, "reduced", "permuted", "vivid", "clipped_share")

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        image = varied(jax.random.fold_in(key, 1), image, **variation(self))
        image = luma(image) if self.gray else image
        sigma: float | jax.Array = self.sigma
        if self.least_sigma is not None:
            key, level_key = jax.random.split(key)
            sigma = jax.random.uniform(level_key, (), image.dtype, self.least_sigma, self.sigma)
        noisy = image + sigma * jax.random.normal(key, image.shape, image.dtype)
        cut = self.clipped | (jax.random.uniform(jax.random.fold_in(key, 2)) < self.clipped_share)
        return jnp.where(cut, jnp.clip(noisy, 0, 1), noisy), image


@dataclass(frozen=True)
class DenoiseByCrossEntropy(Denoise):
    """`Denoise` whose loss is the binary cross entropy of each pixel, as Keras computes it."""

    def loss(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the mean binary cross entropy of each image: [B, H, W, C] in [0, 1] twice -> [B]."""
        metrics.check_batches(output, target)
        output = jnp.clip(output, CLOSEST, 1 - CLOSEST)
        return -(target * jnp.log(output) + (1 - target) * jnp.log(1 - output)).mean(axis=(1, 2, 3))


CLOSEST = 1e-7  # to 0 and 1, for logarithms


@dataclass(frozen=True)
class DenoiseByPSNR(Denoise):
    """`Denoise` whose loss is the PSNR, negative: images with little noise count as much as those with much.

    Chen et al., "Simple baselines for image restoration" (2022), train by it.
    """

    def loss(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the negative PSNR of each image in dB: [B, H, W, C] twice -> [B]; above 50 dB it changes little."""
        return negative_psnr(output, target)


def negative_psnr(output: jax.Array, target: jax.Array) -> jax.Array:
    """Compute the negative PSNR of each image in dB, which ends at 50: [B, H, W, C] in [0, 1] twice -> [B]."""
    return 10 * jnp.log10(metrics.mse(output, target) + LEAST_ERROR)


LEAST_ERROR = 1e-5  # squared, of an image


@dataclass(frozen=True)
class DenoisePhotograph(Denoising):
    """Denoising of what cameras add (see `ae.camera`), RGB [H, W, 3] -> the photograph without it.

    Some images stay as they are, and are to be left alone. Some are gray, noise and all.
    """

    sigma: float = 0.08  # standard deviation of the noise of luma at middle gray, at most; most images have far less
    soft: float = 0.5  # share of images that are blurred at first, as photographs of many megapixels are
    colourless: float = 0.1  # share of images that are gray: three equal channels
    untouched: float = 0.2  # share of images without noise and JPEG
    compressed: float = 0.6  # share of the others that JPEG has compressed, after the noise
    least_quality: float = 60.0  # of JPEG, up to 100
    crop: int = 0  # side of a square that is cut from each image at a random place; 0: images stay whole
    reduced: float = 0.0  # share of crops that are of twice that side, and reduced to it
    mirrored: bool = False  # left and right exchanged in half of the images, by chance
    turned: bool = False  # by 0 to 3 quarter turns, by chance
    permuted: float = 0.0  # share of images whose channels change places
    vivid: float = 0.0  # share of images whose colours are made up to three times as strong

    traced_fields: ClassVar = ("sigma", "soft", "colourless", "untouched", "compressed", "least_quality")

    def __post_init__(self) -> None:
        if not 0 <= self.sigma < inf:
            raise InputError(f"sigma has to be at least 0, and finite, not {self.sigma}")
        check_shares(self, "soft", "colourless", "untouched", "compressed", "reduced", "permuted", "vivid")
        if not 1 <= self.least_quality <= 100:
            raise InputError(f"least_quality has to be from 1 to 100, not {self.least_quality}")
        check_crop(self.crop)

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        image = varied(jax.random.fold_in(key, 1), image, **variation(self))
        noise_key, level_key, quality_key, halved_key, chance_key = jax.random.split(key, 5)
        softened, width, gray = jax.random.uniform(jax.random.fold_in(key, 2), (3,))
        blurred = (
            jnp.round(2**16 * soften(image, SOFTEST * width)) / 2**16
        )  # where all is white it stays white, whatever
        image = jnp.where(softened < self.soft, blurred, image)  # the order in which a program sums up
        level = self.sigma * jax.random.uniform(level_key) ** 2
        noisy = jnp.clip(camera_noise(noise_key, image, level), 0, 1)
        quality = jax.random.uniform(quality_key, minval=self.least_quality, maxval=100.0)
        coded = jpeg(noisy, quality, halved=jax.random.bernoulli(halved_key))
        touched, compressed = jax.random.uniform(chance_key, (2,)) >= jnp.array([self.untouched, 1 - self.compressed])
        pair = jnp.where(touched, jnp.where(compressed, coded, noisy), image), image
        noisy, clean = (jnp.where(gray < self.colourless, luma(part), part) for part in pair)
        return noisy, clean

    def loss(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the negative PSNR of each image in dB: [B, H, W, C] twice -> [B]; above 50 dB it changes little."""
        return negative_psnr(output, target)
