"""The figure of the course page: one row a link, over one time axis, for one course or two.

The traces of a figure are always the same and stand in the same order, so that moving a control sends their numbers
alone, which the browser draws into the figure that is there (`assets/course.js`).
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kapsim.app.address import Window
from kapsim.report.bands import Floats, bands, course, times, window
from kapsim.report.figures import event_list, long_name
from kapsim.report.layout import TimeAxis
from kapsim.report.theme import (
    DASHES,
    DOSE_COLOUR,
    PALETTE,
    STRESSOR_COLOUR,
    THERAPY_COLOUR,
    template,
    translucent,
    unit_text,
)

if TYPE_CHECKING:
    import xarray as xr

Results = Sequence["xr.Dataset"]

#: Rows from top to bottom: (variable, what its axis says), in the order of the story.
ROWS: tuple[tuple[str, str], ...] = (
    ("plasma_ketamine_venous", "ketamine in venous plasma"),
    ("nmda_block", "NMDA receptors blocked, share"),
    ("glutamate", "glutamate, healthy = 1"),
    ("plasticity_window", "plasticity window, rest = 0"),
    ("spine_density", "connections (dendritic spines), healthy = 1"),
    ("dmn_activity", "default mode network activity, healthy = 1"),
    ("rumination", "rumination, 0 to 1"),
    ("il6", "inflammation (interleukin 6), healthy = 1"),
    ("madrs", "depression, MADRS"),
    ("cadss", "acute dissociation, CADSS"),
)
#: What stands in the figure's place until the first course is there.
EMPTY: dict[str, Any] = {
    "data": [],
    "layout": {
        "xaxis": {"visible": False},
        "yaxis": {"visible": False},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    },
}
#: Hours that the narrow window shows from the first dose on, and the share of them that it shows before.
WINDOW_H, _LEAD = 48.0, 1 / 24
#: Names of the courses; the first is the one whose controls stand on top.
COURSES = ("course", "second course")
# fewer would draw a slope where a dose makes a step
_POINTS = 400
_ROW, _GAP, _TOP, _BOTTOM, _STRIP = 84, 44, 34, 48, 30
_MARKS = (
    ("doses", "dose", DOSE_COLOUR, "triangle-down"),
    ("sessions", "therapy", THERAPY_COLOUR, "square"),
    ("stressors", "stressor", STRESSOR_COLOUR, "x"),
)
# All that is not a number of a trace changes only with these: how many courses, and the unit of time.
Kind = tuple[int, str, float, float]


def packed(values: Any) -> dict[str, str]:
    """Return an array as Plotly's base64 array of single precision."""
    single = np.ascontiguousarray(values, dtype="<f4")
    return {"dtype": "f4", "bdata": base64.b64encode(single.tobytes()).decode("ascii")}


def time_axis(results: Results, shown: Window) -> TimeAxis:
    """Return the axis of all courses: from the first to the last hour, or around the first dose of the first course."""
    end = max(float(times(dataset)[-1]) for dataset in results)
    if shown == "weeks":
        return TimeAxis(0.0, end)
    first = min((float(dose["start_h"]) for dose in event_list(results[0], "doses")), default=0.0)
    return TimeAxis(max(first - WINDOW_H * _LEAD, 0.0), min(first + WINDOW_H, end), first)


def kind_of(results: Results, axis: TimeAxis) -> Kind:
    """Return what the layout depends on."""
    return len(results), axis.unit, axis.one(axis.start_h), axis.one(axis.end_h)


class Numbers(NamedTuple):
    """What changes in a figure when a control moves.

    Attributes
    ----------
    traces : list of dict
        `x` and `y` of every trace and what else moves with them, in the order of `figure`.
    ranges : dict of str to list of float
        Least and most of each vertical axis, by its name in a layout.
    """

    traces: list[dict[str, Any]]
    ranges: dict[str, list[float]]


class Drawn(NamedTuple):
    """A figure as plain data, and what its layout depends on."""

    figure: dict[str, Any]
    kind: Kind
    numbers: Numbers


