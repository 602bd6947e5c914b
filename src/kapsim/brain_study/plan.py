"""What a study of the cortex compares: the arms, how people are scanned, and the states of their cortex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import drawn_under
from kapsim.brain.fixed_point import FixedPoint, follow, rest
from kapsim.brain.mean_field import MeanField
from kapsim.brain.regions import Regions
from kapsim.brain.states import CorticalStates, block_hours, cortical_states, one_of
from kapsim.errors import FixedPointError, InputError
from kapsim.file_model import Quantity
from kapsim.kinetic_sets import DEFAULT
from kapsim.patient import Patient
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import Protocol
from kapsim.protocol.schema import TARGETABLE
from kapsim.simulation import simulate_people

Array = NDArray[np.float64]

#: Fixed points by arm, hour and person.
Points = Mapping[str, Sequence[Sequence[FixedPoint | None]]]

ARMS = ("placebo", "drug")


@dataclass(frozen=True)
class Scan:
    """How people are scanned.

    Attributes
    ----------
    minutes : float
        Length of a scan.
    repetition_s : float
        Repetition time, s.
    global_signal : bool
        False removes it by regression.
    engine : str
        As in `kapsim.brain.simulate`.
    """

    minutes: float = 8.0
    repetition_s: float = 2.0
    global_signal: bool = True
    engine: str = "auto"

    def __post_init__(self) -> None:
        if not 0.0 < self.repetition_s <= 10.0:
            raise InputError(f"a TR of {self.repetition_s:g} s is out of range; give one above 0 and up to 10 s")
        if not self.repetition_s * 32.0 <= self.minutes * 60.0 <= 6 * 3600.0:
            raise InputError(
                f"a scan of {self.minutes:g} min is out of range at a TR of {self.repetition_s:g} s; give at least "
                f"{self.repetition_s * 32.0 / 60.0:.3g} min (32 volumes) and at most 360"
            )

    @property
    def duration_s(self) -> float:
        """Length in whole volumes, s."""
        return round(self.minutes * 60.0 / self.repetition_s) * self.repetition_s


def placebo_of(protocol: Protocol) -> Protocol:
    """Return the same protocol with saline in the place of every drug that is given as a dose."""
    nothing = Quantity(0.0, "mg")
    doses = tuple(dose.model_copy(update={"drug": "saline", "amount": nothing}) for dose in protocol.doses)
    return protocol.model_copy(update={"doses": doses})


def check_study(protocol: Protocol, hours: Sequence[float]) -> None:
    """Raise InputError where a protocol gives no ketamine, or an hour lies outside it."""
    if not any(dose.drug in TARGETABLE for dose in protocol.dose_events()):
        raise InputError(
            f"{protocol.name}: gives no ketamine, so that there is nothing to compare with placebo; give a protocol "
            f"with {', '.join(TARGETABLE)}"
        )
    if not len(hours):
        raise InputError("no hours to scan at; give at least one")
    for hour in hours:
        if not 0.0 <= hour <= protocol.horizon_h:
            raise InputError(
                f"{protocol.name}: {hour:g} h is outside the protocol, which runs from 0 to {protocol.horizon_h:g} h"
            )


def study_states(
    protocol: Protocol,
    hours: Sequence[float],
    *,
    patient: Patient | None = None,
    subjects: int = 4,
    seed: int = 0,
    spread: bool = True,
    variant: str = "standard",
    kinetics: str = DEFAULT,
) -> tuple[People, dict[str, CorticalStates]]:
    """Return the people of a study and the states of their cortex under placebo and drug.

    Parameters
    ----------
    protocol : Protocol
    hours : sequence of float
        Hours from the start of the protocol.
    patient : Patient, optional
        What is known of the people; the rest is drawn.
    subjects : int
    seed : int
    spread : bool
        False takes the typical person, as often as there are subjects: they differ in noise alone.
    variant, kinetics : str
        As in `kapsim.simulate`.

    Returns
    -------
    tuple of People and dict of str to CorticalStates
        By the names of `ARMS`.

    Raises
    ------
    InputError
        As `check_study` raises, and for a number of subjects that cannot be.
    """
    check_study(protocol, hours)
    people = drawn_under(variant, lambda own: sample_people(patient, subjects, seed, spread=spread, parameters=own))
    depressed = patient is None or patient.diagnosis != "healthy"
    taken = [(item.start_h, item.end_h) for item in protocol.co_medications() if item.drug == "benzodiazepine"]
    at = block_hours([dose.start_h for dose in protocol.dose_events()], hours, protocol.horizon_h)
    states = {}
    for arm, plan in zip(ARMS, (placebo_of(protocol), protocol), strict=True):
        results = simulate_people(plan, people, patient, variant=variant, kinetics=kinetics, seed=seed, at=at)
        states[arm] = cortical_states(results, people, hours, depressed=depressed, benzodiazepine_h=taken)
    return people, states


def settled(
    states: CorticalStates, hour: int, coupling: Array, regions: Regions, field: MeanField
) -> list[FixedPoint | None]:
    """Return the fixed point of each person at an hour, None where the low branch does not lead there."""
    start, held = states.resting(hour, coupling, regions, field), states.held(hour, coupling, regions, field)
    end = states.inputs(hour, coupling, regions, field, held=held)
    found: list[FixedPoint | None] = []
    for person in range(states.size):
        try:
            if np.isnan(held[person]):
                raise FixedPointError("the low branch does not reach this person's own rest")
            found.append(follow(rest(field, coupling, one_of(start, person)), one_of(end, person)))
        except FixedPointError:
            found.append(None)
    return found
