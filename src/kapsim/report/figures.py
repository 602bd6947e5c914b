"""Figures of simulated results: bands over people, with doses, therapy and stressors marked."""

from __future__ import annotations

import difflib
import html
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kapsim.errors import InputError
from kapsim.report.bands import Bands, Floats, bands, course, has_course, patient_quantiles, times, window
from kapsim.report.layout import TimeAxis, axis_title, stacked
from kapsim.report.panels import PANELS, Panel, Row
from kapsim.report.theme import (
    DASHES,
    DOSE_COLOUR,
    PALETTE,
    STRESSOR_COLOUR,
    THERAPY_COLOUR,
    number_text,
    template,
    translucent,
    unit_text,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

FIGURES: Final = tuple(PANELS)

_MARKS = (
    ("doses", "dose", DOSE_COLOUR, "triangle-down"),
    ("sessions", "therapy", THERAPY_COLOUR, "square"),
    ("stressors", "stressor", STRESSOR_COLOUR, "x"),
)


def event_list(dataset: xr.Dataset, name: str) -> list[dict[str, Any]]:
    """Return the doses, sessions or stressors that the results record, as dictionaries with `start_h`.

    Raises
    ------
    InputError
        If the attribute is not a JSON list of objects with `start_h`.
    """
    text = dataset.attrs.get(name) or "[]"
    try:
        events = json.loads(text)
        if not all(isinstance(event, dict) and np.isfinite(float(event["start_h"])) for event in events):
            raise ValueError
    except (ValueError, TypeError, KeyError):
        raise InputError(
            f"results: attribute {name}: not a JSON list of objects with start_h; write the results with kapsim again"
        ) from None
    return list(events)


def panel_view(dataset: xr.Dataset, panel: Panel) -> tuple[slice, TimeAxis]:
    """Return the samples of time that a figure shows, and their axis."""
    time = times(dataset)
    if panel.hours_after_first_dose is None:
        return slice(0, time.shape[0]), TimeAxis(float(time[0]), float(time[-1]))
    doses = event_list(dataset, "doses")
    first = min((float(dose["start_h"]) for dose in doses), default=None)
    start, width = float(time[0]) if first is None else first, panel.hours_after_first_dose
    shown = window(time, start - width / 24, start + width)
    view = time[shown]
    return shown, TimeAxis(float(view[0]), float(view[-1]), first)


def panel_rows(dataset: xr.Dataset, panel: Panel) -> list[tuple[Row, str]]:
    """Return the rows that the results can fill, each with its one unit."""
    rows: list[tuple[Row, str]] = []
    for row in panel.rows:
        by_unit: dict[str, list[str]] = {}
        for name in row.variables:
            if has_course(dataset, name):
                by_unit.setdefault(str(dataset.variables[name].attrs.get("units", "1")), []).append(name)
        rows.extend((Row(row.label, tuple(names)), unit_text(unit)) for unit, names in by_unit.items())
    return rows


def long_name(dataset: xr.Dataset, name: str) -> str:
    """Return the readable name of a variable."""
    return str(dataset.variables[name].attrs.get("long_name") or name.replace("_", " "))


def band_traces(
    curve: Bands, axis: TimeAxis, *, name: str, unit: str, index: int, place: dict[str, Any], outer: bool = True
) -> list[dict[str, Any]]:
    """Return the Plotly traces of one variable: a 90 % band, a 50 % band and the median.

    Parameters
    ----------
    curve : Bands
        Quantiles over people.
    axis : TimeAxis
        Gives the unit of time.
    name, unit : str
        For the legend and the hover text; escaped here.
    index : int
        Which colour and dash.
    place : dict
        Axis and legend of the row.
    outer : bool
        Draw the 90 % band as well.
    """
    colour = PALETTE[index % len(PALETTE)]
    safe = html.escape(name, quote=False)
    x = axis.scaled(curve.time)
    both_ways = np.concatenate((x, x[::-1]))
    traces: list[dict[str, Any]] = []
    for low, high, opacity in ((0, 4, 0.14), (1, 3, 0.24)) if outer else ((1, 3, 0.24),):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": both_ways,
                "y": np.concatenate((curve.quantiles[high], curve.quantiles[low][::-1])).astype(np.float32),
                "fill": "toself",
                "fillcolor": translucent(colour, opacity),
                "line": {"width": 0},
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": f"{place['yaxis']}-{index}",
                "name": f"{safe}, {'90' if low == 0 else '50'} % of people",
                **place,
            }
        )
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": curve.quantiles[2].astype(np.float32),
            "line": {"color": colour, "width": 2, "dash": DASHES[index % len(DASHES)]},
            "legendgroup": f"{place['yaxis']}-{index}",
            "name": safe,
            "hovertemplate": f"%{{x:.4~g}} {axis.unit}<br>median %{{y:.3~g}} {html.escape(unit)}<extra></extra>",
            **place,
        }
    )
    return traces


