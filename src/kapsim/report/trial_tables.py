"""A trial as text, cell by cell: what the terminal and the page show alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import AVERAGE, variants_at
from kapsim.report.theme import number_text
from kapsim.trial.analysis import primary_analysis
from kapsim.trial.design import Trial
from kapsim.trial.operating import Characteristics, Figure, Table, under_variants

__all__ = [
    "ANALYSES",
    "HEADINGS",
    "SCENARIOS",
    "account",
    "characteristic_rows",
    "design_facts",
    "flow_diagram",
    "flow_table",
    "percent_interval",
    "plain",
    "plain_flow",
    "structure",
    "structure_sentences",
]

Array = NDArray[np.float64]
#: By scenario, contrast and variant, how often a difference is found.
Structure = Mapping[str, Mapping[str, Mapping[str, Figure]]]

SCENARIOS: Final = {
    "fixed": "power (middle of the parameters)",
    "ensemble": "assurance (each trial its own draw of the parameters)",
    "null": "type-I error (everybody gets the control)",
}
ANALYSES: Final = {
    "ancova": "analysis of covariance",
    "mmrm": "mixed model for repeated measures",
    "risk_difference": "difference of shares",
    "logistic": "logistic regression, log odds ratio",
    "response": "response, difference of shares",
    "paired": "difference within people",
    "carry_over": "carry-over",
    "log_rank": "log-rank test, z",
    "cox": "Cox regression, log hazard ratio",
}
#: Key and heading of each cell of a characteristic, in order.
HEADINGS: Final = (
    ("scenario", "what is asked"),
    ("analysis", "analysis"),
    ("contrast", "contrast"),
    ("rejects", "finds a difference, % (95 % Monte Carlo interval)"),
    ("estimate", "mean estimate"),
    ("spread", "SD of estimates"),
    ("error", "mean SE"),
    ("truth", "true effect"),
    ("bias", "bias (95 % interval)"),
    ("unblinding", "of it by telling the arms apart"),
    ("coverage", "coverage, %"),
)
_KINDS = {
    "parallel": "parallel arms",
    "factorial": "2 × 2 factorial, drug by therapy",
    "crossover": "crossover",
    "withdrawal": "randomised withdrawal",
}
#: People fewer than this on average are not shown as lost between recruiting and randomising.
_SHOWN_LOSS: Final = 0.05
_WAYS: Final = {
    "randomised": "randomised",
    "missed": "missed a treatment visit",
    "stopped": "gave up treatment",
    "rescued": "had rescue",
    "lost": "did not come to the last visit",
    "failed": "could not be simulated",
    "analysed": "in the primary analysis",
}


def percent_interval(figure: Figure) -> str:
    """Return a share in percent with its interval."""
    if math.isnan(figure.value):
        return "–"
    return f"{100 * figure.value:.1f} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def _interval(figure: Figure) -> str:
    if math.isnan(figure.value):
        return "–"
    if math.isnan(figure.low):
        return number_text(figure.value)
    return f"{number_text(figure.value)} ({number_text(figure.low)} to {number_text(figure.high)})"


def characteristic_rows(found: Sequence[Characteristics]) -> list[dict[str, str]]:
    """Return operating characteristics as text, a row each, keys as in `HEADINGS`."""
    return [
        {
            "scenario": SCENARIOS[item.scenario],
            "analysis": ANALYSES[item.analysis] + (", primary" if item.primary else ""),
            "contrast": item.contrast,
            "rejects": percent_interval(item.rejects),
            "estimate": number_text(item.estimate.value),
            "spread": number_text(item.spread),
            "error": number_text(item.error),
            "truth": number_text(item.truth.value),
            "bias": _interval(item.bias),
            "unblinding": number_text(item.unblinding.value),
            "coverage": "–" if math.isnan(item.coverage.value) else f"{100 * item.coverage.value:.1f}",
        }
        for item in found
    ]


def design_facts(trial: Trial, patients: int, replicates: int) -> list[tuple[str, str]]:
    """Return what the trial is, as pairs of label and text."""
    design = trial.design
    arms = ", ".join(
        f"{arm.name} ({protocol.title})" for arm, protocol in zip(design.arms, trial.protocols, strict=True)
    )
    primary = f"{design.primary.measure} of {design.primary.scale.upper()} at {design.primary.visit}"
    if design.kind == "withdrawal":
        primary = "time to relapse on the MADRS"
    whose = "treatment-resistant depression" if trial.population is None else trial.population.title
    if design.recruits is not None:
        whose = "as the design describes them"
    found = [
        ("kind", _KINDS[design.kind]),
        ("arms", arms),
        ("control", design.control),
        ("masking", design.masking.replace("_", " ")),
        ("people", f"{patients} in each of {replicates} trials; {whose}"),
        ("visits", ", ".join(str(visit) for visit in design.visits)),
        ("primary endpoint", primary),
        ("primary analysis", f"{ANALYSES[primary_analysis(trial)]}, two-sided level {design.analysis.alpha:g}"),
        ("estimand", design.estimand.replace("_", " ")),
        ("drop-out", "none" if design.dropout == "none" else f"as in a {design.dropout}"),
    ]
    if design.interim is not None:
        looks = ", ".join(f"{100 * share:g} %" for share in design.interim.fractions)
        found.append(
            ("interim looks", f"at {looks} of the people, {design.interim.spending.replace('_', ' and ')} spending")
        )
    return found


def plain_flow(table: Table, scenario: str) -> dict[str, dict[str, float]]:
    """Return mean numbers of people over replicates, by arm and by which way they went."""
    found: dict[str, dict[str, float]] = {}
    here = (table["scenario"] == scenario) & np.asarray([str(name).startswith("flow_") for name in table["analysis"]])
    for analysis, contrast in dict.fromkeys(zip(table["analysis"][here], table["contrast"][here], strict=True)):
        rows = here & (table["analysis"] == analysis) & (table["contrast"] == contrast)
        found.setdefault(str(contrast), {})[str(analysis).removeprefix("flow_")] = float(table["value"][rows].mean())
    return found


def flow_table(table: Table, scenario: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return arms, and for each way that people went its words and a number for each arm."""
    flow = plain_flow(table, scenario)
    arms = [name for name in flow if name != "all"]
    rows = []
    for way, words in _WAYS.items():
        numbers = [flow[arm].get(way, 0.0) for arm in arms]
        if any(numbers) or way in ("randomised", "lost", "analysed"):
            rows.append((words, [f"{value:.1f}" for value in numbers]))
    return arms, rows


