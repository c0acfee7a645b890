"""The studies, on a few real images with models that have learnt nothing: what is written, not how good it is."""

import json
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clips import colorizer, luma_frames, make_clip
from conftest import ROOT
from PIL import Image
from vivid import PRESET as VIVID
from vivid import ClassUNet

from ae import fit, load_data, on_sample, predictor
from ae.color import luma
from ae.config import override
from ae.models import ChromaUNet, ColorizerAE, UNet
from ae.presets import PRESETS
from ae.restore.weights import write_weights
from ae.score.flops import count


@pytest.fixture
def study(call, tmp_path, tfds_dir, decoded):
    def study(name, *args):
        call("study.py", name, *args, "--out", "results", "--limit", "32", "--data-dir", str(tfds_dir))
        return json.loads((tmp_path / f"results/study_{name}.json").read_text())

    return study


NARROW = {
    "unet_denoiser": UNet((4, 8), residual=True),
    "chroma_unet": ChromaUNet((4, 8)),
    "colorizer_ae": ColorizerAE(encoder=(4, 8, 8), latent=8, decoder=(8, 8, 4)),
}


@pytest.fixture
def untrained(tmp_path):
    """A file of weights of a preset that has learnt nothing, and of a narrower model where its own takes long to compile."""

    def untrained(preset):
        config, path = PRESETS[preset], tmp_path / f"{preset}.safetensors"
        config = override(config, model=NARROW.get(preset, config.model))
        variables = jax.jit(config.model.init)(jax.random.key(0), jnp.zeros((1, *config.model.input_shape)))
        write_weights(path, config, variables, {"epochs": 0}, "float32")
        return str(path)

    return untrained


def test_noise(study, untrained, tmp_path):
    values = study("noise", "--models", untrained("keras_io_denoiser"), "--sigmas", "0.1", "0.3")
    psnr = values["psnr_pooled"]
    assert set(psnr) == {
        "noisy input", "median filter, 3x3", "non-local means (scikit-image)", "keras_io_denoiser",
    }  # fmt: skip
    assert psnr["noisy input"] == sorted(psnr["noisy input"], reverse=True)
    assert psnr["non-local means (scikit-image)"][1] > psnr["median filter, 3x3"][1] - 1
    assert f"| noisy input | {psnr['noisy input'][0]:.2f} |" in (tmp_path / "results/README.md").read_text()
    again = study("noise", "--models", untrained("dense_ae_8"), "--sigmas", "0.1", "0.3")
    assert {**psnr, "dense_ae_8": again["psnr_pooled"]["dense_ae_8"]} == again["psnr_pooled"]
    assert len(again["commands"]) == 2


def test_latents(study, untrained, tmp_path):
    untrained("dense_ae_8")
    values = study("latents", "--models", "dense_ae_8.safetensors", "--runs", ".")
    (row,) = values["mse"].values()
    assert row["reconstruction, PCA"] < row["denoising, PCA"] < row["denoising, autoencoder"]
    walk = np.asarray(Image.open(tmp_path / "results/study_latents_walks.png").convert("L"))
    assert walk.std() > 10


def test_colour(study, untrained):
    values = study("colour", "--models", untrained("chroma_unet"))
    (row,) = values["models"].values()
    assert row["colourfulness"] == sorted(row["colourfulness"])
    assert len(row["mse"]) == len(values["saturation"])


def test_variants_make_a_table(call, tmp_path, tfds_dir, decoded, monkeypatch):
    config = override(PRESETS["unet_denoiser"], model=NARROW["unet_denoiser"])
    monkeypatch.setitem(PRESETS, "unet_denoiser", config)
    chosen = ("--presets", "unet_denoiser", "--epochs", "1", "--limit", "32", "--data-dir", str(tfds_dir))
    for only in ("as released", "averaged weights"):  # the second call keeps the first one's figures
        done = call("variants.py", *chosen, "--only", only, "--out", "results/variants.json")
    tried = json.loads((tmp_path / "results/variants.json").read_text())["presets"]["unet_denoiser"]
    assert list(tried) == ["as released", "averaged weights"]
    row = tried["as released"]
    variables = jax.eval_shape(config.model.init, jax.random.key(0), jnp.zeros((1, *config.model.input_shape)))
    assert (row["parameters"], row["epochs"]) == (count(variables), 1)
    text = f"| as released | {count(variables):,} | {row['multiply_adds'] / 1e6:.1f} M |"
    assert text in done.stdout
    assert text in (tmp_path / "results/README.md").read_text()


