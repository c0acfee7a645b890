"""Data sets that tfds has prepared: as uint8 arrays [N, H, W, C], decoded once, or by record, for streaming.

`tfds.data_source` reads array_record files and decodes with PIL, without TensorFlow. The arrays are kept as .npy in the
user's cache directory, named after data set, version, split and checksum, and memory-mapped from then on.
"""

import json
import math
import os
import re
import sys
import zlib
from pathlib import Path

import numpy as np
import platformdirs

from ae.data.samples import SAMPLES
from ae.data.streamed import Streamed
from ae.errors import InputError
from ae.runtime import progress
from ae.runtime.files import atomic_write


def data_folder(data_dir: str | Path | None) -> Path:
    """Return the folder of data sets: the given one, else TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def load_tfds(
    name: str, sources: set[str], data_dir: str | Path | None, resident_bytes: int
) -> tuple[str, dict[str, np.ndarray] | dict[str, Streamed]]:
    """Return version and source splits of a data set: arrays, or streamed where they would be more than `resident_bytes`.

    Raises InputError where it is neither in the folder of data sets nor can be downloaded to it, or cannot be read.
    """
    root = data_folder(data_dir)
    directory = _find(name, root) or _download(name, root)
    info = (directory / "dataset_info.json").read_text()
    if (file_format := json.loads(info).get("fileFormat", "tfrecord")) != "array_record":
        raise InputError(
            f"{directory} is in the {file_format} format, and only array_record can be read without TensorFlow; "
            "give --data-dir an empty folder to prepare it again, or use --data sample"
        )
    if _decoded_bytes(directory, sources) > resident_bytes:
        return directory.name, {source: Streamed.all_of(Records(directory, source)) for source in sorted(sources)}
    return directory.name, {source: _cached(directory, source, zlib.crc32(info.encode())) for source in sorted(sources)}


def _find(name: str, root: Path) -> Path | None:
    """Return the newest prepared version of a data set."""
    found = [path.parent for path in (root / name).glob("*/dataset_info.json")]
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], default=None)


def _decoded_bytes(directory: Path, sources: set[str]) -> int:
    """Read the size from the files of tfds, which takes a second to import; 0 where they lack it: reading finds out why."""
    try:
        splits = json.loads((directory / "dataset_info.json").read_text())["splits"]
        image = json.loads((directory / "features.json").read_text())["featuresDict"]["features"]["image"]
        shape = image["image"]["shape"]["dimensions"]
        count = sum(int(length) for split in splits if split["name"] in sources for length in split["shardLengths"])
        return count * math.prod(map(int, shape))
    except (OSError, LookupError, ValueError):
        return 0


class Records:
    """The images of a source split, each decoded from its record when it is asked for.

    Raises InputError where a file cannot be opened or an image not be read.
    """

    def __init__(self, directory: Path, source: str) -> None:
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder_from_directory(directory)
            self._files = builder.info.splits[source].file_instructions
            self._records = builder.as_data_source(source)
        except Exception as error:  # whatever the reader makes of damaged files
            raise _unreadable(f"{source} of {directory}", error) from error

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> np.ndarray:
        try:
            return self._records[number]["image"]
        except Exception as error:  # whatever the reader makes of damaged records, or of those that are no images
            raise _unreadable(self._place(number), error) from error

    def _place(self, number: int) -> str:
        for file in self._files:
            if number < file.take:
                break
            number -= file.take
        return f"image {file.skip + number} of {file.filename}"


def _unreadable(place: str, error: Exception) -> InputError:
    reason = str(error).partition("\n")[0]
    return InputError(f"cannot read {place}: {reason}; prepare it again in another --data-dir")


def _cached(directory: Path, source: str, info: int) -> np.ndarray:
    """Return the images of a source split, memory-mapped from the cache, which is filled or mended where needed."""
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
    with atomic_write(path) as temporary, temporary.open("wb") as file:
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
        raise _unreadable(f"{source} of {directory}", error) from error


def _download(name: str, root: Path) -> Path:
    """Download a data set and prepare it as array_record files."""
    from ae.data.prepare import BUILDERS, download_and_prepare

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
