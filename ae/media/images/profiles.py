"""Colours brought from other spaces to sRGB, through the ICC profile of the file where it is one."""

from dataclasses import replace
from functools import cache
from typing import Literal

import imagecodecs
import numpy as np
from PIL import ImageCms

from ae.errors import InputError
from ae.media.images.picture import Picture

FROM_LAB = "its colours are converted from Lab to sRGB"
SPACES = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk", b"Lab ": "lab"}


@cache
def _made(name: Literal["LAB", "sRGB"]) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def space_of(profile: bytes | None) -> str:
    """Return the colour space of an ICC profile: "rgb", "gray", "cmyk", "lab", or nothing where it is another or none."""
    return SPACES.get((profile or b"")[16:20], "")


def to_srgb(samples: np.ndarray, profile: bytes) -> np.ndarray | None:
    """Return samples [..., C], uint8 or uint16, of a profile's space in sRGB [..., 3]; None where it is no use."""
    flat = np.ascontiguousarray(samples.reshape(-1, samples.shape[-1]))[None]
    try:
        found = imagecodecs.cms_transform(
            flat[..., 0] if flat.shape[-1] == 1 else flat,
            profile,
            _made("sRGB"),
            colorspace=space_of(profile),
            outcolorspace="rgb",
        )
    except Exception:  # whatever the library makes of a damaged profile
        return None
    return found.reshape(*samples.shape[:-1], 3)


def from_cmyk(inks: np.ndarray, profile: bytes | None) -> tuple[np.ndarray, str]:
    """Return RGB of inks [..., 4], and how it was found: through the profile, or as paper less ink."""
    found = to_srgb(inks, profile) if profile and space_of(profile) == "cmyk" else None
    if found is not None:
        return found, "its colours are converted from CMYK to sRGB through its profile"
    full = np.iinfo(inks.dtype).max
    light = (full - inks).astype(np.uint32)
    rgb = (light[..., :3] * light[..., 3:] + full // 2) // full
    reason = "its profile cannot be used" if profile else "it has no profile"
    return rgb.astype(inks.dtype), f"its colours are converted from CMYK without a profile ({reason}): they may differ"


def from_lab(samples: np.ndarray) -> np.ndarray:
    """Return sRGB of L*, a* and b* [..., 3], the latter two with 128 (or 32896 of 16 bits) for gray."""
    found = to_srgb(samples, _made("LAB"))
    if found is None:
        raise InputError("its colours, in Lab, cannot be converted")
    return found


def in_srgb(picture: Picture) -> Picture:
    """Return a gray picture with a profile for gray as sRGB; others as they are."""
    profile = picture.info.get("icc_profile")
    if not (profile and picture.is_gray and space_of(profile) == "gray"):
        return picture
    found = to_srgb(picture.pixels, profile) if picture.pixels.dtype.kind == "u" else None
    info = {key: value for key, value in picture.info.items() if key != "icc_profile"}
    line = (
        "its gray is converted to sRGB" if found is not None else "its profile for gray cannot be used and is left out"
    )
    pixels = picture.pixels if found is None else found
    return replace(picture, pixels=pixels, info=info, remarks=(*picture.remarks, line))


def profile_fits(profile: bytes | None, picture: Picture) -> bool:
    """Return whether a profile says something of the picture's colours; gray pictures often have one for RGB."""
    return not profile or space_of(profile) in ("rgb", "gray" if picture.is_gray else "rgb")
