"""Regimen of a record → the protocol that does the same, or why the model cannot do it.

A record counts hours from its own time zero, and what came before stands at negative hours; a protocol starts with what
came first, so it carries the hour at which the record's zero lies.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from kapsim.evidence.schema import ObservedDose, ObservedRecord, Regimen
from kapsim.protocol import Protocol
from kapsim.protocol.changes import control_of
from kapsim.protocol.events import occasions
from kapsim.protocol.schema import METABOLIC
from kapsim.validation.groups import NOT_HUMAN
from kapsim.validation.independence import StudyName, record_study

_KETAMINE = frozenset({"ketamine", "esketamine", "arketamine"})
_CONTROLS = frozenset({"saline", "placebo", "placebo_nasal", "midazolam"})
#: The usual control dose of the observed records, given where a record names midazolam as comparison.
_MIDAZOLAM = {"amount": 0.045, "unit": "mg/kg", "duration_min": 40}
#: Accompaniments that the protocol has words for.
_CO_MEDICATION = frozenset(
    {
        "naltrexone", "rapamycin", "benzodiazepine", "anaesthesia", "oral_antidepressant", "usual_care",
        "inpatient_care", *METABOLIC,
    }
)  # fmt: skip
_REFUSED = {"ect": "electroconvulsive therapy is not modelled", "quetiapine": "quetiapine is not modelled"}
_OPEN_WORDS = (
    "open", "clinic", "cohort", "chart", "case series", "retrospective", "outpatient", "observational",
)  # fmt: skip
_BLIND_WORDS = ("blind", "placebo", "saline")
#: Longer infusions are given as a chain of infusions, since a protocol file takes a large single dose for a slip.
_LONGEST_MIN = 4 * 60.0


class NotSimulableError(Exception):
    """A record that the model cannot be held against; its text completes 'cannot be simulated, because'."""


@dataclass(frozen=True)
class Treatment:
    """What is done to one arm.

    Parameters
    ----------
    doses : tuple of ObservedDose
        On the record's clock, h.
    therapy : tuple of (kind, minutes, hours)
        On the record's clock.
    co_medication : tuple of str
    masking : str
        A masking of the protocol format.
    extended_release : bool
        Whether oral doses are of the slow form.
    """

    doses: tuple[ObservedDose, ...]
    therapy: tuple[tuple[str, float, tuple[float, ...]], ...]
    co_medication: tuple[str, ...]
    masking: str
    extended_release: bool = False

    @property
    def start_h(self) -> float:
        """Hour on the record's clock at which the protocol starts: 0, or earlier where treatment began earlier."""
        times = [time for dose in self.doses for time in dose.at_h]
        times += [time for _, _, hours in self.therapy for time in hours]
        return min([0.0, *times])

    @property
    def end_h(self) -> float:
        """Hour on the record's clock at which the last dose or session ends."""
        ends = [dose.at_h[-1] + dose.duration_min / 60 for dose in self.doses]
        ends += [hours[-1] + minutes / 60 for _, minutes, hours in self.therapy]
        return max([0.0, *ends])

    @property
    def occasions(self) -> int:
        """Number of dosing occasions: doses within an hour of each other are one."""
        return occasions(time for dose in self.doses if dose.drug in _KETAMINE for time in dose.at_h)

    def protocol(self, name: str, horizon_h: float, ratings: Iterable[float]) -> Protocol:
        """Return the protocol of this treatment.

        Parameters
        ----------
        name : str
        horizon_h : float
            End on the record's clock.
        ratings : iterable of float
            Visits with a rating, on the record's clock.

        Raises
        ------
        NotSimulableError
            Where the protocol format has no place for it.
        """
        start = self.start_h
        visits = sorted({round(time - start, 9) for time in ratings if time > start})
        document: dict[str, Any] = {
            "schema_version": 1,
            "name": name,
            "title": name.replace("_", " "),
            "horizon": _hours(horizon_h - start),
            "masking": self.masking,
            "doses": [item for dose in self.doses for item in _doses(dose, start, self.extended_release)],
            "therapy": [
                {"kind": kind, "duration": f"{minutes:g} min", "at": tuple(_hours(time - start) for time in hours)}
                for kind, minutes, hours in self.therapy
            ],
            "co_medication": [{"drug": drug} for drug in self.co_medication],
            # a protocol without ratings would be rated weekly; the end is a visit that no figure looks at
            "ratings": tuple(_hours(time) for time in visits or [horizon_h - start]),
        }
        try:
            return Protocol.model_validate(document)
        except ValidationError as error:
            text = error.errors(include_url=False)[0]["msg"]
            raise NotSimulableError(f"no protocol can say it: {text}") from None


def treatment(record: ObservedRecord, masking: str) -> tuple[Treatment, tuple[str, ...]]:
    """Return what the record's own arm received, and what of it the model leaves out.

    Raises
    ------
    NotSimulableError
        Where the model has no word for a drug, a route or another treatment.
    """
    regimen, caveats = record.regimen, list[str]()
    if record.group.diagnosis in NOT_HUMAN:
        raise NotSimulableError(f"the model is of people, and the record of a {record.group.diagnosis}")
    for dose in regimen.doses:
        if dose.drug in ("endotoxin", "infliximab"):
            raise NotSimulableError(f"{dose.drug} is not modelled")
        if dose.route in ("rectal", "ip"):
            raise NotSimulableError(f"no published kinetics of the route {dose.route}")
    for word in regimen.accompaniments:
        if word in _REFUSED:
            raise NotSimulableError(_REFUSED[word])
    therapy = []
    for item in regimen.therapy:
        kind = item.kind
        if kind == "mbrp_or_education":
            kind = "mbrp"
            caveats.append("half of the patients had education instead of therapy")
        therapy.append((kind, item.minutes, item.at_h))
    return (
        Treatment(
            doses=regimen.doses,
            therapy=tuple(therapy),
            co_medication=tuple(word for word in regimen.accompaniments if word in _CO_MEDICATION),
            masking=masking,
            extended_release="extended_release" in regimen.accompaniments,
        ),
        tuple(caveats),
    )


