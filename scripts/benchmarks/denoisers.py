"""Seconds that denoisers take for a megapixel: ours, BM3D and non-local means in turns; and how our tiles are computed."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.denoising import PEERS, bm3d
from benchmarks.workers import median_ratio, take_turns, timer, whole_turns

from ae.layers.conv import xla_convolutions
from ae.report.markdown import Table, tabulate
from ae.restore.denoise import STRIDE, Denoiser
from ae.restore.weights import Pretrained, predict
from ae.score.baselines import non_local_means_at
from ae.score.flops import multiply_adds

SIGMA = 25 / 255
SIDES = {"512x512": (512, 512), "12 megapixels": (3000, 4000)}
SMALL_TILE = 256
BATCHES = (1, 2, 4)  # of tiles


def measure(
    models: Sequence[Pretrained], sizes: Sequence[str], rounds: int, bm3d_python: Path
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the table's rows, and the versions of peers' packages."""
    rows, versions = [], {}
    for trained in models:
        ours, channels = trained.config.name, trained.input_shape[2]
        with bm3d(bm3d_python, PEERS[channels == 3], [{}]) as peer:
            versions |= peer.versions
            output = Denoiser(trained).output
            methods = {
                ours: lambda noisy, _, output=output: output(noisy),
                **peer.methods,
                PEERS[2]: non_local_means_at,
            }
            for size in sizes:
                image = noisy_photograph(SIDES[size], channels)
                timers = {name: timer(partial(method, image, SIGMA)) for name, method in methods.items()}
                rows += speed_rows(trained, size, whole_turns(timers, 1, rounds))
    return rows, versions


def speed_rows(trained: Pretrained, size: str, rates: dict[str, list[float]]) -> Iterator[dict[str, Any]]:
    """Yield the table's rows of an image size; `rates`: images a second in each round, by method."""
    from ae.runtime.peak import matrix_product_flops

    ours, megapixels = trained.config.name, np.prod(SIDES[size]) / 1e6
    flops = 2e6 * multiply_adds(trained.config.model, (64, 64, trained.input_shape[2])) / 64**2  # of a megapixel
    for method, values in rates.items():
        seconds = statistics.median(1 / value for value in values) / megapixels
        yield {
            "model": ours,
            "image": size,
            "method": method,
            "seconds a megapixel": seconds,
            "times as long as ours": median_ratio(rates[ours], values),
            "share of the matrix product": flops / seconds / matrix_product_flops() if method == ours else None,
        }


def noisy_photograph(size: tuple[int, int], channels: int) -> np.ndarray:
    """Return scikit-image's astronaut, repeated in mirrors to a size, with noise: float32 [H, W, channels]."""
    from skimage import data

    from ae.color import luma

    photograph = jnp.asarray(data.astronaut()) / 255
    image = np.asarray(photograph if channels == 3 else luma(photograph), np.float32)
    padding = [(0, wanted - side) for wanted, side in zip(size, image.shape, strict=False)]
    whole = np.pad(image, [*padding, (0, 0)], mode="symmetric")
    return whole + SIGMA * np.random.default_rng(0).standard_normal(whole.shape, np.float32)


COLUMNS = {
    "model": None, "image": None, "method": None, "seconds a megapixel": 3, "times as long as ours": 1,
    "share of the matrix product": 2,
}  # fmt: skip


def speed_table(rows: Sequence[dict[str, Any]], rounds: int) -> Table:
    """Return the table of seconds a megapixel, medians of the rounds, and medians of the rounds' ratios."""
    title = f"Seconds that denoisers take for a megapixel, noise of sigma 25 of 255: medians of {rounds} turns."
    return tabulate(title, COLUMNS, rows)


def tile_rates(trained: Pretrained, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the table's rows of a model's tiles, by size, number at a time, and what computes the convolutions."""
    for side in (SMALL_TILE, tile_side(trained)):
        for batch in BATCHES:
            tiles = jnp.full((batch, side, side, trained.input_shape[2]), 0.5)
            timers = {name: timer(partial(program, tiles)) for name, program in tile_programs(trained, tiles).items()}
            rates = take_turns(timers, batch, rounds, seconds)
            for name, values in rates.items():
                yield {
                    "model": trained.config.name,
                    "tile": f"{side}x{side}",
                    "at a time": batch,
                    "convolutions": name,
                    "megapixels a second": statistics.median(values) * side**2 / 1e6,
                    "over XLA's": median_ratio(values, rates["XLA's"]),
                }


def tile_side(trained: Pretrained) -> int:
    """Return the side of the tiles that a large image is cut into."""
    multiple = trained.config.model.multiple
    margin = -(-trained.config.model.reach // multiple) * multiple
    return STRIDE + 2 * margin


def tile_programs(trained: Pretrained, tiles: jax.Array) -> dict[str, Callable[[jax.Array], jax.Array]]:
    """Return programs that compute tiles, by XLA's convolutions and by ours."""
    return {"XLA's": program(trained, tiles, xla_convolutions()), "ours": program(trained, tiles)}


def program(
    trained: Pretrained, images: jax.Array, convolutions: AbstractContextManager[None] | None = None
) -> Callable[[jax.Array], jax.Array]:
    """Compile a model for images of one shape, with the convolutions that are traced inside of a context."""
    with convolutions or nullcontext():
        return jax.jit(lambda images: predict(*trained[:2], images)).lower(images).compile()


def tiles_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the table of tiles: megapixels a second."""
    columns = {"model": None, "tile": None, "at a time": None, "convolutions": None}
    return tabulate(
        "Tiles of denoisers: megapixels a second, margins included.",
        columns | {"megapixels a second": 2, "over XLA's": 2},
        rows,
    )
