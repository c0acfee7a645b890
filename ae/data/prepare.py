"""Data sets as tfds prepares them, without TensorFlow.

tfds' own builders of MNIST and CIFAR-100 read the downloaded files and encode the images with TensorFlow. Those here do both
themselves, and leave the rest (sources, checksums, splits, features, files) to tfds: what they write, tfds reads as its own.
Many other builders take of TensorFlow only what lists and opens files, which they are given here.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import glob
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import requests
import tensorflow_datasets as tfds
from PIL import Image

from ae.errors import InputError


class Mnist(tfds.image_classification.MNIST, skip_registration=True):  # type: ignore[call-arg]  # the name is taken
    """MNIST (LeCun, Cortes and Burges), from its IDX files."""

    name = "mnist"
    url_infos = tfds.image_classification.MNIST.url_infos  # the downloads' checksums

    def _generate_examples(self, num_examples: int, data_path: Path, label_path: Path) -> Iterator[tuple[int, Any]]:
        images = np.frombuffer(Path(data_path).read_bytes(), np.uint8, offset=16).reshape(num_examples, 28, 28)
        labels = np.frombuffer(Path(label_path).read_bytes(), np.uint8, offset=8)
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield i, {"image": _encoded(image), "label": int(label)}


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
            yield i, {"id": f"{split_prefix}{i:05d}", "image": _encoded(image), **labels}


def _encoded(image: np.ndarray, file_format: str = "png") -> BytesIO:
    file = BytesIO()
    Image.fromarray(image).save(file, file_format, **({"quality": 95} if file_format == "jpeg" else {}))
    file.seek(0)
    return file


BUILDERS: dict[str, Any] = {"mnist": Mnist, "cifar100": Cifar100}


def has_builder(name: str) -> bool:
    """Return whether a data set can be prepared: "mnist", or with a configuration, "div2k/bicubic_x2"."""
    try:
        return name in BUILDERS or bool(tfds.builder_cls(name.partition("/")[0]))
    except Exception:  # whatever tfds makes of names that it does not know
        return False


def download_and_prepare(name: str, root: Path) -> None:
    """Download a data set and write it to `root` as array_record files.

    Raises InputError where it has no images, or its builder needs TensorFlow; and whatever else stands in the way: no
    network (at once, where tfds would try for minutes), no room, no right to write.
    """
    name, _, configuration = name.partition("/")
    builder_class = BUILDERS.get(name) or tfds.builder_cls(name)
    with _files_without_tensorflow(builder_class):
        try:
            builder = builder_class(data_dir=root, file_format="array_record", config=configuration or None)
            _check_images(name, builder.info.features)
            requests.head(next(iter(builder.url_infos)), timeout=10)
            builder.download_and_prepare()
        except (ImportError, NotImplementedError) as error:
            raise InputError(
                f"{name} cannot be prepared without TensorFlow: prepare it where that is installed, with "
                f"tfds.builder({name!r}, file_format='array_record').download_and_prepare(), and name its folder: --data-dir"
            ) from error


def _check_images(name: str, features: Any) -> None:
    if not any(isinstance(feature, tfds.features.Image) for feature in features.values()):
        raise InputError(f"{name} holds no images: its records have {', '.join(features)}")


class _Files:
    """What builders call of `tf.io.gfile`."""

    exists, isdir, listdir, walk = os.path.exists, os.path.isdir, os.listdir, os.walk
    glob, GFile = glob, open


class _TensorFlow(SimpleNamespace):
    """The few functions of TensorFlow that builders call; others raise NotImplementedError."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


_STAND_IN = _TensorFlow(
    io=_TensorFlow(gfile=_Files, encode_jpeg=lambda image: SimpleNamespace(numpy=_encoded(image, "jpeg").read)),
    image=_TensorFlow(decode_image=lambda content: np.asarray(Image.open(BytesIO(content)).convert("RGB"))),
    shape=np.shape,
)


@contextmanager
def _files_without_tensorflow(builder_class: Any) -> Iterator[None]:
    """Give the module of a builder the stand-in for TensorFlow, where it names that `tf`."""
    names = vars(sys.modules[builder_class.__module__])
    before = names.get("tf")
    if before is not None:
        names["tf"] = _STAND_IN
    try:
        yield
    finally:
        if before is not None:
            names["tf"] = before
