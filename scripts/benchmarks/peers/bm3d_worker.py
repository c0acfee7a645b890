"""Takes noise from images with the package bm3d; the folder of "build" holds the noisy image and then the denoised one."""

from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from bm3d import bm3d, bm3d_rgb
from worker import serve


def build(request):
    """Return the package's version, and what denoises the image in the folder."""
    return {"versions": {"bm3d": version("bm3d")}}, {"bm3d": partial(denoise, Path(request["build"]))}


def denoise(folder, request):
    """Denoise an image [H, W, 1 or 3], the standard deviation of whose noise is `sigma`."""
    noisy = np.load(folder / "noisy.npy").astype(np.float64)
    denoised = bm3d_rgb(noisy, request["sigma"]) if noisy.shape[2] == 3 else bm3d(noisy[..., 0], request["sigma"])
    np.save(folder / "denoised.npy", denoised.reshape(noisy.shape).astype(np.float32))


if __name__ == "__main__":
    serve(build)
