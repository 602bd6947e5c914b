"""Small parts that all pages are made of: headings, tables, sliders, selects and figures with their tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

#: What Plotly's own bar offers; the rest would send the data to its maker.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtons": [["zoom2d", "pan2d", "resetScale2d"]],
}
#: The same where shapes can be dragged.
MOVABLE: dict[str, Any] = {**CONFIG, "edits": {"shapePosition": True}}
#: Milliseconds until a page asks again for what did not come in time.
AGAIN_MS = 3000
#: The same where a figure is only looked at.
STILL: dict[str, Any] = {"displayModeBar": False, "displaylogo": False, "responsive": True}


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> html.Div:
    """Return a table that scrolls within its own frame on a narrow screen; the first cell of a row heads it."""
    return html.Div(
        html.Table(
            [
                html.Caption(caption),
                html.Thead(html.Tr([html.Th(text, scope="col") for text in headings])),
                html.Tbody([html.Tr([html.Th(row[0], scope="row"), *map(html.Td, row[1:])]) for row in rows]),
            ]
        ),
        className="scroll",
        role="region",
        tabIndex="0",
        **{"aria-label": f"{caption}: table"},
    )


def folded(summary: str, children: Any, *, opened: bool = False, identity: str | None = None) -> html.Details:
    """Return something that opens when asked for, by mouse or keyboard."""
    named = {} if identity is None else {"id": identity}
    return html.Details([html.Summary(summary), html.Div(children)], open=opened, **named)


def figure(spec: dict[str, Any], words: str, *, identity: str | None = None, still: bool = True) -> html.Div:
    """Return a figure that a screen reader is told of in words; its table has to stand beside it."""
    named = {} if identity is None else {"id": identity}
    height = spec.get("layout", {}).get("height", 300)
    return html.Div(
        dcc.Graph(figure=spec, config=STILL if still else CONFIG, style={"height": f"{height}px"}, **named),
        role="img" if still else "group",
        className="figure",
        **{"aria-label": words},
    )


def slider(identity: str, label: str, value: float, low: float, high: float, step: float) -> html.Div:
    """Return a labelled slider with its value beside the label."""
    return html.Div(
        [
            label,
            # what runs in the browser keeps it at the value
            html.Output(f"{value:g}"),
            dmc.Slider(
                id=identity,
                value=value,
                min=low,
                max=high,
                step=step,
                thumbLabel=label,
                label=None,
                size="sm",
                updatemode="mouseup",
            ),
        ],
        id=f"{identity}-field",
        className="field slid",
    )


def select(identity: str, label: str, value: str, choices: Iterable[tuple[str, str]]) -> html.Div:
    """Return a labelled list to choose one from."""
    return html.Div(
        dmc.Select(
            id=identity,
            label=label,
            value=value,
            data=[{"value": name, "label": text} for name, text in choices],
            allowDeselect=False,
            searchable=False,
            size="sm",
            comboboxProps={"withinPortal": True},
        ),
        id=f"{identity}-field",
        className="field",
    )


def number(
    identity: str,
    label: str,
    value: float | None,
    low: float,
    high: float,
    step: float,
    *,
    placeholder: str = "",
    debounce_ms: int = 0,
) -> html.Div:
    """Return a number, told to the server once it has stood for `debounce_ms`."""
    return html.Div(
        dmc.NumberInput(
            id=identity,
            label=label,
            value="" if value is None else value,
            min=low,
            max=high,
            step=step,
            placeholder=placeholder,
            size="sm",
            debounce=debounce_ms or False,
        ),
        id=f"{identity}-field",
        className="field",
    )


def notice(text: str, *, identity: str | None = None) -> html.P:
    """Return a line that says what is wrong, read out when it appears."""
    named = {} if identity is None else {"id": identity}
    return html.P(text, className="notice", role="alert", **named)
