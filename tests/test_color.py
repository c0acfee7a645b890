import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae.color import BT601, colourfulness, into_gamut, luma, rgb_to_chroma, ycbcr_to_rgb

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


def test_weights_of_luma_add_up():
    assert sum(BT601) == pytest.approx(1)


def test_white_has_no_hue_whichever_way_its_luma_was_rounded():
    almost = jnp.full((1, 1), np.nextafter(np.float32(1), np.float32(0)))
    np.testing.assert_array_equal(into_gamut(almost, jnp.array([[0.3, -0.2]])), [[0, 0]])