def numbers(results: Results, axis: TimeAxis) -> Numbers:
    """Return the numbers of a figure."""
    found: list[dict[str, Any]] = []
    ends: dict[str, list[float]] = {}
    for dataset in results:
        clock = times(dataset)
        view = window(clock, axis.start_h, axis.end_h)
        for row, (name, _) in enumerate(ROWS):
            curve = bands(clock[view], course(dataset, name)[:, view], limit=_POINTS)
            ends.setdefault(f"yaxis{row + 2}", []).extend((curve.quantiles.min(), curve.quantiles.max()))
            x = axis.scaled(curve.time)
            both = packed(np.concatenate((x, x[::-1])))
            for low, high in ((0, 4), (1, 3)):
                edge = np.concatenate((curve.quantiles[high], curve.quantiles[low][::-1]))
                found.append({"x": both, "y": packed(edge)})
            found.append({"x": packed(x), "y": packed(curve.quantiles[2])})
    if len(results) == 2:
        hours, middle, lower, upper = difference(results[0], results[1], axis)
        ends[f"yaxis{len(ROWS) + 2}"] = [float(lower.min()), float(upper.max())]
        x = axis.scaled(hours)
        found.append({"x": packed(np.concatenate((x, x[::-1]))), "y": packed(np.concatenate((upper, lower[::-1])))})
        found.append({"x": packed(x), "y": packed(middle)})
    for number, dataset in enumerate(results):
        for lane, (attribute, word, _, _) in enumerate(_MARKS):
            events = [
                event for event in event_list(dataset, attribute) if axis.start_h <= event["start_h"] <= axis.end_h
            ]
            found.append(
                {
                    "x": packed(axis.scaled([float(event["start_h"]) for event in events])),
                    "y": [1.0 - (lane + 0.5) / len(_MARKS) - 0.1 * number] * len(events),
                    "text": [html.escape(str(event.get("label") or word), quote=False) for event in events],
                }
            )
    return Numbers(found, {name: _round_range(min(values), max(values)) for name, values in ends.items()})


def _round_range(low: float, high: float) -> list[float]:
    """Return a range in whole steps around two numbers, so that an axis stays as it is while little changes."""
    span = max(high - low, 0.02 * max(abs(low), abs(high)), 1e-6)
    power = 10.0 ** math.floor(math.log10(span))
    step = power * next(size for size in (0.25, 0.5, 1.0, 2.5) if 4.0 * size * power >= span)
    # a curve that touches its axis is not seen there, and one a little higher needs no other axis
    lower, upper = math.floor((low - 0.03 * span) / step), math.ceil((high + 0.15 * span) / step)
    return [float(f"{lower * step:.6g}"), float(f"{upper * step:.6g}")]


def difference(first: xr.Dataset, second: xr.Dataset, axis: TimeAxis) -> tuple[Floats, Floats, Floats, Floats]:
    """Return hours, and median, 5th and 95th percentile over people of the difference in MADRS, second minus first.

    Both courses hold the same people, so that each difference is taken within a person.
    """
    end = min(float(times(first)[-1]), float(times(second)[-1]), axis.end_h)
    hours = np.unique(np.concatenate((times(first), times(second))))
    hours = hours[(hours >= axis.start_h) & (hours <= end)]
    grown = [
        np.stack([np.interp(hours, times(dataset), person) for person in course(dataset, "madrs")])
        for dataset in (first, second)
    ]
    curve = bands(hours, grown[1] - grown[0], limit=_POINTS)
    return curve.time, curve.quantiles[2], curve.quantiles[0], curve.quantiles[4]


def figure(results: Results, shown: Window) -> Drawn:
    """Return the whole figure."""
    axis = time_axis(results, shown)
    rows = [*ROWS, *([("madrs", "MADRS, second course minus first")] if len(results) == 2 else [])]
    found = numbers(results, axis)
    layout = _layout(results[0], rows, axis)
    for name, ends in found.ranges.items():
        layout[name]["range"] = ends
    looks: list[dict[str, Any]] = []
    for number in range(len(results)):
        for row in range(len(ROWS)):
            looks += _looks(number, f"y{row + 2}", unit_of(results[0], ROWS[row][0]), axis)
    if len(results) == 2:
        looks += _looks(1, f"y{len(rows) + 1}", unit_of(results[0], "madrs"), axis)[1:]
    for number in range(len(results)):
        looks += [_mark(number, word, colour, symbol, axis) for _, word, colour, symbol in _MARKS]
    data = [{**look, **trace} for look, trace in zip(looks, found.traces, strict=True)]
    return Drawn({"data": data, "layout": layout}, kind_of(results, axis), found)


def unit_of(dataset: xr.Dataset, name: str) -> str:
    """Return the unit of a variable as a reader expects it."""
    return unit_text(str(dataset.variables[name].attrs.get("units", "1")))


