"""Noise of other strengths, beside classical filters."""

from functools import partial
from pathlib import Path
from typing import Any

from studies.common import DataDir, Limit, Models, Out, about, load_test_data, mse_of, trained, write_chart

CLASSICAL = ("noisy", "median", "non-local")
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
    from ae.metrics import pooled_psnr
    from ae.presets import PRESETS
    from ae.score.baselines import baselines
    from ae.tasks import Denoise

    data = load_test_data(PRESETS["unet_denoiser"], data_dir, limit)
    conditions = {**about(data), "sigma": list(sigmas)}
    earlier = published(out / "study_noise.json", conditions)
    errors = earlier.get("mse", {})
    rivals = {name: row for name, row in baselines(Denoise()).items() if name.startswith(CLASSICAL)}
    methods = {
        name: (row.predict, partial(row.fit, train=data.train)) for name, row in rivals.items() if name not in errors
    }
    for name, (predict, variables) in trained(models):
        methods[name] = predict, lambda task, variables=variables: variables
    for name, (predict, fit) in methods.items():
        errors[name] = [mse_of(predict, fit(task), task, data.test) for task in map(Denoise, sigmas)]
    psnr = {name: [float(pooled_psnr(error)) for error in row] for name, row in errors.items()}
    commands = dict.fromkeys([*earlier.get("commands", ()), conditions.pop("command")])
    values = {**conditions, "commands": list(commands), "mse": errors, "psnr_pooled": psnr}
    curves = {name: (sigmas, row) for name, row in psnr.items()}
    write_chart(out, "study_noise", values, "standard deviation of the noise", "PSNR of the mean error, dB", curves)


def published(path: Path, conditions: dict[str, Any]) -> dict[str, Any]:
    """What a file holds, if it is of the same images and noise."""
    from ae.runtime.files import read_json

    earlier = read_json(path) if path.exists() else {}
    same = all(earlier.get(key) == conditions[key] for key in ("data", "split", "fitted on", "sigma"))
    return earlier if same else {}
