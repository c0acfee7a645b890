import tracemalloc
from dataclasses import replace

import av
import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clips import colorizer

from ae.color import BT601, BT709, Coding, into_gamut, luma, rgb_to_chroma, ycbcr_to_rgb
from ae.errors import InputError
from ae.models import ChromaUNet, ColorizerAE
from ae.presets import override, preset
from ae.restore import colorize
from ae.restore.colorize import FINER_PIXELS, PIXELS, Colorizer, working_size
from ae.restore.resizing import interpolation, resized, sharpened, shrunk
from ae.restore.shots import AHEAD
from ae.restore.steady import STRENGTH
from ae.restore.weights import Pretrained
from ae.tasks import ColorizePhotograph

RNG = np.random.default_rng(0)


def smooth(height, width):
    """Blurred noise [H, W] in [0, 1]."""
    small = np.random.default_rng(0).uniform(size=(max(2, height // 8), max(2, width // 8), 1)).astype(np.float32)
    return np.asarray(resized(small, (height, width)))[..., 0]


def in_unit_range(values):
    """Up to rounding."""
    return -1e-6 <= values.min() <= values.max() <= 1 + 1e-6


@pytest.mark.parametrize(("source", "target"), [(5, 5), (7, 19), (40, 13), (1, 6), (9, 1)])
def test_interpolation_is_that_of_jax_image(source, target):
    values = RNG.normal(size=(source, 2)).astype(np.float32)
    expected = jax.image.resize(values, (target, 2), "linear")
    np.testing.assert_allclose(interpolation(source, target) @ values, expected, atol=1e-5)


def test_sharpened_keeps_flat_parts_and_fine_ones():
    wave = np.sin(np.arange(64) * 2 * np.pi / 11)
    weights = sharpened(64, 16)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert np.std(weights @ wave) > 1.5 * np.std(interpolation(64, 16) @ wave)
    np.testing.assert_array_equal(sharpened(5, 9), interpolation(5, 9))


def test_shrunk_means_blocks_and_repeats_the_last_rows():
    image = np.arange(15).reshape(3, 5)
    assert shrunk(image, (2, 2)).tolist() == [[3, 5, 6.5], [10.5, 12.5, 14]]


@pytest.mark.parametrize(
    ("size", "expected"),
    [((720, 1280), (32, 56)), ((480, 360), (56, 40)), ((17, 23), (16, 24)), ((1, 1), (8, 8)), ((9000, 9), (1352, 8))],
)
def test_working_size_keeps_the_shape_in_multiples_of_8(size, expected):
    assert working_size(colorizer().trained.config, *size) == expected


def test_a_model_of_one_size_sees_that_size():
    config = colorizer().trained.config.__class__(name="a", model=ColorizerAE(), task=None, data="cifar100")
    assert working_size(config, 720, 1280) == (32, 32)


def test_a_model_of_photographs_sees_them_at_two_sizes_and_the_mean_counts():
    one = colorizer(saturation=1.0)
    config = override(one.trained.config, train_task=ColorizePhotograph())
    two = replace(one, trained=one.trained._replace(config=config))
    assert two.working_sizes(200, 300) == [(48, 72), (80, 120)]
    assert one.working_sizes(200, 300) == [(48, 72)]
    assert replace(two, pixels=900).working_sizes(200, 300) == [(24, 32)]
    assert two.working_sizes(32, 40) == [(32, 40)]
    gray = smooth(200, 300)
    coarse, fine = (replace(two, pixels=pixels).image(gray) for pixels in (PIXELS, FINER_PIXELS))
    apart = np.abs(coarse - fine).mean()
    assert np.abs(two.image(gray) - (coarse + fine) / 2).mean() < 0.3 * apart  # one alone is .5 away


def test_at_its_own_size_an_image_gets_the_models_own_colours():
    gray = smooth(32, 40)
    model = colorizer(saturation=1.0)
    np.testing.assert_allclose(model.image(gray), model.trained(gray[None, ..., None])[0], atol=2e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (17, 23), (200, 300), (150, 900)])
def test_luma_is_kept_and_rgb_is_in_range(size):
    gray = smooth(*size)
    rgb = colorizer().image(gray)
    assert rgb.shape == (*size, 3)
    assert in_unit_range(rgb)
    np.testing.assert_allclose(luma(rgb)[..., 0], gray, atol=1e-5)
    assert np.ptp(rgb, axis=-1).max() > 0.01 or min(size) == 1


def test_black_and_white_stay_black_and_white():
    gray = np.concatenate([np.zeros((64, 80)), np.ones((64, 80)), np.full((64, 80), 0.5)]).astype(np.float32)
    rgb = colorizer(saturation=50.0).image(gray)
    np.testing.assert_allclose(rgb[:64], 0, atol=1e-5)
    np.testing.assert_allclose(rgb[64:128], 1, atol=1e-5)


def test_strips_give_what_a_whole_image_does(monkeypatch):
    gray, model = smooth(203, 310), colorizer()
    whole = model.image(gray)
    monkeypatch.setattr(colorize, "STRIP", 310 * 20)
    np.testing.assert_allclose(model.image(gray), whole, atol=1e-4)


def test_chroma_follows_the_edges_of_luma():
    """Where luma jumps between two columns, chroma does, although the model sees a quarter of the columns."""
    gray = np.full((256, 512), 0.3, np.float32)
    gray[:, 256:] = 0.7
    chroma = np.asarray(rgb_to_chroma(colorizer(pixels=2048).image(gray)))[128]
    jump = np.linalg.norm(chroma[256] - chroma[255])
    total = np.linalg.norm(chroma[276] - chroma[235])
    assert total > 0.02
    assert jump > 0.6 * total


def test_more_saturation_gives_stronger_colours_of_the_same_hue():
    gray = smooth(64, 64)
    weak, strong = (rgb_to_chroma(colorizer(saturation=factor).image(gray)) for factor in (0.2, 0.4))
    np.testing.assert_allclose(2 * weak, strong, atol=1e-3)
    assert np.abs(strong).max() > 0.01
    assert np.ptp(colorizer(saturation=0.0).image(gray), axis=-1).max() < 1e-6


def test_vivid_colours_are_between_the_likely_ones_and_the_livelier():
    model, gray = ChromaUNet((4, 8), vivid=True), smooth(32, 32)
    variables = model.init(jax.random.key(0), gray[None, ..., None])
    likely, livelier = jnp.split(model.apply(variables, gray[None, ..., None], method="chroma")[0], 2, axis=-1)
    trained = Pretrained(override(preset("chroma_unet"), model=model), variables, {})
    for vivid in (0.0, 0.4, 1.0):
        wanted = into_gamut(gray[..., None], likely + vivid * (livelier - likely))
        found = rgb_to_chroma(Colorizer(trained, vivid=vivid).image(gray))
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_model_without_livelier_colours_says_so():
    with pytest.raises(InputError, match="has no livelier colours"):
        colorizer(vivid=0.5)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_codes_are_what_ffmpeg_takes_them_for(bits, full_range):
    coding = Coding(bits=bits, full_range=full_range)
    pixels = "yuv444p" if bits == 8 else "yuv444p10le"
    rgb = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5], [0.9, 0.7, 0.2]])
    gray, chroma = luma(rgb)[:, 0], rgb_to_chroma(rgb)
    unit, white = 2 ** (bits - 8), 2**bits - 1
    codes = np.round(gray * (white if full_range else 219 * unit) + (0 if full_range else 16 * unit))
    np.testing.assert_allclose(coding.luma(codes), gray, atol=0.004)
    frame = av.VideoFrame(16, 1, pixels)
    for plane, values in zip(
        frame.planes, (codes, *np.moveaxis(np.asarray(coding.chroma_codes(chroma)), -1, 0)), strict=True
    ):
        np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16)[:5] = values
    frame.color_range = 2 if full_range else 1
    shown = frame.reformat(format="rgb24", src_colorspace="ITU601").to_ndarray()[0, :5] / 255
    np.testing.assert_allclose(shown, rgb, atol=0.02)


