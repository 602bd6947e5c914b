"""Figures that count people: response, remission, odds; relapse of those who responded, and the time to it."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import load_parameters
from kapsim.evidence.schema import ObservedRecord, Point
from kapsim.scales import from_madrs
from kapsim.validation.arms import RATED, Arm, Want
from kapsim.validation.comparisons import comparison
from kapsim.validation.joining import PERCENT, hazard_ratio, median_time, odds_ratio, share_of
from kapsim.validation.observables import SIMULATED
from kapsim.validation.regimens import NotSimulableError, Treatment, without_drug
from kapsim.validation.subject import Ask, Figure, Subject, unit_factor

Array = NDArray[np.float64]

#: Scales with a cut of relapse.
_DEPRESSION = RATED - {"hama", "gad7"}
#: Hours between the visits that a figure about relapse or 'at any visit' looks at.
_WEEK = 168.0
#: First visits after a dose, where the record counts a response at any visit.
_EARLY_VISITS = (24.0, 72.0)


def share(subject: Subject, point: Point, ask: Ask) -> Figure:
    """Return a share of responders or remitters, or the odds ratio of two arms."""
    record = subject.record
    if subject.observable.variable not in RATED:
        raise NotSimulableError("response and remission are counted on a rating scale")
    if record.outcome.statistic == "odds_ratio":
        other = comparison(subject, record.outcome.against)
        if other is None:
            raise NotSimulableError("an odds ratio needs another arm")
        parts = (_counted(subject, subject.arm, point, ask), _counted(subject, other, point, ask))
        return Figure(parts, odds_ratio, "log", False, (0.0, 0.0))
    factor = unit_factor("1", record.outcome.unit) if record.outcome.unit in ("%", "1") else 0.0
    if not factor:
        raise NotSimulableError(f"a share in {record.outcome.unit!r} hangs on how many were treated")
    return Figure(
        (_counted(subject, subject.arm, point, ask),), lambda a: factor * a.mean(axis=-1), "share", True, (0.0,)
    )


def _counted(subject: Subject, arm: Arm, point: Point, ask: Ask) -> Array:
    """Return 1 for each person who counts as a responder or remitter at the point, else 0."""
    outcome = subject.record.outcome
    variable = subject.observable.variable
    definition = (outcome.definition or "").lower()
    if point.time_h is None:
        raise NotSimulableError("no source gives its time")
    hours: tuple[float, ...] = (point.time_h,)
    if "any visit" in definition or "any point" in definition or re.search(r"\bin \d+ weeks", definition):
        hours = _visits(arm.treatment, point.time_h)
    scores = ask(arm, Want(variable, "at", hours))
    before = ask(arm, Want(variable, "at", (0.0,)))
    if outcome.statistic == "remission":
        counted = _remitted(scores, definition, outcome.observable, variable)
    else:
        counted = _responded(scores, before, definition)
        if "total <=" in definition:
            counted = counted * _remitted(scores, definition, outcome.observable, variable)
    return np.asarray(counted.max(axis=-1))


def _visits(treatment: Treatment, end: float) -> tuple[float, ...]:
    weekly = np.arange(_WEEK, end + 1.0, _WEEK)
    return tuple(sorted({*(hour for hour in _EARLY_VISITS if hour < end), *(float(hour) for hour in weekly), end}))


def _responded(scores: Array, before: Array, definition: str) -> Array:
    found = re.search(r"(\d+) ?% fall", definition)
    fall = float(found.group(1)) / PERCENT if found else load_parameters()["mood.definition.response"].value
    return (scores <= (1.0 - fall) * before).astype(float)


def _remitted(scores: Array, definition: str, observable: str, variable: str) -> Array:
    if SIMULATED[observable].relative:
        raise NotSimulableError("no cut of remission is known for this form of the scale")
    found = re.search(r"total (<=|<) ?(\d+)", definition)
    if found:
        limit = float(found.group(2))
        return (scores < limit if found.group(1) == "<" else scores <= limit).astype(float)
    limit = load_parameters()["mood.definition.remission"].value
    if variable not in ("madrs", "hama", "gad7"):
        limit = float(from_madrs(variable, np.asarray([limit]))[0])
    elif variable != "madrs":
        raise NotSimulableError("no cut of remission is known for this scale")
    return (scores <= limit).astype(float)


def is_sustained(record: ObservedRecord) -> bool:
    """Whether a share is of those still in response."""
    return record.outcome.statistic == "fraction" and "still in response" in (record.outcome.definition or "").lower()


def relapse(subject: Subject, point: Point, ask: Ask) -> Figure:
    """Relapse of those who respond when the phase begins: at the record's zero, or when its second regimen starts."""
    record = subject.record
    statistic = record.outcome.statistic
    if subject.observable.variable not in _DEPRESSION:
        raise NotSimulableError("no cut of relapse is known on this scale")
    own = subject.arm.treatment
    end = point.time_h
    if end is None:
        if statistic in ("relapse", "fraction"):
            raise NotSimulableError("no source gives the length of the phase")
        end = own.end_h
    if statistic == "hazard_ratio":
        other = subject.other(stopped(own))
        parts = (*follow(subject, subject.arm, end, ask), *follow(subject, other, end, ask))
        return Figure(parts, hazard_ratio, "log", False, (0.0,) * len(parts))
    entered, lost, time = follow(subject, subject.arm, end, ask)
    if statistic == "median_time":
        factor = unit_factor("h", record.outcome.unit)
        return Figure((entered, lost, time * factor), median_time, "log", True, (0.0,) * 3)
    factor = unit_factor("1", record.outcome.unit)
    if statistic == "relapse":
        return Figure((entered, lost), lambda e, a: factor * share_of(a, e), "share", True, (0.0, 0.0))
    still = _still_responding(subject, end, ask)
    return Figure((entered, still), lambda e, a: factor * share_of(a, e), "share", True, (0.0, 0.0))


