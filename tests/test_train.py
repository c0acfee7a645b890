import shutil
import signal
import tempfile
import threading
import time
import zlib
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import TINY, equal_trees, killed, says, slow_training, tiny_data

from ae import load_model, progress, run, train
from ae.early_stopping import EarlyStop
from ae.errors import InputError, TrainingError
from ae.evaluation import evaluate, examples, noise_key
from ae.models import UNet
from ae.optimizer import learning_rate
from ae.reference import REPORTED
from ae.tasks import Denoise
from ae.train import _zero_sums, create_state, epoch_order, fit, keras_adam, predictor, restore, train_epoch, train_step


def stops(losses, patience=2):
    """(epochs run, best epoch) of Keras' rule on a list of validation losses."""
    rule = EarlyStop(patience)
    for loss in losses:
        rule = rule.update(loss)
        if rule.stop:
            break
    return rule.epoch, rule.best_epoch


# Values that round to the printed ones; as printed, the ConvAE's epoch 10 only ties with epoch 8 and would end it.
CONV_AE = [.1135, .0472, .0075, .0052, .0063, .0050, .00496, .00474, .0048, .00466, .0049, .0045, .0049, .0047]  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (REPORTED["pixel_mlp"]["val_loss_by_epoch"], (7, 5)),
        (REPORTED["colorizer_ae"]["val_loss_by_epoch"], (8, 6)),
        (CONV_AE, (14, 12)),
        (REPORTED["conv_ae"]["val_loss_by_epoch"][:10], (10, 8)),
        ([3, 2, 1, 0.5], (4, 4)),
        ([1, 1, 1, 0.5], (3, 1)),
        ([1, 2, 0.5, 3, 4], (5, 3)),
    ],
)
def test_early_stopping_is_keras_rule(losses, expected):
    assert stops(losses) == expected


def test_literal_losses_round_to_the_printed_ones():
    assert [round(loss, 4) for loss in CONV_AE] == REPORTED["conv_ae"]["val_loss_by_epoch"]


def test_early_stopping_is_a_value():
    rule = EarlyStop(2)
    rule.update(1.0)
    assert rule == EarlyStop(2)
    history = tuple({"val_loss": loss} for loss in (3.0, 1.0, 2.0))
    assert EarlyStop.after(history, 2) == EarlyStop(2).update(3.0).update(1.0).update(2.0)


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


def test_a_schedule_moves_the_weights_as_far_as_its_rate(tiny, data):
    """Adam's first step is as long as the learning rate, for every weight that has a gradient."""
    train = data.train._replace(images=jnp.asarray(data.train.images[:8]))
    config = replace(tiny, schedule="one-cycle", learning_rate=0.1, epochs=10)
    before = create_state(config, data)
    *_, after = train_epoch(config, jax.tree.map(jnp.copy, before), train, 1)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), before.params, after.params)
    assert moved["Conv_1"]["kernel"] == pytest.approx(0.1 / 25, rel=0.01)


def test_the_average_of_the_weights_predicts(tiny, data):
    """The mean of all so far, until its decay has only the last ones in it."""
    config = replace(tiny, average=0.6)
    step, state = jax.jit(train_step, static_argnums=0), create_state(config, data)
    batch = examples(tiny.task, noise_key(1), data.train.images[:8], jnp.arange(8))
    assert equal_trees(state.params, state.average)
    average = state.params
    for share in (1, 1 / 2, 0.4, 0.4):
        state, _ = step(config, state, batch, jax.random.key(0))
        average = jax.tree.map(lambda old, new, share=share: old + share * (new - old), average, state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), average, state.variables["params"])


