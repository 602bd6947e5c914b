"""Mixed model for repeated measures of many trials at once: unstructured covariance by REML, visits missing at random.

The covariance of a person's visits is estimated by restricted maximum likelihood (average-information steps, halved
until the likelihood rises and the covariance is positive definite), all replicates side by side. Degrees of freedom are
Satterthwaite's, from the observed information, as R's `mmrm` has them by default; the standard errors are those of the
model, without the adjustment of Kenward and Roger.

Symbols: R replicates, N people, V visits, P columns, K = V (V + 1) / 2 covariances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.trial.ancova import Estimate, t_interval

__all__ = ["Fit", "contrast_of", "fit_mmrm", "visit_matrix"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: A fit stands when the expected gain of another step is below this, in units of the log-likelihood.
_CONVERGED = 1e-9
_MOST_STEPS, _MOST_HALVINGS = 60, 12
#: Smallest eigenvalue of a first guess, as a share of the largest.
_FLOOR = 1e-2


@dataclass(frozen=True)
class Fit:
    """Fitted models; not a number in replicates that have no fit.

    Parameters
    ----------
    beta : ndarray, shape (R, P)
        Coefficients.
    cross : ndarray, shape (R, P, P)
        Their covariance.
    covariance : ndarray, shape (R, V, V)
        Of a person's visits.
    loglik : ndarray, shape (R,)
        Restricted log-likelihood, constants included.
    converged : ndarray of bool, shape (R,)
    slopes : ndarray, shape (R, K, P, P)
        Derivatives of `cross` by the covariances.
    unknown : ndarray, shape (R, K, K)
        Covariance of the estimated covariances: the inverse of their observed information.
    people : ndarray, shape (R,)
        With a visit that counts.
    empty : ndarray of bool, shape (R, P)
        Columns that are zero throughout, as of a site without people; they have no coefficient.
    """

    beta: Array
    cross: Array
    covariance: Array
    loglik: Array
    converged: Flags
    slopes: Array
    unknown: Array
    people: Array
    empty: Flags


def visit_matrix(group: NDArray[np.int64], groups: int, visits: int, by_visit: Array, common: Array) -> Array:
    """Return the columns of the model, shape (R, N, V, P).

    Parameters
    ----------
    group : ndarray of int, shape (R, N)
    groups, visits : int
        Arms, and visits V.
    by_visit : ndarray, shape (R, N, c)
        Covariates with a coefficient of their own at each visit, such as the baseline.
    common : ndarray, shape (R, N, d)
        Covariates with one coefficient.

    Returns
    -------
    ndarray
        Visit by visit one column for each arm; then visit by visit the covariates of `by_visit`; then the common ones.
    """
    cells = (group[..., None] == np.arange(groups)).astype(float)
    rows = []
    for visit in range(visits):
        parts = [np.zeros_like(cells)] * visits + [np.zeros_like(by_visit)] * visits + [common]
        parts[visit], parts[visits + visit] = cells, by_visit
        rows.append(np.concatenate(parts, axis=-1))
    return np.stack(rows, axis=2)


def contrast_of(fit: Fit, weights: Array, alpha: float = 0.05) -> Estimate:
    """Return a contrast of the coefficients with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    fit : Fit
    weights : ndarray, shape (P,)
    alpha : float
        Two-sided.
    """
    value = fit.beta @ weights
    variance = np.einsum("p,rpq,q->r", weights, fit.cross, weights)
    slope = np.einsum("p,rkpq,q->rk", weights, fit.slopes, weights)
    spread = np.einsum("rk,rkl,rl->r", slope, fit.unknown, slope)
    with np.errstate(all="ignore"):
        freedom = 2.0 * variance**2 / spread
        error = np.sqrt(variance)
    told = ~(fit.empty & (weights != 0.0)).any(axis=1)
    usable = fit.converged & told & np.isfinite(freedom) & (freedom > 0.0)
    return t_interval(np.where(usable, value, np.nan), error, freedom, fit.people, alpha)


def fit_mmrm(outcome: Array, matrix: Array) -> Fit:
    """Fit the model to every replicate.

    Parameters
    ----------
    outcome : ndarray, shape (R, N, V)
        Not a number where missing; missing visits are left out, whatever their pattern.
    matrix : ndarray, shape (R, N, V, P)
        As `visit_matrix` makes it.

    Returns
    -------
    Fit
        Columns that a replicate cannot tell apart from others leave it without a fit.
    """
    here = np.isfinite(outcome) & np.isfinite(matrix).all(axis=-1)
    columns = np.where(here[..., None], matrix, 0.0)
    data = _Data(np.where(here, outcome, 0.0), columns, here, np.asarray(~columns.any(axis=(1, 2))))
    count, _, visits = outcome.shape
    theta = _first_guess(data)
    with np.errstate(all="ignore"):
        state = _evaluate(data, theta)
        converged = np.zeros(count, dtype=bool)
        going = np.isfinite(state.loglik)
        for _ in range(_MOST_STEPS):
            active = np.flatnonzero(going & ~converged)
            if not len(active):
                break
            part, here_state = data.of(active), state.of(active)
            score, average, _ = _derivatives(part, here_state)
            step = _solve(average, score)
            gain = np.einsum("rk,rk->r", step, score)
            done = np.abs(gain) < _CONVERGED
            converged[active[done]] = True
            going[active[~np.isfinite(gain)]] = False
            moving = active[~done & np.isfinite(gain)]
            if not len(moving):
                continue
            taken = _step(data, theta, state, moving, step[np.isin(active, moving)])
            # no step of any length helps any more: the maximum to rounding, or a covariance at its edge
            going[moving[~taken]] = False
        return _finished(data, state, converged, visits)


class _Data(NamedTuple):
    """Outcome, columns and who has which visit, with zeros where a visit is missing."""

    y: Array  # (R, N, V)
    x: Array  # (R, N, V, P)
    here: Flags  # (R, N, V)
    empty: Flags  # (R, P)

    def of(self, part: NDArray[np.intp]) -> _Data:
        return _Data(self.y[part], self.x[part], self.here[part], self.empty[part])


class _State(NamedTuple):
    """The model at a covariance."""

    theta: Array  # (R, V, V)
    weight: Array  # (R, N, V, V) inverse covariance of the visits that are there, zero elsewhere
    wx: Array  # (R, N, V, P)
    cross: Array  # (R, P, P)
    beta: Array  # (R, P)
    we: Array  # (R, N, V) weighted residual
    loglik: Array  # (R,)

    def of(self, part: NDArray[np.intp]) -> _State:
        return _State(*(value[part] for value in self))


def _pairs(visits: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(visits)


def _first_guess(data: _Data) -> Array:
    """Return covariances of least-squares residuals, shape (R, V, V), pair by pair, made positive definite."""
    count, people, visits, columns = data.x.shape
    x, y = data.x.reshape(count, people * visits, columns), data.y.reshape(count, -1)
    xt = x.transpose(0, 2, 1)
    gram = xt @ x + 1e-8 * np.eye(columns)
    beta = np.linalg.solve(gram, (xt @ y[..., None]))
    residual = np.where(data.here, (y - (x @ beta)[..., 0]).reshape(data.y.shape), 0.0)
    shared = np.einsum("rna,rnb->rab", data.here.astype(float), data.here.astype(float))
    guess = np.einsum("rna,rnb->rab", residual, residual) / np.maximum(shared, 1.0)
    values, vectors = np.linalg.eigh(guess)
    floor = np.maximum(_FLOOR * values[:, -1:], 1e-8)
    return np.asarray(np.einsum("rab,rb,rcb->rac", vectors, np.maximum(values, floor), vectors))


def _evaluate(data: _Data, theta: Array) -> _State:
    """Return the model at covariances; its log-likelihood is minus infinity where one is not positive definite."""
    count, people, visits, columns = data.x.shape
    # missing visits get variance one and no covariance, and are then taken out: their logarithm adds nothing
    there = data.here[..., :, None] & data.here[..., None, :]
    patterns, which = np.unique(data.here.reshape(-1, visits), axis=0, return_inverse=True)
    which = which.reshape(count, people)
    both = patterns[:, :, None] & patterns[:, None, :]
    filled = np.where(both[None], theta[:, None], 0.0) + np.eye(visits) * ~patterns[:, None, :]
    definite = np.linalg.eigvalsh(theta)[:, 0] > 0.0
    filled = np.where(definite[:, None, None, None], filled, np.eye(visits))
    inverse = np.where(both[None], np.linalg.inv(filled), 0.0)
    size = np.linalg.slogdet(filled)[1]
    rows = np.arange(count)[:, None]
    weight = np.where(there, inverse[rows, which], 0.0)
    wx = weight @ data.x
    flat = (count, people * visits, columns)
    gram = data.x.reshape(flat).transpose(0, 2, 1) @ wx.reshape(flat)
    # an empty column has coefficient zero and adds nothing to the determinant
    gram = gram + np.eye(columns) * data.empty[:, None, :]
    sign, determinant = np.linalg.slogdet(gram)
    usable = definite & (sign > 0.0) & (np.linalg.cond(gram) < 1e12)
    cross = np.linalg.inv(np.where(usable[:, None, None], gram, np.eye(columns)))
    beta = np.einsum("rpq,rq->rp", cross, np.einsum("rnvp,rnv->rp", wx, data.y))
    residual = np.where(data.here, data.y - np.einsum("rnvp,rp->rnv", data.x, beta), 0.0)
    we = np.einsum("rnab,rnb->rna", weight, residual)
    free = data.here.sum(axis=(1, 2)) - (~data.empty).sum(axis=1)
    quadratic = np.einsum("rna,rna->r", we, residual)
    loglik = -0.5 * (size[rows, which].sum(axis=1) + determinant + quadratic + free * math.log(2.0 * math.pi))
    return _State(theta, weight, wx, cross, beta, we, np.where(usable & (free > 0), loglik, -np.inf))


def _derivatives(data: _Data, state: _State) -> tuple[Array, Array, Array]:
    """Return score (R, K), average information and observed information (R, K, K) of the covariances."""
    count, people, visits, columns = data.x.shape
    rows, cols = _pairs(visits)
    square = visits * visits
    half = np.linalg.cholesky(state.cross)
    z = state.wx @ half[:, None]
    fitted = z @ z.transpose(0, 1, 3, 2)
    twice = np.where(rows == cols, 0.5, 1.0)
    outer = state.we[..., :, None] * state.we[..., None, :]
    total = (state.weight - fitted - outer).sum(axis=1)
    score = -twice * total[:, rows, cols]

    def joined(left: Array, right: Array) -> Array:
        """Return Σ over people of left[a, b] right[c, d], shape (R, V, V, V, V)."""
        a = left.reshape(count, people, square).transpose(0, 2, 1)
        return np.asarray(a @ right.reshape(count, people, square)).reshape(count, visits, visits, visits, visits)

    # of matrices E_k with ones at (i, j) and (j, i): tr(A E_k B E_l) sums A[j', i] B[j, i'] over both orders of each
    def traces(tensor: Array) -> Array:
        found = np.zeros((count, len(rows), len(rows)))
        for i, j in ((rows, cols), (cols, rows)):
            for k, m in ((rows, cols), (cols, rows)):
                found += tensor[:, m[None, :], i[:, None], j[:, None], k[None, :]]
        scale = np.where(rows == cols, 0.5, 1.0)
        return np.asarray(found * scale[:, None] * scale[None, :])

    plain = traces(joined(state.weight, state.weight))
    mixed = traces(joined(fitted, state.weight))
    # tr(Φ P_k Φ P_l), P_k = Σ X'W E_k W X
    gram = z.transpose(0, 2, 3, 1).reshape(count, visits * columns, people)
    gram = (gram @ gram.transpose(0, 2, 1)).reshape(count, visits, columns, visits, columns)
    blocks = gram[:, rows, :, cols].transpose(1, 0, 2, 3)
    blocks = twice[:, None, None] * (blocks + blocks.transpose(0, 1, 3, 2))
    flat = blocks.reshape(count, len(rows), -1)
    expected = 0.5 * (plain - mixed - mixed.transpose(0, 2, 1) + flat @ flat.transpose(0, 2, 1))
    # y'P V_k P V_l P y
    direct = traces(joined(outer, state.weight))
    pulled = np.einsum("rnap,rnb->rabp", z, state.we)
    pulled = twice[:, None] * (pulled[:, rows, cols] + pulled[:, cols, rows])
    quadratic = direct - pulled @ pulled.transpose(0, 2, 1)
    return score, 0.5 * quadratic, quadratic - expected


def _solve(matrix: Array, right: Array) -> Array:
    """Return solutions; not a number where there is none."""
    # a matrix that is no matrix of numbers would stop the others, too
    sound = np.asarray(np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(right).all(axis=1))
    safe = np.where(sound[:, None, None], matrix, np.eye(matrix.shape[1]))
    ridge = 1e-12 * np.einsum("rkk->r", np.abs(safe))[:, None, None] * np.eye(matrix.shape[1])
    solved = np.linalg.solve(safe + ridge, np.where(sound[:, None], right, 0.0)[..., None])[..., 0]
    return np.asarray(np.where(sound[:, None], solved, np.nan))


def _step(data: _Data, theta: Array, state: _State, moving: NDArray[np.intp], step: Array) -> Flags:
    """Move covariances as far along a step as the likelihood rises; return which moved. Changes `theta` and `state`."""
    visits = theta.shape[1]
    rows, cols = _pairs(visits)
    change = np.zeros((len(moving), visits, visits))
    change[:, rows, cols] = step
    change[:, cols, rows] = step
    taken = np.zeros(len(moving), dtype=bool)
    length = 1.0
    for _ in range(_MOST_HALVINGS):
        left = np.flatnonzero(~taken)
        if not len(left):
            break
        places = moving[left]
        tried = _evaluate(data.of(places), theta[places] + length * change[left])
        better = tried.loglik > state.loglik[places] - 1e-12 * np.abs(state.loglik[places])
        for old, new in zip(state, tried, strict=True):
            old[places[better]] = new[better]
        theta[places[better]] = tried.theta[better]
        taken[left[better]] = True
        length *= 0.5
    return taken


def _finished(data: _Data, state: _State, converged: Flags, visits: int) -> Fit:
    rows, cols = _pairs(visits)
    twice = np.where(rows == cols, 0.5, 1.0)
    safe = np.flatnonzero(converged)
    count, columns = state.beta.shape
    slopes = np.full((count, len(rows), columns, columns), np.nan)
    unknown = np.full((count, len(rows), len(rows)), np.nan)
    if len(safe):
        part, own = data.of(safe), state.of(safe)
        _, _, observed = _derivatives(part, own)
        # of a visit that nobody came to nothing is learnt, and nothing hangs on it
        unknown[safe] = np.linalg.pinv(observed, rcond=1e-13, hermitian=True)
        size = (len(safe), data.x.shape[1], visits * columns)
        flat = own.wx.reshape(size)
        gram = (flat.transpose(0, 2, 1) @ flat).reshape(len(safe), visits, columns, visits, columns)
        blocks = gram[:, rows, :, cols].transpose(1, 0, 2, 3)
        blocks = twice[:, None, None] * (blocks + blocks.transpose(0, 1, 3, 2))
        slopes[safe] = own.cross[:, None] @ blocks @ own.cross[:, None]
    keep = converged[:, None]
    return Fit(
        beta=np.where(keep, state.beta, np.nan),
        cross=np.where(keep[..., None], state.cross, np.nan),
        covariance=np.where(keep[..., None], state.theta, np.nan),
        loglik=np.where(converged, state.loglik, np.nan),
        converged=converged,
        slopes=slopes,
        unknown=unknown,
        people=data.here.any(axis=2).sum(axis=1).astype(float),
        empty=data.empty,
    )
