"""Results as Markdown tables. No figure is ever typed into one."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ae.files import write_text
from ae.reference import REPORTED


def describe_model(config: dict[str, Any]) -> str:
    """The model as Python would write it; of a configuration as JSON values."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in config["model"].items()}
    name = values.pop("class")
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder, by task, best last."""
    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    results = [values for values in files if "preset" in values]
    return sorted(
        results,
        key=lambda result: (result["config"]["task"]["class"] != "Denoise", _group(result), -_compared(result)["loss"]),
    )


SCORES = {"mse": "MSE", "psnr_pooled": "PSNR pooled", "psnr_mean": "PSNR mean", "ssim": "SSIM",
          "colourfulness": "colourfulness"}  # fmt: skip
DIGITS = {"loss": 4, "accuracy": 4, "mse": 5, "psnr_pooled": 2, "psnr_mean": 2, "ssim": 3, "colourfulness": 1}
COLUMNS = ("", "parameters", "multiply-adds", "epochs", "minutes", "to the reference's loss", "chosen on", "training loss",
           "loss", "accuracy", *SCORES.values())  # fmt: skip
Row = dict[str, str]  # by column


def columns(rows: Sequence[Row], order: Sequence[str] = COLUMNS) -> str:
    """A Markdown table with those of the columns that any row has."""
    head = [column for column in order if any(row.get(column) for row in rows)]
    return markdown([head, *([row.get(column, "") for column in head] for row in rows)])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


def scores_table(rows: dict[str, dict[str, float]], accuracy_name: str) -> str:
    """Scores (see `ae.evaluation.measure`) by name, as a Markdown table."""
    cells = [{"": name, **_cells(("loss", "accuracy"), row), **_cells(SCORES, row)} for name, row in rows.items()]
    return columns(cells).replace("accuracy", accuracy_name, 1)


def _group(result: dict[str, Any]) -> tuple[str, str]:
    """What a table is of: a task and a data set."""
    return result["config"]["task"]["class"], result["data"]["name"]


def table(results: Sequence[dict[str, Any]]) -> str:
    """One Markdown table a task and data set: its baselines, then each model, and the reference's figures below ours."""
    tables = []
    for group in dict.fromkeys(map(_group, results)):
        members = [result for result in results if _group(result) == group]
        compared, test = _compared(members[0])["split"], members[0]["test"]["split"]
        title = (
            f"{group[1]}: loss and {members[0]['accuracy_name']} on {compared}, the scores after them on {test}.\n\n"
        )
        models = (row for result in members for row in (_model_row(result), *_reference_row(result)))
        tables.append(title + columns([*_baseline_rows(members), *models]))
    return "\n".join(tables)


def _compared(scores: dict[str, Any]) -> dict[str, Any]:
    return scores.get("compared", scores["validation"])


def _baseline_rows(results: Sequence[dict[str, Any]]) -> list[Row]:
    rows = {name: scores for result in results for name, scores in result["baselines"].items()}
    return [{"": _fitted(name, scores), **_scores(scores)} for name, scores in rows.items()]


def _fitted(name: str, scores: dict[str, Any]) -> str:
    """A baseline's name, with the parameters that were fitted."""
    return ", ".join([name, *(f"{key} {value:g}" for key, value in scores.get("fitted", {}).items())])


def _model_row(result: dict[str, Any]) -> Row:
    spread = result.get("spread", {})
    return {
        "": f"**{result['preset']}**",
        "parameters": f"{result['parameters']:,}",
        "multiply-adds": f"{result['multiply_adds'] / 1e6:.1f} M" if "multiply_adds" in result else "",
        "epochs": str(result["epochs"]),
        "minutes": f"{result['wall_seconds'] / 60:.1f}",
        "to the reference's loss": _minutes_to_the_references_loss(result),
        "chosen on": result["validation"]["split"],
        "training loss": _number("loss", result["train"], spread.get("train")),
        **_scores(result, spread),
    }


