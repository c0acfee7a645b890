import csv
import json
import shutil
import signal
import tempfile
import threading
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import TINY, equal_trees, killed, says, slow_training
from flax import struct

from ae import load_model
from ae.errors import InputError, TrainingError
from ae.models import UNet
from ae.presets import PRESETS, with_bases
from ae.runtime import progress
from ae.runtime.peak import peak_flops
from ae.score.evaluate import evaluate, predictor
from ae.tasks import Denoise
from ae.train import epoch, log, run
from ae.train import loop as train
from ae.train.checkpoint import Checkpoints
from ae.train.loop import fit, read_trained, restore
from ae.train.step import create_state, with_initial_weights


def cut_in_single_steps(first, last, **kwargs):
    yield from ((i, i + 1) for i in range(first, last))


@pytest.fixture
def blocks_of_one_step(monkeypatch):
    """So that there is something between the steps of a tiny epoch."""
    monkeypatch.setattr(epoch, "MOST_STEPS", 1)


@pytest.mark.usefixtures("blocks_of_one_step")
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


@pytest.mark.usefixtures("ctrl_c", "blocks_of_one_step")
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


def rows_of(path):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if row["val_loss"]], [row for row in rows if not row["val_loss"]]


@pytest.mark.usefixtures("blocks_of_one_step")
def test_rows_of_steps_are_logged_beside_those_of_epochs(tiny, data, tmp_path, monkeypatch):
    """After every call but the first of an epoch and that after a row, where no time has to pass between two."""
    monkeypatch.setattr(log, "LOG_SECONDS", 0)
    monkeypatch.setattr(progress, "paced", cut_in_single_steps)
    _, history = fit(replace(tiny, epochs=2), data, out=tmp_path / "run")
    epochs, steps = rows_of(tmp_path / "run/history.csv")
    assert [float(row["val_loss"]) for row in epochs] == [row["val_loss"] for row in history]
    assert [(row["epoch"], row["step"]) for row in steps] == [("1", "2"), ("1", "4"), ("2", "7"), ("2", "9")]
    for row in steps:
        assert float(row["learning_rate"]) == pytest.approx(tiny.learning_rate)
        assert 0 < float(row["update_norm"]) < float(row["parameter_norm"])
        speed, share = float(row["images_per_second"]), float(row["share_of_peak"])
        products = 144 * 9 * (4 + 4)  # two convolutions on 12x12 pixels
        assert share == pytest.approx(speed * 6 * products / peak_flops("float32", "default"))
    assert {path.name for path in (tmp_path / "run/tensorboard/steps").iterdir()}


def test_the_share_of_the_peak_is_of_the_crops_that_are_trained_on(tiny, data, tmp_path, monkeypatch):
    monkeypatch.setattr(log, "LOG_SECONDS", 0)
    monkeypatch.setattr(epoch, "MOST_STEPS", 1)
    monkeypatch.setattr(progress, "paced", cut_in_single_steps)
    fit(replace(tiny, epochs=1, train_task=Denoise(0.3, crop=6)), data, out=tmp_path / "run")
    _, (row, *_) = rows_of(tmp_path / "run/history.csv")
    products = 36 * 9 * (4 + 4)  # two convolutions on 6x6 pixels
    share = float(row["images_per_second"]) * 6 * products / peak_flops("float32", "default")
    assert float(row["share_of_peak"]) == pytest.approx(share)


@pytest.mark.usefixtures("ctrl_c", "blocks_of_one_step")
def test_rows_of_steps_come_back_once_after_an_interrupt(tiny, data, tmp_path, monkeypatch):
    """Those after the last checkpoint are trained and logged again."""
    monkeypatch.setattr(log, "LOG_SECONDS", 0)
    monkeypatch.setattr(progress, "paced", interrupt_after(9))
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, data, out=tmp_path / "run")
    before = rows_of(tmp_path / "run/history.csv")[1]
    monkeypatch.setattr(progress, "paced", cut_in_single_steps)
    monkeypatch.setattr(log, "LOG_SECONDS", 1e9)
    fit(tiny, data, out=tmp_path / "run", resume=True)
    epochs, steps = rows_of(tmp_path / "run/history.csv")
    assert steps == before
    assert [row["epoch"] for row in epochs] == ["1", "2", "3"]


