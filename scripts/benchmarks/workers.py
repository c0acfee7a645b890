"""Peers in processes of their own, and contestants that take turns."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ae.runtime import cli

PEERS = Path(__file__).parent / "peers"

Timer = Callable[[int], float]  # steps -> seconds


def timer(run: Callable[[], Any]) -> Timer:
    """Return what times so many runs, each to its end."""
    import jax

    def seconds(times: int) -> float:
        began = time.perf_counter()
        for _ in range(times):
            jax.block_until_ready(run())
        return time.perf_counter() - began

    return seconds


def whole_turns(timers: dict[str, Timer], frames: int, rounds: int) -> dict[str, list[float]]:
    """Return the frames a second of each timer in each round, in turns, after one that is not counted."""
    from tqdm import tqdm

    rates: dict[str, list[float]] = {name: [] for name in timers}
    with tqdm(total=len(timers) * (rounds + 1), leave=False) as bar:
        for number in range(rounds + 1):
            for name, timer in timers.items():
                bar.set_description(name)
                rate = frames / timer(1)
                rates[name] += [rate] if number else []
                bar.update()
    return rates


def usual_environment() -> dict[str, str]:
    """Return the environment without the huge pages of this process, which are for XLA; on the CPU alone where this is."""
    usual = {key: value for key, value in os.environ.items() if key != cli.TUNABLES}
    return usual | ({"CUDA_VISIBLE_DEVICES": ""} if usual.get("JAX_PLATFORMS") == "cpu" else {})


class Worker:
    """A peer's process (see `peers/worker.py`)."""

    def __init__(self, peer: str, python: Path) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (close() closes it)
        command = [python.absolute(), PEERS / f"{peer}_worker.py"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._log, "text": True}
        self._process = subprocess.Popen(command, env=usual_environment(), **pipes)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a request. Raises InputError where the process has ended."""
        from ae.errors import InputError

        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self._log.seek(0)
            lines = self._log.read().strip().splitlines() or ["it said nothing"]
            raise InputError(f"{Path(self._process.args[1]).name} failed: {lines[-1]}") from None

    def timer(self, variant: str) -> Timer:
        """Return the timer of one of the peer's variants."""
        return lambda steps: self.ask({"variant": variant, "steps": steps})["seconds"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._log):
            file.close()


def take_turns(timers: dict[str, Timer], batch_size: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the images (or matrix products) a second of each timer in each round, each after a step that is not timed."""
    from tqdm import tqdm

    steps = {}
    with tqdm(total=len(timers) * (rounds + 1), leave=False) as bar:
        for name, timer in timers.items():
            bar.set_description(f"warming up: {name}")
            timer(2)  # compiles
            steps[name] = max(1, round(seconds / (timer(2) / 2)))
            bar.update()
        rates = {name: [] for name in timers}
        for _ in range(rounds):
            for name, timer in timers.items():
                bar.set_description(name)
                timer(1)  # what the one before has left in caches and memory is not this one's
                rates[name].append(steps[name] * (1 if name == "matrix product" else batch_size) / timer(steps[name]))
                bar.update()
    return rates


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


# A process counts as its own what the one that started it held, so a small one has to start it.
MEASURED = """
import os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:], stdout=sys.stderr).pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def most_memory(command: Sequence[str | Path], **settings: Any) -> int:
    """Return the most bytes of memory that a command holds at a time."""
    whole = [sys.executable, "-c", MEASURED, *command]
    return 1024 * int(subprocess.run(whole, stdout=subprocess.PIPE, text=True, check=True, **settings).stdout)
