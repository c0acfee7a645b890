"""Denoisers on benchmarks, from the files to the table."""

import json
import sys
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.denoising import benchmark_table
from conftest import ROOT, TINY, refused, write_denoiser
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_nl_means

from ae import load_model
from ae.data.sets import BENCHMARKS, COLOUR_BENCHMARKS, GRAY_BENCHMARKS, SOURCES
from ae.errors import InputError
from ae.report.markdown import rows_of, to_markdown
from ae.restore.denoise import MANY, Denoiser
from ae.restore.weights import Pretrained
from ae.score import benchmarks
from ae.score.baselines import non_local_means_at
from ae.tasks import Colorize, DenoisePhotograph

SHAPES = {"a": (24, 37), "b": (32, 16)}
NON_LOCAL_MEANS = "non-local means (scikit-image)"
FAKE_BM3D = """
def bm3d(noisy, sigma):
    assert noisy.ndim == 2 and noisy.min() < 0 and noisy.max() > 1, "the noise is clipped"
    return 0 * noisy + sigma
def bm3d_rgb(noisy, sigma):
    assert noisy.ndim == 3
    return 0 * noisy + sigma
"""


def pixels(shape):
    return np.random.default_rng(shape[0]).integers(0, 256, shape, np.uint8)


@pytest.fixture
def sets(tmp_path):
    """A folder with small gray, colour and real benchmarks."""
    for name, depth in (("set12", ()), ("mcmaster", (3,)), ("polyu", (3,))):
        (tmp_path / "sets" / name).mkdir(parents=True)
        for stem, shape in SHAPES.items():
            suffixes = ("_mean.png", "_real.png") if name == "polyu" else (".png",)
            for place, suffix in enumerate(suffixes):
                array = np.clip(pixels((*shape, *depth)).astype(int) + 9 * place, 0, 255).astype(np.uint8)
                Image.fromarray(array).save(tmp_path / "sets" / name / f"{stem}{suffix}")
    return tmp_path / "sets"


@pytest.fixture
def score(call, tmp_path, sets):
    """Scores a small model on a benchmark, and returns what was said and the file."""
    write_denoiser(tmp_path / "ours.safetensors")

    def score(name, *options):
        done = call("evaluate.py", "ours.safetensors", "--benchmark", name, "--data-dir", "sets", *options)
        return done.stdout, json.loads((tmp_path / f"results/benchmark_{name}.json").read_text())

    return score


def test_a_gray_benchmark_becomes_a_table(score, sets):
    said, values = score("set12", "--sigma", "25", "50")
    assert values["columns"] == ["method", "source", "PSNR 25", "PSNR 50", "SSIM 25", "SSIM 50"]
    measured = [row["method"] for row in rows_of(values) if row["source"] == "measured"]
    assert measured == ["noisy", NON_LOCAL_MEANS, "ours"]
    assert "Set12, 2 gray images" in values["title"]
    assert "not clipped, seed 0" in values["title"]
    assert to_markdown(values) in said
    assert "no row of BM3D, as peers/bm3d/bin/python does not exist: `python3 -m venv peers/bm3d" in said
    assert values["details"]["images"] == ["a.png", "b.png"]
    assert values["made_with"][0]["command"].endswith("--benchmark set12 --data-dir sets --sigma 25 50")


def test_the_figures_are_means_over_the_images(score, sets):
    _, values = score("set12", "--sigma", "25")
    rows = {row["method"]: row for row in rows_of(values)}
    expected = {"noisy": [], NON_LOCAL_MEANS: []}
    for index, shape in enumerate(SHAPES.values()):
        clean = pixels(shape) / 255
        noisy = clean + 25 / 255 * np.random.default_rng((0, index)).standard_normal((*shape, 1), np.float32)[..., 0]
        settings = {"patch_size": 5, "patch_distance": 6, "h": 0.8 * 25 / 255, "sigma": 25 / 255}
        denoised = np.round(255 * np.clip(denoise_nl_means(noisy, **settings), 0, 1)) / 255
        for method, output in (("noisy", noisy), (NON_LOCAL_MEANS, denoised)):
            expected[method].append(peak_signal_noise_ratio(clean, output, data_range=1))
    for method, psnr in expected.items():
        assert rows[method]["PSNR 25"] == pytest.approx(np.mean(psnr), abs=2e-3)
        each = [image["psnr"] for image in values["details"]["scores"]["25"][method]]
        assert each == pytest.approx(psnr, abs=2e-3)


