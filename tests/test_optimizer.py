import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ae.train.optimizer import keras_adam, learning_rate


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


def test_one_cycle_goes_up_and_down():
    rates = [float(learning_rate("one-cycle", 0.5, 100, step)) for step in range(101)]
    assert rates[0] == pytest.approx(0.5 / 25)
    assert np.argmax(rates) == 20
    assert rates[100] == pytest.approx(0.5 / 25 / 1000, rel=1e-3)
    assert rates[20] == pytest.approx(0.5)
    assert rates[-1] < 1e-4
    assert learning_rate("constant", 0.5, 100, 7) == 0.5
