"""Every command and example of the guides is run: here, shortened where it is long, or by the test that is named for it."""

import os
import re
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import train
from clips import luma_frames, make_clip
from conftest import ROOT, free_port, python, refused
from PIL import Image
from skimage import data
from test_shell import refusal

import ae
from ae.presets.shell import parse

README = (ROOT / "README.md").read_text()
PAGES = dict.fromkeys(re.findall(r"\]\((docs/\w+\.md|CONTRIBUTING\.md)\)", README))  # as a reader follows them
TEXT = "".join([README, *((ROOT / page).read_text() for page in PAGES)])
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
LINES = dict.fromkeys(
    line.partition(" #")[0].strip() for block in BLOCKS for line in re.sub(r"\\\n\s*", "", block).splitlines()
)
COMMANDS = [line for line in LINES if "scripts/" in line]
EXAMPLES = list(dict.fromkeys(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)))
FILES = {example.partition("\n")[0].removeprefix("# "): example for example in EXAMPLES if example.startswith("# my_")}

ONE_EPOCH = ("--limit", "16", "--epochs", "1")
TRAINING = {
    "python scripts/train.py pixel_mlp --data-dir DIR": ONE_EPOCH,
    "python scripts/train.py pixel_mlp --resume": ("--data-dir", "DIR", "--limit", "16", "--epochs", "2"),
    "python scripts/evaluate.py runs/pixel_mlp": ("--data-dir", "DIR"),
    "python scripts/export.py runs/pixel_mlp mlp.jax": (),
    "python scripts/export.py runs/pixel_mlp mlp.safetensors": (),
    "python scripts/reproduce.py": ("--data-dir", "DIR", "--limit", "16", "--epochs", "2", "--only", "pixel_mlp"),
    "python scripts/reproduce.py --only PRESET": ("--data-dir", "DIR", "--limit", "16", "--epochs", "3"),
    "python scripts/study.py side-by-side": (),
}
TRAIN = "python scripts/train.py"
WIDE = f"{TRAIN} unet_denoiser --model.widths 32 64 128 --task.sigma .2 --batch-size 128 --out runs/wide"
ADAMW = (
    f"{TRAIN} keras_io_denoiser --data sample --out runs/adamw --optimizer adamw --weight-decay .01 "
    "--schedule cosine --warmup-steps 100 --clip-norm 1 --ema-decay .99"
)
PROFILED = f"{TRAIN} keras_io_denoiser --data sample --profile --out runs/profiled"
STREAMED = f"{TRAIN} keras_io_denoiser --data sample --resident-bytes 0 --out runs/streamed"
SETTINGS = {
    f"{TRAIN} keras_io_denoiser --data sample": ONE_EPOCH,
    f"{TRAIN} unet_denoiser --help": (),
    ADAMW: (*ONE_EPOCH, "--profile", "--resident-bytes", "0"),
    f"{TRAIN} unet_denoiser --initial-weights unet_denoiser --learning-rate 1e-4 --epochs 2 --out runs/more": (
        "--data",
        "sample",
        "--limit",
        "16",
    ),
}
IMAGES = {
    "python scripts/colorize.py old.jpg new.png": (),
    "python scripts/colorize.py scans/ coloured/": (),
    "python scripts/colorize.py film.mp4 film-in-colour.mp4": (),
    "python scripts/colorize.py film.mkv try.mkv --preview 10 --side-by-side --saturation 1.5": (),
    "python scripts/colorize.py film.mkv frames/%06d.png": (),
    "python scripts/colorize.py frames/ again.mkv --fps 24000/1001": (),
    "python scripts/colorize.py scan.tif new.tif --restore": (),
    "python scripts/colorize.py film.mkv new.mkv --restore --keep-grain": (),
    "python scripts/denoise.py noisy.png clean.png": (),
    "python scripts/denoise.py noisy.png clean.png --sigma 0.1": (),
    "python scripts/denoise.py noisy.png clean.png --strength 0.5": (),
    "python scripts/denoise.py film.mkv clean.mkv": (),
}
OWN = {
    "python scripts/train.py my_model.py --data sample": ("--limit", "16", "--epochs", "2"),
    "python scripts/train.py my_task.py --data sample": ONE_EPOCH,
    "python scripts/evaluate.py runs/residual-sample-digits --preset my_model.py": (),
    "python scripts/denoise.py noisy.png clean.png --model runs/residual-sample-digits --preset my_model.py": (),
}
ELSEWHERE = {
    WIDE: "test_options_are_read_as_settings",
    PROFILED: "test_options_are_read_as_settings",
    STREAMED: "test_options_are_read_as_settings",
    "python scripts/reproduce.py --quick": ".ci/run",
    "python scripts/colorize.py old.jpg new.png --hints dots.png": "test_the_command_takes_hints",
    "python scripts/colorize.py old.jpg new.png --hints dots.png --vivid 0.5": "test_the_command_takes_hints",
    "python scripts/colorize.py film.mkv new.mkv --hints 0:12.5=dots.png 0:31=more.png":
        "test_the_command_takes_hints",
    "python scripts/colorize.py film.mp4 film-in-colour.mp4 --sheet sheet.jpg --shots shots.csv":
        "test_the_table_is_followed_as_it_was_edited",
    "python scripts/colorize.py film.mp4 film-in-colour.mp4 --resume": "test_the_command_goes_on_with_a_clip",
    "python scripts/study.py strip CLIP.mp4 --start 2": "test_strip",
    "python scripts/study.py film CLIPS/*.mp4": "test_film",
    "python scripts/study.py film-sizes CLIPS/*.mp4": "test_film_sizes",
    "python scripts/study.py fade CLIPS/*.mp4 --limit 48": "test_fade",
    "python scripts/study.py cuts CLIPS/*.mp4": "test_cuts",
    "python scripts/prepare.py kodak24": "test_a_set_is_the_wanted_files_of_its_repository",
    "python scripts/prepare.py tiny_imagenet": "test_a_set_is_the_wanted_files_of_its_repository",
    "python scripts/prepare.py imagenet_samples": "test_a_set_is_the_wanted_files_of_its_repository",
    "python scripts/prepare.py photo_squares": "test_squares_are_of_photographs_that_are_not_set_aside",
    "python scripts/prepare.py caltech": "test_a_set_is_the_wanted_files_of_its_repository",
    "python scripts/prepare.py object_squares": "test_squares_of_objects_are_nearly_whole_pictures",
    "python scripts/prepare.py large_squares": "test_large_squares_are_of_all_sets",
    f"{TRAIN} chroma_unet --data tiny_imagenet+large_squares --train-task.side 0":
        "test_images_of_another_size_are_a_part_of_their_own",
    "python scripts/reproduce.py --only chroma_unet":
        "test_a_colorizer_learns_from_photographs_and_hints_and_is_scored_without",
    "python scripts/prepare.py bsds500 --from BSDS500.zip": "test_a_set_is_the_wanted_files_of_its_repository",
    f"{TRAIN} photo_denoiser_base --data photos/ --tile 128 --train-task.crop 64 --train-task.turned":
        "test_the_guides_commands_train_on_photographs",
    f"{TRAIN} photo_denoiser_base --data bsds500 --tile 64 --scale 0.5 --train-task.crop 64":
        "test_the_guides_commands_train_on_photographs",
    "python scripts/benchmark.py inference --peers torch --seconds 0.5": "test_inference_is_timed_beside_pytorch",
    "python scripts/benchmark.py accelerator":
        "test_without_an_accelerator_the_table_says_that_nothing_is_measured",
    "python scripts/demo.py": "test_a_photograph_is_coloured_with_points_and_saved_as_the_command_does",
    "python scripts/export.py chroma_unet colour.onnx": "test_a_picture_is_coloured_without_jax",
    "python scripts/docs.py": "test_the_site_has_every_guide",
    "python scripts/prepare.py set12": "test_a_set_is_the_wanted_files_of_its_repository",
    "python scripts/evaluate.py gray_denoiser --benchmark set12": "test_a_gray_benchmark_becomes_a_table",
    "python scripts/evaluate.py gray_denoiser --benchmark bsd68 --sigma 15 25 50":
        "test_a_gray_benchmark_becomes_a_table",
    "python scripts/evaluate.py photo_denoiser --benchmark cbsd68": "test_bm3d_runs_in_an_environment_of_its_own",
    "python scripts/evaluate.py camera_denoiser --benchmark polyu": "test_models_of_what_cameras_add_are_scored_too",
    "python scripts/evaluate.py chroma_unet": "test_released_weights_score_what_the_tables_say",
    "python scripts/variants.py --limit 20000": "test_variants_make_a_table",
    "python scripts/train.py scripts/vivid.py": "test_colour_by_classes_trains",
    "python scripts/variants.py --in-full runs/chroma_unet_cifar runs/chroma_unet_vivid":
        "test_models_trained_in_full_are_compared",
    "python scripts/study.py noise --models unet_denoiser runs/unet_denoiser_blind runs/conv_ae_14": "test_noise",
    "python scripts/study.py latents": "test_latents",
    "python scripts/study.py photos": "test_photos",
    "python scripts/study.py kodak": "test_crops_of_kodaks_photographs_are_shown",
    "python scripts/study.py colour --models runs/chroma_unet_cifar": "test_colour",
    "python scripts/study.py clips CLIP.mp4 --reference runs/colorizer_ae": "test_clips",
    "python scripts/study.py sizes": "test_sizes",
    "python scripts/study.py sizes --folder set_aside/": "test_photographs_of_a_folder_are_not_shown",
    "python scripts/study.py recolour photos/ --ways": "test_photographs_are_coloured_anew",
    "python scripts/study.py hints photos/": "test_hints_are_measured_beside_spreading_without_a_model",
    "python scripts/study.py reference DIR": "test_references_of_a_class_are_compared_with_others",
    "python scripts/study.py looks": "test_looks_are_shown",
    "python scripts/study.py upsampling photos/": "test_ways_of_upsampling_are_compared",
    "python scripts/study.py old photos/": "test_darker_and_degraded_luma_is_coloured",
    "python scripts/benchmark.py video --clip CLIP.mp4 --torch-python peers/torch/bin/python":
        "test_clips_are_timed_with_and_without_a_model",
    "python scripts/benchmark.py train --peers torch keras --seconds 3": "test_training_is_timed",
    "python scripts/benchmark.py starts": "test_starts_are_timed",
    "srun python scripts/train.py conv_ae --distributed": "test_slurm_says_what_there_is_to_join",
    "python scripts/train.py conv_ae --coordinator HOST:PORT --processes 2 --process 0": "test_two_processes",
    "python scripts/benchmark.py denoise": "test_denoisers_take_turns",
    "python scripts/benchmark.py tiles": "test_tiles_are_timed_by_what_computes_them",
    "python scripts/benchmark.py ablation": "test_parts_of_the_convolutions_are_timed",
    "python scripts/benchmark.py products": "test_products_of_a_step_are_timed_alone",
}  # fmt: skip


