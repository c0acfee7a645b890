"""Data sets by name, as splits of uint8 images."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ae.config import Config
from ae.data.photographs import Cut, Files, checksum_of_files, split_folder, store
from ae.data.samples import SAMPLES
from ae.data.sets import SOURCES, check_trainable
from ae.data.splits import Data, Split, Stored, select_split, source_of
from ae.data.squares import SQUARES
from ae.data.streamed import Streamed
from ae.data.tfds import Prepared, data_folder, download, find_prepared, load_tfds
from ae.errors import InputError

__all__ = ["Data", "Split", "choose_splits", "load_data"]

SPLITS = ("train_split", "validation_split", "test_split")


def load_data(config: Config, *, data_dir: str | Path | None = None, resident_bytes: int = 2 * 2**30) -> Data:
    """Load the splits that the configuration names, cut to `config.limit` images each.

    `config.data` is a name, or a folder of photographs; of "one+other" the training images of the other are added to those
    of the one, as a part of their own where they are of another size. Names are looked for in `data_dir`, else in
    TFDS_DATA_DIR, else in ~/tensorflow_datasets, where a missing data set of tfds is downloaded. Photographs are cut as
    `config.tile` and `config.scale` say; splits count photographs then, and `config.limit` tiles. Where the decoded images
    of the source splits are more than `resident_bytes`, they are streamed: read again in every epoch, and never all in
    memory. Raises InputError if the data set is not there and cannot be downloaded, or cannot be read, or is for tests
    alone.
    """
    if not re.fullmatch(r"[\w-]+(\+[\w-]+)+", config.data):
        return _load_one(config, data_dir, resident_bytes)
    name, *others = config.data.split("+")
    data = _load_one(replace(config, data=name), data_dir, resident_bytes)
    for other in others:
        splits = replace(
            config, train_split="train", validation_split="train", test_split="train", reference_split=None
        )
        data = _with_more(data, _load_one(replace(splits, data=other), data_dir, resident_bytes))
    return data


def _with_more(data: Data, more: Data) -> Data:
    """Return data with the training images of other data, behind its own or as a part of another size.

    Raises InputError where they are too many for memory.
    """
    images, others = data.train.images, more.train.images
    if isinstance(images, Streamed) or isinstance(others, Streamed):
        raise InputError(f"{data.name} and {more.name} are too large for memory, and cannot be joined")
    joined = data._replace(name=f"{data.name}+{more.name}", version=f"{data.version}+{more.version}")
    named = more.train._replace(name=f"{more.train.name} of {more.name}")
    if images.shape[1:] != others.shape[1:]:
        return joined._replace(others=(*data.others, named))
    name = f"{data.train.name}, {named.name}"
    return joined._replace(train=data.train._replace(name=name, images=np.concatenate([images, others])))


def _load_one(config: Config, data_dir: str | Path | None, resident_bytes: int) -> Data:
    specs = [config.train_split, config.validation_split, config.test_split]
    if config.reference_split not in (None, config.validation_split):
        specs.append(config.reference_split)
    used, cut = {source_of(spec) for spec in specs}, Cut(config.tile, config.scale)
    place = _place(config.data, data_dir)
    if isinstance(place, str):
        _check_whole(place, cut)
        version, sources = "1", {source: Stored(images) for source, images in SAMPLES[place]().items()}
    elif isinstance(place, Prepared):
        version, sources = place.folder.name, load_tfds(place, used, cut, resident_bytes, learnt=learnt_from(config))
    else:
        version, sources = _photographs(place, config, used, cut)
    sources = _streamed_if_large(sources, used, resident_bytes)
    train, validation, test, *reference = (select_split(sources, spec, config.limit) for spec in specs)
    return Data(config.data, version, train, validation, test, next(iter(reference), None))


def choose_splits(config: Config, preset: Config, *, data_dir: str | Path | None = None) -> Config:
    """Return the configuration with splits that its photographs have, where it has all those of a preset on other data.

    Where they come in several splits, it has these. Parts that are missing are taken from the training split, by
    photograph: a tenth for validation, another for the test.
    """
    if config.data in (preset.data, *SAMPLES):
        return config
    place = _place(config.data, data_dir)
    if isinstance(place, str) or (isinstance(place, Prepared) and place.shape and not config.tile):
        return config
    if config.reference_split == preset.reference_split:
        config = replace(config, reference_split=None)
    if any(getattr(config, split) != getattr(preset, split) for split in SPLITS):
        return config
    train, validation, test = _splits_of(set(place.splits if isinstance(place, Prepared) else split_folder(place)))
    return replace(config, train_split=train, validation_split=validation, test_split=test)


def _splits_of(names: set[str]) -> tuple[str, str, str]:
    """Return training, validation and test split of data that has source splits with these names."""
    train, validation, test = "train", "validation", "test"
    if not names & {validation, test}:
        train, validation, test = "train[:80%]", "train[80%:90%]", "train[90%:]"
    elif validation not in names:
        train, validation = "train[:90%]", "train[90%:]"
    elif test not in names:
        train, test = "train[:90%]", "train[90%:]"
    return train, validation, test


def _place(data: str, data_dir: str | Path | None) -> str | Prepared | Path:
    """Return where data is: samples by their name, a data set of tfds, or a folder of photographs."""
    if data in SAMPLES:
        return data
    if data in (*SOURCES, *SQUARES):
        if (folder := data_folder(data_dir) / data).is_dir():
            return folder
        raise InputError(f"{data} is not in {folder.parent}: python scripts/prepare.py {data} prepares it")
    is_name = re.fullmatch(r"\w+(/[\w.-]+)?", data)
    if is_name and (prepared := find_prepared(data, data_dir)):
        return prepared
    if Path(data).expanduser().is_dir():
        return Path(data).expanduser()
    if not is_name:
        raise InputError(f"there is no folder {data}")
    return download(data, data_dir)


def _check_whole(name: str, cut: Cut) -> None:
    if cut != Cut():
        raise InputError(f"tile and scale are for photographs: the images of {name} are of one size already")


def _photographs(folder: Path, config: Config, used: set[str], cut: Cut) -> tuple[str, dict[str, Stored]]:
    """Return a checksum of all photographs of a folder as its version, and source splits."""
    found = split_folder(folder)
    for spec in (config.train_split, config.validation_split):
        check_trainable(folder, found.get(source_of(spec), []))
    if missing := used - found.keys():
        raise InputError(f"there is no split {min(missing)!r} in {folder}; there are {', '.join(found)}")
    sources = {}
    for source in sorted(used):
        paths, label = found[source], f"{folder.resolve().name}-{source}"
        stem = f"{label}-{checksum_of_files(folder, paths):08x}"
        sources[source] = store(Files(paths), cut, label, stem, for_tests=source not in learnt_from(config))
    every_path = [path for paths in found.values() for path in paths]
    return f"{checksum_of_files(folder, every_path):08x}", sources


def learnt_from(config: Config) -> set[str]:
    """Return the source splits that a model learns from, or is chosen by."""
    return {source_of(config.train_split), source_of(config.validation_split)}


def _streamed_if_large(sources: dict[str, Stored], used: set[str], resident_bytes: int) -> dict[str, Stored]:
    arrays = {name: stored.images for name, stored in sources.items() if isinstance(stored.images, np.ndarray)}
    if sum(arrays[name].nbytes for name in used & arrays.keys()) <= resident_bytes:
        return sources
    return {name: sources[name]._replace(images=Streamed.all_of(images)) for name, images in arrays.items()}
