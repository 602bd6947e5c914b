"""Records made ready: arm, domain and independence of each, what is asked of it, or why nothing can be."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import Parameter, load_evidence, load_parameters
from kapsim.evidence.schema import ObservedRecord, Point
from kapsim.mechanisms.pharmacokinetics import S_SHARE
from kapsim.validation.arms import Arm, Want
from kapsim.validation.domains import domain_of, is_contested, weakness
from kapsim.validation.figures import Subject, figure, points_to_score
from kapsim.validation.groups import DRAWS, PATIENTS, chosen_by_score, group_key
from kapsim.validation.independence import (
    StudyName,
    fitted_records,
    fitted_studies,
    independence_of,
    record_study,
    source_studies,
    study_name,
)
from kapsim.validation.regimens import NotSimulableError, masking_of, study_drugs, treatment
from kapsim.validation.scoring import RecordScore

#: Weight at which a dose per body weight is compared with others, kg: the convention of the evidence files.
_USUAL_KG = 70.0
_STATE = "its only figures are of the state before treatment, which a patient is made from"


@dataclass(frozen=True)
class Case:
    """A record made ready: what is asked of which arm, or why nothing can be.

    Parameters
    ----------
    record : ObservedRecord
    subject : Subject or None
    points : tuple of Point
        Those that are scored.
    frame : RecordScore
        What is known before any simulation; `status` 'cannot' with the reason where nothing can be asked.
    """

    record: ObservedRecord
    subject: Subject | None
    points: tuple[Point, ...]
    frame: RecordScore


def prepare(records: Sequence[ObservedRecord], parameters: Mapping[str, Parameter]) -> list[Case]:
    """Return each record with its arm, its domain and its class of independence.

    Parameters
    ----------
    records : sequence of ObservedRecord
    parameters : mapping of str to Parameter
        Parameters in use.
    """
    drugs, sources, fitted = study_drugs(records), source_studies(parameters), fitted_studies(parameters)
    labels, taken = study_labels(records), fitted_records(parameters)
    found = []
    for record in records:
        study, independence = record_study(record), independence_of(record, fitted, sources, taken)
        found.append(_prepare(record, labels[study], drugs[study], parameters, independence))
    return found


def study_labels(records: Iterable[ObservedRecord]) -> dict[StudyName, str]:
    """Return a name for each study: author and year, and a letter where two studies share both.

    Parameters
    ----------
    records : iterable of ObservedRecord
    """
    named: dict[str, list[StudyName]] = {}
    for record in records:
        same = named.setdefault(f"{record.study.author} {record.study.year or 'n.d.'}", [])
        if record_study(record) not in same:
            same.append(record_study(record))
    return {
        study: label + ("" if len(studies) == 1 else string.ascii_lowercase[k % 26])
        for label, studies in named.items()
        for k, study in enumerate(studies)
    }


def _prepare(
    record: ObservedRecord,
    study: str,
    drugs: set[str],
    parameters: Mapping[str, Parameter],
    independence: str,
) -> Case:
    arm: Arm | None = None
    caveats: tuple[str, ...] = ()
    reason: str | None = None
    if record.use == "none":
        reason = _not_simulated(record)
    else:
        try:
            done, caveats = treatment(record, masking_of(record, drugs))
            arm = Arm(study, group_key(record.group, chosen=chosen_by_score(record.study.design)), done)
        except NotSimulableError as refusal:
            reason = str(refusal)
    points = points_to_score(record.points)
    subject = Subject(record, arm) if arm is not None else None
    if subject is not None:
        try:
            subject.observable  # noqa: B018 - raises where the model has nothing for it
            if (own := own_input(record, parameters)) is not None:
                raise NotSimulableError(f"its figure is itself the parameter {own}")
            if not points:
                raise NotSimulableError(_STATE)
            for point in points:
                figure(subject, point, blank)
        except NotSimulableError as refusal:
            reason = str(refusal)
    doses = [dose for dose in record.regimen.doses if dose.drug in S_SHARE]
    frame = RecordScore(
        id=record.id,
        study=study,
        domain=domain_of(record, None if arm is None else arm.treatment),
        independence=independence,
        observable=record.outcome.observable,
        statistic=record.outcome.statistic,
        use=record.use,
        status="scored" if reason is None else "cannot",
        reason=reason,
        caveats=tuple(caveats),
        contested=is_contested(record.outcome.observable),
        weakness=weakness(record),
        unit=record.outcome.unit,
        definition=record.outcome.definition or "",
        route=record.regimen.doses[-1].route if record.regimen.doses else "none",
        dose_mg=_dose_mg(record),
        control=not doses,
        baseline=_baseline(record),
        hours_since_dose=tuple(_since_dose(record, point) for point in points),
    )
    return Case(record, subject if reason is None else None, tuple(points), frame)


def _baseline(record: ObservedRecord) -> float | None:
    """Return what was measured before treatment on the scale of the record's figures; None where it is not told."""
    before = [point.value for point in record.points if point.time_h is not None and point.time_h <= 0.0]
    given = record.group.baseline
    same = given.scale is not None and record.outcome.observable == f"scale.{given.scale}"
    return before[0] if before else given.mean if same else None


