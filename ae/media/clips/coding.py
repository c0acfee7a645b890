"""How FFmpeg's pixel formats hold luma and chroma, and which of them a frame is written in."""

from typing import Any

import av
import numpy as np

from ae.color import BT601, BT709, BT2020, Coding

MATRICES = {1: BT709, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}  # by number in ITU-T H.273
FULL_RANGE = 2
LEAST_HD_HEIGHT = 720  # from here on, players take colours that nothing is said of to be BT.709
SUBSAMPLING = {"420": (2, 2), "422": (1, 2), "444": (1, 1)}
PLANAR = {f"yuv{layout}p{depth}" for layout in SUBSAMPLING for depth in ("", "10le", "12le")} | {
    f"yuvj{x}p" for x in SUBSAMPLING
}
GRAY = {"gray": "yuv420p", "gray10le": "yuv420p10le", "gray12le": "yuv420p12le"}  # and what they become
SEMIPLANAR = {"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "p010le": "yuv420p10le", "p210le": "yuv422p10le"}


def coding_of(frame: av.VideoFrame) -> Coding:
    """Return how the numbers in a frame's planes are to be read."""
    name = target_format(frame)
    layout = next(subsampling for key, subsampling in SUBSAMPLING.items() if key in name)
    implied = name.startswith("yuvj") or (frame.format.name in GRAY and not frame.color_range)
    full = frame.color_range == FULL_RANGE or implied
    unknown = BT709 if frame.height >= LEAST_HD_HEIGHT else BT601
    bits = av.VideoFormat(name).components[0].bits
    weights = BT601 if frame.format.is_rgb else MATRICES.get(frame.colorspace, unknown)  # into which `planar` converts
    return Coding(bits, full, weights, layout, round(frame.rotation / 90) % 4)


def target_format(frame: av.VideoFrame) -> str:
    """Return the planar format that a frame is written in: its own where it has one, else one with its bits."""
    name = frame.format.name
    if name in PLANAR:
        return name
    deep = frame.format.components[0].bits > 8
    return (GRAY | SEMIPLANAR).get(name, "yuv444p10le" if deep else "yuv444p")


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """Return the frame with a luma plane of its own; only formats that have none are converted."""
    return frame if frame.format.name in {*PLANAR, *GRAY} else frame.reformat(format=target_format(frame))


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """Return the planes of a frame in a planar format, uint8 or uint16 [H, W] and [h, w]: views, to be written too."""
    kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    planes: Any = frame.planes
    lines = ((plane, np.frombuffer(plane, kind).reshape(plane.height, -1)) for plane in planes)
    return [values[:, : plane.width] for plane, values in lines]  # lines may be longer in memory
