"""Speed without parts of the convolutions."""

import statistics
from collections.abc import Sequence

from benchmarks.models import benchmark_config
from benchmarks.steps import compiled_steps
from benchmarks.workers import median_ratio, take_turns

from ae.report.markdown import Table, tabulate

PRODUCTS = ("output", "input_gradient", "kernel_gradient")


def without_parts(name: str, only: Sequence[str], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the images a second in each round, with all parts of `ae.layers.conv` and without each of them."""
    from unittest import mock

    import jax

    from ae.layers.conv import products, winograd

    config, timers = benchmark_config(name), {}
    own = {f"_{product}_on_cpu": getattr(products, f"{product}_by_lax") for product in PRODUCTS}
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
    return take_turns(timers, config.batch_size, rounds, seconds)


def ablation_table(rates: dict[str, dict[str, list[float]]]) -> Table:
    """Return the table of medians by part and model; shares are the median of the rounds' shares."""
    digits = {"": None} | {column: number for name in rates for column, number in ((name, 1), (share(name), 2))}
    rows = [
        {"": part}
        | {name: statistics.median(model[part]) for name, model in rates.items()}
        | {share(name): median_ratio(model[part], model["all"]) for name, model in rates.items() if part != "all"}
        for part in next(iter(rates.values()))
    ]
    title = (
        "What each part of the convolutions gives: images a second of training steps, and the share of that with all."
    )
    return tabulate(title, digits, rows)


def share(model: str) -> str:
    """Return the heading of a model's shares."""
    return f"{model}, share"
