"""Commands that the page runs, each in a process of its own: it can be stopped, and its memory is given back."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ae.errors import InputError

SCRIPTS = Path(__file__).parent.parent
PATIENCE = 10  # seconds that a command has to stop
EVERY = 0.2  # seconds between two looks at how far it is


class Progress(NamedTuple):
    """How far a command is."""

    share: float | None  # None: not known yet
    label: str


class Done(NamedTuple):
    """What a command said, line by line."""

    lines: list[str]


def run(arguments: Sequence[str | Path]) -> Iterator[Progress | Done]:
    """Run a script with arguments, and yield how far it is, and at the end what it said.

    Closed before its end, it is interrupted. Raises InputError where it fails.
    """
    with tempfile.TemporaryFile("w+") as said, _terminal() as (ours, theirs):
        process = subprocess.Popen(
            [sys.executable, SCRIPTS / str(arguments[0]), *arguments[1:]],
            stdin=subprocess.DEVNULL, stdout=said, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        try:
            shown = ""
            while process.poll() is None:
                time.sleep(EVERY)
                shown = (shown + _read(ours))[-4000:]
                yield progress_of(shown)
            shown += _read(ours)
        finally:
            stop(process)
        said.seek(0)
        if process.returncode:
            raise InputError(last_line(shown) or f"{arguments[0]} failed")
        yield Done(said.read().splitlines())


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """Open a terminal that is not shown, as progress bars move in terminals alone; yield both of its ends."""
    ours, theirs = os.openpty() if hasattr(os, "openpty") else os.pipe()
    os.set_blocking(ours, False)
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


def _read(terminal: int) -> str:
    """Return what was written since the last time."""
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # nothing new
        return ""


def stop(process: subprocess.Popen) -> None:
    """Interrupt a process that still runs, and wait for its end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):  # a server in the background may ignore the first
        if process.poll() is not None:
            return
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)


def progress_of(shown: str) -> Progress:
    """Return how far a command is, by its last progress bar."""
    found = re.findall(r"([^\r\n]*?):?\s+(\d+)%\|", shown)
    if not found:
        return Progress(None, "starting")
    label, percent = found[-1]
    return Progress(int(percent) / 100, label.strip())


def last_line(shown: str) -> str:
    """Return the last line of what was shown, without what bars left and without "error:"."""
    lines = [line.strip() for line in re.split(r"[\r\n]", re.sub(r"\x1b\[[\d;]*\w", "", shown))]
    kept = [line for line in lines if line and "%|" not in line]
    return kept[-1].removeprefix("error: ") if kept else ""


def command_line(arguments: Sequence[str | Path]) -> str:
    """Return a command as one would type it, with files by their names."""
    words = [word.name if isinstance(word, Path) else word for word in arguments[1:]]
    return shlex.join(["python", f"scripts/{arguments[0]}", *words])
