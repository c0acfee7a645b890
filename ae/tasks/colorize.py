"""Colorizing, of images as they are and of photographs as people have them."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from ae import metrics
from ae.color import colourfulness, luma, rgb_to_chroma, ycbcr_to_rgb
from ae.errors import InputError
from ae.film import aged, sensitivity
from ae.tasks.resampling import zoomed
from ae.tasks.task import Task
from ae.tasks.variation import check_crop, check_shares, varied


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
        check_crop(self.crop)

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


@dataclass(frozen=True)
class ColorizePhotograph(Colorize):
    """Colorizing of photographs: luma as other programs and old material have it -> RGB of that luma and the true chroma.

    The input is [side, side, 1], or [side, side, 4] with hints (see `ae.models.ChromaUNet`). The loss is the mean
    squared error: where the logarithm of each image's counts, those that are nearly gray make all others brown. To it comes
    that of livelier chroma, of a model that answers with such (see `vivid_error`).
    """

    side: int = 48  # of the square that is seen, a multiple of 16; 0: as large as the image allows
    least_zoom: float = 0.75  # pixels of the image that one of the square's shows in each direction
    most_zoom: float = 1.33  # likewise, at most
    old: float = 0.5  # share of images whose luma is not of BT.601, blurred, grainy, faded, or coded by JPEG
    resampled: float = 0.7  # share of images whose luma is smoothed and sharpened in other ways than its chroma
    hinted: float = 0.0  # share of images with hints; with none at all the input is luma alone
    most_hints: int = 100  # in an image
    even_hints: float = 0.0  # share of these images in which many are as likely as few; in others few are likelier

    traced_fields: ClassVar = ("old", "resampled")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self, "old", "resampled", "hinted", "even_hints")
        if self.side < 0 or self.side % 16:
            raise InputError(f"side has to be a multiple of 16, or 0, not {self.side}")
        if not 0 < self.least_zoom <= self.most_zoom:
            raise InputError(f"zoom has to be above 0, and least_zoom at most most_zoom, not {self.least_zoom}")
        if self.most_hints < 1:
            raise InputError(f"most_hints has to be at least 1, not {self.most_hints}")

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        variation_key, zoom_key, film_key, hint_key, chance_key = jax.random.split(key, 5)
        _, image = super().__call__(variation_key, image)
        side = self.side or min(image.shape[:2]) // 16 * 16
        good, other = zoomed(zoom_key, image, side, self.least_zoom, self.most_zoom)
        resampled, old = jax.random.uniform(chance_key, (2,)) < jnp.array([self.resampled, self.old])
        weights_key, aged_key = jax.random.split(film_key)
        source = jnp.where(resampled, other, good)
        gray, contrast = aged(aged_key, (source @ sensitivity(weights_key))[..., None])
        gray, contrast = jnp.where(old, gray, luma(source)), jnp.where(old, contrast, 1)
        chroma = contrast * rgb_to_chroma(good)
        target = ycbcr_to_rgb(gray, chroma)
        if not self.hinted:
            return gray, target
        hints = drawn_hints(hint_key, chroma, self.hinted, self.most_hints, self.even_hints)
        return jnp.concatenate([gray, hints], axis=-1), target

    def loss(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the loss of each image: RGB [B, H, W, 3] or with livelier chroma [B, H, W, 5], and RGB -> [B]."""
        loss = metrics.mse(output[..., :3], target)
        if output.shape[-1] == 3:
            return loss
        return loss + VIVID_SHARE * vivid_error(output[..., 3:], rgb_to_chroma(target))

    def accuracy(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the categorical accuracy of each image: as `loss` -> [B]."""
        return metrics.categorical_accuracy(output[..., :3], target)


VIVID_SHARE = 0.03  # of the error of livelier chroma in the loss
STRONG = 0.05  # chroma that counts twice as much there as none


def vivid_error(output: jax.Array, target: jax.Array) -> jax.Array:
    """Compute the mean squared error of chroma, in which stronger chroma counts more: [B, H, W, 2] twice -> [B].

    So the answer is not the mean of what is likely, which is dull, but one in which colours outweigh gray. Zhang, Isola and
    Efros ("Colorful image colorization", 2016) let rare colours count more among classes.
    """
    weights = 1 + jnp.square(target / STRONG).sum(axis=-1, keepdims=True)
    return (weights * jnp.square(output - target)).mean(axis=(1, 2, 3))


def drawn_hints(key: jax.Array, chroma: jax.Array, share: float, most: int, even: float = 0.0) -> jax.Array:
    """Return hints [H, W, 3] of an image's chroma [H, W, 2]: Cb and Cr of patches, and 1 there; elsewhere 0.

    `share`: how likely there are any. Their number is 1 to `most`, few being likelier, but for a share of `even`, in which
    all numbers are as likely; patches are of 1 or 3x3 pixels.
    """
    height, width, _ = chroma.shape
    number_key, place_key, size_key = jax.random.split(key, 3)
    chosen, number = jax.random.uniform(number_key, (2,))
    few, any_number = jnp.exp(number * jnp.log(most + 0.99)), 1 + 0.999 * number * most
    evenly = jax.random.uniform(jax.random.fold_in(number_key, 1)) < even
    count = jnp.where(chosen < share, jnp.where(evenly, any_number, few), 0).astype(int)
    size = jnp.array([height, width])
    centres = jnp.floor(jax.random.uniform(place_key, (most, 1, 2)) * size).astype(int)
    half = jax.random.randint(size_key, (most, 1), 0, 2)
    around = jnp.stack(jnp.meshgrid(jnp.arange(-1, 2), jnp.arange(-1, 2), indexing="ij"), axis=-1).reshape(-1, 2)
    places = centres + around  # [most, 9, 2]
    inside = ((places >= 0) & (places < size)).all(axis=-1) & (jnp.abs(around).max(axis=-1) <= half)
    numbers = places @ jnp.array([width, 1])
    seen = chroma.reshape(-1, 2)[jnp.clip(numbers, 0, height * width - 1)]
    means = (inside[..., None] * seen).sum(axis=1, keepdims=True) / inside.sum(axis=1)[:, None, None]
    values = jnp.pad(jnp.broadcast_to(means, seen.shape), ((0, 0), (0, 0), (0, 1)), constant_values=1)
    drawn = inside & (jnp.arange(most) < count)[:, None]
    # Setting some hundred places is five times faster than looking at all pixels for each hint.
    painted = jnp.zeros((height * width, 3)).at[jnp.where(drawn, numbers, height * width)].set(values, mode="drop")
    return painted.reshape(height, width, 3)