def test_every_command_is_run():
    assert set(COMMANDS) == {*TRAINING, *SETTINGS, *IMAGES, *OWN, *ELSEWHERE}
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("*.py")) + "def .ci/run("
    for name in ELSEWHERE.values():
        assert f"def {name}(" in tests


def test_every_other_command_is_one_of_the_checks_or_of_the_setup():
    known = BLOCKS[0] + (ROOT / ".ci/run").read_text() + (ROOT / "results/reliability.json").read_text()
    assert [line for line in LINES if "scripts/" not in line and "peers/" not in line and line not in known] == []


@pytest.fixture
def follow(call):
    """Runs the README's commands one after the other."""

    def follow(commands, **places):
        for line in COMMANDS:
            if line in commands:
                words = [places.get(word, word) for word in (*line.split(), *commands[line])]
                yield line, call(words[1].removeprefix("scripts/"), *(place(word) for word in words[2:]))

    def place(word):
        return str(ROOT / word) if word.startswith("scripts/") else word

    return follow


def test_training(follow, small_mnist, tmp_path):
    said = {line: done.stdout for line, done in follow(TRAINING, DIR=str(small_mnist[0]), PRESET="pixel_mlp_14")}
    assert "epoch   2" in said["python scripts/train.py pixel_mlp --resume"]
    assert "noisy input" in said["python scripts/reproduce.py"]
    assert (tmp_path / "mlp.jax").stat().st_size > 10**6
    assert (tmp_path / "results/side_by_side_mnist_denoised.png").exists()


