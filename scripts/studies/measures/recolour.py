"""Photographs coloured anew from their luma: how near to the truth, and how colourful."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ae.report.markdown import Table, tabulate

MOST_PSNR = 50.0  # dB of a photograph: whether gray ones stay gray to the last digit should not decide
MULTIPLIED = ("factor", "mse, multiplied")  # scores of a method whose chroma is multiplied
WAYS = ("NEAREST", "BOX", "BILINEAR", "BICUBIC", "LANCZOS")  # of Pillow
COLOURFUL = 21.0  # at which colorizers are compared as well: as DeOldify's published results are


def score(name: str, method: Callable[[np.ndarray], np.ndarray], files: Sequence[np.ndarray]) -> dict[str, Any]:
    """Return the scores of a method: of each photograph, and of its chroma multiplied until it is as colourful as asked."""
    from ae.runtime import progress

    rows: list[dict[str, float]] = []
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    with progress.bar(name, len(files)) as bar:
        for photograph in files:
            truth = np.float32(photograph) / 255
            output = np.clip(np.float32(method(truth)), 0, 1)
            rows.append(compared(output, truth))
            pairs.append((output, truth))
            bar.update()
    scores: dict[str, Any] = {key: [row[key] for row in rows] for key in rows[0]}
    factor = factor_for(COLOURFUL, [output for output, _ in pairs])
    if factor is not None:
        scores["factor"] = factor
        scores["mse, multiplied"] = [
            float(np.square(multiplied(output, factor) - truth).mean()) for output, truth in pairs
        ]
    return scores


def compared(output: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return squared error, that of gray, CIEDE2000 and colourfulness of a photograph in colour, [H, W, 3] twice."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    from ae.color import colourfulness

    return {
        "mse": float(np.square(output - truth).mean()),
        "mse of gray": float(np.square(luma_of(truth)[..., None] - truth).mean()),
        "CIEDE2000": float(deltaE_ciede2000(rgb2lab(output), rgb2lab(truth)).mean()),
        "colourfulness": float(colourfulness(output)),
    }


def factor_for(wanted: float, outputs: Sequence[np.ndarray]) -> float | None:
    """Return by what chroma has to be multiplied for a mean colourfulness; None where no factor up to 16 gives it."""
    from ae.color import colourfulness

    low, high = 0.0, 16.0
    if np.mean([colourfulness(multiplied(output, high)) for output in outputs]) < wanted:
        return None
    for _ in range(12):
        middle = (low + high) / 2
        found = np.mean([colourfulness(multiplied(output, middle)) for output in outputs])
        low, high = (middle, high) if found < wanted else (low, middle)
    return high


def multiplied(image: np.ndarray, factor: float) -> np.ndarray:
    """Return an image with its chroma multiplied, as far as the range allows."""
    import jax

    from ae.color import saturated

    return np.asarray(jax.jit(saturated)(image, factor))


def recolour_table(name: str, scores: dict[str, dict[str, Any]]) -> Table:
    """Return the table of scores by method."""
    from ae.score.benchmarks import published_colour

    rows = [{"method": method, **means(values)} for method, values in scores.items()]
    rows += [
        {"method": f"{row['method']}, on others", "mean of PSNR": row["psnr"], "colourfulness": row["colourfulness"]}
        for row in published_colour()["rows"]
    ]
    count = len(next(iter(scores.values()))["mse"])
    title = (
        f"{count} photographs of {name}, coloured from their luma (BT.601). PSNR in dB: of the mean error of all, and the "
        f"mean of that of each, at most {MOST_PSNR:g}; the last two with chroma multiplied until colourfulness is "
        f'{COLOURFUL:g}. Outputs are cut to the range, not rounded. Rows "on others" are published, of other photographs.'
    )
    digits = {
        "method": None, "PSNR of the mean": 2, "mean of PSNR": 2, "better than gray, %": 1, "CIEDE2000": 2,
        "colourfulness": 1, f"PSNR of the mean at {COLOURFUL:g}": 2, f"mean of PSNR at {COLOURFUL:g}": 2,
    }  # fmt: skip
    return tabulate(title, digits, rows)


def means(scores: dict[str, Any]) -> dict[str, float]:
    """Return the cells of a method's row."""
    mse, gray = np.array(scores["mse"]), np.array(scores["mse of gray"])
    cells = {
        "PSNR of the mean": psnr(mse.mean()),
        "mean of PSNR": psnr(mse).mean(),
        "better than gray, %": 100 * (psnr(mse) > psnr(gray)).mean(),
        "CIEDE2000": np.mean(scores["CIEDE2000"]),
        "colourfulness": np.mean(scores["colourfulness"]),
    }
    if "factor" in scores:
        changed = np.array(scores["mse, multiplied"])
        cells[f"PSNR of the mean at {COLOURFUL:g}"] = psnr(changed.mean())
        cells[f"mean of PSNR at {COLOURFUL:g}"] = psnr(changed).mean()
    return {name: float(value) for name, value in cells.items()}


def psnr(mse: np.ndarray) -> np.ndarray:
    """Return the PSNR of squared errors in dB, peak 1, at most MOST_PSNR."""
    return np.minimum(-10 * np.log10(np.maximum(mse, 1e-12)), MOST_PSNR)


def luma_of(rgb: np.ndarray) -> np.ndarray:
    """Return the luma [H, W] of RGB [H, W, 3]."""
    from ae.color import luma

    return np.asarray(luma(rgb))[..., 0]


def coloured(colorizer: Any, truth: np.ndarray) -> np.ndarray:
    """Return a photograph [H, W, 3] as a colorizer makes it from its luma."""
    return colorizer.image(luma_of(truth))


def seen_otherwise(colorizer: Any) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return methods that colorize with a small copy made by each of Pillow's ways of resizing, by name."""
    from PIL import Image

    def method(truth: np.ndarray, way: Any) -> np.ndarray:
        return colorizer.image(luma_of(truth), shrink=partial(weights_of, way))

    name = colorizer.trained.config.name
    return {
        f"{name}, seen by {way.name.lower()}": partial(method, way=way)
        for way in (getattr(Image.Resampling, name) for name in WAYS)
    }


def weights_of(way: Any, source: int, target: int) -> np.ndarray:
    """Return the weights [target, source] by which a way of Pillow's makes a line of pixels small."""
    from PIL import Image

    lines = Image.fromarray(np.eye(source, dtype=np.float32))
    return np.asarray(lines.resize((source, target), way))


def level_means(train: Any) -> Any:
    """Return the mean colour of each gray level in a split of training images."""
    from ae.score.baselines import fit_means_of_levels
    from ae.tasks import Colorize

    return fit_means_of_levels(Colorize(), train)


def mean_of_level(levels: Any, truth: np.ndarray) -> np.ndarray:
    """Return a photograph [H, W, 3] whose pixels have the mean colour of their gray level, and keep their luma."""
    from ae.color import into_gamut, rgb_to_chroma, ycbcr_to_rgb
    from ae.score import baselines

    gray = luma_of(truth)[..., None]
    chroma = rgb_to_chroma(baselines.mean_of_level(levels, gray[None])[0])
    return np.asarray(ycbcr_to_rgb(gray, into_gamut(gray, chroma)))


def with_mean_chroma(truth: np.ndarray) -> np.ndarray:
    """Return a photograph's luma with its mean chroma everywhere."""
    gray = luma_of(truth)[..., None]
    return gray + (truth - gray).mean(axis=(0, 1))
