import json
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ae.data import load_data
from ae.data.samples import _crops
from ae.data.tfds import _find
from ae.errors import InputError
from ae.presets import preset


@pytest.mark.usefixtures("decoded")
def test_mnist_is_the_references(tfds_dir):
    loaded = load_data(preset("conv_ae"), data_dir=tfds_dir)
    assert (loaded.name, loaded.version) == ("mnist", "3.0.1")
    assert [split.name for split in loaded[2:5]] == ["train", "test[:9000]", "test"]
    assert [split.images.shape for split in loaded[2:5]] == [(n, 28, 28, 1) for n in (60_000, 9_000, 10_000)]
    assert loaded.train.images.dtype == np.uint8
    assert loaded.train.images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)  # a well-known figure
    began = time.perf_counter()
    again = load_data(preset("conv_ae"), data_dir=tfds_dir)
    assert time.perf_counter() - began < 2
    assert all(np.array_equal(a.images, b.images) for a, b in zip(loaded[2:5], again[2:5], strict=True))


@pytest.mark.usefixtures("decoded")
def test_splits_are_cut_where_they_say(tfds_dir):
    config = replace(preset("conv_ae"), train_split="test[9000:]", validation_split="test[:9000]", limit=50)
    loaded = load_data(config, data_dir=tfds_dir)
    assert (loaded.train.name, loaded.train.start) == ("test[9000:9050]", 9000)
    assert (loaded.validation.name, loaded.validation.start) == ("test[:50]", 0)
    assert loaded.train.noise_id == loaded.validation.noise_id
    whole = load_data(replace(config, limit=None, test_split="test"), data_dir=tfds_dir)
    assert len(whole.train.images) == 1000
    assert np.array_equal(whole.train.images, whole.test.images[9000:])


@pytest.fixture
def quickly_decoded(monkeypatch):
    """For tests of the cache: decoding takes no time, and gives noise."""
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28, 1), np.uint8)
    monkeypatch.setattr("ae.data.tfds._decode", lambda prepared, source: iter([images.copy()]))


@pytest.mark.usefixtures("quickly_decoded")
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_cache_is_made_anew(tfds_dir, cache_dir, capsys, damage):
    config = replace(preset("conv_ae"), train_split="test", validation_split="test")
    intact = load_data(config, data_dir=tfds_dir).test.images.copy()
    (path,) = (cache_dir / "ae/data").glob("*.npy")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"truncate": content[:-1000], "flip": content, "empty": b""}[damage])
    assert np.array_equal(load_data(config, data_dir=tfds_dir).test.images, intact)
    assert "is damaged: decoding mnist again" in capsys.readouterr().err
    load_data(config, data_dir=tfds_dir)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("quickly_decoded")
def test_an_unwritable_cache_is_done_without(tfds_dir, cache_dir, capsys):
    cache_dir.write_text("a file where the folder should be")
    config = replace(preset("conv_ae"), train_split="test", validation_split="test")
    assert len(load_data(config, data_dir=tfds_dir).test.images) == 100
    assert "the next start will decode again" in capsys.readouterr().err


def test_damaged_records_are_reported(tfds_dir, tmp_path):
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    for path in (tfds_dir / "mnist/3.0.1").iterdir():
        (folder / path.name).write_bytes(path.read_bytes()[: 200_000 if "array_record" in path.name else None])
    with pytest.raises(InputError, match=r"cannot read test of .*mnist/3.0.1"):
        load_data(preset("conv_ae"), data_dir=tmp_path)


def test_sample_data_needs_nothing():
    digits, photos = (load_data(preset(name)) for name in ("conv_ae_quick", "colorizer_ae_quick"))
    assert digits.train.images.shape == (1280, 28, 28, 1)
    assert photos.train.images.shape[1:] == (32, 32, 3)
    for split in (*digits[2:5], *photos[2:5]):
        assert split.images.dtype == np.uint8
        assert split.images.std() > 30  # nothing blank
    pixels = {split.name: {image.tobytes() for image in split.images} for split in photos[2:5]}
    assert not pixels["train"] & pixels["validation"]
    assert not (pixels["train"] | pixels["validation"]) & pixels["test"]


