"""Write what the variants answer into docs/contested.md: `python scripts/contested_docs.py`, a minute or so.

What stands between the markers is replaced; the explanations around it are written by hand.
"""

from __future__ import annotations

import sys

from pages import markdown, replace
from pictures import ROOT

from kapsim.evidence import evidence_version, load_evidence
from kapsim.perturbations import HOURS, PERTURBATIONS, Answer, perturb

PAGE = ROOT / "docs" / "contested.md"
HOUR = HOURS[0]
#: Points within which a variant is told to answer as the standard model does.
ALIKE = 0.15
SEEN = {"less": "less relief", "same": "no difference found", "more": "more relief"}


def main() -> int:
    answers = [item for item in perturb(progress=print) if item.hour == HOUR]
    replace(PAGE, {"answers": table(answers)})
    return 0


def table(answers: list[Answer]) -> str:
    """Return the table of answers, what was seen in people in its last line, and the variants that answer alike."""
    told: dict[str, list[str]] = {}
    means: dict[str, list[float]] = {}
    for variant in dict.fromkeys(item.variant for item in answers):
        own = {item.perturbation: item for item in answers if item.variant == variant}
        relief = next(iter(own.values())).relief
        means[variant] = [relief, *(own[item.name].change for item in PERTURBATIONS)]
        told[variant] = [f"{relief:.1f}", *(cell(own[item.name]) for item in PERTURBATIONS)]
    alike = [
        name
        for name, values in means.items()
        if name != "standard"
        and all(abs(one - other) <= ALIKE for one, other in zip(values, means["standard"], strict=True))
    ]
    rows = [[f"`{name}`", *cells] for name, cells in told.items() if name not in alike]
    rows.append(["*seen in people*", "", *(seen(item.name, answers) for item in PERTURBATIONS)])
    text = markdown(("variant", "relief, points", *(item.words for item in PERTURBATIONS)), rows)
    names = ", ".join(f"`{name}`" for name in alike)
    return (
        f"{text}\n\nWithin {ALIKE} points of `standard` in every column: {names or 'none'}. "
        f"Evidence version {evidence_version()}. "
        "† a study of the size of the one on record would not have come out as that one did."
    )


def cell(answer: Answer) -> str:
    """Return a change with its interval, marked where it does not agree with what was seen."""
    change, low, high = (f"{round(value, 1) + 0.0:+.1f}" for value in (answer.change, answer.low, answer.high))
    text = "0" if change == low == high == "+0.0" else f"{change} ({low} to {high})".replace("-", "−")
    return text + (" †" if answer.agrees is False else "")


def seen(perturbation: str, answers: list[Answer]) -> str:
    """Return what was seen in people, with the study."""
    record = next(item.seen for item in answers if item.perturbation == perturbation)
    if record is None:
        return "–"
    source = load_evidence()[record.evidence].source
    return f"{SEEN[record.effect]} in {record.people} ({source.author} {source.year})"


if __name__ == "__main__":
    sys.exit(main())
