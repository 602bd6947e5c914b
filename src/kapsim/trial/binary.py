"""Yes-or-no endpoints of many trials at once: difference of shares, and logistic regression with covariates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapsim.trial.ancova import Estimate

__all__ = ["logistic", "risk_difference"]

Array = NDArray[np.float64]

_MOST_STEPS = 30
_CONVERGED = 1e-10
#: A log-odds further out is that of a group in which all or none say yes: it has no estimate.
_FURTHEST = 15.0


def risk_difference(outcome: Array, group: NDArray[np.int64], arm: int, control: int, alpha: float = 0.05) -> Estimate:
    """Return the difference of shares of yes, with Newcombe's interval and the test of Pearson's chi-square.

    Parameters
    ----------
    outcome : ndarray, shape (replicate, patient)
        1 for yes, 0 for no, not a number where missing.
    group : ndarray of int, shape (replicate, patient)
    arm, control : int
        Which is compared with which.
    alpha : float
        Two-sided.

    Returns
    -------
    Estimate
        Of arm minus control; degrees of freedom are infinite.
    """
    from scipy.special import ndtr, ndtri

    counts, shares, lows, highs = [], [], [], []
    z = float(ndtri(1.0 - alpha / 2.0))
    for place in (arm, control):
        here = (group == place) & np.isfinite(outcome)
        count = here.sum(axis=1).astype(float)
        with np.errstate(all="ignore"):
            share = np.where(here, outcome, 0.0).sum(axis=1) / count
            middle = (share + z**2 / (2.0 * count)) / (1.0 + z**2 / count)
            reach = z / (1.0 + z**2 / count) * np.sqrt(share * (1.0 - share) / count + z**2 / (4.0 * count**2))
        counts.append(count)
        shares.append(share)
        lows.append(middle - reach)
        highs.append(middle + reach)
    with np.errstate(all="ignore"):
        value = shares[0] - shares[1]
        error = np.sqrt(sum(share * (1.0 - share) / count for share, count in zip(shares, counts, strict=True)))
        pooled = (shares[0] * counts[0] + shares[1] * counts[1]) / (counts[0] + counts[1])
        score = np.sqrt(pooled * (1.0 - pooled) * (1.0 / counts[0] + 1.0 / counts[1]))
        p = np.where(score > 0.0, 2.0 * ndtr(-np.abs(value / score)), np.where(np.isfinite(value), 1.0, np.nan))
        low = value - np.sqrt((shares[0] - lows[0]) ** 2 + (highs[1] - shares[1]) ** 2)
        high = value + np.sqrt((highs[0] - shares[0]) ** 2 + (shares[1] - lows[1]) ** 2)
    people = counts[0] + counts[1]
    return Estimate(value, error, np.full(len(value), np.inf), low, high, np.asarray(p), people)


def logistic(outcome: Array, matrix: Array, contrast: Array, alpha: float = 0.05) -> Estimate:
    """Return a contrast of arms as a logarithm of odds, by maximum likelihood in every replicate.

    Parameters
    ----------
    outcome : ndarray, shape (replicate, patient)
        1 for yes, 0 for no, not a number where missing.
    matrix : ndarray, shape (replicate, patient, columns)
        As `kapsim.trial.ancova.design_matrix` makes it.
    contrast : ndarray, shape (arms,)
    alpha : float
        Two-sided.

    Returns
    -------
    Estimate
        With Wald's interval and test; not a number where a group says yes or no throughout.
    """
    from scipy.special import expit, ndtr, ndtri

    weights = np.zeros(matrix.shape[-1])
    weights[: len(contrast)] = contrast
    here = np.isfinite(outcome) & np.isfinite(matrix).all(axis=-1) & (matrix[..., : len(contrast)].sum(axis=-1) > 0.0)
    x, y = np.where(here[..., None], matrix, 0.0), np.where(here, outcome, 0.0)
    count, _, columns = x.shape
    beta = np.zeros((count, columns))
    covariance = np.full((count, columns, columns), np.nan)
    going = np.ones(count, dtype=bool)
    done = np.zeros(count, dtype=bool)
    for _ in range(_MOST_STEPS):
        share = expit(np.einsum("rnp,rp->rn", x, beta))
        score = np.einsum("rnp,rn->rp", x, np.where(here, y - share, 0.0))
        weight = np.where(here, share * (1.0 - share), 0.0)
        information = np.einsum("rnp,rn,rnq->rpq", x, weight, x)
        sound = np.isfinite(information).all(axis=(1, 2)) & (_condition(information) < 1e12)
        going &= sound
        inverse = np.linalg.inv(np.where(going[:, None, None], information, np.eye(columns)))
        step = np.einsum("rpq,rq->rp", inverse, score)
        step = np.where((going & ~done)[:, None], np.clip(step, -5.0, 5.0), 0.0)
        beta = beta + step
        going &= (np.abs(beta) < _FURTHEST * 10.0).all(axis=1)
        now = going & ~done & (np.abs(step).max(axis=1) < _CONVERGED)
        covariance[now] = inverse[now]
        done |= now
        if (done | ~going).all():
            break
    value = np.where(done, beta @ weights, np.nan)
    value = np.where(np.abs(value) < _FURTHEST, value, np.nan)
    error = np.sqrt(np.einsum("p,rpq,q->r", weights, covariance, weights))
    reach = float(ndtri(1.0 - alpha / 2.0)) * error
    p = 2.0 * ndtr(-np.abs(value / error))
    error = np.where(np.isfinite(value), error, np.nan)
    people = here.sum(axis=1).astype(float)
    return Estimate(value, error, np.full(count, np.inf), value - reach, value + reach, np.asarray(p), people)


def _condition(matrices: Array) -> Array:
    with np.errstate(all="ignore"):
        values = np.linalg.eigvalsh(np.where(np.isfinite(matrices), matrices, 0.0))
        return np.asarray(np.where(values[:, 0] > 0.0, values[:, -1] / values[:, 0], np.inf))
