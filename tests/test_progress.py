import time

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
