"""Predicted against observed on the evidence page: figures of a domain, whose marks open the records behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Input, Output, dcc, html, no_update

from kapsim.app import parts
from kapsim.app.predictions import HEADINGS, KINDS, cells, domains, load_predictions, of_domain, of_record, scatter
from kapsim.evidence import evidence_hash
from kapsim.report.theme import template

if TYPE_CHECKING:
    from dash import Dash

_FIRST = "mood_single"


def section() -> html.Section:
    """Return the part of the page with its controls; the figures come with the first answer."""
    choices = [(name, name.replace("_", " ")) for name in domains()]
    return html.Section(
        [
            html.H2("Predicted against observed", id="predicted-h"),
            html.P(
                "Each mark is one printed figure; on the dashed line prediction and observation agree. A mark opens "
                "its record, and so does its id in the table.",
                className="soft",
            ),
            *overtaken(),
            parts.select("predicted-domain", "Domain", _FIRST, choices),
            html.Div(id="predicted-shown"),
        ],
        **{"aria-labelledby": "predicted-h"},
    )


def overtaken() -> list[Any]:
    """Return a notice where the predictions are of other evidence than the present."""
    if load_predictions().evidence_hash == evidence_hash():
        return []
    return [
        parts.notice(
            "These predictions were computed with an earlier version of the evidence than that of this page; "
            "kapsim validate computes them anew."
        )
    ]


def shown(domain: str, scheme: str, address: Callable[[str], str]) -> list[Any]:
    """Return the figures of a domain, and every printed figure beside its prediction in a table."""
    rows = of_domain(domain)
    content: list[Any] = []
    for kind, (_, title, _) in KINDS.items():
        spec = scatter(rows, kind)
        if spec is not None:
            spec["layout"]["template"] = template(scheme)
            words = f"{title}: predicted against observed; the table below holds the numbers."
            figure = parts.figure(spec, words, identity=f"predicted-{kind}", still=False)
            content += [html.H3(title), figure]
    lines = [[dcc.Link(row.record, href=address(row.record)), *cells(row)] for row in rows]
    return [*content, parts.table("A line each printed figure, an id opens its record", ("record", *HEADINGS), lines)]


def record_table(identity: str) -> list[Any]:
    """Return what is predicted of a record; nothing where it cannot be simulated."""
    rows = of_record(identity)
    if not rows:
        return []
    return [*overtaken(), parts.table("Predicted against observed", HEADINGS, [cells(row) for row in rows])]


def connect(app: Dash, address: Callable[[str], str]) -> None:
    """Put the callbacks into an app; `address` is where a record is shown, from its id."""

    @app.callback(Output("predicted-shown", "children"), Input("predicted-domain", "value"), Input("scheme", "data"))
    def see(domain: Any, scheme: Any) -> Any:
        if domain not in domains():
            return no_update
        return shown(domain, "dark" if scheme == "dark" else "light", address)

    for kind in KINDS:
        app.clientside_callback(
            ClientsideFunction("kapsim", "open_record"),
            Input(f"predicted-{kind}", "clickData"),
            prevent_initial_call=True,
        )
