"""What frames carry beside their pixels: captions, and how bright and colourful a screen is to show them."""

import struct
from collections.abc import Set
from typing import Any, NamedTuple

import av
from av.sidedata.sidedata import SideDataContainer

HDR10 = {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"}
NAMES = {  # by the kind of FFmpeg's side data
    "A53_CC": "closed captions",
    **dict.fromkeys(sorted(HDR10), "HDR10 metadata"),
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "AMBIENT_VIEWING_ENVIRONMENT": "the viewing environment",
    "S12M_TIMECODE": "time codes of frames",
    "AFD": "the active format description",
    "STEREO3D": "how two views share a frame",
    "SPHERICAL": "the projection of a sphere",
    (UNKNOWN := "UNKNOWN"): "side data of a kind that PyAV does not know",
}
CAPTIONED = {"libx264", "libx265", "mpeg2video"}  # encoders that write the captions of a frame


class _Hdr10Option(NamedTuple):
    """Option of an encoder for HDR10 metadata, and the names of its parts."""

    name: str
    display: str
    light: str
    in_units: bool  # of 1/50000 for places in the CIE diagram, and 1/10000 cd/m2


HDR10_OPTIONS = {
    "libx264": _Hdr10Option("x264-params", "mastering-display", "cll", True),
    "libx265": _Hdr10Option("x265-params", "master-display", "max-cll", True),
    "libsvtav1": _Hdr10Option("svtav1-params", "mastering-display", "content-light", False),
}


def side_data_of(frame: av.VideoFrame) -> dict[str, bytes]:
    """Return what a frame carries of what `NAMES` has."""
    try:
        # frame.side_data keeps what it gives, a cycle that holds the frame's memory until the collector comes by.
        found: Any = SideDataContainer(frame)  # type: ignore[call-arg]
        return {name: bytes(found[name]) for name in NAMES if name in found}
    except ValueError:  # a kind that PyAV 18 does not know, and then it shows none
        return {UNKNOWN: b""}


def dropped_side_data(codec: str, kinds: Set[str], *, encoder_open: bool = False) -> dict[str, str]:
    """Return what of these kinds an encoder cannot write: names, and a line each.

    `encoder_open`: it was opened without them, after which it takes no HDR10 metadata.
    """
    taken = ({"A53_CC"} if codec in CAPTIONED else set()) | (
        HDR10 if codec in HDR10_OPTIONS and not encoder_open else set()
    )
    names = (NAMES[kind] for kind in NAMES if kind in kinds - taken)
    return {name: f"{codec} cannot write {name}, which frames carry: left out" for name in names}


def side_data_options(codec: str, kinds: dict[str, bytes]) -> dict[str, str]:
    """Return the options that have an encoder write the captions of frames, and HDR10 metadata where a frame has them."""
    captions = {"a53cc": "1"} if codec in CAPTIONED else {}
    return captions | _hdr10_option(codec, kinds)


def _hdr10_option(codec: str, kinds: dict[str, bytes]) -> dict[str, str]:
    if codec not in HDR10_OPTIONS or not HDR10 & kinds.keys():
        return {}
    option, values = HDR10_OPTIONS[codec], []
    if data := kinds.get("MASTERING_DISPLAY_METADATA"):
        values.append(f"{option.display}={_display(data, option.in_units)}")
    if data := kinds.get("CONTENT_LIGHT_LEVEL"):
        values.append("{}={},{}".format(option.light, *struct.unpack_from("2I", data)))
    return {option.name: ":".join(values)}


def _display(data: bytes, in_units: bool) -> str:
    """Return FFmpeg's AVMasteringDisplayMetadata as encoders want it, with the primaries in the order that they want."""
    numbers = struct.unpack_from("20i", data)
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y, least, most = (
        over / under if under else 0 for over, under in zip(numbers[::2], numbers[1::2], strict=True)
    )
    places = [(green_x, green_y), (blue_x, blue_y), (red_x, red_y), (white_x, white_y)]

    def pair(values: tuple[float, float], unit: int) -> str:
        return ",".join(str(round(value * unit)) if in_units else f"{value:.6f}" for value in values)

    primaries = "".join(
        f"{name}({pair(place, 50_000)})" for name, place in zip(("G", "B", "R", "WP"), places, strict=True)
    )
    return f"{primaries}L({pair((most, least), 10_000)})"
