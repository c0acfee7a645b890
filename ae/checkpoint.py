"""Checkpoints of a run: the last two, and the one with the lowest validation loss.

Orbax writes a checkpoint beside its place and renames it, so a run that is killed leaves whole ones only. Every array is
checksummed; a damaged checkpoint is passed over, and said.
"""

import sys
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ae.errors import InputError


class Checkpoints:
    """Checkpoints in a directory, each a pytree of arrays and a JSON record, under growing numbers."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        import orbax.checkpoint as ocp
        from orbax.checkpoint import checkpoint_managers as policies

        best = policies.BestN(
            get_metric_fn=lambda scores: scores["val_loss"], reverse=True, n=1, keep_checkpoints_without_metrics=False
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(2), best]),
            enable_async_checkpointing=False,
            cleanup_tmp_directories=not read_only,
            create=not read_only,
            read_only=read_only,
        )
        self._args = ocp.args
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options)
        self._directory = directory

    def save(self, number: int, tree: Any, record: dict[str, Any], scores: dict[str, float] | None = None) -> None:
        """Writes a checkpoint; one without scores, within an epoch, is kept until two others have come."""
        self._manager.save(
            number,
            args=self._args.Composite(
                arrays=self._args.StandardSave(tree),
                record=self._args.JsonSave(record | {"checksums": _checksums(tree)}),
            ),
            metrics=scores,
        )

    def restore(self, template: Any, *, best: bool = False) -> tuple[Any, dict[str, Any]] | None:
        """The last (or best) checkpoint that is whole, as (tree, record); None where there is none at all.

        `template` gives structure, shapes and dtypes. Raises InputError where there are checkpoints and all are damaged.
        """
        numbers = sorted(self._manager.all_steps(), reverse=True)
        if best and (number := self._manager.best_step()) is not None:
            numbers.remove(number)
            numbers.insert(0, number)
        for number in numbers:
            try:
                return self._read(number, template)
            except Exception as error:  # whatever orbax makes of a damaged file
                reason = str(error).partition("\n")[0][:200]
                print(
                    f"checkpoint {number} in {self._directory} is damaged, using an earlier one ({reason})",
                    file=sys.stderr,
                )
        if numbers:
            raise InputError(f"no checkpoint in {self._directory} can be read: start again in another directory")
        return None

    def _read(self, number: int, template: Any) -> tuple[Any, dict[str, Any]]:
        args = self._args.Composite(arrays=self._args.StandardRestore(template), record=self._args.JsonRestore())
        restored = self._manager.restore(number, args=args)
        if restored.record["checksums"] != _checksums(restored.arrays):
            raise ValueError("its checksums do not fit")
        return restored.arrays, restored.record

    def close(self) -> None:
        self._manager.close()


def _checksums(tree: Any) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(leaf)) for leaf in jax.tree.leaves(tree)]
