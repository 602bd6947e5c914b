"""Files that people give: read whole up to a cap, as text and as rows of CSV, each fault one line with its place.

A file may be a pipe, a device, a picture or cut off in the middle, so nothing is taken on trust. Of a table the message
is ``FILE:LINE: column: problem; what would be right``.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path

from kapsim.errors import InputError

__all__ = ["MISSING", "csv_rows", "decoded", "fault", "finite_number", "one_line", "read_capped"]

#: What stands in a cell of which nothing is known.
MISSING = frozenset({"", ".", "NA"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LONGEST_NUMBER = 32


def one_line(text: object, limit: int = 80) -> str:
    """Return `text` made fit for one line of a message: no control characters, cut at `limit`."""
    shown = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def fault(source: object, line: int, place: str, problem: str) -> InputError:
    """Return the error for a problem at a place (a column, a key) of a line of a file."""
    return InputError(f"{one_line(source, 400)}:{line}: {one_line(place, 60)}: {one_line(problem, 600)}")


def read_capped(path: str | Path, most_bytes: int, kind: str) -> bytes:
    """Return the content of a regular file, or its beginning where it is too long.

    Parameters
    ----------
    path : str or Path
    most_bytes : int
        The caller refuses more; one byte more than these is read, so that it sees.
    kind : str
        What to give instead of a folder or device: "a CSV file".

    Raises
    ------
    InputError
        If there is no such file, it is no regular one, or it cannot be read.
    """
    name = one_line(path, 400)
    try:
        file = Path(path)
        if file.is_dir():
            raise InputError(f"{name}: is a directory; give {kind}")
        if not file.exists():
            raise InputError(f"{name}: no such file; check the path")
        if not file.is_file():
            # a pipe or a device could block or never end
            raise InputError(f"{name}: is not a regular file; give {kind}")
        with file.open("rb") as stream:
            return stream.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        why = one_line(reason).lower()
        raise InputError(f"{name}: cannot be read ({why}); check the path and its permissions") from None


def decoded(raw: bytes, source: str, advice: str = "save the file as plain text") -> str:
    """Return bytes as text in UTF-8, without the mark that some editors put before it."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise fault(source, line, "(file)", f"is not text in UTF-8; {advice}") from None


def csv_rows(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row of a CSV file begins, and its cells; empty lines are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        problem = f"is not CSV ({one_line(error)}); separate cells by commas, and check the quotes and the end"
        raise fault(source, line, "(row)", problem) from None


def finite_number(cell: str) -> float:
    """Return the finite number that a cell holds, NaN where it holds none."""
    value = float(cell) if len(cell) <= _LONGEST_NUMBER and _NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else math.nan
