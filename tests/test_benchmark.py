import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import jax
import pytest
from benchmarks import ablation, accelerator, denoisers, inference, models, products, starts, training, workers
from clips import colorizer, luma_frames, make_clip
from conftest import ROOT, refused, write_denoiser

from ae import load_model
from ae.errors import InputError
from ae.report.markdown import rows_of, to_markdown
from ae.restore.weights import write_weights
from ae.score.flops import count_values, multiply_adds_by_layer


@pytest.mark.parametrize("name", ["conv_ae", "colorizer_ae", "unet", "pixel_mlp"])
def test_peers_are_told_to_build_our_models(name):
    """Every weight has a layer, of its shape, in the order of the calls."""
    model = models.benchmark_config(name).model
    params = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, *model.input_shape)))["params"]
    layers = models.LAYERS[name]
    weights = models.in_order(params_as_zeros(params), layers)
    assert sum(weight.size for weight in weights) == count_values(params)
    kernels = [weight for weight in weights if weight.ndim > 1]
    asked = [options for kind, *options in layers if kind in ("conv", "conv_transpose", "dense")]
    for kernel, (features, *size) in zip(kernels, asked, strict=True):
        assert features in kernel.shape[-2:]
        assert not size or kernel.shape[:2] == (size[0], size[0])


def params_as_zeros(params):
    return jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape), params)


class Small(nn.Module):
    """A convolution of 3x3 and stride 2 with 4 features, then a dense layer with 5: counted by hand."""

    input_shape = (8, 8, 3)

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(5)(nn.Conv(4, (3, 3), 2)(x).reshape(len(x), -1))


def test_work_is_counted_as_the_direct_algorithm_does_it():
    """Two products of the first layer, three of each other; ConvAE's are 3,471 million operations an image."""
    first, second = 4 * 4 * 4 * 3 * 3 * 3, 4 * 4 * 4 * 5
    assert multiply_adds_by_layer(Small(), Small.input_shape) == [first, second]
    config = replace(models.benchmark_config("conv_ae"), model=Small())
    assert models.gflop(config) == 2 * (2 * first + 3 * second) / 1e9
    assert models.gflop(models.benchmark_config("conv_ae")) == pytest.approx(3.473, abs=5e-3)


def test_medians_and_ratios_are_of_the_rounds():
    rates = {
        "matrix product": [10.0, 10.0, 10.0],
        "ae": [30.0, 20.0, 40.0],
        "torch, eager": [15.0, 20.0, 16.0],
        "torch, compiled": [10.0, 11.0, 90.0],
    }
    about = {"batch": 8, "parameters": 12, "GFLOP an image": 2.0}
    ours, eager, compiled = training.speeds("small", about, rates, 0.01)
    assert ours == about | {
        "model": "small",
        "run by": "ae",
        "images/s": 30,
        "GFLOP/s": 60,
        "of matrix product, %": pytest.approx(100 * 60 / (10 * 2 * 2048**3 / 1e9)),
        "whole epoch, %": 1,
    }
    assert (eager["images/s"], eager["ratio"]) == (16, 2)  # in the rounds 2, 1 and 2.5
    assert compiled["ratio"] == 20 / 11
    text = to_markdown(training.training_table([ours, eager, compiled]))
    assert "| small | 8 | 12 | 2.000 | ae | 30.0 | 60 |" in text
    assert "|  |  |  |  | torch, compiled | 11.0 | 22 |" in text


def test_parts_of_the_convolutions_are_shares_of_all():
    rates = {"unet": {"all": [10.0, 20.0, 40.0], "without tiles": [5.0, 20.0, 30.0]}}
    table = ablation.ablation_table(rates)
    assert table["columns"] == ["", "unet", "unet, share"]
    assert table["rows"] == [["all", 20, None], ["without tiles", 20, 0.75]]


def test_seconds_until_training_starts_are_by_preset():
    started = {"b": {"from start to first step": 6.24, "with the compilation cache": 2.3}}
    assert starts.starts_table(started, {"a": 2.8})["rows"] == [["a", 2.8, None, None], ["b", None, 6.24, 2.3]]


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
    assert values["title"].startswith("Frames a second of clip.mp4, 64x48, 20 frames")
    for row in rows_of(values):
        rounds = values["details"]["presets"][row["x264"]]["rounds"]
        assert set(rounds) == {"without a model", "ae", "ae --steady 0"}
        assert all(len(rates) == 2 and min(rates) > 0 for rates in rounds.values())
        assert row["ae"] == pytest.approx(sum(rounds["ae"]) / 2)
        assert row["ae --steady 0 over without a model"] > 0
        assert sum(row[f"{stage}, %"] for stage in ("decoding", "model", "encoding")) == pytest.approx(100)
    ((frames, megabytes),) = json.loads((tmp_path / "results/benchmark_video_memory.json").read_text())["rows"]
    assert frames == 30
    assert 100 < megabytes < 4000


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setitem(models.BATCH_SIZES, "pixel_mlp", 1)


