"""Clips of many kinds: every frame that FFmpeg decodes is there, with times that grow."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.filter import Graph
from clips import colorizer, decoded, frame_of, luma_frames, make_clip
from conftest import SHARED

from ae.errors import InputError
from ae.stages import Frame
from ae.video.clips import Clip
from ae.video.convert import colorize_clip
from ae.video.times import GrowingTimes, SteadyClock, fine

CASES = SHARED / "cases/clips"
LOSSLESS = {"libx264": {"qp": "0", "preset": "ultrafast"}}


def colorized(source, target, **settings):
    """The frames that were written, their times, and all lines that were said."""
    lines = []
    report = colorize_clip(source, target, colorizer(pixels=512), batch_size=4, say=lines.append, **settings)
    return report, lines, *decoded(target)


def frames_of(path, **settings):
    """All frames that are read, and the clip."""
    clip = Clip(path, **settings)
    return [item for item in clip if isinstance(item, Frame)], clip


def plainly_decoded(path):
    """How many frames PyAV decodes of all packets."""
    with av.open(str(path), metadata_errors="replace") as container:
        return sum(1 for _ in container.decode(video=0))


def grow(times, least=0):
    return all(after - before > least for before, after in zip(times, times[1:], strict=False))


# Times


def mended(times, base=Fraction(1, 1000), step=Fraction(40, 1000)):
    """What times in milliseconds become."""
    growing = GrowingTimes(base, step, Fraction(0))
    found = []
    for index, time in enumerate(times):
        found += growing.add(index, None if time is None else Fraction(time, 1000), step)
    found += growing.finish()
    assert [index for index, _, _ in found] == list(range(len(times)))
    assert grow([start for _, start, _ in found])
    return [1000 * start for _, start, _ in found], growing.mended


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
    assert fine(Fraction(*base)) == Fraction(1, expected)
    assert (Fraction(*base) / fine(Fraction(*base))).denominator == 1


def packets_at(path, times, codec="mjpeg", **settings):
    """Writes a frame for each time in milliseconds, in this order, whatever the times are."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        for index, values in enumerate(luma_frames(len(times), 32, 48)):
            for packet in video.encode(frame_of(values, video.pix_fmt, index, Fraction(1, 1000))):
                packet.pts, packet.dts, packet.time_base = times[index], index - 10_000, Fraction(1, 1000)
                container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_frames_whose_times_do_not_grow_are_written(tmp_path, suffix):
    source = packets_at(tmp_path / "in.mkv", [0, 40, 120, 80, 160, 240, 200, 280, 280, 280, 360])
    report, lines, luma, times = colorized(source, tmp_path / f"out{suffix}", options=LOSSLESS["libx264"])
    assert report.passed
    assert len(luma) == plainly_decoded(source) == 11
    assert [line for line in lines if "for 4 of its frames: they share the time" in line] == lines
    assert grow(times)
    assert [round(1000 * time) for time in times] == pytest.approx(
        [0, 40, 120, 140, 160, 240, 260, 280, 307, 333, 360], abs=1
    )
    np.testing.assert_array_equal(luma, decoded(source)[0])


def test_a_preview_goes_by_the_times_that_are_written(tmp_path):
    source = packets_at(tmp_path / "in.mkv", [0, 40, 120, 80, 160, 240, 200, 280, 320])
    found, clip = frames_of(source, seconds=0.16)
    assert len(found) == 4
    assert [1000 * start for start, _ in clip.times] == [0, 40, 120, 140]


@pytest.mark.parametrize(("suffix", "codec"), [(".h264", "libx264"), (".m2v", "mpeg2video"), (".mjpeg", "mjpeg")])
def test_streams_without_times_go_at_their_rate(tmp_path, suffix, codec):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    source = make_clip(
        tmp_path / f"in{suffix}", luma_frames(40, 32, 48), codec=codec, pixels=pixels, base=Fraction(1, 25)
    )
    report, _, luma, times = colorized(source, tmp_path / "out.mkv", options=LOSSLESS["libx264"])
    assert report.passed
    assert not report.lost
    assert len(luma) == 40
    assert set(np.round(np.diff([float(time) for time in times]), 6)) == {0.04}


def joined(target, *parts):
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


def test_broadcasts_that_were_joined_go_on(tmp_path):
    """Each begins its clock anew, for picture and sound."""
    parts = [make_clip(tmp_path / f"{i}.ts", luma_frames(25, 32, 48, seed=i), tracks=[0.0]) for i in range(3)]
    source = joined(tmp_path / "in.ts", *parts)
    report, lines, luma, times = colorized(source, tmp_path / "out.mkv", options=LOSSLESS["libx264"])
    assert report.passed
    assert not report.lost
    assert len(luma) == 75
    assert "its clock" in lines[0]
    np.testing.assert_allclose(np.diff([float(time) for time in times]), 0.04, atol=0.03)
