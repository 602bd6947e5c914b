"""What a study found, in rows and sentences."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

#: What holds of every figure that is printed.
LIMITS = (
    "Effect sizes hold sampling error and what is drawn of people, and are upper limits; the mean connectivity of the "
    "model is a tenth of the measured one, so that signs and effect sizes can be compared, differences of z cannot "
    "(docs/brain.md)."
)


def measure_rows(study: xr.Dataset, hour: int) -> list[dict[str, Any]]:
    """Return every measure at an hour: means over people under placebo and drug, difference, effect size and power."""
    values, effects = study["value"].values[..., hour], json.loads(study.attrs["effects"])[hour]
    found = []
    for row, name in enumerate(study["measure"].values):
        placebo, drug = (float(np.mean(values[row, :, arm])) for arm in (0, 1))
        effect = effects.get(str(name), {})
        found.append(
            {
                "measure": str(name),
                "name": str(study["measure_name"].values[row]),
                "unit": str(study["measure_unit"].values[row]),
                "placebo": placebo,
                "drug": drug,
                "difference": drug - placebo,
                "effect_size": effect.get("size", float("nan")),
                "power": effect.get("power", float("nan")),
            }
        )
    return found


def warnings_of(study: xr.Dataset) -> list[str]:
    """Return a line for each arm and hour at which the network left its low branch for somebody."""
    lines = []
    for k, hour in enumerate(study["hour"].values):
        for a, arm in enumerate(study["arm"].values):
            gone, high = (int(study[name].values[:, a, k].astype(bool).sum()) for name in ("off_low_branch", "tipped"))
            if gone or high:
                lines.append(
                    f"{arm} at {hour:.3g} h: the network leaves its low branch in {max(gone, high)} of "
                    f"{study.sizes['subject']} people; their figures describe no resting cortex"
                )
    return lines


def sign_sentence(study: xr.Dataset) -> list[str]:
    """Return what the model says of the default mode network, an hour a line, whatever the popular account says."""
    lines: list[str] = []
    measures = list(study["measure"].values)
    for k, hour in enumerate(study["hour"].values):
        parts = []
        for name, word in (("dmn_within", "connectivity within it"), ("dmn_relative", "its rate over the cortex")):
            if name in measures:
                value = study["value"].values[measures.index(name), :, :, k]
                change = float((value[:, 1] - value[:, 0]).mean())
                parts.append(f"{word} {'rises' if change > 0 else 'falls' if change < 0 else 'is unchanged'}")
        if parts:
            lines.append(f"default mode network at {hour:.3g} h: {', '.join(parts)}, as the model gives it")
    return lines
