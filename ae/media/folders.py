"""Many files: what a folder or a pattern holds, where each goes, and what became of them."""

import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from glob import escape, glob, has_magic
from pathlib import Path
from typing import NamedTuple

from ae.errors import InputError
from ae.media.clips import suffixes
from ae.media.images import FORMATS, SUFFIXES
from ae.runtime.interrupts import deferred_interrupts
from ae.runtime.progress import bar


class Job(NamedTuple):
    """A file to be read, and the one to be written."""

    source: Path
    target: Path
    kind: str  # a key of KINDS


class Outcome(NamedTuple):
    """Result of a job."""

    remarks: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()  # what could not be read, a line each
    error: InputError | None = None


Work = Callable[[list[Job]], Generator[tuple[Job, Outcome]]]
# For each kind of file its suffixes, and those of what is written.
KINDS: dict[str, Mapping[str, str]] = {
    "image": {suffix: suffix if suffix in FORMATS else ".png" for suffix in SUFFIXES},
    "clip": {suffix: suffix for suffix in suffixes.SUFFIXES} | dict.fromkeys(suffixes.READ_ONLY, ".mkv"),
}


@dataclass(frozen=True)
class Listing:
    """Jobs to do, and how many files of each suffix are left out."""

    jobs: list[Job]
    left_out: Counter[str] = field(default_factory=Counter)


def is_folder_or_pattern(source: str) -> bool:
    """Return whether a source is a folder or a pattern."""
    return Path(source).is_dir() or (has_magic(source) and not Path(source).exists())


def change_folder(
    source: str,
    folder: Path,
    work: Mapping[str, Work],
    *,
    skip_existing: bool = False,
    log: Callable[[str], None] = print,
) -> None:
    """Change the files of a folder or pattern, and write them to a folder, with the subfolders that they are in.

    `work`: for each kind of file that is taken, what does its jobs, one after the other. `skip_existing`: files that are
    there already stay. `log` is told of remarks, and of what cannot be read or written, after which the others go on; at
    the end of how many there were. Raises InputError before the first is written where two would have one name, or one
    would take the place of a source; and at the end where not all could be read and written.
    """
    began = time.perf_counter()
    listing = find_jobs(source, folder, tuple(work))
    jobs = [job for job in listing.jobs if not (skip_existing and job.target.exists())]
    skipped = listing.left_out + Counter({"there already": len(listing.jobs) - len(jobs)})
    for job in jobs:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    outcomes = list(_done(jobs, work, folder.name, log))
    failed = sum(outcome.error is not None for outcome in outcomes)
    named = ", ".join(f"{number} {name}" for name, number in skipped.most_common())
    left = f"{skipped.total()} skipped{f' ({named})' if named else ''}"
    log(f"{len(jobs) - failed} done, {left}, {failed} failed, {time.perf_counter() - began:.1f} s")
    partly = sum(bool(outcome.lost) for outcome in outcomes)
    faults = [f"{failed} of {len(jobs)} files could not be read or written"] if failed else []
    faults += [f"{partly} of {len(jobs)} files could be read in part only"] if partly else []
    if faults:
        raise InputError(f"{' and '.join(faults)}; the others are in {folder}")


def _done(jobs: list[Job], work: Mapping[str, Work], label: str, log: Callable[[str], None]) -> Iterator[Outcome]:
    """Yield what became of each job, and log it."""
    with deferred_interrupts() as interrupted, bar(label, len(jobs), unit="file") as progress:
        for kind, function in work.items():
            with closing(function([job for job in jobs if job.kind == kind])) as results:
                for job, outcome in results:
                    for line in messages(outcome):
                        log(line if line.startswith(str(job.source)) else f"{job.source}: {line}")
                    progress.update()
                    yield outcome
                    if interrupted.is_set():
                        raise KeyboardInterrupt


def messages(outcome: Outcome) -> list[str]:
    """Return what there is to say of a job."""
    lost = f"it is without {'; '.join(outcome.lost)}, which could not be read"
    return [*outcome.remarks, *[lost] * bool(outcome.lost), *[str(outcome.error)] * bool(outcome.error)]


def find_jobs(source: str, folder: Path, kinds: tuple[str, ...]) -> Listing:
    """Return the files of some kinds in a folder or of a pattern, by their suffixes, and where in a folder each goes.

    They come in the order in which people count: 2 before 10. What is hidden is no part of it, and neither is the folder
    that is written to. Raises InputError where there is none, or a name is taken already: by another, or by a source.
    """
    root, found = _files(source, folder)
    suffixes = {suffix: (kind, target) for kind in kinds for suffix, target in KINDS[kind].items()}
    jobs, left_out = [], Counter[str]()
    for path in found:
        suffix = path.suffix.lower()
        if suffix not in suffixes or not path.is_file():
            left_out[suffix or "without a suffix"] += 1
            continue
        kind, target = suffixes[suffix]
        inside = path.relative_to(root)
        jobs.append(Job(path, folder / (inside if target == suffix else inside.with_suffix(target)), kind))
    if not jobs:
        raise InputError(f"{source} holds no {' or '.join(kinds)}; there are {', '.join(suffixes)}")
    _check_targets(jobs)
    return Listing(jobs, left_out)


def _check_targets(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    taken: dict[Path, Path] = {}
    for source, target, _ in jobs:
        if target.resolve() in sources:
            raise InputError(f"{target} would take the place of an input: name another output folder")
        if target in taken:
            raise InputError(f"{taken[target]} and {source} would both be written as {target}: rename one")
        taken[target] = source


def _files(source: str, folder: Path) -> tuple[Path, list[Path]]:
    """Return the folder that names are relative to, and the files in it or of a pattern, folders that match among them."""
    parts, count = Path(source).parts, 0
    while count < len(parts) and Path(*parts[: count + 1]).exists():
        count += 1
    root, seen = Path(*parts[:count]), {folder.resolve()} - {Path(*parts[:count]).resolve()}
    if count == len(parts):
        return root, list(walk(root, seen))
    matches = [Path(path) for path in glob(str(Path(escape(str(root)), *parts[count:])), recursive=True)]
    files = (file for path in sorted(matches, key=natural_key) for file in walk(path, seen))
    outside = (
        path for path in files if folder.resolve() not in path.resolve().parents or folder.resolve() == root.resolve()
    )
    return root, list(dict.fromkeys(outside))


def walk(path: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield a file, or the files below a folder that are not hidden, as people count.

    Each folder comes once, as links may lead back; `seen` holds those that are left out, and grows.
    """
    if not path.is_dir():
        yield path
    elif (real := path.resolve()) not in seen:
        seen.add(real)
        for inside in sorted(path.iterdir(), key=lambda inside: (inside.is_symlink(), natural_key(inside))):
            if not inside.name.startswith("."):
                yield from walk(inside, seen)


def natural_key(path: Path) -> list[list[tuple[int, str]]]:
    """Return a key to sort by, in which runs of digits are numbers."""
    parts = (re.split(r"(\d+)", part) for part in path.parts)
    return [[(int(run), "") if run.isdecimal() else (-1, run) for run in part] for part in parts]
