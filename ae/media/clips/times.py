"""Times of frames and packets that strictly grow, whatever a file says."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

MIN_INTERVAL = Fraction(
    1, 1000
)  # seconds: the coarsest clock that is written, Matroska's; nearer frames would coincide
SUSPICIOUS_GAP = 10  # seconds by which a time is ahead that is looked at twice
MAX_REWIND = Fraction(1, 10)  # seconds by which packets may go back before their clock counts as set anew
MAX_GAP = 10**7  # seconds by which a time may be ahead
MOST_TICKS = 2**62  # of a clock, and half as many as a packet can say
MOST_WAITING = 32  # frames that wait for the next good time
FINE = 10_000  # ticks a second, at least, of the clock that frames are given

Timed = tuple[Any, Fraction, Fraction]  # a frame, its start and its duration


def finer_time_base(base: Fraction) -> Fraction:
    """Return a time base of at least `FINE` ticks a second that has all the times of a coarser one."""
    ticks = Fraction(base).denominator
    while ticks < FINE:
        ticks *= 2
    return Fraction(1, ticks)


class MonotonicTimes:
    """Frames in the order in which they come, with times that strictly grow.

    A time is good where it is after the last good one; frames between two good ones that have none, or one that is not,
    share the interval evenly. `interpolated` counts those.
    """

    def __init__(self, base: Fraction, duration: Fraction, start: Fraction) -> None:
        self.interpolated = 0
        self._base, self._duration, self._start = base, duration, start  # of frames that nothing is said of
        self._last: Fraction | None = None
        self._newest: Timed | None = None  # whose time is judged when the one after it is known
        self._waiting: list[Any] = []

    def add(self, frame: Any, time: Fraction | None, duration: Fraction) -> Iterator[Timed]:
        """Take the next frame, and return those whose times are known by now."""
        before, self._newest = self._newest, (frame, time, duration)  # type: ignore[assignment]
        if before:
            yield from self._judged(*before, next_time=time)

    def finish(self) -> Iterator[Timed]:
        """Return the frames that are left."""
        if self._newest:
            yield from self._judged(*self._newest, next_time=None)
        yield from self._extrapolated()

    def _judged(
        self, frame: Any, time: Fraction | None, duration: Fraction, next_time: Fraction | None
    ) -> Iterator[Timed]:
        if time is not None and self._is_good(time, next_time):
            yield from self._interpolated(time)
            self._last = time
            yield frame, time, duration if 0 < duration < MAX_GAP else self._duration
            return
        self._waiting.append(frame)
        if len(self._waiting) == MOST_WAITING:
            yield from self._extrapolated()

    def _is_good(self, time: Fraction, next_time: Fraction | None) -> bool:
        """Return whether it is after the last with room for those that wait, and no slip that the next frame takes back."""
        if abs(time) > MOST_TICKS * self._base:
            return False
        if self._last is None:
            return next_time is None or next_time >= time - SUSPICIOUS_GAP
        number = len(self._waiting)
        room = 2 * MIN_INTERVAL * (number + 1) if number else min(MIN_INTERVAL, self._duration / 2)
        slip = next_time is not None and time - self._last > SUSPICIOUS_GAP and self._last < next_time < time
        return room <= time - self._last <= MAX_GAP and not slip

    def _interpolated(self, end: Fraction) -> Iterator[Timed]:
        """Yield those that wait, up to a good time."""
        number = len(self._waiting)
        start = self._last if self._last is not None else end - (number + 1) * self._duration
        yield from self._at(start, (end - start) / (number + 1))

    def _extrapolated(self) -> Iterator[Timed]:
        """Yield those that wait, as long as frames usually are, for no good time has come."""
        start = self._last if self._last is not None else self._start - self._duration
        yield from self._at(start, self._duration)

    def _at(self, start: Fraction, step: Fraction) -> Iterator[Timed]:
        waiting, self._waiting = self._waiting, []
        self.interpolated += len(waiting)
        for index, frame in enumerate(waiting, 1):
            self._last = round((start + index * step) / self._base) * self._base
            yield frame, self._last, step


class ContinuousClock:
    """Packets of broadcasts and of files that were joined, whose clock may be set anew: they go on where they were.

    What one stream's clock jumps by, the others follow. `discontinuities` counts them.
    """

    def __init__(self) -> None:
        self.discontinuities = 0
        self._newest = Fraction(0)  # what is added to times since the last jump
        self._shifts: dict[int, Fraction] = {}  # by stream, some of which may not have jumped yet
        self._ends: dict[int, Fraction] = {}

    def set(self, packet: Any) -> None:
        """Move a packet's times."""
        index, shift = packet.stream.index, self._newest
        if packet.stream.type in ("audio", "video") and packet.dts is not None:
            shift = self._shift(index, packet.dts * packet.time_base)
            self._ends[index] = (packet.dts + (packet.duration or 0)) * packet.time_base + shift
        self._shifts[index] = shift
        ticks = round(shift / packet.time_base)
        if ticks:
            packet.pts, packet.dts = _added(packet.pts, ticks), _added(packet.dts, ticks)

    def _shift(self, index: int, time: Fraction) -> Fraction:
        if index not in self._ends:
            return self._newest
        end = self._ends[index]
        for shift in (self._shifts[index], self._newest):
            if (
                end - MAX_REWIND <= time + shift <= max(self._ends.values()) + SUSPICIOUS_GAP
            ):  # or a stream could not pause
                return shift
        self.discontinuities += 1
        self._newest = end - time
        return self._newest


def _added(time: int | None, ticks: int) -> int | None:
    return None if time is None or abs(time + ticks) > MOST_TICKS else time + ticks


def format_time(seconds: Fraction | float | None) -> str:
    """Return a time in seconds as minutes and seconds, "1:02.500"."""
    if seconds is None:
        return "some time"
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:06.3f}"


def time_of(item: Any) -> Fraction | None:
    """Return when a packet or frame is shown, in seconds, or None where that is not known."""
    return None if item.pts is None or not item.time_base else Fraction(item.pts * item.time_base)
