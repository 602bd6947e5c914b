"""Which parameters the records speak of: the few that ship with a posterior, the others with their priors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapsim.inference.chain.posterior import Draws

Array = NDArray[np.float64]

#: Most parameters that become free.
MOST = 25


def learned(draws: Draws) -> Array:
    """Return what the records say of each parameter by itself (nats), shape (parameter,).

    The divergence of its posterior from its prior, both taken as normal: it has moved, or it is narrower.

    Parameters
    ----------
    draws : Draws
    """
    mean, variance = draws.z.mean(axis=0), draws.z.var(axis=0)
    return np.asarray(0.5 * (variance + mean**2 - 1.0 - np.log(variance)))


def screened(draws: Draws, most: int = MOST) -> tuple[str, ...]:
    """Return the parameters of which the records say most, in the order of the draws.

    Parameters
    ----------
    draws : Draws
    most : int
    """
    best = set(np.argsort(-learned(draws), kind="stable")[:most].tolist())
    return tuple(name for k, name in enumerate(draws.names) if k in best)
