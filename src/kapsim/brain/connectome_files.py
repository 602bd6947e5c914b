"""Connectomes from and to files: a folder of CSV or NumPy matrices, one NPZ file, or a zip of The Virtual Brain.

A folder holds ``weights`` and, if there are any, ``lengths`` (mm), each as ``.csv``, ``.npy`` or ``.npz`` with one
array, and ``regions.csv`` with a row a region in the order of the matrix: ``name``, and where known ``hemisphere`` (L
or R), ``x_mm``, ``y_mm``, ``z_mm``, ``network`` (or ``yeo7``), ``cortical`` (0 or 1) and ``index`` (from 0, or from 1).
Every other column is a regional map, and a column ``set_NAME`` of 0 and 1 names a set. A CSV matrix may carry the names
of rows and columns; then they must be those of ``regions.csv``, in its order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.connectome import Connectome
from kapsim.brain.matrix_files import array_of, csv_matrix, csv_rows, open_archive, read_bytes
from kapsim.brain.regions import Regions
from kapsim.brain.tvb_zip import from_tvb, to_tvb
from kapsim.errors import InputError
from kapsim.files import output_folder, write_together
from kapsim.strict_yaml import one_line
from kapsim.units import nearest

SUFFIXES = (".csv", ".npy", ".npz")
_CENTROID = ("x_mm", "y_mm", "z_mm")
_KNOWN = ("index", "name", "hemisphere", *_CENTROID, "network", "yeo7", "cortical")
_SIDES = {"l": "L", "lh": "L", "left": "L", "r": "R", "rh": "R", "right": "R", "": ""}


def load_connectome(
    path: str | Path,
    *,
    name: str | None = None,
    symmetrise: bool = False,
    drop_diagonal: bool = False,
    check_order: bool = True,
) -> Connectome:
    """Load a connectome from a folder, an ``.npz`` file or a connectivity ``.zip`` of The Virtual Brain.

    Parameters
    ----------
    path : str or Path
    name : str, optional
        What to call it; the name of the file if left out.
    symmetrise : bool
        Take the mean of both directions where a matrix is not symmetric; refused otherwise.
    drop_diagonal : bool
        Set the diagonal to 0 where it is not; refused otherwise.
    check_order : bool
        Whether to refuse one whose weights do not fall with distance (`Connectome.check_order`).

    Returns
    -------
    Connectome

    Raises
    ------
    InputError
        With the file and the first thing that is wrong in it.
    """
    source = Path(path)
    shown = one_line(source, 400)
    try:
        if source.is_dir():
            weights, lengths, regions = _from_folder(source)
        elif source.suffix.lower() == ".npz":
            weights, lengths, regions = _from_npz(read_bytes(source), shown)
        elif source.suffix.lower() == ".zip":
            weights, lengths, regions = from_tvb(read_bytes(source), shown)
        else:
            read_bytes(source)
            raise InputError(f"{shown}: is no connectome; give a folder, an .npz file or a TVB .zip")
        found = Connectome(
            name=source.stem if name is None else name,
            weights=_prepared(weights, symmetrise, drop_diagonal),
            regions=regions,
            lengths=None if lengths is None else _prepared(lengths, symmetrise, drop_diagonal),
            source=source.name,
        )
        if check_order:
            found.check_order()
    except InputError as error:
        # what is wrong in one file says so; what does not go together knows of no file
        text = str(error)
        raise InputError(text if text.startswith(shown) else f"{shown}: {text}") from None
    return found


def save_connectome(connectome: Connectome, path: str | Path) -> Path:
    """Save a connectome whole or not at all.

    Parameters
    ----------
    connectome : Connectome
    path : str or Path
        A name that ends with ``.npz`` or ``.zip`` (The Virtual Brain; it holds no networks, maps or sets); any other
        becomes a folder of CSV files.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    InputError
        If it cannot be written, or a TVB archive cannot hold it.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind in (".npz", ".zip"):
        content = to_tvb(connectome) if kind == ".zip" else _to_npz(connectome)
        write_together({target: content})
        return target
    with output_folder(target):
        files = {"weights.csv": _csv_of(connectome.weights), "regions.csv": _table_of(connectome.regions)}
        if connectome.lengths is not None:
            files["lengths.csv"] = _csv_of(connectome.lengths)
        write_together({target / name: text.encode() for name, text in files.items()})
    return target


