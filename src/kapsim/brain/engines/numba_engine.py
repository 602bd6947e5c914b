"""The compiled engine: one simulation a thread, each by `kernel.advance`.

A simulation alone has its noise drawn ahead by a second thread, where there is one; the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.engines import kernel
from kapsim.brain.engines.plan import Plan, Solved, empty, put
from kapsim.brain.mean_field import MS_PER_S

Array = NDArray[Any]
#: Steps whose noise is drawn ahead; two such blocks stay within a processor's cache.
AHEAD_STEPS = 200


def run(plan: Plan, *, threads: int, chunk: int) -> Solved:
    """Run every simulation of a plan on so many threads, `chunk` volumes at a time."""
    solved = empty(plan)
    weights = _padded(plan.weights.T, plan.dtype, square=True)
    delays = np.zeros((0, 0), np.int32)
    if plan.delays is not None:
        delays = _padded(plan.delays.T, np.dtype(np.int32), square=True)

    def one(simulation: int, helper: Executor | None = None) -> None:
        _simulate(plan, simulation, weights, delays, chunk, solved, helper)

    if threads == 1:
        for simulation in range(plan.simulations):
            one(simulation)
    elif plan.simulations == 1:
        with ThreadPoolExecutor(1) as pool:
            one(0, pool)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(plan.simulations)))
    return solved


def _simulate(
    plan: Plan, simulation: int, weights: Array, delays: Array, chunk: int, solved: Solved, helper: Executor | None
) -> None:
    double = np.dtype(np.float64)
    initial = [part[simulation] for part in plan.initial]
    gating = _padded(np.stack(initial), plan.dtype)
    vessels = _padded(np.stack(plan.balloon.steady(initial[0])), double, fill=1.0)
    history = np.zeros((0, 0), plan.dtype)
    if plan.delays is not None:
        history = np.tile(gating[0], (int(plan.delays.max()) + 1, 1))
    coefficients = _padded(_coefficients(plan, simulation), double)
    haemo = _haemodynamics(plan)
    none = np.zeros((0, 2, 0))
    width, regions = gating.shape[1], plan.regions
    for start, count, place in plan.chunks(chunk):
        given = plan.given(simulation, start, count)
        noise = none if given is None else _padded(given, double)
        kept = plan.traced and place is not None
        trace = np.zeros((count * plan.samples if kept else 0, 2, width))
        sums = np.zeros((count, 6, width))
        begin, key = start * plan.samples, plan.keys[simulation]
        for first, some, given_here in _blocks(plan, key, begin, count * plan.samples, noise, helper, width):
            kernel.advance(
                weights,
                delays,
                history,
                coefficients,
                haemo,
                plan.seconds,
                key,
                given_here,
                first,
                some,
                begin,
                plan.steps,
                plan.samples,
                gating,
                vessels,
                sums,
                trace,
            )
        if place is not None:
            sums[:, kernel.FIRING] /= plan.field.curvature_e
            put(solved, plan, simulation, place, sums[..., :regions], trace[..., :regions])
    for room, row in zip(solved.final, gating, strict=True):
        room[simulation] = row[:regions]


def _blocks(
    plan: Plan, key: Array, begin: int, count: int, given: Array, helper: Executor | None, width: int
) -> Iterator[tuple[int, int, Array]]:
    """Yield first sample, number of samples and noise: as given, none (the loop draws), or drawn ahead by `helper`."""
    if given.size or helper is None:
        yield begin, count, given
        return
    size = max(1, AHEAD_STEPS // plan.steps)
    rooms = [np.empty((min(size, count) * plan.steps, 2, width)) for _ in range(2)]
    words = np.zeros((2, width), np.uint32)
    starts = range(begin, begin + count, size)

    def drawn(turn: int) -> Future[Array]:
        first = starts[turn]
        room = rooms[turn % 2][: min(size, begin + count - first) * plan.steps]

        def fill() -> Array:
            kernel.draw(key, first * plan.steps, words, room)
            return room

        return helper.submit(fill)

    coming = drawn(0)
    for turn, first in enumerate(starts):
        room = coming.result()
        if turn + 1 < len(starts):
            coming = drawn(turn + 1)
        yield first, len(room) // plan.steps, room


def _padded(values: Array, dtype: np.dtype[Any], *, square: bool = False, fill: float = 0.0) -> Array:
    """Return a copy whose last axis (both, where `square`) is filled up to whole lanes."""
    extra = -values.shape[-1] % kernel.LANES
    widths = [(0, 0)] * (values.ndim - 1) + [(0, extra)]
    if square:
        widths[-2] = (0, extra)
    return np.ascontiguousarray(np.pad(np.asarray(values, dtype=dtype), widths, constant_values=fill))


def _coefficients(plan: Plan, simulation: int) -> Array:
    """Return everything that does not change in a simulation, shape (12, region): `MeanField.rates`, folded."""
    field, inputs = plan.field, type(plan.inputs)(*(part[simulation] for part in plan.inputs))
    step, regions = plan.step_ms, plan.regions
    # the transfer functions see their curvature × gain × excess current
    slope_e, slope_i = field.curvature_e * field.gain_e, field.curvature_i * field.gain_i
    recurrence = field.w_plus * inputs.strength * inputs.efficacy * inputs.recurrent
    rows: dict[int, Any] = {
        kernel.BASE_E: slope_e * (field.external_e * field.external + inputs.current - field.threshold_e),
        kernel.RECURRENT: slope_e * recurrence * field.j_nmda,
        kernel.ARRIVING: slope_e * inputs.long_range * field.j_nmda * plan.coupling[simulation],
        kernel.INHIBITION: -slope_e * inputs.inhibition,
        kernel.BASE_I: slope_i * (field.external_i * field.external - field.threshold_i),
        kernel.ONTO_I: slope_i * inputs.onto_interneurons * field.j_nmda,
        kernel.SELF_I: -slope_i,
        kernel.LEAK_E: -step / field.tau_e,
        kernel.OPENING_E: step * field.gamma / inputs.glutamate_uptake / MS_PER_S / field.curvature_e,
        kernel.LEAK_I: -step / field.tau_i,
        kernel.OPENING_I: step / MS_PER_S / field.curvature_i,
        kernel.NOISE: field.noise * np.sqrt(step),
    }
    return np.stack([np.broadcast_to(rows[row], regions) for row in range(len(rows))])


def _haemodynamics(plan: Plan) -> Array:
    """Return the constants of the vessels as `kernel.vessel_rates` takes them."""
    balloon = plan.balloon
    return np.array(
        [
            balloon.decay,
            balloon.elimination,
            1.0 / balloon.transit,
            1.0 / balloon.stiffness,
            np.log(1.0 - balloon.extraction),
            1.0 / balloon.extraction,
        ]
    )
