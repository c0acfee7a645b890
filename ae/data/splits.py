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


def on_devices(split: Split) -> Split:
    """Return a resident split with its images on every device; a streamed one stays as it is."""
    if isinstance(split.images, Streamed):
        return split
    return split._replace(images=devices.replicate(split.images))


def parse_spec(spec: str) -> tuple[str, int, int | None]:
    """Return source split, start and stop of a split in tfds' notation: "test[9000:]" -> ("test", 9000, None).

    Raises InputError for other notations.
    """
    match = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", spec)
    if not match:
        raise InputError(f"cannot read the split {spec!r}; write it as 'train', 'train[:55000]' or 'test[9000:]'")
    return match[1], int(match[2] or 0), int(match[3]) if match[3] else None


def select_split(sources: Mapping[str, np.ndarray | Streamed], spec: str, limit: int | None) -> Split:
    """Return the split that `spec` names, its first `limit` images. Raises InputError where there are none."""
    source, start, stop = parse_spec(spec)
    if source not in sources:
        raise InputError(f"there is no split {source!r}; there are {', '.join(sources)}")
    images = sources[source]
    whole = range(len(images))[start:stop]
    chosen = whole[:limit]
    if not chosen:
        raise InputError(f"the split {spec!r} has no images: {source} has {len(images)}")
    name = spec if len(chosen) == len(whole) else f"{source}[{start or ''}:{chosen.stop}]"
    part = images.part(chosen) if isinstance(images, Streamed) else images[chosen.start : chosen.stop]
    return Split(name, part, start, zlib.crc32(source.encode()))
