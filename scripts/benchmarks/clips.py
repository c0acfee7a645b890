"""Clips: with and without a model between decoding and encoding, where the time goes, and how much memory it takes."""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.workers import Timer, Worker, median_ratio, most_memory, whole_turns

from ae.errors import InputError
from ae.report.markdown import Table, tabulate

COPY, OURS, ALONE = "without a model", "ae", "ae --steady 0"


def measure(
    clip: Path, model: str, presets: Sequence[str], rounds: int, torch_python: Path | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what `speed_table` takes, and the versions of a peer."""
    from ae import load_model
    from ae.media.clips.reading import Clip
    from ae.restore.colorize import Colorizer
    from ae.runtime.chain import Frame

    colorizer, source = Colorizer(load_model(model)), Clip(clip)
    frames = [item for item in source if isinstance(item, Frame)]
    measured = {}
    with tempfile.TemporaryDirectory() as folder, peer(torch_python, clip, model, colorizer, frames) as (ask, reply):
        for preset in presets:
            options = {"crf": "18", "preset": preset}
            timers = clip_timers(clip, folder, colorizer, options, ask, reply["variants"])
            rates = whole_turns(timers, len(frames), rounds)
            measured[preset] = {"rounds": rates, "share": shares(clip, frames, colorizer, folder, options)}
    about = {"clip": clip.name, "frames": len(frames), "size": source.size, "model": colorizer.trained.config.name}
    return about | {"presets": measured}, reply["versions"]


def speed_table(measured: dict[str, Any]) -> Table:
    """Return the table of frames a second by preset of x264: medians, and the median of the rounds' ratios.

    `measured`: `clip`, `frames`, `size` (height, width), `model`, and for each of `presets` the `rounds` of each
    program and the `share` of the time that each stage takes.
    """
    first = next(iter(measured["presets"].values()))
    pairs = [(OURS, name) for name in first["rounds"] if name != OURS] + [(ALONE, COPY)]
    digits = {"x264": None} | dict.fromkeys(first["rounds"], 1)
    digits |= {f"{one} over {other}": 2 for one, other in pairs} | {f"{stage}, %": 0 for stage in first["share"]}
    rows = [
        {"x264": preset}
        | {name: statistics.median(rates) for name, rates in row["rounds"].items()}
        | {f"{one} over {other}": median_ratio(row["rounds"][one], row["rounds"][other]) for one, other in pairs}
        | {f"{stage}, %": 100 * share for stage, share in row["share"].items()}
        for preset, row in measured["presets"].items()
    ]
    height, width = measured["size"]
    about = f"{measured['clip']}, {width}x{height}, {measured['frames']} frames"
    title = (
        f"Frames a second of {about}, coloured by {measured['model']}; and the share of the time of each stage alone."
    )
    return tabulate(title, digits, rows)


def memory_table(clip: str, megabytes: dict[int, float]) -> Table:
    """Return the table of memory by the number of frames."""
    rows = [{"frames": count, "MB": value} for count, value in megabytes.items()]
    title = f"The most memory that colorizing {clip} holds at a time, the clip repeated up to so many frames."
    return tabulate(title, {"frames": None, "MB": 0}, rows)


@contextmanager
def peer(
    python: Path | None, clip: Path, model: str, colorizer: Any, frames: Sequence[Any]
) -> Iterator[tuple[Any, Any]]:
    """Yield PyTorch's process with the same model, to be asked, and its first reply; nothing where there is no `python`."""
    import numpy as np

    from ae.restore.weights import WEIGHTS

    if python is None:
        yield None, {"variants": [], "versions": {}}
        return
    weights = Path(model) if Path(model).exists() else WEIGHTS / f"{model}.safetensors"
    worker = Worker("torch_video", python)
    try:
        with tempfile.NamedTemporaryFile(suffix=".npy") as codes:
            np.save(codes.name, np.stack([frame.luma for frame in frames[:8]]))
            request = {"build": str(weights.absolute()), "codes": codes.name, "clip": str(clip.absolute())}
            reply = worker.ask(request)
            check_planes(colorizer, clip, codes.name, reply)
        yield worker.ask, reply
    finally:
        worker.close()


def clip_timers(
    clip: Path, folder: str, colorizer: Any, options: dict[str, str], ask: Any, variants: Sequence[str]
) -> dict[str, Timer]:
    """Return what converts the clip once, by name."""
    from ae.media.clips.settings import ClipSettings

    settings = ClipSettings(encoder_options=options, recolour=True)
    timers = {
        COPY: lambda _: copied(clip, Path(folder, "copy.mp4"), settings),
        OURS: lambda _: colorized(clip, Path(folder, "ae.mp4"), colorizer, settings),
        ALONE: lambda _: colorized(clip, Path(folder, "ae.mp4"), colorizer, replace(settings, steady=0)),
    }
    request = {"clip": str(clip.absolute()), "folder": folder, "options": options}
    for variant in variants:
        timers[f"torch, {variant}"] = lambda _, request=request | {"variant": variant}: ask(request)["seconds"]
    return timers


def copied(source: Path, target: Path, settings: Any) -> float:
    """Return the seconds to decode and encode a clip as it is, in two threads."""
    from ae.media.clips.coding import planar, planes
    from ae.media.clips.reading import Clip
    from ae.media.clips.writing import ClipWriter
    from ae.runtime.chain import Frame, background

    began = time.perf_counter()
    clip = Clip(source, settings)
    output = ClipWriter(target, clip, settings)
    for item in background(clip, 16):
        if isinstance(item, Frame):
            _, cb, cr = planes(planar(item.source))
            item = item._replace(cb=cb, cr=cr)
        output.write(item)
    output.finish()
    clip.close()
    return time.perf_counter() - began


def colorized(source: Path, target: Path, colorizer: Any, settings: Any) -> float:
    """Return the seconds to colorize a clip, with the check at the end."""
    from ae.media.clips.conversions import colorize_clip

    began = time.perf_counter()
    colorize_clip(source, target, colorizer, settings)
    return time.perf_counter() - began


def peak_megabytes(clip: Path, count: int, model: str) -> float:
    """Return the most memory that `colorize.py` holds at a time for a clip that is repeated up to so many frames."""
    script = Path(__file__).parents[1] / "colorize.py"
    options = ("--model", model, "--colour-shots", "recolour", "--encoder-options", "preset", "veryfast")
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/{count}.mkv", f"{folder}/{count}-out.mkv"
        repeat(clip, count, source)
        return most_memory([sys.executable, script, source, target, *options]) / 2**20


def repeat(clip: Path, count: int, target: str) -> None:
    """Write the pictures of a clip again and again, without sound, up to so many frames."""
    import av

    with av.open(target, "w") as container:
        written, shift, copy = 0, 0, None
        while written < count:
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                copy = copy or container.add_stream_from_template(video)
                packets = [packet for packet in source.demux(video) if packet.dts is not None][: count - written]
                end = max(packet.pts + packet.duration for packet in packets)
                for packet in packets:
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                    container.mux(packet)
            written, shift = written + len(packets), shift + end


def shares(clip: Path, frames: Sequence[Any], colorizer: Any, folder: str, options: dict[str, str]) -> dict[str, float]:
    """Return the share of the time that decoding, the model and encoding take, each alone on all cores."""
    from ae.media.clips.reading import Clip
    from ae.media.clips.settings import ClipSettings
    from ae.media.clips.writing import ClipWriter
    from ae.media.stages.colour import Chroma
    from ae.restore.colorize import BATCH_SIZE
    from ae.runtime.chain import Frame, run

    settings = ClipSettings(encoder_options=options)
    began, source = time.perf_counter(), Clip(clip)
    list(source)
    decoded = time.perf_counter()
    items = run((Chroma(colorizer, source.coding),), frames, BATCH_SIZE, fetch=("cb", "cr"))
    coloured = [item for item in items if isinstance(item, Frame)]
    computed, output = time.perf_counter(), ClipWriter(Path(folder, "stages.mp4"), source, settings)
    for frame in coloured:
        output.write(frame)
    output.finish()
    seconds = {"decoding": decoded - began, "model": computed - decoded, "encoding": time.perf_counter() - computed}
    source.close()
    return {stage: value / sum(seconds.values()) for stage, value in seconds.items()}


def check_planes(colorizer: Any, clip: Path, codes: str, reply: dict[str, Any]) -> None:
    """Raise InputError where a peer's chroma is not ours."""
    import numpy as np

    from ae.media.clips.reading import Clip

    planes = colorizer.planes(np.load(codes), Clip(clip).coding)
    ours = [float(np.mean(planes.cb)), float(np.mean(planes.cr))]
    if max(abs(a - b) for a, b in zip(ours, reply["mean"], strict=True)) > 0.1:
        raise InputError(f"the peer's chroma is {reply['mean']} in the mean, ours {ours}")