def test_rows_of_other_models_and_of_peers_stay(score, call, tmp_path):
    _, first = score("set12", "--sigma", "25")
    write_denoiser(tmp_path / "other.safetensors")
    call("evaluate.py", "other.safetensors", "--benchmark", "set12", "--data-dir", "sets", "--sigma", "25", "50")
    values = json.loads((tmp_path / "results/benchmark_set12.json").read_text())
    rows = {row["method"]: row for row in rows_of(values) if row["source"] == "measured"}
    assert list(rows) == ["noisy", NON_LOCAL_MEANS, "ours", "other"]
    assert rows["ours"]["PSNR 50"] is None
    assert rows["other"]["PSNR 25"] > 0
    assert rows[NON_LOCAL_MEANS]["PSNR 25"] == rows_of(first)[1]["PSNR 25"]
    assert [entry["command"].split()[2] for entry in values["made_with"]] == ["ours.safetensors", "other.safetensors"]
    other_images = {**first, "details": first["details"] | {"images": ["a.png"]}}
    (tmp_path / "results/benchmark_set12.json").write_text(json.dumps(other_images))
    _, anew = score("set12", "--sigma", "50")
    assert anew["columns"] == ["method", "source", "PSNR 50", "SSIM 50"]


def test_a_gray_model_is_scored_on_the_luma_of_colour(score):
    _, values = score("mcmaster", "--sigma", "15")
    assert "2 images as luma (Y)" in values["title"]
    assert [row["source"] for row in rows_of(values)] == ["measured"] * 3  # papers report RGB


def test_a_model_for_colour_is_scored_in_rgb(score, tmp_path):
    write_denoiser(tmp_path / "ours.safetensors", channels=3)
    _, values = score("mcmaster", "--sigma", "15")
    assert "2 images in RGB" in values["title"]
    assert {row["source"] for row in rows_of(values)} == {
        "measured", "as published (DPIR)", "as published (FFDNet)", "as published (Restormer)"
    }  # fmt: skip
    assert values["details"]["published"] == benchmarks.published_sources()


def test_models_of_what_cameras_add_are_scored_too(score, call, tmp_path):
    write_denoiser(tmp_path / "ours.safetensors", channels=3, task=DenoisePhotograph())
    _, values = score("polyu")
    assert "ours" in [row["method"] for row in rows_of(values)]
    noisy = np.clip(pixels((*SHAPES["a"], 3)), 10, 250)
    Image.fromarray(noisy).save(tmp_path / "in.png")
    said = call("denoise.py", "in.png", "out.png", "--model", "ours.safetensors").stdout
    assert "in.png: noise of sigma" in said


def test_real_noise_is_scored_as_it_is(score):
    _, values = score("polyu")
    assert values["columns"] == ["method", "source", "PSNR", "SSIM"]
    assert "real noise" in values["title"]
    noisy = rows_of(values)[0]["PSNR"]
    assert 20 * np.log10(255 / 9) == pytest.approx(noisy, abs=0.5)  # 9 of 255 brighter, but where that is white


@pytest.mark.parametrize(("name", "row"), [("set12", "BM3D"), ("mcmaster", "CBM3D")])
def test_bm3d_runs_in_an_environment_of_its_own(score, tmp_path, monkeypatch, name, row):
    fake = tmp_path / "fake"
    (fake / "bm3d-9.9.dist-info").mkdir(parents=True)
    (fake / "bm3d-9.9.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: bm3d\nVersion: 9.9\n")
    (fake / "bm3d.py").write_text(FAKE_BM3D)
    monkeypatch.setenv("PYTHONPATH", str(fake))
    if row == "CBM3D":
        write_denoiser(tmp_path / "ours.safetensors", channels=3)
    options = (name, "--sigma", "0", "51", "--bm3d-python", sys.executable)
    said, values = score(*options)
    assert "no row of BM3D" not in said
    assert values["made_with"][0]["versions"]["bm3d"] == "9.9"
    assert score(*options)[1] == values  # its row stays, and so does its version
    measured = next(values for values in rows_of(values) if values["method"] == row)
    shapes = [(*shape, *(() if row == "BM3D" else (3,))) for shape in SHAPES.values()]
    expected = [peak_signal_noise_ratio(pixels(shape), np.full(shape, 51, np.uint8)) for shape in shapes]
    assert measured["PSNR 51"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert measured["PSNR 0"] == 80


def test_published_figures_stand_at_their_noise_levels_only():
    scores = {sigma: {"noisy": [{"psnr": 20.0, "ssim": 0.5}]} for sigma in (20.0, 25.0)}
    rows = rows_of(benchmark_table("bsd68", "gray", 1, scores))
    dncnn = next(row for row in rows if row["method"] == "DnCNN")
    assert (dncnn["PSNR 20"], dncnn["PSNR 25"], dncnn["SSIM 25"]) == (None, 29.23, None)
    assert dncnn["source"] == "as published (DPIR)"
    assert len(benchmark_table("bsd68", "gray", 1, {20.0: scores[20.0]})["rows"]) == 1


GRAY_RESULTS = [path for name in GRAY_BENCHMARKS if (path := ROOT / f"results/benchmark_{name}.json").exists()]


@pytest.mark.parametrize("path", GRAY_RESULTS, ids=lambda path: path.stem)
def test_bm3d_is_measured_as_papers_measure_it(path):
    """At sigma 15 and 25 within 0.2 dB of what they report: clipped or rounded noise would be further away."""
    rows = [row for row in rows_of(json.loads(path.read_text())) if row["method"] == "BM3D"]
    (ours,), (theirs,) = ([row for row in rows if (row["source"] == "measured") == own] for own in (True, False))
    for sigma in (15, 25):
        assert ours[f"PSNR {sigma}"] == pytest.approx(theirs[f"PSNR {sigma}"], abs=0.2)


def test_published_figures_are_whole():
    assert set(BENCHMARKS) < set(SOURCES)
    for name in (*GRAY_BENCHMARKS, *COLOUR_BENCHMARKS):
        rows = benchmarks.published(name, [15, 25, 50])
        assert [row["method"].removeprefix("C") for row in rows] == ["BM3D", "DnCNN", "FFDNet", "DRUNet", "Restormer"]
        for row in rows:
            assert row["source"] in benchmarks.published_sources()
            assert list(row["psnr"]) == [15, 25, 50]
            assert sorted(row["psnr"].values(), reverse=True) == list(row["psnr"].values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--benchmark", "set13"], ["unknown benchmark 'set13'; there are set12, bsd68"]),
        (["--benchmark", "bsd68"], ["bsd68 has no images", "`python scripts/prepare.py bsd68 --data-dir sets`"]),
        (["--benchmark", "set12", "--sigma", "15", "-1"], ["--sigma has to be at least 0, of 255, not -1"]),
        (["--benchmark", "set12", "--sigma", "nan"], ["--sigma has to be at least 0, of 255, not nan"]),
        (["--benchmark", "polyu", "--sigma", "15"], ["the photographs of polyu have their own"]),
        (["--benchmark", "set12", "--data", "sample"], ["--benchmark and --data name two things"]),
        (["--sigma", "15"], ["--sigma is for the noise of a --benchmark"]),
    ],
)
def test_bad_input_is_one_line(call, sets, tmp_path, options, words):
    write_denoiser(tmp_path / "ours.safetensors")
    refused(call("evaluate.py", "ours.safetensors", "--data-dir", "sets", *options, status=2), *words)
    assert not (tmp_path / "results").exists()


