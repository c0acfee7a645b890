"""Colours of a reference picture, carried over to what is alike in another: hints for a model that takes them.

Each place of the gray picture looks for places of the reference that the model describes in the same way, by the features
of its U-Net, and that are as bright; the mean of their chroma is a hint there. Where nothing is alike there is none. After
He et al., "Deep exemplar-based colorization" (2018), with the colorizer's own features in place of a second network's.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae.color import luma, rgb_to_chroma
from ae.config import Config
from ae.models.apply import apply

CELL = 4  # pixels of the working size, in height and in width, that are compared as one
BLOCK = 2  # cells in height and in width of which the surest becomes a hint
LEAST_SIDE = BLOCK * CELL  # pixels of a reference: what is smaller has no place for a hint
SHARP = 0.1  # difference of cosines by which a place counts e times less
AS_BRIGHT = 0.1  # standard deviation of luma within which places are as bright
ALIKE = 0.3  # cosine from which two places are alike


class Reference(NamedTuple):
    """What is known of the N cells of a reference picture."""

    features: jax.Array  # [N, C] of length 1
    gray: jax.Array  # mean luma [N, 1]
    chroma: jax.Array  # mean Cb, Cr [N, 2]


def reference_of(config: Config, variables: Any, rgb: jax.Array) -> Reference:
    """Return what is known of a small reference picture, RGB [h, w, 3] in [0, 1], sides multiples of 8."""
    gray = luma(rgb)
    features = described(config, variables, gray)
    means = [_means(part).reshape(-1, part.shape[-1]) for part in (gray, rgb_to_chroma(rgb))]
    return Reference(features.reshape(-1, features.shape[-1]), *means)


def reference_hints(
    config: Config, variables: Any, small: jax.Array, reference: Reference, by_features: float = 1.0
) -> jax.Array:
    """Return hints [h, w, 3] for small luma [h, w, 1]: Cb and Cr, and 1 where there are any.

    `by_features`: 0 goes by luma alone, as a palette would.
    """
    features, gray = described(config, variables, small), _means(small)
    alike = features @ reference.features.T  # [h / CELL, w / CELL, N]
    as_bright = jnp.square((gray - reference.gray[:, 0]) / AS_BRIGHT)
    weights = jax.nn.softmax(by_features * alike / SHARP - 0.5 * as_bright)
    sure = (weights * alike).sum(-1) if by_features else 1 - as_bright.min(-1)
    return _placed(weights @ reference.chroma, sure)


def described(config: Config, variables: Any, small: jax.Array) -> jax.Array:
    """Return a model's features of cells of small luma [h, w, 1], of length 1: [h / CELL, w / CELL, C]."""
    levels, depth = len(config.model.widths), config.model.depth
    last = (depth * (levels + up) - 1 for up in (1, 2) if up < levels)  # of the two lowest levels on the way up
    wanted = [f"BatchNorm_{number}" for number in last]

    def kept(module: Any, _: str) -> bool:
        return module.name in wanted

    _, captured = apply(
        config.model, variables, small[None], **config.numerics, capture_intermediates=kept, mutable=["intermediates"]
    )
    parts = [captured["intermediates"][name]["__call__"][0][0] for name in wanted]
    size = (small.shape[0] // CELL, small.shape[1] // CELL)
    whole = jnp.concatenate([_unit(jax.image.resize(part, (*size, part.shape[-1]), "linear")) for part in parts], -1)
    return whole / len(parts) ** 0.5


def _unit(x: jax.Array) -> jax.Array:
    centred = x - x.mean((0, 1))
    return centred / jnp.maximum(jnp.linalg.norm(centred, axis=-1, keepdims=True), 1e-6)


def _means(x: jax.Array) -> jax.Array:
    height, width, channels = x.shape
    return x.reshape(height // CELL, CELL, width // CELL, CELL, channels).mean((1, 3))


def _placed(chroma: jax.Array, sure: jax.Array) -> jax.Array:
    """Return hints in the middle of the surest cell of each block, where that is sure enough."""
    rows, columns = sure.shape
    blocks = sure.reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
    chosen = (blocks == blocks.max((1, 3), keepdims=True)).reshape(sure.shape) & (sure > ALIKE)
    there = jnp.float32(chosen)[..., None]
    hints = jnp.zeros((rows * CELL, columns * CELL, 3))
    middle = CELL // 2
    return hints.at[middle::CELL, middle::CELL].set(jnp.concatenate([chroma * there, there], -1))
