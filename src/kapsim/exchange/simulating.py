"""Event table → predictions: people drawn by ID, and the kinetics alone solved for all who share a schedule at once.

PRED is the typical person with a row's covariates, IPRED the drawn person, DV the drawn person as measured. What a
person is drawn from is keyed by seed and ID, so neither the order of the table nor who else stands in it matters. The
kinetic parameters have their central values: what is not known about them is not drawn, as in any simulation from a
fitted model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.concentrations import Concentrations, concentration_course
from kapsim.engine.grid import TICKS_PER_HOUR, to_ticks
from kapsim.errors import InputError, SolverError
from kapsim.evidence import load_parameters
from kapsim.exchange.reading import read_events
from kapsim.exchange.table import Dosing, EventTable, Observation, Subject
from kapsim.kinetic_sets import DEFAULT, kinetic_set
from kapsim.mechanisms.kinetics import Body, Kinetics
from kapsim.patient import Patient
from kapsim.patient.sampling import Keyed, People, sample_people
from kapsim.protocol.events import CoMedicationEvent, DoseEvent, PracticeLevel, SessionEvent, StressorEvent

Array = NDArray[np.float64]
Places = NDArray[np.int64]

#: Most rows of output.
MOST_OUTPUT = 5_000_000
#: Nodes times people solved at a time, which bounds memory; and about how many nodes a dose costs.
_AT_A_TIME, _NODES_PER_DOSE = 600_000, 700


@dataclass(frozen=True)
class ById:
    """Deviates keyed by ID and replicate; of what is not known about the parameters, nothing.

    Parameters
    ----------
    keyed : Keyed
    places : ndarray of int, shape (patient,)
        ID of each person less 1: person 1 of a table is the first person of any other run of the seed.
    replicates : ndarray of int, shape (patient,)
        From 1.
    """

    keyed: Keyed
    places: Places
    replicates: Places

    def normal(self, purpose: str, count: int) -> Array:
        """Return the deviates of a purpose, shape (patient,)."""
        found = np.zeros(count)
        if purpose.startswith("uncertainty:"):
            return found
        for replicate in np.unique(self.replicates):
            here = self.replicates == replicate
            name = purpose if replicate == 1 else f"replicate:{replicate}:{purpose}"
            found[here] = self.keyed.at(name, self.places[here])
        return found


@dataclass(frozen=True)
class Timetable:
    """Doses and nothing else, as a course is laid out from them."""

    doses: tuple[DoseEvent, ...]
    horizon_h: float
    masking: str = "open"
    practice: PracticeLevel | None = None

    def dose_events(self) -> tuple[DoseEvent, ...]:
        """Return every dose, by start."""
        return self.doses

    def session_events(self) -> tuple[SessionEvent, ...]:
        """Return no therapy."""
        return ()

    def co_medications(self) -> tuple[CoMedicationEvent, ...]:
        """Return no other medicine."""
        return ()

    def stressor_events(self) -> tuple[StressorEvent, ...]:
        """Return no stress."""
        return ()

    def rating_times(self) -> tuple[float, ...]:
        """Return no visits."""
        return ()


class Person(NamedTuple):
    """A subject in one replicate: position in the table, and replicate from 1."""

    position: int
    replicate: int


@dataclass(frozen=True)
class Predictions:
    """Predictions at every row that is no dose: replicate by replicate, in the order of the table.

    Parameters
    ----------
    table : EventTable
        What was simulated.
    kinetics : str
    seed, draws : int
    subjects : ndarray of int, shape (row,)
        ID.
    replicates : ndarray of int, shape (row,)
        From 1.
    observations : tuple of Observation, of one replicate
    pred, ipred, dv : ndarray, shape (row,)
        ng/mL; `dv` is not a number where MDV is 1.
    """

    table: EventTable
    kinetics: str
    seed: int
    draws: int
    subjects: Places
    replicates: Places
    observations: tuple[Observation, ...]
    pred: Array
    ipred: Array
    dv: Array


def simulate_events(
    table: EventTable | str | Path, kinetics: str = DEFAULT, *, draws: int = 1, seed: int = 0, spread: bool = True
) -> Predictions:
    """Simulate every person of an event table.

    Parameters
    ----------
    table : EventTable, str or Path
        A table, or the CSV file of one.
    kinetics : str
        Name of the kinetics, see `kapsim.kinetic_sets`.
    draws : int
        Replicates: how often each person is drawn.
    seed : int
        Root of all randomness.
    spread : bool
        Without it everybody is the typical person with their covariates, measured without error.

    Raises
    ------
    InputError
        For a table that cannot be used, or a dose that the kinetics do not know, by line.
    SolverError
        Where a concentration is not finite; names the ID.
    """
    events = table if isinstance(table, EventTable) else read_events(table)
    _check(events, kinetics, draws, seed)
    firsts = np.cumsum([0, *(len(person.observations) for person in events.subjects)])
    rows = int(firsts[-1])
    pred, ipred, dv = np.zeros(rows), np.zeros((draws, rows)), np.full((draws, rows), np.nan)
    for group in _groups(events):
        for persons in _batches(events, group, 1):
            solved = _Solved(events, persons, kinetics, Keyed(seed, False))
            for column, person in enumerate(persons):
                pred[firsts[person.position] : firsts[person.position + 1]] = solved.of(column)
        for persons in _batches(events, group, draws):
            solved = _Solved(events, persons, kinetics, Keyed(seed, spread))
            for column, person in enumerate(persons):
                own = slice(firsts[person.position], firsts[person.position + 1])
                ipred[person.replicate - 1, own] = solved.of(column)
    observations = tuple(row for person in events.subjects for row in person.observations)
    numbers = np.repeat([person.number for person in events.subjects], np.diff(firsts)).astype(np.int64)
    measured = np.array([not row.missing for row in observations])
    for replicate in range(draws):
        keyed = ById(Keyed(seed, spread), numbers - 1, np.full(rows, replicate + 1))
        noisy = ipred[replicate] * (1.0 + residual_sd(observations) * _errors(keyed, numbers, observations))
        # the published error is proportional, and a concentration is not negative
        dv[replicate, measured] = np.maximum(noisy, 0.0)[measured]
    return Predictions(
        events,
        kinetics,
        seed,
        draws,
        np.tile(numbers, draws),
        np.repeat(np.arange(1, draws + 1), rows),
        observations,
        np.tile(pred, draws),
        ipred.ravel(),
        dv.ravel(),
    )


def draw_subjects(
    subjects: Sequence[Subject], keyed: Keyed, replicates: Places | None = None, patient: Patient | None = None
) -> People:
    """Draw the people of a table: its covariates where it has them, the rest keyed by ID.

    Parameters
    ----------
    subjects : sequence of Subject
    keyed : Keyed
    replicates : ndarray of int, shape (patient,), optional
        By default 1.
    patient : Patient, optional
        What is known of all of them.
    """
    size = len(subjects)
    places = np.array([person.number - 1 for person in subjects], dtype=np.int64)
    own = ById(keyed, places, np.ones(size, dtype=np.int64) if replicates is None else replicates)
    people = sample_people(patient, size, keyed.seed, per_draw=1, deviates=own)

    def known(values: list[float | None], drawn: Array) -> Array:
        return np.array(
            [one if value is None else value for value, one in zip(values, drawn, strict=True)], dtype=float
        )

    weight, age, female = (np.asarray(value) for value in people.body)
    body = Body(
        weight=known([person.weight_kg for person in subjects], weight),
        age=known([person.age_years for person in subjects], age),
        female=known([person.female for person in subjects], female),
    )
    return replace(people, body=body)


def residual_sd(observations: Sequence[Observation]) -> Array:
    """Return the proportional residual SD of each observation, by analyte and site, shape (row,)."""
    parameters = load_parameters()

    def value(name: str) -> float:
        analyte = "norketamine" if "norketamine" in name else "ketamine"
        which = name if name == "hydroxynorketamine" else f"{analyte}_{name.rsplit('_', 1)[1]}"
        return float(parameters[f"pk.residual.{which}"].value)

    by_name = {name: value(name) for name in {row.observed for row in observations}}
    return np.array([by_name[row.observed] for row in observations])


def _errors(keyed: ById, numbers: Places, observations: Sequence[Observation]) -> Array:
    """Return the deviate of each measurement: keyed by what is measured when, so that further rows change none."""
    purposes: dict[str, list[int]] = {}
    before: dict[tuple[int, str], int] = {}
    for row, (number, observation) in enumerate(zip(numbers, observations, strict=True)):
        what = f"residual:{observation.observed}:{to_ticks(observation.time_h)}"
        again = before[(int(number), what)] = before.get((int(number), what), -1) + 1
        purposes.setdefault(f"{what}:{again}" if again else what, []).append(row)
    found = np.zeros(len(observations))
    for purpose, rows in purposes.items():
        part = ById(keyed.keyed, keyed.places[rows], keyed.replicates[rows])
        found[rows] = part.normal(purpose, len(rows))
    return found


def _check(table: EventTable, kinetics: str, draws: int, seed: int) -> None:
    """Raise for what cannot be simulated, before anything is."""
    kind = kinetic_set(kinetics)
    rows = sum(len(person.observations) for person in table.subjects)
    if not 1 <= draws <= max(MOST_OUTPUT // max(rows, 1), 1):
        raise InputError(
            f"draws: {draws} is not between 1 and {MOST_OUTPUT // max(rows, 1)} for a table of {rows} rows"
        )
    if not 0 <= seed < 2**63:
        raise InputError(f"seed: {seed} is not between 0 and 2^63 - 1")
    for person in table.subjects:
        for dose in person.doses:
            route, form = dose.pathway()
            try:
                kind.check_dose(dose.drug, route if form == "immediate" else f"{route}_{form}")
            except InputError as error:
                column = "CMT" if dose.drug in kind.drugs else "DRUG"
                raise InputError(f"{_where(table, dose)}: {column}: {error}") from None
        for row in person.observations:
            lacking = _lacking(kind, row.observed)
            if lacking is not None:
                # a run shows zero for it, which a table of predictions would pass off as a concentration
                raise InputError(
                    f"{_where(table, row)}: CMT: kinetics {kinetics!r} has no {lacking}, so not '{row.observed}'; "
                    "observe something else, or choose other kinetics"
                )


def _where(table: EventTable, row: Dosing | Observation) -> str:
    """Return file and line of a row; a table that was not read has no lines."""
    return f"{table.source}:{row.line}" if row.line else table.source


def _lacking(kind: type[Kinetics], observed: str) -> str | None:
    """Return what of an observable a set of kinetics lacks, None where it has it."""
    if "_r_" in observed and kind.drugs == ("esketamine",):
        return "R-ketamine"
    metabolite = next((name for name in ("hydroxynorketamine", "norketamine") if name in observed), None)
    return None if metabolite is None or metabolite in kind.compartments(frozenset()) else metabolite


def _groups(table: EventTable) -> list[list[int]]:
    """Return positions of subjects who are given the same things at the same times, in whatever amounts."""
    found: dict[tuple[tuple[str, str, int, int], ...], list[int]] = {}
    for position, person in enumerate(table.subjects):
        key = tuple(
            (dose.drug, dose.pathway, to_ticks(dose.start_h), to_ticks(dose.duration_h))
            for dose in person.dose_events()
        )
        found.setdefault(key, []).append(position)
    return list(found.values())


def _batches(table: EventTable, group: Sequence[int], draws: int) -> list[list[Person]]:
    """Return who of a group is solved at a time."""
    persons = [Person(position, replicate) for replicate in range(1, draws + 1) for position in group]
    doses = len(table.subjects[group[0]].dose_events())
    most = max(_AT_A_TIME // (_NODES_PER_DOSE * (doses + 1)), 1)
    return [persons[first : first + most] for first in range(0, len(persons), most)]


class _Solved:
    """A batch, solved."""

    def __init__(self, table: EventTable, persons: Sequence[Person], kinetics: str, keyed: Keyed) -> None:
        self.subjects = [table.subjects[person.position] for person in persons]
        replicates = np.array([person.replicate for person in persons], dtype=np.int64)
        people = draw_subjects(self.subjects, keyed, replicates)
        events = [person.dose_events() for person in self.subjects]
        doses = tuple(
            replace(same[0], amounts=np.array([dose.amount for dose in same])) for same in zip(*events, strict=True)
        )
        at = sorted({row.time_h for person in self.subjects for row in person.observations})
        # a tick more, so that there is a step even where everything is at 0
        last = max([*at, *(dose.end_h for dose in doses)], default=0.0) + 1.0 / TICKS_PER_HOUR
        try:
            self.found: Concentrations = concentration_course(Timetable(doses, last), people, kinetics, at=at)
        except SolverError as error:
            raise SolverError(self.subjects[error.patient].number, error.time_h, error.state) from None
        self.ticks = np.rint(self.found.hours * TICKS_PER_HOUR).astype(np.int64)

    def of(self, column: int) -> Array:
        """Return the concentrations of one person at their observations, ng/mL."""
        rows = self.subjects[column].observations
        nodes = np.searchsorted(self.ticks, [to_ticks(row.time_h) for row in rows])
        return np.array(
            [getattr(self.found, row.observed)[node, column] for row, node in zip(rows, nodes, strict=True)]
        )
