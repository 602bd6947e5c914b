"""Numbers of the credibility page: from the registry, the records, and the tables that a validation left."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from link_pages import overview as links
from markup import markdown

from kapsim import __version__
from kapsim.evidence import STATUSES, evidence_version, load_evidence, load_observed, load_parameters
from kapsim.evidence._files import CHAIN_CALIBRATION
from kapsim.evidence.calibration import load_calibration

DOCS = Path(__file__).resolve().parent.parent


def block(page: str, name: str) -> str:
    """Return what a script put between the markers of a page."""
    found = re.search(
        rf"<!-- {re.escape(name)}: begin -->\n(.*?)\n?<!-- {re.escape(name)}: end -->",
        (DOCS / page).read_text(encoding="utf-8"),
        re.DOTALL,
    )
    if found is None:
        raise ValueError(f"{page} has no block {name!r}")
    return found[1]


def rows(page: str, name: str) -> list[list[str]]:
    """Return the cells of a table that a script put into a page, without its headings."""
    lines = [line for line in block(page, name).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def limits() -> str:
    """Return the limits set beforehand and what came of each, without the list of figures beyond."""
    told = [
        [what, wanted, on, found, figures, verdict if verdict == "met" else f"**{verdict}**"]
        for what, wanted, on, found, figures, verdict, *_ in rows("validation.md", "limits")
        if figures != "0"
    ]
    return markdown(("limit", "wanted", "on records", "found", "figures", "verdict"), told)


def verdicts() -> str:
    """Return how many of the limits that any record tests are met."""
    tested = [row for row in rows("validation.md", "limits") if row[4] != "0"]
    met = sum(row[5] == "met" for row in tested)
    untested = len(rows("validation.md", "limits")) - len(tested)
    return (
        f"Of {len(tested)} limits that some record tests, {met} are met and {len(tested) - met} are not; "
        f"{untested} have no record that tests them."
    )


def versions() -> str:
    """Return what this page was made of."""
    return f"kapsim {__version__}, evidence version {evidence_version()}."


def basis() -> str:
    """Return what the numbers rest on, in one sentence each."""
    registry = load_parameters()
    counts = Counter(item.status for item in registry.values())
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES)
    calibrated = [item for item in registry.values() if item.prior is not None]
    # of the chain: what its calibration had before it, and what it left
    kept = [
        item.uncertainty.sd / item.prior.uncertainty.sd
        for item in calibrated
        if item.uncertainty is not None and item.prior is not None and item.prior.uncertainty.sd > 0.0
    ]
    learned = sum(ratio < 0.8 for ratio in kept)
    records = f"{len(load_evidence())} measured quantities and {len(load_observed())} observed outcomes"
    lines = [
        f"- {len(registry)} parameters: {told}. The evidence files hold {records}.",
        f"- {len(calibrated)} parameters were calibrated; {learned} of them kept less than 80 % of the width that "
        f"their prior had. The others learned little or nothing.",
        "- " + " ".join(block("validation.md", "counts").split()),
    ]
    if CHAIN_CALIBRATION.exists() and not load_calibration(CHAIN_CALIBRATION).variants:
        lines.append("- The shipped calibration has not scored the variants: which reading is right is left open.")
    return "\n".join(lines)


def brain_signs() -> str:
    """Return how many signs of the brain records the model has right."""
    told = block("brain.md", "drug").strip().splitlines()[-1]
    return f"{told} That is of two connectomes, each with and without the global signal."


MAKERS = {
    "brain-signs": brain_signs,
    "basis": basis,
    "limits": limits,
    "links-by-status": links,
    "verdicts": verdicts,
    "versions": versions,
}
