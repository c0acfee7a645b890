import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from conftest import TINY, refused
from PIL import Image
from test_readme import COMMANDS
from test_streamed import same_losses

from ae.data import choose_splits, load_data
from ae.data.photographs import read_photograph, reduced, tiles_of
from ae.data.prepare import download_and_prepare
from ae.data.squares import prepare_squares
from ae.data.streamed import Streamed
from ae.data.tfds import find_prepared
from ae.errors import InputError
from ae.presets import preset
from ae.tasks import Denoise

SIZES = [(20, 30), (17, 16), (40, 25), (16, 16), (33, 19), (16, 48)]  # height, width
TRAINED = replace(
    TINY, task=Denoise(gray=True, crop=8, mirrored=True, turned=True), tile=16, epochs=1, new_noise_each_epoch=True
)


def noise(height, width, channels=3):
    values = np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)
    return values[..., 0] if channels == 1 else values


@pytest.fixture
def folder(tmp_path):
    """Six photographs of noise in three formats and two folders, by name: 0.png, 1.bmp, 2.tif, ..."""
    for number, size in enumerate(SIZES):
        path = tmp_path / "photos" / ("a" if number < 3 else "b") / f"{number}{('.png', '.bmp', '.tif')[number % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(*size)).save(path)
    return tmp_path / "photos"


def config_of(folder, **changes):
    splits = {"train_split": "train[:4]", "validation_split": "train[4:5]", "test_split": "train[5:]"}
    return replace(TRAINED, data=str(folder), **{**splits, **changes})


# Sets that are joined, and squares of photographs.


@pytest.fixture
def photographs(tmp_path):
    """The two sets that squares are cut from, each of so few photographs that one is set aside."""
    for name, count in {"imagenet_samples/train": 4, "bsds500": 3}.items():
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(noise(200, 260 + number)).save(tmp_path / name / f"{name[:4]}{number}.png")
    return tmp_path


def test_squares_are_of_photographs_that_are_not_set_aside(photographs):
    folder = prepare_squares("photo_squares", photographs)
    squares = sorted(path.name for path in (folder / "train").iterdir())
    assert {name.partition("-")[0] for name in squares} == {"imag1", "imag2", "bsds1", "bsds2"}
    assert {name.split("-")[1] for name in squares} == {"96", "128", "192"}
    assert {read_photograph(folder / "train" / name).shape for name in squares} == {(64, 64, 3)}
    assert prepare_squares("photo_squares", photographs) == folder  # which is there already


def test_squares_of_objects_are_nearly_whole_pictures(tmp_path):
    (tmp_path / "caltech").mkdir()
    for number in range(2):
        Image.fromarray(noise(100, 150)).save(tmp_path / "caltech" / f"anchor_{number:04}.jpg")
    squares = prepare_squares("object_squares", tmp_path) / "train"
    assert sorted(path.name for path in squares.iterdir()) == [f"anchor_0001-72-{number}.png" for number in range(4)]


def test_squares_need_the_sets_that_they_are_cut_from(photographs, tmp_path, call):
    (tmp_path / "bsds500").rename(tmp_path / "elsewhere")
    refused(call("prepare.py", "photo_squares", "--data-dir", str(photographs), status=2), "prepare.py bsds500")
    assert not (tmp_path / "photo_squares").exists()


def test_training_images_of_several_sets_are_joined(folder, photographs):
    prepare_squares("photo_squares", photographs)
    config = config_of(
        "photo_squares", tile=0, train_split="train", validation_split="train[:2]", test_split="train[:2]"
    )
    alone = load_data(config, data_dir=photographs)
    joined = load_data(replace(config, data="photo_squares+photo_squares"), data_dir=photographs)
    assert np.array_equal(joined.train.images, np.concatenate([alone.train.images] * 2))
    assert joined.name == "photo_squares+photo_squares"
    assert joined.train.name == "train, train of photo_squares"
    assert len(joined.validation.images) == 2


def test_images_of_another_size_are_a_part_of_their_own(photographs):
    prepare_squares("photo_squares", photographs)
    config = config_of(
        "photo_squares", tile=0, train_split="train", validation_split="train[:2]", test_split="train[:2]"
    )
    data = load_data(replace(config, data="photo_squares+sample-photos+photo_squares"), data_dir=photographs)
    alone = load_data(config, data_dir=photographs)
    assert [split.images.shape[1:3] for split in data.training] == [(64, 64), (32, 32)]
    assert len(data.train.images) == 2 * len(alone.train.images)
    assert [split.name for split in data.training] == ["train, train of photo_squares", "train of sample-photos"]


