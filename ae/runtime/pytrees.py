"""Settings as pytrees: what jit takes as values, and what it compiles a program for."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import jax


def register_settings(cls: type, values: Sequence[str]) -> None:
    """Make a frozen dataclass a pytree whose leaves are the named fields; all others belong to its structure.

    As an argument of a compiled function, an instance with another value in such a field takes the same program. Its
    `__post_init__` checks what a user gives, and is not called for the instances that JAX makes of traced values.
    """

    def flatten(settings: Any) -> tuple[list[Any], tuple[tuple[str, Any], ...]]:
        others = [field.name for field in fields(settings) if field.name not in values]
        return [getattr(settings, name) for name in values], tuple((name, getattr(settings, name)) for name in others)

    def unflatten(structure: tuple[tuple[str, Any], ...], leaves: Sequence[Any]) -> Any:
        settings: Any = object.__new__(cls)
        vars(settings).update(structure, **dict(zip(values, leaves, strict=True)))
        return settings

    jax.tree_util.register_pytree_node(cls, flatten, unflatten)
