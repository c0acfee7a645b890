"""TIFF of the kinds that scanners, cameras and science write; all made here."""

import numpy as np
import pytest
import tifffile
from images import ICC, cmyk_profile
from PIL import Image

from ae.errors import InputError
from ae.media.images import read_image, write_image

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 65536, (20, 32), dtype=np.uint16)
RGB = RNG.integers(0, 65536, (20, 32, 3), dtype=np.uint16)


def made(path, pixels, **options):
    tifffile.imwrite(path, pixels, **{"metadata": None, "software": False, **options})
    return path


def packed(path, values, bits):
    """A TIFF of so many bits a pixel, of which a row fills whole bytes."""
    places = np.arange(bits)[::-1]
    rows = np.packbits((values[..., None] >> places & 1).reshape(len(values), -1).astype(np.uint8), axis=1)
    made(path, rows, photometric="minisblack")
    for tag, value in ((256, values.shape[1]), (258, bits)):
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[0].tags[tag].overwrite(value)
    return path


def pixels_of(path):
    return read_image(path).pixels[0]


@pytest.mark.parametrize(
    "options",
    [
        *({"compression": name} for name in ("lzw", "zlib", "zstd", "packbits", "lzma", "jpegxl", "jpeg2000")),
        {"compression": "lzw", "predictor": True},
        {"planarconfig": "separate", "compression": "lzw"},
        {"tile": (16, 16), "compression": "zlib"},
        {"tile": (16, 16), "planarconfig": "separate"},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "lzw", "predictor": True},
        {"bigtiff": True},
        {"rowsperstrip": 3, "compression": "packbits"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_16_bits_however_they_are_stored(tmp_path, options):
    stored = np.moveaxis(RGB, -1, 0) if options.get("planarconfig") == "separate" else RGB
    source = made(tmp_path / "in.tif", np.ascontiguousarray(stored), photometric="rgb", **options)
    np.testing.assert_array_equal(pixels_of(source), RGB)


def test_16_bits_of_which_zero_is_white(tmp_path):
    source = made(tmp_path / "in.tif", GRAY, photometric="miniswhite")
    np.testing.assert_array_equal(pixels_of(source)[..., 0], 65535 - GRAY)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_stored_turned_is_read_upright(tmp_path, kind, orientation):
    """As Pillow does, with pictures of 8 bits and a tag of EXIF."""
    small = np.uint8(RGB >> 8)
    pixels = small / np.float32(255) if kind is np.float32 else small.astype(kind) * (257 if kind is np.uint16 else 1)
    tag = [(274, "H", 1, orientation, True)]
    source = made(
        tmp_path / "in.tif", pixels, photometric="rgb", extratags=tag, resolution=(600, 300), resolutionunit=2
    )
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(small).save(tmp_path / "in.png", exif=exif)
    picture = read_image(source)
    found = picture.pixels * (255 if kind is np.float32 else 1) // (257 if kind is np.uint16 else 1)
    np.testing.assert_allclose(found, read_image(tmp_path / "in.png").pixels, atol=1e-3)
    assert picture.info["dpi"] == ((300, 600) if orientation > 4 else (600, 300))


def test_resolution_and_tags_stay(tmp_path):
    exif = Image.Exif()
    exif[315], exif[34665], exif[34853] = "An artist", {33434: 0.25, 36867: "2020:02:02 02:02:02"}, {1: "N"}
    Image.fromarray(np.uint8(RGB >> 8)).save(
        tmp_path / "in.jpg", exif=exif, dpi=(600, 600), icc_profile=ICC, xmp=b"<x/>"
    )
    info = read_image(tmp_path / "in.jpg").info
    source = made(tmp_path / "plain.tif", RGB, photometric="rgb")
    picture = read_image(source)
    picture.info.update(info, iptc=b"\x1c\x02\x05\0\1a")
    for deep in (False, True):
        if not deep:
            picture.info.clear()
            picture = read_image(tmp_path / "in.jpg")
            picture.info["iptc"] = b"\x1c\x02\x05\0\1a"
        assert write_image(tmp_path / "out.tif", picture) == ()
        again = read_image(tmp_path / "out.tif").info
        found = Image.Exif()
        found.load(again.pop("exif"))
        assert (found[315], found.get_ifd(34665)[36867], found.get_ifd(34853)[1]) == (
            "An artist",
            "2020:02:02 02:02:02",
            "N",
        )
        assert float(found.get_ifd(34665)[33434]) == 0.25
        assert again == {"dpi": (600, 600), "icc_profile": ICC, "xmp": b"<x/>", "iptc": b"\x1c\x02\x05\0\1a"}


def test_of_several_pages_the_first_is_taken(tmp_path):
    source = made(tmp_path / "in.tif", np.stack([GRAY, GRAY // 2]), photometric="minisblack")
    picture = read_image(source, most_pixels=GRAY.size)
    np.testing.assert_array_equal(picture.pixels[0, ..., 0], GRAY)
    assert picture.remarks == ("it has 2 pages, of which the first is taken",)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_stay_floats_in_a_tiff(tmp_path, kind):
    values = RNG.random((20, 32, 3)).astype(kind)
    picture = read_image(made(tmp_path / "in.tif", values, photometric="rgb"))
    assert write_image(tmp_path / "out.tif", picture) == ()
    np.testing.assert_array_equal(pixels_of(tmp_path / "out.tif"), np.float32(values))
    assert write_image(tmp_path / "out.png", picture) == ("its floats are written with 16 bits",)
    np.testing.assert_array_equal(pixels_of(tmp_path / "out.png"), np.round(np.float32(values) * 65535))


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.5, np.inf])
def test_floats_that_are_no_shades_are_refused(tmp_path, wrong):
    values = np.full((20, 32), 0.5, np.float32)
    values[3, 4] = wrong
    with pytest.raises(InputError, match="floats have to lie in"):
        read_image(made(tmp_path / "in.tif", values))


def test_other_numbers(tmp_path):
    wide = GRAY.astype(np.uint32) * 65537
    picture = read_image(made(tmp_path / "32.tif", wide))
    np.testing.assert_array_equal(picture.pixels[0, ..., 0], GRAY)
    assert picture.remarks == ("its 32 bits are cut to 16",)
    twelve = packed(tmp_path / "12.tif", GRAY >> 4, 12)
    np.testing.assert_array_equal(pixels_of(twelve)[..., 0], np.round((GRAY >> 4) / 4095 * 65535))
    with pytest.raises(InputError, match="numbers with a sign"):
        read_image(made(tmp_path / "signed.tif", GRAY.astype(np.int16)))
    with pytest.raises(InputError, match="20 channels, which are not read"):
        read_image(
            made(
                tmp_path / "many.tif", np.zeros((4, 4, 20), np.uint16), photometric="minisblack", planarconfig="contig"
            )
        )
    with pytest.raises(InputError, match="not read"):
        read_image(made(tmp_path / "volume.tif", np.zeros((16, 16, 16), np.uint16), volumetric=True, tile=(16, 16, 16)))


def test_palettes_have_16_bits(tmp_path):
    index = np.uint16(GRAY % 256)
    colours = RNG.integers(0, 65536, (3, 65536), dtype=np.uint16)
    source = made(tmp_path / "in.tif", index, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(pixels_of(source), np.moveaxis(colours[:, index], 0, -1))


def test_alpha_premultiplied_or_not(tmp_path):
    alpha = RNG.integers(1000, 65536, (20, 32, 1), dtype=np.uint16)
    straight = made(tmp_path / "a.tif", np.dstack([RGB, alpha]), photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(pixels_of(straight), RGB)
    np.testing.assert_array_equal(read_image(straight).alpha[0], alpha)
    times = np.uint16(np.round(RGB / 65535 * alpha))
    multiplied = made(tmp_path / "b.tif", np.dstack([times, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    assert np.abs(pixels_of(multiplied).astype(int) - RGB).max() <= 0.5 * 65535 / 1000 + 1
    unknown = made(tmp_path / "c.tif", np.dstack([RGB, alpha]), photometric="rgb", extrasamples=["unspecified"])
    assert read_image(unknown).alpha is None
    assert "left out" in read_image(unknown).remarks[0]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_cmyk_goes_through_its_profile(tmp_path, kind):
    full = np.iinfo(kind).max
    inks = (RNG.random((20, 32, 4)) * full).astype(kind)
    inks[0, 0], inks[0, 1] = 0, (0, 0, 0, full)
    plain = read_image(made(tmp_path / "a.tif", inks, photometric="separated"))
    expected = (1 - inks[..., :3] / full) * (1 - inks[..., 3:] / full) * full
    assert plain.pixels.dtype == kind
    assert np.abs(plain.pixels[0] - expected).max() <= 1
    assert "without a profile" in plain.remarks[0]
    picture = read_image(made(tmp_path / "b.tif", inks, photometric="separated", iccprofile=cmyk_profile()))
    assert "through its profile" in picture.remarks[0]
    assert "icc_profile" not in picture.info
    assert np.abs(picture.pixels[0, 0, 0].astype(int) - full).max() <= 0.01 * full  # paper is white
    assert picture.pixels[0, 0, 1].max() < 0.3 * full
    assert np.abs(picture.pixels[0] - expected).mean() > 0.01 * full


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_lab_becomes_srgb(tmp_path, kind):
    lab = np.zeros((16, 16, 3), kind)
    unit = 1 if kind is np.uint8 else 256  # of a* and b*, which have a sign
    lab[:8, :, 0] = np.iinfo(kind).max // 2
    lab[8:] = np.round([54.3 / 100 * np.iinfo(kind).max, 80.8 * unit, 69.9 * unit])  # red
    picture = read_image(made(tmp_path / "in.tif", lab, photometric="cielab"))
    scale = np.iinfo(kind).max / 255
    np.testing.assert_allclose(picture.pixels[0, 0, 0] / scale, [119, 119, 119], atol=1)
    np.testing.assert_allclose(picture.pixels[0, 9, 0] / scale, [255, 0, 0], atol=8)


def test_few_bits_and_ycbcr(tmp_path):
    """Those that Pillow reads, or tifffile where it does not."""
    shades = np.uint8(np.arange(16).repeat(16).reshape(16, 16))
    for bits in (2, 4):
        small = np.uint8(shades % 2**bits)
        source = packed(tmp_path / f"{bits}.tif", small, bits)
        np.testing.assert_array_equal(pixels_of(source)[..., 0], np.round(small * 255.0 / (2**bits - 1)))
    smooth = np.uint8(np.stack(np.mgrid[0:16, 0:16], axis=-1).repeat(2, -1)[..., :3] * 8 + 60)
    for options in ({}, {"tile": (16, 16)}):
        source = made(
            tmp_path / "jpeg.tif",
            smooth,
            photometric="rgb",
            compression="jpeg",
            compressionargs={"level": 95},
            **options,
        )
        assert np.abs(pixels_of(source).astype(int) - smooth).max() < 12
    bilevel = made(tmp_path / "1.tif", shades % 2 == 1, photometric="miniswhite")
    np.testing.assert_array_equal(pixels_of(bilevel)[..., 0], 255 * (1 - shades % 2))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_strips_that_are_missing_are_said_and_the_others_read(tmp_path, kind, compression):
    pixels = RGB.astype(kind)
    source = made(tmp_path / "in.tif", pixels, photometric="rgb", compression=compression, rowsperstrip=2)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 2 // 3])
    picture = read_image(source)
    assert "strips" in picture.lost[0]
    np.testing.assert_array_equal(picture.pixels[0, :10], pixels[:10])
    assert picture.pixels[0, -2:].max() == 0


def test_bombs_are_refused(tmp_path):
    for name, options in (("a.tif", {}), ("b.tif", {"photometric": "miniswhite", "compression": "zlib"})):
        source = made(tmp_path / name, GRAY, **options)
        with pytest.raises(InputError, match="640 pixels, more than the 639 allowed"):
            read_image(source, most_pixels=639)
