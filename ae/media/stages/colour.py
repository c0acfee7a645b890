"""Stages that give the luma of a clip its colours. They keep hints that hold, and colours that are carried on."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae.color import Coding, with_luma
from ae.restore.colorize import Colorizer
from ae.restore.hints import TimedHints
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
    """Adds `cb` and `cr` in the coding of the clip that is written, and `samples`."""

    colorizer: Colorizer
    coding: Coding
    hints: tuple[TimedHints, ...] = ()  # by time
    steady: float = 0.0  # share of the colours of the frame before, where luma agrees

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


@dataclass(frozen=True)
class Rgb:
    """Adds `rgb`, upright as a player shows it: uint8, or uint16 for more than 8 bits."""

    colorizer: Colorizer
    coding: Coding
    side_by_side: bool = False  # gray on the left

    def init(self, first: Batch) -> tuple[()]:
        """Return no state."""
        return ()

    def step(self, state: tuple[()], batch: Batch) -> tuple[tuple[()], Batch]:
        """Return the batch with `rgb`, [B, H, W, 3]."""
        return state, batch._replace(rgb=self._shown(batch))

    def _shown(self, batch: Batch) -> jax.Array:
        gray, seen = (self._upright(codes) for codes in (batch.luma, _seen(batch)))
        rgb = self.colorizer.frames(seen)
        rgb = jnp.clip(with_luma(rgb, gray[..., None]) if batch.seen.size else rgb, 0, 1)
        if self.side_by_side:
            rgb = jnp.concatenate([jnp.broadcast_to(gray[..., None], rgb.shape), rgb], axis=2)
        kind = jnp.uint8 if self.coding.bits == 8 else jnp.uint16
        return jnp.round(rgb * jnp.iinfo(kind).max).astype(kind)

    def _upright(self, codes: Array) -> jax.Array:
        return jnp.rot90(self.coding.luma(jnp.asarray(codes)), self.coding.turns, axes=(1, 2))


def _seen(batch: Batch) -> Array:
    """Return the luma by which colours are chosen."""
    return batch.seen if batch.seen.size else batch.luma
