"""Reweighting: the same people counted more or less, so that means, spreads and shares come out as wanted.

Entropy balancing: of all weights that meet the targets, those nearest to the present ones (least relative entropy).
They are found through the dual problem, which is smooth, convex and as small as the number of targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.population.schema import Target, number_of
from kapsim.population.table import Table
from kapsim.population.traits import TRAITS

if TYPE_CHECKING:
    from kapsim.population.population import Population

__all__ = ["LEAST_EFFECTIVE", "LEAST_SHARE", "POOL", "balanced", "reweighted"]

Array = NDArray[np.float64]

#: People drawn from laws, to be reweighted.
POOL = 20_000
#: Fewer equally weighted people than this are no population; nor is a smaller share of those there were.
LEAST_EFFECTIVE, LEAST_SHARE = 30.0, 0.05
#: Seed of the pool: it belongs to the population, not to a run.
_SEED = 0
#: How near to its target a moment must come, in standard deviations of what is weighted.
_NEAR = 1e-6


def reweighted(population: Population, targets: Mapping[str, Target]) -> Population:
    """Return a population whose means, spreads and shares are those wanted, with everything else as near as can be.

    Parameters
    ----------
    population : Population
        Laws, of which a pool is drawn once, or rows of covariates, of which what is lacking is drawn once.
    targets : mapping of str to Target
        By trait.

    Raises
    ------
    InputError
        Where a target is out of reach, or so few people would count that the result would be theirs alone.
    """
    size = POOL if population.table is None else population.table.rows
    pool = replace(population, weights=None, one_to_one=population.table is not None).draw(size, _SEED)
    columns, wanted, words = [], [], []
    for trait, target in targets.items():
        if trait not in pool:
            raise InputError(f"{trait}: this population does not have it; give it a marginal")
        values = pool[trait]
        if target.share is not None:
            columns.append(values)
            wanted.append(target.share)
            words.append(f"a share of {target.share:g} of {trait}")
            continue
        assert target.mean is not None
        mean = number_of(target.mean, trait)
        columns.append(values)
        wanted.append(mean)
        words.append(f"a mean {trait} of {mean:g} {TRAITS[trait].unit}")
        if target.sd is not None:
            columns.append((values - mean) ** 2)
            wanted.append(number_of(target.sd, trait) ** 2)
            words.append(f"an SD of {trait} of {number_of(target.sd, trait):g} {TRAITS[trait].unit}")
    start = np.full(size, 1.0 / size) if population.weights is None else population.weights
    weights = balanced(np.stack(columns), np.asarray(wanted), start, words)
    effective = float(1.0 / np.sum(weights**2))
    floor = max(LEAST_EFFECTIVE, LEAST_SHARE * size)
    if effective < floor:
        raise InputError(
            f"of {size} people only {effective:.0f} would count, and at least {floor:.0f} must (those targets lie too "
            "far from this population); bring them nearer, or base it on a more fitting one"
        )
    digest = population.digest
    table, together = Table(pool, population.source, digest), {**population.targets, **targets}
    return replace(population, table=table, weights=weights, one_to_one=False, targets=together)


def balanced(columns: Array, wanted: Array, start: Array, words: list[str]) -> Array:
    """Return weights under which the means of `columns` are those wanted.

    Parameters
    ----------
    columns : ndarray, shape (target, person)
    wanted : ndarray, shape (target,)
    start : ndarray, shape (person,)
        Weights to stay near to; they add up to 1.
    words : list of str
        What each target is, for messages.

    Returns
    -------
    ndarray, shape (person,)
        They add up to 1.

    Raises
    ------
    InputError
        Where no weights meet a target.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    for column, target, text in zip(columns, wanted, words, strict=True):
        if not column.min() < target < column.max():
            raise InputError(f"{text} is out of reach of the people there are; bring it nearer")
    scale = np.sqrt(np.maximum((columns - (columns @ start)[:, None]) ** 2 @ start, 1e-300))
    away = (columns - wanted[:, None]) / scale[:, None]
    log_start = np.log(start)

    def weights_at(slopes: Array) -> Array:
        exponents = log_start + slopes @ away
        return np.asarray(np.exp(exponents - logsumexp(exponents)))

    def dual(slopes: Array) -> tuple[float, Array]:
        return float(logsumexp(log_start + slopes @ away)), away @ weights_at(slopes)

    def curvature(slopes: Array) -> Array:
        weights = weights_at(slopes)
        mean = away @ weights
        return np.asarray((away * weights) @ away.T - np.outer(mean, mean) + 1e-12 * np.eye(len(mean)))

    solved = minimize(
        dual,
        np.zeros(len(wanted)),
        jac=True,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-9, "maxiter": 300},
    )
    weights = weights_at(np.asarray(solved.x))
    missed = np.abs(away @ weights)
    if not np.all(np.isfinite(missed)) or missed.max() > _NEAR:
        worst = words[int(np.argmax(np.where(np.isfinite(missed), missed, np.inf)))]
        raise InputError(f"{worst} cannot be had together with the other targets; bring them nearer")
    return weights
