"""What is computed from conducted replicates: primary and further analyses, looks, means by arm and the flow of people.

Everything comes out as rows of one tidy table, so that shards of any make-up are put together by stacking them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.trial import binary, endpoints, paired, survival
from kapsim.trial.ancova import Estimate, ancova, design_matrix
from kapsim.trial.conduct import Conducted
from kapsim.trial.design import Trial
from kapsim.trial.mmrm import contrast_of, fit_mmrm, visit_matrix
from kapsim.trial.schema import DEPRESSION

__all__ = [
    "COLUMNS",
    "Contrast",
    "Rows",
    "analyse",
    "analyse_primary",
    "contrasts",
    "look_sizes",
    "primary_analysis",
    "primary_contrast",
]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

#: Columns of the table of results.
COLUMNS = (
    "replicate", "scenario", "analysis", "contrast", "look", "value", "error", "freedom", "low", "high", "p", "count",
)  # fmt: skip
#: Ages, years, from which people are of the older subgroup.
_OLDER = 50.0
#: Shares of the people with whom the power curve is drawn.
_SMALLER = (0.25, 0.5, 0.75)


class Contrast(NamedTuple):
    """A comparison of arms.

    Attributes
    ----------
    name : str
    weights : tuple of float
        Of the arms or sequences.
    """

    name: str
    weights: tuple[float, ...]


class Rows(NamedTuple):
    """One analysis of one contrast in every replicate."""

    analysis: str
    contrast: str
    look: int
    estimate: Estimate


def contrasts(trial: Trial) -> tuple[Contrast, ...]:
    """Return the comparisons of a trial, the primary one first.

    In a factorial that is the interaction: how much more the drug does with the therapy than without. Elsewhere each
    arm is compared with the control, in the order of the file.
    """
    names, control = trial.arm_names, trial.design.control
    if trial.design.kind == "factorial":
        levels = [(bool(arm.drug), bool(arm.therapy)) for arm in trial.design.arms]
        signs = [(1.0 if drug else -1.0, 1.0 if therapy else -1.0) for drug, therapy in levels]
        return (
            Contrast("drug:therapy", tuple(drug * therapy for drug, therapy in signs)),
            Contrast("drug", tuple(0.5 * drug for drug, _ in signs)),
            Contrast("therapy", tuple(0.5 * therapy for _, therapy in signs)),
        )
    if trial.design.kind == "crossover":
        return (Contrast(f"{names[1 - trial.control]} - {control}", (1.0, -1.0)),)
    found = []
    for place, name in enumerate(names):
        if name != control:
            weights = [0.0] * len(names)
            weights[place], weights[trial.control] = 1.0, -1.0
            found.append(Contrast(f"{name} - {control}", tuple(weights)))
    return tuple(found)


def primary_analysis(trial: Trial) -> str:
    """Return the name of the analysis that decides."""
    design = trial.design
    if design.kind in ("crossover", "withdrawal"):
        return {"crossover": "paired", "withdrawal": "log_rank"}[design.kind]
    return design.analysis.method if design.primary.measure == "change" else "risk_difference"


def primary_contrast(trial: Trial) -> str:
    """Return the name of the contrast that decides, as the table of results has it."""
    if primary_analysis(trial) in ("risk_difference", "log_rank"):
        return next(_pairs(trial))[0]
    return contrasts(trial)[0].name


def look_sizes(trial: Trial, patients: int) -> tuple[int, ...]:
    """Return with how many people each look is taken, the last with all."""
    fractions = () if trial.design.interim is None else trial.design.interim.fractions
    return (*(max(math.ceil(fraction * patients), 1) for fraction in fractions), patients)


def analyse(conducted: Conducted) -> list[Rows]:
    """Return every analysis of conducted replicates."""
    trial = conducted.trial
    sizes = look_sizes(trial, conducted.settings.patients)
    found: list[Rows] = []
    for look, size in enumerate(sizes[:-1]):
        found += [rows._replace(look=look) for rows in analyse_primary(conducted.first(size))]
    last = len(sizes) - 1
    found += [rows._replace(look=last) for rows in analyse_primary(conducted)]
    found += [rows._replace(look=last) for rows in _further(conducted)]
    found += _smaller(conducted)
    found += _means(conducted)
    found += _flow(conducted)
    return found


def _smaller(conducted: Conducted) -> Iterator[Rows]:
    """Yield the contrast that decides with fewer people, their number as `look`: the power curve of the design."""
    for share in _SMALLER:
        size = max(round(share * conducted.settings.patients), 1)
        for rows in analyse_primary(conducted.first(size)):
            if rows.contrast == primary_contrast(conducted.trial):
                yield rows._replace(analysis="smaller", look=size)


def analyse_primary(conducted: Conducted) -> Iterator[Rows]:
    """Yield the analysis that decides, for each of its contrasts."""
    trial = conducted.trial
    name, alpha = primary_analysis(trial), trial.design.analysis.alpha
    if name == "paired":
        values, _ = endpoints.period_changes(conducted)
        yield Rows(name, contrasts(trial)[0].name, 0, paired.treatment_difference(values, conducted.group, alpha))
        return
    if name == "log_rank":
        yield from _log_ranks(conducted, name)
        return
    if name == "risk_difference":
        yield from _risk_differences(conducted, endpoints.outcome(conducted).values, name)
        return
    if name == "mmrm":
        yield from _mmrm(conducted)
    else:
        yield from _ancova(conducted, name, endpoints.outcome(conducted).values)


def _further(conducted: Conducted) -> Iterator[Rows]:
    """Yield what stands beside the primary analysis."""
    trial = conducted.trial
    design, name = trial.design, primary_analysis(trial)
    if name == "paired":
        values, _ = endpoints.period_changes(conducted)
        carried = paired.carry_over(values, conducted.group, design.analysis.alpha)
        yield Rows("carry_over", contrasts(trial)[0].name, 0, carried)
        return
    if name == "log_rank":
        yield from _hazards(conducted)
        return
    outcome = endpoints.outcome(conducted).values
    if name == "risk_difference":
        matrix = _matrix(conducted)
        for contrast in contrasts(trial):
            odds = binary.logistic(outcome, matrix, np.asarray(contrast.weights), design.analysis.alpha)
            yield Rows("logistic", contrast.name, 0, odds)
        return
    if name == "mmrm":
        yield from _ancova(conducted, "ancova", outcome)
    yield from _subgroups(conducted, outcome)
    if design.primary.scale in DEPRESSION:
        yield from _risk_differences(conducted, _responded(conducted), "response")


def _responded(conducted: Conducted) -> Array:
    """Return response at the primary visit whatever the primary measure is."""
    design = conducted.trial.design
    primary = design.primary.model_copy(update={"measure": "response"})
    changed = conducted.trial.with_design(design.model_copy(update={"primary": primary}))
    return endpoints.outcome(conducted.under(changed)).values


def _covariates(conducted: Conducted, *, baseline: bool) -> Array:
    """Return the covariates of the design but the baseline, or the baseline alone, shape (replicate, patient, c)."""
    design = conducted.trial.design
    wanted = design.analysis.covariates
    columns: list[Array] = []
    if baseline:
        if "baseline" in wanted:
            columns.append(conducted.ratings[design.primary.scale][..., 0])
    else:
        if "age" in wanted:
            columns.append(conducted.age)
        if "sex" in wanted:
            columns.append(conducted.female)
        if "site" in wanted and design.sites is not None:
            columns += [(conducted.site == number).astype(float) for number in range(1, design.sites.count)]
    if not columns:
        return np.zeros((*conducted.group.shape, 0))
    return np.stack(columns, axis=-1)


def _matrix(conducted: Conducted) -> Array:
    covariates = [_covariates(conducted, baseline=True), _covariates(conducted, baseline=False)]
    return design_matrix(conducted.group, len(conducted.trial.groups), np.concatenate(covariates, axis=-1))


def _ancova(conducted: Conducted, name: str, outcome: Array) -> Iterator[Rows]:
    matrix = _matrix(conducted)
    for contrast in contrasts(conducted.trial):
        weights = np.asarray(contrast.weights)
        yield Rows(name, contrast.name, 0, ancova(outcome, matrix, weights, conducted.trial.design.analysis.alpha))


def _mmrm(conducted: Conducted) -> Iterator[Rows]:
    trial = conducted.trial
    changes = endpoints.changes(conducted, trial.design.primary.scale)
    groups, visits = len(trial.groups), changes.shape[-1]
    matrix = visit_matrix(
        conducted.group,
        groups,
        visits,
        _covariates(conducted, baseline=True),
        _covariates(conducted, baseline=False),
    )
    fit = fit_mmrm(changes, matrix)
    for contrast in contrasts(trial):
        weights = np.zeros(matrix.shape[-1])
        weights[trial.primary * groups : (trial.primary + 1) * groups] = contrast.weights
        yield Rows("mmrm", contrast.name, 0, contrast_of(fit, weights, trial.design.analysis.alpha))


def _pairs(trial: Trial) -> Iterator[tuple[str, int, int]]:
    """Yield each arm beside the control; in a factorial the drug with therapy beside therapy alone, and without."""
    names = trial.arm_names
    if trial.design.kind == "factorial":
        where = {(bool(arm.drug), bool(arm.therapy)): place for place, arm in enumerate(trial.design.arms)}
        for therapy in (True, False):
            arm, control = where[True, therapy], where[False, therapy]
            yield f"{names[arm]} - {names[control]}", arm, control
        return
    for place, name in enumerate(names):
        if place != trial.control:
            yield f"{name} - {trial.design.control}", place, trial.control


def _risk_differences(conducted: Conducted, outcome: Array, name: str) -> Iterator[Rows]:
    alpha = conducted.trial.design.analysis.alpha
    for contrast, arm, control in _pairs(conducted.trial):
        found = binary.risk_difference(outcome, conducted.group, arm, control, alpha)
        yield Rows(name, contrast, 0, found)


def _log_ranks(conducted: Conducted, name: str) -> Iterator[Rows]:
    time, event = endpoints.relapse_times(conducted)
    for contrast, arm, control in _pairs(conducted.trial):
        z, p = survival.log_rank(time, event, conducted.group, arm, control)
        here = ((conducted.group == arm) | (conducted.group == control)).sum(axis=1).astype(float)
        nothing = np.full(len(z), np.nan)
        yield Rows(name, contrast, 0, Estimate(z, np.ones(len(z)), np.full(len(z), np.inf), nothing, nothing, p, here))


def _hazards(conducted: Conducted) -> Iterator[Rows]:
    trial = conducted.trial
    time, event = endpoints.relapse_times(conducted)
    for contrast, arm, control in _pairs(trial):
        yield Rows("cox", contrast, 0, survival.cox(time, event, conducted.group, arm, control))
    moments = np.asarray(trial.hours)[np.asarray(trial.hours) > trial.second_start] - trial.second_start
    for place, name in enumerate(trial.groups):
        here = conducted.group == place
        free = survival.kaplan_meier(time, event, here, moments)
        count = here.sum(axis=1).astype(float)
        for number in range(len(moments)):
            yield Rows("free_of_relapse", name, number + 2, _plain(free[:, number], count))


def _subgroups(conducted: Conducted, outcome: Array) -> Iterator[Rows]:
    """Yield the primary contrast in parts of the people, by analysis of covariance."""
    base = conducted.ratings[conducted.trial.design.primary.scale][..., 0]
    middle = _row_median(base)
    parts = {
        "women": conducted.female > 0.5,
        "men": conducted.female <= 0.5,
        f"under {_OLDER:g} years": conducted.age < _OLDER,
        f"{_OLDER:g} years and over": conducted.age >= _OLDER,
        "less severe than the median at entry": base < middle,
        "at the median at entry or more severe": base >= middle,
    }
    contrast = contrasts(conducted.trial)[0]
    matrix = _matrix(conducted)
    for name, here in parts.items():
        part = ancova(np.where(here, outcome, np.nan), matrix, np.asarray(contrast.weights))
        yield Rows("subgroup", f"{contrast.name}: {name}", 0, part)


def _row_median(base: Array) -> Array:
    """Return the median of each replicate, shape (replicate, 1)."""
    return np.asarray([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in base])[:, None]


def _plain(value: Array, count: Array, error: Array | None = None) -> Estimate:
    nothing = np.full(len(value), np.nan)
    return Estimate(value, nothing if error is None else error, nothing, nothing, nothing, nothing, count)


def _means(conducted: Conducted) -> Iterator[Rows]:
    """Yield mean, standard deviation and number of the ratings of each arm at entry and every visit, as `look`."""
    trial = conducted.trial
    for scale in trial.design.scales:
        scores = np.where(conducted.seen, conducted.ratings[scale], np.nan)
        for place, name in enumerate(trial.groups):
            own = np.where((conducted.group == place)[..., None], scores, np.nan)
            count = np.isfinite(own).sum(axis=1).astype(float)
            total = np.nansum(own, axis=1)
            with np.errstate(all="ignore"):
                mean = total / count
                square = np.nansum((own - mean[:, None, :]) ** 2, axis=1)
                spread = np.sqrt(square / (count - 1.0))
            for visit in range(own.shape[-1]):
                yield Rows(f"mean_{scale}", name, visit, _plain(mean[:, visit], count[:, visit], spread[:, visit]))


def _flow(conducted: Conducted) -> Iterator[Rows]:
    """Yield how many people of each arm went which way."""
    trial = conducted.trial
    recruited = np.full(len(conducted.replicates), float(conducted.settings.patients))
    yield Rows("flow_recruited", "all", 0, _plain(recruited, recruited))
    if trial.design.kind == "withdrawal":
        analysed: NDArray[np.bool_] = np.ones(conducted.group.shape, dtype=bool)
    elif trial.design.kind == "crossover":
        analysed = np.asarray(np.isfinite(endpoints.period_changes(conducted)[0]).all(axis=-1))
    elif primary_analysis(trial) == "mmrm":
        analysed = np.asarray(np.isfinite(endpoints.changes(conducted, trial.design.primary.scale)).any(axis=-1))
    else:
        analysed = np.isfinite(endpoints.outcome(conducted).values)
    ways: Sequence[tuple[str, NDArray[np.bool_]]] = (
        ("randomised", conducted.group >= 0),
        ("missed", conducted.missed > 0),
        ("stopped", np.isfinite(conducted.stopped_h)),
        ("rescued", np.isfinite(conducted.rescued_h)),
        ("lost", ~conducted.seen[..., -1] & ~conducted.failed),
        ("failed", conducted.failed),
        ("analysed", analysed),
    )
    for place, name in enumerate(trial.groups):
        own = conducted.group == place
        count = own.sum(axis=1).astype(float)
        for way, here in ways:
            yield Rows(f"flow_{way}", name, 0, _plain((here & own).sum(axis=1).astype(float), count))
