"""The trial page: a form for a design, the trajectories of its arms to be expected, and power by size."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, get_args

from dash import Input, Output, State, dcc, html, no_update

from kapsim.app import parts, shell
from kapsim.app.controls import MASKINGS
from kapsim.app.course_page import bounds_of, words
from kapsim.app.solving import Desk
from kapsim.app.trial_design import (
    NAMES,
    Conducted,
    TrialControls,
    checked,
    conduct,
    design_of,
    design_text,
)
from kapsim.app.waiting import look
from kapsim.errors import InputError
from kapsim.protocol import named_protocols
from kapsim.report.theme import template

if TYPE_CHECKING:
    from dash import Dash

_BUSY = "Conducting trials; this takes some seconds, at most a minute or so."
#: Name → label of what is chosen from a list, and of what is a number with its step.
_CHOSEN = {
    "population": "People",
    "masking": "Masking",
    "follow": "Followed for (weeks)",
    "visit": "Primary endpoint at",
    "measure": "Primary endpoint, of the MADRS",
    "estimand": "Estimand",
    "dropout": "Drop-out, as in",
}
_NUMBERS = {
    "sites": ("Centres", 1.0),
    "missed": ("Chance of missing a treatment visit", 0.05),
    "patients": ("People in a trial", 10.0),
    "replicates": ("Trials", 20.0),
}


def page() -> list[Any]:
    """Return the page."""
    usual = TrialControls()
    return shell.page(
        "/trial",
        [
            html.P(
                "Two arms side by side, conducted many times among simulated people: who comes in, who drops out, how "
                "they are rated and how the trial is analysed are all part of it. That a design runs here is no reason "
                "to treat anybody.",
            ),
            html.Div(
                [
                    html.Div(_form(usual), className="controls"),
                    html.Div(
                        [
                            parts.notice("", identity="trial-problem"),
                            html.P("Nothing is conducted yet.", id="trial-state", role="status", className="soft"),
                            dcc.Store(id="trial-asked"),
                            dcc.Interval(id="trial-look", interval=parts.AGAIN_MS, disabled=True),
                            html.Div(id="trial-shown"),
                        ],
                        className="shown",
                    ),
                ],
                className="columns",
            ),
        ],
    )


def _form(usual: TrialControls) -> html.Section:
    arms = [
        parts.select(f"trial-{name}", label, getattr(usual, name), named_protocols().items())
        for name, label in (("arm", "Arm in question"), ("control", "Control"))
    ]
    chosen = []
    for name, label in _CHOSEN.items():
        options = [str(item) for item in choices(name)]
        value = str(getattr(usual, name))
        chosen.append(parts.select(f"trial-{name}", label, value, [(item, words(item)) for item in options]))
    numbers = [
        parts.number(f"trial-{name}", label, getattr(usual, name), *bounds_of(TrialControls, name), step)
        for name, (label, step) in _NUMBERS.items()
    ]
    return html.Section(
        [
            html.H2("Design", id="trial-h"),
            *arms,
            *chosen,
            *numbers,
            html.Button("Conduct", id="trial-go", type="button"),
        ],
        className="form",
        **{"aria-labelledby": "trial-h"},
    )


def choices(name: str) -> tuple[Any, ...]:
    """Return what a field of the form can be."""
    return MASKINGS if name == "masking" else get_args(TrialControls.model_fields[name].annotation)


def controls_from(values: dict[str, Any]) -> TrialControls:
    """Return the form that a page sent.

    Raises
    ------
    InputError
        For the first value that cannot be.
    """
    given = dict(values)
    for name in ("sites", "patients", "replicates"):
        if isinstance(given.get(name), float) and given[name].is_integer():
            given[name] = int(given[name])
    if given.get("follow") in [str(item) for item in choices("follow")]:
        given["follow"] = int(given["follow"])
    return checked(given)


def shown(found: Conducted, controls: TrialControls, scheme: str) -> list[Any]:
    """Return trajectories, power and operating characteristics of trials that were conducted."""
    from kapsim.report.trial_figures import course_figure, fitted, power_figure, size_powers
    from kapsim.report.trial_page import HOW_TO_READ
    from kapsim.report.trial_tables import HEADINGS, characteristic_rows, design_facts, flow_table
    from kapsim.trial.operating import characteristics

    trial, table, patients = found.trial, found.table, controls.patients
    sizes, shares, finds = size_powers(trial, patients, table, "fixed")
    content: list[Any] = []
    for item in (course_figure(trial, table, "fixed"), power_figure(sizes, shares, fitted(sizes, finds))):
        spec = json.loads(item["json"])
        spec["layout"]["template"] = template(scheme)
        headings = [item["time"], *(f"{name} ({unit})" if unit else name for name, unit in item["columns"])]
        content += [
            html.H2(item["title"]),
            html.P(item["caption"], className="soft"),
            parts.figure(spec, f"{item['title']}: {item['shows']}; the table below holds the numbers."),
            parts.folded(f"{item['title']}, as a table", parts.table(item["title"], headings, item["cells"])),
        ]
    rows = characteristic_rows(characteristics(trial, patients, table))
    kept = [
        (key, heading)
        for key, heading in HEADINGS
        if key not in ("scenario", "truth", "bias", "unblinding", "coverage")
    ]
    arms, flow = flow_table(table, "fixed")
    facts = [
        part
        for name, text in design_facts(trial, patients, found.replicates)
        for part in (html.Dt(name), html.Dd(text))
    ]
    return [
        *content,
        html.H2("Analyses"),
        html.P(HOW_TO_READ, className="soft"),
        parts.table("Over trials", [words for _, words in kept], [[row[key] for key, _ in kept] for row in rows]),
        html.H2("Flow of people"),
        parts.table(
            "Mean number of people in a trial", ["people", *arms], [[told, *numbers] for told, numbers in flow]
        ),
        html.H2("The design"),
        html.Dl(facts),
        parts.folded("As a file for kapsim trial", html.Pre(design_text(controls))),
    ]


def connect(app: Dash, desk: Desk) -> None:
    """Put the callbacks of the page into an app; `desk` is the one for what takes long."""

    @app.callback(
        output={"asked": Output("trial-asked", "data"), "problem": Output("trial-problem", "children")},
        inputs={
            "clicks": Input("trial-go", "n_clicks"),
            "values": {name: State(f"trial-{name}", "value") for name in NAMES},
        },
        prevent_initial_call=True,
    )
    def ask(clicks: Any, values: dict[str, Any]) -> Any:
        try:
            controls = controls_from(values)
            design_of(controls)
        except InputError as error:
            return {"asked": no_update, "problem": str(error)}
        return {"asked": controls.model_dump(), "problem": ""}

    @app.callback(
        Output("trial-shown", "children"),
        Output("trial-state", "children"),
        Output("trial-look", "disabled"),
        Input("trial-asked", "data"),
        Input("trial-look", "n_intervals"),
        Input("scheme", "data"),
        prevent_initial_call=True,
    )
    def see(asked: Any, again: Any, scheme: Any) -> Any:
        if asked is None:
            return no_update, no_update, True
        try:
            controls = checked(asked if isinstance(asked, dict) else {"trial": asked})
        except InputError as error:
            return no_update, str(error), True
        colours = "dark" if scheme == "dark" else "light"
        done = f"{controls.replicates} trials of {controls.patients} people were asked for; the table says of how many."
        return look(
            desk,
            ("trial", controls),
            functools.partial(conduct, controls),
            lambda found: shown(found, controls, colours),
            busy=_BUSY,
            ready=done,
        )
