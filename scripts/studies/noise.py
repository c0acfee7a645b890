"""Noise of other strengths, beside classical filters."""

from functools import partial
from pathlib import Path
from typing import Any

from studies.common import DataDir, Limit, Models, Out, load_test_data, mse, splits, trained, write_chart, write_study

from ae.report.markdown import Table, tabulate

CLASSICAL = ("noisy", "median", "non-local")
METHOD = "PSNR pooled at sigma"  # heads the column of names, left of the noise levels
SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def noise(
    models: Models = ("unet_denoiser",),
    sigmas: tuple[float, ...] = SIGMAS,
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Denoise MNIST's test images at many noise levels, with models and with classical filters fitted at each level.

    What --out has of other models and filters at these levels is kept.

    Args:
        sigmas: Standard deviations of the noise, for images in [0, 1].
    """
    from ae import predictor
    from ae.presets import PRESETS
    from ae.score.baselines import baselines
    from ae.tasks import Denoise

    data = load_test_data(PRESETS["unet_denoiser"], data_dir, limit)
    measured = splits(data) | {"sigma": list(sigmas)}
    earlier = published(out / "study_noise.json", measured)
    errors = earlier["details"]["mse"] if earlier else {}
    filters = {name: row for name, row in baselines(Denoise()).items() if name.startswith(CLASSICAL)}
    methods = {
        name: (row.predict, partial(row.fit, train=data.train)) for name, row in filters.items() if name not in errors
    }
    denoisers = trained(models)
    for config, variables in denoisers:
        methods[config.name] = predictor(config), lambda task, variables=variables: variables
    for name, (predict, fit) in methods.items():
        errors[name] = [mse(predict, fit(task), task, data.test) for task in map(Denoise, sigmas)]
    psnr = decibels(errors)
    curves = {name: (sigmas, row) for name, row in psnr.items()}
    write_chart(out, "study_noise", "standard deviation of the noise", "PSNR of the mean error, dB", curves)
    write_study(
        out,
        "study_noise",
        noise_table(measured, psnr),
        [config for config, _ in denoisers],
        details=measured | {"mse": errors},
        earlier=earlier.get("made_with", ()),
    )


def published(path: Path, measured: dict[str, Any]) -> dict[str, Any]:
    """Return what a file holds if it is of the same images and noise, and nothing otherwise."""
    from ae.report.page import read_measured

    earlier = read_measured(path)
    return earlier if earlier and measured.items() <= earlier["details"].items() else {}


def decibels(errors: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return the PSNR of each mean squared error."""
    from ae.metrics import pooled_psnr

    return {name: [float(pooled_psnr(error)) for error in row] for name, row in errors.items()}


def noise_table(measured: dict[str, Any], psnr: dict[str, list[float]]) -> Table:
    """Return the table of PSNR by method and noise level."""
    sigmas = [f"{sigma:g}" for sigma in measured["sigma"]]
    title = (
        f"Noise of other strengths on {measured['data']}, {measured['split']}: PSNR of the mean error in dB, with filters "
        f"fitted on {measured['fitted on']}."
    )
    rows = [{METHOD: name} | dict(zip(sigmas, row, strict=True)) for name, row in psnr.items()]
    return tabulate(title, {METHOD: None} | dict.fromkeys(sigmas, 2), rows)