def test_training_learns_from_its_own_task(tiny, data):
    train = data.train._replace(images=jnp.asarray(data.train.images))
    config = replace(tiny, task=Denoise(sigma=0.9), train_task=tiny.task)
    *_, expected = train_epoch(tiny, create_state(tiny, data), train, 1)
    *_, state = train_epoch(config, create_state(config, data), train, 1)
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
    config = replace(tiny, seed=2**32 - 1, fresh=True, learning_rate=0.01)
    state, train = create_state(config, data), data.train._replace(images=jnp.asarray(data.train.images))
    expected = [0.392651, -0.285705, -0.007867, 0.654473]
    np.testing.assert_allclose(state.params["Conv_0"]["kernel"][0, 0, 0], expected, atol=1e-5)
    assert epoch_order(np.uint32(config.seed), 3, 8).tolist() == [0, 2, 5, 3, 1, 7, 6, 4]
    *_, state = train_epoch(config, state, train, 3)
    assert float(state.sums["loss"]) / 37 == pytest.approx(1.32929, rel=1e-3)


@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
def test_an_epoch_is_keras_epoch(tiny, data, schedule):
    """Every image once, a last batch that is not full included, and the mean of the losses before each update."""
    tiny = replace(tiny, schedule=schedule, learning_rate=0.01)
    images = jnp.asarray(data.train.images)
    train = data.train._replace(images=images, start=100)
    *_, state = train_epoch(tiny, create_state(tiny, data), train, 1)
    assert int(state.sums["count"]) == len(images) == 37
    assert int(state.step) == 5

    expected, losses = create_state(tiny, data), []
    key = jax.random.fold_in(jax.random.key(tiny.seed), 1)
    order = jax.random.permutation(jax.random.fold_in(key, 1), 37)
    assert sorted(order.tolist()) == list(range(37))
    for first in range(0, 37, 8):
        index = order[first : first + 8]
        batch = examples(tiny.task, noise_key(data.train.source), images[index], 100 + index)
        rate = learning_rate(schedule, 0.01, 3 * 5, expected.step)
        expected, scores = train_step(tiny, expected, batch, key, rate=rate)
        losses += scores["loss"].tolist()
    assert float(state.sums["loss"]) / 37 == pytest.approx(np.mean(losses), rel=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), expected.params, state.params)


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
            *_, state = train_epoch(config_of_seed, state.replace(sums=_zero_sums()), train, epoch)
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


@pytest.mark.parametrize(("fresh", "same"), [(False, True), (True, False)])
def test_noise_is_drawn_once_or_anew_each_epoch(data, fresh, same, monkeypatch):
    config = replace(TINY, fresh=fresh, epochs=1)
    seen, epoch = {}, 0

    def record(task, key, images, index):
        inputs, targets = examples(task, key, images, index)
        seen.setdefault(epoch, {}).update(zip(index.tolist(), np.array(inputs), strict=True))
        return inputs, targets

    data = data._replace(train=data.train._replace(images=data.train.images[:8]))
    state = create_state(config, data)
    monkeypatch.setattr(train, "examples", record)
    with jax.disable_jit():
        for epoch in (1, 2):
            state = state.replace(sums=_zero_sums())
            *_, state = train_epoch(config, state, data.train._replace(images=jnp.asarray(data.train.images)), epoch)
    assert np.array_equal(seen[1][5], seen[2][5]) == same


def cut_in_single_steps(first, last, **kwargs):
    yield from ((i, i + 1) for i in range(first, last))


@pytest.mark.parametrize(("seconds", "images"), [(0, 16), (3600, None)])
def test_checkpoints_are_written_within_an_epoch(tiny, data, tmp_path, monkeypatch, seconds, images):
    def stopped_after_two(first, last, **kwargs):
        yield from ((0, 1), (1, 2))
        raise OSError("the power is cut")

    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", seconds)
    monkeypatch.setattr(progress, "paced", stopped_after_two)
    with pytest.raises(OSError, match="power"):
        fit(tiny, data, out=tmp_path / "run")
    if images is None:
        with pytest.raises(InputError, match="no checkpoint"):
            restore(tmp_path / "run", tiny)
    else:
        state, history = restore(tmp_path / "run", tiny)
        assert (int(state.sums["count"]), int(state.step), history) == (images, 2, ())


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (9, 5)])
def test_training_stops_early(tiny, data, tmp_path, monkeypatch, patience, epochs):
    losses, sizes = iter([3.0, 1.0, 2.0, 4.0, 5.0]), []

    def evaluate(*args, batch_size):
        sizes.append(batch_size)
        return {"loss": next(losses), "accuracy": 0.0}

    monkeypatch.setattr(train, "evaluate", evaluate)
    config = replace(tiny, epochs=5, patience=patience)
    _, history = fit(config, data, out=tmp_path / "run")
    assert [row["epoch"] for row in history] == list(range(1, epochs + 1))
    assert fit(config, data, out=tmp_path / "run", resume=True)[1] == history
    assert sizes == [tiny.batch_size] * epochs


