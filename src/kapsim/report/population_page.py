"""A population as text, cell by cell, and as a page: what it was made from beside what a drawn one has."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kapsim.population.checking import ERRORS, Check, Pair, Row
from kapsim.population.traits import TRAITS
from kapsim.report.brain_figures import DIVERGING
from kapsim.report.page import figure_item, render
from kapsim.report.theme import PALETTE, number_text, unit_text

Array = NDArray[np.float64]

#: Key and heading of each cell of a row, in order.
COLUMNS: Final = (
    ("trait", "trait"),
    ("statistic", "statistic"),
    ("stated", "published or assumed (its error)"),
    ("drawn", "drawn (Monte Carlo error)"),
    ("verdict", "verdict"),
    ("status", "status"),
    ("source", "from"),
)
HOW_TO_READ: Final = (
    f"A drawn figure agrees where it lies within {ERRORS:g} Monte Carlo errors of the published one, and within its "
    "error where it does so within 95 % of what a study of that size may print besides; otherwise it departs. What is "
    "assumed has no published figure: its width says how far its centre may lie elsewhere (one SD: in the unit of a "
    "normal law, of the logarithm of a lognormal one, of the log odds of a share, of Fisher's z for a correlation). "
    "Figures of another study are shown beside; the law does not rest on them."
)
_COUNTED: Final = {
    "agrees": "agree",
    "within its error": "within their errors",
    "departs": "depart",
    "as assumed": "as assumed",
    "follows": "follow from others",
}
_BINS = 48
_ROW_PIXELS, _COLUMNS, _GAP = 190, 3, 0.08
_CONTENTS = (
    ("marginals", "Traits, one by one"),
    ("together", "Traits together"),
    ("use", "What a run does with them"),
    ("limits", "Limits of use"),
    ("safety", "Safety"),
    ("provenance", "Provenance"),
)


def marginal_rows(found: Check) -> list[dict[str, str]]:
    """Return the statistics of the traits as text, a row each, keys as in `COLUMNS`."""
    return [_cells(row) for row in found.rows]


def pair_rows(found: Check) -> list[dict[str, str]]:
    """Return the correlations as text, a row each, keys as in `COLUMNS`."""
    return [
        {
            "trait": " and ".join(pair.between),
            "statistic": "correlation",
            "stated": _with_error(pair.stated, pair.error),
            "drawn": _with_error(pair.drawn, pair.drawn_error),
            **_foundation(pair),
        }
        for pair in found.pairs
    ]


def counts_text(found: Check) -> str:
    """Return in a sentence how many figures have each verdict."""
    words = ", ".join(f"{number} {_COUNTED[verdict]}" for verdict, number in found.counts.items() if number)
    others = sum(row.verdict == "departs" and not row.used for row in found.rows)
    more = f" Of those that depart, {others} are figures of another study." if others else ""
    if "effective_size" in found.population:
        worth = found.population["effective_size"]
        more += f" The {found.population['rows']} people behind it are worth {worth:.0f} after reweighting."
    return f"{found.n} people drawn with seed {found.seed}: {words}.{more}"


def population_html(found: Check, people: Mapping[str, Array], *, command: str = "") -> str:
    """Return a population as one self-contained HTML page.

    Parameters
    ----------
    found : Check
    people : mapping of str to ndarray, shape (patient,)
        Those that it is about.
    command : str
        The command that makes it again, for the record.
    """
    about = {name: str(value) for name, value in found.population.items() if value is not None}
    return render(
        "population.html.j2",
        {
            "title": found.population["title"],
            "contents": _CONTENTS,
            "description": found.description,
            "counts": counts_text(found),
            "how": HOW_TO_READ,
            "columns": COLUMNS,
            "marginals": marginal_rows(found),
            "pairs": pair_rows(found),
            "figures": [_distributions(found, people), _matrix(found)],
            "uses": [(name, TRAITS[name].long_name, TRAITS[name].use) for name in found.traits],
            "provenance": [*about.items(), ("people", found.n), ("seed", found.seed), ("command", command)],
        },
    )


def distribution_spec(found: Check, people: Mapping[str, Array]) -> dict[str, Any]:
    """Return the figure of every trait: how the drawn people spread, and the means and shares that were published."""
    rows = -(-len(found.traits) // _COLUMNS)
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": 60 + _ROW_PIXELS * rows,
        "margin": {"l": 48, "r": 16, "t": 16, "b": 48},
        "showlegend": False,
        "bargap": 0,
    }
    width, height = 1.0 / _COLUMNS, 1.0 / rows
    for number, trait in enumerate(found.traits):
        tail = "" if number == 0 else str(number + 1)
        left, top = (number % _COLUMNS) * width, 1.0 - (number // _COLUMNS) * height
        about = TRAITS[trait]
        places, shares = _histogram(trait, people[trait])
        data.append(
            {
                "type": "bar",
                "name": trait,
                "x": places,
                "y": shares,
                "marker": {"color": PALETTE[0]},
                "hovertemplate": f"{html.escape(about.long_name)} %{{x}}<br>%{{y:.1f}} %<extra></extra>",
                "xaxis": f"x{tail}",
                "yaxis": f"y{tail}",
            }
        )
        means = [row for row in found.rows if row.trait == trait and row.statistic == "mean" and row.stated is not None]
        if means:
            data.append(
                {
                    "type": "scatter",
                    "name": f"{trait}, published or assumed mean",
                    "mode": "markers",
                    "x": [row.stated for row in means],
                    "y": [0.0] * len(means),
                    "marker": {"color": PALETTE[1], "symbol": "triangle-up", "size": 11},
                    "hovertemplate": [f"{html.escape(row.source)}: %{{x}}<extra></extra>" for row in means],
                    "cliponaxis": False,
                    "xaxis": f"x{tail}",
                    "yaxis": f"y{tail}",
                }
            )
        unit = "yes or no" if about.yes_no else unit_text(about.unit)
        layout[f"xaxis{tail}"] = {
            "domain": [left + _GAP * width, left + width * (1.0 - _GAP)],
            "anchor": f"y{tail}",
            "title": {"text": f"{trait} ({html.escape(unit)})", "font": {"size": 12}},
        }
        layout[f"yaxis{tail}"] = {
            "domain": [max(top - height * 0.68, 0.0), top - height * 0.06],
            "anchor": f"x{tail}",
            "title": {"text": "people (%)", "font": {"size": 11}} if number % _COLUMNS == 0 else {"text": ""},
            "rangemode": "tozero",
        }
    return {"data": data, "layout": layout}


def matrix_spec(found: Check) -> dict[str, Any]:
    """Return the figure of the correlations of all traits as drawn."""
    size = len(found.traits)
    shown = [
        [None if row == column else round(found.matrix[row][column], 3) for column in range(size)]
        for row in range(size)
    ]
    trace = {
        "type": "heatmap",
        "z": shown,
        "x": list(found.traits),
        "y": list(found.traits),
        "zmin": -1,
        "zmax": 1,
        "colorscale": DIVERGING,
        "colorbar": {"title": {"text": "r"}, "thickness": 12},
        "hovertemplate": "%{y} and %{x}: %{z:.2f}<extra></extra>",
    }
    layout = {
        "height": 120 + 32 * size,
        "margin": {"l": 110, "r": 8, "t": 16, "b": 96},
        "xaxis": {"title": {"text": "trait (name)"}, "tickangle": -45},
        "yaxis": {"title": {"text": "trait (name)"}, "autorange": "reversed"},
    }
    return {"data": [trace], "layout": layout}


def _histogram(trait: str, values: Array) -> tuple[list[Any], list[float]]:
    """Return places and shares, %, of people; a long tail is cut where one in 200 lies beyond."""
    if TRAITS[trait].yes_no:
        share = float(values.mean())
        return ["no", "yes"], [round(100.0 * (1.0 - share), 3), round(100.0 * share, 3)]
    low, high = float(values.min()), float(np.quantile(values, 0.995))
    counts, edges = np.histogram(values, bins=_BINS, range=(low, max(high, low + 1e-9)))
    middles = 0.5 * (edges[1:] + edges[:-1])
    shares = 100.0 * counts / len(values)
    return [float(f"{value:.5g}") for value in middles], [round(float(share), 3) for share in shares]


def _distributions(found: Check, people: Mapping[str, Array]) -> dict[str, Any]:
    item = figure_item(
        distribution_spec(found, people),
        id="distributions",
        title="How the drawn people spread",
        caption=(
            "Triangles: published or assumed means. Where there is a long tail, one person in 200 lies beyond what is "
            "shown."
        ),
        shows="a histogram for each trait, with its published or assumed means",
    )
    item["time"] = "trait"
    item["columns"] = [("5 %", ""), ("median", ""), ("95 %", ""), ("mean", ""), ("SD", ""), ("unit", "")]
    item["cells"] = [[trait, *_quantiles(trait, people[trait])] for trait in found.traits]
    item["table_caption"] = "Of a trait that is there or not, the mean is the share of people who have it."
    return item


def _quantiles(trait: str, values: Array) -> list[str]:
    about = TRAITS[trait]
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if about.yes_no:
        return ["–", "–", "–", number_text(float(values.mean())), "–", "share"]
    quantiles = (float(value) for value in np.quantile(values, (0.05, 0.5, 0.95)))
    return [*map(number_text, (*quantiles, float(values.mean()), spread)), unit_text(about.unit)]


def _matrix(found: Check) -> dict[str, Any]:
    item = figure_item(
        matrix_spec(found),
        id="correlations",
        title="How traits go together",
        caption="Pearson's r of the drawn people. Pairs without a published or assumed correlation are independent.",
        shows="a coloured square for each pair of traits",
    )
    item["time"] = "trait"
    item["columns"] = [(trait, "") for trait in found.traits]
    item["cells"] = [
        [trait, *(_fixed(value, 2) for value in row)] for trait, row in zip(found.traits, found.matrix, strict=True)
    ]
    item["table_caption"] = "Correlations of all traits as drawn."
    return item


def _cells(row: Row) -> dict[str, str]:
    unit = "" if row.unit == "1" else f" {unit_text(row.unit)}"
    at = ""
    if row.at is not None:
        at = f" {number_text(row.at)}" + (
            "" if row.statistic == "quantile" else f" {unit_text(TRAITS[row.trait].unit)}"
        )
    stated = "–" if row.stated is None else _with_error(row.stated, row.error or None) + unit
    return {
        "trait": row.trait,
        "statistic": row.statistic.replace("_", " ") + at,
        "stated": stated,
        "drawn": _with_error(row.drawn, row.drawn_error) + unit,
        **_foundation(row),
    }


def _foundation(item: Row | Pair) -> dict[str, str]:
    status = f"assumed, width {item.width}" if item.status == "assumed" and item.width else item.status
    if isinstance(item, Row) and not item.used:
        status = "another study"
    return {"verdict": item.verdict, "status": status, "source": item.source}


def _with_error(value: float, error: float | None) -> str:
    return number_text(value) if error is None else f"{number_text(value)} ({number_text(error)})"


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text.replace("-", "−")


__all__ = [
    "COLUMNS",
    "HOW_TO_READ",
    "counts_text",
    "distribution_spec",
    "marginal_rows",
    "matrix_spec",
    "pair_rows",
    "population_html",
]
