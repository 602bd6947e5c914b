"""Rival predictors: what anyone could say without a mechanism, most fitted on the very figures they are scored on.

`last_value`: nothing changes (the figure before, or no change since the start). `dose_only`: a regression on the dose.
`exponential_decay`: a size that decays since the last dose. `placebo_mean`: the mean of the arms without drug.
`class_time_mean`: the mean of other studies' arms of the same kind (control, therapy alone, drug by route) at about the
same time, as a change from baseline where a score is concerned. A rival stands beside the model wherever it can say
something; it is fitted within a kind of figure (statistic and, for concentrations, what was measured), but for the last
one in sample, which favours the rival. Its predictive distribution is normal, as wide as its own errors are, which
favours it, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kapsim.validation.scoring import FOLD_SCALES, Entry, PointScore, RecordScore, Scores, score

RIVALS = ("last_value", "dose_only", "exponential_decay", "placebo_mean", "class_time_mean")
"""Names of the rivals."""

#: Hours that part times of rating: the day of the dose, the next, days, a week, two, a month, three months, longer.
_TIMES = (6.0, 36.0, 120.0, 240.0, 432.0, 900.0, 2200.0)

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
    # its interval is made to fit
    return {name: replace(score(entries), coverage90=None) for name, entries in rival_entries(records).items()}


def rival_entries(records: Sequence[RecordScore]) -> dict[str, list[Entry]]:
    """Return what every rival says that can say anything.

    Parameters
    ----------
    records : sequence of RecordScore
        Scored records of one domain.
    """
    rows = [row for record in records for row in _rows(record) if row.point.scale != "sign"]
    families: dict[tuple[str, ...], list[_Row]] = {}
    for row in rows:
        families.setdefault(_family(row), []).append(row)
    found: dict[str, list[Entry]] = {}
    for name, predict in _PREDICTORS.items():
        entries: list[Entry] = []
        for family in families.values():
            if (predicted := predict(family)) is not None:
                entries += _with_width(family, predicted)
        if entries:
            found[name] = entries
    return found


def _with_width(family: Sequence[_Row], predicted: Sequence[float | None]) -> list[Entry]:
    """Return figures of a rival with the spread of their own errors."""
    told = [
        (row.record.study, row.record.id, replace(row.point, predicted=value, low=value, high=value, sd=0.0))
        for row, value in zip(family, predicted, strict=True)
        if value is not None and math.isfinite(value)
    ]
    errors = [point.error for *_, point in told if math.isfinite(point.error)]
    width = math.sqrt(sum(error**2 for error in errors) / len(errors)) if errors else 0.0
    return [(study, record, replace(point, sd=width)) for study, record, point in told]


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


def _class_time_mean(rows: Sequence[_Row]) -> list[float | None] | None:
    scores = rows[0].record.statistic == "mean"
    logs = rows[0].point.scale == "log"

    def start(row: _Row) -> float:
        return row.record.baseline or 0.0 if scores else 0.0

    def value(row: _Row) -> float:
        return math.log(max(row.point.observed, 1e-12)) if logs else row.point.observed - start(row)

    def of(row: _Row) -> float | None:
        others = [
            other
            for other in rows
            if other.record.study != row.record.study
            and (not scores or (other.record.baseline is None) == (row.record.baseline is None))
        ]
        # the closest kind that any other study has
        for alike in (
            lambda a, b: (_kind(a), _time(a)) == (_kind(b), _time(b)),
            lambda a, b: (a.record.control, _time(a)) == (b.record.control, _time(b)),
            lambda a, b: a.record.control == b.record.control,
            lambda a, b: True,
        ):
            if near := [value(other) for other in others if alike(other, row)]:
                mean = sum(near) / len(near)
                return math.exp(mean) if logs else mean + start(row)
        return None

    return [of(row) for row in rows]


def _kind(row: _Row) -> tuple[bool, str]:
    """Return the class of a treatment: control, therapy or care alone, or the drug by its route."""
    record = row.record
    if record.control or record.dose_mg <= 0.0:
        return record.control, ""
    return False, record.route


def _time(row: _Row) -> int:
    return sum((row.point.time_h or 0.0) > edge for edge in _TIMES)


_PREDICTORS: dict[str, Callable[[Sequence[_Row]], list[float | None] | None]] = {
    "last_value": _last_value,
    "dose_only": _dose_only,
    "exponential_decay": _exponential_decay,
    "placebo_mean": _placebo_mean,
    "class_time_mean": _class_time_mean,
}
