"""Figures that the reference reports: two Keras notebooks, denoising MNIST and colorizing CIFAR-100."""

from typing import Any

REPORTED: dict[str, dict[str, Any]] = {
    "pixel_mlp": {
        "task": "Denoise",
        "data": "mnist",
        "validation": "test[:9000]",
        "epoch": 5,
        "epochs": 7,
        "loss": 0.0269,
        "accuracy": 0.8053,
        "val_loss": 0.0270,
        "val_accuracy": 0.8058,
        "val_loss_by_epoch": [0.1136, 0.0493, 0.0276, 0.0271, 0.0270, 0.0273, 0.0275],
    },
    "conv_ae": {
        "task": "Denoise",
        "data": "mnist",
        "validation": "test[:9000]",
        "epoch": 14,
        "epochs": 14,
        "loss": 0.0044,
        "accuracy": 0.8153,
        "val_loss": 0.0047,
        "val_accuracy": 0.8150,
        "val_loss_by_epoch": [
            0.1135, 0.0472, 0.0075, 0.0052, 0.0063, 0.0050, 0.0050,
            0.0047, 0.0048, 0.0047, 0.0049, 0.0045, 0.0049, 0.0047,
        ],
    },
    "colorizer_ae": {
        "task": "Colorize",
        "data": "cifar100",
        "validation": "test",
        "epoch": 7,
        "epochs": 8,
        "loss": 0.0106,
        "accuracy": 0.5323,
        "val_loss": 0.0114,
        "val_accuracy": 0.5458,
        "val_loss_by_epoch": [0.0142, 0.0131, 0.0127, 0.0118, 0.0116, 0.0114, 0.0114, 0.0115],
    },
}  # fmt: skip


def reported(preset: str) -> dict[str, Any]:
    """Return the reference's figures for a preset or another form of it; empty where the reference has no such model."""
    return next((figures for name, figures in REPORTED.items() if preset.startswith(name)), {})
