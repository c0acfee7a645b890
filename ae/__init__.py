"""Autoencoders for images in JAX: denoising, colorizing, and the loop that trains them.

Names are imported when they are first used, so that `import ae` costs nothing.
"""

from functools import cache
from importlib import import_module
from typing import Any


@cache
def _modules() -> dict[str, str]:
    """The module of each public name: one list, for type checkers too, the stub, as in scientific Python's SPEC 1."""
    import ast
    from pathlib import Path

    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8"))
    imports = [line for line in stub.body if isinstance(line, ast.ImportFrom)]
    return {name.name: f"ae.{line.module}" for line in imports for name in line.names}


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return __dir__()
    if name not in _modules():
        raise AttributeError(f"module 'ae' has no attribute {name!r}")
    return getattr(import_module(_modules()[name]), name)


def __dir__() -> list[str]:
    return sorted(_modules())
