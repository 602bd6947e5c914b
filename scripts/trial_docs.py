"""Write the runs that docs/trials.md shows: `python scripts/trial_docs.py`, some three minutes on two idle cores.

What stands between a pair of markers is replaced; the explanations around them are written by hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pages import markdown, replace
from pictures import ROOT

from kapsim.evidence import evidence_version, load_observed
from kapsim.evidence.schema import ObservedRecord, Point
from kapsim.trial.analysis import analyse_primary
from kapsim.trial.conduct import Settings, conduct
from kapsim.trial.design import load_design

PAGE = ROOT / "docs" / "trials.md"
#: Published designs of examples/, with the record of their difference.
PUBLISHED = {
    "published_aspire2": ("ASPIRE II", "aspire.ii.diff"),
    "published_karma_dep2": ("KARMA-Dep 2", "karma2025.diff.madrs"),
    "published_transform3": ("TRANSFORM-3", "transform3.diff"),
}
REPLICATES, WIDTH = 40, 150
TRIAL = "trial examples/trial_parallel.yaml --patients 100 --replicates 1000"
POWER = "power examples/trial_crossover.yaml --target 0.9 --replicates 200"


def main() -> int:
    replace(PAGE, {"run": run(), "published": published(), "power": shown(POWER)})
    return 0


def run() -> str:
    start = time.perf_counter()
    text = shown(TRIAL, "--scenario", "fixed")
    seconds = time.perf_counter() - start
    return (
        f"A real run with evidence version {evidence_version()}, {seconds:.0f} s on {os.cpu_count()} cores "
        f"(load {os.getloadavg()[0]:.1f}):\n\n{text}"
    )


def shown(command: str, *more: str) -> str:
    """Return a command and what it prints, without what it says of files and limits of use."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*command.split(), *more, "--out", str(Path(folder) / "results")]
        done = subprocess.run(
            [sys.executable, "-m", "kapsim", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"COLUMNS": str(WIDTH)},
        )
    text = done.stdout.partition("Research and education only")[0].rstrip()
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"```\n$ kapsim {' '.join([command, *more])}\n{lines}\n```"


def published() -> str:
    """Return a table of published trials: difference and its standard error, reported and here."""
    records = {record.id: record for record in load_observed()}
    rows = []
    for stem, (name, identifier) in PUBLISHED.items():
        record = records[identifier]
        trial = load_design(ROOT / "examples" / f"{stem}.yaml")
        point, people = primary_point(record, stem), int(record.study.n or 0)
        (item,) = analyse_primary(conduct(trial, Settings(people, 2, "ensemble"), np.arange(REPLICATES)))
        here, said = float(item.estimate.error.mean()), reported_error(point)
        rows.append(
            [
                f"{name} ({record.study.author} {record.study.year})", f"`{identifier}`", people,
                f"{float(point.value):.1f}", f"{float(item.estimate.value.mean()):.1f}",
                f"{said:.2f}", f"{here:.2f}", f"{here / said:.2f}",
            ]
        )  # fmt: skip
    headings = (
        "trial", "record", "people", "difference reported", "here", "its standard error reported", "here", "ratio",
    )  # fmt: skip
    return markdown(headings, rows)


def primary_point(record: ObservedRecord, stem: str) -> Point:
    """Return the point of a record at the primary visit of its design."""
    trial = load_design(ROOT / "examples" / f"{stem}.yaml")
    hours = trial.hours[[str(visit) for visit in trial.design.visits].index(str(trial.design.primary.visit))]
    return min(record.points, key=lambda point: abs(float(point.time_h or 0.0) - hours))


def reported_error(point: Point) -> float:
    """Return the standard error that a point gives, or that its interval has."""
    if point.se is not None:
        return float(point.se)
    low, high = (float(end) for end in point.ci95 or () if end is not None)
    return (high - low) / (2.0 * 1.959964)


if __name__ == "__main__":
    sys.exit(main())
