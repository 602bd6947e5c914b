"""Limits that pharmacokinetics and mood should meet, set before anything was scored, and whether they are met.

They are meant for records that the model has not learned from: independent ones, and records predicted without what
their own study taught it. A tighter limit than about 1.15 would lie below the disagreement between studies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kapsim.validation.independence import INDEPENDENCE
from kapsim.validation.limit import Limit
from kapsim.validation.mood_limits import mood_limits
from kapsim.validation.scoring import Entry, PointScore, RecordScore, fold_of, score

_LEVELS = ("mean", "cmax")
_EXPOSURES = ("cmax", "auc")
_AREAS = ("auc", "clearance")
_QUARTER_HOUR = 0.25
_PARENT = frozenset({"plasma.ketamine", "plasma.s_ketamine", "plasma.r_ketamine"})


class _Rule(NamedTuple):
    name: str
    wanted: str
    applies: Callable[[RecordScore], bool]
    figure: Callable[[Sequence[Entry]], float | None]
    met: Callable[[float], bool]
    within: Callable[[PointScore], bool]
    evidence: tuple[str, ...] = ("independent", "held_out")


def _iv_parent(record: RecordScore) -> bool:
    return record.domain == "plasma_iv" and record.observable in _PARENT


def _other(record: RecordScore) -> bool:
    return record.domain.startswith("plasma_") and not _iv_parent(record)


def _within(factor: float) -> Callable[[PointScore], bool]:
    return lambda point: abs(point.error) <= math.log(factor) + 1e-12


def _peak_time(point: PointScore) -> bool:
    return _within(2.0)(point) or abs(point.predicted - point.observed) <= _QUARTER_HOUR


def _share(found: Sequence[Entry], holds: Callable[[PointScore], bool]) -> float | None:
    return sum(holds(point) for _, _, point in found) / len(found) if found else None


def _largest(found: Sequence[Entry]) -> float | None:
    # what is a rounding error above a limit lies on it
    return fold_of(max(max(abs(point.error) for _, _, point in found) - 1e-12, 0.0)) if found else None


_RULES = (
    _Rule(
        "iv, ketamine: fold error", "geometric mean at most 1.3",
        lambda r: _iv_parent(r) and r.statistic in _LEVELS, lambda e: score(e).gmfe, lambda x: x <= 1.3, _within(2.0),
    ),
    _Rule(
        "iv, ketamine: worst point", "none beyond twofold",
        lambda r: _iv_parent(r) and r.statistic in _LEVELS, _largest, lambda x: x <= 2.0, _within(2.0),
    ),
    _Rule(
        "iv, ketamine: area", "all within 0.80 to 1.25",
        lambda r: _iv_parent(r) and r.statistic in _AREAS, _largest, lambda x: x <= 1.25, _within(1.25),
    ),
    _Rule(
        "other routes and norketamine: share within twofold", "at least 80 %",
        lambda r: _other(r) and r.statistic in _EXPOSURES, lambda e: _share(e, _within(2.0)), lambda x: x >= 0.8,
        _within(2.0),
    ),
    _Rule(
        "other routes and norketamine: fold error", "geometric mean at most 1.5",
        lambda r: _other(r) and r.statistic in _EXPOSURES, lambda e: score(e).gmfe, lambda x: x <= 1.5, _within(2.0),
    ),
    _Rule(
        "time of peak", "all within twofold or 15 min",
        lambda r: r.statistic == "tmax" and r.domain.startswith("plasma_"), lambda e: _share(e, _peak_time),
        lambda x: x >= 1.0, _peak_time,
    ),
    _Rule(
        "interactions: area ratio", "all within 1.5-fold",
        lambda r: r.statistic == "ratio" and r.definition.startswith("auc") and r.domain.startswith("plasma_"),
        _largest, lambda x: x <= 1.5, _within(1.5),
        ("all",),
    ),
    _Rule(
        "concentrations: 90 % interval", "holds 80 to 97 % of the figures",
        lambda r: r.domain.startswith("plasma_"), lambda e: score(e).coverage90, lambda x: 0.8 <= x <= 0.97,
        lambda point: point.inside,
    ),
)  # fmt: skip


def limits(records: Sequence[RecordScore]) -> list[Limit]:
    """Return every limit of the kinetics, for independent records and for records held out, and those of mood.

    Parameters
    ----------
    records : sequence of RecordScore
    """
    found = []
    for rule in _RULES:
        for evidence in rule.evidence:
            own = [record for record in records if record.status == "scored" and rule.applies(record)]
            if evidence == "held_out":
                points = [(r.study, r.id, p) for r in own for p in r.held_out]
            else:
                classes = INDEPENDENCE if evidence == "all" else ("independent",)
                points = [(r.study, r.id, p) for r in own if r.independence in classes for p in r.points]
            points = [entry for entry in points if math.isfinite(entry[2].error)]
            weak = {record.id for record in own if record.weakness is not None}
            value, met = _judged(rule, points)
            sound, met_sound = _judged(rule, [entry for entry in points if entry[1] not in weak])
            beyond = tuple(dict.fromkeys(record for _, record, point in points if not rule.within(point)))
            found.append(Limit(rule.name, rule.wanted, evidence, value, met, sound, met_sound, len(points), beyond))
    return [*found, *mood_limits(records)]


def _judged(rule: _Rule, points: Sequence[Entry]) -> tuple[float | None, bool | None]:
    value = rule.figure(points) if points else None
    return value, None if value is None else rule.met(value)
