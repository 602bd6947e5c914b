"""Writes the hashed lock files in requirements/, or checks that they belong to the present pyproject.toml.

python scripts/lock.py            write them (needs uv beside this Python, and the package index)
python scripts/lock.py --upgrade  write them with the newest versions that the ranges allow
python scripts/lock.py --check    no network: exit status 1 where a lock is stale
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STAMP = "# made by `make lock` from inputs "


@dataclass(frozen=True)
class Lock:
    """One lock file: which dependency groups it covers, and whether the package's own dependencies are in it."""

    name: str
    groups: tuple[str, ...]
    runtime: bool
    constraint: str | None = None
    extras: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where the lock lies."""
        return ROOT / "requirements" / self.name


LOCKS = (
    Lock("installer.lock", ("installer",), runtime=False),
    Lock("release.lock", ("release",), runtime=False),
    Lock("demo.lock", ("build",), runtime=True),
    # Constrained, so that the tests run on the very versions that a user gets. They build the site, too.
    Lock(
        "test.lock",
        ("build", "test", "lint", "docs"),
        runtime=True,
        constraint="demo.lock",
        extras=("brain", "dask", "exchange", "fit", "trial", "web"),
    ),
    # What the site is built with and what its gallery runs, at the versions of the tests.
    Lock(
        "docs.lock",
        ("build", "docs"),
        runtime=True,
        constraint="test.lock",
        extras=("brain", "exchange", "trial"),
    ),
)


def inputs(lock: Lock) -> dict[str, Any]:
    """Everything in pyproject.toml that decides what the lock holds."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, groups = document["project"], document["dependency-groups"]
    return {
        "requires-python": project["requires-python"],
        "dependencies": sorted(project["dependencies"]) if lock.runtime else [],
        "build-system": sorted(document["build-system"]["requires"]) if "build" in lock.groups else [],
        "extras": {extra: sorted(project["optional-dependencies"][extra]) for extra in lock.extras},
        "groups": {group: sorted(groups[group]) for group in lock.groups},
    }


def fingerprint(lock: Lock) -> str:
    """SHA-256 over the lock's inputs, independent of their order and layout."""
    return hashlib.sha256(json.dumps(inputs(lock), sort_keys=True).encode()).hexdigest()


def stale(lock: Lock) -> str | None:
    """One line saying why the lock is out of date; None where it is fresh."""
    where = lock.path.relative_to(ROOT)
    if not lock.path.exists():
        return f"{where}: missing; run `make lock`"
    first = lock.path.read_text(encoding="utf-8").partition("\n")[0]
    if first != STAMP + fingerprint(lock):
        return f"{where}: made from other dependencies than pyproject.toml now names; run `make lock`"
    return None


def write(lock: Lock, *, upgrade: bool) -> None:
    """Resolve and write one lock; what was pinned before stays pinned unless `upgrade`."""
    floor = str(inputs(lock)["requires-python"]).removeprefix(">=")
    # uv takes the versions of an output file that is there as preferences, so a change stays as small as it can be.
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--universal", "--no-header"]
    command += ["--python-version", floor, "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"]
    command += ["--output-file", str(lock.path), *(["--upgrade"] if upgrade else [])]
    command += [part for group in lock.groups for part in ("--group", group)]
    command += [part for extra in lock.extras for part in ("--extra", extra)]
    if lock.constraint:
        command += ["--constraint", str(Path("requirements") / lock.constraint)]
    if lock.runtime:
        command.append("pyproject.toml")
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    pins = lock.path.read_text(encoding="utf-8")
    lock.path.write_text(f"{STAMP}{fingerprint(lock)}\n{pins}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write or check the lock files in requirements/.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="say which locks are stale; no network")
    mode.add_argument("--upgrade", action="store_true", help="take the newest versions that the ranges allow")
    arguments = parser.parse_args()
    if not arguments.check:
        for lock in LOCKS:
            write(lock, upgrade=arguments.upgrade)
    problems = [problem for lock in LOCKS if (problem := stale(lock))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
