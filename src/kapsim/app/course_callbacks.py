"""What happens on the course page when something is moved. Every value is checked again before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Input, Output, Patch, State, html, no_update

from kapsim.app import address, figures, parts
from kapsim.app.address import WINDOWS, View
from kapsim.app.controls import NAMES, Controls, checked, is_named, preset_controls
from kapsim.app.course_page import FIRST, PEOPLE_INPUTS, SECOND, SLIDERS
from kapsim.app.solving import BusyError, Desk, solved
from kapsim.errors import InputError, KapsimError
from kapsim.report.theme import template

if TYPE_CHECKING:
    import xarray as xr
    from dash import Dash

#: Endpoints of the short table below the figure.
ENDPOINTS = (
    "peak_plasma_ketamine_venous", "cumulative_ketamine", "peak_nmda_block", "peak_glutamate", "peak_cadss",
    "madrs_change_24h", "madrs_change_day7", "madrs_change_day28", "madrs_change_end", "response_end", "remission_end",
    "relapse", "hama_change_end",
)  # fmt: skip
_MOVED = tuple(name for name in NAMES if name != "preset")


def _property(name: str) -> str:
    return "checked" if name == "beside" else "value"


def _inputs(prefix: str) -> dict[str, Any]:
    return {name: Input(f"{prefix}-{name}", _property(name)) for name in _MOVED}


def controls_from(values: Mapping[str, Any], preset: Any) -> Controls:
    """Return the controls that a page sent.

    Raises
    ------
    InputError
        For the first value that cannot be.
    """
    given = dict(values)
    for name in PEOPLE_INPUTS:
        # an empty box stands for what is drawn
        if given.get(name) == "":
            given[name] = None
    for name in ("doses", "preparation", "weekly"):
        if isinstance(given.get(name), float) and given[name].is_integer():
            given[name] = int(given[name])
    if given.get("others") is None:
        given["others"] = ()
    return checked({"preset": preset, **given})


def draw(desk: Desk, view: View, scheme: str, kind: Any) -> tuple[Any, list[Any]]:
    """Return the figure of a view, whole or as a change of numbers to one of `kind`, and the kind it now is.

    Raises
    ------
    KapsimError
        Where a course cannot be solved.
    """
    results = results_of(desk, view)
    axis = figures.time_axis(results, view.window)
    now = [*figures.kind_of(results, axis), scheme]
    if now == kind:
        change = Patch()
        for number, trace in enumerate(figures.traces(results, axis)):
            for key, value in trace.items():
                change["data"][number][key] = value
        return change, now
    drawn = figures.figure(results, view.window)
    drawn.figure["layout"]["template"] = template(scheme)
    return drawn.figure, now


def results_of(desk: Desk, view: View) -> list[xr.Dataset]:
    """Return the results of the course of a view, and of the second where there is one."""
    courses = [view.course] if view.other is None else [view.course, view.other]
    return [solved(desk, controls) for controls in courses]


def endpoint_table(results: list[xr.Dataset]) -> Any:
    """Return the endpoints of the courses side by side, and how far they stand from the evidence."""
    from kapsim.outcomes import endpoints
    from kapsim.report.spread import parameter_draws, summarise_endpoint
    from kapsim.report.summary import evidence_lines, range_text, shown_unit, value_text

    found = [endpoints(dataset) for dataset in results]
    draws = parameter_draws(results[0])
    rows = []
    for name in ENDPOINTS:
        if not any(name in course for course in found):
            continue
        cells, words = [], ""
        for course in found:
            if name not in course:
                cells.append("–")
                continue
            row = summarise_endpoint(course[name], draws)
            words = f"{row.long_name} ({shown_unit(row)})"
            cells.append(f"{value_text(row)} ({range_text(row)})" if row.count else "–")
        rows.append([words, *cells])
    headings = ["endpoint", *figures.COURSES[: len(results)]]
    lines = [html.Li(line) for line in evidence_lines(results[0])]
    return [
        parts.table("Endpoints: median over people (5 % to 95 %); of yes or no, the share", headings, rows),
        html.Ul(lines, className="soft"),
    ]


def standing(controls: Controls) -> str:
    """Return what the course is, in words."""
    if is_named(controls):
        return f"The named protocol {controls.preset} itself."
    return f"A course of its own, put together from these controls; it began as {controls.preset}."


def connect(app: Dash, desk: Desk) -> None:
    """Put the callbacks of the course page into an app."""

    @app.callback(
        output={
            "figure": Output("course", "figure"),
            "style": Output("course", "style"),
            "shown": Output("shown", "data"),
            "kind": Output("kind", "data"),
            "problem": Output("course-problem", "children"),
            "settled": Output("again", "disabled"),
            "first": Output(f"{FIRST}-standing", "children"),
            "second": Output(f"{SECOND}-standing", "children"),
        },
        inputs={
            "first": _inputs(FIRST),
            "second": _inputs(SECOND),
            "compare": Input("compare", "checked"),
            "window": Input("window", "value"),
            "scheme": Input("scheme", "data"),
            "again": Input("again", "n_intervals"),
            "presets": [State(f"{FIRST}-preset", "value"), State(f"{SECOND}-preset", "value")],
            "kind": State("kind", "data"),
        },
    )
    def moved(
        first: dict[str, Any],
        second: dict[str, Any],
        compare: Any,
        window: Any,
        scheme: Any,
        again: Any,
        presets: Any,
        kind: Any,
    ) -> dict[str, Any]:
        nothing = dict.fromkeys(("figure", "style", "shown", "kind", "first", "second"), no_update)
        try:
            course = controls_from(first, presets[0])
            other = controls_from(second, presets[1]) if compare is True else None
            if window not in WINDOWS:
                raise InputError(f"window: {' or '.join(WINDOWS)}")
            view = View(course, other, window)
            drawn, now = draw(desk, view, "dark" if scheme == "dark" else "light", kind)
        except KapsimError as error:
            return {**nothing, "problem": str(error), "settled": not isinstance(error, BusyError)}
        return {
            "figure": drawn,
            "style": {"height": f"{figures.height(now[0])}px"},
            "shown": address.written(view),
            "kind": now,
            "problem": "",
            "settled": True,
            "first": standing(course),
            "second": "" if other is None else standing(other),
        }

    @app.callback(
        Output("endpoints", "children"),
        Output("course-table", "children"),
        Input("shown", "data"),
        prevent_initial_call=True,
    )
    def told(query: Any) -> Any:
        try:
            view = address.read(query if isinstance(query, str) else "")
            results = results_of(desk, view)
        except KapsimError as error:
            return parts.notice(str(error)), ""
        headings, cells = figures.table(results, view.window)
        return endpoint_table(results), parts.table("Median over people (5 % to 95 %)", headings, cells)

    for prefix in (FIRST, SECOND):
        _connect_form(app, prefix)

    app.clientside_callback(
        ClientsideFunction("kapsim", "remember"),
        Output("export-protocol", "href"),
        Output("export-results", "href"),
        Output("export-report", "href"),
        Output("export-link", "href"),
        Input("shown", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("kapsim", "unfold"), Output("second", "style"), Input("compare", "checked")
    )
    app.clientside_callback(
        ClientsideFunction("kapsim", "picture"),
        Output("picture-done", "children"),
        Input("export-png", "n_clicks"),
        Input("export-svg", "n_clicks"),
        prevent_initial_call=True,
    )


def _connect_form(app: Dash, prefix: str) -> None:
    """Put in what belongs to the controls of one course: presets, values beside sliders, which fields apply."""

    @app.callback(
        output={name: Output(f"{prefix}-{name}", _property(name)) for name in _MOVED if name not in PEOPLE_INPUTS},
        inputs={"preset": Input(f"{prefix}-preset", "value")},
        prevent_initial_call=True,
    )
    def set_to(preset: Any) -> dict[str, Any]:
        wanted = [name for name in _MOVED if name not in PEOPLE_INPUTS]
        try:
            usual = preset_controls(checked({"preset": preset}).preset)
        except InputError:
            return dict.fromkeys(wanted, no_update)
        values = usual.model_dump()
        # who is treated stays, and so does the variant
        return {
            name: no_update if name == "variant" else list(values[name]) if name == "others" else values[name]
            for name in wanted
        }

    for name in SLIDERS:
        app.clientside_callback(
            ClientsideFunction("kapsim", "say"),
            Output(f"{prefix}-{name}-text", "children"),
            Input(f"{prefix}-{name}", "value"),
        )
    app.clientside_callback(
        ClientsideFunction("kapsim", "fields"),
        *(Output(f"{prefix}-{name}-field", "style") for name in ("per_kg", "milligrams", "infusion")),
        Input(f"{prefix}-route", "value"),
        Input(f"{prefix}-drug", "value"),
    )
