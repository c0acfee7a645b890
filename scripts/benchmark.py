"""Measure speed, in turns on the same machine: of training against PyTorch and Keras, of clips, of denoisers."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from benchmarks.models import LAYERS, benchmark_config

from ae.report.markdown import Table
from ae.runtime import cli

Peer = Literal["torch", "keras"]
Model = Literal["conv_ae", "colorizer_ae", "unet", "pixel_mlp"]
Preset = Literal["medium", "veryfast"]
Weights = Annotated[
    tuple[str, ...], tyro.conf.arg(help="Names of weights in the package, or files of weights (.safetensors).")
]
Rounds = Annotated[int, tyro.conf.arg(help="How often each is timed; medians count.")]
Seconds = Annotated[float, tyro.conf.arg(help="How long each timing takes, about.")]
STARTED = (
    *("pixel_mlp", "conv_ae", "colorizer_ae", "unet_denoiser", "keras_io_denoiser", "chroma_unet_cifar"),
    *("pixel_mlp_quick", "conv_ae_quick", "colorizer_ae_quick"),
)
Out = Annotated[Path, tyro.conf.arg(help="File to write, and the pages that show its table.")]


def train(
    peers: tuple[Peer, ...] = (),
    models: tuple[Model, ...] = tuple(LAYERS),
    rounds: Rounds = 5,
    seconds: float = 2.0,
    torch_python: Path = Path("peers/torch/bin/python"),
    keras_python: Path = Path("peers/keras/bin/python"),
    out: Out = Path("results/benchmark_train.json"),
) -> None:
    """Measure the images a second of training steps (forward, backward, Adam; float32), ours and the peers' in turns.

    Args:
        peers: Whom to compare with; each is run in an environment of its own (see docs/speed.md).
        models: What to train.
        seconds: How long each timing takes, about; that of an epoch's overhead, which is small, forty times as long.
        torch_python: Python of PyTorch's environment.
        keras_python: Python of Keras' and TensorFlow's environment.
    """
    keep_to_cpu()
    from benchmarks.training import compare, training_table

    from ae.report.markdown import to_markdown

    pythons = {"torch": torch_python, "keras": keras_python}
    check_pythons({peer: pythons[peer] for peer in peers}, "docs/speed.md")
    rows, details, versions = [], {}, {}
    for name in models:
        print(f"\n{name}", flush=True)
        measured, details[name], more = compare(name, {peer: pythons[peer] for peer in peers}, rounds, seconds)
        rows, versions = [*rows, *measured], versions | more
        print(to_markdown(training_table(measured)))
    save(out, training_table(rows), [benchmark_config(name) for name in models], versions, details)


def starts(presets: tuple[str, ...] = STARTED, out: Out = Path("results/benchmark_starts.json")) -> None:
    """Measure the seconds from the start of `train.py` to its first step, and to compile an epoch.

    Args:
        presets: Whose training is started, on data that comes with the dependencies.
    """
    keep_to_cpu()
    from benchmarks.starts import compile_seconds, start_seconds, starts_table

    from ae.presets import preset

    table = starts_table(start_seconds(presets), compile_seconds(presets))
    save(out, table, [preset(name) for name in presets])


def ablation(
    models: tuple[Model, ...] = ("conv_ae", "colorizer_ae", "unet"),
    only: tuple[str, ...] = (),
    rounds: Rounds = 5,
    seconds: Seconds = 2.0,
    out: Out = Path("results/benchmark_ablation.json"),
) -> None:
    """Measure the images a second of training steps on a CPU without one part at a time, or with what did not pay.

    Args:
        models: What to train.
        only: What to do without or otherwise; all by default.
    """
    keep_to_cpu()
    from benchmarks.ablation import ablation_table, without_parts

    rates = {name: without_parts(name, only, rounds, seconds) for name in models}
    save(out, ablation_table(rates), [benchmark_config(name) for name in models], details=rates)


def products(
    models: tuple[Model, ...] = ("conv_ae", "colorizer_ae", "unet"),
    rounds: Rounds = 5,
    seconds: Seconds = 0.3,
    out: Out = Path("results/benchmark_products.json"),
) -> None:
    """Measure how much of a training step on a CPU its matrix products take, each timed alone.

    Args:
        models: What to train.
    """
    keep_to_cpu()
    from benchmarks.products import products_table, time_of_products

    rows = [time_of_products(name, rounds, seconds) for name in models]
    save(out, products_table(rows), [benchmark_config(name) for name in models])


def video(
    clip: Path,
    model: str = "chroma_unet",
    presets: tuple[Preset, ...] = ("medium", "veryfast"),
    rounds: int = 5,
    torch_python: Path | None = None,
    memory_frames: tuple[int, ...] = (200, 2000),
    out: Path = Path("results/benchmark_video.json"),
) -> None:
    """Measure the frames a second of colorizing a clip, against the same decoding and encoding without a model in between.

    Args:
        clip: Clip in 4:2:0; 1280x720, if figures are to be compared.
        model: Name of weights in the package, or a file of weights (.safetensors).
        presets: Of the encoder x264.
        rounds: How often each is timed, in turns; medians count.
        torch_python: Python of an environment with PyTorch and this package, to run the same pipeline with PyTorch's model.
        memory_frames: Lengths of clips, the given one repeated, of which the memory that they take is measured.
        out: File to write, and the pages that show its table. The memory goes into a second one, with "_memory" in its name.
    """
    from benchmarks.clips import measure, memory_table, peak_megabytes, speed_table

    from ae import load_model

    config = load_model(model).config
    details, versions = measure(clip, model, presets, rounds, torch_python)
    save(out, speed_table(details), [config], versions, details)
    memory = {count: peak_megabytes(clip, count, model) for count in memory_frames}
    save(out.with_stem(f"{out.stem}_memory"), memory_table(clip.name, memory), [config])


def denoise(
    models: Weights = ("gray_denoiser", "photo_denoiser"),
    sizes: tuple[Literal["512x512", "12 megapixels"], ...] = ("512x512", "12 megapixels"),
    rounds: Rounds = 5,
    bm3d_python: Path = Path("peers/bm3d/bin/python"),
    out: Out = Path("results/benchmark_denoise.json"),
) -> None:
    """Measure the seconds that denoising a megapixel takes: ours, BM3D and non-local means, in turns.

    Args:
        sizes: Of the image. BM3D takes minutes for 12 megapixels, in each round.
        bm3d_python: Python of BM3D's environment (see docs/noise.md).
    """
    from benchmarks.denoisers import measure, speed_table

    from ae import load_model

    trained = [load_model(model) for model in models]
    rows, versions = measure(trained, sizes, rounds, bm3d_python)
    save(out, speed_table(rows, rounds), [model.config for model in trained], versions)


def tiles(
    models: Weights = ("gray_denoiser", "photo_denoiser"),
    rounds: Rounds = 5,
    seconds: Seconds = 2.0,
    out: Out = Path("results/benchmark_tiles.json"),
) -> None:
    """Measure how fast the tiles of large images are denoised, by XLA's convolutions and by ours."""
    from benchmarks.denoisers import tile_rates, tiles_table

    from ae import load_model

    trained = [load_model(model) for model in models]
    rows = [row for model in trained for row in tile_rates(model, rounds, seconds)]
    save(out, tiles_table(rows), [model.config for model in trained])


