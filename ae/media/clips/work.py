"""Segments of a clip that is being written: kept beside it until it is whole, so that an interrupted run can be resumed.

The work folder of film.mkv is film.mkv.work. It has a journal, which says what the clip is made from, and a file for each
segment: the encoded packets, and the state of the stages after it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import jax
import numpy as np
from flax import serialization

from ae.errors import InputError
from ae.runtime.chain import Frame, Saved, Skipped, States
from ae.runtime.files import LONGEST_NAME, atomic_write

ENDING = ".work"
JOURNAL = "journal.json"
DIGEST = 32  # bytes of SHA-256, before what a segment's file holds
SAMPLE = 2**20  # bytes at the beginning and at the end of a file that tell it from others


class Packed(NamedTuple):
    """A packet of encoded pictures, in ticks of the encoder's clock."""

    data: bytes
    pts: int
    dts: int
    duration: int
    key: bool  # a picture that needs no other

    @staticmethod
    def of(packet: Any) -> "Packed":
        """Return what is kept of a packet."""
        return Packed(bytes(packet), packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe)

    def packet(self, stream: Any, time_base: Any) -> av.Packet:
        """Return the packet, for a stream."""
        packet: Any = av.Packet(self.data)
        packet.stream, packet.time_base = stream, time_base
        packet.pts, packet.dts, packet.duration, packet.is_keyframe = self.pts, self.dts, self.duration, self.key
        return packet


class Segment(NamedTuple):
    """A number of frames in a row, encoded by an encoder of their own, so that none needs what is before or after."""

    frames: int
    altered: int  # of them, whose luma is not the source's
    packets: list[Packed]
    others: int  # packets of other streams that were written after these
    states: Any  # of the stages after it, as JSON values and arrays
    thumbnails: dict[str, bytes]  # of its shots (see `ae.media.clips.sheet`)


class Done:
    """Segments that are done already, while their frames pass by."""

    def __init__(self, frames: list[int], read: Callable[[int], Segment]) -> None:
        self.frames = frames  # of each segment
        self._read, self._number, self._passed = read, 0, 0

    @property
    def states(self) -> Saved | None:
        """Return the states of the stages after the last, as they were saved."""
        return Saved(self._read(len(self.frames) - 1).states) if self.frames else None

    def passed(self) -> Segment | None:
        """Count a frame that has passed by; return the segment whose last it is."""
        self._passed += 1
        if self._passed < self.frames[self._number]:
            return None
        self._number, self._passed = self._number + 1, 0
        return self._read(self._number - 1)

    def skipped(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield a clip's items, the frames of these segments as `Skipped`."""
        left = sum(self.frames)
        for item in items:
            if left and isinstance(item, Frame):
                left -= 1
                yield Skipped(item)
            else:
                yield item


class Work:
    """The work folder of a clip. Raises InputError where there is one that is not to be resumed, or of something else.

    `made_from`: what the clip is made from, JSON values by what people call them.
    """

    def __init__(self, target: Path, made_from: dict[str, Any], *, resume: bool) -> None:
        self.folder = work_folder_of(target)
        self.remarks: list[str] = []  # on a segment that is made again, a line
        self.folder.mkdir(exist_ok=True)
        if self.has_segments or (self.folder / JOURNAL).exists():
            self._check_can_resume(target, made_from, resume=resume)
        else:
            self._begin(made_from)
        whole = self._whole()
        # The last is made again: what the stages know at the end follows from frames that went through them.
        self.done = Done(whole[:-1], self.read)
        self._count = len(self.done.frames)

    @property
    def has_segments(self) -> bool:
        """Return whether there is something to go on with."""
        return any(self.folder.glob("*.segment"))

    def _begin(self, made_from: dict[str, Any]) -> None:
        """Write the journal; where there is no room for it, no folder is left."""
        try:
            _write_synced(self.folder / JOURNAL, json.dumps(made_from, indent=1).encode())
        except OSError:
            self.remove()
            raise

    def _check_can_resume(self, target: Path, made_from: dict[str, Any], *, resume: bool) -> None:
        if not resume:
            raise InputError(
                f"{self.folder} has what an interrupted run left of {target.name}: --resume goes on with it; or remove it"
            )
        try:
            known = dict(json.loads((self.folder / JOURNAL).read_text()))
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"{self.folder} has no journal that can be read: remove it, to begin anew") from error
        others = [name for name, value in made_from.items() if known.get(name) != value]
        if others:
            raise InputError(f"{self.folder} is of another {' and '.join(others)}: remove it, to begin anew")

    def _whole(self) -> list[int]:
        """Return the numbers of frames of the segments from the first on that are whole; those after them are removed."""
        frames: list[int] = []
        while (path := self._path(len(frames))).exists():
            try:
                frames.append(self.read(len(frames)).frames)
            except InputError:
                self.remarks.append(f"{path} is damaged: it is made again, and what follows it")
                break
        for path in self.folder.glob("*.segment"):
            if int(path.stem) >= len(frames):
                path.unlink()
        return frames

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.segment"

    def read(self, number: int) -> Segment:
        """Read a segment. Raises InputError where it is damaged."""
        content = self._path(number).read_bytes()
        data = content[DIGEST:]
        if hashlib.sha256(data).digest() != content[:DIGEST]:
            raise InputError(f"{self._path(number)} is damaged: --resume makes it again")
        values = serialization.msgpack_restore(data)
        return Segment(**values | {"packets": [Packed(*packet) for packet in values["packets"]]})

    def add(self, segment: Segment) -> None:
        """Write the next segment, whole or not at all. Raises OSError where there is no room."""
        values = segment._asdict() | {"packets": [list(packet) for packet in segment.packets]}
        data = serialization.msgpack_serialize(values)
        _write_synced(self._path(self._count), hashlib.sha256(data).digest() + data)
        self._count += 1

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def work_folder_of(target: Path) -> Path:
    """Return the name of a clip's work folder, cut where it were too long."""
    name = target.name.encode()[: LONGEST_NAME - len(ENDING)].decode(errors="ignore")
    return target.with_name(name + ENDING)


