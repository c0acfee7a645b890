"""Colorizes a clip through the same pipeline with the same model in PyTorch; for an environment that has ae as well."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from worker import serve

from ae.color import BT601
from ae.layers.norm import BatchNorm
from ae.media.clips.conversions import colorize_clip
from ae.media.clips.reading import Clip
from ae.media.clips.settings import ClipSettings
from ae.models.unet import CHROMA_SCALE
from ae.restore.chroma import FLATNESS
from ae.restore.colorize import working_size
from ae.restore.frames import Planes
from ae.restore.resizing import SAMPLES
from ae.restore.weights import read_weights


@dataclass
class TorchColorizer:
    """`ae.Colorizer` for clips in 4:2:0, in PyTorch."""

    trained: Any
    net: Any

    def clip_cells(self, hints, codes, coding):
        """Return that there are no hints: [h, w, 4]."""
        return np.zeros((*working_size(self.trained.config, *codes.shape), 4), np.float32)

    def film_planes(self, codes, coding, *, cells=None, steady=None):
        """Return that nothing is kept for the next frames, and `planes`."""
        return None, self.planes(np.asarray(codes), coding)

    def planes(self, codes, coding):
        """Return `ae.restore.frames.Planes` for luma planes [B, H, W]."""
        with torch.inference_mode():
            return Planes(*(array.numpy() for array in self._planes(torch.from_numpy(codes), coding)))

    def _planes(self, codes, coding):
        working = working_size(self.trained.config, *codes.shape[1:])
        gray = luma(functional.avg_pool2d(codes.float()[:, None], 2, ceil_mode=True), coding)
        small = functional.interpolate(gray, working, mode="bilinear", antialias=True)
        rgb = self.net(small)
        chroma = rgb_to_chroma(rgb, BT601)
        if coding.weights != BT601:
            chroma = rgb_to_chroma(ycbcr_to_rgb(small, chroma, BT601), coding.weights)
        mean_luma, mean_chroma = window_mean(small), window_mean(chroma)
        variance = window_mean(small * small) - mean_luma * mean_luma
        slope = (window_mean(small * chroma) - mean_luma * mean_chroma) / (variance + FLATNESS)
        lines = window_mean(torch.cat([slope, mean_chroma - slope * mean_luma], 1))
        slope, offset = functional.interpolate(lines, gray.shape[2:], mode="bilinear").split(2, 1)
        full = into_gamut(gray, slope * gray + offset, coding.weights)
        step = -(-max(gray.shape[2:]) // SAMPLES)
        samples = ycbcr_to_rgb(gray[..., ::step, ::step], full[..., ::step, ::step], coding.weights)
        planes = torch.clamp(torch.round(full * (255 if coding.full_range else 224)) + 128, 0, 255).to(torch.uint8)
        return planes[:, 0].contiguous(), planes[:, 1].contiguous(), samples.permute(0, 2, 3, 1).contiguous()


def luma(codes, coding):
    """Convert integers to luma in [0, 1], as `ae.color.Coding.luma` does."""
    if coding.full_range:
        return codes.float() / 255
    return torch.clamp((codes.float() - 16) / 219, 0, 1)


def rgb_to_chroma(rgb, weights):
    """Compute chroma [B, 2, H, W] of RGB [B, 3, H, W]."""
    red, green, blue = weights
    gray = red * rgb[:, :1] + green * rgb[:, 1:2] + blue * rgb[:, 2:]
    return torch.cat([(rgb[:, 2:] - gray) / (2 * (1 - blue)), (rgb[:, :1] - gray) / (2 * (1 - red))], 1)


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


def window_mean(x):
    """Compute means over the 3x3 window around each pixel."""
    return functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def chroma_unet(trained, memory_format):
    """Return ChromaUNet as a function, with BatchNorm's running statistics folded into the convolutions."""
    model, params, stats = trained.config.model, trained.variables["params"], trained.variables["batch_stats"]

    def tensor(array):
        return torch.from_numpy(np.array(array))

    def weights(layer):
        kernel = tensor(params[layer]["kernel"]).permute(3, 2, 0, 1)  # a transposed kernel is (h, w, out, in)
        return kernel.contiguous(memory_format=memory_format), tensor(params[layer]["bias"])

    def normed(layer, norm):
        kernel, bias = weights(layer)
        scale = tensor(params[norm]["scale"] / np.sqrt(stats[norm]["var"] + BatchNorm.epsilon))
        shift = tensor(params[norm]["bias"]) - tensor(stats[norm]["mean"]) * scale
        return (kernel * scale[:, None, None, None]).contiguous(memory_format=memory_format), bias * scale + shift

    levels = len(model.widths)
    plain = {0, *(3 * level for level in range(1, levels))}  # the patches and the ways down
    names = iter(range(99))
    convs = [
        weights(f"Conv_{i}") if i in plain else normed(f"Conv_{i}", f"BatchNorm_{next(names)}")
        for i in range(5 * levels - 2)
    ]
    ups = [weights(f"ConvTranspose_{i}") for i in range(levels)]

    def net(gray):
        down, up, kept = iter(convs), iter(ups), []

        def block(x):
            for _ in range(2):
                x = functional.conv2d(x, *next(down), padding=1).relu()
            return x

        height, width = gray.shape[2:]
        missing = (0, -width % model.multiple, 0, -height % model.multiple)
        padded = functional.pad(gray, missing, mode="reflect") if any(missing) else gray
        unit = 2 * padded.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-3 if model.relative else 1.0
        seen = functional.pad(padded / unit, (0, 0, 0, 0, 0, 3 if model.hints else 0))
        x = functional.conv2d(seen.to(memory_format=memory_format), *next(down), stride=2)
        for _ in range(levels - 1):
            kept.append(block(x))
            x = functional.conv2d(kept[-1], *next(down), stride=2)
        x = block(x)
        for skipped in reversed(kept):
            x = block(torch.cat([skipped, functional.conv_transpose2d(x, *next(up), stride=2)], 1))
        answers = functional.conv_transpose2d(x, *next(up), stride=2)[:, :2, :height, :width]
        chroma = CHROMA_SCALE * unit * answers
        return ycbcr_to_rgb(gray, into_gamut(gray, chroma, BT601), BT601)

    return net


def build(request):
    """Return the colorizer in both memory formats, and its mean chroma of some luma planes."""
    trained, coding = read_weights(Path(request["build"])), Clip(Path(request["clip"])).coding
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    colorizers = {name: TorchColorizer(trained, chroma_unet(trained, order)) for name, order in formats.items()}
    planes = colorizers["contiguous"].planes(np.load(request["codes"]), coding)
    reply = {"mean": [float(planes.cb.mean()), float(planes.cr.mean())], "versions": {"torch": torch.__version__}}
    return reply, {name: partial(colorize, colorizer) for name, colorizer in colorizers.items()}


def colorize(colorizer, request):
    """Colorize the clip of a request."""
    target = Path(request["folder"]) / "torch.mp4"
    settings = ClipSettings(encoder_options=request["options"], recolour=True, steady=0)
    colorize_clip(Path(request["clip"]), target, colorizer, settings)


if __name__ == "__main__":
    serve(build)
