"""Traits together: a Gaussian copula, whose latent correlations are solved from those that people print.

A printed correlation is that of the values (Pearson's r; with a trait that is there or not, the point-biserial one).
The copula needs the correlation of the deviates behind the values, which is larger the less normal a law is.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.population.laws import Law

__all__ = ["Given", "drawn", "implied", "latent"]

Array = NDArray[np.float64]

#: No two deviates are closer together than this.
_MOST = 0.995
_LEAST = 1e-6
_NODES = 48
#: Added to the diagonal where something follows from something else to the last digit.
_RIDGE = 1e-10
#: Beyond this many standard deviations there is nobody.
_TAIL = 8.5


@functools.cache
def _hermite() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return nodes, weights / weights.sum()


def _above(cut: float) -> tuple[Array, Array]:
    """Return nodes and weights of the standard normal above a cut; the weights add up to the share there."""
    nodes, weights = np.polynomial.legendre.leggauss(160)
    half = 0.5 * (_TAIL - cut)
    places = cut + half * (nodes + 1.0)
    return places, half * weights * np.exp(-0.5 * places**2) / np.sqrt(2.0 * np.pi)


def implied(first: Law, second: Law, correlation: float) -> float:
    """Return the correlation of values whose deviates have the latent `correlation`."""
    from scipy.special import ndtr

    if first.kind != "share" and second.kind == "share":
        return implied(second, first, correlation)
    rest = np.sqrt(1.0 - correlation**2)
    if first.kind == "share":
        places, weights = _above(first.cut)
        if second.kind == "share":
            inner = ndtr((correlation * places - second.cut) / rest)
        else:
            nodes, inner_weights = _hermite()
            inner = second.values(correlation * places[:, None] + rest * nodes) @ inner_weights
    else:
        places, weights = _hermite()
        nodes, inner_weights = _hermite()
        inner = first.values(places) * (second.values(correlation * places[:, None] + rest * nodes) @ inner_weights)
    together = float(weights @ inner)
    return (together - first.mean * second.mean) / (first.sd * second.sd)


@functools.lru_cache(maxsize=512)
def latent(first: Law, second: Law, correlation: float) -> float:
    """Return the latent correlation behind a printed one.

    Raises
    ------
    InputError
        Where two such laws cannot be that close; the message says how close they can be.
    """
    from scipy.optimize import brentq

    if abs(correlation) < _LEAST:
        return 0.0
    most = float(np.copysign(_MOST, correlation))
    if abs(implied(first, second, most)) <= abs(correlation):
        raise InputError(
            f"a correlation of {correlation:g} cannot be with these two laws; at most "
            f"{implied(first, second, most):.2f}"
        )
    return float(brentq(lambda rho: implied(first, second, rho) - correlation, min(0.0, most), max(0.0, most)))


class Given(NamedTuple):
    """What is known of some people: deviates behind their numbers, and which of the yes-or-no traits they have."""

    scores: Mapping[str, Array]
    sides: Mapping[str, Array]


def drawn(
    names: Sequence[str],
    matrices: Array,
    which: NDArray[np.int64],
    deviates: Mapping[str, Array],
    given: Given,
    cuts: Mapping[str, float],
) -> dict[str, Array]:
    """Return correlated deviates, those of traits that are known left as they are.

    Each name is drawn from its distribution given those before it: first the known numbers, then the known sides of
    traits that are there or not (one after the other, each knowing those before it), then what is unknown.

    Parameters
    ----------
    names : sequence of str
        Of the rows of the matrices.
    matrices : ndarray, shape (draws, names, names)
        Latent correlations.
    which : ndarray of int, shape (patient,)
        Which of the matrices holds for each person.
    deviates : mapping of str to ndarray, shape (patient,)
        Independent standard normal deviates for every name that is not known as a number.
    given : Given
        By name, shape (patient,).
    cuts : mapping of str to float
        Deviate above which a person has a trait; for the keys of `given.sides`.

    Returns
    -------
    dict of str to ndarray, shape (patient,)
    """
    from scipy.special import ndtr, ndtri

    order = [name for name in names if name in given.scores]
    order += [name for name in names if name in given.sides]
    order += [name for name in names if name not in order]
    place = {name: number for number, name in enumerate(names)}
    found = np.zeros((len(which), len(order)))
    for step, name in enumerate(order):
        if name in given.scores:
            found[:, step] = given.scores[name]
            continue
        mean, width = np.zeros(len(which)), np.ones(len(which))
        if step:
            before, own = [place[earlier] for earlier in order[:step]], place[name]
            inner = matrices[:, before][:, :, before] + _RIDGE * np.eye(step)
            towards = matrices[:, before, own]
            slopes = np.linalg.solve(inner, towards[..., None])[..., 0]
            left = np.sqrt(np.clip(1.0 - np.sum(slopes * towards, axis=1), 0.0, 1.0))
            mean, width = np.einsum("ps,ps->p", found[:, :step], slopes[which]), left[which]
        own_deviate = deviates[name]
        if name in given.sides:
            # a deviate on the side that is known
            share = ndtr(np.clip((cuts[name] - mean) / np.maximum(width, 1e-9), -_TAIL, _TAIL))
            uniform = ndtr(own_deviate)
            has = given.sides[name] > 0.5
            own_deviate = ndtri(np.where(has, share + uniform * (1.0 - share), uniform * share))
            own_deviate = np.clip(own_deviate, -_TAIL, _TAIL)
        found[:, step] = mean + width * own_deviate
    return {name: found[:, order.index(name)] for name in names}
