"""What one row of a table does not show: noise of other strengths, what a few latent numbers hold, what colour costs."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from ae import cli

SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
SATURATIONS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
PIXELS = (450, 900, 1800, 3600, 7200, 14400)
SHOWN_FRAMES = 4  # of a clip
SHOWN_WIDTH = 180

Models = Annotated[
    tuple[str, ...], tyro.conf.arg(help="Run directories, files of weights, or names of weights in the package.")
]
Model = Annotated[str, tyro.conf.arg(help="Name of weights in the package, a file of weights, or a run directory.")]
Runs = Annotated[Path, tyro.conf.arg(help="Folder of run directories.")]
Out = Annotated[Path, tyro.conf.arg(help="Folder for figures and pictures, and for the tables of all results.")]
DataDir = Annotated[
    Path | None,
    tyro.conf.arg(help="Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets)."),
]
Limit = Annotated[int | None, tyro.conf.arg(help="Use only so many images, or frames of a clip.")]


def noise(
    models: Models = ("unet_denoiser", "unet_denoiser_blind"),
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Denoise MNIST's test images at many noise levels, with models and with classical filters fitted at each level."""
    from ae.baselines import baselines
    from ae.config import PRESETS
    from ae.metrics import pooled_psnr
    from ae.tasks import Denoise

    data = load_test_data(PRESETS["unet_denoiser"], data_dir, limit)
    rivals = {name: row for name, row in baselines(Denoise()).items() if "median" in name or "non-local" in name}
    predictors = dict(trained(models, data_dir))
    errors: dict[str, list[float]] = {"noisy input": [], **{name: [] for name in (*rivals, *predictors)}}
    for sigma in SIGMAS:
        task = Denoise(sigma)
        errors["noisy input"].append(mse_of(lambda variables, x: x, {}, task, data.test))
        for name, rival in rivals.items():
            errors[name].append(mse_of(rival.predict, rival.fit(task, data.train), task, data.test))
        for name, (predict, variables) in predictors.items():
            errors[name].append(mse_of(predict, variables, task, data.test))
    psnr = {name: [float(pooled_psnr(error)) for error in row] for name, row in errors.items()}
    values = {**about(data), "sigma": SIGMAS, "mse": errors, "psnr_pooled": psnr}
    curves = {name: (SIGMAS, row) for name, row in psnr.items()}
    write_chart(out, "study_noise", values, "standard deviation of the noise", "PSNR of the mean error, dB", curves)


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
    from ae.config import PRESETS
    from ae.evaluation import pictures
    from ae.figures import save_rows
    from ae.tasks import Denoise

    data = load_test_data(PRESETS["dense_ae_32"], data_dir, limit)
    clean = pictures(lambda variables, x: x, {}, Denoise(sigma=0.0), data.test)[1]
    tasks = {"reconstruction": Denoise(sigma=0.0), "denoising": Denoise()}
    rows, shown = {}, {"clean": clean}
    for name in models:
        config, variables, _ = load_model(str(runs / name), lambda config: load_test_data(config, data_dir, limit))
        size, predict = config.model.latent, partial(config.model.apply)
        rows[str(size)] = {
            f"{what}, {method}": mse_of(function, values, task, data.test)
            for what, task in tasks.items()
            for method, function, values in (
                ("autoencoder", predict, variables),
                ("PCA", project, principal_components(data.train, size)),
            )
        }
        shown[f"{size} latents"] = np.asarray(predict(variables, clean))
        shown[f"PCA, {size}"] = np.clip(project(principal_components(data.train, size), clean), 0, 1)
    curves = {
        column: ([int(size) for size in rows], [row[column] for row in rows.values()]) for column in rows[str(size)]
    }
    out.mkdir(parents=True, exist_ok=True)
    save_rows(out / "study_latents_reconstructions.png", shown)
    save_rows(out / "study_latents_walks.png", walks(config.model, variables, data.test.images / np.float32(255)))
    write_chart(out, "study_latents", {**about(data), "mse": rows}, "latent numbers", "MSE", curves, log=True)


