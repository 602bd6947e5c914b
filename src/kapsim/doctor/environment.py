"""What kapsim runs on: Python, packages, extras and devices."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

from kapsim.engine.runtime import cores, jax_numpy


class Package(NamedTuple):
    """One package that kapsim asks for."""

    name: str
    wanted: str  # range of versions, as pip writes it
    version: str | None  # None where it is not there
    fits: bool


class Devices(NamedTuple):
    """What there is to compute on."""

    cores: int  # that this process may use
    processor: str
    jax: tuple[str, ...]
    jax_problem: str | None


def python_words() -> str:
    """Return which Python this is, and on what system."""
    return f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}"


def packages() -> tuple[tuple[Package, ...], dict[str, tuple[Package, ...]]]:
    """Return the packages that kapsim needs, and those of each extra, with what is installed.

    Both are empty where kapsim itself is not installed but run from its source.
    """
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(line) for line in requires("kapsim") or ()]
    except PackageNotFoundError:
        return (), {}
    needed: list[Package] = []
    extras: dict[str, list[Package]] = {}
    for item in asked:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", str(item.marker)) if item.marker else None
        if item.marker is not None and not item.marker.evaluate({"extra": extra[1] if extra else ""}):
            continue
        try:
            there = version(item.name)
        except PackageNotFoundError:
            there = None
        fits = there is not None and item.specifier.contains(there, prereleases=True)
        package = Package(item.name, str(item.specifier), there, fits)
        (extras.setdefault(extra[1], []) if extra else needed).append(package)
    return tuple(needed), {name: tuple(sorted(own)) for name, own in sorted(extras.items())}


def devices() -> Devices:
    """Return cores and what JAX finds; where JAX does not start, in words why."""
    found, problem = tuple[str, ...](), None
    try:
        found = tuple(f"{device.platform}: {device.device_kind}" for device in jax_numpy().devices())
    except Exception as error:
        # whatever keeps JAX from starting is a finding here, and the compiled engine does without
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Devices(cores(), f"{_processor()}, {os.cpu_count()} cores in all", found, problem)


def _processor() -> str:
    try:
        import llvmlite.binding as llvm

        return f"{platform.machine()} ({llvm.get_host_cpu_name()})"
    except ImportError:
        return platform.machine()
