"""Data parallelism: batches are split over all devices, everything else is on each of them.

The compiler then puts in the sums over devices that losses, gradients and BatchNorm's statistics need, so that a step is the
same function of the whole batch on any number of devices.
"""

from functools import cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ae.errors import InputError


@cache
def _mesh() -> Mesh:
    return Mesh(np.asarray(jax.devices()), ("data",))


def replicate(tree: Any) -> Any:
    """The arrays of a tree, on every device."""
    return jax.device_put(tree, NamedSharding(_mesh(), PartitionSpec()))


def split(tree: Any) -> Any:
    """Inside a compiled function: splits the first axis of every array over the devices.

    Where it does not divide, as in the last batch of an epoch, every device computes the whole.
    """
    if any(leaf.shape[0] % jax.device_count() for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(_mesh(), PartitionSpec("data")))


def round_up(batch_size: int) -> int:
    """The next batch size that divides over the devices."""
    return -(-batch_size // jax.device_count()) * jax.device_count()


def check_batch_size(batch_size: int) -> None:
    """Raises InputError where a batch does not divide over the devices."""
    if batch_size % jax.device_count():
        raise InputError(
            f"a batch of {batch_size} images does not divide over {jax.device_count()} devices: "
            f"use a preset with batch_size={round_up(batch_size)}, or fewer devices"
        )
