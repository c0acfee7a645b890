import json
import subprocess
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, TINY, python
from safetensors.numpy import save_file

from ae import measure, models, predictor
from ae.data import load_data
from ae.data.sets import SOURCES
from ae.errors import InputError
from ae.report.figures import read_strip
from ae.report.tables import scores_table
from ae.restore import weights
from ae.restore.export import export_program
from ae.restore.weights import Pretrained, load_pretrained, pretrained_names, read_weights, write_weights
from ae.score.pictures import pictures

CONFIG = replace(TINY, name="small_unet", model=models.UNet(widths=(2, 4)))
RESULT = {"test": {"mse": 0.004}, "command": "python scripts/train.py small_unet"}


@pytest.fixture(scope="module")
def variables():
    return jax.jit(CONFIG.model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))


@pytest.fixture
def file(tmp_path, variables):
    write_weights(tmp_path / "small_unet.safetensors", CONFIG, variables, RESULT, np.float16)
    return tmp_path / "small_unet.safetensors"


@pytest.fixture
def released(file, monkeypatch):
    """The file as one that ships with the package."""
    checksum = weights.sha256(file)
    (file.parent / weights.CHECKSUMS).write_text(f"{checksum}  {file.name}\n")
    monkeypatch.setattr(weights, "WEIGHTS", file.parent)
    return file


def test_weights_survive_with_their_configuration_and_result(file, variables):
    loaded = read_weights(file)
    assert loaded.config == CONFIG
    assert loaded.result == RESULT
    expected = jax.tree.map(lambda x: jnp.float32(np.asarray(x, np.float16)), variables)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables["params"], expected["params"])
    statistics = [tree.get("batch_stats", {}) for tree in (loaded.variables, variables)]
    jax.tree.map(np.testing.assert_array_equal, *statistics)  # in float32: those of released weights pass float16's end
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(loaded.variables))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3), expected["params"], variables["params"])
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_released_weights_are_found_by_name(released):
    assert load_pretrained("small_unet").config == CONFIG
    with pytest.raises(InputError, match="no weights 'unet' ship with the package; there are small_unet"):
        load_pretrained("unet")
    with pytest.raises(InputError, match="no weights"):
        load_pretrained("../small_unet")


def test_released_weights_have_their_checksum(released):
    content = bytearray(released.read_bytes())
    content[-1] ^= 1
    released.write_bytes(content)
    with pytest.raises(InputError, match="checksum is another: install the package again"):
        load_pretrained("small_unet")


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_damaged_weights_are_one_line(file, length):
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(InputError, match="is damaged"):
        read_weights(file)
    with pytest.raises(InputError, match="does not exist"):
        read_weights(file.with_name("none"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays | {"params/Conv_0/kernel": np.zeros((3, 3, 1, 7), np.float16)}, r"\(3, 3, 1, 7\), not"),
        (lambda arrays: {k: v for k, v in arrays.items() if k != "params/Conv_0/bias"}, "Conv_0/bias is missing"),
        (lambda arrays: arrays | {"params/Conv_9/bias": np.zeros(1, np.float16)}, "not wanted"),
    ],
)
def test_weights_have_to_fit_their_model(file, variables, change, message):
    arrays = {key: np.asarray(value, np.float16) for key, value in weights._flat(variables).items()}
    metadata = {"config": json.dumps(CONFIG.to_dict()), "result": json.dumps(RESULT)}
    save_file(change(arrays), file, metadata)
    with pytest.raises(InputError, match=message):
        read_weights(file)


def test_weights_of_others_are_one_line(file):
    save_file({"w": np.zeros(1)}, file)
    with pytest.raises(InputError, match="that this package wrote"):
        read_weights(file)
    save_file({"w": np.zeros(1)}, file, {"config": json.dumps(CONFIG.to_dict() | {"model": {"class": "Evil"}})})
    with pytest.raises(InputError, match="unknown class 'Evil'"):
        read_weights(file)


