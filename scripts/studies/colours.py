"""What livelier colours cost."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from studies.common import DataDir, Limit, Models, Out, about, load_test_data, trained, write_chart

SATURATIONS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def colour(
    models: Models = ("chroma_unet",),
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Colorize CIFAR-100's test images with chroma made weaker and stronger: error against colourfulness."""
    from ae.presets import PRESETS

    data = load_test_data(PRESETS["chroma_unet"], data_dir, limit)
    rows = {
        name: cost_of_colour(predict, variables, data.test, SATURATIONS)
        for name, (predict, variables) in trained(models)
    }
    values = {**about(data), "saturation": SATURATIONS, "models": rows}
    curves = {name: (row["colourfulness"], row["mse"]) for name, row in rows.items()}
    write_chart(out, "study_colour", values, "colourfulness", "MSE", curves)


def cost_of_colour(
    predict: Callable[..., Any], variables: Any, split: Any, saturations: Sequence[float]
) -> dict[str, list[float]]:
    """MSE and colourfulness of a colorizer, one each for every saturation that chroma is multiplied with."""
    from ae.color import saturated
    from ae.score.evaluate import evaluate
    from ae.tasks import Colorize

    def livelier(variables, x):
        return saturated(predict(variables[0], x), variables[1])

    names = ("mse", "colourfulness")
    scores = [
        evaluate(livelier, (variables, factor), Colorize(), split, names=names, batch_size=64) for factor in saturations
    ]
    return {name: [score[name] for score in scores] for name in names}