@pytest.mark.slow
def test_settings(follow, tmp_path):
    said = {line: done.stdout for line, done in follow(SETTINGS)}
    assert "--model.widths" in said[f"{TRAIN} unet_denoiser --help"]
    assert "epoch   1" in said[ADAMW]
    assert list((tmp_path / "runs/adamw/tensorboard").rglob("*.xplane.pb"))


def test_options_are_read_as_settings():
    def settings(command):
        return parse(train.main, command.split()[2:], "train.py").keywords

    model, task = ae.UNet(widths=(32, 64, 128), residual=True), ae.Denoise(sigma=0.2)
    assert settings(WIDE)["config"] == ae.preset("unet_denoiser", model=model, task=task, batch_size=128)
    adamw = {"optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine", "warmup_steps": 100, "clip_norm": 1.0}
    sample = ae.preset("keras_io_denoiser", data="sample")
    assert settings(ADAMW)["config"] == replace(sample, ema_decay=0.99, **adamw)
    assert settings(PROFILED).items() >= {"config": sample, "profile": True, "out": Path("runs/profiled")}.items()
    assert settings(STREAMED).items() >= {"config": sample, "resident_bytes": 0, "out": Path("runs/streamed")}.items()


def test_what_is_said_of_wrong_options():
    ((message, option),) = re.findall(r"`(unknown option (--\S+); near: [^`]+)`", TEXT)
    assert refusal("unet_denoiser", option, "8") == message


