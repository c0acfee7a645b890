"""Data sets by name, as splits of uint8 images."""

from pathlib import Path

from ae.config import Config
from ae.data.samples import SAMPLES
from ae.data.splits import Data, Split, cut, parse
from ae.data.tfds import load_tfds

__all__ = ["Data", "Split", "load_data"]


def load_data(config: Config, *, data_dir: str | Path | None = None) -> Data:
    """Loads the splits that the configuration names, cut to `config.limit` images each.

    Looks in `data_dir`, else in TFDS_DATA_DIR, else in ~/tensorflow_datasets, where a missing data set is downloaded.
    Raises InputError if it is not there and cannot be downloaded, or is not in the array_record format.
    """
    specs = [config.train_split, config.validation_split, config.test_split]
    if config.reference_split not in (None, config.validation_split):
        specs.append(config.reference_split)
    if config.data in SAMPLES:
        version, sources = "1", SAMPLES[config.data]()
    else:
        version, sources = load_tfds(config.data, {parse(spec)[0] for spec in specs}, data_dir)
    return Data(config.data, version, *(cut(sources, spec, config.limit) for spec in specs))
