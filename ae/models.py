"""The reference's autoencoders and our own models, as pure flax.linen modules.

Every model maps images [B, H, W, C] in [0, 1] to images of the same height and width:
`model.apply(variables, x, train=False)`, and in training `model.apply(variables, x, train=True, mutable=["batch_stats"])`.
Models for any size say what tiles need to know: `reach`, how many pixels away an output looks at most, and `multiple`, of
which height and width have to be one where nothing is to be padded.
All layers are Keras': "same" padding, glorot-uniform kernels, zero biases; the reference has BatchNorm after the activation.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.export import is_symbolic_dim

from ae import devices
from ae.color import into_gamut, ycbcr_to_rgb
from ae.conv import Conv, ConvTranspose
from ae.errors import InputError
from ae.norm import BatchNorm

dense = partial(nn.Dense, kernel_init=nn.initializers.glorot_uniform())


def input_shape(model: nn.Module) -> tuple[int, int, int]:
    """[H, W, C] of images that a model takes: its `input_shape`, or, of one that has none, gray ones of 32x32."""
    return getattr(model, "input_shape", (32, 32, 1))


class PixelMLP(nn.Module):
    """Dense layers on the channel axis: every pixel is mapped on its own, [B, H, W, 1] -> [B, H, W, 1].

    So it is a function of one number. `pixel_levels` rounds the inputs to so many values and computes each value once,
    weighted in BatchNorm with how many pixels have it: the same training on the rounded inputs, about fifty times less work,
    which is split over the devices. Raises InputError for images of several channels.
    """

    widths: tuple[int, ...] = (128, 256, 512, 512, 512, 512, 256, 128, 64)
    normed: tuple[bool, ...] = (True, True, True, False, False, True, True, False, True)  # BatchNorm after which layers
    momentum: float = 0.99  # of BatchNorm's running statistics
    pixel_levels: int | None = None

    input_shape = (28, 28, 1)  # what the reference feeds it; any height and width will do
    reach, multiple = 0, 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        _check_channels(x, 1)
        if self.pixel_levels is None:
            return self._layers(x, train)
        level = jnp.round(x[..., 0] * (self.pixel_levels - 1)).astype(jnp.int32)  # [B, H, W]
        values = devices.split(jnp.linspace(0, 1, self.pixel_levels)[:, None])
        return self._layers(values, train, self._shares(level) if train else None)[level]

    def _shares(self, level: jax.Array) -> jax.Array:
        """How many of the pixels [B, H, W] have each level, [levels]; counted as integers, as float32 loses digits."""
        return jnp.bincount(level.ravel(), length=self.pixel_levels) / level.size

    def _layers(self, x: jax.Array, train: bool, weights: jax.Array | None = None) -> jax.Array:
        for width, normed in zip(self.widths, self.normed, strict=True):
            x = nn.relu(dense(width)(x))
            if normed:
                x = BatchNorm(self.momentum)(x, train=train, weights=weights)
        return nn.relu(dense(1)(x))


class ConvAE(nn.Module):
    """Convolutional autoencoder, [B, H, W, 1] -> [B, H, W, 1]; height and width divisible by 4."""

    encoder: tuple[int, int, int, int] = (128, 256, 512, 512)
    decoder: tuple[int, int, int, int, int, int] = (512, 512, 256, 128, 128, 64)
    momentum: float = 0.99  # of BatchNorm's running statistics

    input_shape = (28, 28, 1)
    reach, multiple = 16, 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        def norm(x: jax.Array) -> jax.Array:
            return BatchNorm(self.momentum)(x, train=train)

        a, b, c, d = self.encoder
        x = norm(nn.relu(Conv(a, (2, 2))(x)))
        x = norm(nn.relu(Conv(b, (2, 2), (2, 2))(x)))  # [B, H/2, W/2, b]
        x = norm(nn.relu(Conv(c, (3, 3))(x)))
        x = nn.relu(Conv(d, (2, 2), (2, 2))(x))  # [B, H/4, W/4, d]

        a, b, c, d, e, f = self.decoder
        x = nn.relu(Conv(a, (2, 2))(x))
        x = norm(nn.relu(ConvTranspose(b, (2, 2), (2, 2))(x)))  # [B, H/2, W/2, b]
        x = norm(nn.relu(Conv(c, (2, 2))(x)))
        x = nn.relu(Conv(d, (2, 2))(x))
        x = nn.relu(ConvTranspose(e, (2, 2), (2, 2))(x))  # [B, H, W, e]
        x = norm(nn.relu(Conv(f, (2, 2))(x)))
        return nn.relu(Conv(1, (2, 2))(x))


class ColorizerAE(nn.Module):
    """Colorizer with one dense latent vector, gray [B, 32, 32, 1] -> RGB [B, 32, 32, 3]."""

    encoder: tuple[int, ...] = (64, 128, 256)
    latent: int = 256
    decoder: tuple[int, ...] = (256, 128, 64)

    input_shape = (32, 32, 1)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        if x.shape[1:] != self.input_shape:
            raise InputError(f"expected gray images [B, 32, 32, 1], got {x.shape}")
        for width in self.encoder:
            x = nn.relu(Conv(width, (3, 3), (2, 2))(x))
        encoded = x.shape[1:]  # (4, 4, 256) in the reference
        x = dense(self.latent)(x.reshape(len(x), -1))
        x = dense(encoded[0] * encoded[1] * encoded[2])(x).reshape(len(x), *encoded)
        for width in self.decoder:
            x = nn.relu(ConvTranspose(width, (3, 3), (2, 2))(x))
        return nn.sigmoid(ConvTranspose(3, (3, 3))(x))


class UNet(nn.Module):
    """U-Net with 3x3 convolutions (Ronneberger et al., 2015), [B, H, W, C] -> [B, H, W, outputs], of any size.

    Outputs are cut to [0, 1], but not in training, where what is cut would not learn. Raises InputError where it is to
    add its outputs to inputs of another number of channels.
    """

    widths: tuple[int, ...] = (32, 64, 128)  # of the levels, each half as high and wide as the one before
    outputs: int = 1
    residual: bool = False  # compute what to add to the input

    input_shape = (32, 32, 1)

    @property
    def multiple(self) -> int:
        return 2 ** (len(self.widths) - 1)

    @property
    def reach(self) -> int:
        """Four convolutions on each level but the lowest, which has two; one at the end; and a pixel's place in its cell."""
        return 4 * (self.multiple - 1) + 2 * self.multiple + 1 + self.multiple - 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        if self.residual:
            _check_channels(x, self.outputs)
        inputs, x = x, _padded(x, self.multiple)
        x = _levels(self.widths, x)
        x = Conv(self.outputs, (3, 3))(x)
        x = x[:, : inputs.shape[1], : inputs.shape[2]] + (inputs if self.residual else 0)
        return x if train else jnp.clip(x, 0, 1)


