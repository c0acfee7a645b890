"""Autoencoders for images in JAX: denoising, colorizing, and the loop that trains them.

Names are imported when they are first used, so that `import ae` costs nothing.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "config": ("Config", "override"),
    "data": ("Data", "Split", "load_data"),
    "errors": ("InputError", "TrainingError"),
    "layers.conv": ("Conv", "ConvTranspose"),
    "models": ("PixelMLP", "ConvAE", "ColorizerAE", "UNet", "ChromaUNet", "DenseAE", "KerasIODenoiser"),
    "models.keras_weights": ("from_keras",),
    "presets": ("PRESETS", "preset", "on_sample"),
    "restore.colorize": ("Colorizer",),
    "restore.denoise": ("Denoiser",),
    "restore.export": ("export_program",),
    "restore.load": ("load_model",),
    "restore.weights": ("load_pretrained", "read_weights"),
    "score.evaluate": ("evaluate", "measure", "predictor"),
    "tasks": ("Task", "Denoise", "Colorize"),
    "train.early_stopping": ("EarlyStop",),
    "train.loop": ("fit",),
    "train.optimizer": ("keras_adam",),
    "train.step": ("TrainState", "train_step"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ae' has no attribute {name!r}")
    return getattr(import_module(f"ae.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
