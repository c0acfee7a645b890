"""The studies, on a few real images with models that have learnt nothing: what is written, not how good it is."""

import json
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clips import colorizer, luma_frames, make_clip
from conftest import ROOT, write_denoiser
from PIL import Image
from skimage.data import astronaut
from studies.measures.hints import spread_over
from studies.measures.upsampling import joint_bilateral
from variants import variants_table
from vivid import PRESET as VIVID
from vivid import ClassUNet

from ae import fit, load_data, on_sample, predictor
from ae.color import luma, rgb_to_chroma
from ae.config import override
from ae.models import ChromaUNet, ColorizerAE, UNet
from ae.presets import PRESETS
from ae.report.markdown import rows_of
from ae.restore.hints import Hints
from ae.restore.weights import read_weights, write_weights
from ae.score.flops import count_values


@pytest.fixture
def study(call, tmp_path, tfds_dir, decoded):
    def study(name, *args):
        call("study.py", name, *args, "--out", "results", "--limit", "32", "--data-dir", str(tfds_dir))
        return json.loads((tmp_path / f"results/study_{name}.json").read_text())

    return study


NARROW = {
    "unet_denoiser": UNet((4, 8), residual=True),
    "chroma_unet_cifar": ChromaUNet((4, 8)),
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


@pytest.mark.slow
def test_noise(study, untrained, tmp_path):
    values = study("noise", "--models", untrained("keras_io_denoiser"), "--sigmas", "0.1", "0.3")
    psnr = {name: row for name, *row in values["rows"]}
    assert set(psnr) == {
        "noisy input", "median filter, 3x3", "non-local means (scikit-image)", "keras_io_denoiser",
    }  # fmt: skip
    assert psnr["noisy input"] == sorted(psnr["noisy input"], reverse=True)
    assert psnr["non-local means (scikit-image)"][1] > psnr["median filter, 3x3"][1] - 1
    assert f"| noisy input | {psnr['noisy input'][0]:.2f} |" in (tmp_path / "results/README.md").read_text()
    again = study("noise", "--models", untrained("dense_ae_8"), "--sigmas", "0.1", "0.3")
    assert [*values["rows"], again["rows"][-1]] == again["rows"]
    assert again["rows"][-1][0] == "dense_ae_8"
    assert again["rows"][-1][1] == pytest.approx(-10 * np.log10(again["details"]["mse"]["dense_ae_8"][0]), rel=1e-5)
    assert len({made["command"] for made in again["made_with"]}) == 2


def test_latents(study, untrained, tmp_path):
    untrained("dense_ae_8")
    values = study("latents", "--models", "dense_ae_8.safetensors", "--runs", ".")
    (row,) = rows_of(values)
    assert row["latents"] == 8
    assert row["reconstruction, PCA"] < row["denoising, PCA"] < row["denoising, autoencoder"]
    walk = np.asarray(Image.open(tmp_path / "results/study_latents_walks.png").convert("L"))
    assert walk.std() > 10


@pytest.mark.slow
def test_colour(study, untrained):
    values = study("colour", "--models", untrained("chroma_unet_cifar"))
    rows = rows_of(values)
    assert {row["model"] for row in rows} == {"chroma_unet_cifar"}
    for column in ("chroma times", "colourfulness"):
        assert [row[column] for row in rows] == sorted(row[column] for row in rows)
    assert len(rows) == 9


def test_variants_make_a_table(call, tmp_path, tfds_dir, decoded, monkeypatch):
    config = override(PRESETS["unet_denoiser"], model=NARROW["unet_denoiser"])
    monkeypatch.setitem(PRESETS, "unet_denoiser", config)
    chosen = ("--presets", "unet_denoiser", "--epochs", "1", "--limit", "32", "--data-dir", str(tfds_dir))
    for only in ("as released", "averaged weights"):  # the second call keeps the first one's figures
        done = call("variants.py", *chosen, "--only", only, "--out", "results/variants.json")
    values = json.loads((tmp_path / "results/variants.json").read_text())
    row, other = rows_of(values)
    assert [row["what"], other["what"]] == ["as released", "averaged weights"]
    assert len(values["made_with"]) == 2
    variables = jax.eval_shape(config.model.init, jax.random.key(0), jnp.zeros((1, *config.model.input_shape)))
    assert (row["parameters"], row["epochs"]) == (count_values(variables), 1)
    text = f"| as released | {count_values(variables):,} | {row['multiply-adds, M']:.1f} |"
    assert text in done.stdout
    assert text in (tmp_path / "results/README.md").read_text()


def test_colour_costs_the_first_variant_what_its_curve_says():
    """Between two measured points of the curve: halfway."""
    details = {"chroma_unet": {"plain": {"curve": {"colourfulness": [10.0, 20.0], "mse": [0.006, 0.008]}}, "vivid": {}}}
    rows = [
        {"variant of": "chroma_unet", "what": "plain", "colourfulness": 10.0},
        {"variant of": "unet_denoiser", "what": "as released"},
        *({"variant of": "chroma_unet", "what": "vivid", "colourfulness": value} for value in (15.0, 25.0)),
    ]
    details["unet_denoiser"] = {"as released": {}}
    table = rows_of(variants_table(rows, details))
    assert [row["variant of"] for row in table] == 3 * ["chroma_unet"] + ["unet_denoiser"]
    costs = [row["loss of the first, as colourful"] for row in table]
    assert costs == [None, pytest.approx(0.007), None, None]


@pytest.mark.slow
def test_models_trained_in_full_are_compared(call, tmp_path, tfds_dir, decoded, untrained):
    options = ("--data-dir", str(tfds_dir), "--limit", "8", "--out", "results/variants.json")
    path = Path(untrained("chroma_unet_cifar"))
    trained = read_weights(path)
    result = {"epochs": 3, "wall_seconds": 60, "validation": {"loss": 0.01}}
    write_weights(tmp_path / "done.safetensors", trained.config, trained.variables, result, "float32")
    call("variants.py", "--in-full", "done.safetensors", *options)
    values = json.loads((tmp_path / "results/variants.json").read_text())
    (row,) = rows_of(values)
    assert (row["variant of"], row["what"], row["epochs"]) == ("in full", "chroma_unet_cifar", 3)
    curve = values["details"]["in full"]["chroma_unet_cifar"]["curve"]["colourfulness"]
    assert curve == sorted(curve)
    assert curve[0] == row["colourfulness"]
    refused = call("variants.py", "--in-full", str(path), *options, status=2)
    assert "has not been trained to its end" in refused.stderr


@pytest.mark.slow
def test_a_classifier_leaves_weights_to_begin_with(call, tmp_path):
    folder = tmp_path / "tiny_imagenet/train"
    folder.mkdir(parents=True)
    photograph = astronaut()
    for number in range(128):  # a batch
        Image.fromarray(photograph[number : number + 64, number : number + 64]).save(
            folder / f"n{number % 2}_{number}.png"
        )
    call("classifier.py", "--epochs", "3", "--data-dir", str(tmp_path), "--out", "begin.safetensors")
    trained = read_weights(tmp_path / "begin.safetensors")
    config = PRESETS["chroma_unet_base"]
    assert trained.config.model == config.model
    first = jax.jit(config.model.init)(jax.random.key(0), jnp.zeros((1, 48, 48, 4)))["params"]
    kernels = {
        name: (layer["kernel"], first[name]["kernel"])
        for name, layer in trained.variables["params"].items()
        if "kernel" in layer
    }
    changed = {name for name, pair in kernels.items() if not np.allclose(*pair)}
    assert changed == {f"Conv_{number}" for number in range(12)}  # the way down, and nothing of the way up


def test_every_variant_is_a_configuration():
    variants = runpy.run_path(str(ROOT / "scripts/variants.py"))["variants"]
    for preset in ("unet_denoiser", "chroma_unet_cifar", "gray_denoiser", "chroma_unet_base"):
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
    values = json.loads((tmp_path / "results/study_clips.json").read_text())
    rows = {row["method"]: row for row in rows_of(values)}
    assert list(rows) == ["gray", "colorizer_ae, 32x32", "test", "test, chroma x 1.5", "truth"]
    assert rows["gray"]["PSNR pooled"] == rows["truth"]["PSNR pooled"] == 80
    assert rows["gray"]["colourfulness"] == pytest.approx(0, abs=1e-3)
    assert rows["test"]["colourfulness"] < rows["test, chroma x 1.5"]["colourfulness"]
    assert rows["test"]["PSNR pooled"] < 80
    assert Image.open(tmp_path / "results/study_clips_clip.jpg").width > 240
    assert "| clip.mp4 | gray | 80.00 |" in (tmp_path / "results/README.md").read_text()


def test_crops_of_kodaks_photographs_are_shown(call, tmp_path):
    write_denoiser(tmp_path / "ours.safetensors", channels=3)
    (tmp_path / "sets/kodak24").mkdir(parents=True)
    for name in ("kodim08", "kodim19", "kodim20", "kodim23"):
        pixels = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"sets/kodak24/{name}.png")
    done = call("study.py", "kodak", "--model", "ours.safetensors", "--data-dir", "sets")
    assert "no row of BM3D" in done.stdout
    picture = Image.open(tmp_path / "results/study_kodak.jpg")
    assert picture.width > picture.height > 3 * 160  # three rows: noisy, ours, clean


