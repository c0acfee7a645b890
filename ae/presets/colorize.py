"""Our colorizer."""

from dataclasses import replace

from ae import models, tasks
from ae.presets.denoise import UNET_DENOISER

CHROMA_UNET = replace(
    UNET_DENOISER,
    name="chroma_unet",
    model=models.ChromaUNet(widths=(40, 92, 208)),
    task=tasks.Colorize(),
    train_task=tasks.Colorize(mirrored=True, shift=4),
    data="cifar100",
    train_split="train[:45000]",
    validation_split="train[45000:]",
    reference_split="test",  # which the reference reports on
    learning_rate=3e-3,
    epochs=32,
    patience=32,
)
