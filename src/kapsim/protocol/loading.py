"""Reading protocols: by name from the library, from a file, or from text."""

from __future__ import annotations

import functools
from importlib.resources import files
from pathlib import Path

from kapsim import file_model, strict_yaml
from kapsim.errors import InputError
from kapsim.protocol.schema import Protocol

__all__ = ["load_protocol", "named_protocols", "parse_protocol"]


def parse_protocol(text: str | bytes, *, source: str = "<protocol>") -> Protocol:
    """Read a protocol from the text of a file.

    Parameters
    ----------
    text : str or bytes
        YAML.
    source : str
        What to call it in messages.

    Raises
    ------
    InputError
        With source, line and key of the first problem.
    """
    return file_model.validate(Protocol, strict_yaml.parse(text, source=source))


def load_protocol(name_or_path: str | Path) -> Protocol:
    """Load a protocol by its name in the library, or from a file.

    Parameters
    ----------
    name_or_path : str or Path
        A key of `named_protocols`, or the path of a YAML file. A name wins over a file of the same name;
        write ``./name`` for the file.

    Raises
    ------
    InputError
        If there is no such protocol (the nearest name is given), or with file, line and key of the first problem.
    """
    if isinstance(name_or_path, str) and name_or_path in _library():
        return _library()[name_or_path]
    path = Path(name_or_path)
    looks_like_file = isinstance(name_or_path, Path) or path.suffix.lower() in (".yaml", ".yml") or len(path.parts) > 1
    if not looks_like_file and not _exists(path):
        shown = strict_yaml.one_line(name_or_path)
        advice = file_model.nearest_of(shown, list(_library()), "name")
        raise InputError(f"unknown protocol '{shown}'; {advice}; or give the path of a protocol file")
    return file_model.validate(Protocol, strict_yaml.read(path))


def named_protocols() -> dict[str, str]:
    """Return the names of the library with their titles, by name."""
    return {name: protocol.title for name, protocol in _library().items()}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@functools.cache
def _library() -> dict[str, Protocol]:
    folder = files("kapsim.protocol").joinpath("library")
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return {file.name.removesuffix(".yaml"): parse_protocol(file.read_bytes(), source=file.name) for file in found}
