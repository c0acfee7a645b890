import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import SHARED_CLIPS, colorizer, decoded, luma_frames, make_clip, packets
from conftest import ROOT, python

from ae.color import BT601, BT709
from ae.errors import CheckFailedError, InputError
from ae.media.clips.coding import planes
from ae.media.clips.conversions import colorize_clip
from ae.media.clips.reading import Clip
from ae.media.clips.settings import ClipSettings

LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def colorized(source, target, **settings):
    lines = []
    settings = ClipSettings(**{"batch_size": 4, "encoder_options": LOSSLESS} | settings)
    report = colorize_clip(source, target, colorizer(pixels=512), settings, log=lines.append)
    return report, lines


def chroma_of(path):
    with av.open(str(path)) as container:
        frame = next(container.decode(container.streams.video[0]))
        return np.stack(
            [np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes[1:]]
        )


@pytest.mark.parametrize(
    ("suffix", "pixels", "size", "codec"),
    [
        (".mp4", "yuv420p", (48, 64), "libx264"),
        (".mkv", "yuv420p10le", (50, 70), "libx264"),
        (".mkv", "yuv422p", (48, 64), "libx264"),
        (".mov", "yuv444p", (48, 63), "libx264"),
        (".webm", "yuv420p", (49, 63), "libvpx-vp9"),
        (".mkv", "yuv420p", (31, 33), "ffv1"),
        (".mkv", "gray", (31, 33), "ffv1"),
    ],
)
def test_luma_and_times_are_the_sources_bit_for_bit(tmp_path, suffix, pixels, size, codec):
    bits = 10 if "10" in pixels else 8
    luma = luma_frames(11, *size, bits=bits)
    source = make_clip(tmp_path / "in.mkv", luma, codec="ffv1", pixels=pixels, options={})
    options = {"libx264": LOSSLESS, "libvpx-vp9": {"lossless": "1", "cpu-used": "8"}}.get(codec, {})
    report, lines = colorized(source, tmp_path / f"out{suffix}", codec=codec, encoder_options=options)
    assert report.passed
    assert not report.lost + lines
    written, times = decoded(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(written, luma)
    assert [round(1000 * time) for time in times] == [40 * index for index in range(11)]
    assert np.ptp(chroma_of(tmp_path / f"out{suffix}")) > 4 if bits == 8 else True


def test_frames_that_fill_no_batch_and_single_frames(tmp_path):
    for count in (1, 4, 5):
        luma = luma_frames(count, 32, 32)
        report, _ = colorized(make_clip(tmp_path / "in.mp4", luma), tmp_path / "out.mp4")
        assert report.passed
        np.testing.assert_array_equal(decoded(tmp_path / "out.mp4")[0], luma)


def test_the_last_frame_lasts_as_long_as_it_did(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(3, 32, 32), times=[0, 40, 80], base=Fraction(1, 1000))
    colorized(source, tmp_path / "out.mp4")
    with av.open(str(source)) as given, av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration == pytest.approx(given.duration, abs=1000)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25)])
def test_rates_are_exact(tmp_path, rate):
    base = Fraction(1, rate.numerator)
    source = make_clip(tmp_path / "in.mp4", luma_frames(40, 32, 32), rate=rate, base=base)
    colorized(source, tmp_path / "out.mp4")
    _, times = decoded(tmp_path / "out.mp4")
    assert times == [index / rate for index in range(40)]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == rate


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_rates_keep_their_times(tmp_path, suffix):
    times = [0, 40, 50, 130, 135, 400, 1000, 1001, 1500]
    source = make_clip(tmp_path / "in.mkv", luma_frames(9, 32, 32), times=times, base=Fraction(1, 1000))
    report, _ = colorized(source, tmp_path / f"out{suffix}")
    assert report.passed
    assert [1000 * time for time in decoded(tmp_path / f"out{suffix}")[1]] == times


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_all_sound_is_copied_and_starts_where_it_did(tmp_path, suffix):
    source = make_clip(tmp_path / f"in{suffix}", luma_frames(50, 32, 32), tracks=[0.0, 0.5])
    report, _ = colorized(source, tmp_path / f"out{suffix}")
    assert report.passed
    ours, theirs = packets(tmp_path / f"out{suffix}"), packets(source)
    assert len(ours) == 2
    for mine, original in zip(ours, theirs, strict=True):
        assert [data for data, _ in mine] == [data for data, _ in original]
        assert [float(time) for _, time in mine] == pytest.approx([float(time) for _, time in original], abs=0.0011)


