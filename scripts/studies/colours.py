"""Error of a colorizer against its colourfulness."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from studies.common import DataDir, Limit, Models, Out, load_test_data, splits, trained, write_chart, write_study

from ae.report.markdown import Table, tabulate

SATURATIONS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def colour(
    models: Models = ("chroma_unet",),
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Colorize the first model's test images with chroma made weaker and stronger: error against colourfulness."""
    from ae import predictor

    colorizers = trained(models)
    data = load_test_data(colorizers[0][0], data_dir, limit)
    costs = {
        config.name: cost_of_colour(predictor(config), variables, data.test, SATURATIONS)
        for config, variables in colorizers
    }
    curves = {name: (cost["colourfulness"], cost["mse"]) for name, cost in costs.items()}
    write_chart(out, "study_colour", "colourfulness", "MSE", curves)
    title = f"What livelier colours cost on {data.name}, {data.test.name}: chroma multiplied by a constant."
    configs = [config for config, _ in colorizers]
    write_study(out, "study_colour", colour_table(title, SATURATIONS, costs), configs, details=splits(data))


def colour_table(title: str, saturations: Sequence[float], costs: dict[str, dict[str, list[float]]]) -> Table:
    """Return the table of error and colourfulness (see `cost_of_colour`) by model and saturation."""
    rows = [
        {"model": name, "chroma times": saturation, "MSE": mse, "colourfulness": colourfulness}
        for name, cost in costs.items()
        for saturation, mse, colourfulness in zip(saturations, cost["mse"], cost["colourfulness"], strict=True)
    ]
    return tabulate(title, {"model": None, "chroma times": None, "MSE": 5, "colourfulness": 1}, rows)


def cost_of_colour(
    predict: Callable[..., Any], variables: Any, split: Any, saturations: Sequence[float]
) -> dict[str, list[float]]:
    """Return MSE and colourfulness of a colorizer, one each for every saturation that its chroma is multiplied with."""
    from ae.color import saturated
    from ae.score.evaluate import evaluate
    from ae.tasks import Colorize

    def saturate(variables, x):
        return saturated(predict(variables[0], x), variables[1])

    names = ("mse", "colourfulness")
    scores = [
        evaluate(saturate, (variables, factor), Colorize(), split, names=names, batch_size=64) for factor in saturations
    ]
    return {name: [score[name] for score in scores] for name in names}