def _minutes_to_the_references_loss(result: dict[str, Any]) -> str:
    """After which epoch's minutes the validation loss was at most what the reference reports for its best model."""
    losses = [figures["val_loss"] for figures in REPORTED.values() if figures["data"] == result["data"]["name"]]
    epochs = zip(result["seconds_by_epoch"], result["val_loss_by_epoch"], strict=True)
    reached = (seconds for seconds, loss in epochs if losses and round(loss, 4) <= min(losses))
    seconds = next(reached, None)
    return f"{seconds / 60:.1f}" if seconds else ""


def _reference_row(result: dict[str, Any]) -> list[Row]:
    """The reference's figures, if it has any; where ours are on other data, the row says so."""
    theirs, ours = result["reference"], result["data"]["name"]
    if not theirs:
        return []
    return [
        {
            "": "reference" if ours == theirs["data"] else f"reference, **on other data: {theirs['data']}**",
            "epochs": f"{theirs['epoch']} of {theirs['epochs']}",
            "chosen on": theirs["validation"],
            "training loss": f"{theirs['loss']:.4f}",
            "loss": f"{theirs['val_loss']:.4f}",
            "accuracy": f"{theirs['val_accuracy']:.4f}",
        }
    ]


def _scores(result: dict[str, Any], spread: dict[str, Any] | None = None) -> Row:
    spread = spread or {}
    compared = _cells(("loss", "accuracy"), _compared(result), _compared(spread) if spread else None)
    return compared | _cells(SCORES, result["test"], spread.get("test"))


def _cells(names: Iterable[str], scores: dict[str, Any], spread: dict[str, Any] | None = None) -> Row:
    return {SCORES.get(name, name): _number(name, scores, spread) for name in names if name in scores}


def _number(name: str, scores: dict[str, Any], spread: dict[str, Any] | None = None) -> str:
    digits = DIGITS[name]
    if spread:
        return f"{spread[name]['mean']:.{digits}f} ± {spread[name]['std']:.{digits}f}"
    return f"{scores[name]:.{digits}f}"


PREAMBLE = """# Results

Written by the command that each JSON file names. PSNR has peak 1: "pooled" is that of the mean error, "mean" the mean over
the images, each at most 80 dB. SSIM has a Gaussian window (11x11, sigma 1.5). Binary accuracy cannot count pixels strictly
between 0 and 1; categorical accuracy is the share of pixels whose largest channel is right. Loss and accuracy are given on
the images that the reference reports on. It chooses its epoch on them, and so do our presets that reproduce it; what each
was chosen on is in the table. The last weights are scored, not the best. Minutes are wall-clock time, with whatever else the
machine was doing; those to the reference's loss count till the end of the first epoch whose loss, on the images it is chosen
on, is at most what the reference reports for its best model.

"""


def write_tables(folder: Path, readme: Path = Path("README.md")) -> str:
    """Writes `README.md` in a folder of results, and the table in the main README if that shows this folder; returns it."""
    results = read_results(folder)
    tables = table(results)
    pictures = "".join(
        f"\n## {result['preset']}\n\n`{describe_model(result['config'])}`\n\n`{result['command']}`, {result['hardware']}\n\n"
        f"![curves]({result['preset']}_curves.png)\n![images]({result['preset']}_grid.png)\n"
        for result in results
    )
    grids = "".join(f"\n![{path.stem}]({path.name})\n" for path in sorted(folder.glob("side_by_side_*.png")))
    write_text(folder / "README.md", PREAMBLE + tables + grids + studies(folder) + pictures)
    fill_file(readme, folder, tables)
    return tables


def noise_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py noise` measured: PSNR of the mean error by noise level."""
    head = ["PSNR pooled at sigma", *(f"{sigma:g}" for sigma in values["sigma"])]
    return markdown([head, *([name, *(f"{x:.2f}" for x in row)] for name, row in values["psnr_pooled"].items())])


def latents_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py latents` measured: MSE by the number of latents."""
    rows = values["mse"]
    head = ["latents", *next(iter(rows.values()))]
    return markdown([head, *([size, *(f"{x:.5f}" for x in row.values())] for size, row in rows.items())])


def colour_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py colour` measured: error and colourfulness as chroma is multiplied."""
    head = ["chroma times", *(f"{x:g}" for x in values["saturation"])]
    digits = {"mse": 5, "colourfulness": 1}
    return markdown(
        [
            head,
            *(
                [f"{name}: {SCORES[score]}", *(f"{x:.{digits[score]}f}" for x in row[score])]
                for name, row in values["models"].items()
                for score in digits
            ),
        ]
    )


