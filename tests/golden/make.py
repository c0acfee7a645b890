"""Makes the files beside it: the reference's models in Keras, narrow, over five steps of Adam in float64.

    python3 -m venv peers/keras && peers/keras/bin/pip install tensorflow-cpu keras
    peers/keras/bin/python tests/golden/make.py

Those here are of Keras 3.15.1 with TensorFlow 2.21.0. Each file holds the images `x` and `y`, the initial model's outputs
for them (`forward_inference`), the loss and accuracy of each step and of the trained model (`train_loss`, `train_accuracy`,
`val_loss`, `val_accuracy`), and the weights before and after, as `ae.models.keras_weights` reads them:
`init/NN.LayerClass/name` and `final/NN.LayerClass/name`. Weights are float32; the initial ones are so exactly.
"""

import os
from itertools import chain
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from keras.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, Flatten, Reshape

RELU, SAME = {"activation": "relu"}, {"activation": "relu", "padding": "same"}


def pixel_mlp():
    """A sixteenth as wide as the reference's."""
    widths, normed = (8, 16, 32, 32, 32, 32, 16, 8, 4), (1, 1, 1, 0, 0, 1, 1, 0, 1)
    layers = [
        [Dense(width, **RELU), *[BatchNormalization()] * norm] for width, norm in zip(widths, normed, strict=True)
    ]
    return [keras.Input((12, 12, 1)), *chain(*layers), Dense(1, **RELU)]


def conv_ae():
    """A sixteenth as wide as the reference's."""
    return [
        keras.Input((12, 12, 1)),
        *(Conv2D(8, 2, **SAME), BatchNormalization(), Conv2D(16, 2, 2, **SAME), BatchNormalization()),
        *(Conv2D(32, 3, **SAME), BatchNormalization(), Conv2D(32, 2, 2, **SAME), Conv2D(32, 2, **SAME)),
        *(Conv2DTranspose(32, 2, 2, **SAME), BatchNormalization(), Conv2D(16, 2, **SAME), BatchNormalization()),
        *(Conv2D(8, 2, **SAME), Conv2DTranspose(8, 2, 2, **SAME), Conv2D(4, 2, **SAME), BatchNormalization()),
        Conv2D(1, 2, **SAME),
    ]


def colorizer():
    """A sixteenth as wide as the reference's."""
    return [
        keras.Input((32, 32, 1)),
        *(Conv2D(width, 3, 2, **SAME) for width in (4, 8, 16)),
        *(Flatten(), Dense(16), Dense(256), Reshape((4, 4, 16))),
        *(Conv2DTranspose(width, 3, 2, **SAME) for width in (16, 8, 4)),
        Conv2DTranspose(3, 3, activation="sigmoid", padding="same"),
    ]


def images(rng, count, size, channels):
    """Blots of 8 bits, many of whose pixels are black or white: float32 [count, size, size, channels]."""
    coarse = rng.uniform(-0.6, 1.6, (count, size // 4, size // 4, channels)).clip(0, 1)
    return np.float32(np.round(255 * coarse.repeat(4, 1).repeat(4, 2)) / 255)


def variables(model, prefix):
    layers = [layer for layer in model.layers if layer.weights]
    return {
        f"{prefix}/{i:02}.{type(layer).__name__}/{variable.name}": np.float32(variable.numpy())
        for i, layer in enumerate(layers)
        for variable in layer.weights
    }


def trained(layers, x, y, rng):
    model = keras.Sequential(layers)  # whose biases are zero, and running statistics those of nothing
    model.set_weights([np.float32(weight + rng.normal(0, 0.1, weight.shape)) for weight in model.get_weights()])
    values = {"x": x, "y": y, **variables(model, "init"), "forward_inference": model.predict(x)}
    model.compile(keras.optimizers.Adam(1e-3), "mse", metrics=["accuracy"])
    steps = model.fit(x, y, batch_size=len(x), epochs=5).history
    scores = model.evaluate(x, y, batch_size=len(x), return_dict=True)
    values |= {f"train_{name}": np.array(steps[name]) for name in ("loss", "accuracy")}
    values |= {f"val_{name}": scores[name] for name in ("loss", "accuracy")}
    return values | variables(model, "final")


if __name__ == "__main__":
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(3)  # with which the last ReLU is alive
    rng = np.random.default_rng(0)
    clean, colour = images(rng, 8, 12, 1), images(rng, 4, 32, 3)
    noisy = np.float32((clean + rng.normal(0, 0.3, clean.shape)).clip(0, 1))
    gray = np.float32(colour @ (0.299, 0.587, 0.114))[..., None]
    for make, x, y in ((pixel_mlp, noisy, clean), (conv_ae, noisy, clean), (colorizer, gray, colour)):
        np.savez_compressed(Path(__file__).with_name(f"{make.__name__}.npz"), **trained(make(), x, y, rng))
