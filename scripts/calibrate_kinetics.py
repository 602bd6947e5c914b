"""Fit the default kinetics to the shipped records of concentrations, and again without each study.

    python scripts/calibrate_kinetics.py           write the calibration that ships with kapsim (some 10 minutes)
    python scripts/calibrate_kinetics.py --check   say whether it is still that of the shipped records and priors
    python scripts/calibrate_kinetics.py --quick   fit all studies once, print what moves, write nothing

Run it after a change of the kinetic equations, of a kinetic prior or of a record of concentrations.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from kapsim.evidence import load_observed
from kapsim.evidence._files import CALIBRATION
from kapsim.evidence.calibration import load_calibration
from kapsim.evidence.parameter import Parameter
from kapsim.evidence.registry import load_priors
from kapsim.files import write_together
from kapsim.inference.kinetics import (
    Problem,
    fit,
    inputs_hash,
    lone_studies,
    of_concentrations,
    problem,
    without_study,
)
from kapsim.inference.mode import Fit
from kapsim.validation.cases import Case, prepare
from kapsim.validation.independence import record_study

DIGITS = 6


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    priors = load_priors()
    inputs = inputs_hash(priors)
    if options.check:
        fresh = CALIBRATION.exists() and load_calibration().inputs == inputs
        print("the calibration is that of the shipped records and priors" if fresh else "run the calibration again")
        return 0 if fresh else 1
    cases = of_concentrations(prepare(load_observed(), priors))
    task = problem(cases, priors)
    whole = fit(task, priors, progress=print, steps=4 if options.quick else 40)
    report(whole)
    if options.quick:
        return 0
    content = {
        "script": "scripts/calibrate_kinetics.py",
        "inputs": inputs,
        "error": (
            f"Student t with 4 degrees of freedom on the logarithm, {task.within:g} within and {task.between:g} "
            "between studies of an analyte; posterior mode, width of the mode"
        ),
        "records": [case.record.id for case in task.cases],
        "parameters": moved(whole, priors),
        "leave_one_study_out": left_out(cases, task, priors, whole),
    }
    text = "# Written by scripts/calibrate_kinetics.py; change the priors in model.yaml and run it again.\n"
    text += yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    write_together({CALIBRATION: text.encode("utf-8")})
    print(f"written: {CALIBRATION.name}")
    return 0


def left_out(cases: Sequence[Case], task: Problem, priors: Mapping[str, Parameter], whole: Fit) -> list[dict[str, Any]]:
    found, alone = [], lone_studies(cases)
    for study in dict.fromkeys(record_study(case.record) for case in task.cases):
        own = [case for case in cases if record_study(case.record).same(study)]
        rest, without, dropped = without_study(task, priors, study)
        print(f"without {own[0].frame.study}: {len(own)} records, {len(dropped)} parameters dropped")
        # where the prior is another one, the start is its centre
        start = [0.0 if name in dropped else z for name, z in zip(whole.names, whole.z, strict=True)]
        result = fit(rest, without, _array(start), steps=25)
        found.append(
            {
                "study": own[0].frame.study,
                "records": [case.record.id for case in own],
                "dropped": dropped,
                "not_testable": {case.record.id: alone[case.record.id] for case in own if case.record.id in alone},
                "parameters": moved(result, without),
            }
        )
    return found


def _array(values: list[float]) -> Any:
    import numpy as np

    return np.asarray(values)


def moved(result: Fit, priors: Mapping[str, Parameter]) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "value": rounded(parameter.value),
            "sd": rounded(parameter.uncertainty.sd if parameter.uncertainty is not None else 0.0),
            "moved": rounded(float(z)),
            "kept": rounded(float(sd)),
        }
        for (name, parameter), z, sd in zip(result.posterior().items(), result.z, result.sd, strict=True)
    ]


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def report(result: Fit) -> None:
    print(f"{'parameter':34} {'prior':>10} {'posterior':>10}  moved (prior SD)  width kept")
    for (name, parameter), z, sd in zip(result.posterior().items(), result.z, result.sd, strict=True):
        print(f"{name:34} {result.priors[name].value:10.4g} {parameter.value:10.4g}  {z:16.2f}  {sd:10.2f}")


if __name__ == "__main__":
    sys.exit(main())
