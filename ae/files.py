"""Files that are written whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ae.errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the given name when the block ends well; when it does not, nothing is left."""
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text)


def read_json(path: Path) -> Any:
    """The values in a JSON file. Raises InputError where it is damaged."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): move it away, and make it again") from error
