"""Batch normalization, of rows that may count more than once."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae.layers.parameters import parameter


class BatchNorm(nn.Module):
    """Keras' BatchNorm, with the parameters of `flax.linen.BatchNorm`: [..., C] -> [..., C].

    The variance is taken about the mean: E[x^2] - E[x]^2 loses digits in float32.
    """

    momentum: float = 0.99  # of the running statistics
    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, weights: jax.Array | None = None) -> jax.Array:
        """Normalize x [..., C]. `weights` [...] sum to one and say how much each row counts; equally by default."""
        zeros, ones = (lambda: jnp.zeros(x.shape[-1])), (lambda: jnp.ones(x.shape[-1]))
        running_mean = self.variable("batch_stats", "mean", zeros)
        running_var = self.variable("batch_stats", "var", ones)
        x, dtype = x.astype(running_mean.value.dtype), x.dtype  # statistics of bfloat16 are taken in float32
        if train:
            mean = _mean(x, weights)
            var = _mean(jnp.square(x - mean), weights)
            if not self.is_initializing():
                running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean
                running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var
        else:
            mean, var = running_mean.value, running_var.value
        scale = parameter(self, "scale", nn.initializers.ones_init(), x.shape[-1:])
        bias = parameter(self, "bias", nn.initializers.zeros_init(), x.shape[-1:])
        return ((x - mean) * (scale * jax.lax.rsqrt(var + self.epsilon)) + bias).astype(dtype)


def _mean(x: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Compute the mean by adding up: a product of matrices loses a digit on a CPU."""
    if weights is None:
        return x.mean(tuple(range(x.ndim - 1)))
    return (weights[..., None] * x).sum(tuple(range(weights.ndim)))