def tried_table(values: dict[str, Any]) -> str:
    """What `scripts/tried.py` measured: variants after a few epochs, their validation loss and what their colour costs."""
    rows = [
        {
            "variant of": f"**{preset}**" if i == 0 else "",
            "what": label,
            "parameters": f"{row['parameters']:,}",
            "multiply-adds": f"{row['multiply_adds'] / 1e6:.1f} M",
            "epochs": str(row["epochs"]),
            "minutes": f"{row['minutes']:.1f}",
            "validation loss": f"{row['val_loss']:.5f}",
            "colourfulness": f"{row['colourfulness']:.1f}" if "curve" in row else "",
            "loss of the first, as colourful": _as_colourful(next(iter(tried.values())), row),
        }
        for preset, tried in values["presets"].items()
        for i, (label, row) in enumerate(tried.items())
    ]
    return columns(rows, tuple(rows[0]))


def _as_colourful(first: dict[str, Any], row: dict[str, Any]) -> str:
    """The error of the first variant with its chroma multiplied until it is as colourful, where that was measured."""
    curve = first.get("curve", [])
    measured = [point["colourfulness"] for point in curve]
    if not curve or row is first or not measured[0] <= row["colourfulness"] <= measured[-1]:
        return ""
    return f"{np.interp(row['colourfulness'], measured, [point['mse'] for point in curve]):.5f}"


def clips_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py clips` measured: how near to the truth, how colourful and how steady clips come out."""
    names = {
        "psnr_pooled": "PSNR pooled",
        "colourfulness": "colourfulness",
        "cdc": "CDC",
        "chroma_flicker": "chroma flicker",
    }
    digits = {"psnr_pooled": 2, "colourfulness": 1, "cdc": 4, "chroma_flicker": 2}
    rows = [
        [clip if i == 0 else "", method, *(f"{scores[name]:.{digits[name]}f}" for name in names)]
        for clip, methods in values["clips"].items()
        for i, (method, scores) in enumerate(methods.items())
    ]
    return markdown([["clip", "", *names.values()], *rows])


def sizes_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py sizes` measured: photographs that the model sees at several sizes."""
    rows = [[name, f"{row['PSNR']:.2f}", f"{row['colourfulness']:.1f}"] for name, row in values["methods"].items()]
    head = [f"{values['photos']} photographs, chroma x {values['saturation']:g}", "PSNR mean", "colourfulness"]
    return markdown([head, *rows])


STUDIES = {
    "study_noise": noise_study,
    "study_latents": latents_study,
    "study_colour": colour_study,
    "study_clips": clips_study,
    "study_sizes": sizes_study,
    "tried": tried_table,
}


def studies(folder: Path) -> str:
    """The studies whose files are in a folder of results, each with its table and its pictures."""
    texts = []
    for name, table in STUDIES.items():
        if (folder / f"{name}.json").exists():
            values = json.loads((folder / f"{name}.json").read_text())
            pictures = "".join(f"![{path.stem}]({path.name})\n" for path in sorted(folder.glob(f"{name}*.[pj][np]g")))
            texts.append(f"\n`{values['command']}`\n\n{table(values)}\n{pictures}")
    return "".join(texts)


def fill_file(readme: Path, source: Path, tables: str) -> None:
    """Puts tables into a file that shows them."""
    if readme.exists() and (filled := fill(readme.read_text(), source, tables)) != readme.read_text():
        write_text(readme, filled)


def fill(text: str, source: Path, tables: str) -> str:
    """Puts tables between `<!-- table: SOURCE -->` and `<!-- end -->`, where a text has them."""
    start, end = f"<!-- table: {source.as_posix()} -->\n", "<!-- end -->"
    before, marker, rest = text.partition(start)
    return before + marker + tables + end + rest.partition(end)[2] if marker else text
