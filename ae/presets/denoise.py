"""Our denoisers: noise anew in each epoch, a one-cycle learning rate, and training images held out to choose by."""

from dataclasses import replace

from ae import models, tasks
from ae.config import Config

UNET_DENOISER = Config(
    name="unet_denoiser",
    model=models.UNet(widths=(32, 64, 104), residual=True),
    task=tasks.Denoise(sigma=0.3),
    data="mnist",
    train_split="train[:55000]",
    validation_split="train[55000:]",
    reference_split="test[:9000]",  # which the reference reports on
    batch_size=64,
    learning_rate=2e-3,
    schedule="one-cycle",
    epochs=9,  # less than half an hour on two cores
    patience=9,
    new_noise_each_epoch=True,
)
UNET_DENOISER_BLIND = replace(  # knows no noise level
    UNET_DENOISER, name="unet_denoiser_blind", train_task=tasks.Denoise(sigma=0.6, least_sigma=0.0)
)
KERAS_IO_DENOISER = replace(
    UNET_DENOISER,
    name="keras_io_denoiser",
    model=models.KerasIODenoiser(),
    train_task=tasks.DenoiseByCrossEntropy(sigma=0.3),  # with squared errors it ends in black
    epochs=20,
    patience=20,
)
DENSE_AE = tuple(  # which are to give back clean images too
    replace(UNET_DENOISER_BLIND, name=f"dense_ae_{latent}", model=models.DenseAE(latent), epochs=30, patience=30)
    for latent in (8, 16, 32, 64)
)

_TASK = tasks.Denoise(sigma=25 / 255, clipped=False)
_TRAIN_TASK = tasks.DenoiseByPSNR(sigma=75 / 255, least_sigma=0.0, crop=128, mirrored=True, turned=True, clipped=False)
PHOTO_DENOISER_BASE = Config(  # for photographs of any size, in colour, from crops of them
    name="photo_denoiser_base",
    model=models.UNet(widths=(96, 84, 80), outputs=3, residual=True, patch=2, biases=False),
    task=_TASK,
    train_task=_TRAIN_TASK,
    data="bsds500",
    tile=160,
    train_split="train[32:]",
    validation_split="train[:32]",
    test_split="train[:32]",  # benchmarks are what it is scored on (scripts/evaluate.py)
    batch_size=32,
    optimizer="muon",
    learning_rate=3e-3,
    schedule="one-cycle",
    epochs=240,
    patience=240,
    new_noise_each_epoch=True,
)
PHOTO_DENOISER = replace(  # with colours finer and stronger than in the files of BSDS500, and noise as files have it
    PHOTO_DENOISER_BASE,
    name="photo_denoiser",
    train_task=replace(_TRAIN_TASK, reduced=0.5, permuted=0.5, vivid=0.5, clipped_share=0.25),
    initial_weights="runs/photo_denoiser_base/weights.safetensors",
    tile=256,
    batch_size=8,
    learning_rate=1e-3,
    epochs=60,  # an hour and a half on two cores
    patience=60,
)
GRAY_DENOISER = replace(
    PHOTO_DENOISER_BASE,
    name="gray_denoiser",
    model=models.UNet(widths=(72, 60, 48), residual=True, patch=2, biases=False),
    task=replace(_TASK, gray=True),
    train_task=replace(_TRAIN_TASK, gray=True),
    epochs=200,
    patience=200,
)
CAMERA_DENOISER = replace(  # for photographs as cameras make them
    PHOTO_DENOISER,
    name="camera_denoiser",
    task=tasks.DenoisePhotograph(),
    train_task=tasks.DenoisePhotograph(crop=128, reduced=0.5, mirrored=True, turned=True, permuted=0.5, vivid=0.5),
    initial_weights="photo_denoiser",
    epochs=24,
    patience=24,
)
