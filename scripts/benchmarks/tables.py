"""Measurements of speed as Markdown tables, and the texts that show them."""

import json
from pathlib import Path
from typing import Any

from ae.report.markdown import fill_pages, markdown


def train_table(values: dict[str, Any]) -> str:
    """What `scripts/benchmark.py train` measured: a table of the models' speeds, and one of seconds till training starts."""
    head = ["model", "batch", "parameters", "GFLOP an image", "", "images/s", "GFLOP/s", "of matrix product"]
    rows = [row for name, model in values["models"].items() for row in _benchmark_rows(name, model)]
    waits = [["preset", "seconds to compile an epoch", "from start to first step", "with the compilation cache"]]
    for name, seconds in values["compile_seconds"].items():
        starts = values["start_seconds"].get(name, {})
        waits.append([name, f"{seconds:.1f}", *(f"{starts[key]:.1f}" if starts else "" for key in ("first", "second"))])
    return f"{markdown([[*head, 'ratio', 'whole epoch'], *rows])}\n{markdown(waits)}"


def _benchmark_rows(name: str, model: dict[str, Any]) -> list[list[str]]:
    """Ours first, with what a whole epoch costs over its steps; then each peer's variants, with our speed over theirs."""
    about = [f"**{name}**", str(model["batch_size"]), f"{model['parameters']:,}", f"{model['gflop_per_image']:.3f}"]
    rows = []
    for contestant, rate in model["images_per_second"].items():
        share = f"{100 * model['share_of_matrix_product'][contestant]:.0f} %"
        speed = [contestant, f"{rate:.1f}", f"{model['gflop_per_second'][contestant]:.0f}", share]
        if contestant == "ae":
            rows.append([*about, *speed, "", f"{100 * model['epoch_overhead']:+.1f} %"])
        else:
            rows.append([""] * 4 + [*speed, f"{model['ratio'][contestant]:.2f}", ""])
    return rows


def ablation_table(values: dict[str, Any]) -> str:
    """What `scripts/benchmark.py ablation` measured: images a second of each model, and the share of the whole's."""
    models = values["models"]
    head = ["images/s", *models]
    parts = next(iter(models.values()))["images_per_second"]

    def cell(model: dict[str, Any], part: str) -> str:
        return f"{model['images_per_second'][part]:.1f}" + (f" ({model['ratio'][part]:.2f})" if part != "all" else "")

    return markdown([head, *([part, *(cell(model, part) for model in models.values())] for part in parts)])


def video_table(values: dict[str, Any]) -> str:
    """What `scripts/benchmark.py video` measured: frames a second, our speed over the others', and where the time goes."""
    rows = [
        ["x264", *next(iter(values["presets"].values()))["frames_per_second"], "ours over the others", "time in stages"]
    ]
    for preset, row in values["presets"].items():
        ratios = ", ".join(f"{ratio:.2f}" for name, ratio in row["ratio"].items() if name != "ae")
        shares = ", ".join(f"{stage} {100 * share:.0f} %" for stage, share in row["share"].items())
        rows.append([preset, *(f"{rate:.1f}" for rate in row["frames_per_second"].values()), ratios, shares])
    height, width = values["size"]
    title = (
        f"Frames a second of {values['clip']}, {width}x{height}, {values['frames']} frames; {values['hardware']}.\n\n"
    )
    memory = "; ".join(
        f"{megabytes:.0f} MB for {count} frames" for count, megabytes in values["peak_megabytes"].items()
    )
    return f"{title}{markdown(rows)}\nMost memory at a time: {memory}.\n"


BENCHMARKS = {
    "benchmark_train": train_table,
    "benchmark_ablation": ablation_table,
    "benchmark_video": video_table,
}


def write_benchmark(path: Path) -> None:
    """Write the table of a benchmark's file into the pages that show it."""
    if path.stem in BENCHMARKS:
        fill_pages(path, BENCHMARKS[path.stem](json.loads(path.read_text())))
