"""What colours at points are worth: given to a model, and spread over gray without one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from studies.measures.recolour import luma_of, psnr

from ae.report.markdown import Table, tabulate

COUNTS = (5, 20, 100)  # of hints
PATCH = 3  # pixels to each side of a place whose mean chroma is the hint
SHARPNESS = 0.6  # of weights, as in the authors' program; the paper writes 2, which lets colour leak through edges
FLAT = 1e-5  # variance of luma below which a window counts as flat


def outputs(colorizer: Any, truth: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return what each method makes of a photograph's luma and of hints: RGB [H, W, 3] by name."""
    gray = luma_of(truth)
    places = np.stack([rng.integers(0, size, max(COUNTS)) for size in gray.shape], axis=1)
    made = {"gray": np.broadcast_to(gray[..., None], truth.shape), "automatic": colorizer.image(gray)}
    for count in COUNTS:
        named = hints_of(truth, places[:count])
        made[f"spread without a model, {count}"] = spread_over(gray, named)
        made[f"the model, {count}"] = colorizer.image(gray, hints=named)
    return made


def hints_of(truth: np.ndarray, places: np.ndarray) -> Any:
    """Return hints of a photograph [H, W, 3]: at each place the mean chroma of the pixels around it."""
    import jax.numpy as jnp

    from ae.color import rgb_to_chroma
    from ae.restore.hints import Hints

    height, width, _ = truth.shape
    chroma = np.asarray(rgb_to_chroma(jnp.asarray(truth)))
    found: list[tuple[np.ndarray, ...]] = []
    for row, column in places:
        top, left = max(0, row - PATCH), max(0, column - PATCH)
        part = np.s_[top : min(height, row + PATCH + 1), left : min(width, column + PATCH + 1)]
        rows, columns = (at.ravel() for at in np.mgrid[part])
        found.append((rows, columns, np.broadcast_to(chroma[part].mean((0, 1)), (len(rows), 2))))
    rows, columns, colours = (np.concatenate(values) for values in zip(*found, strict=True))
    return Hints(rows, columns, colours, (height, width))


def spread_over(gray: np.ndarray, hints: Any) -> np.ndarray:
    """Return RGB [H, W, 3] of luma [H, W] whose chroma is that of the hints, and elsewhere as smooth as luma is.

    From Levin, Lischinski and Weiss, "Colorization using optimization" (2004): chroma is the mean of the eight neighbours',
    weighted by how like their luma is.
    """
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.linalg import splu

    from ae.color import into_gamut, ycbcr_to_rgb

    known = np.zeros(gray.shape, bool)
    known[hints.rows, hints.columns] = True
    wanted = np.zeros((*gray.shape, 2))
    wanted[hints.rows, hints.columns] = hints.chroma
    rows, columns, weights = affinities(gray)
    free = ~known.ravel()[rows]
    means = csc_array((weights[free], (rows[free], columns[free])), shape=(gray.size, gray.size))
    chroma = splu(csc_array(eye_array(gray.size) - means)).solve(wanted.reshape(-1, 2))
    luma, planes = gray[..., None], np.float32(chroma).reshape(*gray.shape, 2)
    return np.asarray(ycbcr_to_rgb(luma, into_gamut(luma, planes)))


def affinities(gray: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (pixel, neighbour, weight) of all pairs of pixels next to each other in luma [H, W]; a pixel's sum up to 1."""
    numbers = np.arange(gray.size).reshape(gray.shape)
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    padded, indices = np.pad(gray.astype(float), 1, mode="reflect"), np.pad(numbers, 1, constant_values=-1)
    height, width = gray.shape

    def moved(values: np.ndarray) -> np.ndarray:
        return np.stack([values[1 + down :, 1 + right :][:height, :width] for down, right in moves])

    around, there = moved(padded), moved(indices) >= 0
    variance = np.maximum(np.concatenate([around, gray[None]]).var(axis=0), FLAT)
    weights = np.exp(-np.square(around - gray) / (SHARPNESS * variance)) * there
    weights /= weights.sum(axis=0)
    return np.broadcast_to(numbers, there.shape)[there], moved(indices)[there], weights[there]


def hints_table(name: str, errors: dict[str, Sequence[float]]) -> Table:
    """Return the table of methods: mean of the photographs' PSNR, and how much better than without hints."""
    automatic = psnr(np.array(errors["automatic"])).mean()
    rows = []
    for method, values in errors.items():
        mean = float(psnr(np.array(values)).mean())
        what, _, count = method.partition(", ")
        rows.append({"method": what, "hints": count or "0", "mean of PSNR": mean, "over automatic": mean - automatic})
    title = f"{len(errors['gray'])} photographs of {name}, coloured from their luma and hints. PSNR in dB."
    return tabulate(title, {"method": None, "hints": None, "mean of PSNR": 2, "over automatic": 2}, rows)
