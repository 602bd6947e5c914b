"""What happens on the course page when something is moved. Every value is checked again before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Input, Output, State, no_update

from kapsim.app import address, figures, parts
from kapsim.app.address import WINDOWS, View
from kapsim.app.controls import NAMES, Controls, checked, is_named, preset_controls
from kapsim.app.course_page import FIRST, PEOPLE_INPUTS, SECOND, second_form
from kapsim.app.handles import handles
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
    # the second course has no controls until it is asked for
    there = prefix == FIRST
    return {name: Input(f"{prefix}-{name}", _property(name), allow_optional=not there) for name in _MOVED}


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


def draw(desk: Desk, view: View, scheme: str, kind: Any) -> tuple[Any, dict[str, Any], list[Any]]:
    """Return the figure of a view, or nothing new of it where one of `kind` is there; its numbers; the kind it now is.

    Raises
    ------
    KapsimError
        Where a course cannot be solved.
    """
    results = results_of(desk, view)
    axis = figures.time_axis(results, view.window)
    now = [*figures.kind_of(results, axis), scheme]
    lines = handles(results[0], view.course, axis)
    if now == kind:
        found = figures.numbers(results, axis)
        return no_update, {**found._asdict(), "handles": lines}, now
    drawn = figures.figure(results, view.window)
    drawn.figure["layout"]["template"] = template(scheme)
    drawn.figure["layout"]["shapes"] = [line["shape"] for line in lines]
    return drawn.figure, {"ranges": drawn.numbers.ranges, "handles": lines}, now


def results_of(desk: Desk, view: View) -> list[xr.Dataset]:
    """Return the results of the course of a view, and of the second where there is one."""
    courses = [view.course] if view.other is None else [view.course, view.other]
    return [solved(desk, controls) for controls in courses]


def endpoint_table(results: list[xr.Dataset]) -> dict[str, Any]:
    """Return the endpoints of the courses side by side, and in lines how far they stand from the evidence."""
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
    return {
        "caption": "Endpoints: median over people (5 % to 95 %); of yes or no, the share",
        "headings": headings,
        "rows": rows,
        "lines": evidence_lines(results[0]),
    }


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
            "numbers": Output("numbers", "data"),
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
            "presets": [
                State(f"{FIRST}-preset", "value"),
                State(f"{SECOND}-preset", "value", allow_optional=True),
            ],
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
        nothing = dict.fromkeys(("figure", "style", "numbers", "shown", "kind", "first", "second"), no_update)
        try:
            course = controls_from(first, presets[0])
            both = compare is True and presets[1] is not None
            other = controls_from(second, presets[1]) if both else None
            if window not in WINDOWS:
                raise InputError(f"window: {' or '.join(WINDOWS)}")
            view = View(course, other, window)
            drawn, numbers, now = draw(desk, view, "dark" if scheme == "dark" else "light", kind)
        except KapsimError as error:
            return {**nothing, "problem": str(error), "settled": not isinstance(error, BusyError)}
        return {
            "figure": drawn,
            "numbers": numbers,
            # only with a whole figure: a change of style has it drawn once more
            "style": no_update if now == kind else {"height": f"{figures.height(now[0])}px"},
            "shown": address.written(view),
            "kind": no_update if now == kind else now,
            "problem": "",
            "settled": True,
            "first": standing(course),
            "second": "" if other is None else standing(other),
        }

    app.clientside_callback(ClientsideFunction("kapsim", "redraw"), Input("numbers", "data"))
    app.clientside_callback(
        ClientsideFunction("kapsim", "dropped"),
        *(Output(f"{FIRST}-{name}", "value", allow_duplicate=True) for name in ("first", "every", "after")),
        Input("course", "relayoutData"),
        prevent_initial_call=True,
    )

    @app.callback(Output("tables", "data"), Input("shown", "data"), prevent_initial_call=True)
    def told(query: Any) -> Any:
        try:
            view = address.read(query if isinstance(query, str) else "")
            results = results_of(desk, view)
        except KapsimError as error:
            return {"endpoints": {"problem": str(error)}, "course-table": {}}
        headings, cells = figures.table(results, view.window)
        return {
            "endpoints": endpoint_table(results),
            "course-table": {"caption": "Median over people (5 % to 95 %)", "headings": headings, "rows": cells},
        }

    # the tables have hundreds of cells, each of which would have to be asked at every change of anything
    app.clientside_callback(ClientsideFunction("kapsim", "tables"), Input("tables", "data"))

    @app.callback(
        Output("second", "children"),
        Output("second", "style"),
        Input("compare", "checked"),
        State("shown", "data"),
        State(f"{SECOND}-preset", "value", allow_optional=True),
        prevent_initial_call=True,
    )
    def unfold(compare: Any, query: Any, there: Any) -> Any:
        if compare is not True:
            return no_update, {"display": "none"}
        if there is not None:
            return no_update, {}
        try:
            return second_form(address.read(query if isinstance(query, str) else "").course), {}
        except InputError as error:
            return parts.notice(str(error)), {}

    for prefix in (FIRST, SECOND):
        _connect_form(app, prefix)

    app.clientside_callback(ClientsideFunction("kapsim", "remember"), Input("shown", "data"), prevent_initial_call=True)
    app.clientside_callback(
        ClientsideFunction("kapsim", "picture"),
        Output("picture-done", "children"),
        Input("export-png", "n_clicks"),
        Input("export-svg", "n_clicks"),
        prevent_initial_call=True,
    )


def _connect_form(app: Dash, prefix: str) -> None:
    """Put in what belongs to the controls of one course: presets, and which fields apply."""

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

    app.clientside_callback(
        ClientsideFunction("kapsim", "fields"),
        *(Output(f"{prefix}-{name}-field", "style") for name in ("per_kg", "milligrams", "infusion")),
        Input(f"{prefix}-route", "value"),
        Input(f"{prefix}-drug", "value"),
    )
