"""Figure of a record → the same figure of the model: which numbers it needs of each patient, and how they are joined.

A figure is asked for twice: once with a recorder that only notes what it wants of which arm, once with the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import load_parameters
from kapsim.evidence.schema import Point
from kapsim.results import VARIABLES
from kapsim.validation.arms import RATED, Arm, Want
from kapsim.validation.comparisons import comparison, is_crossover
from kapsim.validation.exposures import between_studies, exposure, plasma_variable, residual_error
from kapsim.validation.joining import PERCENT, central_of, percent, ratio_of_means, standardised
from kapsim.validation.observables import Observable
from kapsim.validation.regimens import NotSimulableError
from kapsim.validation.shares import is_sustained, relapse, share
from kapsim.validation.study_effect import shared_by_ratings
from kapsim.validation.subject import Ask, Figure, Subject, is_concentration, unit_factor

__all__ = ["Figure", "Subject", "figure", "points_to_score"]

Array = NDArray[np.float64]

#: Variables that are changes from rest, so that 0 is the state before.
_CHANGES = frozenset(
    {"systolic_pressure", "diastolic_pressure", "mean_arterial_pressure", "heart_rate", "cardiac_output"}
)
_EXPOSURE = frozenset({"cmax", "tmax", "auc", "clearance", "volume", "half_life", "bioavailability"})


def figure(subject: Subject, point: Point, ask: Ask) -> Figure:
    """Return the model's figure for a point of a record.

    Parameters
    ----------
    subject : Subject
    point : Point
    ask : callable
        From (arm, want) to an array of shape (draw, patient, hours).

    Raises
    ------
    NotSimulableError
        Where the model cannot say it.
    """
    found = _figure(subject, point, ask)
    if subject.observable.variable not in RATED or found.scale == "sign":
        return found
    return found._replace(shared=shared_by_ratings(lambda moved: _figure(subject, point, moved), ask))


def _figure(subject: Subject, point: Point, ask: Ask) -> Figure:
    record, observable = subject.record, subject.observable
    statistic = record.outcome.statistic
    if statistic == "correlation":
        raise NotSimulableError("a correlation between persons needs traits that no record fixes")
    if statistic == "ratio" and is_concentration(observable):
        return exposure(subject, point, ask)
    if statistic in _EXPOSURE:
        # a time of peak and a ratio within people owe nothing to the assay
        return exposure(subject, point, ask)._replace(shared=0.0 if statistic == "tmax" else between_studies())
    if statistic in ("relapse", "hazard_ratio", "median_time") or is_sustained(record):
        return relapse(subject, point, ask)
    if statistic in ("response", "remission", "odds_ratio"):
        return share(subject, point, ask)
    if statistic == "fraction":
        raise NotSimulableError(f"the model has no threshold for '{record.outcome.definition or 'this share'}'")
    if point.time_h is None:
        raise NotSimulableError("no source gives its time")
    shared = between_studies() if is_concentration(observable) else 0.0
    return _level(subject, point, ask)._replace(relative=not _in_units(observable), shared=shared)


def _level(subject: Subject, point: Point, ask: Ask) -> Figure:
    record, observable = subject.record, subject.observable
    outcome = record.outcome
    statistic, against = outcome.statistic, outcome.against
    assert point.time_h is not None
    time = point.time_h
    flip = -1.0 if (outcome.definition or "").lower().startswith("benefit positive") else 1.0
    flip *= observable.direction
    noise = _noise(observable)
    concentration = is_concentration(observable)
    variable = plasma_variable(subject)
    if (observable.relative or observable.direction < 0) and statistic not in ("standardised_difference", "sign"):
        raise NotSimulableError("the model's unit for it is not the record's; only signs and effect sizes compare")
    scale = 1.0
    if not concentration and statistic in ("mean", "change", "difference"):
        scale = unit_factor(VARIABLES[variable][1], outcome.unit)
    if statistic == "mean" and variable in _CHANGES:
        raise NotSimulableError("the model has its change from rest, not its level")

    def at(arm: Arm, hour: float) -> Array:
        return ask(arm, Want(variable, "at", (hour,)))[..., 0]

    central = central_of(outcome.central)
    if statistic == "mean":
        values = at(subject.arm, time)
        if concentration:
            factor = unit_factor("ng/mL", outcome.unit)
            return Figure((values * factor,), central, "log", True, (residual_error(variable),))
        return Figure((values * scale,), central, "points", True, (noise * scale,))
    if statistic in ("change", "percent_change", "ratio_to_baseline") and against in ("baseline", "before"):
        return _change(subject, time, at, central, noise, scale)
    other = comparison(subject, against)
    if other is None:
        # within the arm: against its own state before, or at the hour that the record names
        before = float(against.split()[0]) if against and against.split()[0].isdigit() else 0.0
        parts, paired = (at(subject.arm, time), at(subject.arm, before)), True
    else:
        paired = is_crossover(record) and against != "healthy"
        parts = (at(subject.arm, time), at(other, time))
    if statistic in ("percent_change", "ratio_to_baseline", "ratio"):
        if statistic == "percent_change":
            return Figure(parts, percent, "percent", paired, (noise, noise))
        return Figure(parts, ratio_of_means, "log", paired, (noise, noise))
    if statistic == "standardised_difference":
        return Figure(parts, lambda a, b: flip * standardised(a, b), "effect", paired, (noise, noise))
    if statistic == "sign":
        return Figure(parts, lambda a, b: flip * (a - b).mean(axis=-1), "sign", paired, (noise, noise))
    if statistic in ("difference", "change"):
        if observable.variable in RATED and other is not None:
            parts = (parts[0] - at(subject.arm, 0.0), parts[1] - at(other, 0.0))
        flip *= scale
        return Figure(parts, lambda a, b: flip * (a.mean(axis=-1) - b.mean(axis=-1)), "points", paired, (noise, noise))
    raise NotSimulableError(f"no figure of the model corresponds to the statistic {statistic!r} against {against!r}")


def _change(
    subject: Subject,
    time: float,
    at: Callable[[Arm, float], Array],
    central: Callable[..., Array],
    noise: float,
    scale: float,
) -> Figure:
    statistic, variable = subject.record.outcome.statistic, subject.observable.variable
    after = at(subject.arm, time)
    if variable in _CHANGES:
        if statistic == "change":
            return Figure((after * scale,), central, "points", True, (noise * scale,))
        if variable != "cardiac_output":
            raise NotSimulableError("the model has its change from rest, not its level")
        if statistic == "percent_change":
            return Figure((after,), central, "percent", True, (noise,))
        return Figure((1.0 + after / PERCENT,), central, "log", True, (noise / PERCENT,))
    before = at(subject.arm, 0.0)
    if statistic == "change":
        return Figure((after, before), lambda a, b: scale * central(a - b), "points", True, (noise, noise))
    if statistic == "percent_change":
        return Figure((after, before), percent, "percent", True, (noise, noise))
    return Figure((after, before), ratio_of_means, "log", True, (noise, noise))


def _noise(observable: Observable) -> float:
    return load_parameters()[observable.noise].value if observable.noise else 0.0


def _in_units(observable: Observable) -> bool:
    """Whether the noise of a measurement is in the observable's own unit, and not a share of its level."""
    return bool(observable.noise) and load_parameters()[observable.noise].unit != "1"


def points_to_score(points: Sequence[Point]) -> list[Point]:
    """Return the points after time zero, and those without a time: what lies before is what a group is made from."""
    return [point for point in points if point.time_h is None or point.time_h > 0.0]
