"""Autoencoders for images in JAX: denoising, colorizing, and the loop that trains them.

Names are imported when they are first used, so that `import ae` costs nothing.
"""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

# One list of names, for type checkers too: the stub, as in scientific Python's SPEC 1.
_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8"))
_HOME = {
    name.name: f"ae.{home.module}" for home in _STUB.body if isinstance(home, ast.ImportFrom) for name in home.names
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ae' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
