"""Noise of other strengths, beside classical filters."""

from pathlib import Path

from studies.common import DataDir, Limit, Models, Out, about, load_test_data, mse_of, trained, write_chart

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
