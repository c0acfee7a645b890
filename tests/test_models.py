from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae.config import PRESETS
from ae.keras_weights import from_keras
from ae.models import ColorizerAE, ConvAE, PixelMLP
from ae.train import TrainState, keras_adam, train_step

EIGHTH = {  # as wide as the models whose outputs Keras computed
    "pixel_mlp": PixelMLP(widths=(16, 32, 64, 64, 64, 64, 32, 16, 8)),
    "conv_ae": ConvAE(encoder=(16, 32, 64, 64), decoder=(64, 64, 32, 16, 16, 8)),
    "colorizer": ColorizerAE(encoder=(8, 16, 32), latent=32, decoder=(32, 16, 8)),
}
PRESET = {"pixel_mlp": "pixel_mlp", "conv_ae": "conv_ae", "colorizer": "colorizer_ae"}


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("model", "everything", "trained"),
    [
        (PixelMLP(), 1_132_289, 1_128_833),
        (ConvAE(), 5_220_801, 5_217_345),
        (ColorizerAE(), 3_431_811, 3_431_811),
    ],
)
def test_parameter_counts_are_the_references(model, everything, trained):
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *model.input_shape)))
    assert count(variables) == everything
    assert count(variables["params"]) == trained


@pytest.mark.parametrize("name", EIGHTH)
def test_output_has_the_inputs_size_and_jit_changes_nothing(name):
    model = EIGHTH[name]
    x = jax.random.uniform(jax.random.key(1), (3, *model.input_shape))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    output = jax.jit(model.apply)(variables, x)
    assert output.shape == (3, *model.input_shape[:2], 3 if name == "colorizer" else 1)
    assert float(output.min()) >= 0
    np.testing.assert_allclose(model.apply(variables, x), output, atol=1e-6)


@pytest.mark.parametrize("name", EIGHTH)
def test_initial_weights_are_glorot_uniform_with_zero_biases(name):
    model = EIGHTH[name]
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *model.input_shape)))["params"]
    for layer in params.values():
        if "kernel" in layer:
            *window, a, b = layer["kernel"].shape
            limit = np.sqrt(6 / (np.prod(window) * (a + b)))
            assert 0.5 * limit < float(jnp.abs(layer["kernel"]).max()) <= limit
        assert not layer["bias"].any()


def test_colorizer_refuses_other_sizes():
    with pytest.raises(ValueError, match="32, 32, 1"):
        EIGHTH["colorizer"].init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))


def test_inference_leaves_running_statistics_alone_and_training_moves_them():
    model = EIGHTH["pixel_mlp"]
    x = jax.random.uniform(jax.random.key(1), (2, *model.input_shape))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    apply = jax.jit(partial(model.apply, mutable=["batch_stats"]), static_argnames="train")
    _, inferred = apply(variables, x, train=False)
    _, trained = apply(variables, x, train=True)
    before = variables["batch_stats"]["BatchNorm_0"]["mean"]
    assert jnp.array_equal(inferred["batch_stats"]["BatchNorm_0"]["mean"], before)
    # Keras: momentum * old + (1 - momentum) * mean of the batch, after the ReLU
    kernel = variables["params"]["Dense_0"]["kernel"]
    expected = 0.01 * jax.nn.relu(x @ kernel).mean((0, 1, 2))
    np.testing.assert_allclose(trained["batch_stats"]["BatchNorm_0"]["mean"], expected, rtol=1e-5)


def keras_start(golden, name, dtype):
    arrays = golden(name)
    model = EIGHTH[name]
    config = replace(PRESETS[PRESET[name]], model=model)
    initial = {key[5:]: arrays[key].astype(dtype) for key in arrays.files if key.startswith("init/")}
    variables = jax.tree.map(jnp.asarray, from_keras(model, initial))
    params = variables["params"]
    optimizer = keras_adam(config.learning_rate)
    state = TrainState(jnp.int32(0), params, variables.get("batch_stats", {}), optimizer.init(params), {})
    batch = jnp.asarray(arrays["x"], dtype), jnp.asarray(arrays["y"], dtype)
    return arrays, config, state, batch


@pytest.mark.parametrize("name", EIGHTH)
def test_five_steps_are_keras_in_float64(golden, name):
    with jax.enable_x64(True):
        arrays, config, state, (x, y) = keras_start(golden, name, np.float64)
        apply = jax.jit(config.model.apply)
        output = apply(state.variables, x)
        expected = arrays["forward_inference"]
        assert np.abs(output - expected).max() <= 1e-9 * np.abs(expected).max()

        step = jax.jit(train_step, static_argnums=0)
        for i in range(5):
            state, scores = step(config, state, (x, y), jax.random.key(0))
            assert float(scores["loss"].mean()) == pytest.approx(arrays["train_loss"][i], rel=1e-6)
            assert float(scores["accuracy"].mean()) == pytest.approx(arrays["train_accuracy"][i], abs=1e-6)

        final = {key[6:]: arrays[key] for key in arrays.files if key.startswith("final/")}
        final = from_keras(config.model, final)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-3), state.params, final["params"])
        statistics = final.get("batch_stats", {})
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6), state.batch_stats, statistics)

        output = apply(state.variables, x)
        assert float(config.task.loss(output, y).mean()) == pytest.approx(arrays["val_loss"], rel=1e-6)
        assert float(config.task.accuracy(output, y).mean()) == pytest.approx(arrays["val_accuracy"], rel=1e-6)


@pytest.mark.parametrize("name", EIGHTH)
def test_first_loss_is_keras_in_float32(golden, name):
    arrays, config, state, batch = keras_start(golden, name, np.float32)
    _, scores = jax.jit(train_step, static_argnums=0)(config, state, batch, jax.random.key(0))
    assert scores["loss"].dtype == jnp.float32
    assert float(scores["loss"].mean()) == pytest.approx(arrays["train_loss"][0], rel=1e-5)
