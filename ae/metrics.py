"""Metrics, one number an image.

Images are float [B, H, W, C] in [0, 1]; every metric returns [B]. Means over a data set are sums over its images, divided
once by their number, so that no batch counts more than another and none is dropped.
"""

import dm_pix
import jax
import jax.numpy as jnp

from ae.errors import InputError

MOST_PSNR = 80.0  # dB; an error of 1e-4, far below what 8 bits can show


def check_batches(output: jax.Array, target: jax.Array) -> None:
    """Raises InputError where two batches would broadcast in silence ([B, H, W, 1] against [B, H, W, 3], say).

    Also where they are integers, whose differences wrap.
    """
    if output.shape != target.shape or output.ndim != 4:
        raise InputError(f"expected two equal shapes [B, H, W, C], got {output.shape} and {target.shape}")
    if not all(jnp.issubdtype(x.dtype, jnp.floating) for x in (output, target)):
        raise InputError(f"expected float images in [0, 1], got {output.dtype} and {target.dtype}")


def mse(output: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error of each image: [B, H, W, C] twice -> [B]."""
    check_batches(output, target)
    return dm_pix.mse(output, target)


def psnr(output: jax.Array, target: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio of each image in dB, peak 1: [B, H, W, C] twice -> [B], at most 80.

    Its mean over a data set is not the PSNR of the mean error (`pooled_psnr`): easy images weigh more in it. Without the
    limit, the few images that are gray anyway would decide about a colorizer, with the rounding errors of their zeros.
    """
    check_batches(output, target)
    return jnp.minimum(dm_pix.psnr(output, target), MOST_PSNR)


def pooled_psnr(mean_squared_error: float | jax.Array) -> jax.Array:
    """PSNR in dB, peak 1, of an error averaged over all pixels of a data set; at most 80."""
    return jnp.minimum(-10 * jnp.log10(mean_squared_error), MOST_PSNR)


def ssim(output: jax.Array, target: jax.Array) -> jax.Array:
    """Structural similarity of each image: [B, H, W, C] twice -> [B] in [-1, 1]; height and width at least 11.

    The form of Wang, Bovik, Sheikh and Simoncelli (2004): Gaussian window 11x11, sigma 1.5, only where it fits whole
    ("valid"), mean over the channels. scikit-image's default, a uniform 7x7 window, gives other figures.
    """
    check_batches(output, target)
    return dm_pix.ssim(output, target)


def binary_accuracy(output: jax.Array, target: jax.Array) -> jax.Array:
    """Share of values with `target == (output > 0.5)`: [B, H, W, C] twice -> [B]. What Keras reports for one channel.

    A target strictly between 0 and 1 never counts, so on gray images the best that can be reached is below 1.
    """
    check_batches(output, target)
    return jnp.mean(target == (output > 0.5), axis=(1, 2, 3), dtype=output.dtype)


def categorical_accuracy(output: jax.Array, target: jax.Array) -> jax.Array:
    """Share of pixels whose largest channel is the target's: [B, H, W, C] twice -> [B]. What Keras reports for RGB.

    Ties go to the first channel, so a gray pixel counts as red.
    """
    check_batches(output, target)
    return jnp.mean(output.argmax(-1) == target.argmax(-1), axis=(1, 2), dtype=output.dtype)


def masked_sums(values: dict[str, jax.Array], mask: jax.Array) -> dict[str, jax.Array]:
    """Sums of per-image values [B] over the images with mask [B] set, and their number as `count`."""
    sums = {name: jnp.where(mask, value, 0).sum() for name, value in values.items()}
    return sums | {"count": mask.sum(dtype=jnp.int32)}


def means(sums: dict[str, jax.Array]) -> dict[str, float]:
    """The mean of each summed value, as Python floats."""
    count = int(sums["count"])
    return {name: float(value) / count for name, value in sums.items() if name != "count"}
