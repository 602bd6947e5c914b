"""Domain of a record, and whether its observable is contested."""

from __future__ import annotations

from kapsim.evidence.schema import ObservedRecord
from kapsim.validation.regimens import Treatment

PLASMA = tuple(f"plasma_{route}" for route in ("iv", "im", "sc", "intranasal", "sublingual", "oral", "inhaled"))
DOMAINS = (
    *PLASMA, "acute", "glutamate", "plasticity", "brain", "immune", "mind", "mood_single", "mood_repeated", "relapse",
    "therapy",
)  # fmt: skip
"""Every domain, in the order of the chain."""

_BY_PREFIX = {
    "csf": "plasma_iv",
    "receptor": "glutamate",
    "glutamate": "glutamate",
    "firing": "glutamate",
    "eeg": "brain",
    "plasticity": "plasticity",
    "dmn": "brain",
    "brain": "brain",
    "immune": "immune",
    "mind": "mind",
    "acute": "acute",
    "safety": "acute",
}
#: Observables on which the published record itself disagrees (see docs/story.md).
_CONTESTED = ("dmn.", "brain.global_connectivity", "glutamate.glx", "glutamate.glu", "plasticity.bdnf_blood", "immune.")


def domain_of(record: ObservedRecord, treatment: Treatment | None) -> str:
    """Return the domain in which a record is scored.

    Parameters
    ----------
    record : ObservedRecord
    treatment : Treatment or None
        What its arm received, None where the model has no word for it.
    """
    prefix = record.outcome.observable.split(".")[0]
    if prefix == "plasma":
        routes = [dose.route for dose in record.regimen.doses]
        # what is measured after a second dose belongs to that dose
        route = routes[-1] if routes else "iv"
        return f"plasma_{route}" if f"plasma_{route}" in PLASMA else "plasma_iv"
    if prefix in _BY_PREFIX:
        return _BY_PREFIX[prefix]
    definition = (record.outcome.definition or "").lower()
    if record.outcome.statistic in ("relapse", "hazard_ratio", "median_time") or "still in response" in definition:
        return "relapse"
    if record.regimen.therapy or record.outcome.against == "usual_care" or not record.regimen.doses:
        return "therapy"
    occasions = treatment.occasions if treatment is not None else len(record.regimen.doses[0].at_h)
    visits = {time for dose in record.regimen.doses for time in dose.at_h}
    return "mood_repeated" if max(occasions, len(visits)) > 1 else "mood_single"


def weakness(record: ObservedRecord) -> str | None:
    """Return why a figure depends on something that its source does not say, more than on the kinetics.

    The peak of a bolus is whatever the first sample happened to catch, and an area without its window may be any part
    of the whole. Such records are scored but not fitted.

    Parameters
    ----------
    record : ObservedRecord
    """
    statistic, doses = record.outcome.statistic, record.regimen.doses
    if not record.outcome.observable.startswith("plasma."):
        return None
    if statistic == "cmax" and any(dose.route == "iv" and dose.duration_min == 0 for dose in doses):
        return "the peak of a bolus hangs on when the first sample was drawn"
    whole = "inf" in (record.outcome.definition or "")
    if statistic == "auc" and not whole and all(point.time_h is None for point in record.points):
        return "no source gives the window of the area"
    return None


def is_contested(observable: str) -> bool:
    """Whether studies of an observable contradict each other."""
    return observable.startswith(_CONTESTED)
