import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from ae.errors import InputError
from ae.presets import PRESETS
from ae.report import result as results
from ae.report import tables
from ae.report.made_with import made_with
from ae.report.overview import overview
from ae.report.page import write_tables
from ae.report.reference import reported
from ae.score.baselines import baselines
from ae.tasks import Denoise
from ae.train.loop import fit


@pytest.fixture
def result(tiny, data, tmp_path):
    state, history = fit(tiny, data)
    return results.finish(tmp_path, tiny, data, state, history, command="python scripts/train.py tiny.py")


def test_a_result_says_what_was_measured_and_how(result, tiny, tmp_path):
    assert json.loads((tmp_path / "metrics.json").read_text()) == result
    assert (result["preset"], result["seeds"], result["epochs"], result["best_epoch"]) == ("tiny", [0], 3, 3)
    assert result["parameters"] == 40 + 37 + 16
    assert result["trained_parameters"] == 40 + 37 + 8
    assert result["train"]["loss"] > 0
    assert set(result["validation"]) == {"split", "loss", "accuracy", "mse", "psnr_pooled", "psnr_mean", "ssim"}
    assert result["validation"]["loss"] == pytest.approx(result["val_loss_by_epoch"][-1], rel=1e-5)
    assert result["baselines"]["noisy input"]["test"]["mse"] == pytest.approx(0.07, abs=0.03)
    assert {"hardware", "versions", "command", "wall_seconds"} <= set(result)
    assert (result["devices"], result["dtype"]) == (["cpu"], ["float32"])
    assert (tmp_path / "curves.png").exists()
    assert (tmp_path / "grid.png").exists()


def test_baselines_that_are_known_are_not_scored_again(tiny, data, tmp_path, monkeypatch):
    """Those of another preset or seed, but not of another task, or of other images."""
    state, history = fit(replace(tiny, epochs=1), data)
    first = results.comparison(tiny, data)
    assert results.comparison(replace(tiny, name="other", seed=3, epochs=2), data) == first
    assert results.comparison(replace(tiny, task=Denoise(sigma=0.6)), data) != first
    fewer = data._replace(train=data.train._replace(images=data.train.images[:4]))
    assert results.comparison(tiny, fewer) != first
    monkeypatch.delattr(results, "baseline_reports")
    known = {"noisy input": {"validation": {"loss": 0.5}}}
    result = results.finish(tmp_path, tiny, data, state, history, command="", baselines=known)
    assert result["baselines"] == known


