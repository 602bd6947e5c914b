"""Figure of a record → the same figure of the model: which numbers it needs of each patient, and how they are joined.

A figure is asked for twice: once with a recorder that only notes what it wants of which arm, once with the answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import load_parameters
from kapsim.evidence.schema import ObservedRecord, Point
from kapsim.mechanisms.pharmacokinetics import S_SHARE
from kapsim.results import VARIABLES
from kapsim.scales import from_madrs
from kapsim.units import convert
from kapsim.validation.arms import RATED, Arm, Want
from kapsim.validation.observables import MISSING, SIMULATED, Observable
from kapsim.validation.regimens import (
    NotSimulableError,
    Treatment,
    intravenous,
    untreated,
    without_drug,
    without_interaction,
    without_therapy,
)

Array = NDArray[np.float64]
Ask = Callable[[Arm, Want], Array]
Scale = Literal["log", "percent", "points", "share", "effect", "sign"]

#: Variables that are changes from rest, so that 0 is the state before.
_CHANGES = frozenset(
    {"systolic_pressure", "diastolic_pressure", "mean_arterial_pressure", "heart_rate", "cardiac_output"}
)
_EXPOSURE = frozenset({"cmax", "tmax", "auc", "clearance", "volume", "half_life", "bioavailability"})
_ENANTIOMER = {"s": S_SHARE, "r": {drug: 1.0 - share for drug, share in S_SHARE.items()}}
_DEPRESSION = RATED - {"hama", "gad7"}
#: Hours between the visits that a figure about relapse or 'at any visit' looks at.
_WEEK = 168.0
#: First visits after a dose, where the record counts a response at any visit.
_EARLY_VISITS = (24.0, 72.0)
_NEVER = 1e9
_PERCENT = 100.0


class Figure(NamedTuple):
    """One predicted figure.

    Attributes
    ----------
    parts : tuple of ndarray, each of shape (draw, patient)
        What the figure is made from.
    join : callable
        From the parts, over their last axis, to the figure.
    scale : str
        How errors are counted: on a logarithm (a percent change as the ratio it stands for), in points, in percentage
        points of people, in standard deviations, or by sign.
    paired : bool
        Whether the parts are of the same people.
    noise : tuple of float
        Standard deviation of one measurement of each part.
    relative : bool
        Whether it is relative to the part's mean; otherwise it is in the part's unit.
    shared : float
        Standard deviation of what all figures of a study share (its assay, its site), on the scale of errors.
    """

    parts: tuple[Array, ...]
    join: Callable[..., Array]
    scale: Scale
    paired: bool
    noise: tuple[float, ...]
    relative: bool = True
    shared: float = 0.0


@dataclass(frozen=True)
class Subject:
    """A record with what is needed to ask for its figures.

    Parameters
    ----------
    record : ObservedRecord
    arm : Arm
        Its own arm.
    """

    record: ObservedRecord
    arm: Arm

    @property
    def observable(self) -> Observable:
        """What the model has for the record's observable; NotSimulableError where it has nothing."""
        name = self.record.outcome.observable
        if name in SIMULATED:
            return SIMULATED[name]
        raise NotSimulableError(MISSING[name])

    def other(self, treatment: Treatment, *, healthy: bool = False) -> Arm:
        """Return an arm of the same study under another treatment."""
        group = self.arm.group
        if healthy:
            group = group._replace(depressed=False, madrs=None, madrs_sd=None, hama=None, hama_sd=None)
        return Arm(self.arm.study, group, treatment)


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
    record, observable = subject.record, subject.observable
    statistic = record.outcome.statistic
    if statistic == "correlation":
        raise NotSimulableError("a correlation between persons needs traits that no record fixes")
    if statistic == "ratio" and _is_concentration(observable):
        return _kinetic(subject, point, ask)
    if statistic in _EXPOSURE:
        # a time of peak and a ratio within people owe nothing to the assay
        return _kinetic(subject, point, ask)._replace(shared=0.0 if statistic == "tmax" else _between_studies())
    if statistic in ("relapse", "hazard_ratio", "median_time") or _is_sustained(record):
        return _relapse(subject, point, ask)
    if statistic in ("response", "remission", "odds_ratio"):
        return _share(subject, point, ask)
    if statistic == "fraction":
        raise NotSimulableError(f"the model has no threshold for '{record.outcome.definition or 'this share'}'")
    if point.time_h is None:
        raise NotSimulableError("no source gives its time")
    shared = _between_studies() if _is_concentration(observable) else 0.0
    return _level(subject, point, ask)._replace(relative=not _in_units(observable), shared=shared)