@pytest.fixture
def kept_to_cpu(monkeypatch):
    """Nothing is said of devices, and what a test runs keeps itself, and what it starts, to the CPU."""
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    yield
    assert os.environ["JAX_PLATFORMS"] == "cpu"
    assert workers.usual_environment()["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.usefixtures("kept_to_cpu")
@pytest.mark.parametrize("options", [("train", "--peers", "torch", "--torch-python"), ("inference", "--models")])
def test_a_gpu_is_left_alone_where_the_cpu_is_timed(call, options):
    refused(call("benchmark.py", *options, "nowhere", status=2), "nowhere")


def test_devices_that_are_named_are_taken(call, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cuda,cpu")
    call("benchmark.py", "inference", "--models", "nowhere", status=2)
    assert os.environ["JAX_PLATFORMS"] == "cuda,cpu"
    assert workers.usual_environment().get("CUDA_VISIBLE_DEVICES") == os.environ.get("CUDA_VISIBLE_DEVICES")


SHORTEST = ("--models", "pixel_mlp", "--rounds", "1", "--seconds", "0.01")


@pytest.mark.slow
@pytest.mark.usefixtures("small_batches")
def test_training_is_timed(call, tmp_path):
    call("benchmark.py", "train", *SHORTEST, "--out", "bench.json")
    values = json.loads((tmp_path / "bench.json").read_text())
    (row,) = rows_of(values)
    assert (row["model"], row["run by"]) == ("pixel_mlp", "ae")
    assert row["images/s"] > 0


@pytest.mark.slow
def test_starts_are_timed(call, tmp_path):
    call("benchmark.py", "starts", "--presets", "pixel_mlp_quick", "--out", "starts.json")
    (start,) = rows_of(json.loads((tmp_path / "starts.json").read_text()))
    assert start.pop("preset") == "pixel_mlp_quick"
    assert 0 < start["with the compilation cache"] < start["from start to first step"]
    assert start["seconds to compile an epoch"] > 0


@pytest.mark.usefixtures("small_batches", "kept_to_cpu")
def test_parts_of_the_convolutions_are_timed(call, tmp_path):
    call("benchmark.py", "ablation", *SHORTEST, "--only", "a call for each step", "--out", "ablation.json")
    values = json.loads((tmp_path / "ablation.json").read_text())
    assert [row[""] for row in rows_of(values)] == ["all", "a call for each step"]
    assert values["made_with"][0]["dtype"] == ["float32"]
    assert not (tmp_path / "README.md").exists()


@pytest.mark.usefixtures("small_batches", "kept_to_cpu")
def test_products_of_a_step_are_timed_alone(call, tmp_path):
    call("benchmark.py", "products", *SHORTEST, "--out", "products.json")
    (row,) = rows_of(json.loads((tmp_path / "products.json").read_text()))
    times = [row[name] for name in ("outputs and input gradients, ms", "kernel gradients, ms", "all else, ms")]
    assert sum(times) == pytest.approx(row["ms a step"])
    assert min(row["their GFLOP/s"], row["GFLOP/s of these"]) > 0


def test_products_of_a_dense_layer_are_found():
    """Outputs, the kernel's gradient and the input's, of which the first layer has none."""
    config = models.benchmark_config("pixel_mlp")
    found = products.products_of(config)
    images = (config.batch_size, 28, 28)
    assert found[products.Product((*images, 128), (128, 256), (((3,), (0,)), ((), ())))] == 1
    gradients = {product: count for product, count in found.items() if product.is_kernel_gradient}
    assert sum(gradients.values()) == 10
    assert all(product.left[0] == product.right[0] for product in gradients)
    assert max(product.flops for product in found) == 2 * config.batch_size * 28 * 28 * 512 * 512


def test_denoisers_take_turns(call, tmp_path):
    write_denoiser(tmp_path / "ours.safetensors")
    sizes = ("--sizes", "512x512", "--rounds", "2")
    call("benchmark.py", "denoise", "--models", "ours.safetensors", *sizes, "--out", "results/denoise.json")
    ours, theirs = rows_of(json.loads((tmp_path / "results/denoise.json").read_text()))
    assert (ours["method"], theirs["method"]) == ("ours", "non-local means (scikit-image)")
    assert ours["times as long as ours"] == 1
    assert theirs["times as long as ours"] == pytest.approx(
        theirs["seconds a megapixel"] / ours["seconds a megapixel"], rel=0.5
    )
    assert 0 < ours["share of the matrix product"] < 1


def test_tiles_are_timed_by_what_computes_them(call, tmp_path):
    write_denoiser(tmp_path / "ours.safetensors")
    call("benchmark.py", "tiles", *SHORTEST, "--models", "ours.safetensors", "--out", "results/tiles.json")
    tiles = rows_of(json.loads((tmp_path / "results/tiles.json").read_text()))
    assert [(row["at a time"], row["convolutions"]) for row in tiles] == 2 * [
        (count, name) for count in (1, 2, 4) for name in ("XLA's", "ours")
    ]
    used = denoisers.tile_side(load_model(tmp_path / "ours.safetensors"))
    assert [row["tile"] for row in tiles[::6]] == ["256x256", f"{used}x{used}"]
    assert all(row["over XLA's"] == 1 for row in tiles if row["convolutions"] == "XLA's")


OURS = ("ae, XLA's convolutions", "ae, tiles", "ae, rows")


def test_inference_is_timed_beside_onnx_runtime(call, tmp_path):
    pytest.importorskip("jax2onnx", reason="this needs pip install 'ae[onnx]'")
    write_denoiser(tmp_path / "ours.safetensors")
    call("benchmark.py", "inference", *SHORTEST, "--models", "ours.safetensors", "--out", "results/inference.json")
    rows = rows_of(json.loads((tmp_path / "results/inference.json").read_text()))
    assert [row["run by"] for row in rows] == [*OURS, "ONNX Runtime"]
    assert {row["image"] for row in rows} == {"256x256"}
    assert max(row["ours over it"] for row in rows[:3]) >= 1


OWN_PEER = """
from pathlib import Path
import numpy as np
from worker import repeated, serve
from ae.restore.weights import read_weights
def build(request):
    folder = Path(request["build"])
    trained, images = read_weights(folder / "model.safetensors"), np.load(folder / "images.npy")
    np.save(folder / "eager.npy", trained(images) + OFFSET)
    return {"versions": {"torch": "9.9"}}, {"eager": repeated(lambda: trained(images))}
serve(build)
"""


@pytest.fixture
def time_beside_peer(call, worker, tmp_path):
    """Times a small denoiser beside a peer that is this package, whose answers are off by some offset."""
    pytest.importorskip("jax2onnx", reason="this needs pip install 'ae[onnx]'")
    write_denoiser(tmp_path / "ours.safetensors")
    peer = ("--peers", "torch", "--torch-python", sys.executable, "--out", "results/inference.json")

    def time_it(offset, **expected):
        (tmp_path / "torch_inference_worker.py").write_text(OWN_PEER.replace("OFFSET", str(offset)))
        return call("benchmark.py", "inference", *SHORTEST, "--models", "ours.safetensors", *peer, **expected)

    return time_it


def test_inference_is_timed_beside_a_peer_in_an_environment_of_its_own(time_beside_peer, tmp_path):
    time_beside_peer(5e-5)
    values = json.loads((tmp_path / "results/inference.json").read_text())
    assert [row["run by"] for row in rows_of(values)][3:] == ["ONNX Runtime", "torch, eager"]
    assert rows_of(values)[-1]["images/s"] > 0
    assert values["made_with"][0]["versions"]["torch"] == "9.9"


def test_a_peer_that_answers_something_else_is_not_timed(time_beside_peer):
    refused(time_beside_peer(2e-4, status=2), "torch, eager's ours is 2.0e-04 away from ours")


TORCH = ROOT / "peers/torch/bin/python"


@pytest.mark.slow
@pytest.mark.skipif(not TORCH.exists(), reason=f"this needs {TORCH} (see docs/export.md)")
@pytest.mark.parametrize("name", ["hinted", "denoiser", "gray_denoiser"])
def test_inference_is_timed_beside_pytorch(call, models, tmp_path, monkeypatch, name):
    """Answers are equal where something has to be mirrored, too; the first two are small models."""
    pytest.importorskip("jax2onnx", reason="this needs pip install 'ae[onnx]'")
    monkeypatch.setattr(inference, "sizes", lambda trained: [(38, 37)])
    model = name if name == "gray_denoiser" else str(models / f"{name}.safetensors")
    options = ("--models", model, "--peers", "torch", "--torch-python", str(TORCH))
    call("benchmark.py", "inference", *SHORTEST, *options, "--out", "results/inference.json")
    values = json.loads((tmp_path / "results/inference.json").read_text())
    names = [f"torch, {how}, {order}" for how in ("eager", "compiled") for order in ("contiguous", "channels_last")]
    assert [row["run by"] for row in rows_of(values)] == [*OURS, "ONNX Runtime", *names]
    assert "torch" in values["made_with"][0]["versions"]


@pytest.mark.slow
@pytest.mark.skipif(not TORCH.exists(), reason=f"this needs {TORCH} (see docs/export.md)")
def test_clips_are_timed_beside_pytorch(call, models, tmp_path):
    make_clip(tmp_path / "clip.mp4", luma_frames(20, 48, 64))
    options = ("--model", str(models / "hinted.safetensors"), "--presets", "veryfast", "--rounds", "1")
    peer = ("--torch-python", str(TORCH), "--memory-frames", "--out", "results/benchmark_video.json")
    call("benchmark.py", "video", "--clip", "clip.mp4", *options, *peer)
    (row,) = rows_of(json.loads((tmp_path / "results/benchmark_video.json").read_text()))
    assert min(row["torch, contiguous"], row["torch, channels_last"]) > 0


def test_a_device_waits_where_no_operation_runs():
    events = [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "/device:GPU:0"}},
        {"ph": "M", "name": "process_name", "pid": 2, "args": {"name": "/host:CPU"}},
        {"ph": "X", "pid": 1, "ts": 0, "dur": 10, "name": "fusion"},
        {"ph": "X", "pid": 1, "ts": 5, "dur": 5, "name": "copy"},  # on another stream
        {"ph": "X", "pid": 1, "ts": 30, "dur": 10, "name": "fusion"},
        {"ph": "X", "pid": 2, "ts": 10, "dur": 20, "name": "python"},
    ]
    assert accelerator.idle_share(events) == 0.5
    assert accelerator.idle_share(events[1:2] + events[5:]) is None


