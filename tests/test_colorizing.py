"""The task of colouring photographs: luma as old material has it, other ways of making small, hints."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import data

from ae import fit, load_data, on_sample
from ae.color import luma, rgb_to_chroma
from ae.config import override
from ae.errors import InputError
from ae.film import aged, sensitivity
from ae.metrics import mse
from ae.models import ChromaUNet
from ae.presets import PRESETS
from ae.score.evaluate import examples_of_batch
from ae.tasks import ColorizePhotograph
from ae.tasks.colorize import drawn_hints
from ae.tasks.resampling import weights, zoomed


@pytest.fixture(scope="module")
def photograph():
    """Return part of a photograph, RGB [64, 64, 3] in [0, 1]."""
    return jnp.float32(data.astronaut()[::4, ::4][:64, 40:104]) / 255


def made(task, photograph, count=60):
    """Return examples of one image, drawn anew each time."""
    images = np.repeat(np.uint8(np.round(255 * photograph))[None], count, axis=0)
    return examples_of_batch(task, jax.random.key(3), images, jnp.arange(count))


def test_luma_of_input_and_target_is_the_same_and_chroma_is_the_photographs(photograph):
    inputs, targets = made(ColorizePhotograph(least_zoom=1.0, most_zoom=1.0), photograph)
    assert inputs.shape == (60, 48, 48, 1)
    np.testing.assert_allclose(luma(targets), inputs, atol=1e-5)
    assert 0 <= float(inputs.min()) <= float(inputs.max()) <= 1
    plain, truth = made(ColorizePhotograph(least_zoom=1.0, most_zoom=1.0, old=0.0, resampled=0.0), photograph)
    np.testing.assert_allclose(luma(truth), plain, atol=1e-5)
    strength = np.linalg.norm(rgb_to_chroma(targets), axis=-1).mean((1, 2))
    clean = np.linalg.norm(rgb_to_chroma(truth), axis=-1).mean((1, 2))
    assert np.all(strength < 1.001 * clean)  # faded contrast takes chroma with it
    assert (strength > 0.999 * clean).sum() > 30


def test_some_images_are_aged_and_some_are_not(photograph):
    inputs, _ = made(ColorizePhotograph(old=0.5, resampled=0.0), photograph)
    plain, _ = made(ColorizePhotograph(old=0.0, resampled=0.0), photograph)
    same = np.abs(np.asarray(inputs - plain)).max((1, 2, 3)) < 1e-5
    assert 18 < same.sum() < 42


def test_what_is_aged_is_foggy_blurred_grainy_and_coded(photograph):
    gray = luma(photograph)
    keys = jax.random.split(jax.random.key(0), 300)
    age = jax.jit(jax.vmap(aged, in_axes=(0, None, None)))
    never, contrast = age(keys, gray, 0.0)
    np.testing.assert_allclose(never, np.broadcast_to(gray, never.shape), atol=1e-6)
    np.testing.assert_array_equal(contrast, 1)
    always, contrast = age(keys, gray, 1.0)
    assert 0.5 < float(contrast.min()) < 0.6
    assert 0.9 < float(contrast.max()) <= 1
    errors = np.asarray(jax.vmap(mse)(always[:, None], jnp.broadcast_to(gray, always.shape)[:, None]))
    assert 1e-4 < np.median(errors) < 2e-2


def test_weights_of_colours_sum_up_to_one_around_those_of_luma():
    drawn = jax.vmap(sensitivity)(jax.random.split(jax.random.key(0), 2000))
    np.testing.assert_allclose(drawn.sum(1), 1, atol=1e-6)
    assert float(drawn.min()) > 0
    np.testing.assert_allclose(drawn.mean(0), [0.299, 0.587, 0.114], atol=0.03)
    assert 0.1 < float(drawn[:, 0].std()) < 0.2


def test_rows_of_weights_sum_up_to_one_and_places_between_pixels_are_their_means():
    places = jnp.array([0.0, 1.0, 2.5, 7.0])
    for width, sharpness in ((1.0, 0.0), (2.0, 0.5), (0.1, 1.0)):
        np.testing.assert_allclose(weights(places, width, sharpness, 8).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(weights(places, 1.0, 0.0, 8)[2], [0, 0, 0.5, 0.5, 0, 0, 0, 0], atol=1e-6)
    sharp = np.asarray(weights(places, 1.0, 1.0, 8)[1])
    assert sharp.argmax() == 1
    assert sharp.min() < 0


def test_a_zoom_shows_as_much_as_it_says_and_no_more_than_there_is(photograph):
    ramp = jnp.broadcast_to(jnp.arange(64.0)[:, None, None], (64, 64, 1)) / 63
    for least, most, pixels in ((1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (9.0, 9.0, 64 / 32)):
        square, _ = zoomed(jax.random.key(1), ramp, 32, min(least, 2.0), most)
        step = np.diff(np.asarray(square)[4:-4, 5, 0]).mean()
        assert step == pytest.approx(pixels / 63, rel=1e-2)
    whole, _ = zoomed(jax.random.key(2), photograph, 64, 1.0, 1.0)
    assert float(jnp.abs(whole.mean() - photograph.mean())) < 5e-3


def test_hints_are_the_mean_chroma_of_patches_and_nothing_elsewhere(photograph):
    chroma = rgb_to_chroma(photograph)
    draw = jax.jit(jax.vmap(lambda key: drawn_hints(key, chroma, 0.5, 20)))
    hints = np.asarray(draw(jax.random.split(jax.random.key(0), 400)))
    there = hints[..., 2]
    assert set(np.unique(there)) == {0.0, 1.0}
    assert 160 < (there.sum((1, 2)) > 0).sum() < 240
    assert there.sum((1, 2)).max() <= 180
    assert np.abs(hints[..., :2][there == 0]).max() == 0
    single = hints[there.sum((1, 2)) == 1]
    assert len(single) > 5
    for one in single:
        np.testing.assert_allclose(one[one[..., 2] == 1], np.append(chroma[one[..., 2] == 1], 1)[None], atol=1e-5)


def test_a_share_of_inputs_has_hints(photograph):
    inputs, _ = made(ColorizePhotograph(hinted=0.5), photograph, 100)
    assert inputs.shape == (100, 48, 48, 4)
    assert 30 < int((inputs[..., 3].sum((1, 2)) > 0).sum()) < 70
    assert ColorizePhotograph(hinted=0.5).input_shape((64, 64, 3)) == (48, 48, 4)


def test_a_square_may_be_as_large_as_the_image(photograph):
    whole = ColorizePhotograph(side=0, hinted=0.5)
    assert whole.input_shape((64, 64, 3)) == (64, 64, 4)
    assert whole.input_shape((96, 110, 3)) == (96, 96, 4)
    assert made(whole, photograph, 2)[0].shape == (2, 64, 64, 4)


def test_many_hints_may_be_as_likely_as_few(photograph):
    chroma, keys = rgb_to_chroma(photograph), jax.random.split(jax.random.key(0), 200)
    few, evenly = (
        np.asarray(jax.jit(jax.vmap(partial(drawn_hints, chroma=chroma, share=1.0, most=100, even=even)))(keys))
        for even in (0.0, 1.0)
    )
    cells = [np.median(hints[..., 2].sum((1, 2))) for hints in (few, evenly)]
    assert 20 < cells[0] < 60 < 2 * cells[0] < cells[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"side": 40}, "multiple of 16, or 0, not 40"),
        ({"side": -16}, "multiple of 16, or 0, not -16"),
        ({"least_zoom": 0.0}, "zoom has to be above 0"),
        ({"least_zoom": 2.0}, "zoom has to be above 0"),
        ({"most_hints": 0}, "most_hints has to be at least 1"),
        ({"old": 1.5}, "old has to be from 0 to 1"),
    ],
)
def test_settings_that_cannot_be_are_one_line(settings, said):
    with pytest.raises(InputError, match=said):
        ColorizePhotograph(**settings)


def test_a_colorizer_learns_from_photographs_and_hints_and_is_scored_without(tmp_path):
    task = ColorizePhotograph(mirrored=True, side=32, hinted=0.5)
    model = ChromaUNet(widths=(4, 8), relative=True, hints=True, vivid=True)
    small = {"train_task": task, "epochs": 2, "limit": 32, "batch_size": 16}
    config = on_sample(override(PRESETS["chroma_unet_base"], model=model, **small))
    state, history = fit(config, load_data(config), out=tmp_path / "base")
    assert all(np.isfinite([row["loss"], row["val_loss"]]).all() for row in history)
    assert min(history[0]["loss"], history[0]["val_loss"]) > 0
    assert state.variables["params"]["Conv_0"]["kernel"].shape == (2, 2, 4, 4)  # of luma, two of chroma, and where
    second = PRESETS["chroma_unet"]
    weights = str(tmp_path / "base/weights.safetensors")
    goes_on = on_sample(override(second, model=model.clone(frozen=True), initial_weights=weights, **small))
    after, _ = fit(goes_on, load_data(goes_on))
    jax.tree.map(np.testing.assert_array_equal, after.batch_stats, state.batch_stats)
    assert not np.array_equal(
        after.variables["params"]["Conv_0"]["kernel"], state.variables["params"]["Conv_0"]["kernel"]
    )
