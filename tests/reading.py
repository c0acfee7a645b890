"""What tests of reading clips share."""

from itertools import pairwise

import av
from clips import colorizer, decoded

from ae.media.clips.conversions import colorize_clip
from ae.media.clips.formats import TEXT
from ae.media.clips.reading import Clip
from ae.media.clips.settings import ClipSettings
from ae.runtime.chain import Frame

LOSSLESS = {"libx264": {"qp": "0", "preset": "ultrafast"}}


def colorized(source, target, **settings):
    """The frames that were written, their times, and all lines that were said."""
    lines = []
    report = colorize_clip(
        source, target, colorizer(pixels=512), ClipSettings(batch_size=4, **settings), log=lines.append
    )
    return report, lines, *decoded(target)


def frames_of(path, **settings):
    """All frames that are read, and the clip."""
    clip = Clip(path, ClipSettings(**settings))
    return [item for item in clip if isinstance(item, Frame)], clip


def plainly_decoded(path):
    """How many frames PyAV decodes of all packets."""
    with av.open(str(path), **TEXT) as container:
        return sum(1 for _ in container.decode(video=0))


def grow(times, least=0):
    return all(after - before > least for before, after in pairwise(times))


def joined(target, *parts):
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target
