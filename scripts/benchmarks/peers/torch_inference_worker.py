"""Computes images with our U-Nets in PyTorch: eager and compiled, contiguous and channels_last.

The folder of "build" holds `model.safetensors`, `images.npy` [B, H, W, C], and then each variant's answers: `VARIANT.npy`.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch_nets import FORMATS, network
from worker import repeated, serve

from ae.restore.weights import read_weights


def build(request):
    """Return the version, and what computes the images, in so many threads."""
    torch.set_num_threads(request["threads"])
    torch.compiler.reset()  # of the sizes before, which count against its limit
    folder = Path(request["build"])
    trained, given = read_weights(folder / "model.safetensors"), np.load(folder / "images.npy")
    variants = {
        f"{'compiled' if compiled else 'eager'}, {name}": computing(trained, given, memory_format, compiled)
        for compiled in (False, True)
        for name, memory_format in FORMATS.items()
    }
    for name, compute in variants.items():
        np.save(folder / f"{name}.npy", compute().permute(0, 2, 3, 1).numpy())
    return {"versions": {"torch": torch.__version__}}, {name: repeated(run) for name, run in variants.items()}


def computing(trained, given, memory_format, compiled):
    """Return what computes a model's outputs, cut to [0, 1], of images [B, H, W, C]."""
    images = torch.from_numpy(given).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    whole = nn.Sequential(network(trained, memory_format), nn.Hardtanh(0, 1))
    if compiled:  # with the weights as constants, which ours are too
        whole = torch.compile(whole, fullgraph=True, dynamic=False, options={"freezing": True})

    @torch.inference_mode()
    def compute():
        return whole(images)

    return compute


if __name__ == "__main__":
    serve(build)
