"""Numbered frames to a clip, and a clip to numbered frames."""

from fractions import Fraction

import imageio.v3 as iio
import numpy as np
import pytest
from clips import colorizer, decoded, luma_frames, make_clip
from conftest import refused

from ae.errors import InputError
from ae.media.clips.frames import frame_path, is_numbered, parse_rate
from ae.media.images import read_image
from ae.restore.weights import write_weights


@pytest.fixture
def model(tmp_path):
    """A file with the weights of a small colorizer."""
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "model.safetensors", config, variables, {"epochs": 0}, "float32")
    return ("--model", "model.safetensors")


def images(folder, frames, suffix=".png"):
    """Writes frames in an order that their names do not have."""
    folder.mkdir()
    for index, frame in enumerate(frames):
        iio.imwrite(folder / f"f{index + 7}{suffix}", frame)
    return folder


@pytest.mark.parametrize("rate", ["24", "24000/1001", "12.5"])
def test_a_folder_of_frames_becomes_a_clip(call, tmp_path, model, rate):
    luma = luma_frames(6, 32, 48)
    images(tmp_path / "in", luma)
    done = call("colorize.py", "in", "out.mov", *model, "--fps", rate, "--encoder-options", "qp", "0")
    assert done.stdout.splitlines()[-1] == "PASS out.mov"
    written, times = decoded(tmp_path / "out.mov")
    np.testing.assert_array_equal(written, luma)
    assert [time - times[0] for time in times] == [index / Fraction(rate) for index in range(6)]
    assert sorted(path.name for path in tmp_path.iterdir() if "in" in path.name or "frames" in path.name) == ["in"]


def test_frames_of_16_bits_become_a_clip_of_10(call, tmp_path, model):
    deep = luma_frames(3, 32, 48, bits=16)
    images(tmp_path / "in", deep, ".tif")
    done = call("colorize.py", "in/*.tif", "out.mkv", *model, "--fps", "25", "--encoder-options", "qp", "0")
    assert "f7.tif has more than 8 bits: the clip has 10" in done.stdout
    written, _ = decoded(tmp_path / "out.mkv")
    assert written.dtype == np.uint16
    np.testing.assert_allclose(written / 1023, deep / 65535, atol=0.0006)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (np.zeros((30, 48), np.uint8), ["f9.png is 48x30 with 8 bits, f7.png 48x32 with 8 bits", "one size"]),
        (np.zeros((32, 48), np.uint16), ["f9.png is 48x32 with 16 bits, f7.png 48x32 with 8 bits"]),
    ],
)
def test_frames_that_differ_are_refused_in_one_line(call, tmp_path, model, last, words):
    images(tmp_path / "in", [*luma_frames(2, 32, 48), last])
    before = sorted(tmp_path.iterdir())
    refused(call("colorize.py", "in", "out.mp4", *model, "--fps", "25", status=2), *words)
    assert sorted(tmp_path.iterdir()) == before


def test_the_rate_has_to_be_given(call, tmp_path, model):
    images(tmp_path / "in", luma_frames(2, 32, 48))
    refused(call("colorize.py", "in", "out.mp4", *model, status=2), "--fps")
    refused(call("colorize.py", "in", "out.mp4", *model, "--fps", "fast", status=2), "--fps", "24000/1001", "fast")


@pytest.mark.parametrize("text", ["0", "-3", "1/0", "nan", "inf", "", "1e9"])
def test_what_is_no_rate(text):
    with pytest.raises(InputError, match="--fps"):
        parse_rate(text)


def test_a_clip_becomes_frames(call, tmp_path, model):
    luma = luma_frames(12, 32, 48)
    make_clip(tmp_path / "in.mp4", luma, tracks=[0.0], color_range=2, sample_aspect_ratio=Fraction(4, 3))
    done = call("colorize.py", "in.mp4", "new/frames/%04d.png", *model)
    assert done.stdout.splitlines() == [
        "images cannot hold the audio stream 1 (aac), which is left out",
        "in.mp4 has pixels of the shape 4/3: those of images are square",
        "12 frames: new/frames/%04d.png",
    ]
    names = sorted(path.name for path in (tmp_path / "new/frames").iterdir())
    assert names == [f"{number:04d}.png" for number in range(1, 13)]
    rgb = np.stack([read_image(tmp_path / "new/frames" / name).pixels[0] for name in names])
    assert rgb.dtype == np.uint8
    shown = np.float32(rgb) @ np.float32([0.299, 0.587, 0.114])
    assert np.abs(shown - luma).max() <= 1  # luma is kept
    assert np.ptp(rgb, axis=-1).mean() > 4  # and it has colour


def test_a_clip_of_10_bits_becomes_frames_of_16_which_lie_upright(call, tmp_path, model):
    luma = luma_frames(2, 32, 48, bits=10)
    make_clip(tmp_path / "in.mp4", luma, pixels="yuv420p10le", color_range=2, rotation=90)
    call("colorize.py", "in.mp4", "%d.png", *model, "--side-by-side", "--preview", "0.04")
    assert not (tmp_path / "2.png").exists()
    (pixels,) = read_image(tmp_path / "1.png").pixels
    assert pixels.dtype == np.uint16
    assert pixels.shape == (48, 64, 3)
    gray = pixels[:, :32, 0] / 65535
    turned = [np.rot90(luma[0], turns) / 1023 for turns in (1, 3)]
    assert min(np.abs(gray - upright).max() for upright in turned) < 0.001


def test_a_clip_that_cannot_be_read_to_its_end_becomes_the_frames_that_there_are(call, tmp_path, model):
    source = make_clip(tmp_path / "in.mkv", luma_frames(40, 64, 64))
    source.write_bytes(source.read_bytes()[: int(0.6 * source.stat().st_size)])
    refused(call("colorize.py", "in.mkv", "f/%d.png", *model, status=2), "f/%d.png is without", "the file ends there")
    assert len(list((tmp_path / "f").iterdir())) > 5


def test_numbers_in_names(tmp_path):
    assert is_numbered(tmp_path / "%06d.png")
    assert is_numbered(tmp_path / "a%d.png")
    assert not is_numbered(tmp_path / "100%.png")
    assert frame_path(tmp_path / "a_%03d.png", 7) == tmp_path / "a_007.png"
