"""What `scripts/study.py` and `scripts/variants.py` measured, as Markdown tables."""

from pathlib import Path
from typing import Any

import numpy as np

from ae.report.markdown import columns, markdown
from ae.runtime.files import read_json


def noise_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py noise` measured: PSNR of the mean error by noise level."""
    head = ["PSNR pooled at sigma", *(f"{sigma:g}" for sigma in values["sigma"])]
    return markdown([head, *([name, *(f"{x:.2f}" for x in row)] for name, row in values["psnr_pooled"].items())])


def photos_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py photos` measured: mean PSNR over photographs by noise level."""
    head = [f"PSNR mean of {values['photos']} photographs at sigma", *(f"{sigma:g}" for sigma in values["sigma"])]
    return markdown([head, *([name, *(f"{x:.2f}" for x in row)] for name, row in values["psnr_mean"].items())])


def latents_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py latents` measured: MSE by the number of latents."""
    rows = values["mse"]
    head = ["latents", *next(iter(rows.values()))]
    return markdown([head, *([size, *(f"{x:.5f}" for x in row.values())] for size, row in rows.items())])


def colour_study(values: dict[str, Any]) -> str:
    """What `scripts/study.py colour` measured: error and colourfulness as chroma is multiplied."""
    head = ["chroma times", *(f"{x:g}" for x in values["saturation"])]
    shown = {"mse": ("MSE", 5), "colourfulness": ("colourfulness", 1)}
    rows = [
        [f"{name}: {title}", *(f"{x:.{digits}f}" for x in row[score])]
        for name, row in values["models"].items()
        for score, (title, digits) in shown.items()
    ]
    return markdown([head, *rows])


def variants_table(values: dict[str, Any]) -> str:
    """What `scripts/variants.py` measured: variants after a few epochs, and what their colour costs."""
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
    curve = first.get("curve", {"colourfulness": [], "mse": []})
    measured = curve["colourfulness"]
    if row is first or not measured or not measured[0] <= row["colourfulness"] <= measured[-1]:
        return ""
    return f"{np.interp(row['colourfulness'], measured, curve['mse']):.5f}"


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
    "study_photos": photos_study,
    "study_latents": latents_study,
    "study_colour": colour_study,
    "study_clips": clips_study,
    "study_sizes": sizes_study,
    "variants": variants_table,
}


def studies(folder: Path) -> str:
    """The studies whose files are in a folder of results, each with its table and its pictures."""
    texts = []
    for name, table in STUDIES.items():
        if (folder / f"{name}.json").exists():
            values = read_json(folder / f"{name}.json")
            pictures = "".join(f"![{path.stem}]({path.name})\n" for path in sorted(folder.glob(f"{name}*.[pj][np]g")))
            commands = "\n".join(f"`{command}`" for command in values.get("commands") or [values["command"]])
            texts.append(f"\n{commands}\n\n{table(values)}\n{pictures}")
    return "".join(texts)
