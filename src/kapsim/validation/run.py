"""Hold the model against observed records: each regimen simulated once, each record scored or told why not."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kapsim.errors import InputError
from kapsim.evidence import Parameter, load_evidence, load_observed, load_parameters
from kapsim.evidence.calibration import load_calibration, moved
from kapsim.evidence.registry import load_priors
from kapsim.evidence.schema import ObservedRecord, Point
from kapsim.kinetic_sets import DEFAULT, kinetic_set
from kapsim.mechanisms.pharmacokinetics import S_SHARE
from kapsim.mechanisms.switches import VARIANTS
from kapsim.model import variant_switches
from kapsim.validation.arms import Answers, Arm, Settings, Want, collect
from kapsim.validation.domains import DOMAINS, domain_of, is_contested, weakness
from kapsim.validation.figures import Subject, figure, points_to_score
from kapsim.validation.groups import DRAWS, PATIENTS, group_key
from kapsim.validation.independence import (
    StudyName,
    fitted_studies,
    independence_of,
    record_study,
    source_studies,
    study_name,
)
from kapsim.validation.predictive import Predicted, predict
from kapsim.validation.regimens import NotSimulableError, masking_of, study_drugs, treatment
from kapsim.validation.scoring import PointScore, RecordScore

#: Switches of ketamine on cytokines: signs of the immune domain are told for each.
CYTOKINE_VARIANTS = ("cytokines_off", "fast_tnf", "slow_down", "il6_up")
#: Weight at which a dose per body weight is compared with others, kg: the convention of the evidence files.
_USUAL_KG = 70.0
_STATE = "its only figures are of the state before treatment, which a patient is made from"


@dataclass(frozen=True)
class Validation:
    """What came of holding the model against records.

    Parameters
    ----------
    records : tuple of RecordScore
        In the order of the files.
    variants : mapping of str to tuple of RecordScore
        Records of the immune domain under each setting of ketamine on cytokines.
    failures : tuple of str
        Arms whose simulation broke down: study, patient and time.
    settings : mapping of str to str
        What reproduces it.
    """

    records: tuple[RecordScore, ...]
    variants: Mapping[str, tuple[RecordScore, ...]]
    failures: tuple[str, ...]
    settings: Mapping[str, str]


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


def validate(
    records: Sequence[ObservedRecord] | None = None,
    *,
    variant: str = "standard",
    kinetics: str = "default",
    seed: int = 0,
    only: str | None = None,
    study: str | None = None,
    hold_out: bool = True,
    parameters: Mapping[str, Parameter] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Validation:
    """Simulate the regimen of each record in a matching virtual group and score what it predicts.

    Parameters
    ----------
    records : sequence of ObservedRecord, optional
        By default the shipped ones.
    variant : str
        Setting of the contested links.
    kinetics : str
        Named kinetic parameter set.
    seed : int
        Root of all randomness.
    only : str, optional
        Score this domain alone; see `kapsim.validation.DOMAINS`.
    study : str, optional
        Score the records whose first author's name begins so (any case).
    hold_out : bool
        Whether to predict concentrations also by the calibration that was made without their study. It is of the
        default kinetics and of the shipped records; elsewhere nothing is held out.
    parameters : mapping of str to Parameter, optional
        Registry to simulate with, by default the shipped one.
    progress : callable, optional
        Called with a short text at each stage.

    Returns
    -------
    Validation

    Raises
    ------
    InputError
        For an unknown variant, kinetics or domain, or where no record is left.
    """
    from kapsim.simulation import provenance

    variant_switches(variant)
    kinetic_set(kinetics)
    given = load_observed() if records is None else list(records)
    registry = load_parameters() if parameters is None else dict(parameters)
    cases = chosen(prepare(given, registry), only, study)
    settings = Settings(registry, variant, kinetics, seed)
    scored, failures = run(cases, settings, progress)
    if hold_out and parameters is None and kinetics == DEFAULT:
        scored = held_out(cases, scored, settings, progress)
    by_variant = {}
    immune = [case for case in cases if case.frame.domain == "immune" and case.frame.status != "cannot"]
    if immune:
        own = {case.record.id for case in immune}
        for name in CYTOKINE_VARIANTS:
            same = VARIANTS[name] == VARIANTS[variant]
            again = scored if same else run(immune, replace(settings, variant=name), progress)[0]
            by_variant[name] = tuple(score for score in again if score.id in own)
    return Validation(
        records=tuple(scored),
        variants=by_variant,
        failures=tuple(failures),
        settings={**provenance(variant, seed, DRAWS * PATIENTS), "kinetics": kinetics},
    )


def prepare(records: Sequence[ObservedRecord], parameters: Mapping[str, Parameter]) -> list[Case]:
    """Return each record with its arm, its domain and its class of independence.

    Parameters
    ----------
    records : sequence of ObservedRecord
    parameters : mapping of str to Parameter
        Parameters in use.
    """
    drugs, sources, fitted = study_drugs(records), source_studies(parameters), fitted_studies(parameters)
    labels = study_labels(records)
    found = []
    for record in records:
        study, independence = record_study(record), independence_of(record, fitted, sources)
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
            arm = Arm(study, group_key(record.group), done)
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
                figure(subject, point, _blank)
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
        hours_since_dose=tuple(_since_dose(record, point) for point in points),
    )
    return Case(record, subject if reason is None else None, tuple(points), frame)


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


def chosen(cases: Iterable[Case], only: str | None, study: str | None) -> list[Case]:
    """Return the cases of one domain and of one author, where these are named.

    Raises
    ------
    InputError
        For an unknown domain, or where no record is left.
    """
    from kapsim.units import nearest

    if only is not None and only not in DOMAINS:
        close = nearest(only, DOMAINS)
        hint = f"did you mean {close!r}?" if close else f"it is one of {', '.join(DOMAINS)}"
        raise InputError(f"--only: no domain {only!r}; {hint}")
    kept = [
        case
        for case in cases
        if (only is None or case.frame.domain == only)
        and (study is None or case.record.study.author.lower().startswith(study.strip().lower()))
    ]
    if not kept:
        raise InputError(
            "no record is left to score"
            + (f"; no study by {study!r}" if study is not None else "")
            + (f"; none in the domain {only!r}" if only is not None else "")
        )
    return kept


def run(
    cases: Sequence[Case], settings: Settings, progress: Callable[[str], None] | None = None
) -> tuple[list[RecordScore], list[str]]:
    """Simulate what the cases need and score them.

    Parameters
    ----------
    cases : sequence of Case
    settings : Settings
    progress : callable, optional

    Returns
    -------
    tuple of list of RecordScore and list of str
        A score for every case, in order, and the failures of the solver.
    """
    requests: list[tuple[Arm, Want]] = []

    def note(arm: Arm, want: Want) -> np.ndarray:
        requests.append((arm, want))
        return _blank(arm, want)

    for case in cases:
        if case.subject is not None:
            for point in case.points:
                figure(case.subject, point, note)
    answers = Answers(settings, collect(requests), progress)
    return [_scored(case, answers, settings.seed) for case in cases], answers.failures


def held_out(
    cases: Sequence[Case],
    scored: Sequence[RecordScore],
    settings: Settings,
    progress: Callable[[str], None] | None = None,
) -> list[RecordScore]:
    """Return scores with, for each record that was fitted, its prediction by the calibration without its study.

    Parameters
    ----------
    cases : sequence of Case
    scored : sequence of RecordScore
        Scores of the same cases.
    settings : Settings
    progress : callable, optional
    """
    calibration, priors = load_calibration(), load_priors()
    found = {score.id: score for score in scored}
    for left_out in calibration.leave_one_study_out:
        own = [case for case in cases if case.record.id in left_out.records and found[case.record.id].points]
        for case in own:
            if (reason := left_out.not_testable.get(case.record.id)) is not None:
                found[case.record.id] = replace(found[case.record.id], not_testable=reason)
        own = [case for case in own if case.record.id not in left_out.not_testable]
        if not own:
            continue
        without = {**priors, **moved(priors, left_out.parameters, ())}
        again, _ = run(own, replace(settings, parameters=without), progress)
        for score in again:
            found[score.id] = replace(found[score.id], held_out=score.points)
    return [found[score.id] for score in scored]


def _blank(arm: Arm, want: Want) -> np.ndarray:
    """Answer with ones, while only what is wanted is being noted."""
    return np.ones((DRAWS, PATIENTS, max(len(want.hours), 1)))


def _scored(case: Case, answers: Answers, seed: int) -> RecordScore:
    if case.subject is None:
        return case.frame
    points = []
    try:
        for number, point in enumerate(case.points):
            found = figure(case.subject, point, answers)
            predicted = predict(found, people_per_arm(case.record, point), seed, f"{case.record.id}:{number}")
            if not math.isfinite(predicted.centre):
                raise NotSimulableError("nobody in the virtual group enters the phase that it is about")
            points.append(_point(point, predicted, found.scale))
    except NotSimulableError as refusal:
        return replace(case.frame, status="cannot", reason=str(refusal))
    return replace(case.frame, points=tuple(points))


def _point(point: Point, predicted: Predicted, scale: str) -> PointScore:
    return PointScore(
        time_h=point.time_h,
        observed=point.value,
        predicted=predicted.centre,
        low=predicted.low,
        high=predicted.high,
        sd=predicted.sd,
        sampling_sd=predicted.sampling_sd,
        scale=scale,
    )


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
