from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, equal_trees, tiny_data

from ae.models import UNet
from ae.runtime import devices
from ae.score.evaluate import _add_scores, evaluate, examples, examples_of_batch, noise_key, outputs_of_batch, predictor
from ae.score.pictures import pictures
from ae.tasks import Denoise
from ae.train import epoch as epochs
from ae.train import step
from ae.train.epoch import epoch_order, train_epoch
from ae.train.optimizer import learning_rates
from ae.train.step import DIAGNOSTICS, create_state, train_step, zero_sums


def test_a_schedule_moves_the_weights_as_far_as_its_rate(tiny, data):
    """Adam's first step is as long as the learning rate, for every weight that has a gradient."""
    train = data.train._replace(images=jnp.asarray(data.train.images[:8]))
    config = replace(tiny, schedule="one-cycle", learning_rate=0.1, epochs=10)
    before = create_state(config, data)
    *_, (after, _) = train_epoch(config, jax.tree.map(jnp.copy, before), train, 1)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), before.params, after.params)
    assert moved["Conv_1"]["kernel"] == pytest.approx(0.1 / 25, rel=0.01)


def test_the_average_of_the_weights_predicts(tiny, data):
    """The mean of all so far, until its decay has only the last ones in it."""
    config = replace(tiny, ema_decay=0.6)
    step, state = jax.jit(train_step, static_argnums=0), create_state(config, data)
    batch = examples(tiny.task, noise_key(1), data.train.images[:8], jnp.arange(8))
    assert equal_trees(state.params, state.average)
    average = state.params
    for share in (1, 1 / 2, 0.4, 0.4):
        state, _ = step(config, state, batch, jax.random.key(0))
        average = jax.tree.map(lambda old, new, share=share: old + share * (new - old), average, state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), average, state.variables["params"])


def test_the_diagnostics_are_those_of_the_last_step(tiny, data):
    """Norms over all weights, here with numpy; gradients are those of the mean loss."""
    train = data.train._replace(images=jnp.asarray(data.train.images[:8]))
    before = create_state(tiny, data)
    *_, (after, diagnostics) = train_epoch(tiny, jax.tree.map(jnp.copy, before), train, 1)
    trees = {"before": before.params, "after": after.params, "moment": after.opt_state.mu}
    flat = {name: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for name, tree in trees.items()}
    assert set(diagnostics) == set(DIAGNOSTICS)
    assert float(diagnostics["learning_rate"]) == pytest.approx(tiny.learning_rate)
    assert float(diagnostics["parameter_norm"]) == pytest.approx(np.linalg.norm(flat["after"]), rel=1e-5)
    assert float(diagnostics["update_norm"]) == pytest.approx(np.linalg.norm(flat["after"] - flat["before"]), rel=1e-3)
    assert float(diagnostics["gradient_norm"]) == pytest.approx(10 * np.linalg.norm(flat["moment"]), rel=1e-5)


def test_learning_rates_and_noise_are_values_of_one_program(tiny, data):
    """A second run is trained, scored and pictured with what the first has compiled, to the bits of its own programs."""
    configs = [
        replace(tiny, optimizer="adamw", learning_rate=rate, weight_decay=decay, task=Denoise(sigma), schedule=schedule)
        for rate, decay, sigma, schedule in ((0.01, 0.1, 0.2, "constant"), (0.03, 0.2, 0.5, "cosine"))
    ]
    train, predict = data.train._replace(images=jnp.asarray(data.train.images[:16])), predictor(tiny)
    programs = (step._creator(), epochs.train_steps, examples_of_batch, outputs_of_batch, _add_scores)
    for program in programs:
        program.clear_cache()
    states, compiled = [], []
    for config in configs:
        *_, (state, _) = train_epoch(config, devices.replicate(create_state(config, data)), train, 1)
        evaluate(predict, state.variables, config.task, data.validation)
        shown = pictures(predict, state.variables, config.task, data.validation)
        states.append(state)
        compiled.append([program._cache_size() for program in programs])
        np.testing.assert_allclose(shown[0], by_hand(config.task, data.validation, 10), atol=1e-6)
    assert compiled[0] == compiled[1]
    for config, state in zip(configs, states, strict=True):
        for program in programs:
            program.clear_cache()
        *_, (alone, _) = train_epoch(config, create_state(config, data), train, 1)
        assert equal_trees(alone.params, state.params)
    assert not equal_trees(states[0].params, states[1].params)


def by_hand(task, split, first):
    index = jnp.arange(min(first, len(split.images) - 1), len(split.images))
    return examples(task, noise_key(split.noise_id), split.images[index], index)[0]