# --- concentrations -------------------------------------------------------------------------------------------------


def _between_studies() -> float:
    return load_parameters()["observation.kinetics.between_study"].value


def _is_concentration(observable: Observable) -> bool:
    return observable.variable.startswith("plasma_") or observable.variable == "hydroxynorketamine"


def _plasma(subject: Subject, site: str | None = None) -> str:
    variable = subject.observable.variable
    if not variable.startswith("plasma_"):
        return variable
    return f"{variable}_{site or subject.record.outcome.sampling or 'venous'}"


def _residual(variable: str) -> float:
    parameters = load_parameters()
    if variable == "hydroxynorketamine":
        return parameters["pk.residual.hydroxynorketamine"].value
    kind = "norketamine" if "norketamine" in variable else "ketamine"
    site = "arterial" if variable.endswith("arterial") else "venous"
    return parameters[f"pk.residual.{kind}_{site}"].value


def _kinetic(subject: Subject, point: Point, ask: Ask) -> Figure:
    record, variable = subject.record, _plasma(subject)
    statistic, arm = record.outcome.statistic, subject.arm
    if not _is_concentration(subject.observable):
        if statistic == "tmax":
            raise NotSimulableError("a time of peak is read off concentrations only")
        raise NotSimulableError(f"the statistic {statistic!r} is of concentrations only")
    noise = _residual(variable)
    start, end = arm.treatment.start_h, point.time_h

    def area(of: Arm, until: float | None) -> Array:
        return ask(of, Want(variable, "auc", (np.inf if until is None else until,)))[..., 0]

    if statistic == "ratio":
        what = (record.outcome.definition or "").split(",")[0].strip().lower()
        if what not in ("auc", "cmax"):
            raise NotSimulableError(f"its definition does not begin with 'auc' or 'cmax' but with {what!r}")
        window = (start, _last(arm.treatment) + _DAY)
        want = Want(variable, "auc", (np.inf,)) if what == "auc" else Want(variable, "cmax", window)
        control = subject.other(without_interaction(arm.treatment))
        if control == arm:
            raise NotSimulableError("no interacting drug is named, so there is nothing to compare")
        return Figure(
            (ask(arm, want)[..., 0], ask(control, want)[..., 0]), _ratio_of_geometric, "log", True, (noise, noise)
        )
    central = _central(record.outcome.central)
    if statistic == "bioavailability":
        reference = subject.other(intravenous(arm.treatment))
        return Figure((area(arm, end), area(reference, end)), _ratio_of(central), "log", True, (noise, noise))
    if statistic in ("cmax", "tmax"):
        low, high = _window(arm.treatment, end)
        values = ask(arm, Want(variable, "cmax" if statistic == "cmax" else "tmax", (low, high)))[..., 0]
        factor = _unit("ng/mL" if statistic == "cmax" else "h", record.outcome.unit)
        return Figure((values * factor,), central, "log", True, (noise if statistic == "cmax" else 0.0,))
    if statistic == "half_life":
        values = ask(arm, Want(variable, "half_life"))[..., 0] * _unit("h", record.outcome.unit)
        return Figure((values,), central, "log", True, (0.0,))
    weight = ask(arm, Want("weight", "trait"))[..., 0]
    dose = _milligrams(arm.treatment, weight, variable)
    if statistic == "auc":
        per_mg = record.outcome.unit.endswith("/mg")
        factor = _unit("ng.h/mL", record.outcome.unit.removesuffix("/mg"))
        values = area(arm, end) * factor / (_milligrams(arm.treatment, weight, None) if per_mg else 1.0)
        return Figure((values,), central, "log", True, (noise,))
    clearance = dose * convert(1.0, "mg", "ng") / area(arm, None) * convert(1.0, "mL", "L")
    if statistic == "volume":
        rate = np.log(2.0) / ask(arm, Want(variable, "half_life"))[..., 0]
        return _per_weight(clearance / rate, "L", weight, record.outcome.unit, central)
    return _per_weight(clearance, "L/h", weight, record.outcome.unit, central)


