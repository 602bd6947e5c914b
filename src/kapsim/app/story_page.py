"""The story page: the popular account clause by clause, each with its link live, its doubts, and a knock-out switch."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from dash import Input, Output, dcc, html, no_update

from kapsim.app import figures, parts, shell
from kapsim.app.controls import FIRST, preset_controls
from kapsim.app.knocked_out import madrs_without
from kapsim.app.solving import DEADLINE_S, PEOPLE, BusyError, Desk, solved
from kapsim.attribution.links import LINKS, Link
from kapsim.attribution.supports import support
from kapsim.errors import KapsimError
from kapsim.evidence import load_parameters
from kapsim.mechanisms.switches import named_variants
from kapsim.model import variant_switches
from kapsim.report.bands import QUANTILES, Floats, bands, course, patient_quantiles, times
from kapsim.report.figures import band_traces, long_name, mark_traces
from kapsim.report.layout import TimeAxis, axis_title, stacked
from kapsim.report.theme import number_text, template
from kapsim.results import VARIABLES
from kapsim.story import CLAUSES, Clause

if TYPE_CHECKING:
    import xarray as xr
    from dash import Dash

#: Courses that the page can be told on.
COURSES = ("kap_six_sessions", "single_infusion", "twice_weekly_infusions", "esketamine_induction", "therapy_only")
_WHOLE, _WITHOUT = "as it is", "without the link"


def links_of(clause: Clause) -> list[Link]:
    """Return the links that can be knocked out of a clause."""
    return [link for link in LINKS if clause.id in link.clauses]


def page() -> list[Any]:
    """Return the page."""
    chosen = parts.select("story-course", "Told on the course of", FIRST, [(n, n.replace("_", " ")) for n in COURSES])
    return shell.page(
        "/story",
        [
            html.P(
                "What a reader is told about ketamine-assisted psychotherapy, in our words, with the link of the model "
                "that computes each clause, what that link rests on, and what speaks against it. Knocking a link out "
                "says what it carries in this model; it does not show that it carries anything in people."
            ),
            chosen,
            html.P("Solving the course.", id="story-state", role="status", className="soft"),
            dcc.Store(id="story-solved"),
            dcc.Interval(id="story-again", interval=parts.AGAIN_MS, disabled=True),
            *map(_clause, CLAUSES),
        ],
    )


def _clause(clause: Clause) -> html.Section:
    links = links_of(clause)
    switches: list[Any] = [
        html.Button(
            f"Knock out: {link.title}", id=f"knock-{clause.id}-{link.name}", type="button", **{"aria-pressed": "false"}
        )
        for link in links
    ]
    if not links:
        switches = [
            html.P("No switch: this clause is a read-out, and nothing downstream rests on it.", className="soft")
        ]
        if clause.id == "S9":
            switches = [
                html.P("No switch of its own: mood is where all links end; knock them out above.", className="soft")
            ]
    return html.Section(
        [
            html.H2(f"{clause.id}. {clause.claim}", id=f"{clause.id}-h"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Dl(
                                [
                                    html.Dt("how it stands"),
                                    html.Dd(clause.verdict, className="verdict"),
                                    html.Dt("what contradicts it"),
                                    html.Dd(clause.standing),
                                    html.Dt("link"),
                                    html.Dd(clause.link),
                                    html.Dt("its numbers"),
                                    html.Dd(statuses_text(clause)),
                                ]
                            ),
                            *(html.P(_support(link), className="soft") for link in links),
                            html.Div(switches, className="bar"),
                        ]
                    ),
                    html.Div(
                        [html.Div(id=f"{clause.id}-figure"), html.Div(id=f"{clause.id}-knocked", role="status")],
                    ),
                ],
                className="columns",
            ),
        ],
        className="clause",
        **{"aria-labelledby": f"{clause.id}-h"},
    )


@functools.cache
def statuses_text(clause: Clause) -> str:
    """Return how many parameters of the clause's links are measured, derived, calibrated and assumed."""
    wanted = {VARIABLES[measure.variable][0] for measure in clause.measures}
    counts = Counter(item.status for item in load_parameters().values() if item.link in wanted)
    found = ", ".join(f"{counts[name]} {name}" for name in ("measured", "derived", "calibrated", "assumed"))
    return f"parameters of {' and '.join(sorted(wanted))}: {found}"


