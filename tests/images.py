"""What pictures that tests make need."""

import struct

import numpy as np
from PIL import ImageCms

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def s15(*values):
    """Numbers as ICC profiles hold them."""
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(space, tags, connection=b"Lab "):
    """An ICC profile (version 2) for printers or displays of a colour space, with these tags."""
    table, data, place = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content
    size = place + len(data)
    head = struct.pack(">I4xI4s4s4s", size, 0x02100000, b"prtr", space, connection) + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + s15(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def cmyk_profile():
    """Inks on paper: L* falls with black and each colour, a* and b* are those of cyan, magenta and yellow, roughly."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), axis=-1).reshape(-1, 4)  # black varies fastest
    light = (
        100
        * (1 - 0.9 * corners[:, 3])
        * (1 - 0.45 * corners[:, 0])
        * (1 - 0.5 * corners[:, 1])
        * (1 - 0.1 * corners[:, 2])
    )
    bright = 1 - corners[:, 3]
    a = bright * (-37 * corners[:, 0] + 74 * corners[:, 1] - 5 * corners[:, 2])
    b = bright * (-50 * corners[:, 0] - 3 * corners[:, 1] + 93 * corners[:, 2])
    codes = np.stack([light * 652.8, (a + 128) * 256, (b + 128) * 256], axis=-1)
    line = struct.pack(">HH", 0, 65535)
    lut = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">HH", 2, 2)
    lut += line * 4 + np.clip(codes, 0, 65535).astype(">u2").tobytes() + line * 3
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(4 + 4 + 2 + 1 + 67)
    white = b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249)
    return profile(b"CMYK", {b"desc": text, b"wtpt": white, b"A2B0": lut})


def gray_profile(gamma=1.0):
    """Of a gray whose light is its value to this power."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    white = b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249)
    return profile(b"GRAY", {b"wtpt": white, b"kTRC": curve}, b"XYZ ")
