"""Means over people with 95 % intervals, where people who share a draw of the parameters are not independent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.report.bands import Floats

_CONFIDENCE = 0.975


def cluster_interval(values: NDArray[Any], cluster: NDArray[Any]) -> tuple[Any, Any, Any]:
    """Return the mean over people and its 95 % interval, with people of one cluster not counted as independent.

    Parameters
    ----------
    values : array (patient,) or (patient, time)
        No NaN.
    cluster : array of int (patient,)
        Parameter draw of each person. If all share one draw, each person is a cluster of their own: the interval then
        holds for that draw.

    Returns
    -------
    tuple
        Mean, lower and upper end, each of shape () or (time,). Ends are NaN with fewer than two clusters.
    """
    count = values.shape[0]
    if count == 0:
        empty = np.full(values.shape[1:], np.nan)
        return empty, empty, empty
    mean = values.mean(axis=0)
    error, freedom = _standard_error(values - mean, cluster)
    reach = _student(freedom) * error
    return mean, mean - reach, mean + reach


def _standard_error(residuals: NDArray[Any], cluster: NDArray[Any]) -> tuple[Any, float]:
    count = residuals.shape[0]
    _, group = np.unique(cluster, return_inverse=True)
    groups = int(group.max()) + 1
    if groups == 1:
        group, groups = np.arange(count), count
    if groups < 2:
        return np.full(residuals.shape[1:], np.nan), math.nan
    sums = np.zeros((groups, *residuals.shape[1:]))
    np.add.at(sums, group, residuals)
    return np.sqrt(groups / (groups - 1) * (sums**2).sum(axis=0)) / count, groups - 1.0


def _student(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, _CONFIDENCE)) if math.isfinite(freedom) else math.nan


def independent_interval(
    arm: Floats, arm_cluster: Any, reference: Floats, reference_cluster: Any
) -> tuple[Any, Any, Any]:
    """Return the difference of two groups' means and its 95 % interval (Welch), clusters as in `cluster_interval`.

    Where runs differ along time, the fewer degrees of freedom serve for the whole course.
    """
    if not arm.shape[0] or not reference.shape[0]:
        empty = np.full(arm.shape[1:], np.nan)
        return empty, empty, empty
    mean = arm.mean(axis=0) - reference.mean(axis=0)
    first, first_freedom = _standard_error(arm - arm.mean(axis=0), arm_cluster)
    second, second_freedom = _standard_error(reference - reference.mean(axis=0), reference_cluster)
    variance = first**2 + second**2
    with np.errstate(divide="ignore", invalid="ignore"):
        welch = variance**2 / (first**4 / first_freedom + second**4 / second_freedom)
        freedom = np.min(np.where(variance > 0, welch, np.inf))
    reach = _student(min(float(freedom), 1e9)) * np.sqrt(variance)
    return mean, mean - reach, mean + reach
