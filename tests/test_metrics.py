import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flicker import CUT, FLICKERING, GRAY, STEADY
from scipy.spatial.distance import jensenshannon
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ae import metrics
from ae.color import rgb_to_chroma, ycbcr_to_rgb


@pytest.fixture
def images():
    a, b = np.random.default_rng(0).random((2, 4, 28, 28, 3)).astype(np.float32)
    return jnp.asarray(a), jnp.asarray(np.clip(0.7 * a + 0.3 * b, 0, 1))


def test_psnr_and_ssim_are_scikit_images(images):
    a, b = map(np.asarray, images)
    psnr = [peak_signal_noise_ratio(x, y, data_range=1) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(metrics.psnr(*images), psnr, rtol=1e-5)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    ssim = [structural_similarity(x, y, data_range=1, channel_axis=-1, **wang) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(metrics.ssim(*images), ssim, rtol=1e-4)


def test_numbers_worked_out_by_hand():
    target = jnp.array([[[[0.0], [1.0]], [[0.5], [1.0]]]])  # [1, 2, 2, 1]
    output = jnp.array([[[[0.2], [0.4]], [[0.5], [0.9]]]])
    np.testing.assert_allclose(metrics.mse(output, target), [(0.04 + 0.36 + 0 + 0.01) / 4], rtol=1e-6)
    np.testing.assert_allclose(metrics.psnr(output, target), [-10 * np.log10(0.1025)], rtol=1e-6)
    # 0 == (0.2 > .5) and 1 == (0.9 > .5) count; 1 == (0.4 > .5) does not; 0.5 never can
    np.testing.assert_allclose(metrics.binary_accuracy(output, target), [2 / 4])
    assert metrics.pooled_psnr(0.01) == pytest.approx(20)


def test_categorical_accuracy_gives_ties_to_the_first_channel():
    target = jnp.array([[[[0.2, 0.2, 0.1], [0.1, 0.5, 0.4], [0.0, 0.0, 1.0]]]])  # red by tie, green, blue
    gray = jnp.full((1, 1, 3, 3), 0.3)
    np.testing.assert_allclose(metrics.categorical_accuracy(gray, target), [1 / 3])
    np.testing.assert_allclose(metrics.categorical_accuracy(target, target), [1])


def test_pooled_psnr_is_not_the_mean_of_psnr():
    target = jnp.zeros((2, 1, 1, 1))
    output = jnp.array([0.1, 0.01]).reshape(2, 1, 1, 1)
    assert float(metrics.psnr(output, target).mean()) == pytest.approx(30)
    assert float(metrics.pooled_psnr(metrics.mse(output, target).mean())) == pytest.approx(22.967, abs=1e-3)


def test_equal_images_count_eighty_decibels():
    image = jnp.full((2, 4, 4, 1), 0.3)
    np.testing.assert_array_equal(metrics.psnr(image, image.at[1].add(1e-6)), [80, 80])
    assert metrics.pooled_psnr(0.0) == 80


def test_what_is_out_of_range_counts_as_black_or_white():
    frames = jnp.array([[[[-3.0, 0.5, 7.0]]], [[[0.0, 0.5, 1.0]]]])
    black_or_white = metrics.histograms(frames)
    assert black_or_white.shape == (2, 3, 256)
    np.testing.assert_array_equal(black_or_white[0], black_or_white[1])
    assert black_or_white[0].argmax(-1).tolist() == [0, 128, 255]


def test_masked_images_do_not_count():
    sums = metrics.masked_sums({"a": jnp.array([1.0, 2.0, jnp.nan])}, jnp.array([True, True, False]))
    assert metrics.means(sums) == {"a": 1.5}


@pytest.mark.parametrize("name", ["mse", "psnr", "ssim", "binary_accuracy", "categorical_accuracy"])
def test_shapes_that_would_broadcast_and_integers_are_refused(name):
    metric = getattr(metrics, name)
    with pytest.raises(ValueError, match="equal shapes"):
        metric(jnp.zeros((2, 16, 16, 1)), jnp.zeros((2, 16, 16, 3)))
    with pytest.raises(ValueError, match="equal shapes"):
        metric(jnp.zeros((16, 16, 1)), jnp.zeros((16, 16, 1)))
    with pytest.raises(ValueError, match="float"):
        metric(jnp.zeros((2, 16, 16, 1), jnp.uint8), jnp.zeros((2, 16, 16, 1), jnp.uint8))


@pytest.mark.parametrize("name", ["mse", "psnr", "ssim", "binary_accuracy", "categorical_accuracy"])
def test_metrics_are_per_image_and_jit_changes_nothing(images, name):
    metric = getattr(metrics, name)
    values = metric(*images)
    assert values.shape == (4,)
    np.testing.assert_allclose(jax.jit(metric)(*images), values, rtol=1e-5)
    np.testing.assert_allclose(metric(images[0][2:3], images[1][2:3]), values[2:3], rtol=1e-5)


def test_a_still_and_a_gray_clip_do_not_flicker():
    for frames in (STEADY, GRAY):
        assert metrics.cdc(frames) == pytest.approx(0, abs=1e-6)
        assert metrics.chroma_flicker(frames) == pytest.approx(0, abs=1e-3)


def test_flicker_is_the_change_of_chroma_in_steps_of_8_bits():
    assert metrics.chroma_flicker(FLICKERING) == pytest.approx(255 * 0.04, rel=1e-3)
    assert metrics.cdc(FLICKERING) > 0.03


def test_a_cut_is_no_flicker():
    assert metrics.chroma_flicker(CUT) == pytest.approx(0, abs=1e-3)
    assert metrics.cdc(CUT) > 0.01  # which cannot tell


def two_frames(*differences):
    """RGB [2, 1, N, 3]; the second has so much more luma, and Cb, in each of its pixels."""
    luma, cb = jnp.asarray(differences, jnp.float32).T
    after = ycbcr_to_rgb(0.5 + luma[None, :, None], jnp.stack([cb, jnp.zeros_like(cb)], -1)[None])
    return jnp.stack([jnp.full_like(after, 0.5), after])


def test_a_pixel_counts_1_over_e_where_luma_changes_by_a_fiftieth():
    frames = two_frames((0, 0.1), (0.02, 0))
    assert metrics.chroma_flicker(frames) == pytest.approx(25.5 / (1 + np.exp(-1)), rel=1e-3)
    assert metrics.chroma_flicker(two_frames((0.02, 0.1))) == pytest.approx(25.5, rel=1e-3)  # a mean, not a sum


@pytest.mark.parametrize(("change", "flicker"), [(0.098, 25.5), (0.102, 0)])
def test_a_cut_is_a_mean_change_of_luma_of_a_tenth(change, flicker):
    frames = two_frames((0, 0.1), (2 * change, 0))
    assert metrics.chroma_flicker(frames) == pytest.approx(flicker, rel=1e-3)


def test_what_moves_is_no_flicker():
    """A coloured pattern that wanders: chroma changes everywhere, and luma with it."""
    pattern = jnp.asarray(np.random.default_rng(2).uniform(size=(16, 16, 3)), jnp.float32)
    frames = jnp.stack([jnp.roll(pattern, step, axis=1) for step in range(6)])
    changes = jnp.linalg.norm(rgb_to_chroma(frames[1:]) - rgb_to_chroma(frames[:-1]), axis=-1)
    assert metrics.chroma_flicker(frames) < 0.1 * 255 * changes.mean()


def test_cdc_is_that_of_scipy():
    darker = np.linspace(1, 2, 7).reshape(7, 1, 1, 1)
    frames = np.float32(np.random.default_rng(1).uniform(size=(7, 8, 8, 3)) ** darker)
    codes = np.moveaxis(np.round(255 * frames).astype(int), -1, 1).reshape(7, 3, -1)
    counts = [[np.bincount(channel, minlength=256) for channel in frame] for frame in codes]
    means = [
        np.mean([jensenshannon(counts[i][c], counts[i + step][c]) ** 2 for i in range(7 - step) for c in range(3)])
        for step in (1, 2, 4)
    ]
    assert float(metrics.cdc(frames)) == pytest.approx(np.mean(means), rel=1e-4)
