"""Colours of a reference picture."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clips import colorizer
from conftest import refused
from PIL import Image
from skimage import data

from ae import Colorize, Config
from ae.color import luma, rgb_to_chroma
from ae.errors import InputError
from ae.media.images.picture import Picture
from ae.media.pictures import reference_colours
from ae.models import ChromaUNet
from ae.restore.chroma import balanced
from ae.restore.colorize import Colorizer
from ae.restore.reference import CELL, LEAST_SIDE, reference_hints, reference_of
from ae.restore.resizing import resized
from ae.restore.weights import Pretrained, write_weights


@pytest.fixture(scope="module")
def model():
    """Return a colorizer that takes hints, with random weights."""
    config = Config(name="test", model=ChromaUNet((8, 16, 24), hints=True), task=Colorize(), data="cifar100")
    variables = jax.jit(config.model.init)(jax.random.key(3), np.zeros((1, 32, 32, 1), np.float32))
    return Colorizer(Pretrained(config, variables, {"epochs": 0}))


@pytest.fixture(scope="module")
def astronaut():
    return np.float32(data.astronaut()) / 255


def parts(model):
    return model.trained.config, model.trained.variables


def test_a_picture_is_most_like_itself(model, astronaut):
    small = resized(jnp.asarray(astronaut), (48, 48))
    reference = reference_of(*parts(model), small)
    hints = np.asarray(reference_hints(*parts(model), luma(small), reference))
    there = hints[..., 2] == 1
    assert 12 <= there.sum() <= 36  # one in each block of 8x8 pixels at most
    assert not hints[~there].any()
    means = rgb_to_chroma(small).reshape(12, CELL, 12, CELL, 2).mean((1, 3)).repeat(CELL, 0).repeat(CELL, 1)
    assert np.abs(hints[there][:, :2] - means[there]).mean() < 0.5 * np.abs(means).mean()


def test_without_features_only_luma_decides(model):
    green, red = [0.1, 0.5, 0.2], [0.95, 0.6, 0.6]  # dark green, light red
    picture = jnp.asarray([[green if (x // 8) % 2 else red for x in range(32)]] * 32, jnp.float32)
    gray = jnp.broadcast_to(luma(jnp.asarray(green)), (32, 32, 1))
    hints = np.asarray(reference_hints(*parts(model), gray, reference_of(*parts(model), picture), 0.0))
    there = hints[..., 2] == 1
    assert there.any()
    np.testing.assert_allclose(
        hints[there][:, :2], rgb_to_chroma(jnp.asarray(green))[None].repeat(there.sum(), 0), atol=0.01
    )


def test_a_reference_changes_colours_and_keeps_luma(model, astronaut):
    gray = np.asarray(luma(jnp.asarray(astronaut)))[..., 0]
    other = np.roll(astronaut, 1, axis=-1)
    coloured = model.with_reference(other).image(gray)
    assert np.abs(coloured - model.image(gray)).max() > 1e-3
    np.testing.assert_allclose(luma(jnp.asarray(coloured))[..., 0], gray, atol=1e-5)
    known = replace(model.with_reference(other), pixels=gray.size)  # where a photograph is seen as a frame is
    frames = known(np.stack([gray, gray]))
    np.testing.assert_allclose(frames[1], known.image(gray), atol=1e-4)


def test_the_command_takes_a_reference(model, call, tmp_path):
    write_weights(tmp_path / "hinted.safetensors", *parts(model), {"epochs": 0}, "float32")
    Image.fromarray(data.camera()[:128, :96]).save(tmp_path / "old.png")
    Image.fromarray(data.astronaut()[:90, :120]).save(tmp_path / "other.jpg")
    Image.fromarray(data.camera()[:40, :40]).save(tmp_path / "gray.png")
    Image.fromarray(np.uint8([[[200, 20, 20], [20, 20, 200]]])).save(tmp_path / "tiny.png")
    call("colorize.py", "old.png", "new.png", "--model", "hinted.safetensors", "--reference", "other.jpg")
    assert Image.open(tmp_path / "new.png").size == (96, 128)
    for reference, words in {
        "gray.png": ["gray.png is gray"],
        "tiny.png": ["tiny.png is too small, 2x1: a reference has 8 pixels a side at least"],
        "hinted.safetensors": ["hinted.safetensors"],
    }.items():
        command = ["old.png", "no.png", "--model", "hinted.safetensors", "--reference", reference]
        refused(call("colorize.py", *command, status=2), *words)
    plain, variables, result = colorizer().trained
    write_weights(tmp_path / "plain.safetensors", plain, variables, result, "float32")
    command = ["old.png", "no.png", "--model", "plain.safetensors", "--reference", "other.jpg"]
    refused(call("colorize.py", *command, status=2), "hints")
    assert not (tmp_path / "no.png").exists()


def test_a_reference_has_a_least_size(model, astronaut):
    """From which on its colours are taken, and below which it is not said to be gray."""
    for height, width in ((1, 1), (2, 2), (LEAST_SIDE - 1, 500), (500, LEAST_SIDE - 1)):
        red = Picture(np.full((1, height, width, 3), (200, 20, 20), np.uint8))
        with pytest.raises(InputError, match=f"red.png is too small, {width}x{height}: "):
            reference_colours(red, "red.png")
    least = np.random.default_rng(0).integers(0, 256, (1, LEAST_SIDE, LEAST_SIDE, 3), np.uint8)
    gray = np.asarray(luma(astronaut))[..., 0]
    coloured = model.with_reference(reference_colours(Picture(least), "least.png")).image(gray)
    assert np.abs(coloured - model.image(gray)).max() > 1e-3


def test_a_model_without_hints_takes_no_reference(astronaut):
    config = Config(name="test", model=ChromaUNet((4, 8)), task=Colorize(), data="cifar100")
    with pytest.raises(InputError, match="has not learnt from hints"):
        Colorizer(Pretrained(config, {}, {})).with_reference(astronaut)


def test_white_balance_takes_the_tint_of_bright_gray_away():
    small = jnp.linspace(0.1, 1, 64).reshape(8, 8, 1)
    tint = jnp.array([-0.03, 0.02])
    red = jnp.zeros((8, 8, 2)).at[0, :, 1].set(0.03)  # something dark and red
    np.testing.assert_allclose(balanced(tint * small, small, 1.0), 0, atol=2e-3)
    np.testing.assert_allclose(balanced(tint * small, small, 0.5), 0.5 * tint * small, atol=2e-3)
    np.testing.assert_allclose(balanced(red + tint * small, small, 1.0)[0], red[0], atol=5e-3)
    np.testing.assert_allclose(balanced(tint * small, small, 0.0), tint * small)