def test_large_squares_are_of_all_sets(photographs):
    with pytest.raises(InputError, match="prepare.py caltech"):
        prepare_squares("large_squares", photographs)
    (photographs / "caltech").mkdir()
    for number in range(2):
        Image.fromarray(noise(200, 300)).save(photographs / "caltech" / f"anchor_{number:04}.jpg")
    squares = list((prepare_squares("large_squares", photographs) / "train").iterdir())
    assert {path.name.partition("-")[0] for path in squares} == {"imag1", "imag2", "bsds1", "bsds2", "anchor_0001"}
    assert {read_photograph(path).shape for path in squares} == {(96, 96, 3)}


# Tiles.


def test_tiles_are_rows_of_squares_that_cover_the_image():
    image = noise(5, 8)
    tiles = tiles_of(image, 4)
    corners = [(0, 0), (0, 4), (1, 0), (1, 4)]
    assert np.array_equal(tiles, [image[y : y + 4, x : x + 4] for y, x in corners])
    assert len(tiles_of(noise(4, 4), 4)) == 1
    assert np.array_equal(tiles_of(image, 0), image[None])


@pytest.mark.parametrize("size", [(7, 7), (8, 23), (64, 9), (100, 101)])
def test_every_pixel_is_in_a_tile_and_no_tile_is_too_many(size):
    places = np.arange(size[0] * size[1]).reshape(*size, 1)
    tiles = tiles_of(places, 7)
    assert tiles.shape[1:] == (7, 7, 1)
    assert set(tiles.ravel()) == set(places.ravel())
    assert len(tiles) == -(-size[0] // 7) * -(-size[1] // 7)


def test_a_photograph_that_is_smaller_has_no_tiles():
    assert len(tiles_of(noise(1, 1), 2)) == 0
    assert len(tiles_of(noise(20, 6), 7)) == 0


def test_reducing_halves_the_sides_and_keeps_the_mean():
    image = np.kron(noise(10, 8), np.ones((2, 2, 1), np.uint8))
    half = reduced(image, 0.5)
    assert half.shape == (10, 8, 3)
    assert half.mean() == pytest.approx(image.mean(), abs=1)
    assert reduced(noise(1, 1), 0.1).shape == (1, 1, 3)
    assert reduced(image, 1.0) is image


# Splits.


def test_splits_are_of_whole_photographs(folder):
    data = load_data(config_of(folder))
    counts = [4, 2, 6, 1, 6, 3]  # of tiles, by hand
    assert [len(split.images) for split in data[2:5]] == [sum(counts[:4]), counts[4], counts[5]]
    assert [split.start for split in data[2:5]] == [0, sum(counts[:4]), sum(counts[:5])]
    for split, numbers in zip(data[2:5], (range(4), [4], [5]), strict=True):
        expected = [tiles_of(noise(*SIZES[number]), 16) for number in numbers]
        assert np.array_equal(split.images, np.concatenate(expected))
        assert split.images.dtype == np.uint8


def test_shares_of_photographs_are_percents(folder):
    config = config_of(folder, train_split="train[:50%]", validation_split="train[50%:67%]", test_split="train[67%:]")
    assert [len(split.images) for split in load_data(config)[2:5]] == [12, 1, 9]


def test_the_limit_counts_tiles(folder):
    data = load_data(config_of(folder, limit=3))
    assert [len(split.images) for split in data[2:5]] == [3, 3, 3]
    assert [split.name for split in data[2:5]] == ["train[:4][:3]", "train[4:5][:3]", "train[5:]"]


def test_subfolders_are_source_splits(folder):
    for name, target in (("a", "train"), ("b", "validation")):
        (folder / name).rename(folder / target)
    config = config_of(folder, train_split="train", validation_split="validation", test_split="validation[1:]")
    data = load_data(config)
    assert [len(split.images) for split in data[2:5]] == [12, 10, 9]
    assert data.train.noise_id != data.validation.noise_id
    with pytest.raises(InputError, match=r"no split 'test' in .*photos; there are train, validation"):
        load_data(replace(config, test_split="test"))


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        ((), ("train[:80%]", "train[80%:90%]", "train[90%:]")),
        (("train", "validation"), ("train[:90%]", "validation", "train[90%:]")),
        (("train", "test"), ("train[:90%]", "train[90%:]", "test")),
        (("train", "validation", "test"), ("train", "validation", "test")),
    ],
)
def test_a_preset_takes_the_splits_that_a_folder_has(tmp_path, names, splits):
    for name in names or [""]:
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(noise(8, 8)).save(tmp_path / "photos" / name / "1.png")
    mnist = preset("unet_denoiser")
    config = choose_splits(replace(mnist, data=str(tmp_path / "photos")), mnist)
    assert (config.train_split, config.validation_split, config.test_split) == splits
    asked = replace(mnist, data=str(tmp_path / "photos"), train_split="train[:3]")
    assert choose_splits(asked, mnist) == replace(asked, reference_split=None)
    assert choose_splits(mnist, mnist) == mnist


