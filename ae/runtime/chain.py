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
from flax.serialization import from_state_dict

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
    shot: int = 0  # that it is in, counted from 0
    kind: int = 0  # what becomes of it (see `ae.restore.footage.Kind`)


class Batch(NamedTuple):
    """Frames in one tree of arrays, to which stages add fields."""

    luma: Array  # [B, H, W]
    valid: Array  # [B]: whether it is a frame, or fills up the last batch
    times: Array  # [B], in seconds
    cb: Array = UNSET  # [B, h, w], integers in the clip's coding
    cr: Array = UNSET  # [B, h, w]
    rgb: Array = UNSET  # [B, H, W, 3]
    samples: Array = UNSET  # RGB [B, h', w', 3] in [0, 1] of pixels at regular places
    seen: Array = UNSET  # luma [B, H, W] by which colours are chosen, where it is another than the one that is shown
    shots: Array = UNSET  # [B]: the number of the shot that each is in
    kinds: Array = UNSET  # [B]: what becomes of each (see `ae.restore.footage.Kind`)


class Stage(Protocol):
    """A stage of the chain: pure functions of a state and a batch."""

    def init(self, first: Batch) -> Any:
        """Return the state before a clip's first batch, whose shapes it may go by."""

    def step(self, state: Any, batch: Batch) -> tuple[Any, Batch]:
        """Return the state after a batch, and the batch with what was made of it."""


class Checkpoint(NamedTuple):
    """The states of all stages after the frames that came before it."""

    states: States


class Saved(NamedTuple):
    """States of all stages as they were written down: of each the values of `flax.serialization.to_state_dict`."""

    states: Any  # by "0", "1", ...


class Skipped(NamedTuple):
    """A frame that passes by all stages, as it is done already."""

    frame: Frame


def step(stages: Sequence[Stage], states: States | Saved | None, batch: Batch) -> tuple[States, Batch]:
    """Return the states of stages after a batch, and the batch as they leave it, one after the other; None: at first."""
    after = []
    for index, stage in enumerate(stages):
        state, batch = stage.step(_before(stage, index, states, batch), batch)
        after.append(state)
    return tuple(after), batch


def _before(stage: Stage, index: int, states: States | Saved | None, batch: Batch) -> Any:
    """Return the state of a stage before a batch."""
    if states is not None and not isinstance(states, Saved):
        return states[index]
    first = stage.init(batch)
    if states is None:
        return first
    values = from_state_dict(first, states.states[str(index)])
    return jax.tree.map(_placed, first, values, is_leaf=lambda value: value is None)


def _placed(like: Any, value: Any) -> Any:
    """Return a saved value on the devices where the one is that it stands for."""
    return jax.device_put(value, like.sharding) if isinstance(like, jax.Array) else value


def run(
    stages: Sequence[Stage],
    items: Iterable[Any],
    size: int,
    *,
    fetch: Sequence[str],
    send: Sequence[str] = ("luma",),
    states: States | Saved | None = None,
) -> Generator[Any]:
    """Yield frames with the fields that are fetched from the device, batch by batch, and after each batch a Checkpoint.

    `send`: the fields of frames that batches have from the beginning. What is no Frame passes by. A batch is computed
    while the one before it is fetched, so that at most two are held. All have one shape: the last is filled up with its
    own last frame. `states`: to go on from, as a Checkpoint has them, or as they were saved. Where memory does not suffice,
    all batches from there on are halved. Raises InputError where it does not suffice for a single frame on each device.
    """
    batches = _Batches(stages, devices.round_up(size), send, fetch, states)
    for item in items:
        if isinstance(item, Frame):
            yield from batches.add(item)
        else:
            yield item
    yield from batches.computed(ahead=0)


class _Sent(NamedTuple):
    """A batch that is being computed."""

    frames: list[Frame]
    states: States  # after it
    batch: Batch


class _Batches:
    """Frames that wait to be sent to the device, and batches that are there."""

    def __init__(
        self,
        stages: Sequence[Stage],
        size: int,
        send: Sequence[str],
        fetch: Sequence[str],
        states: States | Saved | None,
    ) -> None:
        self._stages, self._size, self._given, self._fetch = stages, size, send, fetch
        self._states = states  # after the last batch that was fetched
        self._waiting: list[Frame] = []
        self._sent: deque[_Sent] = deque()

    def add(self, frame: Frame) -> Iterator[Frame | Checkpoint]:
        """Take a frame; where it completes a batch, send that, and yield the one before it."""
        self._waiting.append(frame)
        if len(self._waiting) >= self._size:
            yield from self.computed(ahead=1)

    def computed(self, ahead: int) -> Iterator[Frame | Checkpoint]:
        """Send the frames that wait, and yield what is done, until so many batches are left on the device."""
        while self._waiting or len(self._sent) > ahead:
            try:
                if self._waiting:
                    self._send()
                done = self._fetched() if len(self._sent) > ahead else None
            except jax.errors.JaxRuntimeError as error:
                self._halve(error)
                continue
            if done is None:
                continue
            self._states = self._sent.popleft().states
            while done:  # let go of each as soon as it is taken
                yield done.popleft()
            yield Checkpoint(self._states)

    def _send(self) -> None:
        frames = self._waiting[: self._size]
        padded = frames + [frames[-1]] * (self._size - len(frames))
        fields = {name: np.stack([getattr(frame, name) for frame in padded]) for name in self._given}
        times, shots, kinds = (
            np.asarray([getattr(frame, name) for frame in padded]) for name in ("time", "shot", "kind")
        )
        valid = np.arange(self._size) < len(frames)
        batch = Batch(valid=valid, times=times, shots=shots, kinds=kinds, **fields)
        before = self._sent[-1].states if self._sent else self._states
        self._sent.append(_Sent(frames, *step(self._stages, before, batch)))
        del self._waiting[: self._size]

    def _fetched(self) -> deque[Frame]:
        frames, _, batch = self._sent[0]
        values = jax.device_get({name: getattr(batch, name) for name in self._fetch})
        rows = ({name: value[index] for name, value in values.items()} for index in range(len(frames)))
        return deque(frame._replace(**row) for frame, row in zip(frames, rows, strict=True))

    def _halve(self, error: jax.errors.JaxRuntimeError) -> None:
        """Start anew with what was sent, in batches of half the size; raises the error where it is of something else."""
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise error
        if self._size == jax.device_count():
            raise InputError("there is not enough memory for a single frame") from error
        self._size = devices.round_up(self._size // 2)
        self._waiting = [frame for sent in self._sent for frame in sent.frames] + self._waiting
        self._sent.clear()


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
