"""Connectivity archives of The Virtual Brain: a zip of text files, read and written.

``weights.txt`` and ``tract_lengths.txt`` are matrices, ``centres.txt`` has a label and x, y, z in mm on each line;
``hemispheres.txt`` (1 is right) and ``cortical.txt`` (1 is cortex) may be missing, and so may the content of
``tract_lengths.txt``. Members may lie in a folder and end with ``.txt.bz2``. Orientations and areas have no counterpart
here and are passed over; networks, maps and sets have none there and are not written.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.connectome import Connectome
from kapsim.brain.matrix_files import open_archive, spaced_matrix, text_of
from kapsim.brain.regions import Regions
from kapsim.errors import InputError
from kapsim.strict_yaml import one_line

_SPELLINGS = {"centers": "centres", "hemisphere": "hemispheres"}


def from_tvb(raw: bytes, source: str) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Regions]:
    """Return weights, tract lengths (None where the file is empty) and regions of an archive."""
    parts = _parts(open_archive(raw, source), source)
    for needed in ("weights", "centres"):
        if needed not in parts:
            raise InputError(
                f"{source}: has no {needed}.txt; a TVB connectivity holds weights, tract_lengths and centres"
            )
    weights = spaced_matrix(parts["weights"], f"{source}: weights.txt")
    lengths = None
    if parts.get("tract_lengths", b"").strip():
        lengths = spaced_matrix(parts["tract_lengths"], f"{source}: tract_lengths.txt")
    names, centroids = _centres(parts["centres"], f"{source}: centres.txt")
    right = _switches(parts, "hemispheres", len(names), source)
    cortical = _switches(parts, "cortical", len(names), source)
    regions = Regions(
        names=names,
        hemispheres=() if right is None else tuple("R" if value else "L" for value in right),
        centroids=centroids,
        cortical=np.ones(len(names), dtype=bool) if cortical is None else cortical,
    )
    return weights, lengths, regions


def to_tvb(connectome: Connectome) -> bytes:
    """Return a connectome as an archive that The Virtual Brain reads.

    Raises
    ------
    InputError
        If regions have no centroids, or names that the format cannot hold.
    """
    regions = connectome.regions
    if regions.centroids is None:
        raise InputError(f"{connectome.name}: a TVB connectivity needs centroids; save it as a folder instead")
    for name in regions.names:
        if name.split() != [name] or name.startswith("#") or "," in name:
            raise InputError(
                f"{connectome.name}: {name!r} has a blank, comma or #, which a TVB label cannot; rename it"
            )
    files = {
        "weights.txt": _lines(connectome.weights),
        "tract_lengths.txt": "" if connectome.lengths is None else _lines(connectome.lengths),
        "centres.txt": "".join(
            f"{name} {_line(position)}\n" for name, position in zip(regions.names, regions.centroids, strict=True)
        ),
        "cortical.txt": "".join(f"{int(value)}\n" for value in regions.cortical),
    }
    if all(regions.hemispheres):
        files["hemispheres.txt"] = "".join(f"{int(side == 'R')}\n" for side in regions.hemispheres)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            # A fixed date: the same connectome gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _parts(members: Mapping[str, bytes], source: str) -> dict[str, bytes]:
    """Return the members by what they are."""
    found: dict[str, bytes] = {}
    for path, content in members.items():
        stem, _, suffix = PurePosixPath(path).name.lower().partition(".")
        part = _SPELLINGS.get(stem, stem)
        if part not in ("weights", "tract_lengths", "centres", "hemispheres", "cortical"):
            continue
        if suffix not in ("txt", "txt.bz2"):
            raise InputError(
                f"{source}: {one_line(path, 60)!r} is no .txt or .txt.bz2; export the connectivity as text"
            )
        if part in found:
            raise InputError(f"{source}: holds two files of {part}; keep one")
        found[part] = content
    return found


def _centres(raw: bytes, source: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    names: list[str] = []
    positions: list[list[str]] = []
    for number, line in enumerate(text_of(raw, source).splitlines()):
        cells = line.replace(",", " ").split()
        if not cells or cells[0].startswith("#"):
            continue
        if len(cells) != 4:
            raise InputError(
                f"{source}:{number + 1}: has {len(cells)} items; each line is a label, then x, y and z in mm"
            )
        names.append(cells[0])
        positions.append(cells[1:])
    if not names:
        raise InputError(f"{source}: is empty; each line is a label, then x, y and z in mm")
    return tuple(names), spaced_matrix("\n".join(map(" ".join, positions)).encode(), source)


def _switches(parts: Mapping[str, bytes], part: str, count: int, source: str) -> NDArray[np.bool_] | None:
    if not parts.get(part, b"").strip():
        return None
    values = spaced_matrix(parts[part], f"{source}: {part}.txt").ravel()
    if values.shape != (count,) or not np.isin(values, (0.0, 1.0)).all():
        raise InputError(f"{source}: {part}.txt: holds {values.size} values for {count} regions; give 0 or 1 for each")
    return np.asarray(values == 1.0)


def _line(values: NDArray[np.float64]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _lines(matrix: NDArray[np.float64]) -> str:
    return "".join(f"{_line(row)}\n" for row in matrix)
