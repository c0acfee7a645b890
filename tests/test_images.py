import struct
import zlib

import flax.linen as nn
import imageio.v3 as iio
import numpy as np
import pytest
from clips import colorizer
from denoise import in_unit_range
from PIL import Image

from ae.color import BT601
from ae.data.samples import sample_photograph
from ae.errors import InputError
from ae.media.images import check_holds, read_image, with_pixels, write_image
from ae.media.pictures import change_image, colorize_picture, denoise_picture, gray_frames
from ae.restore.denoise import Denoiser, noise_level, tiles
from ae.restore.weights import load_pretrained

RNG = np.random.default_rng(0)
GRAY = np.uint8(RNG.uniform(60, 200, (5, 7)).repeat(8, 0).repeat(8, 1))  # 40 x 56
RGB = np.stack([GRAY, GRAY // 2, 255 - GRAY], axis=-1)
ALPHA = np.uint8(np.linspace(0, 255, GRAY.size).reshape(GRAY.shape))


def coloured(picture):
    return colorize_picture(picture, colorizer())


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def luma_of(pixels):
    return pixels[..., :3].astype(np.float64) @ BT601


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".ppm"])
@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "rgb"])
def test_luma_is_the_inputs_within_rounding(tmp_path, pixels, suffix):
    change_image(save(tmp_path / "in.png", pixels), tmp_path / f"out{suffix}", coloured)
    result = iio.imread(tmp_path / f"out{suffix}")
    assert result.shape == (40, 56, 3)
    assert np.ptp(result.astype(int), axis=-1).max() > 10
    expected = pixels if pixels.ndim == 2 else luma_of(pixels)
    assert np.abs(luma_of(result) - expected).max() <= 0.51


def test_alpha_profile_and_exif_are_kept(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    save(tmp_path / "in.png", np.dstack([RGB, ALPHA]), exif=exif, icc_profile=profile)
    change_image(tmp_path / "in.png", tmp_path / "out.png", coloured)
    result = Image.open(tmp_path / "out.png")
    np.testing.assert_array_equal(np.asarray(result)[..., 3], ALPHA)
    assert result.getexif()[0x010F] == "A maker"
    assert result.info["icc_profile"] == profile


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_what_exif_says_is_turned_is_turned_once(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / "in.jpg", GRAY, exif=exif, quality=100)
    change_image(tmp_path / "in.jpg", tmp_path / "out.png", coloured)
    upright = {3: np.rot90(GRAY, 2), 6: np.rot90(GRAY, -1), 8: np.rot90(GRAY, 1)}[orientation]
    result = Image.open(tmp_path / "out.png")
    assert result.getexif().get(0x0112, 1) == 1
    assert np.abs(luma_of(np.asarray(result)) - upright).max() < 6  # JPEG


def test_palettes_become_rgb_and_keep_their_transparency(tmp_path):
    picture = Image.fromarray(RGB).quantize(16)
    picture.save(tmp_path / "in.png", transparency=3)
    change_image(tmp_path / "in.png", tmp_path / "out.png", coloured)
    result = iio.imread(tmp_path / "out.png")
    before = np.asarray(picture.convert("RGB"))
    assert result.shape == (40, 56, 4)
    assert np.abs(luma_of(result) - luma_of(before)).max() <= 0.51
    np.testing.assert_array_equal(result[..., 3] == 0, np.asarray(picture) == 3)


def test_an_animation_keeps_its_frames_and_times(tmp_path):
    frames = [Image.fromarray(np.roll(GRAY, 8 * index, axis=1)) for index in range(4)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=[50, 100, 150, 200], loop=3)
    change_image(tmp_path / "in.gif", tmp_path / "out.gif", coloured)
    result = Image.open(tmp_path / "out.gif")
    durations = []
    for index in range(result.n_frames):
        result.seek(index)
        durations.append(result.info["duration"])
        assert np.abs(luma_of(np.asarray(result.convert("RGB"))) - np.asarray(frames[index])).mean() < 4  # 256 colours
    assert durations == [50, 100, 150, 200]
    assert result.info["loop"] == 3


def test_side_by_side(tmp_path):
    picture = read_image(save(tmp_path / "in.png", np.dstack([RGB, ALPHA])))
    both = colorize_picture(picture, colorizer(), side_by_side=True)
    assert both.pixels.shape == (1, 40, 112, 3)
    assert both.alpha.shape == (1, 40, 112, 1)
    assert np.ptp(both.pixels[:, :, :56].astype(int), axis=-1).max() == 0
    np.testing.assert_array_equal(both.pixels[:, :, 56:], coloured(picture).pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (30, 16384)])
