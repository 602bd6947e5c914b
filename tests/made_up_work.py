"""Work that costs little and shows where it was done wrong: columns of every kind, from the number of a shard."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def columns(shard: int) -> dict[str, NDArray[Any]]:
    """Columns of a shard."""
    rows = 5 + shard % 4
    values = np.random.default_rng([7, shard]).normal(size=rows)
    values[0] = np.nan
    values[1] = -0.0
    return {
        "subject": np.array([f"{shard:03d}-{row}" for row in range(rows)]),
        "visit": np.arange(rows, dtype=np.int32),
        "dv": values,
        "seen": values > 0,
    }