_DAY = 24.0


def _per_weight(values: Array, unit: str, weight: Array, wanted: str, central: Callable[..., Array]) -> Figure:
    if "kg" in wanted:
        return Figure((values / weight * _unit(f"{unit}/kg", wanted),), central, "log", True, (0.0,))
    return Figure((values * _unit(unit, wanted),), central, "log", True, (0.0,))


def _unit(own: str, wanted: str) -> float:
    try:
        return convert(1.0, own, wanted)
    except InputError as error:
        raise NotSimulableError(f"its unit does not fit the statistic: {error}") from None


def _last(treatment: Treatment) -> float:
    return max([treatment.start_h, *(dose.at_h[-1] for dose in treatment.doses)])


def _window(treatment: Treatment, peak: float | None) -> tuple[float, float]:
    """Return the hours between which a peak is looked for: the dosing occasion that the time of the peak belongs to."""
    starts = sorted(time for dose in treatment.doses for time in dose.at_h)
    occasions = [time for k, time in enumerate(starts) if k == 0 or time - starts[k - 1] > 1.0] or [0.0]
    if peak is None:
        return occasions[0], (occasions[1] if len(occasions) > 1 else treatment.end_h + _DAY)
    low = max([time for time in occasions if time <= peak] or occasions[:1])
    later = [time for time in occasions if time > peak]
    bolus = any(dose.route == "iv" and dose.duration_min < 1.0 for dose in treatment.doses)
    # the peak of a bolus is its first sample
    return (peak if bolus else low), (later[0] if later else treatment.end_h + _DAY)


def _milligrams(treatment: Treatment, weight: Array, variable: str | None) -> Array:
    """Return the mg given, of one enantiomer where `variable` names one."""
    total = np.zeros_like(weight)
    for dose in treatment.doses:
        if dose.drug not in S_SHARE:
            continue
        if dose.unit == "ng/mL":
            raise NotSimulableError("the amount of a target-controlled infusion is not in the record")
        hours = dose.duration_min / 60 if dose.unit.endswith("/h") else 1.0
        amount = dose.amount * hours * len(dose.at_h) * (weight if "/kg" in dose.unit else 1.0)
        share = 1.0
        if variable is not None and variable.startswith(("plasma_s_", "plasma_r_")):
            share = _ENANTIOMER[variable.split("_")[1]][dose.drug]
        total = total + share * amount
    return total


# --- levels, changes and differences ---------------------------------------------------------------------------------


