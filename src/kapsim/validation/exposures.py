"""Figures of exposure: peaks, areas, clearances, bioavailability, and their ratios under an interaction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import load_parameters
from kapsim.evidence.schema import Point
from kapsim.mechanisms.pharmacokinetics import S_SHARE
from kapsim.units import convert
from kapsim.validation.arms import Arm, Want
from kapsim.validation.joining import central_of, ratio_of, ratio_of_geometric
from kapsim.validation.regimens import NotSimulableError, Treatment, intravenous, without_interaction
from kapsim.validation.subject import Ask, Figure, Subject, is_concentration, unit_factor

Array = NDArray[np.float64]

_DAY = 24.0
_ENANTIOMER = {"s": S_SHARE, "r": {drug: 1.0 - share for drug, share in S_SHARE.items()}}


def between_studies() -> float:
    """Standard deviation of the logarithm of a concentration between studies."""
    return load_parameters()["observation.kinetics.between_study"].value


def plasma_variable(subject: Subject) -> str:
    """Return the variable of a record's observable, at its sampling site; venous where it says none."""
    variable = subject.observable.variable
    if not variable.startswith("plasma_"):
        return variable
    return f"{variable}_{subject.record.outcome.sampling or 'venous'}"


def residual_error(variable: str) -> float:
    """Return the relative error of one measured concentration."""
    parameters = load_parameters()
    if variable == "hydroxynorketamine":
        return parameters["pk.residual.hydroxynorketamine"].value
    kind = "norketamine" if "norketamine" in variable else "ketamine"
    site = "arterial" if variable.endswith("arterial") else "venous"
    return parameters[f"pk.residual.{kind}_{site}"].value


def exposure(subject: Subject, point: Point, ask: Ask) -> Figure:
    """Return a figure that is read off a whole course of concentration, or the ratio of two."""
    record, variable = subject.record, plasma_variable(subject)
    statistic, arm = record.outcome.statistic, subject.arm
    if not is_concentration(subject.observable):
        if statistic == "tmax":
            raise NotSimulableError("a time of peak is read off concentrations only")
        raise NotSimulableError(f"the statistic {statistic!r} is of concentrations only")
    noise = residual_error(variable)
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
            (ask(arm, want)[..., 0], ask(control, want)[..., 0]), ratio_of_geometric, "log", True, (noise, noise)
        )
    central = central_of(record.outcome.central)
    if statistic == "bioavailability":
        reference = subject.other(intravenous(arm.treatment))
        return Figure((area(arm, end), area(reference, end)), ratio_of(central), "log", True, (noise, noise))
    if statistic in ("cmax", "tmax"):
        low, high = _window(arm.treatment, end)
        values = ask(arm, Want(variable, "cmax" if statistic == "cmax" else "tmax", (low, high)))[..., 0]
        factor = unit_factor("ng/mL" if statistic == "cmax" else "h", record.outcome.unit)
        return Figure((values * factor,), central, "log", True, (noise if statistic == "cmax" else 0.0,))
    if statistic == "half_life":
        values = ask(arm, Want(variable, "half_life"))[..., 0] * unit_factor("h", record.outcome.unit)
        return Figure((values,), central, "log", True, (0.0,))
    weight = ask(arm, Want("weight", "trait"))[..., 0]
    if statistic == "auc":
        per_mg = record.outcome.unit.endswith("/mg")
        factor = unit_factor("ng.h/mL", record.outcome.unit.removesuffix("/mg"))
        values = area(arm, end) * factor / (_milligrams(arm.treatment, weight, None) if per_mg else 1.0)
        return Figure((values,), central, "log", True, (noise,))
    dose = _milligrams(arm.treatment, weight, variable)
    clearance = dose * convert(1.0, "mg", "ng") / area(arm, None) * convert(1.0, "mL", "L")
    if statistic == "volume":
        rate = np.log(2.0) / ask(arm, Want(variable, "half_life"))[..., 0]
        return _per_weight(clearance / rate, "L", weight, record.outcome.unit, central)
    return _per_weight(clearance, "L/h", weight, record.outcome.unit, central)


def _per_weight(values: Array, unit: str, weight: Array, wanted: str, central: Callable[..., Array]) -> Figure:
    if "kg" in wanted:
        return Figure((values / weight * unit_factor(f"{unit}/kg", wanted),), central, "log", True, (0.0,))
    return Figure((values * unit_factor(unit, wanted),), central, "log", True, (0.0,))


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
    if not (total > 0.0).all():
        raise NotSimulableError("no drug of its kind was given, so there is no dose to divide by")
    return total
