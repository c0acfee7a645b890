"""Photographs as old material has them: dark, grainy, blurred, coded by JPEG. What becomes of their colours."""

from collections.abc import Callable
from typing import Any

import numpy as np
from studies.measures.recolour import luma_of, psnr

from ae.report.markdown import Table, tabulate

EXPOSURES = (1.0, 0.5, 0.35, 0.25)
GRAIN = 10 / 255  # standard deviation
BLUR = 1.0  # of a Gaussian, in pixels
QUALITY = 50  # of JPEG


def degradations(rng: np.random.Generator) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return what is done to luma [H, W], by name."""
    dark = {f"luma x {exposure:g}": lambda gray, by=exposure: by * gray for exposure in EXPOSURES}
    return dark | {
        "grain of 10 of 255": lambda gray: np.clip(gray + rng.normal(0, GRAIN, gray.shape), 0, 1).astype(np.float32),
        "blur of 1 pixel": blurred,
        "JPEG of quality 50": coded,
    }


def blurred(gray: np.ndarray) -> np.ndarray:
    """Return luma blurred by a Gaussian."""
    from skimage.filters import gaussian

    return gaussian(gray, BLUR).astype(np.float32)


def coded(gray: np.ndarray) -> np.ndarray:
    """Return luma as it comes back from JPEG."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.uint8(np.round(255 * gray))).save(file, "JPEG", quality=QUALITY)
    return np.float32(Image.open(file)) / 255


def scored(colorizer: Any, truth: np.ndarray, gray: np.ndarray) -> tuple[float, float]:
    """Return relative saturation, and the squared error of the true luma with the chroma that is answered to another."""
    from ae.color import with_luma

    rgb = colorizer.image(gray)
    output = np.clip(np.asarray(with_luma(rgb, luma_of(truth)[..., None])), 0, 1)
    return relative_saturation(rgb, gray), float(np.square(output - truth).mean())


def relative_saturation(rgb: np.ndarray, gray: np.ndarray) -> float:
    """Return the mean length of chroma of RGB [H, W, 3] over the mean of its luma [H, W]."""
    from ae.color import rgb_to_chroma

    strength = np.linalg.norm(np.asarray(rgb_to_chroma(rgb)), axis=-1)
    return float(strength.mean() / max(float(gray.mean()), 1e-6))


def old_table(name: str, scores: dict[str, list[tuple[float, float]]]) -> Table:
    """Return the table of saturation and PSNR by what was done to luma."""
    rows = []
    for what, values in scores.items():
        saturation, mse = np.array(values).T
        psnrs = (float(psnr(mse.mean())), float(psnr(mse).mean()))
        rows.append({"luma": what, "saturation": float(saturation.mean()), **dict(zip(COLUMNS, psnrs, strict=True))})
    for row in rows:
        row["of the first"] = row["saturation"] / rows[0]["saturation"]
    title = f"{len(next(iter(scores.values())))} photographs of {name}, coloured from darker and from degraded luma."
    digits = {"luma": None, "saturation": 4, "of the first": 2, **dict.fromkeys(COLUMNS, 2)}
    return tabulate(title, digits, rows)


COLUMNS = ("PSNR of the mean", "mean of PSNR")
