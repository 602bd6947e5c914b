"""The chain of a course, solved: by machine code made from its equations, or by JAX, which also runs on a GPU."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.compiled_chain import batch_work, chain_program
from kapsim.course import Course, drugs_seen, metabolite_volumes
from kapsim.engine.compiled import available as compiled_available
from kapsim.engine.compiled import integrate as solve_compiled
from kapsim.engine.exponential import (
    EVENT_BLOCK,
    OUTPUT_BLOCK,
    SIZE_SLOTS,
    STEP_BLOCK,
    Plan,
    Task,
    phi_coefficients,
    solve,
    split,
)
from kapsim.engine.grid import TICKS_PER_HOUR
from kapsim.engine.linear import propagators
from kapsim.errors import InputError, SolverError
from kapsim.mechanisms.base import REST, Drugs, Setting
from kapsim.mechanisms.switches import Switches
from kapsim.model import NO_DRUG, Model, flatten, state_names, unflatten
from kapsim.patient.sampling import People

Array = NDArray[np.float64]

#: Share of a state's size, per hour, that it may move by at rest: what is left of rounding.
STILL = 1e-6
#: Moved states times people that the equations are given at once: more of either and memory, not calls, is what costs.
MOVED_TOGETHER = 8192
#: What solves the chain; both take the same steps, and agree to rounding.
ENGINES = ("compiled", "jax")


class Prepared(NamedTuple):
    """What the integrator takes from a sample of people under a setting of the switches, whatever is done to them.

    Attributes
    ----------
    rest : ndarray, shape (states, patient)
    known : dict of str to ndarray, shape (..., patient)
        What the equations know of a person.
    """

    rest: Array
    known: dict[str, Array]


def prepare(people: People, switches: Switches) -> Prepared:
    """Return what can be worked out before there is a course; who solves many for the same people keeps it."""
    model = Model.build(people.values, switches)
    home = model.rest(people.traits)
    rest = np.stack([value + np.zeros(people.size) for value in flatten(home)])
    if model.added:
        _check_still(model, people, rest)
    known = {
        "values": np.stack([people.values[identifier] for identifier in Model.parameter_ids()]),
        "traits": np.stack(people.traits),
        "rest": rest,
        # it does not change: no step computes it again
        "dmn_rest": model.dmn_rest(home.network, model.plasticity.strength(home.plasticity), people.traits)
        + np.zeros(people.size),
        "decay": resting_decay(model, people, rest),
    }
    return Prepared(rest, known)


def _check_still(model: Model, people: People, rest: Array) -> None:
    """Raise InputError where rest is not still with the links that extensions add: nothing else would then be right."""
    home = unflatten(rest)
    moving = flatten(model.rates(home, home, people.traits, NO_DRUG, REST))
    for name, rate, value in zip(state_names(), moving, rest, strict=True):
        # the integrals of scores move at rest, and say nothing of it
        if name.startswith("mood."):
            continue
        fastest = float(np.abs(rate / np.maximum(np.abs(value), 1.0)).max())
        if not fastest < STILL:
            raise InputError(
                f"extension: state {name}: it moves by {fastest:.2g} per hour at rest, without drug or therapy; let "
                "rest() of the added link be where its rates() are zero, and influence() nothing there"
            )


def integrate(
    course: Course,
    people: People,
    switches: Switches,
    *,
    prepared: Prepared | None = None,
    keep_failures: bool = False,
    engine: str | None = None,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Solve a course for a sample of people.

    Parameters
    ----------
    course : Course
    people : People
    switches : Switches
    prepared : Prepared, optional
        Of these people and switches, where it is there already.
    keep_failures : bool
        Return what is not finite instead of raising.
    engine : str, optional
        'compiled' or 'jax': the same method and equations, equal to rounding. By default the first where it can be had.
    threads : int, optional
        How many cores the compiled engine uses, by default all; the numbers do not depend on it.

    Returns
    -------
    tuple of ndarray
        States at the outputs, shape (outputs, states, patient), and compartments, shape (outputs, systems, n, patient).

    Raises
    ------
    InputError
        For an unknown engine, or one that is not installed.
    SolverError
        Where a solution is not finite, unless `keep_failures`.
    """
    chosen = engine_in_use(engine)
    rest, known = prepare(people, switches) if prepared is None else prepared
    known = {**known, "volumes": metabolite_volumes(course.kinetics, people)}
    if chosen == "compiled":
        program, work = chain_program(course, switches), batch_work(course, rest, known, switches)
        states, amounts = solve_compiled(program, work, threads)
    else:
        states, amounts = _integrate_with_jax(course, people, switches, rest, known)
    states[0], amounts[0] = rest, 0.0
    if not keep_failures:
        check_finite(states, amounts, course)
    return states, amounts


def engine_in_use(engine: str | None = None) -> str:
    """Return the engine that `engine` stands for.

    Raises
    ------
    InputError
        For an unknown engine, or one that is not installed.
    """
    if engine is None:
        return "compiled" if compiled_available() else "jax"
    if engine not in ENGINES:
        raise InputError(f"engine: {engine!r} is not known; known: {', '.join(ENGINES)}")
    if engine == "compiled" and not compiled_available():
        raise InputError("engine: 'compiled' needs llvmlite; install it, or use 'jax'")
    return engine


