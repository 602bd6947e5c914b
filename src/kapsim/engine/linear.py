"""Exact propagation of a linear system: one matrix exponential a person, then squarings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Largest 1-norm for which `TERMS` terms of the exponential series leave less than rounding: 0.1^12 / 12! < 1e-20.
SERIES_NORM, TERMS = 0.1, 12


def exponential(matrix: Array) -> Array:
    """Return the matrix exponential of a stack of small matrices, shape (..., n, n), by series and squaring.

    SciPy's `expm` loops over a stack; for the hundreds of matrices of a run, which are small in norm because the
    smallest step is, the series over the whole stack is some twenty times faster. Each matrix is squared as often as
    itself asks for, so that a person's does not depend on the others in the stack.
    """
    norm = np.abs(matrix).sum(axis=-2).max(axis=-1, initial=0.0)
    # whoever has a rate that is no number keeps it, for the caller to find
    large = np.where(np.isfinite(norm), np.maximum(norm, SERIES_NORM), SERIES_NORM)
    squarings = np.ceil(np.log2(large / SERIES_NORM)).astype(int)
    scaled = matrix / np.exp2(squarings)[..., None, None]
    identity = np.broadcast_to(np.eye(matrix.shape[-1]), matrix.shape)
    result = identity + scaled / TERMS
    for k in range(TERMS - 1, 0, -1):
        result = identity + scaled @ result / k
    for done in range(int(squarings.max(initial=0))):
        more = squarings > done
        result[more] = result[more] @ result[more]
    return np.asarray(result)


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
    steps = [exponential(matrix * smallest)]
    for _ in range(doublings):
        steps.append(steps[-1] @ steps[-1])
    return np.stack(steps)
