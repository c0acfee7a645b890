"""Data sets by name, as splits of uint8 images."""

from pathlib import Path

import numpy as np

from ae.config import Config
from ae.data.samples import SAMPLES
from ae.data.splits import Data, Split, parse_spec, select_split
from ae.data.streamed import Streamed
from ae.data.tfds import load_tfds

__all__ = ["Data", "Split", "load_data"]


def load_data(config: Config, *, data_dir: str | Path | None = None, resident_bytes: int = 2 * 2**30) -> Data:
    """Load the splits that the configuration names, cut to `config.limit` images each.

    Looks in `data_dir`, else in TFDS_DATA_DIR, else in ~/tensorflow_datasets, where a missing data set is downloaded.
    Where the decoded images of the source splits are more than `resident_bytes`, they are streamed: read again in every
    epoch, and never all in memory. Raises InputError if the data set is not there and cannot be downloaded, or is not in
    the array_record format.
    """
    specs = [config.train_split, config.validation_split, config.test_split]
    if config.reference_split not in (None, config.validation_split):
        specs.append(config.reference_split)
    used = {parse_spec(spec)[0] for spec in specs}
    if config.data in SAMPLES:
        version, sources = "1", _samples(config.data, used, resident_bytes)
    else:
        version, sources = load_tfds(config.data, used, data_dir, resident_bytes)
    return Data(config.data, version, *(select_split(sources, spec, config.limit) for spec in specs))


def _samples(name: str, used: set[str], resident_bytes: int) -> dict[str, np.ndarray] | dict[str, Streamed]:
    arrays = SAMPLES[name]()
    if sum(arrays[source].nbytes for source in used & arrays.keys()) <= resident_bytes:
        return arrays
    return {source: Streamed.all_of(images) for source, images in arrays.items()}
