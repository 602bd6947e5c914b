"""What both engines are given, and what they give back: plain arrays, every choice made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.haemodynamics import Balloon, BalloonState
from kapsim.brain.mean_field import Gating, MeanField, RegionalInputs

Array = NDArray[Any]


class Plan(NamedTuple):
    """A batch of simulations on one connectome."""

    field: MeanField
    balloon: Balloon
    weights: Array  # (region, region), row = receiving region
    coupling: Array  # (simulation,), G
    inputs: RegionalInputs  # (simulation, region) each
    initial: Gating  # (simulation, region) each
    keys: NDArray[np.uint32]  # (simulation, 2)
    step_ms: float
    steps: int  # in a step of the vessels
    samples: int  # steps of the vessels in a volume
    discarded: int  # volumes before those that are kept
    volumes: int  # kept
    delays: NDArray[np.int32] | None  # (region, region) in steps, row = receiving region
    noise: Array | None  # (1 or simulation, step, 2, region) to use in place of the keys'; zero is a row of zeros
    traced: bool
    dtype: np.dtype[Any]

    @property
    def simulations(self) -> int:
        """How many simulations."""
        return len(self.coupling)

    @property
    def regions(self) -> int:
        """How many regions."""
        return len(self.weights)

    @property
    def seconds(self) -> float:
        """Step of the vessels, s."""
        return self.steps * self.step_ms / 1000.0

    @property
    def steps_per_volume(self) -> int:
        """Steps of the mean field in a volume."""
        return self.steps * self.samples

    def chunks(self, size: int) -> Iterator[tuple[int, int, int | None]]:
        """Yield chunks: first volume from the start, how many, and the place of the first among those kept."""
        for first, last, keep in (
            (0, self.discarded, False),
            (self.discarded, self.discarded + self.volumes, True),
        ):
            for start in range(first, last, size):
                yield start, min(size, last - start), start - self.discarded if keep else None

    def given(self, simulation: int, first: int, volumes: int) -> Array | None:
        """Return the prescribed noise of some volumes of a simulation, shape (step, 2, region)."""
        if self.noise is None:
            return None
        row: Array = self.noise[simulation if len(self.noise) > 1 else 0]
        within: Array = row[first * self.steps_per_volume : (first + volumes) * self.steps_per_volume]
        return within


class Solved(NamedTuple):
    """What an engine returns, float64."""

    gating: Array  # (simulation, volume, region), mean over each volume
    firing: Array  # (simulation, volume, region), mean excitatory rate over each volume, Hz
    vessels: BalloonState  # (simulation, volume, region) each, at the end of each volume
    trace: Array | None  # (simulation, sample, 2, region), gating after each step of the vessels
    final: Gating  # (simulation, region) each


def empty(plan: Plan) -> Solved:
    """Return room for what `plan` will give."""
    shape = (plan.simulations, plan.volumes, plan.regions)
    trace = np.empty((plan.simulations, plan.volumes * plan.samples, 2, plan.regions)) if plan.traced else None
    last = Gating(*(np.empty((plan.simulations, plan.regions)) for _ in Gating._fields))
    vessels = BalloonState(*(np.empty(shape) for _ in BalloonState._fields))
    return Solved(np.empty(shape), np.empty(shape), vessels, trace, last)


def put(solved: Solved, plan: Plan, simulation: Any, place: int, sums: Array, trace: Array | None) -> None:
    """Store a chunk: `sums` (..., volume, 6, region) as the compiled loop has it, `trace` (..., sample, 2, region)."""
    at = slice(place, place + sums.shape[-3])
    solved.gating[simulation, at] = sums[..., 0, :]
    solved.firing[simulation, at] = sums[..., 1, :]
    for row, room in enumerate(solved.vessels):
        room[simulation, at] = sums[..., 2 + row, :]
    if solved.trace is not None and trace is not None:
        solved.trace[simulation, place * plan.samples : at.stop * plan.samples] = trace
