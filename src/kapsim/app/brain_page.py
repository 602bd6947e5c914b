"""The brain page: the default mode network and connectivity before, during and after the first dose of a course."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import Input, Output, dcc, html, no_update

from kapsim.app import parts, shell
from kapsim.app.cortex import BEFORE, CONNECTOME, COURSES, MOMENTS, PEOPLE, around_dose, measure_table, pair
from kapsim.app.solving import Desk
from kapsim.app.waiting import look
from kapsim.report.theme import number_text, template

if TYPE_CHECKING:
    import xarray as xr
    from dash import Dash

_BUSY = "The cortex is being worked out; this takes some seconds."


def page() -> list[Any]:
    """Return the page."""
    return shell.page(
        "/brain",
        [
            html.P(
                f"The cortex of {PEOPLE} simulated people with depression around the first dose of a course, on the "
                f"connectome {CONNECTOME} of 68 regions: firing on a brain, and connectivity as a matrix. The sign of "
                "a change is as the model gives it, also where the popular account says otherwise."
            ),
            html.P(
                "The mean connectivity of the model is a tenth of the measured one: signs can be compared with "
                "studies, sizes cannot. The connectome is one of healthy people, the same in everybody.",
                className="soft",
            ),
            html.Div(
                [
                    parts.select("brain-course", "Course", COURSES[0], [(n, n.replace("_", " ")) for n in COURSES]),
                    dmc.SegmentedControl(
                        id="brain-moment",
                        value=MOMENTS[0][0],
                        size="sm",
                        data=[
                            {"value": "during", "label": "During: 40 min in"},
                            {"value": "after", "label": "After: 24 h on"},
                        ],
                    ),
                ],
                className="bar",
            ),
            html.P(_BUSY, id="brain-state", role="status", className="soft"),
            dcc.Interval(id="brain-look", interval=parts.AGAIN_MS),
            html.Div(id="brain-shown"),
        ],
    )


def shown(found: xr.Dataset, moment: str, scheme: str) -> list[Any]:
    """Return the figures of a moment beside that before the dose, with their tables, and the measures of all three."""
    from kapsim.report.brain_figures import matrix_spec, region_spec

    both = pair(found, moment)
    words = {value: label for value, label, _ in MOMENTS}[moment]
    content: list[Any] = []
    for title, made, told in (
        (f"Firing on the brain, {words}", region_spec(both, 0), "a mark a region, seen from above and from the side"),
        (f"Connectivity as a matrix, {words}", matrix_spec(both, 0), f"three matrices: {BEFORE}, {moment}, difference"),
    ):
        if made is None:
            continue
        spec, (first, columns, cells) = made
        layout = {**spec["layout"], "template": template(scheme)}
        headings = [first, *(f"{name} ({unit})" for name, unit in columns)]
        content += [
            html.H2(title),
            html.Div(
                parts.figure({**spec, "layout": layout}, f"{title}: {told}; the table below holds the numbers."),
                className="scroll",
                role="region",
                tabIndex="0",
                **{"aria-label": f"{title}: figure"},
            ),
            parts.folded(f"{title}, as a table", parts.table(title, headings, cells)),
        ]
    rows = [
        [name, unit, *(number_text(float(value)) for value in values)] for name, unit, *values in measure_table(found)
    ]
    headings = ["measure", "unit", BEFORE, *(value for value, _, _ in MOMENTS)]
    counted = PEOPLE - int(found.attrs["left_out"])
    return [*content, html.H2("Measures"), parts.table(f"Means over {counted} people", headings, rows)]


def connect(app: Dash, desk: Desk) -> None:
    """Put the callbacks of the page into an app; `desk` is the one for what takes long."""

    @app.callback(
        Output("brain-shown", "children"),
        Output("brain-state", "children"),
        Output("brain-look", "disabled"),
        Input("brain-course", "value"),
        Input("brain-moment", "value"),
        Input("scheme", "data"),
        Input("brain-look", "n_intervals"),
    )
    def see(name: Any, moment: Any, scheme: Any, again: Any) -> Any:
        if name not in COURSES or moment not in [value for value, _, _ in MOMENTS]:
            return no_update, "course or moment: not one of the list", True
        colours = "dark" if scheme == "dark" else "light"
        return look(
            desk,
            ("brain", name),
            functools.partial(around_dose, name),
            lambda found: shown(found, moment, colours),
            busy=_BUSY,
            ready=f"{name.replace('_', ' ')}: the moment before the first dose beside another.",
        )
