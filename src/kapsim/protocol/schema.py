"""Protocol: what is done, as a file says it. Doses, therapy, practice, co-medication, stressors, ratings, masking.

The model keeps the shorthands of the file (``every: 1 wk``), so that it can be written back as it was read; the methods
give the dated events they stand for. A protocol that exists is consistent: every check runs when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, PlainValidator, model_validator

from kapsim.extensions import own_drugs, own_routes
from kapsim.file_model import (
    Duration,
    FileModel,
    Line,
    Lines,
    Quantity,
    SchemaVersion,
    Time,
    Times,
    nearest_of,
    problem,
    quantity,
)
from kapsim.protocol import resolution
from kapsim.protocol.events import CoMedicationEvent, DoseEvent, PracticeLevel, SessionEvent, StressorEvent
from kapsim.protocol.schedule import EPSILON_H, Scheduled, distinct_times, hours
from kapsim.strict_yaml import one_line
from kapsim.units import dimension

__all__ = ["CoMedication", "Dose", "Practice", "Protocol", "Relative", "Stressor", "Therapy"]

DrugName = Literal["ketamine", "esketamine", "arketamine", "midazolam", "saline", "placebo", "placebo_nasal"]
RouteName = Literal["iv", "im", "sc", "intranasal", "sublingual", "oral", "inhaled"]
Form = Literal["immediate", "extended_release"]
TherapyKind = Literal[
    "cbt",
    "ct",
    "ba",
    "rfcbt",
    "mbrp",
    "met",
    "psychotherapy",
    "self_association",
    "sham_training",
    "coaching",
    "kap",
    "group_kap",
    "montreal",
]
OtherDrug = Literal[
    "naltrexone",
    "rapamycin",
    "memantine",
    "ampa_blocker",
    "benzodiazepine",
    "anaesthesia",
    "oral_antidepressant",
    "usual_care",
    "inpatient_care",
    "clarithromycin",
    "ticlopidine",
    "rifampicin",
    "itraconazole",
    "grapefruit_juice",
    "st_johns_wort",
]
Masking = Literal["open", "saline", "midazolam", "nasal_placebo", "anaesthesia"]

CONTROLS = ("saline", "placebo", "placebo_nasal")
TARGETABLE = ("ketamine", "esketamine", "arketamine")
METABOLIC = ("clarithromycin", "ticlopidine", "rifampicin", "itraconazole", "grapefruit_juice", "st_johns_wort")
# Far above an anaesthetic dose: beyond these a figure is a slip of unit or of decimal point.
MOST_MG_PER_KG, MOST_MG, MOST_NG_PER_ML = 20.0, 2000.0, 20000.0
MOST = {"mg/kg": MOST_MG_PER_KG, "mg": MOST_MG, "ng/mL": MOST_NG_PER_ML}


def _known(names: tuple[str, ...], added: Callable[[], Iterable[str]]) -> Callable[[object], str]:
    """Return a check of a name: one of `names`, or of those that extensions bring along."""

    def check(value: object) -> str:
        known = [*names, *added()]
        if not isinstance(value, str) or value not in known:
            raise problem(f"'{one_line(value, 40)}' is not known here; {nearest_of(str(value), known, 'value')}")
        return value

    return check


Drug = Annotated[str, PlainValidator(_known(get_args(DrugName), own_drugs))]
Route = Annotated[str, PlainValidator(_known(get_args(RouteName), own_routes))]
Amount = Annotated[Quantity, quantity("mg", ("mg/kg", "ng/mL"), example="0.5 mg/kg", low=-1e9)]
InfusionTime = Annotated[Quantity, quantity("h", example="40 min", high=24.0 * 7)]
Share = Annotated[float, Field(ge=0, le=1)]


class Dose(Scheduled):
    """A drug, how it is given, and when."""

    drug: Drug
    route: Route
    amount: Amount
    duration: InfusionTime | None = None
    form: Form = "immediate"

    @property
    def amount_and_unit(self) -> tuple[float, str]:
        """The amount in mg or mg/kg, or the target in ng/mL."""
        unit = next(unit for unit in MOST if dimension(self.amount.unit) == dimension(unit))
        return self.amount.to(unit), unit

    @model_validator(mode="after")
    def _possible(self) -> Dose:
        amount, unit = self.amount_and_unit
        if amount < 0:
            raise problem(f"'{self.amount}' is negative; a dose is above 0", "amount")
        if self.drug in CONTROLS and amount != 0:
            raise problem(f"'{self.drug}' holds no drug but has an amount of {self.amount}; write '0 mg'", "amount")
        if self.drug not in CONTROLS and amount == 0:
            raise problem(f"the amount of '{self.drug}' is 0; give a dose, or a control such as saline", "amount")
        if amount > MOST[unit]:
            raise problem(
                f"'{self.amount}' is not a possible dose; at most {MOST_MG_PER_KG:g} mg/kg, {MOST_MG:g} mg or a target "
                f"of {MOST_NG_PER_ML:g} ng/mL, check the unit and the decimal point",
                "amount",
            )
        return self

    @model_validator(mode="after")
    def _possible_way(self) -> Dose:
        if self.amount_and_unit[1] == "ng/mL":
            self._check_target()
        if self.form != "immediate" and self.drug == "midazolam":
            raise problem("midazolam has no extended release here; remove it", "form")
        if self.form != "immediate" and self.route != "oral":
            raise problem(
                f"only an oral dose has the form '{self.form}', not the route '{self.route}'; remove it", "form"
            )
        if self.duration is not None and self.route != "iv":
            raise problem(f"only an iv infusion has a duration, not the route '{self.route}'; remove it", "duration")
        return self

    def _check_target(self) -> None:
        """Raise where a concentration cannot be aimed at."""
        instead = "give an amount in mg or mg/kg"
        if self.drug not in TARGETABLE:
            raise problem(
                f"'{self.amount}' is a target for a pump, which knows {', '.join(TARGETABLE)}, not '{self.drug}'; "
                f"{instead}",
                "amount",
            )
        if self.route != "iv":
            raise problem(
                f"'{self.amount}' is a target for a pump, which gives iv, not by the route '{self.route}'; {instead}",
                "amount",
            )
        if self.duration is None or self.duration.value == 0:
            raise problem(
                f"'{self.amount}' is a target, and it is not said how long to hold it; add 'duration: 40 min'", "amount"
            )


class Relative(FileModel):
    """Sessions placed around doses."""

    place: Literal["preparation", "in_session", "integration"]
    offset: Time
    doses: Literal["first", "all"] = "all"


class Therapy(Scheduled):
    """A kind of session, how long, and when."""

    ways: ClassVar[tuple[str, ...]] = (*Scheduled.ways, "relative")

    kind: TherapyKind
    duration: Annotated[Quantity, quantity("h", example="50 min", high=24.0, open_low=True)]
    relative: Relative | None = None

    @model_validator(mode="after")
    def _before_the_dose(self) -> Therapy:
        relative = self.relative
        if relative is None or relative.place != "preparation":
            return self
        if relative.offset.to("h") < self.duration.to("h") - EPSILON_H:
            raise problem(
                f"a preparation of {self.duration} that starts {relative.offset} before the dose runs into it; "
                f"give an offset of at least {self.duration}",
                "relative",
                "offset",
            )
        return self


class Practice(FileModel):
    """Corrective experience between sessions, as a share of a session's intensity."""

    level: Share
    from_: Time | None = Field(None, alias="from")
    until: Time | None = None


