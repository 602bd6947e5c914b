"""Limits that mood should meet on records predicted without their own study, set before anything was scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from kapsim.validation.limit import Limit
from kapsim.validation.rivals import rival_entries
from kapsim.validation.scoring import Entry, RecordScore, Scores, score

MOOD_DOMAINS = ("mood_single", "mood_repeated", "relapse", "therapy")
#: Fewer figures than this that a rival can speak of say nothing of it.
_LEAST_FIGURES = 10


_Fitted = Literal["without", "on_it"]
#: What rivals were fitted on, and what is said of those that saw more than the model did.
_FITTED: Mapping[_Fitted, str] = {"without": "", "on_it": ", fitted on the very figures"}


class _MoodRule(NamedTuple):
    name: str
    wanted: str
    scale: str | None  # of the figures; None for all but signs
    # the model's figures, and those of each rival
    figure: Callable[[Sequence[Entry], _Rivals], float | None]
    met: Callable[[float], bool]


class _Rivals(NamedTuple):
    """Figures of rivals by name, fitted without the study that they predict, and fitted on it, too."""

    without: Mapping[str, Sequence[Entry]]
    on_it: Mapping[str, Sequence[Entry]]


def _against(
    of: Callable[[Scores], float | None], worse: Callable[[float, float], float], kind: _Fitted
) -> Callable[[Sequence[Entry], _Rivals], float | None]:
    """Return how the model stands against the rival that does best, on the figures that this rival has."""

    def figure(own: Sequence[Entry], rivals: _Rivals) -> float | None:
        found = []
        places = {_place(entry): entry for entry in own}
        for entries in getattr(rivals, kind).values():
            both = [(places[_place(entry)], entry) for entry in entries if _place(entry) in places]
            if len(both) < _LEAST_FIGURES:
                continue
            model, rival = (of(score([pair[k] for pair in both])) for k in (0, 1))
            if model is not None and rival is not None:
                found.append(worse(model, rival))
        return max(found, default=None)

    return figure


def _place(entry: Entry) -> tuple[str, float | None, float]:
    _, record, point = entry
    return record, point.time_h, point.observed


_MOOD_RULES = (
    *(
        rule
        for kind, words in _FITTED.items()
        for rule in (
            _MoodRule(
                f"mood, points: error against the best rival{words}", "ratio of RMSE below 1", "points",
                _against(lambda s: s.rmse, lambda model, rival: model / rival, kind), lambda x: x < 1.0,
            ),
            _MoodRule(
                f"mood, shares: error against the best rival{words}", "ratio of mean error below 1", "share",
                _against(lambda s: s.rate_mae, lambda model, rival: model / rival, kind), lambda x: x < 1.0,
            ),
            _MoodRule(
                f"mood: log score against every rival{words}", "rival minus model below 0", None,
                _against(lambda s: s.log_score, lambda model, rival: rival - model, kind), lambda x: x < 0.0,
            ),
        )
    ),
    _MoodRule(
        "mood, points: bias", "within 1.5 points", "points", lambda own, _: score(own).bias if own else None,
        lambda x: abs(x) <= 1.5,
    ),
    _MoodRule(
        "mood: 90 % interval", "holds 80 to 97 % of the figures", None,
        lambda own, _: score(own).coverage90 if own else None, lambda x: 0.8 <= x <= 0.97,
    ),
)  # fmt: skip


def mood_limits(records: Sequence[RecordScore]) -> list[Limit]:
    """Return the limits of mood: each figure after the start, predicted without its own study, studies alike.

    What was never fitted is told as it is; what was fitted and not held out has no place here. Rivals, too, predict a
    study without it; beside that stands the harder limit of rivals that were fitted on the very figures.

    Parameters
    ----------
    records : sequence of RecordScore
    """
    scored = [record for record in records if record.status == "scored" and record.domain in MOOD_DOMAINS]
    fair = [record for record in scored if record.held_out or record.independence != "fitted"]
    own = [(r.study, r.id, p) for r in fair for p in (r.held_out or r.points) if p.scale != "sign"]
    rivals = _Rivals(_rivals(scored, held_out=True), _rivals(scored, held_out=False))
    weak = {record.id for record in scored if record.weakness is not None}
    found = []
    for rule in _MOOD_RULES:
        figures = [entry for entry in own if rule.scale in (None, entry[2].scale) and math.isfinite(entry[2].error)]
        sound = [entry for entry in figures if entry[1] not in weak]
        value, value_sound = rule.figure(figures, rivals), rule.figure(sound, rivals)
        outside = tuple(dict.fromkeys(record for _, record, point in figures if not point.inside))
        found.append(
            Limit(
                rule.name, rule.wanted, "held_out", value, None if value is None else rule.met(value), value_sound,
                None if value_sound is None else rule.met(value_sound), len(figures), outside,
            )
        )  # fmt: skip
    return found


def _rivals(scored: Sequence[RecordScore], *, held_out: bool) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for domain in MOOD_DOMAINS:
        own = [record for record in scored if record.domain == domain]
        for name, entries in rival_entries(own, held_out=held_out).items():
            found.setdefault(name, []).extend(entries)
    return found