def test_sizes(call, tmp_path):
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "ours.safetensors", config, variables, {"epochs": 0}, "float32")
    call("study.py", "sizes", "--model", "ours.safetensors", "--limit", "1")
    values = json.loads((tmp_path / "results/study_sizes.json").read_text())
    assert values["columns"] == ["1 photographs, chroma x 1", "PSNR of the mean", "PSNR mean", "colourfulness"]
    rows = {name: scores for name, *scores in values["rows"]}
    assert rows["truth"][:2] == [80, 80]
    assert rows["gray"][2] == pytest.approx(0, abs=1e-3)
    assert rows["1800 pixels"][2] > 1
    assert f"| 1800 pixels | {rows['1800 pixels'][0]:.2f} |" in (tmp_path / "results/README.md").read_text()
    assert Image.open(tmp_path / "results/study_sizes.jpg").width > 200


def test_photographs_of_a_folder_are_not_shown(call, tmp_path):
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "ours.safetensors", config, variables, {"epochs": 0}, "float32")
    (tmp_path / "photos").mkdir()
    for number in range(2):
        Image.fromarray(astronaut()[number::4, ::4]).save(tmp_path / f"photos/{number}.png")
    call("study.py", "sizes", "--model", "ours.safetensors", "--folder", "photos")
    rows = {row[0]: row[1:] for row in json.loads((tmp_path / "results/study_sizes_photos.json").read_text())["rows"]}
    assert rows["3136 pixels"][0] == pytest.approx(rows["3136 pixels"][1], abs=0.3)  # of two that are alike
    assert [path.name for path in (tmp_path / "results").glob("*.jpg")] == []


