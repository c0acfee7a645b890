"""A contact sheet of a clip: of each shot a frame, gray above coloured."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ae.color import Coding
from ae.errors import InputError
from ae.media.clips.times import format_time
from ae.restore.frames import shown_frames
from ae.runtime.chain import Frame
from ae.runtime.files import atomic_write, check_target

WIDTH = 240  # pixels of a frame
ACROSS = 5  # shots in a row
MOST = 500  # shots on a sheet, evenly chosen where there are more
LABEL = 14  # pixels below a frame for its time
SETTLED = 12  # frames after which a shot shows what it is
QUALITY = 88
SUFFIXES = (".jpg", ".png", ".webp")

Thumbnails = dict[str, bytes]  # JPEG files of frames, gray above coloured, by the time at which their shot starts


class Sheet:
    """Frames of shots while they go by."""

    def __init__(self, coding: Coding, origin: float) -> None:
        self.thumbnails: Thumbnails = {}
        self._coding, self._origin = coding, origin
        self._shot, self._start, self._since = -1, 0.0, 0
        self._taken: Thumbnails = {}

    def pass_by(self, frame: Frame) -> None:
        """Count a frame."""
        if frame.shot != self._shot:
            self._shot, self._start, self._since = frame.shot, frame.time - self._origin, 0
        self._since += 1

    def add(self, frame: Frame) -> None:
        """Take a coloured frame; of each shot the first, until there is one by which it shows what it is."""
        self.pass_by(frame)
        if self._since in (1, SETTLED):
            self.thumbnails[f"{self._start:.3f}"] = thumbnail(frame, self._coding)

    def taken(self) -> Thumbnails:
        """Return what is new since this was asked last."""
        new = {start: image for start, image in self.thumbnails.items() if self._taken.get(start) is not image}
        self._taken = dict(self.thumbnails)
        return new


def thumbnail(frame: Frame, coding: Coding) -> bytes:
    """Return a JPEG of a frame, gray above coloured, upright."""
    planes = (np.asarray(plane)[None] for plane in (frame.luma, frame.cb, frame.cr))
    rgb: Any = np.rot90(np.asarray(shown_frames(*planes, coding))[0], coding.turns)
    height, width, _ = rgb.shape
    whole = Image.fromarray(np.round(255 * rgb).astype(np.uint8))
    coloured = whole.resize((WIDTH, max(1, round(WIDTH * height / width))), Image.Resampling.BOX)
    both = Image.new("RGB", (WIDTH, 2 * coloured.height))
    both.paste(coloured.convert("L"), (0, 0))
    both.paste(coloured, (0, coloured.height))
    memory = io.BytesIO()
    both.save(memory, "jpeg", quality=QUALITY)
    return memory.getvalue()


def check_sheet(path: Path) -> None:
    """Raise InputError where a sheet cannot be written to a file of that name."""
    check_target(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} is to be a picture: its name ends in {', '.join(SUFFIXES)}")


def write_sheet(path: Path, thumbnails: Thumbnails) -> None:
    """Write a picture of frames in rows, each with the time at which its shot starts."""
    starts = sorted(thumbnails, key=float)
    chosen = [starts[index * len(starts) // min(len(starts), MOST)] for index in range(min(len(starts), MOST))]
    images = [Image.open(io.BytesIO(thumbnails[start])) for start in chosen]
    height = max(image.height for image in images) + LABEL
    rows = -(-len(images) // ACROSS)
    sheet = Image.new("RGB", (min(len(images), ACROSS) * WIDTH, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (start, image) in enumerate(zip(chosen, images, strict=True)):
        left, top = number % ACROSS * WIDTH, number // ACROSS * height
        sheet.paste(image, (left, top))
        draw.text((left + 2, top + image.height + 1), format_time(float(start)), fill="black")
    with atomic_write(path) as temporary:
        sheet.save(temporary, quality=QUALITY)
