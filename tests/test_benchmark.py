import json
import shutil
import sys
from pathlib import Path

import jax
import pytest
from benchmarks import models, tables, training, workers
from clips import colorizer, luma_frames, make_clip
from conftest import ROOT

from ae.errors import InputError
from ae.restore.weights import write_weights
from ae.score.flops import count


@pytest.mark.parametrize("name", ["conv_ae", "colorizer_ae", "unet", "pixel_mlp"])
def test_peers_are_told_to_build_our_models(name):
    """Every weight has a layer, of its shape, in the order of the calls."""
    model = models.benchmark_config(name).model
    params = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, *model.input_shape)))["params"]
    layers = models.LAYERS[name]
    weights = models.in_order(params_as_zeros(params), layers)
    assert sum(weight.size for weight in weights) == count(params)
    kernels = [weight for weight in weights if weight.ndim > 1]
    asked = [options for kind, *options in layers if kind in ("conv", "conv_transpose", "dense")]
    for kernel, (features, *size) in zip(kernels, asked, strict=True):
        assert features in kernel.shape[-2:]
        assert not size or kernel.shape[:2] == (size[0], size[0])


def params_as_zeros(params):
    return jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape), params)


def test_work_is_counted_as_the_direct_algorithm_does_it():
    """Three products of each layer; ConvAE's are 1,158 million multiplications and additions an image."""
    assert models.gflop(models.LAYERS["conv_ae"], models.benchmark_config("conv_ae")) == pytest.approx(3.473, abs=5e-3)
    assert models.gflop((("dense", 5),), models.benchmark_config("unet")) == 2 * 2 * 32 * 32 * 5 / 1e9


def test_medians_and_ratios_are_of_the_rounds():
    rates = {
        "matrix product": [10.0, 10.0, 10.0],
        "ae": [30.0, 20.0, 40.0],
        "torch, eager": [15.0, 20.0, 16.0],
        "torch, compiled": [10.0, 11.0, 90.0],
    }
    row = training.summarize(rates, 2.0, {"torch": ["torch, eager", "torch, compiled"]})
    assert row["images_per_second"]["torch, eager"] == 16
    assert row["ratio_torch"] == 2  # in the rounds 2, 1 and 2.5
    assert row["ratio"] == {"ae": 1, "torch, eager": 2, "torch, compiled": 20 / 11}
    assert row["gflop_per_second"]["ae"] == 60
    assert row["share_of_matrix_product"]["ae"] == pytest.approx(60 / (10 * 2 * 2048**3 / 1e9))


WORKER = """
from worker import serve, training
def build(layers, weights, inputs, targets):
    return {"parameters": sum(w.size for w in weights), "loss": float((inputs - targets).mean())}, {"slow": lambda: None}
serve(training(build))
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    shutil.copy(ROOT / "scripts/benchmarks/peers/worker.py", tmp_path)
    (tmp_path / "fake_worker.py").write_text(WORKER)
    monkeypatch.setattr(workers, "PEERS", tmp_path)
    worker = workers.Worker("fake", Path(sys.executable))
    yield worker
    worker.close()


def test_a_worker_builds_and_runs(worker, tmp_path):
    import numpy as np

    file = tmp_path / "weights.npz"
    np.savez(file, inputs=np.ones((2, 3)), targets=np.zeros((2, 3)), weight_0=np.ones((3, 3)), weight_1=np.ones(3))
    reply = worker.ask({"build": str(file), "layers": []})
    assert reply == {"parameters": 12, "loss": 1.0, "variants": ["slow"]}
    assert worker.timer("slow")(3) >= 0
    training.check("model", "fake", reply, 12, 1.00009)
    with pytest.raises(InputError, match="has loss 1.000000 on the same weights and batch, ours 1.000200"):
        training.check("model", "fake", reply, 12, 1.0002)
    with pytest.raises(InputError, match="has 12 parameters, ours 13"):
        training.check("model", "fake", reply, 13, 1.0)


def test_what_a_worker_dies_of_is_said(worker):
    with pytest.raises(InputError, match=r"fake_worker.py failed: .*nowhere.npz"):
        worker.ask({"build": "nowhere.npz", "layers": []})


def test_clips_are_timed_with_and_without_a_model(call, tmp_path):
    make_clip(tmp_path / "clip.mp4", luma_frames(20, 48, 64), tracks=[0.0])
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "model.safetensors", config, variables, {"epochs": 0}, "float32")
    options = ("--clip", "clip.mp4", "--model", "model.safetensors", "--rounds", "2", "--memory-frames", "30")
    call("benchmark.py", "video", *options, "--out", "results/benchmark_video.json")
    values = json.loads((tmp_path / "results/benchmark_video.json").read_text())
    assert values["frames"] == 20
    assert values["size"] == [48, 64]
    for row in values["presets"].values():
        assert set(row["rounds"]) == {"without a model", "ae"}
        assert all(len(rates) == 2 and min(rates) > 0 for rates in row["rounds"].values())
        assert sum(row["share"].values()) == pytest.approx(1)
    assert 100 < values["peak_megabytes"]["30"] < 4000
    assert "clip.mp4, 64x48, 20 frames" in tables.video_table(values)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setitem(models.BATCH_SIZES, "pixel_mlp", 1)


SHORTEST = ("--models", "pixel_mlp", "--rounds", "1", "--seconds", "0.01")


@pytest.mark.slow
@pytest.mark.usefixtures("small_batches")
def test_training_is_timed(call, tmp_path):
    call("benchmark.py", "train", *SHORTEST, "--started", "--compiled", "pixel_mlp_quick", "--out", "bench.json")
    values = json.loads((tmp_path / "bench.json").read_text())
    assert values["models"]["pixel_mlp"]["images_per_second"]["ae"] > 0
    assert list(values["compile_seconds"]) == ["pixel_mlp_quick"]


@pytest.mark.usefixtures("small_batches")
def test_parts_of_the_convolutions_are_timed(call, tmp_path):
    call("benchmark.py", "ablation", *SHORTEST, "--only", "a call for each step", "--out", "ablation.json")
    row = json.loads((tmp_path / "ablation.json").read_text())["models"]["pixel_mlp"]
    assert row["ratio"]["all"] == 1
    assert list(row["ratio"]) == ["all", "a call for each step"]
