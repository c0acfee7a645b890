"""Sets of photographs by name, prepared from the public repositories that hold them.

A prepared set is a folder `DATA_DIR/NAME` of image files as their repository has them, in folders by split
where there are several. It is there whole, its files checked against a checksum, or not at all.
"""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import requests

from ae.errors import InputError
from ae.runtime import progress

PIECE = 2**20  # bytes that are read at a time


def _names(file: str) -> frozenset[str]:
    return frozenset((Path(__file__).parent / file).read_text().split())


TINY_IMAGENET_CLASSES = _names("tiny_imagenet_classes.txt")
"""WordNet ids of the 200 classes of Tiny ImageNet."""
CBSD68 = _names("cbsd68.txt")
"""Numbers in BSDS500 of the photographs that the benchmarks BSD68 and CBSD68 are."""

TargetPath = Callable[[PurePosixPath], str | None]
"""Path of a file in the repository -> its path in the prepared set; None: it is left out."""


class Source(NamedTuple):
    """A set of photographs in a repository of GitHub."""

    title: str
    repository: str  # owner/name
    commit: str
    files: str  # pattern of their paths, from the right
    images: int
    checksum: str  # SHA-256 of the lines "SHA-256  path" of its files, by path
    licence: str
    target_path: TargetPath = lambda path: path.name


GRAY_BENCHMARKS = ("set12", "bsd68")
COLOUR_BENCHMARKS = ("cbsd68", "kodak24", "mcmaster")
REAL_NOISE = ("polyu",)  # in colour
BENCHMARKS = (*GRAY_BENCHMARKS, *COLOUR_BENCHMARKS, *REAL_NOISE)
"""Sets that models are scored on, and never trained on."""


def check_trainable(folder: Path, paths: Iterable[Path]) -> None:
    """Raise InputError where one of these photographs of a folder is for tests alone, by the folders that it is in.

    These are the benchmarks, and the test split of imagenet_samples.
    """
    for inside in {path.resolve().parent for path in paths}:
        if set(BENCHMARKS) & set(inside.parts) or ("imagenet_samples", "test") in zip(
            inside.parts, inside.parts[1:], strict=False
        ):
            raise InputError(
                f"{inside} is for tests alone, and {folder} would train on it: name another split or folder"
            )


def prepare_set(name: str, source: Source, root: Path, *, local_copy: Path | None = None) -> Path:
    """Prepare a set of photographs as the folder `root/name`, and return it; where it is there already, nothing is done.

    `local_copy`: a zip or a folder of the repository; without it, a zip is downloaded. Raises InputError where that
    cannot be had, lacks files, or has other ones than were expected.
    """
    folder = root / name
    if folder.exists():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with new_folder(folder) as temporary, _archive(source, local_copy) as archive:
        found = [(source.target_path(path), path) for path in archive.paths if path.match(source.files)]
        wanted = {target: path for target, path in found if target}
        checksum = _copy(name, archive, wanted, temporary)
        if (len(wanted), checksum) != (source.images, source.checksum):
            raise InputError(
                f"{local_copy or source.repository} has {len(wanted):,} files of {name} with the checksum {checksum[:12]}, "
                f"not {source.images:,} with {source.checksum[:12]}: it takes a copy of {_url(source)}"
            )
    return folder


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder that takes the name when the block ends well; when it does not, nothing is left."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Archive(NamedTuple):
    """Files of a repository, in a zip or a folder."""

    paths: list[PurePosixPath]
    open: Callable[[PurePosixPath], IO[bytes]]


@contextmanager
def _archive(source: Source, local_copy: Path | None) -> Iterator[_Archive]:
    """Yield the files of a repository: those of a local copy, or downloaded."""
    if local_copy is None:
        with tempfile.TemporaryFile() as file:
            _download(source, file)
            with zipfile.ZipFile(file) as zipped:
                yield _zip_archive(zipped)
    elif local_copy.is_dir():
        paths = [PurePosixPath(path.relative_to(local_copy)) for path in local_copy.rglob("*") if path.is_file()]
        yield _Archive(paths, lambda path: (local_copy / path).open("rb"))
    else:
        try:
            with zipfile.ZipFile(local_copy) as zipped:
                yield _zip_archive(zipped)
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(
                f"cannot read {local_copy}, which has to be a zip or a folder of {_url(source)}: {error}"
            ) from error


def _zip_archive(zipped: zipfile.ZipFile) -> _Archive:
    names = [name for name in zipped.namelist() if not name.endswith("/")]
    return _Archive([PurePosixPath(name) for name in names], lambda path: zipped.open(str(path)))


def _url(source: Source) -> str:
    return f"https://codeload.github.com/{source.repository}/zip/{source.commit}"


def _download(source: Source, file: IO[bytes]) -> None:
    try:
        with requests.get(_url(source), stream=True, timeout=30) as answer:
            answer.raise_for_status()
            total = int(answer.headers.get("content-length", 0)) or None
            with progress.bar(f"downloading {source.repository}", total, unit="B") as bar:
                for piece in answer.iter_content(PIECE):
                    file.write(piece)
                    bar.update(len(piece))
    except requests.RequestException as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{source.repository} could not be downloaded ({reason}): "
            f"fetch {_url(source)} elsewhere, and name it with --from"
        ) from error


def _copy(name: str, archive: _Archive, wanted: dict[str, PurePosixPath], folder: Path) -> str:
    """Copy files to a folder and return their checksum."""
    total = hashlib.sha256()
    with progress.bar(name, len(wanted)) as bar:
        for target in sorted(wanted):
            with archive.open(wanted[target]) as file:
                content = file.read()
            (folder / target).parent.mkdir(exist_ok=True)
            (folder / target).write_bytes(content)
            total.update(f"{hashlib.sha256(content).hexdigest()}  {target}\n".encode())
            bar.update()
    return total.hexdigest()


