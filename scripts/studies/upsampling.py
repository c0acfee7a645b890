"""Chroma brought to full size in several ways: what each costs."""

from pathlib import Path

from studies.common import Limit, Model, Out, Photographs, photographs_of, write_study


def upsampling(
    photographs: Photographs,
    model: Model = "chroma_unet",
    every: int = 10,
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Bring chroma of the working size to full size in three ways, and compute it at full size.

    Args:
        every: Take one photograph in so many.
    """
    import numpy as np
    from studies.measures.recolour import luma_of
    from studies.measures.upsampling import enlarged, in_colour, upsampling_table

    from ae import Colorizer, load_model
    from ae.runtime import progress

    files = photographs_of(photographs, limit, every)
    colorizer = Colorizer(load_model(model))
    errors: dict[tuple[str, str], list[float]] = {}
    with progress.bar("photographs", len(files)) as bar:
        for photograph in files:
            truth = np.float32(photograph) / 255
            for name, chroma in enlarged(colorizer, truth).items():
                output = in_colour(luma_of(truth), chroma)
                errors.setdefault(name, []).append(float(np.square(output - truth).mean()))
            bar.update()
    details = {"photographs": [path.name for path in files.paths], "mse": {", ".join(k): v for k, v in errors.items()}}
    table = upsampling_table(photographs.name, errors)
    write_study(out, "study_upsampling", table, [colorizer.trained.config], details=details)
