"""Opening clips: every format that FFmpeg reads, but none that makes it read something else than the file."""

from collections import Counter
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from ae.errors import InputError
from ae.media.clips.times import time_of
from ae.media.images import check_pixels

# What names other files, addresses or devices, or is a program: a stranger's file could have them read or run. A plain
# media file, of whatever kind, is no matter of this list.
KEPT_OUT = {
    *("concat", "dash", "hls", "imf", "sdp", "vobsub", "webm_dash_manifest"),  # playlists, and indices of other files
    *("alias_pix", "brender_pix", "image2"),  # numbered files
    *("avisynth", "dvdvideo", "lavfi", "vapoursynth"),  # scripts, discs
}
# Titles may be in any encoding. PyAV 18 would end with an error, later ones always read them so.
TEXT: dict[str, Any] = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
MOST_CHARACTERS = 200  # of what FFmpeg complains about, which may quote the file
ERRORS = (av.error.FFmpegError, OSError, ValueError)


@cache
def allowed_formats() -> str:
    """Return the names of the formats that may be read, as FFmpeg takes them."""
    return ",".join(sorted({name for name in av.formats_available if not _is_kept_out(name)} - KEPT_OUT))


def _is_kept_out(name: str) -> bool:
    """Return whether a format reads what is no file: devices, network."""
    try:
        return has_flag(av.ContainerFormat(name, "r"), av.format.Flags.no_file)
    except ValueError:  # one that is written only
        return True


def has_flag(container_format: Any, flag: av.format.Flags) -> bool:
    """Return whether a format has a flag."""
    return bool(container_format.flags & flag.value)


def open_clip(path: Path, hwaccel: str | None = None) -> Any:
    """Open a clip for reading. Raises InputError, which names the format where there is one, for what cannot be read.

    `hwaccel`: what it is to be decoded with, as FFmpeg names it (see `hardware_error`); by default the CPU.
    """
    try:
        return _open(path, hwaccel)
    except ERRORS as error:
        found = _complaint(path)
        if found and found[1].startswith("Format not on whitelist"):
            what = f"it is in the format {found[0]}, which names other files: give one of those"
        else:
            what = f"{': '.join(found)}: {reason(error)}" if found else reason(error)
        raise InputError(f"{path} cannot be read as a video: {what}") from error


def open_clip_at(path: Path, seconds: Fraction, hwaccel: str | None = None) -> Any:
    """Open a clip, to be read from so many seconds after its beginning on, or from somewhere before.

    Raises as `open_clip` does. Where there is no way to go there, it is read from the beginning.
    """
    container = open_clip(path, hwaccel)
    flags = (av.format.Flags.no_timestamps, av.format.Flags.ts_discont)
    if not seconds or any(has_flag(container.format, flag) for flag in flags):
        return container
    try:
        container.seek(max(container.start_time or 0, 0) + int(seconds * av.time_base))
    except ERRORS:
        container.close()
        return open_clip(path, hwaccel)
    return container


def is_decoded_from(path: Path, seconds: Fraction, most_pixels: int) -> bool:
    """Return whether a clip that is opened at so many seconds has a frame by then; not so where no picture stands alone.

    Raises as `open_clip` and `picture_stream` do.
    """
    with open_clip_at(path, seconds) as container:
        stream = picture_stream(container, path, most_pixels)
        try:
            first = time_of(next(container.decode(stream)))
        except (*ERRORS, StopIteration):
            return False
        return first is not None and first <= seconds + Fraction(max(container.start_time or 0, 0), av.time_base)


def hardware_error(path: Path, hwaccel: str) -> str | None:
    """Return why the pictures of a clip cannot be decoded with a piece of hardware, or None where they can.

    Raises InputError for names of hardware that FFmpeg has not been built for.
    """
    if hwaccel not in (known := hwdevices_available()):
        raise InputError(f"{hwaccel} is no hardware that can decode here: there is {', '.join(known) or 'none'}")
    try:
        with _open(path, hwaccel) as container:
            next(container.decode(video=0))
    except ERRORS as error:
        return reason(error)
    return None


def _open(path: Path, hwaccel: str | None = None) -> Any:
    hardware = HWAccel(hwaccel, allow_software_fallback=False) if hwaccel else None
    options = {"protocol_whitelist": "file", "format_whitelist": allowed_formats()}
    # An absolute path: a name like "concat:..." were a protocol.
    return av.open(str(path.absolute()), options=options, hwaccel=hardware, **TEXT)


def _complaint(path: Path) -> tuple[str, str] | None:
    """Return what FFmpeg says of a file that it cannot open: the format that it takes it for, and what is wrong."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture():  # or it were printed
            _open(path).close()
    except av.error.FFmpegError as error:
        log: Any = error.log  # level, who says it, and what
        return (log[1].strip(), " ".join(log[2].split())[:MOST_CHARACTERS]) if log else None
    except (OSError, ValueError):
        return None
    finally:
        av.logging.set_level(level)
    return None


def picture_stream(container: Any, path: Path, most_pixels: int) -> Any:
    """Return the stream of moving pictures, ready to be decoded. Raises InputError for none, and for one too large."""
    videos = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    for stream in videos:
        if can_decode(stream):
            context = stream.codec_context
            check_pixels(path, context.width * context.height, most_pixels, unit="pixels a frame")
            context.options = {"max_pixels": str(most_pixels)}  # frames may differ from what is claimed
            stream.thread_type = "AUTO"
            return stream
    others = describe_streams(container.streams)
    what = (
        "a video stream, in a coding that is not known"
        if videos
        else f"no video stream{', only ' * bool(others)}{others}"
    )
    raise InputError(f"{path} ({container.format.name}) has {what}")


def readable(metadata: dict[str, str]) -> dict[str, str]:
    """Return metadata with replacement characters for what is no UTF-8."""
    return {_readable(key): _readable(value) for key, value in metadata.items()}


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def can_decode(stream: Any) -> bool:
    """Return whether FFmpeg knows the coding of a stream."""
    try:
        return bool(stream.codec_context and stream.codec_context.name)
    except ValueError:
        return False


def reason(error: Exception) -> str:
    """Return what an error of FFmpeg says, without what else PyAV prints."""
    return getattr(error, "strerror", None) or str(error)


def describe_streams(streams: Any) -> str:
    """Return what streams there are: "2 audio, 1 subtitle"."""
    return ", ".join(f"{number} {kind}" for kind, number in Counter(stream.type for stream in streams).items())