@contextmanager
def work_folder(target: Path, made_from: dict[str, Any], *, resume: bool) -> Iterator[Work]:
    """Yield the work folder of a clip; it stays where an interrupted run has left segments in it, which is said.

    Raises as `Work` does.
    """
    work = Work(target, made_from, resume=resume)
    try:
        yield work
    except (KeyboardInterrupt, OSError, InputError) as error:
        if not work.has_segments:
            work.remove()
            raise
        line = f"{work.folder} has what is done: --resume goes on with it"
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"interrupted; {line}") from error
        if isinstance(error, OSError):
            raise OSError(error.errno, f"{error.strerror or error}; {line}") from error
        raise InputError(f"{error}; {line}") from error
    work.remove()


def _write_synced(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and have it on the disk: power may go."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def saved(states: States) -> Any:
    """Return states as JSON values and arrays, of which `ae.runtime.chain.Saved` makes states again."""
    return serialization.to_state_dict(jax.device_get(states))


def fingerprint(*parts: Any) -> str:
    """Return a short text that differs where values do: numbers, strings, arrays, and trees and dataclasses of them."""
    digest = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, np.ndarray | jax.Array):
            array = np.ascontiguousarray(part)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        elif isinstance(part, dict):
            add(sorted(part.items()))
        elif isinstance(part, list | tuple):
            digest.update(f"{type(part).__name__}{len(part)}".encode())
            for each in part:
                add(each)
        elif is_dataclass(part):
            add([type(part).__name__, *(getattr(part, field.name) for field in fields(part) if field.name != "parent")])
        else:
            digest.update(repr(part).encode())

    add(parts)
    return digest.hexdigest()[:16]


@cache
def sources() -> str:
    """Return a fingerprint of this package: what one state of it has begun, another may go on with differently."""
    package = Path(__file__).parents[2]
    return fingerprint(*(path.read_bytes() for path in sorted(package.rglob("*.py"))))


def identity(path: Path) -> dict[str, Any]:
    """Return what tells a file from others: its size, and a fingerprint of its beginning and end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(SAMPLE)
        file.seek(max(0, size - SAMPLE))
        return {"bytes": size, "fingerprint": hashlib.sha256(first + file.read()).hexdigest()[:16]}
