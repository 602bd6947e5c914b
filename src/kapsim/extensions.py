"""What people add from outside, without touching the package: their own links, kinetics, variants and parameters.

An extension is one Python file. The environment variable `KAPSIM_EXTENSIONS` names the files (so that workers of a run
have them, too); `kapsim --with FILE` sets it. What the file may define, each by its name in capitals:

- ``LINKS``: links that are added to the chain, see `kapsim.mechanisms.added`;
- ``KINETICS``: sets of kinetics, see `kapsim.mechanisms.kinetics`, with the drugs and routes that they bring along;
- ``VARIANTS``: settings of the contested links, by name;
- ``PARAMETERS`` and ``EVIDENCE``: YAML files beside it, with the records that its numbers have as their home.

They are read once in a process. Nothing here knows what a link or a set is: whoever uses them says what is wrong.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from kapsim.errors import InputError, KapsimError

#: Names the files, separated as the paths of the system are (a colon, or a semicolon on Windows).
VARIABLE: Final = "KAPSIM_EXTENSIONS"
#: What an extension may define.
KINDS: Final = ("LINKS", "KINETICS", "VARIANTS", "PARAMETERS", "EVIDENCE")


@dataclass(frozen=True)
class Extension:
    """One extension, loaded.

    Attributes
    ----------
    name : str
        Of its file, without the ending.
    path : Path
    sha256 : str
        Over the file and the YAML files that it names.
    links, kinetics : tuple of type
    variants : mapping of str to Any
    parameters, evidence : Path or None
    """

    name: str
    path: Path
    sha256: str
    links: tuple[type[Any], ...]
    kinetics: tuple[type[Any], ...]
    variants: Mapping[str, Any]
    parameters: Path | None
    evidence: Path | None


@functools.cache
def extensions() -> tuple[Extension, ...]:
    """Return the extensions that the environment names, in its order; loaded when they are first asked for.

    Raises
    ------
    InputError
        For a file that is not there, does not run, or defines nothing that an extension may.
    """
    given = [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    found = [_load(path) for path in given]
    names = [item.name for item in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{VARIABLE}: there are two files {name!r}; name each once")
    return tuple(found)


def use(*paths: Path | str) -> None:
    """Let this process and those that it starts have the extensions `paths`, beside those of the environment.

    Parameters
    ----------
    *paths : Path or str
        Python files.

    Raises
    ------
    InputError
        As `extensions`, or where extensions have been read already.
    """
    if extensions.cache_info().currsize:
        raise InputError(f"extensions are read once in a process, and were; set {VARIABLE} before kapsim is used")
    before = os.environ.get(VARIABLE, "")
    os.environ[VARIABLE] = os.pathsep.join(
        [*([before] if before else []), *(str(Path(path).absolute()) for path in paths)]
    )
    extensions()


def own_links() -> tuple[type[Any], ...]:
    """Return the links of all extensions."""
    return tuple(link for item in extensions() for link in item.links)


def own_kinetics() -> tuple[type[Any], ...]:
    """Return the kinetics of all extensions."""
    return tuple(kind for item in extensions() for kind in item.kinetics)


def own_variants() -> dict[str, Any]:
    """Return the variants of all extensions."""
    return {name: switches for item in extensions() for name, switches in item.variants.items()}


def own_drugs() -> dict[str, float]:
    """Return the drugs that kinetics of extensions bring along, each with its share of S-ketamine."""
    return {drug: share for kind in own_kinetics() for drug, share in getattr(kind, "own_drugs", {}).items()}


def own_routes() -> tuple[str, ...]:
    """Return the routes that kinetics of extensions bring along."""
    return tuple(dict.fromkeys(route for kind in own_kinetics() for route in getattr(kind, "own_routes", ())))


def fingerprints() -> dict[str, str]:
    """Return name and SHA-256 of every extension, for records of what reproduces a run."""
    return {item.name: item.sha256 for item in extensions()}


def _load(path: Path) -> Extension:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"extension {path.name}: {(error.strerror or str(error)).lower()}; give a Python file"
        ) from None
    if path.suffix != ".py" or not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise InputError(f"extension {path.name}: name it as a Python module, such as 'sleep.py'")
    module = _module(path)
    if not any(hasattr(module, kind) for kind in KINDS):
        raise InputError(f"extension {path.name}: it defines none of {', '.join(KINDS)}; define what it adds")
    digest = hashlib.sha256(content)
    beside: dict[str, Path | None] = {}
    for kind in ("PARAMETERS", "EVIDENCE"):
        name = getattr(module, kind, None)
        beside[kind] = None if name is None else path.parent / str(name)
        if (other := beside[kind]) is not None:
            if not other.is_file():
                raise InputError(f"extension {path.name}: {kind}: there is no file {other.name!r} beside it")
            digest.update(other.read_bytes())
    variants = getattr(module, "VARIANTS", {})
    if not isinstance(variants, Mapping):
        raise InputError(f"extension {path.name}: VARIANTS: is no mapping; write {{'name': Switches(...)}}")
    return Extension(
        name=path.stem,
        path=path,
        sha256=digest.hexdigest(),
        links=_classes(module, "LINKS", path),
        kinetics=_classes(module, "KINETICS", path),
        variants=dict(variants),
        parameters=beside["PARAMETERS"],
        evidence=beside["EVIDENCE"],
    )


def _module(path: Path) -> ModuleType:
    """Run the file as a module of a name of its own, under which its classes can be found again."""
    name = f"kapsim_extension_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KapsimError:
        raise
    except Exception as error:
        # whatever their file raises is about their file
        raise InputError(f"extension {path.name}: it does not run: {type(error).__name__}: {error}") from error
    return module


def _classes(module: ModuleType, kind: str, path: Path) -> tuple[type[Any], ...]:
    found = getattr(module, kind, ())
    if not isinstance(found, (tuple, list)) or not all(isinstance(item, type) for item in found):
        raise InputError(f"extension {path.name}: {kind}: is no tuple of classes; write {kind} = (MyClass,)")
    return tuple(found)
