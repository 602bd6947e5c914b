"""Posterior mode of parameters under their registry priors, and its width.

Damped Gauss-Newton with reweighting. Unknowns are counted in standard deviations of their priors from the centres;
effects that the figures of a study share are unknowns too. The covariance is that of the mode (Laplace).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import Law, Parameter

Array = NDArray[np.float64]

#: Step of the differences in standard deviations of the prior, and the fall of the cost at which the search ends.
_STEP, _CHANGE = 1e-3, 1e-3
MOST_STEPS = 25


class Likelihood(Protocol):
    """How far figures lie from what is expected of them; all figures are independent of each other."""

    def cost(self, expected: Array) -> float:
        """Minus the log likelihood, up to a constant; `expected` has shape (figure,)."""
        ...

    def pull(self, expected: Array) -> Array:
        """Fall of the cost per rise of each expectation, shape (figure,)."""
        ...

    def weight(self, expected: Array) -> Array:
        """Weight of each figure in a step of Gauss-Newton, at least 0, shape (figure,)."""
        ...


@dataclass(frozen=True)
class HeavyTails:
    """Errors of Student's t, so that one odd figure does not move the rest.

    Parameters
    ----------
    observed : ndarray, shape (figure,)
    width : float
        Scale of the errors.
    freedom : float
        Degrees of freedom.
    """

    observed: Array
    width: float
    freedom: float

    def cost(self, expected: Array) -> float:
        """As `Likelihood.cost`."""
        off = (self.observed - expected) / self.width
        return float((0.5 * (self.freedom + 1.0) * np.log1p(off**2 / self.freedom)).sum())

    def pull(self, expected: Array) -> Array:
        """As `Likelihood.pull`."""
        return np.asarray(self.weight(expected) * (self.observed - expected))

    def weight(self, expected: Array) -> Array:
        """As `Likelihood.weight`."""
        off = (self.observed - expected) / self.width
        return np.asarray((self.freedom + 1.0) / (self.freedom + off**2) / self.width**2)


class Mode(NamedTuple):
    """A posterior mode.

    Attributes
    ----------
    z : ndarray, shape (parameter,)
        In standard deviations of the prior from its centre.
    covariance : ndarray, shape (parameter, parameter)
        On the same scale.
    predicted : ndarray, shape (figure,)
        At the mode, without the studies' own effects.
    cost : float
        Minus the log posterior, up to a constant.
    """

    z: Array
    covariance: Array
    predicted: Array
    cost: float

    @property
    def sd(self) -> Array:
        """Posterior standard deviation in those of the prior, shape (parameter,); 1 where the figures say nothing."""
        return np.minimum(np.sqrt(np.diag(self.covariance)), 1.0)

    @property
    def alone(self) -> Array:
        """The same were all others known: the widths of the independent normals nearest to the posterior."""
        return np.minimum(1.0 / np.sqrt(np.diag(np.linalg.inv(self.covariance))), 1.0)


@dataclass(frozen=True)
class Fit:
    """A posterior mode, by name.

    Parameters
    ----------
    names : tuple of str
        Free parameters.
    priors : mapping of str to Parameter
        As used: vague where the study was left out.
    z, sd : ndarray, shape (parameter,)
        Mode and width, one of those of `Mode`.
    residuals : mapping of str to float
        Observed minus predicted, by record and point, on the scale of errors, without the study's own effect.
    cost : float
        As in `Mode`.
    """

    names: tuple[str, ...]
    priors: Mapping[str, Parameter]
    z: Array
    sd: Array
    residuals: Mapping[str, float]
    cost: float

    def posterior(self) -> dict[str, Parameter]:
        """Return the free parameters as calibrated records."""
        found = {}
        for name, z, sd in zip(self.names, self.z, self.sd, strict=True):
            prior = self.priors[name]
            law = law_of(prior)
            narrowed = law.model_copy(update={"sd": law.sd * float(sd)})
            update = {"value": float(law.apply(prior.value, z)), "uncertainty": narrowed, "status": "calibrated"}
            found[name] = prior.model_copy(update={**update, "formula": None})
        return found


def find_mode(
    predict: Callable[[Array], Array],
    likelihood: Likelihood,
    member: Array,
    between: float,
    start: Array,
    *,
    steps: int = MOST_STEPS,
    progress: Callable[[str], None] | None = None,
) -> Mode:
    """Find the posterior mode.

    Parameters
    ----------
    predict : callable
        From parameters, shape (row, parameter), to expected figures, shape (row, figure).
    likelihood : Likelihood
    member : ndarray, shape (figure, study)
        1 where a figure holds the effect of a study.
    between : float
        Standard deviation of those effects.
    start : ndarray, shape (parameter,)
        Where to begin.
    steps : int
        Most steps.
    progress : callable, optional
        Called with a short text after each step.
    """
    count, studies = len(start), member.shape[1]
    z, effects = start.copy(), np.zeros(studies)
    offsets = np.concatenate([np.zeros((1, count)), _STEP * np.eye(count)])

    def cost_of(expected: Array, at: Array, shared: Array) -> float:
        return likelihood.cost(expected) + float(0.5 * at @ at + 0.5 * (shared / between) @ (shared / between))

    predicted = predict(z + offsets)
    cost = cost_of(predicted[0] + member @ effects, z, effects)
    information = np.eye(count + studies)
    prior = np.concatenate([np.ones(count), np.full(studies, between**-2)])
    for step in range(steps):
        slope = np.concatenate([(predicted[1:] - predicted[0]).T / _STEP, member], axis=1)
        expected = predicted[0] + member @ effects
        information = slope.T @ (likelihood.weight(expected)[:, None] * slope) + np.diag(prior)
        gradient = slope.T @ likelihood.pull(expected) - prior * np.concatenate([z, effects])
        move = np.linalg.solve(information, gradient)
        for shorter in (1.0, 0.5, 0.25, 0.1):
            at, shared = z + shorter * move[:count], effects + shorter * move[count:]
            trial = predict(at + offsets)
            found = cost_of(trial[0] + member @ shared, at, shared)
            if found < cost:
                break
        else:
            break
        gain = cost - found
        z, effects, predicted, cost = at, shared, trial, found
        if progress is not None:
            progress(f"step {step + 1}: cost {cost:.3f}")
        if gain < _CHANGE:
            break
    covariance = np.asarray(np.linalg.inv(information)[:count, :count], dtype=float)
    return Mode(z, covariance, predicted[0], cost)


def law_of(parameter: Parameter) -> Law:
    """Return what is not known of a parameter that has a prior."""
    law = parameter.uncertainty
    assert law is not None
    return law
