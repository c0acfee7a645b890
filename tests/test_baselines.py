import subprocess
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import python
from scipy.ndimage import median_filter
from skimage.restoration import denoise_nl_means

from ae.data import Split, load_data
from ae.presets import PRESETS
from ae.score import baselines
from ae.score.baselines import fitted_baselines
from ae.score.evaluate import evaluate, examples, noise_key
from ae.tasks import Colorize, Denoise, DenoisePhotograph


def by_name(task, train):
    return {name: (seen, predict, variables) for name, seen, predict, variables in fitted_baselines(task, train)}


def digits(count=300):
    """Bars of random width and brightness: images with something to be learnt."""
    rng = np.random.default_rng(0)
    images = np.zeros((count, 12, 12, 1), np.uint8)
    for image in images:
        image[:, 4 : 5 + rng.integers(4)] = rng.integers(128, 256)
    return Split("train", images, 0, 1)


def test_median_filter_is_scipys():
    images = np.random.default_rng(0).random((3, 9, 7, 1)).astype(np.float32)
    expected = [median_filter(image[..., 0], 3, mode="nearest")[..., None] for image in images]
    np.testing.assert_array_equal(baselines.median_filter({}, images), expected)


def test_the_map_of_single_pixels_is_the_conditional_mean():
    task, train = Denoise(), digits()
    variables = baselines.fit_means_of_levels(task, train)
    inputs, targets = examples(task, noise_key(1), train.images, jnp.arange(len(train.images)))
    level = np.round(np.asarray(inputs) * 255)
    for chosen in (0, 100, 255):
        assert float(variables[chosen, 0]) == pytest.approx(np.asarray(targets)[level == chosen].mean(), rel=1e-4)


def test_no_affine_map_is_better_than_the_fitted_one():
    task, train = Denoise(), digits()
    inputs, targets = examples(task, noise_key(1), train.images, jnp.arange(len(train.images)))
    x = np.asarray(inputs, np.float64).reshape(len(inputs), -1)
    x, y = np.hstack([x, np.ones((len(x), 1))]), np.asarray(targets, np.float64).reshape(len(targets), -1)
    ridge = baselines.RIDGE * len(x) * np.eye(x.shape[1])
    best = np.linalg.solve(x.T @ x + ridge, x.T @ y)
    output = baselines.affine_map(baselines.fit_affine_map(task, train), inputs)
    np.testing.assert_allclose(output.reshape(y.shape), np.clip(x @ best, 0, 1), atol=1e-3)


def test_non_local_means_is_scikit_images():
    images = np.random.default_rng(0).random((2, 12, 12, 1)).astype(np.float32)
    variables = {"h": 0.3, "sigma": 0.1, "patch_size": 3, "patch_distance": 6}
    output = jax.jit(baselines.non_local_means)(variables, images)
    expected = [denoise_nl_means(image[..., 0], **variables) for image in images]
    np.testing.assert_allclose(output[..., 0], expected, atol=1e-6)


def test_non_local_means_are_tuned_for_the_least_error():
    task, train = Denoise(), digits(4)
    inputs, targets = (np.asarray(x)[..., 0] for x in examples(task, noise_key(1), train.images[:2], jnp.arange(2)))

    def error(variables):
        outputs = [denoise_nl_means(image, **variables) for image in inputs]
        return np.square(outputs - targets).mean()

    fitted = baselines.fit_non_local_means(task, train)
    errors = [
        error(fitted | {"h": h * 0.3, "sigma": sigma * 0.3}) for h in (1 / 3, 1 / 2, 2 / 3, 1) for sigma in (0, 1 / 3)
    ]
    assert error(fitted) == pytest.approx(min(errors))
    assert min(errors) < 0.9 * max(errors)