def masking_of(record: ObservedRecord, drugs: Collection[str]) -> str:
    """Return how the study hid the drug, read from its arms and its design.

    Parameters
    ----------
    record : ObservedRecord
    drugs : collection of str
        Every drug and control of the study's records.
    """
    regimen = record.regimen
    design = record.study.design.lower().replace("unblinded", "open").replace("rater-blind", "open")
    if "anaesthesia" in regimen.accompaniments:
        return "anaesthesia"
    against = record.outcome.against or ""
    compared = "midazolam" in drugs or "midazolam" in design or against == "midazolam"
    blind = any(word in design for word in _BLIND_WORDS) or any(drug in _CONTROLS for drug in drugs)
    if "blind" not in design and any(word in design for word in _OPEN_WORDS):
        return "open"
    if not blind and against != "placebo" and not compared:
        return "open"
    if compared:
        return "midazolam"
    nasal = any(dose.route == "intranasal" for dose in regimen.doses)
    return "nasal_placebo" if nasal else "saline"


def without_drug(own: Treatment, control: str) -> Treatment:
    """Return the same visits and therapy with a control in place of ketamine.

    Parameters
    ----------
    own : Treatment
    control : str
        'placebo' or 'midazolam'.
    """
    doses: list[ObservedDose] = []
    given: list[float] = []
    for dose in own.doses:
        if dose.drug not in _KETAMINE:
            doses.append(dose)
        elif control == "midazolam":
            # one infusion an occasion, whatever the number of devices or steps
            starts = sorted({hour for hour in dose.at_h if all(hour - other > 1.0 for other in given)})
            starts = [hour for k, hour in enumerate(starts) if k == 0 or hour - starts[k - 1] > 1.0]
            given += starts
            if starts:
                update = {"drug": "midazolam", "route": "iv", "at_h": tuple(starts), **_MIDAZOLAM}
                doses.append(dose.model_copy(update=update))
        else:
            drug = control_of(dose.route)
            minutes = dose.duration_min if dose.route == "iv" else 0.0
            doses.append(dose.model_copy(update={"drug": drug, "amount": 0.0, "unit": "mg", "duration_min": minutes}))
    return replace(own, doses=tuple(doses), extended_release=False)


def without_therapy(own: Treatment, *, sham: bool = False) -> Treatment:
    """Return the same doses without therapy, or with sham sessions in its place."""
    kept = tuple(("sham_training", minutes, hours) for _, minutes, hours in own.therapy) if sham else ()
    return replace(own, therapy=kept)


def untreated(own: Treatment) -> Treatment:
    """Return the same people left alone."""
    return replace(own, doses=(), therapy=(), co_medication=(), masking="open")


def intravenous(own: Treatment) -> Treatment:
    """Return the same amount into a vein over half an hour: the reference of a bioavailability."""
    doses = tuple(dose.model_copy(update={"route": "iv", "duration_min": 30.0}) for dose in own.doses)
    return replace(own, doses=doses, extended_release=False)


def without_interaction(own: Treatment) -> Treatment:
    """Return the same doses without the drugs that change their kinetics."""
    return replace(own, co_medication=tuple(word for word in own.co_medication if word not in METABOLIC))


def _hours(time: float) -> str:
    return f"{round(time, 9)} h"


def _doses(dose: ObservedDose, start: float, extended: bool) -> list[dict[str, Any]]:
    """Return a dose as items of a protocol file."""
    route = "oral" if dose.route == "none" else dose.route
    item: dict[str, Any] = {"drug": dose.drug, "route": route}
    if extended and route == "oral" and dose.drug in _KETAMINE:
        item["form"] = "extended_release"
    if route != "iv" or not dose.duration_min:
        return [
            {**item, "amount": f"{dose.amount} {_mass(dose.unit)}", "at": tuple(_hours(t - start) for t in dose.at_h)}
        ]
    if dose.unit == "ng/mL":
        parts, amount, unit = 1, dose.amount, "ng/mL"
    else:
        timed = dose.unit.endswith("/h")
        parts = max(math.ceil(dose.duration_min / _LONGEST_MIN - 1e-9), 1)
        amount = dose.amount * (dose.duration_min / 60 if timed else 1.0) / parts
        unit = _mass(dose.unit)
    minutes = dose.duration_min / parts
    times = [time - start + k * minutes / 60 for time in dose.at_h for k in range(parts)]
    return [
        {
            **item,
            "amount": f"{round(amount, 9)} {unit}",
            "duration": f"{round(minutes, 9)} min",
            "at": tuple(_hours(time) for time in times),
        }
    ]


def _mass(unit: str) -> str:
    return unit.removesuffix("/h")


def study_drugs(records: Iterable[ObservedRecord]) -> dict[StudyName, set[str]]:
    """Return every drug and control that the records of each study name."""
    found: dict[StudyName, set[str]] = {}
    for record in records:
        drugs = found.setdefault(record_study(record), set())
        drugs.update(dose.drug for dose in record.regimen.doses)
    return found


__all__ = ["NotSimulableError", "Regimen", "Treatment", "masking_of", "study_drugs", "treatment"]
