"""The course page: controls of one course or two, the figure of their links, its tables, and ways to take it along."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from annotated_types import Ge, Le
from dash import dcc, html

from kapsim.app import figures, parts, shell
from kapsim.app.address import View
from kapsim.app.controls import DRUGS, MASKINGS, OTHER_DRUGS, ROUTES, THERAPIES, Controls
from kapsim.app.figures import COURSES
from kapsim.app.solving import PEOPLE
from kapsim.file_model import FileModel
from kapsim.mechanisms.switches import named_variants
from kapsim.protocol import named_protocols

#: Beginnings of the ids of the controls of either course.
FIRST, SECOND = "a", "b"

#: Name → (label, step) of the controls that are sliders.
SLIDERS: dict[str, tuple[str, float]] = {
    "per_kg": ("Dose (mg/kg)", 0.05),
    "milligrams": ("Dose (mg)", 1),
    "infusion": ("Infusion (min)", 5),
    "doses": ("Number of doses", 1),
    "every": ("Days between doses", 0.5),
    "first": ("Day of the first dose", 1),
    "preparation": ("Preparation sessions", 1),
    "after": ("Integration, hours after each dose (0: none)", 6),
    "weekly": ("Weekly sessions apart from doses", 1),
    "practice": ("Practice between sessions (share of a session)", 0.05),
    "weeks": ("Followed for (weeks)", 1),
}
#: Name → (label, step) of what may be said of the people.
PEOPLE_INPUTS: dict[str, tuple[str, float]] = {
    "severity": ("Severity, MADRS (points)", 1),
    "crp": ("Inflammation, CRP (mg/L)", 0.5),
    "episode": ("Chronicity, length of episode (months)", 6),
    "weight": ("Weight (kg)", 5),
    "age": ("Age (years)", 5),
    "expectancy": ("Expectancy (0 to 1)", 0.1),
}
_WORDS = {
    "iv": "intravenous", "im": "intramuscular", "sc": "subcutaneous", "none": "none",
    "control": "control without drug", "cbt": "CBT", "ct": "cognitive therapy", "ba": "behavioural activation",
    "rfcbt": "rumination-focused CBT", "mbrp": "mindfulness-based relapse prevention",
    "met": "motivational enhancement", "kap": "ketamine-assisted psychotherapy", "group_kap": "KAP in a group",
    "montreal": "Montreal model", "open": "open label",
}  # fmt: skip


def words(name: str) -> str:
    """Return the name of a choice as a person would say it."""
    return _WORDS.get(name, name.replace("_", " "))


def bounds(name: str) -> tuple[float, float]:
    """Return the least and the most that a control takes, as `Controls` has them."""
    return bounds_of(Controls, name)


def bounds_of(form: type[FileModel], name: str) -> tuple[float, float]:
    """Return the least and the most that a field of a form takes."""
    kind: Any = form.model_fields[name]
    found = list(kind.metadata)
    for choice in getattr(kind.annotation, "__args__", ()):
        for part in getattr(choice, "__metadata__", ()):
            found += part.metadata
    low: Any = next(part.ge for part in found if isinstance(part, Ge))
    high: Any = next(part.le for part in found if isinstance(part, Le))
    return float(low), float(high)


def page(view: View, problem: str = "") -> list[Any]:
    """Return the page for a view; `problem` says what was wrong with the address that asked for it."""
    return shell.page(
        "/",
        [
            html.P(
                f"{PEOPLE} simulated people, each line a median, each band the middle 50 % and 90 % of them. Move a "
                "control and the chain is solved again.",
                className="soft",
            ),
            parts.notice(problem, identity="course-problem"),
            html.Div(
                [
                    html.Div(
                        [
                            _form(FIRST, view.course, "Course"),
                            dmc.Switch(
                                id="compare", label="Compare with a second course", checked=view.other is not None
                            ),
                            html.P(id=f"{SECOND}-standing", className="soft"),
                            # put together when it is asked for: each control that is there slows every other one
                            html.Div(None if view.other is None else second_form(view.other), id="second"),
                        ],
                        className="controls",
                    ),
                    _shown(view),
                ],
                className="columns",
            ),
        ],
    )


def second_form(controls: Controls) -> html.Section:
    """Return the controls of the course that the first is compared with."""
    return _form(SECOND, controls, "Second course")


def _shown(view: View) -> html.Div:
    return html.Div(
        [
            html.Div(
                [
                    dmc.SegmentedControl(
                        id="window",
                        value=view.window,
                        size="sm",
                        data=[
                            {"value": "weeks", "label": "Whole course"},
                            {"value": "hours", "label": "First 48 hours"},
                        ],
                    ),
                    html.Span(_legend(), className="soft", id="legend"),
                ],
                className="bar",
            ),
            html.Div(
                dcc.Graph(
                    id="course", config=parts.MOVABLE, figure=figures.EMPTY, style={"height": f"{figures.height(1)}px"}
                ),
                className="figure",
                role="group",
                **{"aria-label": "Courses of ten links over time; the table below holds the same numbers."},
            ),
            dcc.Store(id="shown"),
            dcc.Store(id="kind"),
            dcc.Store(id="numbers"),
            dcc.Store(id="tables"),
            # asks again where the answer did not come in time
            dcc.Interval(id="again", interval=parts.AGAIN_MS, disabled=True),
            html.Div(id="endpoints"),
            parts.folded("The figure as a table", html.Div(id="course-table"), identity="course-table-fold"),
            _exports(),
        ],
        className="shown",
    )


def _legend() -> str:
    return (
        f"Blue, solid: {COURSES[0]}. Orange, dashed: {COURSES[1]}. Marks on top: doses, therapy, stressors. "
        "Dotted lines can be dragged: the first dose, the second, and the first integration; each is a slider, too."
    )


def _exports() -> html.Section:
    files = (("protocol.yaml", "Protocol (YAML)"), ("results.csv", "Results (CSV)"), ("report.html", "Report (HTML)"))
    links = [html.A(text, id=f"export-{name.partition('.')[0]}", href="", download=name) for name, text in files]
    return html.Section(
        [
            html.H2("Take it along", id="export-h"),
            html.Div(
                [
                    *links,
                    html.Button("Picture (PNG)", id="export-png", type="button"),
                    html.Button("Picture (SVG)", id="export-svg", type="button"),
                    html.A("Link to this view", id="export-link", href=""),
                ],
                className="bar",
            ),
            html.P(
                "The link holds the whole state: nothing is kept on the server. The report is solved on the grid of a "
                "full run and takes some seconds.",
                className="soft",
            ),
            html.Span(id="picture-done", className="hidden"),
        ],
        **{"aria-labelledby": "export-h"},
    )


def _form(prefix: str, controls: Controls, title: str) -> html.Section:
    def slid(name: str) -> html.Div:
        label, step = SLIDERS[name]
        return parts.slider(f"{prefix}-{name}", label, getattr(controls, name), *bounds(name), step)

    def chosen(name: str, label: str, names: Any) -> html.Div:
        choices = [(item, words(item)) for item in names]
        return parts.select(f"{prefix}-{name}", label, getattr(controls, name), choices)

    presets = parts.select(f"{prefix}-preset", "Named protocol", controls.preset, named_protocols().items())
    people = [
        parts.number(
            f"{prefix}-{name}",
            label,
            getattr(controls, name),
            *bounds(name),
            step,
            placeholder="drawn from the population",
            debounce_ms=300,
        )
        for name, (label, step) in PEOPLE_INPUTS.items()
    ]
    return html.Section(
        [
            html.H2(title, id=f"{prefix}-title"),
            presets,
            *([html.P(id=f"{prefix}-standing", className="soft")] if prefix == FIRST else []),
            parts.folded(
                "Doses",
                [
                    chosen("drug", "Drug", DRUGS),
                    chosen("route", "Route", ROUTES),
                    *map(slid, ("per_kg", "milligrams", "infusion", "doses", "every", "first")),
                ],
                opened=True,
            ),
            parts.folded(
                "Therapy",
                [
                    chosen("therapy", "Kind of therapy", THERAPIES),
                    slid("preparation"),
                    html.Div(
                        dmc.Switch(id=f"{prefix}-beside", label="A session beside each dose", checked=controls.beside),
                        className="field",
                    ),
                    *map(slid, ("after", "weekly", "practice")),
                ],
                opened=True,
            ),
            parts.folded(
                "Around it",
                [
                    html.Div(
                        dmc.MultiSelect(
                            id=f"{prefix}-others",
                            label="Co-medication and care",
                            value=list(controls.others),
                            data=[{"value": name, "label": words(name)} for name in OTHER_DRUGS],
                            maxValues=4,
                            size="sm",
                            searchable=False,
                        ),
                        className="field",
                    ),
                    chosen("masking", "Masking", MASKINGS),
                    slid("weeks"),
                    parts.select(
                        f"{prefix}-variant",
                        "Contested links",
                        controls.variant,
                        [(n, words(n)) for n in named_variants()],
                    ),
                ],
            ),
            parts.folded("People", people),
        ],
        className="form",
        **{"aria-labelledby": f"{prefix}-title"},
    )
