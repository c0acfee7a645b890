"""Training steps: the models as peers build them, ours, and what a step costs."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.workers import Timer, Worker, median_ratio, take_turns

from ae.errors import InputError

RELU, NORM, PUSH, CONCAT = ("relu",), ("norm",), ("push",), ("concat",)


def conv(features: int, kernel: int = 3, stride: int = 1) -> tuple[Any, ...]:
    return ("conv", features, kernel, stride)


def up(features: int, kernel: int, stride: int = 2) -> tuple[Any, ...]:
    return ("conv_transpose", features, kernel, stride)


def block(features: int) -> tuple[tuple[Any, ...], ...]:
    return (conv(features), RELU, conv(features), RELU)


# The models as peers are told to build them, in the order of their calls; `push` keeps what passes, `concat` joins it again.
LAYERS = {
    "conv_ae": (
        *(conv(128, 2), RELU, NORM, conv(256, 2, 2), RELU, NORM, conv(512), RELU, NORM, conv(512, 2, 2), RELU),
        *(conv(512, 2), RELU, up(512, 2), RELU, NORM, conv(256, 2), RELU, NORM, conv(128, 2), RELU),
        *(up(128, 2), RELU, conv(64, 2), RELU, NORM, conv(1, 2), RELU),
    ),
    "colorizer_ae": (
        *(conv(64, 3, 2), RELU, conv(128, 3, 2), RELU, conv(256, 3, 2), RELU),
        *(("flatten",), ("dense", 256), ("dense", 4096), ("unflatten", 4, 4, 256)),
        *(up(256, 3), RELU, up(128, 3), RELU, up(64, 3), RELU, up(3, 3, 1), ("sigmoid",)),
    ),
    "unet": (
        *(*block(32), PUSH, conv(64, 2, 2), *block(64), PUSH, conv(128, 2, 2), *block(128)),
        *(up(64, 2), CONCAT, *block(64), up(32, 2), CONCAT, *block(32), conv(3)),
    ),
    "pixel_mlp": (
        *(conv(128, 1), RELU, NORM, conv(256, 1), RELU, NORM, conv(512, 1), RELU, NORM, conv(512, 1), RELU),
        *(conv(512, 1), RELU, conv(512, 1), RELU, NORM, conv(256, 1), RELU, NORM, conv(128, 1), RELU),
        *(conv(64, 1), RELU, NORM, conv(1, 1), RELU),
    ),
}

PRODUCTS = ("output", "input_gradient", "kernel_gradient")
BATCH_SIZES = {"conv_ae": 64, "colorizer_ae": 32, "unet": 32, "pixel_mlp": 8}


def without_parts(name: str, only: Sequence[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Images a second with all parts of `ae.conv` and without each of them, and each over the first."""
    from unittest import mock

    import jax

    from ae.conv import products, winograd

    config, timers = benchmark_config(name), {}
    own = {f"_{what}_on_cpu": getattr(products, f"{what}_by_lax") for what in PRODUCTS}
    parts = {
        "all": (winograd, {}),
        "tiles of 2 on large maps too": (winograd, {"LARGE": float("inf")}),
        "tiles of 4 on small maps too": (winograd, {"LARGE": 0}),
        "a product for each tap instead of Winograd's": (winograd, {"WINOGRAD": {}}),
        "thin sides like others": (products, {"THIN": 0}),
        "others like thin sides": (products, {"THIN": float("inf")}),
        "a call for each step": (products, {}),
        "XLA's own, a call for each step": (products, own),
    }
    for part, (module, changes) in parts.items():
        if only and part not in ("all", *only):
            continue
        jax.clear_caches()  # of what was traced with other parts
        with mock.patch.dict(vars(module), changes):
            timers[part] = compiled_steps(config, looped="a call for each step" not in part)
    rates = take_turns(timers, config.batch_size, rounds, seconds)
    return {
        "batch_size": config.batch_size,
        "images_per_second": {part: statistics.median(values) for part, values in rates.items()},
        "ratio": {part: median_ratio(values, rates["all"]) for part, values in rates.items()},
        "rounds": rates,
    }


