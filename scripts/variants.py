"""Train variants of our presets for a few epochs each, and write the table of what was tried."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from studies.colours import cost_of_colour

from ae.report.markdown import Table, rows_of, tabulate
from ae.runtime import cli

Preset = Literal["unet_denoiser", "chroma_unet_cifar", "gray_denoiser", "chroma_unet_base"]
TEMPERATURES = (0.2, 0.38, 0.6, 1.0)
SATURATIONS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)


def variants(preset: Preset) -> dict[str, dict[str, Any]]:
    """Return changes of a preset, by name."""
    from vivid import PRESET as VIVID

    from ae.models import ChromaUNet, UNet
    from ae.tasks import Colorize

    if preset == "gray_denoiser":
        return variants_for_photographs()
    if preset == "chroma_unet_base":
        return variants_of_colour_for_photographs()
    settings = {
        "as released": {},
        "learning rate 0.001": {"learning_rate": 1e-3},
        "learning rate 0.004": {"learning_rate": 4e-3},
        "constant learning rate": {"schedule": "constant"},
        "batches of 128": {"batch_size": 128},
        "averaged weights": {"ema_decay": 0.999},
    }
    if preset == "unet_denoiser":
        return settings | {
            "noise drawn once": {"new_noise_each_epoch": False},
            "not residual": {"model": UNet((32, 64, 104))},
            "wider at the top": {"model": UNet((40, 64, 80), residual=True)},
            "four levels": {"model": UNet((32, 56, 80, 80), residual=True)},
        }
    return settings | {
        "neither mirrored nor shifted": {"train_task": None},
        "not shifted": {"train_task": Colorize(mirrored=True)},
        "wider at the top": {"model": ChromaUNet((48, 80, 160))},
        "wider at the bottom": {"model": ChromaUNet((32, 96, 192))},
        "four levels": {"model": ChromaUNet((40, 80, 128, 160))},
        "classes of chroma": {key: getattr(VIVID, key) for key in ("model", "train_task", "learning_rate")},
    }


def variants_for_photographs() -> dict[str, dict[str, Any]]:
    """Return changes of `gray_denoiser`, by name."""
    from ae import preset
    from ae.models import UNet

    config = preset("gray_denoiser")
    settings = {"residual": True, "patch": 2, "biases": False}
    return {
        "as released": {},
        "batches of 64": {"batch_size": 64},
        "crops of 64, batches of 128": {"batch_size": 128, "train_task": replace(config.train_task, crop=64)},
        "Adam, learning rate 0.001": {"optimizer": "keras_adam", "learning_rate": 1e-3},
        "three convolutions a level": {"model": UNet((64, 48, 32), depth=3, **settings)},
        "four levels": {"model": UNet((72, 48, 40, 32), **settings)},
        "two levels": {"model": UNet((64, 48), depth=4, **settings)},
        "one level": {"model": UNet((64,), depth=13, **settings)},
    }


def variants_of_colour_for_photographs() -> dict[str, dict[str, Any]]:
    """Return changes of `chroma_unet_base`, by name."""
    from classifier import CLASSIFIER
    from semantics import AttendingUNet, GlancingUNet

    from ae import preset

    config = preset("chroma_unet_base")
    settings = {"relative": True, "hints": True, "vivid": True}
    return {
        "as released": {},
        "another seed": {"seed": 1},
        "Tiny ImageNet alone": {"data": "tiny_imagenet"},
        "a vector of the whole picture": {"model": GlancingUNet((40, 80, 144, 216), **settings)},
        "attention at the lowest level": {"model": AttendingUNet((40, 80, 144, 208), **settings)},
        "wider at the top": {"model": config.model.clone(widths=(64, 112, 144, 168))},
        "three convolutions a level": {"model": config.model.clone(widths=(40, 72, 112, 184), depth=3)},
        "first a classifier (scripts/classifier.py)": {"initial_weights": str(CLASSIFIER)},
        "no livelier chroma": {"model": config.model.clone(vivid=False)},
        "squares of 64": {"train_task": replace(config.train_task, side=64)},
    }


class Trained(NamedTuple):
    """A trained model, and what the table says of its training."""

    config: Any
    variables: Any
    epochs: int
    seconds: float
    val_loss: float
    validation: Any  # the split


def main(
    presets: tuple[Preset, ...] = ("unet_denoiser", "chroma_unet_cifar"),
    only: tuple[str, ...] = (),
    in_full: tuple[str, ...] = (),
    epochs: int = 3,
    runs: Path = Path("runs/tried"),
    out: Path = Path("results/variants.json"),
    data_dir: Path | None = None,
    limit: int | None = None,
) -> None:
    """Train variants of our presets, going on with what an earlier call left.

    Args:
        presets: Whose variants.
        only: Those with these names alone; the table keeps the others' figures.
        in_full: Train nothing, but compare these colorizers: names of weights in the package, or run directories.
        epochs: How long to train each; the released ones train longer.
        runs: Folder for the run directories.
        out: File to write; README.md beside it and the pages that show its table are written too.
        data_dir: Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        limit: Use only so many images of each split.
    """
    import jax

    from ae.report.made_with import made_with
    from ae.report.page import read_measured, write_measured, write_tables

    earlier = read_measured(out)
    rows = {(row["variant of"], row["what"]): row for row in rows_of(earlier)} if earlier else {}
    details, made = earlier.get("details", {}), {entry["command"]: entry for entry in earlier.get("made_with", ())}
    several = ((name, label, changes) for name in presets for label, changes in variants(name).items())
    chosen = [(name, label, changes) for name, label, changes in several if not only or label in only]
    models = trained_in_full(in_full, data_dir, limit) if in_full else trained(chosen, epochs, runs, data_dir, limit)
    configs, text = [], ""
    for name, label, model in models:
        for suffix, at_temperature in temperatures(model):
            variant = f"{label}{suffix}"
            rows[name, variant], details.setdefault(name, {})[variant] = measure(name, variant, at_temperature)
        configs.append(model.config)
        made[cli.command()] = made_with(cli.command(), *configs)
        table = variants_table(list(rows.values()), details)
        text = write_measured(out, table, list(made.values()), details)
        jax.clear_caches()  # of a dozen models, the compiled programs are more mappings than Linux gives a process
    write_tables(out.parent)
    print(text)


def trained(
    chosen: list[tuple[Preset, str, dict[str, Any]]], epochs: int, runs: Path, data_dir: Path | None, limit: int | None
) -> Iterator[tuple[str, str, Trained]]:
    """Train variants for a few epochs: yield (preset, variant, model)."""
    from ae import fit, load_data, override, preset

    for name, label, changes in chosen:
        print(f"\n{name}, {label}", flush=True)
        config = override(preset(name), epochs=epochs, patience=epochs, limit=limit, **changes)
        data = load_data(config, data_dir=data_dir)
        state, history = fit(config, data, out=runs / f"{name}-{label.replace(' ', '-')}", resume=True)
        last = history[-1]
        about = len(history), last["seconds"], last["val_loss"]
        yield name, label, Trained(config, state.variables, *about, data.validation)


def trained_in_full(
    models: tuple[str, ...], data_dir: Path | None, limit: int | None
) -> Iterator[tuple[str, str, Trained]]:
    """Yield colorizers as their own training left them: ("in full", name, model)."""
    from vivid import PRESET as VIVID

    from ae import load_data, load_model, override
    from ae.errors import InputError

    for model in models:
        print(f"\n{model}", flush=True)
        own = VIVID if Path(model).name == VIVID.name else None
        config, variables, result = load_model(model, preset=own)
        data = load_data(override(config, limit=limit), data_dir=data_dir)
        if "validation" not in result:
            raise InputError(f"{model} has not been trained to its end: go on with --resume")
        about = result["epochs"], result["wall_seconds"], result["validation"]["loss"]
        yield "in full", config.name, Trained(config, variables, *about, data.validation)


def temperatures(model: Trained) -> Iterator[tuple[str, Trained]]:
    """Yield (suffix of its name, model): one that predicts classes of chroma at each of TEMPERATURES, others as they are."""
    if not hasattr(model.config.model, "temperature"):
        yield "", model
        return
    for temperature in TEMPERATURES:
        config = replace(model.config, model=model.config.model.clone(temperature=temperature))
        yield f", temperature {temperature:g}", model._replace(config=config)


def measure(name: str, variant: str, model: Trained) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the table's row of a variant, and its details: of a colorizer also what colour costs (`cost_of_colour`)."""
    from ae import predictor
    from ae.score.flops import count_values, multiply_adds
    from ae.tasks import Colorize

    row = {
        "variant of": name,
        "what": variant,
        "parameters": count_values(model.variables),
        "multiply-adds, M": multiply_adds(model.config.model, (*model.validation.images.shape[1:3], 1)) / 1e6,
        "epochs": model.epochs,
        "minutes": model.seconds / 60,
        "validation loss": model.val_loss,
    }
    details = {"validation": model.validation.name}
    if not isinstance(model.config.task, Colorize):
        return row, details
    curve = cost_of_colour(predictor(model.config), model.variables, model.validation, SATURATIONS)
    scores = {"validation loss": curve["mse"][0], "colourfulness": curve["colourfulness"][0]}
    return row | scores, details | {"curve": curve}


