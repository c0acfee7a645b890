"""An autoencoder of whole images with a few latent numbers."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from ae.errors import InputError
from ae.models.common import dense


class DenseAE(nn.Module):
    """Autoencoder of whole images with a few latent numbers (Hinton and Salakhutdinov, 2006), [B, 28, 28, 1] -> the same.

    `encode` and `decode` are its two halves: `model.apply(variables, images, method="encode")`.
    """

    latent: int = 32  # how many numbers an image is encoded as
    widths: tuple[int, ...] = (512, 256)  # of the encoder's hidden layers; the decoder has them in reverse

    input_shape = (28, 28, 1)

    def setup(self) -> None:
        """Define the layers of both halves."""
        self.encoder = [dense(width) for width in (*self.widths, self.latent)]
        self.decoder = [dense(width) for width in (*reversed(self.widths), 28 * 28)]

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.decode(self.encode(x))

    def encode(self, x: jax.Array) -> jax.Array:
        """Encode images [B, 28, 28, 1] as latents [B, latent]."""
        if x.shape[1:] != self.input_shape:
            raise InputError(f"expected gray images [B, 28, 28, 1], got {x.shape}")
        return _dense_layers(self.encoder, x.reshape(x.shape[0], -1))

    def decode(self, latents: jax.Array) -> jax.Array:
        """Decode latents [B, latent] to images [B, 28, 28, 1]."""
        return nn.sigmoid(_dense_layers(self.decoder, latents)).reshape(-1, *self.input_shape)


def _dense_layers(layers: Sequence[nn.Module], x: jax.Array) -> jax.Array:
    *hidden, last = layers
    for layer in hidden:
        x = nn.relu(layer(x))
    return last(x)