def _support(link: Link) -> str:
    sentence = support(link).sentence
    return f"{link.title[0].upper()}{link.title[1:]}: {sentence}" if sentence[0].islower() else sentence


def clause_figure(dataset: xr.Dataset, clause: Clause, scheme: str) -> list[Any]:
    """Return the live figure of a clause's link, and its table."""
    names = list(dict.fromkeys(m.variable for m in clause.measures if m.variable in dataset))
    clock = times(dataset)
    axis = TimeAxis(float(clock[0]), float(clock[-1]))
    rows = [(axis_title(_short(name), figures.unit_of(dataset, name)), 1) for name in names]
    layout, places = stacked(rows, axis)
    data: list[dict[str, Any]] = []
    for name, place in zip(names, places, strict=True):
        curve = bands(clock, course(dataset, name))
        unit = figures.unit_of(dataset, name)
        data += band_traces(curve, axis, name=long_name(dataset, name), unit=unit, index=0, place=place)
    marks, _ = mark_traces(dataset, axis, "y", [])
    spec = _plain({"data": data + marks, "layout": {**layout, "template": template(scheme)}})
    words = (
        f"{clause.id}: {', '.join(long_name(dataset, name) for name in names)} over time; the table holds the numbers."
    )
    headings = [f"time ({axis.unit})", *(f"{long_name(dataset, n)} ({figures.unit_of(dataset, n)})" for n in names)]
    return [
        parts.figure(spec, words),
        parts.folded(
            "As a table", parts.table("Median over people (5 % to 95 %)", headings, _rows(dataset, names, axis))
        ),
    ]


def _short(name: str) -> str:
    return name.replace("_", " ")


def _rows(dataset: xr.Dataset, names: list[str], axis: TimeAxis, samples: int = 8) -> list[list[str]]:
    clock = times(dataset)
    nearest = np.unique(np.searchsorted(clock, np.linspace(clock[0], clock[-1], samples)).clip(0, clock.size - 1))
    lines = [[number_text(axis.one(float(hour)))] for hour in clock[nearest]]
    for name in names:
        quantiles = patient_quantiles(course(dataset, name)[:, nearest], (QUANTILES[0], 0.5, QUANTILES[-1]))
        for line, (low, middle, high) in zip(lines, quantiles.T.tolist(), strict=True):
            line.append(f"{number_text(middle)} ({number_text(low)} to {number_text(high)})")
    return lines


