"""The reference's three models, in full; it reports on test images, by which it chooses its epoch too."""

from dataclasses import replace

from ae import models, tasks
from ae.config import Config

PIXEL_MLP = Config(
    name="pixel_mlp",
    model=models.PixelMLP(pixel_levels=4096),  # trains as without, on rounded inputs: minutes instead of a day
    task=tasks.Denoise(sigma=0.3),
    data="mnist",
    validation_split="test[:9000]",  # as in the reference: test images choose the epoch
    batch_size=256,
    precision="float32",
)
CONV_AE = replace(PIXEL_MLP, name="conv_ae", model=models.ConvAE())
COLORIZER_AE = Config(
    name="colorizer_ae", model=models.ColorizerAE(), task=tasks.Colorize(), data="cifar100", precision="float32"
)


PIXEL_MLP_14, CONV_AE_14 = (  # gone on with for as many epochs as the reference's convolutional autoencoder has
    replace(config, name=f"{config.name}_14", epochs=14, patience=14) for config in (PIXEL_MLP, CONV_AE)
)
