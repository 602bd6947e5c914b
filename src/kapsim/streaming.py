"""Populations too large to hold: people drawn, simulated and handed on block by block, in bounded memory.

A person is the same in any block, so the size of the blocks changes nothing but memory. Blocks are worked on side by
side, one a core, and come in order; whoever takes them decides what to keep.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import Registry, check_variant, drawn_under
from kapsim.engine.grid import Resolution
from kapsim.engine.runtime import cores
from kapsim.errors import InputError
from kapsim.kinetic_sets import DEFAULT, check_protocol
from kapsim.outcomes import Endpoint, endpoints
from kapsim.patient import Patient
from kapsim.patient.sampling import PATIENTS_PER_DRAW, Keyed, People, sample_people
from kapsim.protocol import Protocol
from kapsim.results import visit_hours
from kapsim.simulation import simulate_people

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

#: People of a block: their results stay within a few hundred megabytes, and no core waits long for the last.
BLOCK = 500
#: Time grid of large populations. It keeps every variable within about 1e-4 of its value where the usual grid keeps it
#: within about 1e-6, in a third of the time.
POPULATION_GRID = Resolution(sharp=16, soft=32, growth=12, largest=8192)
#: Hours after a dose at which results are kept beside the visits: the peaks of drug, block and what is felt.
AFTER_DOSE = (0.25, 40.0 / 60.0, 1.0, 2.0, 4.0, 24.0)
#: Purposes of deviates that people share who share a draw of the parameters.
_SHARED = "uncertainty:"


class Block(NamedTuple):
    """Some of a population, solved."""

    first: int  # number of the first of them
    dataset: xr.Dataset  # as `kapsim.simulate` returns it, at few times; patients are numbered from `first`
    endpoints: dict[str, Endpoint]


class _From(NamedTuple):
    """The deviates of people from number `first` on."""

    keyed: Keyed
    first: int
    per_draw: int

    def normal(self, purpose: str, count: int) -> Array:
        """Return the deviates of `count` people, or draws, of a purpose."""
        start = self.first // self.per_draw if purpose.startswith(_SHARED) else self.first
        return self.keyed.at(purpose, np.arange(start, start + count))


def people_from(
    patient: Patient | None,
    first: int,
    count: int,
    seed: int,
    *,
    spread: bool = True,
    per_draw: int = PATIENTS_PER_DRAW,
    variant: str = "standard",
) -> People:
    """Draw `count` people of a population from number `first` on: the same as if all had been drawn at once.

    Parameters
    ----------
    patient : Patient or None
        What is known of them.
    first : int
        A multiple of `per_draw`.
    count, seed, spread, per_draw
        As in `kapsim.patient.sampling.sample_people`.
    variant : str
        By whose fit they are drawn.
    """
    if first < 0 or first % per_draw:
        raise InputError(f"first: {first} is no multiple of {per_draw}, the people who share a draw of the parameters")
    deviates = _From(Keyed(seed, spread), first, per_draw)

    def draw(own: Registry | None) -> People:
        people = sample_people(
            patient, count, seed, spread=spread, per_draw=per_draw, parameters=own, deviates=deviates
        )
        return replace(people, parameter_draw=people.parameter_draw + first // per_draw)

    return drawn_under(variant, draw)


def population_hours(protocol: Protocol) -> Array:
    """Return the hours at which blocks keep results: visits, where endpoints look, and after doses."""
    doses = [dose.start_h for dose in protocol.dose_events()]
    after = [start + gap for start in doses for gap in AFTER_DOSE if start + gap < protocol.horizon_h]
    return np.unique(np.concatenate([visit_hours(protocol, protocol.horizon_h), after]))


def stream_population(
    protocol: Protocol,
    count: int,
    *,
    patient: Patient | None = None,
    draw: Callable[[int, int], People] | None = None,
    variant: str = "standard",
    kinetics: str = DEFAULT,
    seed: int = 0,
    at: Sequence[float] | None = None,
    resolution: Resolution | None = POPULATION_GRID,
    block: int = BLOCK,
    workers: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Block]:
    """Simulate a population of any size, block by block.

    Parameters
    ----------
    protocol : Protocol
    count : int
        How many people, at least 1.
    patient : Patient, optional
        What is known of all of them.
    draw : callable, optional
        `draw(first, size)` gives the people of a block, for populations that are drawn in other ways.
    variant, kinetics, seed
        As in `kapsim.simulate`.
    at : sequence of float, optional
        Hours at which results are kept, by default `population_hours`; peaks are over these.
    resolution : Resolution, optional
        How fine the time grid is; None is the usual one. The first block says how far off it is, in the attribute
        `solution_error` of its data set.
    block : int
        People of a block; the last one may be smaller.
    workers : int, optional
        How many blocks are worked on at a time, by default one a core. No more than these are ever held.
    progress : callable, optional
        Called with a short text as the work goes on.

    Yields
    ------
    Block
        In order.

    Raises
    ------
    InputError
        For an unknown name or a number that cannot be.
    SolverError
        Where the solution of a person breaks down; their number is that within the block.
    """
    if count < 1:
        raise InputError(f"count: {count} is not at least 1")
    if block < 1 or block % PATIENTS_PER_DRAW:
        raise InputError(f"block: {block} is no positive multiple of {PATIENTS_PER_DRAW}")
    check_variant(variant)
    check_protocol(kinetics, protocol)
    hours = (population_hours(protocol) if at is None else np.asarray(at, dtype=float)).tolist()
    say = progress or (lambda _: None)

    def solved(first: int) -> Block:
        size = min(block, count - first)
        people = people_from(patient, first, size, seed, variant=variant) if draw is None else draw(first, size)
        dataset = simulate_people(
            protocol,
            people,
            patient,
            variant=variant,
            kinetics=kinetics,
            seed=seed,
            at=hours,
            resolution=resolution,
            check_solution=first == 0,
            threads=1,
        )
        numbered = dataset.assign_coords(patient=np.arange(first, first + size, dtype=np.int64))
        return Block(first, numbered, endpoints(dataset))

    at_a_time = workers or cores()
    starts = iter(range(0, count, block))
    coming: deque[Future[Block]] = deque()
    with ThreadPoolExecutor(max_workers=at_a_time) as pool:
        try:
            for start in starts:
                coming.append(pool.submit(solved, start))
                if len(coming) > at_a_time:
                    yield _next(coming, count, say)
            while coming:
                yield _next(coming, count, say)
        finally:
            for future in coming:
                future.cancel()


def _next(coming: deque[Future[Block]], count: int, say: Callable[[str], None]) -> Block:
    done = coming.popleft().result()
    say(f"{done.first + done.dataset.sizes['patient']} of {count} people")
    return done
