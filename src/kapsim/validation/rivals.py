"""Rival predictors: what anyone could say without a mechanism, fitted on the very figures they are scored on.

`last_value`: nothing changes (the figure before, or no change since the start). `dose_only`: a regression on the dose.
`exponential_decay`: a size that decays since the last dose. `placebo_mean`: the mean of the arms without drug. A rival
stands beside the model wherever it can say something; it is fitted within a kind of figure (statistic and, for
concentrations, what was measured), in sample, which favours the rival.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kapsim.validation.scoring import FOLD_SCALES, PointScore, RecordScore, Scores, score

RIVALS = ("last_value", "dose_only", "exponential_decay", "placebo_mean")
"""Names of the rivals."""

#: Half-lives (h) among which the best fitting decay is chosen, from minutes to months.
_HALF_LIVES = tuple(float(2.0**k) for k in range(-2, 12))
#: Statistics that are 0 where nothing changes.
_CHANGES = frozenset(
    {"change", "percent_change", "difference", "standardised_difference", "response", "remission", "relapse"}
)
#: A regression needs more points than it has coefficients.
_LEAST_POINTS = 3


class _Row(NamedTuple):
    record: RecordScore
    point: PointScore
    previous: float | None
    hours: float | None


def rival_scores(records: Sequence[RecordScore]) -> dict[str, Scores]:
    """Score every rival on the points of a domain.

    Parameters
    ----------
    records : sequence of RecordScore
        Scored records of one domain.
    """
    rows = [row for record in records for row in _rows(record) if row.point.scale != "sign"]
    families: dict[tuple[str, ...], list[_Row]] = {}
    for row in rows:
        families.setdefault(_family(row), []).append(row)
    found: dict[str, Scores] = {}
    for name, predict in _PREDICTORS.items():
        entries = []
        for family in families.values():
            predicted = predict(family)
            if predicted is not None:
                entries += [
                    (
                        row.record.study,
                        row.record.id,
                        replace(row.point, predicted=value, low=value, high=value, sd=0.0),
                    )
                    for row, value in zip(family, predicted, strict=True)
                    if value is not None and math.isfinite(value)
                ]
        if entries:
            # a rival gives a figure, not a distribution
            found[name] = replace(score(entries), coverage90=None, log_score=None)
    return found


def _rows(record: RecordScore) -> list[_Row]:
    rows, previous = [], None
    for number, point in enumerate(record.points):
        hours = record.hours_since_dose[number] if number < len(record.hours_since_dose) else None
        rows.append(_Row(record, point, previous, hours))
        previous = point.observed
    return rows


def _family(row: _Row) -> tuple[str, ...]:
    kind = row.point.scale
    if kind in FOLD_SCALES:
        return (kind, row.record.statistic, row.record.observable, row.record.unit)
    return (kind, row.record.statistic)


def _observed(rows: Sequence[_Row]) -> np.ndarray:
    values = np.asarray([row.point.observed for row in rows], dtype=float)
    return np.log(np.maximum(values, 1e-12)) if rows[0].point.scale == "log" else values


def _back(rows: Sequence[_Row], values: np.ndarray) -> list[float]:
    return [float(value) for value in (np.exp(values) if rows[0].point.scale == "log" else values)]


def _last_value(rows: Sequence[_Row]) -> list[float | None] | None:
    def of(row: _Row) -> float | None:
        if row.previous is not None:
            return row.previous
        # before anything is measured: no change, nobody better, nobody worse, the interaction does nothing
        if row.record.statistic in ("ratio", "hazard_ratio", "odds_ratio", "ratio_to_baseline"):
            return 1.0
        return 0.0 if row.record.statistic in _CHANGES else None

    return [of(row) for row in rows]


def _dose_only(rows: Sequence[_Row]) -> list[float | None] | None:
    doses = np.asarray([row.record.dose_mg for row in rows])
    observed = _observed(rows)
    if rows[0].point.scale == "log":
        if len(rows) < _LEAST_POINTS or (doses <= 0).any():
            return None
        level = np.mean(observed - np.log(doses))
        return list(_back(rows, level + np.log(doses)))
    if len(rows) < _LEAST_POINTS or np.ptp(doses) == 0.0:
        return None
    design = np.stack([np.ones_like(doses), np.log1p(doses)], axis=1)
    coefficients = np.linalg.lstsq(design, observed, rcond=None)[0]
    return list(_back(rows, design @ coefficients))


def _exponential_decay(rows: Sequence[_Row]) -> list[float | None] | None:
    known = [row for row in rows if row.hours is not None]
    if len(known) < _LEAST_POINTS or len(known) < len(rows):
        return None
    hours = np.asarray([row.hours for row in known], dtype=float)
    if np.ptp(hours) == 0.0:
        return None
    best: tuple[float, np.ndarray] | None = None
    observed = _observed(rows)
    for half_life in _HALF_LIVES:
        fall = -np.log(2.0) * hours / half_life
        if rows[0].point.scale == "log":
            predicted = np.mean(observed - fall) + fall
        else:
            decay = np.exp(fall)
            predicted = decay * float(decay @ observed) / max(float(decay @ decay), 1e-300)
        size = float(np.mean((predicted - observed) ** 2))
        if best is None or size < best[0]:
            best = (size, predicted)
    assert best is not None
    return list(_back(rows, best[1]))


def _placebo_mean(rows: Sequence[_Row]) -> list[float | None] | None:
    controls = [row for row in rows if row.record.control]
    if not controls:
        return None
    level = float(np.mean(_observed(controls)))
    return list(_back(rows, np.full(len(rows), level)))


_PREDICTORS: dict[str, Callable[[Sequence[_Row]], list[float | None] | None]] = {
    "last_value": _last_value,
    "dose_only": _dose_only,
    "exponential_decay": _exponential_decay,
    "placebo_mean": _placebo_mean,
}
