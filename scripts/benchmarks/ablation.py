"""What each part of the convolutions gives."""

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.models import benchmark_config
from benchmarks.steps import compiled_steps
from benchmarks.workers import median_ratio, take_turns

PRODUCTS = ("output", "input_gradient", "kernel_gradient")


def without_parts(name: str, only: Sequence[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Images a second with all parts of `ae.layers.conv` and without each of them, and each over the first."""
    from unittest import mock

    import jax

    from ae.layers.conv import products, winograd

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
