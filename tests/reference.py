"""The same chain solved another way: one ODE system in plain floats, for scipy's LSODA at a tight tolerance.

Shares with the solver the equations and the dated inputs of a course, and nothing else: the kinetics are an ODE made
from the flows, not a matrix exponential, and steps, order and tables are scipy's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from kapsim.course import Course, metabolite_volumes
from kapsim.engine.grid import TICKS_PER_HOUR
from kapsim.mechanisms import operators
from kapsim.mechanisms.base import Drugs, Setting
from kapsim.mechanisms.pharmacokinetics import COMPARTMENTS, CYP_DRUGS, Pharmacokinetics
from kapsim.mechanisms.switches import Switches
from kapsim.model import Model, State, Traits, flatten, state_names, unflatten
from kapsim.patient.sampling import Keyed, People
from kapsim.protocol import Protocol, parse_protocol

Array = NDArray[np.float64]

#: A compartment that never holds more (umol or umol/L) than a molecule or so is not compared.
NOTHING = 1e-18
#: A state of which the reference shows less than this is at rest.
STILL = 1e-9


def protocol(body: str, *, horizon: str = "2 wk", name: str = "test") -> Protocol:
    """Return a protocol from the lines that differ from a bare one."""
    return parse_protocol(f"schema_version: 1\nname: {name}\ntitle: Made by a test\nhorizon: {horizon}\n{body}")


def few_programs(patch: pytest.MonkeyPatch, *, steps: int, outputs: int) -> None:
    """Pad further than what ships and carry every depot, so that a few compiled programs serve many protocols."""
    patch.setattr("kapsim.solving.STEP_BLOCK", steps)
    patch.setattr("kapsim.solving.OUTPUT_BLOCK", outputs)
    patch.setattr("kapsim.solving.EVENT_BLOCK", 64)
    patch.setattr("kapsim.mechanisms.pharmacokinetics.compartments", lambda _: COMPARTMENTS)


def select(people: People, which: Any) -> People:
    """Return some of the people, in any order. Deviates drawn later go by position, so those are switched off."""
    return People(
        values={name: value[which] for name, value in people.values.items()},
        traits=Traits(*(trait[which] for trait in people.traits)),
        body=type(people.body)(*(item[which] for item in people.body)),
        parameter_draw=people.parameter_draw[which],
        keyed=people.keyed._replace(spread=False),
    )


def without_occasions(people: People) -> People:
    """Return the same people, who absorb alike on every occasion."""
    return replace(people, keyed=Keyed(people.keyed.seed, False))


def kinetic_matrix(
    kinetics: Pharmacokinetics, system: str, person: People, names: tuple[str, ...], taken: frozenset[str]
) -> Array:
    """Return one person's rate matrix, assembled anew from the flows, shape (n, n), 1/h."""
    matrix = np.zeros((len(names), len(names)))
    if system == "midazolam":
        matrix[names.index("central"), names.index("pump")] = 1.0
        matrix[names.index("central"), names.index("central")] = -np.log(2.0) / kinetics.midazolam_half_life[0]
        return matrix
    for flow in kinetics.flows(system, person.body, taken):
        if flow.source in names:
            rate = float(np.reshape(flow.rate, -1)[0])
            column = names.index(flow.source)
            if not flow.copies:
                matrix[column, column] -= rate
            if flow.target is not None:
                matrix[names.index(flow.target), column] += rate
    return matrix


def _in_floats(name: str, *values: float) -> float:
    function = {"maximum": max, "minimum": min}.get(name) or getattr(math, name)
    return float(function(*values))


@contextmanager
def plain_floats() -> Iterator[None]:
    """Let the operators work on plain floats, ten times as fast as on arrays of one."""
    with patch.multiple(operators, _call=_in_floats, _library=lambda *_: "numpy"):
        yield


