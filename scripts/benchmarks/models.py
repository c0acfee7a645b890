"""The models that are timed: ours, and how peers are told to build them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

RELU, NORM, PUSH, CONCAT = ("relu",), ("norm",), ("push",), ("concat",)


def conv(features: int, kernel: int = 3, stride: int = 1) -> tuple[Any, ...]:
    """Return a convolution, as peers are told."""
    return ("conv", features, kernel, stride)


def up(features: int, kernel: int, stride: int = 2) -> tuple[Any, ...]:
    """Return a transposed convolution, as peers are told."""
    return ("conv_transpose", features, kernel, stride)


def block(features: int) -> tuple[tuple[Any, ...], ...]:
    """Return two convolutions of a U-Net."""
    return (conv(features), RELU, conv(features), RELU)


# The models as peers are told to build them, in the order of their calls; `push` keeps what passes, `concat` joins it again.
LAYERS = {
    "conv_ae": (
        *(conv(128, 2), RELU, NORM, conv(256, 2, 2), RELU, NORM, conv(512), RELU, NORM, conv(512, 2, 2), RELU),
        *(conv(512, 2), RELU, up(512, 2), RELU, NORM, conv(256, 2), RELU, NORM, conv(128, 2), RELU),
        *(up(128, 2), RELU, conv(64, 2), RELU, NORM, conv(1, 2), RELU),
    ),
    "colorizer_ae": (
        *(conv(64, 3, 2), RELU, conv(128, 3, 2), RELU, conv(256, 3, 2), RELU),
        *(("flatten",), ("dense", 256), ("dense", 4096), ("unflatten", 4, 4, 256)),
        *(up(256, 3), RELU, up(128, 3), RELU, up(64, 3), RELU, up(3, 3, 1), ("sigmoid",)),
    ),
    "unet": (
        *(*block(32), PUSH, conv(64, 2, 2), *block(64), PUSH, conv(128, 2, 2), *block(128)),
        *(up(64, 2), CONCAT, *block(64), up(32, 2), CONCAT, *block(32), conv(3)),
    ),
    "pixel_mlp": (
        *(conv(128, 1), RELU, NORM, conv(256, 1), RELU, NORM, conv(512, 1), RELU, NORM, conv(512, 1), RELU),
        *(conv(512, 1), RELU, conv(512, 1), RELU, NORM, conv(256, 1), RELU, NORM, conv(128, 1), RELU),
        *(conv(64, 1), RELU, NORM, conv(1, 1), RELU),
    ),
}


BATCH_SIZES = {"conv_ae": 64, "colorizer_ae": 32, "unet": 32, "pixel_mlp": 8}


def benchmark_config(name: str) -> Any:
    """Return the preset, or for the U-Net one like the colorizer's; the pixel MLP in its plain form, as peers have it."""
    from ae import models
    from ae.presets import PRESETS

    unet = replace(PRESETS["colorizer_ae"], name="unet", model=models.UNet(outputs=3))
    plain = replace(PRESETS["pixel_mlp"], model=models.PixelMLP())
    config = {"unet": unet, "pixel_mlp": plain}.get(name) or PRESETS[name]
    return replace(config, batch_size=BATCH_SIZES[name])


def in_order(params: Any, layers: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the weights of a model in the order of its layers."""
    names = {"conv": "Conv", "conv_transpose": "ConvTranspose", "dense": "Dense", "norm": "BatchNorm"}
    if not any(name.startswith("Conv") for name in params):
        names["conv"] = "Dense"  # of every pixel: a 1x1 convolution to the peers
    seen, weights = dict.fromkeys(names.values(), 0), []
    for kind, *_ in layers:
        if kind in names:
            layer = params[f"{names[kind]}_{seen[names[kind]]}"]
            seen[names[kind]] += 1
            first = layer.get("kernel", layer.get("scale"))
            weights += [first[None, None] if kind == "conv" and first.ndim == 2 else first, layer["bias"]]
    return weights


def gflop(config: Any) -> float:
    """Return the billions of additions and multiplications of a training step, for one image, by the direct algorithm.

    A layer has three products: its output and the gradients of its kernel and of its input, which the first does not need.
    """
    from ae.score.flops import multiply_adds_by_layer

    layers = multiply_adds_by_layer(config.model, config.model.input_shape)
    return 2 * (3 * sum(layers) - layers[0]) / 1e9