def compiled_steps(config: Any, *, looped: bool = True) -> Timer:
    """Steps on one batch, compiled here and now: as one loop, or (XLA's own gradients are faster so) called one by one."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    from ae.evaluation import examples
    from ae.train import train_step

    images, start = example(config, config.batch_size)
    batch, key = examples(config.task, jax.random.key(0), images, jnp.arange(len(images))), jax.random.key(0)

    def steps(state, batch, number):
        return lax.fori_loop(0, number, lambda _, state: train_step(config.program, state, batch, key)[0], state)

    def step(state, batch, number):
        return train_step(config.program, state, batch, key)[0]

    compiled = jax.jit(steps if looped else step).lower(start, batch, 1).compile()

    def timer(number: int) -> float:
        began = time.perf_counter()
        state = start
        for _ in range(1 if looped else number):
            state = compiled(state, batch, number)
        jax.block_until_ready(state)
        return time.perf_counter() - began

    return timer


def compile_seconds(presets: Sequence[str]) -> dict[str, float]:
    """Seconds that the epoch of each preset takes to compile, without the cache."""
    import jax
    import numpy as np
    from tqdm import tqdm

    from ae import preset
    from ae.train import train_steps

    jax.config.update("jax_enable_compilation_cache", False)
    seconds = {}
    for name in tqdm(presets, desc="compiling", leave=False):
        config, size = preset(name), preset(name).batch_size
        images, state = example(config, size)
        began = time.perf_counter()
        train_steps.lower(config.program, size, state, images, np.arange(size), (1, 0), 0, 1, 0, size).compile()
        seconds[name] = round(time.perf_counter() - began, 1)
    jax.config.update("jax_enable_compilation_cache", True)
    return seconds


def start_seconds(presets: Sequence[str]) -> dict[str, dict[str, float]]:
    """Seconds from the start of `train.py` to its first step: with an empty compilation cache, and then with a full one."""
    seconds = {}
    for name in presets:
        with tempfile.TemporaryDirectory() as cache:
            first, *others = [until_first_step(name, cache) for _ in range(4)]
        seconds[name] = {"first": round(first, 1), "second": round(statistics.median(others), 1)}
    return seconds


STARTED = """
import runpy, sys
from ae import train
steps = train.train_steps
def started(*arguments):
    state = steps(*arguments)  # returns while the step runs
    print("started", flush=True)
    return state
train.train_steps = started
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def until_first_step(preset: str, cache: str) -> float:
    """Seconds from the start of `train.py` till its first step runs."""

    with tempfile.TemporaryDirectory() as folder:
        arguments = [Path(__file__).parents[1] / "train.py", preset, "--data", "sample", "--out", f"{folder}/run"]
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", STARTED, *arguments],
            env=os.environ | {"JAX_COMPILATION_CACHE_DIR": cache},
            stdout=subprocess.PIPE,
            text=True,
        )
        if "started\n" not in process.stdout:
            raise InputError(f"train.py {preset} has ended without a step: start it by hand to see why")
        seconds = time.perf_counter() - began
        process.kill()
        process.communicate()
    return seconds


