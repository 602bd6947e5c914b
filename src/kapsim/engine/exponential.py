"""Exponential Runge-Kutta of order four (Cox and Matthews 2002, with Krogstad's linear part taken as a diagonal).

Each state's own decay is integrated exactly and the rest by Runge-Kutta, so fast-decaying states (glutamate, cytokines)
do not limit the step. The linear kinetics that drive the states are propagated exactly beside them, to the middle and
the end of each step, where the stages need them. The global error falls with the fourth power of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.engine.runtime import jax_numpy

Array = NDArray[np.float64]

#: Steps are padded to a multiple of this (with steps of length zero), so that a new protocol rarely recompiles.
STEP_BLOCK = 512
#: Size tables are padded to this many entries, event tables and outputs to multiples of the blocks.
SIZE_SLOTS = 16
EVENT_BLOCK = 32
OUTPUT_BLOCK = 128


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
    phi1, phi2, phi3 = _phi(z)
    return np.stack(
        [
            np.exp(z),
            np.exp(half),
            0.5 * step * _phi(half)[0],
            step * (phi1 - 3.0 * phi2 + 4.0 * phi3),
            step * (2.0 * phi2 - 4.0 * phi3),
            step * (2.0 * phi2 - 4.0 * phi3),
            step * (4.0 * phi3 - phi2),
        ]
    )


def _phi(z: Array) -> tuple[Array, Array, Array]:
    """φ1, φ2 and φ3: by series near zero, where the closed forms cancel."""
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

    def step(carry: Any, row: Any) -> tuple[Any, None]:
        y, x, kept_y, kept_x = carry
        size, event, setting, slot = row
        x = x + plan.jumps[event]
        half = plan.half[size]
        middle = advance(half, x)
        end = advance(half, middle)
        whole, semi, phi, first, second, third, last = plan.coefficients[size]
        inputs = plan.settings[setting]

        def rest_of(values: Any, drug: Any) -> Any:
            return rates(values, observe(drug, args), inputs, args) + args["decay"] * values

        n0 = rest_of(y, x)
        a = semi * y + phi * n0
        n1 = rest_of(a, middle)
        b = semi * y + phi * n1
        n2 = rest_of(b, middle)
        c = semi * a + phi * (2.0 * n2 - n0)
        n3 = rest_of(c, end)
        y = whole * y + first * n0 + second * n1 + third * n2 + last * n3
        kept_y = lax.dynamic_update_index_in_dim(kept_y, y, slot, 0)
        kept_x = lax.dynamic_update_index_in_dim(kept_x, end, slot, 0)
        return (y, end, kept_y, kept_x), None

    kept_y = jnp.zeros((outputs, *state.shape))
    kept_x = jnp.zeros((outputs, *linear.shape))
    (_, _, kept_y, kept_x), _ = lax.scan(
        step, (state, linear, kept_y, kept_x), (plan.size, plan.event, plan.setting, plan.slot)
    )
    return kept_y, kept_x


def solve(
    rates: Callable[..., Any],
    observe: Callable[..., Any],
    plan: Plan,
    state: Array,
    linear: Array,
    args: Any,
    outputs: int,
) -> tuple[Array, Array]:
    """Integrate the driven system over the plan's steps.

    Parameters
    ----------
    rates : callable
        `rates(state, drive, setting, args)` → time derivative, shape (states, B), per hour. Pure JAX.
    observe : callable
        `observe(compartments, args)` → the drive that the rates need.
    plan : Plan
        Steps, events, propagators and coefficients.
    state, linear : ndarray
        Start of the states, shape (states, B), and of the compartments, shape (M, n, B).
    args : pytree
        Anything the callables need; must hold 'decay', shape (states, B).
    outputs : int
        Number of outputs O.

    Returns
    -------
    tuple of ndarray
        States (O, states, B) and compartments (O, M, n, B) at the outputs. May hold non-finite values: check.
    """
    states, compartments = _compiled(rates, observe)(plan, state, linear, args, outputs)
    return states, compartments


_programs: dict[tuple[Callable[..., Any], Callable[..., Any]], Callable[..., Any]] = {}


def _compiled(rates: Callable[..., Any], observe: Callable[..., Any]) -> Callable[..., Any]:
    """Compile once for a pair of callables; shapes decide the rest."""
    key = (rates, observe)
    if key not in _programs:
        jax = jax_numpy()
        _programs[key] = jax.jit(partial(_solve, rates, observe), static_argnums=(4,))
    return _programs[key]
