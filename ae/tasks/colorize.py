"""Colorizing."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from ae import metrics
from ae.color import colourfulness, luma
from ae.tasks.task import Task
from ae.tasks.variation import check_crop, varied


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
