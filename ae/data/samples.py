"""Data that comes with the dependencies."""

import importlib.util
from pathlib import Path

import numpy as np


def packaged(file: str) -> Path:
    """Return the path of a file within a package, which is not imported: that takes a second."""
    package, _, path = file.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / path


def _sample_digits() -> dict[str, np.ndarray]:
    """Return the 1,797 handwritten digits of scikit-learn (8x8, 17 gray levels), set in 28x28 as MNIST's are."""
    from PIL import Image

    rows = np.loadtxt(packaged("sklearn/datasets/data/digits.csv.gz"), delimiter=",")  # 64 pixels and a label
    digits = (rows[:, :64].reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    digits = np.stack(
        [np.asarray(Image.fromarray(digit).resize((20, 20), Image.Resampling.BICUBIC)) for digit in digits]
    )
    images = np.pad(digits, [(0, 0), (4, 4), (4, 4)])[..., None]
    return {"train": images[:1280], "validation": images[1280:1536], "test": images[1536:]}


SCENES = {
    "train": (
        "skimage/data/astronaut.png",
        "skimage/data/coffee.png",
        "skimage/data/rocket.jpg",
        "sklearn/datasets/images/flower.jpg",
    ),
    "validation": ("sklearn/datasets/images/china.jpg",),
    "test": ("skimage/data/chelsea.png",),
}


def _sample_photos() -> dict[str, np.ndarray]:
    """Return 32x32 crops, at three scales, of photographs in the wheels of scikit-image and scikit-learn.

    No scene is in two splits.
    """
    return {split: np.random.default_rng(0).permutation(_crops(scenes)) for split, scenes in SCENES.items()}


def _crops(scenes: tuple[str, ...], size: int = 32) -> np.ndarray:
    from PIL import Image

    crops = []
    for scene in scenes:
        photo = Image.fromarray(sample_photograph(scene))
        for scale in (1, 2, 4):
            image, step = np.asarray(photo.reduce(scale)), size // scale
            windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))[::step, ::step]
            crops.append(windows.reshape(-1, 3, size, size).transpose(0, 2, 3, 1))
    return np.concatenate(crops)


def sample_photograph(scene: str) -> np.ndarray:
    """Read one of the photographs in `SCENES`: RGB [H, W, 3], uint8."""
    import imageio.v3 as iio

    return iio.imread(packaged(scene))


SAMPLES = {"sample-digits": _sample_digits, "sample-photos": _sample_photos}
