"""Test images as all trained models give them back."""

from pathlib import Path
from typing import Any

from studies.common import Out


def side_by_side(out: Out = Path("results")) -> None:
    """Show test images 10 to 18 as every model in the results gave them back, one picture for each data set and task."""
    from ae import tasks
    from ae.report.figures import read_strip, save_rows
    from ae.report.page import write_tables
    from ae.report.tables import read_results

    rows: dict[str, dict[str, Any]] = {}
    for result in read_results(out):
        labels = getattr(tasks, result["config"]["task"]["class"]).labels
        inputs, targets, outputs = read_strip(out / f"{result['preset']}_images.png")
        first = {labels[1]: targets, labels[0]: inputs}
        rows.setdefault(f"{result['data']['name']}_{labels[2]}", first)[result["preset"]] = outputs
    for name, shown in rows.items():
        if len(shown) > 3:  # of one model, its own picture shows as much
            save_rows(out / f"side_by_side_{name}.png", shown)
    write_tables(out)
