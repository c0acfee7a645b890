"""Files that are written whole or not at all."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

from ae.errors import InputError

LONGEST_NAME = 255  # bytes that file systems take
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which takes the given name when the block ends well; when it does not, nothing is left.

    Where the name is a link, the file that it leads to is replaced.
    """
    final = _real(path)
    temporary = _temporary(final)
    try:
        yield temporary
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)


def remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed had written of a file with that name; it may be large."""
    final = _real(path)
    for temporary in final.parent.glob(f".*-{escape(final.name)}"):
        process = temporary.name[1:].partition("-")[0]
        if _temporary(final, process) == temporary and process.isdecimal() and not _runs(int(process)):
            temporary.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's
        pass
    return True


def check_target(path: Path) -> None:
    """Raise InputError where a file cannot have that name: the folder is not there or cannot be written to."""
    final = _real(path)
    link = f", to which {path} leads," if path.is_symlink() else ""
    if final.is_dir():
        raise InputError(f"{path} is a folder: name a file in it")
    if final.parent.exists() and not final.parent.is_dir():
        raise InputError(f"{final.parent} is no folder: {path.name} cannot be written to it")
    if not final.parent.is_dir():
        folder = final.parent if link else path.parent
        raise InputError(f"there is no folder {folder}{link} to write {path.name} to")
    try:
        _temporary(final).touch()
        _temporary(final).unlink()
    except OSError as error:
        if error.errno in FULL:
            raise
        raise InputError(f"cannot write {path.name} to {final.parent}: {error.strerror}") from error


def check_distinct(source: Path, target: Path) -> None:
    """Raise InputError where the target is the source, or there is no folder for it."""
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target} is the input itself: name another output")
    check_target(target)


def with_infix(path: Path, word: str) -> Path:
    """Return the name of a file beside another: out.mp4 -> out.WORD.mp4, its stem cut where it were too long."""
    final = _real(path)
    ending = f".{word}{final.suffix}"
    stem = final.stem.encode()[: LONGEST_NAME - len(ending.encode())].decode(errors="ignore")
    return final.with_name(stem + ending)


def _real(path: Path) -> Path:
    """Return the file that a link leads to, be it there or not; other paths as they were given."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _temporary(path: Path, process: int | str | None = None) -> Path:
    """Return a process' name beside that of a file, its beginning cut where it is too long: its end chooses the format."""
    prefix = f".{process or os.getpid()}-"
    return path.with_name(prefix + path.name.encode()[-(LONGEST_NAME - len(prefix)) :].decode(errors="ignore"))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text)


def read_json(path: Path) -> Any:
    """Read the values in a JSON file. Raises InputError where it is damaged."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): move it away, and make it again") from error