def _level(subject: Subject, point: Point, ask: Ask) -> Figure:
    record, observable = subject.record, subject.observable
    outcome = record.outcome
    statistic, against = outcome.statistic, outcome.against
    assert point.time_h is not None
    time = point.time_h
    flip = -1.0 if (outcome.definition or "").lower().startswith("benefit positive") else 1.0
    flip *= observable.direction
    noise = _noise(observable)
    concentration = _is_concentration(observable)
    variable = _plasma(subject)
    if (observable.relative or observable.direction < 0) and statistic not in ("standardised_difference", "sign"):
        raise NotSimulableError("the model's unit for it is not the record's; only signs and effect sizes compare")
    scale = 1.0
    if not concentration and statistic in ("mean", "change", "difference"):
        scale = _unit(VARIABLES[variable][1], outcome.unit)
    if statistic == "mean" and variable in _CHANGES:
        raise NotSimulableError("the model has its change from rest, not its level")

    def at(arm: Arm, hour: float) -> Array:
        return ask(arm, Want(variable, "at", (hour,)))[..., 0]

    central = _central(outcome.central)
    if statistic == "mean":
        values = at(subject.arm, time)
        if concentration:
            factor = _unit("ng/mL", outcome.unit)
            return Figure((values * factor,), central, "log", True, (_residual(variable),))
        return Figure((values * scale,), central, "points", True, (noise * scale,))
    if statistic in ("change", "percent_change", "ratio_to_baseline") and against in ("baseline", "before"):
        return _change(subject, time, at, central, noise, scale)
    other = _comparison(subject, against)
    if other is None:
        # within the arm: against its own state before, or at the hour that the record names
        before = float(against.split()[0]) if against and against.split()[0].isdigit() else 0.0
        parts, paired = (at(subject.arm, time), at(subject.arm, before)), True
    else:
        paired = _is_crossover(record) and against != "healthy"
        parts = (at(subject.arm, time), at(other, time))
    if statistic in ("percent_change", "ratio_to_baseline", "ratio"):
        if statistic == "percent_change":
            return Figure(parts, _percent, "percent", paired, (noise, noise))
        return Figure(parts, _ratio_of_means, "log", paired, (noise, noise))
    if statistic == "standardised_difference":
        return Figure(parts, lambda a, b: flip * _standardised(a, b), "effect", paired, (noise, noise))
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
        return Figure((1.0 + after / _PERCENT,), central, "log", True, (noise / _PERCENT,))
    before = at(subject.arm, 0.0)
    if statistic == "change":
        return Figure((after, before), lambda a, b: scale * central(a - b), "points", True, (noise, noise))
    if statistic == "percent_change":
        return Figure((after, before), _percent, "percent", True, (noise, noise))
    return Figure((after, before), _ratio_of_means, "log", True, (noise, noise))


def _comparison(subject: Subject, against: str | None) -> Arm | None:
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


def _noise(observable: Observable) -> float:
    return load_parameters()[observable.noise].value if observable.noise else 0.0


def _in_units(observable: Observable) -> bool:
    """Whether the noise of a measurement is in the observable's own unit, and not a share of its level."""
    return bool(observable.noise) and load_parameters()[observable.noise].unit != "1"


def _is_crossover(record: ObservedRecord) -> bool:
    design = record.study.design.lower()
    return "crossover" in design or "cross-over" in design or "within" in design


# --- shares ----------------------------------------------------------------------------------------------------------


def _share(subject: Subject, point: Point, ask: Ask) -> Figure:
    record = subject.record
    if subject.observable.variable not in RATED:
        raise NotSimulableError("response and remission are counted on a rating scale")
    if record.outcome.statistic == "odds_ratio":
        other = _comparison(subject, record.outcome.against)
        if other is None:
            raise NotSimulableError("an odds ratio needs another arm")
        parts = (_counted(subject, subject.arm, point, ask), _counted(subject, other, point, ask))
        return Figure(parts, _odds_ratio, "log", False, (0.0, 0.0))
    factor = _unit("1", record.outcome.unit) if record.outcome.unit in ("%", "1") else 0.0
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
    fall = float(found.group(1)) / _PERCENT if found else load_parameters()["mood.definition.response"].value
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


# --- relapse ---------------------------------------------------------------------------------------------------------


def _is_sustained(record: ObservedRecord) -> bool:
    return record.outcome.statistic == "fraction" and "still in response" in (record.outcome.definition or "").lower()


def _relapse(subject: Subject, point: Point, ask: Ask) -> Figure:
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
        other = subject.other(_stopped(own))
        parts = (*_follow(subject, subject.arm, end, ask), *_follow(subject, other, end, ask))
        return Figure(parts, _hazard_ratio, "log", False, (0.0,) * len(parts))
    entered, lost, time = _follow(subject, subject.arm, end, ask)
    if statistic == "median_time":
        factor = _unit("h", record.outcome.unit)
        return Figure((entered, lost, time * factor), _median_time, "log", True, (0.0,) * 3)
    factor = _unit("1", record.outcome.unit)
    if statistic == "relapse":
        return Figure((entered, lost), lambda e, a: factor * _share_of(a, e), "share", True, (0.0, 0.0))
    still = _still_responding(subject, end, ask)
    return Figure((entered, still), lambda e, a: factor * _share_of(a, e), "share", True, (0.0, 0.0))


def _phase_start(treatment: Treatment) -> float:
    if treatment.start_h < 0.0:
        return 0.0
    starts = sorted(dose.at_h[0] for dose in treatment.doses)
    return starts[1] if len(starts) > 1 else 0.0


