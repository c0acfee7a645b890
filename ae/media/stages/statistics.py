"""Flicker and colourfulness of a clip while it goes by: the metrics of `ae.metrics` and `ae.color` as running sums."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae import metrics
from ae.color import colourfulness
from ae.runtime import devices
from ae.runtime.chain import Array, Batch

REACH = max(metrics.CDC_STEPS)  # frames that are looked back to


class Sums(NamedTuple):
    """Sums over the frames so far."""

    colourfulness: Array
    changes: Array  # of chroma, weighted (see `ae.metrics.flicker_sums`)
    weights: Array
    divergences: Array  # [3], of frames so many of `CDC_STEPS` apart


class State(NamedTuple):
    """State of the statistics after the frames so far."""

    frames: Array  # their number
    sums: Sums
    lost: Sums  # what rounding has taken from the sums so far, or added to them (Kahan, 1965)
    histograms: Array  # [REACH, 3, 256] of the last frames
    last: Array  # RGB [h, w, 3]


class ClipStatistics(NamedTuple):
    """Colourfulness and steadiness of a whole clip."""

    colourfulness: float  # mean over the frames; see `ae.color.colourfulness`
    cdc: float  # see `ae.metrics.cdc`; nan for fewer than five frames
    chroma_flicker: float  # see `ae.metrics.chroma_flicker`

    @property
    def summary(self) -> str:
        """Return all of it in a line."""
        return (
            f"colourfulness {self.colourfulness:.1f}, colour distribution consistency (CDC) {self.cdc:.4f}, "
            f"chroma flicker {self.chroma_flicker:.2f} of 255"
        )


@dataclass(frozen=True)
class Statistics:
    """Adds up what `samples` tell: one dispatch a batch, and nothing is read before `clip_statistics` is."""

    def init(self, first: Batch) -> State:
        """Return the state before the first frame."""
        zeros = Sums(*(jnp.zeros(shape) for shape in ((), (), (), (len(metrics.CDC_STEPS),))))
        histograms, last = jnp.zeros((REACH, 3, 256)), jnp.zeros(first.samples.shape[1:])
        return devices.replicate(State(jnp.int32(0), zeros, zeros, histograms, last))

    def step(self, state: State, batch: Batch) -> tuple[State, Batch]:
        """Return the state after a batch, which stays as it is."""
        return _added(state, batch.samples, batch.valid), batch


@jax.jit
def _added(state: State, samples: jax.Array, valid: jax.Array) -> State:
    """Return the state after samples [B, h, w, 3], of which those count that are valid [B], the first ones."""
    number = state.frames + jnp.arange(len(samples))  # of frames before each
    before = jnp.concatenate([state.last[None], samples])
    shares = jnp.concatenate([state.histograms, metrics.histograms(samples)])
    changes, weights = metrics.flicker_sums(before[:-1], samples)
    divergences = [
        _sum(metrics.divergence(shares[REACH - apart : -apart], shares[REACH:]).mean(-1), valid & (number >= apart))
        for apart in metrics.CDC_STEPS
    ]
    pairs = valid & (number > 0)
    sums = Sums(_sum(colourfulness(samples), valid), _sum(changes, pairs), _sum(weights, pairs), jnp.stack(divergences))
    count = valid.sum(dtype=jnp.int32)
    total, lost = _compensated(state.sums, state.lost, sums)
    last = jax.lax.dynamic_index_in_dim(before, count, keepdims=False)
    return State(state.frames + count, total, lost, jax.lax.dynamic_slice_in_dim(shares, count, REACH), last)


def _sum(values: jax.Array, counted: jax.Array) -> jax.Array:
    return jnp.where(counted, values, 0).sum()


def _compensated(sums: Sums, lost: Sums, new: Sums) -> tuple[Sums, Sums]:
    """Return the sums with what is new, and what is lost: float32 alone loses digits over the frames of a film."""
    new = jax.tree.map(jnp.subtract, new, lost)
    total = jax.tree.map(jnp.add, sums, new)
    return total, jax.tree.map(lambda after, before, value: (after - before) - value, total, sums, new)


def clip_statistics(state: State) -> ClipStatistics:
    """Return the statistics of a clip, of the state after its last frame."""
    frames, sums = jax.device_get((state.frames, state.sums))
    pairs = [max(0, int(frames) - apart) for apart in metrics.CDC_STEPS]
    divergences = [_mean(total, number) for total, number in zip(sums.divergences, pairs, strict=True)]
    return ClipStatistics(
        _mean(sums.colourfulness, int(frames)),
        float(np.mean(divergences)),
        float(sums.changes) / max(float(sums.weights), 1e-6),
    )


def _mean(total: Array, number: int) -> float:
    return float(total) / number if number else float("nan")