def _photographs_of_bsds(path: PurePosixPath) -> str | None:
    return None if path.stem in CBSD68 else path.name


def _by_class(path: PurePosixPath) -> str | None:
    """Return a place by class: Tiny ImageNet's are for training, all others for the test alone."""
    return f"{'train' if path.name.partition('_')[0] in TINY_IMAGENET_CLASSES else 'test'}/{path.name}"


def _of_tiny_imagenet(path: PurePosixPath) -> str | None:
    """Return a place by split; images of the test split have no classes, and are left out."""
    split = {"n": "train", "v": "validation"}.get(path.name[0])
    return f"{split}/{path.name}" if split else None


MOST_OF_A_CLASS = 100  # images of Caltech-101, which has hundreds of airplanes, motorcycles and faces


def _of_caltech(path: PurePosixPath) -> str | None:
    """Return a place by class and number; what shows no class, and faces that are there a second time, are left out."""
    kind, number = path.parent.name, int(path.stem.rpartition("_")[2])
    left_out = number > MOST_OF_A_CLASS or kind in ("Faces_easy", "BACKGROUND_Google")
    return None if left_out else f"{kind}_{number:04}.jpg"


FFDNET = ("cszn/FFDNet", "e787f46df2f374ff3591186706229cb9a0591fea")
BENCHMARK_LICENCE = "published with FFDNet for research that is not commercial"
IMAGENET_LICENCE = "photographs of their owners, for research and teaching that is not commercial (image-net.org)"
BSDS_LICENCE = "for research and teaching that is not commercial (Arbelaez et al., 2011)"

SOURCES = {
    "bsds500": Source(
        "BSDS500 without BSD68",
        "BIDS/BSDS500",
        "a04b7c6c3a9f0ace74bf205c72a43d32e1c72722",
        "data/images/*/*.jpg",
        432,
        "a743f9ff4aaf2a9e92ee0e0b9c70a43c635d06e8a107158a7cdf7da122ac535b",
        BSDS_LICENCE,
        _photographs_of_bsds,
    ),
    "tiny_imagenet": Source(
        "Tiny ImageNet",
        "seshuad/IMagenet",
        "153dbc161ab7942a12c99515e80ef6454dd06693",
        "images/*.JPEG",
        110_000,
        "f3b6c6395b3b58f91d3eb00dfa83f17de05916dade901a51e9caa7ceec9b73c5",
        IMAGENET_LICENCE,
        _of_tiny_imagenet,
    ),
    "imagenet_samples": Source(
        "a photograph of each class of ImageNet",
        "EliSchwartz/imagenet-sample-images",
        "bc69043e2862758a1906c6a24a792bb28c6bb2ff",
        "n*_*.JPEG",
        1000,
        "fe791e374e7d5a0a69f16eb99b1eaf655c47fda5c41d3e0f8a42cd7224c48064",
        IMAGENET_LICENCE,
        _by_class,
    ),
    "caltech": Source(
        "Caltech-101, at most 100 images of a class",
        "taibarehm/CVassimgement",
        "5e5ee696e6576f6ed4c674e3763f77e40242332a",
        "caltech-101/*/image_*.jpg",
        6198,
        "41de22948114798575a60980759fd065c9af719cef98e8ec3fcdde264c31c9e9",
        "CC BY 4.0 (Li, Andreetto, Ranzato and Perona, doi.org/10.22002/D1.20086)",
        _of_caltech,
    ),
    "set12": Source(
        "Set12",
        *FFDNET,
        "testsets/Set12/*.png",
        12,
        "9882b0bb611c6b511fce0fffe533ce92db96202de165317304b409e6176ee5b9",
        BENCHMARK_LICENCE,
    ),
    "bsd68": Source(
        "BSD68",
        *FFDNET,
        "testsets/BSD68/*.png",
        68,
        "7db47364c17c50e5bfad018afe5dd55a89a863134adcaedfff4bcec1347ad3cc",
        BSDS_LICENCE,
    ),
    "cbsd68": Source(
        "CBSD68",
        *FFDNET,
        "testsets/CBSD68/*.png",
        68,
        "c500323c4bcb5fc35ca57d9e1803f396f54054ac8720c8f5305aed6dcdaff9a5",
        BSDS_LICENCE,
    ),
    "kodak24": Source(
        "Kodak24, crops of 500x500",
        *FFDNET,
        "testsets/Kodak24/*.png",
        24,
        "8ea2bf2947a19cf2b71830abc0b91539e5b2f26458314e061cf6aca7cbd7452f",
        "released by Kodak for any use",
    ),
    "mcmaster": Source(
        "McMaster",
        *FFDNET,
        "testsets/McMaster/*.tif",
        18,
        "63ecac5a3b32f22f322a4243cfd2bf4bca8b5f5c3c20ec1f55142d32b85782eb",
        BENCHMARK_LICENCE,
    ),
    "polyu": Source(
        "PolyU, pairs of crops",
        "csjunxu/PolyU-Real-World-Noisy-Images-Dataset",
        "3af0f2646b267a00446fe4b7113a15e67bc80b4e",
        "CroppedImages/*.JPG",
        200,
        "b7a76163105480bbf4e3172cde016f2d3e43d81dbfd006cf4cc3c6ae2cc5a2dd",
        "for research and teaching, without fee (Xu et al., 2018)",
    ),
}