def flow_diagram(table: Table, scenario: str) -> dict[str, Any]:
    """Return the boxes of a diagram in the form of CONSORT: mean numbers over replicates, as text.

    Keys: `recruited`, `excluded` (empty where everybody was randomised), `randomised`, and `branches`, for each arm
    `name`, `randomised`, `ways` (pairs of words and number) and `analysed`.
    """
    flow = plain_flow(table, scenario)
    recruited = flow["all"]["recruited"]
    arms, rows = flow_table(table, scenario)
    numbers = {words: dict(zip(arms, values, strict=True)) for words, values in rows}
    ends = (_WAYS["randomised"], _WAYS["analysed"])
    randomised = sum(flow[arm]["randomised"] for arm in arms)
    return {
        "recruited": f"{recruited:.0f}",
        "excluded": f"{recruited - randomised:.1f}" if recruited - randomised >= _SHOWN_LOSS else "",
        "randomised": f"{randomised:.1f}",
        "branches": [
            {
                "name": arm,
                "randomised": numbers[ends[0]][arm],
                "ways": [(words, values[arm]) for words, values in numbers.items() if words not in ends],
                "analysed": numbers[ends[1]][arm],
            }
            for arm in arms
        ],
    }


def structure(trial: Trial, patients: int, table: Table, variant: str) -> Structure:
    """Return how often a difference is found under each variant, as `under_variants`; empty under one variant alone."""
    return under_variants(trial, patients, table, variants_at) if variant == AVERAGE else {}


def structure_sentences(found: Structure) -> Iterator[str]:
    """Yield a sentence on what variants differ by, of each scenario and contrast with more than one."""
    for scenario, contrasts in found.items():
        for contrast, shares in contrasts.items():
            if len(shares) < 2:
                continue
            least, most = (end(shares, key=lambda name: shares[name].value) for end in (min, max))
            few, many = percent_interval(shares[least]), percent_interval(shares[most])
            yield (
                f"structure: {SCENARIOS[scenario]}, {contrast}: found in {few} % of the trials under {least}, "
                f"in {many} % under {most}, of {len(shares)} variants"
            )


def account(
    trial: Trial, found: list[Characteristics], table: Table, about: Mapping[str, Any], under: Structure
) -> dict[str, Any]:
    """Return a trial as plain data, numbers that are none as null; `under` is what `structure` gives."""
    from kapsim.statements import DISCLAIMER

    scenario = str(table["scenario"][0])
    content: dict[str, Any] = {
        "disclaimer": DISCLAIMER,
        "design": trial.design.name,
        "kind": trial.design.kind,
        "provenance": dict(about),
        "characteristics": [item.as_data() for item in found],
        "structure": {
            name: {
                contrast: {variant: share._asdict() for variant, share in shares.items()}
                for contrast, shares in contrasts.items()
            }
            for name, contrasts in under.items()
        },
        "flow": plain_flow(table, scenario),
    }
    return {name: plain(value) for name, value in content.items()}


def plain(value: Any) -> Any:
    """Return plain data fit for JSON: what is no number in it is null."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
