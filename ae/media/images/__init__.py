"""Images and animations: read, written, and what belongs to them (alpha, profiles, EXIF, times) kept.

`reading` takes most through Pillow; `deep` and `tiff` what has more than 8 bits, which Pillow would cut.
"""

from ae.media.images.formats import FORMATS, SUFFIXES
from ae.media.images.picture import MOST_PIXELS, Picture, check_pixels, with_pixels
from ae.media.images.profiles import in_srgb
from ae.media.images.reading import read_image
from ae.media.images.writing import check_holds, write_image

__all__ = [
    "FORMATS",
    "MOST_PIXELS",
    "SUFFIXES",
    "Picture",
    "check_holds",
    "check_pixels",
    "in_srgb",
    "read_image",
    "with_pixels",
    "write_image",
]
