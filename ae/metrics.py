"""Metrics, one number an image.

Images are float [B, H, W, C] in [0, 1]; every metric returns [B]. Means over a data set are sums over its images, divided
once by their number, so that no batch counts more than another and none is dropped.
"""

import dm_pix
import jax
import jax.numpy as jnp

from ae.color import luma, rgb_to_chroma
from ae.errors import InputError

CDC_STEPS = (1, 2, 4)  # frames apart
SAME_LUMA = 0.02  # a change of luma by so much makes a pixel count 1/e in `chroma_flicker`
CUT = 0.1  # mean change of luma from which on two frames are taken to be of different scenes
MOST_PSNR = 80.0  # dB; an error of 1e-4, far below what 8 bits can show


def check_batches(output: jax.Array, target: jax.Array) -> None:
    """Raise InputError where two batches would broadcast in silence ([B, H, W, 1] against [B, H, W, 3], say).

    Also where they are integers, whose differences wrap.
    """
    if output.shape != target.shape or output.ndim != 4:
        raise InputError(f"expected two equal shapes [B, H, W, C], got {output.shape} and {target.shape}")
    if not all(jnp.issubdtype(x.dtype, jnp.floating) for x in (output, target)):
        raise InputError(f"expected float images in [0, 1], got {output.dtype} and {target.dtype}")


def mse(output: jax.Array, target: jax.Array) -> jax.Array:
    """Compute the mean squared error of each image: [B, H, W, C] twice -> [B]."""
    check_batches(output, target)
    return dm_pix.mse(output, target)


def psnr(output: jax.Array, target: jax.Array) -> jax.Array:
    """Compute the peak signal-to-noise ratio of each image in dB, peak 1: [B, H, W, C] twice -> [B], at most 80.

    Its mean over a data set is not the PSNR of the mean error (`pooled_psnr`): easy images weigh more in it. Without the
    limit, the few images that are gray anyway would decide about a colorizer, with the rounding errors of their zeros.
    """
    check_batches(output, target)
    return jnp.minimum(dm_pix.psnr(output, target), MOST_PSNR)


def pooled_psnr(mean_squared_error: float | jax.Array) -> jax.Array:
    """Convert to PSNR in dB, peak 1, an error averaged over all pixels of a data set; at most 80."""
    return jnp.minimum(-10 * jnp.log10(mean_squared_error), MOST_PSNR)


def ssim(output: jax.Array, target: jax.Array) -> jax.Array:
    """Compute the structural similarity of each image: [B, H, W, C] twice -> [B] in [-1, 1]; sides of at least 11.

    The form of Wang, Bovik, Sheikh and Simoncelli (2004): Gaussian window 11x11, sigma 1.5, only where it fits whole
    ("valid"), mean over the channels. scikit-image's default, a uniform 7x7 window, gives other figures.
    """
    check_batches(output, target)
    return dm_pix.ssim(output, target)


def binary_accuracy(output: jax.Array, target: jax.Array) -> jax.Array:
    """Compute the share of values with `target == (output > 0.5)`, as Keras does for one channel: [B, H, W, C] twice -> [B].

    A target strictly between 0 and 1 never counts, so on gray images the best that can be reached is below 1.
    """
    check_batches(output, target)
    return jnp.mean(target == (output > 0.5), axis=(1, 2, 3), dtype=output.dtype)


def categorical_accuracy(output: jax.Array, target: jax.Array) -> jax.Array:
    """Compute the share of pixels whose largest channel is the target's, as Keras does for RGB: [B, H, W, C] twice -> [B].

    Ties go to the first channel, so a gray pixel counts as red.
    """
    check_batches(output, target)
    return jnp.mean(output.argmax(-1) == target.argmax(-1), axis=(1, 2), dtype=output.dtype)


def histograms(frames: jax.Array) -> jax.Array:
    """Count the values of each frame's channels in 256 bins: RGB [T, H, W, 3] in [0, 1] -> [T, 3, 256], sums 1."""
    codes = jnp.round(255 * jnp.clip(frames, 0, 1)).astype(jnp.int32)
    values = jnp.moveaxis(codes, -1, 1).reshape(len(frames) * 3, -1)
    counts = jax.vmap(lambda row: jnp.bincount(row, length=256))(values)
    return counts.reshape(len(frames), 3, 256) / values.shape[1]


def divergence(p: jax.Array, q: jax.Array) -> jax.Array:
    """Compute the Jensen-Shannon divergence of distributions, natural logarithm: [..., N] twice -> [...] in [0, log 2]."""
    middle = (p + q) / 2
    return (jax.scipy.special.rel_entr(p, middle) + jax.scipy.special.rel_entr(q, middle)).sum(-1) / 2


def cdc(frames: jax.Array) -> jax.Array:
    """Compute a clip's colour distribution consistency, RGB [T, H, W, 3] in [0, 1], T > 4: lower is steadier, 0 a still.

    Mean divergence of the channels' histograms of frames 1, 2 and 4 apart, from Liu et al., "Temporally consistent video
    colorization" (2021). A gray clip scores as well as a perfect one: it belongs beside a measure of colour.
    """
    shares = histograms(frames)
    return jnp.stack([divergence(shares[:-step], shares[step:]).mean() for step in CDC_STEPS]).mean()


def flicker_sums(before: jax.Array, after: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sum chroma's change where luma stays, and its weights, over pairs of frames, RGB [T, H, W, 3] in [0, 1].

    [T] twice, in steps of 8 bits a pixel; both are 0 where the scene changes.
    """
    planes = jnp.moveaxis(after - before, -1, 0)  # many times faster on a CPU than pixels of three channels
    change, chroma = luma(planes, axis=0)[0], rgb_to_chroma(planes, axis=0)
    weight = jnp.exp(-jnp.square(change / SAME_LUMA)) * (jnp.abs(change).mean((1, 2), keepdims=True) < CUT)
    return (weight * 255 * jnp.hypot(*chroma)).sum((1, 2)), weight.sum((1, 2))


def chroma_flicker(frames: jax.Array) -> jax.Array:
    """Compute chroma's change between frames where luma stays, in steps of 8 bits: RGB [T, H, W, 3] in [0, 1] -> scalar.

    Pixels count less the more their luma changes, and pairs of frames across a cut not at all: what moves is no flicker.
    0 for a still, and for a gray clip too.
    """
    changes, weights = flicker_sums(frames[:-1], frames[1:])
    return changes.sum() / jnp.maximum(weights.sum(), 1e-6)


def masked_sums(values: dict[str, jax.Array], mask: jax.Array) -> dict[str, jax.Array]:
    """Sum per-image values [B] over the images with mask [B] set, and their number as `count`."""
    sums = {name: jnp.where(mask, value, 0).sum() for name, value in values.items()}
    return sums | {"count": mask.sum(dtype=jnp.int32)}


def means(sums: dict[str, jax.Array]) -> dict[str, float]:
    """Divide each sum by `count`, as Python floats."""
    count = int(sums["count"])
    return {name: float(value) / count for name, value in sums.items() if name != "count"}
