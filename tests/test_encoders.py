"""An encoder that fits is found and said, or what would work is named before the first frame."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import decoded, luma_frames, make_clip
from conftest import SHARED
from writing import LOSSLESS, colorized

from ae.errors import InputError
from ae.media.clips.encoders import fallback_formats
from ae.media.clips.formats import hardware_error

CASES = SHARED / "cases/clips"


def raw(path, size=(32, 48), pixels="yuv420p", count=3, **settings):
    bits = 12 if "12" in pixels else 10 if "10" in pixels else 8
    return make_clip(path, luma_frames(count, *size, bits=bits), codec="ffv1", pixels=pixels, options={}, **settings)


def coding_of(path):
    """The codec and the pixel format of a clip."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.codec.canonical_name, context.pix_fmt


@pytest.mark.parametrize(
    ("suffix", "pixels", "size", "found"),
    [
        (".mp4", "yuv420p", (31, 33), ("vp9", "yuv420p")),
        (".mkv", "yuv422p", (32, 33), ("vp9", "yuv422p")),
        (".mov", "yuv420p", (31, 33), ("h264", "yuv444p")),
        (".mkv", "yuv422p10le", (32, 33), ("ffv1", "yuv422p10le")),
        (".mkv", "yuv420p12le", (64, 64), ("hevc", "yuv420p12le")),
        (".mkv", "yuv422p12le", (64, 64), ("hevc", "yuv422p12le")),
        (".m4v", "yuv422p12le", (32, 48), ("h264", "yuv422p10le")),
        (".webm", "yuv420p10le", (32, 48), ("av1", "yuv420p10le")),
    ],
)
def test_where_the_usual_encoder_cannot_another_is_taken_and_said(tmp_path, suffix, pixels, size, found):
    source = raw(tmp_path / "in.mkv", size, pixels)
    report, lines = colorized(source, tmp_path / f"out{suffix}")
    assert report.verdict.startswith("PASS /")
    assert coding_of(tmp_path / f"out{suffix}") == found
    usual = "libvpx-vp9" if suffix == ".webm" else "libx264"
    odd = " (odd)" if any(length % 2 for length in size) else ""
    assert len(lines) == 1
    assert lines[0].startswith(f"{usual} cannot write {size[1]}x{size[0]}{odd} in {pixels} to {suffix}: it is written")
    assert lines[0].endswith(f" in {found[1]}") == (found[1] != pixels)
    with av.open(str(tmp_path / f"out{suffix}")) as container:  # it has colour, and about the luma that it had
        frame = next(container.decode(video=0)).reformat(format="yuv444p")
    assert np.ptp(np.frombuffer(frame.planes[1], np.uint8)) > 4
    shift = 12 - 8 if "12" in pixels else 10 - 8 if "10" in pixels else 0
    shown = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)[:, : frame.width]
    assert np.abs(shown.astype(int) - (decoded(source)[0][0] >> shift)).mean() < 6


def test_bits_that_are_dropped_are_named_where_luma_is_compared(tmp_path):
    source = raw(tmp_path / "in.mkv", pixels="yuv420p12le")
    report, _ = colorized(source, tmp_path / "out.m4v")
    assert report.checks[0].name == "luma equal before encoding, at 10 bits"


def test_formats_that_may_stand_for_another():
    assert fallback_formats("yuv420p") == ["yuv420p", "yuv444p"]
    assert fallback_formats("yuvj422p") == ["yuvj422p", "yuvj444p"]
    assert fallback_formats("yuv444p10le") == ["yuv444p10le", "yuv444p"]
    assert fallback_formats("yuv422p12le") == [
        "yuv422p12le",
        "yuv444p12le",
        "yuv422p10le",
        "yuv444p10le",
        "yuv422p",
        "yuv444p",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codec": "libx264"}, r"libx264 cannot write 33x31 \(odd\).*\.mp4 takes it without --codec.*libvpx-vp9"),
        (
            {"encoder_options": LOSSLESS},
            r"libx264 cannot write 33x31 \(odd\).*\.mp4 takes it without --codec.*libvpx-vp9",
        ),
        ({"codec": "prores_ks"}, r"prores_ks cannot write .*\.mp4 takes it without --codec"),
        ({"codec": "nonsense"}, "nonsense cannot write"),
    ],
)
def test_a_codec_that_is_asked_for_is_tried_alone(tmp_path, settings, message):
    source = raw(tmp_path / "in.mkv", (31, 33))
    with pytest.raises(InputError, match=message):
        colorized(source, tmp_path / "out.mp4", **settings)
    assert not (tmp_path / "out.mp4").exists()


