"""Where the time of training steps goes: matrix products, each timed alone, and all else."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from benchmarks.models import benchmark_config
from benchmarks.steps import SIDE, compiled_steps, example, matrix_product
from benchmarks.workers import Timer, take_turns
from jax import lax

from ae.report.markdown import Table, tabulate
from ae.score.evaluate import examples
from ae.train.step import train_step

STEP, LARGE = "step", "matrix product"
COLUMNS = {
    "model": None, "ms a step": 0, "outputs and input gradients, ms": 0, "their GFLOP/s": 0,
    "kernel gradients, ms": 0, "GFLOP/s of these": 0, "all else, ms": 0, "a large product's GFLOP/s": 0,
}  # fmt: skip


class Product(NamedTuple):
    """A matrix product of a program: of arrays with these shapes, over these axes."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    axes: Any  # `dimension_numbers` of `lax.dot_general`

    @property
    def is_kernel_gradient(self) -> bool:
        """Return whether the sum is over all pixels of a batch, which come first in both."""
        return self.axes[0][0][0] == self.axes[0][1][0] == 0

    @property
    def flops(self) -> int:
        """Return how many additions and multiplications it has."""
        arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in self[:2]]
        out = jax.eval_shape(lambda a, b: lax.dot_general(a, b, self.axes), *arrays)
        return 2 * out.size * prod(self.left[axis] for axis in self.axes[0][0])

    def __str__(self) -> str:
        return f"{self.left} {self.right} {self.axes[0]}"


def time_of_products(name: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the table's row of a model: medians of the rounds."""
    config = benchmark_config(name)
    found = products_of(config)
    timers: dict[str, Timer] = {STEP: compiled_steps(config), LARGE: matrix_product}
    timers |= {str(product): product_timer(product) for product in found}
    taken = {what: 1 / statistics.median(rates) for what, rates in take_turns(timers, 1, rounds, seconds).items()}
    kinds = [{p: count for p, count in found.items() if p.is_kernel_gradient is kind} for kind in (False, True)]
    times = [sum(count * taken[str(p)] for p, count in kind.items()) for kind in kinds]
    flops = [sum(count * p.flops for p, count in kind.items()) for kind in kinds]
    columns = [value for t, f in zip(times, flops, strict=True) for value in (1e3 * t, f / t / 1e9)]
    rest, large = 1e3 * (taken[STEP] - sum(times)), 2 * SIDE**3 / taken[LARGE] / 1e9
    return dict(zip(COLUMNS, (name, 1e3 * taken[STEP], *columns, rest, large), strict=True))


def products_of(config: Any) -> Counter[Product]:
    """Return the matrix products of a training step on a CPU, and how often each is computed."""
    images, state = example(config, config.batch_size)
    batch, key = examples(config.task, jax.random.key(0), images, jnp.arange(len(images))), jax.random.key(0)
    step = jax.make_jaxpr(lambda state, batch: train_step(config.compile_key, state, batch, key))
    return Counter(_products_in(step(state, batch).jaxpr))


def _products_in(jaxpr: Any) -> Iterator[Product]:
    for equation in jaxpr.eqns:
        if equation.primitive is lax.dot_general_p:
            left, right = (variable.aval.shape for variable in equation.invars)
            yield Product(left, right, equation.params["dimension_numbers"])
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                if hasattr(inner := getattr(inner, "jaxpr", inner), "eqns"):
                    yield from _products_in(inner)


def product_timer(product: Product) -> Timer:
    """Compile a product that is computed again and again; return its timer."""
    left, right = (jnp.full(shape, 1e-3) for shape in product[:2])

    @jax.jit
    def computed(left: jax.Array, right: jax.Array, number: int) -> jax.Array:
        def again(_: int, arrays: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            left, out = arrays
            left = left.at[(0,) * left.ndim].set(out[(0,) * out.ndim])  # or it would be computed once
            return left, lax.dot_general(left, right, product.axes)

        return lax.fori_loop(1, number, again, (left, lax.dot_general(left, right, product.axes)))[1]

    def timer(number: int) -> float:
        began = time.perf_counter()
        jax.block_until_ready(computed(left, right, number))
        return time.perf_counter() - began

    return timer


def products_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the table of milliseconds."""
    return tabulate(
        "Where the time of a training step goes: matrix products, each timed alone, and all else.", COLUMNS, rows
    )
