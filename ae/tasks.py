"""Tasks of models: pure functions from a clean image to (input, target), and how its output is scored.

A task is a frozen dataclass; its fields are its settings. A new one is a subclass of `Task` in any file.
"""

from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ae import metrics
from ae.camera import SOFTEST, camera_noise, jpeg, soften
from ae.color import colourfulness, luma
from ae.errors import InputError
from ae.runtime.pytrees import register_settings


@dataclass(frozen=True)
class Task:
    """A task to learn: its examples, loss and accuracy. Images are float [H, W, C] in [0, 1], batches [B, H, W, C]."""

    labels: ClassVar[tuple[str, str, str]] = ("input", "target", "output")
    """What pictures call the three images."""
    accuracy_name: ClassVar[str] = ""
    """Which accuracy `accuracy` computes."""
    further_scores: ClassVar[tuple[str, ...]] = ()
    """Names of methods that score a batch as `accuracy` does, which tables show as well."""
    traced_fields: ClassVar[tuple[str, ...]] = ()
    """Names of fields that compiled programs take as values: another value of theirs compiles nothing anew."""

    def __init_subclass__(cls) -> None:
        register_settings(cls, cls.traced_fields)

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Make one example: clean image [H, W, C] -> (input, target). All randomness comes from `key`."""
        raise NotImplementedError

    def input_shape(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """Return [H, W, C] of the inputs that images [H, W, C] give; computes nothing."""
        inputs, _ = jax.eval_shape(self, jax.random.key(0), jax.ShapeDtypeStruct(image, jnp.float32))
        return inputs.shape

    def loss(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the loss of each image: [B, H, W, C] twice -> [B]. Mean squared error unless a task says otherwise."""
        return metrics.mse(output, target)

    def accuracy(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the accuracy of each image: [B, H, W, C] twice -> [B]."""
        raise NotImplementedError


def varied(
    key: jax.Array,
    image: jax.Array,
    *,
    crop: int = 0,
    reduced: float = 0.0,
    mirrored: bool = False,
    turned: bool = False,
    permuted: float = 0.0,
    vivid: float = 0.0,
) -> jax.Array:
    """Return a square of an image [H, W, C] from a random place, mirrored or turned by chance: [crop, crop, C].

    `crop`: its side; 0 keeps the whole image. `reduced`: share of squares that show twice as much in each direction, each
    pixel the mean of four. `mirrored`: left and right are exchanged in half of the images. `turned`: by 0 to 3 quarter
    turns. `permuted`: share of images whose channels change places. `vivid`: share of RGB images whose colours become up to
    three times as strong. Raises InputError where the image is smaller than its square, or is to be turned and not square.
    """
    mirror_key, place_key = jax.random.split(key)
    if crop:
        _check_size(image, crop, reduced)
        square = _square(jax.random.fold_in(place_key, 0), image, crop)
        if reduced:
            large = _square(jax.random.fold_in(place_key, 2), image, 2 * crop)
            small = large.reshape(crop, 2, crop, 2, -1).mean(axis=(1, 3))
            square = jnp.where(jax.random.uniform(jax.random.fold_in(place_key, 3)) < reduced, small, square)
        image = square
    if mirrored:
        image = jnp.where(jax.random.bernoulli(mirror_key), image[:, ::-1], image)
    if turned:
        if image.shape[0] != image.shape[1]:
            raise InputError(
                f"images that are turned have to be square, not {image.shape[0]}x{image.shape[1]}: name a crop"
            )
        turns = jnp.stack([jnp.rot90(image, quarters) for quarters in range(4)])
        image = turns[jax.random.randint(jax.random.fold_in(place_key, 1), (), 0, 4)]
    if permuted:
        order_key, permuted_key = jax.random.split(jax.random.fold_in(place_key, 5))
        other = jax.random.permutation(order_key, image, axis=2)
        image = jnp.where(jax.random.uniform(permuted_key) < permuted, other, image)
    if vivid:
        chosen, strength = jax.random.uniform(jax.random.fold_in(place_key, 4), (2,))
        gray = luma(image)
        image = jnp.where(chosen < vivid, jnp.clip(gray + MOST_VIVID**strength * (image - gray), 0, 1), image)
    return image


MOST_VIVID = 3.0  # times as strong


def _check_size(image: jax.Array, crop: int, reduced: float) -> None:
    height, width, _ = image.shape
    if (2 if reduced else 1) * crop > min(height, width):
        said = f"crop={crop}{', reduced from twice that,' if reduced else ''}"
        raise InputError(f"{said} is more than the images have: {height}x{width}")


def _square(key: jax.Array, image: jax.Array, side: int) -> jax.Array:
    height, width, channels = image.shape
    row, column = jax.random.randint(key, (2,), 0, jnp.array([height - side, width - side]) + 1)
    return jax.lax.dynamic_slice(image, (row, column, 0), (side, side, channels))


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
        _check_crop(self.crop)
        _check_shares(self, "reduced", "permuted", "vivid", "clipped_share")

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        image = varied(jax.random.fold_in(key, 1), image, **_variation(self))
        image = luma(image) if self.gray else image
        sigma: float | jax.Array = self.sigma
        if self.least_sigma is not None:
            key, level_key = jax.random.split(key)
            sigma = jax.random.uniform(level_key, (), image.dtype, self.least_sigma, self.sigma)
        noisy = image + sigma * jax.random.normal(key, image.shape, image.dtype)
        cut = self.clipped | (jax.random.uniform(jax.random.fold_in(key, 2)) < self.clipped_share)
        return jnp.where(cut, jnp.clip(noisy, 0, 1), noisy), image


def _variation(task: Any) -> dict[str, Any]:
    """Return a task's arguments of `varied`."""
    return {name: getattr(task, name) for name in ("crop", "reduced", "mirrored", "turned", "permuted", "vivid")}


def _check_crop(crop: int) -> None:
    if crop < 0:
        raise InputError(f"crop has to be at least 0, not {crop}")


def _check_shares(task: Task, *names: str) -> None:
    for name in names:
        if not 0 <= (share := getattr(task, name)) <= 1:
            raise InputError(f"{name} has to be from 0 to 1, not {share}")


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
        _check_shares(self, "soft", "colourless", "untouched", "compressed", "reduced", "permuted", "vivid")
        if not 1 <= self.least_quality <= 100:
            raise InputError(f"least_quality has to be from 1 to 100, not {self.least_quality}")
        _check_crop(self.crop)

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        image = varied(jax.random.fold_in(key, 1), image, **_variation(self))
        noise_key, level_key, quality_key, halved_key, chance_key = jax.random.split(key, 5)
        softened, width, gray = jax.random.uniform(jax.random.fold_in(key, 2), (3,))
        image = jnp.where(softened < self.soft, soften(image, SOFTEST * width), image)
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


@dataclass(frozen=True)
class Colorize(Task):
    """Colorizing: luma [H, W, 1] (BT.601) -> RGB [H, W, 3]."""

    mirrored: bool = False  # left and right exchanged in half of the images, by chance
    shift: int = 0  # up to so many pixels up, down, left and right, by chance; what comes in mirrors the edge
    crop: int = 0  # side of a square that is cut from each image at a random place; 0: images stay whole
    turned: bool = False  # by 0 to 3 quarter turns, by chance

    labels: ClassVar = ("gray", "true", "colorized")
    accuracy_name: ClassVar = "categorical accuracy"
    further_scores: ClassVar = ("colourfulness",)

    def __post_init__(self) -> None:
        _check_crop(self.crop)

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        image = varied(key, image, crop=self.crop, mirrored=self.mirrored, turned=self.turned)
        if self.shift:
            _, shift_key = jax.random.split(key)
            padded = jnp.pad(image, [(self.shift, self.shift)] * 2 + [(0, 0)], mode="symmetric")
            start = jax.random.randint(shift_key, (2,), 0, 2 * self.shift + 1)
            image = jax.lax.dynamic_slice(padded, (*start, 0), image.shape)
        return luma(image), image

    def accuracy(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the categorical accuracy of each image: RGB [B, H, W, 3] twice -> [B]."""
        return metrics.categorical_accuracy(output, target)

    def colourfulness(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute how colourful each output is, whatever the target (see `ae.color.colourfulness`)."""
        return colourfulness(jnp.clip(output, 0, 1))
