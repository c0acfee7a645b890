"""A fade that is made of a clip: what becomes of its colours while the light goes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from studies.measures.film import SIZE, limited
from studies.measures.old import relative_saturation

from ae.report.markdown import Table, tabulate

LIGHTS = (1.0, 0.75, 0.5, 0.35, 0.25)  # what luma is multiplied with, from the first frame's to the last one's

Ratios = dict[str, list[float]]
"""Of each way of colouring, a ratio for each of LIGHTS."""


def clip_luma(path: Path, limit: int | None) -> np.ndarray:
    """Return the luma of a clip at 640x360: [T, H, W] in [0, 1]."""
    scaled = (frame.reformat(*SIZE[::-1], "gray", interpolation="AREA").to_ndarray() for frame in limited(path, limit))
    return np.stack(list(scaled)).astype(np.float32) / 255


def faded(gray: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return luma [T, H, W] whose light goes evenly, and the frames at which it is nearest to LIGHTS."""
    lights = np.linspace(LIGHTS[0], LIGHTS[-1], len(gray), dtype=np.float32)
    return lights[:, None, None] * gray, [int(np.abs(lights - light).argmin()) for light in LIGHTS]


def saturation_ratios(colorizer: Any, gray: np.ndarray, steady: float) -> Ratios:
    """Return relative saturation in a fade over that of the same frames in full light, coloured in the same way."""
    dark, places = faded(gray)

    def saturations(frames: np.ndarray, strength: float) -> list[float]:
        coloured = list(colorizer.stream(frames, steady=strength))
        return [relative_saturation(coloured[place], frames[place]) for place in places]

    return {
        name: [a / b for a, b in zip(saturations(dark, strength), saturations(gray, strength), strict=True)]
        for name, strength in {"each frame alone": 0.0, f"steady {steady:g}": steady}.items()
    }


def fade_table(clips: Sequence[Ratios]) -> Table:
    """Return the table of means over clips, a row for each light."""
    rows = [
        {"light": light} | {name: float(np.mean([clip[name][at] for clip in clips])) for name in clips[0]}
        for at, light in enumerate(LIGHTS)
    ]
    title = (
        f"Relative saturation of {len(clips)} clips while their light goes evenly, over that of the same frames in full "
        "light, coloured in the same way."
    )
    return tabulate(title, {"light": 2} | dict.fromkeys(clips[0], 2), rows)
