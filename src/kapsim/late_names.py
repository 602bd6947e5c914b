"""Public names of a package that load when they are first used (PEP 562), so that importing it stays quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def late_names(
    package: str, homes: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package some of whose names load on first use.

    Parameters
    ----------
    package : str
        Its name, `__name__` there. It lists its public names in `__all__`.
    homes : mapping of str to iterable of str
        Modules below the package, each with the names that it is home to. No module of the package may bear one of
        these names: importing it would hide what the name stands for.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{home_of[name]}"), name)
        # the next use finds it without asking here
        setattr(sys.modules[package], name, value)
        return value

    def listed() -> list[str]:
        module = sys.modules[package]
        return sorted({*vars(module), *module.__all__})

    return load, listed
