"""Train a preset, and score and picture what came of it."""

from pathlib import Path
from typing import Annotated

import tyro

from ae.runtime import cli


def main(
    preset: tyro.conf.Positional[str],
    data: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None,
    data_dir: Path | None = None,
    resident_bytes: int = 2 * 2**30,
    out: Path | None = None,
    resume: bool = False,
    epochs: int | None = None,
    limit: int | None = None,
    seed: int | None = None,
    distributed: bool = False,
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None,
    processes: int | None = None,
    process: int | None = None,
) -> None:
    """Train a preset, on all devices of this machine or of several processes.

    Args:
        preset: Name of a preset (pixel_mlp, conv_ae, colorizer_ae, or one of them with _quick; unet_denoiser, chroma_unet,
            ...: an unknown name lists them), or a file that defines one: my_model.py:PRESET.
        data: Another data set; "sample" needs no download.
        data_dir: Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        resident_bytes: Stream a data set whose decoded images are more bytes than this; hold smaller ones in memory.
        out: Run directory to write (default: runs/PRESET, or runs/PRESET-DATA with other data than the preset's).
        resume: Go on from the last checkpoint in the run directory.
        epochs: Train for so many epochs at most.
        limit: Use only so many images of each split.
        seed: Seed of weights, order and training noise.
        distributed: This is one of several processes, which the cluster's environment describes (Slurm, Open MPI, TPU
            pods); every one of them is started with the same command.
        coordinator: Elsewhere: address and free port of the first process, the same for all.
        processes: Elsewhere: how many processes there are.
        process: Elsewhere: which of them this is, from 0.
    """
    from ae import fit, load_data, on_sample, override
    from ae.presets import load_preset
    from ae.report.result import finish
    from ae.report.summary import summary
    from ae.report.tables import table
    from ae.runtime import devices

    if distributed or coordinator or processes is not None or process is not None:
        devices.join_processes(coordinator, processes, process)
    plain = load_preset(preset)
    config = on_sample(plain) if data == "sample" else override(plain, data=data or plain.data)
    given = {"epochs": epochs, "limit": limit, "seed": seed}
    config = override(config, **{key: value for key, value in given.items() if value is not None})
    out = out or Path("runs") / (config.name if config.data == plain.data else f"{config.name}-{config.data}")

    loaded = load_data(config, data_dir=data_dir, resident_bytes=resident_bytes)
    if devices.is_first():
        print(summary(config, loaded))
    state, history = fit(config, loaded, out=out, resume=resume)
    values = finish(out, config, loaded, state, history, command=cli.command())
    if devices.is_first():
        print(table([values]))
        print(f"{out}: {', '.join(path.name for path in sorted(out.iterdir()) if path.is_file())}")


if __name__ == "__main__":
    cli.run(main, interrupted="interrupted; the same command with --resume goes on from the last checkpoint")
