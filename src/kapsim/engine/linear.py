"""Exact propagation of a linear system: one matrix exponential a person, then squarings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

Array = NDArray[np.float64]


def propagators(matrix: Array, smallest: float, doublings: int) -> Array:
    """Return exp(matrix · smallest · 2^k) for k = 0 … doublings.

    Parameters
    ----------
    matrix : ndarray, shape (..., n, n)
        Rate matrices, per hour.
    smallest : float
        Smallest step, h.
    doublings : int
        How many times the step is doubled.

    Returns
    -------
    ndarray, shape (doublings + 1, ..., n, n)
        Each exact: the matrices need not be diagonalisable, so equal rates are no special case.
    """
    first = expm(matrix * smallest)
    steps = [first]
    for _ in range(doublings):
        steps.append(steps[-1] @ steps[-1])
    return np.stack(steps)
