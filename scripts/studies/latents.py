"""Handwritten digits: what a few latent numbers hold."""

from functools import partial
from pathlib import Path
from typing import Any

from studies.common import DataDir, Limit, Out, Runs, about, load_test_data, mse_of, write_chart


def latents(
    models: tuple[str, ...] = ("dense_ae_8", "dense_ae_16", "dense_ae_32", "dense_ae_64"),
    runs: Runs = Path("runs"),
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Compress MNIST's test images to a few latent numbers, and denoise them so, with dense autoencoders and with PCA.

    Args:
        models: Presets of dense autoencoders that were trained.
    """
    import numpy as np

    from ae import load_model
    from ae.presets import PRESETS
    from ae.report.figures import save_rows
    from ae.score.pictures import pictures
    from ae.tasks import Denoise

    data = load_test_data(PRESETS["dense_ae_32"], data_dir, limit)
    clean = pictures(lambda variables, x: x, {}, Denoise(sigma=0.0), data.test)[1]
    tasks = {"reconstruction": Denoise(sigma=0.0), "denoising": Denoise()}
    rows, shown = {}, {"clean": clean}
    for name in models:
        config, variables, _ = load_model(str(runs / name))
        size, predict = config.model.latent, partial(config.model.apply)
        components = principal_components(data.train, size)
        rows[str(size)] = {
            f"{what}, {method}": mse_of(function, values, task, data.test)
            for what, task in tasks.items()
            for method, function, values in (
                ("autoencoder", predict, variables),
                ("PCA", project, components),
            )
        }
        shown[f"{size} latents"] = np.asarray(predict(variables, clean))
        shown[f"PCA, {size}"] = np.clip(project(components, clean), 0, 1)
    curves = {
        column: ([int(size) for size in rows], [row[column] for row in rows.values()]) for column in rows[str(size)]
    }
    out.mkdir(parents=True, exist_ok=True)
    save_rows(out / "study_latents_reconstructions.png", shown)
    save_rows(out / "study_latents_walks.png", walks(config.model, variables, data.test.images / np.float32(255)))
    write_chart(out, "study_latents", {**about(data), "mse": rows}, "latent numbers", "MSE", curves, log=True)


def principal_components(train: Any, count: int) -> dict[str, Any]:
    """Mean and components of clean training images: arrays [H * W] and [count, H * W]."""
    import numpy as np
    from sklearn.decomposition import PCA

    fitted = PCA(count, svd_solver="covariance_eigh").fit(train.images.reshape(len(train.images), -1) / np.float32(255))
    return {"mean": np.float32(fitted.mean_), "components": np.float32(fitted.components_)}


def project(variables: dict[str, Any], images: Any) -> Any:
    """Images [B, H, W, 1] from their principal components alone."""
    flat = images.reshape(len(images), -1) - variables["mean"]
    projected = flat @ variables["components"].T @ variables["components"] + variables["mean"]
    return projected.reshape(images.shape)


def walks(model: Any, variables: Any, images: Any, steps: int = 11) -> dict[str, Any]:
    """Rows of images between test images 10 and 11, 12 and 13 and so on: latents on a straight line."""
    import numpy as np

    ends = np.asarray(model.apply(variables, images[10:18], method="encode"))
    share = np.linspace(0, 1, steps)[:, None]
    lines = [(1 - share) * first + share * last for first, last in zip(ends[::2], ends[1::2], strict=True)]
    names = [f"{first} to {first + 1}" for first in range(10, 18, 2)]
    return {
        name: np.asarray(model.apply(variables, line, method="decode")) for name, line in zip(names, lines, strict=True)
    }
