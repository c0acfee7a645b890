"""Images of the kinds that people have, through reading and writing; all made here."""

import os
import struct
import sys
import zlib
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import tifffile
from clips import colorizer
from images import ICC, cmyk_profile, gray_profile
from PIL import Image, ImageCms, ImageSequence
from PIL.PngImagePlugin import PngInfo

from ae.errors import InputError
from ae.media.images import FORMATS, formats, read_image, write_image
from ae.media.pictures import change_image, colorize_picture

RNG = np.random.default_rng(0)
GRAY = np.uint8(RNG.uniform(60, 200, (5, 7)).repeat(8, 0).repeat(8, 1))  # 40 x 56
RGB = np.stack([GRAY, GRAY // 2, 255 - GRAY], axis=-1)
DEEP = RNG.integers(0, 65536, (20, 32, 3), dtype=np.uint16)
EXIF = Image.Exif()
EXIF[271] = "A maker"
IPTC = b"\x1c\x02\x05\0\3abc"


def save(path, pixels, **options):
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)
    return path


def same(source, target):
    """Writes what is read, and returns what is left out."""
    picture = read_image(source)
    return (*picture.remarks, *write_image(target, picture))


# 16 bits


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".PNG"])
def test_16_bits_are_kept_with_alpha(tmp_path, channels, suffix):
    pixels = RNG.integers(0, 65536, (20, 32, channels), dtype=np.uint16)
    (tmp_path / "in.png").write_bytes(imagecodecs.png_encode(pixels[..., 0] if channels == 1 else pixels))
    assert same(tmp_path / "in.png", tmp_path / f"out{suffix}") == ()
    again = read_image(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(again.joined()[0], pixels)
    assert (again.alpha is None) == (channels in (1, 3))


def test_16_bit_png_keeps_what_belongs_to_it(tmp_path):
    about = PngInfo()
    about.add_text("Title", "A title")
    about.add_text("Comment", "A comment")
    about.add_itxt("XML:com.adobe.xmp", "<x/>")
    save(tmp_path / "8.png", RGB, pnginfo=about, exif=EXIF, icc_profile=ICC, dpi=(600, 600))
    picture = read_image(tmp_path / "8.png")
    (tmp_path / "in.png").write_bytes(imagecodecs.png_encode(DEEP))
    deep = read_image(tmp_path / "in.png")
    deep.info.update(picture.info)
    assert write_image(tmp_path / "out.png", deep) == ()
    again = read_image(tmp_path / "out.png")
    np.testing.assert_array_equal(again.pixels[0], DEEP)
    assert again.info == picture.info
    assert {*again.info} == {"exif", "icc_profile", "dpi", "xmp", "comment", "text"}


def test_16_bits_of_other_formats(tmp_path):
    (tmp_path / "in.ppm").write_bytes(b"P6\n# a remark\n32 20\n65535\n" + DEEP.astype(">u2").tobytes())
    (tmp_path / "in.jp2").write_bytes(imagecodecs.jpeg2k_encode(DEEP, level=0))
    for name in ("in.ppm", "in.jp2"):
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels[0], DEEP)
    (tmp_path / "in.pgm").write_bytes(b"P5 32 20 65535\n" + DEEP[..., 0].astype(">u2").tobytes())
    assert same(tmp_path / "in.pgm", tmp_path / "out.pgm") == ()
    np.testing.assert_array_equal(read_image(tmp_path / "out.pgm").pixels[0, ..., 0], DEEP[..., 0])
    twelve = imagecodecs.jpeg2k_encode(DEEP >> 4, level=0, bitspersample=12)
    (tmp_path / "12.jp2").write_bytes(twelve)
    np.testing.assert_array_equal(read_image(tmp_path / "12.jp2").pixels[0], np.round((DEEP >> 4) / 4095 * 65535))
    for suffix in (".jpg", ".webp", ".jp2", ".bmp"):
        with pytest.raises(InputError, match="16-bit colour .* write a .png or .tif"):
            same(tmp_path / "in.ppm", tmp_path / f"out{suffix}")
    save(tmp_path / "in.sgi", GRAY, bpc=2)
    assert read_image(tmp_path / "in.sgi").remarks == ("its 16 bits are read as 8",)
    (tmp_path / "in.avif").write_bytes(imagecodecs.avif_encode(DEEP >> 6, level=90, bitspersample=10))
    assert read_image(tmp_path / "in.avif").remarks == ("its 10 bits are read as 8",)


