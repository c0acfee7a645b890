import threading
import time
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae.errors import InputError
from ae.runtime.chain import Checkpoint, Frame, background, run


def frames(count):
    return [Frame(np.full((2, 3), index, np.float32), index, index / 25) for index in range(count)]


@dataclass
class Total:
    """A stage: `cb` is the sum of all frames so far, `cr` twice the frame. Memory holds batches of at most `most`."""

    most: int = 99
    shapes: list = field(default_factory=list)

    def init(self, first):
        return {"sum": jnp.zeros(first.luma.shape[1:]), "frames": 0}

    def step(self, state, batch):
        self.shapes.append(batch.luma.shape)
        if len(batch.luma) > self.most:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        sums = state["sum"] + jnp.cumsum(jnp.where(batch.valid[:, None, None], batch.luma, 0), axis=0)
        after = {"sum": sums[-1], "frames": state["frames"] + int(batch.valid.sum())}
        return after, batch._replace(cb=sums, cr=2 * batch.luma)


def through(items, size, stage=None, **settings):
    """What the chain makes of them, without checkpoints, and the last of these."""
    found = list(run((stage or Total(),), items, size, fetch=("cb", "cr"), **settings))
    checkpoints = [item for item in found if isinstance(item, Checkpoint)]
    return [item for item in found if not isinstance(item, Checkpoint)], checkpoints[-1] if checkpoints else None


def check(found, count):
    assert [frame.source for frame in found] == list(range(count))
    for index, frame in enumerate(found):
        assert (frame.cr == 2 * index).all()
        assert (frame.cb == index * (index + 1) / 2).all()
        assert frame.time == index / 25


def test_items_come_in_order():
    assert list(background(range(100), 3)) == list(range(100))


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise InputError("broken")

    taken = background(items())
    assert [next(taken), next(taken)] == [1, 2]
    with pytest.raises(InputError, match="broken"):
        next(taken)


def test_no_more_is_made_than_can_wait():
    made = []

    def items():
        for index in range(100):
            made.append(index)
            yield index

    taken = background(items(), 3)
    next(taken)
    time.sleep(0.3)
    assert len(made) <= 6
    taken.close()


def test_a_caller_that_stops_ends_the_threads():
    before, closed = threading.active_count(), []

    def items():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    taken = background(background(items()))
    next(taken)
    taken.close()
    deadline = time.time() + 5
    while threading.active_count() > before and time.time() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
    assert closed == [True]


def test_what_has_a_close_of_its_own_is_left_open():
    class Source(list):
        closed = False

        def close(self):
            self.closed = True

    source = Source([1, 2])
    assert list(background(source)) == [1, 2]
    assert not source.closed


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
def test_all_batches_have_one_shape_and_no_frame_is_lost(count):
    stage = Total()
    found, last = through(frames(count), 4, stage)
    check(found, count)
    assert set(stage.shapes) <= {(4, 2, 3)}
    assert last is None if count == 0 else last.states[0]["frames"] == count


def test_what_is_no_frame_passes_by():
    one, two, three = frames(3)
    found, _ = through(["a", one, "b", two, three, "c"], 2)
    assert [item for item in found if isinstance(item, str)] == ["a", "b", "c"]
    check([item for item in found if isinstance(item, Frame)], 3)


def test_stages_work_one_after_the_other():
    class Halved:
        def init(self, first):
            assert first.cr.shape == (4, 2, 3)  # what the stage before it makes
            return ()

        def step(self, state, batch):
            return state, batch._replace(rgb=batch.cr / 2)

    found = [item for item in run((Total(), Halved()), frames(6), 4, fetch=("rgb",)) if isinstance(item, Frame)]
    assert [float(frame.rgb[0, 0]) for frame in found] == [0, 1, 2, 3, 4, 5]


def test_a_checkpoint_follows_each_batch():
    items = list(run((Total(),), frames(5), 2, fetch=("cb",)))
    assert [index for index, item in enumerate(items) if isinstance(item, Checkpoint)] == [2, 5, 7]
    assert [item.states[0]["frames"] for item in items if isinstance(item, Checkpoint)] == [2, 4, 5]


def test_a_chain_goes_on_from_a_checkpoint():
    items = iter(frames(11))
    began = run((Total(),), items, 4, fetch=("cb", "cr"))
    (*first, checkpoint) = (next(began) for _ in range(5))
    rest, _ = through(frames(11)[4:], 4, states=checkpoint.states)
    check([*first, *rest], 11)


def test_at_most_two_batches_are_drawn_ahead():
    drawn, most = [], 0

    def items():
        for frame in frames(30):
            drawn.append(frame)
            yield frame

    found = (item for item in run((Total(),), items(), 4, fetch=("cb",)) if isinstance(item, Frame))
    for taken, _ in enumerate(found):
        most = max(most, len(drawn) - taken)
    assert most == 8


@pytest.mark.parametrize("late", [False, True])
def test_a_batch_that_memory_does_not_hold_is_halved(late, monkeypatch):
    """Devices may say so when a batch is sent, or when it is fetched."""
    stage = Total(99 if late else 2)
    if late:
        usual = jax.device_get

        def device_get(values):
            if len(values["cb"]) > 2:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            return usual(values)

        monkeypatch.setattr(jax, "device_get", device_get)
    found, last = through(frames(19), 8, stage)
    check(found, 19)
    assert last.states[0]["frames"] == 19
    assert [shape[0] for shape in stage.shapes] == ([8, 8, 4, 4] if late else [8, 4]) + [2] * 10


def test_memory_for_not_even_one_frame_is_an_error():
    with pytest.raises(InputError, match="not enough memory"):
        through(frames(3), 2, Total(0))


def test_other_errors_of_the_device_are_raised():
    class Broken(Total):
        def step(self, state, batch):
            raise jax.errors.JaxRuntimeError("INTERNAL: no")

    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        through(frames(3), 2, Broken())