@pytest.mark.parametrize("precision", ["default", "float32"])
def test_products_have_the_precision_of_the_configuration(tiny, data, precision):
    """Of outputs and of gradients; a CPU computes them in the same way."""
    config = replace(tiny, precision=precision, model=UNet((2, 2), residual=True))
    batch = examples(tiny.task, noise_key(1), data.train.images[:8], jnp.arange(8))
    state = create_state(config, data)
    lowered = jax.jit(train_step, static_argnums=0).trace(config, state, batch, jax.random.key(0))
    text = lowered.lower(lowering_platforms=("cuda",)).as_text()
    products = [line for line in text.splitlines() if "stablehlo.convolution" in line or "dot_general" in line]
    assert len(products) > 20
    assert all(("HIGHEST" in line) == (precision == "float32") for line in products)
    scored = jax.jit(predictor(config)).trace(state.variables, batch[0]).lower(lowering_platforms=("cuda",)).as_text()
    assert ("HIGHEST" in scored) == (precision == "float32")


def test_training_learns_from_its_own_task(tiny, data):
    train = data.train._replace(images=jnp.asarray(data.train.images))
    config = replace(tiny, task=Denoise(sigma=0.9), train_task=tiny.task)
    *_, (expected, _) = train_epoch(tiny, create_state(tiny, data), train, 1)
    *_, (state, _) = train_epoch(config, create_state(config, data), train, 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), expected.params, state.params)


def test_a_step_is_pure_and_jit_changes_nothing(tiny, data):
    state = create_state(tiny, data)
    batch = examples(tiny.task, noise_key(1), data.train.images[:8], jnp.arange(8))
    before = jax.tree.map(np.array, state)
    plain, scores = train_step(tiny, state, batch, jax.random.key(0))
    jitted, _ = jax.jit(train_step, static_argnums=0)(tiny, state, batch, jax.random.key(0))
    assert equal_trees(before, state)
    assert scores["loss"].shape == (8,)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), plain, jitted)


def test_an_objective_is_the_mean_of_the_losses(tiny, data):
    """Adam's first moment is a tenth of the first gradient."""
    state = create_state(tiny, data)
    inputs, targets = examples(tiny.task, noise_key(1), data.train.images[:8], jnp.arange(8))

    def mean_squared_error(params):
        output, _ = tiny.model.apply(state.variables | {"params": params}, inputs, train=True, mutable=["batch_stats"])
        return jnp.mean((output - targets) ** 2)

    gradients = jax.jit(jax.grad(mean_squared_error))(state.params)
    after, _ = train_step(tiny, state, (inputs, targets), jax.random.key(0))
    jax.tree.map(lambda m, g: np.testing.assert_allclose(m, g / 10, atol=1e-6), after.opt_state.mu, gradients)


def test_every_epoch_has_an_order_of_its_own():
    orders = [epoch_order(seed, epoch, 50).tolist() for seed in (0, 1) for epoch in (1, 2)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len(set(map(tuple, orders))) == 4
    assert orders[0] == epoch_order(0, 1, 50).tolist()


def test_the_numbers_of_a_seed_stay_the_same(tiny, data):
    """Whoever repeats a run gets its figures; where these change, so do all of them."""
    config = replace(tiny, seed=2**32 - 1, new_noise_each_epoch=True, learning_rate=0.01)
    state, train = create_state(config, data), data.train._replace(images=jnp.asarray(data.train.images))
    expected = [0.392651, -0.285705, -0.007867, 0.654473]
    np.testing.assert_allclose(state.params["Conv_0"]["kernel"][0, 0, 0], expected, atol=1e-5)
    assert epoch_order(np.uint32(config.seed), 3, 8).tolist() == [0, 2, 5, 3, 1, 7, 6, 4]
    *_, (state, _) = train_epoch(config, state, train, 3)
    assert float(state.sums["loss"]) / 37 == pytest.approx(1.32929, rel=1e-3)


@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
def test_an_epoch_is_keras_epoch(tiny, data, schedule):
    """Every image once, a last batch that is not full included, and the mean of the losses before each update."""
    tiny = replace(tiny, schedule=schedule, learning_rate=0.01)
    images = jnp.asarray(data.train.images)
    train = data.train._replace(images=images, start=100)
    *_, (state, _) = train_epoch(tiny, create_state(tiny, data), train, 1)
    assert int(state.sums["count"]) == len(images) == 37
    assert int(state.step) == 5

    expected, losses = create_state(tiny, data), []
    key = jax.random.fold_in(jax.random.key(tiny.seed), 1)
    order = jax.random.permutation(jax.random.fold_in(key, 1), 37)
    assert sorted(order.tolist()) == list(range(37))
    for first in range(0, 37, 8):
        index = order[first : first + 8]
        batch = examples(tiny.task, noise_key(data.train.noise_id), images[index], 100 + index)
        rate = learning_rates(tiny, 1, 5)[expected.step]
        expected, scores = train_step(tiny, expected, batch, key, rate=rate)
        losses += scores["loss"].tolist()
    assert float(state.sums["loss"]) / 37 == pytest.approx(np.mean(losses), rel=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), expected.params, state.params)