def test_tags_rotation_shape_of_pixels_metadata_and_chapters_are_kept(tmp_path):
    chapters = [{"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
    tags = {
        "color_range": 2,
        "color_primaries": 9,
        "color_trc": 16,
        "colorspace": 9,
        "sample_aspect_ratio": Fraction(4, 3),
    }
    source = make_clip(
        tmp_path / "in.mp4",
        luma_frames(9, 32, 48),
        rotation=90,
        metadata={"title": "A clip"},
        chapters=chapters,
        **tags,
    )
    report, _ = colorized(source, tmp_path / "out.mp4")
    assert report.passed
    with av.open(str(source)) as given, av.open(str(tmp_path / "out.mp4")) as container:
        video, frame = container.streams.video[0], next(container.decode(video=0))
        assert frame.rotation == next(given.decode(video=0)).rotation != 0
        assert video.sample_aspect_ratio == Fraction(4, 3)
        assert [
            int(getattr(frame, name)) for name in ("color_range", "color_primaries", "color_trc", "colorspace")
        ] == [2, 9, 16, 9]
        assert container.metadata["title"] == "A clip"
        assert [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]) for c in container.chapters()
        ] == [(0, Fraction(1, 2), {"title": "One"})]


@pytest.mark.parametrize(
    ("height", "tag", "weights"), [(48, 2, BT601), (720, 2, BT709), (48, 1, BT709), (720, 6, BT601)]
)
def test_the_matrix_is_the_tagged_one_or_what_players_take(tmp_path, height, tag, weights):
    source = make_clip(tmp_path / "in.mp4", luma_frames(1, height, 48), colorspace=tag)
    assert Clip(source).coding.weights == weights


def test_side_by_side_has_gray_left_and_colour_right(tmp_path):
    luma = luma_frames(3, 32, 48)
    report, _ = colorized(make_clip(tmp_path / "in.mp4", luma), tmp_path / "out.mp4", side_by_side=True)
    assert report.passed
    written = decoded(tmp_path / "out.mp4")[0]
    np.testing.assert_array_equal(written, np.concatenate([luma, luma], axis=2))
    chroma = chroma_of(tmp_path / "out.mp4")
    assert (chroma[..., :24] == 128).all()
    assert np.ptp(chroma[..., 24:]) > 4


def test_a_preview_ends_after_so_many_seconds_with_its_sound(tmp_path):
    source = make_clip(tmp_path / "in.mp4", luma_frames(50, 32, 32), tracks=[0.0])
    report, _ = colorized(source, tmp_path / "out.mp4", seconds=0.4)
    assert report.passed
    assert len(decoded(tmp_path / "out.mp4")[0]) == 10
    assert packets(tmp_path / "out.mp4")[0][-1][1] == pytest.approx(0.4, abs=0.04)


def bad_clip(kind, folder):
    """A file that is no good clip."""
    path = folder / "in.mp4"
    if kind == "text":
        path.write_text("no clip at all\n" * 100)
    elif kind == "empty":
        path.touch()
    elif kind in ("no frame", "sound"):
        make_clip(folder / "both.mkv", luma_frames(25, 32, 32), tracks=[0.0])
        copy_sound(folder / "both.mkv", path, declared=("audio", "video") if kind == "no frame" else ("audio",))
    return path


