"""Variants scored side by side: how well each predicts studies that it was not fitted to, and weights for all of them.

A variant shares most of its figures with the standard chain. Both are run at a few rows of the posterior, with the same
people; what they differ by there, as a plane in the parameters, is added to the emulator, with its own error. The
variant is then fitted to the same records as the standard chain. Where its own posterior lies both are run once more,
since one that lacks a link may lie far off; what they differ by there counts, too. Then each study is left out of it in
turn.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.inference.chain.design import Design, with_figures
from kapsim.inference.chain.emulator import Emulator, with_difference
from kapsim.inference.chain.leave_out import RELIABLE, LeftOut, leave_one_out
from kapsim.inference.chain.posterior import SHORTER, Draws, Sampler, Sampling, around
from kapsim.inference.chain.targets import Targets
from kapsim.mechanisms.switches import VARIANTS, Switches
from kapsim.model import variant_switches
from kapsim.runs.schedulers import SERIAL, map_shards

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
    draws : Draws
        Posterior of all studies under the variant.
    """

    name: str
    left_out: tuple[LeftOut, ...]
    draws: Draws

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


def contest(name: str, emulator: Emulator, targets: Targets, sampler: Sampler, *, seed: int = 0) -> Contestant:
    """Fit a variant and predict each study by the others.

    Parameters
    ----------
    name : str
    emulator : Emulator
        Of the variant.
    targets : Targets
    sampler : Sampler
        Of the standard chain.
    seed : int
    """
    draws = sampler(seed=seed, emulator=emulator)
    left_out = leave_one_out(emulator, targets, draws, None, seed=seed)
    return Contestant(name, tuple(left_out), draws)


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
    others: Sequence[str],
    emulator: Emulator,
    near: Design,
    wanted: Targets,
    rows: tuple[int, int],
    run: Callable[[Array, str, str], Design],
    effort: Sampling,
    seed: int,
    say: Callable[[str], None],
    scheduler: str = SERIAL,
) -> tuple[Contestant, ...]:
    """Return the variants scored by the figures that all of them have, each by what it differs by from the standard.

    Parameters
    ----------
    variant : str
        The one that was fitted.
    others : sequence of str
    emulator : Emulator
        Of the one that was fitted.
    near : Design
        Of it.
    wanted : Targets
    rows : tuple of int
        How many rows of `near` each variant is run at, and how many of its own posterior.
    run : callable
        `run(z, stage, variant)` computes a design.
    effort : Sampling
    seed : int
    say : callable
    scheduler : str
        Where variants are scored, see `kapsim.runs.schedulers.map_shards`; never what comes of it.
    """
    z, standard = near.z[: rows[0]], with_figures(near, wanted)[: rows[0]]
    differences = {name: _of(run(z, f"variant-{name}", name), wanted) - standard for name in others}
    known = [np.isfinite(difference).mean(axis=0) >= _ENOUGH for difference in differences.values()]
    heats = Heats(
        variant, differences, emulator, wanted, np.flatnonzero(np.all(known, axis=0)), z, rows[1], run, effort, seed
    )
    names = (variant, *others)
    found: dict[int, Contestant] = {}
    say(f"scoring {len(names)} variants")
    for number, one in map_shards(heats, range(len(names)), scheduler):
        found[number] = one
        say(f"scored {one.name}, {len(found)} of {len(names)}")
    return tuple(found[number] for number in range(len(names)))


@dataclass(frozen=True)
class Heats:
    """Contests of variants over the same records: called with a number, it scores the variant of that place.

    Parameters
    ----------
    variant : str
        The one that was fitted; the first.
    differences : mapping of str to ndarray, shape (row, figure)
        What each other differs by from it.
    emulator : Emulator
    wanted : Targets
    places : ndarray of int
        Figures that all of them have.
    z : ndarray, shape (row, parameter)
        Where they were run.
    rows : int
        How many rows of its own posterior each is run at.
    run : callable
    effort : Sampling
    seed : int
    """

    variant: str
    differences: Mapping[str, Array]
    emulator: Emulator
    wanted: Targets
    places: NDArray[np.int64]
    z: Array
    rows: int
    run: Callable[[Array, str, str], Design]
    effort: Sampling
    seed: int

    @functools.cached_property
    def _own(self) -> tuple[Emulator, Targets]:
        return self.emulator.some(self.places), self.wanted.some(self.places)

    @functools.cached_property
    def _samplers(self) -> tuple[Sampler, Sampler]:
        """One program for all that a process scores: every variant is the standard chain and a plane."""
        usual, quick = (Sampler(*self._own, each, planes=True) for each in (self.effort, SHORTER))
        return usual, quick

    def __call__(self, number: int) -> Contestant:
        """Score a variant."""
        (own, targets), (sampler, quick) = self._own, self._samplers
        if number == 0:
            return contest(self.variant, own, targets, sampler, seed=self.seed)
        name, difference = list(self.differences.items())[number - 1]
        moved = with_difference(own, self.z, _filled(difference[:, self.places]))
        there = around(quick(seed=self.seed, emulator=moved), self.rows, self.seed)
        off = self._figures(there, f"own-{name}", name) - self._figures(there, f"beside-{name}", self.variant)
        both = _filled(np.concatenate([difference, off])[:, self.places])
        moved = with_difference(own, np.concatenate([self.z, there]), both)
        return contest(name, moved, targets, sampler, seed=self.seed)

    def _figures(self, z: Array, stage: str, variant: str) -> Array:
        return _of(self.run(z, stage, variant), self.wanted)


def _of(design: Design, wanted: Targets) -> Array:
    """Return the figures that are wanted, in their order; not a number where the design has none."""
    have = {key: k for k, key in enumerate(design.targets.keys)}
    nothing = np.full(len(design.z), np.nan)
    return np.stack([design.figures[:, have[key]] if key in have else nothing for key in wanted.keys], axis=1)


def _filled(difference: Array) -> Array:
    """Return differences with the mean of a figure where a row lacks it."""
    return np.where(np.isfinite(difference), difference, np.nanmean(difference, axis=0))
