"""Splits of a data set: consecutive images, and what their noise depends on."""

import re
import zlib
from typing import NamedTuple

import numpy as np

from ae.errors import InputError


class Split(NamedTuple):
    """Some consecutive images of a source split ("train", "test")."""

    name: str  # in the notation of tfds, "test[:9000]"
    images: np.ndarray  # uint8 [N, H, W, C]
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


def parse(spec: str) -> tuple[str, int, int | None]:
    """Takes "test[9000:]" apart: ("test", 9000, None)."""
    match = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", spec)
    if not match:
        raise InputError(f"cannot read the split {spec!r}; write it as 'train', 'train[:55000]' or 'test[9000:]'")
    return match[1], int(match[2] or 0), int(match[3]) if match[3] else None


def cut(sources: dict[str, np.ndarray], spec: str, limit: int | None) -> Split:
    source, start, stop = parse(spec)
    if source not in sources:
        raise InputError(f"there is no split {source!r}; there are {', '.join(sources)}")
    images = sources[source][start:stop][:limit]
    if not len(images):
        raise InputError(f"the split {spec!r} has no images: {source} has {len(sources[source])}")
    name = (
        spec
        if limit is None or limit >= len(sources[source][start:stop])
        else f"{source}[{start or ''}:{start + limit}]"
    )
    return Split(name, images, start, zlib.crc32(source.encode()))
