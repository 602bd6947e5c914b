"""What stands around every page: name, ways, scheme, the limits of use and safe messaging."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from kapsim._version import __version__
from kapsim.statements import DISCLAIMER, LIMITS_OF_USE, SAFE_MESSAGING

#: Path → (name in the menu, title of the page).
PAGES = {
    "/": ("Course", "A course of treatment, from dose to mood"),
    "/story": ("Story", "The popular account, clause by clause"),
    "/brain": ("Brain", "The default mode network before, during and after a dose"),
    "/trial": ("Trial", "A trial, conducted many times"),
    "/evidence": ("Evidence", "What the numbers rest on"),
}


def layout() -> dmc.MantineProvider:
    """Return the frame into which pages are put."""
    links = [dcc.Link(name, href=path, className="way", id=f"way-{name.lower()}") for path, (name, _) in PAGES.items()]
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="scheme"),
            html.A("Skip to the page", href="#main", className="skip"),
            html.Header(
                [
                    html.Div(
                        [
                            html.Span("kapsim", className="brand"),
                            html.Nav(links, **{"aria-label": "Pages"}),
                            dmc.Switch(id="dark", label="Dark", size="sm"),
                        ],
                        className="bar",
                    ),
                    html.P(html.Strong(DISCLAIMER), className="disclaimer", role="note"),
                ]
            ),
            html.Main(id="main", tabIndex="-1", children=html.P("Loading.", className="soft")),
            _statements(),
        ],
        defaultColorScheme="auto",
        theme={"fontFamily": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "respectReducedMotion": True},
    )


def page(path: str, children: list[Any]) -> list[Any]:
    """Return a page under its title."""
    return [html.H1(PAGES[path][1]), *children]


def _statements() -> html.Footer:
    def listed(items: tuple[Any, ...]) -> list[Any]:
        return [part for item in items for part in (html.H3(item.heading), html.P(item.text))]

    return html.Footer(
        [
            html.Section(
                [html.H2("Safety", id="safety-h"), *listed(SAFE_MESSAGING)],
                className="safety",
                **{"aria-labelledby": "safety-h"},
            ),
            html.Section(
                [html.H2("Limits of use", id="limits-h"), *listed(LIMITS_OF_USE)], **{"aria-labelledby": "limits-h"}
            ),
            html.P(f"kapsim {__version__}. {DISCLAIMER}", className="soft"),
        ]
    )
