"""What goes along with pictures comes along, or is said not to before the first frame."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import decoded, luma_frames, make_clip
from conftest import SHARED
from writing import (
    colorized,
    joined_streams,
    jpeg,
    of_kind,
    start_of,
    streams,
    time_coded,
    with_font,
    with_sound,
    with_subtitles,
)

CASES = SHARED / "cases/clips"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_sound_without_compression_is_kept_byte_for_byte(tmp_path, suffix):
    """Containers cut it anew, and an AVI does not say in which order its channels are."""
    source = with_sound(tmp_path / "in.avi", "pcm_s16le")
    report, lines = colorized(source, tmp_path / f"out{suffix}")
    assert report.verdict == f"PASS {tmp_path / f'out{suffix}'}"
    assert not lines
    assert b"".join(of_kind(tmp_path / f"out{suffix}", "audio")[0]) == b"".join(of_kind(source, "audio")[0])


def test_sound_that_pyav_has_no_tag_for_is_kept(tmp_path):
    source = with_sound(tmp_path / "in.wmv", "wmav2", picture="wmv2")
    report, lines = colorized(source, tmp_path / "out.mkv")
    assert report.verdict.startswith("PASS /")
    assert not lines
    assert of_kind(tmp_path / "out.mkv", "audio") == of_kind(source, "audio")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 10_000


@pytest.mark.parametrize(
    ("codec", "given", "wanted"),
    [
        ("pcm_mulaw", ".mov", ".mkv"),  # whose tags differ
        ("adpcm_ms", ".avi", ".avi"),  # whose packets have times that the container cannot tell apart
        ("alac", ".mkv", ".mp4"),  # whose packets have no duration: the last would be lost
        ("flac", ".mkv", ".mp4"),
        ("pcm_f32le", ".mkv", ".mov"),
    ],
)
def test_sound_is_kept_wherever_ffmpeg_writes_it(tmp_path, codec, given, wanted):
    source = with_sound(tmp_path / f"in{given}", codec)
    report, lines = colorized(source, tmp_path / f"out{wanted}")
    assert report.verdict.startswith("PASS /")
    assert not lines
    assert b"".join(of_kind(tmp_path / f"out{wanted}", "audio")[0]) == b"".join(of_kind(source, "audio")[0])


@pytest.mark.parametrize("audio", ["copy", "aac"])
def test_pictures_that_a_container_puts_out_of_step_with_sound_are_encoded_without_them(tmp_path, audio):
    """ASF takes the time of decoding for that of showing, which B-frames make later."""
    source = with_sound(tmp_path / "in.avi", "pcm_s16le")
    report, lines = colorized(source, tmp_path / "out.wmv", audio=audio)
    assert report.passed
    assert lines == ["libx264 cannot write 48x32 in yuv420p to .wmv: it is written with libvpx-vp9"]
    assert b"".join(of_kind(tmp_path / "out.wmv", "audio")[0]) == b"".join(of_kind(source, "audio")[0])


def test_sound_that_a_container_refuses_is_left_out_and_said(tmp_path):
    source = with_sound(tmp_path / "in.wmv", "wmav2", picture="wmv2")
    report, lines = colorized(source, tmp_path / "out.mp4")
    assert report.verdict == f"PASS without the audio stream 1 (wmav2): {tmp_path / 'out.mp4'}"
    what = ".mp4 cannot hold the audio stream 1 (wmav2), which is left out"
    assert lines == [f"{what}; --audio aac keeps it, .mkv can hold it"]
    assert [kind for kind, *_ in streams(tmp_path / "out.mp4")] == ["video"]


@pytest.mark.parametrize(("suffix", "audio", "rate"), [(".mp4", "aac", 44100), (".webm", "opus", 48000)])
@pytest.mark.parametrize("layout", ["stereo", "mono"])
def test_sound_that_a_container_refuses_is_encoded_where_that_is_asked_for(tmp_path, suffix, audio, rate, layout):
    source = with_sound(tmp_path / "in.wmv", "wmav2", picture="wmv2", layout=layout, count=25)
    report, lines = colorized(source, tmp_path / f"out{suffix}", audio=audio)
    assert report.verdict.startswith("PASS /")
    assert lines == [f"{suffix} cannot hold the audio stream 1 (wmav2), which is encoded anew as {audio}"]
    with av.open(str(source)) as given, av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.audio[0].codec_context.name == audio
        assert container.streams.audio[0].rate == rate
        ours, theirs = ([f for f in c.decode(audio=0) if f.samples] for c in (container, given))
        lengths = [sum(frame.samples for frame in frames) / frames[0].sample_rate for frames in (ours, theirs)]
        starts = [float(frames[0].pts * frames[0].time_base) for frames in (ours, theirs)]
        first = [next(c.decode(video=0)) for c in (av.open(str(tmp_path / f"out{suffix}")), av.open(str(source)))]
        shown = [float(frame.pts * frame.time_base) for frame in first]
    assert lengths[0] == pytest.approx(lengths[1], abs=0.06)
    assert starts[0] - shown[0] == pytest.approx(starts[1] - shown[1], abs=0.03)


def test_sound_that_the_container_takes_is_copied_whatever_is_asked_for(tmp_path):
    source = with_sound(tmp_path / "in.mkv", "aac")
    _, lines = colorized(source, tmp_path / "out.mp4", audio="opus")
    assert not lines
    assert of_kind(tmp_path / "out.mp4", "audio") == of_kind(source, "audio")


def test_a_track_of_time_codes(tmp_path):
    source = time_coded(tmp_path / "in.mov")
    report, lines = colorized(source, tmp_path / "out.mov")
    assert report.verdict.startswith("PASS /")
    assert not lines
    assert of_kind(tmp_path / "out.mov", "data") == of_kind(source, "data") != []
    report, lines = colorized(source, tmp_path / "out.mkv")
    assert report.verdict.startswith("PASS without the data stream 1 (time code): ")
    assert lines == [".mkv cannot hold the data stream 1 (time code), which is left out"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_covers_are_kept(tmp_path, suffix):
    picture = jpeg()
    source = joined_streams(tmp_path / "in.mp4", make_clip(tmp_path / "a.mp4", luma_frames(9, 32, 48)), cover=picture)
    assert streams(source)[1] == ("video", True, [picture])
    report, lines = colorized(source, tmp_path / f"out{suffix}")
    assert report.verdict.startswith("PASS /")
    assert not lines
    assert streams(tmp_path / f"out{suffix}")[1] == ("video", True, [picture])
    assert "video stream 1, packets" in [check.name for check in report.checks]


@pytest.mark.parametrize("suffix", [".webm", ".mov", ".ts"])
def test_a_cover_that_cannot_be_kept_is_said(tmp_path, suffix):
    source = joined_streams(tmp_path / "in.mp4", make_clip(tmp_path / "a.mp4", luma_frames(9, 32, 48)), cover=jpeg())
    report, lines = colorized(source, tmp_path / f"out{suffix}")
    assert "PASS without the video stream 1 (mjpeg): " in report.verdict
    assert lines == [f"{suffix} cannot hold the video stream 1 (mjpeg), which is left out; .mkv can hold it"]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_second_video_stream_is_kept_with_its_first_packets(tmp_path, suffix):
    """Those have no time of decoding in a Matroska file with B-frames."""
    options = {"bf": "2", "preset": "medium"}
    parts = [make_clip(tmp_path / f"{i}.mkv", luma_frames(15, 32, 48), options=options) for i in range(2)]
    source = joined_streams(tmp_path / "in.mkv", *parts)
    with av.open(str(source)) as container:
        assert next(packet for packet in container.demux(video=1)).dts is None
    report, lines = colorized(source, tmp_path / f"out{suffix}")
    assert report.passed
    assert not lines
    assert len(of_kind(tmp_path / f"out{suffix}", "video")[0]) == 15
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=1)]
    assert [round(1000 * (time - times[0])) for time in times] == [40 * index for index in range(15)]


def test_fonts_are_kept_or_said_not_to_be(tmp_path):
    source = with_font(tmp_path / "in.mkv")
    report, lines = colorized(source, tmp_path / "out.mkv")
    assert report.verdict.startswith("PASS /")
    assert "attachment stream 1, bytes" in [check.name for check in report.checks]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams[1].data == b"a font" * 10
        assert container.streams[1].name == "a.ttf"
    report, lines = colorized(source, tmp_path / "out.mp4")
    assert lines == [".mp4 cannot hold the attachment stream 1 (a.ttf), which is left out; .mkv can hold it"]
    assert report.verdict.startswith("PASS without the attachment stream 1 (a.ttf): ")


def test_subtitles_that_cannot_be_held_are_said_before_the_first_frame(tmp_path):
    source = with_subtitles(tmp_path / "in.mkv", tmp_path)
    report, lines = colorized(source, tmp_path / "out.mp4")
    assert lines == [".mp4 cannot hold the subtitle stream 1 (subrip), which is left out; .mkv can hold it"]
    assert report.verdict.startswith("PASS without the subtitle stream 1 (subrip): ")
    report, lines = colorized(source, tmp_path / "out.mkv")
    assert report.verdict.startswith("PASS /")
    assert of_kind(tmp_path / "out.mkv", "subtitle") == of_kind(source, "subtitle")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_clocks_start_at_zero_and_streams_keep_step(tmp_path, suffix):
    """A broadcast's clock has run for hours."""
    plain = make_clip(tmp_path / "plain.mp4", luma_frames(25, 32, 48), tracks=[0.0, 0.5])
    source = joined_streams(tmp_path / "in.ts", plain, shift=20_001)
    assert start_of(source) > 20_000
    report, lines = colorized(source, tmp_path / f"out{suffix}")
    assert report.passed
    assert not lines
    assert abs(start_of(tmp_path / f"out{suffix}")) < 0.03  # the silence that AAC begins with, in MP4
    starts = []
    for path in (source, tmp_path / f"out{suffix}"):
        with av.open(str(path)) as container:
            firsts = {}
            for packet in container.demux():
                if packet.size:
                    time = float(packet.pts * packet.time_base)
                    firsts[packet.stream.index] = min(time, firsts.get(packet.stream.index, time))
            starts.append([firsts[index] - firsts[0] for index in (1, 2)])
    assert starts[0] == pytest.approx(starts[1], abs=0.0011)


