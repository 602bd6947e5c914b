"""The package as a whole: quick to import, one version, fresh locks, nothing of the machine it was made on."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import kapsim

ROOT = Path(__file__).resolve().parent.parent
#: Packages whose names load when they are first used.
LATE = ("attribution", "brain", "brain_study", "evidence", "population", "report")
HEAVY = ("jax", "llvmlite", "numba", "plotly", "sympy", "xarray")
# Written so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|farm|root|home/\w+|opt/\w+)[/]|(?<![\w./-])shared[/]")
INDEX = re.compile(r"https?:|--(?:extra-)?index-url|--find-links|file:")


def python(*arguments: str) -> str:
    """Run this Python in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_files() -> list[Path]:
    """The files that belong to the project: what git would commit, or where git is absent all that is not hidden."""
    if (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    made = {"build", "demo", "dist", "__pycache__"}
    found: list[Path] = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in made and not name.startswith(".")]
        found += [Path(folder) / name for name in names]
    return found


def pins(lock: str) -> dict[str, set[str]]:
    """Versions that a lock file pins, by name in lower case with dashes."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE):
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(version)
    return found


def test_import_takes_less_than_three_tenths_of_a_second() -> None:
    code = "from time import process_time as now; start = now(); import kapsim; print(now() - start)"
    # The best of several: a busy machine makes one slow, a heavy import makes all slow.
    assert min(float(python("-c", code)) for _ in range(5)) < 0.3


@pytest.mark.parametrize(
    "code",
    [
        "import kapsim",
        "import runpy; sys.argv = ['kapsim', '--help']; runpy.run_module('kapsim', run_name='__main__')",
        "from kapsim import load_protocol; load_protocol('kap_six_sessions')",
        "from kapsim.brain import load_atlas; load_atlas().normalised('spectral')",
    ],
    ids=["import", "help", "load a protocol", "load a connectome"],
)
def test_no_heavy_import(code: str) -> None:
    report = f"atexit.register(lambda: print('loaded:', *[name for name in {HEAVY} if name in sys.modules]))"
    assert python("-c", f"import atexit, sys; {report}; {code}").splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("name", ["kapsim", *(f"kapsim.{room}" for room in LATE)])
def test_every_public_name_is_there_when_first_used(name: str) -> None:
    code = f"""
import importlib, pkgutil, types
package = importlib.import_module({name!r})
modules = {{item.name for item in pkgutil.iter_modules(package.__path__)}}
for public in package.__all__:
    assert public in dir(package), public
    value = getattr(package, public)
    assert value is not None and vars(package)[public] is value, public
    # a module of that name would take its place as soon as it is imported
    assert isinstance(value, types.ModuleType) or public not in modules, public
print(len(package.__all__))
"""
    assert int(python("-c", code)) > 0


def test_public_functions_are_not_hidden_by_modules() -> None:
    assert callable(kapsim.simulate)
    assert callable(kapsim.endpoints)
    assert callable(kapsim.compare)


@pytest.mark.parametrize("name", ["kapsim", *(f"kapsim.{room}" for room in LATE)])
def test_unknown_attribute_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'simulat'"):
        _ = importlib.import_module(name).simulat


def test_version_is_in_one_place() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert document["project"]["dynamic"] == ["version"]
    assert document["tool"]["hatch"]["version"]["path"] == "src/kapsim/_version.py"
    assert importlib.metadata.version("kapsim") == kapsim.__version__
    assert f"\nversion: {kapsim.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert kapsim.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_locks_are_fresh() -> None:
    python(str(ROOT / "scripts" / "lock.py"), "--check")


def test_locks_satisfy_what_pyproject_asks_for() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = document["dependency-groups"]
    assert groups["build"] == document["build-system"]["requires"]
    asked = {
        "installer.lock": groups["installer"],
        "release.lock": groups["release"],
        "demo.lock": [*document["project"]["dependencies"], *groups["build"]],
        "test.lock": [*document["project"]["dependencies"], *groups["build"], *groups["test"], *groups["lint"]],
    }
    for lock, requirements in asked.items():
        pinned = pins(lock)
        for requirement in map(Requirement, requirements):
            versions = pinned[requirement.name.lower()]
            assert all(requirement.specifier.contains(version) for version in versions), f"{lock}: {requirement}"


def test_tests_run_on_the_versions_that_users_get() -> None:
    tested = pins("test.lock")
    for name, versions in pins("demo.lock").items():
        assert tested[name] == versions


def test_locks_name_no_index_and_hash_everything() -> None:
    for lock in ("installer.lock", "release.lock", "demo.lock", "test.lock"):
        text = (ROOT / "requirements" / lock).read_text()
        assert not INDEX.search(text), lock
        # A requirement line goes on to its hashes.
        assert all(line.endswith("\\") for line in text.splitlines() if "==" in line), lock


def test_no_path_of_a_machine_in_any_file() -> None:
    found = []
    for path in own_files():
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in MACHINE_PATH.finditer(text)]
    assert found == []