def phase_start(treatment: Treatment) -> float:
    """Return the hour at which the phase about relapse begins: the record's zero, or its second regimen."""
    if treatment.start_h < 0.0:
        return 0.0
    starts = sorted(dose.at_h[0] for dose in treatment.doses)
    return starts[1] if len(starts) > 1 else 0.0


def stopped(own: Treatment) -> Treatment:
    """Return the same course with a control in place of every dose from the start of the phase on."""
    begin, kept = phase_start(own), []
    for dose in own.doses:
        before = tuple(time for time in dose.at_h if time < begin)
        after = tuple(time for time in dose.at_h if time >= begin)
        if before:
            kept.append(dose.model_copy(update={"at_h": before}))
        if after:
            placebo = without_drug(
                Treatment((dose.model_copy(update={"at_h": after}),), (), (), own.masking), "placebo"
            )
            kept += placebo.doses
    return Treatment(tuple(kept), own.therapy, own.co_medication, own.masking, own.extended_release)


def follow(subject: Subject, arm: Arm, end: float, ask: Ask) -> tuple[Array, Array, Array]:
    """Return, for each person, entry (responding when the phase begins), relapse by its end, and time under risk, h."""
    variable = subject.observable.variable
    begin, first = phase_start(arm.treatment), arm.treatment.start_h
    weekly = {float(hour) for hour in np.arange(begin + _WEEK, end, _WEEK)}
    visits = tuple(sorted({*weekly, max(end, begin)}))
    scores = ask(arm, Want(variable, "at", visits))
    at_entry = ask(arm, Want(variable, "at", (begin,)))
    before = ask(arm, Want(variable, "at", (first,)))
    cut = load_parameters()["mood.definition.relapse"].value
    if variable != "madrs":
        cut = float(from_madrs(variable, np.asarray([cut]))[0])
    entered = _responded(at_entry, before, "")[..., 0]
    worse = scores >= cut
    lost = worse.any(axis=-1).astype(float) * entered
    time = np.where(worse.any(axis=-1), np.asarray(visits)[worse.argmax(axis=-1)], visits[-1]) - begin
    return entered, lost, np.where(entered > 0, time, 0.0)


def _still_responding(subject: Subject, end: float, ask: Ask) -> Array:
    variable, arm = subject.observable.variable, subject.arm
    before = ask(arm, Want(variable, "at", (arm.treatment.start_h,)))
    now = ask(arm, Want(variable, "at", (end,)))
    then = ask(arm, Want(variable, "at", (phase_start(arm.treatment),)))
    return (_responded(now, before, "") * _responded(then, before, ""))[..., 0]