def test_chapters_move_with_the_clock(tmp_path):
    chapters = [{"id": 1, "start": 10_400, "end": 10_800, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
    times = [10_000 + 40 * index for index in range(25)]
    source = make_clip(
        tmp_path / "in.mkv", luma_frames(25, 32, 48), times=times, base=Fraction(1, 1000), chapters=chapters
    )
    report, _ = colorized(source, tmp_path / "out.mkv")
    assert report.passed
    assert decoded(tmp_path / "out.mkv")[1][0] == 0
    with av.open(str(tmp_path / "out.mkv")) as container:
        (chapter,) = container.chapters()
        assert float(chapter["start"] * chapter["time_base"]) == pytest.approx(0.4)


VERDICTS = [
    ("stereo.avi", ".mp4", "PASS"),
    ("stereo.avi", ".mkv", "PASS"),
    ("stereo.avi", ".wmv", "PASS"),
    ("tc.mov", ".mov", "PASS"),
    ("tc.mov", ".mkv", "PASS without the data stream 2 (time code)"),
    ("big.ts", ".mkv", "PASS"),
    ("big.ts", ".mp4", "PASS"),
    ("w.wmv", ".mkv", "PASS"),
    ("w.wmv", ".mp4", "PASS without the audio stream 1 (wmav2)"),
    ("cover.mp4", ".mp4", "PASS"),
    ("cover.mp4", ".mkv", "PASS"),
    ("two.mkv", ".mkv", "PASS"),
    ("two.mkv", ".mp4", "PASS"),
    ("vp80-00-comprehensive-006.mp4", ".mkv", "PASS"),
]


@pytest.mark.parametrize(("name", "suffix", "verdict"), VERDICTS)
def test_real_files(tmp_path, name, suffix, verdict):
    if not CASES.is_dir():
        pytest.skip("the files of FFmpeg's FATE collection (../shared/cases) are not on this machine")
    report, _ = colorized(CASES / name, tmp_path / f"out{suffix}")
    assert report.verdict == f"{verdict}{' ' if verdict == 'PASS' else ': '}{tmp_path / f'out{suffix}'}"
    if suffix == ".mkv":
        assert abs(start_of(tmp_path / "out.mkv")) < 0.03  # the silence that AAC begins with may come before


def test_a_last_frame_of_unknown_length_is_no_fault(tmp_path):
    """A recording of a screen, which has a frame where something changes, and does not say how long the last one is."""
    times = [0, 40, 90, 1700, 1716]
    source = make_clip(tmp_path / "in.wmv", luma_frames(5, 32, 48), codec="wmv2", rate=Fraction(1000),
                       times=times, base=Fraction(1, 1000), options={})  # fmt: skip
    for suffix in (".mp4", ".mkv"):
        report, _ = colorized(source, tmp_path / f"out{suffix}")
        assert report.passed
        np.testing.assert_allclose(
            np.diff([1000 * float(time) for time in decoded(tmp_path / f"out{suffix}")[1]]), np.diff(times), atol=1.01
        )
