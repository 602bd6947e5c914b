"""Fit: how like the measured functional connectivity the model's is, always beside what needs no model.

A correlation with measured connectivity says nothing alone: the structural matrix itself correlates with it, and so
does distance. So each fit comes with them (counts, their square roots and logarithms; nearness, 1 / distance), with the
same model on shuffled connectomes, and, where other people were measured too, with the ceiling that their connectivity
sets. Two kinds of shuffling: weights exchanged among all connections and scaled back to each region's strength, which
keeps how connected a region is and destroys with whom; and weights exchanged among pairs of about the same distance,
which keeps that near regions are joined and destroys the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.connectome import Connectome
from kapsim.errors import InputError

Array = NDArray[np.float64]

#: Rounds of scaling back to strengths, and how near they come (relative).
SCALING_ROUNDS = 200
SCALED = 1e-6
#: Connections within which weights are exchanged, where length is to be kept.
LENGTH_BINS = 20
NULLS = ("shuffled", "shuffled_by_length")


@dataclass(frozen=True)
class Fit:
    """A model's fit beside its baselines; all are correlations over pairs of regions.

    Attributes
    ----------
    model : float
    baselines : dict of str to float
        ``counts``, ``sqrt_counts``, ``log_counts``, ``nearness``.
    nulls : dict of str to ndarray
        The same model on shuffled connectomes, by kind; shape (draws,).
    mean_model, mean_measured : float
        Mean correlation of pairs: the fit is blind to it.
    ceiling : float or None
        Correlation of the measured connectivity with that of other people.
    """

    model: float
    baselines: dict[str, float]
    nulls: dict[str, Array]
    mean_model: float
    mean_measured: float
    ceiling: float | None = None

    @property
    def best_baseline(self) -> tuple[str, float]:
        """The strongest of the baselines, and its correlation."""
        name = max(self.baselines, key=lambda key: self.baselines[key])
        return name, self.baselines[name]

    @property
    def beats_all(self) -> bool:
        """Whether the model is above every baseline and every null."""
        return self.model > max([self.best_baseline[1], *(float(values.max()) for values in self.nulls.values())])


def pattern_correlation(one: Array, other: Array) -> float:
    """Return the correlation of two matrices over the pairs of regions, each pair once."""
    if one.shape != other.shape or one.ndim != 2:
        raise InputError(f"matrices of {len(one)} and {len(other)} regions have no common pairs")
    upper = np.triu_indices(len(one), 1)
    return float(np.corrcoef(one[upper], other[upper])[0, 1])


def baselines(connectome: Connectome, measured: Array) -> dict[str, float]:
    """Return how like measured connectivity are predictors that need no model."""
    apart = connectome.distances() + np.eye(len(connectome))
    predictors = {
        "counts": connectome.weights,
        "sqrt_counts": np.sqrt(connectome.weights),
        "log_counts": np.log1p(connectome.weights),
        "nearness": 1.0 / apart,
    }
    return {name: pattern_correlation(matrix, measured) for name, matrix in predictors.items()}


def shuffled(connectome: Connectome, seed: int) -> Connectome:
    """Return a connectome with weights exchanged at random, each region's strength as before.

    Weights of all connections are permuted over the places of all pairs; then rows and columns are scaled together,
    w → s_i w s_j, until each region's sum is what it was.

    Raises
    ------
    InputError
        If no scaling restores the strengths, in a connectome with too few connections.
    """
    upper = np.triu_indices(len(connectome), 1)
    generator = np.random.default_rng(seed)
    weights = np.zeros_like(connectome.weights)
    weights[upper] = generator.permutation(connectome.weights[upper])
    weights += weights.T
    wanted = connectome.weights.sum(axis=1)
    scale = np.ones(len(connectome))
    for _ in range(SCALING_ROUNDS):
        found = scale * (weights @ scale)
        if (np.abs(found - wanted) <= SCALED * wanted).all():
            break
        # half a step each way: rows and columns are scaled by the same factors
        scale = scale * np.sqrt(np.divide(wanted, found, out=np.ones_like(wanted), where=found > 0.0))
    else:
        found = scale * (weights @ scale)
        if not (np.abs(found - wanted) <= 0.01 * np.maximum(wanted, wanted.mean())).all():
            raise InputError(f"{connectome.name}: strengths cannot be kept in a shuffled connectome; it is too sparse")
    mixed = scale[:, None] * weights * scale
    return connectome.with_weights(0.5 * (mixed + mixed.T), f"{connectome.name}, shuffled")


def shuffled_by_length(connectome: Connectome, seed: int) -> Connectome:
    """Return a connectome with weights exchanged at random among pairs of about the same distance."""
    upper = np.triu_indices(len(connectome), 1)
    generator = np.random.default_rng(seed)
    values = np.array(connectome.weights[upper])
    order = np.argsort(connectome.distances()[upper], kind="stable")
    for places in np.array_split(order, LENGTH_BINS):
        values[places] = generator.permutation(values[places])
    weights = np.zeros_like(connectome.weights)
    weights[upper] = values
    return connectome.with_weights(weights + weights.T, f"{connectome.name}, shuffled by length")


def fit(
    connectome: Connectome,
    measured: Array,
    predict: Callable[[Connectome], Array],
    *,
    others: Array | None = None,
    draws: int = 19,
    seed: int = 0,
) -> Fit:
    """Return the fit of a model beside its baselines.

    Parameters
    ----------
    connectome : Connectome
        With centroids.
    measured : ndarray, shape (R, R)
        Functional connectivity.
    predict : callable
        Connectome to functional connectivity; called for the connectome and for shuffled ones.
    others : ndarray, shape (R, R), optional
        Functional connectivity of other people, for the ceiling.
    draws : int
        Shuffled connectomes of each kind; with 19, a model above all of them is so by chance once in twenty.
    seed : int

    Returns
    -------
    Fit
    """
    found = predict(connectome)
    makers = {"shuffled": shuffled, "shuffled_by_length": shuffled_by_length}
    nulls = {
        name: np.array([pattern_correlation(predict(make(connectome, seed + at)), measured) for at in range(draws)])
        for name, make in makers.items()
    }
    upper = np.triu_indices(len(connectome), 1)
    return Fit(
        model=pattern_correlation(found, measured),
        baselines=baselines(connectome, measured),
        nulls=nulls,
        mean_model=float(found[upper].mean()),
        mean_measured=float(measured[upper].mean()),
        ceiling=None if others is None else pattern_correlation(measured, others),
    )
