"""Matrices and tables from files that may be cut off, binary, far too large or made to harm: read whole, or refused.

Nothing is unpacked to disk, no archive member is read beyond its cap, and no pickled object is ever loaded.
"""

from __future__ import annotations

import bz2
import csv
import io
import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.regions import MOST_REGIONS
from kapsim.errors import InputError
from kapsim.given_files import one_line, read_capped

MOST_BYTES = 96 * 1024 * 1024
#: Members of an archive of text and arrays: far more than any real one has.
MOST_MEMBERS = 64
#: Lines of a text file, comments and blank ones included, and characters of one of them: beyond these it holds more
#: regions than are handled, and would grow many times as large in memory as on disk.
MOST_LINES, LONGEST_LINE = 4 * MOST_REGIONS, 64 * MOST_REGIONS
#: What damage to a zip archive and to the header of an array leads to in the libraries that read them.
_NO_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)
_NO_ARRAY = (
    KeyError,
    ValueError,
    EOFError,
    TypeError,
    SyntaxError,
    RecursionError,
    OverflowError,
    MemoryError,
    tokenize.TokenError,
)


class LabelledMatrix(NamedTuple):
    """A matrix and the names that stood beside it, empty where none did."""

    values: NDArray[np.float64]
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file up to `MOST_BYTES`; an `InputError` says what is wrong with any other."""
    raw = read_capped(path, MOST_BYTES, "a file")
    if len(raw) > MOST_BYTES:
        raise InputError(f"{one_line(path, 400)}: is over {MOST_BYTES // 1024**2} MB; use a coarser parcellation")
    return raw


def text_of(raw: bytes, source: str) -> str:
    """Return bytes as text in UTF-8; an `InputError` where they are not."""
    if b"\0" in raw:
        raise InputError(f"{source}: is not text but binary; give numbers as text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{source}:{line}: is not text in UTF-8; give numbers as text") from None


def csv_rows(raw: bytes, source: str) -> list[list[str]]:
    """Return the cells of a CSV file that ends where a line does, blank lines left out, all rows of one length."""
    text = text_of(raw, source)
    if not text.strip():
        raise InputError(f"{source}: is empty")
    for _ in _lines(text, source):
        pass
    if not text.endswith(("\n", "\r")):
        # A file that was cut inside its last number reads as a smaller one.
        line = text.count("\n") + 1
        raise InputError(f"{source}:{line}: does not end its line: the file may be cut off; end it with a newline")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise InputError(f"{source}: is not CSV ({one_line(error)}); check its quotes and its end") from None
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{source}: row {number + 1} has {len(row)} cells, the first {len(rows[0])}; the file may be cut off, "
                "or a comma be wrong"
            )
    return rows


def csv_matrix(raw: bytes, source: str) -> LabelledMatrix:
    """Return a matrix from CSV, with or without a row and a column of names."""
    rows = csv_rows(raw, source)
    columns: tuple[str, ...] = ()
    if any(not _is_number(cell) for cell in rows[0][1:]) or (len(rows) > 1 and not rows[0][0]):
        columns, rows = tuple(rows[0]), rows[1:]
    names: tuple[str, ...] = ()
    if rows and any(not _is_number(row[0]) for row in rows) and len(rows[0]) == len(rows) + 1:
        names, rows = tuple(row[0] for row in rows), [row[1:] for row in rows]
        columns = columns[1:]
    return LabelledMatrix(_numbers(rows, source), names, columns)


def spaced_matrix(raw: bytes, source: str) -> NDArray[np.float64]:
    """Return a matrix from text whose numbers stand between blanks, or commas."""
    rows = [line.replace(",", " ").split() for line in _lines(text_of(raw, source), source)]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{source}: row {number + 1} has {len(row)} numbers, the first {len(rows[0])}; the file may be cut off"
            )
    return _numbers(rows, source)


def _lines(text: str, source: str) -> Iterator[str]:
    """Yield the lines of a text, none too many and none too long."""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if number > MOST_LINES:
            raise InputError(f"{source}: has over {MOST_LINES} lines, of {MOST_REGIONS} regions that are handled")
        if len(line) > LONGEST_LINE:
            raise InputError(
                f"{source}:{number}: is over {LONGEST_LINE} characters long, of {MOST_REGIONS} regions that are handled"
            )
        yield line


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(rows: list[list[str]], source: str) -> NDArray[np.float64]:
    if len(rows) > MOST_REGIONS:
        raise InputError(f"{source}: has {len(rows)} rows, over the {MOST_REGIONS} regions that are handled")
    try:
        return np.array(rows, dtype=float).reshape(len(rows), -1)
    except ValueError:
        pass
    for number, row in enumerate(rows):
        for place, cell in enumerate(row):
            if not _is_number(cell):
                shown = one_line(cell, 40)
                raise InputError(f"{source}: row {number + 1}, column {place + 1}: {shown!r} is not a number")
    raise InputError(f"{source}: is not a matrix of numbers")


def open_archive(raw: bytes, source: str) -> Mapping[str, bytes]:
    """Return the members of a zip archive by path; refuse what could harm or cannot be whole.

    Parameters
    ----------
    raw : bytes
        The archive.
    source : str
        Its name, for messages.

    Returns
    -------
    mapping of str to bytes
        Content of each file, those of ``__MACOSX`` and folders left out. A member that ends with ``.bz2`` is expanded.

    Raises
    ------
    InputError
        If it is no zip archive, is damaged, encrypted, has a member that points out of it, or would grow too large.
    """
    found: dict[str, bytes] = {}
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise InputError(
                    f"{source}: holds {len(members)} files, over {MOST_MEMBERS}; give the connectome alone"
                )
            for member in members:
                path = PurePosixPath(member.filename.replace("\\", "/"))
                shown = one_line(member.filename, 60)
                if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
                    raise InputError(f"{source}: {shown!r} points out of the archive; make it again from plain files")
                if not path.parts or member.is_dir() or path.parts[0] == "__MACOSX":
                    continue
                if member.flag_bits & 1:
                    raise InputError(f"{source}: {shown!r} is encrypted; make the archive again without a password")
                if member.filename in found:
                    raise InputError(f"{source}: {shown!r} stands in it twice")
                with archive.open(member) as stream:
                    content = stream.read(left + 1)
                if path.suffix == ".bz2":
                    content = _expanded(content, left, f"{source}: {shown}")
                left -= len(content)
                if left < 0:
                    raise InputError(f"{source}: holds over {MOST_BYTES // 1024**2} MB; use a coarser parcellation")
                found[member.filename] = content
    except _NO_ARCHIVE as error:
        raise InputError(f"{source}: is no whole zip archive ({one_line(error)}); get or make it again") from None
    return found


def _expanded(content: bytes, most: int, source: str) -> bytes:
    expander = bz2.BZ2Decompressor()
    try:
        expanded = expander.decompress(content, max_length=most + 1)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{source}: cannot be expanded ({one_line(error)}); make it again") from None
    if not expander.eof and len(expanded) <= most:
        raise InputError(f"{source}: is cut off; make it again")
    return expanded


def array_of(raw: bytes, source: str) -> NDArray[np.generic]:
    """Return an array from the content of an ``.npy`` file: numbers, switches or text, never objects."""
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, kind = read[version](stream)
    except _NO_ARRAY as error:
        raise InputError(f"{source}: is no NumPy array ({one_line(error)}); save it with numpy.save or savez") from None
    if kind.hasobject or kind.kind not in "biufU":
        raise InputError(f"{source}: holds {kind} items; only numbers, switches and text are read")
    # The header of a small file can claim any size.
    if math.prod(shape) * kind.itemsize != len(raw) - stream.tell():
        raise InputError(f"{source}: is not of the size that its header says; it may be cut off")
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
