"""One image at a time through a model: ours, and ONNX Runtime with the model's ONNX file, in turns."""

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.denoisers import program
from benchmarks.workers import median_ratio, take_turns, timer

from ae import Colorizer, export_onnx
from ae.errors import InputError
from ae.layers.conv import row_convolutions, xla_convolutions
from ae.report.markdown import Table, tabulate
from ae.restore.onnx import input_channels
from ae.restore.weights import Pretrained
from ae.tasks import Colorize

SIDE = 256
PEER = "ONNX Runtime"
MOST = 1e-4  # difference of answers
COLUMNS = {"model": None, "image": None, "run by": None, "images/s": 1, "ours over it": 2}


def inference_table(rows: list[dict[str, Any]]) -> Table:
    """Return the table of images a second."""
    return tabulate("One image at a time through a model: images a second, in turns.", COLUMNS, rows)


def inference_rates(trained: Pretrained, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield a model's rows of the table: by size, and by what computes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        export_onnx(trained, file)
        for size in sizes(trained):
            image = jnp.asarray(np.random.default_rng(0).random((1, *size, input_channels(trained)), np.float32))
            ways = {"XLA's convolutions": xla_convolutions(), "tiles": nullcontext(), "rows": row_convolutions()}
            runs: dict[str, Any] = {f"ae, {name}": program(trained, image, way) for name, way in ways.items()}
            runs[PEER] = peer(file)
            check(trained, runs, image)
            timers = {name: timer(partial(run, image)) for name, run in runs.items()}
            rates = take_turns(timers, 1, rounds, seconds)
            best = max((name for name in rates if name != PEER), key=lambda name: statistics.median(rates[name]))
            for name, values in rates.items():
                yield {
                    "model": trained.config.name,
                    "image": "x".join(map(str, size)),
                    "run by": name,
                    "images/s": statistics.median(values),
                    "ours over it": median_ratio(rates[best], values),
                }


def sizes(trained: Pretrained) -> Iterator[tuple[int, int]]:
    """Yield the sizes of images: of a colorizer also those at which it sees them."""
    yield SIDE, SIDE
    if isinstance(trained.config.task, Colorize):
        yield from Colorizer(trained).working_sizes(SIDE, SIDE)


def peer(file: Path) -> Callable[[jax.Array], np.ndarray]:
    """Return what runs an ONNX file, in a thread for each core. Raises InputError where that is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError("ONNX Runtime is not installed: pip install 'ae[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"images": np.asarray(image)})[0]


def check(trained: Pretrained, runs: dict[str, Callable[[jax.Array], Any]], image: jax.Array) -> None:
    """Raise InputError where one answers something else."""
    ours, *others = (np.asarray(run(image)) for run in runs.values())
    for name, answer in zip(list(runs)[1:], others, strict=True):
        if (apart := float(np.abs(answer - ours).max())) > MOST:
            raise InputError(f"{name}'s {trained.config.name} is {apart:.1e} away from ours")
