"""The figures of a trial: courses by arm, a forest of estimates, and power by the number of people."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kapsim.report.layout import TimeAxis, axis_title
from kapsim.report.page import figure_item
from kapsim.report.theme import DASHES, PALETTE, number_text, translucent
from kapsim.trial.analysis import primary_analysis, primary_contrast
from kapsim.trial.design import Trial
from kapsim.trial.operating import Figure, Table, share_figure
from kapsim.trial.power import fit_curve

__all__ = ["course_figure", "forest_figure", "power_figure", "size_powers"]

Array = NDArray[np.float64]

#: Trials that the forest shows one by one.
_SHOWN: Final = 20
_ROW_PIXELS: Final = 22
_CURVE_POINTS: Final = 80


def _figure(
    spec: dict[str, Any], columns: Sequence[tuple[str, str]], cells: Sequence[Sequence[str]], **words: str
) -> dict[str, Any]:
    item = figure_item(spec, id=words["id"], title=words["title"], caption=words["caption"], shows=words["shows"])
    return {
        **item,
        "columns": list(columns),
        "cells": list(cells),
        "time": words["first"],
        "table_caption": words["caption"],
    }


def _single(xaxis: dict[str, Any], yaxis: dict[str, Any]) -> dict[str, Any]:
    """Return the layout of a figure with one panel, its legend on top."""
    return {
        "height": 380,
        "margin": {"l": 76, "r": 16, "t": 48, "b": 56},
        "xaxis": xaxis,
        "yaxis": yaxis,
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
    }


def course_figure(trial: Trial, table: Table, scenario: str) -> dict[str, Any]:
    """Return the mean ratings of each arm on the primary scale: over trials, and what one trial would show."""
    scale, hours = trial.design.primary.scale, np.asarray([0.0, *trial.hours])
    axis = TimeAxis(0.0, float(hours[-1]))
    layout = _single(axis.layout("y"), {"title": {"text": axis_title(scale.upper(), "points")}, "zeroline": False})
    data: list[dict[str, Any]] = []
    cells: list[list[str]] = [[number_text(float(axis.one(hour)))] for hour in hours]
    for index, name in enumerate(trial.groups):
        middle, low, high = _means(table, scenario, f"mean_{scale}", name, len(hours))
        colour, x = PALETTE[index % len(PALETTE)], axis.scaled(hours)
        shared = {"legendgroup": name}
        known = np.isfinite(middle)
        data.append(
            {
                "type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False,
                "x": np.concatenate((x[known], x[known][::-1])),
                "y": np.concatenate((high[known], low[known][::-1])).astype(np.float32),
                "fill": "toself", "fillcolor": translucent(colour, 0.2), "line": {"width": 0},
                "name": f"{html.escape(name)}, 95 % of trials", **shared,
            }
        )  # fmt: skip
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "x": x[known], "y": middle[known].astype(np.float32),
                "line": {"color": colour, "width": 2, "dash": DASHES[index % len(DASHES)]},
                "name": html.escape(name),
                "hovertemplate": f"%{{x:.4~g}} {axis.unit}<br>%{{y:.3~g}} points<extra></extra>", **shared,
            }
        )  # fmt: skip
        for row, values in zip(cells, zip(middle, low, high, strict=True), strict=True):
            row.append(f"{number_text(values[0])} ({number_text(values[1])} to {number_text(values[2])})")
    columns = [(name, "points") for name in trial.groups]
    return _figure(
        {"data": data, "layout": layout}, columns, cells, id="courses", title="Course by arm",
        caption="Mean rating of those who came, averaged over trials; the band holds the mean of 95 % of the trials.",
        shows="lines and bands over time", first=f"{axis.words} ({axis.unit})",
    )  # fmt: skip


def _means(table: Table, scenario: str, analysis: str, name: str, visits: int) -> tuple[Array, Array, Array]:
    here = (table["scenario"] == scenario) & (table["analysis"] == analysis) & (table["contrast"] == name)
    middle, low, high = (np.full(visits, np.nan) for _ in range(3))
    for visit in range(visits):
        values = table["value"][here & (table["look"] == visit)]
        known = values[np.isfinite(values)]
        if len(known):
            middle[visit] = known.mean()
            low[visit], high[visit] = np.quantile(known, [0.025, 0.975])
    return middle, low, high


def forest_figure(trial: Trial, table: Table, scenario: str) -> dict[str, Any]:
    """Return the estimates of the first trials with their intervals, of all together, and of parts of the people."""
    analysis, contrast = primary_analysis(trial), primary_contrast(trial)
    if analysis == "log_rank":
        analysis = "cox"
    rows = _forest_rows(table, scenario, analysis, contrast)
    names = [row[0] for row in rows]
    values, low, high = (np.asarray([row[k] for row in rows], dtype=float) for k in (1, 2, 3))
    y = np.arange(len(rows), 0, -1, dtype=float)
    colours = [PALETTE[0] if row[4] else PALETTE[1] for row in rows]
    known = np.isfinite(values)
    data = [
        {
            "type": "scatter", "mode": "markers", "x": values[known], "y": y[known],
            "error_x": {
                "type": "data", "symmetric": False, "array": (high - values)[known].tolist(),
                "arrayminus": (values - low)[known].tolist(), "thickness": 1.2, "width": 3,
            },
            "marker": {"size": 7, "color": [c for c, k in zip(colours, known, strict=True) if k]},
            "showlegend": False, "name": "estimate",
            "hovertemplate": "%{x:.3~g}<extra></extra>",
        }
    ]  # fmt: skip
    layout = {
        "height": 90 + _ROW_PIXELS * len(rows),
        "margin": {"l": 240, "r": 16, "t": 16, "b": 56},
        "xaxis": {"title": {"text": html.escape(f"{contrast}, {_unit(trial)}")}, "zeroline": True},
        "yaxis": {
            "tickvals": y.tolist(), "ticktext": [html.escape(name) for name in names],
            "range": [0.3, len(rows) + 0.7], "zeroline": False,
        },
    }  # fmt: skip
    cells = [[name, number_text(v), f"{number_text(a)} to {number_text(b)}"] for name, v, a, b, _ in rows]
    return _figure(
        {"data": data, "layout": layout}, [("estimate", _unit(trial)), ("95 % interval", "")], cells, id="forest",
        title="Estimates", first="of",
        caption=f"First {_SHOWN} trials at most, each with the interval of its own analysis; below, means over all "
        "trials with the range that holds 95 % of their estimates, for everybody and for parts of the people.",
        shows="points with intervals, one row each",
    )  # fmt: skip


def _unit(trial: Trial) -> str:
    if trial.design.kind == "withdrawal":
        return "log hazard ratio"
    return "points" if trial.design.primary.measure == "change" else "share"


def _forest_rows(
    table: Table, scenario: str, analysis: str, contrast: str
) -> list[tuple[str, float, float, float, bool]]:
    own = (table["scenario"] == scenario) & (table["analysis"] == analysis) & (table["contrast"] == contrast)
    last = own & (table["look"] == table["look"][own].max(initial=0))
    rows: list[tuple[str, float, float, float, bool]] = []
    for place in np.flatnonzero(last)[:_SHOWN]:
        value, low, high = (float(table[name][place]) for name in ("value", "low", "high"))
        rows.append((f"trial {int(table['replicate'][place]) + 1}", value, low, high, True))
    rows.append(("all trials", *_range(table["value"][last]), False))
    parts = (table["scenario"] == scenario) & (table["analysis"] == "subgroup")
    for name in dict.fromkeys(table["contrast"][parts].tolist()):
        values = table["value"][parts & (table["contrast"] == name)]
        rows.append((str(name).split(": ", 1)[-1], *_range(values), False))
    return rows


def _range(values: Array) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(known.mean()), float(low), float(high)


def size_powers(trial: Trial, patients: int, table: Table, scenario: str) -> tuple[list[int], list[Figure], Array]:
    """Return sizes, the share of trials that find a difference with each, and what each trial finds.

    Of a design with interim looks these are trials without them.
    """
    contrast, alpha = primary_contrast(trial), trial.design.analysis.alpha
    own = (table["scenario"] == scenario) & (table["contrast"] == contrast)
    smaller = own & (table["analysis"] == "smaller")
    whole = own & (table["analysis"] == primary_analysis(trial))
    whole &= table["look"] == table["look"][whole].max(initial=0)
    sizes, columns = [], []
    for size in sorted({int(look) for look in table["look"][smaller]} - {patients}):
        sizes.append(size)
        columns.append(table["p"][smaller & (table["look"] == size)] <= alpha)
    sizes.append(patients)
    columns.append(table["p"][whole] <= alpha)
    found = np.stack(columns, axis=1)
    return sizes, [share_figure(int(column.sum()), len(found)) for column in found.T], found


def power_figure(
    sizes: Sequence[int],
    shares: Sequence[Figure],
    curve: tuple[float, float],
    *,
    target: float | None = None,
    title: str = "Power by size",
) -> dict[str, Any]:
    """Return power by the number of people: as simulated, and the fitted curve."""
    from scipy.special import ndtr

    x = np.linspace(max(2.0, 0.5 * min(sizes)), 1.1 * max(sizes), _CURVE_POINTS)
    values = np.asarray([figure.value for figure in shares])
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "x": x, "y": 100.0 * ndtr(curve[0] + curve[1] * np.sqrt(x)),
            "line": {"color": PALETTE[0], "width": 2}, "name": "fitted curve", "hoverinfo": "skip",
        },
        {
            "type": "scatter", "mode": "markers", "x": np.asarray(sizes, dtype=float), "y": 100.0 * values,
            "error_y": {
                "type": "data", "symmetric": False, "thickness": 1.2, "width": 3,
                "array": [100.0 * (figure.high - figure.value) for figure in shares],
                "arrayminus": [100.0 * (figure.value - figure.low) for figure in shares],
            },
            "marker": {"size": 8, "color": PALETTE[1]}, "name": "simulated, 95 % Monte Carlo interval",
            "hovertemplate": "%{x} people: %{y:.1f} %<extra></extra>",
        },
    ]  # fmt: skip
    if target is not None:
        data.append(
            {
                "type": "scatter", "mode": "lines", "x": x[[0, -1]], "y": np.asarray([100.0 * target] * 2),
                "line": {"color": PALETTE[2], "width": 1, "dash": "dash"}, "name": "target", "hoverinfo": "skip",
            }
        )  # fmt: skip
    layout = _single(
        {"title": {"text": "people in the trial"}, "rangemode": "tozero"},
        {"title": {"text": "finds a difference (%)"}, "range": [0, 102]},
    )
    cells = [
        [str(size), f"{100 * figure.value:.1f}", f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"]
        for size, figure in zip(sizes, shares, strict=True)
    ]
    return _figure(
        {"data": data, "layout": layout}, [("finds a difference", "%"), ("95 % Monte Carlo interval", "%")], cells,
        id="power", title=title, first="people",
        caption="Share of trials that find a difference by the number of people, and a probit in its square root.",
        shows="points with intervals and a curve",
    )  # fmt: skip


def fitted(sizes: Sequence[int], found: Array) -> tuple[float, float]:
    """Return the curve through the powers of some sizes."""
    return fit_curve(np.asarray(sizes, dtype=float), found.astype(bool))
