"""Where kapsim keeps what it would otherwise compute again, and whether that place serves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from kapsim.engine.compiled import is_whole, programs_folder
from kapsim.engine.runtime import jax_cache_folder


class Cache(NamedTuple):
    """One place on disk."""

    name: str
    what: str
    folder: str
    files: int
    size_bytes: int
    writable: bool
    damaged: int  # files that are there and cannot be used; they are made anew


def caches() -> tuple[Cache, ...]:
    """Look at every place that kapsim keeps something in; nothing is made or changed."""
    from platformdirs import user_cache_path

    own, programs = user_cache_path("kapsim"), programs_folder()
    kept = _files(programs, ("*.o",))
    found = [
        _cache("programs", "the chain as machine code", programs, kept, sum(not is_whole(path) for path in kept)),
        _cache("surfaces", "response surfaces of other connectomes", own, _files(own, ("surface-*.json",))),
        _cache("jax", "programs of JAX", folder := jax_cache_folder(), _files(folder, ("*-cache", "*-atime"))),
    ]
    if find_spec("numba") is not None:
        folder = _numba_folder()
        found.append(_cache("numba", "the kernel of the cortex", folder, _files(folder, ("**/*.nbi", "**/*.nbc"))))
    return tuple(found)


def _cache(name: str, what: str, folder: Path, files: Iterable[Path], damaged: int = 0) -> Cache:
    sizes = [path.stat().st_size for path in files]
    return Cache(name, what, str(folder), len(sizes), sum(sizes), _writable(folder), damaged)


def _files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    try:
        return [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]
    except OSError:
        return []


def _numba_folder() -> Path:
    """Return where numba keeps compiled functions: beside their source, unless told otherwise."""
    import kapsim

    given = os.environ.get("NUMBA_CACHE_DIR")
    return Path(given) if given else Path(kapsim.__file__).parent / "brain" / "engines" / "__pycache__"


def _writable(folder: Path) -> bool:
    """Whether a file can be made in a folder, or the folder itself where it is not there yet."""
    try:
        there = next((place for place in (folder, *folder.parents) if place.exists()), Path())
        if there != folder:
            return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        # permissions do not tell of disks that are full or read-only
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"\0")
    except OSError:
        return False
    return True
