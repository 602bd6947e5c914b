"""A validation as plain data: stable keys, no number that JSON does not know."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from kapsim.statements import DISCLAIMER
from kapsim.validation.limit import Limit
from kapsim.validation.limits import limits
from kapsim.validation.run import Validation
from kapsim.validation.scoring import PointScore, RecordScore, Scores
from kapsim.validation.summary import immune_signs, summaries


def account(validation: Validation) -> dict[str, Any]:
    """Return a validation as plain data for programs.

    Parameters
    ----------
    validation : Validation

    Returns
    -------
    dict
        `records`, `domains`, `limits`, `immune_by_variant`, `failures`, `settings`, `disclaimer`.
    """
    return {
        "disclaimer": DISCLAIMER,
        "settings": dict(validation.settings),
        "records": [_record(record) for record in validation.records],
        "domains": {
            name: {
                **_scores(summary.scores),
                "by_independence": {key: _scores(value) for key, value in summary.by_independence.items()},
                "held_out": None if summary.held_out is None else _scores(summary.held_out),
                "contested": None if summary.contested is None else _scores(summary.contested),
                "rivals": {key: _scores(value) for key, value in summary.rivals.items()},
                "rivals_held_out": {key: _scores(value) for key, value in summary.rivals_held_out.items()},
                "n_cannot": summary.n_cannot,
                "n_not_testable": summary.n_not_testable,
            }
            for name, summary in summaries(validation).items()
        },
        "limits": [_limit(item) for item in limits(validation.records)],
        "immune_by_variant": {name: _number(share) for name, share in immune_signs(validation).items()},
        "failures": list(validation.failures),
    }


def _limit(limit: Limit) -> dict[str, Any]:
    return {**limit._asdict(), "found": _number(limit.found), "found_sound": _number(limit.found_sound)}


def _record(record: RecordScore) -> dict[str, Any]:
    return {
        "id": record.id,
        "study": record.study,
        "domain": record.domain,
        "independence": record.independence,
        "contested": record.contested,
        "weakness": record.weakness,
        "observable": record.observable,
        "statistic": record.statistic,
        "unit": record.unit,
        "use": record.use,
        "status": record.status,
        "reason": record.reason,
        "caveats": list(record.caveats),
        "points": [_point(point) for point in record.points],
        "held_out": [_point(point) for point in record.held_out],
        "not_testable": record.not_testable,
    }


def _point(point: PointScore) -> dict[str, Any]:
    return {
        "time_h": point.time_h,
        "observed": point.observed,
        "predicted": _number(point.predicted),
        "low": _number(point.low),
        "high": _number(point.high),
        "inside": point.inside,
        "bias": None if point.scale == "sign" else _number(point.predicted - point.observed),
        "fold_error": _number(point.fold),
        "standardised_error": _number(point.standardised),
        "log_score": _number(point.log_density),
        "spread": None if point.spread is None else {k: _number(v) for k, v in point.spread._asdict().items()},
    }


def _scores(scores: Scores) -> dict[str, Any]:
    return {name: _number(value) if isinstance(value, float) else value for name, value in asdict(scores).items()}


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
