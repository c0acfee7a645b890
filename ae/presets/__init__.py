"""Configurations by name, as small differences."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ae.config import Config, override
from ae.errors import InputError
from ae.presets.colorize import CHROMA_UNET, CHROMA_UNET_BASE, CHROMA_UNET_CIFAR
from ae.presets.denoise import (
    CAMERA_DENOISER,
    DENSE_AE,
    GRAY_DENOISER,
    KERAS_IO_DENOISER,
    PHOTO_DENOISER,
    PHOTO_DENOISER_BASE,
    UNET_DENOISER,
    UNET_DENOISER_BLIND,
)
from ae.presets.quick import COLORIZER_AE_QUICK, CONV_AE_QUICK, PIXEL_MLP_QUICK, on_sample
from ae.presets.reference import COLORIZER_AE, CONV_AE, CONV_AE_14, PIXEL_MLP, PIXEL_MLP_14

__all__ = ["OURS", "PRESETS", "QUICK", "REFERENCE", "load_preset", "on_sample", "preset", "with_bases"]


REFERENCE = (PIXEL_MLP, CONV_AE, COLORIZER_AE, PIXEL_MLP_14, CONV_AE_14)
QUICK = (PIXEL_MLP_QUICK, CONV_AE_QUICK, COLORIZER_AE_QUICK)
OURS = (
    UNET_DENOISER,
    UNET_DENOISER_BLIND,
    KERAS_IO_DENOISER,
    *DENSE_AE,
    CHROMA_UNET_CIFAR,
    CHROMA_UNET_BASE,
    CHROMA_UNET,
    GRAY_DENOISER,
    PHOTO_DENOISER_BASE,
    PHOTO_DENOISER,
    CAMERA_DENOISER,
)
PRESETS = {config.name: config for config in REFERENCE + OURS + QUICK}


def preset(name: str, **changes: Any) -> Config:
    """Return the preset of that name with some fields changed. Raises InputError for unknown names and fields."""
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; there are {', '.join(PRESETS)}, or name a file: my_model.py:PRESET")
    return override(PRESETS[name], **changes)


def with_bases(config: Config, runs: Path) -> list[Config]:
    """Return the presets whose weights a preset begins with, in the order of training, and itself at the end.

    They begin with the weights in the folder `runs`. Where these are there, and no run that is still to be finished, none
    is trained before.
    """
    weights = Path(config.initial_weights or "")
    if weights.parent.name not in PRESETS:
        return [config]
    base = runs / weights.parent.name
    is_finished = (base / "metrics.json").exists() or not (base / "checkpoints").exists()
    is_there = (base / weights.name).exists() and is_finished
    bases = [] if is_there else with_bases(PRESETS[base.name], runs)
    return [*bases, override(config, initial_weights=str(base / weights.name))]


def load_preset(name: str) -> Config:
    """Return a preset by its name, or one of a user's file: `my_model.py:TINY`, or `my_model.py` for its `PRESET`.

    Raises InputError for unknown names, and for files that cannot be read or have no such preset.
    """
    file, _, variable = name.partition(":")
    if not file.endswith(".py"):
        return preset(name)
    found = vars(_run_file(file)).get(variable or "PRESET")
    if not isinstance(found, Config):
        raise InputError(f"{file} has no Config named {variable or 'PRESET'}; write {file}:NAME")
    return found


def _run_file(file: str) -> ModuleType:
    """Run a file as a module that Python knows of, so that its comments can be found, and write no bytecode beside it."""
    try:
        source = Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    module = sys.modules[file] = ModuleType(file)
    module.__file__ = file
    exec(compile(source, file, "exec"), vars(module))
    return module
