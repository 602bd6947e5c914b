"""Rows of real covariates: a CSV whose header says the units, read strictly."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.file_model import nearest_of
from kapsim.files import write_together
from kapsim.given_files import MISSING, csv_rows, decoded, fault, finite_number, one_line, read_capped
from kapsim.population.traits import BODY, TRAITS
from kapsim.scales import CONVERTED
from kapsim.units import convert, dimension

__all__ = ["MOST_BYTES", "MOST_ROWS", "Table", "parse_table", "read_table", "table_csv", "write_table"]

Array = NDArray[np.float64]

MOST_BYTES = 32 * 1024 * 1024
MOST_ROWS = 200_000
_HEADING = re.compile(r"\s*([a-z0-9_]+)\s*(?:\[\s*([^\[\]]+?)\s*\])?\s*")
_SEXES = {"female": 1.0, "male": 0.0}
_ANSWERS = {"yes": 1.0, "1": 1.0, "no": 0.0, "0": 0.0}
#: Scales that are read in place of a trait, with the trait.
_SCALES = {**dict.fromkeys(CONVERTED, "madrs"), "gad7": "hama"}
#: A column of labels that are not read.
_LABEL = "id"
#: Columns as they stand in a header.
_WORDS = {
    "sex": "female",
    **{name: name for name in TRAITS if name != "female"},
    **_SCALES,
}


@dataclass(frozen=True, eq=False)
class Table:
    """Covariates of real people.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (row,)
        By trait, in the trait's unit; NaN is what is not known.
    source : str
        Name of the file, for messages.
    digest : str
        SHA-256 of the file, 64 hexadecimal digits.
    """

    columns: dict[str, Array]
    source: str
    digest: str

    @property
    def rows(self) -> int:
        """Number of people."""
        return len(next(iter(self.columns.values())))


class _Column(NamedTuple):
    """A column of the file: its heading, the trait it gives, and how one cell is read."""

    heading: str
    trait: str
    read: Callable[[str], float]


def read_table(path: str | Path) -> Table:
    """Read covariates from a CSV file.

    Parameters
    ----------
    path : str or Path
        The first line names the columns, each with its unit in square brackets: ``weight [kg],age [a],sex``.

    Raises
    ------
    InputError
        With file, line and column of the first problem.
    """
    return parse_table(read_capped(path, MOST_BYTES, "a CSV file"), source=one_line(path, 400))


def parse_table(content: bytes | str, *, source: str = "<table>") -> Table:
    """Read covariates from the text of a CSV file; InputError with source, line and column of the first problem."""
    raw = content.encode("utf-8", errors="surrogatepass") if isinstance(content, str) else content
    if len(raw) > MOST_BYTES:
        raise InputError(f"{source}: is over {MOST_BYTES // 1024**2} MB; give at most {MOST_ROWS} people")
    columns: list[_Column | None] = []
    lists: list[list[float]] = []
    lines: list[int] = []
    for line, cells in csv_rows(decoded(raw, source), source):
        if not any(cell.strip() for cell in cells):
            continue
        if not columns:
            columns = _header(cells, source, line)
            lists = [[] for _ in columns]
            continue
        if len(cells) != len(columns):
            raise fault(
                source, line, "(row)", f"has {len(cells)} cells and the header {len(columns)}; write '.' for nothing"
            )
        lines.append(line)
        if len(lines) > MOST_ROWS:
            raise fault(source, line, "(row)", f"is beyond {MOST_ROWS} people; give fewer")
        for column, cell, found in zip(columns, cells, lists, strict=True):
            if column is not None:
                found.append(_cell(column, cell.strip(), source, line))
    if not columns:
        raise fault(source, 1, "(header)", "is missing; a header is like weight [kg],age [a],sex")
    if not lines:
        raise fault(source, 2, "(row)", "no person follows the header; give one a line")
    named = {
        column.trait: np.asarray(values) for column, values in zip(columns, lists, strict=True) if column is not None
    }
    table = Table({trait: named[trait] for trait in TRAITS if trait in named}, source, _digest(raw))
    _check_people(table, lines)
    return table


def table_csv(columns: Mapping[str, Array]) -> str:
    """Return covariates as the text of a CSV file, which reads back the same to the last digit."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    names = [trait for trait in TRAITS if trait in columns]
    writer.writerow(["sex" if trait == "female" else _heading(trait) for trait in names])
    for row in zip(*(columns[trait] for trait in names), strict=True):
        writer.writerow([_shown(trait, float(value)) for trait, value in zip(names, row, strict=True)])
    return lines.getvalue()


def write_table(columns: Mapping[str, Array], path: str | Path) -> None:
    """Write covariates to a CSV file, whole or not at all; InputError where it cannot be written."""
    write_together({Path(path): table_csv(columns).encode("utf-8")})


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _heading(trait: str) -> str:
    about = TRAITS[trait]
    return trait if about.yes_no else f"{trait} [{about.unit}]"


def _shown(trait: str, value: float) -> str:
    if math.isnan(value):
        return "."
    if trait == "female":
        return "female" if value else "male"
    return str(int(value)) if TRAITS[trait].yes_no else repr(value)


