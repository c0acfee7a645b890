"""Captions and HDR10 metadata."""

import gc
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import frame_of, luma_frames, make_clip
from reading import LOSSLESS, colorized, joined

from ae.media.clips import sidedata
from ae.media.clips.reading import Clip
from ae.media.clips.sidedata import dropped_side_data, side_data_of

MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
CAPTION = bytes.fromhex("b5003147413934 03 43ff fc9420 fcc8e5 fcecec ff")  # of A/53, in an SEI message


def side_data(path):
    """What the frames of a clip carry, by kind."""
    found = {}
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            for kind, data in side_data_of(frame).items():
                found.setdefault(kind, []).append(data)
    return found


def test_frames_are_let_go_of_at_once(tmp_path):
    """Not when the collector of cycles comes by: in a film, that is gigabytes later."""
    source = make_clip(tmp_path / "in.mp4", luma_frames(30, 32, 48))
    gc.collect()
    gc.disable()
    try:
        for item in Clip(source):
            del item
        assert sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects()) <= 2
    finally:
        gc.enable()


def captioned(path, luma):
    """Writes a clip with closed captions, which PyAV cannot give to a frame: before each, a unit that holds them."""
    unit = b"\0\0\1\6\4" + bytes([len(CAPTION)]) + CAPTION + b"\x80"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options=LOSSLESS["libx264"])
        video.width, video.height, video.pix_fmt = luma.shape[2], luma.shape[1], "yuv420p"
        frames = [frame_of(values, "yuv420p", index, Fraction(1, 25)) for index, values in enumerate(luma)]
        for packet in [packet for frame in (*frames, None) for packet in video.encode(frame)]:
            changed = av.Packet(unit + bytes(packet))
            changed.pts, changed.dts, changed.time_base, changed.stream = (
                packet.pts,
                packet.dts,
                packet.time_base,
                video,
            )
            container.mux(changed)
    return path


@pytest.mark.parametrize("side_by_side", [False, True])
@pytest.mark.parametrize(("codec", "kept"), [("libx264", True), ("libx265", True), ("ffv1", False)])
def test_closed_captions_travel_or_are_said_not_to(tmp_path, codec, kept, side_by_side):
    luma = luma_frames(5, 64, 64)
    source = captioned(tmp_path / "in.ts", luma)
    given = side_data(source)["A53_CC"]
    assert len(given) == 5
    report, lines, *_ = colorized(source, tmp_path / "out.mkv", codec=codec, side_by_side=side_by_side)
    assert report.passed
    assert side_data(tmp_path / "out.mkv").get("A53_CC", []) == (given if kept else [])
    assert [line for line in lines if "closed captions" in line] == lines
    assert len(lines) == (not kept)


HDR_SETTINGS = {
    "libx264": {"x264-params": f"mastering-display={MASTERING}:cll=1000,400"},
    "libx265": {"x265-params": f"log-level=error:master-display={MASTERING}:max-cll=1000,400"},
}


@pytest.mark.parametrize(
    ("codec", "kept"), [("libx264", True), ("libx265", True), ("libsvtav1", True), ("ffv1", False)]
)
def test_hdr10_metadata_travel_or_are_said_not_to(tmp_path, codec, kept):
    tags = {"color_primaries": 9, "color_trc": 16, "colorspace": 9}
    luma = luma_frames(3, 64, 64, bits=10)
    options = HDR_SETTINGS["libx264"]
    source = make_clip(tmp_path / "in.mkv", luma, pixels="yuv420p10le", options=options, **tags)
    given = side_data(source)
    _, lines, *_ = colorized(source, tmp_path / "out.mkv", codec=codec)
    found = side_data(tmp_path / "out.mkv")
    assert len(lines) == (not kept)
    assert all("HDR10 metadata" in line for line in lines)
    for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
        assert kind in given
        assert (kind in found) == kept
    if kept:
        assert found["CONTENT_LIGHT_LEVEL"][0] == given["CONTENT_LIGHT_LEVEL"][0]
        np.testing.assert_allclose(*(ratios(x["MASTERING_DISPLAY_METADATA"][0]) for x in (found, given)), rtol=0.005)


def ratios(data):
    """The rational numbers in the description of a screen."""
    numbers = np.frombuffer(data, np.int32)[:20].reshape(-1, 2)
    return numbers[:, 0] / numbers[:, 1]


def test_parameters_of_the_user_go_with_ours(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(3, 64, 64), options=HDR_SETTINGS["libx264"])
    colorized(source, tmp_path / "out.mkv", encoder_options={"x264-params": "cll=500,200", "qp": "0"})
    found = side_data(tmp_path / "out.mkv")
    assert found["CONTENT_LIGHT_LEVEL"][0] == np.uint32([500, 200]).tobytes()
    assert "MASTERING_DISPLAY_METADATA" in found


def test_what_only_later_frames_carry_is_said_at_the_end(tmp_path):
    plain = make_clip(tmp_path / "plain.ts", luma_frames(25, 64, 64), options=LOSSLESS["libx264"])
    source = joined(tmp_path / "in.ts", plain, captioned(tmp_path / "captioned.ts", luma_frames(5, 64, 64)))
    _, lines, *_ = colorized(source, tmp_path / "out.mkv", codec="ffv1")
    assert sum("closed captions" in line for line in lines) == 1
    colorized(source, tmp_path / "out.mkv")
    assert len(side_data(tmp_path / "out.mkv")["A53_CC"]) == 5


def test_side_data_that_pyav_cannot_name_are_said_to_be_left_out(monkeypatch):
    def unknown(frame):
        raise ValueError("99 is not a valid Type")

    monkeypatch.setattr(sidedata, "SideDataContainer", unknown)
    lines = dropped_side_data("libx264", side_data_of(av.VideoFrame(16, 16)).keys())
    assert list(lines) == ["side data of a kind that PyAV does not know"]
