"""A trial, or the search for its size, as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kapsim.report.page import render
from kapsim.report.trial_figures import course_figure, fitted, forest_figure, power_figure, size_powers
from kapsim.report.trial_tables import (
    HEADINGS,
    SCENARIOS,
    Structure,
    characteristic_rows,
    design_facts,
    flow_diagram,
    flow_table,
    percent_interval,
)
from kapsim.trial.design import Trial
from kapsim.trial.operating import Characteristics, Table
from kapsim.trial.power import Power

__all__ = ["power_html", "trial_html"]

_CONTENTS: Final = (
    ("design", "Design"),
    ("characteristics", "Operating characteristics"),
    ("flow", "Flow of people"),
    ("figures", "Courses, estimates and power"),
    ("limits", "Limits of use"),
    ("safety", "Safety"),
    ("provenance", "Provenance"),
)
#: How the operating characteristics are to be read.
HOW_TO_READ: Final = (
    "Each share has its 95 % Monte Carlo interval, which says how exactly so many simulated trials know it; it says "
    "nothing of whether the model is right. The true effect is that in the very same simulated people under every arm, "
    "seen at every visit, under the estimand; its last column is the part of it that comes from people telling by what "
    "they feel which arm they are in."
)


def trial_html(
    trial: Trial,
    found: list[Characteristics],
    table: Table,
    *,
    patients: int,
    replicates: int,
    provenance: Sequence[tuple[str, str]],
    under: Structure,
) -> str:
    """Return a trial as one self-contained HTML page.

    Parameters
    ----------
    trial : Trial
    found : list of Characteristics
    table : mapping of str to ndarray, shape (row,)
        Results.
    patients, replicates : int
    provenance : sequence of (str, str)
        What reproduces it.
    under : mapping
        How often a difference is found under each variant, see `kapsim.report.trial_tables.structure`.
    """
    scenario = str(table["scenario"][0])
    arms, flow = flow_table(table, scenario)
    sizes, shares, finds = size_powers(trial, patients, table, scenario)
    return render(
        "trial.html.j2",
        {
            "title": trial.design.title,
            "contents": _CONTENTS,
            "description": trial.design.description,
            "facts": design_facts(trial, patients, replicates),
            "how": HOW_TO_READ,
            "headings": HEADINGS,
            "rows": characteristic_rows(found),
            "structure": [
                (SCENARIOS[name], contrast, variant, percent_interval(share), share.replicates)
                for name, contrasts in under.items()
                for contrast, shares in contrasts.items()
                for variant, share in shares.items()
            ],
            "scenario": SCENARIOS[scenario],
            **flow_diagram(table, scenario),
            "arms": arms,
            "flow": flow,
            "figures": [
                course_figure(trial, table, scenario),
                forest_figure(trial, table, scenario),
                power_figure(sizes, shares, fitted(sizes, finds)),
            ],
            "provenance": list(provenance),
        },
    )


def power_html(
    trial: Trial, searches: Sequence[Power], *, sentences: Sequence[str], provenance: Sequence[tuple[str, str]]
) -> str:
    """Return the search for the size of a trial as one self-contained HTML page."""
    figures: list[dict[str, Any]] = []
    for number, search in enumerate(searches):
        title = {"fixed": "Power by size", "ensemble": "Assurance by size"}[search.parameters]
        item = power_figure(search.sizes, search.power, search.curve, target=search.target, title=title)
        figures.append({**item, "id": f"power-{number}"})
    contents = [entry for entry in _CONTENTS if entry[0] not in ("characteristics", "flow")]
    return render(
        "power.html.j2",
        {
            "title": f"How many people: {trial.design.title}",
            "contents": [(anchor, "Power" if anchor == "figures" else words) for anchor, words in contents],
            "sentences": list(sentences),
            "facts": [pair for pair in design_facts(trial, 0, 0) if pair[0] != "people"],
            "figures": figures,
            "provenance": list(provenance),
        },
    )
