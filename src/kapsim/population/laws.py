"""How one trait spreads over a population: a law as a transformation of a standard normal deviate, and its moments.

Laws are truncated, not clipped: nobody stands heaped at a bound. Published means and standard deviations are those of
the people who were there, so they are those of the truncated law; what lies beneath is solved for.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError

__all__ = ["FURTHEST", "KINDS", "Law", "law_of_mean", "law_of_median", "law_of_share"]

Array = NDArray[np.float64]

KINDS = ("normal", "lognormal", "share")
#: A given value beyond a law's bounds counts as this many standard deviations out, on that side.
FURTHEST = 5.0
#: How near the moments of a solved law must come to those wanted, relative to the standard deviation.
_NEAR = 1e-6


class Law(NamedTuple):
    """A law of one trait, in the trait's unit.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    centre, spread : float
        Mean and standard deviation before truncation; of a lognormal law, of the logarithm; of a share, it and 0.
    low, high : float
        Bounds.
    """

    kind: str
    centre: float
    spread: float
    low: float
    high: float

    @property
    def _edges(self) -> tuple[float, float]:
        """Bounds on the scale on which the law is normal, in standard deviations."""
        low, high = self.low, self.high
        if self.kind == "lognormal":
            low, high = (math.log(edge) if edge > 0.0 else -math.inf for edge in (low, high))
        return (low - self.centre) / self.spread, (high - self.centre) / self.spread

    @property
    def cut(self) -> float:
        """Deviate above which a person has the trait; of a share."""
        from scipy.special import ndtri

        return float(ndtri(1.0 - self.centre))

    def values(self, deviates: Array, shift: Array | float = 0.0) -> Array:
        """Turn standard normal deviates into values.

        Parameters
        ----------
        deviates : ndarray, shape (patient,)
        shift : ndarray or float
            By how much the centre lies elsewhere: in the unit, of the logarithm, or of the log odds of a share.

        Returns
        -------
        ndarray, shape (patient,)
            In the trait's unit; of a share 1 or 0.
        """
        from scipy.special import expit, logit, ndtr, ndtri

        if self.kind == "share":
            share = self.centre if np.ndim(shift) == 0 and shift == 0.0 else expit(logit(self.centre) + shift)
            return np.asarray(deviates > ndtri(1.0 - np.asarray(share)), dtype=float)
        low, high = self._edges
        mass = ndtr(high) - ndtr(low)
        # each half from its own end, where shares are exact
        lower = ndtri(ndtr(low) + ndtr(deviates) * mass)
        inner = np.where(deviates <= 0.0, lower, -ndtri(ndtr(-high) + ndtr(-deviates) * mass))
        raw = self.centre + shift + self.spread * inner
        return np.asarray(np.clip(np.exp(raw) if self.kind == "lognormal" else raw, self.low, self.high))

    def scores(self, values: Array) -> Array:
        """Turn values into the deviates that give them; those beyond a bound stand `FURTHEST` out.

        Raises
        ------
        ValueError
            For a share: a value says only on which side of the cut the deviate lies.
        """
        from scipy.special import ndtr, ndtri

        if self.kind == "share":
            raise ValueError("a share has no scores")
        with np.errstate(divide="ignore"):
            raw = np.log(values) if self.kind == "lognormal" else values
        low, high = self._edges
        mass, place = ndtr(high) - ndtr(low), (raw - self.centre) / self.spread
        below, above = (ndtr(place) - ndtr(low)) / mass, (ndtr(-place) - ndtr(-high)) / mass
        found = np.where(below <= 0.5, ndtri(np.clip(below, 0.0, 1.0)), -ndtri(np.clip(above, 0.0, 1.0)))
        return np.asarray(np.clip(found, -FURTHEST, FURTHEST))

    @property
    def mean(self) -> float:
        """Mean, in the trait's unit; of a share the share."""
        return self.centre if self.kind == "share" else _moment(self, 1)

    @property
    def sd(self) -> float:
        """Standard deviation, in the trait's unit."""
        if self.kind == "share":
            return math.sqrt(self.centre * (1.0 - self.centre))
        return math.sqrt(max(_moment(self, 2) - _moment(self, 1) ** 2, 0.0))

    def quantile(self, share: float) -> float:
        """Return the value that `share` of people lie below."""
        from scipy.special import ndtri

        return float(self.values(np.asarray([ndtri(share)]))[0])

    def above(self, value: float) -> float:
        """Return the share of people above a value."""
        from scipy.special import ndtr

        return float(1.0 - ndtr(self.scores(np.asarray([value]))[0]))


