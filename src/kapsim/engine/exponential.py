"""Exponential Runge-Kutta of order four (Cox and Matthews 2002, with Krogstad's linear part taken as a diagonal).

Each state's own decay is integrated exactly and the rest by Runge-Kutta, so fast-decaying states (glutamate, cytokines)
do not limit the step. The linear kinetics that drive the states are propagated exactly beside them, to the middle and
the end of each step, where the stages need them. The global error falls with the fourth power of the step.

Only the decay at rest is taken exactly. Where a strong drug effect makes a state turn over many times as fast, a step
can be too long for what is left to Runge-Kutta, and the numbers swing without ceasing to be finite. The second and the
third stage are two estimates of the same slope: where what they make of the state is far apart, the state is no number
from there on (`FAR`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.engine.runtime import cores, jax_numpy

Array = NDArray[np.float64]

#: Steps are padded to a multiple of this (with steps of length zero), so that a new protocol rarely recompiles.
STEP_BLOCK = 512
#: Size tables are padded to this many entries, event tables and outputs to multiples of the blocks.
SIZE_SLOTS = 16
EVENT_BLOCK = 32
OUTPUT_BLOCK = 128
#: Patients are split over the cores in parts of at least this many, each a multiple of the vector width.
SMALLEST_PART, LANES = 32, 8
#: Estimates of a step that differ by this share of the state, of which at least `LEAST` is counted, are no solution.
#: Where steps are short enough they differ by a thousandth (the coarse grid of populations: by a hundredth).
FAR, LEAST = 0.05, 0.01


class Plan(NamedTuple):
    """Everything the solver needs that does not depend on the equations.

    Shapes: S steps, K step sizes, E events, O outputs, M independent linear systems, n compartments, B patients.
    """

    hours: Any  # (S,) step length, h
    size: Any  # (S,) index into the tables of step sizes
    event: Any  # (S,) index of the event at the start of the step; 0 is no event
    setting: Any  # (S,) index into `settings`
    slot: Any  # (S,) output that the state at the end of the step belongs to
    half: Any  # (K, M, n, n, B) propagator of half a step
    jumps: Any  # (E, M, n, B) what an event adds to the compartments
    settings: Any  # (C, F) piecewise-constant inputs
    coefficients: Any  # (K, 7, states, B) of the exponential Runge-Kutta


def phi_coefficients(decay: Array, step: float) -> Array:
    """Return the seven coefficient arrays of one step, shape (7, *decay.shape).

    Parameters
    ----------
    decay : ndarray
        Decay rates, 1/h, at least 0.
    step : float
        Step, h.

    Returns
    -------
    ndarray
        exp(−λh), exp(−λh/2), (h/2)·φ1(−λh/2), and h times the weights of the first, second, third and last stage.
    """
    z, half = -decay * step, -0.5 * decay * step
    phi1, phi2, phi3 = phi(z)
    return np.stack(
        [
            np.exp(z),
            np.exp(half),
            0.5 * step * phi(half)[0],
            step * (phi1 - 3.0 * phi2 + 4.0 * phi3),
            step * (2.0 * phi2 - 4.0 * phi3),
            step * (2.0 * phi2 - 4.0 * phi3),
            step * (4.0 * phi3 - phi2),
        ]
    )


def phi(z: Array) -> tuple[Array, Array, Array]:
    """Return φ1, φ2 and φ3 at z, at most 0: by series near zero, where the closed forms cancel."""
    small = np.abs(z) < 0.5
    safe = np.where(small, -1.0, z)
    phi1 = np.expm1(safe) / safe
    phi2 = (phi1 - 1.0) / safe
    phi3 = (phi2 - 0.5) / safe
    series = [np.zeros_like(z) for _ in range(3)]
    near = np.where(small, z, 0.0)
    for k in range(16, -1, -1):
        series = [term * near / (k + order + 1) + 1.0 for order, term in zip((1, 2, 3), series, strict=True)]
    one, two, three = series[0], series[1] / 2.0, series[2] / 6.0
    return np.where(small, one, phi1), np.where(small, two, phi2), np.where(small, three, phi3)


def _solve(
    rates: Callable[..., Any], observe: Callable[..., Any], plan: Plan, state: Any, linear: Any, args: Any, outputs: int
) -> Any:
    jax = jax_numpy()
    jnp, lax = jax.numpy, jax.lax

    def advance(half: Any, x: Any) -> Any:
        return jnp.sum(half * x[:, None, :, :], axis=2)

    # compiled as one function, so that four stages are traced and lowered once
    def remainder_of(values: Any, drug: Any, inputs: Any) -> Any:
        return rates(values, observe(drug, args), inputs, args) + args["decay"] * values

    remainder = jax.jit(remainder_of)

    def step(carry: Any, row: Any) -> tuple[Any, None]:
        y, x, kept_y, kept_x = carry
        size, event, setting, slot = row
        x = x + plan.jumps[event]
        half = plan.half[size]
        middle = advance(half, x)
        end = advance(half, middle)
        whole, semi, phi, first, second, third, last = plan.coefficients[size]
        inputs = plan.settings[setting]

        n0 = remainder(y, x, inputs)
        a = semi * y + phi * n0
        n1 = remainder(a, middle, inputs)
        b = semi * y + phi * n1
        n2 = remainder(b, middle, inputs)
        c = semi * a + phi * (2.0 * n2 - n0)
        n3 = remainder(c, end, inputs)
        y = whole * y + first * n0 + second * n1 + third * n2 + last * n3
        apart = jnp.abs(third * (n2 - n1))
        y = jnp.where(apart <= FAR * (jnp.abs(y) + LEAST), y, jnp.nan)
        kept_y = lax.dynamic_update_index_in_dim(kept_y, y, slot, 0)
        kept_x = lax.dynamic_update_index_in_dim(kept_x, end, slot, 0)
        return (y, end, kept_y, kept_x), None

    kept_y = jnp.zeros((outputs, *state.shape))
    kept_x = jnp.zeros((outputs, *linear.shape))
    (_, _, kept_y, kept_x), _ = lax.scan(
        step, (state, linear, kept_y, kept_x), (plan.size, plan.event, plan.setting, plan.slot)
    )
    return kept_y, kept_x


class Task(NamedTuple):
    """One part of a batch: the same steps, other patients; shapes as in `Plan`."""

    plan: Plan
    state: Array  # (states, B), start of the states
    linear: Array  # (M, n, B), start of the compartments
    args: Any  # anything the callables need; holds 'decay', (states, B)


def solve(
    rates: Callable[..., Any], observe: Callable[..., Any], tasks: Sequence[Task], outputs: int
) -> list[tuple[Array, Array]]:
    """Integrate the driven system over each task's steps, the tasks side by side on all cores.

    Parameters
    ----------
    rates : callable
        `rates(state, drive, setting, args)` → time derivative, shape (states, B), per hour. Pure JAX.
    observe : callable
        `observe(compartments, args)` → the drive that the rates need.
    tasks : sequence of Task
        Parts of one shape, so that they share one program.
    outputs : int
        Number of outputs O.

    Returns
    -------
    list of tuple of ndarray
        For each task the states (O, states, B) and compartments (O, M, n, B) at the outputs. They may hold values that
        are not finite: check.
    """
    tree = jax_numpy().tree
    shapes = tuple((leaf.shape, leaf.dtype.name) for leaf in tree.leaves(tasks[0]))
    program = _program(rates, observe, outputs, tree.structure(tasks[0]), shapes)

    def run(task: Task) -> tuple[Array, Array]:
        states, compartments = program(*task)
        return np.array(states), np.array(compartments)

    with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        return list(pool.map(run, tasks))


@functools.lru_cache(maxsize=16)
def _program(
    rates: Callable[..., Any],
    observe: Callable[..., Any],
    outputs: int,
    structure: Any,
    shapes: tuple[tuple[tuple[int, ...], str], ...],
) -> Callable[..., Any]:
    """Compile once for a pair of callables and the shapes of a task."""
    jax = jax_numpy()
    leaves = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    solver = jax.jit(lambda plan, state, linear, args: _solve(rates, observe, plan, state, linear, args, outputs))
    program: Callable[..., Any] = solver.lower(*jax.tree.unflatten(structure, leaves)).compile()
    return program


def split(count: int) -> list[NDArray[np.int64]]:
    """Split `count` patients into equal parts, one a core, of a multiple of eight each.

    The last patient fills what is left over. Eight is the widest vector of the machines in use: every patient is then
    computed by the same instructions whatever the size of the batch.
    """
    parts = max(min(cores(), count // SMALLEST_PART), 1)
    size = -(-count // (parts * LANES)) * LANES
    return [np.minimum(np.arange(first, first + size), count - 1) for first in range(0, parts * size, size)]
