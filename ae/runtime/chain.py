"""A chain of stages that work at the same time: what reads, what computes and what writes, each a few items ahead."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from ae.errors import InputError
from ae.runtime import devices

Item = TypeVar("Item")
Compute = Callable[[np.ndarray], Any]  # a batch [B, H, W] -> a tree of arrays [B, ...]


class Frame(NamedTuple):
    """A frame on its way through the chain."""

    luma: np.ndarray  # [H, W]
    source: Any  # what else there is to know of it, for whoever writes it
    outputs: Any = None  # what was computed of it


def background(items: Iterable[Item], ahead: int = 2) -> Generator[Item]:
    """The items, made in a thread that is at most so many of them ahead.

    What the thread raises is raised here, after the items before it. When the caller stops taking, the thread ends, and
    its iterator over the items is closed in it.
    """
    made: queue.Queue[tuple[bool, Any]] = queue.Queue(ahead)
    closed = threading.Event()
    thread = threading.Thread(target=_make, args=(items, made, closed), daemon=True)
    thread.start()
    try:
        while True:
            last, item = made.get()
            if not last:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        closed.set()
        thread.join()


def _make(items: Iterable[Any], made: queue.Queue, closed: threading.Event) -> None:
    def put(last: bool, item: Any) -> None:
        while not closed.is_set():
            try:
                return made.put((last, item), timeout=0.1)
            except queue.Full:
                continue

    error, iterator = None, iter(items)
    try:
        for item in iterator:
            put(False, item)
            if closed.is_set():
                break
    except BaseException as raised:  # it is raised again by the thread that takes the items
        error = raised
    finally:
        if hasattr(iterator, "close"):  # a generator
            iterator.close()
        put(True, error)


def in_batches(compute: Compute, items: Iterable[Any], size: int) -> Generator[Any]:
    """Frames with their outputs, computed so many at a time; what is no frame passes by.

    All batches have one shape: the last is filled up with its own last frame. Where memory does not suffice, this batch and
    all after it are halved. Raises InputError where it does not suffice for a single frame on each device.
    """
    size, waiting = devices.round_up(size), []
    for item in items:
        if not isinstance(item, Frame):
            yield item
            continue
        waiting.append(item)
        if len(waiting) >= size:
            computed, size = _computed(compute, waiting, size)
            yield from computed
            waiting = []
    if waiting:
        yield from _computed(compute, waiting, size)[0]


def _computed(compute: Compute, frames: Sequence[Frame], size: int) -> tuple[list[Frame], int]:
    """The frames with their outputs, and the batch size that memory sufficed for."""
    computed: list[Frame] = []
    while len(computed) < len(frames):
        batch = frames[len(computed) : len(computed) + size]
        luma = np.stack([frame.luma for frame in batch] + [batch[-1].luma] * (size - len(batch)))
        try:
            outputs = jax.device_get(compute(luma))
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            if size == jax.device_count():
                raise InputError("there is not enough memory for a single frame") from error
            size = devices.round_up(size // 2)
            continue
        computed += [
            frame._replace(outputs=jax.tree.map(lambda x, i=i: x[i], outputs)) for i, frame in enumerate(batch)
        ]
    return computed, size