class CoMedication(FileModel):
    """Another medicine, or care, by default over the whole horizon."""

    drug: OtherDrug
    from_: Time | None = Field(None, alias="from")
    until: Time | None = None


class Stressor(FileModel):
    """A stressful time."""

    at: Time
    duration: Duration
    intensity: Annotated[float, Field(gt=0, le=1)]


class Protocol(FileModel):
    """What is done to a patient; see the description of the format in the documentation."""

    schema_version: SchemaVersion
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    title: Line
    description: Lines | None = None
    horizon: Duration
    masking: Masking = "open"
    doses: Annotated[tuple[Dose, ...], Field(strict=False)] = ()
    therapy: Annotated[tuple[Therapy, ...], Field(strict=False)] = ()
    practice_: Practice | None = Field(None, alias="practice")
    co_medication: Annotated[tuple[CoMedication, ...], Field(strict=False)] = ()
    stressors: Annotated[tuple[Stressor, ...], Field(strict=False)] = ()
    ratings: Times | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        resolution.check(self)
        return self

    @property
    def horizon_h(self) -> float:
        """End of the simulated time, h."""
        return self.horizon.to("h")

    @property
    def practice(self) -> PracticeLevel | None:
        """Practice between sessions in hours, None where there is none."""
        given = self.practice_
        if given is None:
            return None
        return PracticeLevel(given.level, hours(given.from_, 0.0), hours(given.until, self.horizon_h))

    def dose_events(self) -> tuple[DoseEvent, ...]:
        """Return every dose, by start."""
        return tuple(event for _, event in resolution.doses(self))

    def session_events(self) -> tuple[SessionEvent, ...]:
        """Return every therapy session, by start."""
        return tuple(event for _, event in resolution.sessions(self))

    def co_medications(self) -> tuple[CoMedicationEvent, ...]:
        """Return the other medicines in the order of the file."""
        return tuple(
            CoMedicationEvent(item.drug, hours(item.from_, 0.0), hours(item.until, self.horizon_h))
            for item in self.co_medication
        )

    def stressor_events(self) -> tuple[StressorEvent, ...]:
        """Return the stressful times, by start."""
        events = (StressorEvent(s.at.to("h"), s.duration.to("h"), s.intensity) for s in self.stressors)
        return tuple(sorted(events, key=lambda event: event.start_h))

    def rating_times(self) -> tuple[float, ...]:
        """Return the visits at which scales are rated, h.

        Without ``ratings`` in the file: 24 h after the first dose (after time 0 where there is none), then weekly from
        the first dose, and at the horizon.
        """
        if self.ratings is not None:
            return distinct_times(self.ratings, "ratings")
        return resolution.default_ratings(self)
