"""Tints of gray pictures, and pictures that have colours."""

import io

import numpy as np
import pytest
from clips import colorizer
from PIL import Image
from skimage import data

from ae.media.images import read_image
from ae.media.pictures import colorize_picture
from ae.restore.tint import tint_of

RNG = np.random.default_rng(0)


def tinted(gray, ink, paper):
    """Return a print of luma [H, W] in [0, 1] with colours of ink and paper, grain, and JPEG: RGB in [0, 1]."""
    print_ = np.array(ink) + (np.array(paper) - ink) * gray[..., None]
    codes = np.uint8(np.clip(print_ + RNG.normal(0, 4, (*gray.shape, 1)), 0, 255))
    file = io.BytesIO()
    Image.fromarray(codes).save(file, "JPEG", quality=60)
    return np.float32(Image.open(file)) / 255


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((60, 35, 20), (250, 235, 200)), ((10, 30, 90), (235, 240, 250)), ((20, 20, 20), (240, 240, 240))],
)
@pytest.mark.parametrize("photograph", ["camera", "brick", "moon"])
def test_prints_are_gray_and_their_tint_is_known(photograph, ink, paper):
    tint = tint_of(tinted(getattr(data, photograph)() / 255, ink, paper))
    assert tint.is_gray
    assert tint.is_tinted == (ink[0] != ink[1])
    if photograph == "camera":
        found = np.array([int(tint.name[at : at + 2], 16) for at in (1, 3, 5)])
        middle = (np.array(ink) + paper) / 2
        assert np.abs(np.diff(found) - np.diff(middle)).max() < 8


@pytest.mark.parametrize("photograph", ["astronaut", "coffee", "chelsea", "rocket"])
def test_photographs_in_colour_are_not_gray(photograph):
    assert not tint_of(np.float32(getattr(data, photograph)()) / 255).is_gray


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (300, 2)])
def test_any_size_has_a_tint(size):
    assert tint_of(np.full((*size, 3), 0.5, np.float32)).is_gray


def test_what_had_a_tint_is_said(tmp_path):
    sepia = tinted(data.camera()[::4, ::4] / 255, (60, 35, 20), (250, 235, 200))
    Image.fromarray(np.uint8(255 * sepia)).save(tmp_path / "sepia.png")
    remark = colorize_picture(read_image(tmp_path / "sepia.png"), colorizer()).remarks[-1]
    assert remark.startswith("it is gray with a tint (#")
    Image.fromarray(data.astronaut()[::4, ::4]).save(tmp_path / "colour.png")
    assert not colorize_picture(read_image(tmp_path / "colour.png"), colorizer()).remarks