def test_a_longer_run_counts_epochs_and_no_rows_of_steps(tiny, data, tmp_path, monkeypatch):
    monkeypatch.setattr(log, "LOG_SECONDS", 0)
    monkeypatch.setattr(progress, "paced", cut_in_single_steps)
    fit(replace(tiny, epochs=2), data, out=tmp_path / "short")
    run.start_from(tmp_path / "long", replace(tiny, epochs=3), tmp_path / "short")
    assert (tmp_path / "long/checkpoints").is_dir()


def test_a_profile_is_a_trace_and_changes_nothing(tiny, data, tmp_path):
    data = data._replace(train=data.train._replace(images=np.tile(data.train.images, (5, 1, 1, 1))))
    plain, _ = fit(replace(tiny, epochs=1), data)
    state, _ = fit(replace(tiny, epochs=1), data, out=tmp_path / "run", profile=True)
    assert equal_trees(plain, state)
    (trace,) = (tmp_path / "run/tensorboard/plugins/profile").rglob("*.xplane.pb")
    planes = jax.profiler.ProfileData.from_file(str(trace)).planes
    lines = [line for plane in planes for line in plane.lines if line.name.startswith("tf_XLA")]
    times = Counter(event.name for line in lines for event in line.events)  # that each operation has run
    assert Counter(times.values()).most_common(1)[0][0] == 20


class FormerState(struct.PyTreeNode):
    """The tree of the checkpoints that there are."""

    step: Any
    params: Any
    batch_stats: Any
    opt_state: optax.ScaleByAdamState
    average: Any
    sums: dict[str, Any]


def test_checkpoints_of_earlier_versions_go_on(tiny, data, tmp_path):
    """Whose tree is spelt out above, with a record and a configuration that lack what is newer."""
    expected, _ = fit(replace(tiny, epochs=2), data, out=tmp_path / "whole")
    state, history = fit(replace(tiny, epochs=1), data, out=tmp_path / "run")
    moments = optax.ScaleByAdamState(state.opt_state.count, state.opt_state.mu, state.opt_state.nu)
    sums = {"loss": np.float32(0), "accuracy": np.float32(0), "count": np.int32(0)}
    former = FormerState(state.step, state.params, state.batch_stats, moments, {}, sums)
    config = replace(tiny, epochs=2).to_dict()
    for name in ("optimizer", "warmup_steps", "weight_decay", "clip_norm", "precision"):
        del config[name]
    shutil.rmtree(tmp_path / "run/checkpoints")
    checkpoints = Checkpoints(tmp_path / "run/checkpoints")
    checkpoints.save(6, former, {"config": config, "history": history, "elapsed": 1.0}, score=history[0]["val_loss"])
    checkpoints.close()
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    resumed, history = fit(replace(tiny, epochs=2, precision="float32"), data, out=tmp_path / "run", resume=True)
    assert [row["epoch"] for row in history] == [1, 2]
    assert equal_trees(expected, resumed)


@pytest.mark.parametrize(
    "fields", [{"optimizer": "adamw", "weight_decay": 0.1}, {"optimizer": "muon"}, {"clip_norm": 0.1}]
)
def test_other_optimizers_resume_to_the_same_bits(tiny, data, tmp_path, fields):
    config = replace(tiny, **fields, schedule="cosine", warmup_steps=2, learning_rate=0.01)
    state, _ = fit(config, data, out=tmp_path / "whole")
    with pytest.raises(InputError, match="epochs is 3, not 2"):  # on which the schedule depends
        fit(replace(config, epochs=2), data, out=tmp_path / "whole", resume=True)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    last = max((tmp_path / "cut/checkpoints").iterdir(), key=lambda path: int(path.name))
    shutil.rmtree(last)
    resumed, history = fit(config, data, out=tmp_path / "cut", resume=True)
    assert len(history) == 3
    assert equal_trees(state, resumed)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_run_begins_with_the_weights_of_another(tiny, data, tmp_path, decay):
    first, _ = fit(tiny, data, out=tmp_path / "first")
    other = replace(tiny, name="other", initial_weights=str(tmp_path / "first/weights.safetensors"), ema_decay=decay)
    state = with_initial_weights(other, create_state(other, data))
    assert equal_trees(state.variables, first.variables)
    assert equal_trees(state.params, first.params)
    second, _ = fit(replace(other, learning_rate=1e-9), data, out=tmp_path / "second")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), second.params, first.params)


