"""What all tasks have."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from ae import metrics
from ae.runtime.pytrees import register_settings


@dataclass(frozen=True)
class Task:
    """A task to learn: its examples, loss and accuracy. Images are float [H, W, C] in [0, 1], batches [B, H, W, C]."""

    labels: ClassVar[tuple[str, str, str]] = ("input", "target", "output")
    """What pictures call the three images."""
    accuracy_name: ClassVar[str] = ""
    """Which accuracy `accuracy` computes."""
    further_scores: ClassVar[tuple[str, ...]] = ()
    """Names of methods that score a batch as `accuracy` does, which tables show as well."""
    traced_fields: ClassVar[tuple[str, ...]] = ()
    """Names of fields that compiled programs take as values: another value of theirs compiles nothing anew."""

    def __init_subclass__(cls) -> None:
        register_settings(cls, cls.traced_fields)

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Make one example: clean image [H, W, C] -> (input, target). All randomness comes from `key`."""
        raise NotImplementedError

    def input_shape(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """Return [H, W, C] of the inputs that images [H, W, C] give; computes nothing."""
        inputs, _ = jax.eval_shape(self, jax.random.key(0), jax.ShapeDtypeStruct(image, jnp.float32))
        return inputs.shape

    def loss(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the loss of each image: [B, H, W, C] twice -> [B]. Mean squared error unless a task says otherwise."""
        return metrics.mse(output, target)

    def accuracy(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Compute the accuracy of each image: [B, H, W, C] twice -> [B]."""
        raise NotImplementedError
