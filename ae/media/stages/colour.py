"""Stages that give the luma of a clip its colours. They keep hints that hold, and colours that are carried on."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae.color import Coding, luma, with_luma, ycbcr_to_rgb
from ae.restore.colorize import Colorizer
from ae.restore.footage import Kind
from ae.restore.frames import Planes, shown_frames
from ae.restore.hints import TimedHints
from ae.restore.resizing import sampled
from ae.restore.steady import Before, Steady, before_first
from ae.runtime import devices
from ae.runtime.chain import Array, Batch


class Named(NamedTuple):
    """Hints that hold at a frame."""

    origin: float  # time of the clip's first frame
    given: int  # how many hints have begun
    shot: int  # for which those that hold were given; -1: there are none
    cells: np.ndarray  # [h, w, 4]


class State(NamedTuple):
    """State after the frames so far."""

    named: Named | tuple[()]  # empty where there are no hints
    before: Before | tuple[()]  # empty where colours are not carried on


@dataclass(frozen=True)
class Chroma:
    """Adds `cb` and `cr` in the coding of the clip that is written, and `samples`.

    Where the batch has chroma, frames that are in colour keep it, and blank ones have none.
    """

    colorizer: Colorizer
    coding: Coding
    hints: tuple[TimedHints, ...] = ()  # by time
    steady: float = 0.0  # share of the colours of the frame before, where luma agrees
    subsampling: tuple[int, int] | None = None  # of the chroma that is read; None: as it is written

    def init(self, first: Batch) -> State:
        """Return the state before the first frame."""
        none = self.colorizer.clip_cells(None, np.asarray(first.luma[0]), self.coding)
        named = Named(float(first.times[0]), 0, -1, none) if self.hints else ()
        return State(named, devices.replicate(before_first(none.shape[:2])) if self.steady else ())

    def step(self, state: State, batch: Batch) -> tuple[State, Batch]:
        """Return the state after a batch, and the batch with the planes that `Colorizer.film_planes` computes."""
        named, cells = self._cells(state.named, batch)
        steady = Steady(state.before, batch.shots, self.steady) if isinstance(state.before, Before) else None
        before, planes = self.colorizer.film_planes(_seen(batch), self.coding, cells=cells, steady=steady)
        after = State(named, () if before is None else before)
        if len(batch.kinds):
            planes = _by_kind(planes, batch, self.coding, self.subsampling or self.coding.subsampling)
        return after, batch._replace(cb=planes.cb, cr=planes.cr, samples=planes.samples)

    def _cells(self, named: Named | tuple[()], batch: Batch) -> tuple[Named | tuple[()], np.ndarray | None]:
        """Return the hints that hold after a batch, and those of each of its frames, [B, h, w, 4]."""
        if not isinstance(named, Named):
            return named, None
        held = []
        for index in range(len(batch.valid)):
            named = self._at(named, batch, index)
            held.append(named.cells)
        return named, np.stack(held)

    def _at(self, state: Named, batch: Batch, index: int) -> Named:
        """Return the hints that hold at a frame of a batch."""
        time, shot = float(batch.times[index]) - state.origin, int(batch.shots[index])
        begun = sum(timed.start <= time + 1e-6 for timed in self.hints)
        if begun == state.given and state.shot in (shot, -1):
            return state
        hints = self.hints[begun - 1].hints if begun > state.given else None
        cells = self.colorizer.clip_cells(hints, np.asarray(batch.luma[index]), self.coding)
        return state._replace(given=begun, shot=-1 if hints is None else shot, cells=cells)


def _by_kind(planes: Planes, batch: Batch, coding: Coding, subsampling: tuple[int, int]) -> Planes:
    """Return the planes that frames have by their kind: those that were computed, their own, or none."""
    kinds = np.asarray(batch.kinds)
    if not kinds.any():
        return planes
    blank = jnp.full_like(planes.cb, 2 ** (coding.bits - 1))
    own = Planes(blank, blank, planes.samples)
    if batch.cb.size:
        size = planes.cb.shape[1:]
        own = own._replace(
            **{
                name: _resampled(jnp.asarray(getattr(batch, name)), subsampling, coding.subsampling, size)
                for name in ("cb", "cr")
            }
        )
    return _chosen(kinds, planes, own, blank, coding=coding)


def _resampled(plane: jax.Array, read: tuple[int, int], written: tuple[int, int], size: tuple[int, ...]) -> jax.Array:
    """Return chroma [B, h, w] in another layout: repeated, then the mean of what one value stands for."""
    if read == written:
        return plane
    for axis, (times, count) in enumerate(zip(read, size, strict=True), 1):
        plane = plane.repeat(times, axis)
        short = count * written[axis - 1] - plane.shape[axis]
        padding = [(0, max(0, short)) if at == axis else (0, 0) for at in range(3)]
        plane = jnp.pad(plane, padding, mode="edge")
        plane = jax.lax.slice_in_dim(plane, 0, count * written[axis - 1], axis=axis)
    batch, (rows, columns) = len(plane), written
    means = plane.astype(jnp.float32).reshape(batch, size[0], rows, size[1], columns).mean((2, 4))
    return jnp.round(means).astype(plane.dtype)


@partial(jax.jit, static_argnames="coding")
def _chosen(kinds: jax.Array, planes: Planes, own: Planes, blank: jax.Array, *, coding: Coding) -> Planes:
    """Return each frame's planes and samples by its kind."""

    def choose(computed: jax.Array, own: jax.Array, none: jax.Array) -> jax.Array:
        kind = kinds.reshape(-1, *[1] * (computed.ndim - 1))
        return jnp.where(kind == Kind.COLOUR, own, jnp.where(kind == Kind.BLANK, none, computed))

    gray = luma(planes.samples, coding.weights)
    chroma = jnp.stack([jax.vmap(sampled)(coding.chroma(plane)) for plane in (own.cb, own.cr)], axis=-1)
    shown = jnp.clip(ycbcr_to_rgb(gray, chroma, coding.weights), 0, 1)
    return Planes(
        choose(planes.cb, own.cb, blank),
        choose(planes.cr, own.cr, blank),
        choose(planes.samples, shown, jnp.broadcast_to(gray, shown.shape)),
    )


