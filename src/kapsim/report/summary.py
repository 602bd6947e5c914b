"""The short account of a run for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kapsim.applicability import Applicability
from kapsim.averaging import StructuralSpread, structural_spread
from kapsim.report.spread import EndpointLike, EndpointSummary, parameter_draws, summarise_endpoint
from kapsim.report.theme import number_text, percent_text, unit_text
from kapsim.sentinels import SolutionError
from kapsim.statements import BEYOND_SURFACE, DISCLAIMER

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console
    from rich.table import Table


def value_text(summary: EndpointSummary) -> str:
    """Return the middle of an endpoint as text: a median, or a share as a percentage."""
    return percent_text(summary.centre) if summary.is_share else number_text(summary.centre)


def range_text(summary: EndpointSummary) -> str:
    """Return the range of an endpoint as text, in the same form as `value_text`."""
    text = percent_text if summary.is_share else number_text
    return f"{text(summary.low)} to {text(summary.high)}"


def shown_unit(summary: EndpointSummary) -> str:
    """Return the unit as text; yes-or-no endpoints are shares of people."""
    return "of people" if summary.is_share else unit_text(summary.unit)


def summary_table(dataset: xr.Dataset, endpoints: Mapping[str, EndpointLike]) -> Table:
    """Return a rich table of endpoints.

    Parameters
    ----------
    dataset : xarray.Dataset
        Simulated results.
    endpoints : mapping of str to Endpoint
        As `kapsim.endpoints(dataset)` gives them.
    """
    from rich.markup import escape
    from rich.table import Table

    name = str(dataset.attrs.get("protocol_name", "results"))
    variant = dataset.attrs.get("variant", "not recorded")
    kinetics = dataset.attrs.get("kinetics", "default")
    by = "" if kinetics == "default" else f", kinetics {kinetics}"
    if "population" in dataset.attrs:
        by += f", population {json.loads(dataset.attrs['population'])['name']}"
    draws = parameter_draws(dataset)
    table = Table(
        title=escape(f"{name}: {dataset.sizes['patient']} simulated people, variant {variant}{by}"),
        caption="range: 5 % to 95 % of people; for shares, 95 % interval from the number of simulated people",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("endpoint")
    table.add_column("median or share", justify="right")
    table.add_column("range", justify="right")
    table.add_column("unit")
    table.add_column("people", justify="right")
    for endpoint in endpoints.values():
        row = summarise_endpoint(endpoint, draws)
        table.add_row(
            escape(row.long_name or row.name),
            value_text(row),
            range_text(row) if row.count else "–",
            escape(shown_unit(row)),
            str(row.count),
        )
    return table


def share_beyond_surface(dataset: xr.Dataset) -> float:
    """Return the share of people whose cortex is at some time outside the domain of the response surface, 0 to 1."""
    if "surface_excess" not in dataset:
        return 0.0
    return float((dataset["surface_excess"].values > 0.0).any(axis=1).mean())


def evidence_lines(dataset: xr.Dataset) -> list[str]:
    """Return how far the run stands from the evidence, a line for each standing; none for results that do not say."""
    found = run_applicability(dataset)
    return [] if found is None else [f"evidence, {line}" for line in found.lines()]


def structure(dataset: xr.Dataset, endpoints: Mapping[str, EndpointLike]) -> dict[str, StructuralSpread]:
    """Return what variants differ by in each endpoint in points, by its name; empty for results of one variant."""
    if "variant_number" not in dataset.coords:
        return {}
    number = dataset["variant_number"]
    meanings = str(number.attrs["flag_meanings"]).split()
    names = [meanings[int(value)] for value in number.values]
    found = {}
    for name, endpoint in endpoints.items():
        if shown_unit(summarise_endpoint(endpoint, parameter_draws(dataset))) != "points":
            continue
        spread = structural_spread(names, dataset["parameter_draw"].values, np.asarray(endpoint.values, dtype=float))
        if spread is not None:
            found[name] = spread
    return found


def structure_lines(dataset: xr.Dataset, endpoints: Mapping[str, EndpointLike]) -> list[str]:
    """Return what variants differ by in each endpoint in points, a line each; none for results of one variant."""
    return [spread.line(name, "points") for name, spread in structure(dataset, endpoints).items()]


def run_applicability(dataset: xr.Dataset) -> Applicability | None:
    """Return how far the run stands from the evidence, None for results that do not say."""
    text = dataset.attrs.get("applicability")
    return None if not text else Applicability.from_json(str(text))


def run_solution_error(dataset: xr.Dataset) -> SolutionError | None:
    """Return how far a finer grid finds the solution off, None for results that do not say."""
    text = dataset.attrs.get("solution_error")
    return None if not text else SolutionError.from_json(str(text))


def print_summary(
    dataset: xr.Dataset, endpoints: Mapping[str, EndpointLike], *, console: Console | None = None
) -> None:
    """Print the endpoints of a run, how far it stands from the evidence and a finer grid, and the one-line disclaimer.

    Parameters
    ----------
    dataset : xarray.Dataset
        Simulated results.
    endpoints : mapping of str to Endpoint
        As `kapsim.endpoints(dataset)` gives them.
    console : rich.console.Console, optional
        Where to print; standard output by default.
    """
    from rich.console import Console

    out = console if console is not None else Console()
    out.print(summary_table(dataset, endpoints))
    left = share_beyond_surface(dataset)
    if left > 0.0:
        out.print(BEYOND_SURFACE.format(share=percent_text(left)), style="dim", highlight=False)
    for line in (*structure_lines(dataset, endpoints), *evidence_lines(dataset)):
        out.print(line, highlight=False, markup=False)
    error = run_solution_error(dataset)
    if error is not None:
        out.print(error.line(), highlight=False, markup=False)
    out.print(DISCLAIMER, style="dim", highlight=False)