def test_images_and_clips(follow, tmp_path):
    photo = np.asarray(Image.open(ROOT / "results/study_clips_bigbuckbunny.jpg").convert("RGB"))[:60, -180:]
    iio.imwrite(tmp_path / "old.jpg", photo[..., 1])
    (tmp_path / "scans").mkdir()
    iio.imwrite(tmp_path / "scans/1.png", photo)
    noise = np.random.default_rng(0).normal(0, 20, photo.shape)
    iio.imwrite(tmp_path / "noisy.png", np.uint8(np.clip(photo + noise, 0, 255)))
    iio.imwrite(tmp_path / "scan.tif", np.uint8(np.clip(photo + noise, 0, 255)))
    for name in ("film.mp4", "film.mkv"):
        make_clip(tmp_path / name, luma_frames(12, 48, 64), tracks=[0.0])
    said, errors = {}, {}
    for line, done in follow(IMAGES):
        said[line] = done.stdout
        if " noisy.png " in line:
            errors[line] = np.square(np.float32(iio.imread(tmp_path / "clean.png")) - photo).mean()
    assert "PASS film-in-colour.mp4" in said["python scripts/colorize.py film.mp4 film-in-colour.mp4"]
    assert "PASS again.mkv" in said["python scripts/colorize.py frames/ again.mkv --fps 24000/1001"]
    assert np.ptp(iio.imread(tmp_path / "new.png"), axis=-1).mean() > 5  # it has colour
    assert iio.imread(tmp_path / "coloured/1.png").shape == photo.shape
    noisy = np.square(np.float32(iio.imread(tmp_path / "noisy.png")) - photo).mean()
    whole, _, half = errors.values()
    assert whole < noisy / 3
    assert whole < half < 0.5 * noisy  # a fourth of it is left by half of the noise alone


def test_a_model_and_a_task_in_a_file_of_ones_own(follow, call, tmp_path):
    for name, example in FILES.items():
        (tmp_path / name).write_text(example)
    iio.imwrite(tmp_path / "noisy.png", np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8))
    said = {line: done.stdout for line, done in follow(OWN)}
    assert all(f"python scripts/train.py {name} --data sample" in said for name in FILES)
    assert "epoch   2" in said["python scripts/train.py my_model.py --data sample"]
    scores = said["python scripts/evaluate.py runs/residual-sample-digits --preset my_model.py"]
    assert "residual" in scores
    assert iio.imread(tmp_path / "clean.png").shape == (20, 30)
    refused(call("evaluate.py", "runs/residual-sample-digits", status=2), "name the file", "--preset")
    call("export.py", "runs/residual-sample-digits", "mine.safetensors", "--preset", "my_model.py")
    scored = call("evaluate.py", "mine.safetensors", "--data", "sample", "--preset", "my_model.py")
    assert scored.stdout.splitlines()[-2] == scores.splitlines()[-2]