def test_heic_of_10_bits_is_said_to_be_read_with_8(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="HEIC needs the extra package pillow-heif")
    heif.from_bytes("RGB;16", (DEEP.shape[1], DEEP.shape[0]), DEEP.tobytes()).save(tmp_path / "in.heic")
    picture = read_image(tmp_path / "in.heic")
    assert picture.remarks == ("its 10 bits are read as 8",)
    assert picture.pixels.shape == (1, *DEEP.shape)


# What belongs to them


def full(path, suffix):
    """An image with all that its format can hold."""
    save(path / "in.png", RGB)
    picture = read_image(path / "in.png")
    picture.info.update(exif=EXIF.tobytes(), icc_profile=ICC, dpi=(300, 300), xmp=b"<x/>", iptc=IPTC, comment=b"Words")
    picture.info["text"] = {"Title": "A title"}
    return write_image(path / f"full{suffix}", picture)


KEPT = {
    ".png": {"exif", "icc_profile", "dpi", "xmp", "comment", "text"},
    ".jpg": {"exif", "icc_profile", "dpi", "xmp", "iptc", "comment"},
    ".jfif": {"exif", "icc_profile", "dpi", "xmp", "iptc", "comment"},
    ".tif": {"exif", "icc_profile", "dpi", "xmp", "iptc"},
    ".webp": {"exif", "icc_profile", "xmp"},
    ".avif": {"exif", "icc_profile", "xmp"},
    ".heic": {"exif", "icc_profile", "xmp"},
    ".gif": {"comment"},
    ".jp2": {"comment"},
    ".bmp": {"dpi"},
    ".ppm": set(),
    ".tga": set(),
}
WORDS = {"exif": "EXIF", "icc_profile": "colour profile", "dpi": "resolution", "xmp": "XMP", "iptc": "IPTC",
         "comment": "comment", "text": "texts"}  # fmt: skip


@pytest.mark.parametrize("suffix", KEPT)
def test_what_a_format_can_hold_is_kept_and_the_rest_named(tmp_path, suffix):
    if suffix == ".heic":
        pytest.importorskip("pillow_heif", reason="HEIC needs the extra package pillow-heif")
    (line,) = full(tmp_path, suffix)
    again = read_image(tmp_path / f"full{suffix}").info
    assert {*again} == KEPT[suffix]
    for key, word in WORDS.items():
        assert (word in line) == (key not in KEPT[suffix])
    if "exif" in again:
        found = Image.Exif()
        found.load(again["exif"])
        assert found[271] == "A maker"
    expected = {"icc_profile": ICC, "xmp": b"<x/>", "iptc": IPTC, "comment": b"Words", "text": {"Title": "A title"}}
    for key in KEPT[suffix] - {"exif"}:
        assert again[key] == (expected[key] if key != "dpi" else pytest.approx((300, 300), rel=1e-3))


def test_comments_of_any_encoding_are_kept(tmp_path):
    for name, comment in (("a.jpg", "Grün".encode()), ("b.jpg", "Grün".encode("latin-1"))):
        save(tmp_path / name, RGB, comment=comment)
        assert same(tmp_path / name, tmp_path / "out.png") == ()
        assert Image.open(tmp_path / "out.png").text["Comment"] == "Grün"


def test_what_is_too_long_for_a_jpeg_is_named(tmp_path):
    picture = read_image(save(tmp_path / "in.png", RGB))
    picture.info.update(xmp=b"x" * 70_000, comment=b"y" * 70_000, icc_profile=ICC)
    assert write_image(tmp_path / "out.jpg", picture) == (".jpg cannot hold XMP, the comment: left out",)
    assert {*read_image(tmp_path / "out.jpg").info} == {"icc_profile"}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_costs_no_picture(tmp_path):
    save(tmp_path / "in.jpg", RGB, exif=b"Exif\0\0II*\0\xff\xff\xff\x7fno directory")
    assert same(tmp_path / "in.jpg", tmp_path / "out.png") in ((), ("its EXIF is damaged and is left out",))


@pytest.mark.parametrize("dpi", [(0, 0), (0, 72), (float("nan"),) * 2, (10**6, 10**6)])
def test_no_resolution_is_none(tmp_path, dpi):
    tifffile.imwrite(tmp_path / "in.tif", RGB, photometric="rgb", metadata=None, resolution=(1, 1))
    with tifffile.TiffFile(tmp_path / "in.tif", mode="r+") as file:
        for tag, value in zip((282, 283), dpi, strict=True):
            file.pages[0].tags[tag].overwrite((0, 0) if value != value else (value, 1))
    assert same(tmp_path / "in.tif", tmp_path / "out.jpg") == ()
    assert "dpi" not in read_image(tmp_path / "in.tif").info


# Colours


