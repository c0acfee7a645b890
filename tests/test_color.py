import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae.color import BT601, BT709, BT2020, colourfulness, into_gamut, luma, rgb_to_chroma, saturated, ycbcr_to_rgb
from ae.errors import InputError

ROWS = jax.random.uniform(jax.random.key(0), (1000, 3))
LUMA, CHROMA = ROWS[:, :1], ROWS[:, 1:] - 0.5


def test_luma_and_chroma_make_the_colour_again():
    np.testing.assert_allclose(ycbcr_to_rgb(luma(ROWS), rgb_to_chroma(ROWS)), ROWS, atol=1e-6)
    np.testing.assert_allclose(ycbcr_to_rgb(LUMA, jnp.zeros((1000, 2))), jnp.repeat(LUMA, 3, axis=1), atol=1e-6)


def test_chroma_in_gamut_keeps_luma_and_hue():
    weaker = into_gamut(LUMA, CHROMA)
    rgb = ycbcr_to_rgb(LUMA, weaker)
    assert -1e-6 <= float(rgb.min()) <= float(rgb.max()) <= 1 + 1e-6
    np.testing.assert_allclose(luma(rgb), LUMA, atol=1e-6)
    strength = weaker / CHROMA
    np.testing.assert_allclose(strength[:, 0], strength[:, 1], rtol=1e-5)
    inside = (ycbcr_to_rgb(LUMA, CHROMA) == ycbcr_to_rgb(LUMA, CHROMA).clip(0, 1)).all(-1)
    assert 0.1 < float(inside.mean()) < 0.9
    np.testing.assert_allclose(strength[inside], 1, rtol=1e-5)


@pytest.mark.parametrize("gray", [0.0, 1.0])
def test_black_and_white_have_no_chroma(gray):
    np.testing.assert_array_equal(into_gamut(jnp.full((1, 1), gray), jnp.array([[0.3, -0.2]])), [[0, 0]])


def test_colourfulness_is_the_papers():
    image = np.random.default_rng(0).random((2, 9, 7, 3)).astype(np.float32)
    r, g, b = (255 * image[..., i].astype(float).reshape(2, -1) for i in range(3))
    rg, yb = r - g, 0.5 * (r + g) - b
    expected = np.sqrt(rg.var(1) + yb.var(1)) + 0.3 * np.sqrt(rg.mean(1) ** 2 + yb.mean(1) ** 2)
    np.testing.assert_allclose(colourfulness(image), expected, rtol=1e-5)
    assert colourfulness(np.full((4, 4, 3), 0.7, np.float32)) == pytest.approx(0, abs=1e-4)


PRIMARIES = {  # chromaticities (x, y) of red, green, blue and white
    "BT.601": ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),  # NTSC, 1953
    "BT.709": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290)),
    "BT.2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
}


@pytest.mark.parametrize(("name", "weights"), list(zip(PRIMARIES, (BT601, BT709, BT2020), strict=True)))
def test_weights_of_luma_are_the_luminances_that_make_white(name, weights):
    *primaries, white = np.array([(x / y, 1, (1 - x - y) / y) for x, y in PRIMARIES[name]])
    np.testing.assert_allclose(np.linalg.solve(np.transpose(primaries), white), weights, atol=1e-3)
    assert sum(weights) == pytest.approx(1)


@pytest.mark.parametrize("weights", [BT601, BT709, BT2020])
def test_pure_colours_have_full_chroma(weights):
    pure = jnp.eye(3)
    cb, cr = rgb_to_chroma(pure, weights).T
    assert (cb[2], cr[0]) == (pytest.approx(0.5), pytest.approx(0.5))
    np.testing.assert_allclose(rgb_to_chroma(1 - pure, weights), -rgb_to_chroma(pure, weights), atol=1e-6)
    np.testing.assert_allclose(luma(pure, weights)[:, 0], weights, rtol=1e-6)
    np.testing.assert_allclose(
        ycbcr_to_rgb(luma(ROWS, weights), rgb_to_chroma(ROWS, weights), weights), ROWS, atol=1e-6
    )


def test_channels_can_be_another_axis():
    planes, rows = {"weights": BT709, "axis": 0}, {"weights": BT709}
    np.testing.assert_array_equal(luma(ROWS.T, **planes).T, luma(ROWS, **rows))
    np.testing.assert_array_equal(rgb_to_chroma(ROWS.T, **planes).T, rgb_to_chroma(ROWS, **rows))
    np.testing.assert_array_equal(ycbcr_to_rgb(LUMA.T, CHROMA.T, **planes).T, ycbcr_to_rgb(LUMA, CHROMA, **rows))
    np.testing.assert_array_equal(into_gamut(LUMA.T, CHROMA.T, **planes).T, into_gamut(LUMA, CHROMA, **rows))


def test_other_numbers_of_channels_are_refused():
    for function in (luma, rgb_to_chroma):
        with pytest.raises(InputError, match=r"RGB images.*got \(1000, 2\)"):
            function(CHROMA)
    for function in (ycbcr_to_rgb, into_gamut):
        for planes in ((ROWS, CHROMA), (LUMA, ROWS)):
            with pytest.raises(InputError, match=r"got \(1000, [13]\) and \(1000, [23]\)"):
                function(*planes)


def test_saturation_multiplies_chroma_as_far_as_there_is_room():
    mild = 0.5 + 0.1 * (ROWS - 0.5)
    np.testing.assert_allclose(rgb_to_chroma(saturated(mild, 3.0)), 3 * rgb_to_chroma(mild), atol=1e-5)
    np.testing.assert_allclose(saturated(mild, 0.0), jnp.repeat(luma(mild), 3, axis=1), atol=1e-6)
    vivid = saturated(ROWS, 3.0)
    assert -1e-6 <= float(vivid.min()) <= float(vivid.max()) <= 1 + 1e-6
    np.testing.assert_allclose(luma(vivid), luma(ROWS), atol=1e-6)


def test_white_has_no_hue_whichever_way_its_luma_was_rounded():
    almost = jnp.full((1, 1), np.nextafter(np.float32(1), np.float32(0)))
    np.testing.assert_array_equal(into_gamut(almost, jnp.array([[0.3, -0.2]])), [[0, 0]])


@pytest.mark.parametrize("axis", [-1, 0])
def test_numpy_arrays_give_numpy_arrays_of_the_same_values(axis):
    rgb = np.moveaxis(np.random.default_rng(0).uniform(size=(5, 7, 3)).astype(np.float32), -1, axis)
    for of in (luma, rgb_to_chroma):
        ours = of(rgb, axis=axis)
        assert isinstance(ours, np.ndarray)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, of(jnp.asarray(rgb), axis=axis), atol=1e-6)
