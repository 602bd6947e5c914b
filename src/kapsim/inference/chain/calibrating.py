"""From records to a posterior: design, emulator, sampling, designs where the posterior lies, screening, check.

Each further design is drawn from the posterior before it, so that the polynomials hold where it matters: a posterior
that moves on leaves the rows behind that its emulator was made of, and the next round follows it. All parameters of
the slow chain are sampled together. The few of which the records say most become free; the others ship with their
priors. At last the model itself is run as it ships: the weights that turn its settings into draws of the model's own
posterior say whether the emulator may be trusted, and are used only where their tail is not too heavy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import Parameter
from kapsim.inference.chain.contest import Contestant, scored
from kapsim.inference.chain.design import PEOPLE, SHARD, Design, candidates, evaluate, spread, with_figures
from kapsim.inference.chain.emulator import Emulator, fit_emulator
from kapsim.inference.chain.leave_out import RELIABLE, smoothed
from kapsim.inference.chain.new_studies import Own
from kapsim.inference.chain.posterior import SHORTER, USUAL, Draws, Sampler, Sampling, around, study_log_likelihood
from kapsim.inference.chain.screening import screened
from kapsim.inference.chain.targets import Targets
from kapsim.runs.schedulers import SERIAL
from kapsim.validation.cases import Case

Array = NDArray[np.float64]

#: Draws of a posterior are spread this much wider for the design of the next.
WIDER = 1.3


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    Parameters
    ----------
    rows, refined, checked : int
        Rows of the first design, of each further one, and draws at which the model itself is run.
    rounds : int
        Designs after the first.
    people : int
        People of each group in a row.
    crowd, crowded : int
        People of each group, and rows of each further design, in which many people tell what a few are off by.
    contested, at_its_own : int
        Rows at which each variant is run beside the standard chain: where that one's posterior lies, and where its own.
    shard : int
        Rows that are computed and stored together.
    sampling : Sampling
    again : Sampling or None
        For each study whose importance weights are not to be trusted; None does not sample again.
    """

    rows: int = 512
    refined: int = 320
    rounds: int = 3
    checked: int = 64
    people: int = PEOPLE
    crowd: int = 128
    contested: int = 32
    at_its_own: int = 16
    crowded: int = 16
    shard: int = SHARD
    sampling: Sampling = USUAL
    again: Sampling | None = SHORTER


#: Enough to see that every stage works, not to be believed.
QUICK = Effort(
    rows=64, refined=32, rounds=1, checked=32, people=8, crowd=32, crowded=8, contested=16, at_its_own=8, shard=32,
    sampling=Sampling(2, 150, 150), again=None,
)  # fmt: skip


#: Part of the rows of a design that must have a figure (that of relapse takes somebody who relapses) for it to stay.
MOSTLY = 0.95
#: Rows for each parameter with which further designs do without the first.
_ENOUGH = 5


@dataclass(frozen=True)
class Few:
    """What a few people stand off from many of the same group, on the scales of the targets.

    Parameters
    ----------
    offset, sd : ndarray, shape (figure,)
        Mean of many minus few over rows, and what single rows scatter around it.
    """

    offset: Array
    sd: Array


@dataclass(frozen=True)
class Posterior:
    """What the records say of the chain.

    Parameters
    ----------
    draws : Draws
        Of all parameters of the slow chain.
    free : tuple of str
        Those that ship with their posterior, the others with their prior.
    emulator : Emulator
    targets : Targets
    own : Own
        The model itself as it ships.
    shape : float
        Pareto shape of the weights from the emulator's posterior to the model's own.
    failures : tuple of str
        What the solver could not do.
    contestants : tuple of Contestant
        Variants scored by the same records, the one that was fitted first; empty where that was not asked for.
    """

    draws: Draws
    free: tuple[str, ...]
    emulator: Emulator
    targets: Targets
    own: Own
    shape: float
    failures: tuple[str, ...]
    contestants: tuple[Contestant, ...] = ()

    @property
    def shipped(self) -> Draws:
        """Draws of the free parameters."""
        return self.draws.some(self.free)


