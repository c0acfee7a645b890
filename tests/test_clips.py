"""Every frame that FFmpeg decodes is read."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import decoded, frame_of, luma_frames, make_clip, packets
from conftest import SHARED
from reading import LOSSLESS, colorized, frames_of, grow, joined, plainly_decoded

from ae.errors import InputError
from ae.media.clips.times import MIN_INTERVAL

CASES = SHARED / "cases/clips"


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
    report, lines, luma, times = colorized(source, tmp_path / f"out{suffix}", encoder_options=LOSSLESS["libx264"])
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
    report, _, luma, times = colorized(source, tmp_path / "out.mkv", encoder_options=LOSSLESS["libx264"])
    assert report.passed
    assert not report.lost
    assert len(luma) == 40
    assert set(np.round(np.diff([float(time) for time in times]), 6)) == {0.04}


def test_broadcasts_that_were_joined_go_on(tmp_path):
    """Each begins its clock anew, for picture and sound."""
    parts = [make_clip(tmp_path / f"{i}.ts", luma_frames(25, 32, 48, seed=i), tracks=[0.0]) for i in range(3)]
    source = joined(tmp_path / "in.ts", *parts)
    report, lines, luma, times = colorized(source, tmp_path / "out.mkv", encoder_options=LOSSLESS["libx264"])
    assert report.passed
    assert all("damaged" in line for line in report.lost)  # where a part ends, packets are counted anew
    assert len(luma) == 75
    assert "its clock" in lines[0]
    np.testing.assert_allclose(np.diff([float(time) for time in times]), 0.04, atol=0.03)
    (sound,) = packets(tmp_path / "out.mkv")
    assert len(sound) == sum(len(packets(part)[0]) for part in parts)
    assert 0 < min(np.diff([time for _, time in sound])) <= max(np.diff([time for _, time in sound])) < 0.1


def changing(folder, kind):
    """A clip whose second half has frames of another kind."""
    if kind == "pixels":
        halves = [
            make_clip(
                folder / f"{pixels}.mjpeg", luma_frames(6, 32, 48), codec="mjpeg", pixels=pixels, base=Fraction(1, 25)
            )
            for pixels in ("yuvj420p", "yuvj444p")
        ]
        return joined(folder / "in.mjpeg", *halves)
    halves = [make_clip(folder / f"{size}.ts", luma_frames(6, size, 48)) for size in (32, 64)]
    return joined(folder / "in.ts", *halves)


@pytest.mark.parametrize("kind", ["size", "pixels"])
@pytest.mark.parametrize("deinterlace", [False, True])
def test_frames_of_another_size_or_format_become_like_the_first(tmp_path, kind, deinterlace):
    source = changing(tmp_path, kind)
    settings = {"encoder_options": LOSSLESS["libx264"], "deinterlace": deinterlace}
    report, lines, luma, times = colorized(source, tmp_path / "out.mkv", **settings)
    assert report.passed
    assert luma.shape == (12, 32, 48)
    assert grow(times)
    assert sum("changes size or pixel format" in line and "for 6 of its frames" in line for line in lines) == 1
    assert "without 6 that were scaled" in report.checks[0].name
    if kind == "pixels" and not deinterlace:
        np.testing.assert_array_equal(luma[6:], luma[:6])


def refreshed(path, count, every, cut):
    """Writes frames of which none but the first stands alone: a part of each is made anew; cuts off the first ones."""
    options = {"intra-refresh": "1", "g": str(every), "bf": "0", "preset": "ultrafast", "qp": "0"}
    make_clip(path.with_name("whole.mkv"), luma_frames(count, 64, 96), options=options, base=Fraction(1, 25))
    with av.open(str(path.with_name("whole.mkv"))) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in [packet for packet in source.demux(video=0) if packet.size][cut:]:
            packet.stream = stream
            container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_pictures_that_need_what_was_cut_off_are_said(tmp_path, suffix):
    """The first frame is there once all of its parts have been made anew."""
    source = refreshed(tmp_path / f"in{suffix}", 40, 20, cut=5)
    with av.open(str(source)) as container:
        assert not [frame for frame in container.decode(video=0) if frame.key_frame]
    report, lines, luma, _ = colorized(source, tmp_path / "out.mkv", encoder_options=LOSSLESS["libx264"])
    assert report.passed
    assert 5 < len(luma) == plainly_decoded(source) < 30
    assert len(lines) == 1
    assert f"cannot be decoded without others, which are not there: {35 - len(luma)}, all before" in lines[0]
    np.testing.assert_array_equal(luma, luma_frames(40, 64, 96)[-len(luma) :])
    with pytest.raises(InputError, match="no frame that can be decoded"):
        colorized(refreshed(tmp_path / f"none{suffix}", 12, 60, cut=1), tmp_path / "out.mkv")


@pytest.mark.parametrize("every", [10, 100])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_clip_is_taken_up_in_time_where_no_picture_stands_alone(tmp_path, suffix, every):
    """Or where the file says of all that they do, which an MP4 does that says of none."""
    options = LOSSLESS["libx264"] | {"g": str(every), "bf": "0"}
    make_clip(tmp_path / "whole.mkv", luma_frames(40, 64, 96), options=options)
    with av.open(str(tmp_path / "whole.mkv")) as whole, av.open(str(tmp_path / f"in{suffix}"), "w") as container:
        stream = container.add_stream_from_template(whole.streams.video[0])
        for packet in [packet for packet in whole.demux(video=0) if packet.size]:
            packet.stream, packet.is_keyframe = stream, False
            container.mux(packet)
    for source in (tmp_path / f"in{suffix}", refreshed(tmp_path / f"refreshed{suffix}", 40, 20, cut=0)):
        for start, left in ((0.0, 40), (0.5, 27), (1.3, 7)):
            found, clip = frames_of(source, start=start)
            np.testing.assert_array_equal([frame.luma for frame in found], luma_frames(40, 64, 96)[-left:])
            assert not clip.lost + clip.notes


def test_a_preview_begins_with_the_picture(tmp_path):
    source = make_clip(
        tmp_path / "in.mkv", luma_frames(10, 32, 48), tracks=[0.0], times=range(30_000, 30_400, 40), base=MIN_INTERVAL
    )
    for deinterlace in (False, True):
        assert len(frames_of(source, seconds=0.2, deinterlace=deinterlace)[0]) == 5


FRAMES = {
    "packed_bframes.avi": 15,
    "vc1-wmapro.mp4": 120,
    "ref_10.avi": 25,
    "g2m2.mp4": 160,
    "catfight-cvid-pal8-partial.mp4": 56,
    "vp80-00-comprehensive-006.mp4": 48,
    "dnxhr_cid1271_12bit.mp4": 1,
    "av1-1-b8-03-sizedown.mp4": 20,
    "big.ts": 50,
    "stereo.avi": 50,
    "two.mkv": 50,
    "w.wmv": 50,
}


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_of_real_files_is_read(name):
    if not CASES.is_dir():
        pytest.skip("the files of FFmpeg's FATE collection (../shared/cases) are not on this machine")
    found, clip = frames_of(CASES / name)
    assert len(found) == FRAMES[name]
    assert grow([start for start, _ in clip.times])
    assert grow([round(1000 * start) for start, _ in clip.times])
    assert {item.luma.shape for item in found} == {clip.size}