def test_models_that_do_not_fit_are_refused(call, sets, tmp_path):
    write_denoiser(tmp_path / "colour.safetensors", channels=3)
    write_denoiser(tmp_path / "colorizer.safetensors", task=Colorize())
    options = ("--benchmark", "set12", "--data-dir", "sets")
    refused(call("evaluate.py", "colour.safetensors", *options, status=2), "colour, set12 is gray: choose cbsd68")
    refused(call("evaluate.py", "colorizer.safetensors", *options, status=2), "another task than noise")


class Half(nn.Module):
    """Half of the input."""

    @nn.compact
    def __call__(self, x, train=False):
        return x / 2 + self.param("bias", nn.initializers.zeros_init(), ())


def test_models_see_noise_beyond_black_and_white():
    config = replace(TINY, model=Half())
    variables = config.model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    denoiser = Denoiser(Pretrained(config, {"batch_stats": {}, **variables}, {"input_shape": [8, 8, 3]}))
    noisy = np.linspace(-1, 1.8, 3 * 20 * 30, dtype=np.float32).reshape(20, 30, 3)
    np.testing.assert_allclose(denoiser.output(noisy), np.clip(noisy / 2, 0, 1), atol=1e-6)
    np.testing.assert_allclose(denoiser.output(noisy[..., :1]), np.clip(noisy[..., :1] / 2, 0, 1), atol=1e-6)
    with pytest.raises(InputError, match=r"expected floats in \[0, 1\], got -1 to 1.8"):
        denoiser.image(noisy.reshape(20, 90))


@pytest.mark.parametrize("many", [False, True])
def test_many_pixels_are_computed_by_convolutions_that_take_long_to_compile(tmp_path, monkeypatch, many):
    write_denoiser(tmp_path / "denoiser.safetensors", channels=3)
    trained, noisy = (
        load_model(tmp_path / "denoiser.safetensors"),
        np.random.default_rng(0).random((40, 50, 3), np.float32),
    )
    asked = []
    apply = Pretrained.apply
    monkeypatch.setattr(Pretrained, "apply", lambda *a, **how: asked.append(how["many"]) or apply(*a, **how))
    clean = Denoiser(trained, to_come=MANY + 1 if many else 0).image(noisy)
    assert set(asked) == {many}
    np.testing.assert_allclose(clean, Denoiser(trained).image(noisy), atol=1e-5)


def test_non_local_means_take_the_channels_together():
    noisy = np.random.default_rng(0).normal(0.5, 0.1, (20, 24, 3)).astype(np.float32)
    noisy[..., 1] = noisy[..., 0]
    output = non_local_means_at(noisy, 0.1)
    np.testing.assert_allclose(output[..., 1], output[..., 0], atol=1e-6)
    assert output.std() < noisy.std() / 2
    assert np.abs(output[..., :1] - non_local_means_at(noisy[..., :1], 0.1)).max() > 0.01
    np.testing.assert_array_equal(non_local_means_at(noisy, 0), noisy)
