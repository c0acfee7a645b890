"""What colours at points are worth: given to a model, and spread over gray without one."""

from pathlib import Path

from studies.common import Limit, Model, Out, Photographs, photographs_of, write_study


def hints(
    photographs: Photographs,
    model: Model = "chroma_unet",
    seed: int = 0,
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Colorize the photographs of a folder with hints from their own colours, beside the same hints without a model.

    Args:
        seed: Of the places of hints.
    """
    import numpy as np
    from studies.measures.hints import hints_table, outputs

    from ae import Colorizer, load_model
    from ae.runtime import progress

    files = photographs_of(photographs, limit)
    trained = load_model(model)
    colorizer = Colorizer(trained)
    errors: dict[str, list[float]] = {}
    with progress.bar("hints", len(files)) as bar:
        for number, photograph in enumerate(files):
            truth = np.float32(photograph) / 255
            for name, output in outputs(colorizer, truth, np.random.default_rng([seed, number])).items():
                errors.setdefault(name, []).append(float(np.square(np.clip(output, 0, 1) - truth).mean()))
            bar.update()
    details = {"photographs": [path.name for path in files.paths], "seed": seed, "mse": errors}
    write_study(out, "study_hints", hints_table(photographs.name, errors), [trained.config], details=details)
