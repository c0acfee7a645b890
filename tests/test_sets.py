import hashlib
import re
import zipfile
from pathlib import PurePosixPath

import pytest
from conftest import ROOT, refused

from ae.data import sets
from ae.data.sets import CBSD68, SOURCES, TINY_IMAGENET_CLASSES, prepare_set
from ae.data.squares import SQUARES
from ae.errors import InputError

# A few paths of each repository, as it has them.
REPOSITORIES = {
    "bsds500": ["BSDS500/data/images/test/100007.jpg", "BSDS500/data/images/val/101085.jpg",
                "BSDS500/data/images/train/100075.jpg", "BSDS500/data/images/test/Thumbs.db", "bench/data/images/2018.jpg"],
    "tiny_imagenet": ["tiny-imagenet-200/train/n01443537/images/n01443537_0.JPEG", "tiny-imagenet-200/wnids.txt",
                      "tiny-imagenet-200/val/images/val_0.JPEG", "tiny-imagenet-200/test/images/test_0.JPEG"],
    "imagenet_samples": ["n01443537_goldfish.JPEG", "n01440764_tench.JPEG", "README.md"],
    "caltech": ["caltech-101/anchor/image_0001.jpg", "caltech-101/airplanes/image_0101.jpg",
                "caltech-101/Faces_easy/image_0001.jpg", "caltech-101/BACKGROUND_Google/image_0002.jpg", "cv.ipynb"],
    "set12": ["testsets/Set12/01.png", "testsets/BSD68/test001.png"],
    "mcmaster": ["testsets/McMaster/1.tif", "testsets/McMaster/10.tif"],
    "polyu": ["CroppedImages/Canon5D2_5_160_3200_chair_11_mean.JPG", "OriginalImages/Canon600_book_Real.JPG"],
}  # fmt: skip
PREPARED = {
    "bsds500": ["100007.jpg", "100075.jpg"],  # 101085 is one of BSD68
    "tiny_imagenet": ["train/n01443537_0.JPEG", "validation/val_0.JPEG"],
    "imagenet_samples": ["test/n01440764_tench.JPEG", "train/n01443537_goldfish.JPEG"],
    "caltech": ["anchor_0001.jpg"],
    "set12": ["01.png"],
    "mcmaster": ["1.tif", "10.tif"],
    "polyu": ["Canon5D2_5_160_3200_chair_11_mean.JPG"],
}


def checksum(names: list[str]) -> str:
    """Of files that hold the name that they get."""
    lines = [f"{hashlib.sha256(PurePosixPath(name).name.encode()).hexdigest()}  {name}\n" for name in sorted(names)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def small(name):
    return SOURCES[name]._replace(images=len(PREPARED[name]), checksum=checksum(PREPARED[name]))


@pytest.fixture(params=["zip", "folder"])
def archive(request, tmp_path):
    """Writes a repository as GitHub zips it, or unpacked."""

    def archive(name):
        path = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.mkdir("repository-0123abc")
            for member in REPOSITORIES[name]:
                path_there = PurePosixPath(member)
                wanted = path_there.match(SOURCES[name].files) and SOURCES[name].target_path(path_there)
                file.writestr(f"repository-0123abc/{member}", PurePosixPath(wanted or member).name)
        if request.param == "zip":
            return path
        zipfile.ZipFile(path).extractall(tmp_path / "unpacked")
        return tmp_path / "unpacked"

    return archive


@pytest.mark.parametrize("name", PREPARED)
def test_a_set_is_the_wanted_files_of_its_repository(archive, tmp_path, name):
    folder = prepare_set(name, small(name), tmp_path / "data", local_copy=archive(name))
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(path.relative_to(folder).as_posix() for path in found) == PREPARED[name]
    assert all(path.read_text() == path.name for path in found)


def test_a_set_that_is_there_is_left_as_it_is(archive, tmp_path):
    folder = prepare_set("set12", small("set12"), tmp_path / "data", local_copy=archive("set12"))
    (folder / "01.png").write_text("mine")
    assert prepare_set("set12", small("set12"), tmp_path / "data") == folder
    assert (folder / "01.png").read_text() == "mine"


@pytest.mark.parametrize("change", [{"images": 2}, {"checksum": "0" * 64}])
def test_other_files_than_expected_are_refused_and_nothing_is_left(archive, tmp_path, change):
    with pytest.raises(InputError, match="it takes a copy of https://codeload.github.com/cszn/FFDNet/zip/e787"):
        prepare_set("set12", small("set12")._replace(**change), tmp_path / "data", local_copy=archive("set12"))
    assert list((tmp_path / "data").iterdir()) == []


def test_an_interrupted_preparation_leaves_nothing(archive, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(sets, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_set("set12", small("set12"), tmp_path / "data", local_copy=archive("set12"))
    assert list((tmp_path / "data").iterdir()) == []


def test_the_command_names_source_and_licence_and_refuses_in_a_line(call, tmp_path):
    refused(call("prepare.py", "set13", status=2), "unknown set 'set13'", "set12")
    (tmp_path / "no.zip").write_text("no zip")
    refused(call("prepare.py", "set12", "--from", "no.zip", "--data-dir", "data", status=2), "cannot read no.zip")
    refused(call("prepare.py", "set12", "--from", "none.zip", "--data-dir", "data", status=2), "cannot read none.zip")
    zipfile.ZipFile(tmp_path / "other.zip", "w").writestr("testsets/Set12/01.png", b"")
    done = call("prepare.py", "set12", "--from", "other.zip", "--data-dir", "data", status=2)
    refused(done, "has 1 files of set12", "not 12")
    assert "https://github.com/cszn/FFDNet" in done.stdout
    assert "research" in done.stdout


def test_without_network_the_message_says_what_to_fetch(tmp_path, monkeypatch):
    import requests

    def offline(*arguments, **options):
        raise requests.ConnectionError("no network")

    monkeypatch.setattr("requests.get", offline)
    with pytest.raises(
        InputError, match=r"could not be downloaded \(no network\): fetch https://.* name it with --from"
    ):
        prepare_set("set12", SOURCES["set12"], tmp_path)


def test_what_is_scored_is_not_among_what_is_trained_on():
    assert len(CBSD68) == 68
    assert len(TINY_IMAGENET_CLASSES) == 200
    bsds, samples = SOURCES["bsds500"].target_path, SOURCES["imagenet_samples"].target_path
    assert not [number for number in CBSD68 if bsds(PurePosixPath(f"BSDS500/data/images/test/{number}.jpg"))]
    assert all(samples(PurePosixPath(f"{c}_name.JPEG")).startswith("train/") for c in TINY_IMAGENET_CLASSES)
    assert samples(PurePosixPath("n01440764_tench.JPEG")).startswith("test/")


def test_the_guide_names_every_set():
    rows = re.findall(
        r"^\| (`.*?`) \| ", (ROOT / "docs/data.md").read_text().partition("## Photographs")[2], re.MULTILINE
    )
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == {*SOURCES, *SQUARES}
