"""Compiled functions that colour frames: chroma planes of clips, RGB of others."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae.color import BT601, Coding, ycbcr_to_rgb
from ae.config import Config
from ae.layers.conv import row_convolutions
from ae.restore.chroma import Colours, Look, colours_of, full_chroma, predict_chroma
from ae.restore.reference import Reference
from ae.restore.resizing import Rows, resized, sampled, shrunk, shrunk_fields
from ae.restore.steady import Before, Steady, steadied
from ae.runtime import devices
from ae.runtime.chain import Array


class Planes(NamedTuple):
    """Chroma of a clip's frames, and samples of the coloured frames."""

    cb: jax.Array  # [B, h, w], integers in the clip's coding
    cr: jax.Array  # [B, h, w]
    samples: jax.Array  # some of the frames' pixels at regular places, RGB [B, h', w', 3] in [0, 1]


def chroma_planes(
    config: Config,
    variables: Any,
    codes: Array,
    look: Look,
    cells: Array | None = None,
    steady: Steady | None = None,
    reference: Reference | None = None,
    *,
    working: tuple[int, int],
    coding: Coding,
) -> tuple[Before | None, Planes]:
    """Compute chroma of luma planes [B, H, W] of a clip, and samples of what is shown.

    `working`: height and width of upright frames. `cells`: hints [B, h, w, 4], as the frames are stored. `steady`: how
    colours are carried on from frame to frame; what is kept for the next frames comes first.
    """
    gray, small = _small_luma(codes, size=working[::-1] if coding.turns % 2 else working, coding=coding)
    predicted = partial(_small_chroma, weights=coding.weights, turns=coding.turns)
    chroma = predicted(config, variables, small, look, cells, reference)
    return _planes(gray, small, chroma, cells, steady, coding=coding)


# What a model computes is a program of its own, so that clips of one shape share it, whatever their size.


@partial(jax.jit, static_argnames=("size", "coding"))
def _small_luma(codes: jax.Array, *, size: tuple[int, int], coding: Coding) -> tuple[jax.Array, jax.Array]:
    """Return luma in [0, 1] of the planes' frames, as large as chroma [B, H, W], and at working size [B, h, w, 1]."""

    def seen(codes: jax.Array) -> tuple[jax.Array, jax.Array]:
        gray = coding.luma((shrunk_fields if coding.interlaced else shrunk)(codes, coding.subsampling))
        return gray, resized(gray[..., None], size)

    return jax.vmap(seen)(devices.split(codes))


@partial(jax.jit, static_argnames=("weights", "turns"))
def _small_chroma(
    config: Config,
    variables: Any,
    small: jax.Array,
    look: Look,
    cells: jax.Array | None,
    reference: Reference | None,
    *,
    weights: tuple[float, float, float] = BT601,
    turns: int = 0,
) -> jax.Array:
    """Return chroma [B, h, w, 2] of frames at working size [B, h, w, 1]."""

    def predicted(small: jax.Array, cells: jax.Array | None) -> jax.Array:
        predict = partial(predict_chroma, cells=cells, reference=reference, weights=weights, turns=turns)
        with row_convolutions():
            return predict(config, variables, small, look)

    return jax.vmap(predicted)(devices.split(small), None if cells is None else devices.split(cells))


@partial(jax.jit, static_argnames="coding")
def _planes(
    gray: jax.Array,
    small: jax.Array,
    chroma: jax.Array,
    cells: jax.Array | None,
    steady: Steady | None,
    *,
    coding: Coding,
) -> tuple[Before | None, Planes]:
    """Return what is kept for the next frames, and the planes of chroma [B, h, w, 2] at working size."""

    def shown(gray: jax.Array, small: jax.Array, chroma: jax.Array, cells: jax.Array | None) -> Planes:
        chroma = full_chroma(colours_of(chroma, small, weights=coding.weights, cells=cells), gray, coding.weights)
        cb, cr = coding.chroma_codes(chroma)
        samples = ycbcr_to_rgb(sampled(gray)[None], jax.vmap(sampled)(chroma), coding.weights, axis=0)
        return Planes(cb, cr, jnp.moveaxis(samples, 0, -1))

    before, chroma = (None, chroma) if steady is None else steadied(steady, chroma, gray)
    gray, small, chroma = devices.split((gray, small, chroma))
    return before, jax.vmap(shown)(gray, small, chroma, None if cells is None else devices.split(cells))


@partial(jax.jit, static_argnames="coding")
def shown_frames(codes: jax.Array, cb: jax.Array, cr: jax.Array, coding: Coding) -> jax.Array:
    """Return RGB [B, H, W, 3] in [0, 1] of luma [B, H, W] and chroma [B, h, w] as players show them: chroma is repeated."""
    chroma = jnp.stack([coding.chroma(plane) for plane in (cb, cr)], axis=-1)
    rows, columns = coding.subsampling
    full = chroma.repeat(rows, axis=1).repeat(columns, axis=2)[:, : codes.shape[1], : codes.shape[2]]
    return jnp.clip(ycbcr_to_rgb(coding.luma(codes)[..., None], full, coding.weights), 0, 1)


def rgb_frames(
    config: Config,
    variables: Any,
    gray: Array,
    look: Look,
    reference: Reference | None = None,
    steady: Steady | None = None,
    *,
    working: tuple[int, int],
) -> tuple[Before | None, jax.Array]:
    """Return what is kept for the next frames, and RGB [B, H, W, 3] in [0, 1] for luma [B, H, W] in [0, 1].

    `steady`: how colours are carried on from frame to frame.
    """
    small = _smaller(gray, size=working)
    return _rgb(gray, small, _small_chroma(config, variables, small, look, None, reference), steady)


@partial(jax.jit, static_argnames="size")
def _smaller(gray: jax.Array, *, size: tuple[int, int]) -> jax.Array:
    return jax.vmap(lambda gray: resized(gray[..., None], size))(devices.split(gray))


@jax.jit
def _rgb(
    gray: jax.Array, small: jax.Array, chroma: jax.Array, steady: Steady | None
) -> tuple[Before | None, jax.Array]:
    before, chroma = (None, chroma) if steady is None else steadied(steady, chroma, gray)
    frames = devices.split((chroma, small, gray))
    return before, jax.vmap(lambda chroma, small, gray: rgb_of(colours_of(chroma, small), gray))(*frames)


@jax.jit
def rgb_of(colours: Colours, gray: jax.Array, rows: Rows | None = None) -> jax.Array:
    """Return RGB [H, W, 3] in [0, 1] for luma [H, W] of a frame, or of some of its rows (see `full_chroma`)."""
    planes = ycbcr_to_rgb(gray[None], full_chroma(colours, gray, rows=rows), axis=0)
    return jnp.moveaxis(jnp.clip(planes, 0, 1), 0, -1)
