"""How far a run stands from what was studied in people: route, dose, number of doses, age, diagnosis, and so on.

Each side of a run is held against the published outcomes on a rating scale. *Inside* means that three studies or more
are as far out as the run, to either side where there is an order (as large a dose and as small a one); *edge* that one
or two are, or only studies whose record holds the usual value because no source gave one; *outside* that none is. It
says nothing of how good those studies are, nor of the model.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kapsim.errors import InputError
from kapsim.protocol.events import occasions

if TYPE_CHECKING:
    from kapsim.evidence import ObservedRecord
    from kapsim.patient import Patient
    from kapsim.protocol import Protocol

STANDINGS = ("inside", "edge", "outside")
"""From well studied to not studied."""

#: Fewer studies than this are an edge.
ENOUGH = 3
#: Record ids that are named beside each side.
NAMED = 3
#: Doses and hours this close are the same: rounding of units.
_SAME = 1e-6
_KETAMINE = ("ketamine", "esketamine", "arketamine")
_SHAM = "sham_training"
#: Accompaniments that stand in the route, or that every trial has and no protocol can name.
_NOT_COMBINED = frozenset({"extended_release", "oral_antidepressant", "inpatient_care", "usual_care"})


@dataclass(frozen=True)
class Side:
    """One side of a run beside the evidence.

    Attributes
    ----------
    name : str
        'route', 'dose', 'infusion', 'doses', 'age', 'diagnosis', 'combination' or 'horizon'.
    value : str
        What the run has, in words.
    standing : str
        One of `STANDINGS`.
    text : str
        How many studies come as far.
    nearest : tuple of str
        Ids of the nearest observed records, one a study.
    """

    name: str
    value: str
    standing: str
    text: str
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class Applicability:
    """Every side of a run beside the evidence."""

    sides: tuple[Side, ...]

    @property
    def standing(self) -> str:
        """The worst of the sides."""
        return max((side.standing for side in self.sides), key=STANDINGS.index, default=STANDINGS[0])

    def of(self, standing: str) -> tuple[Side, ...]:
        """Return the sides of one standing."""
        return tuple(side for side in self.sides if side.standing == standing)

    def to_json(self) -> str:
        """Return it as JSON text, for an attribute of results."""
        return json.dumps(self.as_data(), ensure_ascii=False)

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"standing": self.standing, "sides": [asdict(side) for side in self.sides]}

    @classmethod
    def from_json(cls, text: str) -> Applicability:
        """Read what `to_json` gives.

        Raises
        ------
        InputError
            If the text holds something else.
        """
        try:
            rows = json.loads(text)["sides"]
            sides = tuple(Side(**{**row, "nearest": tuple(row["nearest"])}) for row in rows)
            if not all(side.standing in STANDINGS for side in sides):
                raise ValueError
        except (ValueError, TypeError, KeyError):
            raise InputError(
                "results: attribute applicability: cannot be read; write the results with kapsim again"
            ) from None
        return cls(sides)

    def lines(self) -> list[str]:
        """Return the short account: a line for each standing that has sides, the worst first."""
        return [
            f"{standing}: " + "; ".join(f"{side.name} ({side.value})" for side in found)
            for standing in reversed(STANDINGS)
            if (found := self.of(standing))
        ]


class Arm(NamedTuple):
    """What an observed record says of the treatment and the people behind it."""

    id: str
    study: tuple[str, int | None]
    doses: tuple[tuple[str, str, float | None], ...]  # drug, route, mg/kg (None: a target)
    infusions: tuple[tuple[str, float], ...]  # drug, h into a vein
    occasions: int
    therapy: frozenset[str]
    beside: frozenset[str]
    diagnosis: str
    age: float | None
    last_h: float
    assumed: frozenset[str]

    @property
    def drugged(self) -> bool:
        """Whether ketamine was given."""
        return bool(self.doses)


class Counted(NamedTuple):
    """Studies that come as far: those that say so, and those whose record holds the usual value."""

    given: int
    assumed: int

    @property
    def standing(self) -> str:
        """One of `STANDINGS`."""
        if self.given >= ENOUGH:
            return "inside"
        return "edge" if self.given + self.assumed else "outside"

    def text(self, what: str) -> str:
        """Return the count in words; `what` says what the studies have."""
        number = {0: "no study", 1: "1 study"}.get(self.given, f"{self.given} studies")
        more = f"; {self.assumed} more whose record holds the usual value" if self.assumed else ""
        return f"{number} with {what}{more}"


def applicability(
    protocol: Protocol, patient: Patient | None = None, *, records: Iterable[ObservedRecord] | None = None
) -> Applicability:
    """Say how far a run stands from the published outcomes on rating scales.

    Parameters
    ----------
    protocol : Protocol
    patient : Patient, optional
        Who it is done to; what is not given is the population's.
    records : iterable of ObservedRecord, optional
        What to compare with, by default every shipped record of a rating scale.

    Returns
    -------
    Applicability
        The same for the same input.
    """
    arms = _shipped() if records is None else tuple(_arms(records))
    return Applicability(tuple(_sides(protocol, patient, arms)))


def _sides(protocol: Protocol, patient: Patient | None, every: Sequence[Arm]) -> Iterable[Side]:
    weight = _known(None if patient is None else patient.weight_kg, "patient.weight")
    doses = [dose for dose in protocol.dose_events() if dose.drug in _KETAMINE]
    # what therapy alone does for long says nothing of ketamine, nor the other way round
    arms = [arm for arm in every if arm.drugged == bool(doses)]
    for drug, route in dict.fromkeys((dose.drug, dose.pathway) for dose in doses):
        yield _route(drug, route, arms)
        for amount in sorted(
            {
                None if dose.is_target else round(dose.milligrams(weight) / weight, 9)
                for dose in doses
                if (dose.drug, dose.pathway) == (drug, route)
            },
            key=lambda value: -1.0 if value is None else value,
        ):
            yield _dose(drug, route, amount, arms)
    for drug, hours in sorted({(dose.drug, round(dose.duration_h, 9)) for dose in doses if dose.route == "iv"}):
        yield _infusion(drug, hours, arms)
    if doses:
        count = occasions(dose.start_h for dose in doses)
        yield _ordered("doses", f"{count}", float(count), arms, lambda arm: float(arm.occasions), "as many and as few")
    age = None if patient is None else patient.age_years
    years = _known(age, "patient.age")
    said = f"{years:g} years" + ("" if age is not None else ", the population's mean")
    yield _ordered("age", said, years, arms, lambda arm: arm.age, "a mean age as high and as low")
    diagnosis = (None if patient is None else patient.diagnosis) or "trd"
    yield _same("diagnosis", diagnosis, arms, lambda arm: arm.diagnosis == diagnosis, "this diagnosis")
    yield _combination(protocol, bool(doses), arms)
    origin = doses[0].start_h if doses else 0.0
    span = protocol.horizon_h - origin
    shown = f"{span / 168:.3g} weeks" if span >= 336 else f"{span / 24:.3g} days"
    # a shorter time is part of every longer one
    yield _ordered("horizon", shown, span, arms, lambda arm: arm.last_h, "a follow-up as long", below=False)


def _known(given: float | None, identifier: str) -> float:
    from kapsim.evidence import load_parameters

    return load_parameters()[identifier].value if given is None else given


def _words(route: str) -> str:
    return "oral, extended release" if route == "oral_extended_release" else route


def _route(drug: str, route: str, arms: Sequence[Arm]) -> Side:
    def fits(arm: Arm) -> bool:
        return any((drug, route) == dose[:2] for dose in arm.doses)

    return _same("route", f"{drug} {_words(route)}", arms, fits, "this drug and route", field="doses.route")


def _dose(drug: str, route: str, amount: float | None, arms: Sequence[Arm]) -> Side:
    own = [arm for arm in arms if any((drug, route) == dose[:2] for dose in arm.doses)]
    if amount is None:
        return _same(
            "dose",
            f"{drug} {_words(route)}, a target concentration",
            own,
            lambda arm: any(dose[2] is None for dose in arm.doses),
            "a target",
        )

    def value(arm: Arm) -> list[float]:
        return [dose[2] for dose in arm.doses if dose[:2] == (drug, route) and dose[2] is not None]

    said = f"{drug} {_words(route)}, {amount:.3g} mg/kg"
    return _ordered("dose", said, amount, own, value, "as much and as little", field="doses.amount")


def _infusion(drug: str, hours: float, arms: Sequence[Arm]) -> Side:
    """Return how long the drug runs into a vein: forty hours for forty minutes is no slip that a dose shows."""

    def read(arm: Arm) -> list[float]:
        return [own for given, own in arm.infusions if given == drug]

    said = f"{drug} over {hours:.3g} h" if hours > 2.0 else f"{drug} over {hours * 60:.3g} min"
    said = said if hours else f"{drug} as a bolus"
    return _ordered("infusion", said, hours, arms, read, "as slow and as fast", field="doses.duration_min")


def _combination(protocol: Protocol, drugged: bool, arms: Sequence[Arm]) -> Side:
    kinds = {session.kind for session in protocol.session_events()} - {_SHAM}
    beside = frozenset(item.drug for item in protocol.co_medications())
    parts = [*(["ketamine"] if drugged else []), *(["therapy"] if kinds else []), *sorted(beside)]

    def fits(arm: Arm) -> bool:
        return bool(arm.therapy) == bool(kinds) and beside == arm.beside

    side = _same("combination", " with ".join(parts) or "nothing", arms, fits, "this combination")
    if not kinds:
        return side
    alike = len({arm.study for arm in arms if fits(arm) and arm.therapy & kinds})
    return Side(
        side.name, side.value, side.standing, f"{side.text}; {alike} of them by this kind of therapy", side.nearest
    )


def _same(
    name: str, said: str, arms: Sequence[Arm], fits: Callable[[Arm], bool], what: str, *, field: str = ""
) -> Side:
    found = [arm for arm in arms if fits(arm)]
    counted = _count(found, field)
    return Side(name, said, counted.standing, counted.text(what), _first(arm.id for arm in _one_a_study(found)))


def _ordered(
    name: str,
    said: str,
    value: float,
    arms: Sequence[Arm],
    read: Callable[[Arm], float | list[float] | None],
    what: str,
    *,
    field: str = "",
    below: bool = True,
) -> Side:
    """Return a side with an order: studies must come as far on either side, or above alone."""
    seen = [(number, arm) for arm in arms for number in _numbers(read(arm))]
    slack = _SAME * abs(value)
    above = _count([arm for number, arm in seen if number >= value - slack], field)
    counted = above
    if below:
        under = _count([arm for number, arm in seen if number <= value + slack], field)
        # where nobody goes one way, those on the other side do not make up for it
        counted = min(above, under, key=lambda side: (STANDINGS.index(side.standing) * -1, side.given, sum(side)))
    near = sorted(seen, key=lambda pair: (abs(pair[0] - value), pair[1].id))
    return Side(
        name, said, counted.standing, counted.text(what), _first(arm.id for arm in _one_a_study(a for _, a in near))
    )


def _numbers(value: float | list[float] | None) -> list[float]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _count(arms: Iterable[Arm], field: str) -> Counted:
    found = list(arms)
    given = {arm.study for arm in found if field not in arm.assumed}
    return Counted(len(given), len({arm.study for arm in found} - given))


def _one_a_study(arms: Iterable[Arm]) -> Iterable[Arm]:
    seen: set[tuple[str, int | None]] = set()
    for arm in arms:
        if arm.study not in seen:
            seen.add(arm.study)
            yield arm


def _first(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(ids)[:NAMED]


@functools.cache
def _shipped() -> tuple[Arm, ...]:
    """Return the arms of the shipped records of a rating scale."""
    from kapsim.evidence import load_observed
    from kapsim.evidence._files import evidence_files

    # most of the time of reading is that of files without any scale: their text says so at once
    paths = [path for path in evidence_files() if path.name.startswith("observed-")]
    return tuple(_arms(load_observed([path for path in paths if b"scale." in path.read_bytes()])))


def _arms(records: Iterable[ObservedRecord]) -> Iterable[Arm]:
    for record in records:
        if record.outcome.observable.startswith("scale."):
            yield _arm(record)


def _arm(record: ObservedRecord) -> Arm:
    regimen, group = record.regimen, record.group
    weight = _known(group.weight_kg, "patient.weight")
    slow = "extended_release" in regimen.accompaniments
    doses: list[tuple[str, str, float | None]] = []
    infusions: list[tuple[str, float]] = []
    starts: list[float] = []
    for dose in regimen.doses:
        if dose.drug not in _KETAMINE:
            continue
        route = "oral_extended_release" if slow and dose.route == "oral" else dose.route
        timed = dose.duration_min / 60 if dose.unit.endswith("/h") else 1.0
        per_kg = dose.amount * timed / (1.0 if dose.unit.startswith("mg/kg") else weight)
        doses.append((dose.drug, route, None if dose.unit == "ng/mL" else per_kg))
        if dose.route == "iv":
            infusions.append((dose.drug, dose.duration_min / 60))
        starts += dose.at_h
    return Arm(
        id=record.id,
        study=(record.study.author, record.study.year),
        doses=tuple(dict.fromkeys(doses)),
        infusions=tuple(dict.fromkeys(infusions)),
        occasions=occasions(starts),
        therapy=frozenset(item.kind for item in regimen.therapy) - {_SHAM},
        beside=frozenset(regimen.accompaniments) - _NOT_COMBINED,
        diagnosis=group.diagnosis,
        age=group.age_years,
        last_h=max((point.time_h or 0.0 for point in record.points), default=0.0),
        assumed=frozenset(regimen.assumed),
    )


__all__ = ["ENOUGH", "STANDINGS", "Applicability", "Side", "applicability"]
