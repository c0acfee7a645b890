"""Trains the benchmark's models in Keras with TensorFlow: as it is, and compiled by XLA."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl
from worker import serve, training


def make(layers, weights, shape):
    """Return the model with the weights; `push` keeps what passes and `concat` joins it again."""
    x = given = keras.Input(shape)
    kept, weighted = [], []
    for kind, *options in layers:
        if kind == "push":
            kept.append(x)
            continue
        if kind == "concat":
            x = kl.Concatenate()([kept.pop(), x])
            continue
        layer = {
            "conv": lambda n, k, s: kl.Conv2D(n, k, s, padding="same"),
            "conv_transpose": lambda n, k, s: kl.Conv2DTranspose(n, k, s, padding="same"),
            "dense": kl.Dense,
            "norm": kl.BatchNormalization,
            "flatten": kl.Flatten,
            "unflatten": lambda *shape: kl.Reshape(shape),
            "relu": kl.ReLU,
            "sigmoid": lambda: kl.Activation("sigmoid"),
        }[kind](*options)
        x = layer(x)
        weighted += [layer] if layer.trainable_weights else []
    for i, layer in enumerate(weighted):
        layer.set_weights([*weights[2 * i : 2 * i + 2], *layer.get_weights()[2:]])
    return keras.Model(given, x)


def build(layers, weights, inputs, targets):
    """Return what `worker.training` takes."""
    x, y = tf.constant(inputs), tf.constant(targets)
    model = make(layers, weights, inputs.shape[1:])
    reply = {
        "parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "loss": float(tf.reduce_mean((model(x, training=True) - y) ** 2)),
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
    }

    def training_step(jit_compile):
        own = make(layers, weights, inputs.shape[1:])
        own.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=jit_compile)
        return lambda: own.train_on_batch(x, y)

    return reply, {"graph": training_step(False), "XLA": training_step(True)}


if __name__ == "__main__":
    serve(training(build))
