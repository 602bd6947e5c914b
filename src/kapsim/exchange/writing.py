"""Event tables to CSV, and protocols to event tables."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kapsim.course import EARLY_HOURS
from kapsim.errors import InputError
from kapsim.exchange.simulating import Predictions, draw_subjects
from kapsim.exchange.table import (
    COLUMNS,
    DRUGS,
    OBSERVABLES,
    ROUTES,
    USUAL,
    Dosing,
    EventTable,
    Observation,
    Subject,
)
from kapsim.file_model import nearest_of
from kapsim.files import write_together
from kapsim.patient import Patient
from kapsim.patient.sampling import MOST_DRAWS, Keyed
from kapsim.protocol import Protocol
from kapsim.protocol.events import DoseEvent
from kapsim.protocol.schema import CONTROLS, METABOLIC

#: Columns of predictions, in order.
PREDICTED = ("ID", "REP", "TIME", "EVID", "MDV", "CMT", "PRED", "IPRED", "DV")


def write_events(table: EventTable, path: str | Path | None = None) -> str:
    """Return an event table as CSV; reading it gives the same table.

    Parameters
    ----------
    table : EventTable
    path : str or Path, optional
        Where to write it too, whole or not at all; its folder must exist.

    Raises
    ------
    InputError
        If the file cannot be written; nothing is left behind.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for person in table.subjects:
        covariates = [_number(value) for value in (person.weight_kg, person.age_years, person.female)]
        writer.writerows([person.number, *_cells(record), *covariates] for record in person.records)
    if path is not None:
        write_together({Path(path): stream.getvalue().encode("utf-8")})
    return stream.getvalue()


