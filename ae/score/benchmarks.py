"""Benchmarks of denoising: their images, which scripts/prepare.py prepares, and the figures that papers report on them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ae.color import luma
from ae.data.sets import BENCHMARKS, REAL_NOISE
from ae.errors import InputError
from ae.media.images import read_image
from ae.restore.denoise import noise_level
from ae.score.images import Pair, add_noise, in_8_bits

PUBLISHED = Path(__file__).with_name("published.json")


def clean_files(name: str, root: Path) -> list[Path]:
    """Return the files of a benchmark's clean images in `root/name`.

    Raises InputError for unknown benchmarks, and for one that is not prepared.
    """
    if name not in BENCHMARKS:
        raise InputError(f"unknown benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    files = sorted((root / name).glob("*_mean.*" if name in REAL_NOISE else "*.*"))
    if not files:
        raise InputError(f"{root / name} has no images: `python scripts/prepare.py {name} --data-dir {root}` makes it")
    return files


def made_pairs(files: Sequence[Path], sigma: float, *, gray: bool) -> Iterator[Pair]:
    """Yield each image with Gaussian noise of standard deviation `sigma`, for pixels in [0, 1]; `gray`: its luma."""
    for index, file in enumerate(files):
        yield add_noise(_read(file, gray), sigma, index)


def real_pairs(files: Sequence[Path], *, gray: bool) -> Iterator[Pair]:
    """Yield each photograph with its real noise, whose standard deviation is estimated from it; `gray`: its luma.

    `files`: NAME_mean.EXT, the mean of many photographs of a scene; NAME_real.EXT is one of them.
    """
    for file in files:
        noisy = _read(file.with_name(file.name.replace("_mean.", "_real.")), gray)
        yield Pair(
            noisy, _read(file, gray), float(np.mean([noise_level(plane) for plane in np.moveaxis(noisy, -1, 0)]))
        )


def _read(path: Path, gray: bool) -> np.ndarray:
    """Return an image [H, W, 1 or 3] in [0, 1], or its luma in 8 bits, which is what gray benchmarks are."""
    picture = read_image(path)
    image = picture.pixels[0].astype(np.float32) / picture.max_value
    return in_8_bits(np.asarray(luma(jnp.asarray(image)))) if gray and not picture.is_gray else image


def published(name: str, sigmas: Sequence[float]) -> list[dict[str, Any]]:
    """Return what papers report on a benchmark: `method`, `source`, and `psnr`, by sigma (of 255), in dB.

    Methods of which no figure is known at any of the sigmas are left out.
    """
    values = json.loads(PUBLISHED.read_text())
    rows = [row for row in values["rows"] if row["benchmark"] == name]
    known = [row | {"psnr": dict(zip(values["sigmas"], row["psnr"], strict=True))} for row in rows]
    return [row for row in known if set(row["psnr"]) & set(sigmas)]


def published_colour() -> dict[str, Any]:
    """Return what papers report of colorizers on other photographs than ours: their `source`, and `rows` of methods."""
    return json.loads(PUBLISHED.read_text())["colour"]


def published_sources() -> dict[str, str]:
    """Return the paper and its table that each `source` of published figures stands for."""
    return json.loads(PUBLISHED.read_text())["sources"]
