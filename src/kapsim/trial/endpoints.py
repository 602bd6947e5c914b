"""What the primary analysis counts of the ratings: estimand, responders, periods of a crossover, time to relapse."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import load_parameters
from kapsim.trial.conduct import Conducted

__all__ = ["Outcome", "changes", "outcome", "period_changes", "relapse_times", "used"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_EPSILON_H = 1e-6


class Outcome(NamedTuple):
    """The primary endpoint of everybody.

    Attributes
    ----------
    values : ndarray, shape (replicate, patient)
        Change from baseline in points, or 1 and 0 for yes and no; not a number where missing.
    baseline : ndarray, shape (replicate, patient)
        Rating at entry, points.
    """

    values: Array
    baseline: Array


def _after(conducted: Conducted, event_h: Array) -> Flags:
    """Return which ratings come after an event of each person, shape (replicate, patient, 1 + visit)."""
    return np.asarray(conducted.hours)[None, None, :] > event_h[..., None] + _EPSILON_H


def _events(conducted: Conducted, strategy: str) -> Flags:
    """Return which ratings come after an intercurrent event that is handled by a strategy."""
    design = conducted.trial.design
    found = np.zeros(conducted.seen.shape, dtype=bool)
    for rule, hours in ((design.discontinuation, conducted.stopped_h), (design.rescue, conducted.rescued_h)):
        if rule is not None and (rule.strategy or design.estimand) == strategy:
            found |= _after(conducted, hours)
    return found


def used(conducted: Conducted) -> Flags:
    """Return which ratings count as they are, shape (replicate, patient, 1 + visit).

    Under a treatment policy every rating that was made counts; under a hypothetical strategy those after the event do
    not, and under a composite one the event itself takes their place.
    """
    gone = _events(conducted, "hypothetical") | _events(conducted, "composite")
    return conducted.seen & ~gone


def changes(conducted: Conducted, scale: str) -> Array:
    """Return changes from the rating at entry as analysed, shape (replicate, patient, visit), NaN where missing.

    After an event under the composite strategy a person has not changed: what they had gained is not held in favour of
    the treatment.
    """
    scores = conducted.ratings[scale]
    change = scores[..., 1:] - scores[..., :1]
    values = np.where(used(conducted)[..., 1:], change, np.nan)
    failed = _events(conducted, "composite")[..., 1:] & ~_events(conducted, "hypothetical")[..., 1:]
    failed &= np.isfinite(change)
    values[failed] = 0.0
    values[conducted.group < 0] = np.nan
    return values


def outcome(conducted: Conducted) -> Outcome:
    """Return the primary endpoint of everybody at the primary visit.

    Whoever is missing at the visit of a yes-or-no endpoint counts as no, as trials count them; of a change they stay
    missing.
    """
    primary, place = conducted.trial.design.primary, conducted.trial.primary
    base = conducted.ratings[primary.scale][..., 0]
    change = changes(conducted, primary.scale)[..., place]
    if primary.measure == "change":
        return Outcome(change, base)
    parameters = load_parameters()
    if primary.measure == "response":
        yes = change <= -parameters["mood.definition.response"].value * base
    else:
        yes = base + change <= parameters["mood.definition.remission"].value
    # an event under the composite strategy has change 0, which is neither response nor, of the ill, remission
    values = np.where(np.isfinite(change), yes, 0.0).astype(float)
    hypothetical = _events(conducted, "hypothetical")[..., place + 1] & conducted.seen[..., place + 1]
    values[hypothetical | conducted.failed | (conducted.group < 0)] = np.nan
    return Outcome(values, base)


def period_changes(conducted: Conducted) -> tuple[Array, Array]:
    """Return the change of each period of a crossover at its primary visit, and its baseline.

    Returns
    -------
    tuple of ndarray, shape (replicate, patient, 2)
        Changes from the period's own baseline, and those baselines; not a number where missing.
    """
    trial = conducted.trial
    scale, visits = trial.design.primary.scale, len(trial.visits)
    scores = np.where(conducted.seen, conducted.ratings[scale], np.nan)
    first, start = 1 + trial.primary, conducted.hours.index(trial.second_start)
    second = len(conducted.hours) - visits + trial.primary
    bases = np.stack([scores[..., 0], scores[..., start]], axis=-1)
    values = np.stack([scores[..., first], scores[..., second]], axis=-1) - bases
    values[conducted.group < 0] = np.nan
    return values, bases


def relapse_times(conducted: Conducted) -> tuple[Array, Flags]:
    """Return the time from randomisation to relapse, or to the last visit that somebody came to, and which it is.

    Returns
    -------
    tuple of ndarray, shape (replicate, patient)
        Hours, not a number for those who were not randomised; and whether they relapsed.
    """
    second = conducted.trial.second_start
    after = np.asarray(conducted.hours) > second + _EPSILON_H
    since = np.where(after, np.asarray(conducted.hours) - second, 0.0)
    seen = conducted.seen & after
    relapse = load_parameters()["mood.definition.relapse"].value
    worse = seen & (conducted.ratings["madrs"] >= relapse)
    event = worse.any(axis=-1)
    last = np.where(seen, since, 0.0).max(axis=-1)
    time = np.where(event, since[worse.argmax(axis=-1)], last)
    return np.where(conducted.group >= 0, time, np.nan), event & (conducted.group >= 0)
