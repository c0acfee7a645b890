"""Clips of many kinds: every frame that FFmpeg decodes is there, with times that grow."""

from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.filter import Graph
from clips import colorizer, decoded, frame_of, luma_frames, make_clip, packets
from conftest import SHARED

from ae.errors import InputError
from ae.stages import Frame
from ae.video.clips import Clip
from ae.video.coding import planes
from ae.video.convert import colorize_clip
from ae.video.times import LEAST, GrowingTimes, SteadyClock, fine

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
    return all(after - before > least for before, after in pairwise(times))


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
    assert all("damaged" in line for line in report.lost)  # where a part ends, packets are counted anew
    assert len(luma) == 75
    assert "its clock" in lines[0]
    np.testing.assert_allclose(np.diff([float(time) for time in times]), 0.04, atol=0.03)
    (sound,) = packets(tmp_path / "out.mkv")
    assert len(sound) == sum(len(packets(part)[0]) for part in parts)
    assert 0 < min(np.diff([time for _, time in sound])) <= max(np.diff([time for _, time in sound])) < 0.1


def moved(*given):
    """What a clock makes of packets (stream, seconds) of 40 ms, and how often it was set anew."""
    clock, found = SteadyClock(), []
    for index, time in given:
        stream = SimpleNamespace(index=index, type="video" if index < 2 else "subtitle")
        ticks = round(1000 * time)
        packet = SimpleNamespace(stream=stream, pts=ticks, dts=ticks, duration=40, time_base=Fraction(1, 1000))
        clock.set(packet)
        assert packet.pts == packet.dts
        found.append(packet.pts / 1000)
    return found, clock.jumps


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
    settings = {"options": LOSSLESS["libx264"], "deinterlace": deinterlace}
    report, lines, luma, times = colorized(source, tmp_path / "out.mkv", **settings)
    assert report.passed
    assert luma.shape == (12, 32, 48)
    assert grow(times)
    assert sum("changes size or pixel format" in line and "for 6 of its frames" in line for line in lines) == 1
    assert "without 6 that were scaled" in report.checks[0].name
    if kind == "pixels" and not deinterlace:
        np.testing.assert_array_equal(luma[6:], luma[:6])


def test_a_stream_may_pause_while_the_others_go_on():
    found, jumps = moved((0, 0), (1, 0), *((0, seconds) for seconds in range(1, 31)), (1, 30))
    assert (found[-1], jumps) == (30, 0)


def test_a_preview_begins_with_the_picture(tmp_path):
    source = make_clip(
        tmp_path / "in.mkv", luma_frames(10, 32, 48), tracks=[0.0], times=range(30_000, 30_400, 40), base=LEAST
    )
    for deinterlace in (False, True):
        assert len(frames_of(source, seconds=0.2, deinterlace=deinterlace)[0]) == 5


# What frames carry

MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
CAPTION = bytes.fromhex("b5003147413934 03 43ff fc9420 fcc8e5 fcecec ff")  # of A/53, in an SEI message


def side_data(path):
    """What the frames of a clip carry, by kind."""
    found = {}
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            for data in frame.side_data:
                found.setdefault(data.type.name, []).append(bytes(data))
    return found


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


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(("codec", "kept"), [("libx264", True), ("libx265", True), ("ffv1", False)])
def test_closed_captions_travel_or_are_said_not_to(tmp_path, codec, kept, beside):
    luma = luma_frames(5, 64, 64)
    source = captioned(tmp_path / "in.ts", luma)
    given = side_data(source)["A53_CC"]
    assert len(given) == 5
    report, lines, *_ = colorized(source, tmp_path / "out.mkv", codec=codec, beside=beside)
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
    colorized(source, tmp_path / "out.mkv", options={"x264-params": "cll=500,200", "qp": "0"})
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


# Formats

FORMATS = [
    (".dv", "dvvideo", "yuv420p", (576, 720)),
    (".m2v", "mpeg2video", "yuv420p", (32, 48)),
    (".nut", "ffv1", "yuv420p", (32, 48)),
    (".y4m", "wrapped_avframe", "yuv420p", (32, 48)),
    (".rm", "rv20", "yuv420p", (96, 128)),
    (".h263", "h263", "yuv420p", (96, 128)),
    (".mxf", "mpeg2video", "yuv420p", (96, 128)),
    (".flv", "flv", "yuv420p", (32, 48)),
    (".asf", "msmpeg4", "yuv420p", (32, 48)),
    (".swf", "flv", "yuv420p", (32, 48)),
]


@pytest.mark.parametrize(("suffix", "codec", "pixels", "size"), FORMATS)
def test_every_format_of_media_is_read(tmp_path, suffix, codec, pixels, size):
    luma = luma_frames(6, *size)
    source = make_clip(tmp_path / f"in{suffix}", luma, codec=codec, pixels=pixels, base=Fraction(1, 25), options={})
    report, _, written, times = colorized(source, tmp_path / "out.mkv", options=LOSSLESS["libx264"])
    assert report.passed
    assert not report.lost
    assert len(written) == plainly_decoded(source) == 6
    np.testing.assert_array_equal(written, decoded(source)[0])
    assert grow(times)


def test_a_suffix_says_nothing(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(3, 32, 48))
    source = source.rename(tmp_path / "in.unheard-of")
    assert len(frames_of(source)[0]) == 3


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_titles_in_any_encoding_are_read(tmp_path, suffix):
    source = make_clip(tmp_path / f"in{suffix}", luma_frames(3, 32, 48), metadata={"title": "caf#"})
    assert source.read_bytes().count(b"caf#") == 1
    source.write_bytes(source.read_bytes().replace(b"caf#", b"caf\xe9"))
    target = tmp_path / "out.mkv"
    report, *_ = colorized(source, target)
    assert report.passed
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "caf\ufffd"


LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile other.ts\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize(("name", "suffix"), [("hls", ".m3u8"), ("concat", ".mp4"), ("sdp", ".nut")])
def test_what_names_other_files_is_refused_by_its_name(tmp_path, name, suffix, capfd):
    (tmp_path / f"in{suffix}").write_text(LISTS[name])
    with pytest.raises(InputError, match=f"in the format {name}, which names other files"):
        Clip(tmp_path / f"in{suffix}")
    assert capfd.readouterr().err == ""


def test_numbered_images_are_no_clip(tmp_path):
    for index in range(3):
        make_clip(tmp_path / f"{index}.png", luma_frames(1, 32, 48), codec="png", pixels="gray")
    with pytest.raises(InputError, match="cannot be read"):
        Clip(tmp_path / "%d.png")


def test_a_refusal_names_the_format(tmp_path):
    source = make_clip(tmp_path / "in.mp4", luma_frames(3, 32, 48))
    source.write_bytes(source.read_bytes()[:400])
    with pytest.raises(InputError, match="mov,mp4.*moov atom not found"):
        Clip(source)
    with av.open(str(tmp_path / "in.wav"), "w") as container:
        container.add_stream("pcm_s16le", rate=8000, layout="mono")
        container.start_encoding()
    with pytest.raises(InputError, match=r"\(wav\) has no video stream, only 1 audio"):
        Clip(tmp_path / "in.wav")


# Fields


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
    report, lines, luma, _ = colorized(source, tmp_path / f"out{suffix}", codec=codec, options=options)
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
    settings = {"options": LOSSLESS["libx264"], "deinterlace": True}
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
    from ae.colorize import Coding, shrunk, shrunk_fields

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
        Clip(source, deinterlace=True)


# Real files

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
