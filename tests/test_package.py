import os
import shutil
import statistics
import subprocess
import sys
import time
import zipfile

import pytest
from conftest import ROOT, python

import ae

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "ae").rglob("*.py")
    if path.stem != "__init__" and "media" not in path.parts
)


def test_importing_starts_no_backend_and_none_of_the_slow_libraries():
    code = (
        "import importlib, sys\n"
        f"for name in {[name for name in MODULES if name != 'ae.data.prepare']}: importlib.import_module(name)\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge._backends, 'a backend was started'\n"
        "slow = {'orbax.checkpoint', 'tensorflow_datasets', 'matplotlib', 'skimage', 'sklearn', 'tensorboardX', 'grain'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    subprocess.run(python("-c", code), check=True)


def test_importing_takes_no_longer_than_flax():
    def seconds(module):
        began = time.perf_counter()
        subprocess.run(python("-c", f"import {module}"), check=True)
        return time.perf_counter() - began

    pairs = [(seconds("ae"), seconds("flax")) for _ in range(3)]
    assert statistics.median(ours / theirs for ours, theirs in pairs) <= 1


def test_public_names_are_there():
    for name in ae.__all__:
        assert getattr(ae, name).__doc__
    assert set(ae.__all__) <= set(dir(ae))
    with pytest.raises(AttributeError, match="nonesuch"):
        ae.nonesuch  # noqa: B018


@pytest.mark.slow
def test_public_names_have_types_for_whoever_imports_them(tmp_path):
    user = tmp_path / "user.py"
    user.write_text("\n".join(["import ae", *(f"reveal_type(ae.{name})" for name in ae.__all__), "ae.nonesuch"]))
    done = subprocess.run(python("-m", "mypy", user), cwd=ROOT, text=True, capture_output=True)
    *revealed, missing = [line for line in done.stdout.splitlines() if "user.py:" in line]
    assert len(revealed) == len(ae.__all__), done.stdout
    assert not [line for line in revealed if line.endswith('"Any"')]
    assert 'error: Module has no attribute "nonesuch"' in missing


OFFLINE = """
import socket, sys
def refuse(*args): raise OSError("no network here")
socket.socket.connect = refuse
import ae
assert ae.__file__.startswith(sys.argv[1]), ae.__file__
config = ae.preset("pixel_mlp_quick", limit=32, epochs=1)
state, history = ae.fit(config, ae.load_data(config), out="run")
assert 0 < history[0]["val_loss"] < 1
"""


def test_a_wheel_trains_from_a_read_only_place_without_network(tmp_path):
    source, site, work = tmp_path / "source", tmp_path / "site", tmp_path / "work"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "build", "*.egg-info"))
    command = python("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, source)
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    assert {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")} == {"ae"}
    assert (site / "ae/py.typed").exists()
    for path in (site, *site.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(site.rglob("*"))
    work.mkdir()
    environment = os.environ | {"PYTHONPATH": str(site), "XDG_CACHE_HOME": "/proc/nowhere", "PYTHONSAFEPATH": "1"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the superuser of a container may write anywhere
    subprocess.run([sys.executable, "-c", OFFLINE, str(site)], cwd=work, env=environment, check=True)
    assert sorted(site.rglob("*")) == before