def mark_traces(
    dataset: xr.Dataset, axis: TimeAxis, strip: str, rows: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return marker traces for the strip above the rows, a lane a kind, and shapes within the rows.

    Parameters
    ----------
    dataset : xarray.Dataset
        Records doses, sessions and stressors.
    axis : TimeAxis
        What is shown.
    strip : str
        Vertical axis of the strip, 0 to 1.
    rows : list of str
        Vertical axes of the rows.
    """
    lanes = []
    for attribute, word, colour, symbol in _MARKS:
        events = [event for event in event_list(dataset, attribute) if _overlaps(event, axis)]
        if events:
            lanes.append((events, word, colour, symbol))
    traces: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    for lane, (events, word, colour, symbol) in enumerate(lanes):
        starts = [float(event["start_h"]) for event in events]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": axis.scaled(starts),
                "y": [1 - (lane + 0.5) / len(lanes)] * len(events),
                "marker": {"symbol": symbol, "size": 9, "color": colour},
                "name": word,
                "text": [html.escape(str(event.get("label") or word), quote=False) for event in events],
                "hovertemplate": f"{word}: %{{text}}<br>at %{{x:.4~g}} {axis.unit}<extra></extra>",
                "yaxis": strip,
                "legend": "legend",
            }
        )
        if word == "therapy":
            # Lines for every session would hide the doses: the strip shows them.
            continue
        for event, start in zip(events, starts, strict=True):
            shapes += [
                {
                    "type": "rect",
                    "name": word,
                    "xref": "x",
                    # Not across the gaps, where names stand.
                    "yref": f"{row} domain",
                    "x0": axis.one(start),
                    "x1": axis.one(start + float(event.get("duration_h", 0.0))),
                    "y0": 0,
                    "y1": 1,
                    "layer": "below",
                    "fillcolor": translucent(colour, 0.15),
                    "line": {"color": translucent(colour, 0.55), "width": 1},
                }
                for row in rows
            ]
    return traces, shapes


def _overlaps(event: dict[str, Any], axis: TimeAxis) -> bool:
    start = float(event["start_h"])
    return start <= axis.end_h and start + float(event.get("duration_h", 0.0)) >= axis.start_h


def figure_spec(dataset: xr.Dataset, kind: str = "course") -> dict[str, Any]:
    """Return a figure as plain data: ``{"data": [...], "layout": {...}}`` with NumPy arrays in the traces.

    Parameters
    ----------
    dataset : xarray.Dataset
        Simulated results.
    kind : str
        One of `FIGURES`.

    Raises
    ------
    InputError
        For an unknown kind, or results that hold none of the variables it shows.
    """
    if kind not in PANELS:
        near = difflib.get_close_matches(str(kind), FIGURES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"figure: unknown kind {kind!r}{hint} Known: {', '.join(FIGURES)}")
    panel = PANELS[kind]
    rows = panel_rows(dataset, panel)
    if not rows:
        wanted = ", ".join(name for row in panel.rows for name in row.variables)
        raise InputError(f"figure {kind!r}: the results hold none of {wanted}; run kapsim.simulate for full results")
    shown, axis = panel_view(dataset, panel)
    view = times(dataset)[shown]
    layout, places = stacked([(axis_title(row.label, unit), len(row.variables)) for row, unit in rows], axis)
    data: list[dict[str, Any]] = []
    for (row, unit), place in zip(rows, places, strict=True):
        traces: list[dict[str, Any]] = []
        for index, name in enumerate(row.variables):
            curve = bands(view, course(dataset, name)[:, shown])
            traces += band_traces(curve, axis, name=long_name(dataset, name), unit=unit, index=index, place=place)
        # The lines of a row lie above its bands.
        data += sorted(traces, key=lambda trace: "fill" not in trace)
    marks, layout["shapes"] = mark_traces(dataset, axis, "y", [place["yaxis"] for place in places])
    return {"data": data + marks, "layout": layout}


def table_of(
    dataset: xr.Dataset, kind: str, *, samples: int = 12
) -> tuple[str, list[tuple[str, str]], list[list[str]]]:
    """Return a figure as a table: which time in which unit, (name, unit) of each column, and rows of text.

    Each cell is the median and, in brackets, the 5th and 95th percentile over people. The times are `samples` evenly
    spaced ones, and those at which a variable is on average farthest from its start.
    """
    panel = PANELS[kind]
    shown, axis = panel_view(dataset, panel)
    view: Floats = times(dataset)[shown]
    columns = [(name, unit) for row, unit in panel_rows(dataset, panel) for name in row.variables]
    values = [course(dataset, name)[:, shown] for name, _ in columns]
    even = np.searchsorted(view, np.linspace(view[0], view[-1], samples)).clip(0, view.size - 1)
    means = [each.mean(axis=0) for each in values]
    nearest = np.unique([*even, *(int(np.abs(mean - mean[0]).argmax()) for mean in means)])
    cells: list[list[str]] = [[number_text(axis.one(float(hour)))] for hour in view[nearest]]
    for each in values:
        quantiles = patient_quantiles(each[:, nearest], (0.05, 0.5, 0.95))
        # What is left of a drug after weeks is arithmetic, not a finding.
        quantiles[np.abs(quantiles) < 1e-5 * np.abs(quantiles).max()] = 0.0
        for line, (low, middle, high) in zip(cells, quantiles.T.tolist(), strict=True):
            line.append(f"{number_text(middle)} ({number_text(low)} to {number_text(high)})")
    return f"{axis.words} ({axis.unit})", [(long_name(dataset, name), unit) for name, unit in columns], cells


def plot(dataset: xr.Dataset, kind: str = "course", *, scheme: str = "light") -> go.Figure:
    """Draw simulated results.

    Lines are medians over simulated people; the bands hold the middle 50 % and 90 % of them. Marks on top show doses,
    therapy and stressors.

    Parameters
    ----------
    dataset : xarray.Dataset
        Simulated results.
    kind : str
        One of `kapsim.report.FIGURES`: "course" (the whole chain), "concentrations", "glutamate", "plasticity",
        "network", "inflammation", "belief", "mood" or "acute".
    scheme : {"light", "dark"}
        Colours for a light or a dark background.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    InputError
        For an unknown kind, or results that hold none of the variables it shows.
    """
    import plotly.graph_objects as go

    spec = figure_spec(dataset, kind)
    spec["layout"]["template"] = template(scheme)
    spec["layout"]["title"] = {"text": PANELS[kind].title, "x": 0, "xref": "paper", "y": 0.995, "yanchor": "top"}
    spec["layout"]["margin"]["t"] += 36
    spec["layout"]["height"] += 36
    return go.Figure(data=spec["data"], layout=spec["layout"], _validate=False)