@dataclass(frozen=True)
class Runner:
    """What computes a design of a calibration, here or in another process.

    Parameters
    ----------
    cases : tuple of Case
    parameters : mapping of str to Parameter
        Registry with the priors.
    names : tuple of str
        The parameters that differ between rows.
    variant : str
    seed : int
    people, shard : int
        People of each group in a row, and rows that are computed and stored together.
    folder : Path or None
        Where finished parts are kept.
    """

    cases: tuple[Case, ...]
    parameters: Mapping[str, Parameter]
    names: tuple[str, ...]
    variant: str
    seed: int
    people: int
    shard: int
    folder: Path | None

    def __call__(
        self, z: Array, stage: str, variant: str | None = None, *, progress: Callable[[str], None] | None = None
    ) -> Design:
        """Return the design of a stage at rows `z`, under the variant that is fitted or another."""
        own = None if self.folder is None else self.folder / stage
        return evaluate(
            self.cases, self.parameters, self.names, z, variant=variant or self.variant, seed=self.seed,
            people=self.people, shard=self.shard, folder=own, progress=progress,
        )  # fmt: skip


def calibrate(
    cases: Sequence[Case],
    parameters: Mapping[str, Parameter],
    effort: Effort,
    *,
    variant: str = "standard",
    others: Sequence[str] = (),
    seed: int = 0,
    folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
    scheduler: str = SERIAL,
) -> Posterior:
    """Fit the chain to records.

    Parameters
    ----------
    cases : sequence of Case
        From `kapsim.inference.chain.targets.fitted`.
    parameters : mapping of str to Parameter
        Registry with the priors of the chain.
    effort : Effort
    variant : str
    others : sequence of str
        Variants to score beside it.
    seed : int
        Moving it moves the result within Monte Carlo error only.
    folder : Path, optional
        Where finished parts are kept; a second call goes on from there.
    progress : callable, optional
    scheduler : str
        Where the variants are scored, see `kapsim.runs.schedulers.map_shards`; never what comes of it.

    Raises
    ------
    InputError
        If the folder is of another calibration.
    """
    say = progress or (lambda _: None)
    every = candidates(parameters)
    runner = Runner(tuple(cases), parameters, every, variant, seed, effort.people, effort.shard, folder)

    def run(z: Array, stage: str, people: int = effort.people) -> Design:
        return replace(runner, people=people)(z, stage, progress=lambda text: say(f"{stage}: {text}"))

    first = sound(run(spread(every, effort.rows, seed), "priors"))
    emulator = fit_emulator(every, first.z, first.figures)
    say("sampling")
    draws = Sampler(emulator, first.targets, effort.sampling)(seed=seed)

    near: list[Design] = []
    crowds: list[Design] = []
    for number in range(effort.rounds):
        stage = "" if number == 0 else f"-{number + 1}"
        z = around(draws, effort.refined, seed + 1 + number, wider=1.0 if number == 0 else WIDER)
        near.append(sound(run(z, f"posterior{stage}")))
        crowds.append(sound(run(near[-1].z[: effort.crowded], f"crowd{stage}", effort.crowd)))
        both = design_of(first, near, crowds)
        few = too_few(near, crowds, both.targets)
        emulator = corrected(fit_emulator(every, both.z, both.figures), few)
        say("sampling")
        draws = Sampler(emulator, both.targets, effort.sampling)(seed=seed)

    free = screened(draws)
    say(f"{len(free)} of {len(every)} parameters are free")
    checked = run(as_shipped(draws, free, effort.checked, seed + 1 + effort.rounds), "check")
    posterior = weighed(draws, free, emulator, both.targets, few, checked, seed, both.failures + checked.failures)
    if not others:
        return posterior
    contestants = scored(
        variant, others, emulator, near[-1], both.targets, (effort.contested, effort.at_its_own), runner,
        effort.sampling, seed, say, scheduler,
    )  # fmt: skip
    return replace(posterior, contestants=contestants)


def as_shipped(draws: Draws, free: Sequence[str], rows: int, seed: int) -> Array:
    """Return settings whose free parameters are draws of a posterior, and the others of their priors.

    Parameters
    ----------
    draws : Draws
    free : sequence of str
    rows : int
    seed : int
    """
    at = [draws.names.index(name) for name in free]
    z = spread(draws.names, rows, seed)
    z[:, at] = around(draws, rows, seed)[:, at]
    return z