SMALL = "from ae import models, preset; PRESET = preset('colorizer_ae_quick', model=models.ChromaUNet(widths=(4, 8)))"


@pytest.mark.slow
def test_two_processes(tmp_path):
    (tmp_path / "small.py").write_text(SMALL)
    address = f"localhost:{free_port()}"
    started = []
    for process in range(2):
        (tmp_path / f"host{process}").mkdir()
        join = ("--coordinator", address, "--processes", 2, "--process", process)
        command = python(ROOT / "scripts/train.py", tmp_path / "small.py", "--data", "sample", *ONE_EPOCH, *join)
        quickly = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}
        host = {"cwd": tmp_path / f"host{process}", "env": quickly}
        started.append(subprocess.Popen(command, **host, stdout=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert "epoch   1" in said[0]
    assert "epoch" not in said[1]


def test_slurm_says_what_there_is_to_join():
    slurm = {"SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2", "SLURM_STEP_NUM_NODES": "1"}
    join = "import jax; from ae.runtime import devices; devices.join_processes(None, None, None); print(jax.process_count())"
    started = []
    for process in range(2):
        ranks = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_PROCID": str(process), "SLURM_LOCALID": str(process)}
        environment = os.environ | slurm | ranks
        started.append(subprocess.Popen(python("-c", join), env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [text.splitlines()[-1] for text in said] == ["2", "2"]


ELSEWHERE_RUN = ("film", "onnxruntime")  # parts of examples that tests of their own run


@pytest.mark.parametrize(
    "example",
    [text for text in EXAMPLES if text not in FILES.values() and not any(part in text for part in ELSEWHERE_RUN)],
)
def test_examples_run(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames, noisy = luma_frames(3, 24, 32), np.random.default_rng(0).random((20, 30), np.float32)
    values = {"frames": frames, "noisy": noisy}
    exec(example.replace("epochs=3", "epochs=1, limit=32"), values)
    if "rgb" in values:
        assert (values["rgb"].shape, values["rgb"].dtype) == ((*frames.shape, 3), frames.dtype)
    if "clean" in values:
        assert np.std(values["clean"]) < np.std(noisy)


def test_a_picture_is_coloured_without_jax(call, tmp_path, monkeypatch):
    pytest.importorskip("jax2onnx", reason="this needs pip install 'ae[onnx]'")
    (example,) = [example for example in EXAMPLES if "onnxruntime" in example]
    call("export.py", "chroma_unet", "colour.onnx")
    Image.fromarray(data.astronaut()).save(tmp_path / "old.jpg")
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    with Image.open("small-in-colour.png") as coloured:
        assert coloured.size == (64, 64)
        assert np.ptp(np.asarray(coloured).astype(int), axis=-1).mean() > 5


def test_frames_are_read_and_written_by_imageio(tmp_path, monkeypatch):
    (example,) = [example for example in EXAMPLES if "film" in example]
    gray = luma_frames(11, 48, 64)
    make_clip(tmp_path / "film.mp4", gray, rate=Fraction(24), color_range=2)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    found = iio.imread("film-in-colour.mp4", plugin="pyav")
    assert found.shape == (11, 48, 64, 3)
    assert iio.immeta("film-in-colour.mp4", plugin="pyav")["fps"] == 24
    assert np.abs(np.float32(found) @ np.float32([0.299, 0.587, 0.114]) - gray).mean() < 4
    assert np.ptp(found, axis=-1).mean() > 5


def test_every_script_is_in_the_guides():
    named = set(re.findall(r"scripts/(\w+\.py)", TEXT))
    assert named == {path.name for path in (ROOT / "scripts").glob("*.py")}


def test_files_that_the_guides_name_exist():
    named = set(re.findall(r"`((?:ae|scripts|tests|docs|results)/[\w/.]+)`", TEXT))
    assert sorted(name for name in named if "NAME" not in name and not (ROOT / name).exists()) == []
