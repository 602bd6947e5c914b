"""A validation as a page: limits and scores, predicted against observed, misfits first, and what is out of reach."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kapsim.report.layout import axis_title
from kapsim.report.page import figure_item, render
from kapsim.report.theme import PALETTE, number_text, percent_text, translucent, unit_text
from kapsim.validation.limit import Limit
from kapsim.validation.limits import limits
from kapsim.validation.scoring import FOLD_SCALES, PointScore, RecordScore, Scores
from kapsim.validation.summary import DomainSummary, immune_signs, misfits, summaries

if TYPE_CHECKING:
    from kapsim.validation.run import Validation

#: Curves shown, the worst fitting first.
MOST_CURVES = 24
_PLOT_PIXELS, _CURVE_PIXELS = 460, 320
_CONTENTS = (
    ("limits-met", "Limits set beforehand"),
    ("domains", "Scores by domain"),
    ("scatter", "Predicted against observed"),
    ("curves", "Curves, misfits first"),
    ("records", "Every record, misfits first"),
    ("cannot", "What cannot be simulated"),
    ("limits", "Limits of use"),
    ("safety", "Safety"),
    ("provenance", "Provenance"),
)
CLASS_WORDS = {
    "all": "all classes together",
    "independent": "independent",
    "parameter_source": "its study gave a parameter",
    "fitted": "fitted",
    "held_out": "without its own study",
    "contested": "contested observables",
}
_SCATTERS = (
    ("concentrations", "Concentrations, areas and ratios", ("log",), "log"),
    ("percent", "Percent changes", ("percent",), "linear"),
    ("points", "Points of scales and acute effects", ("points",), "linear"),
    ("shares", "Shares of people (%)", ("share",), "linear"),
    ("effects", "Standardised differences", ("effect",), "linear"),
)
_SYMBOLS = {"independent": "circle", "parameter_source": "square-open", "fitted": "diamond-open"}


def class_rows(summary: DomainSummary) -> Iterable[tuple[str, Scores]]:
    """Yield the classes of a domain that have records, with their scores."""
    if len(summary.by_independence) > 1:
        yield "all", summary.scores
    yield from summary.by_independence.items()
    for name, scores in (("held_out", summary.held_out), ("contested", summary.contested)):
        if scores is not None:
            yield name, scores


def rival_rows(summary: DomainSummary) -> Iterable[tuple[str, Scores]]:
    """Yield a domain's model and rivals: fitted on the very figures, then each without the study that it predicts."""
    if summary.rivals:
        yield from (("kapsim", summary.scores), *summary.rivals.items())
    if summary.held_out is not None and summary.rivals_held_out:
        for name, scores in (("kapsim", summary.held_out), *summary.rivals_held_out.items()):
            yield f"{name}, without the study", scores


def score_cells(scores: Scores) -> dict[str, str]:
    """Return scores as text, cell by cell; an en dash where there is none."""

    def number(value: float | None) -> str:
        return "–" if value is None else number_text(value)

    def share(value: float | None) -> str:
        return "–" if value is None else percent_text(value)

    return {
        "records": str(scores.n_records),
        "points": str(scores.n_points),
        "studies": str(scores.n_studies),
        "gmfe": number(scores.gmfe),
        "mdape": "–" if scores.mdape is None else f"{scores.mdape:.0f} %",
        "within_twofold": share(scores.within_twofold),
        "within_1_25": share(scores.within_1_25),
        "rmse": number(scores.rmse),
        "bias": number(scores.bias),
        "rate_mae": number(scores.rate_mae),
        "effect_mae": number(scores.effect_mae),
        "coverage": share(scores.coverage90),
        "signs": share(scores.signs_right),
        "log_score": number(scores.log_score),
        "noise": " / ".join(
            number_text(value)
            for value in (scores.noise_fold, scores.noise_points, scores.noise_rate)
            if value is not None
        )
        or "–",
    }


