"""A run's model and data as text, before it begins."""

from collections.abc import Iterator

from ae.config import Config
from ae.data import Data, Split
from ae.report.tables import describe_model
from ae.score.flops import calls_of_layers, count_values


def summary(config: Config, data: Data) -> str:
    """Return the model's layers in the order of their calls, with the output's shape and the parameters, and the data.

    Parameters count BatchNorm's statistics, as Keras does.
    """
    inputs = config.task.input_shape(data.train.images.shape[1:])
    variables, calls = calls_of_layers(config.model, inputs)
    layers = [(layer.path[0], getattr(output, "shape", ())[1:]) for layer, _, output in calls if len(layer.path) == 1]
    sizes = {name: count_values([tree.get(name, {}) for tree in variables.values()]) for name, _ in layers}
    lines = [f"{config.name}: {describe_model(config.to_dict())}", f"  {'input':<18}{inputs}"]
    lines += [f"  {name:<18}{shape!s:<16}{sizes[name]:>12,}" for name, shape in layers]
    trained = count_values(variables["params"])
    lines.append(f"  {count_values(variables):,} parameters, {trained:,} of them trained")
    splits = (f"{role} on {len(split.images):,} images of {split.name}" for role, split in _roles(data))
    lines.append(f"{data.name} {data.version}: {', '.join(splits)}")
    if _overlap(data.validation, data.test):
        lines.append("Test images choose the epoch: test scores are no independent check.")
    return "\n".join(lines)


def _overlap(a: Split, b: Split) -> bool:
    """Return whether two splits have an image in common."""
    return a.noise_id == b.noise_id and a.start < b.start + len(b.images) and b.start < a.start + len(a.images)


def _roles(data: Data) -> Iterator[tuple[str, Split]]:
    splits = {"training": data.training, "validation": (data.validation,), "test": (data.test,)}
    return ((role, split) for role, those in splits.items() for split in those)
