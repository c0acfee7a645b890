"""Pictures: the frames of an image file, and what belongs to them."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ae.errors import InputError

MOST_PIXELS = 2**27  # of an image, all frames together, or of one frame of a clip


@dataclass(frozen=True)
class Picture:
    """The frames of an image file, upright, and what belongs to them."""

    pixels: np.ndarray  # [T, H, W, C], gray or RGB; uint8, uint16, or float32 in [0, 1]
    alpha: np.ndarray | None = None  # [T, H, W, 1], like `pixels`
    info: dict[str, Any] = field(default_factory=dict)  # see `metadata`; of animations also `duration` and `plays`
    remarks: tuple[str, ...] = ()  # what is not as it was in the file, a line each
    lost: tuple[str, ...] = ()  # what could not be read, a line each

    @property
    def max_value(self) -> int:
        """Return the value of white."""
        return 1 if self.pixels.dtype.kind == "f" else np.iinfo(self.pixels.dtype).max

    @property
    def is_deep(self) -> bool:
        """Return whether its colours have more than 8 bits."""
        return self.pixels.dtype != np.uint8

    @property
    def is_gray(self) -> bool:
        """Return whether it has one channel of colour."""
        return self.pixels.shape[3] == 1

    def joined(self) -> np.ndarray:
        """Return pixels and alpha as one array, [T, H, W, 1 to 4]."""
        return self.pixels if self.alpha is None else np.concatenate([self.pixels, self.alpha], axis=-1)


def split_alpha(frames: np.ndarray, info: dict[str, Any], *, remarks: tuple[str, ...] = ()) -> Picture:
    """Return the picture of frames [T, H, W, 1 to 4], the last of two or four channels being alpha."""
    colours = 1 if frames.shape[3] < 3 else 3
    pixels, alpha = frames[..., :colours], frames[..., colours:]
    return Picture(pixels, alpha if alpha.shape[3] else None, info, remarks)


def with_pixels(picture: Picture, pixels: np.ndarray) -> Picture:
    """Return the picture with other pixels, floats that are cut to [0, 1] and rounded to its own dtype.

    Raises InputError where one is not a number.
    """
    if np.isnan(pixels).any():
        raise InputError("the model's output holds values that are not numbers (NaN): use another model")
    return replace(picture, pixels=as_dtype(pixels, picture.pixels.dtype))


def as_dtype(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Return values in [0, 1] in a dtype, integers of which cover its range; what lies outside is cut."""
    cut = np.clip(values, 0, 1)
    if np.dtype(dtype).kind == "f":
        return cut.astype(dtype)
    return np.round(cut * np.iinfo(dtype).max).astype(dtype)


def upright(picture: Picture, orientation: int) -> Picture:
    """Return a picture upright, whose frames are stored as the tag of TIFF and EXIF says."""
    if orientation not in range(2, 9):
        return picture
    alpha = None if picture.alpha is None else _turned(picture.alpha, orientation)
    return replace(picture, pixels=_turned(picture.pixels, orientation), alpha=alpha)


def _turned(frames: np.ndarray, orientation: int) -> np.ndarray:
    frames = frames.swapaxes(1, 2) if orientation in (5, 6, 7, 8) else frames
    frames = frames[:, :, ::-1] if orientation in (2, 3, 6, 7) else frames
    return frames[:, ::-1] if orientation in (3, 4, 7, 8) else frames


def check_pixels(path: Path, pixels: int, most: int, *, unit: str = "pixels") -> None:
    """Raise InputError where a file claims to unfold to more pixels than are allowed."""
    if pixels > most:
        raise InputError(
            f"{path} has {pixels:,} {unit}, more than the {most:,} allowed: --most-pixels {pixels} allows them"
        )
