"""The way that imports go: every room of the package uses those before it, and none after it."""

import ast
import json
import subprocess
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from conftest import ROOT, python

ROOMS = ("errors", "runtime", "color", "camera", "film", "layers", "models", "metrics", "tasks", "config", "presets",
         "restore", "media", "data", "score", "train", "report")  # fmt: skip
PACKAGE = ROOT / "ae"
TRAINING = ("ae.data", "ae.train", "ae.score", "ae.report", "optax", "orbax", "tensorflow_datasets", "grain")


def room(module: str) -> str:
    return module.split(".")[1]


def imports(path: Path) -> list[str]:
    """The modules of the package that a file names anywhere, in functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [
        (node.module or "", alias.name) for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    named = plain + [f"ae.{name}" if module == "ae" else module for module, name in parts]
    return [module for module in named if module.startswith("ae.")]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def test_every_room_has_its_place():
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES} == set(ROOMS)


def test_nothing_is_imported_from_a_room_that_comes_later():
    upwards = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in FILES
        for module in imports(path)
        if ROOMS.index(room(module)) > ROOMS.index(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    ]
    assert upwards == []


def test_no_import_is_relative():
    nodes = [node for path in FILES for node in ast.walk(ast.parse(path.read_text()))]
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]


LOADED = """
import json, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("script", ["colorize.py", "denoise.py"])
def test_images_are_changed_without_anything_of_training(tmp_path, script):
    iio.imwrite(tmp_path / "old.png", np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8))
    command = python("-c", LOADED, ROOT / "scripts" / script, tmp_path / "old.png", tmp_path / "new.png")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert (tmp_path / "new.png").exists()
    assert "ae.restore.weights" in loaded
    assert not [name for name in loaded if name.startswith(TRAINING)]
