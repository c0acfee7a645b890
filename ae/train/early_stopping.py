"""When to stop, as Keras decides it."""

from dataclasses import dataclass, replace
from typing import Any

History = tuple[dict[str, Any], ...]
"""A row an epoch: epoch, loss, accuracy, val_loss, val_accuracy, which split validation is, and seconds since the start."""


@dataclass(frozen=True)
class EarlyStop:
    """Keras' rule: stop when `patience` epochs in a row do not beat the best validation loss."""

    patience: int
    best: float = float("inf")
    best_epoch: int = 0
    epoch: int = 0

    def update(self, loss: float) -> "EarlyStop":
        """Return the rule's state after one more epoch."""
        epoch = self.epoch + 1
        better = EarlyStop(self.patience, loss, epoch, epoch)
        return better if loss < self.best else replace(self, epoch=epoch)

    @property
    def stop(self) -> bool:
        """Return whether to stop."""
        return self.epoch - self.best_epoch >= self.patience

    @classmethod
    def after(cls, history: History, patience: int) -> "EarlyStop":
        """Return the rule's state after the epochs of a history."""
        state = cls(patience)
        for row in history:
            state = state.update(row["val_loss"])
        return state
