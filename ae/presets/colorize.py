"""Our colorizers."""

from dataclasses import replace

from ae import models, tasks
from ae.presets.denoise import UNET_DENOISER

CHROMA_UNET_CIFAR = replace(  # of small images, as the reference's
    UNET_DENOISER,
    name="chroma_unet_cifar",
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
CHROMA_UNET_BASE = replace(  # of photographs of any size, with a person's hints
    CHROMA_UNET_CIFAR,
    name="chroma_unet_base",
    model=models.ChromaUNet(widths=(40, 80, 144, 224), relative=True, hints=True, vivid=True),
    train_task=tasks.ColorizePhotograph(mirrored=True, hinted=0.5),
    data="tiny_imagenet+photo_squares",
    train_split="train",
    validation_split="validation[:5000]",
    test_split="validation[5000:]",
    reference_split=None,
    batch_size=128,
    optimizer="muon",
    learning_rate=4e-3,
    ema_decay=0.999,
    epochs=20,
    patience=20,
)
CHROMA_UNET = replace(  # that sees more of a photograph, with BatchNorm as it is when the model is used
    CHROMA_UNET_BASE,
    name="chroma_unet",
    model=CHROMA_UNET_BASE.model.clone(frozen=True),
    train_task=tasks.ColorizePhotograph(mirrored=True, side=64, least_zoom=0.85, most_zoom=1.0, hinted=0.6),
    initial_weights="runs/chroma_unet_base/weights.safetensors",
    data="tiny_imagenet+photo_squares+object_squares",
    learning_rate=2e-3,
    epochs=4,
    patience=4,
)
