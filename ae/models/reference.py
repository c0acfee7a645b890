"""The reference's autoencoders, with Keras' layers: glorot-uniform kernels, zero biases, BatchNorm after the activation."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae.errors import InputError
from ae.layers.conv import Conv, ConvTranspose
from ae.layers.norm import BatchNorm
from ae.models.common import check_channels, dense
from ae.runtime import devices


class PixelMLP(nn.Module):
    """Dense layers on the channel axis: every pixel is mapped on its own, [B, H, W, 1] -> [B, H, W, 1].

    So it is a function of one number. `pixel_levels` rounds the inputs to so many values and computes each value once,
    weighted in BatchNorm with how many pixels have it: the same training on the rounded inputs, about fifty times less work,
    which is split over the devices. Raises InputError for images of several channels.
    """

    widths: tuple[int, ...] = (128, 256, 512, 512, 512, 512, 256, 128, 64)  # of the hidden layers
    normed: tuple[bool, ...] = (True, True, True, False, False, True, True, False, True)  # BatchNorm after which layers
    momentum: float = 0.99  # of BatchNorm's running statistics
    pixel_levels: int | None = None  # round inputs to so many values, and compute each once

    input_shape = (28, 28, 1)  # what the reference feeds it; any height and width will do
    reach, multiple = 0, 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        check_channels(x, 1)
        if self.pixel_levels is None:
            return self._layers(x, train)
        exact = x[..., 0].astype(jnp.promote_types(x.dtype, jnp.float32))  # bfloat16 would round 4095 to 4096
        level = jnp.round(exact * (self.pixel_levels - 1)).astype(jnp.int32)  # [B, H, W]
        values = devices.split(jnp.linspace(0, 1, self.pixel_levels)[:, None].astype(x.dtype))
        return self._layers(values, train, self._shares(level) if train else None)[level]

    def _shares(self, level: jax.Array) -> jax.Array:
        """Compute the share of pixels [B, H, W] with each level, [levels]; counted as integers, as float32 loses digits."""
        return jnp.bincount(level.ravel(), length=self.pixel_levels) / level.size

    def _layers(self, x: jax.Array, train: bool, weights: jax.Array | None = None) -> jax.Array:
        for width, normed in zip(self.widths, self.normed, strict=True):
            x = nn.relu(dense(width)(x))
            if normed:
                x = BatchNorm(self.momentum)(x, train=train, weights=weights)
        return nn.relu(dense(1)(x))


class ConvAE(nn.Module):
    """Convolutional autoencoder, [B, H, W, 1] -> [B, H, W, 1]; height and width divisible by 4."""

    encoder: tuple[int, int, int, int] = (128, 256, 512, 512)  # channels of its layers
    decoder: tuple[int, int, int, int, int, int] = (512, 512, 256, 128, 128, 64)  # channels of its layers
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

    encoder: tuple[int, ...] = (64, 128, 256)  # channels of its layers
    latent: int = 256  # how many numbers an image is encoded as
    decoder: tuple[int, ...] = (256, 128, 64)  # channels of its layers

    input_shape = (32, 32, 1)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        if x.shape[1:] != self.input_shape:
            raise InputError(f"expected gray images [B, 32, 32, 1], got {x.shape}")
        for width in self.encoder:
            x = nn.relu(Conv(width, (3, 3), (2, 2))(x))
        encoded = x.shape[1:]  # (4, 4, 256) in the reference
        x = dense(self.latent)(x.reshape(x.shape[0], -1))
        x = dense(encoded[0] * encoded[1] * encoded[2])(x).reshape(x.shape[0], *encoded)
        for width in self.decoder:
            x = nn.relu(ConvTranspose(width, (3, 3), (2, 2))(x))
        return nn.sigmoid(ConvTranspose(3, (3, 3))(x))
