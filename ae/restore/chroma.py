"""Chroma for gray frames: computed small, brought to full size along the edges of luma.

A model sees a small copy of a frame (its working size), which is what it was trained on and what it costs; of a photograph
two, of which the mean counts. Its chroma is brought to full size as a guided filter does it (He, Sun and Tang, "Guided image
filtering", 2010; on small copies: He and Sun, "Fast guided filter", 2015): around every point chroma is taken to be a line
in luma, whose slope and offset are smooth and can be enlarged without blurring an edge.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae.color import BT601, into_gamut, rgb_to_chroma, ycbcr_to_rgb
from ae.config import Config
from ae.layers.conv import xla_convolutions
from ae.models.apply import apply
from ae.restore.hints import carried_on, correction
from ae.restore.reference import Reference, reference_hints
from ae.restore.resizing import Rows, interpolation, neighbours, resized

RADIUS = 1  # of the guided filter's windows, in pixels of the working size
FLATNESS = 1e-3  # variance of luma below which a window counts as flat, and its chroma as constant


NEUTRAL = 0.1  # chroma over luma, about, up to which a pixel may be a white or gray thing under tinted light


class Look(NamedTuple):
    """What a person wants of the colours: values for compiled programs."""

    saturation: float | jax.Array = 1.0  # what chroma is multiplied with
    vivid: float | jax.Array = 0.0  # share of the livelier chroma, of a model that answers with such
    balance: float | jax.Array = 0.0  # share of the tint of what ought to be white that is taken away


class Colours(NamedTuple):
    """Colours of a frame at working size; around each pixel chroma is `slope * luma + offset`, roughly."""

    chroma: jax.Array  # [h, w, 2]
    slope: jax.Array  # [h, w, 2]
    offset: jax.Array  # [h, w, 2]


def answered_chroma(
    config: Config, variables: Any, seen: jax.Array, look: Look, cells: jax.Array | None, reference: Reference | None
) -> jax.Array:
    """Return the chroma [h, w, 2] that a model predicts for one copy of an image [h, w, 1] (see `predict_chroma`)."""
    with xla_convolutions():
        return predict_chroma(config, variables, seen, look, cells=cells, reference=reference)


def mean_colours(answers: Sequence[jax.Array], small: jax.Array) -> Colours:
    """Return the mean of chroma [h, w, 2] of one or several sizes, as colours of luma [h, w, 1], which has the largest."""
    size = small.shape[0], small.shape[1]
    enlarged = [chroma if chroma.shape[:2] == size else resized(chroma, size) for chroma in answers]
    return colours_of(reduce(jnp.add, enlarged) / len(enlarged), small)


def carried_colours(colours: Colours, finer: jax.Array, cells: jax.Array) -> Colours:
    """Return colours at the size of a larger copy [h, w, 1] of the frame, with those of hints [h, w, 4] carried on there."""
    chroma = jnp.moveaxis(full_chroma(colours, finer[..., 0]), 0, -1)
    return colours_of(chroma, finer, cells=cells)


def predict_chroma(
    config: Config,
    variables: Any,
    small: jax.Array,
    look: Look,
    *,
    weights: tuple[float, float, float] = BT601,
    turns: int = 0,
    cells: jax.Array | None = None,
    reference: Reference | None = None,
) -> jax.Array:
    """Return the chroma that a model predicts for a small frame [h, w, 1] in [0, 1]: [h, w, 2].

    `weights`: of R, G and B in the frame's luma. `turns`: quarter turns,
    counter-clockwise, after which the frame is upright. `cells`: hints [h, w, 4] (see `ae.restore.hints`). `reference`: a
    picture whose colours are hints where there are no others.
    """
    upright = jnp.rot90(small, turns)
    hints = None if cells is None else jnp.rot90(cells[..., :3], turns)
    if reference is not None:
        alike = reference_hints(config, variables, upright, reference)
        hints = alike if hints is None else jnp.where(hints[..., 2:] > 0, hints, alike)
    seen = upright if hints is None else jnp.concatenate([upright, hints], axis=-1)
    chroma = answered(config, variables, seen, look.vivid)
    chroma = balanced(jnp.rot90(chroma, -turns), small, look.balance)
    return weighted(small, look.saturation * chroma, weights)


def answered(config: Config, variables: Any, seen: jax.Array, vivid: float | jax.Array) -> jax.Array:
    """Return the chroma [h, w, 2] that a model answers to luma, with hints or without; `vivid` as in `Look`."""
    if not getattr(config.model, "vivid", False):
        return rgb_to_chroma(apply(config.model, variables, seen[None], **config.numerics, train=False)[0])
    both = apply(config.model, variables, seen[None], **config.numerics, train=False, method="chroma")[0]
    likely, livelier = jnp.split(both, 2, axis=-1)
    return into_gamut(seen[..., :1], likely + vivid * (livelier - likely))


def balanced(chroma: jax.Array, small: jax.Array, share: float | jax.Array) -> jax.Array:
    """Return chroma [h, w, 2] without a share of the tint that bright and nearly gray pixels have; luma [h, w, 1].

    Light multiplies, so darker pixels have less of it.
    """
    strength = jnp.linalg.norm(chroma, axis=-1, keepdims=True) / jnp.maximum(small, 1e-3)
    weights = jnp.square(small) * jnp.exp(-0.5 * jnp.square(strength / NEUTRAL))
    tint = (weights * chroma).sum((0, 1)) / jnp.maximum((weights * small).sum((0, 1)), 1e-6)
    return chroma - share * tint * small


def weighted(luma: jax.Array, chroma: jax.Array, weights: tuple[float, float, float]) -> jax.Array:
    """Return chroma [..., 2] of BT.601, from which models have learnt, for luma [..., 1] with other weights."""
    return chroma if weights == BT601 else rgb_to_chroma(ycbcr_to_rgb(luma, chroma), weights)


def colours_of(
    chroma: jax.Array,
    small: jax.Array,
    *,
    weights: tuple[float, float, float] = BT601,
    cells: jax.Array | None = None,
) -> Colours:
    """Return chroma [h, w, 2] as lines in luma [h, w, 1], with the colours that hints `cells` ask for carried on."""
    if cells is None:
        return _lines(chroma, small)
    hints, luma = jnp.split(cells, (3,), axis=-1)
    asked = weighted(luma, hints[..., :2], weights)
    lines = _lines(carried_on(chroma, asked, hints[..., 2:], small), small)
    correct = correction(asked, lines.slope * luma + lines.offset, small, cells)
    return Colours(lines.chroma + correct, lines.slope, lines.offset + correct)


def _lines(chroma: jax.Array, small: jax.Array) -> Colours:
    mean_luma, mean_chroma = window_mean(small), window_mean(chroma)
    variance = window_mean(small * small) - mean_luma * mean_luma
    slope = (window_mean(small * chroma) - mean_luma * mean_chroma) / (variance + FLATNESS)
    slope, offset = window_mean(slope), window_mean(mean_chroma - slope * mean_luma)
    return Colours(chroma, slope, offset)


def full_chroma(
    colours: Colours, gray: jax.Array, weights: tuple[float, float, float] = BT601, rows: Rows | None = None
) -> jax.Array:
    """Return chroma [2, H, W] for luma [H, W] in [0, 1] of the frame, or of a part of its rows.

    `rows`: the part of `neighbours(h, H)`. Planes are many times faster on a CPU than pixels of two channels.
    """
    if rows is None and colours.chroma.shape[:2] == gray.shape:
        return into_gamut(gray[None], jnp.moveaxis(colours.chroma, -1, 0), weights, axis=0)
    upper, share = neighbours(colours.slope.shape[0], gray.shape[0]) if rows is None else rows
    columns = interpolation(colours.slope.shape[1], gray.shape[1])
    lines = jnp.moveaxis(jnp.concatenate([colours.slope, colours.offset], -1), -1, 0) @ columns.T  # [4, h, W]
    above, below = lines[:, upper], lines[:, jnp.minimum(jnp.asarray(upper) + 1, lines.shape[1] - 1)]
    slope, offset = jnp.split(above + (below - above) * jnp.asarray(share)[:, None], 2)
    return into_gamut(gray[None], slope * gray + offset, weights, axis=0)


def window_mean(x: jax.Array) -> jax.Array:
    """Return means over the window around each pixel, as far as it lies in the image: [H, W, C] -> the same."""
    size = 2 * RADIUS + 1
    padded = jnp.pad(x, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge")
    rows = reduce(jnp.add, (padded[i : i + x.shape[0]] for i in range(size)))
    return reduce(jnp.add, (rows[:, i : i + x.shape[1]] for i in range(size))) / size**2