def test_a_bar_an_epoch_counts_the_images(tiny, data, monkeypatch):
    bars, usual = [], progress.bar
    monkeypatch.setattr(progress, "bar", lambda *args, **kwargs: bars.append(usual(*args, **kwargs)) or bars[-1])
    monkeypatch.setattr(progress, "paced", cut_in_single_steps)
    _, history = fit(replace(tiny, epochs=2), data)
    assert [(bar.desc, bar.total, bar.n) for bar in bars[::2]] == [("epoch 1/2", 37, 37), ("epoch 2/2", 37, 37)]
    assert [bar.postfix for bar in bars[::2]] == [f"loss={row['loss']:.4f}" for row in history]


@pytest.mark.usefixtures("ctrl_c")
def test_a_bar_goes_on_where_the_epoch_does(tiny, data, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "paced", interrupt_after(3))
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, data, out=tmp_path / "run")
    bars, usual = [], progress.bar
    monkeypatch.setattr(progress, "bar", lambda *args, **kwargs: bars.append(usual(*args, **kwargs)) or bars[-1])
    fit(tiny, data, out=tmp_path / "run", resume=True)
    assert (bars[0].initial, bars[0].n) == (32, 37)  # the call under way ended


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_validation_at_once(tiny, data, monkeypatch):
    went_on = []

    def interrupted(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        went_on.append(True)

    monkeypatch.setattr(train, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, data)
    assert not went_on


def test_the_cut_into_calls_changes_nothing(tiny, data, monkeypatch):
    state, history = fit(tiny, data)
    monkeypatch.setattr(progress, "paced", cut_in_single_steps)
    other, other_history = fit(tiny, data)
    assert equal_trees(state, other)
    assert timeless(history) == timeless(other_history)


def timeless(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def test_training_learns_and_says_what_on(tiny, data, capsys, tmp_path):
    state, history = fit(replace(tiny, epochs=12, patience=12), data, out=tmp_path / "run")
    assert history[-1]["val_loss"] < 0.5 * history[0]["val_loss"]
    assert {row["validation"] for row in history} == {"validation"}
    assert "epoch  12  loss" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "run/tensorboard").iterdir()]
    assert (tmp_path / "run/history.csv").read_text().count("\n") == 13
    # the history's validation loss is that of the state it ends with
    loss = evaluate(predictor(tiny), state.variables, tiny.task, data.validation)["loss"]
    assert history[-1]["val_loss"] == pytest.approx(loss, rel=1e-5)


def test_evaluation_drops_no_ragged_batch(tiny, data):
    variables = create_state(tiny, data).variables
    inputs, targets = examples(tiny.task, noise_key(2), data.validation.images, jnp.arange(11))
    expected = ((predictor(tiny)(variables, inputs) - targets) ** 2).mean()
    for size in (1, 4, 11, 256):
        scores = evaluate(predictor(tiny), variables, tiny.task, data.validation, batch_size=size)
        assert scores["loss"] == pytest.approx(float(expected), rel=1e-5)


