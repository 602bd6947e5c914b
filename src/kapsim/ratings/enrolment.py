"""Entry by a rated score: how ill people truly are whom a trial took in, and what their first rating owes to its error.

A trial admits people whose rating passes a cut, and prints the mean and spread of those ratings. Some passed because
the rater erred upwards that day; the next rating falls by what was new in that error, without any treatment. Before the
cut the ratings are taken as normal; the cut leaves a truncated normal with the printed mean and spread, which gives the
normal back, and with the size of the error the true severity of those admitted (the formula of shrinkage, from the mean
before the cut). Without a cut nothing regresses, and only the spread shrinks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import Law, Parameter
from kapsim.ratings.rating_error import rating_error

Array = NDArray[np.float64]

#: Cuts further into the tail than this many standard deviations are beyond any trial.
_FURTHEST = 12.0


class Enrolment(NamedTuple):
    """Who was taken in: rated severity as printed, and true severity behind it, in points of `scale`.

    Attributes
    ----------
    scale : str
        Scale of the rating that decided.
    mean, sd : float
        Of the ratings of those who were taken in.
    true_mean, true_sd : float
        Of their expected scores.
    slope, residual : float
        A rating at entry is `mean` + `slope` times the person's distance from `true_mean`, and a normal error of
        standard deviation `residual`. First and second moments are those of the truncated normal.
    """

    scale: str
    mean: float
    sd: float
    true_mean: float
    true_sd: float
    slope: float
    residual: float

    @property
    def regression(self) -> float:
        """How far the mean rating at entry lies above the true mean, points."""
        return self.mean - self.true_mean

    def error(self, expected: Array, deviate: Array) -> Array:
        """Return the error of the rating at entry.

        Parameters
        ----------
        expected : ndarray, shape (patient,)
            Expected scores at entry, points.
        deviate : ndarray, shape (patient,)
            Standard normal deviates.
        """
        return self.regression + (self.slope - 1.0) * (expected - self.true_mean) + self.residual * deviate


def enrolled(scale: str, mean: float, sd: float, error: float, distance: float = math.inf) -> Enrolment:
    """Return who a study took in, from the mean and spread of their ratings.

    Parameters
    ----------
    scale : str
        Scale of the rating that decided.
    mean, sd : float
        Of the ratings of those who were taken in, points.
    error : float
        Standard deviation of one rating's error, points.
    distance : float
        How far the cut lies below `mean`, in units of `sd`; infinite where there was none.

    Raises
    ------
    InputError
        Where the numbers cannot be: a negative spread or error, a cut within one standard deviation of the mean.
    """
    if sd < 0.0 or error < 0.0:
        raise InputError(f"enrolment: a standard deviation is negative ({min(sd, error):g}); give 0 or more")
    if distance <= 1.0:
        raise InputError(
            f"enrolment: a cut {distance:g} standard deviations below the mean of those above it cannot be; more than 1"
        )
    before_mean, before_sd = _before_the_cut(mean, sd, distance)
    # the share of the variance of ratings, before the cut, that is people's own
    kept = max(1.0 - (error / before_sd) ** 2, 0.0) if before_sd > 0.0 else 0.0
    noise = min(error, before_sd)
    true_mean = before_mean + kept * (mean - before_mean)
    variance = kept**2 * sd**2 + kept * noise**2
    slope = kept * sd**2 / variance if variance > 0.0 else 1.0
    residual = math.sqrt(max(sd**2 - slope**2 * variance, 0.0))
    return Enrolment(scale, mean, sd, true_mean, math.sqrt(variance), slope, residual)


def _before_the_cut(mean: float, sd: float, distance: float) -> tuple[float, float]:
    """Return mean and standard deviation of the normal that a cut turned into one of `mean` and `sd` above it."""
    if math.isinf(distance) or sd == 0.0:
        return mean, sd
    from scipy.optimize import brentq
    from scipy.stats import norm

    def hazard(cut: float) -> float:
        return math.exp(norm.logpdf(cut) - norm.logsf(cut))

    def width(cut: float) -> float:
        """Standard deviation above the cut, in units of the one before."""
        return math.sqrt(max(1.0 + cut * hazard(cut) - hazard(cut) ** 2, 1e-300))

    def beyond(cut: float) -> float:
        return (hazard(cut) - cut) / width(cut) - distance

    if beyond(-_FURTHEST) < 0.0:
        return mean, sd
    if beyond(_FURTHEST) > 0.0:
        raise InputError(f"enrolment: a cut {distance:g} standard deviations below the mean is too near to it")
    cut = float(brentq(beyond, -_FURTHEST, _FURTHEST, xtol=1e-12))
    before = sd / width(cut)
    return mean - before * hazard(cut), before


def true_severity(parameter: Parameter, entry: Enrolment) -> Parameter:
    """Return the parameter of a severity with the mean and spread of true scores in place of rated ones.

    Parameters
    ----------
    parameter : Parameter
        Rated severity of a population or a group: its mean, and a spread between people in points.
    entry : Enrolment
        In the same points.
    """
    law = parameter.between_subject
    assert law is not None, parameter.id
    assert law.law == "normal", parameter.id
    known = law.model_copy(update={"sd": entry.true_sd})
    return parameter.model_copy(update={"value": entry.true_mean, "between_subject": known})


def entered(parameters: Mapping[str, Parameter], scale: str = "madrs") -> tuple[dict[str, Parameter], Enrolment]:
    """Return a registry of people whom a trial took in by their rating, from one that holds the ratings.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        `patient.madrs` and `patient.hama` hold mean and spread of ratings at entry.
    scale : str
        'madrs' or 'hama': the rating that decided.

    Returns
    -------
    tuple of dict and Enrolment
        The registry with true severity in the place of rated, and how people came in.
    """
    distance = parameters["observation.enrolment.distance"].value
    registry, found = dict(parameters), {}
    for own in ("madrs", "hama"):
        severity = registry[f"patient.{own}"]
        law: Law | None = severity.between_subject
        assert law is not None
        # a scale that did not decide was rated with an error too, which widens its spread and moves nothing
        cut = distance if own == scale else math.inf
        found[own] = enrolled(own, severity.value, law.sd, rating_error(own, parameters).sd, cut)
        registry[f"patient.{own}"] = true_severity(severity, found[own])
    return registry, found[scale]