def test_precision_and_flags_stand_in_what_results_were_made_with(tiny, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    with jax.default_matmul_precision("bfloat16"):
        made = made_with("python scripts/study.py noise", tiny, replace(tiny, dtype="bfloat16"))
    assert made["dtype"] == ["bfloat16", "float32"]
    assert made["matmul_precision"] == "bfloat16"
    assert made["xla_flags"] == "--xla_cpu_enable_fast_math=false"
    assert made_with("")["matmul_precision"] == "default"


def test_a_picture_that_fails_costs_no_scores(tiny, data, tmp_path, monkeypatch, capsys):
    def failing(*args, **kwargs):
        raise ValueError("Key backend: 'x' is not a valid value for backend")

    monkeypatch.setattr("matplotlib.figure.Figure", failing)
    state, history = fit(replace(tiny, epochs=1), data)
    result = results.finish(tmp_path, tiny, data, state, history, command="")
    assert json.loads((tmp_path / "metrics.json").read_text()) == result
    assert "is without pictures (Key backend: 'x'" in capsys.readouterr().err
    results.publish(result, pictures=tmp_path, out=tmp_path / "results")
    assert (tmp_path / "results/tiny.json").exists()


@pytest.mark.usefixtures("decoded", "optimized")
def test_the_baselines_of_mnist_are_the_known_figures(tfds_dir):
    """The noisy test set of MNIST: MSE .04658, PSNR 13.32 (pooled), Keras' accuracy .776."""
    from ae.data import load_data

    config = PRESETS["conv_ae"]
    data = load_data(config, data_dir=tfds_dir)
    noisy = results.split_reports(config, data, baselines(config.task)["noisy input"].predict, {})["test"]
    assert noisy["mse"] == pytest.approx(0.04658, abs=5e-5)
    assert noisy["psnr_pooled"] == pytest.approx(13.32, abs=0.01)
    assert noisy["accuracy"] == pytest.approx(0.776, abs=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("decoded", "optimized")
def test_the_baselines_of_cifar100_are_the_known_figures(tfds_dir):
    """Gray copy on CIFAR-100's test set: MSE .01044, PSNR 19.81 (pooled), Keras' accuracy .5566.

    Mean PSNR and SSIM were computed with NumPy and scikit-image.
    """
    from ae.data import load_data

    config = PRESETS["colorizer_ae"]
    data = load_data(config, data_dir=tfds_dir)
    gray = results.split_reports(config, data, baselines(config.task)["gray copy"].predict, {})["test"]
    assert gray["mse"] == pytest.approx(0.01044, abs=5e-6)
    assert gray["psnr_pooled"] == pytest.approx(19.81, abs=0.01)
    assert gray["psnr_mean"] == pytest.approx(23.94, abs=0.01)
    assert gray["ssim"] == pytest.approx(0.908, abs=2e-3)
    assert gray["accuracy"] == pytest.approx(0.5566, abs=2e-4)


def test_several_seeds_give_mean_and_spread(result):
    second = json.loads(json.dumps(result)) | {"seeds": [1]}
    second["test"]["mse"] = result["test"]["mse"] + 0.002
    combined = results.over_seeds([results.over_seeds([second, result]), second])
    assert combined["seeds"] == [0, 1]
    assert combined["spread"]["test"]["mse"]["mean"] == pytest.approx(result["test"]["mse"] + 0.001)
    assert combined["spread"]["test"]["mse"]["std"] == pytest.approx(0.001 * 2**0.5)
    assert "± 0.001 |" in tables.table([combined])


def test_the_table_carries_baseline_model_and_reference(result):
    result |= {"reference": reported("pixel_mlp_quick"), "wall_seconds": 90.0}
    title, _, head, _, *lines = tables.table([result]).splitlines()
    assert title == "Denoising tiny: loss and binary accuracy on validation, the scores after them on test."
    names = [tables._fitted(name, scores) for name, scores in result["baselines"].items()]
    assert len(names) > 3
    assert [line.split("|")[1].strip() for line in lines] == [
        *names,
        "**tiny**",
        "reference, **on other data: mnist**",
    ]
    assert len({line.count("|") for line in (head, *lines)}) == 1
    assert (
        f"| 1.5 | validation | {result['train']['loss']:.4f} | {result['reference_split']['loss']:.4f} |" in lines[-2]
    )
    assert "| 5 of 7 | 0.0270 in epoch 5 |  | test[:9000] | 0.0269 | 0.0270 | 0.8058 |" in lines[-1]


def test_the_table_says_when_the_references_loss_was_reached(result):
    result |= {"seconds_by_epoch": [60, 120, 180], "val_loss_by_epoch": [0.01, 0.00474, 0.004]}
    assert "| 2.0 | validation |" in tables.table([result | {"data": {"name": "mnist"}}])
    assert "to the reference's loss" not in tables.table(
        [result | {"data": {"name": "cifar100"}}]
    )  # which it colorizes


def test_tables_begin_with_what_the_reference_does(result, tmp_path):
    cases = {"a": ("Denoise", True, "cifar100"), "b": ("Colorize", False, "cifar100"), "c": ("Denoise", False, "mnist")}
    (tmp_path / "results").mkdir()
    for name, (task, gray, data) in cases.items():
        values = result | {"config": {"task": {"class": task, "gray": gray}}, "data": {"name": data}, "preset": name}
        (tmp_path / f"results/{name}.json").write_text(json.dumps(values))
    lines = tables.table(tables.read_results(tmp_path / "results")).splitlines()
    titles = [line.partition(":")[0] for line in lines if line and not line.startswith("|")]
    assert titles == ["Denoising mnist", "Colorizing cifar100", "Denoising the luma of cifar100"]


def test_tables_fill_the_pages_that_show_the_folder(result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, pages = Path("results"), (Path("README.md"), Path("docs/guide.md"))
    results.publish(result, pictures=tmp_path, out=out)
    text = "before\n<!-- table: results -->\nold\n<!-- end -->\nafter\n"
    pages[1].parent.mkdir()
    for page in pages:
        page.write_text(text)
    table = write_tables(out)
    assert [page.read_text() for page in pages] == 2 * [text.replace("old\n", overview(tables.read_results(out)))]
    assert table in (out / "README.md").read_text()
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
        "tiny.json",
        "tiny_curves.png",
        "tiny_grid.png",
        "tiny_images.png",
    ]


def test_a_damaged_result_is_one_line_and_stays(result, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/tiny.json").write_text('{"preset": "ti')
    for damaged in (lambda out: results.publish(result, pictures=tmp_path, out=out), tables.read_results):
        with pytest.raises(InputError, match="tiny.json is damaged .*: move it away"):
            damaged(tmp_path / "results")
    assert (tmp_path / "results/tiny.json").read_text() == '{"preset": "ti'


def test_a_place_that_cannot_be_written_is_one_line(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to"):
        results.publish(result, pictures=tmp_path, out=tmp_path / "file")


def test_quick_denoisers_beat_their_noisy_input():
    shown = tables.read_results(folder := ROOT / "runs/quick")
    if not shown:
        pytest.skip("runs/quick has no results; scripts/reproduce.py --quick makes them")
    for result in shown:
        if result["config"]["task"]["class"] == "Denoise":
            assert result["validation"]["mse"] < result["baselines"]["noisy input"]["validation"]["mse"]
        for picture in ("curves.png", "grid.png"):
            image = np.asarray(Image.open(folder / f"{result['preset']}_{picture}").convert("L"))
            assert image.std() > 20