COLUMNS = {
    "variant of": None, "what": None, "parameters": None, "multiply-adds, M": 1, "epochs": None, "minutes": 1,
    "validation loss": 5, "colourfulness": 1, "loss of the first, as colourful": 5,
}  # fmt: skip


def variants_table(rows: Sequence[dict[str, Any]], details: dict[str, dict[str, Any]]) -> Table:
    """Return the table of variants, with what the colour of each costs the first variant of its preset."""
    firsts = {row["variant of"]: row for row in reversed(rows)}
    names = list(dict.fromkeys(row["variant of"] for row in rows))
    rows_with_loss = [
        row | {"loss of the first, as colourful": as_colourful(row, firsts[name], details[name])}
        for name in names
        for row in rows
        if row["variant of"] == name
    ]
    return tabulate(
        "Variants of our presets after a few epochs, and colorizers trained in full.", COLUMNS, rows_with_loss
    )


def as_colourful(row: dict[str, Any], first: dict[str, Any], details: dict[str, Any]) -> float | None:
    """Return the error of the first variant with its chroma multiplied until it is as colourful, if that was measured."""
    import numpy as np

    curve = details[first["what"]].get("curve")
    if row is first or not curve or not curve["colourfulness"][0] <= row["colourfulness"] <= curve["colourfulness"][-1]:
        return None
    return float(np.interp(row["colourfulness"], curve["colourfulness"], curve["mse"]))


if __name__ == "__main__":
    cli.run(main, interrupted="interrupted; the same command goes on from the last checkpoint")
