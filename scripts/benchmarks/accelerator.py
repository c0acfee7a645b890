"""What a GPU or TPU gives: is it right, is it fast, does it wait, does it repeat itself."""

import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.workers import take_turns, timer

from ae.report.markdown import Table, tabulate

MODELS = ("pixel_mlp", "conv_ae", "colorizer_ae", "unet_denoiser", "chroma_unet")
NUMERICS = {  # by what they are called; precision is that of float32 products, which TF32 and so on round
    "float32": {"precision": "float32"},
    "the device's default": {"precision": "default"},
    "bfloat16": {"dtype": "bfloat16"},
}
SCRIPTS = Path(__file__).parents[1]
SHAPES = ((3, 64, 64), (2, 64, 128), (1, 128, 64))  # kernel's side, channels before and after
FULL_HD = (1080, 1920)


class Scale(NamedTuple):
    """How much is measured."""

    models: Sequence[str] = MODELS
    batches: Sequence[int] = (32, 256)
    rounds: int = 5
    seconds: float = 0.25  # that a timing takes, about
    images: int = 64  # of a convolution's batch
    film: tuple[int, int] = FULL_HD
    frames: int = 96
    trained: str = "conv_ae"  # that is trained twice, and interrupted


SHORT = Scale(("dense_ae_8",), (4,), 1, 0.01, 2, (96, 128), 12, "dense_ae_8")


class Figure(NamedTuple):
    """A row of the table."""

    measure: str
    what: str
    value: float | None  # None: it cannot be measured here
    unit: str


def accelerator_table(figures: Sequence[Figure], device: str) -> Table:
    """Return the table of figures, of which none need be measured."""
    rows = [
        figure._asdict() | {"value": "not measured" if figure.value is None else f"{figure.value:,.4g}"}
        for figure in figures
    ]
    return tabulate(f"What an accelerator gives: {device}.", dict.fromkeys(Figure._fields), rows)


def not_measured(name: str) -> Figure:
    """Return the row of a part that was not measured."""
    return Figure(name, "", None, "")


def device_name() -> str | None:
    """Return what the accelerators are called, or None where there is none."""
    import jax

    first, count = jax.devices()[0], jax.device_count()
    return None if first.platform == "cpu" else f"{count} x {first.device_kind}"


Part = Iterator[tuple[str, float | None, str]]


def repeated(scale: Scale) -> Part:
    """Train twice, and once interrupted and resumed: are the weights the same, bit for bit?"""
    with tempfile.TemporaryDirectory() as folder:
        first, second, third = (Path(folder, name) for name in ("first", "second", "third"))
        for out in (first, second):
            training(scale.trained, out).communicate()
        process = training(scale.trained, third)
        assert process.stdout is not None
        with suppress(StopIteration):
            next(line for line in process.stdout if line.startswith("epoch"))
        process.terminate()
        process.communicate()
        training(scale.trained, third, "--resume").communicate()
        yield "two runs", float(differing(first, second)), "values that differ"
        yield "an interrupted run and another", float(differing(first, third)), "values that differ"


