"""What a camera adds: noise that grows with light and spreads, and JPEG."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data as photographs

from ae.camera import camera_noise, jpeg, soften, spread
from ae.color import luma
from ae.errors import InputError
from ae.tasks import DenoisePhotograph

KEYS = jax.random.split(jax.random.key(0), 200)


noisy_images = jax.jit(jax.vmap(camera_noise, (0, None, None)))


@jax.jit  # one program for all settings that are values
def made(task: DenoisePhotograph, keys: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(task, (0, None))(keys, image)


def residual(value: float, sigma: float = 0.05) -> np.ndarray:
    return np.asarray(noisy_images(KEYS, jnp.full((32, 32, 3), value), sigma) - value)


def neighbours(planes: np.ndarray, apart: int) -> np.ndarray:
    """Return how alike values of planes [B, H, W] are that are so many columns apart."""
    return (planes[..., apart:] * planes[..., :-apart]).mean((1, 2)) / np.square(planes).mean((1, 2))


def test_luma_has_the_asked_noise_at_middle_gray():
    levels = np.asarray(luma(residual(0.5))).std(axis=(1, 2, 3))
    assert np.median(levels) == pytest.approx(0.05, rel=0.05)


def test_noise_grows_with_light_in_some_photographs_and_falls_in_others():
    dark, light = (np.asarray(luma(residual(value))).std(axis=(1, 2, 3)) for value in (0.05, 0.95))
    assert 0.35 < np.mean(dark > light) < 0.65
    assert np.quantile(light / dark, 0.9) > 2
    assert np.quantile(light / dark, 0.1) < 0.5


def test_noise_of_chroma_is_coarser_than_that_of_luma_and_of_any_strength():
    noise = residual(0.5)
    fine = np.asarray(luma(noise))[..., 0]
    coarse = noise[..., 2] - fine
    assert np.median(neighbours(fine, 1)) < 0.7 < np.median(neighbours(coarse, 1))
    assert np.quantile(neighbours(coarse, 4), 0.9) > 0.4
    ratio = coarse.std((1, 2)) / fine.std((1, 2))
    assert np.quantile(ratio, 0.1) < 0.5
    assert 1.4 < np.quantile(ratio, 0.9) < 2.4


def test_spreading_keeps_the_deviation_and_joins_neighbours():
    noise = jax.random.normal(jax.random.key(0), (128, 128, 3))
    for width, least, most in ((0.0, -0.02, 0.02), (0.7, 0.4, 0.7), (1.5, 0.8, 0.95)):
        wide = np.asarray(spread(noise, width))
        assert wide.std() == pytest.approx(1, rel=0.05)
        assert least < np.corrcoef(wide[:, 1:].ravel(), wide[:, :-1].ravel())[0, 1] < most


def test_channels_are_spread_apart():
    noise = jax.random.normal(jax.random.key(0), (64, 64, 3))
    apart = spread(noise, jnp.array([0.0, 1.0, 2.0]))
    for channel, width in enumerate((0.0, 1.0, 2.0)):
        np.testing.assert_allclose(apart[..., channel], spread(noise, width)[..., channel], atol=1e-6)


def test_a_photograph_is_softened_as_by_a_gaussian():
    image = photographs.astronaut()[:64, :48] / np.float32(255)
    np.testing.assert_array_equal(soften(image, 0.0), image)
    expected = gaussian_filter(image, (1, 1, 0), mode="reflect", truncate=4)
    np.testing.assert_allclose(soften(image, 1.0), expected, atol=1e-4)


def test_some_photographs_are_gray():
    image = jnp.asarray(photographs.astronaut()[:64, :64], jnp.float32) / 255
    inputs, targets = made(DenoisePhotograph(colourless=0.3), KEYS, image)
    gray = np.ptp(targets, axis=3).max((1, 2)) < 1e-6
    assert 40 <= gray.sum() <= 80
    assert np.ptp(np.asarray(inputs)[gray], axis=3).max() < 1e-6


@pytest.mark.parametrize("quality", [20, 60, 90, 100])
@pytest.mark.parametrize("halved", [False, True])
def test_jpeg_is_that_of_pillow(quality, halved):
    image = photographs.astronaut()[:256, :256]
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=quality, subsampling=2 if halved else 0)
    theirs = np.asarray(Image.open(file), float) / 255
    ours = np.asarray(jpeg(jnp.float32(image) / 255, float(quality), halved=halved))
    lost, apart = np.sqrt(np.square(theirs - image / 255).mean()), np.sqrt(np.square(theirs - ours).mean())
    assert apart < (0.6 if halved else 0.25) * lost + 0.003  # Pillow smooths chroma that it enlarges


def test_jpeg_of_other_sizes_is_refused():
    with pytest.raises(InputError, match="multiples of 16, got \\(24, 32, 3\\)"):
        jpeg(jnp.zeros((24, 32, 3)), 90.0)


def test_some_photographs_stay_as_they_are_and_all_are_in_range():
    image = jnp.asarray(photographs.astronaut()[:64, :64], jnp.float32) / 255
    inputs, targets = made(DenoisePhotograph(soft=0.0, colourless=0.0, untouched=0.3), KEYS, image)
    assert 0 <= float(inputs.min()) < float(inputs.max()) <= 1
    assert jnp.array_equal(targets, jnp.broadcast_to(image, targets.shape))
    assert 40 <= int((inputs == targets).all((1, 2, 3)).sum()) <= 80
    task = DenoisePhotograph(soft=0.0, colourless=0.0, untouched=0.0, compressed=0.0)
    noisy, _ = made(task, KEYS, image)
    errors = jnp.sqrt(jnp.square(noisy - image).mean((1, 2, 3)))
    assert float(jnp.median(errors)) < 0.04
    assert 0.05 < float(errors.max()) < 0.3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sigma": -0.1}, "sigma has to be at least 0"),
        ({"soft": 2.0}, "soft has to be from 0 to 1"),
        ({"colourless": -0.5}, "colourless has to be from 0 to 1"),
        ({"untouched": 1.5}, "untouched has to be from 0 to 1"),
        ({"compressed": -1.0}, "compressed has to be from 0 to 1"),
        ({"least_quality": 0.0}, "least_quality has to be from 1 to 100"),
        ({"crop": -1}, "crop has to be at least 0"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        DenoisePhotograph(**settings)


def test_what_is_white_stays_white_to_the_last_bit_when_it_is_blurred():
    """Binary accuracy counts such pixels: it must not depend on how a program was compiled."""
    task, white = DenoisePhotograph(soft=1.0, untouched=1.0), jnp.ones((32, 32, 3))
    keys = jax.random.split(jax.random.key(0), 20)
    for make in (jax.vmap(task, (0, None)), jax.jit(jax.vmap(task, (0, None)))):
        _, targets = make(keys, white)
        np.testing.assert_array_equal(targets, 1)
