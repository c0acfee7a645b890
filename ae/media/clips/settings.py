"""What a user may ask for when a clip is coloured."""

from dataclasses import dataclass
from typing import Literal

from ae.restore.colorize import BATCH_SIZE


@dataclass(frozen=True)
class ClipSettings:
    """How a clip is read, coloured and encoded. Where images are written, the encoder's settings do not matter."""

    batch_size: int = BATCH_SIZE  # frames that are computed at a time
    seconds: float | None = None  # only so many from its beginning
    most_pixels: int | None = None  # that a frame may have
    side_by_side: bool = False  # gray on the left
    deinterlace: bool = False  # two fields become one picture, whose luma is kept
    codec: str | None = None  # encoder of the pictures; None: the first that can hold them
    encoder_options: dict[str, str] | None = None
    audio: Literal["copy", "aac", "opus"] = "copy"  # codec of sound that cannot be copied; "copy" leaves it out


DEFAULTS = ClipSettings()
