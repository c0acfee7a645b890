"""Images made smaller or larger in the ways that programs do it: from hardly smoothed to smooth, and sharpened."""

import jax
import jax.numpy as jnp

SHARPNESS = 0.5  # that looks like Lanczos
NARROWEST = 0.55  # of a tent, in pixels of the source: the nearest pixel alone counts


def weights(places: jax.Array, width: float | jax.Array, sharpness: float | jax.Array, source: int) -> jax.Array:
    """Return the weights [N, source] of a row's pixels at places [N] in it: a tent of a width to each side, sharpened.

    `width`: in pixels of the source. `sharpness`: how much of what a tent of twice the width takes away is added.
    """
    fine = _tent(places, jnp.maximum(NARROWEST, width), source)
    return fine + sharpness * (fine - _tent(places, 2 * jnp.maximum(NARROWEST, width), source))


def _tent(places: jax.Array, width: float | jax.Array, source: int) -> jax.Array:
    heights = jnp.maximum(0, 1 - jnp.abs(places[:, None] - jnp.arange(source)) / width)
    return heights / jnp.maximum(heights.sum(axis=1, keepdims=True), 1e-6)


def zoomed(key: jax.Array, image: jax.Array, side: int, least: float, most: float) -> tuple[jax.Array, jax.Array]:
    """Return a square from a random place of an image [H, W, C], twice: [side, side, C].

    The first is made well, the second smoothed and sharpened by chance. One of its pixels is `least` to `most` of the
    image's, or as many as the image allows.
    """
    height, width, _ = image.shape
    zoom_key, place_key, smooth_key = jax.random.split(key, 3)
    most = max(least, min(most, height / side, width / side))
    zoom = least * (most / least) ** jax.random.uniform(zoom_key)
    starts = jax.random.uniform(place_key, (2,)) * jnp.array([height - side * zoom, width - side * zoom])
    places = [start + (jnp.arange(side) + 0.5) * zoom - 0.5 for start in starts]
    smooth, sharp = jax.random.uniform(smooth_key, (2,))
    tent = jnp.maximum(zoom, 1)

    def made(tent: jax.Array, sharpness: float | jax.Array) -> jax.Array:
        rows, columns = (weights(at, tent, sharpness, size) for at, size in zip(places, (height, width), strict=True))
        return jnp.clip(jnp.einsum("hH,HWc,wW->hwc", rows, image, columns), 0, 1)

    return made(tent, SHARPNESS), made(tent * (NARROWEST + smooth), sharp)
