"""Hold calibrations of other seeds against the one that ships: `python scripts/calibration_seeds.py FOLDER OTHER ...`.

Each folder is where `kapsim calibrate` wrote. A seed decides every random number of a calibration: the rows of its
designs, the people in them and the chains of the sampler. What stands between the markers in docs/calibration.md is
replaced.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from calibration_docs import PAGE
from pages import markdown, replace

#: Kinds of figures whose predictions are compared, with their unit.
KINDS = {"points": "points", "share": "logits", "effect": "SD"}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the calibration that ships")
    parser.add_argument("others", type=Path, nargs="+", help="calibrations of other seeds")
    given = parser.parse_args()
    own, *others = (
        json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
        for folder in (given.folder, *given.others)
    )
    for other in others:
        for key in ("evidence_hash", "kapsim_version", "variant", "rows", "people"):
            if own["made_by"][key] != other["made_by"][key]:
                parser.error(f"{key} is {other['made_by'][key]!r}, not {own['made_by'][key]!r}")
    rows = [compared(own, other) for other in others]
    replace(PAGE, {"seeds": markdown(tuple(rows[0]), [list(row.values()) for row in rows])})
    return 0


def compared(own: dict[str, Any], other: dict[str, Any]) -> dict[str, str]:
    mine, theirs = ({item["id"]: item for item in account["parameters"]} for account in (own, other))
    both = sorted(set(mine) & set(theirs))
    apart = np.asarray(
        [abs(mine[k]["moved"] - theirs[k]["moved"]) / np.hypot(mine[k]["kept"], theirs[k]["kept"]) for k in both]
    ) * np.sqrt(2.0)
    sampler = np.asarray(
        [np.sqrt(1.0 / mine[k]["effective_sample"] + 1.0 / theirs[k]["effective_sample"]) for k in both]
    )
    found = {
        "seed": str(other["made_by"]["seed"]),
        "free parameters in common": f"{len(both)} of {len(mine)}",
        "middles apart, posterior SD (median, largest)": f"{np.median(apart):.2f}, {apart.max():.2f}",
        "by the sampler alone": f"{np.median(sampler):.2f}",
    }
    densities = [{one["study"]: one["log_density"] for one in account["left_out"]} for account in (own, other)]
    gains = np.asarray([densities[1][study] - densities[0][study] for study in densities[0]])
    error = np.sqrt(len(gains)) * gains.std(ddof=1)
    found["log density of studies left out"] = f"{gains.sum():+.1f} ± {error:.1f}"
    for kind, unit in KINDS.items():
        first, second = (predictions(account, kind) for account in (own, other))
        moved = np.asarray([first[key] - second[key] for key in first if key in second])
        found[f"predictions apart, {unit} (RMS)"] = f"{np.sqrt(np.mean(moved**2)):.2f}"
    return found


def predictions(account: dict[str, Any], kind: str) -> dict[str, float]:
    """Return each figure of studies left out as it was predicted."""
    return {
        item["figure"]: item["predicted"]
        for study in account["left_out"]
        for item in study["figures"]
        if item["kind"] == kind
    }


if __name__ == "__main__":
    sys.exit(main())
