"""How likely the measurements of an event table are around the typical person's prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kapsim.concentrations import concentration_course
from kapsim.engine.grid import TICKS_PER_HOUR, to_ticks
from kapsim.errors import InputError
from kapsim.exchange.simulating import Timetable, draw_subjects, residual_sd
from kapsim.exchange.table import EventTable, Observation, Subject
from kapsim.kinetic_sets import DEFAULT
from kapsim.mechanisms.pharmacokinetics import Pharmacokinetics
from kapsim.patient.sampling import Keyed, People
from kapsim.protocol.events import DoseEvent
from kapsim.units import nearest

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Timed:
    """A table's people side by side: everybody's doses on one timetable, with zero for whoever has not that dose.

    Parameters
    ----------
    timetable : Timetable
        Every dose that anybody is given; `amounts` hold what each person is given of it, mg.
    people : People
        Typical people with the covariates of the table.
    measured : tuple of tuple of Observation
        What was measured, for each person.
    """

    timetable: Timetable
    people: People
    measured: tuple[tuple[Observation, ...], ...]

    def of(self, number: int) -> tuple[Timetable, People]:
        """Return one person alone."""
        doses = tuple(
            replace(dose, amount=float(_amounts(dose)[number]), amounts=None) for dose in self.timetable.doses
        )
        return replace(self.timetable, doses=doses), self.people.of(number)


def side_by_side(table: EventTable) -> Timed:
    """Return the people of a table on one timetable.

    Raises
    ------
    InputError
        Where nothing was measured.
    """
    measured = tuple(
        tuple(row for row in person.observations if not row.missing and row.value is not None and row.event == 0)
        for person in table.subjects
    )
    if not any(measured):
        raise InputError(f"{table.source}: DV: nothing was measured; give a number in a row with EVID 0 and MDV 0")
    found: dict[tuple[str, str, int, int, int], tuple[DoseEvent, Array]] = {}
    for number, person in enumerate(table.subjects):
        again: dict[tuple[str, str, int, int], int] = {}
        for dose in person.dose_events():
            key = (dose.drug, dose.pathway, to_ticks(dose.start_h), to_ticks(dose.duration_h))
            again[key] = again.get(key, -1) + 1
            _, amounts = found.setdefault((*key, again[key]), (dose, np.zeros(len(table.subjects))))
            amounts[number] = dose.amount
    doses = [replace(dose, amounts=amounts) for dose, amounts in found.values()]
    doses.sort(key=lambda dose: dose.start_h)
    ends = [row.time_h for rows in measured for row in rows] + [dose.end_h for dose in doses]
    horizon = max(ends) + 1.0 / TICKS_PER_HOUR
    people = draw_subjects(table.subjects, Keyed(0, False))
    return Timed(Timetable(tuple(doses), horizon), people, measured)


def _amounts(dose: DoseEvent) -> Array:
    assert dose.amounts is not None
    return np.asarray(dose.amounts)


def negative_log_likelihood(
    table: EventTable, kinetics: str = DEFAULT, values: Mapping[str, float] | None = None
) -> float:
    """Return minus the logarithm of how likely the measurements are.

    Each measurement is lognormal around the typical person's prediction, with the coefficient of variation that its
    analyte and site have as a residual error; people differ by their covariates and by nothing else.

    Parameters
    ----------
    table : EventTable
    kinetics : str
        Name of the kinetics.
    values : mapping of str to float, optional
        Values of parameters of the default kinetics to use instead of the registry's, by id.

    Raises
    ------
    InputError
        For an unknown parameter, a table without measurements, or one that measures where no drug is.
    """
    for name in values or {}:
        known = [item.metadata["id"] for item in Pharmacokinetics.declared()]
        if kinetics != DEFAULT or name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close!r}? " if close else ""
            raise InputError(f"{name!r} is no parameter of the default kinetics; {hint}see `kapsim evidence`")
    timed = side_by_side(table)
    people = replace(
        timed.people,
        values={
            **timed.people.values,
            **{name: np.full(timed.people.size, float(value)) for name, value in (values or {}).items()},
        },
    )
    at = sorted({row.time_h for rows in timed.measured for row in rows})
    solved = concentration_course(timed.timetable, people, kinetics, at=at)
    places = {int(tick): place for place, tick in enumerate(np.rint(solved.hours * TICKS_PER_HOUR))}
    total = 0.0
    for number, rows in enumerate(timed.measured):
        for row, share in zip(rows, residual_sd(rows), strict=True):
            predicted = float(getattr(solved, row.observed)[places[to_ticks(row.time_h)], number])
            check_prediction(table, table.subjects[number], row, predicted)
            assert row.value is not None
            sd, distance = log_sd(share), math.log(row.value) - math.log(predicted)
            total += 0.5 * math.log(2.0 * math.pi * (sd * row.value) ** 2) + 0.5 * (distance / sd) ** 2
    return total


def log_sd(share: float) -> float:
    """Return the standard deviation of the logarithm of what has a coefficient of variation `share`."""
    return math.sqrt(math.log1p(share**2))


def check_prediction(table: EventTable, person: Subject, row: Observation, predicted: float) -> None:
    """Raise InputError where drug or measurement is nothing: a relative error has no size there."""
    where = f"{table.source}:{row.line}" if row.line else f"{table.source}: ID {person.number}"
    if not predicted > 0.0:
        raise InputError(
            f"{where}: DV: no drug is there at {row.time_h:g} h, so that nothing is measured; set MDV to 1"
        )
    if row.value is None or not row.value > 0.0:
        raise InputError(f"{where}: DV: {row.value:g} has no logarithm; below the limit of the assay, set MDV to 1")