def test_weights_of_another_model_are_refused_to_begin_with(tiny, data):
    with pytest.raises(InputError, match="chroma_unet has the weights of another model than"):
        fit(replace(tiny, initial_weights="chroma_unet"), data)
    with pytest.raises(InputError, match="cannot begin with its initial_weights: none.safetensors does not exist"):
        fit(replace(tiny, initial_weights="none.safetensors"), data)


def test_presets_come_after_those_with_whose_weights_they_begin(tmp_path):
    base, preset = with_bases(PRESETS["chroma_unet"], tmp_path)
    assert base == PRESETS["chroma_unet_base"]
    assert preset.initial_weights == str(tmp_path / "chroma_unet_base/weights.safetensors")
    assert with_bases(PRESETS["chroma_unet"], Path("runs"))[-1] == PRESETS["chroma_unet"]
    (tmp_path / "chroma_unet_base").mkdir()
    (tmp_path / "chroma_unet_base/weights.safetensors").write_bytes(b"")
    assert with_bases(PRESETS["chroma_unet"], tmp_path) == [preset]
    (tmp_path / "chroma_unet_base/checkpoints").mkdir()  # of a run that has not come to its end
    assert with_bases(PRESETS["chroma_unet"], tmp_path) == [base, preset]
    (tmp_path / "chroma_unet_base/metrics.json").write_text("{}")
    assert with_bases(PRESETS["chroma_unet"], tmp_path) == [preset]
    camera = PRESETS["camera_denoiser"]  # which begins with a model of the package
    assert with_bases(camera, tmp_path) == [camera]


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


@pytest.mark.usefixtures("ctrl_c", "blocks_of_one_step")
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
    run.start_from(tmp_path / "long", longer, tmp_path / "short")
    resumed, resumed_history = fit(longer, data, out=tmp_path / "long", resume=True)
    _, first = restore(tmp_path / "short", tiny)
    assert resumed_history[: len(first)] == first
    assert equal_trees(state, resumed)
    assert timeless(history) == timeless(resumed_history)


@pytest.mark.parametrize("name", ["test", "val", "train2017", "train"])
def test_every_split_name_trains(tiny, data, name):
    noise_id = zlib.crc32(name.encode())
    renamed = data._replace(
        **{part: getattr(data, part)._replace(noise_id=noise_id) for part in ("train", "validation")}
    )
    _, history = fit(replace(tiny, epochs=1), renamed)
    assert np.isfinite(history[0]["val_loss"])


def test_every_seed_of_32_bits_trains_and_is_another_run(tiny, data):
    losses = {fit(replace(tiny, epochs=1, seed=seed), data)[1][0]["loss"] for seed in (0, 2**31 - 1, 2**31, 2**32 - 1)}
    assert len(losses) == 4


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
    with pytest.raises(InputError, match=r"no weights.safetensors yet.*scripts/export.py"):
        load_model(str(tmp_path / "run"), preset=tiny)
    trained = read_trained(tmp_path / "run", tiny)
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
    run.start_from(tmp_path / "other", replace(tiny, seed=1), tmp_path / "run")
    run.start_from(tmp_path / "no_longer", replace(tiny, epochs=1), tmp_path / "run")
    run.start_from(tmp_path / "again", tiny, tmp_path / "none")
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


def test_fit_without_a_directory_leaves_nothing(tiny, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    fit(replace(tiny, epochs=1), data)
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "temporary"}
    assert not list((tmp_path / "temporary").rglob("checkpoints"))
