"""Squares of training images from random places, mirrored, turned, reduced or recoloured by chance."""

from typing import Any

import jax
import jax.numpy as jnp

from ae.color import luma
from ae.errors import InputError


def varied(
    key: jax.Array,
    image: jax.Array,
    *,
    crop: int = 0,
    reduced: float = 0.0,
    mirrored: bool = False,
    turned: bool = False,
    permuted: float = 0.0,
    vivid: float = 0.0,
) -> jax.Array:
    """Return a square of an image [H, W, C] from a random place, mirrored or turned by chance: [crop, crop, C].

    `crop`: its side; 0 keeps the whole image. `reduced`: share of squares that show twice as much in each direction, each
    pixel the mean of four. `mirrored`: left and right are exchanged in half of the images. `turned`: by 0 to 3 quarter
    turns. `permuted`: share of images whose channels change places. `vivid`: share of RGB images whose colours become up to
    three times as strong. Raises InputError where the image is smaller than its square, or is to be turned and not square.
    """
    mirror_key, place_key = jax.random.split(key)
    if crop:
        _check_size(image, crop, reduced)
        square = _square(jax.random.fold_in(place_key, 0), image, crop)
        if reduced:
            large = _square(jax.random.fold_in(place_key, 2), image, 2 * crop)
            small = large.reshape(crop, 2, crop, 2, -1).mean(axis=(1, 3))
            square = jnp.where(jax.random.uniform(jax.random.fold_in(place_key, 3)) < reduced, small, square)
        image = square
    if mirrored:
        image = jnp.where(jax.random.bernoulli(mirror_key), image[:, ::-1], image)
    if turned:
        if image.shape[0] != image.shape[1]:
            raise InputError(
                f"images that are turned have to be square, not {image.shape[0]}x{image.shape[1]}: name a crop"
            )
        turns = jnp.stack([jnp.rot90(image, quarters) for quarters in range(4)])
        image = turns[jax.random.randint(jax.random.fold_in(place_key, 1), (), 0, 4)]
    if permuted:
        order_key, permuted_key = jax.random.split(jax.random.fold_in(place_key, 5))
        other = jax.random.permutation(order_key, image, axis=2)
        image = jnp.where(jax.random.uniform(permuted_key) < permuted, other, image)
    if vivid:
        chosen, strength = jax.random.uniform(jax.random.fold_in(place_key, 4), (2,))
        gray = luma(image)
        image = jnp.where(chosen < vivid, jnp.clip(gray + MOST_VIVID**strength * (image - gray), 0, 1), image)
    return image


MOST_VIVID = 3.0  # times as strong


def _check_size(image: jax.Array, crop: int, reduced: float) -> None:
    height, width, _ = image.shape
    if (2 if reduced else 1) * crop > min(height, width):
        said = f"crop={crop}{', reduced from twice that,' if reduced else ''}"
        raise InputError(f"{said} is more than the images have: {height}x{width}")


def _square(key: jax.Array, image: jax.Array, side: int) -> jax.Array:
    height, width, channels = image.shape
    row, column = jax.random.randint(key, (2,), 0, jnp.array([height - side, width - side]) + 1)
    return jax.lax.dynamic_slice(image, (row, column, 0), (side, side, channels))


def variation(task: Any) -> dict[str, Any]:
    """Return a task's arguments of `varied`."""
    return {name: getattr(task, name) for name in ("crop", "reduced", "mirrored", "turned", "permuted", "vivid")}


def check_crop(crop: int) -> None:
    """Raise InputError for a crop below 0."""
    if crop < 0:
        raise InputError(f"crop has to be at least 0, not {crop}")


def check_shares(task: Any, *names: str) -> None:
    """Raise InputError where a field of these names is not from 0 to 1."""
    for name in names:
        if not 0 <= (share := getattr(task, name)) <= 1:
            raise InputError(f"{name} has to be from 0 to 1, not {share}")