# The cache.


def test_tiles_are_cut_once(folder, cache_dir, monkeypatch, capsys):
    config = config_of(folder)
    before = load_data(config)
    (path,) = (cache_dir / "ae/data").iterdir()
    assert re.fullmatch(r"photos-train-[0-9a-f]{8}-16-1-[0-9a-f]{8}.npy", path.name)
    assert np.array_equal(np.load(path)[:13], before.train.images)
    with monkeypatch.context() as patch:
        patch.setattr("ae.data.photographs.read_photograph", None)
        again = load_data(config)
    assert all(np.array_equal(a.images, b.images) for a, b in zip(before[2:5], again[2:5], strict=True))
    path.write_bytes(path.read_bytes()[:-3])
    assert np.array_equal(load_data(config).train.images, before.train.images)
    assert "is damaged: decoding photos-train again" in capsys.readouterr().err


def test_other_photographs_and_other_tiles_are_cut_anew(folder):
    config = config_of(folder)
    version = load_data(config).version
    assert load_data(replace(config, tile=8)).train.images.shape[1:] == (8, 8, 3)
    assert load_data(replace(config, tile=8, scale=0.5)).train.images.shape[1:] == (8, 8, 3)
    Image.fromarray(255 - noise(20, 31)).save(folder / "a/0.png")
    changed = load_data(config)
    assert changed.version != version
    assert np.array_equal(changed.train.images[0], 255 - noise(20, 31)[:16, :16])


