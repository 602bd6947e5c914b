"""The same people under many settings of the switches: one compiled program for all.

People and settings are two axes. What does not depend on the setting, the drug in every compartment above all, is
computed once a person; the settings are numbers of the program, so that it serves every subset.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.course import Course, drugs_seen, metabolite_volumes
from kapsim.engine.exponential import EVENT_BLOCK, OUTPUT_BLOCK, Plan, Task, solve
from kapsim.errors import SolverError
from kapsim.mechanisms.base import Drugs, Setting
from kapsim.mechanisms.switches import Switches
from kapsim.model import Model, Traits, flatten, unflatten
from kapsim.patient.sampling import People
from kapsim.solving import resting_decay, solver_plan

Array = NDArray[np.float64]

#: People times settings of one task: more does not fit the cache of a core.
LANES = 512
#: Switches that stand in the program as plain numbers: what they switch off would cost most of the time.
_PLAIN = ("whole_brain",)


class Scores(NamedTuple):
    """Momentary scores and their integrals at the outputs, shape (outputs, patient, setting)."""

    madrs: Array
    hama: Array
    madrs_integral: Array
    hama_integral: Array


def solve_settings(
    course: Course,
    people: People,
    settings: Sequence[Switches],
    *,
    arms: Sequence[Course] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Scores:
    """Solve a course for the same people under every setting.

    Parameters
    ----------
    course : Course
        Of these people.
    people : People
    settings : sequence of Switches
        Their `_PLAIN` fields are alike, and so is the rest that they give.
    arms : sequence of Course, optional
        Where something else is done in each setting: courses of the same people that lack the drug or some of what is
        done besides, and nothing else. A course that gives no ketamine has none.
    progress : callable, optional
        Called with a short text as the work goes on.

    Raises
    ------
    SolverError
        Where a solution is not finite: names patient and time.
    """
    say = progress or (lambda _: None)
    table = np.asarray(settings, dtype=float).T
    chain = _Chain(
        # one column where no setting differs: what follows from it is then computed once a person
        switches=tuple(row[None, :1] if (row == row[0]).all() else row[None, :] for row in table),
        plain=tuple((name, float(table[Switches._fields.index(name), 0])) for name in _PLAIN),
        given=None if arms is None else np.asarray([[float((arm.given > 0.0).any()) for arm in arms]]),
    )
    model = Model.build(people.values, settings[0])
    rest = np.stack([value + np.zeros(people.size) for value in flatten(model.rest(people.traits))])
    # any decay gives the same solution: one for all settings keeps the tables small
    decay = resting_decay(model, people, rest)
    plan = solver_plan(course, decay)
    inputs = _inputs(course, arms)
    if arms is not None:
        plan = _with_inputs(plan, inputs)
    args = {
        "values": np.stack([people.values[identifier] for identifier in Model.parameter_ids()]),
        "traits": np.stack(people.traits),
        "rest": rest,
        "decay": decay,
        "volumes": metabolite_volumes(course.kinetics, people),
    }
    outputs = len(course.outputs)
    padded = -(-outputs // OUTPUT_BLOCK) * OUTPUT_BLOCK

    def task(part: NDArray[np.int64]) -> Task:
        def column(value: Array) -> Array:
            return np.ascontiguousarray(value[..., part])[..., None]

        tables = plan._replace(half=column(plan.half), jumps=column(plan.jumps), coefficients=column(plan.coefficients))
        own: dict[str, Any] = {name: column(value) for name, value in args.items()}
        own["switches"] = chain.switches
        if chain.given is not None:
            own["given"] = chain.given
        start = np.repeat(column(rest), len(settings), axis=-1)
        return Task(tables, start, np.zeros((*plan.jumps.shape[1:3], len(part), 1)), own)

    parts = _parts(people.size, len(settings))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    last = len(inputs) - 1
    at_outputs = inputs[np.minimum(course.outputs, last)]
    found: list[Scores] = []
    for first in range(0, len(parts), cores):
        here = parts[first : first + cores]
        say(f"{len(settings)} settings, people from {first * len(parts[0])} of {people.size}")
        solved = solve(_rates(chain.plain), drugs_seen(course.seen), [task(part) for part in here], padded)
        for part, (states, amounts) in zip(here, solved, strict=True):
            kept, held = states[:outputs], amounts[:outputs]
            kept[0], held[0] = rest[:, part, None], 0.0
            _check(kept, course, part)
            found.append(_scores(course, people, part, chain, at_outputs, kept, held))
    return Scores(*(np.concatenate(column, axis=1)[:, : people.size] for column in zip(*found, strict=True)))


class _Chain(NamedTuple):
    """What differs between settings."""

    switches: tuple[Array, ...]  # (1, setting) each, or (1, 1) where none differs
    plain: tuple[tuple[str, float], ...]
    given: Array | None  # (1, setting): 1 where ketamine is given; None where it is everywhere


def _inputs(course: Course, arms: Sequence[Course] | None) -> Array:
    """Return what is done besides the drug in every step, shape (step, field, 1, setting or 1)."""
    if arms is None:
        return np.asarray(course.settings, dtype=float)[:, :, None, None]
    begins = course.grid.ticks[:-1]
    columns = []
    for arm in arms:
        step = np.searchsorted(arm.grid.ticks, begins, side="right") - 1
        columns.append(np.asarray(arm.settings, dtype=float)[np.minimum(step, len(arm.settings) - 1)])
    return np.stack(columns, axis=-1)[:, :, None, :]


def _with_inputs(plan: Plan, inputs: Array) -> Plan:
    """Return a plan whose inputs differ between settings."""
    rows, index = np.unique(inputs.reshape(len(inputs), -1), axis=0, return_inverse=True)
    table = np.zeros((-(-len(rows) // EVENT_BLOCK) * EVENT_BLOCK, *inputs.shape[1:]))
    table[: len(rows)] = rows.reshape(len(rows), *inputs.shape[1:])
    setting = np.zeros_like(plan.setting)
    setting[: len(index)] = index
    return plan._replace(setting=setting, settings=table)


def _given(drugs: Drugs, given: Any) -> Drugs:
    """Return the concentrations where ketamine is given, and none of it where it is not."""
    scaled = {name: value * given for name, value in drugs._asdict().items() if name != "midazolam"}
    return drugs._replace(**scaled)


def _parts(people: int, settings: int) -> list[NDArray[np.int64]]:
    """Split people into parts of one size; the last person fills what is left over."""
    size = min(max(LANES // settings, 1), people)
    return [np.minimum(np.arange(first, first + size), people - 1) for first in range(0, people, size)]


@functools.cache
def _rates(plain: tuple[tuple[str, float], ...]) -> Callable[..., Any]:
    """Return the rates of the chain with some switches as plain numbers, one function each.

    The same function finds its compiled program again.
    """

    def rates(values: Any, drugs: Drugs, setting: Any, args: Any) -> Any:
        import jax.numpy as jnp

        parameters = dict(zip(Model.parameter_ids(), args["values"], strict=True))
        model = Model.build(parameters, Switches(*args["switches"])._replace(**dict(plain)))
        seen = _given(drugs, args["given"]) if "given" in args else drugs
        found = model.rates(
            unflatten(values), unflatten(args["rest"]), Traits(*args["traits"]), seen, Setting(*setting)
        )
        return jnp.stack([rate + jnp.zeros_like(values[0]) for rate in flatten(found)])

    return rates


def _scores(
    course: Course,
    people: People,
    part: NDArray[np.int64],
    chain: _Chain,
    inputs: Array,
    states: Array,
    amounts: Array,
) -> Scores:
    """Read the scores out of states (outputs, states, patient, setting)."""
    values = {identifier: people.values[identifier][part, None] for identifier in Model.parameter_ids()}
    switches: dict[str, Any] = dict(zip(Switches._fields, chain.switches, strict=True))
    model = Model.build(values, Switches(**{**switches, **dict(chain.plain)}))
    traits = Traits(*(np.asarray(value)[part, None] for value in people.traits))
    volumes = metabolite_volumes(course.kinetics, people)[:, part, None]
    drugs = drugs_seen(course.seen)(np.moveaxis(amounts, 0, 2), {"volumes": volumes})
    if chain.given is not None:
        drugs = _given(drugs, chain.given)
    setting = Setting(*np.moveaxis(inputs, 1, 0))
    state = unflatten(np.moveaxis(states, 1, 0))
    flow = model.flow(state, model.rest(traits), traits, drugs, setting)
    shape = state.mood.depression.shape
    return Scores(
        np.broadcast_to(flow.madrs, shape),
        np.broadcast_to(flow.hama, shape),
        state.mood.depression.copy(),
        state.mood.anxiety.copy(),
    )


def _check(states: Array, course: Course, part: NDArray[np.int64]) -> None:
    """Raise for the first patient whose solution is not finite."""
    broken = np.asarray(~np.isfinite(states).all(axis=(1, 3)))
    if broken.any():
        patient = int(np.argmax(broken.any(axis=0)))
        output = max(int(np.argmax(broken[:, patient])) - 1, 0)
        raise SolverError(int(part[patient]), float(course.grid.hours[course.outputs[output]]), "a knocked-out chain")
