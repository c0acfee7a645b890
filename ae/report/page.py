"""The page of a folder of results, and the files of what studies and benchmarks measured."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ae.errors import InputError
from ae.report.markdown import Table, fill_pages, to_markdown
from ae.report.overview import overview
from ae.report.tables import describe_model, read_results, table
from ae.runtime.files import read_json, write_text

PREAMBLE = """# Results

Scripts write this page from the JSON files beside it. Each names its
commands; most also name the hardware and the versions.

- **loss, accuracy**: on the images that the reference reports on; for `test[:9000]`, the first 9,000 test images. The
  other scores are on all test images.
- **MSE, PSNR, SSIM**: for pixels in [0, 1]. "PSNR pooled" is the PSNR of the mean error, "PSNR mean" the mean of the
  images' PSNR; each is at most 80 dB. SSIM uses a Gaussian window (11x11, sigma 1.5).
- **binary accuracy**: the share of pixels whose output, rounded to 0 or 1, equals the clean value. Pixels strictly
  between 0 and 1 never count as right. **categorical accuracy**: the share of pixels whose largest colour channel is
  the right one.
- **best loss**: the lowest of all epochs, on the images that the run was chosen on. All other scores are those of the
  last weights.
- **chosen on**: the images that early stopping looks at. The reference uses test images; so do the presets that
  reproduce it.
- **training loss**: the loss that is minimised. For `keras_io_denoiser` it is cross entropy, for denoisers of
  photographs the negative PSNR in dB, for all others the mean squared error.
- **minutes**: wall-clock time, on machines of different speed that may have had other work.
- **to the reference's loss**: minutes until the end of the first epoch whose validation loss is at most what the
  reference reports for its best model.
- **±**: mean and standard deviation over several seeds. All else in the row, the pictures and the released weights are
  of the first seed.

"""


def page(folder: Path) -> str:
    """Return the page of a folder of results as Markdown: tables of all its JSON files, and its pictures."""
    results = read_results(folder)
    grids = "".join(f"\n![{path.stem}]({path.name})\n" for path in sorted(folder.glob("side_by_side_*.png")))
    measured = "".join(_measured(path) for path in sorted(folder.glob("*.json")))
    return PREAMBLE + table(results) + grids + measured + "".join(_pictures(folder, result) for result in results)


def _measured(path: Path) -> str:
    """Return the commands, the table and the pictures of a study or a benchmark; nothing for other files."""
    values = read_json(path)
    if "columns" not in values:
        return ""
    commands = "\n".join(f"`{entry['command']}`" for entry in values["made_with"])
    made = sorted(path.parent.glob(f"{path.stem}*.[pj][np]g"))
    pictures = "".join(f"![{picture.stem}]({picture.name})\n" for picture in made)
    return f"\n{commands}\n\n{to_markdown(values)}" + (f"\n{pictures}" if pictures else "")


def _pictures(folder: Path, result: dict[str, Any]) -> str:
    name, made_with = result["preset"], f"`{result['command']}`, {result['hardware']}"
    text = f"\n## {name}\n\n`{describe_model(result['config'])}`\n\n{made_with}\n\n"
    images = f"![images]({name}_grid.png)\n" if (folder / f"{name}_grid.png").exists() else ""
    return f"{text}![curves]({name}_curves.png)\n{images}"


def write_tables(folder: Path) -> str:
    """Write the page of a folder of results as its README.md, and the overview into the pages that show the folder.

    Returns the tables of training.
    """
    write_text(folder / "README.md", page(folder))
    results = read_results(folder)
    fill_pages(folder, overview(results))
    return table(results)


def read_measured(path: Path) -> dict[str, Any]:
    """Return what `write_measured` wrote to a JSON file, empty where there is none.

    Raises InputError where it is damaged or has no table.
    """
    values = read_json(path) if path.exists() else {}
    if values and "columns" not in values:
        raise InputError(f"{path} has no table, as earlier versions wrote it: move it away, or choose another --out")
    return values


def write_measured(
    path: Path, table: Table, made_with: Sequence[Mapping[str, Any]], details: Mapping[str, Any] | None = None
) -> str:
    """Write a table that was measured, as a JSON file and into the pages that show that file; return it as Markdown.

    `made_with`: of each command that measured rows (see `made_with.made_with`). `details`: what the table does not show. The
    folder's own page is written again if it has one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {**table, "made_with": list(made_with), "details": details or {}}
    write_text(path, json.dumps(values, indent=2) + "\n")
    text = to_markdown(table)
    fill_pages(path, text)
    own = path.parent / "README.md"
    if own.exists() and own.read_text().startswith(PREAMBLE.partition("\n")[0]):
        write_tables(path.parent)
    return text
