"""How long training takes to begin: compiling, and from the start of a process to its first step."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.steps import example

from ae.errors import InputError
from ae.report.markdown import Table, tabulate

COLUMNS = {
    "preset": None, "seconds to compile an epoch": 1, "from start to first step": 1, "with the compilation cache": 1,
}  # fmt: skip


def starts_table(started: dict[str, dict[str, float]], compiled: dict[str, float]) -> Table:
    """Return the table of `start_seconds` and `compile_seconds` by preset."""
    rows = [
        {"preset": name, "seconds to compile an epoch": compiled.get(name)} | started.get(name, {})
        for name in dict.fromkeys([*compiled, *started])
    ]
    return tabulate("Seconds until training starts.", COLUMNS, rows)


def compile_seconds(presets: Sequence[str]) -> dict[str, float]:
    """Return the seconds that the epoch of each preset takes to compile, without the cache."""
    import jax
    import numpy as np
    from tqdm import tqdm

    from ae import preset
    from ae.train.epoch import Epoch, train_steps

    jax.config.update("jax_enable_compilation_cache", False)
    seconds = {}
    for name in tqdm(presets, desc="compiling", leave=False):
        config, size = preset(name), preset(name).batch_size
        images, state = example(config, size)
        began = time.perf_counter()
        order, rates = np.arange(2 * size), np.ones(2, np.float32)
        train_steps.lower(config.compile_key, size, 2, state, images, Epoch(1, 0, 1, 0, order, rates), 0).compile()
        seconds[name] = time.perf_counter() - began
    jax.config.update("jax_enable_compilation_cache", True)
    return seconds


def start_seconds(presets: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the seconds from the start of `train.py` to its first step, with an empty compilation cache and a full one."""
    seconds = {}
    for name in presets:
        with tempfile.TemporaryDirectory() as cache:
            first, *others = [until_first_step(name, cache) for _ in range(4)]
        cached = statistics.median(others)
        seconds[name] = {"from start to first step": first, "with the compilation cache": cached}
    return seconds


STARTED = """
import runpy, sys
from ae.train import epoch
steps = epoch.train_steps
def started(*arguments):
    done = steps(*arguments)  # returns while the step runs
    print("started", flush=True)
    return done
epoch.train_steps = started
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def until_first_step(preset: str, cache: str) -> float:
    """Return the seconds from the start of `train.py` until its first step runs."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [Path(__file__).parents[1] / "train.py", preset, "--data", "sample", "--out", f"{folder}/run"]
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", STARTED, *arguments],
            env=os.environ | {"JAX_COMPILATION_CACHE_DIR": cache},
            stdout=subprocess.PIPE,
            text=True,
        )
        if "started\n" not in process.stdout:
            raise InputError(f"train.py {preset} has ended without a step: start it by hand to see why")
        seconds = time.perf_counter() - began
        process.kill()
        process.communicate()
    return seconds
