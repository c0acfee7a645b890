"""The configuration of a run: one frozen dataclass, of which presets are small differences."""

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from math import inf
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import flax.linen as nn

from ae import models, tasks
from ae.errors import InputError
from ae.runtime.pytrees import register_settings
from ae.tasks import Task

CHOICES = {
    "optimizer": ("keras_adam", "adamw", "muon"),
    "schedule": ("constant", "one-cycle", "cosine"),
    "dtype": ("float32", "bfloat16", "float16"),
    "precision": ("default", "float32"),
}
FORMER_NAMES = {"average": "ema_decay", "fresh": "new_noise_each_epoch"}  # in weights and runs of earlier versions
PARTS = ("model", "task", "train_task")  # the fields that are objects


@dataclass(frozen=True)
class Config:
    """Settings of one run; everything that its result depends on, the data's content apart."""

    name: str  # of the preset; the default of the run directory is runs/NAME
    model: nn.Module  # maps inputs [B, H, W, C] to outputs; fields must be numbers, strings, booleans or tuples of them
    task: Task  # makes (input, target) of a clean image, and scores outputs
    data: str  # a folder of photographs, or a data set's name: "mnist", "bsds500", "sample-digits", "one+other"
    train_task: Task | None = None  # what to learn from, where it is not what is scored: mirrored images, mixed noise
    train_split: str = "train"  # in the notation of tfds: "train", "train[:55000]", "test[9000:]"
    validation_split: str = "test"  # early stopping looks at it
    test_split: str = "test"  # scored once, at the end
    reference_split: str | None = None  # tables give the loss of every model on it; None: on the validation split
    tile: int = 0  # side of the squares that photographs are cut into; 0: they stay whole, and all have one size
    scale: float = 1.0  # to which photographs are reduced before that; below 1, it takes JPEG's blocks away
    initial_weights: str | None = None  # to begin with: a name in the package, or a file; None: random ones
    batch_size: int = 32  # images in a training step
    optimizer: str = "keras_adam"  # Adam as Keras computes it, "adamw": with decoupled weight decay, "muon"
    learning_rate: float = 1e-3  # of the optimizer; the highest, where a schedule changes it
    schedule: str = "constant"  # of the learning rate; "one-cycle" and "cosine" end at next to nothing after `epochs`
    warmup_steps: int = 0  # in which the learning rate grows from 0; "one-cycle" has a warm-up of its own
    weight_decay: float = 0.0  # of adamw: kernels shrink by this share of the learning rate in each step
    clip_norm: float | None = None  # norm of all gradients together, to which larger ones are cut; None: they are not
    ema_decay: float = 0.0  # of a running average of the weights, which then predicts; 0: the weights themselves do
    epochs: int = 100  # how many to train at most
    patience: int = 2  # stop when so many epochs in a row do not beat the best validation loss
    dtype: str = "float32"  # that the model computes in; "bfloat16" is for accelerators. Parameters are float32
    precision: str = "default"  # of float32 products: "float32" keeps GPUs and TPUs from rounding their factors
    new_noise_each_epoch: bool = False  # draw noise anew in each epoch; otherwise once for each image
    seed: int = 0  # below 2**32, of weights, order and training noise; validation and test noise never change
    limit: int | None = None  # use only so many images of each split

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise InputError(f"unknown {name} {value!r}; there are {', '.join(known)}")
        for name in ("batch_size", "epochs", "patience", "limit"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{name} has to be at least 1, not {value}")
        for name in ("learning_rate", "clip_norm"):
            if (value := getattr(self, name)) is not None and not 0 < value < inf:
                raise InputError(f"{name} has to be above 0, and finite, not {value}")
        if not 0 < self.scale <= 1:
            raise InputError(f"scale has to be above 0, and at most 1, not {self.scale}")
        for name in ("tile", "warmup_steps", "weight_decay"):
            if not 0 <= (value := getattr(self, name)) < inf:
                raise InputError(f"{name} has to be at least 0, and finite, not {value}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed has to be from 0 to 2**32 - 1, not {self.seed}")
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay has to be at least 0 and below 1, not {self.ema_decay}")
        if self.weight_decay and self.optimizer != "adamw":
            raise InputError(f"weight_decay is for optimizer='adamw', not {self.optimizer!r}")
        if self.warmup_steps and self.schedule == "one-cycle":
            raise InputError(
                "warmup_steps is for the schedules constant and cosine: one-cycle has a warm-up of its own"
            )

    @property
    def training_task(self) -> Task:
        """Return the task to learn from."""
        return self.train_task or self.task

    @property
    def numerics(self) -> dict[str, Any]:
        """Return the dtype and precision that the model computes in, as arguments of `ae.models.apply.apply`."""
        return {"dtype": self.dtype, "precision": self.precision}

    @property
    def compile_key(self) -> "Config":
        """Return the configuration as an argument of compiled functions, a pytree whose leaves are `TRACED_FIELDS`.

        Names, schedule, seed and lengths are left out: runs that differ in them, or in the leaves, take one program.
        """
        blank: dict[str, Any] = dict.fromkeys(("name", "data", "train_split", "validation_split", "test_split"), "")
        numbers: dict[str, Any] = {"tile": 0, "scale": 1.0, "warmup_steps": 0, "epochs": 1, "patience": 1, "seed": 0}
        return replace(
            self, **blank, **numbers, schedule="constant", reference_split=None, initial_weights=None, limit=None
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as JSON values; model and task as `{"class": name, **fields}`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {key: _describe(values[key]) for key in PARTS if values[key] is not None}


TRACED_FIELDS = ("learning_rate", "weight_decay", "clip_norm", "task", "train_task")  # values for compiled functions
register_settings(Config, TRACED_FIELDS)
DEFAULTS = {field.name: field.default for field in fields(Config) if field.default is not MISSING}


def from_dict(values: Mapping[str, Any], preset: Config | None = None) -> Config:
    """Return the configuration of JSON values, the inverse of `Config.to_dict`.

    Classes are looked up in `ae.models` and `ae.tasks`, and beside them only those of `preset`, so that a file can never
    name code to run. Raises InputError for unknown fields and classes.
    """
    values = renamed(values)
    own = [getattr(preset, key) for key in PARTS] if preset else []
    known = {type(value).__name__: type(value) for value in own} | vars(models) | vars(tasks)
    parts = {key: _build(values[key], known) for key in PARTS if values.get(key) is not None}
    return _checked(Config, {**values, **parts})


def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration's JSON values under the names that fields have today."""
    return {FORMER_NAMES.get(name, name): value for name, value in values.items()}


def override(config: Config, **changes: Any) -> Config:
    """Return the configuration with some fields changed. Raises InputError for unknown fields."""
    _check_fields(Config, changes)
    return replace(config, **changes)


def _describe(part: nn.Module | Task) -> dict[str, Any]:
    values = {field.name: getattr(part, field.name) for field in fields(part) if field.name not in ("parent", "name")}
    return {"class": type(part).__name__} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def _build(description: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in description.items() if k != "class"}
    cls = known.get(str(description.get("class")))
    if not inspect.isclass(cls) or not issubclass(cls, (nn.Module, Task)):
        raise InputError(
            f"unknown class {description.get('class')!r}; name the file it is defined in: --preset FILE.py:PRESET"
        )
    return _checked(cls, values)


def _checked(cls: type, values: Mapping[str, Any]) -> Any:
    _check_fields(cls, values)
    hints = get_type_hints(cls)
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise InputError(f"{cls.__name__}: {name} cannot be {value!r}")
    try:
        return cls(**values)
    except TypeError as error:  # a field is missing
        raise InputError(f"{cls.__name__}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of an annotated type: numbers, strings, booleans, tuples of them, or None."""
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def _check_fields(cls: type, values: Mapping[str, Any]) -> None:
    names = [field.name for field in fields(cls) if field.name != "parent"]
    if unknown := [key for key in values if key not in names]:
        raise InputError(f"unknown field {', '.join(map(repr, unknown))} of {cls.__name__}; it has {', '.join(names)}")
