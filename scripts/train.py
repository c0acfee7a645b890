"""Train a preset, and score and picture what came of it."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from ae.errors import InputError
from ae.runtime import arguments, cli

PRESETS = Path(__file__).with_name("presets.txt")  # to import them takes a second


def main(
    preset: Any,
    config: tyro.conf.AvoidSubcommands[Annotated[Any, tyro.conf.arg(name="")]],
    data_dir: Path | None = None,
    resident_bytes: int = 2 * 2**30,
    out: Path | None = None,
    resume: bool = False,
    profile: bool = False,
    distributed: bool = False,
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None,
    processes: int | None = None,
    process: int | None = None,
) -> None:
    """Train a preset, on all devices of this machine or of several processes.

    Data is a folder of photographs (--tile cuts them into squares of one size), a set that prepare.py has prepared, or a
    data set of tfds; "sample" needs no download. A preset learns from its train-task, where it has one, and is scored by
    its task: a changed --task.FIELD then changes the scores alone.

    Args:
        preset: The configuration that the command line names.
        config: The same with the fields that it changes.
        data_dir: Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        resident_bytes: Stream a data set whose decoded images are more bytes than this; hold smaller ones in memory.
        out: Run directory to write (default: runs/PRESET, or runs/PRESET-DATA with other data than the preset's).
        resume: Go on from the last checkpoint in the run directory.
        profile: Write a trace of twenty steps first, for TensorBoard's profile tab.
        distributed: This is one of several processes, which the cluster's environment describes (Slurm, Open MPI, TPU
            pods); every one of them is started with the same command.
        coordinator: Elsewhere: address and free port of the first process, the same for all.
        processes: Elsewhere: how many processes there are.
        process: Elsewhere: which of them this is, from 0.
    """
    from ae import fit, load_data
    from ae.report.made_with import hardware
    from ae.report.result import finish
    from ae.report.summary import summary
    from ae.report.tables import table
    from ae.runtime import devices

    if distributed or coordinator or processes is not None or process is not None:
        devices.join_processes(coordinator, processes, process)
    config = with_data(config, preset, data_dir)
    out = out or run_directory(config, preset)
    if devices.is_first():
        print(f"{hardware()}, {config.dtype}", flush=True)
    loaded = load_data(config, data_dir=data_dir, resident_bytes=resident_bytes)
    check_changes(config, preset, loaded)
    if devices.is_first():
        print(summary(config, loaded))
    state, history = fit(config, loaded, out=out, resume=resume, profile=profile)
    values = finish(out, config, loaded, state, history, command=cli.command())
    if devices.is_first():
        print(table([values]))
        print(f"{out}: {', '.join(path.name for path in sorted(out.iterdir()) if path.is_file())}")


def with_data(config: Any, preset: Any, data_dir: Path | None) -> Any:
    """Return the configuration with the data and the splits that it is trained on."""
    from ae.data import choose_splits
    from ae.presets.shell import on_sample_data

    if config.data == "sample":
        config = on_sample_data(config, preset)
    return choose_splits(config, preset, data_dir=data_dir)


def run_directory(config: Any, preset: Any) -> Path:
    """Return the run directory to write where none is named."""
    name = Path(config.data).resolve().name
    return Path("runs") / (config.name if config.data == preset.data else f"{config.name}-{name}")


def check_changes(config: Any, preset: Any, loaded: Any) -> None:
    """Raise InputError where the model or a task cannot do with the data, unless all are the preset's."""
    from ae.presets.shell import check

    parts = ("model", "task", "train_task", "data", "tile")
    if any(getattr(config, part) != getattr(preset, part) for part in parts):
        for split in loaded.training:
            check(config, split.images[:1])


def parse(main: Callable[..., None], args: Sequence[str]) -> Callable[[], None]:
    """Return `main` bound to a preset and its fields; without one, show the presets or ask for one."""
    if any(not arg.startswith("-") for arg in args):
        from ae.presets import shell

        return shell.parse(main, args, prog=sys.argv[0])
    if "--help" in args or "-h" in args:
        try:
            return arguments.parse(partial(main, None, None), args, prog=f"{sys.argv[0]} PRESET")
        finally:
            print(
                f"\nPresets; PRESET --help shows the fields of one, which are options too:\n\n{PRESETS.read_text()}",
                end="",
            )
    raise InputError("name a preset, or a file that defines one: my_model.py:PRESET; --help lists the presets")


if __name__ == "__main__":
    cli.run(main, parse, interrupted="interrupted; the same command with --resume goes on from the last checkpoint")
