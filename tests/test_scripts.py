import csv
import json
import os
import re
import shutil
import subprocess
import time

import numpy as np
import pytest
from conftest import ROOT, python, refused
from PIL import Image

from ae.presets import QUICK

SCRIPTS = [path.name for path in (ROOT / "scripts").glob("*.py") if "cli.run(" in path.read_text()]


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_comes_at_once(run, script):
    for _ in range(3):  # on a busy machine
        began = time.perf_counter()
        done = run(script, *(["train"] if script == "benchmark.py" else []), "--help")
        seconds = time.perf_counter() - began
        assert "usage: " in done.stdout
        if seconds < 2:
            break
    assert seconds < 2


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("colorize.py", [], "Missing from {}: INPUT OUTPUT"),
        ("colorize.py", ["a", "b", "--modle", "c"], "unknown option --modle; near: --model, --codec"),
        ("denoise.py", ["a", "b", "--sigma", "x"],
         "--sigma: no type matching {{None}}|FLOAT could be instantiated from ['x']."),
        ("export.py", ["a", "b", "--precision", "float8"],
         "invalid choice 'float8' for argument '--precision'. Expected one of ('float16', 'float32')."),
        ("study.py", ["noise", "--limt", "3"], "unknown option --limt; near: --limit"),
        ("study.py", ["nois"], "Unrecognized options: nois"),
        ("train.py", [], "name a preset, or a file that defines one: my_model.py:PRESET; --help lists the presets"),
        ("train.py", ["conv_ae", "--xyz"], "unknown option --xyz; --help lists the options"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(call, script, arguments, message):
    done = call(script, *arguments, status=2)
    assert done.stderr == f"error: {message.format(ROOT / 'scripts' / script)}\n"
    assert done.stdout == ""


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])  # which tyro draws its boxes in
def test_wrong_options_are_one_line_in_every_terminal(run, encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    missing = run("colorize.py", "a", status=2, env=environment)
    assert re.fullmatch(r"error: Missing from \S+colorize.py: OUTPUT\n", missing.stderr)
    wrong = run("evaluate.py", "a", "--split", "tset", status=2, env=environment)
    assert (
        wrong.stderr == "error: invalid choice 'tset' for argument '--split'. Expected one of ('validation', 'test').\n"
    )


def test_train_evaluate_resume(call, tmp_path):
    arguments = ("pixel_mlp_quick", "--limit", "32", "--out", "run")
    first = call("train.py", *arguments, "--epochs", "1")
    assert "18,785 parameters, 18,353 of them trained" in first.stdout
    assert "validation on 32 images of validation[:32]" in first.stdout
    assert "on other data" in first.stdout
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "config.json", "history.csv", "metrics.json", "checkpoints", "tensorboard", "curves.png", "grid.png", "images.png",
        "weights.safetensors", "weights_best.safetensors",
    }  # fmt: skip
    for picture in ("curves.png", "grid.png"):
        assert np.asarray(Image.open(tmp_path / "run" / picture).convert("L")).std() > 10

    refused(call("train.py", *arguments, status=2), "holds a run already", "--resume", "--out")
    refused(
        call("train.py", "conv_ae_quick", "--out", "run", "--resume", status=2),
        "run of pixel_mlp_quick, not of conv_ae_quick",
    )

    again = call("train.py", *arguments, "--epochs", "2", "--resume")
    assert "epoch   2" in again.stdout
    assert "epoch   1" not in again.stdout
    with (tmp_path / "run/history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["validation"]) for row in rows] == [("1", "validation[:32]"), ("2", "validation[:32]")]

    scored = call("evaluate.py", "run", "--out", "scores.json")
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["scores"]["pixel_mlp_quick"] == {k: v for k, v in metrics["test"].items() if k != "split"}
    assert "noisy input" in scored.stdout
    refused(
        call("evaluate.py", "run", "--preset", "conv_ae_quick", status=2), "is a run of pixel_mlp_quick, not of conv_ae"
    )
    refused(call("evaluate.py", "run", "--out", "absent/scores.json", status=2), "absent")

    call("export.py", "run", "weights.safetensors")
    call("evaluate.py", "weights.safetensors", "--out", "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["scores"] == scores["scores"]
    refused(
        call("export.py", "run", "weights.bin", status=2),
        ".safetensors (weights), .jax (a program) or .onnx (one for others)",
    )
    refused(call("evaluate.py", "weights.safetensors", "--checkpoint", "best", status=2), "is for run directories")

    shutil.rmtree(tmp_path / "run/checkpoints")  # the weights suffice
    Image.new("L", (9, 9)).save(tmp_path / "in.png")
    for checkpoint in ("last", "best"):
        call("denoise.py", "in.png", f"{checkpoint}.png", "--model", "run", "--checkpoint", checkpoint)
        assert (tmp_path / f"{checkpoint}.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonesuch"], ["unknown preset 'nonesuch'", "conv_ae_quick"]),
        (["absent.py"], ["cannot read absent.py"]),
        (["conv_ae", "--data", "nonesuch", "--data-dir", "empty"], ["unknown data set 'nonesuch'"]),
        (["colorizer_ae_quick", "--data", "sample-digits", "--limit", "8"], ["expected RGB images"]),
        (["pixel_mlp_quick", "--epochs", "0"], ["epochs has to be at least 1, not 0"]),
        (["pixel_mlp_quick", "--limit", "-1"], ["limit has to be at least 1, not -1"]),
        (["pixel_mlp_quick", "--seed", "-1"], ["seed has to be from 0 to 2**32 - 1, not -1"]),
        (["float.py"], ["unknown dtype 'bfloat17'; there are float32, bfloat16"]),
        (["pixel_mlp_quick", "--limit", "8", "--out", "/proc/run"], ["cannot write to /proc/run"]),
        (["wild.py", "--data", "sample", "--limit", "32"], ["no longer finite in epoch 1"]),
        (["empty.py"], ["has no Config named PRESET"]),
    ],
)
def test_bad_input_is_one_line(call, tmp_path, arguments, words):
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "float.py").write_text("import ae\nPRESET = ae.preset('pixel_mlp_quick', dtype='bfloat17')\n")
    (tmp_path / "wild.py").write_text("import ae\nPRESET = ae.preset('pixel_mlp_quick', learning_rate=1e30)\n")
    refused(call("train.py", *arguments, status=2), *words)


