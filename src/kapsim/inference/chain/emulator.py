"""Polynomial emulator: figures of the chain as explicit functions of its free parameters, with their own error.

Each figure is a polynomial of second degree in the standard deviates of the free parameters, fitted by ridge regression
to a design in which the other parameters vary too. Its error at rows that it has not seen, by leaving out one at a
time (exact for a linear fit), holds what the polynomial misses and what the other parameters do; it enters the
likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Strengths of the ridge that are tried, as shares of the mean square of a column; each figure takes its own.
_RIDGES = np.geomspace(1e-3, 1e2, 16)
#: A difference between models is often the same everywhere: up to no slope at all.
_RIDGES_OF_DIFFERENCE = np.geomspace(1e-2, 1e5, 22)
#: What the second degree costs more than the first: curvature is taken up only where the rows speak for it.
_SECOND = 4.0


@dataclass(frozen=True)
class Emulator:
    """Polynomials of some figures.

    Parameters
    ----------
    names : tuple of str
        Free parameters.
    centre, scale : ndarray, shape (parameter,)
        Standard deviates minus `centre`, over `scale`, are the variables.
    coefficients : ndarray, shape (term, figure)
    error : ndarray, shape (figure,)
        Root mean square error at rows left out.
    explained : ndarray, shape (figure,)
        Share of the variance over the design that rows left out confirm.
    """

    names: tuple[str, ...]
    centre: Array
    scale: Array
    coefficients: Array
    error: Array
    explained: Array

    def __call__(self, z: Any) -> Any:
        """Return the figures at standard deviates, shape (..., parameter) → (..., figure), of NumPy or JAX."""
        return terms((z - self.centre) / self.scale) @ self.coefficients

    def some(self, places: NDArray[np.int64]) -> Emulator:
        """Return the emulator of some of the figures, by place."""
        return replace(
            self, coefficients=self.coefficients[:, places], error=self.error[places], explained=self.explained[places]
        )


def terms(x: Any) -> Any:
    """Return the terms of the polynomial: one, each variable, centred squares, and products of pairs.

    Parameters
    ----------
    x : array, shape (..., variable)
        Of NumPy or JAX.

    Returns
    -------
    array, shape (..., term)
    """
    space = x.__array_namespace__()
    first, second = np.triu_indices(x.shape[-1], 1)
    parts = [space.ones_like(x[..., :1]), x, (x**2 - 1.0) / np.sqrt(2.0), x[..., first] * x[..., second]]
    return space.concatenate(parts, axis=-1)


def fit_emulator(names: Sequence[str], z: Array, figures: Array) -> Emulator:
    """Fit the polynomials.

    Parameters
    ----------
    names : sequence of str
        Free parameters, one for each column of `z`.
    z : ndarray, shape (row, parameter)
        Standard deviates of the priors.
    figures : ndarray, shape (row, figure)
        Finite; rows where an arm failed are not for this.
    """
    centre, scale = z.mean(axis=0), z.std(axis=0)
    columns = terms((z - centre) / scale)
    size = len(names)
    # a column that costs more is made smaller: ridge then takes less of it
    price = np.concatenate([[1.0], np.ones(size), np.full(columns.shape[1] - size - 1, _SECOND)])
    constant, solved, error = _ridge(columns[:, 1:] / np.sqrt(price[1:]), figures, _RIDGES)
    coefficients = np.concatenate([constant[None], solved / np.sqrt(price[1:, None])])
    variance = np.maximum(figures.var(axis=0), 1e-300)
    return Emulator(tuple(names), centre, scale, coefficients, error, 1.0 - error**2 / variance)


def with_difference(emulator: Emulator, z: Array, difference: Array) -> Emulator:
    """Return an emulator moved by what another model differs by: a plane in the free parameters.

    Parameters
    ----------
    emulator : Emulator
    z : ndarray, shape (row, parameter)
        Free parameters of the rows at which both models were run.
    difference : ndarray, shape (row, figure)
        The other model minus this one.
    """
    x = (z - emulator.centre) / emulator.scale
    constant, slopes, error = _ridge(x, difference, _RIDGES_OF_DIFFERENCE)
    coefficients = emulator.coefficients.copy()
    coefficients[0] += constant
    coefficients[1 : x.shape[1] + 1] += slopes
    return replace(emulator, coefficients=coefficients, error=np.hypot(emulator.error, error))


def _ridge(columns: Array, figures: Array, ridges: Array) -> tuple[Array, Array, Array]:
    """Return constant, slopes and the error at rows left out of the best ridge regression of each figure."""
    offset, middle = figures.mean(axis=0), columns.mean(axis=0)
    left, singular, right = np.linalg.svd(columns - middle, full_matrices=False)
    projected = left.T @ (figures - offset)
    best = np.full(figures.shape[1], np.inf)
    chosen = np.zeros(figures.shape[1])
    level = float(np.mean(singular**2))
    for ridge in ridges * level:
        shrink = singular**2 / (singular**2 + ridge)
        leverage = (left**2) @ shrink + 1.0 / len(columns)
        residual = figures - offset - left @ (shrink[:, None] * projected)
        error = np.sqrt(np.mean((residual / (1.0 - leverage)[:, None]) ** 2, axis=0))
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, ridge, chosen)
    solved = right.T @ (singular[:, None] / (singular[:, None] ** 2 + chosen) * projected)
    return offset - middle @ solved, solved, best
