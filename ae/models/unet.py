"""U-Nets: of images, and of chroma for the luma that they are given."""

from collections.abc import Callable
from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae.color import into_gamut, ycbcr_to_rgb
from ae.layers.conv import Conv, ConvTranspose
from ae.layers.norm import BatchNorm
from ae.models.common import check_channels


class UNet(nn.Module):
    """U-Net with 3x3 convolutions (Ronneberger et al., 2015), [B, H, W, C] -> [B, H, W, outputs], of any size.

    Outputs are cut to [0, 1], but not in training, where what is cut would not learn. Raises InputError where it is to
    add its outputs to inputs of another number of channels.

    Without biases, a residual one that is given twice the image answers twice, but for the cut: what it has learnt of one
    noise level holds for others (Mohan et al., "Robust and interpretable blind image denoising", 2020).
    """

    widths: tuple[int, ...] = (32, 64, 128)  # of the levels, each half as high and wide as the one before
    outputs: int = 1  # channels of the output
    residual: bool = False  # compute what to add to the input
    patch: int = 1  # pixels that the first level takes together, in height and in width
    biases: bool = True  # add biases in convolutions
    depth: int = 2  # convolutions in a row on the way down, and again on the way up

    input_shape = (32, 32, 1)
    float32_inputs = True  # to which outputs are added; the layers compute in the dtype of their kernels

    @property
    def multiple(self) -> int:
        """Return what height and width have to be a multiple of where nothing is to be padded."""
        return self.patch * 2 ** (len(self.widths) - 1)

    @property
    def reach(self) -> int:
        """Count the convolutions down and up, those of the lowest level once, the last, and a pixel's place in its cell."""
        last = 1 if self.patch == 1 else 0
        return self.depth * (3 * self.multiple - 2 * self.patch) + last + self.multiple - 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        if self.residual:
            check_channels(x, self.outputs)
        inputs, x = x, padded(x, self.multiple)
        patch = (self.patch, self.patch)
        if self.patch > 1:
            x = Conv(self.widths[0], patch, patch, use_bias=self.biases)(x)
        x = _levels(self.widths, x, biases=self.biases, depth=self.depth)
        if self.patch > 1:
            x = ConvTranspose(self.outputs, patch, patch, use_bias=self.biases)(x)
        else:
            x = Conv(self.outputs, (3, 3), use_bias=self.biases)(x)
        x = x[:, : inputs.shape[1], : inputs.shape[2]].astype(inputs.dtype) + (inputs if self.residual else 0)
        return x if train else jnp.clip(x, 0, 1)


CHROMA_SCALE = 0.1  # about the standard deviation of chroma in photographs


