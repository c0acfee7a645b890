"""Presets from the command line: its first argument names one, and options change any of the fields.

`python -m ae.presets.shell > scripts/presets.txt` writes the list of presets that `train.py --help` shows.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial

import flax.linen as nn
import jax
import numpy as np

from ae.config import Config
from ae.errors import InputError
from ae.presets import PRESETS, load_preset, on_sample
from ae.runtime import arguments
from ae.tasks import Task


def parse(main: Callable[..., None], args: Sequence[str], prog: str) -> Callable[[], None]:
    """Return `main(preset, config=..., ...)` bound to the preset that is named and to its fields as they are asked for.

    Raises InputError for arguments that do not fit.
    """
    name = _preset_name(args)
    preset = load_preset(name)
    options = list(args)
    options.remove(name)
    _check_train_task(preset, options)
    return arguments.parse(partial(main, preset, config=preset), options, prog=f"{prog} {name}")


def _preset_name(args: Sequence[str]) -> str:
    """Return the first argument or, behind options whose values could be taken for it, the first that can be a preset."""
    if not args[0].startswith("-"):
        return args[0]
    for word in args:
        if word in PRESETS or word.partition(":")[0].endswith(".py"):
            return word
    raise InputError("name the preset first; --help lists the presets")


def _check_train_task(preset: Config, options: Sequence[str]) -> None:
    if preset.train_task is None and any(word.replace("_", "-").startswith("--train-task") for word in options):
        raise InputError(f"{preset.name} has no train_task, as it learns from its task: --task.FIELD changes both")


def on_sample_data(config: Config, preset: Config) -> Config:
    """Return the preset on the data that comes with the dependencies, with the other changes of `config` kept."""
    changed = {field.name: getattr(config, field.name) for field in fields(Config) if field.name != "data"}
    kept = {name: value for name, value in changed.items() if value != getattr(preset, name)}
    return replace(on_sample(preset), **kept)


def check(config: Config, images: np.ndarray) -> None:
    """Raise InputError where the model or a task cannot do with images [N, H, W, C]; computes nothing."""

    def loss(image: jax.Array, task: Task, train: bool) -> jax.Array:
        inputs, target = task(jax.random.key(0), image / 255)
        output, _ = config.model.init_with_output(jax.random.key(0), inputs[None], train=train)
        return task.loss(output, target[None])

    for task, train in ((config.training_task, True), (config.task, False)):
        try:
            jax.eval_shape(partial(loss, task=task, train=train), images[0])
        except InputError:
            raise
        except Exception as error:  # a layer's: there are many kinds
            reason = str(error).partition("\n")[0]
            raise InputError(f"{_call(config.model)} cannot do {_call(task)} on such images: {reason}") from error


def listing() -> str:
    """Return a line for each preset: its name, model, what it learns, data and epochs."""
    return "\n".join(f"{name:<20} {_summary(config)}" for name, config in PRESETS.items())


def _summary(config: Config) -> str:
    model = f"{type(config.model).__name__}{_widths(config.model)}"
    return f"{model}, {_call(config.training_task)}, {config.data}, up to {config.epochs} epochs"


def _widths(model: nn.Module) -> str:
    """Return the first field of a model, which says how wide it is, as in `UNet(32, 64, 104)`."""
    value = getattr(model, fields(model)[0].name)
    return str(value) if isinstance(value, tuple) else f"({value})"


def _call(part: nn.Module | Task) -> str:
    """Return a model or task as Python would write it, without the fields that are as its class has them."""
    own = [field for field in fields(part) if field.name not in ("parent", "name")]
    values = [(field.name, getattr(part, field.name), field.default) for field in own]
    shown = (
        (name, f"{value:.3g}" if isinstance(value, float) else value)
        for name, value, default in values
        if value != default
    )
    changed = ", ".join(f"{name}={value}" for name, value in shown)
    return f"{type(part).__name__}({changed})" if changed else type(part).__name__


if __name__ == "__main__":
    print(listing())
