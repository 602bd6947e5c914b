"""Rival predictors: what anyone could say without a mechanism.

`last_value`: nothing changes (the figure before, or no change since the start). `dose_only`: a regression on the dose.
`exponential_decay`: a size that decays since the last dose. `placebo_mean`: the mean of the arms without drug.
`class_time_mean`: the mean of other studies' arms of the same kind (control, therapy alone, drug by route) at about the
same time, as a change from baseline where a score is concerned. A rival stands beside the model wherever it can say
something, and is fitted within a kind of figure (statistic and, for concentrations, what was measured): on the very
figures that it is scored on, or, as the model without its own study, on those of other studies. Its predictive
distribution is normal, as wide as its own errors are, in the second case those at each of the other studies in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
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


#: From the rows that a rival learns from and those that it predicts, all of one kind, to what it says of the latter.
_Predictor = Callable[[Sequence[_Row], Sequence[_Row]], list[float | None] | None]


def rival_scores(records: Sequence[RecordScore], *, held_out: bool = False) -> dict[str, Scores]:
    """Score every rival on the points of a domain.

    Parameters
    ----------
    records : sequence of RecordScore
        Scored records of one domain.
    held_out : bool
        Whether a rival is fitted without the study that it predicts.
    """
    found = rival_entries(records, held_out=held_out)
    # fitted on the figures that it holds, an interval is made to fit
    return {name: replace(score(entries), coverage90=None) for name, entries in found.items()}


def rival_entries(records: Sequence[RecordScore], *, held_out: bool = False) -> dict[str, list[Entry]]:
    """Return what every rival says that can say anything.

    Parameters
    ----------
    records : sequence of RecordScore
        Scored records of one domain.
    held_out : bool
        Whether a rival is fitted without the study that it predicts. It then says nothing of a kind of figure that no
        other study has.
    """
    rows = [row for record in records for row in _rows(record) if row.point.scale != "sign"]
    families: dict[tuple[str, ...], list[_Row]] = {}
    for row in rows:
        families.setdefault(_family(row), []).append(row)
    told = _told_by_others if held_out else _told_in_sample
    found: dict[str, list[Entry]] = {}
    for name, predict in _PREDICTORS.items():
        if entries := [entry for family in families.values() for entry in told(family, predict)]:
            found[name] = entries
    return found


def _told_in_sample(family: Sequence[_Row], predict: _Predictor) -> list[Entry]:
    """Return figures of a rival fitted on them, as wide as its errors there."""
    told = _told(family, predict(family, family))
    width = _width(told)
    return [(study, record, replace(point, sd=width)) for study, record, point in told]


def _told_by_others(family: Sequence[_Row], predict: _Predictor) -> list[Entry]:
    """Return figures of a rival fitted without their study, as wide as its errors at each other study."""
    found: list[Entry] = []
    for others, entries in _left_out(family, predict):
        if errors := [entry for _, among_others in _left_out(others, predict) for entry in among_others]:
            width = _width(errors)
            found += [(study, record, replace(point, sd=width)) for study, record, point in entries]
    return found


def _left_out(family: Sequence[_Row], predict: _Predictor) -> Iterator[tuple[list[_Row], list[Entry]]]:
    """Yield, for each study in turn, the rows of the others and what the rival makes of it by them."""
    for study in dict.fromkeys(row.record.study for row in family):
        rows = [row for row in family if row.record.study == study]
        others = [row for row in family if row.record.study != study]
        if others and (entries := _told(rows, predict(others, rows))):
            yield others, entries


def _told(rows: Sequence[_Row], predicted: Sequence[float | None] | None) -> list[Entry]:
    return [
        (row.record.study, row.record.id, replace(row.point, predicted=value, low=value, high=value, sd=0.0))
        for row, value in zip(rows, predicted or [None] * len(rows), strict=True)
        if value is not None and math.isfinite(value)
    ]


def _width(told: Sequence[Entry]) -> float:
    errors = [point.error for *_, point in told if math.isfinite(point.error)]
    return math.sqrt(sum(error**2 for error in errors) / len(errors)) if errors else 0.0


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


def _last_value(_: Sequence[_Row], rows: Sequence[_Row]) -> list[float | None] | None:
    def of(row: _Row) -> float | None:
        if row.previous is not None:
            return row.previous
        # before anything is measured: no change, nobody better, nobody worse, the interaction does nothing
        if row.record.statistic in ("ratio", "hazard_ratio", "odds_ratio", "ratio_to_baseline"):
            return 1.0
        return 0.0 if row.record.statistic in _CHANGES else None

    return [of(row) for row in rows]


def _dose_only(known: Sequence[_Row], rows: Sequence[_Row]) -> list[float | None] | None:
    learned, doses = (np.asarray([row.record.dose_mg for row in part]) for part in (known, rows))
    if len(known) < _LEAST_POINTS:
        return None
    if rows[0].point.scale == "log":
        if (learned <= 0).any() or (doses <= 0).any():
            return None
        return list(_back(rows, np.mean(_observed(known) - np.log(learned)) + np.log(doses)))
    if np.ptp(learned) == 0.0:
        return None
    design, asked = (np.stack([np.ones_like(mg), np.log1p(mg)], axis=1) for mg in (learned, doses))
    return list(_back(rows, asked @ np.linalg.lstsq(design, _observed(known), rcond=None)[0]))


def _exponential_decay(known: Sequence[_Row], rows: Sequence[_Row]) -> list[float | None] | None:
    if len(known) < _LEAST_POINTS or any(row.hours is None for row in (*known, *rows)):
        return None
    since, until = (np.asarray([row.hours for row in part], dtype=float) for part in (known, rows))
    if np.ptp(since) == 0.0:
        return None
    best: tuple[float, np.ndarray] | None = None
    observed = _observed(known)
    for half_life in _HALF_LIVES:
        fall, falling = (-np.log(2.0) * hours / half_life for hours in (since, until))
        if rows[0].point.scale == "log":
            level = np.mean(observed - fall)
            fitted, predicted = level + fall, level + falling
        else:
            decay = np.exp(fall)
            level = float(decay @ observed) / max(float(decay @ decay), 1e-300)
            fitted, predicted = decay * level, np.exp(falling) * level
        size = float(np.mean((fitted - observed) ** 2))
        if best is None or size < best[0]:
            best = (size, predicted)
    assert best is not None
    return list(_back(rows, best[1]))


def _placebo_mean(known: Sequence[_Row], rows: Sequence[_Row]) -> list[float | None] | None:
    controls = [row for row in known if row.record.control]
    if not controls:
        return None
    level = float(np.mean(_observed(controls)))
    return list(_back(rows, np.full(len(rows), level)))


def _class_time_mean(known: Sequence[_Row], rows: Sequence[_Row]) -> list[float | None] | None:
    scores = rows[0].record.statistic == "mean"
    logs = rows[0].point.scale == "log"

    def start(row: _Row) -> float:
        return row.record.baseline or 0.0 if scores else 0.0

    def value(row: _Row) -> float:
        return math.log(max(row.point.observed, 1e-12)) if logs else row.point.observed - start(row)

    def of(row: _Row) -> float | None:
        others = [
            other
            for other in known
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


_PREDICTORS: dict[str, _Predictor] = {
    "last_value": _last_value,
    "dose_only": _dose_only,
    "exponential_decay": _exponential_decay,
    "placebo_mean": _placebo_mean,
    "class_time_mean": _class_time_mean,
}
