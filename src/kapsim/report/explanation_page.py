"""An explanation as a page: a waterfall for each moment, therapy against drug, and what each link rests on."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable
from typing import Any

from kapsim.attribution.explanation import Effect, Explanation, Moment
from kapsim.attribution.game import Estimate
from kapsim.attribution.links import LINKS
from kapsim.report.page import figure_item, render
from kapsim.report.theme import PALETTE

SCALE_WORDS = {"madrs": "MADRS", "hama": "HAM-A"}
#: Said beside every table of shares.
HOW_TO_READ = (
    "Points on the scale, mean over people; negative is better. A share is Shapley's value over every subset of the "
    "links: the shares of a moment sum to the whole, and links that stand one after the other share what needs both. "
    "In brackets: where the share lies in 90 % of the draws of the uncertain parameters. What the model's equations "
    "leave out is in no bracket. Times count from the first dose (from the start where there is none), the end of the "
    "protocol from its start; after it nothing more is done."
)
#: Said beside therapy against drug.
CELLS_WORDS = (
    "The same people four times: dose visits with a control in place of the drug and no sessions (neither), with the "
    "drug, with the sessions, with both. Effects are over neither. Beyond the sum: both, less the sum of each alone; "
    "negative is more relief than the sum. Ratio: both over that sum."
)
_CONTENTS = (
    ("shares", "What each link carries"),
    ("synergy", "Therapy and drug"),
    ("support", "How well each link is supported"),
    ("evidence", "How far from the evidence"),
    ("limits", "Limits of use"),
    ("safety", "Safety"),
    ("provenance", "Provenance"),
)
_ROW_PIXELS, _EDGE_PIXELS = 34, 96
_TOTAL = "all together"


def interval_text(value: Estimate, digits: int = 1) -> str:
    """Return an estimate as text: the mean, with its interval where there is one; points to a tenth."""
    if value.low is None or value.high is None:
        return _fixed(value.mean, digits)
    return f"{_fixed(value.mean, digits)} ({_fixed(value.low, digits)} to {_fixed(value.high, digits)})"


def _fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals and a true minus sign; what rounds to zero has none."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text.replace("-", "−")


def share_rows(explanation: Explanation, scale: str) -> list[tuple[str, list[str]]]:
    """Return the shares on a scale as text: each link with a cell for each moment, and at last the whole."""
    effects = [explanation.effect(scale, moment.name) for moment in explanation.moments]
    rows = []
    for link in LINKS:
        silent = link.name in explanation.silent
        cells = ["0, silent" if silent else interval_text(effect.shares[link.name]) for effect in effects]
        rows.append((f"{link.title} ({', '.join(link.clauses) or 'no clause'})", cells))
    rows.append((_TOTAL, [interval_text(effect.whole) for effect in effects]))
    return rows


def silent_lines(explanation: Explanation) -> list[str]:
    """Return what is said of the links that can do nothing here."""
    titles = {link.name: link.title for link in LINKS}
    return [f"Silent: {titles[name]}, {why}." for name, why in explanation.silent.items()]


def synergy_rows(explanation: Explanation, scale: str) -> list[tuple[str, list[str]]]:
    """Return therapy against drug on a scale as text, a row for each moment."""
    titles = {moment.name: moment.title for moment in explanation.moments}
    return [
        (
            titles[item.moment],
            [
                *(interval_text(value) for value in (item.drug, item.therapy, item.both, item.points)),
                "sum not told from zero" if item.ratio is None else interval_text(item.ratio, 2),
            ],
        )
        for item in explanation.synergies
        if item.scale == scale
    ]


def waterfall_spec(effect: Effect) -> dict[str, Any]:
    """Return the figure of one effect: the shares of the links one after the other, and what they come to."""
    names = [html.escape(link.title, quote=False) for link in LINKS]
    shares = [effect.shares[link.name] for link in LINKS]
    every = [*shares, effect.whole]
    reached = list(itertools.accumulate((value.mean for value in shares), initial=0.0))
    low, high = min(reached), max(reached)
    # room for the number beside the outermost bar
    pad = 0.12 * max(high - low, 0.1)
    trace = {
        "type": "waterfall",
        "orientation": "h",
        "y": [*names, _TOTAL],
        "x": [round(value.mean, 6) for value in every],
        "measure": [*(["relative"] * len(names)), "total"],
        "text": [_fixed(value.mean, 1) for value in every],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [interval_text(value) for value in every],
        "hovertemplate": "%{y}<br>%{customdata} points<extra></extra>",
        "decreasing": {"marker": {"color": PALETTE[2]}},
        "increasing": {"marker": {"color": PALETTE[1]}},
        "totals": {"marker": {"color": PALETTE[0]}},
        "connector": {"line": {"color": "#8A8A8A", "width": 1}},
    }
    layout = {
        "height": _EDGE_PIXELS + _ROW_PIXELS * len(every),
        "margin": {"l": 76, "r": 40, "t": 24, "b": 56},
        "xaxis": {
            "title": {"text": f"change of {SCALE_WORDS[effect.scale]} (points)"},
            "range": [round(low - pad, 3), round(high + pad, 3)],
        },
        "yaxis": {"autorange": "reversed"},
        "showlegend": False,
    }
    return {"data": [trace], "layout": layout}


def explanation_html(explanation: Explanation, *, command: str = "") -> str:
    """Return an explanation as one self-contained HTML page.

    Parameters
    ----------
    explanation : Explanation
    command : str
        The command that makes it again, for the record.
    """
    supports = {item.link: item for item in explanation.supports}
    settings = {key: value for key, value in explanation.settings.items() if key not in ("settings", "platform")}
    return render(
        "explanation.html.j2",
        {
            "title": f"What carries the effect: {explanation.protocol.title}",
            "contents": _CONTENTS,
            "people": explanation.settings["draws"],
            "variant": explanation.settings["variant"],
            "subsets": explanation.subsets,
            "how": HOW_TO_READ,
            "silent": silent_lines(explanation),
            "moments": [moment.title for moment in explanation.moments],
            "tables": [(words, share_rows(explanation, scale)) for scale, words in SCALE_WORDS.items()],
            "figures": list(_figures(explanation)),
            "cells": CELLS_WORDS,
            "synergies": [
                (words, rows) for scale, words in SCALE_WORDS.items() if (rows := synergy_rows(explanation, scale))
            ],
            "supports": [
                {
                    "title": link.title,
                    "clauses": ", ".join(link.clauses) or "none",
                    "what": link.what,
                    "statuses": supports[link.name].statuses,
                    "sentence": supports[link.name].sentence,
                }
                for link in LINKS
            ],
            "evidence": explanation.applicability,
            "provenance": [*settings.items(), ("protocol", explanation.protocol.name), ("command", command)],
        },
    )


def _figures(explanation: Explanation) -> Iterable[dict[str, Any]]:
    for moment in explanation.moments:
        yield _figure(explanation.effect("madrs", moment.name), moment)


def _figure(effect: Effect, moment: Moment) -> dict[str, Any]:
    item = figure_item(
        waterfall_spec(effect),
        id=f"waterfall-{effect.moment}",
        title=f"{SCALE_WORDS[effect.scale]}, {moment.title}",
        caption="Each bar starts where the one above it ends; the last is what they come to. To the left is better.",
        shows="a bar for each link, one after the other, and their sum",
    )
    item["time"], item["columns"] = "link", [("share", "points"), ("lost without it", "points"), ("alone", "points")]
    item["cells"] = [
        [
            link.title,
            interval_text(effect.shares[link.name]),
            *(
                interval_text(found[link.name]) if link.name in found else "0, silent"
                for found in (effect.lost, effect.alone)
            ),
        ]
        for link in LINKS
    ] + [[_TOTAL, interval_text(effect.whole), "–", "–"]]
    item["table_caption"] = (
        "Share: Shapley's value. Lost without it: what goes where this link alone is knocked out. Alone: what it does "
        "with every other link knocked out."
    )
    return item
