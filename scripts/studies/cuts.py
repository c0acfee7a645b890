"""How well the cuts of film are found."""

from pathlib import Path

import tyro
from studies.common import Limit, Out, write_study


def cuts(
    clips: tyro.conf.Positional[tuple[Path, ...]],
    alone: tuple[Path, ...] = (),
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Count the cuts that are found where clips are joined, and those that are found inside a clip, where there are none.

    Clips are joined in all orders of two, by a cut and by a cross fade, reduced to 320x180. Cuts are found as `colorize.py`
    does, while the frames go by.

    Args:
        clips: Clips of one shot each, two or more.
        alone: Further clips of one shot, which are not joined.
    """
    from itertools import permutations

    from studies.measures.cuts import cuts_table, faded, joined, looked_at

    from ae.errors import InputError
    from ae.runtime import progress

    if len(clips) < 2:
        raise InputError("clips are joined two by two: name two or more")
    looked, by_cut, by_fade = [], [], []
    with progress.bar("clips", len(clips) + len(alone)) as bar:
        for path in (*clips, *alone):
            looked.append(looked_at(path, limit))
            bar.update()
    pairs = list(permutations(looked[: len(clips)], 2))
    with progress.bar("pairs", len(pairs)) as bar:
        for pair in pairs:
            by_cut.append(joined(*pair))
            by_fade.append(faded(*pair))
            bar.update()
    details = {
        "not found": {
            name: [join.names for join in joins if not join.is_found]
            for name, joins in {"cuts": by_cut, "fades": by_fade}.items()
        },
        "found in clips alone": {clip.name: clip.cuts for clip in looked if clip.cuts},
    }
    write_study(out, "study_cuts", cuts_table(by_cut, by_fade, looked), [], details=details)
