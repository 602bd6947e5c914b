"""Write the tables and plots of docs/validation.md from a run: `python scripts/validation_docs.py` (some 10 minutes).

What stands between a pair of markers is replaced; the explanations around them are written by hand. `--patterns` runs
and replaces the patterns of the clinical record alone.
"""

from __future__ import annotations

import argparse
import sys

import plotly.graph_objects as go
from pages import markdown, replace
from pictures import ROOT, take

from kapsim.evidence import evidence_version
from kapsim.report.patterns_page import COLUMNS, counts_text, pattern_rows
from kapsim.report.theme import template
from kapsim.report.validation_page import (
    CLASS_WORDS,
    class_rows,
    limit_cells,
    misfit_cells,
    rival_rows,
    scatter_specs,
    score_cells,
)
from kapsim.validation import Validation, validate
from kapsim.validation.limits import limits
from kapsim.validation.patterns import Patterns, judge_patterns
from kapsim.validation.summary import immune_signs, misfits, summaries

PAGE = ROOT / "docs" / "validation.md"
PICTURES = ROOT / "docs" / "images"
WORST = 25
WIDTH, HEIGHT = 1000, 620
SCORES = (
    ("records", "records"), ("points", "figures"), ("studies", "studies"), ("gmfe", "mean fold error"),
    ("within_twofold", "within 2-fold"), ("within_1_25", "within 1.25"), ("rmse", "RMSE"), ("bias", "bias"),
    ("rate_mae", "error of shares"), ("effect_mae", "error of effects"), ("coverage", "inside 90 %"),
    ("signs", "signs right"), ("log_score", "log score"), ("noise", "noise floor"),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--no-pictures", action="store_true", help="tables only")
    parser.add_argument("--patterns", action="store_true", help="the table of patterns only")
    options = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    replace(PAGE, {"patterns": patterns_block(judge_patterns(progress=say))})
    if options.patterns:
        return 0
    validation = validate(progress=say)
    replace(PAGE, blocks(validation))
    if not options.no_pictures:
        scored = [record for record in validation.records if record.status == "scored"]
        for key, title, spec in scatter_specs(scored):
            figure = go.Figure(spec["data"], spec["layout"], _validate=False)
            figure.update_layout(template=template("light"), width=WIDTH, height=HEIGHT, title=title)
            figure.update_layout(margin={"t": 110})
            take(figure, PICTURES / f"validation_{key}.png", WIDTH, HEIGHT)
    return 0


def patterns_block(found: Patterns) -> str:
    rows = [[row[key] for key, _ in COLUMNS] for row in pattern_rows(found)]
    return f"{counts_text(found)}\n\n{markdown(tuple(heading for _, heading in COLUMNS), rows)}"


def blocks(validation: Validation) -> dict[str, str]:
    found = summaries(validation)
    scored = sum(record.status == "scored" for record in validation.records)
    points = sum(len(record.points) for record in validation.records)
    refused: dict[str, list[str]] = {}
    for record in validation.records:
        if record.status == "cannot":
            refused.setdefault(record.reason or "", []).append(record.id)
    return {
        "counts": (
            f"{scored} of {len(validation.records)} shipped records are scored, {points} figures in all, by evidence "
            f"version {evidence_version()}."
        ),
        "limits": markdown(
            ("limit", "wanted", "on records", "found", "figures", "verdict", "without weak figures", "beyond"),
            [
                [cells[key] for key in ("name", "wanted", "evidence", "found", "points", "verdict", "sound", "beyond")]
                for cells in map(limit_cells, limits(validation.records))
            ],
        ),
        "domains": markdown(
            ("domain", "records", *(heading for _, heading in SCORES)),
            [
                [name, CLASS_WORDS[kind], *(score_cells(scores)[key] for key, _ in SCORES)]
                for name, summary in found.items()
                for kind, scores in class_rows(summary)
            ],
        ),
        "rivals": markdown(
            ("domain", "predictor", *(heading for _, heading in SCORES)),
            [
                [name, rival, *(score_cells(scores)[key] for key, _ in SCORES)]
                for name, summary in found.items()
                for rival, scores in rival_rows(summary)
            ],
        ),
        "immune": markdown(
            ("ketamine on cytokines", "signs right"),
            [[name, "–" if x is None else f"{100 * x:.0f} %"] for name, x in immune_signs(validation).items()],
        ),
        "signs": markdown(
            ("record", "domain", "contested", "hour", "seen", "predicted", "without its own study"),
            wrong_signs(validation),
        ),
        "misfits": markdown(
            ("record", "domain", "what", "observed / predicted (90 % interval)", "left out"),
            [
                [cells[key] for key in ("id", "domain", "what", "points", "caveats")]
                for cells in map(misfit_cells, misfits(validation.records)[:WORST])
            ],
        ),
        "cannot": markdown(
            ("because", "records"),
            [[reason, f"{len(ids)}: {', '.join(ids)}"] for reason, ids in refused.items()],
        ),
    }


def wrong_signs(validation: Validation) -> list[list[str]]:
    """Return every sign that is not predicted, as cells."""
    rows = []
    for record in validation.records:
        for number, point in enumerate(record.points):
            if point.scale == "sign" and point.predicted != point.observed:
                left_out = f"{record.held_out[number].predicted:+.0f}" if record.held_out else "–"
                hour = "–" if point.time_h is None else f"{point.time_h:g}"
                rows.append([
                    record.id, record.domain, "yes" if record.contested else "no", hour, f"{point.observed:+.0f}",
                    f"{point.predicted:+.0f}", left_out,
                ])  # fmt: skip
    return rows


if __name__ == "__main__":
    sys.exit(main())
