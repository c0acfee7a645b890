"""Steady colours of a film: those of the frame before, moved along with what they are on, are mixed with fresh ones.

A model answers to each frame alone, and a little noise is enough for another answer. Where a frame's luma is that of the
frame before, moved, its colour is too. In a fade, luma and chroma have the same light.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae.restore.motion import halved, motion, moved, window_mean
from ae.restore.resizing import resized

TOLERANCE = 0.03  # difference of luma at which what was moved counts e times less
CHANGE = 0.025  # the same for chroma: a model that has changed its mind is followed, and what was moved wrongly fades
DARK = 0.01  # mean luma below which a frame's light is hardly compared with the one's before: fades end in noise
STRENGTH = 0.95  # that `scripts/study.py film` chose


class Before(NamedTuple):
    """What is kept of the frame before."""

    luma: Any  # [h, w], in which motion is found
    chroma: Any  # [h, w, 2], steady
    shot: Any  # that it was in; -1: there was no frame


class Steady(NamedTuple):
    """How colours are carried on from frame to frame."""

    before: Before
    shots: Any  # of each frame the number of its shot, [B]
    strength: float | jax.Array  # share of the colours of the frame before where both agree, from 0 to 1


def before_first(size: tuple[int, int]) -> Before:
    """Return what is kept before the first frame; `size`: that of chroma."""
    return Before(jnp.zeros(size), jnp.zeros((*size, 2)), jnp.int32(-1))


def steadied(steady: Steady, chroma: jax.Array, gray: jax.Array) -> tuple[Before, jax.Array]:
    """Return what is kept of the last of some frames, and the steady chroma of all: [B, h, w, 2].

    `chroma`: as a model answers, [B, h, w, 2]. `gray`: luma [B, H, W] of the frames.
    """
    _, height, width, _ = chroma.shape
    shots = jnp.int32(steady.shots)
    small = jax.vmap(partial(_shrunk_to, size=(height, width)))(gray)
    earlier, earlier_shots = _shifted(steady.before.luma, small), _shifted(steady.before.shot, shots)
    light = (small.mean((1, 2), keepdims=True) + DARK) / (earlier.mean((1, 2), keepdims=True) + DARK)
    flow, agrees = jax.vmap(_followed)(light * earlier, small)
    share = jnp.where((shots == earlier_shots)[:, None, None, None], steady.strength * agrees, 0)

    def carry(before: jax.Array, frame: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        fresh, light, flow, share = frame
        change = moved(light[..., None] * before, flow) - fresh
        around = window_mean(jnp.moveaxis(change, -1, 0))
        agrees = jnp.exp(-jnp.square(around / CHANGE).sum(axis=0))[..., None]
        kept = fresh + share * agrees * change
        return kept, kept

    last, kept = jax.lax.scan(carry, steady.before.chroma, (chroma, light, flow, share))
    return Before(small[-1], last, shots[-1]), kept


def _shrunk_to(gray: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Return luma [H, W] at another size; means of four are the cheapest way to it."""
    while gray.shape[0] >= 2 * size[0] and gray.shape[1] >= 2 * size[1]:
        gray = halved(gray)
    return resized(gray[..., None], size)[..., 0]


def _shifted(first: jax.Array, values: jax.Array) -> jax.Array:
    """Return of each frame the value of the one before it."""
    return jnp.concatenate([jnp.asarray(first)[None], values[:-1]])


def _followed(before: jax.Array, after: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the motion [h, w, 2] to a frame from the one before it, and how much the luma of both agrees, [h, w, 1]."""
    flow = motion(before, after)
    off = moved(before[..., None], flow) - after[..., None]
    return flow, jnp.exp(-jnp.square(off / TOLERANCE))