def inference(
    models: Weights = ("chroma_unet", "gray_denoiser", "photo_denoiser"),
    peers: tuple[Literal["torch"], ...] = (),
    rounds: Rounds = 5,
    seconds: Seconds = 2.0,
    torch_python: Path = Path("peers/torch/bin/python"),
    out: Out = Path("results/benchmark_inference.json"),
) -> None:
    """Measure the images a second that models compute one by one, ours beside ONNX Runtime with their ONNX files.

    Args:
        peers: Whom to compare with as well. PyTorch is run in an environment of its own (see docs/export.md).
        torch_python: Python of an environment with PyTorch and this package.
    """
    keep_to_cpu()
    from importlib.metadata import version

    from benchmarks.inference import inference_rates, inference_table

    from ae import load_model

    check_pythons({"torch": torch_python} if peers else {}, "docs/export.md")
    trained, rows, versions = [load_model(model) for model in models], [], {"onnxruntime": version("onnxruntime")}
    for model in trained:
        measured, more = inference_rates(model, rounds, seconds, torch_python if peers else None)
        rows, versions = [*rows, *measured], versions | more
    save(out, inference_table(rows), [model.config for model in trained], versions)


def accelerator(
    short: bool = False, only: tuple[str, ...] = (), out: Out = Path("results/benchmark_accelerator.json")
) -> None:
    """Measure what a GPU or TPU gives, in about ten minutes: errors, speed, waiting, repeatability, film, memory.

    Without one, a table is written in which nothing is measured.

    Args:
        short: A little of everything, on whatever there is: whether it works, not how fast.
        only: Measure these parts alone ("training", "film"); the table keeps the others' figures.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # processes of its own share the device's memory
    from benchmarks.accelerator import PARTS, SHORT, Figure, Scale, accelerator_table, device_name, not_measured

    from ae.errors import InputError
    from ae.presets import preset
    from ae.report.page import read_measured

    if unknown := set(only) - set(PARTS):
        raise InputError(f"unknown part {min(unknown)!r}; there are {', '.join(PARTS)}")
    scale, device = SHORT if short else Scale(), device_name()
    earlier = read_measured(out) if only else {}
    kept = [Figure(**figure) for figure in earlier.get("details", {}).get("figures", ())]
    figures = {name: [figure for figure in kept if figure.measure == name] or [not_measured(name)] for name in PARTS}
    for name in only or PARTS:
        if device or short:
            figures[name] = [Figure(name, *found) for found in PARTS[name](scale)]
            print(*figures[name], sep="\n", flush=True)
        rows = [figure for part in figures.values() for figure in part]
        table = accelerator_table(rows, device or "none here")
        configs, details = [preset(name) for name in scale.models], {"figures": [f._asdict() for f in rows]}
        save(out, table, configs, details=details, earlier=earlier.get("made_with", ()))


def keep_to_cpu() -> None:
    """Have JAX, which is not imported yet, and what is started from here compute on the CPU, unless JAX_PLATFORMS is set."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


