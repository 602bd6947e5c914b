"""Analysis of covariance of many trials at once: arms and covariates, ordinary least squares, contrasts of arms.

All replicates are solved together by their normal equations; each gives what a statistics library gives for it alone
(tested against statsmodels). People without an outcome are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "ancova", "design_matrix", "t_interval"]

Array = NDArray[np.float64]
#: A column of which this share or less is not told by those before it carries nothing of its own.
_TOLERANCE = 1e-10


class Estimate(NamedTuple):
    """One contrast in every replicate, arrays of shape (replicate,); not a number where it cannot be estimated.

    Attributes
    ----------
    value, error, freedom : ndarray
        Estimate, its standard error and degrees of freedom.
    low, high : ndarray
        Ends of its interval.
    p : ndarray
        Two-sided.
    people : ndarray
        People it rests on.
    """

    value: Array
    error: Array
    freedom: Array
    low: Array
    high: Array
    p: Array
    people: Array


def t_interval(value: Array, error: Array, freedom: Array, people: Array, alpha: float) -> Estimate:
    """Return estimates with the interval and the test of Student's t.

    Parameters
    ----------
    value, error, freedom, people : ndarray, shape (replicate,)
    alpha : float
        Two-sided.
    """
    from scipy.special import stdtr, stdtrit

    known = np.isfinite(value) & np.isfinite(error) & (error > 0.0) & (freedom > 0.0)
    safe = np.where(known, freedom, 1.0)
    reach = stdtrit(safe, 1.0 - alpha / 2.0) * error
    p = 2.0 * stdtr(safe, -np.abs(value / np.where(known, error, 1.0)))

    def where_known(values: Array) -> Array:
        return np.asarray(np.where(known, values, np.nan), dtype=float)

    return Estimate(
        where_known(value),
        where_known(error),
        where_known(freedom),
        where_known(value - reach),
        where_known(value + reach),
        where_known(p),
        np.asarray(people, dtype=float),
    )


def design_matrix(group: NDArray[np.int64], groups: int, covariates: Array) -> Array:
    """Return one column for each arm, then the covariates, shape (replicate, patient, columns).

    Parameters
    ----------
    group : ndarray of int, shape (replicate, patient)
        −1 for those who are in no arm.
    groups : int
    covariates : ndarray, shape (replicate, patient, covariates)
    """
    cells = (group[..., None] == np.arange(groups)).astype(float)
    return np.concatenate([cells, covariates], axis=-1)


def ancova(outcome: Array, matrix: Array, contrast: Array, alpha: float = 0.05) -> Estimate:
    """Return a contrast of arms by ordinary least squares in every replicate.

    Parameters
    ----------
    outcome : ndarray, shape (replicate, patient)
        Not a number where missing.
    matrix : ndarray, shape (replicate, patient, columns)
        As `design_matrix` makes it.
    contrast : ndarray, shape (arms,)
        Weights of the arms.
    alpha : float
        Two-sided.

    Returns
    -------
    Estimate
        Not a number in replicates where an arm of the contrast is empty or nothing is left to estimate the error by.
    """
    weights = np.zeros(matrix.shape[-1])
    weights[: len(contrast)] = contrast
    here: NDArray[np.bool_] = (
        np.isfinite(outcome) & np.isfinite(matrix).all(axis=-1) & (matrix[..., : len(contrast)].sum(axis=-1) > 0.0)
    )
    x = np.where(here[..., None], matrix, 0.0)
    y = np.where(here, outcome, 0.0)
    inverse, rank = _inverse(x, weights)
    beta = np.einsum("rpq,rq->rp", inverse, np.einsum("rnp,rn->rp", x, y))
    people = here.sum(axis=1).astype(float)
    residual = np.where(here, y - np.einsum("rnp,rp->rn", x, beta), 0.0)
    freedom = people - rank
    variance = (residual**2).sum(axis=1) / np.where(freedom > 0.0, freedom, np.nan)
    value = beta @ weights
    error = np.sqrt(variance * np.einsum("p,rpq,q->r", weights, inverse, weights))
    return t_interval(value, error, freedom, people, alpha)


def _inverse(x: Array, weights: Array) -> tuple[Array, Array]:
    """Return an inverse of X'X that leaves out columns with nothing of their own, and the rank, of each replicate.

    Where a column that the contrast needs is empty, the inverse is not a number.
    """
    cross = np.einsum("rnp,rnq->rpq", x, x)
    rows, size, _ = cross.shape
    kept = np.zeros((rows, size), dtype=bool)
    # sweep column after column: what of it the columns before do not tell
    left = cross.copy()
    scale = np.einsum("rpp->rp", cross)
    for column in range(size):
        pivot = left[:, column, column]
        usable = np.asarray(pivot > _TOLERANCE * np.maximum(scale[:, column], 1e-300))
        kept[:, column] = usable
        ratio = np.where(usable[:, None], left[:, :, column] / np.where(usable, pivot, 1.0)[:, None], 0.0)
        left = left - ratio[:, :, None] * left[:, column, :][:, None, :]
    both = kept[:, :, None] & kept[:, None, :]
    filled = np.where(both, cross, 0.0)
    filled[:, np.arange(size), np.arange(size)] += ~kept
    inverse = np.where(both, np.linalg.inv(filled), 0.0)
    needed = np.flatnonzero(weights)
    estimable = np.asarray(kept[:, needed].all(axis=1))
    return np.where(estimable[:, None, None], inverse, np.nan), kept.sum(axis=1).astype(float)