def _header(cells: list[str], source: str, line: int) -> list[_Column | None]:
    """Return the columns; None for one that is passed over."""
    found: list[_Column | None] = []
    taken: dict[str, str] = {}
    for place, cell in enumerate(cells, start=1):
        match = _HEADING.fullmatch(cell)
        if match is None:
            shown = one_line(cell, 40) or f"column {place}"
            raise fault(source, line, shown, "is no heading; write a name and its unit in brackets, like 'weight [kg]'")
        word, unit = match[1], match[2]
        if word == _LABEL and unit is None:
            if _LABEL in taken:
                raise fault(source, line, word, "stands twice in the header; keep one")
            taken[_LABEL] = word
            found.append(None)
            continue
        if word not in _WORDS:
            raise fault(source, line, word, f"is no column; {nearest_of(word, [*_WORDS, _LABEL], 'column')}")
        column = _column(word, unit, source, line)
        if column.trait in taken:
            other = taken[column.trait]
            text = "stands twice in the header; keep one"
            raise fault(source, line, word, text if other == word else f"gives the same as column {other}; keep one")
        taken[column.trait] = word
        found.append(column)
    if not any(found):
        raise fault(source, line, "(header)", "names no trait; a header is like weight [kg],age [a],sex")
    return found


def _column(word: str, unit: str | None, source: str, line: int) -> _Column:
    trait = _WORDS[word]
    about = TRAITS[trait]
    if about.yes_no:
        if unit is not None:
            raise fault(source, line, word, f"has no unit; leave '[{one_line(unit, 20)}]' out")
        words = _SEXES if word == "sex" else _ANSWERS
        return _Column(word, trait, lambda cell: _answer(cell, words))
    wanted = about.unit
    if unit is None:
        raise fault(source, line, word, f"has no unit; write '{word} [{wanted}]'")
    try:
        given = dimension(unit)
    except InputError as error:
        raise fault(source, line, word, str(error)) from None
    if given != dimension(wanted):
        raise fault(
            source, line, word, f"'{unit}' is a unit of {given}, not of {dimension(wanted)}; write '{word} [{wanted}]'"
        )
    if word in _SCALES:
        return _Column(word, trait, lambda cell: _from_scale(cell, word))
    size = convert(1.0, unit, wanted)
    return _Column(word, trait, lambda cell: _within(size * _number(cell), trait))


class _CellError(ValueError):
    """What is wrong with a cell."""


def _cell(column: _Column, cell: str, source: str, line: int) -> float:
    if cell in MISSING:
        return math.nan
    try:
        return column.read(cell)
    except (_CellError, InputError) as wrong:
        raise fault(source, line, column.heading, str(wrong)) from None


def _answer(cell: str, words: Mapping[str, float]) -> float:
    if cell.lower() not in words:
        listed = ", ".join(words)
        raise _CellError(f"'{one_line(cell, 40)}' is not known here; write {listed}, or '.' where it is not known")
    return words[cell.lower()]


def _number(cell: str) -> float:
    value = finite_number(cell)
    if math.isnan(value):
        raise _CellError(f"'{one_line(cell, 40)}' is not a number; write it like 12.5, or '.' where it is not known")
    return value


def _within(value: float, trait: str) -> float:
    about = TRAITS[trait]
    # nothing is a concentration or a length of time of exactly 0
    if not about.low <= value <= about.high or (trait in ("crp", "episode") and value == 0.0):
        least = f"more than {about.low:g}" if trait in ("crp", "episode") else f"at least {about.low:g}"
        raise _CellError(
            f"{value:g} {about.unit} is not possible; it must be {least} and at most {about.high:g} {about.unit}"
        )
    return value


def _from_scale(cell: str, scale: str) -> float:
    """Return a rating on another scale as the MADRS or HAM-A that it stands for."""
    from kapsim.evidence import load_parameters
    from kapsim.patient.schema import ANXIETY_MAXIMUM, BASELINE_MAXIMUM
    from kapsim.scales import to_madrs

    score, maximum = _number(cell), {**BASELINE_MAXIMUM, **ANXIETY_MAXIMUM}[scale]
    if not 0.0 <= score <= maximum:
        raise _CellError(f"{score:g} is not a score of {scale}, which runs from 0 to {maximum:g}; check the scale")
    per_hama = load_parameters()["mood.scale.gad7_per_hama"].value
    found = score / per_hama if scale == "gad7" else to_madrs(scale, score)
    return min(found, TRAITS[_SCALES[scale]].high)


def _check_people(table: Table, lines: list[int]) -> None:
    """Raise where the numbers of a person do not belong together."""
    from kapsim.population.body import completed

    held = completed(table.columns)
    if "age" in held and "episode" in held:
        wrong = held["episode"] > convert(1.0, "a", "mo") * held["age"]
        if wrong.any():
            row = int(np.argmax(wrong))
            years = f"a life of {held['age'][row]:g} years"
            raise fault(
                table.source,
                lines[row],
                "episode",
                f"{held['episode'][row]:g} months are longer than {years}; check the unit",
            )
    for trait in BODY:
        if trait in table.columns or trait not in held:
            continue
        about = TRAITS[trait]
        wrong = (held[trait] < about.low) | (held[trait] > about.high)
        if wrong.any():
            row = int(np.argmax(wrong))
            others = " and ".join(f"{name} {held[name][row]:g}" for name in BODY if name != trait)
            raise fault(
                table.source,
                lines[row],
                trait,
                f"would be {held[trait][row]:.3g} {about.unit} by {others}, which is not possible; check both",
            )
    if all(trait in table.columns for trait in BODY):
        follows = held["weight"] / held["height"] ** 2
        wrong = np.abs(follows / held["bmi"] - 1.0) > 0.02
        if wrong.any():
            row = int(np.argmax(wrong))
            raise fault(
                table.source,
                lines[row],
                "bmi",
                f"{held['bmi'][row]:.4g} does not follow from weight and height, which give {follows[row]:.4g}; "
                "leave one of the three out",
            )
