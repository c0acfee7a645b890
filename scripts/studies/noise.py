"""Noise of other strengths: on digits and on photographs, beside classical filters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from studies.common import (
    DataDir,
    Limit,
    Model,
    Models,
    Out,
    about,
    load_test_data,
    mse_of,
    trained,
    write,
    write_chart,
)

from ae import cli

SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def noise(
    models: Models = ("unet_denoiser",),
    sigmas: tuple[float, ...] = SIGMAS,
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Denoise MNIST's test images at many noise levels, with models and with classical filters fitted at each level.

    Args:
        sigmas: Standard deviations of the noise, for images in [0, 1].
    """
    from ae.baselines import baselines
    from ae.config import PRESETS
    from ae.metrics import pooled_psnr
    from ae.tasks import Denoise

    data = load_test_data(PRESETS["unet_denoiser"], data_dir, limit)
    rivals = {name: row for name, row in baselines(Denoise()).items() if "median" in name or "non-local" in name}
    predictors = dict(trained(models, data_dir))
    errors: dict[str, list[float]] = {"noisy input": [], **{name: [] for name in (*rivals, *predictors)}}
    for sigma in sigmas:
        task = Denoise(sigma)
        errors["noisy input"].append(mse_of(lambda variables, x: x, {}, task, data.test))
        for name, rival in rivals.items():
            errors[name].append(mse_of(rival.predict, rival.fit(task, data.train), task, data.test))
        for name, (predict, variables) in predictors.items():
            errors[name].append(mse_of(predict, variables, task, data.test))
    psnr = {name: [float(pooled_psnr(error)) for error in row] for name, row in errors.items()}
    values = {**about(data), "sigma": sigmas, "mse": errors, "psnr_pooled": psnr}
    curves = {name: (sigmas, row) for name, row in psnr.items()}
    write_chart(out, "study_noise", values, "standard deviation of the noise", "PSNR of the mean error, dB", curves)


PHOTO_SIGMAS = (0.0, 0.02, 0.05, 0.1, 0.2)
SHOWN_SIGMA = 0.1
SHOWN = (slice(120, 240), slice(60, 240))  # of each photograph


def photos(
    model: Model = "photo_denoiser",
    sigmas: tuple[float, ...] = PHOTO_SIGMAS,
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
    from ae.data import SCENES, sample_photograph
    from ae.figures import save_rows
    from ae.metrics import psnr
    from ae.results import made_with

    denoiser, rng = Denoiser(load_model(model, lambda config: None)), np.random.default_rng(0)
    clean = [np.float32(sample_photograph(scene)) / 255 for scenes in SCENES.values() for scene in scenes][:limit]
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
