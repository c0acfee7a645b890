import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ae.score.images import NOISY, Pair, add_noise, in_8_bits, score, score_images

RNG = np.random.default_rng(0)


def image(channels, shape=(40, 53)):
    return in_8_bits(RNG.random((*shape, channels)))


@pytest.mark.parametrize("channels", [1, 3])
def test_scores_are_those_of_scikit_image(channels):
    """SSIM with the settings that its documentation names for the form of Wang et al."""
    clean = image(channels)
    noisy, _, _ = add_noise(clean, 0.1, 0)
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
    for output in (noisy, in_8_bits(noisy)):
        assert score(output, clean) == {
            "psnr": pytest.approx(peak_signal_noise_ratio(clean, output, data_range=1), abs=1e-4),
            "ssim": pytest.approx(structural_similarity(clean, output, data_range=1, **window), abs=1e-4),
        }


def test_noise_is_gaussian_and_not_clipped():
    clean = np.ones((300, 200, 3), np.float32)
    noise = add_noise(clean, 0.2, 0).noisy - clean
    assert noise.std() == pytest.approx(0.2, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=0.002)
    assert np.mean(np.abs(noise) < 0.2) == pytest.approx(0.683, abs=0.005)
    assert noise.dtype == np.float32


def test_noise_follows_from_seed_and_index():
    clean = np.zeros((20, 30, 1), np.float32)
    first = add_noise(clean, 0.1, 0).noisy
    np.testing.assert_array_equal(add_noise(clean, 0.1, 0).noisy, first)
    np.testing.assert_allclose(add_noise(clean, 0.2, 0).noisy, 2 * first, rtol=1e-6)
    assert np.abs(add_noise(clean, 0.1, 1).noisy - first).min(initial=1, where=first != 0) > 0
    expected = np.random.default_rng((0, 0)).standard_normal((20, 30, 1), np.float32)
    np.testing.assert_allclose(first, 0.1 * expected, rtol=1e-6)


def test_images_are_cut_and_rounded_to_8_bits():
    np.testing.assert_allclose(255 * in_8_bits(np.array([-0.1, 0.5, 0.7019, 1.2])), [0, 128, 179, 255], rtol=1e-6)


def test_all_methods_see_the_same_noise_and_only_the_noisy_row_is_unclipped():
    seen = []
    methods = {name: lambda noisy, sigma: seen.append((noisy, sigma)) or noisy for name in ("a", "b")}
    clean = np.ones((64, 64, 1), np.float32)
    pairs = [add_noise(clean, 0.1, index) for index in range(2)]
    scores = score_images(methods, pairs, count=2, label="a set")
    assert list(scores) == [NOISY, "a", "b"]
    assert scores["a"] == scores["b"]
    for (noisy, sigma), (again, _), pair in zip(seen[::2], seen[1::2], pairs, strict=True):
        assert noisy is again is pair.noisy
        assert sigma == 0.1
    for noisy, cut in zip(scores[NOISY], scores["a"], strict=True):
        assert noisy["psnr"] == pytest.approx(20, abs=0.2)
        assert cut["psnr"] == pytest.approx(23, abs=0.3)  # at white, half of the noise is cut off


def test_images_have_any_size():
    pairs = [Pair(image(1, shape), image(1, shape), 0.1) for shape in ((11, 12), (50, 13))]
    assert len(score_images({}, pairs, count=2, label="")[NOISY]) == 2
