"""Randomisation: permuted blocks within strata, in the order in which people come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kapsim.trial.draws import TrialDeviates
from kapsim.trial.schema import Sites

__all__ = ["allocate", "sites_of", "strata"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

#: Times that each arm stands in a block for each unit of its ratio: with one, the last of a block could be guessed.
_REPEATS = 2


def sites_of(deviates: TrialDeviates, shape: tuple[int, int], sites: Sites | None) -> Places:
    """Return the site of everybody, shape (replicate, patient); 0 where there are none.

    Parameters
    ----------
    deviates : TrialDeviates
    shape : tuple of int
        Replicates and people.
    sites : Sites or None
    """
    if sites is None:
        return np.zeros(shape, dtype=np.int64)
    from scipy.special import ndtr

    share = ndtr(deviates.normal("site", shape[0] * shape[1])).reshape(shape)
    return np.asarray(np.minimum((share * sites.count).astype(np.int64), sites.count - 1))


def strata(factors: Sequence[str], site: Places, female: Array, severity: Array, cut: float) -> Places:
    """Return the stratum of everybody, shape (replicate, patient), counted from 0.

    Parameters
    ----------
    factors : sequence of str
        'site', 'sex' and 'severity'.
    site, female, severity : ndarray, shape (replicate, patient)
        Severity as rated at entry.
    cut : float
        From which rating on somebody is of the more severe stratum, points.
    """
    found = np.zeros(site.shape, dtype=np.int64)
    levels = {"site": site, "sex": female.astype(np.int64), "severity": (severity >= cut).astype(np.int64)}
    for factor in factors:
        count = int(site.max()) + 1 if factor == "site" else 2
        found = found * count + levels[factor]
    return found


def allocate(deviates: TrialDeviates, ratios: Sequence[int], stratum: Places, chosen: NDArray[np.bool_]) -> Places:
    """Return the arm of everybody who is randomised, −1 for the others, shape (replicate, patient).

    Parameters
    ----------
    deviates : TrialDeviates
    ratios : sequence of int
        How often each arm stands in a block for the others' number of times.
    stratum : ndarray of int, shape (replicate, patient)
    chosen : ndarray of bool, shape (replicate, patient)
        Who is randomised.
    """
    block = np.repeat(np.arange(len(ratios)), ratios)
    block = np.tile(block, _REPEATS)
    size = stratum.shape[1]
    slots = -(-size // len(block)) * len(block)
    found = np.full(stratum.shape, -1, dtype=np.int64)
    for number in np.unique(stratum[chosen]):
        here = (stratum == number) & chosen
        # the order of arms is drawn for more people than there are, so that it does not hang on their number
        keys = deviates.table(f"allocation:{number}", slots).reshape(len(stratum), -1, len(block))
        order = block[np.argsort(keys, axis=2)].reshape(len(stratum), slots)
        rank = np.cumsum(here, axis=1) - 1
        arms = np.take_along_axis(order, np.maximum(rank, 0), axis=1)
        found[here] = arms[here]
    return found