def test_cmyk_goes_through_its_profile_or_is_said_to_go_without(tmp_path):
    inks = Image.fromarray(np.dstack([RGB, GRAY]), mode="CMYK")
    save(tmp_path / "in.jpg", inks, quality=100, subsampling=0, icc_profile=cmyk_profile())
    picture = read_image(tmp_path / "in.jpg")
    assert picture.remarks == ("its colours are converted from CMYK to sRGB through its profile",)
    assert "icc_profile" not in picture.info
    with Image.open(tmp_path / "in.jpg") as image:
        expected = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(BytesIO(cmyk_profile())), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        plain = image.convert("RGB")
    assert np.abs(picture.pixels[0].astype(int) - np.asarray(expected)).max() <= 1
    for name, profile in (("a.jpg", {}), ("b.jpg", {"icc_profile": ICC}), ("c.jpg", {"icc_profile": b"nonsense" * 30})):
        save(tmp_path / name, inks, quality=100, subsampling=0, **profile)
        picture = read_image(tmp_path / name)
        assert "without a profile" in picture.remarks[0]
        assert "icc_profile" not in picture.info
        assert np.abs(picture.pixels[0].astype(int) - np.asarray(plain)).max() <= 2


def test_a_profile_of_another_space_is_left_out_and_said(tmp_path):
    save(tmp_path / "in.jpg", RGB, icc_profile=cmyk_profile())
    assert same(tmp_path / "in.jpg", tmp_path / "out.png") == (
        "its profile is of another colour space and is left out",
    )
    assert "icc_profile" not in read_image(tmp_path / "out.png").info


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_gray_with_a_profile_becomes_srgb_where_it_gets_colour(tmp_path, kind):
    pixels = GRAY.astype(kind) * (1 if kind is np.uint8 else 257)
    source = save(tmp_path / "in.png", pixels, icc_profile=gray_profile(1.0))
    assert same(source, tmp_path / "same.png") == ()
    assert read_image(tmp_path / "same.png").info["icc_profile"] == gray_profile(1.0)
    change_image(
        source, tmp_path / "out.png", lambda picture: colorize_picture(picture, colorizer()), log=(said := []).append
    )
    assert said[0] == "in.png: its gray is converted to sRGB"
    again = read_image(tmp_path / "out.png")
    assert "icc_profile" not in again.info
    luma = again.pixels[0] @ np.array([0.299, 0.587, 0.114]) / again.max_value
    linear = GRAY / 255
    assert np.abs(luma - (1.055 * linear ** (1 / 2.4) - 0.055)).max() < 0.01
    damaged = save(tmp_path / "bad.png", GRAY, icc_profile=b"\0" * 16 + b"GRAY" + b"\0" * 108)
    picture = colorize_picture(read_image(damaged), colorizer())
    assert picture.remarks == ("its profile for gray cannot be used and is left out",)
    assert "icc_profile" not in picture.info


# Several pictures, and animations


def frames(count=3):
    return [Image.fromarray(np.roll(RGB, 8 * index, axis=1)) for index in range(count)]


def test_of_a_phone_s_pictures_the_first_is_taken(tmp_path):
    first, *rest = frames()
    first.save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=rest, quality=100, subsampling=0)
    assert same(tmp_path / "in.jpg", tmp_path / "out.png") == ("it has 3 pictures, of which the first is taken",)
    assert np.abs(read_image(tmp_path / "out.png").pixels[0].astype(int) - RGB).max() < 8


@pytest.mark.parametrize("loop", [None, 0, 1, 4])
@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_animations_loop_as_their_source_does(tmp_path, loop, suffix):
    """A GIF without the extension is shown once; with it, once more than it says."""
    first, *rest = frames()
    repeat = {} if loop is None else {"loop": loop}
    first.save(tmp_path / "in.gif", save_all=True, append_images=rest, duration=[50, 100, 150], **repeat)
    same(tmp_path / "in.gif", tmp_path / f"out{suffix}")
    same(tmp_path / f"out{suffix}", tmp_path / "again.gif")
    plays = {None: 1, 0: 0, 1: 2, 4: 5}[loop]
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert image.info.get("loop") == (loop if suffix == ".gif" else plays)
    with Image.open(tmp_path / "again.gif") as image:
        assert image.info.get("loop") == loop
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(image)] == [50, 100, 150]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif"])
def test_other_animations_keep_their_frames_and_times(tmp_path, suffix):
    first, *rest = frames()
    quality = {"lossless": True} if suffix == ".webp" else {}
    first.save(tmp_path / f"in{suffix}", save_all=True, append_images=rest, duration=[50, 100, 150], **quality)
    picture = read_image(tmp_path / f"in{suffix}")
    assert picture.info["duration"] == [50, 100, 150]
    write_image(tmp_path / f"out{suffix}", picture)
    again = read_image(tmp_path / f"out{suffix}")
    assert again.info["duration"] == [50, 100, 150]
    assert again.pixels.shape == (3, *RGB.shape)
    assert np.abs(again.pixels.astype(int) - [np.asarray(frame) for frame in frames()]).mean() < 6


