"""Compiled functions that colour frames: chroma planes of clips, RGB of others."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae.color import Coding, ycbcr_to_rgb
from ae.config import Config
from ae.restore.chroma import Colours, Look, colours_of, full_chroma, predict_chroma
from ae.restore.reference import Reference
from ae.restore.resizing import Rows, resized, sampled, shrunk, shrunk_fields
from ae.restore.steady import Before, Steady, steadied
from ae.runtime import devices


class Planes(NamedTuple):
    """Chroma of a clip's frames, and samples of the coloured frames."""

    cb: jax.Array  # [B, h, w], integers in the clip's coding
    cr: jax.Array  # [B, h, w]
    samples: jax.Array  # some of the frames' pixels at regular places, RGB [B, h', w', 3] in [0, 1]


@partial(jax.jit, static_argnames=("working", "coding"))
def chroma_planes(
    config: Config,
    variables: Any,
    codes: jax.Array,
    look: Look,
    cells: jax.Array | None = None,
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
    size = working[::-1] if coding.turns % 2 else working

    def seen(codes: jax.Array, cells: jax.Array | None) -> tuple[jax.Array, jax.Array, jax.Array]:
        shrink = shrunk_fields if coding.interlaced else shrunk
        gray = coding.luma(shrink(codes, coding.subsampling))
        small = resized(gray[..., None], size)
        predict = partial(predict_chroma, weights=coding.weights, turns=coding.turns, cells=cells, reference=reference)
        return gray, small, predict(config, variables, small, look)

    def shown(gray: jax.Array, small: jax.Array, chroma: jax.Array, cells: jax.Array | None) -> Planes:
        chroma = full_chroma(colours_of(chroma, small, weights=coding.weights, cells=cells), gray, coding.weights)
        cb, cr = coding.chroma_codes(chroma)
        samples = ycbcr_to_rgb(sampled(gray)[None], jax.vmap(sampled)(chroma), coding.weights, axis=0)
        return Planes(cb, cr, jnp.moveaxis(samples, 0, -1))

    cells = None if cells is None else devices.split(cells)
    gray, small, chroma = jax.vmap(seen)(devices.split(codes), cells)
    before = None
    if steady is not None:
        before, chroma = steadied(steady, chroma, gray)
    return before, jax.vmap(shown)(gray, small, chroma, cells)


@partial(jax.jit, static_argnames="coding")
def shown_frames(codes: jax.Array, cb: jax.Array, cr: jax.Array, coding: Coding) -> jax.Array:
    """Return RGB [B, H, W, 3] in [0, 1] of luma [B, H, W] and chroma [B, h, w] as players show them: chroma is repeated."""
    chroma = jnp.stack([coding.chroma(plane) for plane in (cb, cr)], axis=-1)
    rows, columns = coding.subsampling
    full = chroma.repeat(rows, axis=1).repeat(columns, axis=2)[:, : codes.shape[1], : codes.shape[2]]
    return jnp.clip(ycbcr_to_rgb(coding.luma(codes)[..., None], full, coding.weights), 0, 1)


@partial(jax.jit, static_argnames="working")
def rgb_frames(
    config: Config,
    variables: Any,
    gray: jax.Array,
    look: Look,
    reference: Reference | None = None,
    steady: Steady | None = None,
    *,
    working: tuple[int, int],
) -> tuple[Before | None, jax.Array]:
    """Return what is kept for the next frames, and RGB [B, H, W, 3] in [0, 1] for luma [B, H, W] in [0, 1].

    `steady`: how colours are carried on from frame to frame.
    """

    def seen(gray: jax.Array) -> tuple[jax.Array, jax.Array]:
        small = resized(gray[..., None], working)
        return small, predict_chroma(config, variables, small, look, reference=reference)

    gray = devices.split(gray)
    small, chroma = jax.vmap(seen)(gray)
    before = None
    if steady is not None:
        before, chroma = steadied(steady, chroma, gray)
    return before, jax.vmap(lambda *frame: rgb_of(colours_of(*frame[:2]), frame[2]))(chroma, small, gray)


@jax.jit
def rgb_of(colours: Colours, gray: jax.Array, rows: Rows | None = None) -> jax.Array:
    """Return RGB [H, W, 3] in [0, 1] for luma [H, W] of a frame, or of some of its rows (see `full_chroma`)."""
    planes = ycbcr_to_rgb(gray[None], full_chroma(colours, gray, rows=rows), axis=0)
    return jnp.moveaxis(jnp.clip(planes, 0, 1), 0, -1)
