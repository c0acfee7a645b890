"""Adam as Keras has it, and learning rates."""

from functools import partial

import jax
import jax.numpy as jnp
import optax


def learning_rate(schedule: str, peak: float, steps: int, step: jax.Array) -> float | jax.Array:
    """The learning rate of a step, of a run of so many steps.

    "one-cycle" (Smith and Topin, 2018): up to the peak in a fifth of the run, then down to a thousandth of where it began.
    """
    if schedule == "constant":
        return peak
    return optax.cosine_onecycle_schedule(steps, peak, pct_start=0.2, div_factor=25, final_div_factor=1000)(step)


def keras_adam(
    learning_rate: float | jax.Array, *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba, 2015) as Keras computes it.

    Epsilon is added to sqrt(v) before the bias correction (the paper's "epsilon hat"), where `optax.adam` adds it after.
    """

    def init(params):
        zeros = partial(jax.tree.map, jnp.zeros_like)
        return optax.ScaleByAdamState(count=jnp.zeros([], jnp.int32), mu=zeros(params), nu=zeros(params))

    def update(gradients, state, params=None):
        count = state.count + 1
        mu = jax.tree.map(lambda m, g: m + (g - m) * (1 - b1), state.mu, gradients)
        nu = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - b2), state.nu, gradients)

        def step(m, v):
            power1, power2 = (
                jnp.float32(b).astype(m.dtype) ** count for b in (b1, b2)
            )  # Keras rounds these to float32
            return -learning_rate * jnp.sqrt(1 - power2) / (1 - power1) * m / (jnp.sqrt(v) + eps)

        return jax.tree.map(step, mu, nu), optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)