def _stopped(own: Treatment) -> Treatment:
    """Return the same course with a control in place of every dose from the start of the phase on."""
    begin, kept = _phase_start(own), []
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


def _follow(subject: Subject, arm: Arm, end: float, ask: Ask) -> tuple[Array, Array, Array]:
    """Return, for each person, entry (responding when the phase begins), relapse by its end, and time under risk, h."""
    variable = subject.observable.variable
    begin, first = _phase_start(arm.treatment), arm.treatment.start_h
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
    then = ask(arm, Want(variable, "at", (_phase_start(arm.treatment),)))
    return (_responded(now, before, "") * _responded(then, before, ""))[..., 0]


# --- joining ---------------------------------------------------------------------------------------------------------


def _central(word: str | None) -> Callable[..., Array]:
    if word == "median":
        return lambda a: np.median(a, axis=-1)
    if word == "geometric_mean":
        return _geometric
    return lambda a: np.mean(a, axis=-1)


def _geometric(a: Array) -> Array:
    return np.asarray(np.exp(np.mean(np.log(np.maximum(a, 1e-300)), axis=-1)))


def _ratio_of(central: Callable[..., Array]) -> Callable[..., Array]:
    return lambda a, b: central(a / b)


def _ratio_of_geometric(a: Array, b: Array) -> Array:
    return np.asarray(_geometric(a) / _geometric(b))


def _ratio_of_means(a: Array, b: Array) -> Array:
    return np.asarray(a.mean(axis=-1) / b.mean(axis=-1))


def _percent(a: Array, b: Array) -> Array:
    return np.asarray(_PERCENT * (_ratio_of_means(a, b) - 1.0))


def _standardised(a: Array, b: Array) -> Array:
    spread = np.sqrt(0.5 * (a.var(axis=-1, ddof=1) + b.var(axis=-1, ddof=1)))
    return np.asarray((a.mean(axis=-1) - b.mean(axis=-1)) / np.maximum(spread, 1e-12))


def _odds(a: Array) -> Array:
    # half a person more on either side keeps an odds ratio finite, as trials do
    count = a.shape[-1]
    return np.asarray((a.sum(axis=-1) + 0.5) / (count - a.sum(axis=-1) + 0.5))


def _odds_ratio(a: Array, b: Array) -> Array:
    return _odds(a) / _odds(b)


def _share_of(part: Array, whole: Array) -> Array:
    total = whole.sum(axis=-1)
    return np.where(total > 0, part.sum(axis=-1) / np.maximum(total, 1.0), np.nan)


def _hazard_ratio(in_a: Array, lost_a: Array, time_a: Array, in_b: Array, lost_b: Array, time_b: Array) -> Array:
    hazard_a = (lost_a.sum(axis=-1) + 0.5) / np.maximum(time_a.sum(axis=-1), 1.0)
    hazard_b = (lost_b.sum(axis=-1) + 0.5) / np.maximum(time_b.sum(axis=-1), 1.0)
    return np.where((in_a.sum(axis=-1) > 0) & (in_b.sum(axis=-1) > 0), hazard_a / hazard_b, np.nan)


def _median_time(entered: Array, lost: Array, time: Array) -> Array:
    """Return the time by which half of those who entered are lost; where fewer are, the time of an equal hazard."""
    until = np.where((entered > 0) & (lost > 0), time, np.where(entered > 0, _NEVER, np.nan))
    nobody = np.asarray(np.isnan(until).all(axis=-1))
    known = np.where(nobody[..., None], _NEVER, until)
    middle = np.nanquantile(known, 0.5, axis=-1, method="inverted_cdf")
    even = np.log(2.0) * time.sum(axis=-1) / (lost.sum(axis=-1) + 0.5)
    return np.where(nobody, np.nan, np.where(middle < _NEVER, middle, even))


def points_to_score(points: Sequence[Point]) -> list[Point]:
    """Return the points after time zero, and those without a time: what lies before is what a group is made from."""
    return [point for point in points if point.time_h is None or point.time_h > 0.0]
