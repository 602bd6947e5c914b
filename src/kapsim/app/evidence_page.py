"""The evidence page: parameters of the model, records behind them and published outcomes, to search and to open."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

from kapsim.app import parts, predicted_section, shell
from kapsim.evidence import (
    EvidenceParameter,
    ObservedRecord,
    Parameter,
    derivation,
    load_evidence,
    load_observed,
    load_parameters,
    references,
    to_text,
)
from kapsim.strict_yaml import one_line
from kapsim.units import format_quantity

#: Kinds of record: (value, what the reader is told).
KINDS = (("parameters", "Model parameters"), ("observed", "Published outcomes"), ("sources", "Measured quantities"))
STATUSES = ("any", "measured", "derived", "calibrated", "assumed")
#: Rows of one page of the table, and the longest search.
ROWS, MOST_CHARACTERS = 40, 200


class Row(NamedTuple):
    """One line of the table: what is shown, and the text that is searched."""

    identity: str
    cells: tuple[str, ...]
    status: str
    text: str


_HEADINGS = {
    "parameters": ("id", "what it is", "value", "unit", "status", "link", "not known"),
    "observed": ("id", "study", "arm", "what was observed", "points", "use"),
    "sources": ("id", "what was measured", "value", "unit", "n", "species", "source"),
}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"


def _study(author: str, year: int | None) -> str:
    return author if year is None else f"{author} {year}"


@functools.cache
def rows(kind: str) -> tuple[Row, ...]:
    """Return every record of a kind as a line, in the order of the files."""
    found: list[Row] = []
    cells: tuple[str, ...]
    if kind == "parameters":
        for item in load_parameters().values():
            law = "–" if item.uncertainty is None else item.uncertainty.describe(item.unit)
            cells = (item.id, item.name, _number(item.value), item.unit, item.status, item.link, law)
            found.append(Row(item.id, cells, item.status, _searched(*cells, item.note, *item.all_sources)))
    elif kind == "observed":
        for record in load_observed():
            study, outcome = record.study, record.outcome
            what = f"{outcome.observable}, {outcome.statistic.replace('_', ' ')} ({outcome.unit})"
            cells = (record.id, _study(study.author, study.year), record.arm, what, str(len(record.points)), record.use)
            found.append(Row(record.id, cells, "", _searched(*cells, study.population, study.doi, record.note)))
    else:
        for quantity in load_evidence().values():
            source = quantity.source
            cells = (
                quantity.id, " ".join(quantity.quantity.split()), _number(quantity.value), quantity.unit,
                _number(quantity.n), quantity.species or "–", _study(source.author, source.year),
            )  # fmt: skip
            found.append(Row(quantity.id, cells, "", _searched(*cells, source.doi, quantity.note)))
    return tuple(found)


def _searched(*texts: str | None) -> str:
    return " ".join(text for text in texts if text).casefold()


def search(kind: str, text: str, status: str = "any") -> list[Row]:
    """Return the lines that hold every word of `text`, and of parameters those of a status."""
    words = text.casefold().split()
    return [
        row
        for row in rows(kind)
        if all(word in row.text for word in words) and (kind != "parameters" or status in ("any", row.status))
    ]


def page(query: str) -> list[Any]:
    """Return the page, with the record that the query of the address asks for."""
    wanted = wanted_record(query)
    opened = [record(wanted)] if wanted else []
    counts = ", ".join(f"{len(rows(kind))} {words.lower()}" for kind, words in KINDS)
    return shell.page(
        "/evidence",
        [
            *opened,
            html.P(
                f"{counts}. Each parameter is measured, derived from measured ones by arithmetic that is shown, "
                "calibrated to published outcomes, or assumed with a width.",
                className="soft",
            ),
            html.Div(
                [
                    dmc.SegmentedControl(
                        id="evidence-kind",
                        value="parameters",
                        data=[{"value": kind, "label": words} for kind, words in KINDS],
                        size="sm",
                    ),
                    dmc.TextInput(
                        id="evidence-text",
                        label="Search",
                        placeholder="words, an id, an author",
                        debounce=250,
                        size="sm",
                    ),
                    dmc.Select(
                        id="evidence-status",
                        label="Status of parameters",
                        value="any",
                        data=[{"value": name, "label": name} for name in STATUSES],
                        allowDeselect=False,
                        size="sm",
                    ),
                ],
                className="bar",
            ),
            html.P(id="evidence-count", role="status", className="soft"),
            html.Div(id="evidence-table"),
            dmc.NumberInput(id="evidence-page", label="Page of the table", value=1, min=1, step=1, size="sm", w=140),
            predicted_section.section(),
        ],
    )


def wanted_record(query: str) -> str:
    """Return the id of the record that an address asks for, '' for none."""
    if len(query) > 10 * MOST_CHARACTERS:
        return ""
    try:
        return parse_qs(query.removeprefix("?"), max_num_fields=8, errors="replace").get("record", [""])[0]
    except ValueError:
        return ""


def found_table(kind: str, found: Sequence[Row], number: int) -> html.Div:
    """Return one page of what a search found."""
    shown = found[(number - 1) * ROWS : number * ROWS]
    lines = [[dcc.Link(row.cells[0], href=_address(row.identity)), *row.cells[1:]] for row in shown]
    words = dict(KINDS)[kind]
    return parts.table(f"{words}, an id opens its record", _HEADINGS[kind], lines)


def _address(identity: str) -> str:
    return f"/evidence?record={quote(identity)}"


def record(identity: str) -> html.Section:
    """Return one record in full; a line that says so where there is none of this id."""
    observed = {item.id: item for item in load_observed()}
    if identity in load_parameters():
        facts, more = _parameter(load_parameters()[identity])
    elif identity in observed:
        facts, more = _observed(observed[identity])
    elif identity in load_evidence():
        facts, more = _quantity(load_evidence()[identity])
    else:
        return html.Section([parts.notice(f"There is no record '{one_line(identity, 80)}'; search below.")])
    terms = [part for name, text in facts if text for part in (html.Dt(name), html.Dd(text))]
    return html.Section(
        [html.H2(identity, id="record-h"), html.Dl(terms), *more], className="record", **{"aria-labelledby": "record-h"}
    )


Facts = list[tuple[str, Any]]


def _parameter(item: Parameter) -> tuple[Facts, list[Any]]:
    facts: Facts = [
        ("what it is", item.name),
        ("value", format_quantity(item.value, item.unit)),
        ("status", item.status),
        ("link", item.link),
        ("not known", "no law given" if item.uncertainty is None else item.uncertainty.describe(item.unit)),
        (
            "between people",
            "the same in all" if item.between_subject is None else item.between_subject.describe(item.unit),
        ),
        (
            "before calibration",
            None if item.prior is None else f"{format_quantity(item.prior.value, item.unit)}, {item.prior.status}",
        ),
        ("fitted to", _links(item.fitted_to)),
        ("inert", item.inert),
        ("note", item.note),
        ("rests on", _links(item.all_sources)),
    ]
    cited = references([item.id])
    more: list[Any] = [html.H3("Where it comes from"), html.Pre(derivation(item))]
    if cited:
        more += [html.H3("References"), html.Pre(to_text(cited))]
    return facts, more


def _quantity(item: EvidenceParameter) -> tuple[Facts, list[Any]]:
    users = tuple(name for name, parameter in load_parameters().items() if item.id in parameter.all_sources)
    spread = None if item.spread is None else f"{item.spread.kind} {item.spread.value}"
    return [
        ("what was measured", " ".join(item.quantity.split())),
        ("value", "none" if item.value is None else format_quantity(item.value, item.unit)),
        ("spread", spread),
        ("n", None if item.n is None else f"{item.n:g}"),
        ("species", item.species),
        ("source", _source(item.source)),
        ("where in it", item.source.where),
        ("how it was read", item.confidence),
        ("note", item.note),
        ("used by", _links(users)),
    ], []


def _observed(item: ObservedRecord) -> tuple[Facts, list[Any]]:
    outcome, group = item.outcome, item.group
    users = tuple(name for name, parameter in load_parameters().items() if item.id in parameter.fitted_to)
    doses = "; ".join(
        f"{dose.drug} {dose.amount:g} {dose.unit} {dose.route} at {', '.join(f'{hour:g}' for hour in dose.at_h[:8])} h"
        for dose in item.regimen.doses
    )
    sessions = "; ".join(f"{len(each.at_h)} × {each.kind}, {each.minutes:g} min" for each in item.regimen.therapy)
    facts: Facts = [
        ("study", _source(item.study)),
        ("design", item.study.design),
        ("people", f"{item.study.population}; diagnosis {group.diagnosis}"),
        ("n", None if item.study.n is None else f"{item.study.n:g}"),
        ("arm", item.arm),
        ("doses", doses),
        ("therapy", sessions),
        ("observed", f"{outcome.observable}, {outcome.statistic.replace('_', ' ')}, {outcome.unit}"),
        ("against", outcome.against),
        ("definition", outcome.definition),
        ("how it was read", item.confidence),
        ("use", item.use),
        ("note", item.note),
        ("parameters fitted to it", _links(users)),
    ]
    lines = [
        [_number(point.time_h), _number(point.value), _number(point.n), _spread_text(point)] for point in item.points
    ]
    points = parts.table("Points", ("time (h)", f"value ({outcome.unit})", "n", "spread"), lines)
    return facts, [points, *predicted_section.record_table(item.id)]


def _spread_text(point: Any) -> str:
    kinds = ("sd", "se", "gsd", "plusminus", "ci95", "ci90", "iqr", "range")
    given = [(name, getattr(point, name)) for name in kinds if getattr(point, name) is not None]
    return "–" if not given else f"{given[0][0]} {given[0][1]}"


def _source(source: Any) -> str:
    found = [_study(source.author, source.year), source.journal, source.doi and f"doi {source.doi}"]
    return ", ".join(part for part in found if part)


def _links(names: Sequence[str]) -> Any:
    links: list[Any] = []
    for name in names:
        links += [", ", dcc.Link(name, href=_address(name))]
    return links[1:] or None


def connect(app: Dash) -> None:
    """Put the callbacks of the page into an app."""
    predicted_section.connect(app, _address)

    @app.callback(
        Output("evidence-table", "children"),
        Output("evidence-count", "children"),
        Input("evidence-kind", "value"),
        Input("evidence-text", "value"),
        Input("evidence-status", "value"),
        Input("evidence-page", "value"),
    )
    def find(kind: Any, text: Any, status: Any, number: Any) -> Any:
        # compared one by one: what was sent may be nothing that a set can hold
        if kind not in [value for value, _ in KINDS] or status not in STATUSES:
            return parts.notice("kind or status: not one of the list"), ""
        words = text[:MOST_CHARACTERS] if isinstance(text, str) else ""
        found = search(kind, words, status)
        pages = max(-(-len(found) // ROWS), 1)
        asked = number if isinstance(number, int) and not isinstance(number, bool) else 1
        here = min(max(asked, 1), pages)
        told = f"{len(found)} found; page {here} of {pages}."
        return found_table(kind, found, here), told
