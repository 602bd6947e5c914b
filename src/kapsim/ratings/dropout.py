"""Who is still seen: loss to follow-up, by how much a person has got better so far.

A person has a threshold of their own, drawn once; what they have gone through of the hazard adds up from visit to
visit, and the first visit at which it passes the threshold is one that they do not come to, nor to any later. So a
person's fate does not hang on how many visits there are or on who else is in the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import Parameter, load_parameters
from kapsim.patient.sampling import Deviates

Array = NDArray[np.float64]

_WEEK = 168.0
Setting = Literal["trial", "clinic"]


def seen(
    deviates: Deviates,
    hours: Sequence[float],
    ratings: Array,
    *,
    setting: Setting = "trial",
    parameters: Mapping[str, Parameter] | None = None,
) -> NDArray[np.bool_]:
    """Return which visits each person comes to.

    The hazard between two visits is that of the setting, lower for those who had got better by the first of them; the
    first visit after the start loses people beside that.

    Parameters
    ----------
    deviates : Deviates
        Source of the people's standard normal deviates.
    hours : sequence of float
        Visits, ascending, h; the first is the start, to which everybody came.
    ratings : ndarray, shape (patient, visit)
        What a rater would write down at each, points.
    setting : str
        'trial', with visits that people are called to, or 'clinic', where nobody follows them up.
    parameters : mapping of str to Parameter, optional
        Registry, by default the shipped one.

    Returns
    -------
    ndarray of bool, shape (patient, visit)

    Raises
    ------
    InputError
        For visits out of order or a shape that does not fit them.
    """
    times = np.asarray(hours, dtype=float)
    if times.ndim != 1 or not len(times) or (np.diff(times) <= 0.0).any():
        raise InputError("visits: give hours in ascending order, the start first")
    if ratings.ndim != 2 or ratings.shape[1] != len(times):
        raise InputError(f"ratings: shape {ratings.shape} does not fit {len(times)} visits; give (people, visits)")
    registry = load_parameters() if parameters is None else parameters
    rate, slope, usual, first = (
        registry[f"observation.dropout.{name}"].value for name in (setting, "informative", "improvement", "first")
    )
    before = ratings[:, :1]
    improvement = np.where(before > 0.0, 1.0 - ratings / np.where(before > 0.0, before, 1.0), 0.0)
    hazard = rate * np.exp(-slope * (improvement[:, :-1] - usual)) * np.diff(times) / _WEEK
    if hazard.shape[1]:
        hazard[:, 0] += -np.log1p(-first)
    passed = np.concatenate([np.zeros((len(ratings), 1)), np.cumsum(hazard, axis=1)], axis=1)
    return np.asarray(passed <= _threshold(deviates, len(ratings))[:, None])


def _threshold(deviates: Deviates, count: int) -> Array:
    """Return how much hazard each person goes through before they are lost, exponential with mean 1."""
    from scipy.special import log_ndtr

    return -np.asarray(log_ndtr(deviates.normal("dropout", count)))
