"""Flicker and colourfulness of a clip while it goes by: the metrics of `ae.metrics` and `ae.color` as running sums."""

import jax
import numpy as np

from ae import metrics
from ae.color import colourfulness

_histograms, _divergence = jax.jit(metrics.histograms), jax.jit(metrics.divergence)
_flicker_sums, _colourfulness = jax.jit(metrics.flicker_sums), jax.jit(colourfulness)


class ClipStatistics:
    """Sums over frames that are given one by one; memory does not grow with their number."""

    def __init__(self) -> None:
        self._colour = (0.0, 0.0)  # sum and number
        self._flicker = (0.0, 0.0)
        self._divergences = dict.fromkeys(metrics.CDC_STEPS, (0.0, 0.0))
        self._shares: list[np.ndarray] = []  # histograms of the last frames
        self._before: np.ndarray | None = None

    def add(self, frame: np.ndarray) -> None:
        """Takes the next frame, RGB [H, W, 3] in [0, 1]."""
        shares = np.asarray(_histograms(frame[None])[0])
        for step, sums in self._divergences.items():
            if len(self._shares) >= step:
                self._divergences[step] = _added(sums, _divergence(self._shares[-step], shares).mean(), 1)
        if self._before is not None:
            changes, weights = _flicker_sums(self._before[None], frame[None])
            self._flicker = _added(self._flicker, changes[0], weights[0])
        self._colour = _added(self._colour, _colourfulness(frame), 1)
        self._shares, self._before = [*self._shares, shares][-max(metrics.CDC_STEPS) :], frame

    @property
    def colourfulness(self) -> float:
        """Mean over the frames; see `ae.color.colourfulness`."""
        return _mean(self._colour)

    @property
    def cdc(self) -> float:
        """See `ae.metrics.cdc`; nan for fewer than five frames."""
        return float(np.mean([_mean(sums) for sums in self._divergences.values()]))

    @property
    def chroma_flicker(self) -> float:
        """See `ae.metrics.chroma_flicker`."""
        changes, weights = self._flicker
        return changes / max(weights, 1e-6)


def _added(sums: tuple[float, float], value: jax.Array, number: jax.Array | int) -> tuple[float, float]:
    return sums[0] + float(value), sums[1] + float(number)


def _mean(sums: tuple[float, float]) -> float:
    return sums[0] / sums[1] if sums[1] else float("nan")
