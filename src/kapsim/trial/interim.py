"""Interim looks: how much of the error each may spend (Lan and DeMets), and the bounds that follow.

The test statistics of the looks are jointly normal with the correlations of information fractions; a bound at a look is
what spends its share, given that no earlier look stopped the trial. Analyses compare their p value with the look's
nominal level, so that they keep their own degrees of freedom.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["bounds", "nominal_levels", "spent"]

Array = NDArray[np.float64]

#: Beyond this many standard deviations nothing is left to spend.
_FURTHEST = 12.0
#: Points of the integration over the statistic of the look before, a power of two and one.
_POINTS = 513


def spent(fraction: float, alpha: float, spending: str) -> float:
    """Return how much of a two-sided error may be spent by an information fraction.

    Parameters
    ----------
    fraction : float
        0 to 1.
    alpha : float
        In all.
    spending : str
        'obrien_fleming' or 'pocock', the spending functions of that shape.
    """
    from scipy.special import ndtr, ndtri

    if fraction >= 1.0:
        return alpha
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1.0) * fraction)
    return float(4.0 * (1.0 - ndtr(ndtri(1.0 - alpha / 4.0) / math.sqrt(fraction))))


@functools.cache
def bounds(fractions: tuple[float, ...], alpha: float, spending: str) -> tuple[float, ...]:
    """Return the two-sided bound of the standard normal statistic at each look.

    Parameters
    ----------
    fractions : tuple of float
        Information at the looks, ascending; the last is 1.
    alpha : float
        Two-sided, in all.
    spending : str
        As in `spent`.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    found: list[float] = []
    before = 0.0
    # density of the score process where no look has stopped, on a grid symmetric about 0
    grid = density = np.zeros(0)
    for look, fraction in enumerate(fractions):
        share = spent(fraction, alpha, spending)
        spend = max(share - before, 0.0)
        before = share
        width = math.sqrt(fraction - fractions[look - 1]) if look else 0.0
        if look == 0:
            bound = float(-ndtri(spend / 2.0)) if spend > 0.0 else _FURTHEST
        else:
            lacking = functools.partial(_lacking, grid=grid, density=density, width=width, time=fraction, spend=spend)
            bound = float(brentq(lacking, 0.0, _FURTHEST, xtol=1e-10))
        found.append(bound)
        edge = bound * math.sqrt(fraction)
        new = np.linspace(-edge, edge, _POINTS)
        if look == 0:
            density = np.exp(-0.5 * new**2 / fraction) / math.sqrt(2.0 * math.pi * fraction)
        else:
            kernel = np.exp(-0.5 * ((new[:, None] - grid[None, :]) / width) ** 2) / (width * math.sqrt(2.0 * math.pi))
            density = np.asarray(np.trapezoid(kernel * density[None, :], grid, axis=1))
        grid = new
    return tuple(found)


def _lacking(limit: float, *, grid: Array, density: Array, width: float, time: float, spend: float) -> float:
    """Return by how much the chance to cross a limit at a look exceeds what may be spent there."""
    from scipy.special import ndtr

    edge = limit * math.sqrt(time)
    return float(np.trapezoid(density * (ndtr((-edge - grid) / width) + ndtr((grid - edge) / width)), grid)) - spend


def nominal_levels(fractions: Sequence[float], alpha: float, spending: str) -> tuple[float, ...]:
    """Return the two-sided level that the p value of each look is compared with, the last look included.

    Parameters
    ----------
    fractions : sequence of float
        Of the interim looks, without the last.
    alpha, spending
        As in `bounds`.
    """
    from scipy.special import ndtr

    if not fractions:
        return (alpha,)
    return tuple(float(2.0 * ndtr(-bound)) for bound in bounds((*fractions, 1.0), alpha, spending))
