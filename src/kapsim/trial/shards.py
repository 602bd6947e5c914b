"""A trial's work cut into shards: each a pure function of its number, a block of replicates of one scenario.

Scenarios: 'fixed' has the middle of the parameters in every replicate (power), 'ensemble' gives each replicate its own
row of what is not known (assurance), 'null' gives everybody what the control gets (type-I error). What the effect truly
is comes from people who are simulated under every arm, seen at every visit, and once more unable to feel what they get.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import AVERAGE
from kapsim.kinetic_sets import DEFAULT
from kapsim.trial import endpoints
from kapsim.trial.analysis import COLUMNS, Rows, analyse, contrasts
from kapsim.trial.ancova import Estimate
from kapsim.trial.conduct import Conducted, Settings, conduct, under_control
from kapsim.trial.design import Trial
from kapsim.trial.draws import Parameters
from kapsim.trial.recruits import intake

__all__ = ["SCENARIOS", "Plan", "Scenario", "TrialWork"]

Scenario = Literal["fixed", "ensemble", "null"]
SCENARIOS: tuple[Scenario, ...] = ("fixed", "ensemble", "null")
#: People in a shard, about: what the solver takes at once without waste.
_PEOPLE = 2048
#: People by whom the true effect is told, at least.
_TRUTH_PEOPLE = 2000


@dataclass(frozen=True)
class Plan:
    """Which scenarios of a trial are computed, and how often.

    Parameters
    ----------
    patients, replicates : int
    seed : int
    scenarios : tuple of str
    variant, kinetics : str
    truth : bool
        Whether the true effect is computed, too.
    """

    patients: int
    replicates: int
    seed: int = 0
    scenarios: tuple[Scenario, ...] = SCENARIOS
    variant: str = AVERAGE
    kinetics: str = DEFAULT
    truth: bool = True

    @property
    def block(self) -> int:
        """Replicates in a shard."""
        return max(_PEOPLE // self.patients, 1)

    @property
    def truth_replicates(self) -> int:
        """Replicates by which the true effect is told."""
        return max(-(-_TRUTH_PEOPLE // self.patients), 4)

    def parts(self, trial: Trial) -> list[tuple[str, str, range]]:
        """Return what each shard computes: 'trial' or 'truth', the scenario, and the replicates."""
        found: list[tuple[str, str, range]] = []
        for scenario in self.scenarios:
            for first in range(0, self.replicates, self.block):
                found.append(("trial", scenario, range(first, min(first + self.block, self.replicates))))
            if self.truth and scenario != "null" and trial.design.kind != "withdrawal":
                for first in range(0, self.truth_replicates, self.block):
                    found.append(("truth", scenario, range(first, min(first + self.block, self.truth_replicates))))
        return found


@dataclass(frozen=True)
class TrialWork:
    """What a shard of a trial computes.

    Parameters
    ----------
    trial : Trial
    plan : Plan
    threads : int, optional
        Cores that a shard uses, by default all; it is no part of the identity.
    """

    trial: Trial
    plan: Plan
    threads: int | None = None

    @property
    def shards(self) -> int:
        """How many there are."""
        return len(self.plan.parts(self.trial))

    def identity(self) -> dict[str, Any]:
        """Return all that decides what is computed, as plain data."""
        from kapsim._version import __version__
        from kapsim.evidence import evidence_hash

        about = dataclasses.asdict(self.plan)
        return {
            "kind": "trial",
            "kapsim_version": __version__,
            "evidence_hash": evidence_hash(),
            "design": self.trial.identity(),
            **{name: list(value) if isinstance(value, tuple) else value for name, value in about.items()},
        }

    def __call__(self, number: int) -> Mapping[str, NDArray[Any]]:
        """Return the rows of a shard as columns."""
        kind, scenario, replicates = self.plan.parts(self.trial)[number]
        parameters: Parameters = "ensemble" if scenario == "ensemble" else "fixed"
        plan = self.plan
        settings = Settings(plan.patients, plan.seed, parameters, plan.variant, plan.kinetics, self.threads)
        if kind == "truth":
            rows = _truth(self.trial, settings, replicates)
        else:
            trial = under_control(self.trial) if scenario == "null" else self.trial
            rows = analyse(conduct(trial, settings, replicates))
        return columns(rows, scenario, np.asarray(replicates))


def columns(rows: Sequence[Rows], scenario: str, replicates: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return rows as columns in the order of `COLUMNS`, replicate by replicate.

    Parameters
    ----------
    rows : sequence of Rows
    scenario : str
    replicates : ndarray of int, shape (replicate,)
    """
    count, size = len(rows), len(replicates)
    fields = {
        name: np.stack([getattr(item.estimate, own) for item in rows], axis=1).ravel()
        for name, own in zip(COLUMNS[5:], ("value", "error", "freedom", "low", "high", "p", "people"), strict=True)
    }
    return {
        "replicate": np.repeat(replicates, count).astype(np.int64),
        "scenario": np.full(count * size, scenario, dtype=object),
        "analysis": np.tile(np.asarray([item.analysis for item in rows], dtype=object), size),
        "contrast": np.tile(np.asarray([item.contrast for item in rows], dtype=object), size),
        "look": np.tile(np.asarray([item.look for item in rows], dtype=np.int64), size),
        **fields,
    }


def _truth(trial: Trial, settings: Settings, replicates: Sequence[int]) -> list[Rows]:
    """Return the effect in the very same people under every arm, as given and where nobody can tell."""
    own, who = _estimand_only(trial), intake(trial)
    found = []
    for name, blind in (("truth", False), ("truth_blind", True)):
        outcomes = []
        for group in range(len(trial.groups)):
            conducted = conduct(own, settings, replicates, who=who, forced=group, blind=blind)
            outcomes.append(_outcome(conducted))
        values = np.stack(outcomes)
        everywhere = np.isfinite(values).all(axis=0)
        count = everywhere.sum(axis=1).astype(float)
        for contrast in contrasts(trial):
            weighted = np.einsum("g,grn->rn", np.asarray(contrast.weights), np.where(everywhere, values, 0.0))
            nothing = np.full(len(count), np.nan)
            mean = weighted.sum(axis=1) / np.maximum(count, 1.0)
            found.append(
                Rows(name, contrast.name, 0, Estimate(mean, nothing, nothing, nothing, nothing, nothing, count))
            )
    return found


def _outcome(conducted: Conducted) -> NDArray[np.float64]:
    if conducted.trial.design.kind == "crossover":
        return endpoints.period_changes(conducted)[0][..., 0]
    return endpoints.outcome(conducted).values


def _estimand_only(trial: Trial) -> Trial:
    """Return the trial in which what the estimand asks to think away does not happen."""
    design = trial.design
    gone: dict[str, Any] = {}
    for key in ("discontinuation", "rescue"):
        rule = getattr(design, key)
        if rule is not None and (rule.strategy or design.estimand) == "hypothetical":
            gone[key] = None
    return trial.with_design(design.model_copy(update=gone)) if gone else trial
