"""Interlaced clips."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.filter import Graph
from clips import colorizer, decoded, frame_of, luma_frames, make_clip
from reading import LOSSLESS, colorized

from ae.color import Coding
from ae.errors import InputError
from ae.media.clips.coding import planes
from ae.media.clips.reading import Clip
from ae.media.clips.settings import ClipSettings
from ae.restore.resizing import shrunk, shrunk_fields


def interlaced_clip(path, *, first="tff", codec="libx264", height=64, count=6, options=None):
    """Writes a clip of two fields a frame, in which a square moves between them."""
    moments = luma_frames(2 * count, height, 64)
    graph = Graph()
    source = graph.add_buffer(width=64, height=height, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("setfield", first), graph.add("buffersink"))
    with av.open(str(path), "w") as container:
        settings = {"flags": "+ildct+ilme", **(options or {})}
        video = container.add_stream(codec, rate=25, options=settings)
        video.width, video.height, video.pix_fmt = 64, height, "yuv420p"
        for index in range(count):
            luma = moments[2 * index].copy()
            luma[first == "tff" :: 2] = moments[2 * index + 1][first == "tff" :: 2]
            graph.push(frame_of(luma, "yuv420p", index, Fraction(1, 25)))
            container.mux(video.encode(graph.pull()))
        container.mux(video.encode(None))
    return path


def fields_of(path):
    """Which frames are marked as interlaced, and which of their fields is first: 0 has the upper lines."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    graph = Graph()
    source = graph.add_buffer(width=64, height=frames[0].height, format=frames[0].format, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("separatefields"), graph.add("buffersink"))  # in the order of time
    for frame in frames[:2]:
        graph.push(frame)
    luma, field = (planes(frame)[0] for frame in (frames[0], graph.pull()))
    (first,) = [number for number in range(2) if np.array_equal(luma[number::2], field)]
    return [frame.interlaced_frame for frame in frames], first


@pytest.mark.parametrize("first", ["tff", "bff"])
@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", ".mkv"), ("libx264", ".mp4"), ("mpeg2video", ".mkv"), ("ffv1", ".mkv")]
)
def test_fields_stay_fields(tmp_path, first, codec, suffix):
    source = interlaced_clip(tmp_path / "in.ts", first=first, codec="mpeg2video")
    options = LOSSLESS.get(codec, {})
    report, lines, luma, _ = colorized(source, tmp_path / f"out{suffix}", codec=codec, encoder_options=options)
    assert report.passed
    assert not lines
    assert fields_of(tmp_path / f"out{suffix}") == fields_of(source) == ([True] * 6, ["tff", "bff"].index(first))
    if codec != "mpeg2video":
        np.testing.assert_array_equal(luma, decoded(source)[0])


@pytest.mark.parametrize(("codec", "height"), [("libvpx-vp9", 64), ("libsvtav1", 64), ("libx265", 64), ("libx264", 66)])
def test_fields_that_an_encoder_cannot_write_are_said(tmp_path, codec, height):
    source = interlaced_clip(tmp_path / "in.mkv", codec="ffv1", height=height)
    report, lines, *_ = colorized(source, tmp_path / "out.mkv", codec=codec)
    assert report.passed
    assert len(lines) == 1
    assert f"interlaced, which {codec} cannot write" in lines[0]
    assert "--deinterlace" in lines[0]
    assert fields_of(tmp_path / "out.mkv")[0] == [False] * 6


def bwdif(path):
    """Luma [T, H, W] as FFmpeg's filter makes it."""
    graph, found = None, []

    def pull():
        try:
            while True:
                found.append(planes(graph.pull())[0].copy())
        except (BlockingIOError, EOFError):
            pass

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if graph is None:
                graph = Graph()
                source = graph.add_buffer(template=container.streams.video[0], time_base=frame.time_base)
                graph.link_nodes(source, graph.add("bwdif", "mode=send_frame"), graph.add("buffersink"))
            graph.push(frame)
            pull()
    graph.push(None)
    pull()
    return np.stack(found)


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_deinterlaced_frames_are_those_of_the_filter_at_the_same_times(tmp_path, suffix):
    source = interlaced_clip(tmp_path / f"in{suffix}")
    settings = {"encoder_options": LOSSLESS["libx264"], "deinterlace": True}
    report, lines, luma, times = colorized(source, tmp_path / "out.mkv", **settings)
    assert report.passed
    assert "bwdif" in lines[0]
    assert report.checks[0].name == "luma equal before encoding, as deinterlaced"
    np.testing.assert_array_equal(luma, bwdif(source))
    assert (luma != decoded(source)[0]).any()
    assert fields_of(tmp_path / "out.mkv")[0] == [False] * 6
    given = decoded(source)[1]
    np.testing.assert_allclose(
        np.float64([t - times[0] for t in times]), np.float64([t - given[0] for t in given]), atol=1e-3
    )


def test_each_field_has_chroma_of_its_own():
    """Two moments of one colour each: the chroma of one does not bleed into the other."""
    luma = np.zeros((8, 6), np.uint8)
    luma[1::2] = 200
    assert np.ptp(np.asarray(shrunk(luma, (2, 2)))) == 0
    np.testing.assert_array_equal(shrunk_fields(luma, (2, 2)), np.tile([[0.0], [200.0]], (2, 3)))
    top, bottom = (luma_frames(1, 32, 48, seed=seed)[0] for seed in (1, 2))
    woven = np.stack([top, bottom], axis=1).reshape(64, 48)
    cb = np.asarray(colorizer().planes(woven[None], Coding(interlaced=True)).cb[0])
    assert cb.shape == (32, 24)
    for odd in (63, 1):
        assert shrunk_fields(woven[:odd], (2, 2)).shape == (-(-odd // 2), 24)


def test_deinterlace_is_an_option(tmp_path, call):
    interlaced_clip(tmp_path / "in.mkv")
    done = call("colorize.py", "in.mkv", "out.mkv", "--deinterlace", "--encoder-options", "qp", "0")
    assert "bwdif" in done.stdout
    np.testing.assert_array_equal(decoded(tmp_path / "out.mkv")[0], bwdif(tmp_path / "in.mkv"))


def test_what_is_too_small_for_the_filter_is_refused(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(3, 2, 16), codec="ffv1", options={})
    with pytest.raises(InputError, match="bwdif cannot deinterlace 16x2"):
        Clip(source, ClipSettings(deinterlace=True))
