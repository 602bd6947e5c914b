"""Fit what block does to the cortex to records of mechanism, and again without each study.

    python scripts/calibrate_cortex.py           write the calibration that ships with kapsim (some 5 minutes)
    python scripts/calibrate_cortex.py --check   say whether it is still that of the shipped records, priors and surface
    python scripts/calibrate_cortex.py --quick   fit all studies once, print what moves, write nothing

Run it after a change of the network link, of its priors, of the response surface, of the calibrated kinetics or of one
of the records.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import yaml
from calibrate_kinetics import moved, report

from kapsim.evidence._files import CORTEX_CALIBRATION
from kapsim.evidence.calibration import load_calibration
from kapsim.files import write_together
from kapsim.inference.cortex import FALL, Problem, fit, inputs_hash, problem, without
from kapsim.inference.mode import Fit
from kapsim.validation.cases import study_labels
from kapsim.validation.independence import record_study


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    inputs = inputs_hash()
    if options.check:
        fresh = CORTEX_CALIBRATION.exists() and load_calibration(CORTEX_CALIBRATION).inputs == inputs
        print("the calibration is that of the shipped records and priors" if fresh else "run the calibration again")
        return 0 if fresh else 1
    task = problem()
    whole = fit(task, progress=print)
    report(whole)
    tell(whole, task)
    if options.quick:
        return 0
    content = {
        "script": "scripts/calibrate_cortex.py",
        "inputs": inputs,
        "error": (
            f"normal, by published standard errors, and {task.between:g} between studies of a rise; the fall at an "
            "anaesthetic concentration as a sign, by the normal distribution function; posterior mode, widths of the "
            "nearest independent normals"
        ),
        "records": task.names,
        "parameters": moved(whole, task.parameters),
        "leave_one_study_out": left_out(task, whole),
    }
    text = "# Written by scripts/calibrate_cortex.py; change the priors in model.yaml and run it again.\n"
    text += yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    write_together({CORTEX_CALIBRATION: text.encode("utf-8")})
    print(f"written: {CORTEX_CALIBRATION.name}")
    return 0


def left_out(task: Problem, whole: Fit) -> list[dict[str, Any]]:
    found = []
    for study, label in study_labels(task.records).items():
        own = [record.id for record in task.records if record_study(record) == study]
        print(f"without {label}: {len(own)} records")
        rest = without(task, own)
        result = fit(rest, whole.z)
        report(result)
        tell(result, task)
        found.append(
            {
                "study": label,
                "records": own,
                "dropped": [],
                "not_testable": {},
                "parameters": moved(result, task.parameters),
            }
        )
    return found


def tell(result: Fit, task: Problem) -> None:
    """Print every figure beside what the mode gives, those that were left out too."""
    observed, predicted = task.likelihood().observed, task.predict(result.z[None])[0]
    for name, one, other in zip(task.names, observed, predicted, strict=True):
        seen = "below 0" if name == FALL else f"{one:+.3f}"
        print(f"{name:34} observed {seen:>8}   at the mode {other:+.3f}")


if __name__ == "__main__":
    sys.exit(main())
