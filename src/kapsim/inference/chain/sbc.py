"""Simulation-based calibration: does the sampler find what made the data, as often as it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kapsim.inference.chain.emulator import Emulator
from kapsim.inference.chain.posterior import ARMS, BETWEEN, WITHIN, Sampler, Sampling, blocks
from kapsim.inference.chain.targets import CRITICAL, Targets

Array = NDArray[np.float64]


def made_up(emulator: Emulator, targets: Targets, seed: int) -> tuple[Array, Targets]:
    """Return settings drawn from the prior, and what studies like these would have published under them.

    Parameters
    ----------
    emulator : Emulator
    targets : Targets
    seed : int

    Returns
    -------
    tuple of ndarray and Targets
    """
    rng = np.random.default_rng([seed, 2])
    z = rng.standard_normal(len(emulator.names))
    between = np.abs(rng.standard_normal(len(BETWEEN))) * list(BETWEEN.values())
    arms = np.abs(rng.standard_normal(len(ARMS))) * list(ARMS.values())
    within = np.abs(rng.standard_normal(len(WITHIN))) * list(WITHIN.values())
    shared = blocks(targets)
    at = shared.normal
    mean = np.asarray(emulator(z))
    observed = mean + emulator.error * rng.standard_normal(len(mean))
    observed[at] += np.sqrt(targets.sampling[at] ** 2 + within[shared.kind] ** 2) * rng.standard_normal(len(at))
    common = (between[shared.block_kind] * rng.standard_normal(len(shared.study)))[shared.block]
    own = np.sqrt(shared.arms_in) * arms[shared.arm_kind] * rng.standard_normal(len(shared.block))
    observed[at] += (own + np.where(shared.arms_in == 1.0, common, 0.0))[shared.arm]
    for place in shared.signs:
        statistic = observed[place] + rng.standard_normal()
        observed[place] = np.sign(statistic) * float(abs(statistic) > CRITICAL)
    return z, replace(targets, observed=observed)


def ranks(
    emulator: Emulator,
    targets: Targets,
    count: int,
    effort: Sampling,
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Array:
    """Return where the truth stands among the draws, as a share, shape (count, parameter): uniform if all is well.

    Parameters
    ----------
    emulator : Emulator
    targets : Targets
    count : int
        Made-up data sets.
    effort : Sampling
        Of each.
    seed : int
    progress : callable, optional
    """
    sampler, found = Sampler(emulator, targets, effort), []
    for number in range(count):
        if progress is not None:
            progress(f"made-up data {number + 1} of {count}")
        truth, data = made_up(emulator, targets, seed + number)
        draws = sampler(seed=seed + number, observed=data.observed)
        found.append((draws.z < truth).mean(axis=0))
    return np.asarray(found)