class ChromaUNet(nn.Module):
    """Colorizer that keeps the luma it is given, gray [B, H, W, 1] -> RGB [B, H, W, 3], of any size.

    A U-Net with BatchNorm on patches of 2x2 pixels computes Cb and Cr (BT.601), whose least detail is rarely seen.
    With `hints` it also takes [B, H, W, 4]: luma, Cb and Cr where a person has named them, 0 elsewhere, and 1 there
    (Zhang et al., "Real-time user-guided image colorization with learned deep priors", 2017). With `vivid` it computes
    livelier chroma as well (see `chroma`), which training gets behind RGB: [B, H, W, 5].
    """

    widths: tuple[int, ...] = (48, 96, 192)  # of the levels, the first half as high and wide as the image
    momentum: float = 0.99  # of BatchNorm's running statistics
    frozen: bool = False  # train with these, as they are: what is learnt then holds when the model is used
    relative: bool = False  # of an image half as bright, see the same, and answer with half of the chroma
    depth: int = 2  # convolutions in a row on the way down, and again on the way up
    hints: bool = False  # take colours at points as well
    vivid: bool = False  # also answer with livelier chroma

    input_shape = (32, 32, 1)
    float32_inputs = True  # luma, to which chroma is added; the layers compute in the dtype of their kernels

    @property
    def multiple(self) -> int:
        """Return what height and width have to be a multiple of where nothing is to be padded."""
        return 2 ** len(self.widths)

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        luma, chroma = x[..., :1], self.chroma(x, train)
        if not train:
            return ycbcr_to_rgb(luma, into_gamut(luma, chroma[..., :2]))
        return jnp.concatenate([ycbcr_to_rgb(luma, chroma[..., :2]), chroma[..., 2:]], axis=-1)

    @nn.compact
    def chroma(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Return Cb and Cr [B, H, W, 2] of luma, with hints or without; [B, H, W, 4] with the livelier ones.

        Whether RGB can show them is not looked at.
        """
        height, width = x.shape[1:3]
        x, hints = self._split(padded(x, self.multiple))
        unit = 2 * jnp.sqrt(jnp.mean(jnp.square(x), (1, 2, 3), keepdims=True)) + 1e-3 if self.relative else 1.0
        seen = [x / unit]
        if hints is not None:
            seen += [hints[..., :2] / (CHROMA_SCALE * unit), hints[..., 2:]]
        features = self.features(jnp.concatenate(seen, axis=-1), train)
        answers = ConvTranspose(4 if self.vivid else 2, (2, 2), (2, 2))(features).astype(x.dtype)
        return CHROMA_SCALE * unit * answers[:, :height, :width]

    def _split(self, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """Return luma, and hints of a model that takes them: none at all where only luma is given."""
        if not self.hints:
            check_channels(x, 1)
            return x, None
        if x.shape[-1] == 1:
            x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, 3)))
        check_channels(x, 4)
        return x[..., :1], x[..., 1:]

    def features(self, x: jax.Array, train: bool) -> jax.Array:
        """Compute the U-Net's features of patches of 2x2 pixels: [B, H, W, C] -> [B, H/2, W/2, widths[0]].

        Height and width are multiples of `multiple`.
        """
        patches = Conv(self.widths[0], (2, 2), (2, 2))(x)

        def norm(x: jax.Array) -> jax.Array:
            return BatchNorm(self.momentum)(x, train=train and not self.frozen)

        return _levels(self.widths, patches, norm, depth=self.depth, bottom=self.bottom)

    def bottom(self, x: jax.Array) -> jax.Array:
        """Return the features of the lowest level [B, h, w, widths[-1]] as they are; other models change them here."""
        return x


def _levels(
    widths: tuple[int, ...],
    x: jax.Array,
    norm: Callable[[jax.Array], jax.Array] = lambda x: x,
    *,
    biases: bool = True,
    depth: int = 2,
    bottom: Callable[[jax.Array], jax.Array] = lambda x: x,
) -> jax.Array:
    """Apply the levels of a U-Net: [B, H, W, C] -> [B, H, W, widths[0]]; layers of the module that calls it.

    `bottom`: what is done to the features of the lowest level.
    """

    def block(width: int, x: jax.Array) -> jax.Array:
        for _ in range(depth):
            x = nn.relu(norm(Conv(width, (3, 3), use_bias=biases)(x)))
        return x

    skipped = []
    for width, below in pairwise(widths):
        skipped.append(block(width, x))
        x = Conv(below, (2, 2), (2, 2), use_bias=biases)(skipped[-1])
    x = bottom(block(widths[-1], x))
    for width in reversed(widths[:-1]):
        x = ConvTranspose(width, (2, 2), (2, 2), use_bias=biases)(x)
        x = block(width, jnp.concatenate([skipped.pop(), x], axis=-1))
    return x


def padded(x: jax.Array, multiple: int) -> jax.Array:
    """Mirror the last rows and columns of images [B, H, W, C] up to the next multiple; sizes may be symbolic.

    Repeated, noise would be stripes, which denoisers take for detail.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        whole = -(-size // multiple) * multiple
        if whole != size:
            period = jnp.maximum(2 * (size - 1), 1)
            place = jnp.arange(whole) % period
            x = jnp.take(x, jnp.minimum(place, period - place), axis=axis)
    return x