def training(preset: str, out: Path, *options: str) -> subprocess.Popen:
    """Start two short epochs of training in a process of its own."""
    command = [sys.executable, SCRIPTS / "train.py", preset, "--data", "sample", "--epochs", "2", "--limit", "512"]
    return subprocess.Popen(
        [*command, "--out", out, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def differing(one: Path, other: Path) -> int:
    """Return how many of the weights of two runs are not the same."""
    from safetensors.numpy import load_file

    weights, others = (load_file(run / "weights.safetensors") for run in (one, other))
    return sum(int((weights[name] != others[name]).sum()) for name in weights)


def compiling(scale: Scale) -> Part:
    """Measure how long it takes until training begins, with nothing compiled and with everything."""
    from benchmarks.starts import start_seconds

    for preset, seconds in start_seconds((scale.trained,)).items():
        for name, value in seconds.items():
            yield f"{preset}, {name}", value, "s"


def convolutions(scale: Scale) -> Part:
    """Compare the three products of convolutions with those that the CPU computes in float32."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ae.layers.conv import products

    calls: tuple[Callable[..., jax.Array], ...] = (
        lambda x, w, g: products.output_by_lax(x, w, (1, 1)),
        lambda x, w, g: products.input_gradient_by_lax(g, w, (1, 1), (32, 32)),
        lambda x, w, g: products.kernel_gradient_by_lax(x, g, (1, 1), w.shape[:2]),
    )
    rng, largest = np.random.default_rng(0), dict.fromkeys(NUMERICS, 0.0)
    for (side, before, after), call in product(SHAPES, calls):
        shapes = (scale.images, 32, 32, before), (side, side, before, after), (scale.images, 32, 32, after)
        arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        with jax.default_device(jax.devices("cpu")[0]), jax.default_matmul_precision("float32"):
            right = np.asarray(jax.jit(call)(*arrays))
        for name, numerics in NUMERICS.items():
            with jax.default_matmul_precision(numerics.get("precision", "default")):
                given = (jnp.asarray(array, numerics.get("dtype", "float32")) for array in arrays)
                found = np.float32(jax.jit(call)(*given))
            largest[name] = max(largest[name], float(np.abs(found - right).max() / np.abs(right).max()))
    for name, error in largest.items():
        yield f"largest error, {name}", error, "of the largest value"


def rates(scale: Scale) -> Part:
    """Measure training steps by model, batch and precision, in blocks and one by one, and their share of the peak."""
    from benchmarks.steps import compiled_steps

    from ae.presets import preset
    from ae.runtime.peak import peak_flops
    from ae.score.flops import training_flops

    for model, batch, (name, numerics) in product(scale.models, scale.batches, NUMERICS.items()):
        config = replace(preset(model), batch_size=batch, **numerics)
        timers = {way: compiled_steps(config, looped=way == "blocks") for way in ("blocks", "steps")}
        found = take_turns(timers, batch, scale.rounds, scale.seconds)
        blocks, steps = (statistics.median(found[way]) for way in ("blocks", "steps"))
        flops = training_flops(config.model, config.model.input_shape, batch) / batch
        peak = peak_flops(config.dtype, config.precision)
        about = f"{model}, batches of {batch}, {name}"
        yield about, blocks, "images/s"
        yield about, peak and 100 * blocks * flops / peak, "% of the peak (MFU)"
        yield about, blocks / steps, "times as fast in blocks as one by one"


def waiting(scale: Scale) -> Part:
    """Trace training steps, and find for which share of their time the device does nothing."""
    import numpy as np
    from benchmarks.steps import example

    from ae.data import Split
    from ae.presets import preset
    from ae.train.profile import PROFILED_STEPS, write_profile

    for model in scale.models:
        config = replace(preset(model), batch_size=scale.batches[-1])
        images, state = example(config, config.batch_size)
        split = Split("noise", np.tile(images, (PROFILED_STEPS, 1, 1, 1)), 0, 1)
        with tempfile.TemporaryDirectory() as folder:
            write_profile(config, state, split, Path(folder))
            (trace,) = Path(folder).rglob("*.trace.json.gz")
            share = idle_share(json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"])
        yield model, None if share is None else 100 * share, "% of the time"


def idle_share(events: Sequence[dict[str, Any]]) -> float | None:
    """Return for which share of a trace's time no operation runs on a device; None where it has no device."""
    named = {event["pid"]: event["args"]["name"] for event in events if event.get("name") == "process_name"}
    devices = {number for number, name in named.items() if name.startswith("/device:")}
    spans = sorted(
        (event["ts"], event["ts"] + event["dur"])
        for event in events
        if event.get("ph") == "X" and event["pid"] in devices
    )
    if not spans:
        return None
    busy, end = 0.0, spans[0][0]
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return 1 - busy / (end - spans[0][0])


def film(scale: Scale) -> Part:
    """Measure frames a second: of the model alone, of decoding, of encoding, and of all three, by CPU and by hardware."""
    import numpy as np
    from benchmarks.clips import colorized, copied

    from ae import Colorizer, load_pretrained
    from ae.color import Coding
    from ae.media.clips.formats import hardware_error
    from ae.media.clips.settings import ClipSettings

    colorizer = Colorizer(load_pretrained("chroma_unet"))
    codes = np.random.default_rng(0).integers(16, 236, (8, *scale.film)).astype(np.uint8)
    found = take_turns(
        {"planes": timer(lambda: colorizer.planes(codes, Coding()))}, len(codes), scale.rounds, scale.seconds
    )
    yield "chroma planes", statistics.median(found["planes"]), "frames/s"
    by_cpu = ClipSettings(codec="libx264", encoder_options={"preset": "veryfast"}, recolour=True)
    by_gpu = ClipSettings(hwaccel="cuda", codec="h264_nvenc", recolour=True)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.mp4"), Path(folder, "out.mp4")
        write_film(source, scale)
        decodes = hardware_error(source, "cuda") is None
        encodes = decodes and can_encode("h264_nvenc")  # which some GPUs cannot
        for name, settings in {"CPU, x264 veryfast": by_cpu, "cuda, nvenc": by_gpu}.items():
            calls = {
                "decoding": partial(decoded, source, settings),
                "decoding and encoding": partial(copied, source, target, settings),
                "the whole": partial(colorized, source, target, colorizer, settings),
            }
            for what, call in calls.items():
                usable = settings is by_cpu or (decodes if what == "decoding" else encodes)
                times = [call() for _ in range(scale.rounds + 1)][1:] if usable else []
                yield f"{what}, {name}", scale.frames / statistics.median(times) if times else None, "frames/s"


def can_encode(codec: str) -> bool:
    """Return whether an encoder of FFmpeg's works here."""
    from fractions import Fraction

    import av

    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = 640, 360, "yuv420p", Fraction(1, 24)
    try:
        context.open()
    except (OSError, ValueError):
        return False
    return True


def write_film(path: Path, scale: Scale) -> None:
    """Write a clip of moving shapes."""
    import av
    import numpy as np

    height, width = scale.film
    rows, columns = np.ogrid[:height, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "veryfast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(scale.frames):
            waves = np.sin(columns / 40 + number / 5) + np.cos(rows / 30 - number / 7)
            frame = av.VideoFrame.from_ndarray(np.uint8(127 + 50 * waves), format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decoded(source: Path, settings: Any) -> float:
    """Return the seconds that decoding a clip takes."""
    from ae.media.clips.reading import Clip

    began = time.perf_counter()
    clip = Clip(source, settings)
    for _ in clip:
        pass
    clip.close()
    return time.perf_counter() - began


def memory(scale: Scale) -> Part:
    """Return the most memory of the device that was in use so far."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use")
    yield "all of the above", None if peak is None else peak / 2**30, "GiB"


PARTS: dict[str, Callable[[Scale], Part]] = {
    "the same bits again": repeated,
    "seconds until training begins": compiling,
    "convolutions, against float32 on the CPU": convolutions,
    "training": rates,
    "the device waits": waiting,
    "film": film,
    "most memory": memory,
}
