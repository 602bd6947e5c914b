"""Time to relapse of many trials at once: the log-rank test, and the hazard ratio of Cox with Efron's ties.

Relapse is seen at visits, so that many share a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.trial.ancova import Estimate

__all__ = ["cox", "kaplan_meier", "log_rank"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MOST_STEPS = 50
_CONVERGED = 1e-10
#: A logarithm of the hazard ratio further out is that of an arm without relapses.
_FURTHEST = 15.0


class _Risk(NamedTuple):
    """At each time of a relapse, shape (replicate, time): relapses and people at risk, in the arm and in both."""

    events: Array
    own_events: Array
    at_risk: Array
    own_at_risk: Array


def _risk(time: Array, event: Flags, group: NDArray[np.int64], arm: int, control: int) -> _Risk:
    here = ((group == arm) | (group == control)) & np.isfinite(time) & (time > 0.0)
    own = here & (group == arm)
    times = np.unique(time[here & event])
    columns: list[tuple[Array, ...]] = []
    for moment in times:
        now = here & event & (time == moment)
        there = here & (time >= moment)
        columns.append(tuple((part.sum(axis=1)).astype(float) for part in (now, now & own, there, there & own)))
    if not columns:
        nothing = np.zeros((len(time), 0))
        return _Risk(nothing, nothing, nothing, nothing)
    return _Risk(*(np.stack(values, axis=1) for values in zip(*columns, strict=True)))


def log_rank(time: Array, event: Flags, group: NDArray[np.int64], arm: int, control: int) -> tuple[Array, Array]:
    """Return z and two-sided p of the log-rank test in every replicate; z is above 0 where the arm relapses more.

    Parameters
    ----------
    time : ndarray, shape (replicate, patient)
        Time to relapse or to the last visit, h; not a number for those who are not followed.
    event : ndarray of bool, shape (replicate, patient)
    group : ndarray of int, shape (replicate, patient)
    arm, control : int
        Which is compared with which.
    """
    from scipy.special import ndtr

    risk = _risk(time, event, group, arm, control)
    with np.errstate(all="ignore"):
        share = np.where(risk.at_risk > 0.0, risk.own_at_risk / risk.at_risk, 0.0)
        expected = risk.events * share
        spread = np.where(
            risk.at_risk > 1.0,
            risk.events * share * (1.0 - share) * (risk.at_risk - risk.events) / (risk.at_risk - 1.0),
            0.0,
        )
        z = (risk.own_events - expected).sum(axis=1) / np.sqrt(spread.sum(axis=1))
    return np.asarray(z), np.asarray(2.0 * ndtr(-np.abs(z)))


def cox(time: Array, event: Flags, group: NDArray[np.int64], arm: int, control: int, alpha: float = 0.05) -> Estimate:
    """Return the logarithm of the hazard ratio of an arm to the control, in every replicate.

    Parameters
    ----------
    time, event, group, arm, control
        As in `log_rank`.
    alpha : float
        Two-sided.

    Returns
    -------
    Estimate
        With Wald's interval and test; not a number where an arm has no relapse.
    """
    from scipy.special import ndtr, ndtri

    risk = _risk(time, event, group, arm, control)
    count = len(time)
    beta, information = np.zeros(count), np.full(count, np.nan)
    both = (risk.own_events.sum(axis=1) > 0.0) & ((risk.events - risk.own_events).sum(axis=1) > 0.0)
    going = both.copy()
    for _ in range(_MOST_STEPS):
        score, information = _cox_score(risk, beta)
        with np.errstate(all="ignore"):
            step = np.where(going & (information > 0.0), score / information, 0.0)
        beta = beta + np.clip(step, -2.0, 2.0)
        going &= (np.abs(step) > _CONVERGED) & (np.abs(beta) < _FURTHEST)
        if not going.any():
            break
    _, information = _cox_score(risk, beta)
    known = both & (np.abs(beta) < _FURTHEST) & (information > 0.0)
    value = np.where(known, beta, np.nan)
    with np.errstate(all="ignore"):
        error = np.where(known, 1.0 / np.sqrt(information), np.nan)
    reach = float(ndtri(1.0 - alpha / 2.0)) * error
    p = np.asarray(2.0 * ndtr(-np.abs(value / error)))
    people = (((group == arm) | (group == control)) & np.isfinite(time) & (time > 0.0)).sum(axis=1).astype(float)
    return Estimate(value, error, np.full(count, np.inf), value - reach, value + reach, p, people)


def _cox_score(risk: _Risk, beta: Array) -> tuple[Array, Array]:
    """Return score and information of the partial likelihood with Efron's ties."""
    hazard = np.exp(beta)
    score, information = np.zeros(len(beta)), np.zeros(len(beta))
    for place in range(risk.events.shape[1]):
        events, own = risk.events[:, place], risk.own_events[:, place]
        others_at_risk = risk.at_risk[:, place] - risk.own_at_risk[:, place]
        score += own
        for turn in range(int(events.max(initial=0.0))):
            # the turn-th of the tied leaves with that share of all the tied gone
            gone = np.where(events > 0.0, turn / np.maximum(events, 1.0), 0.0)
            treated = hazard * (risk.own_at_risk[:, place] - gone * own)
            total = treated + others_at_risk - gone * (events - own)
            share = np.where(turn < events, treated / np.where(total > 0.0, total, 1.0), 0.0)
            score -= share
            information += share * (1.0 - share)
    return score, information


def kaplan_meier(time: Array, event: Flags, here: Flags, moments: Array) -> Array:
    """Return the share without relapse after each moment, in every replicate, shape (replicate, moment).

    Parameters
    ----------
    time, event : ndarray, shape (replicate, patient)
    here : ndarray of bool, shape (replicate, patient)
        Who is counted.
    moments : ndarray, shape (moment,)
        Ascending, h.
    """
    followed = here & np.isfinite(time) & (time > 0.0)
    found = np.ones((len(time), len(moments)))
    for place, moment in enumerate(moments):
        at_risk = (followed & (time >= moment)).sum(axis=1)
        events = (followed & event & (time == moment)).sum(axis=1)
        kept = np.where(at_risk > 0, 1.0 - events / np.maximum(at_risk, 1), np.nan)
        found[:, place] = (found[:, place - 1] if place else 1.0) * kept
    return found