def colour(
    models: Models = ("chroma_unet",),
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Colorize CIFAR-100's test images with chroma made weaker and stronger: error against colourfulness."""
    from ae.color import saturated
    from ae.config import PRESETS
    from ae.evaluation import evaluate
    from ae.tasks import Colorize

    def stronger(predict: Callable[..., Any]) -> Callable[..., Any]:
        return lambda variables, x: saturated(predict(variables[0], x), variables[1])

    data = load_test_data(PRESETS["chroma_unet"], data_dir, limit)
    rows: dict[str, dict[str, list[float]]] = {}
    for name, (predict, variables) in trained(models, data_dir):
        rows[name], scale = {"mse": [], "colourfulness": []}, stronger(predict)
        for saturation in SATURATIONS:
            scores = evaluate(
                scale, (variables, saturation), Colorize(), data.test, names=tuple(rows[name]), batch_size=64
            )
            for score, value in scores.items():
                rows[name][score].append(value)
    values = {**about(data), "saturation": SATURATIONS, "models": rows}
    curves = {name: (row["colourfulness"], row["mse"]) for name, row in rows.items()}
    write_chart(out, "study_colour", values, "colourfulness", "MSE", curves)


def clips(
    paths: tyro.conf.Positional[tuple[Path, ...]],
    model: Model = "chroma_unet",
    reference: Model = "runs/colorizer_ae",
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Colorize clips that have colour, and compare: ours, a gray clip, and the reference's way, each frame at 32x32.

    Args:
        paths: Clips in colour; the models see their luma alone.
        reference: Likewise the reference's colorizer.
    """
    from ae import load_data, load_model
    from ae.colorize import Colorizer
    from ae.figures import save_rows
    from ae.results import hardware, versions

    ours, theirs = (
        load_model(name, lambda config: load_data(config, data_dir=data_dir)) for name in (model, reference)
    )
    colorizers = {f"{ours.config.name}": Colorizer(ours), f"{ours.config.name}, chroma x 1.5": Colorizer(ours, 1.5)}
    rows = {}
    out.mkdir(parents=True, exist_ok=True)
    for path in paths:
        methods = compare_on_clip(path, colorizers, theirs, limit)
        rows[path.name] = {name: method.scores() for name, method in methods.items()}
        save_rows(out / f"study_clips_{path.stem}.jpg", {name: method.strip() for name, method in methods.items()})
    about = {"command": cli.command(), "hardware": hardware(), "versions": versions()}
    write(out, "study_clips", {**about, "clips": rows})


class Method(NamedTuple):
    """What is known of a method after some frames of a clip: RGB [H, W, 3] in [0, 1] each."""

    errors: list[float]
    steadiness: Any
    small: list[Any]

    def add(self, rgb: Any, truth: Any) -> None:
        import jax.numpy as jnp
        import numpy as np

        from ae.colorize import resized, sampled

        self.errors.append(float(jnp.square(rgb - truth).mean()))
        self.steadiness.add(np.asarray(sampled(rgb)))  # as for clips that are written
        self.small.append(np.asarray(resized(rgb, (SHOWN_WIDTH * rgb.shape[0] // rgb.shape[1], SHOWN_WIDTH))))

    def scores(self) -> dict[str, float]:
        from ae.metrics import pooled_psnr

        names = ("colourfulness", "cdc", "chroma_flicker")
        psnr = float(pooled_psnr(sum(self.errors) / len(self.errors)))
        return {"psnr_pooled": psnr, **{name: getattr(self.steadiness, name) for name in names}}

    def strip(self) -> Any:
        """Frames from all over the clip, [N, h, w, 3]."""
        import numpy as np

        count = min(SHOWN_FRAMES, len(self.small))
        return np.stack([self.small[(2 * i + 1) * len(self.small) // (2 * count)] for i in range(count)])


def compare_on_clip(path: Path, colorizers: dict[str, Any], reference: Any, limit: int | None) -> dict[str, Method]:
    """What each method makes of a clip's frames, as they are shown, in full size."""
    from itertools import islice

    import numpy as np
    from tqdm import tqdm

    from ae.colorize import resized, shown_frames
    from ae.stages import Frame
    from ae.video.clips import Clip, planar, planes
    from ae.video.steadiness import Steadiness

    clip = Clip(path)
    frames = islice((item for item in clip if isinstance(item, Frame)), limit)
    names = ("gray", "colorizer_ae, 32x32", *colorizers, "truth")
    methods = {name: Method([], Steadiness(), []) for name in names}
    for frame in tqdm(frames, path.name, limit or clip.count, leave=False):
        codes, *true = (plane[None] for plane in planes(planar(frame.source)))
        neutral = np.full_like(true[0], 2 ** (clip.coding.bits - 1))
        chroma = {name: colorizer.planes(codes, clip.coding)[:2] for name, colorizer in colorizers.items()}
        chroma |= {"gray": (neutral, neutral), "truth": true}
        shown = {name: shown_frames(codes, *both, clip.coding)[0] for name, both in chroma.items()}
        small = resized(clip.coding.luma(codes[0])[..., None], (32, 32))
        shown["colorizer_ae, 32x32"] = resized(reference(small[None])[0], codes.shape[1:])
        for name, method in methods.items():
            method.add(shown[name], shown["truth"])
    return methods


def sizes(model: Model = "chroma_unet", saturation: float = 1.0, out: Out = Path("results")) -> None:
    """Colorize photographs that come with scikit-image and scikit-learn, which the model sees at several sizes.

    Args:
        saturation: What chroma is multiplied with.
    """
    import jax.numpy as jnp
    import numpy as np

    from ae import load_model
    from ae.color import colourfulness, luma
    from ae.colorize import Colorizer
    from ae.data import SCENES, sample_photograph
    from ae.metrics import psnr
    from ae.results import hardware, versions

    trained = load_model(model, lambda config: None)
    photos = [jnp.float32(sample_photograph(scene)) / 255 for scenes in SCENES.values() for scene in scenes]
    grays = [luma(photo) for photo in photos]
    methods = {"gray": [jnp.broadcast_to(gray, photo.shape) for gray, photo in zip(grays, photos, strict=True)]}
    for pixels in PIXELS:
        colorizer = Colorizer(trained, saturation, pixels)
        methods[f"{pixels} pixels"] = [colorizer.image(np.asarray(gray[..., 0])) for gray in grays]
    scores = {
        "PSNR": lambda image, photo: psnr(image[None], photo[None]),
        "colourfulness": lambda x, _: colourfulness(x),
    }
    rows = {
        name: {key: float(np.mean(list(map(score, images, photos)))) for key, score in scores.items()}
        for name, images in {**methods, "truth": photos}.items()
    }
    about = {"command": cli.command(), "model": trained.config.name, "hardware": hardware(), "versions": versions()}
    save_photos(out / "study_sizes.jpg", {**methods, "truth": photos})
    write(out, "study_sizes", {**about, "saturation": saturation, "photos": len(photos), "methods": rows})


def save_photos(path: Path, methods: dict[str, Sequence[Any]]) -> None:
    """Writes a picture with a row for each method, all photographs in one shape."""
    import numpy as np

    from ae.colorize import resized
    from ae.figures import save_rows

    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (2 * SHOWN_WIDTH // 3, SHOWN_WIDTH)
    save_rows(path, {name: np.stack([resized(image, shape) for image in images]) for name, images in methods.items()})


def side_by_side(
    runs: Runs = Path("runs"),
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Show test images 10 to 18 as every trained model gives them back, one picture for each data set and task."""
    from ae.config import OURS, REFERENCE
    from ae.evaluation import pictures
    from ae.figures import save_rows

    rows: dict[str, dict[str, Any]] = {}
    for config in REFERENCE + OURS:
        if (runs / config.name / "checkpoints").exists():
            ((_, (predict, variables)),) = trained([str(runs / config.name)], data_dir)
            split = load_test_data(config, data_dir, limit).test
            inputs, targets, outputs = pictures(predict, variables, config.task, split)
            first = {config.task.labels[1]: targets, config.task.labels[0]: inputs}
            rows.setdefault(f"{config.data}_{config.task.labels[2]}", first)[config.name] = outputs
    out.mkdir(parents=True, exist_ok=True)
    for what, shown in rows.items():
        save_rows(out / f"side_by_side_{what}.png", shown)


def load_test_data(config: Any, data_dir: Path | None, limit: int | None) -> Any:
    from ae import load_data, override

    return load_data(override(config, limit=limit), data_dir=data_dir)


def trained(models: Sequence[str], data_dir: Path | None) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """(name of the preset, (predict, variables)) of each model."""
    from ae import load_data, load_model, predictor

    for model in models:
        config, variables, _ = load_model(model, lambda config: load_data(config, data_dir=data_dir))
        yield config.name, (predictor(config), variables)


def mse_of(predict: Any, variables: Any, task: Any, split: Any) -> float:
    from ae.evaluation import evaluate

    return evaluate(predict, variables, task, split, names=("mse",), batch_size=64)["mse"]


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


def about(data: Any) -> dict[str, Any]:
    from ae.results import hardware, versions

    split = {"data": data.name, "split": data.test.name, "fitted on": data.train.name}
    return {"command": cli.command(), **split, "hardware": hardware(), "versions": versions()}


def write_chart(
    out: Path, name: str, values: dict[str, Any], x: str, y: str, curves: dict[str, Any], *, log: bool = False
) -> None:
    """Writes a study's figures and its chart, and the tables that show them."""
    from ae.figures import save_lines

    out.mkdir(parents=True, exist_ok=True)
    save_lines(out / f"{name}.png", x, y, curves, log=log)
    write(out, name, values)


def write(out: Path, name: str, values: dict[str, Any]) -> None:
    """Writes a study's figures, and the tables that show them."""
    from ae import report
    from ae.files import write_text

    write_text(out / f"{name}.json", json.dumps(values, indent=2) + "\n")
    table = report.STUDIES[name](values)
    report.write_tables(out)
    report.fill_file(Path("README.md"), out / f"{name}.json", table)
    print(table)


if __name__ == "__main__":
    cli.run(
        {
            "noise": noise,
            "latents": latents,
            "colour": colour,
            "clips": clips,
            "sizes": sizes,
            "side-by-side": side_by_side,
        }
    )
