"""A PEtab problem: measured concentrations, the typical person's kinetics as SBML, and what is to be estimated.

People of the table are conditions: their covariates and doses override constants of one model that holds every dose
anybody is given. The objective is that of `kapsim.exchange.likelihood`: no priors, the published residual errors fixed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kapsim.course import build_course
from kapsim.engine.grid import TICKS_PER_HOUR, to_ticks
from kapsim.errors import InputError
from kapsim.evidence import Parameter, load_parameters
from kapsim.exchange.likelihood import Timed, log_sd, negative_log_likelihood, side_by_side
from kapsim.exchange.sbml.chain import chain_system
from kapsim.exchange.sbml.document import sbml_text
from kapsim.exchange.sbml.symbols import identifier
from kapsim.exchange.sbml.system import System
from kapsim.exchange.sbml.timetable import dose_constants
from kapsim.exchange.sbml.wording import BODY_UNITS
from kapsim.exchange.simulating import residual_sd
from kapsim.exchange.table import EventTable
from kapsim.kinetic_sets import DEFAULT
from kapsim.mechanisms.pharmacokinetics import Pharmacokinetics
from kapsim.statements import DISCLAIMER
from kapsim.units import nearest

__all__ = ["estimable", "petab_files"]

#: How far from its value a parameter may be sought, in standard deviations of its prior.
REACH = 4.0
PROBLEM = "problem.yaml"
PARAMETER_COLUMNS = (
    "parameterId", "parameterName", "parameterScale", "lowerBound", "upperBound", "nominalValue", "estimate",
)  # fmt: skip


def estimable(system: System, kinetics: str = DEFAULT) -> list[str]:
    """Return ids of the parameters of the default kinetics that a system holds and that are not certain."""
    if kinetics != DEFAULT:
        return []
    held = {item.id for item in system.constants}
    uncertain = load_parameters()
    ids = [item.metadata["id"] for item in Pharmacokinetics.declared()]
    return [name for name in ids if identifier(name) in held and uncertain[name].uncertainty is not None]


def petab_files(table: EventTable, kinetics: str = DEFAULT, estimate: Sequence[str] | None = None) -> dict[str, bytes]:
    """Return the files of a PEtab problem, by name.

    Parameters
    ----------
    table : EventTable
        Doses and measurements.
    kinetics : str
        Name of the kinetics.
    estimate : sequence of str, optional
        Ids of the parameters to estimate; all of `estimable` if left out.

    Raises
    ------
    InputError
        For a table without measurements or an unknown parameter, or where libSBML is not installed.
    """
    # finds rows that measure where no drug is, and doses that the kinetics do not know
    negative_log_likelihood(table, kinetics)
    timed = side_by_side(table)
    timetable, first = timed.of(0)
    system = chain_system(
        timetable,
        first,
        name="typical_person",
        title=f"kinetics {kinetics} of a typical person",
        kinetics=kinetics,
        drug_only=True,
        dose_at_start=True,
        notes=(DISCLAIMER,),
    )
    known = estimable(system, kinetics)
    chosen = known if estimate is None else list(estimate)
    for name in chosen:
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close!r}? " if close else ""
            raise InputError(f"{name!r} cannot be estimated here; {hint}known: {', '.join(known) or 'none'}")
    return {
        "model.xml": sbml_text(system).encode("utf-8"),
        "conditions.tsv": _tsv(_conditions(table, timed, system, kinetics)),
        "observables.tsv": _tsv(_observables(timed)),
        "measurements.tsv": _tsv(_measurements(table, timed)),
        "parameters.tsv": _tsv(_parameters(chosen), PARAMETER_COLUMNS),
        PROBLEM: _yaml(),
    }


def _tsv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> bytes:
    """Return rows as a table; floats to the last digit."""
    names = list(rows[0]) if columns is None else list(columns)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def _yaml() -> bytes:
    import yaml

    content = {
        "format_version": 1,
        "parameter_file": "parameters.tsv",
        "problems": [
            {
                "sbml_files": ["model.xml"],
                "condition_files": ["conditions.tsv"],
                "observable_files": ["observables.tsv"],
                "measurement_files": ["measurements.tsv"],
            }
        ],
    }
    return f"# {DISCLAIMER}\n{yaml.safe_dump(content, sort_keys=False)}".encode()


def _condition_id(number: int) -> str:
    return f"person_{number}"


def _conditions(table: EventTable, timed: Timed, system: System, kinetics: str) -> list[dict[str, Any]]:
    held = {item.id for item in system.constants}
    rows: list[dict[str, Any]] = []
    for number, person in enumerate(table.subjects):
        timetable, people = timed.of(number)
        row: dict[str, Any] = {"conditionId": _condition_id(person.number)}
        row |= {name: float(np.asarray(getattr(people.body, name))[0]) for name in BODY_UNITS if name in held}
        course = build_course(timetable, people, kinetics=kinetics)
        for _, _, constants in dose_constants(course, timetable.doses):
            row |= {constant.id: constant.value for constant in constants if constant.id in held}
        rows.append(row)
    return rows


def _observables(timed: Timed) -> list[dict[str, Any]]:
    seen = dict.fromkeys(row.observed for rows in timed.measured for row in rows)
    found = []
    for name in seen:
        row = next(row for rows in timed.measured for row in rows if row.observed == name)
        share = float(residual_sd([row])[0])
        found.append(
            {
                "observableId": f"measured_{name}",
                "observableName": name.replace("_", " "),
                "observableFormula": name,
                "observableTransformation": "log",
                "noiseFormula": log_sd(share),
                "noiseDistribution": "normal",
            }
        )
    return found


def _measurements(table: EventTable, timed: Timed) -> list[dict[str, Any]]:
    rows = []
    for person, measured in zip(table.subjects, timed.measured, strict=True):
        for row in measured:
            rows.append(
                {
                    "observableId": f"measured_{row.observed}",
                    "simulationConditionId": _condition_id(person.number),
                    "measurement": row.value,
                    # kapsim's own time of the row: the nearest tick of its grid
                    "time": to_ticks(row.time_h) / TICKS_PER_HOUR,
                }
            )
    return rows


def _parameters(chosen: Sequence[str]) -> list[dict[str, Any]]:
    records: Mapping[str, Parameter] = load_parameters()
    rows = []
    for name in chosen:
        record = records[name]
        law, value = record.uncertainty, float(record.value)
        assert law is not None
        ends = sorted(float(law.apply(np.array([value]), np.array([z]))[0]) for z in (-REACH, REACH))
        positive = math.copysign(1.0, ends[0]) > 0.0 and ends[0] > 0.0
        rows.append(
            {
                "parameterId": identifier(name),
                "parameterName": record.name,
                "parameterScale": "log10" if positive else "lin",
                "lowerBound": ends[0],
                "upperBound": ends[1],
                "nominalValue": value,
                "estimate": 1,
            }
        )
    return rows
