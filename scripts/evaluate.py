"""Score a trained model on the validation or the test split, beside the baselines of its task."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

from ae import cli


def main(
    model: tyro.conf.Positional[str],
    split: Literal["validation", "test"] = "test",
    checkpoint: Literal["last", "best"] = "last",
    data: str | None = None,
    data_dir: Path | None = None,
    preset: str | None = None,
    out: Path | None = None,
) -> None:
    """Score a trained model.

    Args:
        model: Run directory that train.py wrote, a file of weights (.safetensors), or the name of weights in the package.
        split: Which split to score.
        checkpoint: Of a run: the last weights, or those with the lowest validation loss.
        data: Another data set; "sample" needs no download.
        data_dir: Folder of data sets prepared by tfds (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        preset: The preset that the run must be of; needed where its model or task is defined in a file of your own
            (my_model.py:PRESET).
        out: Also write the scores to this JSON file.
    """
    from ae import load_data, measure, on_sample, override, predictor
    from ae.baselines import fitted
    from ae.files import write_text
    from ae.report import scores_table

    config, load_variables = find(model, cli.load_preset(preset) if preset else None, best=checkpoint == "best")
    scored = on_sample(config) if data == "sample" else override(config, data=data or config.data)
    loaded = load_data(scored, data_dir)
    images = getattr(loaded, split)
    variables, epochs = load_variables(loaded)
    print(f"{model}: {config.name}, after {epochs} epochs; {loaded.name} {images.name}")

    rivals = [*fitted(config.task, loaded.train), (config.name, config.task, predictor(config), variables)]
    rows = {
        name: measure(predict, variables, task, images, batch_size=config.batch_size)
        for name, task, predict, variables in rivals
    }
    print(scores_table(rows, config.task.accuracy_name))
    if out:
        values = {"model": model, "data": loaded.name, "version": loaded.version, "split": images.name, "scores": rows}
        write_text(out, json.dumps(values, indent=2) + "\n")


def find(model: str, preset: Any, *, best: bool) -> tuple[Any, Callable[[Any], tuple[Any, int]]]:
    """(configuration, function of the data that gives the variables and the epochs they were trained for)."""
    from ae.pretrained import load_pretrained, pretrained_names, read_weights
    from ae.run import read_config
    from ae.train import restore

    path = Path(model)
    if path.suffix == ".safetensors" or (not path.exists() and model in pretrained_names()):
        trained = read_weights(path, preset) if path.suffix else load_pretrained(model)
        return trained.config, lambda data: (trained.variables, trained.result["epochs"])
    config = read_config(path, preset)

    def load_variables(data):
        state, history = restore(path, config, data, best=best)
        return state.variables, len(history)

    return config, load_variables


if __name__ == "__main__":
    cli.run(main)
