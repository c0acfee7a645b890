from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae import metrics
from ae.errors import InputError
from ae.runtime import progress
from ae.score.evaluate import evaluate, examples, measure, noise_key, scores
from ae.score.pictures import pictures
from ae.tasks import Colorize, Denoise


def half(variables, inputs):
    return inputs * variables


def by_hand(split):
    """(inputs, targets, outputs) of a whole split, whose first image has index `start` in its source."""
    index = split.start + jnp.arange(len(split.images))
    inputs, targets = examples(Denoise(), noise_key(split.noise_id), split.images, index)
    return inputs, targets, half(0.5, inputs)


@pytest.fixture
def split(data):
    return data.validation._replace(start=100, images=np.tile(data.validation.images, (3, 1, 1, 1)))


def test_the_noise_of_a_split_is_what_it_was():
    """As runs before today's had it, for checksums of less than 2**31."""
    expected = jax.random.fold_in(jax.random.fold_in(jax.random.key(5), 2), 1234567890)
    assert jax.random.key_data(noise_key(np.uint32(1234567890), seed=np.uint32(5))).tolist() == (
        jax.random.key_data(expected).tolist()
    )
    assert jax.random.normal(noise_key(1), (2,)).tolist() == pytest.approx([0.660979, -0.398737], abs=1e-6)


def test_means_are_of_all_images_whatever_the_batches(split):
    _, targets, outputs = by_hand(split)
    expected = {"loss": metrics.mse(outputs, targets), "accuracy": metrics.binary_accuracy(outputs, targets)}
    for options in ({}, {"batch_size": 4}, {"batch_size": 33}):
        found = evaluate(half, 0.5, Denoise(), split, **options)
        assert found == {name: pytest.approx(float(values.mean()), rel=1e-5) for name, values in expected.items()}
        assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize("score", [evaluate, measure])
def test_the_model_sees_batches_of_one_size(split, score):
    sizes = []

    def predict(variables, inputs):
        sizes.append(len(inputs))
        return inputs

    score(predict, 0.5, Denoise(), split)
    score(predict, 0.5, Denoise(), split, batch_size=8)
    assert list(dict.fromkeys(sizes)) == [256, 8]


def test_a_bar_counts_the_images(split, monkeypatch):
    bars, usual = [], progress.bar
    monkeypatch.setattr(progress, "bar", lambda *args, **kwargs: bars.append(usual(*args, **kwargs)) or bars[-1])
    monkeypatch.setattr(progress, "paced", lambda first, last: ((i, i + 1) for i in range(first, last)))
    evaluate(half, 0.5, Denoise(), split, batch_size=8)
    assert [(bar.desc, bar.total, bar.n) for bar in bars] == [("validation", 33, 33)]


def test_what_tables_show_is_measured(split):
    _, targets, outputs = by_hand(split)
    found = measure(half, 0.5, Denoise(), split)
    assert set(found) == {"loss", "accuracy", "mse", "psnr_pooled", "psnr_mean", "ssim"}
    assert found["mse"] == pytest.approx(float(metrics.mse(outputs, targets).mean()), rel=1e-5)
    assert found["psnr_mean"] == pytest.approx(float(metrics.psnr(outputs, targets).mean()), rel=1e-5)
    assert found["ssim"] == pytest.approx(float(metrics.ssim(outputs, targets).mean()), rel=1e-4)
    assert found["psnr_pooled"] == pytest.approx(-10 * np.log10(found["mse"]), rel=1e-6)
    colour = split._replace(images=np.repeat(split.images, 3, axis=-1))
    assert "colourfulness" in measure(lambda _, x: jnp.repeat(x, 3, -1), 0.5, Colorize(), colour)


@pytest.mark.parametrize(("count", "chosen"), [(33, slice(10, 19)), (15, slice(10, 15)), (4, slice(3, 4))])
def test_pictures_are_those_that_the_reference_shows(split, count, chosen):
    """Images 10 to 18, or those of them that there are, and at least one."""
    split = split._replace(images=split.images[:count])
    for found, expected in zip(pictures(half, 0.5, Denoise(), split), by_hand(split), strict=True):
        np.testing.assert_allclose(found, expected[chosen], atol=1e-6)


def test_pictures_can_be_chosen(split):
    found, expected = pictures(half, 0.5, Denoise(), split, 2, 4), by_hand(split)
    np.testing.assert_allclose(found[0], expected[0][2:4], atol=1e-6)


@dataclass(frozen=True)
class OneForAll(Denoise):
    """Scores a batch, not its images."""

    def loss(self, output, target):
        return jnp.mean((output - target) ** 2)


def test_scores_are_a_number_an_image():
    images = jnp.zeros((3, 12, 12, 1))
    assert scores(Denoise(), ("loss", "ssim"), images, images)["ssim"].tolist() == [1, 1, 1]
    with pytest.raises(InputError, match=r"OneForAll.loss has to give one number an image, \[B\], not \(\)"):
        scores(OneForAll(), ("accuracy", "loss"), images, images)