def _integrate_with_jax(
    course: Course, people: People, switches: Switches, rest: Array, known: dict[str, Array]
) -> tuple[Array, Array]:
    plan = solver_plan(course, known["decay"])
    # of one variant: the same numbers for everybody
    args = {**known, "switches": np.asarray(switches, dtype=float)}
    start = np.zeros(plan.jumps.shape[1:])
    outputs = len(course.outputs)
    padded = -(-outputs // OUTPUT_BLOCK) * OUTPUT_BLOCK

    def task(part: NDArray[np.int64]) -> Task:
        tables = plan._replace(
            half=plan.half[..., part], jumps=plan.jumps[..., part], coefficients=plan.coefficients[..., part]
        )
        own = {
            name: value if name == "switches" and value.ndim == 1 else value[..., part] for name, value in args.items()
        }
        return Task(tables, rest[:, part], start[..., part], own)

    solved = solve(_rates, drugs_seen(course.seen), [task(part) for part in split(people.size)], padded)
    states, amounts = (
        np.concatenate([kept[which][:outputs] for kept in solved], axis=-1)[..., : people.size] for which in (0, 1)
    )
    return states, amounts


def check_finite(states: Array, amounts: Array, course: Course) -> None:
    """Raise for the first patient whose solution is not finite: in the chain, else in the kinetics."""
    contents = [f"{system}.{name}" for system in course.systems for name in course.compartments]
    for values, names in (
        (states, state_names()),
        (amounts.reshape(len(amounts), len(contents), -1), contents),
    ):
        broken = ~np.isfinite(values)
        if broken.any():
            patient = int(np.argmax(broken.any(axis=(0, 1))))
            output = int(np.argmax(broken[:, :, patient].any(axis=1)))
            row = int(np.argmax(broken[output, :, patient]))
            last = course.grid.hours[course.outputs[max(output - 1, 0)]]
            raise SolverError(patient, float(last), names[row])


def resting_decay(model: Model, people: People, rest: Array) -> Array:
    """Return each state's own decay rate at rest, shape (states, patient), 1/h: what the integrator takes exactly."""
    home, count = unflatten(rest), len(rest)

    def rates(values: Array) -> list[Array]:
        found = flatten(model.rates(unflatten(values), home, people.traits, NO_DRUG, REST))
        return [np.broadcast_to(rate, values.shape[1:]) for rate in found]

    base, step, decay = rates(rest), 1e-6 * np.maximum(np.abs(rest), 1.0), np.empty_like(rest)
    # equations broadcast: of few people all states are moved in one call, of many one after the other
    together = max(1, MOVED_TOGETHER // people.size)
    for start in range(0, count, together):
        moved = range(start, min(start + together, count))
        values = np.repeat(rest[:, None], len(moved), axis=1)
        for row, k in enumerate(moved):
            values[k, row] += step[k]
        found = rates(values)
        for row, k in enumerate(moved):
            decay[k] = -(found[k][row] - base[k]) / step[k]
    # a rate far below the slowest process in the chain is finite-difference noise
    return np.where(decay > 1e-6, decay, 0.0)


def solver_plan(course: Course, decay: Array) -> Plan:
    """Fill and pad the solver's tables."""
    grid = course.grid
    steps = len(grid.size_index)
    block = grid.block or STEP_BLOCK
    padded = -(-steps // block) * block
    smallest = min(grid.sizes)
    doublings = (max(grid.sizes) // smallest).bit_length() - 1
    # half steps are what the solver takes; powers of two of the smallest half step
    powers = propagators(course.matrices, 0.5 * smallest / TICKS_PER_HOUR, doublings)
    count = max(SIZE_SLOTS, len(grid.sizes) + 1)
    systems, patients, n, _ = course.matrices.shape
    half = np.zeros((count, systems, n, n, patients))
    half[:] = np.eye(n)[None, None, :, :, None]
    coefficients = np.stack([phi_coefficients(decay, 0.0)] * count)
    for k, size in enumerate(grid.sizes):
        half[k] = np.moveaxis(powers[(size // smallest).bit_length() - 1], 1, -1)
        coefficients[k] = phi_coefficients(decay, size / TICKS_PER_HOUR)
    size_index = np.full(padded, count - 1)
    size_index[:steps] = grid.size_index
    ticks = {int(tick): k for k, tick in enumerate(grid.ticks[:-1])}
    events = [(ticks[tick], jump) for tick, jump in sorted(course.jumps.items()) if tick in ticks]
    jumps = np.zeros((-(-(len(events) + 1) // EVENT_BLOCK) * EVENT_BLOCK, systems, n, patients))
    event = np.zeros(padded, dtype=np.int64)
    for number, (position, jump) in enumerate(events, start=1):
        jumps[number] = jump
        event[position] = number
    rows: dict[Setting, int] = {}
    setting = np.zeros(padded, dtype=np.int64)
    setting[:steps] = [rows.setdefault(row, len(rows)) for row in course.settings]
    settings = np.zeros((-(-len(rows) // EVENT_BLOCK) * EVENT_BLOCK, len(Setting._fields)))
    settings[: len(rows)] = list(rows)
    slot = np.full(padded, len(course.outputs) - 1)
    slot[:steps] = np.searchsorted(course.outputs, np.arange(1, steps + 1))
    hours = np.zeros(padded)
    hours[:steps] = np.diff(grid.hours)
    return Plan(hours, size_index, event, setting, slot, half, jumps, settings, coefficients)


def _rates(values: Any, drugs: Drugs, setting: Any, args: Any) -> Any:
    """Rates of the whole chain as one array, from the one set of equations."""
    import jax.numpy as jnp

    from kapsim.model import Traits

    parameters = dict(zip(Model.parameter_ids(), args["values"], strict=True))
    model = Model.build(parameters, Switches(*args["switches"]))
    rates = model.rates(
        unflatten(values),
        unflatten(args["rest"]),
        Traits(*args["traits"]),
        drugs,
        Setting(*setting),
        dmn_rest=args["dmn_rest"],
    )
    return jnp.stack([rate + jnp.zeros_like(values[0]) for rate in flatten(rates)])
