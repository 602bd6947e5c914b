"""The cooperative game of links: what each is worth, by Shapley's value over every subset, and how sure that is.

A subset of players is the number whose bit k is 1 where player k is in it. Shapley's value is the one way of sharing
the worth of all players that is efficient (the shares sum to the whole), symmetric, linear, and leaves a player who
never changes anything with nothing (Shapley 1953).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError

Array = NDArray[np.float64]

#: Most players: beyond it the subsets are too many to simulate them all.
MOST_PLAYERS = 8
#: Share of the draws inside the intervals.
INSIDE = 0.9


class Estimate(NamedTuple):
    """A mean over people.

    Attributes
    ----------
    mean : float
    low, high : float or None
        Where the mean lies in 90 % of the draws of the uncertain parameters, the standard error included; None where
        there is one draw alone.
    error : float or None
        Standard error from the finite number of draws and people; None where there is one draw alone.
    """

    mean: float
    low: float | None
    high: float | None
    error: float | None


def shapley(worth: Array) -> Array:
    """Return Shapley's value of every player.

    Parameters
    ----------
    worth : ndarray, shape (2^players, ...)
        Worth of every subset, in the order of their numbers; further axes are games of their own.

    Returns
    -------
    ndarray, shape (players, ...)
        Sums over players to the worth of all less that of none.

    Raises
    ------
    InputError
        If the number of subsets is no power of two.
    """
    subsets = len(worth)
    players = max(subsets.bit_length() - 1, 0)
    if subsets != 1 << players:
        raise InputError(f"a game has a worth for each subset of its players, a power of two, not {subsets}")
    numbers = np.arange(subsets)
    size = np.asarray([int(number).bit_count() for number in numbers])
    shares = np.zeros((players, *worth.shape[1:]))
    for player in range(players):
        without = numbers[numbers >> player & 1 == 0]
        weight = np.asarray([1.0 / (players * math.comb(players - 1, int(count))) for count in size[without]])
        gain = worth[without | 1 << player] - worth[without]
        shares[player] = np.tensordot(weight, gain, axes=1)
    return shares


def estimate(values: Array, draw: NDArray[np.int64]) -> Estimate:
    """Return the mean over people with what the draws of the uncertain parameters leave open.

    Parameters
    ----------
    values : ndarray, shape (patient,)
    draw : ndarray of int, shape (patient,)
        Which draw of the uncertain parameters each person has, equally many people each.
    """
    mean = float(values.mean())
    means, within = _by_draw(values, draw)
    if len(means) < 2:
        return Estimate(mean, None, None, None)
    spread = float(means.var(ddof=1))
    # people who share a draw scatter, and so does their mean: of that only what is left in the mean of all counts
    kept = math.sqrt(min(max(spread - within, 0.0) / spread + 1.0 / len(means), 1.0)) if spread > 0.0 else 0.0
    low, high = np.quantile(mean + kept * (means - mean), [0.5 - 0.5 * INSIDE, 0.5 + 0.5 * INSIDE])
    return Estimate(mean, float(low), float(high), math.sqrt(spread / len(means)))


def ratio_estimate(above: Array, below: Array, draw: NDArray[np.int64]) -> Estimate | None:
    """Return a ratio of two means over people, None where its denominator is not told from zero.

    Parameters
    ----------
    above, below : ndarray, shape (patient,)
    draw : ndarray of int, shape (patient,)
    """
    bottom = estimate(below, draw)
    if bottom.error is None:
        return Estimate(float(above.mean()) / bottom.mean, None, None, None) if bottom.mean != 0.0 else None
    if abs(bottom.mean) <= 2.0 * bottom.error:
        return None
    ratio = float(above.mean()) / bottom.mean
    # to first order the ratio moves as this does, whose mean is zero: safe where a draw's denominator is near zero
    moved = estimate((above - ratio * below) / bottom.mean, draw)
    assert moved.low is not None
    assert moved.high is not None
    return Estimate(ratio, ratio + moved.low, ratio + moved.high, moved.error)


def _by_draw(values: Array, draw: NDArray[np.int64]) -> tuple[Array, float]:
    """Return the mean of every draw, and the variance that the scatter of its people gives such a mean."""
    _, group = np.unique(draw, return_inverse=True)
    count = np.bincount(group)
    means = np.bincount(group, weights=values) / count
    spare = len(values) - len(means)
    if spare <= 0:
        # one person a draw: the two cannot be told apart
        return means, 0.0
    inside = float(np.sum((values - means[group]) ** 2)) / spare
    return means, inside * float(np.mean(1.0 / count))
