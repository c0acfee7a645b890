"""Optimizers, and their learning rates."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from ae.config import Config


def learning_rates(config: Config, epoch: int, steps: int) -> jax.Array:
    """Return the learning rates [steps] of the steps of an epoch, counted from 1.

    "one-cycle" (Smith and Topin, 2018): up to the peak in a fifth of the run, then down to a thousandth of where it began.
    "cosine" (Loshchilov and Hutter, 2017): down to 0 along half a cosine, after the warm-up.
    """
    if config.schedule == "constant" and not config.warmup_steps:
        return jnp.full(steps, config.learning_rate, jnp.float32)
    return _scheduled(config, config.epochs * steps, steps, (epoch - 1) * steps)


@partial(jax.jit, static_argnums=(0, 1, 2))  # as one program: rounded in the same way wherever a run goes on
def _scheduled(config: Config, run_steps: int, steps: int, first: int) -> jax.Array:
    return jax.vmap(_schedule(config, run_steps))(first + jnp.arange(steps)).astype(jnp.float32)  # no weak type


def _schedule(config: Config, steps: int) -> optax.Schedule:
    peak, warmup = config.learning_rate, config.warmup_steps
    if config.schedule == "one-cycle":
        return optax.cosine_onecycle_schedule(steps, peak, pct_start=0.2, div_factor=25, final_div_factor=1000)
    constant = config.schedule == "constant"
    after = optax.constant_schedule(peak) if constant else optax.cosine_decay_schedule(peak, max(1, steps - warmup))
    return optax.join_schedules([optax.linear_schedule(0, peak, warmup), after], [warmup]) if warmup else after


def optimizer(config: Config, rate: float | jax.Array) -> optax.GradientTransformation:
    """Return the optimizer of a configuration, at a learning rate.

    Weights that decay are kernels: biases and BatchNorm's scales stay (Loshchilov and Hutter, 2019, decays all).
    """
    steps: optax.GradientTransformation
    if config.optimizer == "keras_adam":
        steps = keras_adam(rate)
    elif config.optimizer == "muon":
        steps = muon(rate)
    else:
        kernels = partial(jax.tree.map, lambda weight: weight.ndim > 1)
        steps = optax.adamw(rate, weight_decay=config.weight_decay, mask=kernels)
    return steps if config.clip_norm is None else optax.chain(optax.clip_by_global_norm(config.clip_norm), steps)


def muon(learning_rate: float | jax.Array) -> optax.GradientTransformation:
    """Return Muon (Jordan et al., 2024): kernels move by the orthogonal matrix nearest to their momentum, others by Adam.

    A kernel [..., outputs] is a matrix of as many columns. Steps are as long as Adam's are (Liu et al., "Muon is scalable
    for LLM training", 2025), so that the learning rates of both are alike.
    """

    def as_matrix(weight: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        last = weight.ndim - 1
        return optax.contrib.MuonDimensionNumbers(tuple(range(last)), (last,)) if last else None

    return optax.contrib.muon(
        learning_rate, consistent_rms=0.2, muon_weight_dimension_numbers=partial(jax.tree.map, as_matrix)
    )


def keras_adam(
    learning_rate: float | jax.Array, *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7
) -> optax.GradientTransformation:
    """Return Adam (Kingma and Ba, 2015) as Keras computes it.

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
