"""Images and animations: read, written, and what belongs to them (alpha, profiles, EXIF, times) kept.

`reading` takes most through Pillow; `png` and `tiff` what has more than 8 bits, which Pillow would cut.
"""

from ae.video.images.formats import FORMATS, SUFFIXES
from ae.video.images.picture import MOST_PIXELS, Picture, check_number, with_pixels
from ae.video.images.profiles import in_srgb
from ae.video.images.reading import read_image
from ae.video.images.writing import check_holds, write_image

__all__ = [
    "FORMATS",
    "MOST_PIXELS",
    "SUFFIXES",
    "Picture",
    "check_holds",
    "check_number",
    "in_srgb",
    "read_image",
    "with_pixels",
    "write_image",
]
