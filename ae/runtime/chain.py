"""A chain of stages that work at the same time: what reads, what computes and what writes, each a few items ahead.

A stage is a pair of pure functions, `init(first) -> state` and `step(state, batch) -> (state, batch)`, which add fields to
a batch of frames. Its state is all that it keeps from batch to batch, arrays and JSON values in a tree: written down after
one batch, and read again, it goes on with the next as if nothing had been between.
"""

import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax
import numpy as np

from ae.errors import InputError
from ae.runtime import devices

Item = TypeVar("Item")
Source = TypeVar("Source")
Array = np.ndarray | jax.Array
States = tuple[Any, ...]  # of each stage its own
UNSET = np.empty(0)  # in place of what no stage has made yet


class Frame(NamedTuple, Generic[Source]):
    """A frame on its way through the chain."""

    luma: np.ndarray  # [H, W]
    source: Source  # what it was read from, for whoever writes it: no stage sees it
    time: float = 0.0  # at which it is shown, in seconds
    cb: np.ndarray = UNSET  # [h, w], integers in the clip's coding
    cr: np.ndarray = UNSET  # [h, w]
    rgb: np.ndarray = UNSET  # [H, W, 3]


class Batch(NamedTuple):
    """Frames in one tree of arrays, to which stages add fields."""

    luma: Array  # [B, H, W]
    valid: Array  # [B]: whether it is a frame, or fills up the last batch
    times: Array  # [B], in seconds
    cb: Array = UNSET  # [B, h, w], integers in the clip's coding
    cr: Array = UNSET  # [B, h, w]
    rgb: Array = UNSET  # [B, H, W, 3]
    samples: Array = UNSET  # RGB [B, h', w', 3] in [0, 1] of pixels at regular places


class Stage(Protocol):
    """What makes something of one batch after another."""

    def init(self, first: Batch) -> Any:
        """Return the state before a clip's first batch, whose shapes it may go by."""

    def step(self, state: Any, batch: Batch) -> tuple[Any, Batch]:
        """Return the state after a batch, and the batch with what was made of it."""


class Checkpoint(NamedTuple):
    """The states of all stages after the frames that came before it."""

    states: States


def step(stages: Sequence[Stage], states: States | None, batch: Batch) -> tuple[States, Batch]:
    """Return the states of stages after a batch, and the batch as they leave it, one after the other; None: at first."""
    after = []
    for index, stage in enumerate(stages):
        state, batch = stage.step(stage.init(batch) if states is None else states[index], batch)
        after.append(state)
    return tuple(after), batch


def run(
    stages: Sequence[Stage],
    items: Iterable[Any],
    size: int,
    *,
    fetch: Sequence[str],
    states: States | None = None,
) -> Generator[Any]:
    """Yield frames with the fields that are fetched from the device, batch by batch, and after each batch a Checkpoint.

    What is no Frame passes by. A batch is computed while the one before it is fetched, so that at most two are held. All
    have one shape: the last is filled up with its own last frame. `states`: to go on from, as a Checkpoint has them. Where
    memory does not suffice, all batches from there on are halved. Raises InputError where it does not suffice for a single
    frame on each device.
    """
    size = devices.round_up(size)
    waiting: list[Frame] = []
    sent: deque[_Sent] = deque()  # to the device, and not fetched yet
    for frames in _grouped(items, size):
        if not isinstance(frames, list):
            yield frames
            continue
        waiting += frames
        while waiting or (sent and not frames):
            try:
                if waiting:
                    sent.append(_send(stages, sent[-1].states if sent else states, waiting[:size], size))
                    del waiting[:size]
                if frames and len(sent) < 2:
                    continue
                done = _fetched(sent[0], fetch)
            except jax.errors.JaxRuntimeError as error:
                size = _halved(size, error)
                waiting = [frame for batch in sent for frame in batch.frames] + waiting
                sent.clear()
                continue
            states = sent.popleft().states
            while done:  # let go of each as soon as it is taken
                yield done.popleft()
            yield Checkpoint(states)


def _grouped(items: Iterable[Any], size: int) -> Iterator[Any]:
    """Yield lists of so many frames, of fewer at the end, and an empty one after it; what is no frame passes by."""
    group: list[Frame] = []
    for item in items:
        if not isinstance(item, Frame):
            yield item
            continue
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
    yield []


class _Sent(NamedTuple):
    """A batch that is being computed."""

    frames: list[Frame]
    states: States  # after it
    batch: Batch


def _send(stages: Sequence[Stage], states: States | None, frames: list[Frame], size: int) -> _Sent:
    padded = frames + [frames[-1]] * (size - len(frames))
    luma, times = np.stack([frame.luma for frame in padded]), np.asarray([frame.time for frame in padded])
    return _Sent(frames, *step(stages, states, Batch(luma, np.arange(size) < len(frames), times)))


def _fetched(sent: _Sent, fields: Sequence[str]) -> deque[Frame]:
    values = jax.device_get({name: getattr(sent.batch, name) for name in fields})
    rows = ({name: value[index] for name, value in values.items()} for index in range(len(sent.frames)))
    return deque(frame._replace(**row) for frame, row in zip(sent.frames, rows, strict=True))


def _halved(size: int, error: jax.errors.JaxRuntimeError) -> int:
    """Return a batch size that takes half of the memory; raises the error where it is of something else."""
    if "RESOURCE_EXHAUSTED" not in str(error):
        raise error
    if size == jax.device_count():
        raise InputError("there is not enough memory for a single frame") from error
    return devices.round_up(size // 2)


def background(items: Iterable[Item], ahead: int = 2) -> Generator[Item]:
    """Yield items that a thread makes, which is at most so many of them ahead.

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