def test_without_network_and_data_the_ways_out_are_named(run):
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}  # nothing gets out
    done = run("train.py", "conv_ae", "--data-dir", "empty", status=2, env=os.environ | proxy)
    announced, error = done.stderr.splitlines()
    assert announced == "downloading mnist to empty"
    assert "mnist is not in empty" in error
    assert "--data-dir names a folder that has it, --data sample needs no download" in error


def test_evaluate_refuses_what_is_no_run(call, tmp_path):
    refused(call("evaluate.py", "absent", status=2), "absent is not a run directory")
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    refused(call("evaluate.py", "model.onnx", status=2), "model.onnx is no model that is read here: name weights")
    (tmp_path / "started").mkdir()
    config = call("train.py", "pixel_mlp_quick", "--limit", "32", "--epochs", "1", "--out", "whole")
    assert config.returncode == 0
    text = (tmp_path / "whole/config.json").read_text()
    (tmp_path / "started/config.json").write_text(text)
    refused(call("evaluate.py", "started", status=2), "no weights.safetensors yet", "end of its first epoch")
    (tmp_path / "started/config.json").write_text(text[:100])
    refused(call("evaluate.py", "started", status=2), "config.json is damaged")
    (tmp_path / "started/config.json").write_text(text.replace('"patience"', '"patients"'))
    refused(call("evaluate.py", "started", status=2), "unknown field 'patients' of Config")


@pytest.mark.slow
def test_the_quick_table_can_be_made_again(call, tmp_path):
    arguments = ("--quick", "--limit", "16", "--epochs", "1")
    first = call("reproduce.py", *arguments, "--out", "a", "--runs", "runs_a")
    call("reproduce.py", *arguments, "--out", "b", "--runs", "runs_b")
    for preset in QUICK:
        a, b = (json.loads((tmp_path / name / f"{preset.name}.json").read_text()) for name in "ab")
        for key in ("train", "validation", "test", "baselines", "val_loss_by_epoch"):
            assert a[key] == b[key]
        assert a["command"].startswith("python scripts/reproduce.py --quick")
    assert "reference, **on other data: mnist**" in first.stdout
    pictures = {
        f"{preset.name}{kind}" for preset in QUICK for kind in (".json", "_curves.png", "_grid.png", "_images.png")
    }
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"README.md", *pictures}


@pytest.mark.slow
def test_seeds_make_a_spread(call, tmp_path):
    arguments = ("--only", "pixel_mlp_quick", "--limit", "32", "--epochs", "1", "--out", "a")
    first = call("reproduce.py", *arguments, "--seeds", "1", "2")
    assert " ± " in first.stdout
    again = call("reproduce.py", *arguments, "--seeds", "2", "0")  # 2 is finished; 1 has been published
    assert again.stdout.count("epoch   1") == 1
    result = json.loads((tmp_path / "a/pixel_mlp_quick.json").read_text())
    assert result["seeds"] == [0, 1, 2]
    assert len({row["test"]["mse"] for row in result["by_seed"]}) == 3


@pytest.mark.slow
def test_a_longer_run_goes_on_with_the_shorter_one(call, tfds_dir, decoded):
    arguments = ("--data-dir", str(tfds_dir), "--limit", "16")
    call("reproduce.py", "--only", "pixel_mlp", "--epochs", "1", *arguments)
    longer = call("reproduce.py", "--only", "pixel_mlp_14", "--epochs", "2", *arguments)
    assert "epoch   1" not in longer.stdout
    assert "epoch   2" in longer.stdout


LOST = """
import gc, signal, time
from ae.runtime import cli
def main():
    gc.callbacks.append(lambda phase, info: phase == "start" and signal.raise_signal(signal.SIGINT))
    gc.collect()
    gc.callbacks.clear()
    for _ in range(1000):
        time.sleep(0.01)
cli.run(main, interrupted="it was")
"""


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_is_not_lost_in_a_callback_of_the_garbage_collector():
    done = subprocess.run(python("-c", LOST), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "it was\n")
