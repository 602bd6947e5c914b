"""What a run holds, read shard by shard: one is in memory at a time, and none is given whose checksum is wrong."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapsim.errors import InputError
from kapsim.files import os_error
from kapsim.runs.columns import check_extra, decode
from kapsim.runs.manifest import LAYOUT, MANIFEST, Entry, Manifest, parse_manifest

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

#: Folder of the shards within that of a run.
SHARDS = "shards"


@dataclass(frozen=True)
class Shard:
    """A finished shard.

    Parameters
    ----------
    number : int
        From 0.
    table : pyarrow.Table
    """

    number: int
    table: pa.Table

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name, each of shape (row,)."""
        return {
            name: column.to_numpy() for name, column in zip(self.table.column_names, self.table.columns, strict=True)
        }


@dataclass(frozen=True)
class RunRecord:
    """What the manifest of a run says.

    Parameters
    ----------
    folder : Path
    identity : mapping
        All that decided what was computed.
    shards : int
        How many there are to be.
    entries : mapping of int to Entry
        Those that are stored, in order of their numbers.
    """

    folder: Path
    identity: Mapping[str, Any]
    shards: int
    entries: Mapping[int, Entry]

    @property
    def complete(self) -> bool:
        """Whether every shard is stored."""
        return len(self.entries) == self.shards

    @property
    def rows(self) -> int:
        """Rows of all shards that are stored."""
        return sum(entry.rows for entry in self.entries.values())


def read_manifest(folder: Path) -> Manifest:
    """Return what the manifest in a folder says, nothing where there is none.

    Raises
    ------
    InputError
        If the system refuses.
    """
    path = folder / MANIFEST
    try:
        return parse_manifest(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    except OSError as error:
        raise os_error(path, "read", error) from None


def inspect_run(folder: str | os.PathLike[str]) -> RunRecord:
    """Say what a run is, and which of its shards are stored.

    Parameters
    ----------
    folder : path-like

    Raises
    ------
    InputError
        If there is no run, or the first line of its manifest is damaged.
    """
    place = Path(folder)
    found = read_manifest(place)
    if found.header is None:
        if found.sound:
            raise InputError(f"{place}: holds no run; give the folder that a run was written to")
        raise InputError(f"{place / MANIFEST}: is damaged; start the same run again with --resume, which mends it")
    if found.header.layout != LAYOUT:
        raise InputError(f"{place}: was written by another version of kapsim; read it with that one")
    entries = {number: found.entries[number] for number in sorted(found.entries)}
    return RunRecord(place, found.header.identity, found.header.shards, entries)


def read(
    folder: str | os.PathLike[str], *, columns: Sequence[str] | None = None, unfinished: bool = False
) -> Iterator[Shard]:
    """Read the shards of a run in order of their numbers, one at a time.

    Parameters
    ----------
    folder : path-like
    columns : sequence of str, optional
        Those that are wanted; by default all.
    unfinished : bool, optional
        Also read a run of which shards are missing.

    Returns
    -------
    iterator of Shard

    Raises
    ------
    InputError
        At once if there is no run, or it is unfinished and that was not asked for; with its shard if a file is damaged
        or lacks a column.
    """
    check_extra()
    record = inspect_run(folder)
    if not (record.complete or unfinished):
        raise InputError(
            f"{record.folder}: is unfinished ({len(record.entries)} of {record.shards} shards); "
            "start the same run again with --resume, or ask for the unfinished one"
        )
    return (_shard(record, entry, columns) for entry in record.entries.values())


def _shard(record: RunRecord, entry: Entry, columns: Sequence[str] | None) -> Shard:
    path = record.folder / SHARDS / entry.file
    content = stored(path, entry)
    if content is None:
        raise InputError(f"{path}: is damaged or gone; start the same run again with --resume, which mends it")
    table = decode(content)
    lacking = [name for name in columns or () if name not in table.column_names]
    if lacking:
        raise InputError(f"{path}: has no column {lacking[0]!r}; it has {', '.join(table.column_names)}")
    return Shard(entry.shard, table if columns is None else table.select(list(columns)))


def stored(path: Path, entry: Entry) -> bytes | None:
    """Return the content of a shard's file, None where it is gone or not what was written.

    Raises
    ------
    InputError
        If the system refuses.
    """
    try:
        if path.stat().st_size != entry.size:
            return None
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise os_error(path, "read", error) from None
    return content if hashlib.sha256(content).hexdigest() == entry.sha256 else None
