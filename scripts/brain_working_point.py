"""Choose the working point of the cortex and report its fit: `python scripts/brain_working_point.py` (some 3 minutes).

The rule, declared before any record of a drug is looked at:

1. Weights are raised to a power and divided by their largest eigenvalue, never row by row.
2. Candidates are the powers and couplings of the grids below, with all regions alike.
3. Room: in each cortical parcellation the low branch must survive a cut of NMDA onto interneurons of twice the largest
   that a published circuit model uses (brain.circuit.reduced_ei).
4. Worth: in both fitting sets (dk68; schaefer100, the first group of people) the correlation of the model's with the
   measured functional connectivity must be above that of the counts, of the very matrix that the model is given, and of
   nearness (1 / distance). Global signal left in.
5. Of the candidates with room and worth, the highest mean Fisher's z of that correlation over the fitting sets is
   taken.
6. At that point the gradient of local recurrence along T1w/T2w is chosen by 3 and 5, from the grid below. It is
   recorded, and off unless asked for.

Held back: the second group of people of schaefer100, and the functional connectivity of schaefer200.

It writes the records (src/kapsim/evidence/data/parameters-brain-working-point.yaml) and the tables of docs/brain.md;
`--check` computes the choice again and says whether the records still hold.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import yaml
from numpy.typing import NDArray
from pages import markdown, replace
from pictures import ROOT

from kapsim.brain import empirical_connectivity, load_atlas
from kapsim.brain.connectome import Connectome
from kapsim.brain.constants import number
from kapsim.brain.fit import Fit, baselines, fit, pattern_correlation
from kapsim.brain.fixed_point import FixedPoint, follow, rest
from kapsim.brain.mean_field import MeanField, RegionalInputs
from kapsim.brain.moments import bold_connectivity, correlation, without_global_signal
from kapsim.brain.working_point import RECORDS, WorkingPoint
from kapsim.errors import FixedPointError

Array = NDArray[np.float64]

EXPONENTS = (1.0, 0.75, 0.5, 0.25)
COUPLINGS = tuple(round(0.05 * step, 2) for step in range(1, 33))
GRADIENTS = tuple(round(0.05 * step, 2) for step in range(-8, 9))
CORTICAL = ("dk68", "schaefer100", "schaefer200")
FITTED = ("dk68", "schaefer100")
ROOM = 2.0  # times the published cut
PAGE = ROOT / "docs" / "brain.md"
MODEL = MeanField.build()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether the records still hold")
    options = parser.parse_args()
    table, point = choose()
    content = records(point, table)
    if options.check:
        same = RECORDS.read_text(encoding="utf-8") == content
        print("the working point holds" if same else "the working point is stale: run scripts/brain_working_point.py")
        return 0 if same else 1
    RECORDS.write_text(content, encoding="utf-8")
    blocks = {"choice": choice_table(table, point), "fit": fit_table(point), "numbers": sentence(point)}
    replace(PAGE, blocks)
    print("\n\n".join(blocks.values()))
    return 0


def choose() -> tuple[list[dict[str, float]], WorkingPoint]:
    """Return for each exponent its best candidate with room, with worth where there is one, and the working point."""
    table = []
    for exponent in EXPONENTS:
        found = []
        for coupling in COUPLINGS:
            row = scored(WorkingPoint(coupling, exponent, 0.0))
            if row is None:
                break  # what is too strong here is so further on
            found.append(row)
        table.append(max(found, key=lambda row: (row["worth"] > 0.0, row["mean_z"])))
        print({key: round(value, 3) for key, value in table[-1].items()}, file=sys.stderr)
    chosen = max(table, key=lambda row: (row["worth"] > 0.0, row["mean_z"]))
    candidates = [WorkingPoint(chosen["coupling"], chosen["exponent"], gradient) for gradient in GRADIENTS]
    graded = [(row["mean_z"], point) for point in candidates if (row := scored(point))]
    return table, max(graded, key=lambda pair: pair[0])[1]


def scored(point: WorkingPoint) -> dict[str, float] | None:
    """Return the fits of a candidate and how far the worst lies above what needs no model; None without room."""
    if not all(has_room(load_atlas(name), point) for name in CORTICAL):
        return None
    fits, worth = {}, []
    for name in FITTED:
        connectome, measured = load_atlas(name), empirical_connectivity(name)
        fits[name] = pattern_correlation(predicted(connectome, point), measured)
        without = baselines(connectome, measured)
        given = pattern_correlation(point.scaled(connectome), measured)
        worth.append(fits[name] - max(given, without["counts"], without["nearness"]))
    mean = float(np.mean(np.arctanh(list(fits.values()))))
    return {"exponent": point.exponent, "coupling": point.coupling, **fits, "mean_z": mean, "worth": min(worth)}


def resting(connectome: Connectome, point: WorkingPoint) -> FixedPoint:
    inputs = point.heterogeneous(connectome) if point.gradient else RegionalInputs(0.0)
    return rest(MODEL, point.scaled(connectome), inputs)


def has_room(connectome: Connectome, point: WorkingPoint) -> bool:
    cut = ROOM * number("brain.circuit.reduced_ei", "1")
    try:
        start = resting(connectome, point)
        follow(start, start.inputs._replace(onto_interneurons=1.0 - cut))
    except FixedPointError:
        return False
    return True


def largest_cut(connectome: Connectome, point: WorkingPoint) -> float:
    """Return the largest cut onto interneurons that the low branch survives."""
    start = resting(connectome, point)
    low, high = 0.0, 0.5
    for _ in range(10):
        middle = 0.5 * (low + high)
        try:
            follow(start, start.inputs._replace(onto_interneurons=1.0 - middle))
            low = middle
        except FixedPointError:
            high = middle
    return low


def predicted(connectome: Connectome, point: WorkingPoint) -> Array:
    return bold_connectivity(resting(connectome, point))


def records(point: WorkingPoint, table: list[dict[str, float]]) -> str:
    """Return the text of the record file."""
    chosen = next(row for row in table if row["exponent"] == point.exponent)
    fits = ", ".join(f"{name} {chosen[name]:.3f}" for name in FITTED)
    rule = "the rule of scripts/brain_working_point.py, which looks at no record of a drug"
    told: dict[str, tuple[str, float, str]] = {
        "coupling": (
            "global coupling G, weights raised to the power and divided by their largest eigenvalue",
            point.coupling,
            f"{rule}; correlation with the functional connectivity that it was fitted to: {fits}",
        ),
        "exponent": ("power to which structural weights are raised before scaling", point.exponent, rule),
        "gradient": (
            "relative change of local recurrence per standard deviation of T1w/T2w, where regions are to differ",
            point.gradient,
            f"{rule}; off by default; positive is more recurrence in sensory regions",
        ),
    }
    listed = [
        {
            "id": f"brain.working_point.{name}",
            "quantity": quantity,
            "value": value,
            "unit": "1",
            "spread": None,
            "n": None,
            "species": "model",
            "source": {
                "author": "this project",
                "year": 2026,
                "journal": "connectome folder",
                "doi": None,
                "where": "scripts/brain_working_point.py, on the shipped connectomes",
            },
            "confidence": "read",
            "note": note,
        }
        for name, (quantity, value, note) in told.items()
    ]
    head = "# Written by scripts/brain_working_point.py; change the rule there and run it again.\n"
    return head + yaml.safe_dump(listed, sort_keys=False, allow_unicode=True, width=140)


def choice_table(table: list[dict[str, float]], point: WorkingPoint) -> str:
    rows = []
    for row in table:
        at = WorkingPoint(row["coupling"], row["exponent"], 0.0)
        cuts = ", ".join(f"{100 * largest_cut(load_atlas(name), at):.1f} %" for name in CORTICAL)
        mark = " (taken)" if (at.coupling, at.exponent) == (point.coupling, point.exponent) else ""
        fits = (f"{row[name]:.3f}" for name in FITTED)
        rows.append([f"{at.exponent:g}{mark}", f"{at.coupling:g}", *fits, f"{row['worth']:+.3f}", cuts])
    return markdown(
        ("power", "best G", *FITTED, "above baselines by at least", f"largest cut ({', '.join(CORTICAL)})"), rows
    )


def fit_table(point: WorkingPoint) -> str:
    """Return the fit of every set of measurements beside every baseline."""
    sets = (
        ("dk68", False, "in sample"),
        ("schaefer100", False, "in sample"),
        ("schaefer100", True, "held back, other people"),
        ("schaefer200", False, "held back"),
    )
    rows = []
    for gradient in (0.0, point.gradient):
        at = WorkingPoint(point.coupling, point.exponent, gradient)
        for global_signal in (True, False):
            for name, holdout, kind in sets:
                found = fitted(at, name, holdout, global_signal)
                rows.append(fit_cells(found, name, kind, bool(gradient), global_signal))
                print(rows[-1], file=sys.stderr)
    return markdown(
        (
            "measured", "kind", "regions", "global signal", "model", "counts", "√ counts", "ln counts", "1 / distance",
            "shuffled (highest)", "shuffled by length (highest)", "ceiling", "mean FC model / measured", "above all",
        ),
        rows,
    )  # fmt: skip


def fitted(point: WorkingPoint, name: str, holdout: bool, global_signal: bool) -> Fit:
    def seen(connectivity: Array) -> Array:
        return connectivity if global_signal else np.asarray(correlation(without_global_signal(connectivity)))

    measured = seen(empirical_connectivity(name, holdout=holdout))
    others = seen(empirical_connectivity(name, holdout=not holdout)) if name == "schaefer100" else None
    return fit(load_atlas(name), measured, lambda one: seen(predicted(one, point)), others=others)


def fit_cells(found: Fit, name: str, kind: str, graded: bool, global_signal: bool) -> list[str]:
    return [
        name, kind, "graded" if graded else "alike", "kept" if global_signal else "removed", f"**{found.model:.3f}**",
        *(f"{value:.3f}" for value in found.baselines.values()),
        *(f"{values.mean():.3f} ({values.max():.3f})" for values in found.nulls.values()),
        "–" if found.ceiling is None else f"{found.ceiling:.3f}",
        f"{found.mean_model:.2f} / {found.mean_measured:.2f}",
        "yes" if found.beats_all else "**no**",
    ]  # fmt: skip


def sentence(point: WorkingPoint) -> str:
    return (
        f"Power {point.exponent:g}, coupling {point.coupling:g}; gradient {point.gradient:+g} per standard deviation "
        "of T1w/T2w, off by default."
    )


if __name__ == "__main__":
    raise SystemExit(main())
