"""Polynomial emulator: figures of the chain as explicit functions of its parameters, with their own error.

Each figure is a polynomial of second degree in the standard deviates of all parameters, every one weighted by its
relevance: how far it moves the figures along a plane, as a root mean square over them. It is fitted by ridge
regression through the kernel of these polynomials, because a design has fewer rows than they have terms. Its error at
rows that it has not seen, by leaving out one at a time (exact for a linear fit), holds what the polynomial misses; it
enters the likelihood. A polynomial in a few screened parameters alone left what the others do to every figure as noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Strengths of the ridge that are tried, as shares of the mean square of a column; each figure takes its own.
_RIDGES = np.geomspace(1e-6, 1e2, 28)
#: A difference between models is often the same everywhere: up to no slope at all.
_RIDGES_OF_DIFFERENCE = np.geomspace(1e-2, 1e5, 22)
#: What the second degree costs more than the first: curvature is taken up only where the rows speak for it.
_SECOND = 4.0
#: Directions of the kernel that carry less than this share of its largest are rounding.
_LEAST = 1e-12


@dataclass(frozen=True)
class Emulator:
    """Polynomials of some figures.

    Parameters
    ----------
    names : tuple of str
        Parameters.
    centre, gain : ndarray, shape (parameter,)
        Standard deviates minus `centre`, times `gain`, are the variables: in units of the design, by relevance.
    constant : ndarray, shape (figure,)
    slopes : ndarray, shape (parameter, figure)
        Of a plane in the variables that is added to the polynomial of the design.
    rows : ndarray, shape (row, parameter)
        Variables at the rows of the design.
    coefficients : ndarray, shape (row, figure)
        Of the kernel with each row.
    error : ndarray, shape (figure,)
        Root mean square error at rows left out.
    explained : ndarray, shape (figure,)
        Share of the variance over the design that rows left out confirm.
    """

    names: tuple[str, ...]
    centre: Array
    gain: Array
    constant: Array
    slopes: Array
    rows: Array
    coefficients: Array
    error: Array
    explained: Array

    def __call__(self, z: Any) -> Any:
        """Return the figures at standard deviates, shape (..., parameter) → (..., figure), of NumPy or JAX."""
        x = (z - self.centre) * self.gain
        return self.constant + x @ self.slopes + _kernel(x, self.rows) @ self.coefficients

    def some(self, places: NDArray[np.int64]) -> Emulator:
        """Return the emulator of some of the figures, by place."""
        return replace(
            self, constant=self.constant[places], slopes=self.slopes[:, places],
            coefficients=self.coefficients[:, places], error=self.error[places], explained=self.explained[places],
        )  # fmt: skip


def _kernel(x: Any, rows: Any) -> Any:
    """Return products of all terms up to the second degree, shape (..., variable), (row, variable) → (..., row)."""
    return (1.0 + x @ rows.T / _SECOND) ** 2


def fit_emulator(names: Sequence[str], z: Array, figures: Array) -> Emulator:
    """Fit the polynomials.

    Parameters
    ----------
    names : sequence of str
        Parameters, one for each column of `z`.
    z : ndarray, shape (row, parameter)
        Standard deviates of the priors.
    figures : ndarray, shape (row, figure)
        Finite; rows where an arm failed are not for this.
    """
    centre, gain = z.mean(axis=0), _relevance(z, figures) / z.std(axis=0)
    rows = (z - centre) * gain
    carried, directions = np.linalg.eigh(_kernel(rows, rows))
    kept = carried > _LEAST * carried[-1]
    to_columns = directions[:, kept] / np.sqrt(carried[kept])
    constant, solved, error = _ridge(directions[:, kept] * np.sqrt(carried[kept]), figures, _RIDGES)
    variance = np.maximum(figures.var(axis=0), 1e-300)
    return Emulator(
        tuple(names), centre, gain, constant, np.zeros((len(centre), figures.shape[1])), rows, to_columns @ solved,
        error, 1.0 - error**2 / variance,
    )  # fmt: skip


def _relevance(z: Array, figures: Array) -> Array:
    """Return how far each parameter moves the figures along a plane, the farthest 1, shape (parameter,).

    One that only bends them has none; squares beside the slopes, or a floor, found nothing of the kind in the chain.
    """
    width = figures.std(axis=0)
    moving = width > 0.0
    if not moving.any():
        return np.ones(z.shape[1])
    _, slopes, _ = _ridge((z - z.mean(axis=0)) / z.std(axis=0), figures[:, moving] / width[moving], _RIDGES)
    found = np.sqrt(np.mean(slopes**2, axis=1))
    return np.asarray(found / found.max())


def with_difference(emulator: Emulator, z: Array, difference: Array) -> Emulator:
    """Return an emulator moved by what another model differs by: a plane in the parameters.

    Parameters
    ----------
    emulator : Emulator
    z : ndarray, shape (row, parameter)
        Rows at which both models were run.
    difference : ndarray, shape (row, figure)
        The other model minus this one.
    """
    constant, slopes, error = _ridge((z - emulator.centre) * emulator.gain, difference, _RIDGES_OF_DIFFERENCE)
    return replace(
        emulator, constant=emulator.constant + constant, slopes=emulator.slopes + slopes,
        error=np.hypot(emulator.error, error),
    )  # fmt: skip


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
