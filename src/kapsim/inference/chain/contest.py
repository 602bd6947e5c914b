"""Variants scored side by side: how well each predicts studies that it was not fitted to, and weights for all of them.

A variant shares most of its figures with the standard chain. It is run at a few rows of the posterior, with the same
people; what it differs by there, as a plane in the parameters, is added to the emulator, with its own error. The
variant is then fitted to the same records as the standard chain, and each study is left out of it in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.inference.chain.design import Design, with_figures
from kapsim.inference.chain.emulator import Emulator, with_difference
from kapsim.inference.chain.leave_out import RELIABLE, LeftOut, leave_one_out
from kapsim.inference.chain.posterior import Sampler, Sampling
from kapsim.inference.chain.targets import Targets
from kapsim.mechanisms.switches import VARIANTS, Switches
from kapsim.model import variant_switches

Array = NDArray[np.float64]

#: Share of rows in which a variant must have a figure that it is scored by.
_ENOUGH = 0.5
#: Records of studies that weights are a mean over.
RESAMPLES = 400
#: Steps of the weights towards their maximum, and the change at which they stand.
_MOST_STEPS, _STANDS = 20_000, 1e-10


@dataclass(frozen=True)
class Contestant:
    """A variant, scored.

    Parameters
    ----------
    name : str
    left_out : tuple of LeftOut
        Each study predicted by the others under the variant.
    divergences : int
    r_hat : float
        Largest over the parameters.
    """

    name: str
    left_out: tuple[LeftOut, ...]
    divergences: int
    r_hat: float

    @property
    def densities(self) -> dict[str, float]:
        """Expected log predictive density by study."""
        return {one.study: one.log_density for one in self.left_out}


def distinct(variant: str) -> tuple[str, ...]:
    """Return the variants with switches of their own, but for `variant`; of those that are alike the first."""
    found: dict[Switches, str] = {variant_switches(variant): variant}
    for name, switches in VARIANTS.items():
        found.setdefault(switches, name)
    return tuple(name for name in found.values() if name != variant)


def contest(name: str, emulator: Emulator, targets: Targets, effort: Sampling, *, seed: int = 0) -> Contestant:
    """Fit a variant and predict each study by the others.

    Parameters
    ----------
    name : str
    emulator : Emulator
        Of the variant.
    targets : Targets
    effort : Sampling
    seed : int
    """
    draws = Sampler(emulator, targets, effort)(seed=seed)
    left_out = leave_one_out(emulator, targets, draws, None, seed=seed)
    return Contestant(name, tuple(left_out), draws.divergences, float(draws.r_hat.max()))


def stacking(densities: Sequence[Mapping[str, float]], *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """Return the weights whose mixture predicts studies best (Yao and others 2018), shape (variant,).

    Variants that predict alike gain nothing by being mixed, so that one record of studies gives all weight to whichever
    is best by chance. The weights are therefore a mean over other records of studies that might have been (the Bayesian
    bootstrap): variants that the studies cannot tell apart share theirs.

    Parameters
    ----------
    densities : sequence of mapping of str to float
        Log predictive density by study, one mapping a variant.
    resamples : int
        Records of studies; 0 takes the studies as they are.
    seed : int
    """
    studies = list(densities[0])
    table = np.asarray([[one[study] for study in studies] for one in densities])
    likely = np.exp(table - table.max(axis=0))
    counted = np.full((1, len(studies)), 1.0 / len(studies))
    if resamples:
        counted = np.random.default_rng([seed, 7]).dirichlet(np.ones(len(studies)), resamples)
    weights = np.full((len(counted), len(densities)), 1.0 / len(densities))
    for _ in range(_MOST_STEPS):
        # the share that each has in the mixture's density, which never lowers it
        before, weights = weights, weights * ((counted / (weights @ likely)) @ likely.T)
        if np.abs(weights - before).max() < _STANDS:
            break
    mean = weights.mean(axis=0)
    return np.asarray(mean / mean.sum())


def table(contestants: Sequence[Contestant]) -> list[dict[str, Any]]:
    """Return how variants stand against the best of them, and the weight of each, ready for JSON and YAML.

    Parameters
    ----------
    contestants : sequence of Contestant
        Scored by the same studies.
    """
    if not contestants:
        return []
    studies = list(contestants[0].densities)
    by_study = np.asarray([[one.densities[study] for study in studies] for one in contestants])
    best = by_study[int(np.argmax(by_study.sum(axis=1)))]
    weights = stacking([one.densities for one in contestants])
    return [
        {
            "name": one.name,
            "log_density": _short(own.sum()),
            "behind": _short(max((best - own).sum(), 0.0)),
            "se": _short(np.sqrt(len(studies)) * (best - own).std(ddof=1)) if len(studies) > 1 else 0.0,
            "weight": _short(weight),
            "doubtful": sum(item.shape > RELIABLE for item in one.left_out),
        }
        for one, own, weight in zip(contestants, by_study, weights, strict=True)
    ]


def _short(value: float) -> float:
    return round(float(value), 4)


def scored(
    variant: str,
    emulator: Emulator,
    near: Design,
    wanted: Targets,
    designs: Mapping[str, Design],
    effort: Sampling,
    seed: int,
    say: Callable[[str], None],
) -> tuple[Contestant, ...]:
    """Return the variants scored by the figures that all of them have, each by what it differs by from the standard.

    Parameters
    ----------
    variant : str
        The one that was fitted.
    emulator : Emulator
        Of it.
    near : Design
        Of it; its first rows are those of the other designs.
    wanted : Targets
    designs : mapping of str to Design
        Of the other variants.
    effort : Sampling
    seed : int
    say : callable
    """
    differences = {}
    for name, design in designs.items():
        have = {key: k for k, key in enumerate(design.targets.keys)}
        differences[name] = (
            np.stack(
                [
                    design.figures[:, have[key]] if key in have else np.full(len(design.z), np.nan)
                    for key in wanted.keys
                ],
                axis=1,
            )
            - with_figures(near, wanted)[: len(design.z)]
        )
    known = [np.isfinite(difference).mean(axis=0) >= _ENOUGH for difference in differences.values()]
    places = np.flatnonzero(np.all(known, axis=0))
    targets, own = wanted.some(places), emulator.some(places)
    say(f"scoring {variant}")
    found = [contest(variant, own, targets, effort, seed=seed)]
    for name, difference in differences.items():
        say(f"scoring {name}")
        there = difference[:, places]
        there = np.where(np.isfinite(there), there, np.nanmean(there, axis=0))
        moved = with_difference(own, designs[name].z, there)
        found.append(contest(name, moved, targets, effort, seed=seed))
    return tuple(found)