class ChromaUNet(nn.Module):
    """Colorizer that keeps the luma it is given, gray [B, H, W, 1] -> RGB [B, H, W, 3], of any size.

    A U-Net with BatchNorm on patches of 2x2 pixels computes Cb and Cr (BT.601), whose least detail is rarely seen.
    """

    widths: tuple[int, ...] = (48, 96, 192)  # of the levels, the first half as high and wide as the image
    momentum: float = 0.99  # of BatchNorm's running statistics

    input_shape = (32, 32, 1)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        _check_channels(x, 1)
        features = self.features(x, train)
        chroma = CHROMA_SCALE * ConvTranspose(2, (2, 2), (2, 2))(features)[:, : x.shape[1], : x.shape[2]]
        return ycbcr_to_rgb(x, chroma if train else into_gamut(x, chroma))

    def features(self, x: jax.Array, train: bool) -> jax.Array:
        """What the U-Net makes of patches of 2x2 pixels: [B, H, W, 1] -> [B, H/2, W/2, widths[0]], rounded up."""
        patches = Conv(self.widths[0], (2, 2), (2, 2))(_padded(x, 2 ** len(self.widths)))
        return _levels(self.widths, patches, lambda x: BatchNorm(self.momentum)(x, train=train))


CHROMA_SCALE = 0.1  # about the standard deviation of chroma in photographs


