"""Data sets as uint8 arrays [N, H, W, C], decoded once.

`tfds.data_source` reads array_record files and decodes with PIL, without TensorFlow. What was decoded is kept as .npy in the
user's cache directory, named after data set, version, split and checksum, and memory-mapped from then on.
"""

import importlib.util
import json
import os
import re
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs

from ae import progress
from ae.config import Config
from ae.errors import InputError
from ae.files import written_whole
from ae.reference import VALIDATED_ON


class Split(NamedTuple):
    """Some consecutive images of a source split ("train", "test")."""

    name: str  # in the notation of tfds, "test[:9000]"
    images: np.ndarray  # uint8 [N, H, W, C]
    start: int  # index of the first image in the source split; the noise of an image depends on its index there
    source: int  # checksum of the source split's name


class Data(NamedTuple):
    """The splits of a data set that a run trains on, chooses by and is scored on."""

    name: str
    version: str
    train: Split
    validation: Split
    test: Split
    compared: Split | None = None  # what the reference reports on, where that is not what the run validates on


def load_data(config: Config, *, data_dir: str | Path | None = None) -> Data:
    """Loads the splits that the configuration names, cut to `config.limit` images each.

    Looks in `data_dir`, else in TFDS_DATA_DIR, else in ~/tensorflow_datasets, where a missing data set is downloaded.
    Raises InputError if it is not there and cannot be downloaded, or is not in the array_record format.
    """
    specs = [config.train_split, config.validation_split, config.test_split]
    compared = VALIDATED_ON.get(config.data, config.validation_split)
    if config.data in SAMPLES:
        version, sources = "1", SAMPLES[config.data]()
    else:
        version, sources = _load_tfds(config.data, {_parse(spec)[0] for spec in (*specs, compared)}, data_dir)
    if compared != config.validation_split:
        specs.append(compared)
    return Data(config.data, version, *(_cut(sources, spec, config.limit) for spec in specs))


def _parse(spec: str) -> tuple[str, int, int | None]:
    """Takes "test[9000:]" apart: ("test", 9000, None)."""
    match = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", spec)
    if not match:
        raise InputError(f"cannot read the split {spec!r}; write it as 'train', 'train[:55000]' or 'test[9000:]'")
    return match[1], int(match[2] or 0), int(match[3]) if match[3] else None


def _cut(sources: dict[str, np.ndarray], spec: str, limit: int | None) -> Split:
    source, start, stop = _parse(spec)
    if source not in sources:
        raise InputError(f"there is no split {source!r}; there are {', '.join(sources)}")
    images = sources[source][start:stop][:limit]
    if not len(images):
        raise InputError(f"the split {spec!r} has no images: {source} has {len(sources[source])}")
    name = (
        spec
        if limit is None or limit >= len(sources[source][start:stop])
        else f"{source}[{start or ''}:{start + limit}]"
    )
    return Split(name, images, start, zlib.crc32(source.encode()))


# Data sets prepared by tfds


def _load_tfds(name: str, sources: set[str], data_dir: str | Path | None) -> tuple[str, dict[str, np.ndarray]]:
    root = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    directory = _find(name, root) or _download(name, root)
    info = (directory / "dataset_info.json").read_text()
    if (file_format := json.loads(info).get("fileFormat", "tfrecord")) != "array_record":
        raise InputError(
            f"{directory} is in the {file_format} format, and only array_record can be read without TensorFlow; "
            "give --data-dir an empty folder to prepare it again, or use --data sample"
        )
    return directory.name, {source: _cached(directory, source, zlib.crc32(info.encode())) for source in sorted(sources)}


def _find(name: str, root: Path) -> Path | None:
    """The newest prepared version of a data set."""
    found = [path.parent for path in (root / name).glob("*/dataset_info.json")]
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], default=None)


def _cached(directory: Path, source: str, info: int) -> np.ndarray:
    """The images of a source split, memory-mapped from the cache, which is filled or mended where needed."""
    cache = Path(platformdirs.user_cache_dir("ae")) / "data"
    stem = f"{directory.parent.name}-{directory.name}-{source}-{info:08x}"
    for path in cache.glob(f"{stem}-*.npy"):
        try:
            images = np.load(path, mmap_mode="r", allow_pickle=False)
            if path.stem == f"{stem}-{zlib.crc32(images.data):08x}":
                return images
        except Exception:  # whatever numpy makes of a damaged header
            pass
        print(f"the cache file {path} is damaged: decoding {directory.parent.name} again", file=sys.stderr)
        path.unlink(missing_ok=True)
    images = _decode(directory, source)
    try:
        _write_array(cache / f"{stem}-{zlib.crc32(images.data):08x}.npy", images)
    except OSError as error:
        print(f"cannot keep the decoded images in {cache}: {error}; the next start will decode again", file=sys.stderr)
    return images


