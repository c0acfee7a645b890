"""Train the reference's three models, and write the tables and pictures of what came of it."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from ae.runtime import cli


def main(
    quick: bool = False,
    only: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,),
    out: Path | None = None,
    runs: Path = Path("runs"),
    data_dir: Path | None = None,
    resident_bytes: int = 2 * 2**30,
    limit: int | None = None,
    epochs: int | None = None,
) -> None:
    """Train the reference's three models on MNIST and CIFAR-100, going on with what an earlier call left.

    Args:
        quick: Narrow models on data that comes with the dependencies: two minutes on two cores, no download.
        only: Train these presets alone, and before them those with whose weights they begin.
        seeds: Train each with these; tables give mean and standard deviation of all that --out has of a preset.
        out: Folder for results and tables (default: results, or runs/quick with --quick).
        runs: Folder for the run directories.
        data_dir: Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        resident_bytes: Stream a data set whose decoded images are more bytes than this; hold smaller ones in memory.
        limit: Use only so many images of each split.
        epochs: Train for so many epochs at most.
    """
    import jax

    from ae import Config, fit, load_data, override, preset
    from ae.presets import QUICK, REFERENCE, with_bases
    from ae.report.page import write_tables
    from ae.report.result import comparison, finish, publish
    from ae.report.summary import summary
    from ae.train.run import start_from

    if quick:
        print("Narrower models than the reference's, with BatchNorm momentum 0.9 instead of 0.99, on other data.")
    out = out or (runs / "quick" if quick else Path("results"))
    given = {key: value for key, value in (("limit", limit), ("epochs", epochs)) if value is not None}
    configs = [preset(name) for name in only] or (QUICK if quick else REFERENCE)
    seeds_of: dict[Config, tuple[int, ...]] = {}
    baselines: dict[Hashable, dict[str, Any]] = {}  # scored once for all presets and seeds of a task
    for *bases, config in (with_bases(config, runs) for config in configs):
        for base in bases:  # others begin with the weights of its first seed
            seeds_of.setdefault(base, (0,))
        seeds_of[config] = tuple(dict.fromkeys((*seeds_of.get(config, ()), *seeds)))
    for config, its_seeds in seeds_of.items():
        for seed in its_seeds:
            seeded = override(config, seed=seed, **given)
            seed_name = "" if seed == 0 else f"-seed{seed}"
            run = runs / f"{config.name}{seed_name}"
            start_from(run, seeded, runs / f"{config.name.removesuffix('_14')}{seed_name}")  # spares its epochs
            data = load_data(seeded, data_dir=data_dir, resident_bytes=resident_bytes)
            print(f"\n{summary(seeded, data)}\n")
            state, history = fit(seeded, data, out=run, resume=True)
            known = baselines.get(comparison(seeded, data))
            finished = finish(run, seeded, data, state, history, command=cli.command(), baselines=known)
            baselines[comparison(seeded, data)] = finished["baselines"]
            publish(finished, pictures=run, out=out)
        jax.clear_caches()  # of a dozen models, the compiled programs are more mappings than Linux gives a process
    print(f"\n{write_tables(out)}")
    print(f"{out}: README.md, and of each preset .json, _curves.png, _grid.png and _images.png")


if __name__ == "__main__":
    cli.run(main, interrupted="interrupted; the same command goes on from the last checkpoint")