def test_weights_are_called_with_images(released, variables):
    model = load_pretrained("small_unet")
    images = np.random.default_rng(0).integers(0, 256, (2, 7, 9, 1), np.uint8)
    output = model(images)
    assert (output.shape, output.dtype) == ((2, 7, 9, 1), jnp.float32)
    np.testing.assert_allclose(output, CONFIG.model.apply(model.variables, images / np.float32(255)), atol=1e-6)
    np.testing.assert_allclose(model(images / 255), output, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), r"expected images \[B, H, W, 1\], got \(2, 8, 8, 3\)"),
        (np.zeros((8, 8, 1), np.uint8), "expected images"),
        (np.zeros((0, 8, 8, 1), np.uint8), "expected images"),
        (np.zeros((1, 8, 8, 1), np.uint16), "got uint16"),
        (np.full((1, 8, 8, 1), 255.0), r"expected floats in \[0, 1\], got 255 to 255"),
        (np.full((1, 8, 8, 1), -0.1), "got -0.1"),
        (np.full((1, 8, 8, 1), np.nan), "got nan"),
    ],
)
def test_images_of_other_kinds_are_one_line(released, images, message):
    with pytest.raises(InputError, match=message):
        load_pretrained("small_unet")(images)


@pytest.mark.parametrize(
    "model", [models.UNet(widths=(2, 4), residual=True), models.ChromaUNet(widths=(2, 4))], ids=type
)
def test_programs_run_without_the_package_at_any_size(model, tmp_path):
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    images = np.random.default_rng(0).random((3, 17, 23, 1), np.float32)
    export_program(Pretrained(replace(CONFIG, model=model), variables, {}), tmp_path / "model.jax")
    np.save(tmp_path / "images.npy", images)
    code = """
import sys, jax, numpy as np
from jax import export
model = export.deserialize(bytearray(open("model.jax", "rb").read()))
np.save("output.npy", model.call(np.load("images.npy")))
assert not {"ae", "flax"} & set(sys.modules)
"""
    subprocess.run(python("-c", code), cwd=tmp_path, check=True)
    expected = jax.jit(partial(model.apply, variables))(images)
    np.testing.assert_allclose(np.load(tmp_path / "output.npy"), expected, atol=1e-5)


def test_a_model_of_one_size_is_no_program_for_any(tmp_path):
    model = models.ColorizerAE(encoder=(2, 2, 2), latent=2, decoder=(2, 2, 2))
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
    with pytest.raises(InputError, match="cannot be written for any size"):
        export_program(Pretrained(replace(CONFIG, model=model), variables, {}), tmp_path / "model.jax")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def scored(tfds_dir, decoded):
    """Released weights by name, and the images that they are scored on."""

    def scored(name):
        config, variables, _ = load_pretrained(name)
        config = replace(config, data=config.data.partition("+")[0])  # which has the images for the test
        if config.data in SOURCES and not (tfds_dir / config.data).exists():
            pytest.skip(f"{config.data} is not in {tfds_dir}")
        splits = dict.fromkeys(("train_split", "validation_split"), config.test_split)
        return config, variables, load_data(replace(config, **splits), data_dir=tfds_dir).test

    return scored


PUBLISHED = [name for name in pretrained_names() if (ROOT / f"results/{name}_images.png").exists()]


@pytest.mark.parametrize("name", PUBLISHED)
def test_released_weights_make_the_pictures_that_are_published(name, scored):
    """Within a level of 255, although the weights are rounded."""
    config, variables, test = scored(name)
    published = read_strip(ROOT / f"results/{name}_images.png")
    for made, shown in zip(pictures(predictor(config), variables, config.task, test), published, strict=True):
        np.testing.assert_allclose(np.broadcast_to(np.clip(made, 0, 1), shown.shape), shown, atol=1.6 / 255)


@pytest.mark.slow
@pytest.mark.parametrize("name", pretrained_names())
def test_released_weights_score_what_the_tables_say(name, scored, optimized):
    """To the last digit that is shown, although the weights are rounded."""
    config, variables, test = scored(name)
    scores = measure(predictor(config), variables, config.task, test, batch_size=256)
    told = json.loads((ROOT / f"results/{name}.json").read_text())["test"]
    assert scores_table({name: scores}, "accuracy") == scores_table({name: told}, "accuracy")


def test_released_weights_are_small_and_all_there():
    limits = {
        "unet_denoiser": 1e6,
        "gray_denoiser": 1e6,
        "photo_denoiser": 2e6,
        "camera_denoiser": 2e6,
        "chroma_unet": 5.3e6,
    }
    assert set(pretrained_names()) == set(limits)
    for name, most in limits.items():
        assert (weights.WEIGHTS / f"{name}.safetensors").stat().st_size <= most
    assert sum(path.stat().st_size for path in weights.WEIGHTS.iterdir()) < 12e6
    for name in pretrained_names():
        result = load_pretrained(name).result
        assert {"preset", "data", "command", "test", "versions"} <= set(result)
