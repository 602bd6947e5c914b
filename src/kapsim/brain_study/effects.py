"""Effect sizes and power of a study: its differences over the spread that real scans, and these people, would have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from kapsim.brain.fixed_point import FixedPoint
from kapsim.brain.haemodynamics import Balloon
from kapsim.brain.measures import CONNECTIVITY, connectivity_measure, effective_samples, paired_power, simulated_scans
from kapsim.brain.moments import RESTING_BAND, correlation, seen_covariance, without_global_signal
from kapsim.brain.regions import Regions
from kapsim.brain_study.plan import Array, Points, Scan

#: Draws behind the spread of scans.
SCANS = 200


def study_effects(
    points: Points,
    names: Mapping[str, tuple[str, str]],
    values: Array,
    scan: Scan,
    regions: Regions,
    people: int,
    seed: int,
) -> dict[str, str]:
    """Return effect sizes and power as an attribute: hour by hour, measure by measure, null where there is none.

    The difference is that of the simulated scans. Its spread is that of single scans of this length, from the spectra
    of the model, and of the persons' true differences, from their fixed points.
    """
    found: list[dict[str, Any]] = []
    for hour in range(values.shape[-1]):
        pairs = [
            (a, b) for a, b in zip(points["placebo"][hour], points["drug"][hour], strict=True) if a is not None and b
        ]
        row: dict[str, Any] = {}
        if len(pairs) == people and people > 1:
            both = [[_covariance(state, scan) for state in pair] for pair in pairs]
            samples = float(np.mean([effective_samples(pair[0], scan.duration_s) for pair in pairs]))
            for name in names:
                if name not in CONNECTIVITY or samples < 4:
                    continue
                true = np.array(
                    [[float(connectivity_measure(correlation(c), regions, name)) for c in pair] for pair in both]
                )
                drawn = [
                    connectivity_measure(
                        simulated_scans(np.mean([pair[at] for pair in both], axis=0), samples, SCANS, seed + at),
                        regions,
                        name,
                    )
                    for at in (0, 1)
                ]
                at = list(names).index(name)
                sampling = 0.5 * (drawn[0].var(ddof=1) + drawn[1].var(ddof=1))
                differing = float((true[:, 1] - true[:, 0]).var(ddof=1))
                row[name] = _paired(
                    float((values[at, :, 1, hour] - values[at, :, 0, hour]).mean()),
                    2.0 * float(sampling) + differing,
                    people,
                )
        found.append(row)
    return {"effects": json.dumps(found)}


def _covariance(point: FixedPoint, scan: Scan) -> Array:
    found = seen_covariance(point.model, point.coupling, point.gating, point.inputs, Balloon.build(), RESTING_BAND)
    return np.asarray(found if scan.global_signal else without_global_signal(found))


def _paired(difference: float, variance: float, people: int) -> dict[str, float]:
    """Return Cohen's d of paired differences, and the power of a two-sided test at 5 %."""
    size = difference / float(np.sqrt(variance))
    return {"size": size, "power": paired_power(size, people)}