def test_fitted_baselines_beat_their_input():
    train = digits()
    loss = {
        name: evaluate(predict, variables, seen, train)["loss"]
        for name, (seen, predict, variables) in by_name(Denoise(), train).items()
    }
    worst_last = sorted(loss, key=loss.get)
    assert worst_last[:2] == ["the clean image itself (ceiling of accuracy)", "best affine map of the whole image"]
    assert worst_last[-1] == "noisy input"


@dataclass(frozen=True)
class Inverted(Denoise):
    """Another noise than its `sigma` speaks of."""

    def __call__(self, key, image):
        return 1 - image, image


@pytest.mark.parametrize("task", [Inverted(), Denoise(0.6, least_sigma=0.0), Colorize()])
def test_the_ceiling_is_the_truth_whatever_the_task(task):
    name = [name for name in baselines.baselines(task) if "itself" in name]
    train = Split("train", np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8), 0, 1)
    seen, predict, variables = by_name(task, train)[name[0]]
    assert evaluate(predict, variables, seen, train)["loss"] == 0


def test_the_oracle_knows_the_mean_chroma():
    colour = np.random.default_rng(0).integers(64, 192, (20, 1, 1, 3), np.uint8)
    train = Split("train", np.repeat(np.repeat(colour, 8, 1), 8, 2), 0, 1)
    seen, predict, variables = by_name(Colorize(), train)["gray and the image's true mean chroma (an oracle)"]
    assert evaluate(predict, variables, seen, train)["loss"] < 1e-6


@pytest.mark.slow
@pytest.mark.usefixtures("decoded", "optimized")
@pytest.mark.parametrize(
    ("preset", "known"),
    [
        ("conv_ae", {"noisy": 0.0466, "single pixel": 0.0268, "median": 0.0192, "affine": 0.0089}),
        ("colorizer_ae", {"gray copy": 0.01044, "each gray level": 0.00936, "oracle": 0.00433}),
    ],
)
def test_baselines_have_the_known_errors(preset, known, tfds_dir):
    config = PRESETS[preset]
    data = load_data(config, data_dir=tfds_dir)
    for part, mse in known.items():
        baseline = next(row for name, row in baselines.baselines(config.task).items() if part in name)
        variables = baseline.fit(config.task, data.train)
        error = evaluate(baseline.predict, variables, baseline.task or config.task, data.test)["loss"]
        assert error == pytest.approx(mse, rel=0.01), part


ONE_CORE = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, numpy as np
from ae.score.baselines import non_local_means
images = np.random.default_rng(0).random((500, 12, 12, 1), np.float32)
variables = {"h": 0.3, "sigma": 0.1, "patch_size": 3, "patch_distance": 6}
twice = jax.jit(lambda images: jax.lax.fori_loop(0, 2, lambda _, x: non_local_means(variables, x), images))
print(np.asarray(twice(images)).shape)
"""


def test_non_local_means_end_on_one_core():
    """Where the thread that would copy a callback's arguments is the one that waits for the callback."""
    done = subprocess.run(python("-c", ONE_CORE), capture_output=True, text=True, timeout=120)
    assert done.stdout == "(500, 12, 12, 1)\n", done.stderr


@pytest.mark.parametrize(
    ("shape", "gray", "count"),
    [((8, 8, 1), False, 6), ((9, 8, 1), False, 3), ((8, 8, 3), False, 3), ((8, 8, 3), True, 6)],
)
def test_large_images_and_those_in_colour_have_the_baselines_that_take_them(monkeypatch, shape, gray, count):
    monkeypatch.setattr(baselines, "SMALL", 64)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    names = [name for name, *_ in fitted_baselines(Denoise(gray=gray), Split("train", images, 0, 1))]
    assert len(names) == count
    assert names[0] == "noisy input"


def test_all_tasks_that_take_noise_have_the_same_baselines():
    assert baselines.baselines(DenoisePhotograph()).keys() == baselines.baselines(Denoise()).keys()
    image = jnp.full((16, 16, 3), 0.5)
    inputs, targets = baselines.oracle(DenoisePhotograph())(jax.random.key(0), image)
    np.testing.assert_array_equal(inputs, targets)
