"""Old material: its noise goes before it is coloured, and comes back or not."""

import flax.linen as nn
import numpy as np
import pytest
from clips import colorizer, luma_frames, make_clip
from test_clip_noise import all_planes, denoiser

from ae.color import luma
from ae.media.clips.conversions import colorize_clip
from ae.media.clips.frames import write_frames
from ae.media.clips.settings import ClipSettings
from ae.media.images import read_image, write_image
from ae.media.images.picture import Picture
from ae.media.pictures import change_image, colorize_picture
from ae.restore.restoration import Restoration

LOSSLESS = ClipSettings(2, codec="ffv1")


class Smooth(nn.Module):
    """Means of 3x3 pixels, of any number of channels."""

    input_shape = (32, 32, 1)
    reach = 1

    def __call__(self, x, train=False):
        return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def restoration(**settings):
    return Restoration(denoiser(Smooth()), **settings)


@pytest.fixture(scope="module")
def grainy():
    """Return a gray picture of one light with grain, uint8 [1, 40, 56, 1]."""
    noise = np.random.default_rng(0).normal(120, 12, (1, 40, 56, 1))
    return np.uint8(np.clip(np.round(noise), 0, 255))


def test_a_picture_loses_its_noise_or_keeps_it(grainy, tmp_path):
    write_image(tmp_path / "in.png", Picture(grainy))
    said = []
    for name, keep in (("clean", False), ("grain", True)):
        done = change_image(
            tmp_path / "in.png",
            tmp_path / f"{name}.png",
            lambda picture, keep=keep: colorize_picture(picture, colorizer(), restoration=restoration(keep_grain=keep)),
            log=said.append,
        )
        assert done is None
    clean, grain = (np.asarray(read_image(tmp_path / f"{name}.png").pixels[0], float) for name in ("clean", "grain"))
    assert np.std(luma(clean)) < 0.5 * np.std(grainy)
    assert np.abs(luma(grain) - grainy[0]).max() < 1.01  # RGB is rounded
    assert np.ptp(grain, axis=-1).mean() > 2  # there is colour
    assert any("taken away" in line for line in said)


def test_a_clip_keeps_its_luma_to_the_bit_with_its_grain_and_loses_it_without(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(5, 32, 48), codec="ffv1")
    said, given = [], [planes[0] for planes in all_planes(source)]
    for keep in (True, False):
        target = tmp_path / f"{keep}.mkv"
        how = restoration(keep_grain=keep)
        report = colorize_clip(source, target, colorizer(), LOSSLESS, restoration=how, log=said.append)
        assert report.passed
        written = [planes[0] for planes in all_planes(target)]
        same = [np.array_equal(*pair) for pair in zip(given, written, strict=True)]
        assert all(same) if keep else not any(same)
    rough, smooth = (np.abs(np.diff(np.float32(frames), axis=1)).mean() for frames in (given, written))
    assert smooth < 0.7 * rough
    assert sum("taken away" in line for line in said) == 2
    chroma = [np.stack([planes[1] for planes in all_planes(tmp_path / f"{keep}.mkv")]) for keep in (True, False)]
    assert np.ptp(chroma[0]) > 3
    np.testing.assert_allclose(*map(np.float32, chroma), atol=2)  # chosen by the same luma


def test_numbered_frames_of_a_clip_too(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(3, 32, 48), codec="ffv1")
    shown = {}
    for name, how in (("as it is", None), ("grain", restoration(keep_grain=True)), ("clean", restoration())):
        assert write_frames(source, tmp_path / name / "%d.png", colorizer(), LOSSLESS, restoration=how) == 3
        shown[name] = np.float32(read_image(tmp_path / name / "2.png").pixels[0])
    assert np.abs(luma(shown["grain"]) - luma(shown["as it is"])).max() < 1.5
    assert np.abs(luma(shown["clean"]) - luma(shown["as it is"])).mean() > 3
    assert not np.array_equal(shown["grain"], shown["as it is"])


def test_grain_cannot_be_kept_where_none_is_taken(call, tmp_path):
    write_image(tmp_path / "in.png", Picture(np.zeros((1, 8, 8, 1), np.uint8)))
    refused = call("colorize.py", "in.png", "out.png", "--keep-grain", status=2)
    assert "--keep-grain is for --restore" in refused.stderr


def test_the_command_restores(call, tmp_path, grainy):
    write_image(tmp_path / "in.png", Picture(grainy))
    done = call("colorize.py", "in.png", "out.png", "--restore")
    assert "taken away" in done.stdout
    written = luma(np.float32(read_image(tmp_path / "out.png").pixels[0]))
    assert np.std(written) < 0.5 * np.std(grainy)
