"""What a new study is off by: studies left out of the calibration, predicted by the model itself.

The sampler finds how far the studies that it was fitted to scatter around an emulator. A study that comes later lies
further off: nothing was fitted to it, and the model is not its emulator. What prediction needs is therefore found
from residuals of studies left out, from which the emulator's mean error at the posterior is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kapsim.inference.chain.leave_out import LeftOut
from kapsim.inference.chain.posterior import ARMS, BETWEEN, WITHIN
from kapsim.inference.chain.targets import Targets

Array = NDArray[np.float64]

#: Values of each standard deviation that are tried, up to so many scales of its prior.
_STEPS, _FARTHEST = 21, 5.0
#: Fewer studies than this say nothing of how studies scatter.
_FEWEST = 3


@dataclass(frozen=True)
class Own:
    """The model itself at draws of the posterior, and its emulator there, on the scales of the targets.

    Parameters
    ----------
    figures, emulated : ndarray, shape (row, figure)
    """

    figures: Array
    emulated: Array

    @property
    def offset(self) -> Array:
        """What the emulator is off by at the posterior, shape (figure,)."""
        return np.asarray((self.figures - self.emulated).mean(axis=0))


@dataclass(frozen=True)
class Scatter:
    """What studies of one kind of figure share, what their arms share besides, and what single figures scatter.

    Parameters
    ----------
    between, arms, within : ndarray, shape (draw,)
        Standard deviations on the scale of the kind.
    """

    between: Array
    arms: Array
    within: Array

    @property
    def own(self) -> Array:
        """What a figure of one arm scatters around its study, shape (draw,)."""
        return np.hypot(self.arms, self.within)


def by_the_model(left_out: Sequence[LeftOut], own: Own) -> list[LeftOut]:
    """Return studies left out as the model predicts them: moved by what its emulator is off by, and as wide as it.

    Parameters
    ----------
    left_out : sequence of LeftOut
        As the emulator predicts them.
    own : Own
    """
    offset, width = own.offset, own.figures.std(axis=0, ddof=1)
    return [replace(one, predicted=one.predicted + offset[one.places], sd=width[one.places]) for one in left_out]


def scatter_of_new_studies(
    left_out: Sequence[LeftOut], targets: Targets, own: Own, kind: str, *, draws: int = 1000, seed: int = 0
) -> Scatter | None:
    """Return draws of how far figures of studies that were not fitted lie from the model, beyond sampling.

    Parameters
    ----------
    left_out : sequence of LeftOut
        From `by_the_model`.
    targets : Targets
    own : Own
        Its scatter over draws, and how figures of a study hang together in it, is part of any prediction.
    kind : str
        Of `kapsim.inference.chain.targets.KINDS`, but for signs.
    draws : int
    seed : int

    Returns
    -------
    Scatter or None
        None where there are too few studies.
    """
    kinds = np.asarray(targets.kinds)
    steps = np.linspace(0.0, _FARTHEST, _STEPS)
    scales = np.asarray([prior[kind] for prior in (BETWEEN, ARMS, WITHIN)])
    tried = np.stack([part.ravel() for part in np.meshgrid(steps, steps, steps)], axis=1)
    density = -0.5 * (tried**2).sum(axis=1)
    between, arms, within = (tried * scales).T ** 2
    studies = 0
    for one in left_out:
        mine = kinds[one.places] == kind
        if not mine.any():
            continue
        studies += 1
        places = one.places[mine]
        known = np.atleast_2d(np.cov(own.figures[:, places], rowvar=False)) + np.diag(targets.sampling[places] ** 2)
        residual = targets.observed[places] - one.predicted[mine]
        arm, apart = np.asarray(targets.arms)[places], targets.apart[places]
        # a difference has the effects of two arms in it, and none of what they share
        same = ((arm[:, None] == arm) & (apart[:, None] == apart)) * np.where(apart, 2.0, 1.0)
        common = ~(apart[:, None] | apart)
        every = (
            known
            + between[:, None, None] * common
            + arms[:, None, None] * same
            + within[:, None, None] * np.eye(len(places))
        )
        quadratic = np.einsum("i,kij,j->k", residual, np.linalg.inv(every), residual)
        density = density - 0.5 * (quadratic + np.linalg.slogdet(every)[1])
    if studies < _FEWEST:
        return None
    share = np.exp(density - density.max())
    chosen = np.random.default_rng([seed, 5]).choice(len(share), draws, p=share / share.sum())
    # within a step of the grid any value is as good: none is exactly zero, so that all have a logarithm
    jitter = np.random.default_rng([seed, 6]).random((draws, 3)) * steps[1]
    return Scatter(*((tried[chosen] + jitter) * scales).T)


def scatter_by_kind(left_out: Sequence[LeftOut], targets: Targets, own: Own, *, seed: int = 0) -> dict[str, Scatter]:
    """Return the scatter of each kind of figure of which there are studies enough; arguments as above."""
    found = {kind: scatter_of_new_studies(left_out, targets, own, kind, seed=seed) for kind in BETWEEN}
    return {kind: one for kind, one in found.items() if one is not None}