@dataclass(frozen=True)
class Rgb:
    """Adds `rgb`, upright as a player shows it: uint8, or uint16 for more than 8 bits.

    Where the batch has chroma, frames that are in colour keep it, and blank ones have none.
    """

    colorizer: Colorizer
    coding: Coding
    side_by_side: bool = False  # gray on the left
    steady: float = 0.0  # share of the colours of the frame before, where luma agrees

    def init(self, first: Batch) -> Before | tuple[()]:
        """Return the state before the first frame."""
        if not self.steady:
            return ()
        size = self._upright(first.luma[:1]).shape[1:]
        return devices.replicate(before_first(self.colorizer.film_size(*size)))

    def step(self, state: Before | tuple[()], batch: Batch) -> tuple[Before | tuple[()], Batch]:
        """Return the state after a batch, and the batch with `rgb`, [B, H, W, 3]."""
        seen = self._upright(_seen(batch))
        if not isinstance(state, Before):
            return state, batch._replace(rgb=self._shown(self.colorizer.frames(seen), batch))
        after, rgb = self.colorizer.steady_frames(seen, Steady(state, batch.shots, self.steady))
        return after or (), batch._replace(rgb=self._shown(rgb, batch))

    def _shown(self, rgb: jax.Array, batch: Batch) -> jax.Array:
        gray = self._upright(batch.luma)
        rgb = jnp.clip(with_luma(rgb, gray[..., None]) if batch.seen.size else rgb, 0, 1)
        rgb = self._by_kind(rgb, gray, batch) if batch.cb.size else rgb
        if self.side_by_side:
            rgb = jnp.concatenate([jnp.broadcast_to(gray[..., None], rgb.shape), rgb], axis=2)
        kind = jnp.uint8 if self.coding.bits == 8 else jnp.uint16
        return jnp.round(rgb * jnp.iinfo(kind).max).astype(kind)

    def _by_kind(self, rgb: jax.Array, gray: jax.Array, batch: Batch) -> jax.Array:
        """Return the RGB that frames have by their kind: what was computed, their own, or gray."""
        own = shown_frames(jnp.asarray(batch.luma), jnp.asarray(batch.cb), jnp.asarray(batch.cr), self.coding)
        own, kinds = jnp.rot90(own, self.coding.turns, axes=(1, 2)), jnp.reshape(batch.kinds, (-1, 1, 1, 1))
        return jnp.where(kinds == Kind.COLOUR, own, jnp.where(kinds == Kind.BLANK, gray[..., None], rgb))

    def _upright(self, codes: Array) -> jax.Array:
        return jnp.rot90(self.coding.luma(jnp.asarray(codes)), self.coding.turns, axes=(1, 2))


def _seen(batch: Batch) -> Array:
    """Return the luma by which colours are chosen."""
    return batch.seen if batch.seen.size else batch.luma