def interrupt_after(calls):
    """A `paced` that cuts into single steps and presses Ctrl-C after some of them."""
    count = 0

    def paced(first, last, **kwargs):
        nonlocal count
        for i in range(first, last):
            yield i, i + 1
            count += 1
            if count == calls:
                signal.raise_signal(signal.SIGINT)

    return paced


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("calls", [1, 3, 5, 6, 11])  # within epochs, and in validation (6)
def test_an_interrupted_run_resumes_to_the_same_bits(tiny, data, tmp_path, monkeypatch, calls):
    state, history = fit(tiny, data, out=tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(progress, "paced", interrupt_after(calls))
        with pytest.raises(KeyboardInterrupt):
            fit(tiny, data, out=tmp_path / "cut")
    resumed, resumed_history = fit(tiny, data, out=tmp_path / "cut", resume=True)
    assert equal_trees(state, resumed)
    assert timeless(history) == timeless(resumed_history)
    assert (tmp_path / "whole/history.csv").read_bytes() == (tmp_path / "cut/history.csv").read_bytes()


def test_a_killed_run_resumes_to_the_same_bits(data, tmp_path):
    config = replace(TINY, epochs=6, patience=6)
    state, history = fit(config, data, out=tmp_path / "whole")
    rng = np.random.default_rng(0)
    for _ in range(3):
        killed(slow_training(tmp_path / "killed", 6), says("training"), rng.uniform(1, 4))
    resumed, resumed_history = fit(config, data, out=tmp_path / "killed", resume=True)
    assert equal_trees(state, resumed)
    assert timeless(history) == timeless(resumed_history)
    assert (tmp_path / "whole/history.csv").read_bytes() == (tmp_path / "killed/history.csv").read_bytes()


def test_a_run_whose_last_checkpoint_was_damaged_ends_the_same(tiny, data, tmp_path, capsys):
    state, history = fit(tiny, data, out=tmp_path / "whole")
    fit(replace(tiny, epochs=2), data, out=tmp_path / "cut")
    last = max((tmp_path / "cut/checkpoints").iterdir(), key=lambda path: int(path.name))
    for path in last.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:40])
    resumed, resumed_history = fit(tiny, data, out=tmp_path / "cut", resume=True)
    assert "is damaged, using another" in capsys.readouterr().err
    assert equal_trees(state, resumed)
    assert timeless(history) == timeless(resumed_history)


def test_more_epochs_can_be_added(tiny, data, tmp_path):
    state, _ = fit(replace(tiny, epochs=3, patience=9), data, out=tmp_path / "whole")
    fit(replace(tiny, epochs=1, patience=9), data, out=tmp_path / "cut")
    resumed, history = fit(replace(tiny, epochs=3, patience=9), data, out=tmp_path / "cut", resume=True)
    assert equal_trees(state, resumed)
    assert [row["epoch"] for row in history] == [1, 2, 3]


def test_a_longer_run_begins_with_what_a_shorter_one_has_trained(tiny, data, tmp_path):
    longer = replace(tiny, name="longer", epochs=3, patience=9)
    state, history = fit(longer, data, out=tmp_path / "whole")
    fit(replace(tiny, epochs=2, patience=1), data, out=tmp_path / "short")
    run.begin_with(tmp_path / "long", longer, tmp_path / "short")
    resumed, resumed_history = fit(longer, data, out=tmp_path / "long", resume=True)
    _, first = restore(tmp_path / "short", tiny)
    assert resumed_history[: len(first)] == first
    assert equal_trees(state, resumed)
    assert timeless(history) == timeless(resumed_history)


@pytest.mark.parametrize("name", ["test", "val", "train2017", "train"])
def test_every_split_name_trains(tiny, data, name):
    source = zlib.crc32(name.encode())
    renamed = data._replace(**{part: getattr(data, part)._replace(source=source) for part in ("train", "validation")})
    _, history = fit(replace(tiny, epochs=1), renamed)
    assert np.isfinite(history[0]["val_loss"])


def test_every_seed_of_32_bits_trains_and_is_another_run(tiny, data):
    losses = {fit(replace(tiny, epochs=1, seed=seed), data)[1][0]["loss"] for seed in (0, 2**31 - 1, 2**31, 2**32 - 1)}
    assert len(losses) == 4


