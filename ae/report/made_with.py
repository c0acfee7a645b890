"""What figures were measured with: hardware, versions and the command."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy", "dm-pix")


def made_with(command: str) -> dict[str, Any]:
    """What figures were measured with: hardware, versions, and the command."""
    return {"hardware": hardware(), "versions": versions(), "command": command}


def versions() -> dict[str, str]:
    """Of the packages that results depend on."""
    return {name: version(name) for name in PACKAGES}


def hardware() -> str:
    """The devices in use, as one line."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return f"{jax.device_count()} x {device.device_kind}"
    return f"{os.cpu_count()} cores, {_cpu_model()}"


def _cpu_model() -> str:
    """With family and model, which tell the generation: some virtual machines leave it out of the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        entry = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return f"{entry['model name']} (family {entry['cpu family']}, model {entry['model']})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()
