"""Predicted against observed: what `kapsim validate` says of every printed figure of the published records.

The table is shipped: the virtual groups of a validation take minutes, and more memory than a server should. It names
the evidence that it was computed with, so that the page can say where it has been overtaken.
`scripts/explorer_predictions.py` makes it.
"""

from __future__ import annotations

import csv
import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kapsim.evidence import load_observed
from kapsim.report.theme import PALETTE, number_text, unit_text

FILE = "data/predictions.csv"
COLUMNS = ("record", "domain", "independence", "scale", "time_h", "observed", "predicted", "low", "high")
#: Kinds of figures, each with a scatter of its own: (scales, title, kind of axis).
KINDS = {
    "concentrations": (("log",), "Concentrations, areas and ratios", "log"),
    "percent": (("percent",), "Percent changes", "linear"),
    "points": (("points",), "Points of scales and acute effects", "linear"),
    "shares": (("share",), "Shares of people", "linear"),
    "effects": (("effect",), "Standardised differences", "linear"),
}
CLASSES = {
    "independent": ("independent of the model", "circle"),
    "parameter_source": ("its study gave the model a parameter", "square-open"),
    "fitted": ("fitted", "diamond-open"),
}


class Prediction(NamedTuple):
    """One printed figure beside what is predicted of it, with the ends of the 90 % interval of studies of its size."""

    record: str
    domain: str
    independence: str
    scale: str
    time_h: float | None
    observed: float
    predicted: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the printed figure lies within the interval."""
        return self.low <= self.observed <= self.high


@dataclass(frozen=True)
class Predictions:
    """All of them, and the hash of the evidence that they were computed with."""

    evidence_hash: str
    rows: tuple[Prediction, ...]


@functools.cache
def load_predictions() -> Predictions:
    """Return the shipped table."""
    with (Path(__file__).parent / FILE).open(encoding="utf-8", newline="") as file:
        head = next(file).removeprefix("# evidence ").strip()
        reader = csv.reader(file)
        next(reader)
        rows = [
            Prediction(*row[:4], None if row[4] == "" else float(row[4]), *(float(value) for value in row[5:]))  # type: ignore[call-arg,arg-type]
            for row in reader
        ]
    return Predictions(head, tuple(rows))


def domains() -> tuple[str, ...]:
    """Return the domains that have predictions, in the order of the chain."""
    return tuple(dict.fromkeys(row.domain for row in load_predictions().rows))


def of_domain(domain: str) -> list[Prediction]:
    """Return the predictions of a domain."""
    return [row for row in load_predictions().rows if row.domain == domain]


def of_record(identity: str) -> list[Prediction]:
    """Return the predictions of a record."""
    return [row for row in load_predictions().rows if row.record == identity]


@functools.cache
def units() -> dict[str, str]:
    """Return the unit of each record's figures."""
    return {record.id: unit_text(record.outcome.unit) for record in load_observed()}


def scatter(rows: list[Prediction], kind: str) -> dict[str, Any] | None:
    """Return predicted against observed as a Plotly figure without a template; None where there is no such figure."""
    scales, _, axis = KINDS[kind]
    found = [row for row in rows if row.scale in scales and math.isfinite(row.predicted)]
    found = [row for row in found if axis == "linear" or min(row.observed, row.predicted) > 0]
    if not found:
        return None
    ends = [min(min(r.observed, r.predicted) for r in found), max(max(r.observed, r.predicted) for r in found)]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip", "showlegend": False,
            "line": {"color": "#8A8A8A", "width": 1, "dash": "dash"},
        }
    ]  # fmt: skip
    for number, (name, (words, symbol)) in enumerate(CLASSES.items()):
        own = [row for row in found if row.independence == name]
        if own:
            data.append(
                {
                    "type": "scatter", "mode": "markers", "name": words,
                    "x": [row.observed for row in own], "y": [row.predicted for row in own],
                    "text": [row.record for row in own],
                    "hovertemplate": "%{text}<br>observed %{x:.3~g}, predicted %{y:.3~g}<extra></extra>",
                    "marker": {"size": 8, "color": PALETTE[number], "symbol": symbol},
                }
            )  # fmt: skip
    named = list(dict.fromkeys(units()[row.record] for row in found))
    unit = ", ".join(named[:4]) + (" and others" if len(named) > 4 else "")
    return {
        "data": data,
        "layout": {
            "height": 440,
            "margin": {"l": 72, "r": 16, "t": 60, "b": 60},
            "xaxis": {"title": {"text": f"observed ({unit})"}, "type": axis},
            "yaxis": {"title": {"text": f"predicted ({unit})"}, "type": axis},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            "clickmode": "event",
        },
    }


def cells(row: Prediction) -> list[str]:
    """Return a prediction as the cells of a table, without the record's id."""
    return [
        "–" if row.time_h is None else f"{number_text(row.time_h)} h",
        f"{number_text(row.observed)} {units()[row.record]}",
        number_text(row.predicted),
        f"{number_text(row.low)} to {number_text(row.high)}",
        "yes" if row.inside else "no",
        CLASSES[row.independence][0],
    ]


HEADINGS = ("when", "observed", "predicted", "90 % interval", "inside", "the record is")
