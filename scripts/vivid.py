"""Colour by classes: what Zhang, Isola and Efros ("Colorful Image Colorization", 2016) do against dull colours.

Least squares answers with the mean of all colours that are likely, which is dull. Here the model says how likely each of
some hundred colours is, rare colours count more in its loss, and the answer is a mean drawn towards the likeliest.
`scripts/variants.py` measures it against the plain model whose chroma is multiplied, which is nearer to the truth.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ae import ChromaUNet, Colorize, Conv, preset
from ae.color import into_gamut, rgb_to_chroma, ycbcr_to_rgb
from ae.models.unet import padded

STEP = 1 / 16  # between neighbouring classes in Cb and Cr
FALL = 0.04  # chroma that is so much stronger is e times rarer, about, in CIFAR-100


@cache
def classes() -> np.ndarray:
    """Return the chroma [N, 2] of the classes: a grid over what RGB can show at some luma."""
    steps = np.arange(-round(0.5 / STEP), round(0.5 / STEP) + 1) * STEP
    grid = np.float32(np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2))
    with jax.ensure_compile_time_eval():
        rgb = np.asarray(ycbcr_to_rgb(jnp.zeros((len(grid), 1)), jnp.asarray(grid)))
    return grid[np.ptp(rgb, axis=1) <= 1]


def rarity(rebalancing: float) -> np.ndarray:
    """Return the classes' weights [N] in the loss, of mean 1 over what is seen; `rebalancing` is the paper's lambda."""
    seen = np.exp(-np.linalg.norm(classes(), axis=-1) / FALL)
    seen /= seen.sum()
    weights = 1 / ((1 - rebalancing) * seen + rebalancing / len(seen))
    return np.float32(weights / (seen * weights).sum())


class ClassUNet(ChromaUNet):
    """`ChromaUNet` that chooses among classes of chroma for each patch of 2x2 pixels: gray [B, H, W, 1] -> RGB, of any size.

    While training it returns the classes' logits [B, H/2, W/2, N].
    """

    temperature: float = 0.38  # of the annealed mean: towards 0 the likeliest class, 1 the mean

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        height, width = x.shape[1:3]
        x = padded(x, self.multiple)
        features = self.features(x, train)
        logits = Conv(len(classes()), (1, 1))(features)
        if train:
            return logits
        chroma = nn.softmax(logits / self.temperature) @ classes()
        b, h, w, _ = chroma.shape
        chroma = jax.image.resize(chroma, (b, 2 * h, 2 * w, 2), "bilinear")
        return ycbcr_to_rgb(x, into_gamut(x, chroma))[:, :height, :width]


@dataclass(frozen=True)
class ColorizeByClass(Colorize):
    """`Colorize` whose loss is the cross entropy of classes of chroma, softly assigned, rare ones weighing more."""

    spread: float = STEP / 2  # standard deviation of the soft assignment
    rebalancing: float = 0.5  # 0: all classes weigh alike, 1: all pixels do

    accuracy_name: ClassVar = "class accuracy"

    def loss(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the loss of each image: logits [B, H/2, W/2, N] and RGB [B, H, W, 3] -> [B]."""
        distances = squared_distances(target)
        wanted = jax.nn.softmax(-distances / (2 * self.spread**2))
        entropy = -(wanted * jax.nn.log_softmax(output)).sum(axis=-1)
        return (jnp.asarray(rarity(self.rebalancing))[distances.argmin(axis=-1)] * entropy).mean(axis=(1, 2))

    def accuracy(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the share of patches whose likeliest class is the nearest: as `loss` -> [B]."""
        right = squared_distances(target).argmin(axis=-1) == output.argmax(axis=-1)
        return right.mean(axis=(1, 2), dtype=output.dtype)


def squared_distances(rgb: jax.Array) -> jax.Array:
    """Compute the squared distances of the mean chroma of patches of 2x2 pixels to the classes.

    RGB [B, H, W, 3] -> [B, H/2, W/2, N].
    """
    chroma = rgb_to_chroma(rgb)
    b, h, w, _ = chroma.shape
    patches = chroma.reshape(b, h // 2, 2, w // 2, 2, 2).mean(axis=(2, 4))
    return jnp.square(patches[..., None, :] - classes()).sum(axis=-1)


PLAIN = preset("chroma_unet_cifar")
PRESET = replace(
    PLAIN,
    name="chroma_unet_vivid",
    model=ClassUNet(PLAIN.model.widths),
    train_task=ColorizeByClass(mirrored=True, shift=4),
    learning_rate=2e-3,
)