def test_an_interrupted_cut_leaves_nothing(folder, cache_dir, monkeypatch):
    def interrupted(path):
        if path.name == "3.png":
            raise KeyboardInterrupt
        return read_photograph(path)

    monkeypatch.setattr("ae.data.photographs.read_photograph", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_data(config_of(folder))
    assert list((cache_dir / "ae/data").iterdir()) == []


def test_an_unwritable_cache_is_done_without(folder, cache_dir, capsys):
    expected = load_data(config_of(folder)).train.images.copy()
    (cache_dir / "ae/data").rename(cache_dir / "moved")
    (cache_dir / "ae/data").write_text("a file where the folder should be")
    assert np.array_equal(load_data(config_of(folder)).train.images, expected)
    assert "the next start will decode again" in capsys.readouterr().err


# Bad input.


def test_damaged_and_small_photographs_are_skipped_and_counted(folder, capsys):
    damaged, cut_short = folder / "a/damaged.jpg", folder / "b/short.png"
    damaged.write_bytes(b"\xff\xd8\xff\xe0 no photograph")
    Image.fromarray(noise(64, 64)).save(cut_short)
    cut_short.write_bytes(cut_short.read_bytes()[:6000])
    Image.fromarray(noise(1, 1)).save(folder / "b/one.png")
    tifffile.imwrite(folder / "b/nan.tif", np.full((20, 20), np.nan, np.float32))
    data = load_data(config_of(folder, train_split="train", validation_split="train", test_split="train"))
    assert len(data.train.images) == 22
    said = capsys.readouterr().err
    for path in (damaged, cut_short, folder / "b/nan.tif"):
        assert str(path) in said
    assert "photos-train: 4 of 10 photographs are left out" in said
    load_data(config_of(folder))
    assert "4 of 10" in capsys.readouterr().err


def test_gray_photographs_and_those_of_16_bits_are_made_rgb_of_8(tmp_path):
    gray, deep = noise(16, 16, 1), np.random.default_rng(0).integers(0, 65536, (16, 16, 3), np.uint16)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb")
    tifffile.imwrite(tmp_path / "float.tif", gray / np.float32(255))
    Image.fromarray(np.dstack([noise(16, 16), gray])).save(tmp_path / "alpha.png")
    assert np.array_equal(read_photograph(tmp_path / "gray.png"), np.dstack([gray] * 3))
    assert np.array_equal(read_photograph(tmp_path / "deep.tif"), np.round(deep / 257).astype(np.uint8))
    assert np.array_equal(read_photograph(tmp_path / "float.tif"), np.dstack([gray] * 3))
    assert np.array_equal(read_photograph(tmp_path / "alpha.png"), noise(16, 16))


def test_photographs_that_cannot_be_trained_on_are_refused_in_a_line(folder, tmp_path, call):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("no photograph")
    command = ("train.py", "unet_denoiser", "--data")
    refused(call(*command, "empty", status=2), "empty holds no photographs")
    refused(call(*command, "./none", status=2), "there is no folder ./none")
    refused(call(*command, "bsds500", "--data-dir", ".", status=2), "scripts/prepare.py bsds500")
    refused(call(*command, "photos", status=2), "has images of 20x30 and of 17x16: --tile 64")
    done = call(*command, "photos", "--tile", "64", status=2)
    refused(done, "photos-train has no photograph to train on", "64x64")
    # A model that takes one channel, and colours; a crop of more than the tile.
    command = (*command, "photos", "--tile", "16", "--test-split", "train", "--validation-split", "train")
    refused(call(*command, "--train-split", "train", status=2), "expected images [B, H, W, 1], got (1, 16, 16, 3)")
    crop = ("--task.gray", "--task.crop", "20", "--train-split", "train")
    refused(call(*command, *crop, status=2), "crop=20", "16x16")


@pytest.mark.parametrize("place", ["imagenet_samples/test", "imagenet_samples", "set12", "polyu"])
def test_what_is_for_tests_alone_is_not_trained_on(folder, tmp_path, call, place):
    target = tmp_path / ("imagenet_samples/test" if "samples" in place else place)
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)
    split = ("--train-split", "test") if place == "imagenet_samples" else ()
    command = ("train.py", "unet_denoiser", "--data-dir", ".", "--tile", "16", "--task.gray", *split, "--data")
    refused(call(*command, f"./{place}", status=2), "is for tests alone")
    refused(call(*command, place, status=2), "is for tests alone")


# Training.


@pytest.mark.usefixtures("optimized")
def test_resident_and_streamed_tiles_train_alike(folder):
    config = replace(config_of(folder), epochs=2)
    resident, streamed = load_data(config), load_data(config, resident_bytes=0)
    assert isinstance(streamed.train.images, Streamed)
    assert np.array_equal(streamed.train.images[:], resident.train.images)
    same_losses(config, resident, streamed)


@pytest.mark.parametrize("place", ["photos", pytest.param("bsds500", marks=pytest.mark.slow)])
def test_the_guides_commands_train_on_photographs(tmp_path, call, monkeypatch, place):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    (tmp_path / place).mkdir()
    for number in range(40):
        Image.fromarray(noise(130 + number % 10, 150)).save(tmp_path / place / f"{number:02}.png")
    (command,) = [line for line in COMMANDS if f"--data {place}" in line]
    small = ("--model.widths", "4", "8", "--epochs", "1", "--limit", "16")
    done = call("train.py", *command.split()[2:], *small)
    learnt, chosen = ("train[32:]", "train[:32]") if place == "bsds500" else ("train[:80%]", "train[80%:90%]")
    assert f"training on 16 images of {learnt}" in done.stdout
    assert f"on {chosen}" in done.stdout
    assert ("choose the epoch" in done.stdout) == (place == "bsds500")  # elsewhere no photograph is in two splits
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name == ("photo_denoiser_base" if place == "bsds500" else f"photo_denoiser_base-{place}")
    evaluated = call("evaluate.py", str(run))
    assert "photo_denoiser" in evaluated.stdout