def test_what_shows_where_animations_do_not_is_no_frame(tmp_path):
    cover, *rest = frames(4)
    cover.save(tmp_path / "in.png", save_all=True, append_images=rest, default_image=True, duration=[50, 100, 150])
    picture = read_image(tmp_path / "in.png")
    assert picture.info["duration"] == [50, 100, 150]
    np.testing.assert_array_equal(picture.pixels, [np.asarray(frame) for frame in rest])


def test_what_moves_over_nothing_leaves_no_trace(tmp_path):
    shown = np.zeros((3, 16, 16, 4), np.uint8)
    for index in range(3):
        shown[index, 4:9, 4 * index : 4 * index + 4] = (200, 100, 50, 255)
        shown[index, 5, 4 * index + 1] = 0
    first, *rest = [Image.fromarray(frame) for frame in shown]
    first.save(tmp_path / "in.png", save_all=True, append_images=rest)
    for name in ("a.gif", "b.png", "c.webp"):
        same(tmp_path / "in.png", tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name).alpha, shown[..., 3:])


# Kinds of pixels


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("1", ".png"), ("1", ".tif"), ("1", ".pbm"), ("L", ".jp2"), ("P", ".png"), ("P", ".bmp"), ("LA", ".png"),
     ("RGB", ".tga"),
     ("RGBA", ".tga"), ("RGB", ".pcx"), ("RGB", ".sgi"), ("RGBA", ".ico"), ("RGB", ".dib"), ("RGBA", ".dds"), ("LA", ".jp2"),
     ("RGBA", ".jp2"), ("RGB", ".j2k"), ("RGBX", ".tif"), ("PA", ".tif"), ("I;16", ".png")],
)  # fmt: skip
def test_kinds_of_pixels(tmp_path, mode, suffix):
    """They are read as Pillow converts them to gray or RGB, with the alpha that they have."""
    image = Image.fromarray(RGB).convert("RGBA")
    image.putalpha(Image.fromarray(255 - GRAY))
    steps = {"I;16": ("L", "I;16"), "PA": ("RGB", "P", "PA"), "LA": ("LA",), "RGBA": ()}.get(mode, ("RGB", mode))
    for step in steps:
        image = image.convert(step)
    image.save(tmp_path / f"in{suffix}")
    with Image.open(tmp_path / f"in{suffix}") as opened:
        gray, alpha = opened.mode in ("1", "L", "LA", "I;16"), opened.has_transparency_data
        expected = opened.convert(("LA" if alpha else "L") if gray else "RGBA" if alpha else "RGB")
        if opened.mode == "I;16":
            expected = np.asarray(opened)
    found = read_image(tmp_path / f"in{suffix}").joined()[0]
    np.testing.assert_array_equal(found, np.asarray(expected).reshape(found.shape))


def test_wide_gray(tmp_path):
    save(tmp_path / "f.tif", np.float32(GRAY) / 255)
    assert read_image(tmp_path / "f.tif").pixels.dtype == np.float32
    save(tmp_path / "i.tif", np.int32(GRAY))
    with pytest.raises(InputError, match="with a sign"):
        read_image(tmp_path / "i.tif")


def test_interlaced_png_is_read(tmp_path):
    """Of one row, where interlacing takes every eighth pixel first."""
    row = RNG.integers(0, 255, 8, dtype=np.uint8)
    passes = [row[[0]], row[[4]], row[[2, 6]], row[[1, 3, 5, 7]]]
    data = zlib.compress(b"".join(b"\0" + part.tobytes() for part in passes))
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", struct.pack(">IIBBBBB", 8, 1, 8, 0, 0, 0, 1)), (b"IDAT", data), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    (tmp_path / "in.png").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "in.png").pixels[0, 0, :, 0], row)


# Suffixes


@pytest.mark.parametrize("suffix", [*FORMATS, ".TIF", ".Jpg"])
def test_content_decides_whatever_the_suffix_says(tmp_path, suffix):
    save(tmp_path / f"lies{suffix}", RGB, format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / f"lies{suffix}").pixels[0], RGB)