def test_codes_blacker_than_black_are_black():
    np.testing.assert_allclose(Coding().luma(np.uint8([0, 16, 235, 255])), [0, 0, 1, 1], atol=1e-6)


@pytest.mark.parametrize("subsampling", [(2, 2), (1, 2), (1, 1)])
def test_planes_are_the_chroma_of_the_frames(subsampling):
    coding = Coding(full_range=True, subsampling=subsampling)
    codes = np.uint8(np.round(255 * np.stack([smooth(121, 163), smooth(121, 163)])))
    model = colorizer(pixels=1024)  # the same working size for frames and for their halves
    cb, cr, small = model.planes(codes, coding)
    assert cb.shape == cr.shape == (2, -(-121 // subsampling[0]), -(-163 // subsampling[1]))
    assert cb.dtype == np.uint8
    rgb = np.asarray(model.frames(codes / np.float32(255)))
    chroma = rgb_to_chroma(rgb)[0].transpose(2, 0, 1)
    theirs = np.stack([shrunk(jnp.asarray(10_000 * (plane + 0.5)), subsampling) / 10_000 - 0.5 for plane in chroma], -1)
    ours = (np.stack([cb, cr], -1)[0].astype(float) - 128) / 255
    assert np.abs(ours - theirs).mean() < 0.01
    assert np.abs(theirs).mean() > 0.02
    assert in_unit_range(small)


def test_another_matrix_shows_the_same_hues_with_the_luma_that_is_given():
    codes = np.uint8(np.round(255 * smooth(64, 64)))[None]
    shown = {}
    for weights in (BT601, BT709):
        coding = Coding(full_range=True, weights=weights, subsampling=(1, 1))
        cb, cr, _ = colorizer(saturation=1.0).planes(codes, coding)
        chroma = (np.stack([cb, cr], -1).astype(np.float32) - 128) / 255
        shown[weights] = np.asarray(ycbcr_to_rgb(codes[..., None] / np.float32(255), chroma, weights))
    hues = [rgb - rgb.mean(-1, keepdims=True) for rgb in shown.values()]
    assert np.corrcoef(hues[0].ravel(), hues[1].ravel())[0, 1] > 0.99
    np.testing.assert_allclose(luma(shown[BT709], BT709)[..., 0], codes / 255, atol=1e-5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_clip_that_lies_on_its_side_gets_the_colours_of_the_upright_one(turns):
    upright = np.uint8(np.round(255 * smooth(48, 64)))
    stored = np.rot90(upright, -turns)
    cb, _, _ = colorizer().planes(upright[None], Coding(subsampling=(1, 1)))
    turned, _, _ = colorizer().planes(np.ascontiguousarray(stored)[None], Coding(subsampling=(1, 1), turns=turns))
    assert np.abs(np.rot90(turned[0], turns).astype(int) - np.asarray(cb[0], int)).max() <= 1


def test_the_references_colorizer_goes_the_same_way():
    config = colorizer().trained.config.__class__(name="a", model=ColorizerAE(), task=None, data="cifar100")
    variables = config.model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
    gray = smooth(50, 70)
    rgb = Colorizer(Pretrained(config, {"batch_stats": {}, **variables}, {})).image(gray)
    np.testing.assert_allclose(luma(rgb)[..., 0], gray, atol=1e-5)


def test_an_array_of_frames_takes_three_lines():
    frames = np.uint8(np.round(255 * np.stack([smooth(30, 40)] * 11)))
    rgb = colorizer()(frames)
    assert rgb.shape == (11, 30, 40, 3)
    assert rgb.dtype == np.uint8
    floats = colorizer()(frames / np.float32(255), batch_size=4)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, rgb / 255, atol=0.003)


def moving(count, height=30, width=40):
    """Gray frames, uint8 [T, H, W]: something dark that comes in from the left."""
    frames = np.stack([smooth(height, width)] * count)
    for index, frame in enumerate(frames):
        frame[5:15, : 2 * index] *= 0.3
    return np.uint8(np.round(255 * frames))


@pytest.mark.parametrize("count", [1, 4, 11])
def test_a_stream_is_what_an_array_of_frames_gives(count):
    frames = moving(count)
    found = list(colorizer().stream(iter(frames), steady=0, batch_size=4))
    assert all(frame.dtype == np.uint8 for frame in found)
    np.testing.assert_array_equal(found, colorizer()(frames, batch_size=4))
    each = [colorizer().image(frame / np.float32(255)) for frame in frames]
    assert np.abs(np.stack(found) / 255 - each).max() < 0.005


def test_of_frames_in_colour_a_stream_takes_luma():
    rgb = np.random.default_rng(0).uniform(size=(3, 16, 24, 3)).astype(np.float32)
    found = list(colorizer().stream(rgb))
    assert found[0].dtype == np.float32
    np.testing.assert_allclose(luma(np.stack(found)), luma(rgb), atol=1e-5)
    gray = list(colorizer().stream(np.asarray(luma(rgb))[..., 0]))
    np.testing.assert_array_equal(found, gray)


def test_no_frames_give_none():
    assert list(colorizer().stream([])) == []


@pytest.mark.parametrize(("steady", "most"), [(0.0, 6), (STRENGTH, 6 + AHEAD)])
def test_a_stream_draws_two_batches_ahead_and_no_frame_before_it_is_asked(steady, most):
    drawn, ahead = [], []

    def source():
        for frame in moving(20):
            drawn.append(frame)
            yield frame

    stream = colorizer().stream(source(), steady=steady, batch_size=3)
    assert not drawn
    for taken, _ in enumerate(stream):
        ahead.append(len(drawn) - taken)
    assert len(ahead) == 20
    assert max(ahead) == most


def test_memory_does_not_grow_with_the_number_of_frames():
    def peak(count):
        source = (np.full((200, 300), index % 256, np.uint8) for index in range(count))
        tracemalloc.start()
        for _ in colorizer().stream(source, batch_size=2):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)  # compiles
    assert peak(60) < 2 * peak(8)  # all frames as floats are five times as much


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (
            np.zeros((30, 41), np.uint8),
            r"frame 3 is \(30, 41\) of uint8, the first \(30, 40\) of uint8: frames are of one size",
        ),
        (np.zeros((30, 40), np.float32), r"frame 3 is \(30, 40\) of float32, the first \(30, 40\) of uint8"),
        (np.zeros((30, 40, 4), np.uint8), r"frame 3: expected .*got \(30, 40, 4\)"),
        (np.zeros(30, np.uint8), r"frame 3: expected .*got \(30,\)"),
        (np.full((30, 40), 1.5), "frame 3: .*1.5"),
        (np.zeros((30, 40), np.int32), "frame 3: .*int32"),
    ],
)
def test_a_frame_that_is_unlike_the_others_is_named(odd, words):
    stream = colorizer().stream([*moving(2), odd, *moving(9)], batch_size=2)
    with pytest.raises(InputError, match=words):
        list(stream)


def test_animations_go_in_and_out_through_imageio(tmp_path):
    frames = moving(7)
    iio.imwrite(tmp_path / "gray.gif", frames, duration=120, loop=0)
    with iio.imopen(tmp_path / "new.gif", "w") as file:
        for frame in colorizer().stream(iio.imiter(tmp_path / "gray.gif", mode="RGB"), batch_size=3):
            file.write(frame, duration=120, loop=0)
    found = np.float32(iio.imread(tmp_path / "new.gif", mode="RGB"))
    assert found.shape == (7, 30, 40, 3)
    assert iio.immeta(tmp_path / "new.gif")["duration"] == 120
    assert np.abs(luma(found)[..., 0] - frames).mean() < 6  # a palette of 256 colours
    assert np.ptp(found, axis=-1).mean() > 10