def test_looks_are_shown(call, tmp_path):
    config = override(on_sample(colorizer().trained.config), model=ChromaUNet((4, 8), hints=True, vivid=True))
    variables = jax.jit(config.model.init)(jax.random.key(0), np.zeros((1, 32, 32, 1)))
    write_weights(tmp_path / "ours.safetensors", config, variables, {"epochs": 0}, "float32")
    call("study.py", "looks", "--model", "ours.safetensors")
    for name in ("study_looks.jpg", "study_hand.jpg"):
        assert Image.open(tmp_path / "results" / name).width > 400


def test_photographs_are_coloured_anew(call, tmp_path):
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "ours.safetensors", on_sample(config), variables, {"epochs": 0}, "float32")
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number, shape in enumerate([(40, 50, 3), (33, 47, 3), (30, 30)]):
        pixels = rng.integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"photos/{number}.png")
    call("study.py", "recolour", "photos", "--models", "ours.safetensors", "--ways")
    values = json.loads((tmp_path / "results/study_recolour.json").read_text())
    rows = {row["method"]: row for row in rows_of(values)}
    assert next(iter(rows)) == "gray"
    assert {f"test, seen by {way}" for way in ("nearest", "box", "bilinear", "bicubic", "lanczos")} < set(rows)
    truth, gray, oracle = rows["truth"], rows["gray"], rows["the true mean chroma (an oracle)"]
    assert (truth["PSNR of the mean"], truth["mean of PSNR"], truth["CIEDE2000"]) == (50, 50, 0)
    assert truth["better than gray, %"] == pytest.approx(100 * 2 / 3)  # the third is gray
    assert truth["mean of PSNR at 21"] is None
    assert gray["colourfulness"] == pytest.approx(0, abs=1e-3)
    assert gray["mean of PSNR"] < oracle["mean of PSNR"] < 50
    clean = [np.asarray(Image.open(tmp_path / f"photos/{number}.png")) / 255 for number in range(2)]
    errors = [np.square(image @ [0.299, 0.587, 0.114] - np.moveaxis(image, -1, 0)).mean() for image in clean]
    assert gray["mean of PSNR"] == pytest.approx((50 - 10 * np.log10(errors).sum()) / 3, abs=1e-3)
    assert gray["PSNR of the mean"] == pytest.approx(-10 * np.log10(np.sum(errors) / 3), abs=1e-3)


