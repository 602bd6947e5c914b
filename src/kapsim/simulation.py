"""The main job: a protocol and people → labelled results."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapsim.applicability import applicability
from kapsim.compiled_chain import batch_work, chain_program
from kapsim.course import Course, build_course, drugs_seen, metabolite_volumes
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
from kapsim.engine.grid import TICKS_PER_HOUR, Resolution
from kapsim.engine.linear import propagators
from kapsim.errors import InputError, SolverError
from kapsim.kinetic_sets import DEFAULT, check_protocol
from kapsim.mechanisms.base import REST, Drugs, Setting
from kapsim.mechanisms.switches import Switches
from kapsim.model import NO_DRUG, Model, flatten, state_names, unflatten, variant_switches
from kapsim.patient import Patient, load_patient
from kapsim.patient.sampling import People
from kapsim.population.loading import load_population
from kapsim.population.medicines import with_own_medicines
from kapsim.population.population import Population
from kapsim.protocol import Protocol, load_protocol
from kapsim.ratings.rated import Ratings
from kapsim.recruiting import as_met, draw_people

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

#: What solves the chain: machine code made from the equations, or JAX, which also runs on a GPU.
ENGINES = ("compiled", "jax")


def simulate(
    protocol: Protocol | str | Path,
    patient: Patient | str | Path | None = None,
    *,
    population: Population | str | Path | None = None,
    variant: str = "standard",
    kinetics: str = DEFAULT,
    draws: int = 200,
    seed: int = 0,
    spread: bool = True,
    rating_error: bool = False,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Simulate a course of treatment.

    Parameters
    ----------
    protocol : Protocol, str or Path
        What is done: a protocol, the name of one, or a file.
    patient : Patient, str or Path, optional
        Who it is done to; what is not given is drawn from the population.
    population : Population, str or Path, optional
        Whose people they are: a population, the name of one, or a file (see `kapsim.population.load_population`). By
        default people are drawn from the registry alone, which stands for treatment-resistant depression and lets
        traits vary on their own.
    variant : str
        Named setting of the contested links; see `kapsim.model.VARIANTS`.
    kinetics : str
        Named kinetics, from dose to concentrations; see `kapsim.kinetic_sets`.
    draws : int
        Number of people; every ten share one draw of the uncertain parameters.
    seed : int
        Root of all randomness. The same seed gives the same people under every protocol and variant.
    spread : bool
        False simulates the typical person only: no variability, no uncertainty.
    rating_error : bool
        Also rate people as a trial does: ratings with their error at the visits (`madrs_rated` and so on, dimension
        `visit`), which the endpoints then count on, of people who came in by such a rating. A baseline that a patient
        file gives is the expected score. Off by default: one course of one person is asked for what to expect, and
        the error of who rates it would only hide that.
    progress : callable, optional
        Called with a short text at each stage.

    Returns
    -------
    xarray.Dataset
        Dimensions `patient` and `time` (h); units and long names on every variable.

    Raises
    ------
    InputError
        For an unknown name, an unreadable file or an impossible number.
    SolverError
        Where the solution of a patient breaks down: names patient and time.
    """
    say = progress or (lambda _: None)
    variant_switches(variant)
    plan_of = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
    check_protocol(kinetics, plan_of)
    who = patient if patient is None or isinstance(patient, Patient) else load_patient(patient)
    whose = population if population is None or isinstance(population, Population) else load_population(population)
    say("drawing people")
    people, entry = draw_people(who, draws, seed, population=whose, spread=spread, rating_error=rating_error)
    ratings = Ratings(people.keyed, people.size, entry) if rating_error else None
    return simulate_people(
        plan_of,
        people,
        who,
        population=whose,
        variant=variant,
        kinetics=kinetics,
        seed=seed,
        ratings=ratings,
        progress=progress,
    )


