import threading
import time

import jax
import numpy as np
import pytest

from ae.errors import InputError
from ae.runtime.chain import Frame, background, in_batches


def frames(count):
    return [Frame(np.full((2, 3), index, np.float32), index) for index in range(count)]


def doubled(luma):
    return 2 * luma, luma[:, 0, 0]


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
    shapes = []

    def compute(luma):
        shapes.append(luma.shape)
        return doubled(luma)

    found = list(in_batches(compute, frames(count), 4))
    assert [frame.source for frame in found] == list(range(count))
    assert all((frame.outputs[0] == 2 * frame.source).all() and frame.outputs[1] == frame.source for frame in found)
    assert set(shapes) <= {(4, 2, 3)}


def test_what_is_no_frame_passes_by():
    one, two, three = frames(3)
    found = list(in_batches(doubled, ["a", one, "b", two, three, "c"], 2))
    assert [item for item in found if isinstance(item, str)] == ["a", "b", "c"]
    assert [item.source for item in found if isinstance(item, Frame)] == [0, 1, 2]


def test_a_batch_that_memory_does_not_hold_is_halved():
    sizes = []

    def compute(luma):
        sizes.append(len(luma))
        if len(luma) > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return doubled(luma)

    found = list(in_batches(compute, frames(19), 8))
    assert [frame.source for frame in found] == list(range(19))
    assert all((frame.outputs[0] == 2 * frame.source).all() for frame in found)
    assert sizes == [8, 4] + [2] * 10


def test_memory_for_not_even_one_frame_is_an_error():
    def compute(luma):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    with pytest.raises(InputError, match="not enough memory"):
        list(in_batches(compute, frames(3), 2))


def test_other_errors_of_the_device_are_raised():
    def compute(luma):
        raise jax.errors.JaxRuntimeError("INTERNAL: no")

    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        list(in_batches(compute, frames(3), 2))
