"""What an event table holds: people with covariates, and their doses and observations in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kapsim.engine.grid import to_ticks
from kapsim.protocol.events import DoseEvent

#: Where a dose goes: name and number in CMT, and the pathway that kinetics know.
ROUTES: dict[str, int] = {
    "central": 1,
    "im": 2,
    "sc": 3,
    "intranasal": 4,
    "sublingual": 5,
    "oral": 6,
    "oral_extended_release": 7,
    "inhaled": 8,
}
#: What is observed: name and number in CMT; the names are those of `kapsim.concentrations.Concentrations`.
OBSERVABLES: dict[str, int] = {
    "plasma_ketamine_venous": 9,
    "plasma_ketamine_arterial": 10,
    "plasma_s_ketamine_venous": 11,
    "plasma_s_ketamine_arterial": 12,
    "plasma_r_ketamine_venous": 13,
    "plasma_r_ketamine_arterial": 14,
    "plasma_norketamine_venous": 15,
    "plasma_norketamine_arterial": 16,
    "plasma_s_norketamine_venous": 17,
    "plasma_s_norketamine_arterial": 18,
    "plasma_r_norketamine_venous": 19,
    "plasma_r_norketamine_arterial": 20,
    "hydroxynorketamine": 21,
}
#: What an observation is of where CMT does not say: samples are of venous blood unless somebody says otherwise.
USUAL = "plasma_ketamine_venous"
DRUGS: dict[str, int] = {"ketamine": 1, "esketamine": 2, "arketamine": 3}

#: Columns in the order in which they are written. NONMEM reads numbers only, so that all of them are numbers there.
COLUMNS = ("ID", "TIME", "EVID", "MDV", "AMT", "RATE", "CMT", "DRUG", "II", "ADDL", "DV", "WT", "AGE", "FEMALE")

OTHER = 2
"""EVID of a row that asks for a prediction and is neither dose nor observation."""

MOST_DOSES = 500
"""Most doses of one person, additional ones counted: each costs several hundred nodes of the time grid."""


@dataclass(frozen=True)
class Dosing:
    """A dose and those that repeat it.

    Parameters
    ----------
    time_h : float
        Of the first dose, h.
    milligrams : float
        Ketamine base of each dose, mg.
    route : str
        A key of `ROUTES`.
    drug : str
        A key of `DRUGS`.
    rate : float
        mg/h; 0 for all at once. The duration of an infusion is `milligrams` over `rate`, whatever is absorbed of it.
    additional : int
        How many more doses follow.
    interval_h : float
        Time from one dose to the next, h.
    line : int
        Of the file; not a part of what the row says.
    """

    time_h: float
    milligrams: float
    route: str = "central"
    drug: str = "ketamine"
    rate: float = 0.0
    additional: int = 0
    interval_h: float = 0.0
    line: int = field(default=0, compare=False)

    @property
    def duration_h(self) -> float:
        """Duration of an infusion, h; 0 for all at once."""
        return self.milligrams / self.rate if self.rate > 0.0 else 0.0

    @property
    def is_bolus(self) -> bool:
        """Whether all of it enters the blood at once, so that the concentration leaps."""
        return self.route == "central" and self.rate == 0.0

    def pathway(self) -> tuple[str, str]:
        """Return route and form as a protocol has them."""
        if self.route == "central":
            return "iv", "immediate"
        if self.route == "oral_extended_release":
            return "oral", "extended_release"
        return self.route, "immediate"

    def events(self) -> Iterator[DoseEvent]:
        """Yield each dose that the row stands for; all of them are alike but for the time."""
        route, form = self.pathway()
        for number in range(self.additional + 1):
            start = self.time_h + number * self.interval_h
            yield DoseEvent(self.drug, route, self.milligrams, "mg", start, self.duration_h, form)


@dataclass(frozen=True)
class Observation:
    """A time at which something is observed or predicted.

    Parameters
    ----------
    time_h : float
        h.
    observed : str
        A key of `OBSERVABLES`.
    value : float or None
        What was measured, ng/mL; None where the file has no number.
    missing : bool
        MDV: nothing was measured there, and what stands in DV is not used.
    event : int
        EVID: 0, or `OTHER`.
    line : int
        Of the file; not a part of what the row says.
    """

    time_h: float
    observed: str = USUAL
    value: float | None = None
    missing: bool = False
    event: int = 0
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Subject:
    """A person of an event table.

    Parameters
    ----------
    number : int
        ID, 1 and up. It keys what is drawn for the person.
    records : tuple of Dosing and Observation
        In the order of the file, ascending in time.
    weight_kg, age_years, female : float or None
        Covariates; None is drawn from the population. `female` is 0 or 1.
    """

    number: int
    records: tuple[Dosing | Observation, ...]
    weight_kg: float | None = None
    age_years: float | None = None
    female: float | None = None

    @property
    def doses(self) -> tuple[Dosing, ...]:
        """The dose rows."""
        return tuple(record for record in self.records if isinstance(record, Dosing))

    @property
    def observations(self) -> tuple[Observation, ...]:
        """All other rows."""
        return tuple(record for record in self.records if isinstance(record, Observation))

    def dose_events(self) -> list[DoseEvent]:
        """Return every dose, additional ones too, by start; at one time in the order of the rows."""
        return sorted((event for dose in self.doses for event in dose.events()), key=lambda dose: dose.start_h)


@dataclass(frozen=True)
class EventTable:
    """People of an event table, in the order of the file; `source` is its name, for messages."""

    subjects: tuple[Subject, ...]
    source: str = field(default="<table>", compare=False)


def same_time(first: float, second: float) -> bool:
    """Return whether two times, h, are one on the time grid."""
    return to_ticks(first) == to_ticks(second)
