"""The patterns of the clinical record as text, cell by cell, and as a page."""

from __future__ import annotations

from collections.abc import Mapping

from kapsim.report.page import render
from kapsim.report.theme import number_text, percent_text, unit_text
from kapsim.validation.patterns.criteria import ORDER_SHARE, Cited, Judged, Part
from kapsim.validation.patterns.run import Patterns

#: Key and heading of each cell of a part, in order.
COLUMNS = (
    ("number", "#"),
    ("pattern", "pattern"),
    ("verdict", "verdict"),
    ("part", "what must hold"),
    ("published", "published"),
    ("predicted", "predicted (90 % interval)"),
    ("holds", "holds"),
    ("evidence", "from"),
)
_NOTHING = "–"
_SEEN = {-1.0: "lower", 0.0: "no difference", 1.0: "higher"}
_TAUGHT = {"fitted": " (fitted)", "parameter_source": " (gave a parameter)"}
_CONTENTS = (
    ("patterns", "Patterns"),
    ("rules", "Rules"),
    ("limits", "Limits of use"),
    ("safety", "Safety"),
    ("provenance", "Provenance"),
)


def pattern_rows(found: Patterns) -> list[dict[str, str]]:
    """Return one row for each part of each pattern; number, words and verdict stand in its first row only.

    Parameters
    ----------
    found : Patterns
    """
    rows = []
    for pattern in found.judged:
        head = {"number": str(pattern.number), "pattern": pattern.words, "verdict": verdict_text(pattern)}
        for part in pattern.parts:
            rows.append({**head, **_cells(part)})
            head = dict.fromkeys(head, "")
        if pattern.left_out:
            empty = {key: "" if key in head else _NOTHING for key, _ in COLUMNS}
            rows.append(
                {**empty, **head, "part": f"not judged: {pattern.left_out}" if pattern.parts else pattern.left_out}
            )
    return rows


def verdict_text(pattern: Judged) -> str:
    """Return a verdict with how many parts hold."""
    if not pattern.parts:
        return pattern.verdict
    return f"{pattern.verdict}, {sum(part.holds for part in pattern.parts)} of {len(pattern.parts)}"


def counts_text(found: Patterns) -> str:
    """Return in a sentence how many patterns have each verdict."""
    counts: Mapping[str, int] = found.counts
    asked = len(found.judged) - counts.get("input, excluded", 0)
    words = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("met", "partly", "not met"))
    return f"Of {asked} patterns: {words}; {counts.get('input, excluded', 0)} are inputs and excluded."


def patterns_html(found: Patterns) -> str:
    """Return the patterns as one self-contained HTML page.

    Parameters
    ----------
    found : Patterns
    """
    return render(
        "patterns.html.j2",
        {
            "title": "Patterns of the clinical record",
            "contents": _CONTENTS,
            "counts": counts_text(found),
            "columns": COLUMNS,
            "rows": pattern_rows(found),
            "order_share": percent_text(ORDER_SHARE),
            "failures": found.failures,
            "provenance": list(found.settings.items()),
        },
    )


def _cells(part: Part) -> dict[str, str]:
    return {
        "part": part.words,
        "published": _published(part),
        "predicted": _predicted(part),
        "holds": "yes" if part.holds else "no",
        "evidence": ", ".join(dict.fromkeys(f"{item.id}{_TAUGHT.get(item.independence, '')}" for item in part.cited)),
    }


def _published(part: Part) -> str:
    if part.rule == "seen":
        return _SEEN.get(part.published or 0.0, _NOTHING)
    if part.published is not None:
        own = next((item for item in part.cited if item.value == part.published), None)
        return _figure(own) if own is not None else _with_unit(number_text(part.published), part.unit)
    return ", ".join(_figure(item) for item in part.cited)


def _figure(item: Cited) -> str:
    text = _with_unit(number_text(item.value), item.unit)
    if item.low is not None and item.high is not None:
        text += f" ({number_text(item.low)} to {number_text(item.high)})"
    return text


def _predicted(part: Part) -> str:
    if part.predicted is None or part.low is None or part.high is None:
        return part.reason or _NOTHING
    if part.rule == "seen":
        return _SEEN.get(part.predicted, _NOTHING)
    text = f"{number_text(part.predicted)} ({number_text(part.low)} to {number_text(part.high)})"
    return text if part.share is None else f"{text}; in {percent_text(part.share)} of draws"


def _with_unit(number: str, unit: str) -> str:
    return number if unit == "1" else f"{number} {unit_text(unit)}"