def _plain(value: Any) -> Any:
    """Return a figure whose arrays are Plotly's base64 arrays."""
    if isinstance(value, np.ndarray):
        return figures.packed(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def knocked_figure(dataset: xr.Dataset, without: Floats, link: Link, scheme: str) -> list[Any]:
    """Return mood with a link and without it, and what the difference comes to.

    Parameters
    ----------
    dataset : xarray.Dataset
        The course as it is.
    without : ndarray, shape (patient, time)
        Its MADRS with the link knocked out, at the same times.
    """
    clock, whole = times(dataset), course(dataset, "madrs")
    axis = TimeAxis(float(clock[0]), float(clock[-1]))
    layout, (place,) = stacked([(axis_title("MADRS", "points"), 2)], axis)
    data: list[dict[str, Any]] = []
    for index, (words, values) in enumerate(((_WHOLE, whole), (_WITHOUT, without))):
        curve = bands(clock, values)
        data += band_traces(curve, axis, name=words, unit="points", index=index, place=place, outer=False)
    spec = _plain({"data": data, "layout": {**layout, "template": template(scheme)}})
    lost = without - whole
    at = {"where it differs most": int(np.abs(lost.mean(axis=0)).argmax()), "at the end": clock.size - 1}
    rows = []
    for words, position in at.items():
        numbers = [whole[:, position], without[:, position], lost[:, position]]
        rows.append(
            [f"{words} ({number_text(axis.one(float(clock[position])))} {axis.unit})"]
            + [
                f"{number_text(float(np.median(each)))} ({number_text(float(np.quantile(each, 0.05)))} to "
                f"{number_text(float(np.quantile(each, 0.95)))})"
                for each in numbers
            ]
        )
    headings = ["when", f"MADRS {_WHOLE}", f"MADRS {_WITHOUT}", "difference within a person"]
    return [
        html.P(f"Knocked out: {link.what}."),
        parts.figure(spec, f"MADRS over time {_WHOLE} and {_WITHOUT}; the table holds the numbers."),
        parts.table(f"Points, median over {PEOPLE} people (5 % to 95 %)", headings, rows),
    ]


def connect(app: Dash, desk: Desk) -> None:
    """Put the callbacks of the page into an app."""

    @app.callback(
        Output("story-solved", "data"),
        Output("story-state", "children"),
        Output("story-again", "disabled"),
        Input("story-course", "value"),
        Input("story-again", "n_intervals"),
    )
    def solve(name: Any, again: Any) -> Any:
        if name not in COURSES:
            return no_update, "course: not one of the list", True
        try:
            solved(desk, preset_controls(name))
        except KapsimError as error:
            return no_update, str(error), not isinstance(error, BusyError)
        return name, f"{PEOPLE} simulated people; each line a median, each band the middle 50 % and 90 % of them.", True

    for clause in CLAUSES:
        _connect_clause(app, desk, clause)


def _connect_clause(app: Dash, desk: Desk, clause: Clause) -> None:
    @app.callback(
        Output(f"{clause.id}-figure", "children"),
        Input("story-solved", "data"),
        Input("scheme", "data"),
        prevent_initial_call=True,
    )
    def live(name: Any, scheme: Any) -> Any:
        if name not in COURSES:
            return no_update
        try:
            return clause_figure(solved(desk, preset_controls(name)), clause, _scheme(scheme))
        except KapsimError as error:
            return parts.notice(str(error))

    links = links_of(clause)
    if not links:
        return

    @app.callback(
        output={
            "shown": Output(f"{clause.id}-knocked", "children"),
            "pressed": [Output(f"knock-{clause.id}-{link.name}", "aria-pressed") for link in links],
        },
        inputs={
            "clicks": [Input(f"knock-{clause.id}-{link.name}", "n_clicks") for link in links],
            "name": Input("story-solved", "data"),
            "scheme": Input("scheme", "data"),
        },
        prevent_initial_call=True,
    )
    def knock(clicks: Any, name: Any, scheme: Any) -> Any:
        # an odd number of clicks is a switch that is pressed
        out = [isinstance(count, int) and not isinstance(count, bool) and count % 2 == 1 for count in clicks]
        pressed = ["true" if each else "false" for each in out]
        gone = tuple(link for link, each in zip(links, out, strict=True) if each)
        if not gone or name not in COURSES:
            return {"shown": "", "pressed": pressed}
        try:
            controls = preset_controls(name)
            dataset = solved(desk, controls)
            shown: list[Any] = []
            for link in gone:
                if link.silent(variant_switches(controls.variant)):
                    shown.append(html.P(silent_text(link)))
                    continue
                key = ("without", link.name, name)
                found = desk.ask(key, functools.partial(madrs_without, controls, link, times(dataset)), DEADLINE_S)
                shown += knocked_figure(dataset, found, link, _scheme(scheme))
        except KapsimError as error:
            shown = [parts.notice(str(error))]
        return {"shown": shown, "pressed": pressed}


def silent_text(link: Link) -> str:
    """Return what there is to say of a link that does nothing as the model stands."""
    speaking = [name for name, switches in named_variants().items() if not link.silent(switches)]
    return (
        f"{link.title[0].upper()}{link.title[1:]}: does nothing in the standard model, so that knocking it out changes "
        f"nothing, exactly. It is switched on in: {', '.join(speaking)}."
    )


def _scheme(value: Any) -> str:
    return "dark" if value == "dark" else "light"
