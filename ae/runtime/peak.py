"""How many floating-point operations a second the devices can do at most."""

import time
from functools import cache

import jax
import jax.numpy as jnp

TERA = 1e12
SIDE = 1024  # of the matrices whose product is measured on a CPU
PRODUCTS = 5  # of which the fastest counts

# TFLOP/s of dense products with sums in float32: of float32, TensorFloat-32, bfloat16 and float16 (None: the GPU has none).
# From NVIDIA's data sheets of each, where those of sparse products, twice as many, stand too; for RTX its white papers of
# Ampere GA102 and of Ada.
PEAKS: dict[str, tuple[float, float | None, float | None, float]] = {
    "H200": (67, 494.7, 989.4, 989.4),
    "H100 PCIe": (51.2, 378, 756, 756),
    "H100 NVL": (60, 417.5, 835.5, 835.5),
    "H100": (67, 494.7, 989.4, 989.4),
    "A100": (19.5, 156, 312, 312),
    "V100-PCIE": (14, None, None, 112),
    "V100": (15.7, None, None, 125),
    "L40S": (91.6, 183, 362, 362),
    "L4": (30.3, 60, 121, 121),
    "T4": (8.1, None, None, 65),
    "RTX 6000 Ada": (91.1, 182.1, 364.2, 364.2),
    "RTX A6000": (38.7, 77.4, 154.8, 154.8),
    "RTX 4090": (82.6, 82.6, 165.2, 165.2),
    "RTX 3090": (35.6, 35.6, 71, 71),
}


def peak_flops(dtype: str, precision: str) -> float | None:
    """Return the peak of all devices together in FLOP/s; None where it is not known.

    Of a GPU it is what its maker says for products in this dtype; those of float32 round their factors to
    TensorFloat-32 by default, and not at precision "float32". Of a CPU it is that of a product of matrices, measured once.
    """
    device = jax.devices()[0]
    if device.platform == "cpu":
        return matrix_product_flops()
    for name, (float32, tensorfloat32, bfloat16, float16) in PEAKS.items():
        if f"{name} " in f"{device.device_kind.replace('-', ' ')} " or f"{name}-" in device.device_kind:
            rounded = float32 if precision == "float32" else tensorfloat32 or float32
            peak = {"float32": rounded, "bfloat16": bfloat16, "float16": float16}[dtype]
            return peak and peak * TERA * jax.device_count()
    return None


@cache
def matrix_product_flops() -> float:
    """Measure the FLOP/s of a product of float32 matrices, in a fifth of a second."""
    matrix = jnp.full((SIDE, SIDE), 1e-3)
    product = jax.jit(jnp.matmul).lower(matrix, matrix).compile()
    seconds = []
    for _ in range(PRODUCTS):
        began = time.perf_counter()
        jax.block_until_ready(product(matrix, matrix))
        seconds.append(time.perf_counter() - began)
    return 2 * SIDE**3 / min(seconds)
