"""The mean rate of the cortex held at its set point by one factor on all inhibition.

Efficacies of illness are not balanced region by region, as strength is: the regions that they strengthen stay more
active than the rest. The mean rate of the cortex is, so that without drug it is at its set point in everybody. What the
chain's response surface is computed from and what a study scans are both made so, by this one function.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.fixed_point import FixedPoint, follow
from kapsim.brain.mean_field import RegionalInputs
from kapsim.errors import FixedPointError

Array = NDArray[np.float64]

#: Accuracy of the logarithm of the mean rate, and the share of the way at which its slopes are taken.
BALANCED, PROBE = 1e-11, 1e-3
MOST_STEPS = 20


def mean_rate(point: FixedPoint, rows: NDArray[np.intp]) -> float:
    """Return the mean excitatory rate of some regions, Hz."""
    return float(point.firing.excitatory[rows].mean())


def held_rate(start: FixedPoint, inputs: RegionalInputs, rows: NDArray[np.intp]) -> tuple[FixedPoint, float]:
    """Return the state under other inputs at which the mean rate of some regions is what it was, and the factor.

    Parameters
    ----------
    start : FixedPoint
        Balanced region by region, as from `kapsim.brain.fixed_point.rest`.
    inputs : RegionalInputs
        Where to go; all of their inhibition is multiplied by the factor. Their inhibition is that of `start`.
    rows : ndarray of int
        The regions whose mean rate is held, usually the cortex.

    Returns
    -------
    tuple of FixedPoint and float
        The start itself and 1 where the inputs are its own.

    Raises
    ------
    FixedPointError
        If no factor is found that holds it.
    """
    if _same(start.inputs, inputs):
        return start, 1.0
    home = mean_rate(start, rows)

    def at(begin: FixedPoint, share: float, shift: float) -> tuple[FixedPoint, float]:
        part = RegionalInputs(*((1.0 - share) * a + share * b for a, b in zip(start.inputs, inputs, strict=True)))
        found = follow(begin, part._replace(inhibition=part.inhibition * np.exp(shift)))
        return found, float(np.log(mean_rate(found, rows) / home))

    # slopes by the way to the inputs and by the shift: their ratio is a first guess, which keeps to the low branch
    # where the way without a shift would leave it
    by_inputs, by_shift = at(start, PROBE, 0.0)[1] / PROBE, at(start, 0.0, PROBE)[1] / PROBE
    guess = -by_inputs / by_shift
    here, error = at(start, 1.0, guess)
    before, slope = guess, by_shift
    for _ in range(MOST_STEPS):
        if abs(error) <= BALANCED:
            return here, float(np.exp(before))
        now = before - error / slope
        here, found = at(here, 1.0, now)
        slope, before, error = (found - error) / (now - before), now, found
    raise FixedPointError("no factor on inhibition brings the mean rate back to its set point")


def _same(one: RegionalInputs, other: RegionalInputs) -> bool:
    return all(bool(np.all(np.asarray(a) == np.asarray(b))) for a, b in zip(one, other, strict=True))
