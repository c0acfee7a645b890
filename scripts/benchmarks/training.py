"""Training steps, ours and those of peers: the same models from the same weights, in turns."""

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.models import LAYERS, benchmark_config, gflop, in_order
from benchmarks.steps import SIDE, compiled_steps, example, matrix_product
from benchmarks.workers import Timer, Worker, median_ratio, take_turns

from ae.errors import InputError
from ae.report.markdown import Table, tabulate

COLUMNS = {
    "model": None, "batch": None, "parameters": None, "GFLOP an image": 3, "run by": None, "images/s": 1, "GFLOP/s": 0,
    "of matrix product, %": 0, "ratio": 2, "whole epoch, %": 1,
}  # fmt: skip


def training_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the table of speeds by model and program."""
    return tabulate("Training steps: forward, backward and Adam, in float32; all programs in turns.", COLUMNS, rows)


def compare(
    name: str, pythons: dict[str, Path], rounds: int, seconds: float
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, str]]:
    """Return a model's rows of the table, their details, and the peers' versions."""
    config = benchmark_config(name)
    bare, parameters, loss, file = ours(config, LAYERS[name])
    workers, replies = {}, {}
    try:
        for peer, python in pythons.items():
            workers[peer] = Worker(peer, python)
            replies[peer] = workers[peer].ask({"build": str(file), "layers": LAYERS[name]})
            check(name, peer, replies[peer], parameters, loss)
        timers = {"matrix product": matrix_product, "ae": bare}
        for peer, reply in replies.items():
            timers |= {f"{peer}, {variant}": workers[peer].timer(variant) for variant in reply["variants"]}
        rates = take_turns(timers, config.batch_size, rounds, seconds)
        overhead = epoch_overhead(config, bare, 20 * seconds)
    finally:
        for worker in workers.values():
            worker.close()
        file.unlink()
    about = {"batch": config.batch_size, "parameters": parameters, "GFLOP an image": gflop(config)}
    losses = {"ae": loss} | {peer: reply["loss"] for peer, reply in replies.items()}
    versions = {key: value for reply in replies.values() for key, value in reply["versions"].items()}
    return speeds(name, about, rates, overhead), {"rounds": rates, "losses": losses}, versions


def ours(config: Any, layers: Sequence[tuple[Any, ...]]) -> tuple[Timer, int, float, Path]:
    """Return a timer of bare steps on one batch, parameters, loss, and a file of weights and the batch."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ae.runtime import devices
    from ae.score.evaluate import examples
    from ae.score.flops import count_values
    from ae.train.step import train_step

    images, start = example(config, config.batch_size)
    batch = devices.replicate(examples(config.task, jax.random.key(0), images, jnp.arange(len(images))))
    key, program = jax.random.key(0), config.compile_key
    weights = {f"weight_{i}": np.asarray(w) for i, w in enumerate(in_order(start.params, layers))}
    handle, file = tempfile.mkstemp(suffix=".npz")
    os.close(handle)
    np.savez(file, inputs=batch[0], targets=batch[1], **weights)
    _, scores = jax.jit(train_step, static_argnums=0)(program, start, batch, key)

    return compiled_steps(config), count_values(start.params), float(scores["loss"].mean()), Path(file)


def check(name: str, peer: str, reply: dict[str, Any], parameters: int, loss: float) -> None:
    """Raise InputError where a peer has built another model."""
    if reply["parameters"] != parameters:
        raise InputError(f"{peer}'s {name} has {reply['parameters']:,} parameters, ours {parameters:,}")
    if abs(reply["loss"] - loss) > 1e-4 * loss:
        raise InputError(f"{peer}'s {name} has loss {reply['loss']:.6f} on the same weights and batch, ours {loss:.6f}")


def epoch_overhead(config: Any, bare: Timer, seconds: float) -> float:
    """Return what data, order, noise, scores and progress add to bare steps, as a share of them.

    An epoch that takes about so many seconds, in turns with bare steps call by call, and the median over the calls: the
    difference is smaller than the machine's noise from one second to another.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ae import metrics
    from ae.data import Split
    from ae.runtime import devices, progress
    from ae.train.epoch import train_epoch

    size, steps = config.batch_size, max(1, round(seconds / (bare(4) / 4)))
    images, start = example(config, size)
    split = Split("noise", devices.replicate(np.tile(images, (steps, 1, 1, 1))), 0, 1)
    next(train_epoch(config, jax.tree.map(jnp.copy, start), split, 1))  # compiles
    ratios = []
    with progress.bar("epoch", len(split.images)) as bar:
        began = time.perf_counter()
        for state, _ in train_epoch(config, start, split, 1):
            done = int(state.sums["count"]) - bar.n
            bar.set_postfix(loss=f"{metrics.means(state.sums)['loss']:.4f}", refresh=False)
            bar.update(done)
            took = time.perf_counter() - began
            ratios.append(took / bare(done // size))
            began = time.perf_counter()
    return statistics.median(ratios) - 1


def speeds(model: str, about: dict[str, Any], rates: dict[str, list[float]], overhead: float) -> list[dict[str, Any]]:
    """Return a model's rows of the table: medians, and the median of the rounds' ratios of our speed to each peer's.

    `about` and `overhead` (of a whole epoch) are of the model as we train it. `rates`: of each program in each round,
    and of the matrix product.
    """
    median = {name: statistics.median(values) for name, values in rates.items()}
    product = median.pop("matrix product") * 2 * SIDE**3 / 1e9  # GFLOP/s
    rows = []
    for name, rate in median.items():
        speed = rate * about["GFLOP an image"]
        row = {"run by": name, "images/s": rate, "GFLOP/s": speed, "of matrix product, %": 100 * speed / product}
        ours = about | {"whole epoch, %": 100 * overhead}
        theirs = {"ratio": median_ratio(rates["ae"], rates[name])}
        rows.append({"model": model} | row | (ours if name == "ae" else theirs))
    return rows
