"""Settings of clips that are coloured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ae.restore.colorize import BATCH_SIZE
from ae.restore.steady import STRENGTH


@dataclass(frozen=True)
class ClipSettings:
    """Settings for reading, colouring and encoding a clip; those of encoders are not used where images are written."""

    batch_size: int = BATCH_SIZE  # frames that are computed at a time
    seconds: float | None = None  # only so many from its beginning
    most_pixels: int | None = None  # that a frame may have
    side_by_side: bool = False  # gray on the left
    deinterlace: bool = False  # two fields become one picture, whose luma is kept
    codec: str | None = None  # encoder of the pictures; None: the first that can hold them
    encoder_options: dict[str, str] | None = None
    audio: Literal["copy", "aac", "opus"] = "copy"  # codec of sound that cannot be copied; "copy" leaves it out
    start: float = 0.0  # seconds from its beginning at which it is taken up
    steady: float = STRENGTH  # share of the colours of the frame before, moved along, where both agree
    recolour: bool = False  # give shots that are in colour new ones
    shots: Path | None = None  # a table of its shots, which is followed where it is there, and written otherwise
    sheet: Path | None = None  # a contact sheet of its shots, to be written
    hwaccel: str | None = None  # hardware that frames are decoded with, as FFmpeg names it; None: the CPU
    resume: bool = False  # go on with what an interrupted run has left

    @property
    def names_encoder(self) -> bool:
        """Return whether an encoder of pictures, or options for one, are asked for."""
        return self.codec is not None or self.encoder_options is not None


DEFAULTS = ClipSettings()
