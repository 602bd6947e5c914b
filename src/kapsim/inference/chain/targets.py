"""Records → what the chain is fitted to: one number a figure, its sampling error, and the study that it shares.

Figures are brought to scales on which errors are about normal: points of a scale as they are, ratios as logarithms,
shares of people as logits, and signs as the test statistic that the study would have seen. Concentrations, acute
effects and what the cortex was calibrated on are fitted apart and left out here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from kapsim.evidence.schema import Point
from kapsim.inference.predicting import simulable, standard_error
from kapsim.validation.cases import Case, people_per_arm
from kapsim.validation.figures import Figure
from kapsim.validation.predictive import LEVEL, predict, sign_error, transformed

Array = NDArray[np.float64]

#: Domains of records that the slow chain answers for.
DOMAINS = frozenset({"mood_single", "mood_repeated", "relapse", "therapy", "mind", "plasticity"})
#: Regions and comparators that are inputs: they set what a trial is, and test nothing of the chain.
EXCLUDED = ("takahashi2021.",)
KINDS = ("points", "ratio", "share", "effect", "sign")
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
    studies, kinds : tuple of str
    observed, sampling : ndarray, shape (figure,)
        On the scale of the kind; a sign is -1, 0 or 1, with the sampling error of its test statistic.
    """

    keys: tuple[str, ...]
    studies: tuple[str, ...]
    kinds: tuple[str, ...]
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
        text = {name: tuple(str(item) for item in arrays[name]) for name in ("keys", "studies", "kinds")}
        return cls(**text, observed=np.asarray(arrays["observed"]), sampling=np.asarray(arrays["sampling"]))

    def some(self, places: NDArray[np.int64] | Sequence[int]) -> Targets:
        """Return some of the figures, by place."""
        return Targets(
            keys=tuple(self.keys[k] for k in places),
            studies=tuple(self.studies[k] for k in places),
            kinds=tuple(self.kinds[k] for k in places),
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


def values(case: Case, point: Point, found: Figure) -> Array:
    """Return the model's figure on the scale of its kind, at each row, shape (row,).

    Parameters
    ----------
    case : Case
    point : Point
    found : Figure
        Its parts have the shape (row, person).
    """
    if found.scale == "sign":
        # as in a test of the study's own size
        error = max(sign_error(found, people_per_arm(case.record, point)), 1e-9)
        return np.asarray(found.join(*found.parts), dtype=float) / error
    whole = transformed(found, np.asarray(found.join(*found.parts), dtype=float))
    if found.scale == "share":
        people = found.parts[0].shape[-1]
        return logit((whole / _PERCENT * people + 0.5) / (people + 1.0))
    return whole


def targets(cases: Sequence[Case], found: Sequence[Figure | None], seed: int) -> Targets:
    """Return what is fitted, with the sampling error of each figure.

    Parameters
    ----------
    cases : sequence of Case
        From `fitted`.
    found : sequence of Figure or None
        Figures of these records at the rows of a design, for the sampling errors that sources do not print.
    seed : int
    """
    keys, studies, kinds, observed, sampling = [], [], [], [], []
    pairs = [(case, k, point) for case in cases for k, point in enumerate(case.points)]
    for (case, number, point), figure in zip(pairs, found, strict=True):
        if figure is None:
            continue
        key = f"{case.record.id}:{number}"
        value, error = _observed(case, point, figure, seed, key)
        if not (math.isfinite(value) and math.isfinite(error)):
            continue
        keys.append(key)
        studies.append(case.frame.study)
        kinds.append(_KIND[figure.scale])
        observed.append(value)
        sampling.append(error)
    return Targets(tuple(keys), tuple(studies), tuple(kinds), np.asarray(observed), np.asarray(sampling))


def _observed(case: Case, point: Point, found: Figure, seed: int, key: str) -> tuple[float, float]:
    """Return the published figure and its sampling error on the scale of its kind."""
    size = people_per_arm(case.record, point)
    if found.scale == "sign":
        return float(np.sign(point.value)), 1.0
    if found.scale == "share":
        share = (point.value * (1.0 if case.record.outcome.unit == "%" else _PERCENT)) / _PERCENT
        counted = share * size
        return float(logit((counted + 0.5) / (size + 1.0))), math.sqrt(
            1.0 / (counted + 0.5) + 1.0 / (size - counted + 0.5)
        )
    value = float(transformed(found, np.asarray(point.value, dtype=float)))
    # the transformation's slope turns a printed error into one of the figure that is fitted
    step = 1e-4 * max(abs(point.value), 1.0)
    slope = float(transformed(found, np.asarray(point.value + step)) - value) / step
    error = standard_error(point, size)
    if error is not None:
        return value, abs(slope) * error
    few = [part[:REFERENCE_ROWS] for part in found.parts]
    return value, predict(found._replace(parts=tuple(few)), size, seed, key).sampling_sd


def logit(share: Array | float) -> Array:
    """Return the logarithm of the odds."""
    part = np.asarray(share, dtype=float)
    return np.asarray(np.log(part / (1.0 - part)))


#: Test statistic beyond which a study reports a change.
CRITICAL = float(norm.ppf(1.0 - LEVEL / 2))
__all__ = ["CRITICAL", "KINDS", "Targets", "fitted", "targets", "values"]