def example(config: Any, images: int) -> tuple[Any, Any]:
    """(images, state): what training starts from, on noise."""
    import numpy as np

    from ae import devices
    from ae.data import Data, Split
    from ae.tasks import Colorize
    from ae.train import create_state

    channels = 3 if isinstance(config.task, Colorize) else 1
    shape = (images, *config.model.input_shape[:2], channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    split = Split("noise", pixels, 0, 1)
    return devices.replicate((pixels, create_state(config, Data("noise", "1", split, split, split))))


def benchmark_config(name: str) -> Any:
    """The preset, or for the U-Net one like the colorizer's; the pixel MLP in its plain form, as the peers have it."""
    from ae import models
    from ae.config import PRESETS

    unet = replace(PRESETS["colorizer_ae"], name="unet", model=models.UNet(outputs=3))
    plain = replace(PRESETS["pixel_mlp"], model=models.PixelMLP())
    config = {"unet": unet, "pixel_mlp": plain}.get(name) or PRESETS[name]
    return replace(config, batch_size=BATCH_SIZES[name])


def compare(name: str, pythons: dict[str, Path], rounds: int, seconds: float) -> tuple[dict[str, Any], dict[str, str]]:
    """(what was measured, the peers' versions)."""
    config = benchmark_config(name)
    bare, parameters, loss, file = ours(config, LAYERS[name])
    workers, said = {}, {}
    try:
        for peer, python in pythons.items():
            workers[peer] = Worker(peer, python)
            said[peer] = workers[peer].ask({"build": str(file), "layers": LAYERS[name]})
            check(name, peer, said[peer], parameters, loss)
        timers = {"matrix product": matrix_product, "ae": bare}
        for peer, reply in said.items():
            timers |= {f"{peer}, {variant}": workers[peer].timer(variant) for variant in reply["variants"]}
        rates = take_turns(timers, config.batch_size, rounds, seconds)
        overhead = epoch_overhead(config, bare, 20 * seconds)
    finally:
        for worker in workers.values():
            worker.close()
        file.unlink()
    row = {"parameters": parameters, "batch_size": config.batch_size} | summarize(
        rates, gflop(LAYERS[name], config), {peer: [f"{peer}, {v}" for v in said[peer]["variants"]] for peer in pythons}
    )
    row["epoch_overhead"] = overhead
    row["losses"] = {"ae": loss} | {peer: reply["loss"] for peer, reply in said.items()}
    return row, {key: value for reply in said.values() for key, value in reply["versions"].items()}


def epoch_overhead(config: Any, bare: Timer, seconds: float) -> float:
    """What data, order, noise, scores and progress add to bare steps, as a share of them.

    An epoch that takes about so many seconds, in turns with bare steps call by call, and the median over the calls: the
    difference is smaller than the machine's noise from one second to another.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ae import devices, metrics, progress, train
    from ae.data import Split

    size, steps = config.batch_size, max(1, round(seconds / (bare(4) / 4)))
    images, start = example(config, size)
    split = Split("noise", devices.replicate(np.tile(images, (steps, 1, 1, 1))), 0, 1)
    next(train.train_epoch(config, jax.tree.map(jnp.copy, start), split, 1))  # compiles
    ratios = []
    with progress.bar("epoch", len(split.images)) as bar:
        began = time.perf_counter()
        for state in train.train_epoch(config, start, split, 1):
            done = int(state.sums["count"]) - bar.n
            bar.set_postfix(loss=f"{metrics.means(state.sums)['loss']:.4f}", refresh=False)
            bar.update(done)
            took = time.perf_counter() - began
            ratios.append(took / bare(done // size))
            began = time.perf_counter()
    return statistics.median(ratios) - 1


def ours(config: Any, layers: Sequence[tuple[Any, ...]]) -> tuple[Timer, int, float, Path]:
    """A timer of bare steps on one batch, parameters, loss, and a file of weights and the batch."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ae import devices, train
    from ae.evaluation import examples
    from ae.results import count

    images, start = example(config, config.batch_size)
    batch = devices.replicate(examples(config.task, jax.random.key(0), images, jnp.arange(len(images))))
    key, program = jax.random.key(0), config.program
    weights = {f"weight_{i}": np.asarray(w) for i, w in enumerate(in_order(start.params, layers))}
    handle, file = tempfile.mkstemp(suffix=".npz")
    os.close(handle)
    np.savez(file, inputs=batch[0], targets=batch[1], **weights)
    _, scores = jax.jit(train.train_step, static_argnums=0)(program, start, batch, key)

    return compiled_steps(config), count(start.params), float(scores["loss"].mean()), Path(file)


def in_order(params: Any, layers: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The weights of a model in the order of its layers."""
    names = {"conv": "Conv", "conv_transpose": "ConvTranspose", "dense": "Dense", "norm": "BatchNorm"}
    if not any(name.startswith("Conv") for name in params):
        names["conv"] = "Dense"  # of every pixel: a 1x1 convolution to the peers
    seen, weights = dict.fromkeys(names.values(), 0), []
    for kind, *_ in layers:
        if kind in names:
            layer = params[f"{names[kind]}_{seen[names[kind]]}"]
            seen[names[kind]] += 1
            first = layer.get("kernel", layer.get("scale"))
            weights += [first[None, None] if kind == "conv" and first.ndim == 2 else first, layer["bias"]]
    return weights


def check(name: str, peer: str, reply: dict[str, Any], parameters: int, loss: float) -> None:
    """That a peer has built the same model."""

    if reply["parameters"] != parameters:
        raise InputError(f"{peer}'s {name} has {reply['parameters']:,} parameters, ours {parameters:,}")
    if abs(reply["loss"] - loss) > 1e-4 * loss:
        raise InputError(f"{peer}'s {name} has loss {reply['loss']:.6f} on the same weights and batch, ours {loss:.6f}")


SIDE = 2048  # of the matrices whose product tells what the machine can do


def matrix_product(steps: int) -> float:
    import jax
    import jax.numpy as jnp

    matrix = jnp.full((SIDE, SIDE), 1e-3)

    @jax.jit
    def powers(a, number):
        return jax.lax.fori_loop(0, number, lambda _, b: a @ b, a)

    jax.block_until_ready(powers(matrix, 1))
    began = time.perf_counter()
    jax.block_until_ready(powers(matrix, steps))
    return time.perf_counter() - began


def gflop(layers: Sequence[tuple[Any, ...]], config: Any) -> float:
    """Billions of additions and multiplications an image: three products a layer, the first's input gradient apart."""
    height, width, channels = config.model.input_shape
    total, first, kept = 0, True, []
    for kind, *options in layers:
        if kind == "push":
            kept.append(channels)
        elif kind == "concat":
            channels += kept.pop()
        elif kind == "unflatten":
            height, width, channels = options
        elif kind == "flatten":
            height, width, channels = 1, 1, height * width * channels
        elif kind in ("conv", "conv_transpose", "dense"):
            features, kernel, stride = (*options, 1, 1)[:3]
            if kind == "conv":
                height, width = height // stride, width // stride
            total += (2 if first else 3) * 2 * height * width * kernel**2 * channels * features
            if kind == "conv_transpose":
                height, width = height * stride, width * stride
            channels, first = features, False
    return total / 1e9


def summarize(rates: dict[str, list[float]], gflop: float, peers: dict[str, list[str]]) -> dict[str, Any]:
    """Medians; ratios are the median of the rounds' ratios, to the peer's variant that is fastest in the median."""
    median = {name: statistics.median(values) for name, values in rates.items()}
    product = median.pop("matrix product") * 2 * SIDE**3 / 1e9
    return {
        "gflop_per_image": gflop,
        "matrix_product_gflop_per_second": product,
        "images_per_second": median,
        "gflop_per_second": {name: rate * gflop for name, rate in median.items()},
        "share_of_matrix_product": {name: rate * gflop / product for name, rate in median.items()},
        "ratio": {name: median_ratio(rates["ae"], rates[name]) for name in median},
        **{
            f"ratio_{peer}": median_ratio(rates["ae"], rates[max(names, key=median.get)])
            for peer, names in peers.items()
        },
        "rounds": rates,
    }
