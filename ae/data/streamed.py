"""Images that are read while they are trained on, as they are too many for memory."""

import os
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import jax
import numpy as np

from ae.runtime import devices

THREADS = min(16, os.cpu_count() or 1)  # that read and decode, each a batch, of which so many wait in memory
PLACED = 2  # batches on the devices: one that is trained on, and the next


class Source(Protocol):
    """Images by number, uint8 [H, W, C], all of one size: an array, or records that are decoded. Threads share it."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Streamed:
    """Consecutive images of a source, in the place of an array [N, H, W, C]; some of them are an array."""

    source: Source
    numbers: range  # of the images in the source

    @classmethod
    def all_of(cls, source: Source) -> "Streamed":
        """Stream all the images of a source."""
        return cls(source, range(len(source)))

    def part(self, chosen: range) -> "Streamed":
        """Return consecutive ones of the images, still unread."""
        return Streamed(self.source, self.numbers[chosen.start : chosen.stop])

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return [N, H, W, C], as the first image has it."""
        return (len(self), *self.source[self.numbers[0]].shape)

    def __getitem__(self, chosen: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """Read some images: uint8 [B, H, W, C]."""
        indices = range(len(self))[chosen] if isinstance(chosen, slice) else chosen
        return np.stack([self.source[self.numbers[i]] for i in indices])


def stream(images: Streamed, order: np.ndarray, size: int) -> Generator[tuple[jax.Array, np.ndarray]]:
    """Yield (images [B, H, W, C] on the devices, their indices [B]) in the given order, `size` at a time, then the rest.

    Every process reads the images of its own devices alone. Read ahead are THREADS batches in memory and PLACED - 1 on the
    devices. Raises InputError where an image cannot be read.
    """
    import grain

    def read(first: int) -> tuple[np.ndarray, np.ndarray]:
        index = order[first : first + size]
        return images[index[devices.own_rows(len(index))]], index

    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=THREADS)
    batches = iter(grain.MapDataset.range(0, len(order), size).map(read).to_iter_dataset(options))
    placed: deque[tuple[jax.Array, np.ndarray]] = deque()
    with closing(batches):
        for own, index in batches:
            placed.append((devices.from_own_rows(own, len(index)), index))
            if len(placed) == PLACED:
                yield placed.popleft()
        yield from placed
