"""Measure speed, in turns on the same machine: training steps against PyTorch and Keras, clips with and without a model."""

import json
from pathlib import Path
from typing import Any, Literal

from benchmarks.models import LAYERS

from ae.runtime import cli

Peer = Literal["torch", "keras"]
Model = Literal["conv_ae", "colorizer_ae", "unet", "pixel_mlp"]
Preset = Literal["medium", "veryfast"]


def train(
    peers: tuple[Peer, ...] = (),
    models: tuple[Model, ...] = tuple(LAYERS),
    started: tuple[str, ...] = ("pixel_mlp", "conv_ae", "colorizer_ae"),
    compiled: tuple[str, ...] = ("pixel_mlp", "conv_ae", "colorizer_ae", "unet_denoiser", "chroma_unet", "dense_ae_32"),
    rounds: int = 5,
    seconds: float = 2.0,
    torch_python: Path = Path("peers/torch/bin/python"),
    keras_python: Path = Path("peers/keras/bin/python"),
    out: Path = Path("results/benchmark_train.json"),
) -> None:
    """Images a second of training steps (forward, backward, Adam; float32), ours and the peers' in turns.

    Args:
        peers: Whom to compare with; each is run in an environment of its own (see README.md).
        models: What to train.
        started: Presets whose training is started, with and without the compilation cache.
        compiled: Presets whose epoch is compiled.
        rounds: How often each is timed; medians count.
        seconds: How long each timing takes, about; that of an epoch's overhead, which is small, forty times as long.
        torch_python: Python of PyTorch's environment.
        keras_python: Python of Keras' and TensorFlow's environment.
        out: File to write; the table of a README that shows this file is written too.
    """
    from benchmarks.starts import compile_seconds, start_seconds
    from benchmarks.tables import train_table
    from benchmarks.training import compare

    from ae.errors import InputError

    pythons = {"torch": torch_python, "keras": keras_python}
    for peer in peers:
        if not pythons[peer].exists():
            raise InputError(f"{pythons[peer]} does not exist: README.md says how to make it, or give --{peer}-python")
    starts = {"start_seconds": start_seconds(started), "compile_seconds": compile_seconds(compiled)}
    values = conditions(rounds) | starts | {"models": {}}
    for name in models:
        print(f"\n{name}", flush=True)
        row, versions = compare(name, {peer: pythons[peer] for peer in peers}, rounds, seconds)
        values["models"][name] = row
        values["versions"] |= versions
        print(train_table({**values, "models": {name: row}}))
    save(values, out)


def conditions(rounds: int) -> dict[str, Any]:
    """What a measurement was made with."""
    from ae.report.made_with import made_with

    return made_with(cli.command()) | {"rounds": rounds}


def ablation(
    models: tuple[Model, ...] = ("conv_ae", "colorizer_ae", "unet"),
    only: tuple[str, ...] = (),
    rounds: int = 5,
    seconds: float = 2.0,
    out: Path = Path("results/benchmark_ablation.json"),
) -> None:
    """Images a second of training steps on a CPU without one part at a time, or with what did not pay.

    Args:
        models: What to train.
        only: What to do without or otherwise; all by default.
        rounds: How often each is timed; medians count.
        seconds: How long each timing takes, about.
        out: File to write; the tables that show it are written too.
    """
    from benchmarks.ablation import without_parts
    from benchmarks.tables import ablation_table

    values = conditions(rounds) | {"models": {name: without_parts(name, only, rounds, seconds) for name in models}}
    print(ablation_table(values))
    save(values, out)


def video(
    clip: Path,
    model: str = "chroma_unet",
    presets: tuple[Preset, ...] = ("medium", "veryfast"),
    rounds: int = 5,
    torch_python: Path | None = None,
    memory_frames: tuple[int, ...] = (200, 2000),
    out: Path = Path("results/benchmark_video.json"),
) -> None:
    """Frames a second of a clip that is colorized, against the same decoding and encoding without a model in between.

    Args:
        clip: Clip in 4:2:0; 1280x720, if figures are to be compared.
        model: Name of weights in the package, or a file of weights (.safetensors).
        presets: Of the encoder x264.
        rounds: How often each is timed, in turns; medians count.
        torch_python: Python of an environment with PyTorch and this package, to run the same pipeline with PyTorch's model.
        memory_frames: Lengths of clips, the given one repeated, of which the memory that they take is measured.
        out: File to write; the table of a README that shows this file is written too.
    """
    from benchmarks.clips import measure
    from benchmarks.tables import video_table

    values = conditions(rounds)
    measured = measure(clip, model, presets, rounds, torch_python, memory_frames)
    values["versions"] |= measured.pop("versions")
    values |= measured
    print(video_table(values))
    save(values, out)


def save(values: dict[str, Any], out: Path) -> None:
    """Writes the file, and the tables that show it."""
    from benchmarks.tables import write_benchmark

    from ae.runtime.files import write_text

    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, json.dumps(values, indent=2) + "\n")
    write_benchmark(out)
    print(out)


if __name__ == "__main__":
    cli.run({"train": train, "ablation": ablation, "video": video})
