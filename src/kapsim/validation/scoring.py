"""Scores: how far predictions lie from what was published, point by point, then by domain.

Errors are counted as ratios where a figure is a level or a ratio, in points of a scale, in percentage points of people,
in standard deviations, or by sign. Within a domain each study has the same weight, however many figures it printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kapsim.validation.spreads import Spread

Array = NDArray[np.float64]

FOLD_SCALES = ("log", "percent")
#: A mean absolute normal deviate: what sampling noise alone would leave of an error.
_MEAN_DEVIATE = math.sqrt(2.0 / math.pi)
#: A ratio beyond this many e-folds is told as this many: nothing can be read from how much further it is.
_LARGEST_LOG = 700.0
TWOFOLD, QUARTER = 2.0, 1.25


@dataclass(frozen=True)
class PointScore:
    """One figure beside its prediction.

    Parameters
    ----------
    time_h : float or None
    observed, predicted, low, high : float
        In the record's unit; low and high are the ends of the 90 % interval.
    sd, sampling_sd : float
        Spread of the prediction and its part from sampling and measurement, on the scale of errors.
    scale : str
        See `Figure`.
    spread : Spread or None
        How people spread around the figure, where ratings are concerned and the record prints it.
    """

    time_h: float | None
    observed: float
    predicted: float
    low: float
    high: float
    sd: float
    sampling_sd: float
    scale: str
    spread: Spread | None = None

    @property
    def inside(self) -> bool:
        """Whether the observed figure lies in the interval."""
        return self.low <= self.observed <= self.high

    @property
    def error(self) -> float:
        """Prediction minus observation on the scale of errors; not a number where a ratio has none."""
        return _on_scale(self.predicted, self.scale) - _on_scale(self.observed, self.scale)

    @property
    def fold(self) -> float | None:
        """Predicted over observed; None where errors are not ratios."""
        if self.scale not in FOLD_SCALES or not math.isfinite(self.error):
            return None
        return fold_of(self.error)

    @property
    def standardised(self) -> float | None:
        """Error over the spread of the prediction; None for signs and where there is no spread."""
        return None if self.scale == "sign" or self.sd <= 0.0 else self.error / self.sd

    @property
    def misfit(self) -> float:
        """Size of the standardised error; a wrong sign counts as three."""
        return 3.0 * float(self.predicted != self.observed) if self.scale == "sign" else abs(self.standardised or 0.0)

    @property
    def log_density(self) -> float | None:
        """Logarithm of the predictive density at the observation, on the scale of errors."""
        z = self.standardised
        return None if z is None else -0.5 * (z * z + math.log(2.0 * math.pi * self.sd**2))


def fold_of(error: float) -> float:
    """Return the ratio that an error on the logarithm stands for, finite however far off."""
    return math.exp(max(min(error, _LARGEST_LOG), -_LARGEST_LOG))


def _on_scale(value: float, scale: str) -> float:
    if scale == "log":
        return math.log(value) if value > 0.0 else math.nan
    if scale == "percent":
        return math.log(1.0 + value / 100.0) if value > -100.0 else math.nan
    return value


@dataclass(frozen=True)
class RecordScore:
    """One record, scored or with the reason why not.

    Parameters
    ----------
    id, study, domain, independence, observable, statistic, use : str
    status : str
        'scored' or 'cannot'.
    reason : str or None
        Completes 'cannot be simulated, because'.
    caveats : tuple of str
        What of the record the simulation leaves out.
    contested : bool
        Whether studies of the observable contradict each other.
    weakness : str or None
        Why the figure hangs on something that its source does not say.
    points : tuple of PointScore
    held_out : tuple of PointScore
        The same without what the record's own study taught the model; empty where that was not asked for.
    not_testable : str or None
        Why the record cannot be predicted without its own study.
    unit, definition : str
    route : str
        Way of the last dose.
    baseline : float or None
        What was measured before treatment, on the scale of the figures.
    """

    id: str
    study: str
    domain: str
    independence: str
    observable: str
    statistic: str
    use: str
    status: str
    reason: str | None = None
    caveats: tuple[str, ...] = ()
    contested: bool = False
    weakness: str | None = None
    points: tuple[PointScore, ...] = ()
    held_out: tuple[PointScore, ...] = ()
    not_testable: str | None = None
    unit: str = ""
    definition: str = ""
    route: str = ""
    dose_mg: float = 0.0
    control: bool = False
    baseline: float | None = None
    hours_since_dose: tuple[float | None, ...] = field(default=())

    @property
    def worst(self) -> float:
        """Largest misfit of its points."""
        return max((point.misfit for point in self.points), default=0.0)


@dataclass(frozen=True)
class Scores:
    """Scores of some points, each None where no point is of the kind that it is about.

    Parameters
    ----------
    n_records, n_points, n_studies : int
    gmfe : float or None
        Geometric mean fold error.
    mdape : float or None
        Median absolute prediction error, %.
    within_twofold, within_1_25 : float or None
        Share of points.
    rmse, bias : float or None
        Points of a scale.
    rate_mae : float or None
        Absolute error of shares of people, percentage points.
    effect_mae : float or None
        Absolute error of standardised differences.
    coverage90 : float or None
        Share of figures inside their 90 % interval, signs left out.
    signs_right : float or None
        Share of signs predicted.
    log_score : float or None
        Mean log predictive density.
    noise_fold, noise_points, noise_rate : float or None
        What sampling and measurement alone would leave of gmfe, rmse and rate_mae.
    """

    n_records: int
    n_points: int
    n_studies: int
    gmfe: float | None = None
    mdape: float | None = None
    within_twofold: float | None = None
    within_1_25: float | None = None
    rmse: float | None = None
    bias: float | None = None
    rate_mae: float | None = None
    effect_mae: float | None = None
    coverage90: float | None = None
    signs_right: float | None = None
    log_score: float | None = None
    noise_fold: float | None = None
    noise_points: float | None = None
    noise_rate: float | None = None


Entry = tuple[str, str, PointScore]
"""Study, record and a point of it."""


def entries(records: Iterable[RecordScore], *, held_out: bool = False) -> list[Entry]:
    """Return the scored points of records with their study and record."""
    return [
        (record.study, record.id, point)
        for record in records
        for point in (record.held_out if held_out else record.points)
    ]


def score(found: Sequence[Entry]) -> Scores:
    """Score points, studies weighted equally.

    Parameters
    ----------
    found : sequence of (study, record, PointScore)
    """
    by_scale: Mapping[str, list[Entry]] = {
        name: [entry for entry in found if entry[2].scale in scales]
        for name, scales in (
            ("fold", FOLD_SCALES), ("points", ("points",)), ("share", ("share",)), ("effect", ("effect",)),
            ("sign", ("sign",)),
        )
    }  # fmt: skip
    fold = [entry for entry in by_scale["fold"] if math.isfinite(entry[2].error)]
    graded = [entry for entry in found if entry[2].scale != "sign"]
    densities = [entry for entry in graded if entry[2].log_density is not None and math.isfinite(entry[2].error)]
    size = _mean(fold, lambda p: abs(p.error))
    noise = _mean(fold, lambda p: p.sampling_sd)
    squares = _mean(by_scale["points"], lambda p: p.error**2)
    noise_squares = _mean(by_scale["points"], lambda p: p.sampling_sd**2)
    noise_rate = _mean(by_scale["share"], lambda p: p.sampling_sd)
    return Scores(
        n_records=len({record for _, record, _ in found}),
        n_points=len(found),
        n_studies=len({study for study, _, _ in found}),
        gmfe=None if size is None else fold_of(size),
        mdape=None if not fold else 100.0 * _weighted_median(fold, lambda p: abs(fold_of(p.error) - 1.0)),
        within_twofold=_mean(fold, lambda p: float(abs(p.error) <= math.log(TWOFOLD) + 1e-12)),
        within_1_25=_mean(fold, lambda p: float(abs(p.error) <= math.log(QUARTER) + 1e-12)),
        rmse=None if squares is None else math.sqrt(squares),
        bias=_mean(by_scale["points"], lambda p: p.error),
        rate_mae=_mean(by_scale["share"], lambda p: abs(p.error)),
        effect_mae=_mean(by_scale["effect"], lambda p: abs(p.error)),
        coverage90=_mean(graded, lambda p: float(p.inside)),
        signs_right=_mean(by_scale["sign"], lambda p: float(p.predicted == p.observed)),
        log_score=_mean(densities, lambda p: p.log_density or 0.0),
        noise_fold=None if noise is None else fold_of(_MEAN_DEVIATE * noise),
        noise_points=None if noise_squares is None else math.sqrt(noise_squares),
        noise_rate=None if noise_rate is None else _MEAN_DEVIATE * noise_rate,
    )


def weights(found: Sequence[Entry]) -> Array:
    """Return the weight of each point: one for each study, shared by its points; they sum to one."""
    counts: dict[str, int] = {}
    for study, _, _ in found:
        counts[study] = counts.get(study, 0) + 1
    return np.asarray([1.0 / (len(counts) * counts[study]) for study, _, _ in found])


def _mean(found: Sequence[Entry], of: Callable[[PointScore], float]) -> float | None:
    if not found:
        return None
    return float(np.sum(weights(found) * np.asarray([of(point) for _, _, point in found])))


def _weighted_median(found: Sequence[Entry], of: Callable[[PointScore], float]) -> float:
    values = np.asarray([of(point) for _, _, point in found])
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights(found)[order])
    return float(values[order][int(np.searchsorted(below, 0.5 - 1e-12))])
