"""Colorizes a clip through the same pipeline with the same model in PyTorch; for an environment that has ae as well."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch_nets import FORMATS, into_gamut, network, ycbcr_to_rgb
from worker import serve

from ae.color import BT601
from ae.media.clips.conversions import colorize_clip
from ae.media.clips.reading import Clip
from ae.media.clips.settings import ClipSettings
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


def window_mean(x):
    """Compute means over the 3x3 window around each pixel."""
    return functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def build(request):
    """Return the colorizer in both memory formats, and its mean chroma of some luma planes."""
    trained, coding = read_weights(Path(request["build"])), Clip(Path(request["clip"])).coding
    colorizers = {name: TorchColorizer(trained, network(trained, order)) for name, order in FORMATS.items()}
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
