"""Height, weight and body-mass index: any two give the third."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kapsim.population.laws import Law
from kapsim.population.traits import BODY

__all__ = ["completed", "extended", "third_of"]

Array = NDArray[np.float64]

#: ln(weight) = ln(BMI) + 2 ln(height), solved for each.
_POWERS = {
    "weight": {"bmi": 1.0, "height": 2.0},
    "bmi": {"weight": 1.0, "height": -2.0},
    "height": {"weight": 0.5, "bmi": -0.5},
}
_NODES = 48


def third_of(laws: Mapping[str, Law]) -> str | None:
    """Return the body measure that follows from two that have laws, None where they do not have two."""
    lacking = [name for name in BODY if name not in laws]
    return lacking[0] if len(lacking) == 1 else None


def completed(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return columns with the body measures that follow from two others, row by row; NaN is what is not known."""
    found = dict(columns)
    present = [name for name in BODY if name in found]
    if len(present) < 2:
        return found
    size = len(found[present[0]])
    before = {name: np.asarray(found.get(name, np.full(size, np.nan))) for name in BODY}
    for name, powers in _POWERS.items():
        (first, a), (second, b) = powers.items()
        found[name] = np.where(np.isnan(before[name]), before[first] ** a * before[second] ** b, before[name])
    return found


def extended(third: str, laws: Mapping[str, Law], matrices: Array, values: Array) -> tuple[list[str], Array, Array]:
    """Return names, latent correlations and scores with the third body measure among them.

    Its logarithm is a sum of those of the two that have laws, so its deviate is one of theirs: exactly where both are
    lognormal and untruncated, nearly so otherwise.

    Parameters
    ----------
    third : str
        The measure without a law.
    laws : mapping of str to Law
    matrices : ndarray, shape (draws, traits, traits)
    values : ndarray, shape (patient,)
        Of the third.

    Returns
    -------
    tuple of list, ndarray of shape (draws, traits + 1, traits + 1) and ndarray of shape (patient,)
    """
    names = list(laws)
    weights, centre = np.zeros(len(names)), 0.0
    for name, power in _POWERS[third].items():
        mean, spread = _log_moments(laws[name])
        weights[names.index(name)] = power * spread
        centre += power * mean
    towards = matrices @ weights
    width = np.sqrt(towards @ weights)
    size = len(names)
    grown = np.zeros((len(matrices), size + 1, size + 1))
    grown[:, :size, :size] = matrices
    grown[:, size, :size] = grown[:, :size, size] = towards / width[:, None]
    grown[:, size, size] = 1.0
    # the width hardly differs between draws
    return [*names, third], grown, (np.log(values) - centre) / float(width.mean())


def _log_moments(law: Law) -> tuple[float, float]:
    """Return mean and standard deviation of the logarithm of a law."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    logs = np.log(law.values(nodes))
    mean = float(weights @ logs)
    return mean, float(np.sqrt(weights @ (logs - mean) ** 2))