def predictions_csv(predictions: Predictions) -> str:
    """Return predictions as CSV: one line for every row that is no dose, in every replicate."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(PREDICTED)
    count = len(predictions.observations)
    for row in range(len(predictions.pred)):
        asked = predictions.observations[row % count]
        values = (predictions.pred[row], predictions.ipred[row], predictions.dv[row])
        writer.writerow(
            [
                predictions.subjects[row],
                predictions.replicates[row],
                _number(asked.time_h),
                asked.event,
                int(asked.missing),
                OBSERVABLES[asked.observed],
                *(_number(float(value)) for value in values),
            ]
        )
    return stream.getvalue()


def measured_events(predictions: Predictions, replicate: int = 1) -> EventTable:
    """Return the simulated table with simulated measurements in DV: a data set for fitting.

    Parameters
    ----------
    predictions : Predictions
    replicate : int
        Which, from 1.

    Raises
    ------
    InputError
        If there is no such replicate.
    """
    if not 1 <= replicate <= predictions.draws:
        raise InputError(f"replicate: {replicate} is not between 1 and {predictions.draws}")
    count = len(predictions.observations)
    values = iter(predictions.dv[(replicate - 1) * count : replicate * count])

    def measured(record: Dosing | Observation) -> Dosing | Observation:
        if isinstance(record, Dosing):
            return record
        value = float(next(values))
        return replace(record, value=None if math.isnan(value) else value)

    table = predictions.table
    subjects = [replace(one, records=tuple(measured(record) for record in one.records)) for one in table.subjects]
    return EventTable(tuple(subjects), table.source)


def protocol_events(
    protocol: Protocol,
    patient: Patient | None = None,
    *,
    subjects: int = 1,
    seed: int = 0,
    spread: bool = True,
    at: Sequence[float] | None = None,
    observed: Sequence[str] = (USUAL,),
) -> EventTable:
    """Write a protocol's doses and the times to look at as an event table.

    Parameters
    ----------
    protocol : Protocol
        Only doses of ketamine, esketamine and arketamine go into a table; controls hold no drug and leave no row.
    patient : Patient, optional
        What is known of the people; the rest of their covariates is drawn, keyed by seed and ID.
    subjects : int
        How many people, numbered from 1.
    seed : int
        Root of all randomness.
    spread : bool
        Without it everybody has the typical covariates.
    at : sequence of float, optional
        Times to look at, h; by default those at which a run keeps results after a dose.
    observed : sequence of str
        What to look at: keys of `OBSERVABLES`.

    Raises
    ------
    InputError
        For a protocol that gives what a table cannot say: a target, midazolam, a medicine that changes breakdown.
    """
    _check_protocol(protocol)
    if not 1 <= subjects <= MOST_DRAWS:
        raise InputError(f"subjects: {subjects} is not between 1 and {MOST_DRAWS}")
    if not 0 <= seed < 2**63:
        raise InputError(f"seed: {seed} is not between 0 and 2^63 - 1")
    for name in observed:
        if name not in OBSERVABLES:
            raise InputError(f"'{name}' is not observed; {nearest_of(name, list(OBSERVABLES), 'name')}")
    doses = [dose for dose in protocol.dose_events() if dose.drug not in CONTROLS]
    times = _times(protocol, doses) if at is None else sorted(set(at))
    for time in times:
        if not 0.0 <= time <= protocol.horizon_h:
            raise InputError(
                f"at: {time:g} h is not between 0 and the horizon of '{protocol.name}', {protocol.horizon}"
            )
    looks = [Observation(time, name) for time in times for name in observed]
    people = draw_subjects(
        [Subject(number, ()) for number in range(1, subjects + 1)], Keyed(seed, spread), None, patient
    )
    weights, ages, females = (np.asarray(value) for value in people.body)
    found = []
    for number, (weight, age, female) in enumerate(zip(weights, ages, females, strict=True), start=1):
        given = [_dosing(dose, float(weight)) for dose in doses]
        # what is looked at when a dose is given is what was there before it
        rows: list[Dosing | Observation] = [*looks, *given]
        records = sorted(rows, key=lambda record: (record.time_h, isinstance(record, Dosing)))
        found.append(Subject(number, tuple(records), float(weight), float(age), float(female)))
    return EventTable(tuple(found), protocol.name)


def _check_protocol(protocol: Protocol) -> None:
    where = f"protocol '{protocol.name}'"
    for dose in protocol.dose_events():
        if dose.is_target:
            raise InputError(
                f"{where}: aims at {dose.amount:g} {dose.unit}; an event table holds doses; give mg or mg/kg"
            )
        if dose.drug not in (*DRUGS, *CONTROLS):
            raise InputError(f"{where}: gives {dose.drug}; an event table here holds {', '.join(DRUGS)}")
    for item in protocol.co_medications():
        if item.drug in METABOLIC:
            raise InputError(
                f"{where}: {item.drug} changes how ketamine is cleared, which an event table cannot say; leave it out"
            )


def _times(protocol: Protocol, doses: Sequence[DoseEvent]) -> list[float]:
    """Return when a run would look: often after each dose until the next, and at the end of each infusion."""
    found = {0.0, protocol.horizon_h}
    for number, dose in enumerate(doses):
        later = [other.start_h for other in doses[number + 1 :] if other.start_h > dose.start_h]
        until = later[0] if later else protocol.horizon_h
        found |= {dose.start_h, dose.end_h}
        found |= {dose.start_h + early for early in EARLY_HOURS if dose.start_h + early <= until}
    return sorted(time for time in found if time <= protocol.horizon_h)


def _dosing(dose: DoseEvent, weight: float) -> Dosing:
    milligrams = dose.milligrams(weight)
    route = "central" if dose.pathway == "iv" else dose.pathway
    rate = milligrams / dose.duration_h if dose.duration_h > 0.0 else 0.0
    return Dosing(dose.start_h, milligrams, route, dose.drug, rate)


def _cells(record: Dosing | Observation) -> list[object]:
    """Return the columns between ID and the covariates."""
    time = _number(record.time_h)
    if isinstance(record, Dosing):
        amounts = [_number(record.milligrams), _number(record.rate)]
        again = [_number(record.interval_h), record.additional]
        return [time, 1, 1, *amounts, ROUTES[record.route], DRUGS[record.drug], *again, "."]
    nothing = [0, 0, OBSERVABLES[record.observed], 0, 0, 0]
    return [time, record.event, int(record.missing), *nothing, _number(record.value)]


def _number(value: float | None) -> str:
    """Return a number that reads back as the same one; a dot where there is none."""
    if value is None or math.isnan(value):
        return "."
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
