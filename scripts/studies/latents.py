"""Digits from a few latent numbers."""

from pathlib import Path
from typing import Any

from studies.common import DataDir, Limit, Out, Runs, load_test_data, mse, splits, trained, write_chart, write_study

from ae.report.markdown import Table, tabulate


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

    from ae import predictor
    from ae.presets import PRESETS
    from ae.report.figures import save_rows

    data, autoencoders = (
        load_test_data(PRESETS["dense_ae_32"], data_dir, limit),
        trained([str(runs / m) for m in models]),
    )
    clean = clean_pictures(data.test)
    rows, shown = [], {"clean": clean}
    for config, variables in autoencoders:
        size, predict = config.model.latent, predictor(config)
        components = principal_components(data.train, size)
        rows.append(
            {"latents": size} | errors({"autoencoder": (predict, variables), "PCA": (project, components)}, data.test)
        )
        shown[f"{size} latents"] = np.asarray(predict(variables, clean))
        shown[f"PCA, {size}"] = np.clip(project(components, clean), 0, 1)
    out.mkdir(parents=True, exist_ok=True)
    save_rows(out / "study_latents_reconstructions.png", shown)
    save_rows(out / "study_latents_walks.png", walks(config.model, variables, data.test.images / np.float32(255)))
    table = latents_table(splits(data), rows)
    sizes = [row["latents"] for row in rows]
    curves = {column: (sizes, [row[column] for row in rows]) for column in table["columns"][1:]}
    write_chart(out, "study_latents", "latent numbers", "MSE", curves, log=True)
    write_study(out, "study_latents", table, [config for config, _ in autoencoders], details=splits(data))


def clean_pictures(split: Any) -> Any:
    """Return the images of a split that are shown, [N, H, W, 1] in [0, 1]."""
    from ae.score.pictures import pictures
    from ae.tasks import Denoise

    return pictures(lambda variables, x: x, {}, Denoise(sigma=0.0), split)[1]


def errors(methods: dict[str, tuple[Any, Any]], split: Any) -> dict[str, float]:
    """Return the MSE of reconstructing and of denoising a split, by method: (predict, variables)."""
    from ae.tasks import Denoise

    tasks = {"reconstruction": Denoise(sigma=0.0), "denoising": Denoise()}
    return {
        f"{name}, {method}": mse(predict, variables, task, split)
        for name, task in tasks.items()
        for method, (predict, variables) in methods.items()
    }


def latents_table(measured: dict[str, str], rows: list[dict[str, Any]]) -> Table:
    """Return the table of errors by the number of latents."""
    title = (
        f"What a few latent numbers hold of {measured['data']}, {measured['split']}: MSE of dense autoencoders, and of PCA "
        f"fitted on {measured['fitted on']}."
    )
    return tabulate(title, {column: None if column == "latents" else 5 for column in rows[0]}, rows)


def principal_components(train: Any, count: int) -> dict[str, Any]:
    """Return mean and components of clean training images: arrays [H * W] and [count, H * W]."""
    import numpy as np
    from sklearn.decomposition import PCA

    fitted = PCA(count, svd_solver="covariance_eigh").fit(train.images.reshape(len(train.images), -1) / np.float32(255))
    return {"mean": np.float32(fitted.mean_), "components": np.float32(fitted.components_)}


def project(variables: dict[str, Any], images: Any) -> Any:
    """Return images [B, H, W, 1] as they are from their principal components alone."""
    flat = images.reshape(len(images), -1) - variables["mean"]
    projected = flat @ variables["components"].T @ variables["components"] + variables["mean"]
    return projected.reshape(images.shape)


def walks(model: Any, variables: Any, images: Any, steps: int = 11) -> dict[str, Any]:
    """Return rows of images between test images 10 and 11, 12 and 13 and so on: latents on a straight line."""
    import numpy as np

    ends = np.asarray(model.apply(variables, images[10:18], method="encode"))
    share = np.linspace(0, 1, steps)[:, None]
    lines = [(1 - share) * first + share * last for first, last in zip(ends[::2], ends[1::2], strict=True)]
    names = [f"{first} to {first + 1}" for first in range(10, 18, 2)]
    return {
        name: np.asarray(model.apply(variables, line, method="decode")) for name, line in zip(names, lines, strict=True)
    }