def _levels(widths: tuple[int, ...], x: jax.Array, norm: Callable[[jax.Array], jax.Array] = lambda x: x) -> jax.Array:
    """The levels of a U-Net: [B, H, W, C] -> [B, H, W, widths[0]]; layers of the module that calls it."""

    def block(width: int, x: jax.Array) -> jax.Array:
        for _ in range(2):
            x = nn.relu(norm(Conv(width, (3, 3))(x)))
        return x

    skipped = []
    for width, below in pairwise(widths):
        skipped.append(block(width, x))
        x = Conv(below, (2, 2), (2, 2))(skipped[-1])
    x = block(widths[-1], x)
    for width in reversed(widths[:-1]):
        x = ConvTranspose(width, (2, 2), (2, 2))(x)
        x = block(width, jnp.concatenate([skipped.pop(), x], axis=-1))
    return x


def _check_channels(x: jax.Array, channels: int) -> None:
    """Raises InputError for images [B, H, W, C] of another number of channels, which would broadcast in silence."""
    if x.ndim != 4 or x.shape[-1] != channels:
        raise InputError(f"expected images [B, H, W, {channels}], got {x.shape}")


def _padded(x: jax.Array, multiple: int) -> jax.Array:
    """Images [B, H, W, C] with their last rows and columns repeated up to the next multiple; sizes may be symbolic."""
    for axis in (1, 2):
        size = x.shape[axis]
        whole = -(-size // multiple) * multiple
        if is_symbolic_dim(size) or whole > size:
            x = jnp.take(x, jnp.minimum(jnp.arange(whole), size - 1), axis=axis)
    return x


class DenseAE(nn.Module):
    """Autoencoder of whole images with a few latent numbers (Hinton and Salakhutdinov, 2006), [B, 28, 28, 1] -> the same.

    `encode` and `decode` are its two halves: `model.apply(variables, images, method="encode")`.
    """

    latent: int = 32
    widths: tuple[int, ...] = (512, 256)

    input_shape = (28, 28, 1)

    def setup(self) -> None:
        self.encoder = [dense(width) for width in (*self.widths, self.latent)]
        self.decoder = [dense(width) for width in (*reversed(self.widths), 28 * 28)]

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.decode(self.encode(x))

    def encode(self, x: jax.Array) -> jax.Array:
        """Images [B, 28, 28, 1] -> latents [B, latent]."""
        if x.shape[1:] != self.input_shape:
            raise InputError(f"expected gray images [B, 28, 28, 1], got {x.shape}")
        return _dense_layers(self.encoder, x.reshape(len(x), -1))

    def decode(self, latents: jax.Array) -> jax.Array:
        """Latents [B, latent] -> images [B, 28, 28, 1]."""
        return nn.sigmoid(_dense_layers(self.decoder, latents)).reshape(-1, *self.input_shape)


def _dense_layers(layers: Sequence[nn.Module], x: jax.Array) -> jax.Array:
    *hidden, last = layers
    for layer in hidden:
        x = nn.relu(layer(x))
    return last(x)


class KerasIODenoiser(nn.Module):
    """The convolutional denoiser of the Keras documentation (keras.io/examples/vision/autoencoder; Valdarrama, 2021).

    [B, H, W, 1] -> [B, H, W, 1]; height and width divisible by 4.
    """

    width: int = 32

    input_shape = (28, 28, 1)
    reach, multiple = 16, 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        for _ in range(2):
            x = nn.max_pool(nn.relu(Conv(self.width, (3, 3))(x)), (2, 2), (2, 2))
        for _ in range(2):
            x = nn.relu(ConvTranspose(self.width, (3, 3), (2, 2))(x))
        return nn.sigmoid(Conv(1, (3, 3))(x))