def sound(design: Design) -> Design:
    """Return a design without rows that broke down, figures that many rows lack, and rows that lack one of the rest."""
    found = np.isfinite(design.figures)
    whole = found.any(axis=1)
    kept = np.flatnonzero(found[whole].mean(axis=0) >= MOSTLY)
    rows = whole & found[:, kept].all(axis=1)
    return replace(design, z=design.z[rows], figures=design.figures[rows][:, kept], targets=design.targets.some(kept))


def joined(first: Design, second: Design, *, rows: bool = True) -> Design:
    """Return two designs as one, with the figures that both have and the sampling errors of the first.

    Without `rows` the second only says which figures there are.
    """
    other = set(second.targets.keys)
    told = first.targets.some([k for k, key in enumerate(first.targets.keys) if key in other])
    designs = (first, second) if rows else (first,)
    figures = np.concatenate([with_figures(design, told) for design in designs])
    z = np.concatenate([design.z for design in designs])
    return Design(first.names, z, figures, told, first.failures + second.failures)


def design_of(first: Design, near: Sequence[Design], crowds: Sequence[Design]) -> Design:
    """Return the rows that the emulator is made of, with the figures that every design has.

    The first design serves until the others have rows enough to do without it: far from the posterior, a polynomial has
    other things to follow, and some figures do not exist (nobody relapses who never responded).
    """
    few = sum(len(design.z) for design in near) < _ENOUGH * len(first.names)
    found = functools.reduce(joined, [first, *near] if few else near)
    for design in crowds:
        found = joined(found, design, rows=False)
    return found


def too_few(near: Sequence[Design], crowds: Sequence[Design], wanted: Targets) -> Few:
    """Return what a few people stand off from many at the same settings, some rows of each design."""
    difference = np.concatenate(
        [
            with_figures(many, wanted) - with_figures(few, wanted)[same_rows(few, many)]
            for few, many in zip(near, crowds, strict=True)
        ]
    )
    return Few(difference.mean(axis=0), difference.std(axis=0, ddof=1))


def same_rows(whole: Design, part: Design) -> NDArray[np.int64]:
    """Return the places in a design of the rows of another, which has some of them in their order."""
    place = {row.tobytes(): k for k, row in enumerate(whole.z)}
    return np.asarray([place[row.tobytes()] for row in part.z], dtype=np.int64)


def corrected(emulator: Emulator, few: Few) -> Emulator:
    """Return an emulator of a few people as one of many, with the error of that step in its own."""
    return replace(emulator, constant=emulator.constant + few.offset, error=np.hypot(emulator.error, few.sd))


def weighed(
    draws: Draws,
    free: tuple[str, ...],
    emulator: Emulator,
    targets: Targets,
    few: Few,
    checked: Design,
    seed: int,
    failures: tuple[str, ...],
) -> Posterior:
    """Return the posterior, weighted to the model's own where the weights can be trusted."""
    figures = with_figures(checked, targets) + few.offset
    rows = np.isfinite(figures).all(axis=1)
    z = checked.z[rows]
    at = replace_draws(draws, z)
    own = Own(figures[rows], np.asarray(emulator(z)))
    true = sum(study_log_likelihood(at, own.figures, few.sd, targets).values())
    stand_in = sum(study_log_likelihood(at, own.emulated, emulator.error, targets).values())
    weights, shape = smoothed(np.asarray(true - stand_in, dtype=float))
    if shape > RELIABLE:
        return Posterior(draws, free, emulator, targets, own, shape, failures)
    rng = np.random.default_rng([seed, 4])
    share = np.exp(weights - np.logaddexp.reduce(weights))
    chosen = rng.choice(len(z), len(draws.z), p=share / share.sum())
    return Posterior(replace_draws(draws, z[chosen]), free, emulator, targets, own, shape, failures)


def replace_draws(draws: Draws, z: Array) -> Draws:
    """Return draws at other settings; what studies scatter stays at the draws that come first."""
    rows = np.arange(len(z)) % len(draws.z)
    return replace(draws, z=z, between=draws.between[rows], arms=draws.arms[rows], within=draws.within[rows])
