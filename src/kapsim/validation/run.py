"""Hold the model against observed records: each regimen simulated once, each record scored or told why not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kapsim.errors import InputError
from kapsim.evidence import Parameter, load_observed, load_parameters
from kapsim.evidence.calibration import every_left_out, moved
from kapsim.evidence.registry import load_priors
from kapsim.evidence.schema import ObservedRecord, Point
from kapsim.kinetic_sets import DEFAULT, kinetic_set
from kapsim.mechanisms.switches import VARIANTS
from kapsim.model import variant_switches
from kapsim.validation.arms import Answers, Arm, Settings, Want, collect
from kapsim.validation.cases import Case, blank, people_per_arm, prepare
from kapsim.validation.domains import DOMAINS
from kapsim.validation.figures import figure
from kapsim.validation.groups import DRAWS, PATIENTS
from kapsim.validation.predictive import Predicted, predict
from kapsim.validation.regimens import NotSimulableError
from kapsim.validation.scoring import PointScore, RecordScore
from kapsim.validation.spreads import Spread, spread

#: Switches of ketamine on cytokines: signs of the immune domain are told for each.
CYTOKINE_VARIANTS = ("cytokines_off", "fast_tnf", "slow_down", "il6_up")


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
        return blank(arm, want)

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
    priors, parameters = load_priors(), load_parameters()
    found = {score.id: score for score in scored}
    for left_out in every_left_out():
        own = [case for case in cases if case.record.id in left_out.records and found[case.record.id].points]
        for case in own:
            if (reason := left_out.not_testable.get(case.record.id)) is not None:
                found[case.record.id] = replace(found[case.record.id], not_testable=reason)
        own = [case for case in own if case.record.id not in left_out.not_testable]
        if not own:
            continue
        without = {**parameters, **moved(priors, left_out.parameters, ())}
        again, _ = run(own, replace(settings, parameters=without), progress)
        for score in again:
            found[score.id] = replace(found[score.id], held_out=score.points)
    return [found[score.id] for score in scored]


def _scored(case: Case, answers: Answers, seed: int) -> RecordScore:
    if case.subject is None:
        return case.frame
    points = []
    try:
        for number, point in enumerate(case.points):
            found = figure(case.subject, point, answers)
            people, key = people_per_arm(case.record, point), f"{case.record.id}:{number}"
            predicted = predict(found, people, seed, key)
            if not math.isfinite(predicted.centre):
                raise NotSimulableError("nobody in the virtual group enters the phase that it is about")
            around = spread(case.subject, point, found, people, seed, key)
            points.append(_point(point, predicted, found.scale, around))
    except NotSimulableError as refusal:
        return replace(case.frame, status="cannot", reason=str(refusal))
    return replace(case.frame, points=tuple(points))


def _point(point: Point, predicted: Predicted, scale: str, around: Spread | None) -> PointScore:
    return PointScore(
        time_h=point.time_h,
        observed=point.value,
        predicted=predicted.centre,
        low=predicted.low,
        high=predicted.high,
        sd=predicted.sd,
        sampling_sd=predicted.sampling_sd,
        scale=scale,
        spread=around,
    )
