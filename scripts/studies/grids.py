"""Test images as all trained models give them back."""

from pathlib import Path
from typing import Any

from studies.common import DataDir, Limit, Out, Runs, load_test_data, trained


def side_by_side(
    runs: Runs = Path("runs"),
    out: Out = Path("results"),
    data_dir: DataDir = None,
    limit: Limit = None,
) -> None:
    """Show test images 10 to 18 as every trained model gives them back, one picture for each data set and task."""
    from ae.config import OURS, REFERENCE
    from ae.evaluation import pictures
    from ae.figures import save_rows

    rows: dict[str, dict[str, Any]] = {}
    for config in REFERENCE + OURS:
        if (runs / config.name / "checkpoints").exists():
            ((_, (predict, variables)),) = trained([str(runs / config.name)], data_dir)
            split = load_test_data(config, data_dir, limit).test
            inputs, targets, outputs = pictures(predict, variables, config.task, split)
            first = {config.task.labels[1]: targets, config.task.labels[0]: inputs}
            rows.setdefault(f"{config.data}_{config.task.labels[2]}", first)[config.name] = outputs
    out.mkdir(parents=True, exist_ok=True)
    for what, shown in rows.items():
        save_rows(out / f"side_by_side_{what}.png", shown)
