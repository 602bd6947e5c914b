"""What is released: everything that is needed is in the wheel, and it runs where there is nothing else."""

from __future__ import annotations

import email
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kapsim

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("dist")
    [built] = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(built)


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel: Path) -> None:
    source = ROOT / "src"
    # caches and what an editor leaves have no place in it
    wanted = {
        path.relative_to(source).as_posix()
        for path in (source / "kapsim").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".so")
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"kapsim-{kapsim.__version__}.dist-info/")}
        assert names == wanted
        for name in ("kapsim/doctor/reference.json", "kapsim/evidence/data/VERSION", "kapsim/py.typed"):
            assert archive.read(name) == (source / name).read_bytes()


def test_licences_and_notices_travel_with_the_wheel(wheel: Path) -> None:
    about = f"kapsim-{kapsim.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        for name in ("LICENSE", "DATA-LICENCES"):
            assert archive.read(f"{about}/licenses/{name}") == (ROOT / name).read_bytes()
        # those of the data lie beside the data
        assert b"BSD 3-Clause" in archive.read("kapsim/brain/data/LICENSES.txt")
        assert b"WU-Minn" in archive.read(f"{about}/licenses/DATA-LICENCES")


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    about = f"kapsim-{kapsim.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        found = email.message_from_bytes(archive.read(f"{about}/METADATA"))
        assert b"kapsim = kapsim.cli:main" in archive.read(f"{about}/entry_points.txt")
    assert (found["Name"], found["Version"]) == ("kapsim", kapsim.__version__)
    assert found["License-Expression"] == "MIT"
    assert sorted(found.get_all("License-File", [])) == ["DATA-LICENCES", "LICENSE"]


@pytest.mark.slow
def test_the_release_runs_where_there_is_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "release.py"), "--out", str(tmp_path), "--try"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    [trial] = found["trials"]
    assert trial["fine"]
    assert trial["version"].startswith(f"kapsim {kapsim.__version__}, evidence ")
    materials = json.loads((tmp_path / f"kapsim-{kapsim.__version__}.cdx.json").read_text())
    assert materials["metadata"]["component"]["version"] == kapsim.__version__
    listed = {(item["name"], item["version"]) for item in materials["components"]}
    lock = (ROOT / "requirements" / "demo.lock").read_text().splitlines()
    pinned = {
        tuple(line.split(" ")[0].split("==")) for line in lock if "==" in line and not line.startswith((" ", "#"))
    }
    assert listed == pinned
