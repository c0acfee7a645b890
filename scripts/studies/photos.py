"""Photographs: noise taken from them, and colours, by how much of them the model sees."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from studies.common import SHOWN_WIDTH, Limit, Model, Out, write

from ae.runtime import cli

SIGMAS = (0.0, 0.02, 0.05, 0.1, 0.2)
SHOWN_SIGMA = 0.1
SHOWN = (slice(120, 240), slice(60, 240))  # of each photograph


def photos(
    model: Model = "photo_denoiser",
    sigmas: tuple[float, ...] = SIGMAS,
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Denoise colour photographs that come with scikit-image and scikit-learn, the noise estimated.

    Args:
        sigmas: Standard deviations of the noise, for images in [0, 1].
    """
    import numpy as np
    from tqdm import tqdm

    from ae import Denoiser, load_model
    from ae.metrics import psnr
    from ae.report.figures import save_rows
    from ae.report.made_with import made_with

    denoiser, rng = Denoiser(load_model(model)), np.random.default_rng(0)
    clean = photographs()[:limit]
    methods = {
        "noisy": lambda noisy: noisy,
        "non-local means (scikit-image)": non_local_means,
        denoiser.trained.config.name: lambda noisy: by_channel(denoiser.image, noisy),
    }
    scores: dict[str, list[float]] = {name: [] for name in methods}
    out.mkdir(parents=True, exist_ok=True)
    for sigma in tqdm(sigmas, leave=False):
        noisy = [np.clip(photo + rng.normal(0, sigma, photo.shape), 0, 1).astype(np.float32) for photo in clean]
        images = {name: list(map(method, noisy)) for name, method in methods.items()}
        for name, row in images.items():
            scores[name].append(float(np.mean([psnr(a[None], b[None]) for a, b in zip(row, clean, strict=True)])))
        if sigma == SHOWN_SIGMA:
            shown = {"clean": clean, **images}
            crops = {name: np.stack([image[SHOWN] for image in row]) for name, row in shown.items()}
            save_rows(out / "study_photos.jpg", crops)
    values = made_with(cli.command()) | {"photos": len(clean), "sigma": sigmas, "psnr_mean": scores}
    write(out, "study_photos", values)


def non_local_means(noisy: Any) -> Any:
    """As scikit-image's documentation advises for noise of an estimated strength."""
    from skimage.restoration import denoise_nl_means, estimate_sigma

    sigma = estimate_sigma(noisy, channel_axis=-1, average_sigmas=True)
    settings = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
    return denoise_nl_means(noisy, h=0.8 * sigma, sigma=sigma, **settings)


def by_channel(function: Callable[[Any], Any], image: Any) -> Any:
    import numpy as np

    return np.stack([function(channel) for channel in np.moveaxis(image, -1, 0)], axis=-1)


PIXELS = (450, 900, 1800, 3600, 7200, 14400)


def sizes(
    model: Model = "chroma_unet", saturation: float = 1.0, out: Out = Path("results"), limit: Limit = None
) -> None:
    """Colorize photographs that come with scikit-image and scikit-learn, which the model sees at several sizes.

    Args:
        saturation: What chroma is multiplied with.
    """
    import jax.numpy as jnp
    import numpy as np

    from ae import load_model
    from ae.color import colourfulness, luma
    from ae.metrics import psnr
    from ae.report.made_with import made_with
    from ae.restore.colorize import Colorizer

    loaded = load_model(model)
    photos = photographs()[:limit]
    grays = [luma(photo) for photo in photos]
    methods = {"gray": [jnp.broadcast_to(gray, photo.shape) for gray, photo in zip(grays, photos, strict=True)]}
    for pixels in PIXELS:
        colorizer = Colorizer(loaded, saturation, pixels)
        methods[f"{pixels} pixels"] = [colorizer.image(np.asarray(gray[..., 0])) for gray in grays]
    scores = {
        "PSNR": lambda image, photo: psnr(image[None], photo[None]),
        "colourfulness": lambda x, _: colourfulness(x),
    }
    rows = {
        name: {key: float(np.mean(list(map(score, images, photos)))) for key, score in scores.items()}
        for name, images in {**methods, "truth": photos}.items()
    }
    about = made_with(cli.command()) | {"model": loaded.config.name}
    save_photos(out / "study_sizes.jpg", {**methods, "truth": photos})
    write(out, "study_sizes", {**about, "saturation": saturation, "photos": len(photos), "methods": rows})


def save_photos(path: Path, methods: dict[str, Sequence[Any]]) -> None:
    """Writes a picture with a row for each method, all photographs in one shape."""
    import numpy as np

    from ae.report.figures import save_rows
    from ae.restore.colorize import resized

    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (2 * SHOWN_WIDTH // 3, SHOWN_WIDTH)
    save_rows(path, {name: np.stack([resized(image, shape) for image in images]) for name, images in methods.items()})


def photographs() -> list[Any]:
    """Those that come with scikit-image and scikit-learn: float32 [H, W, 3] in [0, 1]."""
    import numpy as np

    from ae.data.samples import SCENES, sample_photograph

    return [np.float32(sample_photograph(scene)) / 255 for scenes in SCENES.values() for scene in scenes]