def test_options_that_an_encoder_does_not_take_are_refused(tmp_path):
    with pytest.raises(InputError, match="libx264 cannot write 48x32"):
        colorized(raw(tmp_path / "in.mkv"), tmp_path / "out.mp4", encoder_options={"preset": "nonsense"})


def test_what_would_fail_is_refused_before_the_first_frame(tmp_path):
    """AVI knows no times but the number of a frame, which come in another order with B-frames."""
    times = np.cumsum(np.random.default_rng(0).integers(5, 90, 30)).tolist()
    source = make_clip(tmp_path / "in.mkv", luma_frames(30, 32, 32), times=times, base=Fraction(1, 1000))
    with pytest.raises(
        InputError, match=r"libx264 cannot write 32x32 in yuv420p to \.avi \(.*\); \.avi takes it without"
    ):
        colorized(source, tmp_path / "out.avi", codec="libx264")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"]
    report, lines = colorized(source, tmp_path / "out.avi")
    assert report.passed
    assert lines == ["libx264 cannot write 32x32 in yuv420p to .avi: it is written with libvpx-vp9"]


def test_what_fails_later_is_refused_too(tmp_path):
    times = [*(40 * index for index in range(120)), 4765, 4770, 4775, 4800]
    source = make_clip(tmp_path / "in.mkv", luma_frames(124, 32, 32), times=times, base=Fraction(1, 1000))
    with pytest.raises(InputError, match=r"\.avi cannot hold .*: write a \.mkv"):
        colorized(source, tmp_path / "out.avi")


@pytest.mark.parametrize("suffix", [".avi", ".wmv", ".flv", ".ts", ".m2ts", ".3gp", ".m4v"])
def test_every_suffix_is_written(tmp_path, suffix):
    source = make_clip(tmp_path / "in.mp4", luma_frames(12, 48, 64), tracks=[0.0])
    report, _ = colorized(source, tmp_path / f"out{suffix}")
    assert report.verdict.startswith("PASS /")
    assert len(decoded(tmp_path / f"out{suffix}")[0]) == 12


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_fewest_frames_are_decoded_at_their_times(tmp_path, count):
    """libx265 looks two frames ahead for their times of decoding; where there are none, it says what lay in memory."""
    source = make_clip(tmp_path / "in.mkv", luma_frames(count, 64, 64))
    report, _ = colorized(source, tmp_path / "out.mkv", codec="libx265")
    assert report.passed
    colorized(source, tmp_path / "out.mp4", codec="libx265")
    with av.open(str(tmp_path / "out.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) == count
    assert all(-3 * packet.duration <= packet.dts <= packet.pts for packet in packets)


def test_twelve_bits_of_a_real_file(tmp_path):
    if not CASES.is_dir():
        pytest.skip("the files of FFmpeg's FATE collection (../shared/cases) are not on this machine")
    report, lines = colorized(CASES / "dnxhr_cid1271_12bit.mp4", tmp_path / "out.mkv")
    assert report.passed
    assert "it is written with libx265" in lines[0]
    assert coding_of(tmp_path / "out.mkv") == ("hevc", "yuv422p12le")


def without_hardware(source):
    """Why there is no NVIDIA GPU to decode a clip; skips where there is one."""
    if (why := hardware_error(source, "cuda")) is None:
        pytest.skip("there is hardware, which is to be used")
    return why


def test_a_clip_is_decoded_by_the_cpu_where_there_is_no_other(tmp_path):
    source = make_clip(tmp_path / "in.mp4", luma_frames(4, 32, 48))
    why = without_hardware(source)
    report, lines = colorized(source, tmp_path / "out.mp4", hwaccel="cuda")
    assert report.passed
    assert f"in.mp4 is decoded by the CPU, as cuda does not: {why}" in lines


def test_hardware_that_ffmpeg_does_not_know_is_said_to_be(tmp_path):
    source = make_clip(tmp_path / "in.mp4", luma_frames(4, 32, 48))
    with pytest.raises(InputError, match="magic is no hardware that can decode here: there is cuda"):
        colorized(source, tmp_path / "out.mp4", hwaccel="magic")


@pytest.mark.parametrize("options", [None, {"preset": "p7"}])
def test_a_program_encodes_where_there_is_no_hardware(tmp_path, options):
    source = make_clip(tmp_path / "in.mp4", luma_frames(4, 160, 160))
    without_hardware(source)
    report, lines = colorized(source, tmp_path / "out.mp4", codec="h264_nvenc", encoder_options=options)
    assert report.passed
    assert "h264_nvenc cannot write 160x160 in yuv420p to .mp4: it is written with libx264" in lines
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert written.streams.video[0].codec_context.name == "h264"
