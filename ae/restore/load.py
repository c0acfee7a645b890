"""Trained models by name: weights in the package, a file of weights, or the directory of a run."""

import json
from pathlib import Path
from typing import Any, Literal

from ae.config import Config, from_dict
from ae.errors import InputError
from ae.restore.weights import Pretrained, load_pretrained, pretrained_names, read_weights

Checkpoint = Literal["last", "best"]
RUN_WEIGHTS: dict[Checkpoint, str] = {"last": "weights.safetensors", "best": "weights_best.safetensors"}


def load_model(model: str, *, preset: Config | None = None, checkpoint: Checkpoint | None = None) -> Pretrained:
    """Read a trained model: the name of weights in the package, a .safetensors file or a run directory.

    `preset` is needed where its model or task is defined outside of the package. `checkpoint`: of a run directory, the
    last weights (the default) or those with the lowest validation loss. Raises InputError where there is no such model.
    """
    path = Path(model)
    named = model in pretrained_names() and not path.exists()
    if checkpoint and (named or path.suffix == ".safetensors"):
        raise InputError(f"--checkpoint {checkpoint} is for run directories; {model} has one set of weights")
    if named:
        return load_pretrained(model)
    if path.suffix == ".safetensors":
        return read_weights(path, preset=preset)
    if path.is_file():
        raise InputError(f"{path} is no model that is read here: name weights, a .safetensors file or a run directory")
    return _read_run(path, preset, checkpoint)


def lacks_weights(path: Path, checkpoint: Checkpoint | None) -> bool:
    """Return whether a path is a run without weights: in its first epoch, or of an earlier version."""
    return (path / "config.json").exists() and not (path / RUN_WEIGHTS[checkpoint or "last"]).exists()


def _read_run(path: Path, preset: Config | None, checkpoint: Checkpoint | None) -> Pretrained:
    """Return the weights that a run has left, with its result once it is finished."""
    read_config(path, preset)
    weights = path / RUN_WEIGHTS[checkpoint or "last"]
    if lacks_weights(path, checkpoint):
        best = " --checkpoint best" * (checkpoint == "best")
        raise InputError(
            f"{path} has no {weights.name} yet, which the end of its first epoch writes; if it is of an earlier version, "
            f"`python scripts/export.py {path} {weights}{best}` does"
        )
    trained = read_weights(weights, preset=preset)
    return trained._replace(result=trained.result | read_result(path, trained.result["epochs"]))


def read_config(path: Path, preset: Config | None = None, *, any_name: bool = False) -> Config:
    """Read the configuration of a run directory.

    Raises InputError where there is none, or, unless `any_name`, one of another name than the preset's.
    """
    config = _read_config(path, preset)
    if preset and not any_name and config.name != preset.name:
        raise InputError(f"{path} is a run of {config.name}, not of {preset.name}")
    return config


def _read_config(path: Path, preset: Config | None) -> Config:
    try:
        return from_dict(json.loads((path / "config.json").read_text()), preset)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} is not a run directory: it has no config.json") from None
    except InputError as error:
        raise InputError(f"{path / 'config.json'}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # no text, no JSON, or JSON of something else
        raise InputError(f"{path / 'config.json'} is damaged: {error}") from error


def read_result(path: Path, epochs: int) -> dict[str, Any]:
    """Read the result of a run, the baselines apart; empty unless it is of so many epochs."""
    try:
        result = json.loads((path / "metrics.json").read_text())
    except (OSError, ValueError):
        result = {}
    finished = isinstance(result, dict) and result.get("epochs") == epochs
    return {key: value for key, value in result.items() if key != "baselines"} if finished else {}