def _moment(law: Law, power: int) -> float:
    """Return a raw moment, 1 or 2, of a truncated law."""
    from scipy.special import ndtr

    a, b = law._edges
    mass = ndtr(b) - ndtr(a)
    if mass <= 0.0:
        return math.nan
    if law.kind == "lognormal":
        grown = power * law.spread
        inside = (ndtr(b - grown) - ndtr(a - grown)) / mass
        return float(math.exp(min(power * law.centre + 0.5 * grown**2, 700.0)) * inside)
    density = [math.exp(-0.5 * edge**2) / math.sqrt(2.0 * math.pi) if math.isfinite(edge) else 0.0 for edge in (a, b)]
    first = (density[0] - density[1]) / mass
    if power == 1:
        return float(law.centre + law.spread * first)
    ends = [edge * value if math.isfinite(edge) else 0.0 for edge, value in zip((a, b), density, strict=True)]
    second = 1.0 + (ends[0] - ends[1]) / mass
    return float(law.centre**2 + 2.0 * law.centre * law.spread * first + law.spread**2 * second)


@functools.lru_cache(maxsize=512)
def law_of_mean(kind: str, mean: float, sd: float, low: float, high: float) -> Law:
    """Return the law whose mean and standard deviation, within the bounds, are those given.

    Parameters
    ----------
    kind : {"normal", "lognormal"}
    mean, sd : float
        In the trait's unit, of the people within the bounds.
    low, high : float

    Raises
    ------
    InputError
        Where no such law lies within the bounds.
    """
    from scipy.optimize import root

    refused = InputError(
        f"no {kind} law from {low:g} to {high:g} has a mean of {mean:g} and a standard deviation of {sd:g}; "
        "give a smaller one, or other bounds"
    )
    if not low < mean < high or sd <= 0.0:
        raise refused
    if kind == "lognormal":
        width = math.sqrt(math.log1p((sd / mean) ** 2))
        start = (math.log(mean) - 0.5 * width**2, math.log(width))
    else:
        start = (mean, math.log(sd))

    def law(point: NDArray[np.float64]) -> Law:
        return Law(kind, float(point[0]), math.exp(min(max(float(point[1]), -30.0), 30.0)), low, high)

    def gap(point: NDArray[np.float64]) -> list[float]:
        found = law(point)
        with np.errstate(all="ignore"):
            pair = [(found.mean - mean) / sd, found.sd / sd - 1.0]
        return [value if math.isfinite(value) else 1e6 for value in pair]

    solved = root(gap, np.asarray(start), method="hybr", tol=1e-12)
    if max(map(abs, gap(solved.x))) > _NEAR:
        raise refused
    return law(solved.x)


def law_of_median(median: float, log_sd: float, low: float, high: float) -> Law:
    """Return the lognormal law of a median and a standard deviation of the logarithm, before truncation.

    Raises
    ------
    InputError
        Where the median does not lie within the bounds.
    """
    if not low < median < high:
        raise InputError(f"a median of {median:g} does not lie between {low:g} and {high:g}; give other bounds")
    return Law("lognormal", math.log(median), log_sd, low, high)


def law_of_share(share: float) -> Law:
    """Return the law of a trait that a share of people have."""
    return Law("share", share, 0.0, 0.0, 1.0)
