"""Which parameters the records speak of: the few that become free, the others are drawn from their priors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kapsim.inference.chain.design import Design

Array = NDArray[np.float64]

#: Most parameters that are free.
MOST = 25
#: Rows over which one figure's slopes are shrunk to nothing: what a design of this size cannot tell from chance.
_SHRINK = 10.0


def importance(design: Design, between: Array) -> Array:
    """Return how much each parameter's prior spread moves the figures, against what the records leave open.

    The square of each slope over the square of the figure's whole error (sampling and between studies), with every
    study having the same weight: what one prior standard deviation is worth in information.

    Parameters
    ----------
    design : Design
    between : ndarray, shape (figure,)
        Standard deviation between studies, on each figure's scale.

    Returns
    -------
    ndarray, shape (parameter,)
    """
    z = design.z - design.z.mean(axis=0)
    moved = design.figures - design.figures.mean(axis=0)
    slopes = np.linalg.solve(z.T @ z + _SHRINK * np.eye(z.shape[1]), z.T @ moved)
    # slopes that chance alone would give a parameter without effect
    left = moved - z @ slopes
    chance = left.var(axis=0) / len(z)
    worth = np.maximum(slopes**2 - chance, 0.0) / (design.targets.sampling**2 + between**2)
    studies = np.asarray(design.targets.studies)
    weight = np.asarray([1.0 / np.sum(studies == study) for study in studies])
    return np.asarray(worth @ weight)


def screened(design: Design, between: Array, most: int = MOST) -> tuple[str, ...]:
    """Return the parameters that matter most to the records, in the order of the design.

    Parameters
    ----------
    design : Design
    between : ndarray, shape (figure,)
    most : int
    """
    found = importance(design, between)
    best = set(np.argsort(-found, kind="stable")[:most].tolist())
    return tuple(name for k, name in enumerate(design.names) if k in best and found[k] > 0.0)


def columns(design: Design, names: Sequence[str]) -> Array:
    """Return the settings of some parameters, shape (row, parameter)."""
    return np.asarray(design.z[:, [design.names.index(name) for name in names]])