def test_models_trained_in_full_are_compared(call, tmp_path, tfds_dir, decoded, untrained):
    options = ("--data-dir", str(tfds_dir), "--limit", "8", "--out", "results/variants.json")
    call("variants.py", "--in-full", "chroma_unet", *options)
    row = json.loads((tmp_path / "results/variants.json").read_text())["presets"]["in full"]["chroma_unet"]
    assert row["epochs"] == PRESETS["chroma_unet"].epochs
    assert row["curve"]["colourfulness"] == sorted(row["curve"]["colourfulness"])
    refused = call("variants.py", "--in-full", untrained("chroma_unet"), *options, status=2)
    assert "has not been trained to its end" in refused.stderr


def test_every_variant_is_a_configuration():
    variants = runpy.run_path(str(ROOT / "scripts/variants.py"))["variants"]
    for preset in ("unet_denoiser", "chroma_unet"):
        for changes in variants(preset).values():
            config = override(PRESETS[preset], **changes)
            jax.eval_shape(config.model.init, jax.random.key(0), jnp.zeros((1, *config.model.input_shape)))


def test_clips(call, tmp_path, untrained):
    """A gray clip is its own truth: the gray row is perfect, and colours are errors."""
    make_clip(tmp_path / "clip.mp4", luma_frames(20, 48, 64))
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "ours.safetensors", config, variables, {"epochs": 0}, "float32")
    models = ("--model", "ours.safetensors", "--reference", untrained("colorizer_ae"))
    call("study.py", "clips", "clip.mp4", *models, "--out", "results")
    rows = json.loads((tmp_path / "results/study_clips.json").read_text())["clips"]["clip.mp4"]
    assert list(rows) == ["gray", "colorizer_ae, 32x32", "test", "test, chroma x 1.5", "truth"]
    assert rows["gray"]["psnr_pooled"] == rows["truth"]["psnr_pooled"] == 80
    assert rows["gray"]["colourfulness"] == pytest.approx(0, abs=1e-3)
    assert rows["test"]["colourfulness"] < rows["test, chroma x 1.5"]["colourfulness"]
    assert rows["test"]["psnr_pooled"] < 80
    assert Image.open(tmp_path / "results/study_clips_clip.jpg").width > 240
    assert "| clip.mp4 | gray | 80.00 |" in (tmp_path / "results/README.md").read_text()


def test_sizes(call, tmp_path):
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "ours.safetensors", config, variables, {"epochs": 0}, "float32")
    call("study.py", "sizes", "--model", "ours.safetensors", "--limit", "1")
    rows = json.loads((tmp_path / "results/study_sizes.json").read_text())["methods"]
    assert rows["truth"]["PSNR"] == 80
    assert rows["gray"]["colourfulness"] == pytest.approx(0, abs=1e-3)
    assert rows["1800 pixels"]["colourfulness"] > 1
    assert f"| 1800 pixels | {rows['1800 pixels']['PSNR']:.2f} |" in (tmp_path / "results/README.md").read_text()
    assert Image.open(tmp_path / "results/study_sizes.jpg").width > 200


def test_photos(call, tmp_path):
    call("study.py", "photos", "--sigmas", "0", "0.1", "--limit", "1")
    psnr = json.loads((tmp_path / "results/study_photos.json").read_text())["psnr_mean"]
    assert psnr["noisy"][0] == 80
    assert psnr["photo_denoiser"][1] > psnr["noisy"][1] + 7
    assert (
        f"| noisy | {psnr['noisy'][0]:.2f} | {psnr['noisy'][1]:.2f} |" in (tmp_path / "results/README.md").read_text()
    )
    assert Image.open(tmp_path / "results/study_photos.jpg").width > 200


def test_colour_by_classes_trains():
    config = override(on_sample(VIVID), model=ClassUNet((4, 8)), batch_size=32, epochs=1, limit=32)
    data = load_data(config)
    state, history = fit(config, data)
    assert 0 < history[0]["loss"] < 100
    assert 0 < history[0]["val_loss"] < 0.1
    outputs = predictor(config)(state.variables, luma(jnp.float32(data.test.images[:2]) / 255))
    assert outputs.shape == (2, 32, 32, 3)