def test_strange_sizes(tmp_path, size):
    pixels = np.uint8(RNG.uniform(0, 255, size))
    change_image(save(tmp_path / "in.png", pixels), tmp_path / "out.png", coloured)
    result = iio.imread(tmp_path / "out.png")
    assert np.abs(luma_of(result) - pixels).max() <= 0.51


@pytest.mark.parametrize(
    ("name", "message"), [("out.jpg", "alpha"), ("out.xyz", "no suffix of an image"), ("out", "no suffix")]
)
def test_formats_that_cannot_hold_a_picture_are_refused_before_the_work(tmp_path, name, message):
    picture = read_image(save(tmp_path / "in.png", np.dstack([RGB, ALPHA])))
    with pytest.raises(InputError, match=message):
        check_holds(tmp_path / name, picture)


def test_a_failed_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    picture = read_image(save(tmp_path / "in.png", GRAY))
    (tmp_path / "out.png").write_text("earlier")

    def full(image, path, *args, **kwargs):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match="No space left"):
        write_image(tmp_path / "out.png", picture)
    assert (tmp_path / "out.png").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png"]


@pytest.mark.parametrize(("reach", "multiple"), [(0, 1), (24, 4), (52, 8), (108, 16)])
def test_tiles_cover_everything_once_and_what_is_kept_sees_no_edge(reach, multiple):
    for length in (1, multiple, 255, 320 + multiple, 1600):
        kept = np.zeros(length, int)
        spans = tiles(length, reach, multiple)
        for seen, inner in spans:
            kept[inner] += 1
            assert seen.start % multiple == seen.stop % multiple == 0
            assert inner.start - seen.start >= reach * (seen.start > 0)
            assert seen.stop - inner.stop >= reach * (seen.stop < length)
        assert (kept == 1).all()
        assert len({span.size for span in spans}) == 1


def random_model(model):
    import jax

    from ae import Config, Denoise
    from ae.restore.weights import Pretrained

    config = Config(name="a", model=model, task=Denoise(), data="mnist")
    inputs = np.zeros((1, *getattr(model, "input_shape", (32, 32, 1))), np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), inputs)
    return Pretrained(config, {"batch_stats": {}, **variables}, {})


@pytest.mark.parametrize("levels", [3, 4, 5])
def test_tiles_leave_no_trace(levels):
    from ae.models import UNet

    trained = random_model(UNet((4,) * levels, residual=True))
    noisy = np.float32(RNG.uniform(size=(1100, 300)))
    whole = np.asarray(trained(noisy[None, ..., None]))[0, ..., 0]
    assert len(tiles(1100, trained.config.model.reach, trained.config.model.multiple)) > 1
    np.testing.assert_allclose(Denoiser(trained).image(noisy), whole, atol=1e-6)
    small = noisy[:28, :28]
    np.testing.assert_allclose(Denoiser(trained).image(small), trained(small[None, ..., None])[0, ..., 0], atol=1e-6)