def limit_cells(limit: Limit) -> dict[str, str]:
    """Return a limit as text, cell by cell."""
    verdict = "no record tests it" if limit.met is None else ("met" if limit.met else "not met")
    return {
        "name": limit.name,
        "wanted": limit.wanted,
        "evidence": CLASS_WORDS[limit.evidence],
        "found": "–" if limit.found is None else number_text(limit.found),
        "points": str(limit.n_points),
        "verdict": verdict,
        "sound": _sound(limit),
        "beyond": ", ".join(limit.beyond) or "–",
    }


def _sound(limit: Limit) -> str:
    """Return what is found without weak figures, and the verdict; an en dash where it is the same."""
    if limit.found_sound is None or limit.found_sound == limit.found:
        return "–"
    return f"{number_text(limit.found_sound)}, {'met' if limit.met_sound else 'not met'}"


def validation_html(validation: Validation) -> str:
    """Return a validation as one self-contained HTML page.

    Parameters
    ----------
    validation : Validation
    """
    records = validation.records
    scored = [record for record in records if record.status == "scored"]
    worst = misfits(records)
    curves = [record for record in worst if _has_curve(record)][:MOST_CURVES]
    return render(
        "validation.html.j2",
        {
            "title": "kapsim held against published records",
            "contents": _CONTENTS,
            "n_records": len(records),
            "n_scored": len(scored),
            "n_points": sum(len(record.points) for record in scored),
            "limits_met": [limit_cells(item) for item in limits(records)],
            "domains": [
                (name, CLASS_WORDS[kind], score_cells(scores))
                for name, summary in summaries(validation).items()
                for kind, scores in class_rows(summary)
            ],
            "rivals": [
                (name, rival, score_cells(scores))
                for name, summary in summaries(validation).items()
                for rival, scores in rival_rows(summary)
            ],
            "immune": [(name, "–" if x is None else percent_text(x)) for name, x in immune_signs(validation).items()],
            "scatters": list(_scatters(scored)),
            "curves": [_curve_item(record) for record in curves],
            "records": [misfit_cells(record) for record in worst],
            "cannot": [(r.id, r.domain, r.reason) for r in records if r.status == "cannot"],
            "not_testable": [(r.id, r.domain, r.not_testable) for r in records if r.not_testable is not None],
            "failures": validation.failures,
            "provenance": list(validation.settings.items()),
        },
    )


def misfit_cells(record: RecordScore) -> dict[str, str]:
    """Return a record as text, cell by cell."""

    def points(of: Sequence[PointScore]) -> str:
        return "; ".join(
            (f"{number_text(point.time_h)} h: " if point.time_h is not None else "")
            + f"{number_text(point.observed)} / {number_text(point.predicted)}"
            + (
                ""
                if point.scale == "sign"
                else f" ({number_text(point.low)} to {number_text(point.high)})" + ("" if point.inside else " outside")
            )
            for point in of
        )

    return {
        "id": record.id,
        "domain": record.domain,
        "independence": CLASS_WORDS[record.independence],
        "what": f"{record.observable}, {record.statistic}",
        "unit": unit_text(record.unit),
        "points": points(record.points),
        "held_out": points(record.held_out) or (record.not_testable or "–"),
        "caveats": "; ".join([*record.caveats, *([record.weakness] if record.weakness else [])]) or "–",
    }


# --- figures ---------------------------------------------------------------------------------------------------------


def _scatters(records: Sequence[RecordScore]) -> Iterable[dict[str, Any]]:
    caption = (
        "Each mark is one printed figure; on the dashed line prediction and observation agree. Filled circles: "
        "independent of the model; open squares: the study gave the model a parameter; open diamonds: fitted."
    )
    for key, title, spec in scatter_specs(records):
        yield figure_item(spec, id=f"scatter-{key}", title=title, caption=caption)


