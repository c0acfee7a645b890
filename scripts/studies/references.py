"""What a reference picture is worth: another of the same class, any other, or none; by what is alike, or by luma alone."""

from pathlib import Path
from typing import Any

import numpy as np
import tyro
from studies.common import Limit, Model, Out, photographs_of, write_study

from ae.report.markdown import Table, tabulate


def reference(
    folders: tyro.conf.Positional[tuple[Path, ...]],
    model: Model = "chroma_unet",
    seed: int = 0,
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Colorize the photographs of folders with the colours of another photograph of the same folder.

    Args:
        folders: Photographs whose names begin with their class, as in n01443537_17.jpg, or with their clip.
        seed: Of the photographs that are drawn as references.
    """
    from ae import Colorizer, load_model

    trained = load_model(model)
    rows: list[dict[str, Any]] = []
    for folder in folders:
        errors = errors_of(folder, Colorizer(trained), np.random.default_rng(seed), limit)
        rows += reference_rows(folder.name, errors)
    write_study(out, "study_reference", reference_table(rows), [trained.config], details={"seed": seed})


def errors_of(
    folder: Path, colorizer: Any, rng: np.random.Generator, limit: int | None
) -> dict[tuple[str, str], list[float]]:
    """Return the mean squared error of each photograph, by method (see `outputs`)."""
    from ae.runtime import progress

    files = photographs_of(folder)
    paths = files.paths
    errors: dict[tuple[str, str], list[float]] = {}
    chosen = rng.permutation(len(paths))[:limit]
    with progress.bar(folder.name, len(chosen)) as bar:
        for number in chosen:
            others = {"of the same class": same_class(paths, number, rng), "any other": other_class(paths, number, rng)}
            truth = np.float32(files[number]) / 255
            for key, output in outputs(colorizer, truth, {name: files[i] for name, i in others.items()}).items():
                errors.setdefault(key, []).append(float(np.square(np.clip(output, 0, 1) - truth).mean()))
            bar.update()
    return errors


def same_class(paths: list[Path], number: int, rng: np.random.Generator) -> int:
    """Return the number of another photograph of the class of one. Raises InputError where there is none."""
    from ae.errors import InputError

    name = paths[number].name.partition("_")[0]
    others = [i for i, path in enumerate(paths) if path.name.startswith(f"{name}_") and i != number]
    if not others:
        raise InputError(f"{paths[number]} is the only photograph of its class: there have to be two of each")
    return int(rng.choice(others))


def other_class(paths: list[Path], number: int, rng: np.random.Generator) -> int:
    """Return the number of a photograph of another class."""
    name = paths[number].name.partition("_")[0]
    return int(rng.choice([i for i, path in enumerate(paths) if not path.name.startswith(f"{name}_")]))


def outputs(colorizer: Any, truth: np.ndarray, references: dict[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """Return RGB [H, W, 3] by (which reference, by what its colours are carried over), of a photograph's luma."""
    from studies.measures.recolour import luma_of

    gray = luma_of(truth)
    made = {("none", ""): colorizer.image(gray)}
    for name, photograph in references.items():
        known = colorizer.with_reference(np.float32(photograph) / 255)
        made[name, "what is alike, and luma"] = known.image(gray)
        made[name, "luma alone"] = by_luma(known, gray)
    return made


def by_luma(colorizer: Any, gray: np.ndarray) -> np.ndarray:
    """Return RGB [H, W, 3] whose hints are the colours that a reference has at the same luma."""
    import jax.numpy as jnp
    from studies.measures.references import chroma_by_luma
    from studies.measures.upsampling import copies_of, guided, in_colour

    from ae.restore.chroma import mean_colours

    trained, copies = colorizer.trained, copies_of(colorizer, gray)
    model = trained.config, trained.variables
    seen = zip(copies, colorizer.references, strict=False)
    answers = [chroma_by_luma(*model, small, colorizer.look, reference) for small, reference in seen]
    chroma = mean_colours(answers, jnp.asarray(copies[-1])).chroma
    return in_colour(gray, guided(np.asarray(chroma), copies[-1], gray))


def reference_rows(name: str, errors: dict[tuple[str, str], list[float]]) -> list[dict[str, Any]]:
    """Return the rows of a folder's photographs: mean of their PSNR, and how much better than without a reference."""
    from studies.measures.recolour import psnr

    means = {key: float(psnr(np.array(values)).mean()) for key, values in errors.items()}
    about = {"photographs": name, "number": len(errors["none", ""])}
    return [
        about
        | {"reference": which, "carried over by": way, "mean of PSNR": mean, "over none": mean - means["none", ""]}
        for (which, way), mean in means.items()
    ]


def reference_table(rows: list[dict[str, Any]]) -> Table:
    """Return the table of references."""
    digits = {"photographs": None, "number": None, "reference": None, "carried over by": None}
    title = "Photographs coloured from their luma and a reference. PSNR in dB."
    return tabulate(title, {**digits, "mean of PSNR": 2, "over none": 2}, rows)
