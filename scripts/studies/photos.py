"""Photographs: noise taken from them, and colours, by how much of them the model sees."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studies.common import SHOWN_WIDTH, Limit, Model, Models, Out, photographs_of, write_study

from ae.report.markdown import Table, tabulate

SIGMAS = (0.0, 0.02, 0.05, 0.1, 0.2)
SHOWN_SIGMA = 0.1
SHOWN = (slice(120, 240), slice(60, 240))  # of each photograph


def photos(
    models: Models = ("photo_denoiser", "camera_denoiser"),
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

    denoisers, rng = [Denoiser(load_model(model)) for model in models], np.random.default_rng(0)
    clean = photographs()[:limit]
    methods = {
        "noisy": lambda noisy: noisy,
        "non-local means (scikit-image)": non_local_means,
        **{denoiser.trained.config.name: denoiser.image for denoiser in denoisers},
    }
    scores: dict[str, dict[float, float]] = {name: {} for name in methods}
    out.mkdir(parents=True, exist_ok=True)
    for sigma in tqdm(sigmas, leave=False):
        noisy = [np.clip(photo + rng.normal(0, sigma, photo.shape), 0, 1).astype(np.float32) for photo in clean]
        images = {name: list(map(method, noisy)) for name, method in methods.items()}
        for name, row in images.items():
            scores[name][sigma] = float(np.mean([psnr(a[None], b[None]) for a, b in zip(row, clean, strict=True)]))
        if sigma == SHOWN_SIGMA:
            shown = {"clean": clean, **images}
            crops = {name: np.stack([image[SHOWN] for image in row]) for name, row in shown.items()}
            save_rows(out / "study_photos.jpg", crops)
    write_study(
        out, "study_photos", photos_table(len(clean), scores), [denoiser.trained.config for denoiser in denoisers]
    )


def photos_table(count: int, scores: dict[str, dict[float, float]]) -> Table:
    """Return the table of PSNR by method and noise level."""
    first = f"PSNR mean of {count} photographs at sigma"
    rows = [{first: name} | {f"{sigma:g}": value for sigma, value in row.items()} for name, row in scores.items()]
    title = "Noise taken from photographs: mean PSNR in dB."
    return tabulate(title, {column: None if column == first else 2 for column in rows[0]}, rows)


def non_local_means(noisy: Any) -> Any:
    """Return a photograph [H, W, 3] denoised by non-local means, for noise of an estimated strength."""
    from skimage.restoration import estimate_sigma

    from ae.score.baselines import non_local_means_at

    return non_local_means_at(noisy, estimate_sigma(noisy, channel_axis=-1, average_sigmas=True))


CROPS = {"kodim08.png": (170, 250), "kodim23.png": (95, 270), "kodim19.png": (300, 130)}  # row and column of each
SIDE = 160  # of a crop


def kodak(
    model: Model = "photo_denoiser",
    sigma: float = 50.0,
    bm3d_python: Path = Path("peers/bm3d/bin/python"),
    data_dir: Path | None = None,
    out: Out = Path("results"),
) -> None:
    """Show crops of Kodak's photographs: noisy, denoised by BM3D and by a model, and clean.

    Args:
        sigma: Standard deviation of the noise, of 255.
        bm3d_python: Python of BM3D's environment (see docs/noise.md).
        data_dir: Folder of data sets prepared by prepare.py (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
    """
    import numpy as np
    from benchmarks.denoising import PEERS, bm3d

    from ae import Denoiser, load_model
    from ae.data.tfds import data_folder
    from ae.report.figures import save_rows
    from ae.score import benchmarks
    from ae.score.images import NOISY

    denoiser, files = Denoiser(load_model(model)), benchmarks.clean_files("kodak24", data_folder(data_dir))
    rows: dict[str, list[Any]] = {}
    with bm3d(bm3d_python, PEERS[1], [{}]) as peer:
        methods = {
            NOISY: lambda noisy, _: noisy,
            **peer.methods,
            denoiser.trained.config.name: lambda noisy, _: denoiser.output(noisy),
        }
        for file, pair in zip(files, benchmarks.made_pairs(files, sigma / 255, gray=False), strict=True):
            if file.name in CROPS:
                images = {name: method(pair.noisy, pair.sigma) for name, method in methods.items()}
                for name, image in (images | {"clean": pair.clean}).items():
                    row, column = CROPS[file.name]
                    rows.setdefault(name, []).append(image[row : row + SIDE, column : column + SIDE])
    out.mkdir(parents=True, exist_ok=True)
    save_rows(out / "study_kodak.jpg", {name: np.clip(np.stack(images), 0, 1) for name, images in rows.items()})


PIXELS = (900, 1800, 3136, 5184, 9408, 14400, None)  # None: as a photograph comes, at several sizes


def sizes(
    model: Model = "chroma_unet",
    saturation: float = 1.0,
    folder: Path | None = None,
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Colorize photographs that come with scikit-image and scikit-learn, which the model sees at several sizes.

    Args:
        saturation: What chroma is multiplied with.
        folder: Colorize the photographs of this folder instead, and show none of them.
    """
    import numpy as np

    from ae import load_model
    from ae.color import colourfulness, luma
    from ae.metrics import pooled_psnr
    from ae.restore.colorize import Colorizer

    loaded = load_model(model)
    found = [np.float32(photo) / 255 for photo in photographs_of(folder, limit)] if folder else photographs()
    photos = found[:limit]
    grays = [np.asarray(luma(photo)) for photo in photos]
    methods = {"gray": [np.broadcast_to(gray, photo.shape) for gray, photo in zip(grays, photos, strict=True)]}
    for pixels in PIXELS:
        colorizer = Colorizer(loaded, saturation, pixels)
        seen = f"{pixels} pixels" if pixels else "as it comes"
        methods[seen] = [colorizer.image(gray[..., 0]) for gray in grays]
    rows = {}
    for name, images in {**methods, "truth": photos}.items():
        errors = [float(np.square(image - photo).mean()) for image, photo in zip(images, photos, strict=True)]
        rows[name] = {
            "PSNR of the mean": float(pooled_psnr(np.mean(errors))),
            "PSNR mean": float(pooled_psnr(np.array(errors)).mean()),
            "colourfulness": float(np.mean([colourfulness(image) for image in images])),
        }
    name = "study_sizes" if folder is None else f"study_sizes_{folder.name}"
    if folder is None:
        save_photos(out / f"{name}.jpg", {**methods, "truth": photos})
    found_in = f" of {folder.name}" if folder else ""
    title = f"Photographs{found_in} that {loaded.config.name} sees at several sizes."
    write_study(out, name, sizes_table(title, len(photos), saturation, rows), [loaded.config])


def sizes_table(title: str, count: int, saturation: float, scores: dict[str, dict[str, float]]) -> Table:
    """Return the table of scores by the size at which the model sees photographs."""
    first = f"{count} photographs, chroma x {saturation:g}"
    rows = [{first: name} | row for name, row in scores.items()]
    return tabulate(title, {first: None, "PSNR of the mean": 2, "PSNR mean": 2, "colourfulness": 1}, rows)


def save_photos(path: Path, methods: dict[str, Sequence[Any]]) -> None:
    """Write a picture with a row for each method, all photographs in one shape."""
    import numpy as np

    from ae.report.figures import save_rows
    from ae.restore.resizing import resized

    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (2 * SHOWN_WIDTH // 3, SHOWN_WIDTH)
    save_rows(path, {name: np.stack([resized(image, shape) for image in images]) for name, images in methods.items()})


def photographs() -> list[Any]:
    """Return the photographs that come with scikit-image and scikit-learn: float32 [H, W, 3] in [0, 1]."""
    import numpy as np

    from ae.data.samples import SCENES, sample_photograph

    return [np.float32(sample_photograph(scene)) / 255 for scenes in SCENES.values() for scene in scenes]
