"""How a figure is laid out: rows over one time axis, a strip for marks on top, a legend above each row."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Beyond four days a reader thinks in days.
LONGEST_IN_HOURS: Final = 96.0
_ROW_PIXELS, _GAP_PIXELS, _STRIP_PIXELS, _LEGEND_PIXELS, _MARGIN_TOP, _MARGIN_BOTTOM = 150, 48, 40, 22, 32, 56


class TimeAxis:
    """The time axis of a figure: hours for short views, days for long ones.

    Parameters
    ----------
    start_h, end_h : float
        First and last time shown, hours from the start of the protocol.
    origin_h : float or None
        The first dose, where time is counted from it; None counts from the start.
    """

    def __init__(self, start_h: float, end_h: float, origin_h: float | None = None) -> None:
        self.start_h, self.end_h = start_h, end_h
        self._zero = origin_h or 0.0
        self.words = "time from start" if origin_h is None else "time from first dose"
        self.unit = "h" if end_h - start_h <= LONGEST_IN_HOURS else "d"
        self._hours = 1.0 if self.unit == "h" else 24.0

    def scaled(self, hours: Any) -> NDArray[np.float32]:
        """Return times in the unit of the axis, as single precision (a third of a second in five weeks)."""
        return ((np.asarray(hours, dtype=np.float64) - self._zero) / self._hours).astype(np.float32)

    def one(self, hours: float) -> float:
        """Return one time in the unit of the axis."""
        return round((hours - self._zero) / self._hours, 5)

    def layout(self, anchor: str) -> dict[str, Any]:
        """Return the Plotly layout of the axis."""
        pad = 0.015 * (self.end_h - self.start_h)
        return {
            "title": {"text": f"{self.words} ({self.unit})"},
            "range": [self.one(self.start_h - pad), self.one(self.end_h + pad)],
            "anchor": anchor,
            "zeroline": False,
        }


def stacked(rows: Sequence[tuple[str, int]], axis: TimeAxis) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the layout of rows over one time axis with a strip for marks on top, and where each row's traces go.

    Parameters
    ----------
    rows : sequence of (str, int)
        Title of each axis with its unit, top to bottom, as `axis_title` makes it, and how many lines its legend names.
    axis : TimeAxis
        The shared time axis.

    Returns
    -------
    tuple
        The Plotly layout, and for each row the keys that place a trace there. The strip is axis ``y``.
    """
    # Three names fit on one line of a wide screen; page.js makes room on a narrow one.
    gaps = [_GAP_PIXELS + (_LEGEND_PIXELS if names > 3 else 0) for _, names in rows]
    inner = _STRIP_PIXELS + sum(gaps) + _ROW_PIXELS * len(rows)
    layout: dict[str, Any] = {
        "height": inner + _MARGIN_TOP + _MARGIN_BOTTOM,
        "margin": {"l": 76, "r": 16, "t": _MARGIN_TOP, "b": _MARGIN_BOTTOM},
        "xaxis": axis.layout(f"y{len(rows) + 1}" if rows else "y"),
        "yaxis": {"domain": [1 - _STRIP_PIXELS / inner, 1], "range": [0, 1], "visible": False, "fixedrange": True},
        "legend": _legend(1.0),
    }
    places = []
    top = _STRIP_PIXELS
    for number, ((title, _), gap) in enumerate(zip(rows, gaps, strict=True), start=2):
        top += gap
        layout[f"yaxis{number}"] = {
            "domain": [max(0.0, 1 - (top + _ROW_PIXELS) / inner), 1 - top / inner],
            "title": {"text": title, "font": {"size": 12}},
            "zeroline": True,
        }
        layout[f"legend{number}"] = _legend(1 - top / inner)
        places.append({"yaxis": f"y{number}", "legend": f"legend{number}"})
        top += _ROW_PIXELS
    return layout, places


def _legend(top: float) -> dict[str, Any]:
    return {
        "orientation": "h",
        "x": 0,
        "y": top,
        "xanchor": "left",
        "yanchor": "bottom",
        "bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12},
    }


def axis_title(label: str, unit: str) -> str:
    """Return an axis title with its unit, escaped, broken before the unit so that it fits a low row."""
    return f"{html.escape(label, quote=False)}<br>({html.escape(unit, quote=False)})"