def test_deep_content_under_another_suffix(tmp_path):
    tifffile.imwrite(tmp_path / "lies.png", DEEP, photometric="rgb")
    (tmp_path / "lies.tif").write_bytes(imagecodecs.png_encode(DEEP))
    for name in ("lies.png", "lies.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels[0], DEEP)


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_each_format_that_is_written_is_read_again(tmp_path, suffix):
    if suffix in formats.HEIF:
        pytest.importorskip("pillow_heif", reason="HEIC needs the extra package pillow-heif")
    picture = read_image(save(tmp_path / "in.png", RGB))
    write_image(tmp_path / f"out{suffix.upper()}", picture)
    again = read_image(tmp_path / f"out{suffix.upper()}").pixels[0]
    assert np.abs(again.astype(int) - RGB).mean() < (20 if suffix == ".gif" else 3)


def test_heic_without_its_package_says_how_to_get_it(tmp_path, monkeypatch):
    Image.init()  # or plugins are registered in what is taken away again
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "OPEN", {key: value for key, value in Image.OPEN.items() if "HEIF" not in key})
    formats.has_heif.cache_clear()
    (tmp_path / "in.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    picture = read_image(save(tmp_path / "in.png", RGB))
    try:
        for do in (lambda: read_image(tmp_path / "in.heic"), lambda: write_image(tmp_path / "out.heic", picture)):
            with pytest.raises(InputError, match=r"pip install pillow-heif"):
                do()
    finally:
        formats.has_heif.cache_clear()


# What cannot be written, or read to its end


@pytest.mark.parametrize(
    ("suffix", "side"), [(".webp", 17000), (".jpg", 65_535), (".gif", 66000), (".avif", 70000), (".tga", 66000)]
)
def test_what_is_too_large_for_a_format_is_one_line(tmp_path, suffix, side):
    picture = read_image(save(tmp_path / "in.png", np.zeros((1, side), np.uint8)))
    with pytest.raises(InputError, match=r"write a \.png"):
        write_image(tmp_path / f"out{suffix}", picture)
    assert os.listdir(tmp_path) == ["in.png"]


@pytest.mark.parametrize(
    "error", [ValueError("no\nway"), struct.error("argument out of range"), OverflowError(), SystemError("x")]
)
def test_whatever_an_encoder_raises_is_one_line(tmp_path, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    picture = read_image(save(tmp_path / "in.png", RGB))
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(InputError, match=r"out.jpg cannot be written: .+") as raised:
        write_image(tmp_path / "out.jpg", picture)
    assert "\n" not in str(raised.value)
    assert os.listdir(tmp_path) == ["in.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".jp2", ".tga", ".gif", ".ppm", "16.png", "16.ppm"])
def test_what_is_cut_short_is_read_as_far_as_it_goes(tmp_path, suffix):
    noise = RNG.integers(0, 255, (200, 100, 3), dtype=np.uint8)
    source = tmp_path / f"in{suffix}"
    if suffix == "16.png":
        noise = noise.astype(np.uint16) * 257
        source.write_bytes(imagecodecs.png_encode(noise))
    elif suffix == "16.ppm":
        noise = noise.astype(np.uint16) * 257
        source.write_bytes(b"P6 100 200 65535\n" + noise.astype(">u2").tobytes())
    else:
        save(source, noise, **({"quality": 95, "subsampling": 0} if suffix == ".jpg" else {}))
    whole = read_image(source)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    lines = []
    with pytest.raises(InputError, match=r"out\.png is without .*, which could not be read"):
        change_image(source, tmp_path / "out.png", lambda picture: picture, log=lines.append)
    assert lines[-1] == str(tmp_path / "out.png")
    found = read_image(tmp_path / "out.png").pixels
    assert found.shape == whole.pixels.shape
    rows = slice(-60, None) if suffix in (".tga", ".bmp") else slice(0, 60)  # which are stored from below
    if suffix != ".jp2":  # which is no sequence of rows
        np.testing.assert_array_equal(found[0, rows], whole.pixels[0, rows])


def test_a_name_alone_is_no_image(tmp_path):
    for name, content in (("a.png", b""), ("b.jpg", b"\xff\xd8\xff"), ("c.tif", b"II*\0"), ("d.heic", b"x")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as an image"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jp2", "a.avif", "a.ppm", "16.png", "a.webp"])
def test_no_format_unfolds_to_more_than_is_allowed(tmp_path, name):
    if name == "16.png":
        (tmp_path / name).write_bytes(imagecodecs.png_encode(DEEP))
    else:
        save(tmp_path / name, np.uint8(DEEP >> 8))
    with pytest.raises(InputError, match="640 pixels, more than the 639 allowed"):
        read_image(tmp_path / name, most_pixels=639)
    read_image(tmp_path / name, most_pixels=640)