# Data sets of tfds, whose own builders are run on a few images of noise.


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Folder of what the archives of imagenette, oxford_iiit_pet and div2k hold, with ten images a split."""
    from tensorflow_datasets.core.download import DownloadManager

    raw = tmp_path / "raw"

    def save(path, height, width):
        (raw / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(height, width)).save(raw / path)

    def extracted(manager, urls):
        if not isinstance(urls, dict):
            return raw
        return {name: raw / name if name.endswith("lr_url") else raw for name in urls}

    for number in range(10):
        for split in ("train", "val"):
            save(f"imagenette2/{split}/n01440764/{number}.JPEG", 20 + number, 17)
        for split in ("train", "valid"):
            save(f"{split}_lr_url/{number:04d}x2.png", 10, 10)
            save(f"DIV2K_{split}_HR/{number:04d}.png", 20 + number, 20)
        name = "beagle_116" if number == 0 else f"pug_{number}"  # of the first, the builder mends the JPEG
        save(f"images/{name}.jpg", 20 + number, 30)
        save(f"annotations/trimaps/{name}.png", 20 + number, 30)
        for split in ("trainval", "test"):
            with (raw / f"annotations/{split}.txt").open("a") as file:
                file.write(f"{name} 5 2 1\n")
    monkeypatch.setattr(DownloadManager, "download_and_extract", extracted)
    monkeypatch.setattr("requests.head", lambda url, **kwargs: None)
    return raw


@pytest.mark.parametrize(("name", "feature"), [("imagenette", "image"), ("oxford_iiit_pet", "image"), ("div2k", "hr")])
def test_tfds_own_builders_run_without_tensorflow(archives, tmp_path, name, feature):
    start = preset("photo_denoiser_base", data=name, tile=16)
    config = choose_splits(start, preset("photo_denoiser_base"), data_dir=tmp_path / "tfds")
    assert "tensorflow" not in sys.modules
    found = find_prepared(name, tmp_path / "tfds")
    assert (found.feature, found.shape) == (feature, None)
    data = load_data(replace(config, train_split="train", limit=None), data_dir=tmp_path / "tfds")
    sizes = {"imagenette": 17, "oxford_iiit_pet": 30, "div2k": 20}
    images = [noise(20 + number, sizes[name]) for number in range(10)]
    assert len(data.train.images) == sum(len(tiles_of(image, 16)) for image in images)
    if name == "div2k":  # the others' are JPEGs; records are shuffled
        expected = {tile.tobytes() for image in images for tile in tiles_of(image, 16)}
        assert {tile.tobytes() for tile in data.train.images} == expected


def test_what_tfds_cannot_prepare_here_is_said_in_a_line(small_mnist, tmp_path, monkeypatch):
    """Fashion-MNIST's builder gives arrays, which TensorFlow would encode."""
    from tensorflow_datasets.core.download import DownloadManager
    from tensorflow_datasets.image_classification import mnist

    files = {"data": tmp_path / "images", "labels": tmp_path / "labels"}
    paths = {f"{split}_{part}": path for split in ("train", "test") for part, path in files.items()}
    monkeypatch.setattr(DownloadManager, "download_and_extract", lambda self, urls: paths)
    monkeypatch.setattr("requests.head", lambda url, **kwargs: None)
    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", 25)
    with pytest.raises(
        InputError, match=r"fashion_mnist cannot be prepared without TensorFlow: .*its folder: --data-dir"
    ):
        download_and_prepare("fashion_mnist", tmp_path / "tfds")
    assert find_prepared("fashion_mnist", tmp_path / "tfds") is None


def test_a_data_set_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="squad holds no images: its records have id, title"):
        load_data(replace(TRAINED, data="squad"), data_dir=tmp_path)
    folder = tmp_path / "texts/1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"fileFormat": "array_record", "splits": []}))
    (folder / "features.json").write_text(json.dumps({"featuresDict": {"features": {"text": {"text": {}}}}}))
    with pytest.raises(InputError, match=r"texts/1.0.0 holds no images: its records have text"):
        load_data(replace(TRAINED, data="texts"), data_dir=tmp_path)


def test_a_configuration_is_named_where_there_are_several(tmp_path):
    for name in ("bicubic_x2", "bicubic_x4"):
        (tmp_path / "div2k" / name / "2.0.0").mkdir(parents=True)
        (tmp_path / "div2k" / name / "2.0.0/dataset_info.json").write_text('{"fileFormat": "array_record"}')
    with pytest.raises(InputError, match="div2k has several configurations: div2k/bicubic_x2, div2k/bicubic_x4"):
        find_prepared("div2k", tmp_path)
    assert find_prepared("div2k/bicubic_x4", tmp_path).folder == tmp_path / "div2k/bicubic_x4/2.0.0"