def own_input(record: ObservedRecord, parameters: Mapping[str, Parameter]) -> str | None:
    """Return the parameter that is nothing but the record's own figure, None where there is none.

    Parameters
    ----------
    record : ObservedRecord
    parameters : mapping of str to Parameter
        Parameters in use.
    """
    study, evidence = record_study(record), load_evidence()
    for identifier, parameter in parameters.items():
        status = parameter.status if parameter.prior is None else parameter.prior.status
        if status != "measured":
            continue
        source = evidence[parameter.sources[0]]
        origin = source.source
        if source.value is None or not study.same(study_name(origin.author, origin.year, origin.doi)):
            continue
        if source.unit == record.outcome.unit and all(point.value == source.value for point in record.points):
            return identifier
    return None


def _not_simulated(record: ObservedRecord) -> str:
    """Return why the record itself says that it cannot be simulated."""
    note = " ".join((record.note or "").split())
    after = note.partition("Not simulated")[2].lstrip(": ")
    return (after.split(". ")[0].rstrip(".") if after else "") or "the record says that it cannot be simulated"


def _dose_mg(record: ObservedRecord) -> float:
    """Return the ketamine of one occasion in mg, at 70 kg where the record gives no weight."""
    weight = record.group.weight_kg or _USUAL_KG
    total = 0.0
    for dose in record.regimen.doses:
        if dose.drug in S_SHARE and dose.unit != "ng/mL":
            hours = dose.duration_min / 60 if dose.unit.endswith("/h") else 1.0
            size = dose.amount * hours * (weight if "/kg" in dose.unit else 1.0)
            # devices a few minutes apart are one occasion, visits are not
            close = sum(1 for time in dose.at_h if time - dose.at_h[0] <= 1.0)
            total = max(total, size * close)
    return total


def _since_dose(record: ObservedRecord, point: Point) -> float | None:
    if point.time_h is None:
        return None
    times = [time for dose in record.regimen.doses for time in dose.at_h if time < point.time_h]
    return point.time_h - max(times, default=0.0)


def blank(arm: Arm, want: Want) -> NDArray[np.float64]:
    """Answer with ones, while only what is wanted is being noted."""
    return np.ones((DRAWS, PATIENTS, max(len(want.hours), 1)))


def people_per_arm(record: ObservedRecord, point: Point) -> int:
    """Return how many people stand behind a figure: as printed, else half of a study of two arms, else the usual 20.

    Parameters
    ----------
    record : ObservedRecord
    point : Point
    """
    if point.n is not None:
        return max(round(point.n), 1)
    if record.study.n is None:
        return round(load_parameters()["observation.usual_n"].value)
    design = record.study.design.lower()
    shared = "crossover" in design or "cross-over" in design or "within" in design or "pooled" in design
    two_arms = any(word in design for word in ("randomised", "blind", "placebo", "healthy comparison", "case-control"))
    return max(round(record.study.n / (2 if two_arms and not shared else 1)), 2)
