"""The arm that a record compares its own with."""

from __future__ import annotations

from kapsim.evidence.schema import ObservedRecord
from kapsim.validation.arms import Arm
from kapsim.validation.regimens import (
    NotSimulableError,
    untreated,
    without_drug,
    without_interaction,
    without_therapy,
)
from kapsim.validation.subject import Subject


def comparison(subject: Subject, against: str | None) -> Arm | None:
    """Return the arm that a record compares with; None where it is the arm itself at another time."""
    own = subject.arm.treatment
    if against in (None, "baseline", "before") or (against or "").split()[0].isdigit():
        return None
    if against in ("placebo", "midazolam"):
        return subject.other(without_drug(own, str(against)))
    if against == "healthy":
        return subject.other(untreated(own), healthy=True)
    if against in ("usual_care", "no_therapy"):
        return subject.other(without_therapy(own))
    if against == "control":
        return subject.other(without_interaction(own))
    if against == "saline_asat":
        return subject.other(without_drug(own, "placebo"))
    if against in ("sham_or_saline", "other_arms"):
        return subject.other(without_therapy(own, sham=True))
    raise NotSimulableError(f"the comparison with {against!r} is between people whom nothing in the record tells apart")


def is_crossover(record: ObservedRecord) -> bool:
    """Whether the arms of a study are of the same people."""
    design = record.study.design.lower()
    return "crossover" in design or "cross-over" in design or "within" in design