def read_regions(raw: bytes, source: str, also_text: Sequence[str] = ()) -> Regions:
    """Return regions from the content of ``regions.csv``; columns `also_text` are passed over."""
    header, *rows = csv_rows(raw, source)
    if len(set(header)) != len(header) or "" in header:
        raise InputError(f"{source}: a column has no name, or the name of another; name each once")
    for title in header:
        # a title names maps and sets, and stands in messages
        if not title.isprintable():
            raise InputError(f"{source}: the column '{one_line(title, 40)}' holds a control character; name it without")
    if "name" not in header:
        close = nearest("name", header)
        raise InputError(
            f"{source}: has no column 'name'; every region needs a label" + (f" ({close!r}?)" if close else "")
        )
    columns = {title: [row[place] for row in rows] for place, title in enumerate(header) if title not in also_text}
    names = tuple(columns["name"])

    def numbers(title: str, empty: bool = False) -> NDArray[np.float64]:
        values = np.full(len(names), np.nan)
        for place, cell in enumerate(columns[title]):
            if not cell and empty:
                continue
            try:
                values[place] = float(cell)
            except ValueError:
                raise InputError(
                    f"{source}: row {place + 2} ({one_line(names[place], 60)}), {title}: {one_line(cell, 40)!r} "
                    "is not a number"
                ) from None
        return values

    if "index" in columns:
        count = numbers("index")
        wrong = np.flatnonzero(count - count[0] != np.arange(len(names))) if len(names) else np.zeros(0)
        if wrong.size or (len(names) and count[0] not in (0.0, 1.0)):
            place = int(wrong[0]) if wrong.size else 0
            raise InputError(
                f"{source}: row {place + 2}: index {count[place]:g} is out of order; rows stand in the order of the "
                "matrix"
            )
    sides = [cell.lower() for cell in columns.get("hemisphere", [""] * len(names))]
    for place, side in enumerate(sides):
        if side not in _SIDES:
            raise InputError(f"{source}: row {place + 2}: hemisphere {one_line(side, 20)!r} is neither L nor R")
    there = [title for title in _CENTROID if title in columns]
    if there and len(there) < len(_CENTROID):
        raise InputError(f"{source}: has {', '.join(there)} only; give {', '.join(_CENTROID)} or none of them")
    cortical = numbers("cortical") if "cortical" in columns else np.ones(len(names))
    maps, sets = {}, {}
    for title in columns:
        if title.startswith("set_"):
            inside = numbers(title)
            if not np.isin(inside, (0.0, 1.0)).all():
                raise InputError(f"{source}: {title}: holds more than 0 and 1; a set has a region or not")
            sets[title.removeprefix("set_")] = tuple(int(row) for row in np.flatnonzero(inside))
        elif title not in _KNOWN:
            maps[title] = numbers(title, empty=True)
    if not np.isin(cortical, (0.0, 1.0)).all():
        raise InputError(f"{source}: cortical: holds more than 0 and 1; a region is cortical or not")
    return Regions(
        names=names,
        hemispheres=tuple(_SIDES[side] for side in sides),
        centroids=np.column_stack([numbers(title) for title in _CENTROID]) if there else None,
        networks=tuple(columns.get("network", columns.get("yeo7", ()))),
        cortical=cortical == 1.0,
        maps=maps,
        sets=sets,
    )


def _from_folder(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Regions]:
    table = folder / "regions.csv"
    if not table.exists():
        raise InputError(
            f"{one_line(folder, 400)}: has no regions.csv; regions need labels: give at least a column 'name'"
        )
    regions = read_regions(read_bytes(table), one_line(table, 400))
    weights = _folder_matrix(folder, "weights", regions)
    if weights is None:
        raise InputError(f"{one_line(folder, 400)}: has no weights.csv, weights.npy or weights.npz")
    return weights, _folder_matrix(folder, "lengths", regions), regions


def _folder_matrix(folder: Path, part: str, regions: Regions) -> NDArray[np.float64] | None:
    found = [path for suffix in SUFFIXES if (path := folder / f"{part}{suffix}").exists()]
    if not found:
        return None
    if len(found) > 1:
        raise InputError(f"{one_line(folder, 400)}: has {found[0].name} and {found[1].name}; keep one")
    raw, source = read_bytes(found[0]), one_line(found[0], 400)
    if found[0].suffix == ".npy":
        return _plain(array_of(raw, source), source)
    if found[0].suffix == ".npz":
        members = open_archive(raw, source)
        if len(members) != 1:
            raise InputError(f"{source}: holds {len(members)} arrays; give the matrix alone")
        [content] = members.values()
        return _plain(array_of(content, source), source)
    matrix = csv_matrix(raw, source)
    for what, names in (("rows", matrix.rows), ("columns", matrix.columns)):
        if names and names != regions.names:
            if len(names) != len(regions):
                raise InputError(f"{source}: names {len(names)} {what}, regions.csv has {len(regions)}")
            place = next(at for at, pair in enumerate(zip(names, regions.names, strict=True)) if pair[0] != pair[1])
            raise InputError(
                f"{source}: {what} are not in the order of regions.csv: number {place + 1} is "
                f"{one_line(names[place], 60)!r} here, {regions.names[place]!r} there"
            )
    return matrix.values