def test_the_noise_of_a_split_is_what_it_was():
    """As runs before today's had it, for checksums of less than 2**31."""
    expected = jax.random.fold_in(jax.random.fold_in(jax.random.key(5), 2), 1234567890)
    assert jax.random.key_data(noise_key(np.uint32(1234567890), seed=np.uint32(5))).tolist() == (
        jax.random.key_data(expected).tolist()
    )


def test_a_run_leaves_its_last_and_its_best_weights(tiny, data, tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(train, "evaluate", lambda *args, **kwargs: {"loss": next(losses), "accuracy": 0.0})
    state, _ = fit(tiny, data, out=tmp_path / "run")
    best, _ = restore(tmp_path / "run", tiny, best=True)
    for checkpoint, expected, epochs in ((None, state, 3), ("last", state, 3), ("best", best, 2)):
        trained = load_model(str(tmp_path / "run"), preset=tiny, checkpoint=checkpoint)
        assert equal_trees(trained.variables, expected.variables)
        assert trained.result == {"preset": "tiny", "epochs": epochs, "input_shape": [12, 12, 1]}
    shutil.rmtree(tmp_path / "run/checkpoints")
    assert equal_trees(load_model(str(tmp_path / "run"), preset=tiny).variables, state.variables)


def test_a_run_of_an_earlier_version_is_read_from_its_checkpoints(tiny, data, tmp_path):
    state, _ = fit(tiny, data, out=tmp_path / "run")
    for weights in (tmp_path / "run").glob("*.safetensors"):
        weights.unlink()
    trained = load_model(str(tmp_path / "run"), preset=tiny)
    assert equal_trees(trained.variables, state.variables)
    assert trained.result["epochs"] == 3


def test_a_model_of_colour_images_is_read_without_its_data(data, tmp_path):
    colour = {
        part: getattr(data, part)._replace(images=np.repeat(getattr(data, part).images, 3, -1))
        for part in ("train", "validation", "test")
    }
    config = replace(TINY, model=UNet((2, 2), outputs=3, residual=True), epochs=1)
    state, _ = fit(config, data._replace(**colour), out=tmp_path / "run")
    trained = load_model(str(tmp_path / "run"))
    assert trained.input_shape == (12, 12, 3)
    assert equal_trees(trained.variables, state.variables)
    assert trained(np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 8, 8, 3)


def test_a_score_for_a_whole_batch_is_refused(tiny, data):
    class Whole(Denoise):
        def loss(self, output, target):
            return jnp.mean((output - target) ** 2)

    with pytest.raises(InputError, match=r"Whole.loss has to give one number an image, \[B\], not \(\)"):
        fit(replace(tiny, task=Whole()), data)


def test_a_run_does_not_begin_with_another_training(tiny, data, tmp_path):
    fit(replace(tiny, epochs=1), data, out=tmp_path / "run")
    run.begin_with(tmp_path / "other", replace(tiny, seed=1), tmp_path / "run")
    run.begin_with(tmp_path / "no_longer", replace(tiny, epochs=1), tmp_path / "run")
    run.begin_with(tmp_path / "again", tiny, tmp_path / "none")
    assert not (tmp_path / "no_longer").exists()
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "again").exists()


def test_a_loss_that_is_not_finite_stops_and_leaves_the_last_checkpoint(tiny, data, tmp_path):
    wild = replace(tiny, learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"no longer finite in epoch 1"):
        fit(wild, data, out=tmp_path / "run")

    good, _ = fit(replace(tiny, epochs=1), data, out=tmp_path / "good")
    broken = data._replace(validation=data.validation._replace(images=np.full((3, 12, 12, 1), np.nan, np.float32)))
    with pytest.raises(TrainingError, match="epoch 2"):
        fit(tiny, broken, out=tmp_path / "good", resume=True)
    state, history = restore(tmp_path / "good", tiny)
    assert equal_trees(state, good)
    assert len(history) == 1


