"""What the controls of the explorer say of one course, and the protocol and patient that they stand for.

Every value that a browser sends passes through `Controls`: its types and bounds are the ones that hold.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator

from kapsim.app.forms import checked_form
from kapsim.errors import InputError
from kapsim.file_model import FileModel, nearest_of
from kapsim.mechanisms.switches import named_variants
from kapsim.patient import Patient
from kapsim.protocol import Protocol, load_protocol, named_protocols, parse_protocol
from kapsim.protocol.changes import control_of
from kapsim.protocol.schema import CONTROLS, Masking, OtherDrug, TherapyKind
from kapsim.strict_yaml import dump, one_line

DrugChoice = Literal["none", "ketamine", "esketamine", "arketamine", "midazolam", "control"]
RouteChoice = Literal["iv", "im", "sc", "intranasal", "sublingual", "oral", "inhaled"]
TherapyChoice = Literal["none"] | TherapyKind

DRUGS, ROUTES = get_args(DrugChoice), get_args(RouteChoice)
THERAPIES = ("none", *get_args(TherapyKind))
MASKINGS, OTHER_DRUGS = get_args(Masking), get_args(OtherDrug)

#: Routes whose doses are given by body weight; the others have fixed amounts.
BY_WEIGHT = ("iv", "im", "sc")
#: Longest course, weeks.
MOST_WEEKS = 52
#: Hours before the first dose at which the first, second and third preparation session start.
PREPARATION_H = (72.0, 168.0, 240.0)
#: Lengths of sessions, minutes: of preparation and integration, and of one beside a dose.
_TALK_MIN, _BESIDE_MIN = 60, 90
#: The course that the explorer opens with.
FIRST = "kap_six_sessions"
_DAY_H, _WEEK_H = 24.0, 168.0


class Controls(FileModel):
    """The controls of one course.

    Attributes
    ----------
    preset : str
        The named protocol that the controls were set to last. As long as none of the treatment's controls has been
        moved since, the course is that protocol itself.
    drug, route : str
        ``control`` is what looks like the drug by this route and holds none.
    per_kg, milligrams : float
        Amount of a dose, mg/kg by the routes of `BY_WEIGHT` and mg by others; the other one is not used.
    infusion : float
        Length of an infusion, minutes; 0 is a bolus. Only iv.
    doses : int
    every : float
        Days from dose to dose.
    first : float
        Day of the first dose; later where preparation needs it.
    therapy : str
    preparation : int
        Sessions before the first dose, at the hours of `PREPARATION_H` before it.
    beside : bool
        A session beside each dose.
    after : float
        Hours from a dose to its integration session; 0 is none.
    weekly : int
        Weekly sessions from the start that no dose decides.
    practice : float
        Corrective experience between sessions, 0 to 1, from the first dose or session on.
    masking : str
    others : tuple of str
        Other medicines and care, over the whole course.
    weeks : float
        How long people are followed.
    severity : float or None
        Baseline MADRS, points. None, here and below, is drawn from the population.
    crp : float or None
        C-reactive protein, mg/L.
    episode : float or None
        Length of the present episode, months.
    weight : float or None
        Body weight, kg.
    age : float or None
        Years.
    expectancy : float or None
        Readiness to expect help, 0 to 1.
    variant : str
        Setting of the contested links.
    """

    preset: str = FIRST
    drug: DrugChoice = "ketamine"
    route: RouteChoice = "im"
    per_kg: Annotated[float, Field(ge=0, le=3)] = 0.5
    milligrams: Annotated[float, Field(ge=1, le=600)] = 100.0
    infusion: Annotated[float, Field(ge=0, le=240)] = 40.0
    doses: Annotated[int, Field(ge=1, le=24)] = 1
    every: Annotated[float, Field(ge=0.5, le=56)] = 7.0
    first: Annotated[float, Field(ge=0, le=56)] = 0.0
    therapy: TherapyChoice = "none"
    preparation: Annotated[int, Field(ge=0, le=len(PREPARATION_H))] = 0
    beside: bool = False
    after: Annotated[float, Field(ge=0, le=168)] = 0.0
    weekly: Annotated[int, Field(ge=0, le=24)] = 0
    practice: Annotated[float, Field(ge=0, le=1)] = 0.0
    masking: Masking = "open"
    others: Annotated[tuple[OtherDrug, ...], Field(strict=False, max_length=4)] = ()
    weeks: Annotated[float, Field(ge=1, le=MOST_WEEKS)] = 12.0
    severity: Annotated[float, Field(ge=7, le=60)] | None = None
    crp: Annotated[float, Field(ge=0.1, le=100)] | None = None
    episode: Annotated[float, Field(ge=1, le=600)] | None = None
    weight: Annotated[float, Field(ge=30, le=250)] | None = None
    age: Annotated[float, Field(ge=18, le=100)] | None = None
    expectancy: Annotated[float, Field(ge=0, le=1)] | None = None
    variant: str = "standard"

    @field_validator("preset")
    @classmethod
    def _named(cls, value: str) -> str:
        if value not in named_protocols():
            raise ValueError(f"there is no protocol '{one_line(value, 40)}'; {_near(value, list(named_protocols()))}")
        return value

    @field_validator("variant")
    @classmethod
    def _known(cls, value: str) -> str:
        known = named_variants()
        if value not in known:
            raise ValueError(f"there is no variant '{one_line(value, 40)}'; {_near(value, list(known))}")
        return value

    @field_validator("others")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # the order in which they were picked makes no other course
        return tuple(name for name in OTHER_DRUGS if name in value)

    @property
    def treatment(self) -> dict[str, Any]:
        """The values that decide the protocol, beside `preset`."""
        return {name: getattr(self, name) for name in TREATMENT}


PATIENT = ("severity", "crp", "episode", "weight", "age", "expectancy")
TREATMENT = tuple(name for name in Controls.model_fields if name not in (*PATIENT, "preset", "variant"))
NAMES = tuple(Controls.model_fields)


def _near(value: str, known: list[str]) -> str:
    return nearest_of(one_line(value, 40), known, "name")


def checked(values: dict[str, Any]) -> Controls:
    """Return controls from values that anybody may have sent.

    Raises
    ------
    InputError
        With the first problem, in one line.
    """
    return checked_form(Controls, values, "course")


@functools.lru_cache(maxsize=64)
def preset_controls(name: str) -> Controls:
    """Return the controls that come nearest to a named protocol; the patient is left to the population."""
    protocol = load_protocol(name)
    doses, sessions = protocol.dose_events(), protocol.session_events()
    found: dict[str, Any] = {"preset": name, "drug": "none", "masking": protocol.masking}
    found["weeks"] = protocol.horizon_h / _WEEK_H
    if doses:
        last = doses[-1]
        found["drug"] = "control" if last.drug in CONTROLS else last.drug
        found["route"] = last.route
        found["doses"], found["first"] = len(doses), doses[0].start_h / _DAY_H
        if last.amount:
            found["per_kg" if last.unit == "mg/kg" else "milligrams"] = last.amount
        if last.route == "iv":
            found["infusion"] = last.duration_h * 60.0
        if len(doses) > 1:
            found["every"] = round(2.0 * (last.start_h - doses[0].start_h) / _DAY_H / (len(doses) - 1)) / 2.0
    if sessions:
        found["therapy"] = sessions[0].kind
        places = [session.place for session in sessions]
        found["preparation"] = min(places.count("preparation"), len(PREPARATION_H))
        found["beside"] = "in_session" in places
        found["weekly"] = min(places.count("standalone"), 24)
        found["after"] = next(
            (item.relative.offset.to("h") for item in protocol.therapy if item.relative is not None
             and item.relative.place == "integration"), 0.0,
        )  # fmt: skip
    if protocol.practice is not None:
        found["practice"] = protocol.practice.level
    found["others"] = tuple(event.drug for event in protocol.co_medications())
    return checked(found)


def is_named(controls: Controls) -> bool:
    """Return whether the course is the named protocol of `preset` itself."""
    return controls.treatment == preset_controls(controls.preset).treatment


def protocol_of(controls: Controls) -> Protocol:
    """Return the protocol that the controls stand for.

    Raises
    ------
    InputError
        Where its parts do not go together, such as a dose beyond the end.
    """
    if is_named(controls):
        return load_protocol(controls.preset)
    return parse_protocol(dump(_document(controls)), source="this course")


def _document(controls: Controls) -> dict[str, Any]:
    """Return the protocol of controls that were moved, as the data of a file."""
    dosed = controls.drug != "none"
    talks = controls.therapy != "none"
    first_h = controls.first * _DAY_H
    if dosed and talks and controls.preparation:
        first_h = max(first_h, PREPARATION_H[controls.preparation - 1])
    document: dict[str, Any] = {
        "schema_version": 1,
        "name": "explorer_course",
        "title": "A course put together in the explorer",
        "horizon": f"{controls.weeks:g} wk",
        "masking": controls.masking,
    }
    if dosed:
        document["doses"] = [_dose(controls, first_h)]
    therapy = _therapy(controls, dosed=dosed) if talks else []
    if therapy:
        document["therapy"] = therapy
    if talks and controls.practice:
        document["practice"] = {"level": controls.practice, "from": f"{first_h if dosed else 0.0:g} h"}
    if controls.others:
        document["co_medication"] = [{"drug": name} for name in controls.others]
    return document


def _dose(controls: Controls, first_h: float) -> dict[str, Any]:
    drug, route = controls.drug, controls.route
    dose: dict[str, Any] = {"drug": control_of(route) if drug == "control" else drug, "route": route}
    if drug == "control":
        dose["amount"] = "0 mg"
    elif route in BY_WEIGHT:
        dose["amount"] = f"{controls.per_kg:g} mg/kg"
    else:
        dose["amount"] = f"{controls.milligrams:g} mg"
    if route == "iv" and controls.infusion:
        dose["duration"] = f"{controls.infusion:g} min"
    dose["at"] = [f"{first_h + 24.0 * controls.every * k:g} h" for k in range(controls.doses)]
    return dose


def _therapy(controls: Controls, *, dosed: bool) -> list[dict[str, Any]]:
    def session(minutes: int, **when: Any) -> dict[str, Any]:
        return {"kind": controls.therapy, "duration": f"{minutes} min", **when}

    def around(place: str, hours: float, doses: str = "all") -> dict[str, Any]:
        return {"relative": {"place": place, "offset": f"{hours:g} h", "doses": doses}}

    found = []
    if dosed:
        before = PREPARATION_H[: controls.preparation]
        found += [session(_TALK_MIN, **around("preparation", hours, "first")) for hours in reversed(before)]
        if controls.beside:
            found.append(session(_BESIDE_MIN, **around("in_session", 0.0)))
        if controls.after:
            found.append(session(_TALK_MIN, **around("integration", controls.after)))
    if controls.weekly:
        # with doses around, beside them rather than on top of them: two days later in the week
        start = 48.0 if dosed else 0.0
        found.append(session(_TALK_MIN, at=[f"{start + _WEEK_H * week:g} h" for week in range(controls.weekly)]))
    return found


def patient_of(controls: Controls) -> Patient | None:
    """Return what the controls say of the people, None where all of it is drawn.

    Raises
    ------
    InputError
        Where the values do not go together, such as an episode longer than the life.
    """
    given: dict[str, Any] = {}
    if controls.severity is not None:
        given["baseline"] = {"scale": "madrs", "score": controls.severity}
    for name, key, unit in (
        ("crp", "crp", "mg/L"), ("episode", "episode", "mo"), ("weight", "weight", "kg"), ("age", "age", "a"),
    ):  # fmt: skip
        value = getattr(controls, name)
        if value is not None:
            given[key] = f"{value!r} {unit}"
    if controls.expectancy is not None:
        given["expectancy"] = controls.expectancy
    if not given:
        return None
    try:
        return Patient.model_validate({"schema_version": 1, **given})
    except ValidationError as error:
        raise InputError(f"patient: {one_line(error.errors(include_url=False)[0]['msg'], 200)}") from None
