"""Designs and made-up data that the tests of trials share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapsim.trial.conduct import Conducted, Settings
from kapsim.trial.design import Trial, parse_design

Array = NDArray[np.float64]

#: Two arms that the solver takes with one program.
PARALLEL = """
schema_version: 1
name: small
title: One ketamine infusion against saline
masking: saline
arms:
- {name: ketamine, protocol: single_infusion}
- {name: saline, protocol: saline_infusion}
control: saline
visits: [24 h, 1 wk, 2 wk]
primary: {scale: madrs, visit: 1 wk}
"""


def design(text: str = PARALLEL, **changes: str) -> Trial:
    """Return a design with lines put at its end, `key: value`, in place of those of the same key."""
    lines = [line for line in text.splitlines() if line.split(":")[0] not in changes]
    return parse_design("\n".join([*lines, *(f"{key}: {value}" for key, value in changes.items())]))


def made_up(
    trial: Trial,
    ratings: Array,
    group: NDArray[np.int64],
    seen: NDArray[np.bool_] | None = None,
    **fields: Array,
) -> Conducted:
    """Return ratings on the primary scale, shape (replicate, patient, 1 + visit), as if they had been conducted."""
    count, people, visits = ratings.shape
    shape = (count, people)
    generator = np.random.default_rng(7)
    rest = {
        "site": np.zeros(shape, dtype=np.int64),
        "stratum": np.zeros(shape, dtype=np.int64),
        "age": generator.normal(45.0, 10.0, shape),
        "weight": np.full(shape, 75.0),
        "female": generator.integers(0, 2, shape).astype(float),
        "missed": np.zeros(shape, dtype=np.int64),
        "stopped_h": np.full(shape, np.inf),
        "rescued_h": np.full(shape, np.inf),
        "failed": np.zeros(shape, dtype=bool),
        **fields,
    }
    assert visits == 1 + len(trial.hours), (visits, trial.hours)
    return Conducted(
        trial=trial,
        settings=Settings(people),
        replicates=np.arange(count),
        group=group,
        ratings={trial.design.primary.scale: ratings},
        seen=np.ones(ratings.shape, dtype=bool) if seen is None else seen,
        **rest,
    )
