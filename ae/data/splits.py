"""Splits of a data set: consecutive images, and what their noise depends on."""

import re
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ae.data.streamed import Streamed
from ae.errors import InputError
from ae.runtime import devices


class Split(NamedTuple):
    """Some consecutive images of a source split ("train", "test")."""

    name: str  # in the notation of tfds, "test[:9000]"
    images: np.ndarray | Streamed  # uint8 [N, H, W, C]: resident in memory, or streamed from where they are stored
    start: int  # index of the first image in the source split; the noise of an image depends on its index there
    noise_id: int  # checksum of the source split's name


class Data(NamedTuple):
    """The splits of a data set that a run trains on, chooses by and is scored on."""

    name: str
    version: str
    train: Split
    validation: Split
    test: Split
    reference: Split | None = None  # what tables compare losses on, where that is not the validation split
    others: tuple[Split, ...] = ()  # training images of other sizes than those of `train`

    @property
    def training(self) -> tuple[Split, ...]:
        """Return all training images, a split for each size."""
        return (self.train, *self.others)


def on_devices(split: Split) -> Split:
    """Return a resident split with its images on every device; a streamed one stays as it is."""
    if isinstance(split.images, Streamed):
        return split
    return split._replace(images=devices.replicate(split.images))


def source_of(spec: str) -> str:
    """Return the source split of a split in tfds' notation: "test[9000:]" -> "test". Raises InputError for others."""
    return _parse(spec)[0]


def _parse(spec: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"(\w+)(?:\[(\d*%?):(\d*%?)\])?", spec)
    if not match:
        raise InputError(f"cannot read the split {spec!r}; write it as 'train', 'train[:90%]' or 'test[9000:]'")
    return match[1], match[2] or "", match[3] or ""


def _index(bound: str, count: int) -> int | None:
    """Return the number that "9000" or "90%" is, of so many."""
    number = bound.removesuffix("%")
    if not number:
        return None
    return round(count * int(number) / 100) if bound.endswith("%") else int(number)


class Stored(NamedTuple):
    """The images of a source split, and which of them are of one photograph."""

    images: np.ndarray | Streamed  # uint8 [N, H, W, C]
    offsets: np.ndarray | None = None  # [photographs + 1]: where the tiles of each begin; None: every image is whole

    def range_of(self, spec: str) -> range:
        """Return which images a split in tfds' notation has: tiles of a photograph are all in it, or none."""
        _, start, stop = _parse(spec)
        count = len(self.images) if self.offsets is None else len(self.offsets) - 1
        chosen = range(count)[_index(start, count) : _index(stop, count)]
        if self.offsets is None:
            return chosen
        return range(int(self.offsets[chosen.start]), int(self.offsets[chosen.stop])) if chosen else range(0)


def select_split(sources: Mapping[str, Stored], spec: str, limit: int | None) -> Split:
    """Return the split that `spec` names, its first `limit` images. Raises InputError where there are none."""
    source = source_of(spec)
    if source not in sources:
        raise InputError(f"there is no split {source!r}; there are {', '.join(sources)}")
    stored = sources[source]
    whole = stored.range_of(spec)
    chosen = whole[:limit]
    if not chosen:
        parts = f"{len(stored.images)}" if stored.offsets is None else f"{len(stored.offsets) - 1} photographs"
        raise InputError(f"the split {spec!r} has no images: {source} has {parts}")
    images = stored.images
    part = images.part(chosen) if isinstance(images, Streamed) else images[chosen.start : chosen.stop]
    return Split(_name(spec, stored, whole, chosen), part, chosen.start, zlib.crc32(source.encode()))


def _name(spec: str, stored: Stored, whole: range, chosen: range) -> str:
    """Return a name of the images that are chosen, of those that `spec` has."""
    if len(chosen) == len(whole):
        return spec
    if stored.offsets is not None:
        return f"{spec}[:{len(chosen)}]"
    return f"{source_of(spec)}[{chosen.start or ''}:{chosen.stop}]"
