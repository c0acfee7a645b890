"""Times strictly grow, whatever a file says."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from reading import grow

from ae.media.clips.times import ContinuousClock, MonotonicTimes, finer_time_base


def mended(times, base=Fraction(1, 1000), step=Fraction(40, 1000)):
    """What times in milliseconds become."""
    growing = MonotonicTimes(base, step, Fraction(0))
    found = []
    for index, time in enumerate(times):
        found += growing.add(index, None if time is None else Fraction(time, 1000), step)
    found += growing.finish()
    assert [index for index, _, _ in found] == list(range(len(times)))
    assert grow([start for _, start, _ in found])
    return [1000 * start for _, start, _ in found], growing.interpolated


@pytest.mark.parametrize(
    ("times", "expected", "number"),
    [
        ([0, 40, 80], [0, 40, 80], 0),
        ([-80, -40, 0], [-80, -40, 0], 0),
        ([0, 40, 120, 80, 160], [0, 40, 120, 140, 160], 1),  # packed B-frames
        ([0, 80, 40, 160, 120, 240], [0, 80, 120, 160, 200, 240], 2),  # VC-1
        ([0, None, None, 120], [0, 40, 80, 120], 2),
        ([0, 40, 40, 40, 100], [0, 40, 60, 80, 100], 2),
        ([None, None, 80, 120], [0, 40, 80, 120], 2),
        ([None, None, None], [0, 40, 80], 3),
        ([0, 40, 9_000_000, 120, 160], [0, 40, 80, 120, 160], 1),  # a slip
        ([0, 40, 2**62, 120, 160], [0, 40, 80, 120, 160], 1),
        ([0, 40, 80, 2**62], [0, 40, 80, 120], 1),
        ([2**70, 40, 80], [0, 40, 80], 1),
        ([9_000_000, 0, 40, 80], [-40, 0, 40, 80], 1),
        ([0, 40, 9_000_000, 9_000_040], [0, 40, 9_000_000, 9_000_040], 0),  # a long picture
        ([0, 40, 80, 80], [0, 40, 80, 120], 1),
        ([0, 40, 40, 41, 80], [0, 40, 53, 67, 80], 2),  # no room for one more within a millisecond
    ],
)
def test_times_that_do_not_grow_share_the_interval(times, expected, number):
    assert mended(times) == (expected, number)


def test_a_clock_that_never_recovers_goes_on_frame_by_frame():
    times, number = mended([*range(1000, 2000, 40), *range(0, 4000, 40)])
    assert times[:25] == list(range(1000, 2000, 40))
    assert number >= 25
    assert max(np.diff(times)) <= 40


def test_random_times_grow_and_stay_distinct_in_milliseconds():
    rng = np.random.default_rng(0)
    for _ in range(50):
        times = [None if rng.random() < 0.1 else int(40 * i + rng.integers(-200, 200)) for i in range(100)]
        assert grow([round(time) for time in mended(times, base=Fraction(1, 12800))[0]])


@pytest.mark.parametrize(
    ("base", "expected"), [((1, 25), 12800), ((1001, 30000), 30000), ((1, 90000), 90000), ((1, 1000), 16000)]
)
def test_the_finer_clock_has_all_times_of_the_coarser(base, expected):
    assert finer_time_base(Fraction(*base)) == Fraction(1, expected)
    assert (Fraction(*base) / finer_time_base(Fraction(*base))).denominator == 1


def moved(*given):
    """What a clock makes of packets (stream, seconds) of 40 ms, and how often it was set anew."""
    clock, found = ContinuousClock(), []
    for index, time in given:
        stream = SimpleNamespace(index=index, type="video" if index < 2 else "subtitle")
        ticks = round(1000 * time)
        packet = SimpleNamespace(stream=stream, pts=ticks, dts=ticks, duration=40, time_base=Fraction(1, 1000))
        clock.set(packet)
        assert packet.pts == packet.dts
        found.append(None if packet.pts is None else packet.pts / 1000)
    return found, clock.discontinuities


@pytest.mark.parametrize("start", [0, 20_001, 95_443.7])
@pytest.mark.parametrize("jump", [-20_000, -1, 0, 18_000])
def test_all_streams_follow_a_clock_that_is_set_anew(start, jump):
    """Those that come to it later too, though they do not jump at the same place in the file."""
    later = start + jump
    times = [
        (0, start),
        (1, start),
        (2, start),
        (0, start + 0.04),
        (0, later + 0.08),
        (1, start + 0.04),
        (0, later + 0.12),
    ]
    found, jumps = moved(*times, (1, later + 0.08), (2, later + 0.1))
    expected = [0, 0, 0, 0.04, 0.08, 0.04, 0.12, 0.08, 0.1]
    assert [round(time - start, 3) for time in found] == expected
    assert jumps == (jump != 0)


def test_a_stream_may_pause_while_the_others_go_on():
    found, jumps = moved((0, 0), (1, 0), *((0, seconds) for seconds in range(1, 31)), (1, 30))
    assert (found[-1], jumps) == (30, 0)


def test_what_no_packet_can_say_is_not_said():
    (*_, last), jumps = moved((0, 2**61 / 1000), (0, -(2**61) / 1000), (1, 2**61 / 1000))
    assert (last, jumps) == (None, 1)
