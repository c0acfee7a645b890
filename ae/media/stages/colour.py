"""Stages that give the luma of a clip its colours. They keep nothing from batch to batch."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ae.color import Coding, with_luma
from ae.restore.colorize import Colorizer
from ae.runtime.chain import Array, Batch


@dataclass(frozen=True)
class Chroma:
    """Adds `cb` and `cr` in the coding of the clip that is written, and `samples`."""

    colorizer: Colorizer
    coding: Coding

    def init(self, first: Batch) -> tuple[()]:
        """Return no state."""
        return ()

    def step(self, state: tuple[()], batch: Batch) -> tuple[tuple[()], Batch]:
        """Return the batch with the planes that `Colorizer.planes` computes."""
        planes = self.colorizer.planes(_seen(batch), self.coding)
        return state, batch._replace(cb=planes.cb, cr=planes.cr, samples=planes.samples)


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