def _plain(array: NDArray[np.generic], source: str) -> NDArray[np.float64]:
    if array.dtype.kind not in "biuf":
        raise InputError(f"{source}: holds text; a matrix holds numbers")
    return array.astype(float)


def _from_npz(raw: bytes, source: str) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Regions]:
    arrays = {
        name.removesuffix(".npy"): array_of(content, f"{source}: {name}")
        for name, content in open_archive(raw, source).items()
    }
    for needed in ("weights", "names"):
        if needed not in arrays:
            raise InputError(f"{source}: has no array {needed!r}; a connectome has weights and the names of regions")

    def words(name: str) -> tuple[str, ...]:
        return tuple(str(item) for item in arrays[name].ravel()) if name in arrays else ()

    sets = {
        key.removeprefix("set_"): tuple(int(row) for row in np.flatnonzero(array))
        for key, array in arrays.items()
        if key.startswith("set_")
    }
    regions = Regions(
        names=words("names"),
        hemispheres=words("hemispheres"),
        centroids=_plain(arrays["centroids"], f"{source}: centroids") if "centroids" in arrays else None,
        networks=words("networks"),
        cortical=np.asarray(arrays.get("cortical", np.zeros(0, dtype=bool)), dtype=bool),
        maps={
            key.removeprefix("map_"): _plain(array, f"{source}: {key}")
            for key, array in arrays.items()
            if key.startswith("map_")
        },
        sets=sets,
    )
    lengths = _plain(arrays["lengths"], f"{source}: lengths") if "lengths" in arrays else None
    return _plain(arrays["weights"], f"{source}: weights"), lengths, regions


def _to_npz(connectome: Connectome) -> bytes:
    regions = connectome.regions
    arrays: dict[str, NDArray[np.generic]] = {
        "weights": connectome.weights,
        "names": np.array(regions.names),
        "hemispheres": np.array(regions.hemispheres),
        "networks": np.array(regions.networks),
        "cortical": regions.cortical,
    }
    if connectome.lengths is not None:
        arrays["lengths"] = connectome.lengths
    if regions.centroids is not None:
        arrays["centroids"] = regions.centroids
    arrays |= {f"map_{name}": values for name, values in regions.maps.items()}
    arrays |= {f"set_{name}": np.isin(np.arange(len(regions)), members) for name, members in regions.sets.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _prepared(matrix: NDArray[np.float64], symmetrise: bool, drop_diagonal: bool) -> NDArray[np.float64]:
    matrix = np.array(matrix, dtype=float)
    if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]:
        if symmetrise:
            matrix = 0.5 * (matrix + matrix.T)
        if drop_diagonal:
            np.fill_diagonal(matrix, 0.0)
    return matrix


def _csv_of(matrix: NDArray[np.float64]) -> str:
    # The shortest text that reads back as the same number.
    return "".join(",".join(repr(float(value)) for value in row) + "\n" for row in matrix)


def _table_of(regions: Regions) -> str:
    columns: dict[str, Sequence[object]] = {"index": range(len(regions)), "name": regions.names}
    columns["hemisphere"] = regions.hemispheres
    if regions.centroids is not None:
        columns |= {title: [repr(float(x)) for x in regions.centroids[:, at]] for at, title in enumerate(_CENTROID)}
    columns["network"] = regions.networks
    columns["cortical"] = [int(value) for value in regions.cortical]
    for name, members in regions.sets.items():
        columns[f"set_{name}"] = [int(row in members) for row in range(len(regions))]
    for name, values in regions.maps.items():
        if name in _KNOWN or name.startswith("set_"):
            raise InputError(f"map {name!r}: its name means something else in regions.csv; rename it")
        columns[name] = ["" if np.isnan(value) else repr(float(value)) for value in values]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return stream.getvalue()
