"""Small copies of planes by means over blocks: fast enough for a look at each frame of a film."""

import numpy as np

ROWS = 4  # of a block, about, that its mean is taken of: neighbours are much alike
SUMS = {1: np.uint16, 2: np.uint32}  # what holds them, by the bytes of a sample


def block_means(plane: np.ndarray, size: tuple[int, int], steps: tuple[int, int]) -> np.ndarray:
    """Return means [h, w] in float32 of a plane [H, W], over h x w blocks of so many rows and columns.

    What the last blocks lack repeats the edge; what is beyond them is left out.
    """
    (height, width), (down, right) = size, steps
    lacking = [(0, max(0, count * step - length)) for count, step, length in zip(size, steps, plane.shape, strict=True)]
    if any(after for _, after in lacking):
        plane = np.pad(plane, lacking, "edge")
    first, *others = range(0, down, max(1, down // ROWS))
    lines = plane[first : height * down : down, : width * right].astype(SUMS.get(plane.dtype.itemsize, np.float32))
    for row in others:
        lines += plane[row : height * down : down, : width * right]
    share = np.float32(1 / (right * (1 + len(others))))
    return (lines.astype(np.float32).reshape(-1, right) @ np.full(right, share)).reshape(height, width)
