"""How steady coloured film is: measured, and shown.

Clips are brought to 640x360 and written without loss, coloured from their luma, read back, and reduced to 320x180.
"""

from pathlib import Path
from typing import Any

import tyro
from studies.common import SHOWN_WIDTH, Limit, Model, Out, write_study

SHOWN = 6  # neighbouring frames
BEFORE = 12  # frames before these, of which steady ones have colours
PIXELS = (900, 1800, 2560, 4900)  # of the size at which the model sees a frame
CHANGE_SHOWN = 100  # times as much as there is


def film(
    clips: tyro.conf.Positional[tuple[Path, ...]],
    model: Model = "chroma_unet",
    steady: tuple[float, ...] = (0.3, 0.6, 0.95),
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Colorize clips that have colour, and measure how steady they are, with and without colours carried on.

    Args:
        clips: Clips in colour; the model sees their luma alone.
        steady: Shares of colours that are carried on from frame to frame.
    """
    from studies.measures.film import clips_table, means_table, measured

    from ae import Colorizer, load_model
    from ae.runtime import progress

    trained = load_model(model)
    scores: dict[str, dict[str, dict[str, float]]] = {}
    with progress.bar("clips", len(clips)) as bar:
        for path in clips:
            scores[path.stem] = measured(path, Colorizer(trained), steady, limit)
            bar.update()
    write_study(out, "study_film_clips", clips_table(scores), [trained.config])
    write_study(out, "study_film", means_table(scores), [trained.config])


def fade(
    clips: tyro.conf.Positional[tuple[Path, ...]],
    model: Model = "chroma_unet",
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Colorize clips whose light goes to a quarter, and measure how colourful they stay, steadied and not.

    Args:
        clips: Clips; the model sees their luma alone.
    """
    from studies.measures.fade import clip_luma, fade_table, saturation_ratios

    from ae import Colorizer, load_model
    from ae.restore.steady import STRENGTH
    from ae.runtime import progress

    trained = load_model(model)
    ratios = {}
    with progress.bar("clips", len(clips)) as bar:
        for path in clips:
            ratios[path.stem] = saturation_ratios(Colorizer(trained), clip_luma(path, limit), STRENGTH)
            bar.update()
    write_study(out, "study_fade", fade_table(list(ratios.values())), [trained.config], details={"clips": ratios})


def film_sizes(
    clips: tyro.conf.Positional[tuple[Path, ...]],
    model: Model = "chroma_unet",
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Colorize clips that have colour, whose frames the model sees at several sizes, each alone.

    Args:
        clips: Clips in colour; the model sees their luma alone.
    """
    from studies.measures.film import at_size, sizes_table

    from ae import Colorizer, load_model
    from ae.runtime import progress

    trained = load_model(model)
    scores: dict[int, list[dict[str, float]]] = {pixels: [] for pixels in PIXELS}
    with progress.bar("clips", len(clips) * len(scores)) as bar:
        for path in clips:
            for pixels in PIXELS:
                scores[pixels].append(at_size(path, Colorizer(trained, pixels=pixels), limit))
                bar.update()
    names = ", ".join(path.stem for path in clips)
    write_study(out, "study_film_sizes", sizes_table(trained.config, names, scores), [trained.config])


def strip(
    clip: tyro.conf.Positional[Path], start: float = 0.0, model: Model = "chroma_unet", out: Out = Path("results")
) -> None:
    """Show neighbouring frames of a clip, each coloured alone and steadied, and how their chroma changes.

    Args:
        clip: A clip; the model sees its luma alone.
        start: Seconds from its beginning at which the frames are.
    """
    from itertools import pairwise

    import numpy as np

    from ae import Colorizer, load_model
    from ae.color import luma
    from ae.report.figures import save_rows
    from ae.restore.steady import STRENGTH

    frames, rows = frames_at(clip, start), {}
    colorizer = Colorizer(load_model(model))
    for name, steady in {"alone": 0.0, "steady": STRENGTH}.items():
        coloured = np.stack(list(colorizer.stream(frames, steady=steady)))[-SHOWN - 1 :]
        chroma = coloured - np.asarray(luma(coloured))
        changes = [after - before for before, after in pairwise(chroma)]
        rows |= {
            name: coloured[1:],
            f"{name}: change x {CHANGE_SHOWN}": np.clip(0.5 + CHANGE_SHOWN * np.stack(changes), 0, 1),
        }
    out.mkdir(parents=True, exist_ok=True)
    save_rows(out / f"study_film_{clip.stem}.jpg", rows)


def frames_at(clip: Path, start: float) -> Any:
    """Return frames up to some time of a clip, at the width of pictures: RGB [T, h, w, 3] in [0, 1]."""
    import numpy as np
    from studies.measures.film import limited

    from ae.errors import InputError

    frames = []
    for frame in limited(clip, None):
        if frame.time >= start:
            size = {"width": SHOWN_WIDTH, "height": SHOWN_WIDTH * frame.height // frame.width}
            frames.append(frame.reformat(**size, format="rgb24", interpolation="AREA").to_ndarray())
        if len(frames) == BEFORE + SHOWN:
            break
    if len(frames) < BEFORE + SHOWN:
        raise InputError(f"{clip} has not {BEFORE + SHOWN} frames from {start:g} s on: name an earlier --start")
    return np.float32(frames) / 255
