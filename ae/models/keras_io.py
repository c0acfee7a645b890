"""The convolutional denoiser of the Keras documentation."""

import flax.linen as nn
import jax

from ae.layers.conv import Conv, ConvTranspose


class KerasIODenoiser(nn.Module):
    """The convolutional denoiser of the Keras documentation (keras.io/examples/vision/autoencoder; Valdarrama, 2021).

    [B, H, W, 1] -> [B, H, W, 1]; height and width divisible by 4.
    """

    width: int = 32  # channels of every hidden layer

    input_shape = (28, 28, 1)
    reach, multiple = 16, 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        for _ in range(2):
            x = nn.max_pool(nn.relu(Conv(self.width, (3, 3))(x)), window_shape=(2, 2), strides=(2, 2))
        for _ in range(2):
            x = nn.relu(ConvTranspose(self.width, (3, 3), (2, 2))(x))
        return nn.sigmoid(Conv(1, (3, 3))(x))