def _write_array(path: Path, images: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, images, allow_pickle=False)


def _decode(directory: Path, source: str, batch: int = 1000) -> np.ndarray:
    import tensorflow_datasets as tfds

    try:
        records = tfds.builder_from_directory(directory).as_data_source(source)
        with progress.bar(f"decoding {directory.parent.name} {source}", len(records)) as bar:
            images = []
            for first in range(0, len(records), batch):
                indices = range(first, min(first + batch, len(records)))
                images += [record["image"] for record in records.__getitems__(list(indices))]
                bar.update(len(indices))
        return np.stack(images)
    except Exception as error:  # whatever the reader makes of damaged files, or of records that are no images
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"cannot read {source} of {directory}: {reason}; prepare it again in another --data-dir"
        ) from error


def _download(name: str, root: Path) -> Path:
    """Downloads a data set and prepares it as array_record files."""
    from ae.prepare import BUILDERS, download_and_prepare

    if name not in BUILDERS:
        raise InputError(
            f"unknown data set {name!r}: neither in {root}, nor one of {', '.join((*BUILDERS, *SAMPLES))}; "
            "--data-dir names the folder of a data set that tfds has prepared"
        )
    try:
        print(f"downloading {name} to {root}", file=sys.stderr)
        download_and_prepare(name, root)
    except Exception as error:  # no network, no server, no room, no right to write
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name} is not in {root} and could not be downloaded ({reason}); "
            "--data-dir names a folder that has it, --data sample needs no download"
        ) from error
    found = _find(name, root)
    assert found is not None
    return found


# Data that comes with the dependencies


def _packaged(file: str) -> Path:
    """A file within a package, which is not imported: that takes a second."""
    package, _, path = file.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / path


def _sample_digits() -> dict[str, np.ndarray]:
    """The 1,797 handwritten digits of scikit-learn (8x8, 17 gray levels), set in 28x28 as MNIST's are."""
    from PIL import Image

    rows = np.loadtxt(_packaged("sklearn/datasets/data/digits.csv.gz"), delimiter=",")  # 64 pixels and a label
    digits = (rows[:, :64].reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    digits = np.stack(
        [np.asarray(Image.fromarray(digit).resize((20, 20), Image.Resampling.BICUBIC)) for digit in digits]
    )
    images = np.pad(digits, [(0, 0), (4, 4), (4, 4)])[..., None]
    return {"train": images[:1280], "validation": images[1280:1536], "test": images[1536:]}


SCENES = {
    "train": (
        "skimage/data/astronaut.png",
        "skimage/data/coffee.png",
        "skimage/data/rocket.jpg",
        "sklearn/datasets/images/flower.jpg",
    ),
    "validation": ("sklearn/datasets/images/china.jpg",),
    "test": ("skimage/data/chelsea.png",),
}


def _sample_photos() -> dict[str, np.ndarray]:
    """32x32 crops, at three scales, of photographs in the wheels of scikit-image and scikit-learn.

    No scene is in two splits.
    """
    return {split: np.random.default_rng(0).permutation(_crops(scenes)) for split, scenes in SCENES.items()}


def _crops(scenes: tuple[str, ...], size: int = 32) -> np.ndarray:
    from PIL import Image

    crops = []
    for scene in scenes:
        photo = Image.fromarray(sample_photograph(scene))
        for scale in (1, 2, 4):
            image, step = np.asarray(photo.reduce(scale)), size // scale
            windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))[::step, ::step]
            crops.append(windows.reshape(-1, 3, size, size).transpose(0, 2, 3, 1))
    return np.concatenate(crops)


def sample_photograph(scene: str) -> np.ndarray:
    """RGB [H, W, 3], uint8, of one of `SCENES`."""
    import imageio.v3 as iio

    return iio.imread(_packaged(scene))


SAMPLES = {"sample-digits": _sample_digits, "sample-photos": _sample_photos}