def test_without_an_accelerator_the_table_says_that_nothing_is_measured(call, tmp_path):
    call("benchmark.py", "accelerator", "--out", "table.json")
    table = json.loads((tmp_path / "table.json").read_text())
    assert "What an accelerator gives: none here." in table["title"]
    rows = rows_of(table)
    assert [row["measure"] for row in rows] == list(accelerator.PARTS)
    assert {row["value"] for row in rows} == {"not measured"}


def test_parts_of_what_an_accelerator_gives_are_measured_by_name(call, tmp_path):
    part = "convolutions, against float32 on the CPU"
    call("benchmark.py", "accelerator", "--short", "--only", part, "--out", "table.json")
    first = json.loads((tmp_path / "table.json").read_text())["details"]["figures"]
    assert [figure["what"] for figure in first if figure["measure"] == part] == [
        f"largest error, {name}" for name in accelerator.NUMERICS
    ]
    call("benchmark.py", "accelerator", "--only", "film", "--out", "table.json")  # which is measured nowhere here
    after = json.loads((tmp_path / "table.json").read_text())
    assert after["details"]["figures"] == first
    assert [entry["command"].rpartition("--only ")[2] for entry in after["made_with"]] == [
        f"'{part}' --out table.json",
        "film --out table.json",
    ]
    refused(call("benchmark.py", "accelerator", "--only", "films", status=2), "unknown part 'films'")


@pytest.mark.slow
def test_a_little_of_what_an_accelerator_gives_is_measured_anywhere(call, tmp_path):
    call("benchmark.py", "accelerator", "--short", "--out", "table.json")
    figures = json.loads((tmp_path / "table.json").read_text())["details"]["figures"]
    found = {(figure["measure"], figure["what"]): figure["value"] for figure in figures}
    assert {measure for measure, _ in found} == set(accelerator.PARTS)
    assert found["the same bits again", "two runs"] == 0
    assert found["the same bits again", "an interrupted run and another"] == 0
    assert found["convolutions, against float32 on the CPU", "largest error, float32"] < 1e-5
    assert found["convolutions, against float32 on the CPU", "largest error, bfloat16"] < 0.02
    assert found["film", "the whole, CPU, x264 veryfast"] > 1
