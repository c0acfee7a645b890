"""Photographs as old material has them: dark, grainy, blurred, coded by JPEG. What becomes of their colours."""

from pathlib import Path

from studies.common import Limit, Model, Out, Photographs, photographs_of, write_study


def old(
    photographs: Photographs,
    model: Model = "chroma_unet",
    out: Out = Path("results"),
    limit: Limit = 100,
) -> None:
    """Colorize the photographs of a folder from darker and from degraded luma.

    Saturation is relative: mean chroma over mean luma. PSNR is that of the photograph's own luma with the chroma that the
    model answers to the degraded one.
    """
    import numpy as np
    from studies.measures.old import degradations, old_table, scored
    from studies.measures.recolour import luma_of

    from ae import Colorizer, load_model
    from ae.runtime import progress

    files = photographs_of(photographs, limit)
    trained = load_model(model)
    colorizer = Colorizer(trained)
    scores: dict[str, list[tuple[float, float]]] = {}
    with progress.bar("old", len(files)) as bar:
        for number, photograph in enumerate(files):
            truth = np.float32(photograph) / 255
            gray = luma_of(truth)
            for name, make in degradations(np.random.default_rng(number)).items():
                scores.setdefault(name, []).append(scored(colorizer, truth, make(gray)))
            bar.update()
    write_study(out, "study_old", old_table(photographs.name, scores), [trained.config], details={"scores": scores})
