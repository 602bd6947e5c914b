"""A crossover of two treatments: what differs within a person, with period and carry-over taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapsim.trial.ancova import Estimate, t_interval

__all__ = ["carry_over", "treatment_difference"]

Array = NDArray[np.float64]


def treatment_difference(values: Array, group: NDArray[np.int64], alpha: float = 0.05) -> Estimate:
    """Return the difference of the treatments within people (Hills and Armitage), treatment minus control.

    People with both periods count. The period is taken out by comparing the two sequences.

    Parameters
    ----------
    values : ndarray, shape (replicate, patient, 2)
        Outcome of both periods; not a number where missing.
    group : ndarray of int, shape (replicate, patient)
        0 for the sequence that begins with the treatment, 1 for the other, −1 for nobody's.
    alpha : float
        Two-sided.
    """
    return _halved(values[..., 0] - values[..., 1], group, alpha, 0.5)


def carry_over(values: Array, group: NDArray[np.int64], alpha: float = 0.05) -> Estimate:
    """Return the difference of the sums of both periods between the sequences: unequal carry-over, not washed out.

    Parameters
    ----------
    values, group, alpha
        As in `treatment_difference`.
    """
    return _halved(values.sum(axis=-1), group, alpha, 1.0)


def _halved(within: Array, group: NDArray[np.int64], alpha: float, scale: float) -> Estimate:
    counts, means, squares = [], [], []
    for sequence in (0, 1):
        here = (group == sequence) & np.isfinite(within)
        count = here.sum(axis=1).astype(float)
        with np.errstate(all="ignore"):
            mean = np.where(here, within, 0.0).sum(axis=1) / count
        counts.append(count)
        means.append(mean)
        squares.append((np.where(here, within - mean[:, None], 0.0) ** 2).sum(axis=1))
    freedom = counts[0] + counts[1] - 2.0
    with np.errstate(all="ignore"):
        variance = (squares[0] + squares[1]) / np.where(freedom > 0.0, freedom, np.nan)
        error = scale * np.sqrt(variance * (1.0 / counts[0] + 1.0 / counts[1]))
        value = scale * (means[0] - means[1])
    return t_interval(value, error, freedom, counts[0] + counts[1], alpha)
