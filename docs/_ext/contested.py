"""The contested links: what the records say of each, and which settings of the switches stand for which reading."""

from __future__ import annotations

from functools import cache

from markup import as_markdown, cite, items, markdown

from kapsim.cli.listings import SWITCH_TEXTS
from kapsim.evidence import EvidenceParameter, ObservedRecord, load_evidence, load_observed
from kapsim.evidence.registry import format_quantity
from kapsim.mechanisms.switches import VARIANTS
from kapsim.story import CLAUSES


@cache
def _observed() -> dict[str, ObservedRecord]:
    return {record.id: record for record in load_observed()}


def clauses() -> str:
    """Return a table of the account: clause, what computes it, how it stands."""
    rows = [
        [item.id, as_markdown(item.claim), as_markdown(item.link), f"**{item.verdict}**", as_markdown(item.standing)]
        for item in CLAUSES
    ]
    return markdown(("clause", "what a reader is told", "what computes it", "verdict", "how the record stands"), rows)


def records(*identities: str) -> str:
    """Return a table of evidence records: what was found, by whom, in how many."""
    return markdown(("record", "what was looked at", "found", "in", "source"), [_row(name) for name in identities])


def _row(identity: str) -> list[str]:
    record = load_evidence().get(identity)
    if record is not None:
        return [
            f"`{identity}`",
            as_markdown(record.quantity),
            as_markdown(_value(record)),
            _who(record),
            cite([identity]),
        ]
    seen = _observed()[identity]
    found = ", ".join(_point(seen, point.value) for point in seen.points)
    what = f"{seen.outcome.observable}, {seen.outcome.statistic.replace('_', ' ')}; {seen.arm}"
    if seen.outcome.definition:
        what += f" ({seen.outcome.definition})"
    people = "" if seen.study.n is None else f"{seen.study.n:g}: "
    return [
        f"`{identity}`",
        as_markdown(what),
        as_markdown(found),
        as_markdown(people + seen.study.population),
        cite([identity]),
    ]


def _value(record: EvidenceParameter) -> str:
    if record.value is None:
        return "–"
    if record.unit in ("indicator", "sign"):
        text = f"{record.value:+g}" if record.unit == "sign" and record.value else f"{record.value:g}"
    else:
        text = format_quantity(record.value, record.unit)
    spread = record.spread
    if spread is not None and isinstance(spread.value, tuple):
        low, high = ("?" if end is None else f"{end:g}" for end in spread.value)
        text += f" ({low} to {high})"
    return text


def _point(record: ObservedRecord, value: float | None) -> str:
    if value is None:
        return "–"
    return (
        f"{value:+g}"
        if record.outcome.statistic == "sign" and value
        else f"{value:g} {record.outcome.unit}".removesuffix(" 1")
    )


def _who(record: EvidenceParameter) -> str:
    people = "" if record.n is None else f"{record.n:g} "
    return as_markdown(f"{people}{record.species or ''}".strip() or "–")


def variants(*names: str) -> str:
    """Return what some variants switch against the standard model; all of them where none is named."""
    standard = VARIANTS["standard"]
    lines = []
    for name in names or tuple(VARIANTS):
        changed = [
            f"{'on' if value else 'off'}: {SWITCH_TEXTS[switch]}"
            for switch, value in VARIANTS[name]._asdict().items()
            if value != getattr(standard, switch)
        ]
        told = "what runs where no variant is named" if name == "standard" else "; ".join(changed) or "as `standard`"
        lines.append(f"`{name}`: {told}")
    return items(lines)


MAKERS = {"clauses": clauses, "records": records, "variants": variants}
