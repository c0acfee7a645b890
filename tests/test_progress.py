import time

import pytest

from ae.runtime import progress


def test_paced_ranges_cover_everything_and_grow_with_speed():
    ranges = list(progress.paced(3, 1000))
    assert [first for first, _ in ranges] == [3, *(last for _, last in ranges[:-1])]
    assert ranges[-1][1] == 1000
    assert len(ranges) < 15
    sizes = []
    for first, last in progress.paced(0, 60, seconds=0.02):
        sizes.append(last - first)
        time.sleep(0.005 * (last - first))
    assert max(sizes) <= 6


@pytest.mark.parametrize(
    ("first", "last", "most", "lengths"),
    [
        (0, 1875, 32, {25}),  # a divisor
        (25, 1875, 32, {25}),
        (0, 31, 32, {31}),
        (0, 467, 32, {32, 19}),  # a prime: a second program for the rest
        (3, 10, 1, {1}),
        (5, 5, 32, set()),
    ],
)
def test_blocks_cover_everything_with_one_length_where_it_divides(first, last, most, lengths):
    blocks = [block for blocks in progress.paced_blocks(first, last, most) for block in blocks]
    assert [n for start, length in blocks for n in range(start, start + length)] == list(range(first, last))
    assert {length for _, length in blocks} == lengths
