"""Write a trained model as one file: its weights, or a program that runs without this package."""

from pathlib import Path
from typing import Literal

import tyro

from ae.runtime import cli


def main(
    model: tyro.conf.Positional[str],
    out: tyro.conf.Positional[Path],
    precision: Literal["float16", "float32"] = "float32",
    checkpoint: Literal["last", "best"] | None = None,
    preset: str | None = None,
) -> None:
    """Write a trained model as one file.

    Args:
        model: Run directory that train.py wrote, a file of weights (.safetensors), or the name of weights in the package.
        out: File to write. NAME.safetensors: weights, for evaluate.py. NAME.jax: a program for images [B, H, W, C] of any
            size, for `jax.export.deserialize`. NAME.onnx: the same for other programs (pip install 'ae[onnx]').
        precision: Of the weights in a .safetensors file.
        checkpoint: Of a run: the last weights (default), or those with the lowest validation loss.
        preset: The preset that the run must be of; needed where its model or task is defined in a file of your own
            (my_model.py:PRESET).
    """
    from ae import export_onnx, export_program, load_model
    from ae.errors import InputError
    from ae.presets import load_preset
    from ae.restore.load import lacks_weights
    from ae.restore.weights import write_weights

    if out.suffix not in (".safetensors", ".jax", ".onnx"):
        raise InputError(f"{out} has to end in .safetensors (weights), .jax (a program) or .onnx (one for others)")
    own = load_preset(preset) if preset else None
    if lacks_weights(Path(model), checkpoint):
        from ae.train.loop import read_trained

        trained = read_trained(Path(model), own, best=checkpoint == "best")
    else:
        trained = load_model(model, preset=own, checkpoint=checkpoint)
    if out.suffix == ".jax":
        export_program(trained, out)
    elif out.suffix == ".onnx":
        export_onnx(trained, out)
    else:
        write_weights(out, *trained, precision)
    print(f"{out}: {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    cli.run(main)
