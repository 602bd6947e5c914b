"""How many people a trial needs: power simulated at several sizes on nested trials, a curve through them, its doubt.

A replicate is conducted once with the most people and analysed after the first few, some more, and all of them: trials
of different sizes then share their people, which takes most of the noise out of the curve. Power is taken as a normal
probability linear in the square root of the size, as it is for a test of a mean; the doubt about the size that reaches
the target comes from drawing the replicates anew (bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import AVERAGE
from kapsim.errors import InputError
from kapsim.kinetic_sets import DEFAULT
from kapsim.runs import map_shards
from kapsim.runs.progress import Progress
from kapsim.trial.analysis import analyse_primary, look_sizes, primary_contrast
from kapsim.trial.conduct import Conducted, Settings, conduct
from kapsim.trial.design import Trial
from kapsim.trial.draws import Parameters
from kapsim.trial.interim import nominal_levels
from kapsim.trial.operating import Figure, share_figure
from kapsim.trial.running import threads_of

__all__ = ["Power", "PowerWork", "find_size", "fit_curve"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: People by which the first guess is made, and replicates of that.
_PILOT_PEOPLE, _PILOT_REPLICATES = 80, 100
#: Sizes that are simulated, as shares of the guess.
_SHARES = (0.4, 0.6, 0.8, 1.0, 1.2, 1.5)
#: The fewest people of a trial that can be analysed.
_FEWEST = 12
_PEOPLE = 2048
_BOOTSTRAPS = 400
_MOST_ROUNDS = 4
#: How often an estimate of the curve's slope may go on before it has no maximum.
_MOST_STEPS = 100


@dataclass(frozen=True)
class Power:
    """What a search for the size of a trial found.

    Parameters
    ----------
    target : float
    parameters : str
        'fixed' for power at the middle of the parameters, 'ensemble' for assurance.
    contrast : str
    sizes : tuple of int
        People of the trials that were simulated.
    power : tuple of Figure
        Share of replicates that find a difference, with its Monte Carlo interval.
    curve : tuple of float
        Intercept and slope of the fitted probit in the square root of the size.
    size : int or None
        Fewest people with the target by the curve, in whole blocks of the allocation; None where it is not reached.
    low, high : int or None
        Ends of its 95 % interval; None for an end that lies beyond what was looked at.
    most : int
        Most people that were looked at.
    replicates : int
    """

    target: float
    parameters: str
    contrast: str
    sizes: tuple[int, ...]
    power: tuple[Figure, ...]
    curve: tuple[float, float]
    size: int | None
    low: int | None
    high: int | None
    most: int
    replicates: int

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "power": [dict(zip(Figure._fields, item, strict=True)) for item in self.power]}


@dataclass(frozen=True)
class PowerWork:
    """A shard of a search: which replicates of a block find a difference with how many people.

    Parameters
    ----------
    trial : Trial
    sizes : tuple of int
        Ascending; replicates are conducted with the last.
    replicates : int
    seed : int
    parameters : str
    variant, kinetics : str
    threads : int, optional
        Cores that a shard uses, by default all.
    """

    trial: Trial
    sizes: tuple[int, ...]
    replicates: int
    seed: int
    parameters: Parameters
    variant: str = AVERAGE
    kinetics: str = DEFAULT
    threads: int | None = None

    @property
    def block(self) -> int:
        """Replicates in a shard."""
        return max(_PEOPLE // self.sizes[-1], 1)

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.replicates // self.block)

    def __call__(self, number: int) -> Mapping[str, NDArray[Any]]:
        """Return for each replicate and size whether a difference is found, as columns."""
        first = number * self.block
        replicates = np.arange(first, min(first + self.block, self.replicates))
        settings = Settings(self.sizes[-1], self.seed, self.parameters, self.variant, self.kinetics, self.threads)
        conducted = conduct(self.trial, settings, replicates)
        found = np.stack([self._found(conducted, size) for size in self.sizes], axis=1)
        return {
            "replicate": np.repeat(replicates, len(self.sizes)),
            "size": np.tile(np.asarray(self.sizes, dtype=np.int64), len(replicates)),
            "found": found.ravel(),
        }

    def _found(self, conducted: Conducted, size: int) -> Flags:
        design, wanted = self.trial.design, primary_contrast(self.trial)
        levels: Sequence[float] = (design.analysis.alpha,)
        if design.interim is not None:
            levels = nominal_levels(design.interim.fractions, design.analysis.alpha, design.interim.spending)
        crossed = np.zeros(len(conducted.replicates), dtype=bool)
        for people, level in zip(look_sizes(self.trial, size), levels, strict=True):
            rows = analyse_primary(conducted.first(people))
            p = next(item.estimate.p for item in rows if item.contrast == wanted)
            crossed |= p <= level
        return crossed


def find_size(
    trial: Trial,
    target: float,
    *,
    replicates: int = 400,
    seed: int = 0,
    parameters: Parameters = "fixed",
    variant: str = AVERAGE,
    kinetics: str = DEFAULT,
    most: int = 2000,
    scheduler: str = "serial",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Power:
    """Return how many people a trial needs to find its primary difference with a given chance.

    Parameters
    ----------
    trial : Trial
    target : float
        Power wanted, between the level of the test and 1.
    replicates : int
        Trials that are simulated.
    seed : int
    parameters : str
        'fixed' or 'ensemble'.
    variant, kinetics : str
    most : int
        Largest trial that is looked at.
    scheduler, workers, progress
        As in `kapsim.runs.map_shards`.

    Raises
    ------
    InputError
        For a target or a number of replicates that cannot be.
    """
    check_search(trial, target, replicates, most)
    block = _block(trial)
    largest = min(max(_PILOT_PEOPLE, 2 * block), _whole(most, block, down=True))
    sizes: tuple[int, ...] = (largest,)
    count = min(replicates, _PILOT_REPLICATES)
    found = np.zeros((0, 1), dtype=bool)
    for turn in range(_MOST_ROUNDS):
        work = PowerWork(trial, sizes, count, seed, parameters, variant, kinetics, threads_of(scheduler))
        parts = dict(map_shards(work, range(work.shards), scheduler, workers, progress))
        rows = [np.asarray(parts[number]["found"]).reshape(-1, len(sizes)) for number in range(work.shards)]
        found = np.concatenate(rows)
        needed = _needed(fit_curve(np.asarray(sizes, dtype=float), found), target)
        reached = float(found[:, -1].mean()) >= target or sizes[-1] >= _whole(most, block, down=True)
        # below the sizes that were simulated the curve would be a guess
        if turn and reached and (needed >= sizes[0] or sizes[0] <= _whole(_FEWEST, block)):
            break
        guess = _guess(float(found[:, -1].mean()), sizes[-1], target, trial.design.analysis.alpha, len(found))
        if turn and reached:
            guess = needed
        sizes, count = _sizes(guess, block, most), replicates
    return _account(trial, target, parameters, sizes, found, block)


def check_search(trial: Trial, target: float, replicates: int, most: int) -> None:
    """Raise InputError for a search that cannot be."""
    alpha = trial.design.analysis.alpha
    if not alpha < target < 1.0:
        raise InputError(f"target: {target:g} is no power to aim at; give more than the level ({alpha:g}), less than 1")
    if not 50 <= replicates <= 100_000:
        raise InputError(f"replicates: {replicates} is not between 50 and 100000; 400 is the default")
    if not _FEWEST <= most <= 20_000:
        raise InputError(f"most: {most} is not between {_FEWEST} and 20000; 2000 is the default")


def _block(trial: Trial) -> int:
    return 2 if trial.design.kind == "crossover" else sum(arm.ratio for arm in trial.design.arms)


def _whole(size: float, block: int, *, down: bool = False) -> int:
    """Return a size in whole blocks of the allocation."""
    count = math.floor(size / block) if down else math.ceil(size / block - 1e-9)
    return max(count, 1) * block


def _guess(power: float, size: int, target: float, alpha: float, count: int) -> float:
    """Return the size for a target from the power at one size, as for a test of a mean."""
    from scipy.special import ndtri

    # away from 0 and 1, where the power at one size says little about another
    inside = min(max(power, 0.5 / count), 1.0 - 0.5 / count)
    critical = -float(ndtri(alpha / 2.0))
    drift = max(float(ndtri(inside)) + critical, 0.2)
    return size * ((float(ndtri(target)) + critical) / drift) ** 2


def _sizes(guess: float, block: int, most: int) -> tuple[int, ...]:
    least, limit = _whole(_FEWEST, block), _whole(most, block, down=True)
    wanted = {min(max(_whole(share * guess, block), least), limit) for share in _SHARES}
    return tuple(sorted(wanted))


def fit_curve(sizes: Array, found: Flags) -> tuple[float, float]:
    """Return intercept and slope of a probit in the square root of the size, by maximum likelihood.

    Parameters
    ----------
    sizes : ndarray, shape (size,)
    found : ndarray of bool, shape (replicate, size)
    """
    from scipy.special import log_ndtr, ndtr

    yes, count = found.sum(axis=0).astype(float), float(len(found))
    x = np.stack([np.ones(len(sizes)), np.sqrt(sizes)], axis=1)
    # half a person more on each side keeps an end in sight where all or none have found something
    yes, total = yes + 0.5, count + 1.0
    beta = np.zeros(2)
    for _ in range(_MOST_STEPS):
        eta = x @ beta
        share = ndtr(eta)
        density = np.exp(-0.5 * eta**2 - log_ndtr(eta) - log_ndtr(-eta)) / math.sqrt(2.0 * math.pi)
        score = x.T @ ((yes - total * share) * density)
        weight = total * density**2 * share * (1.0 - share)
        information = (x.T * weight) @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(information, score)
        beta = beta + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[0]), float(beta[1])


def _needed(curve: tuple[float, float], target: float) -> float:
    """Return the size at which a curve reaches the target; infinite where it never does."""
    from scipy.special import ndtri

    wanted = float(ndtri(target)) - curve[0]
    return (wanted / curve[1]) ** 2 if curve[1] > 1e-6 and wanted > 0.0 else (math.inf if wanted > 0.0 else 0.0)


def _account(trial: Trial, target: float, parameters: str, sizes: tuple[int, ...], found: Flags, block: int) -> Power:
    at = np.asarray(sizes, dtype=float)
    curve = fit_curve(at, found)
    generator = np.random.Generator(np.random.Philox(key=[len(found), len(sizes)]))
    drawn = generator.integers(len(found), size=(_BOOTSTRAPS, len(found)))
    needed = np.sort([_needed(fit_curve(at, found[rows]), target) for rows in drawn])
    low, high = needed[int(0.025 * _BOOTSTRAPS)], needed[int(0.975 * _BOOTSTRAPS) - 1]

    def whole(size: float) -> int | None:
        # a curve says nothing of sizes far beyond those that it was fitted to
        return _whole(max(size, _FEWEST), block) if size <= 1.25 * sizes[-1] else None

    return Power(
        target=target,
        parameters=parameters,
        contrast=primary_contrast(trial),
        sizes=sizes,
        power=tuple(share_figure(int(column.sum()), len(found)) for column in found.T),
        curve=curve,
        size=whole(_needed(curve, target)),
        low=whole(float(low)),
        high=whole(float(high)),
        most=sizes[-1],
        replicates=len(found),
    )
