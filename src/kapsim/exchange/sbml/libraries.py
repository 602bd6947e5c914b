"""The libraries of other formats, which an ordinary installation does without."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kapsim.errors import InputError

#: Module → the package that brings it.
PACKAGES = {
    "libsbml": "python-libsbml",
    "libsedml": "python-libsedml",
    "libcombine": "python-libcombine",
    "antimony": "antimony",
}


def exchange_library(module: str) -> Any:
    """Return one of the libraries of `PACKAGES`.

    Raises
    ------
    InputError
        Where it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"this export needs {PACKAGES[module]}, which is not installed; install kapsim with its extra: "
            "pip install 'kapsim[exchange]'"
        ) from None
