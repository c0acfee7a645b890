"""What models are scored on, they never learn from: by name, by WordNet id and by thumbnail."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
import pytest
from conftest import TINY
from PIL import Image
from skimage import data as photographs

from ae import load_data, load_pretrained
from ae.data import scored
from ae.data.photographs import read_photograph
from ae.data.scored import MOST_DIFFERENT, fingerprint, scored_as
from ae.data.sets import BENCHMARKS, CBSD68, SOURCES, TINY_IMAGENET_CLASSES
from ae.data.splits import source_of
from ae.data.tfds import data_folder
from ae.errors import InputError
from ae.restore.weights import pretrained_names

NAMES, KNOWN = scored._scored()
LEARNT_FROM = {
    "mnist": {"train"},
    "bsds500": {"train"},
    "tiny_imagenet": {"train", "validation"},
    "photo_squares": {"train"},
    "object_squares": {"train"},
    "large_squares": {"train"},
}
SETS = [data_folder(None) / name for name in ("bsds500", "imagenet_samples/train", "tiny_imagenet/train")]


@pytest.mark.parametrize("name", pretrained_names())
def test_released_models_learn_from_training_photographs_alone(name):
    config = load_pretrained(name).config
    name, *others = config.data.split("+")
    assert not {name, *others} & set(BENCHMARKS)
    assert {source_of(config.train_split), source_of(config.validation_split)} <= LEARNT_FROM[name]
    assert all(LEARNT_FROM[other] == {"train"} for other in others)


def test_the_list_has_every_picture():
    counts = Counter(name.rpartition("/")[0] for name in NAMES if "/" in name)
    assert counts == {name: SOURCES[name].images for name in BENCHMARKS} | {"imagenet_samples/test": 800}
    clips = {name.partition(",")[0] for name in NAMES if name.startswith("DAVIS ")}
    assert len(clips) == 10


def test_no_class_is_for_training_and_for_tests():
    classes = {match[0] for name in NAMES if (match := re.search(r"n\d{8}", name))}
    assert len(classes) == 800
    assert not classes & TINY_IMAGENET_CLASSES
    place = SOURCES["imagenet_samples"].target_path
    assert {place(PurePosixPath(f"{wnid}_a.JPEG")) for wnid in classes} == {f"test/{wnid}_a.JPEG" for wnid in classes}


def test_the_photographs_of_bsd68_are_not_in_bsds500():
    place = SOURCES["bsds500"].target_path
    assert [place(PurePosixPath(f"data/images/train/{number}.jpg")) for number in CBSD68] == [None] * 68


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
def test_no_photograph_to_learn_from_looks_like_one_to_be_scored_on(folder):
    if not folder.exists():
        pytest.skip(f"{folder} is not there: scripts/prepare.py makes it")
    nearest = [
        (fingerprint(read_photograph(path)) != KNOWN).sum(axis=1).min() for path in sorted(folder.iterdir())[:2000]
    ]
    assert min(nearest) > MOST_DIFFERENT


PHOTOGRAPH = photographs.astronaut()


@pytest.fixture
def known(monkeypatch):
    """The astronaut is a picture that models are scored on."""
    monkeypatch.setattr(scored, "_scored", lambda: (["faces/a.png"], fingerprint(PHOTOGRAPH)[None]))


@pytest.mark.usefixtures("known")
def test_a_picture_is_known_in_another_coding_and_at_another_size(tmp_path):
    Image.fromarray(PHOTOGRAPH).resize((200, 200)).convert("L").save(tmp_path / "a.jpg", quality=40)
    assert scored_as(read_photograph(tmp_path / "a.jpg")) == "faces/a.png"
    assert scored_as(photographs.chelsea()) is None
    assert scored_as(np.zeros((9, 9, 3), np.uint8)) is None


@pytest.mark.usefixtures("known")
def test_such_a_picture_is_left_out_of_training_and_named(tmp_path, capsys):
    for split in ("train", "validation", "test"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        for name, image in (("a.jpg", PHOTOGRAPH), ("b.jpg", photographs.chelsea())):
            Image.fromarray(image).save(tmp_path / "photos" / split / name)
    config = replace(TINY, data=str(tmp_path / "photos"), tile=32, validation_split="validation", reference_split=None)
    data = load_data(config)
    err = capsys.readouterr().err
    assert "photograph 1 of photos-train is faces/a.png, which models are scored on" in err
    assert "photos-train: 1 of 2 photographs are left out" in err
    assert len(data.train.images) == len(data.validation.images) < len(data.test.images)
    for split in ("train", "validation"):
        (tmp_path / "photos" / split / "b.jpg").unlink()
    with pytest.raises(InputError, match="no photograph to train on: photograph 1 of photos-train is faces/a.png"):
        load_data(config)
