"""Folders for what visitors of the page bring and take: gone when they leave, after an hour, and with the program."""

import re
import shutil
import tempfile
import time
from pathlib import Path

SECONDS = 3600  # that files are kept at most
PREFIX = "ae-demo-"


class Folders:
    """A folder for each visit, in one that is deleted at the end."""

    def __init__(self, seconds: int = SECONDS) -> None:
        self.seconds = seconds
        self._all = tempfile.TemporaryDirectory(prefix=PREFIX)

    @property
    def root(self) -> Path:
        """Return the folder that holds all others."""
        return Path(self._all.name)

    def taken(self, upload: str, visit: str) -> Path:
        """Move an uploaded file to a new folder of a visit, and return where it is."""
        self._sweep()
        target = self.new(visit) / Path(upload).name
        return Path(shutil.move(upload, target))

    def new(self, visit: str) -> Path:
        """Return a new folder of a visit."""
        of_visit = self.root / "visits" / visit
        of_visit.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=of_visit))

    def forget(self, visit: str) -> None:
        """Delete all folders of a visit."""
        shutil.rmtree(self.root / "visits" / visit, ignore_errors=True)

    def close(self) -> None:
        """Delete everything."""
        self._all.cleanup()

    def _sweep(self) -> None:
        for folder in (self.root / "visits").glob("*/*"):
            if folder.stat().st_mtime < time.time() - self.seconds:
                shutil.rmtree(folder, ignore_errors=True)


def without_folders(text: str) -> str:
    """Return a text that names the files of visits without the folders in which they are."""
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/{PREFIX}[^/]+/visits/[^/]+/[^/]+/", "", text)
