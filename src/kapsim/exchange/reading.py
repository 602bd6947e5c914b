"""CSV → event table, strictly: nothing is guessed, and the first thing wrong is named by file, line and column."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kapsim.errors import InputError
from kapsim.exchange.table import (
    COLUMNS,
    DRUGS,
    MOST_DOSES,
    OBSERVABLES,
    OTHER,
    ROUTES,
    USUAL,
    Dosing,
    EventTable,
    Observation,
    Subject,
    same_time,
)
from kapsim.file_model import nearest_of
from kapsim.given_files import MISSING, csv_rows, decoded, fault, finite_number, one_line, read_capped
from kapsim.protocol.schema import MOST_MG_PER_KG

MOST_BYTES = 64 * 1024 * 1024
MOST_ROWS = 500_000
MOST_ID = 999_999_999
MOST_HOURS = 5 * 365.25 * 24  # as a protocol
#: Bounds of covariates, as in a patient file.
BOUNDS = {"WT": (25.0, 350.0, "kg"), "AGE": (18.0, 110.0, "years"), "FEMALE": (0.0, 1.0, "0 or 1")}
MOST_MG = MOST_MG_PER_KG * BOUNDS["WT"][1]
#: Columns that are read but not written.
ALSO = ("SEX", "SS")
#: Columns that other tools have and that would change what the rest means.
REFUSED = {
    **dict.fromkeys(("ALAG", "ALAG1", "LAG", "LAGTIME", "TLAG"), "a lag belongs to the kinetics here"),
    **dict.fromkeys(("F", "F1", "BIO"), "bioavailability belongs to the kinetics here"),
    **dict.fromkeys(("DUR", "TINF", "D1"), "the duration of an infusion is AMT over RATE; give RATE in mg/h"),
    "DATE": "TIME is in hours from the first record; convert it",
    "BLQ": "values below a limit have no column here; set MDV to 1",
    "CENS": "values below a limit have no column here; set MDV to 1",
}
_SEXES = {"female": 1.0, "f": 1.0, "male": 0.0, "m": 0.0}
_EVENTS = {3: "a reset", 4: "a reset with a dose"}
_RATES = {
    -1.0: "a rate that the model estimates",
    -2.0: "a duration that the model estimates",
}


class Row(NamedTuple):
    """A line of the file: the columns it has, as text."""

    source: str
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, problem: str) -> InputError:
        """Return the error for a problem in a column."""
        return fault(self.source, self.line, column, problem)

    def text(self, column: str) -> str | None:
        """Return what stands in a column, None where nothing does."""
        found = self.cells.get(column, "")
        return None if found in MISSING else found

    def number(self, column: str) -> float | None:
        """Return the number in a column, None where nothing stands there."""
        found = self.text(column)
        if found is None:
            return None
        value = finite_number(found)
        if math.isnan(value):
            raise self.error(column, f"'{one_line(found, 40)}' is not a number; write it like 12.5, or '.' for none")
        return value

    def whole(self, column: str, low: int, high: int) -> int | None:
        """Return the whole number in a column, None where nothing stands there."""
        value = self.number(column)
        if value is None:
            return None
        if not value.is_integer() or not low <= value <= high:
            raise self.error(column, f"{value:g} is not a whole number from {low} to {high}")
        return int(value)

    def zero(self, column: str, why: str) -> None:
        """Raise where a column holds anything but nothing or 0."""
        value = self.number(column)
        if value:
            raise self.error(column, f"{value:g} stands in {why}; write 0 or '.'")


def read_events(path: str | Path, *, ignore: Sequence[str] = (), observed: bool = False) -> EventTable:
    """Read an event table from a CSV file.

    Parameters
    ----------
    path : str or Path
    ignore : sequence of str
        Columns that are passed over; any other unknown column is an error.
    observed : bool
        Whether it is a data set for fitting: then every observation (MDV 0) must have a DV, and one must be there.

    Raises
    ------
    InputError
        With file, line and column of the first problem.
    """
    raw = read_capped(path, MOST_BYTES, "a CSV file")
    return parse_events(raw, source=one_line(path, 400), ignore=ignore, observed=observed)


def parse_events(
    content: bytes | str, *, source: str = "<table>", ignore: Sequence[str] = (), observed: bool = False
) -> EventTable:
    """Read an event table from the text of a CSV file; the parameters are those of `read_events`."""
    raw = content.encode("utf-8", errors="surrogatepass") if isinstance(content, str) else content
    subjects: list[Subject] = []
    seen: dict[int, int] = {}
    rows: list[Row] = []
    current = 0
    for row in _rows(raw, source, ignore):
        number = row.whole("ID", 1, MOST_ID)
        if number is None:
            raise row.error("ID", "is empty; number the people from 1")
        if number != current:
            if number in seen:
                raise row.error(
                    "ID", f"{number} stood before, up to line {seen[number]}; keep the rows of one together"
                )
            if rows:
                subjects.append(_subject(current, rows))
            current, rows = number, []
        rows.append(row)
        seen[number] = row.line
    if not rows:
        raise fault(source, 1, "(file)", "has no rows under its header; add doses and observations")
    subjects.append(_subject(current, rows))
    if not any(person.observations for person in subjects):
        raise fault(source, 2, "EVID", "no row asks for anything; add rows with EVID 0 at the times to look at")
    if observed:
        _check_observed(subjects, source)
    return EventTable(tuple(subjects), source)


def _rows(raw: bytes, source: str, ignore: Sequence[str]) -> Iterator[Row]:
    """Yield the lines under the header."""
    header: list[str] = []
    count = 0
    for line, cells in csv_rows(_text(raw, source), source):
        if not header:
            # an empty first line is a header without a name
            header = _header(cells if line == 1 else [""], source, ignore)
            continue
        count += 1
        if count > MOST_ROWS:
            raise fault(source, line, "(file)", f"has over {MOST_ROWS} rows; split it by ID")
        if len(cells) != len(header):
            raise fault(
                source,
                line,
                "(row)",
                f"has {len(cells)} of {len(header)} columns; the file may be cut off, or a comma be wrong",
            )
        named = zip(header, cells, strict=True)
        yield Row(source, line, {name: cell.strip() for name, cell in named if name})


def _text(raw: bytes, source: str) -> str:
    """Return the text of a file that is text and ends where a line does."""
    if len(raw) > MOST_BYTES:
        raise InputError(f"{source}: is over {MOST_BYTES // 1024**2} MB; split it by ID")
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        raise fault(source, line, "(file)", "is not text; save the table as CSV in UTF-8")
    text = decoded(raw, source, "save the table as CSV in UTF-8")
    if not text.strip():
        raise fault(source, 1, "(file)", f"is empty; begin with a header such as {','.join(COLUMNS[:6])}")
    if not text.endswith(("\n", "\r")):
        # A file that was cut inside its last number reads as a smaller one.
        raise fault(
            source,
            text.count("\n") + 1,
            "(row)",
            "does not end its line: the file may be cut off; end it with a newline",
        )
    return text


def _header(cells: Sequence[str], source: str, ignore: Sequence[str]) -> list[str]:
    """Return the columns, upper case, with an empty name for one that is passed over."""
    passed, known = {name.strip().upper() for name in ignore}, [*COLUMNS, *ALSO]
    found: list[str] = []
    for cell in cells:
        name = cell.strip().upper()
        if name in passed:
            found.append("")
            continue
        if name in REFUSED:
            raise fault(source, 1, name, REFUSED[name])
        if not name and len(cells) > 1:
            raise fault(
                source,
                1,
                "(header)",
                "a column has no name; R writes row names into one unless told row.names = FALSE",
            )
        if name not in known:
            shown = one_line(cell, 40)
            if len(cells) == 1:
                raise fault(
                    source,
                    1,
                    "(header)",
                    f"'{shown}' is no list of columns; separate ID, TIME and the rest by commas",
                )
            raise fault(
                source,
                1,
                "(header)",
                f"unknown column '{shown}'; {nearest_of(shown, known, 'column')}; or ignore it",
            )
        if name in found:
            raise fault(source, 1, name, "stands twice in the header; keep one")
        found.append(name)
    for name in ("ID", "TIME"):
        if name not in found:
            raise fault(source, 1, name, f"this column is missing; a header is like {','.join(COLUMNS[:6])}")
    if "SEX" in found and "FEMALE" in found:
        raise fault(source, 1, "SEX", "stands beside FEMALE; keep one")
    return found


def _subject(number: int, rows: Sequence[Row]) -> Subject:
    """Return one person from all rows of an ID."""
    records: list[Dosing | Observation] = []
    covariates: dict[str, tuple[float, int]] = {}
    before, doses = 0.0, 0
    for row in rows:
        time = row.number("TIME")
        if time is None:
            raise row.error("TIME", "is empty; give hours from the first record")
        if not 0.0 <= time <= MOST_HOURS:
            raise row.error("TIME", f"{time:g} is not between 0 and {MOST_HOURS:g} h (5 years)")
        if time < before:
            raise row.error("TIME", f"{time:g} h comes after {before:g} h; sort the rows of ID {number} by time")
        before = time
        record = _record(row, time)
        if isinstance(record, Dosing):
            doses += record.additional + 1
            if doses > MOST_DOSES:
                raise row.error("ADDL", f"ID {number} would have over {MOST_DOSES} doses; give fewer")
        else:
            _check_not_after_a_bolus(row, record, records)
        records.append(record)
        _note_covariates(row, covariates, number)
    known = {name: value for name, (value, _) in covariates.items()}
    return Subject(number, tuple(records), known.get("WT"), known.get("AGE"), known.get("FEMALE"))


def _check_not_after_a_bolus(row: Row, record: Observation, before: Sequence[Dosing | Observation]) -> None:
    for dose in reversed(before):
        if not same_time(dose.time_h, record.time_h):
            return
        if isinstance(dose, Dosing) and dose.is_bolus:
            raise row.error(
                "TIME",
                f"asks for the moment of the bolus on line {dose.line}, at which the concentration leaps; put the row "
                "before the dose for what was there before it, or a few seconds later for the peak",
            )


def _record(row: Row, time: float) -> Dosing | Observation:
    """Return what one row says."""
    amount = row.number("AMT")
    event = row.whole("EVID", 0, 4)
    if event is None:
        event = 1 if amount else 0
    if event in _EVENTS:
        raise row.error(
            "EVID", f"{event} is {_EVENTS[event]}, which is not known here; give what follows an ID of its own"
        )
    if row.number("SS"):
        raise row.error("SS", "steady state is not known here; write the doses before it out, with ADDL and II")
    missing = row.whole("MDV", 0, 1)
    if event == 1:
        if missing == 0:
            raise row.error("MDV", "a dose (EVID 1) is no observation; write 1")
        return _dosing(row, time, amount)
    for column in ("AMT", "RATE", "ADDL"):
        row.zero(column, f"a row with EVID {event}, which gives no dose")
    value = row.number("DV")
    if value is not None and value < 0.0:
        raise row.error("DV", f"{value:g} ng/mL is below 0; give a concentration, not its logarithm")
    if event == OTHER and missing == 0:
        raise row.error("MDV", "EVID 2 is no observation; write 1, or EVID 0")
    nothing = event == OTHER if missing is None else missing == 1
    return Observation(time, _observed(row), value, nothing, event, row.line)


def _dosing(row: Row, time: float, amount: float | None) -> Dosing:
    if amount is None or not 0.0 < amount <= MOST_MG:
        shown = "nothing" if amount is None else f"{amount:g} mg"
        raise row.error("AMT", f"{shown} is no dose; give mg of ketamine base, above 0 and at most {MOST_MG:g}")
    route = _named(row, "CMT", {"iv": 1, **ROUTES}, "central", "a dose goes into")
    route = "central" if route == "iv" else route
    drug = _named(row, "DRUG", DRUGS, "ketamine", "the drug is")
    rate = row.number("RATE") or 0.0
    if rate in _RATES:
        raise row.error("RATE", f"{rate:g} is {_RATES[rate]}, of which kapsim has none; give the rate in mg/h")
    if rate < 0.0:
        raise row.error("RATE", f"{rate:g} is no rate; give mg/h, or 0 for all at once")
    if rate and route != "central":
        raise row.error("RATE", f"'{route}' is absorbed in its own time, without a rate; write 0")
    if rate and amount / rate > 24.0 * 7:
        raise row.error("RATE", f"{amount:g} mg at {rate:g} mg/h take over a week; check the unit")
    additional = row.whole("ADDL", 0, MOST_DOSES - 1) or 0
    interval = row.number("II") or 0.0
    if interval < 0.0 or (additional and not interval):
        raise row.error("II", f"{interval:g} h is no interval between {additional + 1} doses; give hours above 0")
    if time + additional * interval > MOST_HOURS:
        raise row.error("ADDL", f"the last dose would be after {MOST_HOURS:g} h (5 years); give fewer")
    return Dosing(time, amount, route, drug, rate, additional, interval if additional else 0.0, row.line)


def _named(row: Row, column: str, known: Mapping[str, int], usual: str, what: str) -> str:
    """Return the name in a column that holds a name or its number; 0 and nothing are the usual one."""
    found = row.text(column)
    if found is None:
        return usual
    if found.lower() in known:
        return found.lower()
    by_number = {number: name for name, number in known.items()}
    value = finite_number(found)
    if value == 0.0:
        return usual
    if value in by_number:
        return by_number[int(value)]
    listed = ", ".join(f"{number} {name}" for number, name in by_number.items())
    raise row.error(column, f"'{one_line(found, 40)}' is not known; {what} one of {listed}")


def _observed(row: Row) -> str:
    found = _named(row, "CMT", {"iv": 1, "central": 1, **OBSERVABLES}, USUAL, "an observation is of")
    return found if found in OBSERVABLES else USUAL


def _note_covariates(row: Row, known: dict[str, tuple[float, int]], number: int) -> None:
    """Note the covariates of a row; they do not change within a person."""
    values = {name: row.number(name) for name in BOUNDS}
    sex = row.text("SEX")
    if sex is not None:
        if sex.lower() not in _SEXES:
            raise row.error("SEX", f"'{one_line(sex, 40)}' is neither male nor female; numbers go into FEMALE (1 or 0)")
        values["FEMALE"] = _SEXES[sex.lower()]
    for name, value in values.items():
        if value is None:
            continue
        low, high, unit = BOUNDS[name]
        if not low <= value <= high or (name == "FEMALE" and not value.is_integer()):
            right = "write 0 or 1" if name == "FEMALE" else f"give {low:g} to {high:g} {unit}"
            raise row.error(name, f"{value:g} is not possible; {right}, or '.' where it is not known")
        first, line = known.setdefault(name, (value, row.line))
        if value != first:
            raise row.error(
                name,
                f"changes from {first:g} (line {line}) to {value:g} within ID {number}; a covariate is constant here: "
                "keep one value, or give the later rows an ID of their own",
            )


def _check_observed(subjects: Sequence[Subject], source: str) -> None:
    """Raise where a data set for fitting lacks a measurement."""
    wanted = [row for person in subjects for row in person.observations if not row.missing]
    for row in wanted:
        if row.value is None:
            raise fault(source, row.line, "DV", "an observation without a value; give ng/mL, or set MDV to 1")
    if not wanted:
        raise fault(source, 2, "MDV", "nothing was observed; a data set for fitting has rows with MDV 0")
