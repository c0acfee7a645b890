"""Our U-Nets in PyTorch, with our weights; for an environment that has ae as well."""

from itertools import count

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ae import models
from ae.color import BT601
from ae.errors import InputError
from ae.layers.norm import BatchNorm
from ae.models.unet import CHROMA_SCALE

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def network(trained, memory_format):
    """Return a model as a module: images [B, C, H, W] -> [B, C', H, W]. Raises InputError for other models than U-Nets."""
    made = {models.UNet: UNet, models.ChromaUNet: ChromaUNet}.get(type(trained.config.model))
    if made is None:
        raise InputError(f"PyTorch's peer has U-Nets alone, and {trained.config.name} is none")
    return made(trained, memory_format).eval().to(memory_format=memory_format)


class UNet(nn.Module):
    """`ae.UNet`, whose outputs are not cut yet."""

    def __init__(self, trained, memory_format):
        super().__init__()
        model = trained.config.model
        self.levels = Levels(trained, model.patch, memory_format)
        self.multiple, self.residual = model.multiple, model.residual

    def forward(self, images):
        """Compute outputs [B, C', H, W] of images [B, C, H, W]."""
        height, width = images.shape[2:]
        answers = self.levels(mirrored(images, self.multiple))[:, :, :height, :width]
        return answers + images if self.residual else answers


class ChromaUNet(nn.Module):
    """`ae.ChromaUNet`."""

    def __init__(self, trained, memory_format):
        super().__init__()
        model = trained.config.model
        self.levels = Levels(trained, 2, memory_format)
        self.multiple, self.relative, self.hints = model.multiple, model.relative, model.hints

    def forward(self, images):
        """Compute RGB [B, 3, H, W] of luma [B, 1, H, W], or of luma with hints [B, 4, H, W]."""
        height, width = images.shape[2:]
        gray, padded = images[:, :1], mirrored(images, self.multiple)
        luma, hints = padded[:, :1], padded[:, 1:]
        unit = 2 * luma.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-3 if self.relative else 1.0
        seen = luma / unit
        if hints.shape[1]:
            seen = torch.cat([seen, hints[:, :2] / (CHROMA_SCALE * unit), hints[:, 2:]], 1)
        elif self.hints:
            seen = functional.pad(seen, (0, 0, 0, 0, 0, 3))
        chroma = CHROMA_SCALE * unit * self.levels(seen)[:, :2, :height, :width]
        return ycbcr_to_rgb(gray, into_gamut(gray, chroma, BT601), BT601)


class Levels(nn.Module):
    """The layers of a U-Net: [B, C, H, W] -> [B, C', H, W], sizes that the levels divide.

    BatchNorm's running statistics are folded into the convolutions.
    """

    def __init__(self, trained, patch, memory_format):
        super().__init__()
        self.memory_format = memory_format
        layers, depth, below = Layers(trained), trained.config.model.depth, len(trained.config.model.widths) - 1
        self.patches = layers.conv(patch) if patch > 1 else nn.Identity()
        self.first = layers.block(depth)
        self.down = nn.ModuleList(nn.Sequential(layers.conv(2), layers.block(depth)) for _ in range(below))
        self.up = nn.ModuleList(nn.ModuleList([layers.up(2), layers.block(depth)]) for _ in range(below))
        self.last = layers.up(patch) if patch > 1 else layers.conv(1)

    def forward(self, x):
        """Compute the last layer's answers."""
        kept = [self.first(self.patches(x.to(memory_format=self.memory_format)))]
        for down in self.down:
            kept.append(down(kept[-1]))
        x = kept.pop()
        for up, block in self.up:
            x = block(torch.cat([kept.pop(), up(x)], 1))
        return self.last(x)


class Layers:
    """Makes a model's layers with its weights, in the order of its calls."""

    def __init__(self, trained):
        self._params, self._stats = trained.variables["params"], trained.variables.get("batch_stats", {})
        self._convs, self._ups, self._norms = count(), count(), count()

    def block(self, depth):
        """Return convolutions of 3x3 in a row, with the norms that follow them."""
        return nn.Sequential(*(layer for _ in range(depth) for layer in (self.conv(1, normed=True), nn.ReLU())))

    def conv(self, stride, *, normed=False):
        """Return the next convolution."""
        weights = self._weights(f"Conv_{next(self._convs)}")
        if normed and self._stats:
            weights = self._folded(weights, f"BatchNorm_{next(self._norms)}")
        outputs, inputs, side, _ = weights["weight"].shape
        padding = side // 2 if stride == 1 else 0
        return filled(nn.Conv2d(inputs, outputs, side, stride, padding, bias="bias" in weights), weights)

    def up(self, stride):
        """Return the next transposed convolution, whose kernel is as large as its stride."""
        weights = self._weights(f"ConvTranspose_{next(self._ups)}")
        inputs, outputs = weights["weight"].shape[:2]
        return filled(nn.ConvTranspose2d(inputs, outputs, stride, stride, bias="bias" in weights), weights)

    def _weights(self, name):
        """Return a layer's weights as PyTorch has them; our kernels are [h, w, in, out], transposed ones [h, w, out, in]."""
        weights = {key: torch.from_numpy(np.array(array)) for key, array in self._params[name].items()}
        kernel = weights.pop("kernel")
        return {"weight": kernel.permute(3, 2, 0, 1)} | weights

    def _folded(self, weights, norm):
        params, stats = self._params[norm], self._stats[norm]
        scale = torch.from_numpy(np.array(params["scale"] / np.sqrt(stats["var"] + BatchNorm.epsilon)))
        shift = torch.from_numpy(np.array(params["bias"])) - torch.from_numpy(np.array(stats["mean"])) * scale
        return {"weight": weights["weight"] * scale[:, None, None, None], "bias": weights["bias"] * scale + shift}


def filled(layer, weights):
    """Return a layer with weights."""
    layer.load_state_dict(weights)
    return layer


def mirrored(images, multiple):
    """Mirror the last rows and columns of images [B, C, H, W] up to the next multiple."""
    height, width = images.shape[2:]
    missing = (0, -width % multiple, 0, -height % multiple)
    return functional.pad(images, missing, mode="reflect") if any(missing) else images


def ycbcr_to_rgb(gray, chroma, weights):
    """Compute RGB [B, 3, H, W] of luma [B, 1, H, W] and chroma [B, 2, H, W]."""
    red, green, blue = weights
    r, b = gray + 2 * (1 - red) * chroma[:, 1:], gray + 2 * (1 - blue) * chroma[:, :1]
    return torch.cat([r, (gray - red * r - blue * b) / green, b], 1)


def into_gamut(gray, chroma, weights):
    """Weaken chroma [B, 2, H, W] where RGB would leave [0, 1]."""
    difference = ycbcr_to_rgb(gray, chroma, weights) - gray
    room = torch.where(difference > 0, 1 - gray, gray)
    strength = room / torch.maximum(difference.abs(), room + 1e-12)
    return chroma * strength.amin(1, keepdim=True)
