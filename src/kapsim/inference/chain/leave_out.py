"""Leave one study out: how well the others predict it, by importance sampling, by a new fit where that cannot do it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.inference.chain.emulator import Emulator
from kapsim.inference.chain.posterior import Draws, Sampler, Sampling, study_log_likelihood
from kapsim.inference.chain.targets import Targets

Array = NDArray[np.float64]

#: Shape of the tail of the weights above which importance sampling is not to be trusted (Vehtari and others).
RELIABLE = 0.7


@dataclass(frozen=True)
class LeftOut:
    """One study predicted by the others.

    Parameters
    ----------
    study : str
    log_density : float
        Expected log predictive density of its figures together.
    shape : float
        Pareto shape of the importance weights.
    refitted : bool
        Whether the posterior without the study was sampled.
    places : ndarray of int
        Its figures.
    predicted, sd : ndarray, shape (its figures,)
        Mean and standard deviation of the prediction, on the scales of the targets, without sampling error.
    z, z_sd : ndarray, shape (parameter,)
        Mean and standard deviation of the parameters without the study, as standard deviates of their priors.
    """

    study: str
    log_density: float
    shape: float
    refitted: bool
    places: NDArray[np.int64]
    predicted: Array
    sd: Array
    z: Array
    z_sd: Array


def smoothed(log_weights: Array) -> tuple[Array, float]:
    """Return normalised log weights with their tail smoothed, and the shape of that tail.

    Parameters
    ----------
    log_weights : ndarray, shape (draw,)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

        smooth: Any = arviz.psislw
        found = smooth(log_weights)
    return np.asarray(found[0], dtype=float), float(found[1])


def leave_one_out(
    emulator: Emulator,
    targets: Targets,
    draws: Draws,
    effort: Sampling | None,
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> list[LeftOut]:
    """Predict each study by the others.

    Parameters
    ----------
    emulator : Emulator
    targets : Targets
    draws : Draws
        Posterior of all studies.
    effort : Sampling or None
        Of a new fit where the weights are not to be trusted; None uses them as they are, and their shape tells.
    seed : int
    progress : callable, optional
    """
    predicted = np.asarray(emulator(draws.z))
    by_study = study_log_likelihood(draws, predicted, emulator.error, targets)
    sampler = None if effort is None else Sampler(emulator, targets, effort)
    found = []
    for study, log_likelihood in by_study.items():
        weights, shape = smoothed(-log_likelihood)
        own, figures, z = log_likelihood, predicted, draws.z
        again = sampler is not None and shape > RELIABLE
        if sampler is not None and again:
            if progress is not None:
                progress(f"without {study}")
            others = sampler(seed=seed, without=study)
            z = others.z
            figures = np.asarray(emulator(z))
            own = study_log_likelihood(others, figures, emulator.error, targets)[study]
            weights = np.full(len(own), -np.log(len(own)))
        places = np.flatnonzero(~targets.without(study))
        share = np.exp(weights - np.logaddexp.reduce(weights))
        mean = share @ figures[:, places]
        variance = share @ (figures[:, places] - mean) ** 2 + emulator.error[places] ** 2
        density = float(np.logaddexp.reduce(weights + own) - np.logaddexp.reduce(weights))
        centre = share @ z
        width = np.sqrt(share @ (z - centre) ** 2)
        found.append(LeftOut(study, density, shape, again, places, mean, np.sqrt(variance), centre, width))
    return found
