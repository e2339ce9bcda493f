"""The package as a guest in its user's process: modules are what their names say, and importing it changes nothing."""

import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import fewshotgan

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(found.name for found in pkgutil.walk_packages(fewshotgan.__path__, "fewshotgan."))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_no_name_shadows_a_module(name):
    importlib.import_module(name)
    parent, _, leaf = name.rpartition(".")
    assert isinstance(getattr(sys.modules[parent], leaf), ModuleType)


def test_the_surface_is_what_it_says():
    assert all(hasattr(fewshotgan, name) for name in fewshotgan.__all__)
    assert not {f"fewshotgan.{name}" for name in fewshotgan.__all__} & set(MODULES)


def test_importing_changes_no_matplotlib():
    others = [name for name in MODULES if not name.endswith("__main__")]
    code = f"""import importlib, matplotlib
before = dict(matplotlib.rcParams)
for name in {others}:
    importlib.import_module(name)
from fewshotgan.lessons.figures import curves
curves({{"one": ([0, 1], [1, 2])}}, "x", "y")
changed = [key for key, value in matplotlib.rcParams.items() if value != before[key] and key != "backend"]
assert not changed, changed"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project and project["dynamic"] == ["version"]
    assert "\nversion:" not in (ROOT / "CITATION.cff").read_text()
    assert (ROOT / "fewshotgan" / "py.typed").is_file()
