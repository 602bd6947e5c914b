"""The states of an exported system as kapsim solves them, by the ids that the export gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kapsim.course import build_course
from kapsim.engine.grid import TICKS_PER_HOUR, Resolution, to_ticks
from kapsim.kinetic_sets import DEFAULT
from kapsim.mechanisms.kinetics import PUMP
from kapsim.model import state_names, variant_switches
from kapsim.patient.sampling import People
from kapsim.protocol.events import Regimen
from kapsim.solving import integrate

Array = NDArray[np.float64]


def quiet_times(protocol: Regimen, people: People, count: int, kinetics: str = DEFAULT) -> Array:
    """Return `count` times, h, over the course at which nothing jumps, so that 'before' and 'after' do not matter.

    Half of them are spread over the whole course, half over two days after doses, from two minutes on: the time grid is
    never finer than a tick.
    """
    course = build_course(protocol, people, kinetics=kinetics)
    horizon = to_ticks(protocol.horizon_h)
    starts = [tick for tick in course.dose_ticks if tick < horizon] or [0]
    early = [
        start + max(round(48 * TICKS_PER_HOUR * (k / 60) ** 2), TICKS_PER_HOUR // 30)
        for start in starts
        for k in range(1, 61)
    ]
    early = [tick for tick in dict.fromkeys(early) if tick < horizon]
    chosen = set(np.asarray(early)[np.linspace(0, len(early) - 1, count // 2).round().astype(int)].tolist())
    jumps = {
        *course.jumps,
        *_changes(course.settings, course.grid.ticks),
        *(to_ticks(h) for h in protocol.rating_times()),
    }
    chosen -= jumps
    step = TICKS_PER_HOUR // 30
    while len(chosen) < count:
        missing = count - len(chosen)
        spread = np.linspace(step, horizon - step, missing).round().astype(int).tolist()
        chosen |= set(spread) - jumps
        step += 7
    return np.asarray(sorted(chosen)) / TICKS_PER_HOUR


def _changes(settings: Sequence[object], ticks: NDArray[np.int64]) -> set[int]:
    return {int(ticks[node]) for node in range(1, len(settings)) if settings[node] != settings[node - 1]}


def solved_states(
    protocol: Regimen,
    people: People,
    hours: Sequence[float] | Array,
    *,
    variant: str = "standard",
    kinetics: str = DEFAULT,
    resolution: Resolution | None = None,
) -> dict[str, Array]:
    """Return every state that `chain_system` exports, at `hours`.

    Parameters
    ----------
    protocol : Regimen
    people : People
        One person.
    hours : sequence of float
        Times, h, ascending; each is met to the nearest tick of the time grid.
    variant, kinetics : str
    resolution : Resolution, optional
        How fine the grid is.

    Returns
    -------
    dict of str to ndarray, shape (time,)
        By id: umol for drug, the unit of the state otherwise.
    """
    course = build_course(protocol, people, resolution, kinetics, at=[float(hour) for hour in hours])
    states, amounts = integrate(course, people, variant_switches(variant))
    kept = {int(tick): place for place, tick in enumerate(course.grid.ticks[course.outputs])}
    rows = [kept[to_ticks(float(hour))] for hour in hours]
    found = {
        f"{system}_{place}": amounts[rows, m, k, 0]
        for m, system in enumerate(course.systems)
        for k, place in enumerate(course.compartments)
        if not place.startswith(PUMP) and (system != "midazolam" or place == "central")
    }
    names = (f"state_{name.replace('.', '_')}" for name in state_names())
    return {**found, **{name: states[rows, k, 0] for k, name in enumerate(names)}}
