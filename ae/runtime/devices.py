"""Data parallelism: batches are split over all devices of all processes, everything else is on each of them.

The compiler then puts in the sums over devices that losses, gradients and BatchNorm's statistics need, so that a step is the
same function of the whole batch on any number of devices. Processes run the same program: what depends on clocks and signals
they agree on, and the first of them writes and prints.
"""

from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ae.errors import InputError


@cache
def _mesh() -> Mesh:
    return Mesh(np.asarray(jax.devices()), ("data",))


def join_processes(coordinator: str | None = None, count: int | None = None, index: int | None = None) -> None:
    """Make this process one of several; by default as the cluster's environment says (Slurm, Open MPI, TPU pods).

    `coordinator`: address and free port of the first process. Raises InputError where there is nothing to join.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(coordinator, count, index)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"cannot join other processes ({error}): give --coordinator, --processes and --process"
        ) from error


def is_first() -> bool:
    """Return whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def from_first(tree: Any) -> Any:
    """Return the arrays of a tree as the first process has them."""
    return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)


def text_from_first(text: str) -> str:
    """Return a text as the first process has it."""
    if jax.process_count() == 1:
        return text
    data = np.frombuffer(text.encode(), np.uint8)
    padded = np.zeros(int(from_first(np.int32(len(data)))), np.uint8)
    padded[: len(data)] = data[: len(padded)]
    return bytes(from_first(padded)).decode()


def any_process(*flags: bool) -> list[bool]:
    """Return for each flag whether it is set in any process."""
    if jax.process_count() == 1:
        return list(flags)
    return multihost_utils.process_allgather(np.asarray(flags)).any(axis=0).tolist()


def replicate(tree: Any) -> Any:
    """Copy the arrays of a tree to every device; every process has to have the same."""
    sharding = NamedSharding(_mesh(), PartitionSpec())
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def put(array: Any) -> jax.Array:
        array = np.asarray(array)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(put, tree)


def split(tree: Any) -> Any:
    """Split the first axis of every array over the devices, inside a compiled function.

    Where it does not divide, as in the last batch of an epoch, every device computes the whole.
    """
    if jax.device_count() == 1 or any(leaf.shape[0] % jax.device_count() for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(_mesh(), PartitionSpec("data")))


@partial(jax.jit, static_argnums=1)
def gathered(tree: Any, count: int) -> Any:
    """Return the first rows of arrays that are split over the devices, on every device."""
    first = jax.tree.map(lambda array: array[:count], tree)
    return jax.lax.with_sharding_constraint(first, NamedSharding(_mesh(), PartitionSpec()))


def _batch_sharding(count: int) -> NamedSharding:
    """Return a batch's sharding: split over the devices where its number of images divides, else whole on each."""
    return NamedSharding(_mesh(), PartitionSpec() if count % jax.device_count() else PartitionSpec("data"))


def own_rows(count: int) -> np.ndarray:
    """Return which rows of a batch of `count` images the devices of this process hold, in growing order."""
    indices = _batch_sharding(count).addressable_devices_indices_map((count,)).values()
    return np.unique(np.concatenate([np.arange(count)[rows] for rows in indices]))


def from_own_rows(rows: np.ndarray, count: int) -> jax.Array:
    """Return a batch of `count` images of which each process gives its own rows (see `own_rows`)."""
    return jax.make_array_from_process_local_data(_batch_sharding(count), rows, (count, *rows.shape[1:]))


def round_up(batch_size: int) -> int:
    """Return the next batch size that divides over the devices."""
    return -(-batch_size // jax.device_count()) * jax.device_count()


def check_batch_size(batch_size: int) -> None:
    """Raise InputError where a batch does not divide over the devices."""
    if batch_size % jax.device_count():
        raise InputError(
            f"a batch of {batch_size} images does not divide over {jax.device_count()} devices: "
            f"use a preset with batch_size={round_up(batch_size)}, or fewer devices"
        )
