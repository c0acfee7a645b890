"""Print the list of pictures that models are scored on, for ae/data/scored.txt.

`python scripts/benchmarks/scored.py DATA_DIR CLIPS > ae/data/scored.txt`: DATA_DIR holds the benchmarks and imagenet_samples
as prepare.py leaves them, CLIPS the clips (of DAVIS) that colour is scored on.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from ae.data.photographs import read_photograph
from ae.data.scored import fingerprint
from ae.data.sets import BENCHMARKS

EVERY = 20  # frames


def lines(root: Path, clips: Path) -> Iterator[str]:
    """Yield a line for each picture of the benchmarks and of the test photographs in `root`, and for frames of the clips."""
    for folder in (*BENCHMARKS, "imagenet_samples/test"):
        for path in sorted((root / folder).iterdir()):
            yield line(read_photograph(path), f"{folder}/{path.name}")
    for path in sorted(clips.glob("*.mp4")):
        for number, frame in some_frames(path):
            yield line(frame, f"DAVIS {path.stem}, frame {number}")


def some_frames(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Yield every so many frames of a clip, RGB [H, W, 3], with their numbers."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % EVERY == 0:
                yield number, frame.to_ndarray(format="rgb24")


def line(image: np.ndarray, name: str) -> str:
    """Return the line of a picture: its fingerprint in hexadecimal, and its name."""
    return f"{np.packbits(fingerprint(image)).tobytes().hex()} {name}"


if __name__ == "__main__":
    print("\n".join(lines(*map(Path, sys.argv[1:3]))))
