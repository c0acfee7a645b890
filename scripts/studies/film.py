"""How steady coloured film is: what is measured, on the source, on what the model makes, and on what stays after steadying.

Clips are brought to 640x360 and written without loss, coloured from their luma, read back, and reduced to 320x180.
"""

from pathlib import Path

import tyro
from studies.common import Limit, Model, Out, write_study


def film(
    clips: tyro.conf.Positional[tuple[Path, ...]],
    model: Model = "chroma_unet",
    steady: tuple[float, ...] = (0.3, 0.6, 0.9),
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Colorize clips that have colour, and measure how steady they are, with and without colours carried on.

    Args:
        clips: Clips in colour; the model sees their luma alone.
        steady: Shares of colours that are carried on from frame to frame.
    """
    from studies.measures.film import film_table, measured

    from ae import Colorizer, load_model
    from ae.runtime import progress

    trained = load_model(model)
    scores: dict[str, dict[str, dict[str, float]]] = {}
    with progress.bar("clips", len(clips)) as bar:
        for path in clips:
            scores[path.stem] = measured(path, Colorizer(trained), steady, limit)
            bar.update()
    write_study(out, "study_film", film_table(scores), [trained.config], details={"scores": scores})