def scatter_specs(records: Sequence[RecordScore]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Yield name, title and Plotly figure of predicted against observed, one a kind of figure."""
    for key, title, scales, kind in _SCATTERS:
        traces = list(_scatter_traces(records, scales, positive=kind == "log"))
        if not traces:
            continue
        low = min(min(trace["x"] + trace["y"]) for trace in traces)
        high = max(max(trace["x"] + trace["y"]) for trace in traces)
        line = {
            "type": "scatter",
            "mode": "lines",
            "x": [low, high],
            "y": [low, high],
            "line": {"color": "#8A8A8A", "width": 1, "dash": "dash"},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        layout = {
            "height": _PLOT_PIXELS,
            "margin": {"l": 72, "r": 16, "t": 24, "b": 60},
            "xaxis": {"title": {"text": "observed"}, "type": kind},
            "yaxis": {"title": {"text": "predicted"}, "type": kind},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        }
        yield key, title, {"data": [line, *traces], "layout": layout}


def _scatter_traces(
    records: Sequence[RecordScore], scales: tuple[str, ...], *, positive: bool
) -> Iterable[dict[str, Any]]:
    domains = list(dict.fromkeys(record.domain for record in records))
    for record_domain in domains:
        found = [
            (record, point)
            for record in records
            if record.domain == record_domain
            for point in record.points
            if point.scale in scales
            and math.isfinite(point.predicted)
            and (not positive or (point.observed > 0 and point.predicted > 0))
        ]
        if found:
            yield {
                "type": "scatter",
                "mode": "markers",
                "name": record_domain,
                "x": [point.observed for _, point in found],
                "y": [point.predicted for _, point in found],
                "text": [html.escape(record.id) for record, _ in found],
                "hovertemplate": "%{text}<br>observed %{x:.3~g}, predicted %{y:.3~g}<extra></extra>",
                "marker": {
                    "size": 8,
                    "color": PALETTE[domains.index(record_domain) % len(PALETTE)],
                    "symbol": [_SYMBOLS[record.independence] for record, _ in found],
                },
            }


def _has_curve(record: RecordScore) -> bool:
    timed = [point for point in record.points if point.time_h is not None and point.scale != "sign"]
    return len(timed) > 1


def _curve_item(record: RecordScore) -> dict[str, Any]:
    points = [point for point in record.points if point.time_h is not None]
    hours = [point.time_h for point in points]
    logarithmic = all(point.scale in FOLD_SCALES and point.low > 0 for point in points)
    unit = unit_text(record.unit)
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": [*hours, *hours[::-1]],
        "y": [*(point.high for point in points), *(point.low for point in reversed(points))],
        "fill": "toself",
        "fillcolor": translucent(PALETTE[0], 0.2),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "name": "90 % of studies of this size",
    }
    predicted = {
        "type": "scatter",
        "mode": "lines",
        "x": hours,
        "y": [point.predicted for point in points],
        "line": {"color": PALETTE[0], "width": 2},
        "name": "predicted",
    }
    observed = {
        "type": "scatter",
        "mode": "markers",
        "x": hours,
        "y": [point.observed for point in points],
        "marker": {"color": PALETTE[1], "size": 9},
        "name": "observed",
    }
    spec = {
        "data": [band, predicted, observed],
        "layout": {
            "height": _CURVE_PIXELS,
            "margin": {"l": 72, "r": 16, "t": 24, "b": 56},
            "xaxis": {"title": {"text": "time (h)"}},
            "yaxis": {
                "title": {"text": axis_title(record.statistic, unit)},
                "type": "log" if logarithmic else "linear",
            },
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        },
    }
    caption = f"{record.observable}, {record.statistic}, {record.study}; {CLASS_WORDS[record.independence]}."
    if record.caveats:
        caption += f" Left out: {'; '.join(record.caveats)}."
    return figure_item(spec, id=f"curve-{record.id.replace('.', '-')}", title=record.id, caption=caption)