def test_models_that_do_not_say_how_far_they_look_see_the_whole_image():
    import flax.linen as nn

    class Mean(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            return x.mean(axis=(1, 2), keepdims=True) + 0 * x + self.param("bias", nn.initializers.zeros_init(), ())

    noisy = np.float32(RNG.uniform(size=(501, 303)))
    np.testing.assert_allclose(Denoiser(random_model(Mean())).image(noisy), noisy.mean(), atol=1e-5)


def test_sizes_that_a_model_does_not_divide_are_filled_up():
    from ae.models import ConvAE

    noisy = np.float32(RNG.uniform(size=(30, 41)))
    assert Denoiser(random_model(ConvAE((2, 2, 2, 2), (2, 2, 2, 2, 2, 2)))).image(noisy).shape == (30, 41)


def test_what_a_model_takes_beyond_black_and_white_is_cut():
    import flax.linen as nn

    class Sharper(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            return 3 * x - 1 + self.param("bias", nn.initializers.zeros_init(), ())

    noisy = np.float32(RNG.uniform(size=(20, 20)))
    np.testing.assert_allclose(Denoiser(random_model(Sharper())).image(noisy), np.clip(3 * noisy - 1, 0, 1), atol=1e-6)


def test_noise_level_is_found():
    image = np.full((200, 200), 0.5) + RNG.normal(scale=0.1, size=(200, 200))
    assert noise_level(image) == pytest.approx(0.1, rel=0.05)


def test_the_noise_of_all_parts_of_an_image_counts():
    """Most of it has noise, but neither its upper rows nor its left columns."""
    noisy = np.full((1100, 1300), 0.5, np.float32)
    noisy[256:, 256:] += RNG.normal(scale=0.1, size=(844, 1044)).astype(np.float32)
    assert Denoiser(load_pretrained("photo_denoiser")).amount(noisy[..., None]).sigma == pytest.approx(0.1, rel=0.2)


def test_images_too_small_or_plain_for_an_estimate_have_no_noise():
    assert noise_level(np.zeros((20, 30))) == 0
    for shape in ((1, 1), (1, 9), (9, 1)):
        assert noise_level(RNG.random(shape)) < 1e-6


def test_no_more_is_taken_away_than_the_noise():
    """A photograph without noise stays nearly as it is, however much the model would take for noise."""
    denoiser = Denoiser(load_pretrained("gray_denoiser"))
    photo = np.float32(sample_photograph("sklearn/datasets/images/china.jpg")[:200, :200, 1]) / 255
    noisy = np.clip(photo + RNG.normal(scale=0.1, size=photo.shape), 0, 1).astype(np.float32)
    errors = {
        sigma: np.sqrt(np.square(denoiser.image(image, sigma=sigma) - photo).mean())
        for image, sigma in ((photo, 0.0), (photo, 0.001), (photo, None), (noisy, 0.1))
    }
    assert errors[0.0] == 0
    assert errors[0.001] == pytest.approx(0.001, rel=0.01)
    assert errors[None] < 0.01 < errors[0.1] < 0.07


@pytest.mark.parametrize("size", [(97, 89), (321, 313), (5, 3), (1, 1)])
def test_noise_is_taken_up_to_the_edges_of_any_size(size):
    """What an image is filled up with to the next multiple must not look like detail."""
    noisy = np.float32(np.clip(0.5 + np.random.default_rng(1).normal(scale=0.1, size=size), 0, 1))
    error = np.square(Denoiser(load_pretrained("gray_denoiser")).output(noisy[..., None])[..., 0] - 0.5)
    assert error.shape == size
    if min(size) > 80:
        edges = max(error[-16:].mean(), error[:, -16:].mean())
        assert edges < 4 * error[:-16, :-16].mean() < 0.1 * 0.1**2


def test_large_images_show_how_far_they_are(monkeypatch):
    from ae.models import UNet
    from ae.runtime import progress

    bars, make = [], progress.bar

    def bar(*arguments, **options):
        bars.append(make(*arguments, **options))
        return bars[-1]

    monkeypatch.setattr("ae.restore.denoise.progress.bar", bar)
    Denoiser(random_model(UNet((2, 4), residual=True))).image(np.float32(RNG.uniform(size=(300, 250, 3))))
    (shown,) = bars
    assert shown.n == shown.total == 300 * 250 * 3


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pixels_keep_their_dtype(kind):
    most = np.iinfo(kind).max
    image = RNG.integers(0, most + 1, (40, 50, 3), dtype=kind)
    denoiser = Denoiser(random_model(Affine(0.5, 0)))
    clean = denoiser.image(image)
    assert clean.dtype == kind
    np.testing.assert_array_equal(clean, np.round(np.float32(image) / most * np.float32(0.5) * most))
    np.testing.assert_array_equal(denoiser.image(image, strength=0), image)


def test_channels_are_changed_one_by_one(tmp_path):
    picture = read_image(save(tmp_path / "in.png", np.dstack([RGB, ALPHA])))
    darker = denoise_picture(picture, Denoiser(random_model(Affine(0.5, 0))))
    np.testing.assert_allclose(darker.pixels[0], RGB / 2, atol=0.51)
    np.testing.assert_array_equal(darker.alpha, picture.alpha)
    assert gray_frames(picture).shape == (1, 40, 56)
    rms = np.sqrt(np.square(RGB / 2).mean())
    assert darker.remarks == (f"taken away {rms:.1f} of 255",)


class Affine(nn.Module):
    """A model that knows one level of noise, and answers with a factor of its input and a constant."""

    factor: float
    constant: float

    def __call__(self, x, train=False):
        return self.factor * x + self.constant


class Reversed(nn.Module):
    """A model of RGB images, whose channels it exchanges."""

    input_shape = (32, 32, 3)

    def __call__(self, x, train=False):
        return x[..., ::-1]


def test_a_model_of_rgb_images_sees_all_channels_together():
    denoiser, image = Denoiser(random_model(Reversed())), np.float32(RNG.random((9, 7, 3)))
    np.testing.assert_allclose(denoiser.image(image), image[..., ::-1], atol=1e-6)
    np.testing.assert_allclose(denoiser.image(image[..., 0]), image[..., 0], atol=1e-6)
    with pytest.raises(InputError):
        denoiser.image(image[None])


@pytest.mark.parametrize("strength", [0, 0.5, 1, 2])
def test_strength_multiplies_what_is_taken_away(strength):
    image = np.float32(RNG.uniform(0.5, 1, (9, 7)))
    denoised = Denoiser(random_model(Affine(0.9, 0))).denoise(image, strength=strength)
    np.testing.assert_allclose(denoised.image, image * (1 - 0.1 * strength), atol=1e-6)
    assert denoised.sigma is None
    assert denoised.taken == pytest.approx(0.1 * strength * np.sqrt(np.square(image).mean()), abs=1e-6)


def test_how_much_noise_there_was_is_said():
    denoiser, image = Denoiser(load_pretrained("gray_denoiser")), np.full((64, 64, 3), 0.5, np.float32)
    noisy = image + np.float32(RNG.normal(scale=(0.02, 0.04, 0.06), size=image.shape))
    denoised = denoiser.denoise(noisy)
    assert denoised.sigma == pytest.approx(np.sqrt(np.square([0.02, 0.04, 0.06]).mean()), rel=0.1)
    assert denoised.taken == pytest.approx(denoised.sigma, rel=0.15)
    assert denoiser.denoise(noisy, sigma=0.01).taken == pytest.approx(0.01, rel=0.01)


def test_sigma_is_of_one_or_of_255(capsys):
    assert in_unit_range(None) is None
    assert in_unit_range(0.1) == 0.1
    assert in_unit_range(51) == 0.2
    assert capsys.readouterr().out.splitlines() == [
        "sigma 0.1 for pixels in [0, 1], 25.5 for those up to 255",
        "sigma 0.2 for pixels in [0, 1], 51 for those up to 255",
    ]
    with pytest.raises(InputError, match=r"--sigma 1 could be all of the range \[0, 1\] or one of 255"):
        in_unit_range(1)


def bomb(path, side=50_000):
    """A PNG of some kilobytes that says it has 2.5 billion pixels."""
    raw = zlib.compress(bytes(100_000))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", raw), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(x)) + name + x + struct.pack(">I", zlib.crc32(name + x)) for name, x in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_images_that_would_fill_the_memory_are_refused(tmp_path):
    with pytest.raises(InputError, match="2,500,000,000 pixels, more than the 134,217,728 allowed: --most-pixels"):
        read_image(bomb(tmp_path / "bomb.png"))
    frames = np.zeros((9, 20, 30), np.uint8)
    iio.imwrite(tmp_path / "in.gif", frames + np.arange(9, dtype=np.uint8)[:, None, None])
    with pytest.raises(InputError, match="5,400 pixels, more than the 5,000 allowed"):
        read_image(tmp_path / "in.gif", most_pixels=5000)
    assert read_image(tmp_path / "in.gif", most_pixels=5400).pixels.shape == (9, 20, 30, 3)
    iio.imwrite(tmp_path / "deep.tif", np.zeros((20, 30, 3), np.uint16), plugin="tifffile")
    with pytest.raises(InputError, match="600 pixels"):
        read_image(tmp_path / "deep.tif", most_pixels=599)


def test_what_a_model_says_beyond_black_and_white_is_cut(tmp_path):
    """Residual models do, at black and white pixels."""
    salt = np.uint8(RNG.choice([0, 255], (9, 7)))
    for name, pixels in (("8.png", salt), ("16.png", np.uint16(salt) * 257)):
        picture = read_image(save(tmp_path / name, pixels))
        beyond = denoise_picture(picture, Denoiser(random_model(Affine(1.2, -0.1))))
        np.testing.assert_array_equal(beyond.pixels, picture.pixels)
    with pytest.raises(InputError, match="not numbers"):
        with_pixels(picture, np.full(picture.pixels.shape, np.nan))
