"""What figures were measured with."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from ae.config import Config

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy", "dm-pix")


def made_with(command: str, *configs: Config) -> dict[str, Any]:
    """Return what figures were measured with, as JSON values: hardware, precision, versions and the command.

    `configs`: of the models that were measured; `dtype` is what they compute in. `matmul_precision` and `xla_flags` are
    JAX's setting and the environment's XLA_FLAGS. Results that were written before these were recorded lack them.
    """
    settings: Any = jax.config
    return {
        "hardware": hardware(),
        "devices": sorted({device.device_kind for device in jax.devices()}),
        "dtype": sorted({config.dtype for config in configs}),
        "matmul_precision": settings.jax_default_matmul_precision or "default",
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": versions(),
        "command": command,
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on."""
    return {name: version(name) for name in PACKAGES}


def hardware() -> str:
    """Return the devices in use, as one line."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return f"{jax.device_count()} x {device.device_kind}"
    return f"{os.cpu_count()} cores, {_cpu_model()}"


def _cpu_model() -> str:
    """Return the name with family and model, which tell the generation: some virtual machines leave it out of the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        entry = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return f"{entry['model name']} (family {entry['cpu family']}, model {entry['model']})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()