def solve_reference(
    given: Protocol, course: Course, people: People, switches: Switches, *, patient: int = 0, rtol: float = 1e-10
) -> tuple[Array, Array]:
    """Return one person's states (outputs, states) and compartments (outputs, systems * n) at the course's outputs."""
    person = select(people, [patient])
    kinetics = Pharmacokinetics.build(person.values)
    taken = frozenset(item.drug for item in given.co_medications() if item.drug in CYP_DRUGS)
    systems, n = len(course.systems), len(course.compartments)
    matrix = np.zeros((systems * n, systems * n))
    for m, system in enumerate(course.systems):
        block = slice(m * n, (m + 1) * n)
        matrix[block, block] = kinetic_matrix(kinetics, system, person, course.compartments, taken)
    # what no dose reaches stays empty and is left out
    reached = np.zeros(systems * n, dtype=bool)
    for jump in course.jumps.values():
        reached |= jump[:, :, patient].ravel() != 0.0
    for _ in range(n):
        reached |= (matrix[:, reached] != 0.0).any(axis=1)
    live = np.flatnonzero(reached)
    matrix = matrix[np.ix_(live, live)]
    at = {name: course.compartments.index(name) for name in course.compartments}
    norketamine, hydroxynorketamine = (float(volume[0]) for volume in metabolite_volumes(kinetics, person))
    model = Model.build({name: float(value[0]) for name, value in person.values.items()}, switches)
    traits = Traits(*(float(trait[0]) for trait in person.traits))
    rest = State(*(type(part)(*map(float, part)) for part in model.rest(traits)))
    size = len(state_names())
    dmn_rest = model.dmn_rest(rest.network, model.plasticity.strength(rest.plasticity), traits)

    def rates(_: float, z: Array, setting: Setting) -> Array:
        full = np.zeros(systems * n)
        full[live] = z[size:]
        x = full.tolist()
        drugs = Drugs(
            x[at["effect"]],
            x[n + at["effect"]],
            x[at["norketamine"]] / norketamine,
            x[n + at["norketamine"]] / norketamine,
            (x[at["hydroxynorketamine"]] + x[n + at["hydroxynorketamine"]]) / hydroxynorketamine,
            x[2 * n + at["central"]] if systems == 3 else 0.0,
        )
        slow = model.rates(unflatten(z[:size].tolist()), rest, traits, drugs, setting, dmn_rest=dmn_rest)
        return np.concatenate([flatten(slow), matrix @ z[size:]])

    hours = course.grid.ticks / TICKS_PER_HOUR
    last = len(course.settings)
    breaks = [
        k
        for k in range(1, last)
        if course.settings[k] != course.settings[k - 1] or int(course.grid.ticks[k]) in course.jumps
    ]
    z = np.concatenate([np.asarray(flatten(rest), dtype=float), np.zeros(len(live))])
    found = {0: z}
    for first, end in zip([0, *breaks], [*breaks, last], strict=True):
        jump = course.jumps.get(int(course.grid.ticks[first]))
        if jump is not None:
            z = z.copy()
            z[size:] += jump[:, :, patient].ravel()[live]
        nodes = [int(k) for k in course.outputs if first < k <= end]
        times = [hours[k] for k in nodes] + ([] if nodes and nodes[-1] == end else [hours[end]])
        span, inputs = (hours[first], hours[end]), (course.settings[first],)
        with plain_floats():
            done = solve_ivp(rates, span, z, method="LSODA", t_eval=times, rtol=rtol, atol=1e-13, args=inputs)
        assert done.success, done.message
        found.update(zip(nodes, done.y.T, strict=False))
        z = done.y[:, -1]
    solved = np.array([found[int(k)] for k in course.outputs])
    amounts = np.zeros((len(solved), systems * n))
    amounts[:, live] = solved[:, size:]
    return solved[:, :size], amounts


def relative_errors(states: Array, amounts: Array, reference: tuple[Array, Array]) -> Array:
    """Return |a - b| / (|b| + 0.001 * peak of b), shape (outputs, columns).

    A state that never leaves rest holds rounding, of which nothing is a share: there the error is absolute. An empty
    compartment is not compared.
    """
    mine = np.concatenate([states, amounts.reshape(len(amounts), -1)], axis=1)
    other = np.concatenate(reference, axis=1)
    peak = np.abs(other).max(axis=0)
    scale = np.abs(other) + 1e-3 * peak
    is_state = np.arange(mine.shape[1]) < states.shape[1]
    scale[:, is_state & (peak < STILL)] = 1.0
    empty = ~is_state & (peak < NOTHING)
    error = np.abs(mine - other) / np.where(empty, 1.0, scale)
    return np.where(empty, 0.0, error)


def columns(course: Course) -> list[str]:
    """Return the names of states and compartments in the order of the reference."""
    return [*state_names(), *(f"{system}.{name}" for system in course.systems for name in course.compartments)]
