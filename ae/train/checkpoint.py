"""Checkpoints of a run: the last two, and the one with the best score.

Orbax writes a checkpoint beside its place and renames it, so a run that is killed leaves whole ones only. Every array is
checksummed; a checkpoint that was damaged later is passed over, and that is said.
"""

import shutil
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ae.errors import InputError, TrainingError

MOST_EXPANSION = 100  # of a checkpoint's files to its arrays; weights hardly shrink,
SMALL = 2**30  # and so many bytes may all be zeros
ROOM_BESIDE = 2**20  # bytes that are to be free beside a checkpoint, for all else that is written of an epoch


class Checkpoints:
    """Checkpoints in a directory, each a pytree of arrays and a JSON record, under growing numbers.

    Arrays are restored to the host. Of several processes, only the first has checkpoints.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        import orbax.checkpoint as ocp

        self._directory = directory.absolute()
        self._args = ocp.args
        alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0}, barrier_sync_key_prefix="ae")
        handler = ocp.CompositeCheckpointHandler(
            composite_options=ocp.CompositeOptions(multiprocessing_options=alone),
            arrays=ocp.StandardCheckpointHandler(multiprocessing_options=alone),
            record=ocp.JsonCheckpointHandler(multiprocessing_options=alone),
        )
        self._checkpointer = ocp.Checkpointer(handler, multiprocessing_options=alone)
        if not read_only:
            self._directory.mkdir(exist_ok=True)
            for path in self._directory.iterdir():
                if not path.name.isdigit():  # what a killed run was writing or deleting
                    shutil.rmtree(path, ignore_errors=True)

    def save(self, number: int, tree: Any, record: dict[str, Any], *, score: float | None = None) -> None:
        """Write a checkpoint. Lower scores are better; one without a score is kept until two others have come.

        Raises TrainingError where it cannot be written; those before it stay.
        """
        tree = jax.tree.map(np.asarray, tree)
        self._delete(number)  # there is one only if it was damaged
        record = record | {"score": score, "checksums": _checksums(tree)}
        args = self._args.Composite(arrays=self._args.StandardSave(tree), record=self._args.JsonSave(record))
        try:
            _try_to_write(self._directory, sum(leaf.nbytes for leaf in jax.tree.leaves(tree)))
            self._checkpointer.save(self._directory / str(number), args=args)
        except Exception as error:  # a full disk, or whatever orbax makes of one
            reason = str(error).partition("\n")[0][:200]
            raise TrainingError(
                f"no checkpoint can be written to {self._directory} ({reason}): make room, then go on with --resume"
            ) from error
        numbers = self._numbers()
        for old in set(numbers) - {*numbers[-2:], self._best()}:
            self._delete(old)

    def restore(self, template: Any, *, best: bool = False) -> tuple[Any, dict[str, Any]] | None:
        """Read the last (or best) checkpoint that is whole, as (tree, record); None where there is none at all.

        `template` gives structure, shapes and dtypes. Raises InputError where there are checkpoints and all are damaged.
        """
        numbers = self._numbers()
        if best:
            numbers.sort(key=lambda number: number == self._best())
        for number in reversed(numbers):
            try:
                return self._read(number, template)
            except Exception as error:  # whatever orbax makes of a damaged file
                reason = str(error).partition("\n")[0][:200]
                print(f"checkpoint {number} in {self._directory} is damaged, using another ({reason})", file=sys.stderr)
        if numbers:
            raise InputError(f"no checkpoint in {self._directory} can be read: start again in another directory")
        return None

    def _numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self._directory.iterdir() if path.name.isdigit())

    def _best(self) -> int | None:
        scores = ((self._score(number), number) for number in self._numbers())
        return min((pair for pair in scores if pair[0] is not None), default=(None, None))[1]

    def _score(self, number: int) -> float | None:
        try:
            args = self._args.Composite(record=self._args.JsonRestore())
            return self._checkpointer.restore(self._directory / str(number), args=args).record["score"]
        except Exception:  # damaged
            return None

    def _read(self, number: int, template: Any) -> tuple[Any, dict[str, Any]]:
        self._check_shapes(self._directory / str(number), template)
        template = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
        args = self._args.Composite(arrays=self._args.StandardRestore(template), record=self._args.JsonRestore())
        restored = self._checkpointer.restore(self._directory / str(number), args=args)
        if restored.record["checksums"] != _checksums(restored.arrays):
            raise ValueError("its checksums do not fit")
        return restored.arrays, restored.record

    def _check_shapes(self, path: Path, template: Any) -> None:
        """Check before anything is read: orbax gives arrays the shapes that a file claims, and zeros take no room in it."""
        leaves = jax.tree_util.tree_leaves_with_path(template)
        expected = {jax.tree_util.keystr(key, simple=True, separator="."): leaf for key, leaf in leaves}
        claimed = jax.tree.leaves(self._checkpointer.metadata(path).item_metadata["arrays"].tree)
        if {leaf.name: tuple(leaf.shape) for leaf in claimed} != {key: leaf.shape for key, leaf in expected.items()}:
            raise ValueError("its arrays are not those of the model")
        stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        if sum(leaf.size * leaf.dtype.itemsize for leaf in expected.values()) > max(SMALL, MOST_EXPANSION * stored):
            raise ValueError("its arrays are too large for its files")

    def _delete(self, number: int) -> None:
        """Rename before deleting: half a checkpoint never stands under a number."""
        path = self._directory / str(number)
        if path.exists():
            shutil.rmtree(path.rename(path.with_suffix(".deleted")))

    def close(self) -> None:
        """Close what Orbax holds open."""
        self._checkpointer.close()


def _try_to_write(directory: Path, size: int) -> None:
    """Raise OSError where a disk is nearly full: threads of orbax and TensorBoard would find out, and die of it."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(size + ROOM_BESIDE))


def _checksums(tree: Any) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(leaf).data) for leaf in jax.tree.leaves(tree)]
