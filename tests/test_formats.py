"""Every format of media, and no playlist."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import decoded, luma_frames, make_clip
from reading import LOSSLESS, colorized, frames_of, grow, plainly_decoded

from ae.errors import InputError
from ae.media.clips.reading import Clip

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
    report, _, written, times = colorized(source, tmp_path / "out.mkv", encoder_options=LOSSLESS["libx264"])
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
    chapters = [{"id": 1, "start": 0, "end": 100, "time_base": Fraction(1, 1000), "metadata": {"title": "caf#"}}]
    settings = {} if suffix == ".avi" else {"chapters": chapters}
    source = make_clip(tmp_path / f"in{suffix}", luma_frames(3, 32, 48), metadata={"title": "caf#"}, **settings)
    source.write_bytes(source.read_bytes().replace(b"caf#", b"caf\xe9"))
    report, *_ = colorized(source, tmp_path / "out.mkv")
    assert report.passed
    with av.open(str(tmp_path / "out.mkv")) as container:
        titles = [container.metadata["title"], *(chapter["metadata"]["title"] for chapter in container.chapters())]
    assert titles == ["caf\ufffd"] * (1 + len(settings))


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