def check_pythons(pythons: dict[str, Path], guide: str) -> None:
    """Raise InputError where the Python of a peer's environment does not exist."""
    from ae.errors import InputError

    for peer, python in pythons.items():
        if not python.exists():
            raise InputError(f"{python} does not exist: {guide} says how to make it, or give --{peer}-python")


def save(
    out: Path,
    table: Table,
    configs: Sequence[Any],
    versions: dict[str, str] | None = None,
    details: dict[str, Any] | None = None,
    earlier: Sequence[dict[str, Any]] = (),
) -> None:
    """Write a benchmark's table, whose title then names the hardware, and the pages that show it.

    `versions`: of the peers' packages. `earlier`: of the other commands that measured rows of the table.
    """
    from ae.report.made_with import made_with
    from ae.report.page import write_measured

    made = made_with(cli.command(), *configs)
    made["versions"] |= versions or {}
    named = table | {"title": f"{table['title']} Measured on {made['hardware']}."}
    others = [entry for entry in earlier if entry["command"] != made["command"]]
    print(f"{write_measured(out, named, [*others, made], details)}{out}")


if __name__ == "__main__":
    cli.run(
        {
            "train": train,
            "starts": starts,
            "ablation": ablation,
            "products": products,
            "video": video,
            "denoise": denoise,
            "tiles": tiles,
            "inference": inference,
            "accelerator": accelerator,
        }
    )
