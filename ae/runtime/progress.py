"""Long work in calls of about a second, so that progress, Ctrl-C and checkpoints come between them."""

import sys
import time
from collections.abc import Iterator

from tqdm import tqdm

from ae.runtime import devices


def paced(first: int, last: int, *, seconds: float = 1.0) -> Iterator[tuple[int, int]]:
    """Yield consecutive ranges (start, stop) that cover first..last.

    The time the caller spends on a range decides the size of the next, which aims at `seconds`; of several processes, the
    time of the first.
    """
    size = 1
    while first < last:
        stop = min(first + size, last)
        began = time.perf_counter()
        yield first, stop
        elapsed = time.perf_counter() - began
        first, size = stop, int(devices.from_first(max(1, min(2 * size, round(size * seconds / elapsed)))))


def paced_blocks(first: int, last: int, most: int) -> Iterator[list[tuple[int, int]]]:
    """Yield lists of blocks (start, length) that cover first..last in order, each list about a second of work.

    For programs that are compiled for a length: at most `most`, and a divisor of the whole where one is near, as the rest
    would take a second program.
    """
    lengths = range(1, min(most, last - first) + 1)
    length = max((n for n in lengths if (last - first) % n == 0), default=1)
    if 2 * length < len(lengths):
        length = len(lengths)
    for start, stop in paced(0, -(-(last - first) // length)):
        starts = range(first + start * length, min(first + stop * length, last), length)
        yield [(number, min(length, last - number)) for number in starts]


def bar(label: str, total: int | None, *, done: int = 0, unit: str = "img") -> tqdm:
    """Return a progress bar in images, with images a second and the time left; in a log file, one line each half minute."""
    delay, interval = (0.5, 0.1) if sys.stderr.isatty() else (30, 30)
    return tqdm(
        desc=label,
        total=total,
        initial=done,
        unit=unit,
        leave=False,
        delay=delay,
        mininterval=interval,
        disable=not devices.is_first(),
    )
