"""Columns to the bytes of a Parquet file and back: the same columns give the same bytes, and the file knows its run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from kapsim.errors import InputError
from kapsim.runs.manifest import Entry

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

#: What the work of a shard gives: columns of one length by name, or a table.
Columns: TypeAlias = "Mapping[str, NDArray[Any]] | pa.Table"
#: A pure function from the number of a shard to its columns.
Compute: TypeAlias = Callable[[int], "Columns"]

_RUN, _SHARD = b"kapsim.run", b"kapsim.shard"


@dataclass(frozen=True)
class EncodedShard:
    """A shard as it will stand in its file.

    Parameters
    ----------
    entry : Entry
    content : bytes
    """

    entry: Entry
    content: bytes


def check_extra() -> None:
    """Raise where there is no library for Parquet.

    Raises
    ------
    InputError
    """
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise InputError("results in shards need pyarrow: pip install 'kapsim[trial]'")


def table_of(columns: Columns) -> pa.Table:
    """Return columns as a table.

    Raises
    ------
    TypeError
        If there is no column, one is not of one dimension, or holds what has no type in Parquet.
    ValueError
        If they differ in length.
    """
    import numpy as np
    import pyarrow as pa

    if isinstance(columns, pa.Table):
        return columns.combine_chunks()
    if not isinstance(columns, Mapping) or not columns:
        raise TypeError("a shard gives columns by name, or a table of pyarrow; there is none")
    made = {}
    for name, values in columns.items():
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else np.asarray(values)
        if isinstance(array, np.ndarray) and array.ndim != 1:
            raise TypeError(f"column {name!r}: has {array.ndim} dimensions; a column has one")
        try:
            made[name] = pa.array(array) if isinstance(array, np.ndarray) else array
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise TypeError(f"column {name!r}: has no type in Parquet ({error})") from error
    lengths = {name: len(column) for name, column in made.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in length: {', '.join(f'{name} {n}' for name, n in lengths.items())}")
    return pa.table(made)


def encode(shard: int, columns: Columns, run: str) -> EncodedShard:
    """Return a shard as the bytes of a Parquet file.

    Parameters
    ----------
    shard : int
    columns : Columns
    run : str
        Digest of the run's header.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = table_of(columns)
    marked = table.replace_schema_metadata({_RUN: run.encode(), _SHARD: str(shard).encode()})
    # Every option that shapes the bytes is set here, so that none follows a default of the day. A dictionary would take
    # 0 and -0 for one number, and all that is not a number for one: only text has one.
    text = [
        entry.name for entry in table.schema if pa.types.is_string(entry.type) or pa.types.is_large_string(entry.type)
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(
        marked,
        sink,
        row_group_size=max(table.num_rows, 1),
        version="2.6",
        data_page_version="1.0",
        use_dictionary=text or False,
        compression="zstd",
        compression_level=3,
        write_statistics=True,
        data_page_size=1 << 20,
        dictionary_pagesize_limit=1 << 20,
        write_batch_size=1024,
        store_schema=True,
    )
    content = sink.getvalue().to_pybytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return EncodedShard(Entry(shard, table.num_rows, len(content), sha256, schema_digest(table)), content)


def schema_digest(table: pa.Table) -> str:
    """Return a hash of the names and types of a table's columns."""
    told = [f"{entry.name}: {entry.type}" for entry in table.schema]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def decode(content: bytes, columns: list[str] | None = None) -> pa.Table:
    """Return the table of a file whose checksum is right."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content), columns=columns).replace_schema_metadata(None)


def recognised(content: bytes) -> tuple[str, EncodedShard] | None:
    """Return of which run a file of unknown origin is, and what it holds; None where it is no shard of any run."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
        told = table.schema.metadata or {}
        run, shard = told[_RUN].decode("ascii"), int(told[_SHARD])
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None
    sha256 = hashlib.sha256(content).hexdigest()
    return run, EncodedShard(Entry(shard, table.num_rows, len(content), sha256, schema_digest(table)), content)