def copy_sound(source, target, declared):
    """Writes the sound of a clip alone, to a file with streams of these kinds."""
    with av.open(str(source)) as clip, av.open(str(target), "w", format="matroska") as container:
        copies = {s: container.add_stream_from_template(s) for s in clip.streams if s.type in declared}
        for packet in clip.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copies[packet.stream]
                container.mux(packet)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "No such file"),
        ("text", "cannot be read as a video"),
        ("empty", "cannot be read"),
        ("no frame", "no frame that can be decoded"),
        ("sound", "no video stream, only 1 audio"),
    ],
)
def test_what_is_no_clip_is_refused(tmp_path, kind, message):
    with pytest.raises(InputError, match=message):
        colorized(bad_clip(kind, tmp_path), tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_truncated_clip_is_written_as_far_as_it_goes(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(100, 64, 64), tracks=[0.0])
    source.write_bytes(source.read_bytes()[: int(0.6 * source.stat().st_size)])
    report, _ = colorized(source, tmp_path / "out.mkv")
    assert report.passed
    assert any("the file ends there" in line for line in report.lost)
    assert 30 < len(decoded(tmp_path / "out.mkv")[0]) < 90


def test_a_corrupt_frame_is_said_and_the_others_are_written(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(60, 64, 64), options={"g": "10"})
    data = bytearray(source.read_bytes())
    for index in range(len(data) // 2, len(data) // 2 + 600):
        data[index] = 0x55
    source.write_bytes(data)
    report, _ = colorized(source, tmp_path / "out.mkv")
    assert report.lost
    assert report.passed
    assert len(decoded(tmp_path / "out.mkv")[0]) >= 40


def test_the_input_is_never_overwritten(tmp_path):
    source = make_clip(tmp_path / "in.mp4", luma_frames(2, 32, 32))
    before = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    for target in (source, tmp_path / "link.mp4"):
        with pytest.raises(InputError, match="is the input itself"):
            colorized(source, target)
    assert source.read_bytes() == before


def test_folders_that_cannot_be_written_to(tmp_path):
    source = make_clip(tmp_path / "in.mp4", luma_frames(2, 32, 32))
    with pytest.raises(InputError, match="there is no folder"):
        colorized(source, tmp_path / "missing" / "out.mp4")
    with pytest.raises(InputError, match="cannot write"):  # not even root may write there
        colorized(source, Path("/proc/self/out.mp4"))


def test_a_clip_that_fails_the_check_is_kept_under_another_name(tmp_path, monkeypatch):
    source = make_clip(tmp_path / "in.mp4", luma_frames(6, 32, 32))
    (tmp_path / "out.mp4").write_text("an earlier result")
    monkeypatch.setattr("ae.media.clips.writing.planes", blackened)
    with pytest.raises(CheckFailedError, match=r"out\.failed\.mp4 failed the check: luma equal"):
        colorized(source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_text() == "an earlier result"
    assert len(decoded(tmp_path / "out.failed.mp4")[0]) == 6


def test_what_fails_midway_leaves_nothing(tmp_path, monkeypatch):
    from ae.media.clips import writing as writer

    def full(self, item):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.ClipWriter, "write", full)
    source = make_clip(tmp_path / "in.mp4", luma_frames(6, 32, 32))
    with pytest.raises(OSError, match="No space"):
        colorized(source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("name", ["in put's.mp4", '"in".mkv', "-in.mp4", "concat:in.mp4", "über [1].mp4", "$(x);.mp4",
                                  "10:30.mp4", f"{240 * 'a'}.mp4"])  # fmt: skip
def test_names_are_names(tmp_path, name, monkeypatch):
    source = make_clip(tmp_path / "in.mp4", luma_frames(4, 32, 32))
    shutil.copy(source, tmp_path / name)
    (tmp_path / "to").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.chdir("to")
    for source, target in ((Path("..", name), Path(name)), (Path(name), Path("..", f"out {name}"))):
        report, _ = colorized(source, target)
        assert report.passed
        assert target.exists()


def test_a_clip_of_a_long_name_that_fails_the_check_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("ae.media.clips.writing.planes", blackened)
    source = make_clip(tmp_path / "in.mp4", luma_frames(4, 32, 32))
    with pytest.raises(CheckFailedError) as raised:
        colorized(source, tmp_path / f"{250 * 'a'}.mp4")
    assert raised.value.report.path.name.endswith("aaa.failed.mp4")
    assert raised.value.report.path.exists()


def blackened(frame):
    """Planes of which the luma is not written."""
    luma, *chroma = planes(frame)
    return [np.zeros_like(luma), *chroma]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(tmp_path, there):
    source = make_clip(tmp_path / "in.mp4", luma_frames(4, 32, 32))
    (tmp_path / "far").mkdir()
    if there:
        (tmp_path / "far/film.mp4").write_text("an earlier result")
    (tmp_path / "out.mp4").symlink_to("far/film.mp4")
    report, _ = colorized(source, tmp_path / "out.mp4")
    assert report.passed
    assert (tmp_path / "out.mp4").is_symlink()
    assert len(decoded(tmp_path / "far/film.mp4")[0]) == 4
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["film.mp4"]


def test_frames_that_would_fill_the_memory_are_refused(tmp_path):
    source, target = make_clip(tmp_path / "in.mp4", luma_frames(5, 48, 64)), tmp_path / "out.mp4"
    with pytest.raises(InputError, match="3,072 pixels a frame, more than the 3,071 allowed: --most-pixels 3072"):
        colorized(source, target, most_pixels=3071)
    report, _ = colorized(source, target, most_pixels=3072)
    assert report.passed


def test_frames_that_are_larger_than_the_container_says_are_not_decoded(tmp_path, monkeypatch):
    source = make_clip(tmp_path / "in.mp4", luma_frames(5, 48, 64))
    monkeypatch.setattr("ae.media.clips.formats.check_pixels", lambda *args, **kwargs: None)
    with pytest.raises(InputError, match="no frame that can be decoded"):
        colorized(source, tmp_path / "out.mp4", most_pixels=3071)


def test_playlists_are_no_clips(tmp_path):
    """They name other files, which are not to be read because a stranger's file says so."""
    make_clip(tmp_path / "other.ts", luma_frames(4, 32, 32), codec="mpeg2video", base=Fraction(1, 25))
    lists = {
        "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
        "list.mkv": "ffconcat version 1.0\nfile other.ts\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="cannot be read as a video"):
            Clip(tmp_path / name)


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "carphone_pristine.mp4"])
def test_real_clips(tmp_path, name):
    if not SHARED_CLIPS.is_dir():
        pytest.skip("the real clips are not on this machine")
    source = SHARED_CLIPS / name
    report, lines = colorized(source, tmp_path / "out.mp4", seconds=1.0, recolour=True)
    assert report.passed
    assert not report.lost + lines
    written, _ = decoded(tmp_path / "out.mp4")
    np.testing.assert_array_equal(written, decoded(source)[0][: len(written)])
    for mine, theirs in zip(packets(tmp_path / "out.mp4"), packets(source), strict=True):
        assert mine == theirs[: len(mine)]


def test_rgb_becomes_yuv_and_is_said_to(tmp_path):
    luma = luma_frames(4, 32, 32)
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "bgr0"
        for values in luma:
            frame = av.VideoFrame.from_ndarray(np.stack([values] * 3, axis=-1), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))
    report, lines = colorized(tmp_path / "in.mkv", tmp_path / "out.mkv")
    assert report.passed
    assert "bgr0: they are written as yuv444p" in lines[0]
    expected = np.round(16 + luma.astype(float) * 219 / 255)
    assert np.abs(decoded(tmp_path / "out.mkv")[0] - expected).max() <= 1


EIGHT_DEVICES = """
import sys
sys.path[:0] = sys.argv[1:3]
import jax, numpy as np
from clips import colorizer
from ae.color import Coding
from ae.media.stages import statistics
from ae.media.stages.colour import Chroma
from ae.runtime.chain import Frame, run
codes = np.random.default_rng(0).integers(0, 256, (11, 48, 64)).astype(np.uint8)
assert jax.device_count() == int(sys.argv[3])
planes = colorizer().planes(np.concatenate([codes, codes[:5]]), Coding())
assert len(planes[0].sharding.device_set) == jax.device_count()
stages = Chroma(colorizer(), Coding()), statistics.Statistics()
*_, last = run(stages, [Frame(luma, None) for luma in codes], 8, fetch=("cb",))
assert statistics._added._cache_size() == 1
figures = statistics.clip_statistics(last.states[-1])
np.savez(sys.argv[4], cb=planes[0], frames=colorizer()(codes), figures=figures)
"""


def test_frames_are_split_over_all_devices(tmp_path):
    found = []
    for count in (1, 8):
        environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
        arguments = python("-c", EIGHT_DEVICES, ROOT, ROOT / "tests", count, tmp_path / f"{count}.npz")
        subprocess.run(arguments, env=environment, check=True, timeout=300)
        found.append(np.load(tmp_path / f"{count}.npz"))
    for name in ("cb", "frames"):
        assert np.abs(found[0][name].astype(int) - found[1][name].astype(int)).max() <= 1
        assert (found[0][name] != found[1][name]).mean() < 0.01
    np.testing.assert_allclose(found[0]["figures"], found[1]["figures"], rtol=1e-4)