def test_darker_and_degraded_luma_is_coloured(call, tmp_path):
    config, variables, _ = colorizer().trained
    write_weights(tmp_path / "ours.safetensors", on_sample(config), variables, {"epochs": 0}, "float32")
    (tmp_path / "photos").mkdir()
    Image.fromarray(astronaut()[::4, ::4]).save(tmp_path / "photos/a.png")
    call("study.py", "old", "photos", "--model", "ours.safetensors")
    values = json.loads((tmp_path / "results/study_old.json").read_text())
    rows = {row["luma"]: row for row in rows_of(values)}
    assert len(rows) == 7
    assert rows["luma x 1"]["of the first"] == 1
    assert rows["luma x 0.25"]["saturation"] > 0
    assert 10 < rows["blur of 1 pixel"]["mean of PSNR"] < 40


def test_hints_are_measured_beside_spreading_without_a_model(call, tmp_path):
    config = override(on_sample(colorizer().trained.config), model=ChromaUNet((4, 8), hints=True))
    variables = jax.jit(config.model.init)(jax.random.key(0), np.zeros((1, 32, 32, 1)))
    write_weights(tmp_path / "ours.safetensors", config, variables, {"epochs": 0}, "float32")
    (tmp_path / "photos").mkdir()
    Image.fromarray(astronaut()[:128:2, :160:2]).save(tmp_path / "photos/a.png")
    call("study.py", "hints", "photos", "--model", "ours.safetensors")
    rows = {
        (row["method"], row["hints"]): row
        for row in rows_of(json.loads((tmp_path / "results/study_hints.json").read_text()))
    }
    assert len(rows) == 8
    for method in ("spread without a model", "the model"):
        assert rows[method, "100"]["mean of PSNR"] > rows["gray", "0"]["mean of PSNR"] + 1


def test_references_of_a_class_are_compared_with_others(call, tmp_path):
    config = override(on_sample(colorizer().trained.config), model=ChromaUNet((4, 8), hints=True))
    variables = jax.jit(config.model.init)(jax.random.key(0), np.zeros((1, 32, 32, 1)))
    write_weights(tmp_path / "ours.safetensors", config, variables, {"epochs": 0}, "float32")
    (tmp_path / "photos").mkdir()
    for name, part in {"a_1": 0, "a_2": 1, "b_1": 2, "b_2": 3}.items():
        Image.fromarray(astronaut()[part::8, ::8]).save(tmp_path / f"photos/{name}.png")
    call("study.py", "reference", "photos", "--model", "ours.safetensors", "--limit", "3")
    rows = rows_of(json.loads((tmp_path / "results/study_reference.json").read_text()))
    assert [(row["reference"], row["carried over by"]) for row in rows] == [
        ("none", ""),
        *(
            (name, way)
            for name in ("of the same class", "any other")
            for way in ("what is alike, and luma", "luma alone")
        ),
    ]
    assert (rows[0]["photographs"], rows[0]["number"], rows[0]["over none"]) == ("photos", 3, 0)
    (tmp_path / "photos/c_1.png").write_bytes((tmp_path / "photos/a_1.png").read_bytes())
    refused = call("study.py", "reference", "photos", "--model", "ours.safetensors", status=2)
    assert "is the only photograph of its class" in refused.stderr


