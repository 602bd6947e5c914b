"""The JAX engine: the equations as `MeanField` and `Balloon` write them, on any device, with gradients.

Three nested scans: volumes, blocks of noise, steps. On a processor each simulation runs the same program by itself, so
that its bits do not depend on the batch; on an accelerator simulations run side by side in blocks of one size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any, NamedTuple, TypeVar

import numpy as np

from kapsim.brain.engines.plan import Plan, Solved, empty, put
from kapsim.brain.haemodynamics import Balloon, BalloonState
from kapsim.brain.mean_field import Gating, MeanField, RegionalInputs
from kapsim.brain.noise import step_noise
from kapsim.engine.runtime import jax_numpy

#: Most steps whose noise is made at once.
BLOCK_STEPS = 1000
#: Simulations side by side on an accelerator; a smaller batch is filled up.
SIDE_BY_SIDE = 32


Set = TypeVar("Set", MeanField, Balloon)


class Program(NamedTuple):
    """What makes one compiled program differ from another; hashable."""

    field: MeanField
    balloon: Balloon
    step_ms: float
    steps: int
    samples: int
    late: bool
    prescribed: bool
    traced: bool
    dtype: str


class Acting(NamedTuple):
    """What stays the same while a simulation runs."""

    weights: Any  # (region, region)
    delays: Any  # (region, region) or ()
    coupling: Any  # ()
    inputs: RegionalInputs
    key: Any  # (2,)


class Carried(NamedTuple):
    """State of a simulation: gating, vessels, and past gating where there are delays, shape (ring, region)."""

    gating: Gating
    vessels: BalloonState
    history: Any


def volumes(program: Program, acting: Acting, carried: Carried, firsts: Any, given: Any) -> tuple[Carried, Any, Any]:
    """Run some volumes of one simulation; a pure function that JAX can transform.

    Parameters
    ----------
    program : Program
    acting : Acting
    carried : Carried
    firsts : uint32 array, shape (volume,)
        Number of the first step of each volume.
    given : array, shape (volume, sample, step, 2, region), or (volume, 0)
        Noise, where prescribed.

    Returns
    -------
    carried : Carried
    sums : array, shape (volume, 6, region)
        Mean gating, mean excitatory rate (Hz), and the vessels at the end.
    trace : array, shape (volume, sample, 2, region), or (volume, sample, 0)
    """
    import jax
    import jax.numpy as jnp

    dtype = program.dtype
    field, balloon = _typed(program.field, dtype), _typed(program.balloon, dtype)
    regions = acting.weights.shape[0]
    amplitude = field.noise * math.sqrt(program.step_ms)
    number = jnp.arange(regions, dtype=jnp.uint32)
    block = max(
        size for size in range(1, program.samples + 1)
        if program.samples % size == 0 and (size == 1 or size * program.steps <= BLOCK_STEPS)
    )  # fmt: skip
    seconds = program.steps * program.step_ms / 1000.0

    def arriving(state: Gating, history: Any, count: Any) -> tuple[Any, Any]:
        if not program.late:
            return acting.weights @ state.excitatory, history
        length = history.shape[0]
        slot = (count % length).astype(jnp.int32)
        history = history.at[slot].set(state.excitatory)
        past = history[(slot - acting.delays) % length, number[None, :]]
        return (acting.weights * past).sum(-1), history

    def step(carry: Any, item: Any) -> tuple[Any, None]:
        (state, _, history), (count, noise) = carry, item
        arrived, history = arriving(state, history, count)
        firing = field.firing(state, acting.coupling * arrived, acting.inputs)
        change = field.change(state, firing, acting.inputs)
        moved = Gating(
            *(
                jnp.clip(x + program.step_ms * d + amplitude * z, 0.0, 1.0)
                for x, d, z in zip(state, change, noise, strict=True)
            )
        )
        return (moved, firing.excitatory, history), None

    def sample(carry: Any, item: Any) -> tuple[Any, Any]:
        state, vessels, history, gating, rate = carry
        (state, fired, history), _ = jax.lax.scan(step, (state, jnp.zeros_like(rate), history), item)
        vessels = balloon.step(vessels, state.excitatory, seconds)
        shown = jnp.stack(state) if program.traced else jnp.zeros((0,), dtype)
        return (state, vessels, history, gating + state.excitatory, rate + fired), shown

    def noise_block(carry: Any, item: Any) -> tuple[Any, Any]:
        first, noise = item
        shape = (block, program.steps)
        counts = first + jnp.arange(block * program.steps, dtype=jnp.uint32)
        if program.prescribed:
            drawn = (noise[:, :, 0], noise[:, :, 1])
        else:
            pair = step_noise((acting.key[0], acting.key[1]), counts, number, jnp.dtype(dtype))
            drawn = tuple(part.reshape(*shape, regions) for part in pair)
        return jax.lax.scan(sample, carry, (counts.reshape(shape), drawn))

    def volume(carry: Carried, item: Any) -> tuple[Carried, Any]:
        first, noise = item
        blocks = program.samples // block
        starts = first + jnp.arange(blocks, dtype=jnp.uint32) * np.uint32(block * program.steps)
        if program.prescribed:
            noise = noise.reshape(blocks, block, program.steps, 2, regions)
        else:
            noise = jnp.zeros((blocks, 0), dtype)
        none = jnp.zeros((regions,), dtype)
        begin = (carry.gating, carry.vessels, carry.history, none, none)
        (state, vessels, history, gating, rate), shown = jax.lax.scan(noise_block, begin, (starts, noise))
        means = jnp.stack([gating / program.samples, rate / program.samples, *vessels])
        return Carried(state, vessels, history), (means, shown.reshape(program.samples, *shown.shape[2:]))

    carried, (sums, trace) = jax.lax.scan(volume, carried, (firsts, given))
    return carried, sums, trace


def _typed(constants: Set, dtype: str) -> Set:
    """Return constants as arrays of a type: a NumPy float among them would make everything float64."""
    import jax.numpy as jnp

    return type(constants)(
        **{item.name: jnp.asarray(getattr(constants, item.name), dtype) for item in fields(constants)}
    )


@functools.lru_cache(maxsize=32)
def _compiled(program: Program, side_by_side: bool) -> Callable[..., Any]:
    jax = jax_numpy()
    function = functools.partial(volumes, program)
    if side_by_side:
        shared = Acting(None, None, 0, RegionalInputs(*([0] * len(RegionalInputs._fields))), 0)
        function = jax.vmap(function, in_axes=(shared, 0, None, 0 if program.prescribed else None))
    compiled: Callable[..., Any] = jax.jit(function)
    return compiled


def program_of(plan: Plan) -> Program:
    """Return what decides the compiled program of a plan."""
    return Program(
        plan.field,
        plan.balloon,
        plan.step_ms,
        plan.steps,
        plan.samples,
        plan.delays is not None,
        plan.noise is not None,
        plan.traced,
        plan.dtype.name,
    )


def start_of(plan: Plan, rows: Any) -> tuple[Acting, Carried]:
    """Return what acts on some simulations of a plan, and their state at the start; `rows` is an index or indices."""
    import jax.numpy as jnp

    def put_in(value: Any) -> Any:
        return jnp.asarray(value, dtype=plan.dtype)

    gating = Gating(*(part[rows] for part in plan.initial))
    ring = 0 if plan.delays is None else int(plan.delays.max()) + 1
    past = np.repeat(np.expand_dims(gating.excitatory, -2), ring, axis=-2)
    delays = np.zeros(0, np.int32) if plan.delays is None else plan.delays
    acting = Acting(
        put_in(plan.weights),
        jnp.asarray(delays),
        put_in(plan.coupling[rows]),
        RegionalInputs(*(put_in(part[rows]) for part in plan.inputs)),
        jnp.asarray(plan.keys[rows]),
    )
    vessels = BalloonState(*map(put_in, plan.balloon.steady(gating.excitatory)))
    return acting, Carried(Gating(*map(put_in, gating)), vessels, put_in(past))


def run(plan: Plan, *, threads: int, chunk: int) -> Solved:
    """Run every simulation of a plan, `chunk` volumes at a time; `threads` simulations at once on a processor."""
    jax = jax_numpy()
    side_by_side = jax.default_backend() != "cpu"
    solved, compiled = empty(plan), _compiled(program_of(plan), side_by_side)
    total = plan.simulations

    def some(rows: Any) -> None:
        padded = np.resize(rows, SIDE_BY_SIDE) if side_by_side else rows
        acting, carried = start_of(plan, padded)
        for first, count, place in plan.chunks(chunk):
            firsts = np.arange(first, first + count, dtype=np.uint32) * np.uint32(plan.steps_per_volume)
            carried, sums, trace = compiled(acting, carried, firsts, _given(plan, padded, first, count))
            if place is None:
                continue
            here = slice(0, len(rows)) if side_by_side else ...
            shown = np.asarray(trace, dtype=np.float64)[here]
            if plan.traced:
                shown = shown.reshape(*shown.shape[:-4], count * plan.samples, 2, plan.regions)
            put(solved, plan, rows, place, np.asarray(sums, dtype=np.float64)[here], shown if plan.traced else None)
        for room, part in zip(solved.final, carried.gating, strict=True):
            room[rows] = np.asarray(part)[: len(rows)] if side_by_side else np.asarray(part)

    if side_by_side:
        for start in range(0, total, SIDE_BY_SIDE):
            some(np.arange(start, min(start + SIDE_BY_SIDE, total)))
    elif threads == 1 or total == 1:
        for simulation in range(total):
            some(simulation)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(total)))
    return solved


def _given(plan: Plan, rows: Any, first: int, count: int) -> Any:
    if plan.noise is None:
        return np.zeros((count, 0), plan.dtype)
    shape = (count, plan.samples, plan.steps, 2, plan.regions)

    def one(row: int) -> Any:
        given = plan.given(row, first, count)
        assert given is not None
        return np.asarray(given, dtype=plan.dtype).reshape(shape)

    return one(rows) if np.ndim(rows) == 0 else np.stack([one(int(row)) for row in rows])
