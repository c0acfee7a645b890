from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import TINY

from ae.train.optimizer import keras_adam, learning_rates, optimizer


def test_adam_adds_epsilon_before_the_bias_correction():
    params = {"w": jnp.zeros(2)}
    gradients = [np.array([1e-6, 3e-2]), np.array([2e-6, -1e-2]), np.array([-1e-6, 5e-2])]
    optimizer = keras_adam(1e-3)
    state, m, v, w = optimizer.init(params), 0, 0, np.zeros(2)
    for t, g in enumerate(gradients, 1):
        updates, state = optimizer.update({"w": jnp.asarray(g)}, state)
        params = optax.apply_updates(params, updates)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - 1e-3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
    np.testing.assert_allclose(params["w"], w, rtol=1e-5)
    assert (int(state.count), state.count.dtype) == (3, jnp.int32)


def rates_of_run(epochs, steps, **fields):
    config = replace(TINY, epochs=epochs, learning_rate=0.5, **fields)
    return np.concatenate([learning_rates(config, epoch, steps) for epoch in range(1, epochs + 1)])


def test_one_cycle_goes_up_and_down():
    rates = rates_of_run(10, 10, schedule="one-cycle")
    assert rates[0] == pytest.approx(0.5 / 25)
    assert np.argmax(rates) == 20
    assert rates[20] == pytest.approx(0.5)
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[-1] < 1e-3


def test_a_constant_rate_is_the_configurations():
    np.testing.assert_array_equal(rates_of_run(2, 3), np.float32(0.5))


def test_a_warm_up_is_followed_by_the_schedule():
    """By hand: a line from 0 to the peak, then half a cosine to the end of the run, across epochs."""
    warm = 0.5 * np.arange(5) / 5
    np.testing.assert_allclose(rates_of_run(3, 4, warmup_steps=5), [*warm, *[0.5] * 7], rtol=1e-6)
    cosine = 0.25 * (1 + np.cos(np.pi * np.arange(7) / 7))
    np.testing.assert_allclose(rates_of_run(3, 4, warmup_steps=5, schedule="cosine"), [*warm, *cosine], rtol=1e-5)
    whole = 0.25 * (1 + np.cos(np.pi * np.arange(12) / 12))
    np.testing.assert_allclose(rates_of_run(3, 4, schedule="cosine"), whole, rtol=1e-5)


def test_adamw_decays_kernels_alone():
    """By hand, the first step: Adam moves every weight by the rate, and kernels shrink by rate * decay besides."""
    params = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}
    steps = optimizer(replace(TINY, optimizer="adamw", weight_decay=0.1), 0.01)
    gradients = jax.tree.map(jnp.ones_like, params)
    updates, _ = steps.update(gradients, steps.init(params), params)
    np.testing.assert_allclose(updates["bias"], -0.01, rtol=1e-5)
    np.testing.assert_allclose(updates["kernel"], -0.01 - 0.01 * 0.1 * 3, rtol=1e-5)


def test_muon_moves_kernels_by_orthogonal_matrices_and_biases_as_adam_does():
    """All directions of a kernel move equally far, about as far as Adam would, whatever the gradient's size in each."""
    params = {"kernel": jnp.zeros((3, 3, 4, 8)), "bias": jnp.zeros(8)}
    steps = optimizer(replace(TINY, optimizer="muon"), 0.01)
    gradients = jax.tree.map(lambda x: 1e-3 * jax.random.normal(jax.random.key(0), x.shape), params)
    gradients["kernel"] = gradients["kernel"] * jnp.logspace(0, 1.5, 8)
    updates, _ = steps.update(gradients, steps.init(params), params)
    moved = np.asarray(-updates["bias"] * jnp.sign(gradients["bias"]))  # with Nesterov's momentum
    np.testing.assert_allclose(moved, 0.01 * (0.9 * 0.1 / (1 - 0.9**2) + 0.1 / (1 - 0.9)), rtol=1e-3)
    lengths = np.linalg.svd(np.asarray(updates["kernel"]).reshape(36, 8), compute_uv=False)
    assert lengths.max() < 2 * lengths.min()
    assert lengths.mean() == pytest.approx(0.01 * 0.2 * np.sqrt(36), rel=0.2)
    assert float((updates["kernel"] * gradients["kernel"]).sum()) < 0


def test_gradients_are_cut_to_the_norm():
    """Adam's first moment is a tenth of the first gradient that it gets."""
    params = {"w": jnp.zeros(2)}
    steps = optimizer(replace(TINY, clip_norm=1.0), 0.01)
    for gradient, expected in (([3.0, 4.0], [0.6, 0.8]), ([0.3, 0.4], [0.3, 0.4])):
        _, (_, adam) = steps.update({"w": jnp.asarray(gradient)}, steps.init(params), params)
        np.testing.assert_allclose(adam.mu["w"], np.asarray(expected) / 10, rtol=1e-5)


def test_the_default_is_keras_adam_with_the_state_that_checkpoints_have():
    state = optimizer(TINY, 0.01).init({"w": jnp.zeros(2)})
    assert jax.tree.structure(state) == jax.tree.structure(keras_adam(0.01).init({"w": jnp.zeros(2)}))
    assert isinstance(state, optax.ScaleByAdamState)
