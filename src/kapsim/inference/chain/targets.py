"""Records → what the chain is fitted to: one number a figure, its sampling error, and the study that it shares.

Figures are brought to scales on which errors are about normal: points of a scale as they are, ratios and the spread of
people as logarithms, shares of people as logits, and signs as the test statistic that the study would have seen.
Concentrations, acute effects and what the cortex was calibrated on are fitted apart and left out here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from kapsim.evidence.schema import Point
from kapsim.inference.predicting import simulable, standard_error
from kapsim.validation.arms import Arm
from kapsim.validation.cases import Case, people_per_arm
from kapsim.validation.comparisons import comparison
from kapsim.validation.figures import Figure
from kapsim.validation.predictive import LEVEL, predict, sign_error, transformed
from kapsim.validation.spreads import printed_spread, prints_spread, spread_figure

Array = NDArray[np.float64]

#: Domains of records that the slow chain answers for.
DOMAINS = frozenset({"mood_single", "mood_repeated", "relapse", "therapy", "mind", "plasticity"})
#: Regions and comparators that are inputs: they set what a trial is, and test nothing of the chain.
EXCLUDED = ("takahashi2021.",)
KINDS = ("points", "spread", "ratio", "share", "effect", "sign")
_KIND = {"log": "ratio", "percent": "ratio", "points": "points", "share": "share", "effect": "effect", "sign": "sign"}
_PERCENT = 100.0
#: Rows of a design from which the sampling error of a figure is taken where its source prints none.
REFERENCE_ROWS = 40


@dataclass(frozen=True)
class Targets:
    """The figures that the chain is fitted to.

    Parameters
    ----------
    keys : tuple of str
        Record and number of the point.
    studies, kinds, arms : tuple of str
        Figures of one arm share what holds of that arm in its study.
    apart : ndarray of bool, shape (figure,)
        Differences in points between two arms, in which what all arms of a study share has no part.
    observed, sampling : ndarray, shape (figure,)
        On the scale of the kind; a sign is -1, 0 or 1, with the sampling error of its test statistic.
    """

    keys: tuple[str, ...]
    studies: tuple[str, ...]
    kinds: tuple[str, ...]
    arms: tuple[str, ...]
    apart: NDArray[np.bool_]
    observed: Array
    sampling: Array

    def __len__(self) -> int:
        return len(self.keys)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all as arrays, as they are stored."""
        return {item.name: np.asarray(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Targets:
        """Return what `arrays` gave."""
        text = {name: tuple(str(item) for item in arrays[name]) for name in ("keys", "studies", "kinds", "arms")}
        apart, observed, sampling = (np.asarray(arrays[name]) for name in ("apart", "observed", "sampling"))
        return cls(**text, apart=apart, observed=observed, sampling=sampling)

    def some(self, places: NDArray[np.int64] | Sequence[int]) -> Targets:
        """Return some of the figures, by place."""
        return Targets(
            keys=tuple(self.keys[k] for k in places),
            studies=tuple(self.studies[k] for k in places),
            kinds=tuple(self.kinds[k] for k in places),
            arms=tuple(self.arms[k] for k in places),
            apart=self.apart[list(places)],
            observed=self.observed[list(places)],
            sampling=self.sampling[list(places)],
        )

    def without(self, study: str) -> NDArray[np.bool_]:
        """Return which figures are of other studies."""
        return np.asarray([name != study for name in self.studies])


def fitted(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the records that the chain is fitted to.

    Parameters
    ----------
    cases : sequence of Case
        As `kapsim.validation.cases.prepare` makes them.
    """
    return tuple(
        case
        for case in simulable(cases)
        if case.frame.domain in DOMAINS
        and case.record.use in ("quantitative", "qualitative")
        and not case.record.id.startswith(EXCLUDED)
    )


class Item(NamedTuple):
    """One number of a record: its figure, or the spread of people around it."""

    key: str
    case: Case
    point: Point
    spread: bool

    @property
    def size(self) -> int:
        """People behind it."""
        return people_per_arm(self.case.record, self.point)


def items(cases: Sequence[Case]) -> list[Item]:
    """Return everything that records are fitted to, in order.

    Parameters
    ----------
    cases : sequence of Case
        From `fitted`.
    """
    found = []
    for case in cases:
        assert case.subject is not None
        for number, point in enumerate(case.points):
            key = f"{case.record.id}:{number}"
            found.append(Item(key, case, point, False))
            if prints_spread(case.subject, point) and people_per_arm(case.record, point) > 1:
                found.append(Item(f"{key}:spread", case, point, True))
    return found


def values(item: Item, found: Figure) -> Array:
    """Return the model's number on the scale of its kind, at each row, shape (row,).

    Parameters
    ----------
    item : Item
    found : Figure
        Its parts have the shape (row, person).
    """
    if item.spread:
        found = spread_figure(found)
    whole = np.asarray(found.join(*found.parts), dtype=float)
    if found.scale == "sign":
        # as in a test of the study's own size
        return whole / max(sign_error(found, item.size), 1e-9)
    if found.scale == "share":
        people = found.parts[0].shape[-1]
        return logit((whole / _PERCENT * people + 0.5) / (people + 1.0))
    return transformed(found, whole)


def targets(asked: Sequence[Item], found: Sequence[Figure | None], seed: int) -> Targets:
    """Return what is fitted, with the sampling error of each figure.

    Parameters
    ----------
    asked : sequence of Item
        From `items`.
    found : sequence of Figure or None
        The figure of each at the rows of a design, for the sampling errors that sources do not print.
    seed : int
    """
    rows = []
    arms: dict[Arm, str] = {}
    for item, figure in zip(asked, found, strict=True):
        if figure is None:
            continue
        assert item.case.subject is not None
        value, error = _observed_spread(item) if item.spread else _observed(item, figure, seed)
        if math.isfinite(value) and math.isfinite(error):
            kind = "spread" if item.spread else _KIND[figure.scale]
            arm = arms.setdefault(item.case.subject.arm, f"arm {len(arms) + 1}")
            against = item.case.record.outcome.against
            apart = kind == "points" and comparison(item.case.subject, against) is not None
            rows.append((item.key, item.case.frame.study, kind, arm, apart, value, error))
    keys, studies, kinds, labels, apart_all, observed, sampling = zip(*rows, strict=True)
    return Targets(keys, studies, kinds, labels, np.asarray(apart_all), np.asarray(observed), np.asarray(sampling))


def _observed_spread(item: Item) -> tuple[float, float]:
    printed = printed_spread(item.point)
    assert printed is not None
    # of a normal sample
    return math.log(printed), math.sqrt(0.5 / (item.size - 1.0))


def _observed(item: Item, found: Figure, seed: int) -> tuple[float, float]:
    """Return the published figure and its sampling error on the scale of its kind."""
    case, point, size = item.case, item.point, item.size
    if found.scale == "sign":
        return float(np.sign(point.value)), 1.0
    if found.scale == "share":
        share = (point.value * (1.0 if case.record.outcome.unit == "%" else _PERCENT)) / _PERCENT
        counted = share * size
        error = math.sqrt(1.0 / (counted + 0.5) + 1.0 / (size - counted + 0.5))
        return float(logit((counted + 0.5) / (size + 1.0))), error
    value = float(transformed(found, np.asarray(point.value, dtype=float)))
    # the transformation's slope turns a printed error into one of the figure that is fitted
    step = 1e-4 * max(abs(point.value), 1.0)
    slope = float(transformed(found, np.asarray(point.value + step)) - value) / step
    error_printed = standard_error(point, size)
    if error_printed is not None:
        return value, abs(slope) * error_printed
    told = np.all([np.isfinite(part).all(axis=1) for part in found.parts], axis=0)
    few = tuple((part[told] if told.any() else part)[:REFERENCE_ROWS] for part in found.parts)
    # what studies share is a parameter of the fit
    return value, predict(found._replace(parts=few, shared=0.0), size, seed, item.key).sampling_sd


def logit(share: Array | float) -> Array:
    """Return the logarithm of the odds."""
    part = np.asarray(share, dtype=float)
    return np.asarray(np.log(part / (1.0 - part)))


#: Test statistic beyond which a study reports a change.
CRITICAL = float(norm.ppf(1.0 - LEVEL / 2))
__all__ = ["CRITICAL", "KINDS", "Item", "Targets", "fitted", "items", "targets", "values"]