def test_images_of_two_sizes_come_in_turn(tiny, data, monkeypatch):
    """Each image once, both sizes spread over the epoch; and whoever goes on in between comes to the same bits."""
    monkeypatch.setattr(epochs, "TURN", 2)
    images = jnp.asarray(data.train.images)
    train, other = data.train._replace(images=images), data.train._replace(images=images[:19, :4, :4], start=50)
    assert [part for part, _, _ in epochs._turns([37, 19], 8)] == [0, 1, 0, 1, 0]
    states = [state for state, _ in kept(train_epoch(tiny, create_state(tiny, data), train, 1, [other]))]
    assert int(states[-1].sums["count"]) == 37 + 19
    assert int(states[-1].step) == 5 + 3
    for before in states[:-1]:
        *_, (after, _) = train_epoch(tiny, jax.tree.map(jnp.copy, before), train, 1, [other])
        jax.tree.map(np.testing.assert_array_equal, after, states[-1])


def kept(calls):
    """Copies of what comes, as each call takes the memory of the state before."""
    for state, diagnostics in calls:
        yield jax.tree.map(jnp.copy, state), diagnostics


class Dropped(nn.Module):
    """Dropout, and nothing else that training could change."""

    @nn.compact
    def __call__(self, x, train=False):
        return self.param("scale", nn.initializers.ones_init(), ()) * nn.Dropout(0.5, deterministic=not train)(x)


def test_every_step_drops_others(tiny, data):
    config = replace(tiny, model=Dropped(), learning_rate=1e-30, batch_size=1)
    train = data.train._replace(images=jnp.asarray(data.train.images[:1]))

    def losses(seed):
        state, config_of_seed = create_state(config, data), replace(config, seed=seed)
        for epoch in (1, 2):
            *_, (state, _) = train_epoch(config_of_seed, state.replace(sums=zero_sums()), train, epoch)
            yield float(state.sums["loss"])

    first, second = losses(0)
    assert first != second
    assert [first, second] == list(losses(0))


def test_training_gives_the_memory_of_the_state_on(tiny, data):
    train, before = data.train._replace(images=jnp.asarray(data.train.images)), create_state(tiny, data)
    next(train_epoch(tiny, before, train, 1))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before.params))


class Precision(nn.Module):
    """Gives the bits of its inputs and weights."""

    @nn.compact
    def __call__(self, x, train=False):
        weight = self.param("weight", nn.initializers.ones_init(), ())
        return jnp.stack([jnp.full_like(x, jnp.finfo(dtype).bits) for dtype in (x.dtype, weight.dtype)])


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 32), ("bfloat16", 16)])
def test_the_model_computes_in_the_precision_of_the_configuration(tiny, data, dtype, bits):
    config = replace(tiny, model=Precision(), dtype=dtype)
    state = create_state(config, data)
    output = predictor(config)(state.variables, jnp.zeros((1, 2, 2, 1)))
    assert output.dtype == jnp.float32
    np.testing.assert_array_equal(output, bits)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.variables)} == {jnp.dtype("float32")}


def test_a_step_in_bfloat16_keeps_the_state_in_float32(tiny, data):
    batch = examples(tiny.task, noise_key(1), data.train.images[:8], jnp.arange(8))
    state = create_state(tiny, data)
    whole, half = (
        jax.jit(train_step, static_argnums=0)(replace(tiny, dtype=dtype), state, batch, jax.random.key(0))
        for dtype in ("float32", "bfloat16")
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(half[0].variables)} == {jnp.dtype("float32")}
    assert not np.array_equal(whole[1]["loss"], half[1]["loss"])
    np.testing.assert_allclose(whole[1]["loss"], half[1]["loss"], rtol=0.02)


@pytest.mark.parametrize(("new_noise", "same"), [(False, True), (True, False)])
def test_noise_is_drawn_once_or_anew_each_epoch(data, new_noise, same, monkeypatch):
    config = replace(TINY, new_noise_each_epoch=new_noise, epochs=1)
    seen, epoch = {}, 0

    def record(task, key, images, index):
        inputs, targets = examples(task, key, images, index)
        seen.setdefault(epoch, {}).update(zip(index.tolist(), np.array(inputs), strict=True))
        return inputs, targets

    data = data._replace(train=data.train._replace(images=data.train.images[:8]))
    state = create_state(config, data)
    monkeypatch.setattr("ae.train.epoch.examples", record)
    with jax.disable_jit():
        for epoch in (1, 2):
            state = state.replace(sums=zero_sums())
            *_, (state, _) = train_epoch(
                config, state, data.train._replace(images=jnp.asarray(data.train.images)), epoch
            )
    assert np.array_equal(seen[1][5], seen[2][5]) == same


def test_data_for_the_loop_is_ragged():
    data = tiny_data()
    assert len(data.train.images) % TINY.batch_size
    assert len(data.validation.images) % TINY.batch_size
