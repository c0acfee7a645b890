"""The reference's models, narrow, for minutes on two cores, with running statistics that keep up."""

from dataclasses import replace

from ae import models
from ae.config import Config
from ae.presets.reference import COLORIZER_AE, PIXEL_MLP

SAMPLE_OF = {
    "mnist": "sample-digits",
    "cifar100": "sample-photos",
    "tiny_imagenet+photo_squares": "sample-photos",
    "tiny_imagenet+photo_squares+object_squares": "sample-photos",
}


def on_sample(config: Config) -> Config:
    """Return the same run on the data that comes with the dependencies: no download, no look at test data before the end."""
    on_data = replace(config, data=SAMPLE_OF.get(config.data, config.data), reference_split=None, tile=0, scale=1.0)
    return replace(on_data, train_split="train", validation_split="validation", test_split="test")


PIXEL_MLP_QUICK = replace(
    on_sample(PIXEL_MLP),
    name="pixel_mlp_quick",
    model=models.PixelMLP(widths=(16, 32, 64, 64, 64, 64, 32, 16, 8), momentum=0.9, pixel_levels=4096),
    batch_size=32,
    epochs=8,
    patience=8,
)
CONV_AE_QUICK = replace(
    PIXEL_MLP_QUICK,
    name="conv_ae_quick",
    model=models.ConvAE(encoder=(16, 32, 64, 64), decoder=(64, 64, 32, 16, 16, 8), momentum=0.9),
)
COLORIZER_AE_QUICK = replace(
    on_sample(COLORIZER_AE),
    name="colorizer_ae_quick",
    model=models.ColorizerAE(encoder=(16, 32, 64), latent=64, decoder=(64, 32, 16)),
    epochs=8,
    patience=8,
)
