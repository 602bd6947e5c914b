"""Operating characteristics: how often a trial finds what is there, or is not, each with its Monte Carlo interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.trial.analysis import look_sizes, primary_analysis
from kapsim.trial.design import Trial
from kapsim.trial.interim import nominal_levels

__all__ = ["Characteristics", "Figure", "Table", "characteristics", "mean_figure", "share_figure", "under_variants"]

Array = NDArray[np.float64]
#: Rows of results as columns, see `kapsim.trial.analysis.COLUMNS`.
Table = Mapping[str, NDArray[Any]]

#: A variant with fewer replicates says nothing of its own.
_FEWEST = 20
#: Half width of a 95 % interval in standard deviations.
_HALF95 = 1.959963984540054


class Figure(NamedTuple):
    """A figure with its 95 % Monte Carlo interval; not a number where there is none."""

    value: float
    low: float
    high: float
    replicates: int


@dataclass(frozen=True)
class Characteristics:
    """What an analysis of a contrast does under one scenario.

    Parameters
    ----------
    scenario : str
        'fixed', 'ensemble' or 'null'.
    analysis, contrast : str
    primary : bool
        Whether it decides the trial.
    rejects : Figure
        Share of replicates in which it finds a difference at its level, at any look: power, assurance, or type-I error.
    wrong : Figure
        Share in which it finds one of the wrong sign; with the truth unknown, not a number.
    looks : tuple of float
        Share that has found one by each look.
    people : float
        Mean number of people when the trial stops.
    estimate : Figure
        Mean estimate at the last look.
    spread : float
        Standard deviation of the estimates over replicates.
    error : float
        Mean of the standard errors that the analysis gives.
    unestimated : float
        Share of replicates without an estimate.
    truth, truth_blind : Figure
        The effect in the same people under every arm, as given and where nobody can tell; only for the primary
        outcome on its own scale.
    bias, unblinding : Figure
        Mean estimate less the truth; what of the truth comes from telling the arms apart.
    coverage : Figure
        Share of intervals that hold the truth.
    """

    scenario: str
    analysis: str
    contrast: str
    primary: bool
    rejects: Figure
    wrong: Figure
    looks: tuple[float, ...]
    people: float
    estimate: Figure
    spread: float
    error: float
    unestimated: float
    truth: Figure
    truth_blind: Figure
    bias: Figure
    unblinding: Figure
    coverage: Figure

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        found = asdict(self)
        for name, value in found.items():
            if isinstance(getattr(self, name), Figure):
                found[name] = dict(zip(Figure._fields, value, strict=True))
        return found


_NOTHING = Figure(math.nan, math.nan, math.nan, 0)


def share_figure(yes: int, count: int) -> Figure:
    """Return a share with Wilson's interval."""
    if count == 0:
        return _NOTHING
    share, square = yes / count, _HALF95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    reach = _HALF95 / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return Figure(share, middle - reach, middle + reach, count)