def test_tfrecord_is_refused_with_a_way_out(tmp_path):
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"fileFormat": "tfrecord", "name": "mnist"}))
    with pytest.raises(InputError, match=r"tfrecord format.*--data-dir an empty folder.*--data sample"):
        load_data(preset("conv_ae"), data_dir=tmp_path)


def test_without_network_the_message_names_the_ways_out(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("no route to host\nand a second line")

    monkeypatch.setattr("requests.head", offline)
    with pytest.raises(InputError, match="--data-dir .*--data sample") as error:
        load_data(preset("conv_ae"), data_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert "no route to host" in str(error.value)


def test_unknown_data_sets_and_splits(tmp_path):
    with pytest.raises(InputError, match=r"unknown data set 'nonesuch'.*mnist, cifar100, sample-digits"):
        load_data(replace(preset("conv_ae"), data="nonesuch"), data_dir=tmp_path)
    quick = preset("conv_ae_quick")
    with pytest.raises(InputError, match="no split 'tests'; there are train"):
        load_data(replace(quick, test_split="tests"))
    with pytest.raises(InputError, match="cannot read the split 'test!'"):
        load_data(replace(quick, test_split="test!"))
    with pytest.raises(InputError, match="no images"):
        load_data(replace(quick, test_split="test[9000:]"))


def test_mnist_is_prepared_without_tensorflow(small_mnist):
    folder, images = small_mnist
    loaded = load_data(replace(preset("conv_ae"), validation_split="test"), data_dir=folder)
    assert "tensorflow" not in sys.modules
    assert {image.tobytes() for image in loaded.train.images} == {image.tobytes() for image in images}
    info = json.loads((folder / "mnist/3.0.1/dataset_info.json").read_text())
    assert info["fileFormat"] == "array_record"


def test_cifar100_is_prepared_without_tensorflow(tmp_path, monkeypatch):
    from tensorflow_datasets.core.download import DownloadManager

    images = np.random.default_rng(0).integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    rows = [bytes([1, 2]) + image.tobytes() for image in images]
    folder = tmp_path / "raw" / "cifar-100-binary"
    folder.mkdir(parents=True)
    for name in ("train.bin", "test.bin"):
        (folder / name).write_bytes(b"".join(rows))
    (folder / "coarse_label_names.txt").write_text("\n".join(f"coarse{i}" for i in range(20)))
    (folder / "fine_label_names.txt").write_text("\n".join(f"fine{i}" for i in range(100)))
    monkeypatch.setattr("requests.head", lambda url, **kwargs: None)
    monkeypatch.setattr(DownloadManager, "download_and_extract", lambda self, url: tmp_path / "raw")
    loaded = load_data(preset("colorizer_ae"), data_dir=tmp_path / "tfds")
    assert {image.tobytes() for image in loaded.train.images} == {
        image.transpose(1, 2, 0).tobytes() for image in images
    }


def test_downloads_are_checked():
    from ae.data.prepare import BUILDERS

    for builder in BUILDERS.values():
        assert all(len(info.checksum) == 64 for info in builder.url_infos.values())


def test_the_newest_version_is_taken(tmp_path):
    for version in ("3.0.1", "3.0.10", "3.0.9"):
        (tmp_path / "mnist" / version).mkdir(parents=True)
        (tmp_path / "mnist" / version / "dataset_info.json").write_text("{}")
    assert _find("mnist", tmp_path).name == "3.0.10"


def test_sample_crops_are_pieces_of_the_photograph():
    from importlib.util import find_spec
    from pathlib import Path

    photo = np.asarray(Image.open(Path(find_spec("skimage").origin).parent / "data/chelsea.png"))
    crops = _crops(("skimage/data/chelsea.png",))
    assert np.array_equal(crops[0], photo[:32, :32])
    assert np.array_equal(crops[1], photo[:32, 32:64])
