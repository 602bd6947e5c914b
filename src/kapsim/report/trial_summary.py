"""A trial, or the search for its size, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

from kapsim.report.trial_tables import (
    SCENARIOS,
    characteristic_rows,
    flow_table,
    percent_interval,
    structure,
    structure_sentences,
)
from kapsim.statements import DISCLAIMER

if TYPE_CHECKING:
    from rich.console import Console

    from kapsim.trial.design import Trial
    from kapsim.trial.operating import Characteristics, Table
    from kapsim.trial.power import Power
    from kapsim.trial.shards import Plan

__all__ = ["power_sentence", "print_power", "print_trial", "remarks"]

_HEADINGS = (
    ("scenario", "what is asked"),
    ("analysis", "analysis"),
    ("contrast", "contrast"),
    ("rejects", "finds a difference, %"),
    ("estimate", "estimate"),
    ("error", "mean SE"),
    ("truth", "true effect"),
    ("bias", "bias"),
)


def print_trial(trial: Trial, found: Sequence[Characteristics], table: Table, plan: Plan, *, console: Console) -> None:
    """Print operating characteristics, the flow of people and what stands out.

    Parameters
    ----------
    trial : Trial
    found : sequence of Characteristics
    table : mapping of str to ndarray, shape (row,)
        Results.
    plan : Plan
    console : rich.console.Console
    """
    title = f"{trial.design.title}: {plan.patients} people, {plan.replicates} trials of each scenario"
    shown = RichTable(
        title=escape(title),
        caption="shares with their 95 % Monte Carlo interval; bias with that of its mean",
        title_justify="left",
        caption_justify="left",
    )
    for _, heading in _HEADINGS:
        shown.add_column(heading)
    for row in characteristic_rows(found):
        shown.add_row(*(escape(row[key]) for key, _ in _HEADINGS))
    console.print(shown)
    scenario = str(table["scenario"][0])
    arms, rows = flow_table(table, scenario)
    flow = RichTable(title=escape(f"mean numbers of people; {SCENARIOS[scenario]}"), title_justify="left")
    flow.add_column("people who")
    for arm in arms:
        flow.add_column(escape(arm), justify="right")
    for words, numbers in rows:
        flow.add_row(words, *numbers)
    console.print(flow)
    under = structure(trial, plan.patients, table, plan.variant)
    for line in (*remarks(found), *structure_sentences(under)):
        console.print(line, markup=False, highlight=False)
    console.print(DISCLAIMER, style="dim", highlight=False)


def remarks(found: Sequence[Characteristics]) -> Iterator[str]:
    """Yield a sentence on interim looks, on unblinding and on trials without an estimate, of each primary analysis."""
    for item in found:
        about = f"{SCENARIOS[item.scenario]}, {item.contrast}"
        if not item.primary:
            continue
        if len(item.looks) > 1:
            shares = ", ".join(f"{100 * share:.1f} %" for share in item.looks)
            yield f"{about}: found by look {shares}; {item.people:.1f} people on average"
        if item.unblinding.replicates:
            yield (
                f"{about}: true effect {item.truth.value:.2f}, {item.truth_blind.value:.2f} where nobody can tell; "
                f"telling the arms apart makes {item.unblinding.value:.2f} of it "
                f"({item.unblinding.low:.2f} to {item.unblinding.high:.2f})"
            )
        if item.unestimated > 0.0:
            yield f"{about}: {100 * item.unestimated:.1f} % of the trials have no estimate and count as finding nothing"


def power_sentence(search: Power) -> str:
    """Return in words what a search found and how sure it is."""
    kind = {"fixed": "Power", "ensemble": "Assurance"}[search.parameters]
    goal = f"{kind} of {100 * search.target:g} % to find {search.contrast}"
    if search.size is None:
        top = f"{percent_interval(search.power[-1])} % with {search.sizes[-1]} people"
        return f"{goal} is not reached: {top}, by {search.replicates} simulated trials; it may never be."
    low = "–" if search.low is None else str(search.low)
    high = f"more than {search.sizes[-1]}" if search.high is None else str(search.high)
    return (
        f"{goal} needs {search.size} people (95 % interval {low} to {high}), by a curve through {search.replicates} "
        f"simulated trials at {len(search.sizes)} sizes; the interval is that of the simulation alone."
    )


def print_power(searches: Sequence[Power], *, console: Console) -> None:
    """Print the powers that were simulated and what follows from them."""
    for search in searches:
        title = {"fixed": "power", "ensemble": "assurance"}[search.parameters]
        shown = RichTable(title=f"{title} by size", title_justify="left")
        shown.add_column("people", justify="right")
        shown.add_column("finds a difference, % (95 % Monte Carlo interval)")
        for size, figure in zip(search.sizes, search.power, strict=True):
            shown.add_row(str(size), percent_interval(figure))
        console.print(shown)
        console.print(power_sentence(search), highlight=False, markup=False)
    console.print(DISCLAIMER, style="dim", highlight=False)
