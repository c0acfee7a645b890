"""Score a trained model on the validation or the test split, beside the baselines of its task."""

import json
from pathlib import Path
from typing import Literal

import tyro

from ae.runtime import cli


def main(
    model: tyro.conf.Positional[str],
    split: Literal["validation", "test"] = "test",
    checkpoint: Literal["last", "best"] | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    preset: str | None = None,
    out: Path | None = None,
) -> None:
    """Score a trained model.

    Args:
        model: Run directory that train.py wrote, a file of weights (.safetensors), or the name of weights in the package.
        split: Which split to score.
        checkpoint: Of a run: the last weights (default), or those with the lowest validation loss.
        data: Another data set; "sample" needs no download.
        data_dir: Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        preset: The preset that the run must be of; needed where its model or task is defined in a file of your own
            (my_model.py:PRESET).
        out: Also write the scores to this JSON file.
    """
    from ae import load_data, load_model, measure, on_sample, override, predictor
    from ae.presets import load_preset
    from ae.report.tables import scores_table
    from ae.runtime.files import write_text
    from ae.score.baselines import fitted_baselines

    own = load_preset(preset) if preset else None
    config, variables, result = load_model(model, preset=own, checkpoint=checkpoint)
    asked = on_sample(config) if data == "sample" else override(config, data=data or config.data)
    loaded = load_data(asked, data_dir=data_dir)
    images = getattr(loaded, split)
    print(f"{model}: {config.name}, after {result['epochs']} epochs; {loaded.name} {images.name}")

    predictors = [
        *fitted_baselines(config.task, loaded.train),
        (config.name, config.task, predictor(config), variables),
    ]
    rows = {
        name: measure(predict, variables, task, images, batch_size=config.batch_size)
        for name, task, predict, variables in predictors
    }
    print(scores_table(rows, config.task.accuracy_name))
    if out:
        values = {"model": model, "data": loaded.name, "version": loaded.version, "split": images.name, "scores": rows}
        write_text(out, json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    cli.run(main)
