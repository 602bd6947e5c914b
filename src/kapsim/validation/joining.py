"""From a number of each person to the figure that a study would print; every function joins over the last axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PERCENT = 100.0
#: Later than any time that is followed, h.
_NEVER = 1e9


def central_of(word: str | None) -> Callable[..., Array]:
    """Return the mean, or the median or geometric mean where `word` names one."""
    if word == "median":
        return lambda a: np.median(a, axis=-1)
    if word == "geometric_mean":
        return geometric
    return lambda a: np.mean(a, axis=-1)


def geometric(a: Array) -> Array:
    """Geometric mean."""
    return np.asarray(np.exp(np.mean(np.log(np.maximum(a, 1e-300)), axis=-1)))


def over(a: Array, b: Array) -> Array:
    """Return a / b; not a number where nothing is to be divided by."""
    return np.asarray(np.where(b != 0.0, a / np.where(b != 0.0, b, 1.0), np.nan))


def ratio_of(central: Callable[..., Array]) -> Callable[..., Array]:
    """Return the centre of the ratios within people."""
    return lambda a, b: central(over(a, b))


def ratio_of_geometric(a: Array, b: Array) -> Array:
    """Ratio of geometric means."""
    return over(geometric(a), geometric(b))


def ratio_of_means(a: Array, b: Array) -> Array:
    """Ratio of means."""
    return over(a.mean(axis=-1), b.mean(axis=-1))


def percent(a: Array, b: Array) -> Array:
    """Change of the mean from `b` to `a`, %."""
    return np.asarray(PERCENT * (ratio_of_means(a, b) - 1.0))


def standardised(a: Array, b: Array) -> Array:
    """Difference of means over the spread of both groups."""
    spread = np.sqrt(0.5 * (a.var(axis=-1, ddof=1) + b.var(axis=-1, ddof=1)))
    return np.asarray((a.mean(axis=-1) - b.mean(axis=-1)) / np.maximum(spread, 1e-12))


def odds(a: Array) -> Array:
    """Odds of a yes."""
    # half a person more on either side keeps an odds ratio finite, as trials do
    count = a.shape[-1]
    return np.asarray((a.sum(axis=-1) + 0.5) / (count - a.sum(axis=-1) + 0.5))


def odds_ratio(a: Array, b: Array) -> Array:
    """Ratio of the odds of two groups."""
    return odds(a) / odds(b)


def share_of(part: Array, whole: Array) -> Array:
    """Share of those in `whole` who are in `part`; not a number where nobody is."""
    total = whole.sum(axis=-1)
    return np.where(total > 0, part.sum(axis=-1) / np.maximum(total, 1.0), np.nan)


def hazard_ratio(in_a: Array, lost_a: Array, time_a: Array, in_b: Array, lost_b: Array, time_b: Array) -> Array:
    """Ratio of relapses over time under risk (h) of two groups; not a number where nobody enters one of them."""
    hazard_a = (lost_a.sum(axis=-1) + 0.5) / np.maximum(time_a.sum(axis=-1), 1.0)
    hazard_b = (lost_b.sum(axis=-1) + 0.5) / np.maximum(time_b.sum(axis=-1), 1.0)
    return np.where((in_a.sum(axis=-1) > 0) & (in_b.sum(axis=-1) > 0), hazard_a / hazard_b, np.nan)


def median_time(entered: Array, lost: Array, time: Array) -> Array:
    """Return the time by which half of those who entered are lost; where fewer are, the time of an equal hazard."""
    until = np.where((entered > 0) & (lost > 0), time, np.where(entered > 0, _NEVER, np.nan))
    nobody = np.asarray(np.isnan(until).all(axis=-1))
    known = np.where(nobody[..., None], _NEVER, until)
    middle = np.nanquantile(known, 0.5, axis=-1, method="inverted_cdf")
    even = np.log(2.0) * time.sum(axis=-1) / (lost.sum(axis=-1) + 0.5)
    return np.where(nobody, np.nan, np.where(middle < _NEVER, middle, even))
