"""Steady colours of a film: those of the frame before, moved along with what they are on, are mixed with fresh ones.

A model answers to each frame alone, and a little noise is enough for another answer. Where a frame's luma is that of the
frame before, moved, its colour is too. In a fade, luma and chroma have the same light.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae.restore.motion import motion, moved, window_mean
from ae.restore.resizing import resized

FINER = 2  # times as many rows and columns as chroma has, of the luma that motion is found in
TOLERANCE = 0.03  # difference of luma at which what was moved counts e times less
CHANGE = 0.025  # the same for chroma: a model that has changed its mind is followed, and what was moved wrongly fades
DARK = (
    0.01  # mean luma below which frames are hardly taken for lighter or darker than the one before: fades end in noise
)
STRENGTH = 0.95  # that `scripts/study.py film` chose


class Before(NamedTuple):
    """What is kept of the frame before."""

    fine: Any  # luma [FINER * h, FINER * w], in which motion is found
    chroma: Any  # [h, w, 2], steady
    shot: Any  # that it was in; -1: there was no frame


class Steady(NamedTuple):
    """How colours are carried on from frame to frame."""

    before: Before
    shots: Any  # of each frame the number of its shot, [B]
    strength: float | jax.Array  # share of the colours of the frame before where both agree, from 0 to 1


def finer(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which motion is found, of that of chroma."""
    return FINER * size[0], FINER * size[1]


def before_first(size: tuple[int, int]) -> Before:
    """Return what is kept before the first frame; `size`: that of chroma."""
    return Before(jnp.zeros(finer(size)), jnp.zeros((*size, 2)), jnp.int32(-1))


def steadied(steady: Steady, chroma: jax.Array, gray: jax.Array) -> tuple[Before, jax.Array]:
    """Return what is kept of the last of some frames, and the steady chroma of all: [B, h, w, 2].

    `chroma`: as a model answers, [B, h, w, 2]. `gray`: luma [B, H, W] of the frames.
    """
    _, height, width, _ = chroma.shape
    size = height, width
    fine = jax.vmap(lambda gray: resized(gray[..., None], finer(size))[..., 0])(gray)

    def follow(before: Before, frame: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[Before, jax.Array]:
        fresh, fine, shot = frame
        light = (fine.mean() + DARK) / (before.fine.mean() + DARK)
        lit = light * before.fine
        flow = motion(lit, fine)
        off = moved(lit[..., None], flow)[..., 0] - fine
        agrees = resized(jnp.exp(-jnp.square(off / TOLERANCE))[..., None], size)
        change = moved(light * before.chroma, resized(flow, size) / FINER) - fresh
        agrees *= jnp.exp(-jnp.square(window_mean(change) / CHANGE).sum(axis=-1, keepdims=True))
        kept = fresh + jnp.where(shot == before.shot, steady.strength * agrees, 0) * change
        return Before(fine, kept, shot), kept

    return jax.lax.scan(follow, steady.before, (chroma, fine, jnp.int32(steady.shots)))
