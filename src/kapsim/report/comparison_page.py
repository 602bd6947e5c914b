"""A comparison as a figure and as a page."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np

from kapsim.report.compare import Comparison, Difference
from kapsim.report.figures import band_traces
from kapsim.report.layout import TimeAxis, axis_title, stacked
from kapsim.report.page import figure_item, render
from kapsim.report.spread import EndpointSummary
from kapsim.report.summary import range_text, shown_unit, value_text
from kapsim.report.theme import DASHES, PALETTE, number_text, template, translucent, unit_text

if TYPE_CHECKING:
    import plotly.graph_objects as go

_CAPTION = (
    "Above: median over people, and the band that holds half of them. Below: mean difference to the reference with its "
    "95 % interval, which says how exactly the simulation knows the mean."
)
_CONTENTS = (
    ("endpoints", "Endpoints"),
    ("figures", "Courses"),
    ("differences", "Differences"),
    ("limits", "Limits of use"),
    ("safety", "Safety"),
    ("provenance", "Provenance"),
)


def comparison_spec(comparison: Comparison) -> dict[str, Any]:
    """Return the figure of a comparison as plain data, with NumPy arrays in the traces."""
    curves = comparison.trajectories.values()
    axis = TimeAxis(min(float(c.time[0]) for c in curves), max(float(c.time[-1]) for c in curves))
    unit = unit_text(comparison.variable_unit)
    word = comparison.variable.upper() if comparison.variable in ("madrs", "hama") else comparison.variable
    layout, (above, below) = stacked(
        [
            (axis_title(word, unit), len(comparison.names)),
            (axis_title(f"{word}, difference", unit), len(comparison.course_differences)),
        ],
        axis,
    )
    # The strip for doses stays empty: runs have different doses.
    data: list[dict[str, Any]] = []
    for index, (name, curve) in enumerate(comparison.trajectories.items()):
        data += band_traces(curve, axis, name=name, unit=unit, index=index, place=above, outer=False)
    for index, (name, gap) in enumerate(comparison.course_differences.items(), start=1):
        colour = PALETTE[index % len(PALETTE)]
        safe = html.escape(f"{name} minus {comparison.reference}", quote=False)
        x = axis.scaled(gap.time)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.concatenate((x, x[::-1])),
                "y": np.concatenate((gap.mean_high, gap.mean_low[::-1])).astype(np.float32),
                "fill": "toself",
                "fillcolor": translucent(colour, 0.24),
                "line": {"width": 0},
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": f"difference-{index}",
                "name": f"{safe}, 95 % interval of the mean",
                **below,
            }
        )
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": gap.mean.astype(np.float32),
                "line": {"color": colour, "width": 2, "dash": DASHES[index % len(DASHES)]},
                "legendgroup": f"difference-{index}",
                "name": safe,
                "hovertemplate": f"%{{x:.4~g}} {axis.unit}<br>mean %{{y:.3~g}} {html.escape(unit)}<extra></extra>",
                **below,
            }
        )
    return {"data": data, "layout": layout}


def comparison_figure(comparison: Comparison, *, scheme: str = "light") -> go.Figure:
    """Draw the courses of a comparison above their differences to the reference."""
    import plotly.graph_objects as go

    spec = comparison_spec(comparison)
    return go.Figure(data=spec["data"], layout={**spec["layout"], "template": template(scheme)}, _validate=False)


def _cell(summary: EndpointSummary | None) -> str:
    if summary is None or not summary.count:
        return "–"
    return f"{value_text(summary)} ({range_text(summary)})"


def difference_row(item: Difference) -> dict[str, str]:
    """Return a difference as text, cell by cell."""
    # Differences of shares are given in percentage points, as trials give them.
    scale, unit = (100.0, "percentage points") if item.is_share else (1.0, unit_text(item.unit))

    def span(low: float, high: float) -> str:
        return "–" if np.isnan(low) else f"{number_text(scale * low)} to {number_text(scale * high)}"

    return {
        "long_name": item.long_name,
        "mean": number_text(scale * item.mean),
        "interval": span(item.mean_low, item.mean_high),
        "people_range": "–" if item.is_share else span(item.low, item.high),
        "unit": unit,
        "count": str(item.count),
    }


def comparison_html(comparison: Comparison) -> str:
    """Return a comparison as one self-contained HTML page."""
    reference = comparison.summaries[comparison.reference]
    unpaired = [name for name, paired in comparison.paired.items() if not paired]
    if unpaired:
        note = f"Other people than the reference, so differences are between groups: {', '.join(unpaired)}."
    else:
        note = "All hold the same people, so each difference is taken within a person."
    title = f"{' and '.join(comparison.names)} compared" if len(comparison.names) == 2 else "Runs compared"
    spec = comparison_spec(comparison)
    return render(
        "comparison.html.j2",
        {
            "title": title,
            "contents": _CONTENTS,
            "arms": comparison.names,
            "reference": comparison.reference,
            "pairing_note": note,
            "endpoints": [
                {
                    "long_name": row.long_name or row.name,
                    "unit": shown_unit(row),
                    "cells": [_cell(comparison.summaries[name].get(key)) for name in comparison.names],
                }
                for key, row in reference.items()
            ],
            "differences": [
                (
                    name,
                    "same people" if comparison.paired[name] else "different people",
                    [difference_row(item) for item in comparison.differences if item.arm == name],
                )
                for name in comparison.names[1:]
            ],
            "figures": [figure_item(spec, id="trajectories", title="Course and difference", caption=_CAPTION)],
            "provenance": list(comparison.provenance.items()),
        },
    )
