"""One image at a time through a model: ours, ONNX Runtime with the model's ONNX file, and PyTorch, in turns."""

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.denoisers import program
from benchmarks.workers import Timer, Worker, median_ratio, take_turns, timer

from ae import Colorizer, export_onnx
from ae.errors import InputError
from ae.layers.conv import row_convolutions, xla_convolutions
from ae.report.markdown import Table, tabulate
from ae.restore.onnx import input_channels
from ae.restore.weights import Pretrained, write_weights
from ae.tasks import Colorize

SIDE = 256
PEER = "ONNX Runtime"
MOST = 1e-4  # difference of answers
COLUMNS = {"model": None, "image": None, "run by": None, "images/s": 1, "ours over it": 2}


def inference_table(rows: list[dict[str, Any]]) -> Table:
    """Return the table of images a second."""
    return tabulate("One image at a time through a model: images a second, in turns.", COLUMNS, rows)


def inference_rates(
    trained: Pretrained, rounds: int, seconds: float, torch_python: Path | None = None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return a model's rows of the table, by size and by what computes it, and the versions of PyTorch's process.

    `torch_python`: the Python of PyTorch's environment; without it there are no such rows.
    """
    rows, versions = [], {}
    with tempfile.TemporaryDirectory() as folder, torch_process(torch_python, trained, Path(folder)) as in_torch:
        file = Path(folder, "model.onnx")
        export_onnx(trained, file)
        for size in sizes(trained):
            image = jnp.asarray(np.random.default_rng(0).random((1, *size, input_channels(trained)), np.float32))
            ways = {"XLA's convolutions": xla_convolutions(), "tiles": nullcontext(), "rows": row_convolutions()}
            ours = {f"ae, {name}": program(trained, image, way) for name, way in ways.items()}
            runs: dict[str, Any] = ours | {PEER: peer(file)}
            theirs = in_torch(image)
            check(trained, {name: run(image) for name, run in runs.items()} | theirs.answers)
            timers = {name: timer(partial(run, image)) for name, run in runs.items()} | theirs.timers
            rates = take_turns(timers, 1, rounds, seconds)
            best = max(ours, key=lambda name: statistics.median(rates[name]))
            versions |= theirs.versions
            for name, values in rates.items():
                row = {"model": trained.config.name, "image": "x".join(map(str, size)), "run by": name}
                speeds = {"images/s": statistics.median(values), "ours over it": median_ratio(rates[best], values)}
                rows.append(row | speeds)
    return rows, versions


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


class InTorch(NamedTuple):
    """An image in PyTorch, by what computes it."""

    timers: dict[str, Timer]
    answers: dict[str, np.ndarray]
    versions: dict[str, str]


@contextmanager
def torch_process(python: Path | None, trained: Pretrained, folder: Path) -> Iterator[Callable[[jax.Array], InTorch]]:
    """Yield what has PyTorch's process compute an image by each of its variants; by none where there is no `python`."""
    if python is None:
        yield lambda image: InTorch({}, {}, {})
        return
    write_weights(folder / "model.safetensors", *trained, np.float32)
    worker = Worker("torch_inference", python)

    def build(image: jax.Array) -> InTorch:
        np.save(folder / "images.npy", image)
        reply = worker.ask({"build": str(folder), "threads": os.cpu_count() or 1})
        variants = {f"torch, {variant}": variant for variant in reply["variants"]}
        timers = {name: worker.timer(variant) for name, variant in variants.items()}
        answers = {name: np.load(folder / f"{variant}.npy") for name, variant in variants.items()}
        return InTorch(timers, answers, reply["versions"])

    try:
        yield build
    finally:
        worker.close()


def check(trained: Pretrained, answers: dict[str, Any]) -> None:
    """Raise InputError where one answers something else than the first."""
    ours, *others = map(np.asarray, answers.values())
    for name, answer in zip(list(answers)[1:], others, strict=True):
        if (apart := float(np.abs(answer - ours).max())) > MOST:
            raise InputError(f"{name}'s {trained.config.name} is {apart:.1e} away from ours")
