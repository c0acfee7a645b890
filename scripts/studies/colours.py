"""Colours of still images: what livelier ones cost, and how much of a photograph the model has to see."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from studies.common import (
    SHOWN_WIDTH,
    DataDir,
    Limit,
    Model,
    Models,
    Out,
    about,
    load_test_data,
    trained,
    write,
    write_chart,
)

from ae import cli

SATURATIONS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
PIXELS = (450, 900, 1800, 3600, 7200, 14400)


def colour(
    models: Models = ("chroma_unet",),
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Colorize CIFAR-100's test images with chroma made weaker and stronger: error against colourfulness."""
    from ae.config import PRESETS

    data = load_test_data(PRESETS["chroma_unet"], data_dir, limit)
    rows = {
        name: cost_of_colour(predict, variables, data.test, SATURATIONS)
        for name, (predict, variables) in trained(models, data_dir)
    }
    values = {**about(data), "saturation": SATURATIONS, "models": rows}
    curves = {name: (row["colourfulness"], row["mse"]) for name, row in rows.items()}
    write_chart(out, "study_colour", values, "colourfulness", "MSE", curves)


def cost_of_colour(
    predict: Callable[..., Any], variables: Any, split: Any, saturations: Sequence[float]
) -> dict[str, list[float]]:
    """MSE and colourfulness of a colorizer, one each for every saturation that chroma is multiplied with."""
    from ae.color import saturated
    from ae.evaluation import evaluate
    from ae.tasks import Colorize

    def livelier(variables, x):
        return saturated(predict(variables[0], x), variables[1])

    names = ("mse", "colourfulness")
    scores = [
        evaluate(livelier, (variables, factor), Colorize(), split, names=names, batch_size=64) for factor in saturations
    ]
    return {name: [score[name] for score in scores] for name in names}


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
    from ae.results import made_with

    loaded = load_model(model, lambda config: None)
    photos = [jnp.float32(sample_photograph(scene)) / 255 for scenes in SCENES.values() for scene in scenes]
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

    from ae.colorize import resized
    from ae.figures import save_rows

    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (2 * SHOWN_WIDTH // 3, SHOWN_WIDTH)
    save_rows(path, {name: np.stack([resized(image, shape) for image in images]) for name, images in methods.items()})
