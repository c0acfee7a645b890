"""Data sets that tfds has prepared: as uint8 arrays [N, H, W, C], decoded once, or by record, for streaming.

`tfds.data_source` reads array_record files and decodes with PIL, without TensorFlow. Images of unequal sizes are cut into
tiles, as photographs in files are.
"""

import json
import math
import os
import re
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ae.data.cache import cached
from ae.data.photographs import Cut, store, to_rgb
from ae.data.samples import SAMPLES
from ae.data.splits import Stored
from ae.data.streamed import Streamed
from ae.errors import InputError
from ae.runtime import progress


def data_folder(data_dir: str | Path | None) -> Path:
    """Return the folder of data sets: the given one, else TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


class Prepared(NamedTuple):
    """A data set that tfds has prepared, and its images."""

    folder: Path  # of its version
    stem: str  # of its files in the cache
    feature: str = "image"  # which of a record's features is taken
    shape: tuple[int, ...] | None = None  # [H, W, C] of every image; None: their sizes differ, or are not known

    @property
    def info(self) -> str:
        """Return what tfds has written of the data set, as JSON."""
        return (self.folder / "dataset_info.json").read_text()

    @property
    def splits(self) -> dict[str, int]:
        """Return how many images each source split has."""
        return {
            split["name"]: sum(map(int, split["shardLengths"])) for split in json.loads(self.info).get("splits", [])
        }


def find_prepared(name: str, data_dir: str | Path | None) -> Prepared | None:
    """Return a data set in the folder of data sets, its newest version; None where it is not there.

    `name`: "mnist", or with a configuration, "div2k/bicubic_x2". Raises InputError where there are several
    configurations, where its format cannot be read, or where its records hold no image.
    """
    root = data_folder(data_dir)
    folder = _find(name, root)
    if not folder:
        return None
    prepared = Prepared(folder, "-".join(folder.relative_to(root).parts))
    if (file_format := json.loads(prepared.info).get("fileFormat", "tfrecord")) != "array_record":
        raise InputError(
            f"{folder} is in the {file_format} format, and only array_record can be read without TensorFlow; "
            "give --data-dir an empty folder to prepare it again, or use --data sample"
        )
    return _with_images(prepared)


def _find(name: str, root: Path) -> Path | None:
    """Return the newest prepared version of a data set."""
    found = [path.parent for path in (root / name).glob("*/dataset_info.json")]
    if not found:
        found = [path.parent for path in (root / name).glob("*/*/dataset_info.json")]
        if len(configurations := sorted({path.parent.name for path in found})) > 1:
            raise InputError(f"{name} has several configurations: {', '.join(f'{name}/{c}' for c in configurations)}")
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], default=None)


def _with_images(prepared: Prepared) -> Prepared:
    """Return it with the feature and shape of its images, from files of tfds, which itself takes a second to import.

    Where they are damaged, reading finds out.
    """
    try:
        features = json.loads((prepared.folder / "features.json").read_text())["featuresDict"]["features"]
        keys = json.loads(prepared.info).get("supervisedKeys", {}).get("tuple", {}).get("items", [])
        images = {name: feature["image"] for name, feature in features.items() if "image" in feature}
    except (OSError, LookupError, ValueError, AttributeError):
        return prepared
    wanted = ["image", *(key.get("featureKey") for key in reversed(keys)), *images]  # of a pair, what is to be learnt
    name = next((name for name in wanted if name in images), None)
    if name is None:
        raise InputError(f"{prepared.folder} holds no images: its records have {', '.join(features)}")
    sides = [int(side) for side in images[name].get("shape", {}).get("dimensions", [])]
    shape = tuple(sides) if sides and min(sides) > 0 else None
    return prepared._replace(feature=name, shape=shape)


def load_tfds(
    prepared: Prepared, sources: set[str], cut: Cut, resident_bytes: int, *, learnt: set[str]
) -> dict[str, Stored]:
    """Return source splits of a data set: arrays, or streamed where they would be more than `resident_bytes`.

    `learnt`: those that a model learns from, or is chosen by (see `photographs.store`).
    Images are cut to tiles, as RGB, where their sizes differ, or `cut` asks for it. Raises InputError where they cannot be
    read.
    """
    checksum = f"{zlib.crc32(prepared.info.encode()):08x}"
    stems = {source: f"{prepared.stem}-{source}-{checksum}" for source in sorted(sources)}
    if prepared.shape is None or cut != Cut():
        return {
            source: store(
                Colours(prepared, source), cut, f"{prepared.stem} {source}", stem, for_tests=source not in learnt
            )
            for source, stem in stems.items()
        }
    if sum(prepared.splits.get(source, 0) for source in sources) * math.prod(prepared.shape) > resident_bytes:
        return {source: Stored(Streamed.all_of(Records(prepared, source))) for source in stems}
    name = prepared.folder.parent.name
    return {
        source: Stored(cached(stem, name, partial(_decode, prepared, source)).images) for source, stem in stems.items()
    }


class Records:
    """The images of a source split, each decoded from its record when it is asked for.

    Raises InputError where a file cannot be opened or an image not be read.
    """

    def __init__(self, prepared: Prepared, source: str) -> None:
        import tensorflow_datasets as tfds

        self._feature = prepared.feature
        try:
            builder = tfds.builder_from_directory(prepared.folder)
            self._files = builder.info.splits[source].file_instructions
            features = builder.info.features.items()
            images = [name for name, feature in features if isinstance(feature, tfds.features.Image)]
            other = [name for name in images if name != prepared.feature]
            self._records = builder.as_data_source(source, decoders=dict.fromkeys(other, tfds.decode.SkipDecoding()))
        except Exception as error:  # whatever the reader makes of damaged files
            raise _unreadable(f"{source} of {prepared.folder}", error) from error

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> np.ndarray:
        try:
            return self._records[number][self._feature]
        except Exception as error:  # whatever the reader makes of damaged records, or of those that are no images
            raise _unreadable(self._place(number), error) from error

    def _place(self, number: int) -> str:
        for file in self._files:
            if number < file.take:
                break
            number -= file.take
        return f"image {file.skip + number} of {file.filename}"


class Colours(Records):
    """The same, as RGB [H, W, 3]."""

    def __getitem__(self, number: int) -> np.ndarray:
        return to_rgb(super().__getitem__(number))


def _unreadable(place: str, error: Exception) -> InputError:
    reason = str(error).partition("\n")[0]
    return InputError(f"cannot read {place}: {reason}; prepare it again in another --data-dir")


def _decode(prepared: Prepared, source: str, batch: int = 1000) -> Iterator[np.ndarray]:
    """Yield the images of a source split, so many at a time."""
    import tensorflow_datasets as tfds

    try:
        records: Any = tfds.builder_from_directory(prepared.folder).as_data_source(source)
        with progress.bar(f"decoding {prepared.folder.parent.name} {source}", len(records)) as bar:
            for first in range(0, len(records), batch):
                indices = range(first, min(first + batch, len(records)))
                yield np.stack([record[prepared.feature] for record in records.__getitems__(list(indices))])
                bar.update(len(indices))
    except Exception as error:  # whatever the reader makes of damaged files, or of records that are no images
        raise _unreadable(f"{source} of {prepared.folder}", error) from error


def download(name: str, data_dir: str | Path | None) -> Prepared:
    """Download a data set, prepare it as array_record files, and return it.

    Raises InputError where that is not possible.
    """
    from ae.data.prepare import BUILDERS, download_and_prepare, has_builder

    root = data_folder(data_dir)
    if not has_builder(name):
        raise InputError(
            f"unknown data set {name!r}: neither in {root}, nor a folder, nor one of "
            f"{', '.join((*BUILDERS, *SAMPLES))} or of tfds' data sets; "
            "--data-dir names the folder of a data set that tfds has prepared"
        )
    try:
        print(f"downloading {name} to {root}", file=sys.stderr)
        download_and_prepare(name, root)
    except InputError:
        raise
    except Exception as error:  # no network, no server, no room, no right to write
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name} is not in {root} and could not be downloaded ({reason}); "
            "--data-dir names a folder that has it, --data sample needs no download"
        ) from error
    found = find_prepared(name, data_dir)
    assert found is not None
    return found