def mean_figure(values: Array) -> Figure:
    """Return a mean with the interval of its Monte Carlo error; values that are not a number are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return _NOTHING
    mean = float(known.mean())
    if len(known) < 2:
        return Figure(mean, math.nan, math.nan, len(known))
    reach = _HALF95 * float(known.std(ddof=1)) / math.sqrt(len(known))
    return Figure(mean, mean - reach, mean + reach, len(known))


def characteristics(trial: Trial, patients: int, table: Table) -> list[Characteristics]:
    """Return what every analysis does under every scenario that was computed.

    Parameters
    ----------
    trial : Trial
    patients : int
        People in a replicate.
    table : mapping of str to ndarray, shape (row,)
        Results, in any order.
    """
    tests = np.isfinite(table["p"])
    found = []
    seen: dict[tuple[str, str, str], None] = {}
    # analyses without any estimate are told of, too
    for scenario, analysis, contrast in zip(table["scenario"], table["analysis"], table["contrast"], strict=True):
        seen.setdefault((str(scenario), str(analysis), str(contrast)))
    analyses = {str(name) for name in np.unique(table["analysis"][tests].astype(str))} - {"subgroup", "smaller"}
    primary = primary_analysis(trial)
    for scenario, analysis, contrast in seen:
        if analysis in analyses | {primary}:
            found.append(_of(trial, patients, table, scenario, analysis, contrast))
    order = {name: place for place, name in enumerate(("fixed", "ensemble", "null"))}
    return sorted(found, key=lambda item: (order[item.scenario], not item.primary))


def under_variants(
    trial: Trial, patients: int, table: Table, names: Callable[[NDArray[Any]], list[str]]
) -> dict[str, dict[str, dict[str, Figure]]]:
    """Return how often the primary analysis finds a difference under each variant, by scenario and contrast.

    Parameters
    ----------
    trial : Trial
    patients : int
        People in a replicate.
    table : mapping of str to ndarray, shape (row,)
        Results of replicates that each have a variant of their own.
    names : callable
        From the numbers of replicates to their variants.

    Returns
    -------
    dict
        Of variants with at least twenty replicates, in the order of first mention. The null is left out.
    """
    numbers = np.unique(table["replicate"])
    own = dict(zip(numbers.tolist(), names(numbers), strict=True))
    variants = np.asarray([own[number] for number in table["replicate"].tolist()])
    found: dict[str, dict[str, dict[str, Figure]]] = {}
    for variant in dict.fromkeys(own.values()):
        part = {name: column[variants == variant] for name, column in table.items()}
        for item in characteristics(trial, patients, part):
            if item.primary and item.scenario != "null" and item.rejects.replicates >= _FEWEST:
                found.setdefault(item.scenario, {}).setdefault(item.contrast, {})[variant] = item.rejects
    return found


def _of(trial: Trial, patients: int, table: Table, scenario: str, analysis: str, contrast: str) -> Characteristics:
    here = (table["scenario"] == scenario) & (table["analysis"] == analysis) & (table["contrast"] == contrast)
    primary = analysis == primary_analysis(trial)
    replicates = np.unique(table["replicate"][here])
    sizes = look_sizes(trial, patients)
    last = len(sizes) - 1
    levels = _levels(trial, last) if primary else (trial.design.analysis.alpha,)
    p = np.full((len(replicates), len(levels)), np.nan)
    first = 0 if primary else last
    place = np.searchsorted(replicates, table["replicate"][here])
    p[place, table["look"][here] - first] = table["p"][here]
    crossed = p <= np.asarray(levels)
    any_look, when = crossed.any(axis=1), crossed.argmax(axis=1)
    at = np.flatnonzero(here & (table["look"] == last))
    at = at[np.argsort(table["replicate"][at], kind="stable")]
    value, error = table["value"][at], table["error"][at]
    truth, blind = (
        _truth(table, scenario, name, contrast) if primary else _NOTHING for name in ("truth", "truth_blind")
    )
    if scenario == "null" and primary and trial.design.kind != "withdrawal":
        truth = Figure(0.0, 0.0, 0.0, len(replicates))
    held = _held(truth)
    estimate = mean_figure(value)
    stopped = np.asarray(sizes[first:])[np.where(any_look, when, len(levels) - 1)]
    inside = (table["low"][at] <= truth.value) & (truth.value <= table["high"][at])
    known = np.isfinite(table["low"][at])
    sign = np.sign(truth.value)
    return Characteristics(
        scenario=scenario,
        analysis=analysis,
        contrast=contrast,
        primary=primary,
        rejects=share_figure(int(any_look.sum()), len(replicates)),
        wrong=share_figure(int((any_look & (np.sign(value) == -sign)).sum()), len(replicates)) if sign else _NOTHING,
        looks=tuple(float((crossed[:, : k + 1].any(axis=1)).mean()) for k in range(len(levels))),
        people=float(stopped.mean()),
        estimate=estimate,
        spread=float(np.nanstd(value, ddof=1)) if np.isfinite(value).sum() > 1 else math.nan,
        error=float(error[np.isfinite(error)].mean()) if np.isfinite(error).any() else math.nan,
        unestimated=float(np.isnan(p[:, -1]).mean()),
        truth=truth,
        truth_blind=blind,
        bias=_difference(estimate, truth) if held else _NOTHING,
        unblinding=_difference(truth, blind) if _held(blind) else _NOTHING,
        coverage=share_figure(int((inside & known).sum()), int(known.sum())) if held else _NOTHING,
    )


def _levels(trial: Trial, last: int) -> tuple[float, ...]:
    interim = trial.design.interim
    if interim is None:
        assert last == 0
        return (trial.design.analysis.alpha,)
    return nominal_levels(interim.fractions, trial.design.analysis.alpha, interim.spending)


def _truth(table: Table, scenario: str, name: str, contrast: str) -> Figure:
    here = (table["scenario"] == scenario) & (table["analysis"] == name) & (table["contrast"] == contrast)
    return mean_figure(table["value"][here])


def _held(figure: Figure) -> bool:
    return math.isfinite(figure.value)


def _difference(first: Figure, second: Figure) -> Figure:
    """Return the difference of two figures whose errors are taken as independent."""
    value = first.value - second.value
    reach = math.hypot(first.value - first.low, second.value - second.low)
    return Figure(value, value - reach, value + reach, min(first.replicates, second.replicates))
