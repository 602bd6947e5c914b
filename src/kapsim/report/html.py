"""The HTML report of one run: a single file with the claim, the mechanism, the number and the doubt."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kapsim.errors import InputError
from kapsim.report.bands import course, extreme_change, has_course, times
from kapsim.report.figures import event_list, figure_spec, long_name, panel_rows, table_of
from kapsim.report.page import figure_item, provenance, render, write_page
from kapsim.report.panels import PANELS
from kapsim.report.spread import EndpointLike, parameter_draws, summarise_endpoint
from kapsim.report.summary import range_text, run_applicability, shown_unit, structure, value_text
from kapsim.report.theme import number_text, percent_text, unit_text
from kapsim.story import CLAUSES, Measure

if TYPE_CHECKING:
    import xarray as xr

_STATUSES = ("measured", "derived", "calibrated", "assumed")
_CONTENTS = (
    ("run", "What was run"),
    ("endpoints", "Endpoints"),
    ("figures", "Courses"),
    ("story", "The account, clause by clause"),
    ("evidence", "How far from the evidence"),
    ("assumed", "What is assumed"),
    ("limits", "Limits of use"),
    ("safety", "Safety"),
    ("provenance", "Provenance"),
)
_MEASURE_WORDS = {"peak": "peak", "largest_change": "largest change", "end_change": "change to the end"}


class ParameterLike(Protocol):
    """What the report needs of a parameter: `kapsim.evidence.Parameter` has this shape."""

    @property
    def id(self) -> str:
        """Dotted name, unique."""
        ...

    @property
    def link(self) -> str:
        """Link of the chain it belongs to."""
        ...

    @property
    def name(self) -> str:
        """Short name."""
        ...

    @property
    def value(self) -> float:
        """Value in `unit`."""
        ...

    @property
    def unit(self) -> str:
        """Unit as the registry writes it."""
        ...

    @property
    def status(self) -> str:
        """Measured, derived, calibrated or assumed."""
        ...

    @property
    def uncertainty(self) -> Any:
        """Law of what is not known, with `law` and `apply(value, z)`; None if nothing is."""
        ...


def duration_text(hours: float) -> str:
    """Return a stretch of time in the unit that a reader would choose."""
    for size, word in ((168.0, "weeks"), (24.0, "days")):
        if hours >= 2 * size:
            return f"{number_text(hours / size)} {word}"
    return f"{number_text(hours)} h"


def _events(dataset: xr.Dataset) -> list[tuple[str, str]]:
    lines = []
    for attribute, word in (("doses", "doses"), ("sessions", "therapy sessions"), ("stressors", "stressors")):
        events = event_list(dataset, attribute)
        counts = Counter(str(event.get("label") or "unnamed") for event in events)
        if events:
            kinds = "; ".join(f"{count} × {label}" for label, count in counts.items())
            lines.append((word, f"{kinds}, first after {duration_text(float(events[0]['start_h']))}"))
    return lines


def _endpoint_rows(dataset: xr.Dataset, endpoints: Mapping[str, EndpointLike]) -> tuple[list[dict[str, str]], str]:
    draws = parameter_draws(dataset)
    rows = []
    for endpoint in endpoints.values():
        row = summarise_endpoint(endpoint, draws)
        parts = row.components
        rows.append(
            {
                "long_name": row.long_name or row.name,
                "value": value_text(row),
                "range": range_text(row) if row.count else "–",
                "unit": shown_unit(row),
                "people": f"{row.count} of {row.total}",
                "patient_sd": number_text(parts.patient_sd),
                "parameter_sd": number_text(parts.parameter_sd),
                "parameter_share": percent_text(parts.parameter_share),
            }
        )
    groups, people = np.unique(draws).size, draws.size
    if groups == 1:
        note = "One draw of the parameters was used, so the spread shown is between people only."
    elif groups == people:
        note = (
            "Each person has a parameter draw of their own, so the SD between people holds both kinds of spread; "
            "they can be told apart only when people share draws."
        )
    else:
        note = (
            f"Spread is split by analysis of variance over {groups} parameter draws: between people who share a draw, "
            "and between draws (what is not known about the parameters)."
        )
    return rows, note


def _structure(dataset: xr.Dataset, endpoints: Mapping[str, EndpointLike]) -> dict[str, Any] | None:
    """Return the table of what variants differ by: their names, and a row an endpoint; None for one variant."""
    found = structure(dataset, endpoints)
    if not found:
        return None
    names = list(dict.fromkeys(name for spread in found.values() for name in spread.means))
    rows = [
        {
            "long_name": endpoints[name].long_name or name,
            "means": [number_text(spread.means[own]) if own in spread.means else "–" for own in names],
            "between": number_text(spread.spread),
            "total": number_text(spread.total),
        }
        for name, spread in found.items()
    ]
    return {"names": names, "rows": rows}


def _measure(dataset: xr.Dataset, measure: Measure) -> str | None:
    if not has_course(dataset, measure.variable):
        return None
    values = course(dataset, measure.variable)
    if measure.how == "peak":
        numbers = values.max(axis=1)
    elif measure.how == "largest_change":
        numbers = extreme_change(values)
    else:
        numbers = values[:, -1] - values[:, 0]
    low, middle, high = (number_text(float(v)) for v in np.quantile(numbers, (0.05, 0.5, 0.95)))
    unit = unit_text(str(dataset.variables[measure.variable].attrs.get("units", "1")))
    shown = "" if unit == "1" else f" {unit}"
    return f"{long_name(dataset, measure.variable)}, {_MEASURE_WORDS[measure.how]}: {middle}{shown} ({low} to {high})"


def _clauses(dataset: xr.Dataset) -> list[dict[str, Any]]:
    return [
        {
            "id": clause.id,
            "claim": clause.claim,
            "link": clause.link,
            "verdict": clause.verdict[0].upper() + clause.verdict[1:],
            "standing": clause.standing,
            "numbers": [line for measure in clause.measures if (line := _measure(dataset, measure))],
        }
        for clause in CLAUSES
    ]


def _law_text(parameter: ParameterLike) -> str:
    law = parameter.uncertainty
    if law is None:
        return "no width given"
    # The middle as well: a half-normal law folds both tails to one side.
    ends = [float(law.apply(parameter.value, z)) for z in (-1.6448536269514722, 0.0, 1.6448536269514722)]
    low, high = min(ends), max(ends)
    return f"{number_text(low)} to {number_text(high)} (90 %, {str(law.law).replace('_', '-')})"


def _used(dataset: xr.Dataset, parameters: Mapping[str, ParameterLike]) -> list[ParameterLike]:
    text = dataset.attrs.get("parameters_used")
    if not text:
        return list(parameters.values())
    try:
        names = list(json.loads(text))
    except (ValueError, TypeError):
        raise InputError(
            "results: attribute parameters_used: not a JSON list of parameter ids; write the results with kapsim again"
        ) from None
    # Results of another version may name parameters that this one has dropped: they cannot be described here.
    return [parameters[name] for name in names if name in parameters]


def _exposure(dataset: xr.Dataset, endpoints: Mapping[str, EndpointLike], horizon: str) -> str:
    endpoint = endpoints.get("cumulative_ketamine")
    if endpoint is None:
        return ""
    row = summarise_endpoint(endpoint, parameter_draws(dataset))
    if not row.count or row.high == 0:
        return ""
    return (
        f"a median of {number_text(row.centre)} {unit_text(row.unit)} of ketamine over {horizon} "
        f"({number_text(row.low)} to {number_text(row.high)}). What that does to the bladder, the liver or the risk of "
        "dependence is not simulated."
    )


def report_html(
    dataset: xr.Dataset,
    *,
    endpoints: Mapping[str, EndpointLike],
    parameters: Mapping[str, ParameterLike] | None = None,
) -> str:
    """Return the report of a run as one self-contained HTML page.

    Parameters
    ----------
    dataset : xarray.Dataset
        Simulated results with dimensions patient and time.
    endpoints : mapping of str to Endpoint
        As `kapsim.endpoints(dataset)` gives them.
    parameters : mapping of str to Parameter, optional
        Where ids in the results' `parameters_used` are looked up; by default the model's own under their variant.

    Raises
    ------
    InputError
        If the results' records of events or parameters cannot be read.
    """
    if parameters is None:
        from kapsim.averaging import registry_under
        from kapsim.evidence import load_parameters
        from kapsim.mechanisms.switches import VARIANTS

        variant = dataset.attrs.get("variant")
        parameters = (registry_under(variant) if variant in VARIANTS else None) or load_parameters()
    time = times(dataset)
    horizon = duration_text(float(time[-1] - time[0]))
    rows, spread_note = _endpoint_rows(dataset, endpoints)
    used = _used(dataset, parameters)
    statuses = Counter(str(parameter.status) for parameter in used)
    figures = []
    for kind, panel in PANELS.items():
        if not panel_rows(dataset, panel):
            continue
        item = figure_item(figure_spec(dataset, kind), id=kind, title=panel.title, caption=panel.caption)
        item["time"], item["columns"], item["cells"] = table_of(dataset, kind)
        item["table_caption"] = "Median over people (5 % to 95 %)."
        figures.append(item)
    title = str(dataset.attrs.get("title") or dataset.attrs.get("protocol_name") or "Simulated results")
    return render(
        "report.html.j2",
        {
            "title": title,
            "contents": _CONTENTS,
            "people": dataset.sizes["patient"],
            "horizon": horizon,
            "variant": dataset.attrs.get("variant", "not recorded"),
            "seed": dataset.attrs.get("seed", "not recorded"),
            "events": _events(dataset),
            "protocol": str(dataset.attrs.get("protocol", "")),
            "endpoints": rows,
            "spread_note": spread_note,
            "structure": _structure(dataset, endpoints),
            "figures": figures,
            "clauses": _clauses(dataset),
            "evidence": run_applicability(dataset),
            "parameter_count": len(used),
            "statuses": [(status, statuses[status]) for status in _STATUSES if statuses[status]],
            "assumed": [
                {
                    "id": parameter.id,
                    "name": parameter.name,
                    "link": str(parameter.link),
                    "value": number_text(float(parameter.value)),
                    "unit": unit_text(parameter.unit),
                    "law": _law_text(parameter),
                }
                for parameter in used
                if str(parameter.status) == "assumed"
            ],
            "exposure": _exposure(dataset, endpoints, horizon),
            "provenance": provenance(dataset),
        },
    )


def write_report(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    endpoints: Mapping[str, EndpointLike],
    parameters: Mapping[str, ParameterLike] | None = None,
) -> Path:
    """Write the report of a run as one self-contained HTML file.

    Parameters
    ----------
    dataset : xarray.Dataset
        Simulated results with dimensions patient and time.
    path : path-like
        The file; its folder must exist. An older file is replaced.
    endpoints : mapping of str to Endpoint
        As `kapsim.endpoints(dataset)` gives them.
    parameters : mapping of str to Parameter, optional
        The model's own by default.

    Returns
    -------
    pathlib.Path
        The file that was written.

    Raises
    ------
    InputError
        If the results' records cannot be read, or the file cannot be written.
    """
    return write_page(report_html(dataset, endpoints=endpoints, parameters=parameters), path)