def _looks(number: int, axis_name: str, unit: str, axis: TimeAxis) -> list[dict[str, Any]]:
    colour, dash = PALETTE[number], DASHES[number]
    common = {"type": "scatter", "mode": "lines", "yaxis": axis_name, "name": COURSES[number], "showlegend": False}
    band = {"fill": "toself", "line": {"width": 0}, "hoverinfo": "skip", **common}
    return [
        {**band, "fillcolor": translucent(colour, 0.13)},
        {**band, "fillcolor": translucent(colour, 0.22)},
        {
            **common,
            "line": {"color": colour, "width": 2, "dash": dash},
            "hovertemplate": f"{COURSES[number]}<br>%{{x:.4~g}} {axis.unit}<br>median %{{y:.3~g}} "
            f"{html.escape(unit)}<extra></extra>",
        },
    ]


def _mark(number: int, word: str, colour: str, symbol: str, axis: TimeAxis) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "yaxis": "y",
        "marker": {"symbol": symbol if number == 0 else f"{symbol}-open", "size": 8, "color": colour},
        "name": word if number == 0 else f"{word}, {COURSES[1]}",
        "hovertemplate": f"{word}: %{{text}}<br>at %{{x:.4~g}} {axis.unit}<extra></extra>",
        "legend": "legend",
        "cliponaxis": False,
    }


def height(courses: int) -> int:
    """Return the height of the figure of one course or two, pixels."""
    return _STRIP + (len(ROWS) + (courses == 2)) * (_ROW + _GAP) + _TOP + _BOTTOM


def _layout(dataset: xr.Dataset, rows: Sequence[tuple[str, str]], axis: TimeAxis) -> dict[str, Any]:
    inner = _STRIP + len(rows) * (_ROW + _GAP)
    layout: dict[str, Any] = {
        "height": inner + _TOP + _BOTTOM,
        "autosize": True,
        "margin": {"l": 52, "r": 12, "t": _TOP, "b": _BOTTOM},
        "template": template("light"),
        # room for the numbers is in the margins: working it out would cost a third of the time of a redraw
        "xaxis": {**axis.layout(f"y{len(rows) + 1}"), "automargin": False},
        "yaxis": {"domain": [1 - _STRIP / inner, 1], "range": [0, 1], "visible": False, "fixedrange": True},
        "legend": {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12}},
        "annotations": [],
        # what a reader has zoomed to stays when a control moves
        "uirevision": f"{axis.unit}-{axis.words}",
    }
    top = _STRIP
    for number, (name, words) in enumerate(rows, start=2):
        top += _GAP
        layout[f"yaxis{number}"] = {
            "domain": [max(0.0, 1 - (top + _ROW) / inner), 1 - top / inner],
            "zeroline": True,
            "nticks": 4,
            "automargin": False,
        }
        layout["annotations"].append(
            {
                "text": html.escape(_with_unit(words, unit_of(dataset, name)), quote=False),
                "x": 0, "xref": "paper", "xanchor": "left", "y": 1 - top / inner, "yref": "paper", "yanchor": "bottom",
                "showarrow": False, "font": {"size": 12},
            }
        )  # fmt: skip
        top += _ROW
    return layout


def _with_unit(words: str, unit: str) -> str:
    """Return what an axis says with its unit; a bare number says itself what its 1 is."""
    return words if unit == "1" else f"{words} ({unit})"


def table(results: Results, shown: Window, samples: int = 10) -> tuple[list[str], list[list[str]]]:
    """Return the figure as a table: headings, and rows of text with median and the 5th and 95th percentile."""
    from kapsim.report.bands import patient_quantiles
    from kapsim.report.theme import number_text

    axis = time_axis(results, shown)
    headings = [f"{axis.words} ({axis.unit})"]
    hours = np.linspace(axis.start_h, axis.end_h, samples)
    cells = [[number_text(axis.one(float(hour)))] for hour in hours]
    for number, dataset in enumerate(results):
        clock = times(dataset)
        nearest = [int(np.argmin(np.abs(clock - hour))) for hour in hours]
        over = [hour > clock[-1] + 1.0 for hour in hours]
        for name, _ in ROWS:
            unit = unit_of(dataset, name)
            whose = f"{COURSES[1]}: " if number else ""
            headings.append(f"{whose}{long_name(dataset, name)} ({unit})")
            quantiles = patient_quantiles(course(dataset, name)[:, nearest], (0.05, 0.5, 0.95))
            quantiles[np.abs(quantiles) < 1e-5 * np.abs(quantiles).max()] = 0.0
            for line, beyond, (low, middle, high) in zip(cells, over, quantiles.T.tolist(), strict=True):
                line.append("–" if beyond else f"{number_text(middle)} ({number_text(low)} to {number_text(high)})")
    return headings, cells
