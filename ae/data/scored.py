"""Pictures that models are scored on, known by their thumbnails: none of them is trained on.

`scripts/benchmarks/scored.py` writes the list, scored.txt.
"""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

SCORED = Path(__file__).with_name("scored.txt")
SIDE = 12  # cells of a thumbnail in height and in width
MOST_DIFFERENT = 12  # bits, of SIDE**2, by which thumbnails of one picture differ at other sizes and in other codings


def fingerprint(image: np.ndarray) -> np.ndarray:
    """Return of each cell of a thumbnail whether it is darker than the one on its right: [H, W, 3], uint8 -> [SIDE**2].

    Known as dHash (Krawetz, "Kind of like that", 2013).
    """
    small = Image.fromarray(image).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    values = np.asarray(small).astype(int)
    return (values[:, :-1] < values[:, 1:]).ravel()


def scored_as(image: np.ndarray) -> str | None:
    """Return the name of the picture that models are scored on which a photograph [H, W, 3], uint8, shows; None: of none."""
    names, known = _scored()
    if not names:
        return None
    different = (known != fingerprint(image)).sum(axis=1)
    nearest = int(different.argmin())
    return names[nearest] if different[nearest] <= MOST_DIFFERENT else None


@cache
def _scored() -> tuple[list[str], np.ndarray]:
    """Return names and fingerprints of all pictures that models are scored on."""
    rows = [line.split(maxsplit=1) for line in SCORED.read_text().splitlines()]
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(code), np.uint8)) for code, _ in rows]
    return [name for _, name in rows], np.array(bits, bool).reshape(-1, SIDE**2)