def test_ways_of_upsampling_are_compared(call, tmp_path):
    ours = colorizer().trained
    write_weights(tmp_path / "ours.safetensors", ours.config, ours.variables, {"epochs": 0}, "float32")
    (tmp_path / "photos").mkdir()
    Image.fromarray(astronaut()[:300:2, :300:2]).save(tmp_path / "photos/a.png")
    call("study.py", "upsampling", "photos", "--model", "ours.safetensors")
    values = json.loads((tmp_path / "results/study_upsampling.json").read_text())
    psnr = {(row["chroma"], row["brought to full size by"]): row["mean of PSNR"] for row in rows_of(values)}
    assert len(psnr) == 9
    best = psnr.pop(("the true chroma", "lines through each point"))
    assert best > max(psnr.values())


def test_joint_bilateral_keeps_colours_apart_where_luma_is():
    gray = np.full((64, 64), 0.2, np.float32)
    gray[:, 29:] = 0.7
    small = gray.reshape(16, 4, 16, 4).mean((1, 3))[..., None]
    chroma = np.concatenate([small - 0.2, 0.7 - small], -1)  # a mixture where the edge is
    large = joint_bilateral(chroma, small, gray)
    apart = np.linalg.norm(large[:, 29] - large[:, 28], axis=-1)
    assert apart.min() > 0.9 * np.hypot(0.5, 0.5)


def test_without_a_model_hints_spread_over_what_has_like_luma():
    gray = np.full((24, 40), 0.3, np.float32)
    gray[:, 17:] = 0.6
    hints = Hints(np.array([3, 20]), np.array([5, 30]), np.float32([[0.1, -0.05], [-0.1, 0.08]]), gray.shape)
    chroma = np.asarray(rgb_to_chroma(spread_over(gray, hints)))
    np.testing.assert_allclose(chroma[:, :16], np.broadcast_to([0.1, -0.05], (24, 16, 2)), atol=0.01)
    np.testing.assert_allclose(chroma[:, 18:], np.broadcast_to([-0.1, 0.08], (24, 22, 2)), atol=0.01)


@pytest.mark.slow
def test_photos(call, tmp_path):
    call("study.py", "photos", "--sigmas", "0", "0.1", "--limit", "1")
    values = json.loads((tmp_path / "results/study_photos.json").read_text())
    psnr = {name: row for name, *row in values["rows"]}
    assert psnr["noisy"][0] == 80
    assert psnr["photo_denoiser"][1] > psnr["noisy"][1] + 7
    assert (
        f"| noisy | {psnr['noisy'][0]:.2f} | {psnr['noisy'][1]:.2f} |" in (tmp_path / "results/README.md").read_text()
    )
    assert Image.open(tmp_path / "results/study_photos.jpg").width > 200


@pytest.mark.slow
def test_colour_by_classes_trains():
    config = override(on_sample(VIVID), model=ClassUNet((4, 8)), batch_size=32, epochs=1, limit=32)
    data = load_data(config)
    state, history = fit(config, data)
    assert 0 < history[0]["loss"] < 100
    assert 0 < history[0]["val_loss"] < 0.1
    outputs = predictor(config)(state.variables, luma(jnp.float32(data.test.images[:2]) / 255))
    assert outputs.shape == (2, 32, 32, 3)
