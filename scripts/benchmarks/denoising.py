"""A denoiser scored on a benchmark, beside BM3D, non-local means and what papers report."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.workers import Worker

from ae.data.sets import BENCHMARKS, GRAY_BENCHMARKS, REAL_NOISE, SOURCES
from ae.errors import InputError
from ae.report.markdown import Table, tabulate
from ae.restore.denoise import Denoiser
from ae.restore.weights import Pretrained
from ae.score import benchmarks
from ae.score.baselines import non_local_means_at
from ae.score.images import NOISY, SEED, Method, score_images
from ae.tasks import Denoising

SIGMAS = (15.0, 25.0, 50.0)  # of 255
PEERS = ("BM3D", "CBM3D", "non-local means (scikit-image)")
NO_BM3D = """no row of BM3D, as {} does not exist: `python3 -m venv peers/bm3d && peers/bm3d/bin/pip install bm3d==4.0.3` \
makes it, for use that is not commercial"""

Scores = Mapping[str, list[dict[str, float]]]  # `psnr` and `ssim` of each image, by method


def measure(
    name: str,
    trained: Pretrained,
    root: Path,
    sigmas: Sequence[float],
    bm3d_python: Path,
    earlier: Mapping[str, Any] | None = None,
) -> tuple[Table, dict[str, Any], dict[str, str]]:
    """Return the table of a benchmark, what it does not show, and the versions of peers' packages.

    `sigmas`: standard deviations of the noise, of 255; without any, SIGMAS. `earlier`: the values of an earlier table of the
    same benchmark, whose other methods stay, peers among them: these are not measured again. Raises InputError where the
    model or a sigma does not fit the benchmark, or it is not prepared.
    """
    files = benchmarks.clean_files(name, root)
    space, levels = color_space(name, trained), noise_levels(name, sigmas)
    scores = kept_scores(earlier or {}, title(name, space, len(files)), [file.name for file in files])
    with bm3d(bm3d_python, "BM3D" if space != "RGB" else "CBM3D", [scores.get(level, {}) for level in levels]) as peer:
        for level in levels:
            known = scores.get(level, {})
            peers = {**peer.methods, PEERS[2]: non_local_means_at}
            methods = {method: function for method, function in peers.items() if method not in known}
            methods[trained.config.name] = lambda noisy, _: Denoiser(trained).output(noisy)
            scores[level] = in_order({**known, **scored(name, files, level, methods, gray=space != "RGB")})
    scores = {level: scores[level] for level in sorted(scores, key=lambda level: level or 0)}
    details = {
        "images": [file.name for file in files],
        "scores": {"real noise" if level is None else f"{level:g}": values for level, values in scores.items()},
        "published": benchmarks.published_sources(),
    }
    return benchmark_table(name, space, len(files), scores), details, peer.versions


Levels = dict[float | None, Scores]


def kept_scores(earlier: Mapping[str, Any], title: str, images: Sequence[str]) -> Levels:
    """Return the scores of an earlier table, by level and method, where that is of the same images and noise."""
    details = earlier.get("details", {})
    if earlier.get("title") != title or details.get("images") != list(images):
        return {}
    return {None if key == "real noise" else float(key): scores for key, scores in details["scores"].items()}


def in_order(scores: Scores) -> Scores:
    """Return the scores by method: noisy, peers, and then our models."""
    first = [method for method in (NOISY, *PEERS) if method in scores]
    return {method: scores[method] for method in [*first, *(method for method in scores if method not in first)]}


def scored(
    name: str, files: Sequence[Path], level: float | None, methods: Mapping[str, Method], *, gray: bool
) -> dict[str, list[dict[str, float]]]:
    """Return the scores of each image by method, at a noise level of 255; None: with the noise that it has."""
    if level is None:
        return score_images(methods, benchmarks.real_pairs(files, gray=gray), count=len(files), label=name)
    pairs = benchmarks.made_pairs(files, level / 255, gray=gray)
    return score_images(methods, pairs, count=len(files), label=f"{name}, sigma {level:g}")


def color_space(name: str, trained: Pretrained) -> str:
    """Return what a model is scored on: "gray" images, "RGB", or "Y", the luma of images in colour."""
    model = trained.config.name
    if not isinstance(trained.config.task, Denoising):
        raise InputError(f"{model} is a model for another task than noise, which the benchmarks are for")
    if trained.input_shape[2] == 1:
        return "gray" if name in GRAY_BENCHMARKS else "Y"
    if name in GRAY_BENCHMARKS:
        raise InputError(f"{model} is a model for images in colour, {name} is gray: choose {others(GRAY_BENCHMARKS)}")
    return "RGB"


def others(names: Sequence[str]) -> str:
    """Return the benchmarks that are not named, as a text."""
    return ", ".join(name for name in BENCHMARKS if name not in names)


def noise_levels(name: str, sigmas: Sequence[float]) -> Sequence[float | None]:
    """Return the levels to score at, of 255; None for a benchmark that has its own noise."""
    if name in REAL_NOISE:
        if sigmas:
            raise InputError(f"--sigma is for noise that is made; the photographs of {name} have their own")
        return [None]
    if wrong := [sigma for sigma in sigmas if not 0 <= sigma < inf]:
        raise InputError(f"--sigma has to be at least 0, of 255, not {wrong[0]:g}")
    return sorted({*sigmas} or SIGMAS)


class Peer(NamedTuple):
    """BM3D as a method, by its name, and the versions of its packages; empty where it is not there."""

    methods: dict[str, Method]
    versions: dict[str, str]


@contextmanager
def bm3d(python: Path, row: str, known: Sequence[Scores]) -> Iterator[Peer]:
    """Yield BM3D, in a process of its own; nothing where all is `known`, nor, with a line, where there is no `python`."""
    if all(row in scores for scores in known):
        yield Peer({}, {})
        return
    if not python.exists():
        print(NO_BM3D.format(python), flush=True)
        yield Peer({}, {})
        return
    with tempfile.TemporaryDirectory() as folder, closing(Worker("bm3d", python)) as worker:
        versions = worker.ask({"build": folder})["versions"]
        yield Peer({row: partial(denoised_by, worker, Path(folder))}, versions)


def denoised_by(worker: Worker, folder: Path, noisy: np.ndarray, sigma: float) -> np.ndarray:
    """Return an image [H, W, C] as a worker denoises it, which finds it in a folder."""
    if sigma == 0:
        return noisy
    np.save(folder / "noisy.npy", noisy)
    worker.ask({"variant": "bm3d", "sigma": sigma})
    return np.load(folder / "denoised.npy")


def benchmark_table(name: str, space: str, count: int, scores: Mapping[float | None, Scores]) -> Table:
    """Return the table of mean PSNR and SSIM by method; in gray and RGB, with what papers report."""
    names = {level: "" if level is None else f" {level:g}" for level in scores}
    columns = [f"{score}{suffix}" for score in ("PSNR", "SSIM") for suffix in names.values()]
    methods = list(dict.fromkeys(method for level in scores for method in scores[level]))
    rows = [
        {"method": method, "source": "measured"}
        | {f"{score.upper()}{names[level]}": means(scores[level][method], score) if method in scores[level] else None
           for score in ("psnr", "ssim") for level in scores}
        for method in methods
    ]  # fmt: skip
    levels = [] if space == "Y" else [level for level in scores if level is not None]
    rows += [
        {"method": row["method"], "source": f"as published ({row['source']})"}
        | {f"PSNR{names[level]}": row["psnr"].get(level) for level in levels}
        for row in benchmarks.published(name, levels)
    ]
    digits: dict[str, int | None] = {column: 2 if column.startswith("PSNR") else 4 for column in columns}
    return tabulate(title(name, space, count), {"method": None, "source": None} | digits, rows)


def means(scores: Sequence[Mapping[str, float]], key: str) -> float:
    """Return the mean of a score over the images."""
    return float(np.mean([image[key] for image in scores]))


def title(name: str, space: str, count: int) -> str:
    """Return the title of a table: what was scored, and how."""
    images = {"gray": "gray images", "RGB": "images in RGB", "Y": "images as luma (Y)"}[space]
    noise = f"Gaussian noise of sigma by column (of 255), not clipped, seed {SEED}"
    if name in REAL_NOISE:
        noise = "real noise, whose level is estimated for the methods that need one"
    return f"{SOURCES[name].title}, {count} {images}: {noise}. PSNR in dB and SSIM, means over the images."
