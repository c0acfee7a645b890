"""Autoencoders for images in JAX: denoising, colorizing, and the loop that trains them.

Names are imported when they are first used, so that `import ae` costs nothing.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "apply": ("predictor",),
    "colorize": ("Colorizer",),
    "conv": ("Conv", "ConvTranspose"),
    "config": ("Config", "PRESETS", "preset", "override", "on_sample"),
    "data": ("Data", "Split", "load_data"),
    "denoise": ("Denoiser",),
    "errors": ("InputError", "TrainingError"),
    "evaluation": ("evaluate", "measure"),
    "keras_weights": ("from_keras",),
    "models": ("PixelMLP", "ConvAE", "ColorizerAE", "UNet", "ChromaUNet", "DenseAE", "KerasIODenoiser"),
    "optimizer": ("keras_adam",),
    "pretrained": ("export_program", "load_model", "load_pretrained", "read_weights"),
    "tasks": ("Task", "Denoise", "Colorize"),
    "train": ("EarlyStop", "TrainState", "fit", "train_step"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ae' has no attribute {name!r}")
    return getattr(import_module(f"ae.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
