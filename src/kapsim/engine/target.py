"""A rate profile that holds an observed value on target: what a target-controlled pump computes beforehand.

The system is linear and known to the pump, and rates are constant within a step. So the one rate that puts the
observed value on target at the end of a step follows from the content at its start; it is never negative, and where
the value is above the target the pump waits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapsim.engine.linear import exponential

Array = NDArray[np.float64]

#: A step is at most the time since the start of its target divided by this.
GROWTH = 16


def step_ends(start: int, end: int, first: int) -> list[int]:
    """Return the ends of the steps from `start` to `end`: of length `first` at the start, doubling as time passes.

    Parameters
    ----------
    start, end : int
        In ticks, the end after the start.
    first : int
        Shortest step, in ticks; the last one may be shorter.
    """
    ends, now = [], start
    while now < end:
        doublings = max((now - start) // (GROWTH * first), 1).bit_length() - 1
        now = min(now + (first << doublings), end)
        ends.append(now)
    return ends


def target_rates(
    matrix: ArrayLike, inlet: ArrayLike, observed: ArrayLike, hours: Sequence[float], targets: Sequence[float]
) -> Array:
    """Return the rates that put the observed value on target at the end of each step, from an empty system.

    Parameters
    ----------
    matrix : array_like, shape (..., n, n)
        Rate matrices of the compartments, 1/h.
    inlet : array_like, shape (..., n)
        How an inflow of 1 per hour is shared among the compartments.
    observed : array_like, shape (..., n)
        Weights with which the contents make the observed value; an inflow must raise it within a step.
    hours : sequence of float, length K
        Lengths of the steps, h.
    targets : sequence of float, length K
        Observed value wanted at the end of each step; 0 switches the pump off.

    Returns
    -------
    ndarray, shape (K, ...)
        Inflow during each step, per hour, at least 0: 0 as long as the value stays above the target without it.
    """
    system, weights = np.asarray(matrix, dtype=float), np.asarray(observed, dtype=float)
    n = system.shape[-1]
    # a constant inflow is one more state that never changes
    driven = np.zeros((*system.shape[:-2], n + 1, n + 1))
    driven[..., :n, :n] = system
    driven[..., :n, n] = inlet
    moves = {step: exponential(driven * step)[..., :n, :] for step in set(hours)}
    content, rates = np.zeros(system.shape[:-1]), []
    for step, target in zip(hours, targets, strict=True):
        move = moves[step]
        idle = (move[..., :n] @ content[..., None])[..., 0]
        missing = target - (weights * idle).sum(axis=-1)
        rate = np.maximum(missing / (weights * move[..., n]).sum(axis=-1), 0.0)
        content = idle + move[..., n] * rate[..., None]
        rates.append(rate)
    return np.asarray(rates)
