"""Colours that a person names at points of a picture."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from clips import colorizer, make_clip
from colorize import timed_hints
from conftest import refused
from PIL import Image
from skimage import data
from test_clip_noise import all_planes

from ae import Colorize, Config
from ae.color import into_gamut, luma, rgb_to_chroma
from ae.config import override
from ae.errors import InputError
from ae.media.clips.conversions import colorize_clip
from ae.media.clips.settings import ClipSettings
from ae.media.images import read_image, write_image
from ae.media.images.picture import Picture
from ae.media.pictures import colorize_picture, painted
from ae.models import ChromaUNet
from ae.restore.colorize import Colorizer
from ae.restore.hints import Hints, TimedHints, chroma_of, hint_cells, hints_at, hints_in
from ae.restore.weights import Pretrained, write_weights

LOSSLESS = ClipSettings(4, codec="ffv1")


@pytest.fixture(scope="module")
def model():
    """Return a colorizer that takes hints, with random weights."""
    config = Config(name="test", model=ChromaUNet((4, 8), hints=True), task=Colorize(), data="cifar100")
    variables = jax.jit(config.model.init)(jax.random.key(3), np.zeros((1, 32, 32, 1), np.float32))
    return Colorizer(Pretrained(config, variables, {"epochs": 0}))


@pytest.fixture(scope="module")
def gray():
    """Return the luma [256, 384] of a photograph."""
    return np.asarray(luma(np.float32(data.astronaut()[:256, :384]) / 255))[..., 0]


def chroma(rgb):
    """Return Cb and Cr in 255ths."""
    return 255 * np.asarray(rgb_to_chroma(rgb))


def allowed(colour, gray):
    """Return the mean chroma of a colour at some lumas, as far as they allow, in 255ths."""
    wanted = np.broadcast_to(chroma_of(colour), (len(gray), 2))
    return 255 * np.asarray(into_gamut(gray[:, None], wanted)).mean(0)


PLACES = [(20, 30, "#40a060"), (128, 200, "#a06040"), (220, 350, "#5060b0")]


def test_after_a_hint_the_colour_around_it_is_what_was_asked_and_far_away_it_stays(model, gray):
    before = model.image(gray)
    for row, column, colour in PLACES:
        after = model.image(gray, hints=[(row, column, colour)])
        np.testing.assert_allclose(luma(after)[..., 0], gray, atol=1e-5)
        part = np.s_[row - 4 : row + 5, column - 4 : column + 5]
        same = np.abs(gray[part] - gray[row, column]) < 0.1
        asked = allowed(colour, gray[part][same])
        assert np.abs(chroma(after)[part][same].mean(0) - asked).max() < 8
        assert np.abs(chroma(before)[part][same].mean(0) - asked).max() > 8
        far = np.abs(np.arange(384) - column) > 96
        assert np.median(np.abs(255 * (after - before))[:, far]) < 8


def test_one_frame_or_several_in_their_own_dtype(model, gray):
    whole = model.image(gray, hints=PLACES)
    np.testing.assert_array_equal(model(gray, hints=PLACES), whole)
    codes = np.uint8(np.round(255 * gray))
    one, several = model(codes, hints=PLACES), model(np.stack([codes, codes]), hints=PLACES)
    assert (one.shape, one.dtype) == (whole.shape, np.uint8)
    np.testing.assert_array_equal(several, np.stack([one, one]))
    assert np.abs(one - 255 * whole).max() < 3
    assert model(gray).shape == whole.shape


def test_several_hints_hold_together(model, gray):
    after = chroma(model.image(gray, hints=PLACES))
    for row, column, colour in PLACES:
        assert np.abs(after[row, column] - allowed(colour, gray[row, column : column + 1])).max() < 8


def test_a_colour_is_carried_on_to_the_edge_of_its_thing(model):
    """Two fields of one luma each: a hint in one of them colours all of it, and hardly the other."""
    gray = np.full((128, 128), 0.3, np.float32)
    gray[:, 64:] = 0.6
    near, there = model.image(gray), model.image(gray, hints=[(64, 20, "#a04040")])
    moved = np.linalg.norm(chroma(there) - chroma(near), axis=-1)
    asked = np.linalg.norm(allowed("#a04040", gray[64, 20:21]) - chroma(near)[64, 20])
    assert moved[32:96, 10:56].min() > 0.3 * asked
    assert moved[32:96, 80:].max() < 0.2 * asked


def test_a_colour_reaches_what_is_alike_behind_an_edge(model):
    """A field that a dark line cuts in two, above a darker field: a hint in one half colours the other too."""
    gray = np.full((128, 128), 0.6, np.float32)
    gray[:, 60:64] = 0.2
    gray[96:] = 0.3
    before, after = (chroma(model.image(gray, hints=hints)) for hints in (None, [(48, 30, "#a04040")]))
    moved = np.linalg.norm(after - before, axis=-1)
    assert moved[30:70, 72:96].min() > 0.5 * moved[48, 30]
    assert moved[104:, 72:96].max() < 0.25 * moved[48, 30]


def test_a_colour_stays_in_a_thing_that_is_smaller_than_what_the_model_sees(model):
    """A line of the width of one pixel at working size: a hint on it colours it, and not what is beside it."""
    gray = np.full((128, 128), 0.3, np.float32)
    gray[:, 60:64] = 0.6
    coarse = replace(model, pixels=1024)
    before, after = (chroma(coarse.image(gray, hints=hints)) for hints in (None, [(64, 61, "#a04040")]))
    moved = np.linalg.norm(after - before, axis=-1)
    assert moved[20:108, 60:64].mean() > 20
    assert max(moved[60:68, 54:58].mean(), moved[60:68, 66:70].mean()) < 1


def test_points_take_their_neighbours_of_like_luma():
    gray = np.zeros((20, 30), np.float32)
    gray[:, 10:] = 1
    hints = hints_at([(5, 9, "#ff0000"), (0, 29, "#0000FF")], gray)
    first = hints.columns < 12
    assert set(hints.columns[first]) == {5, 6, 7, 8, 9}
    assert set(hints.rows[first]) == set(range(1, 10))
    np.testing.assert_allclose(hints.chroma[first][0], [-0.1687, 0.5], atol=1e-3)
    assert (hints.rows[~first].max(), hints.columns[~first].min()) == (4, 25)


def test_cells_hold_means_of_the_hints_in_them():
    gray = np.arange(64, dtype=np.float32).reshape(8, 8) / 64
    hints = Hints(np.array([0, 1, 7]), np.array([0, 1, 7]), np.float32([[0.2, 0], [0, 0.2], [0.1, 0.1]]), (8, 8))
    cells = hint_cells(hints, gray, (4, 4))
    np.testing.assert_allclose(cells[0, 0], [0.1, 0.1, 1, gray[[0, 1], [0, 1]].mean()], atol=1e-6)
    np.testing.assert_allclose(cells[3, 3], [0.1, 0.1, 1, gray[7, 7]], atol=1e-6)
    assert np.count_nonzero(cells[..., 2]) == 2
    large = hint_cells(hints, np.zeros((80, 160), np.float32), (4, 4))
    np.testing.assert_allclose(large[..., :3], cells[..., :3], atol=1e-6)


def test_hints_are_what_is_not_transparent_or_has_been_painted():
    rgb, alpha = np.full((6, 8, 3), 0.5, np.float32), np.zeros((6, 8), np.float32)
    rgb[2, 3], alpha[2, 3] = (0.8, 0.2, 0.2), 1
    for opaque in (alpha, np.ones_like(alpha), None):
        hints = hints_in(rgb, opaque)
        assert (hints.rows.tolist(), hints.columns.tolist(), hints.size) == ([2], [3], (6, 8))
    tinted = rgb.copy()
    tinted[0, 0] = (0.9, 0.5, 0.5)
    assert len(hints_in(tinted, None).rows) == 2
    assert hints_in(tinted, None, original=rgb).rows.tolist() == [0]


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([], "there is no hint"),
        ([(256, 0, "#aabbcc")], "row 256, column 0 is outside of the picture, 256x384"),
        ([(0, -1, "#aabbcc")], "outside"),
        ([(float("nan"), 0, "#aabbcc")], "outside"),
        ([(0, 0, "red")], "a colour is written as in #aabbcc, not 'red'"),
    ],
)
def test_hints_that_cannot_be_are_one_line(model, gray, points, said):
    with pytest.raises(InputError, match=said):
        model.image(gray, hints=points)


def test_a_model_without_hints_says_so(model, gray):
    trained = model.trained
    plain = trained._replace(config=Config("plain", ChromaUNet((4, 8)), Colorize(), "cifar100"))
    with pytest.raises(InputError, match="plain has not learnt from hints"):
        Colorizer(plain).image(gray, hints=PLACES)


def test_a_picture_of_dots_of_another_size_is_scaled_and_said(model, gray, tmp_path):
    Image.fromarray(np.uint8(255 * gray)).save(tmp_path / "gray.png")
    dots = np.zeros((128, 192, 4), np.uint8)
    dots[60:68, 96:104] = (160, 96, 64, 255)
    Image.fromarray(dots).save(tmp_path / "dots.png")
    picture, hints = (read_image(tmp_path / name) for name in ("gray.png", "dots.png"))
    result = colorize_picture(picture, model, hints=hints)
    assert result.remarks[-1] == "hints of 192x128 scaled to 384x256"
    found = chroma(result.pixels[0] / 255)[128, 200]
    assert np.abs(found - 255 * chroma_of("#a06040")).max() < 8


@pytest.mark.parametrize("kind", ["transparent", "no transparency"])
def test_a_picture_without_hints_is_one_line(model, gray, tmp_path, kind):
    Image.fromarray(np.uint8(255 * gray)).save(tmp_path / "gray.png")
    dots = Image.new("RGBA", (384, 256)) if kind == "transparent" else Image.open(tmp_path / "gray.png").convert("RGB")
    dots.save(tmp_path / "dots.png")
    picture, hints = (read_image(tmp_path / name) for name in ("gray.png", "dots.png"))
    with pytest.raises(InputError, match="there is no hint: "):
        colorize_picture(picture, model, hints=hints)


def moving(count=12, size=(64, 96), base=120):
    """Return luma [T, H, W] of a bright square that moves over gray."""
    frames = np.full((count, *size), base, np.uint8)
    for index, frame in enumerate(frames):
        frame[10:30, 10 + index : 30 + index] = 200
    return frames


def dots(colour, size=(64, 96)):
    """Return a picture with a dot in its lower right part."""
    pixels, alpha = np.zeros((1, *size, 3), np.uint8), np.zeros((1, *size, 1), np.uint8)
    pixels[0, 44:52, 60:68], alpha[0, 44:52, 60:68] = colour, 255
    return Picture(pixels, alpha)


def shown(path, turns):
    """Return the mean Cb and Cr of each frame where the dot is when it is upright, in codes around 0."""
    upright = [[np.rot90(plane, turns) for plane in planes[1:]] for planes in all_planes(path)]
    return np.array([[plane[22:26, 30:34].mean() - 128 for plane in planes] for planes in upright])


@pytest.mark.parametrize("turns", [0, 1])
def test_hints_of_a_clip_hold_from_their_time_to_the_next_cut(model, tmp_path, turns):
    stripes = np.tile(np.uint8(np.arange(96) // 6 % 2 * 60 + 90), (64, 1))
    luma = np.concatenate([moving(), np.repeat(stripes[None], 6, axis=0)])
    source = make_clip(tmp_path / "in.mkv", np.rot90(luma, -turns, axes=(1, 2)), codec="ffv1", rotation=90 * turns)
    hints = [TimedHints(0.16, painted(dots((150, 100, 100)))), TimedHints(0.32, painted(dots((100, 100, 150))))]
    said = []
    late = TimedHints(5.0, painted(dots((9, 99, 9))))
    target = tmp_path / "out.mkv"
    report = colorize_clip(source, target, model, LOSSLESS, hints=[hints[1], hints[0], late], log=said.append)
    assert report.passed
    assert any("hints at 0:05.000 come after the last frame" in line for line in said)
    found = shown(target, turns)
    red, blue = (224 / 255 * chroma(np.float32([colour]) / 255)[0] for colour in ((150, 100, 100), (100, 100, 150)))
    np.testing.assert_allclose(found[4:8], np.broadcast_to(red, (4, 2)), atol=6)
    np.testing.assert_allclose(found[8:12], np.broadcast_to(blue, (4, 2)), atol=6)
    for part in (found[:4], found[12:]):
        assert np.abs(part - red).max(axis=1).min() > 8
        assert np.abs(part - blue).max(axis=1).min() > 8


@pytest.mark.parametrize("turns", [0, 1])
def test_hints_of_other_sizes_than_a_clip_are_said_once(model, tmp_path, turns):
    """Before the first frame, and by the sizes that a person sees."""
    upright = moving(4, (96, 64) if turns else (64, 96))
    source = make_clip(tmp_path / "in.mkv", np.rot90(upright, -turns, axes=(1, 2)), codec="ffv1", rotation=90 * turns)
    sizes = [(32, 48), (32, 48), upright.shape[1:], (128, 192)]
    hints = [
        TimedHints(0.04 * at, Hints(*np.ones((2, 1), int), np.zeros((1, 2)), size)) for at, size in enumerate(sizes)
    ]
    said = []
    colorize_clip(source, tmp_path / "out.mkv", model, LOSSLESS, hints=hints, log=said.append)
    wanted = "64x96" if turns else "96x64"
    assert said == [f"hints of {given} scaled to {wanted}" for given in ("48x32", "192x128")]


def test_times_of_hints_are_read_from_the_command_line(tmp_path):
    write_image(tmp_path / "dots.png", dots((150, 100, 100)))
    for entry, start in (("", 0), ("12.5=", 12.5), ("0:12.5=", 12.5), ("2:03=", 123), ("1:00:00.5=", 3600.5)):
        timed = timed_hints(f"{entry}{tmp_path}/dots.png")
        assert timed.start == start
        assert timed.hints.size == (64, 96)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("in.png", "out.png", "--hints", "dots.png", "--model", "plain.safetensors"),
            "plain has not learnt from hints",
        ),
        (("in.png", "out.png", "--hints", "none.png"), "none.png"),
        (("in.png", "out.png", "--hints", "dots.png", "dots.png"), "one picture"),
        (
            ("in.mkv", "out.mkv", "--hints", "0:01=dots.png", "--model", "plain.safetensors"),
            "plain has not learnt from hints",
        ),
        (("in.png", "out.png", "--vivid", "0.5", "--model", "plain.safetensors"), "plain has no livelier colours"),
        (("in.png", "out.png", "--vivid", "1.5"), "--vivid has to be at most 1, not 1.5"),
        (("in.mkv", "%d.png", "--hints", "dots.png"), "not for numbered images"),
        ((".", "out", "--hints", "dots.png"), "name it as INPUT"),
    ],
)
def test_hints_that_cannot_be_taken_are_one_line(call, tmp_path, arguments, said):
    write_image(tmp_path / "dots.png", dots((150, 100, 100)))
    write_image(tmp_path / "in.png", Picture(np.full((1, 20, 20, 1), 99, np.uint8)))
    make_clip(tmp_path / "in.mkv", moving(3), codec="ffv1")
    plain, variables, result = colorizer().trained
    write_weights(tmp_path / "plain.safetensors", override(plain, name="plain"), variables, result, "float32")
    refused(call("colorize.py", *arguments, status=2), said)
    assert not (tmp_path / arguments[1]).exists()


def test_the_command_takes_hints(call, model, tmp_path):
    config, variables, result = model.trained
    write_weights(tmp_path / "ours.safetensors", config, variables, result, "float32")
    write_image(tmp_path / "dots.png", dots((150, 100, 100)))
    write_image(tmp_path / "in.png", Picture(moving(1)[..., None]))
    make_clip(tmp_path / "in.mkv", moving(4), codec="ffv1")
    call("colorize.py", "in.png", "out.png", "--hints", "dots.png", "--model", "ours.safetensors")
    found = chroma(np.float32(read_image(tmp_path / "out.png").pixels[0]) / 255)[46:50, 62:66].mean((0, 1))
    np.testing.assert_allclose(found, chroma(np.float32([150, 100, 100]) / 255), atol=8)
    options = ("--model", "ours.safetensors", "--codec", "ffv1")
    done = call("colorize.py", "in.mkv", "out.mkv", "--hints", "0:00.08=dots.png", "1:00=dots.png", *options)
    assert "the hints at 1:00.000 come after the last frame" in done.stdout
    before, *_, after = shown(tmp_path / "out.mkv", 0)
    assert np.abs(after - before).max() > 8
