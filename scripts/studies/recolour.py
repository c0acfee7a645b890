"""Photographs coloured anew from their luma: how near to the truth, and how colourful."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from studies.common import DataDir, Limit, Models, Out, Photographs, photographs_of, plain_and_vivid, write_study


def recolour(
    photographs: Photographs,
    models: Models = ("chroma_unet",),
    ways: bool = False,
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Colorize the photographs of a folder from their luma, and compare with their own colours.

    Args:
        ways: Also score the last model with the small copy that it sees made in five other ways.
    """
    import numpy as np
    from studies.measures.recolour import (
        MULTIPLIED,
        coloured,
        level_means,
        luma_of,
        mean_of_level,
        recolour_table,
        score,
        seen_otherwise,
        with_mean_chroma,
    )

    from ae import Colorizer, load_data, load_model, override
    from ae.score.benchmarks import published_colour

    files = photographs_of(photographs, limit)
    trained = [load_model(model) for model in models]
    data = load_data(override(trained[-1].config, limit=10_000), data_dir=data_dir)
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "gray": lambda truth: np.broadcast_to(luma_of(truth)[..., None], truth.shape),
        "mean colour of each gray level": partial(mean_of_level, level_means(data.train)),
        **{name: partial(coloured, look) for model in trained for name, look in plain_and_vivid(model).items()},
        **(seen_otherwise(Colorizer(trained[-1])) if ways else {}),
        "the true mean chroma (an oracle)": with_mean_chroma,
        "truth": lambda truth: truth,
    }
    scores = {name: score(name, method, files) for name, method in methods.items()}
    scores["truth"] = {key: values for key, values in scores["truth"].items() if key not in MULTIPLIED}
    details = {
        "photographs": [path.name for path in files.paths],
        "fitted on": data.train.name,
        "published": published_colour()["source"],
    }
    table = recolour_table(photographs.name, scores)
    write_study(out, "study_recolour", table, [model.config for model in trained], details=details)
