"""MNIST and CIFAR-100 as tfds prepares them, without TensorFlow.

tfds' own builders read the downloaded files and encode the images with TensorFlow. These do both themselves, and leave the
rest (sources, checksums, splits, features, files) to tfds: what they write, tfds reads as its own.
"""

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import requests
import tensorflow_datasets as tfds
from PIL import Image


class Mnist(tfds.image_classification.MNIST, skip_registration=True):  # type: ignore[call-arg]  # the name is taken
    """MNIST (LeCun, Cortes and Burges), from its IDX files."""

    name = "mnist"
    url_infos = tfds.image_classification.MNIST.url_infos  # the downloads' checksums

    def _generate_examples(self, num_examples: int, data_path: Path, label_path: Path) -> Iterator[tuple[int, Any]]:
        images = np.frombuffer(Path(data_path).read_bytes(), np.uint8, offset=16).reshape(num_examples, 28, 28)
        labels = np.frombuffer(Path(label_path).read_bytes(), np.uint8, offset=8)
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield i, {"image": _png(image), "label": int(label)}


class Cifar100(tfds.image_classification.Cifar100, skip_registration=True):  # type: ignore[call-arg]
    """CIFAR-100 (Krizhevsky, 2009), from its binary version: two labels and three planes an image."""

    name = "cifar100"
    url_infos = tfds.image_classification.Cifar100.url_infos

    def _generate_examples(self, split_prefix: str, filepaths: Iterable[str]) -> Iterator[tuple[int, Any]]:
        (path,) = filepaths
        rows = np.frombuffer(Path(path).read_bytes(), np.uint8).reshape(-1, 2 + 3 * 32 * 32)
        for i, row in enumerate(rows):
            image = row[2:].reshape(3, 32, 32).transpose(1, 2, 0)
            labels = {"coarse_label": int(row[0]), "label": int(row[1])}
            yield i, {"id": f"{split_prefix}{i:05d}", "image": _png(image), **labels}


def _png(image: np.ndarray) -> BytesIO:
    file = BytesIO()
    Image.fromarray(image).save(file, "png")
    file.seek(0)
    return file


BUILDERS: dict[str, Any] = {"mnist": Mnist, "cifar100": Cifar100}


def download_and_prepare(name: str, root: Path) -> None:
    """Download a data set and write it to `root` as array_record files.

    Raises whatever stands in the way: no network (at once, where tfds would try for minutes), no room, no right to write.
    """
    builder = BUILDERS[name]
    requests.head(next(iter(builder.url_infos)), timeout=10)
    builder(data_dir=root, file_format="array_record").download_and_prepare()
