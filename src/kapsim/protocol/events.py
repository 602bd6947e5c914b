"""What a protocol comes down to: dated events in hours, ready for the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from kapsim.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "CoMedicationEvent",
    "DoseEvent",
    "Place",
    "PracticeLevel",
    "Regimen",
    "SessionEvent",
    "StressorEvent",
    "occasions",
]

Place = Literal["preparation", "in_session", "integration", "standalone"]


@dataclass(frozen=True)
class DoseEvent:
    """One dose.

    Attributes
    ----------
    drug, route : str
        As in the file.
    amount : float
        In `unit`; ketamine base; 0 for a control without drug.
    unit : str
        ``"mg"`` or ``"mg/kg"``; ``"ng/mL"`` for the plasma concentration that a target-controlled infusion aims at.
    start_h, duration_h : float
        In hours; a duration of 0 is a bolus or any route but iv.
    form : str
        ``"immediate"``, or ``"extended_release"`` for a tablet that releases over hours.
    amounts : ndarray, shape (patient,), optional
        In `unit`, where each person of a sample is given another amount at the same time; `amount` is then of no one.
    """

    drug: str
    route: str
    amount: float
    unit: str
    start_h: float
    duration_h: float
    form: str = "immediate"
    amounts: npt.NDArray[np.float64] | None = field(default=None, compare=False)

    @property
    def end_h(self) -> float:
        """End of the infusion, h."""
        return self.start_h + self.duration_h

    @property
    def is_target(self) -> bool:
        """Whether the amount is a concentration to hold rather than a dose."""
        return self.unit == "ng/mL"

    @property
    def pathway(self) -> str:
        """The route as kinetics know it, which depends on the form as well."""
        return self.route if self.form == "immediate" else f"{self.route}_{self.form}"

    def milligrams(self, weight_kg: float) -> float:
        """Return the dose in mg for a person of `weight_kg`."""
        if not weight_kg > 0:
            raise InputError(f"a weight of {weight_kg:g} kg is not possible; give a weight above 0")
        if self.is_target:
            raise InputError(
                f"a target of {self.amount:g} {self.unit} is no dose in mg: the pump makes one for each patient; "
                "see 'ketamine_given' of a simulation"
            )
        return self.amount * weight_kg if self.unit == "mg/kg" else self.amount


@dataclass(frozen=True)
class SessionEvent:
    """One therapy session; times in hours, `place` relative to a dose or standalone."""

    kind: str
    start_h: float
    duration_h: float
    place: Place

    @property
    def end_h(self) -> float:
        """End of the session, h."""
        return self.start_h + self.duration_h


@dataclass(frozen=True)
class CoMedicationEvent:
    """Another medicine present from `start_h` to `end_h`, in hours."""

    drug: str
    start_h: float
    end_h: float


@dataclass(frozen=True)
class StressorEvent:
    """A stressful time: hours, and intensity from 0 to 1."""

    start_h: float
    duration_h: float
    intensity: float


class PracticeLevel(NamedTuple):
    """Corrective experience between sessions: share of a session's intensity (0 to 1), from and to in hours."""

    level: float
    start_h: float
    end_h: float


class Regimen(Protocol):
    """What a course is laid out from: a protocol, or anything else that comes down to dated events."""

    @property
    def horizon_h(self) -> float:
        """End of the simulated time, h."""
        ...

    @property
    def masking(self) -> str:
        """What the patient is blinded against."""
        ...

    @property
    def practice(self) -> PracticeLevel | None:
        """Practice between sessions."""
        ...

    def dose_events(self) -> tuple[DoseEvent, ...]:
        """Return every dose, by start."""
        ...

    def session_events(self) -> tuple[SessionEvent, ...]:
        """Return every therapy session, by start."""
        ...

    def co_medications(self) -> tuple[CoMedicationEvent, ...]:
        """Return the other medicines."""
        ...

    def stressor_events(self) -> tuple[StressorEvent, ...]:
        """Return the stressful times, by start."""
        ...

    def rating_times(self) -> tuple[float, ...]:
        """Return the visits at which scales are rated, h."""
        ...


def occasions(starts: Iterable[float]) -> int:
    """Return the number of occasions of doses at `starts` (h): those within an hour of each other are one."""
    times = sorted(starts)
    return sum(1 for k, time in enumerate(times) if k == 0 or time - times[k - 1] > 1.0)