@pytest.mark.parametrize(("seconds", "batch_size"), [(0, 8), (3600, 37)])
def test_weights_that_are_not_finite_are_not_saved(tiny, data, tmp_path, monkeypatch, seconds, batch_size):
    """Within an epoch and at its end, where the loss before the update was finite."""
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", seconds)
    wild = replace(tiny, learning_rate=1e30, batch_size=batch_size)
    with pytest.raises(TrainingError, match=r"no longer finite in epoch 1"):
        fit(wild, data, out=tmp_path / "run")
    with pytest.raises(InputError, match="no checkpoint"):
        restore(tmp_path / "run", wild)


def test_the_best_checkpoint_is_kept(tiny, data, tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 4.0, 5.0])
    monkeypatch.setattr(train, "evaluate", lambda *args, **kwargs: {"loss": next(losses), "accuracy": 0.0})
    fit(replace(tiny, epochs=5, patience=5), data, out=tmp_path / "run")
    _, history = restore(tmp_path / "run", replace(tiny, patience=5), best=True)
    assert len(history) == 2
    _, history = restore(tmp_path / "run", replace(tiny, patience=5))
    assert len(history) == 5
    assert len([path for path in (tmp_path / "run/checkpoints").iterdir() if path.name.isdigit()]) == 3


def test_a_run_is_not_overwritten_nor_mixed_with_another(tiny, data, tmp_path):
    fit(replace(tiny, epochs=1), data, out=tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already: --resume"):
        fit(tiny, data, out=tmp_path / "run")
    with pytest.raises(InputError, match="learning_rate is 0.001, not 0.1"):
        fit(replace(tiny, learning_rate=0.1), data, out=tmp_path / "run", resume=True)


def test_checkpoints_of_another_configuration_are_refused(tiny, data, tmp_path):
    fit(replace(tiny, epochs=1), data, out=tmp_path / "run")
    other = replace(tiny, seed=1)
    run.write_text(tmp_path / "run/config.json", __import__("json").dumps(other.to_dict()))
    with pytest.raises(InputError, match="seed is 0, not 1"):
        fit(other, data, out=tmp_path / "run", resume=True)


@pytest.mark.parametrize("place", ["file/run", "/proc/run"])
def test_an_unwritable_directory_is_refused(tiny, data, tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to .*choose another --out"):
        fit(tiny, data, out=tmp_path / place)


def test_training_works_off_the_main_thread(tiny, data):
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(replace(tiny, epochs=1), data)))
    thread.start()
    thread.join()
    assert len(results[0][1]) == 1


def test_ignored_interrupts_stay_ignored(tiny, data, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(progress, "paced", interrupt_after(2))
    _, history = fit(replace(tiny, epochs=1), data)
    signal.signal(signal.SIGINT, before)
    assert len(history) == 1


def test_handlers_are_put_back(tiny, data):
    before = signal.getsignal(signal.SIGINT)
    fit(replace(tiny, epochs=1), data)
    assert signal.getsignal(signal.SIGINT) is before


def test_paced_ranges_cover_everything_and_grow_with_speed():
    ranges = list(progress.paced(3, 1000))
    assert [first for first, _ in ranges] == [3, *(last for _, last in ranges[:-1])]
    assert ranges[-1][1] == 1000
    assert len(ranges) < 15
    sizes = []
    for first, last in progress.paced(0, 60, seconds=0.02):
        sizes.append(last - first)
        time.sleep(0.005 * (last - first))
    assert max(sizes) <= 6


def test_fit_without_a_directory_leaves_nothing(tiny, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    fit(replace(tiny, epochs=1), data)
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "temporary"}
    assert not list((tmp_path / "temporary").rglob("checkpoints"))


def test_data_for_the_loop_is_ragged():
    data = tiny_data()
    assert len(data.train.images) % TINY.batch_size
    assert len(data.validation.images) % TINY.batch_size