def simulate_people(
    protocol: Protocol,
    people: People,
    patient: Patient | None = None,
    *,
    population: Population | None = None,
    variant: str = "standard",
    kinetics: str = DEFAULT,
    seed: int = 0,
    at: Sequence[float] | None = None,
    resolution: Resolution | None = None,
    ratings: Ratings | None = None,
    keep_failures: bool = False,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Simulate a course of treatment for people who are drawn already.

    Parameters
    ----------
    protocol : Protocol
    people : People
    patient : Patient, optional
        The file that they were drawn from, for the record.
    population : Population, optional
        That they were drawn from, for the record.
    variant, kinetics : str
        As in `simulate`.
    seed : int
        That the people were drawn with, for the record.
    at : sequence of float, optional
        Times, h, at which results are kept instead of the usual ones, beside ratings and doses.
    resolution : Resolution, optional
        How fine the time grid is.
    ratings : Ratings, optional
        Makes ratings with their error beside the expected scores.
    keep_failures : bool
        Leave the numbers of a person whose solution breaks down as they are, not finite, instead of raising.
    progress : callable, optional
        Called with a short text at each stage.

    Returns
    -------
    xarray.Dataset
        As `simulate` returns.

    Raises
    ------
    InputError
        For an unknown name, or a dose that the kinetics do not know.
    SolverError
        Where the solution of a patient breaks down: names patient and time.
    """
    from kapsim.results import label

    say = progress or (lambda _: None)
    switches = variant_switches(variant)
    taken, people = with_own_medicines(protocol, people)
    course = build_course(taken, people, resolution, kinetics, at=at)
    # the solver leaves the interpreter free for most of its time: load what labels the results meanwhile
    loading = threading.Thread(target=_load_for_labels, args=(protocol, patient), daemon=True)
    loading.start()
    say("solving")
    states, amounts = integrate(course, people, switches, keep_failures=keep_failures)
    loading.join()
    say("reading out")
    about = provenance(variant, seed, people.size, kinetics)
    if ratings is not None:
        about["rating_error"] = "1"
    if population is not None:
        about["population"] = json.dumps(population.provenance(), ensure_ascii=False)
    met = patient if population is None else as_met(patient, population)
    found = label(
        protocol, patient, people, course, states, amounts, about, ratings, met=met, keep_failures=keep_failures
    )
    if population is not None:
        records = dict.fromkeys([*json.loads(found.attrs["records_used"]), *population.sources])
        found.attrs["records_used"] = json.dumps(list(records), ensure_ascii=False)
    return found


def _load_for_labels(protocol: Protocol, patient: Patient | None) -> None:
    import_module("xarray")
    # reads the observed records, once in a process
    applicability(protocol, patient)


def integrate(
    course: Course,
    people: People,
    switches: Switches,
    *,
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
    model = Model.build(people.values, switches)
    home = model.rest(people.traits)
    rest = np.stack([value + np.zeros(people.size) for value in flatten(home)])
    known = {
        "values": np.stack([people.values[identifier] for identifier in Model.parameter_ids()]),
        "traits": np.stack(people.traits),
        "rest": rest,
        # it does not change: no step computes it again
        "dmn_rest": model.dmn_rest(home.network, model.plasticity.strength(home.plasticity), people.traits)
        + np.zeros(people.size),
        "decay": resting_decay(model, people, rest),
        "volumes": metabolite_volumes(course.kinetics, people),
    }
    if chosen == "compiled":
        states, amounts = solve_compiled(chain_program(course, switches), batch_work(course, rest, known), threads)
    else:
        states, amounts = _integrate_with_jax(course, people, switches, rest, known)
    states[0], amounts[0] = rest, 0.0
    if not keep_failures:
        _check(states, amounts, course)
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
    args = {**known, "switches": np.asarray(switches, dtype=float)}
    start = np.zeros(plan.jumps.shape[1:])
    outputs = len(course.outputs)
    padded = -(-outputs // OUTPUT_BLOCK) * OUTPUT_BLOCK

    def task(part: NDArray[np.int64]) -> Task:
        tables = plan._replace(
            half=plan.half[..., part], jumps=plan.jumps[..., part], coefficients=plan.coefficients[..., part]
        )
        own = {name: value if name == "switches" else value[..., part] for name, value in args.items()}
        return Task(tables, rest[:, part], start[..., part], own)

    solved = solve(_rates, drugs_seen(course.seen), [task(part) for part in split(people.size)], padded)
    states, amounts = (
        np.concatenate([kept[which][:outputs] for kept in solved], axis=-1)[..., : people.size] for which in (0, 1)
    )
    return states, amounts


def _check(states: Array, amounts: Array, course: Course) -> None:
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
    home = unflatten(rest)

    def rates(values: Array) -> Array:
        found = flatten(model.rates(unflatten(values), home, people.traits, NO_DRUG, REST))
        return np.stack([value + np.zeros(people.size) for value in found])

    base, decay = rates(rest), np.zeros_like(rest)
    for k in range(len(rest)):
        moved = rest.copy()
        step = 1e-6 * np.maximum(np.abs(rest[k]), 1.0)
        moved[k] += step
        decay[k] = -(rates(moved)[k] - base[k]) / step
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


def provenance(variant: str, seed: int, draws: int, kinetics: str = DEFAULT) -> dict[str, str]:
    """Return what reproduces a run: versions, evidence hash, variant, kinetics, seed and draws."""
    import platform

    from kapsim._version import __version__
    from kapsim.evidence import evidence_hash, evidence_version

    return {
        "kapsim_version": __version__,
        "evidence_version": evidence_version(),
        "evidence_hash": evidence_hash(),
        "variant": variant,
        "kinetics": kinetics,
        "seed": str(seed),
        "draws": str(draws),
        "platform": platform.platform(),
        "settings": json.dumps({"resolution": Resolution().__dict__}),
    }
