"""Batches: the compiled engine against JAX and NumPy, whatever the number of people, threads and steps."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.console import Console

import reference
from kapsim import compiled_chain, solving
from kapsim.concentrations import propagate
from kapsim.course import build_course
from kapsim.engine import compiled
from kapsim.engine.grid import Resolution
from kapsim.engine.kernel_layout import Shape
from kapsim.engine.stages import DRUG, PATIENT, SETTING, STATE, staged
from kapsim.engine.tracing import Graph, Traced
from kapsim.errors import InputError
from kapsim.evidence import load_parameters
from kapsim.mechanisms import operators
from kapsim.mechanisms.base import Drugs, Setting
from kapsim.mechanisms.switches import VARIANTS
from kapsim.model import Model, Traits, flatten, state_names, unflatten
from kapsim.outcomes import endpoints
from kapsim.patient import Patient
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import Protocol, load_protocol
from kapsim.report.summary import print_summary
from kapsim.sentinels import SolutionError, sentinels, solution_error, some_of
from kapsim.simulation import simulate, simulate_people
from kapsim.solving import engine_in_use, integrate, prepare
from kapsim.streaming import Block, people_from, population_hours, stream_population
from selection import some

Array = NDArray[np.float64]

STANDARD = VARIANTS["standard"]
#: Under the posterior the strongest responders are beyond what a coarse grid can follow.
PRIORS = load_parameters(chain=False)
SAMPLED = sample_people(None, 24, 0, parameters=PRIORS)
COARSE = Resolution(sharp=8, soft=64, growth=8)

#: Everything that a setting can hold, two drugs and three routes.
EVERYTHING = """\
masking: midazolam
doses:
- {drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: [1 h]}
- {drug: ketamine, route: oral, amount: 100 mg, at: [30 h]}
- {drug: ketamine, route: sc, amount: 0.7 mg/kg, at: [31.3 h]}
- {drug: midazolam, route: iv, amount: 0.045 mg/kg, duration: 40 min, at: [50 h]}
stressors:
- {at: 20 h, duration: 30 h, intensity: 0.8}
co_medication:
- {drug: naltrexone, from: 1 d, until: 4 d}
- {drug: benzodiazepine, from: 0 h, until: 30 h}
- {drug: memantine, from: 40 h, until: 90 h}
- {drug: clarithromycin}
"""


def everything() -> Protocol:
    return reference.protocol(EVERYTHING, horizon="5 d")


# --- tracing ----------------------------------------------------------------------------------------------------------


def replay(graph: Graph, outputs: list[Traced], tables: dict[str, Array]) -> list[Array]:
    """Compute a graph with NumPy, node by node."""
    values: dict[int, Any] = {}
    for place in graph.needed([output.at for output in outputs]):
        node = graph.nodes[place]
        operands = [values[operand] for operand in node.operands]
        if node.kind == "number":
            values[place] = node.number
        elif node.kind == "input":
            values[place] = tables[node.source][node.row]
        elif node.kind == "where":
            values[place] = np.where(operands[0], operands[1], operands[2])
        else:
            values[place] = getattr(np, node.kind)(*operands)
    return [np.asarray(values[output.at]) for output in outputs]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_graph_says_what_the_equations_say(variant: str) -> None:
    """Every variant at states, drugs and settings off rest, to the last digits."""
    people = SAMPLED
    generator = np.random.default_rng(3)
    home = flatten(Model.build(people.values, VARIANTS[variant]).rest(people.traits))
    rest = np.stack([value + np.zeros(people.size) for value in home])
    values = rest * generator.uniform(0.9, 1.1, rest.shape) + generator.uniform(0.0, 0.01, rest.shape)
    drugs = generator.uniform(0.0, 1.0, (len(Drugs._fields), people.size))
    setting = generator.uniform(0.0, 1.0, len(Setting._fields))
    graph, ids = Graph(), Model.parameter_ids()
    known = graph.inputs("given", len(ids) + len(people.traits) + len(rest))
    traced = Model.build(dict(zip(ids, known, strict=False)), VARIANTS[variant]).rates(
        unflatten(graph.inputs("states", len(rest))),
        unflatten(known[-len(rest) :]),
        Traits(*known[len(ids) : len(ids) + len(people.traits)]),
        Drugs(*graph.inputs("compartments", len(drugs))),
        Setting(*graph.inputs("setting", len(setting))),
    )
    given = np.concatenate([np.stack([people.values[name] for name in ids]), np.stack(people.traits), rest])
    tables = {"given": given, "states": values, "compartments": drugs, "setting": setting[:, None]}
    found = replay(graph, list(flatten(traced)), tables)
    model = Model.build(people.values, VARIANTS[variant])
    expected = model.rates(unflatten(values), unflatten(rest), people.traits, Drugs(*drugs), Setting(*setting))
    for name, mine, other in zip(state_names(), found, flatten(expected), strict=True):
        np.testing.assert_allclose(mine, np.broadcast_to(other, mine.shape), rtol=1e-12, atol=1e-14, err_msg=name)


def test_what_a_switch_takes_out_is_not_in_the_graph() -> None:
    graph = Graph()
    (x,) = graph.inputs("given", 1)
    assert graph.nodes[(0.0 * x + 2.0).at].number == 2.0
    assert (1.0 * x + 0.0).at == x.at
    assert (x * 2.0).at == (x * 2.0).at
    assert graph.nodes[(x - x * 1.0).at].kind == "subtract"


def test_equations_may_not_branch_on_a_value() -> None:
    graph = Graph()
    (x,) = graph.inputs("given", 1)
    with pytest.raises(TypeError, match="may not branch"):
        bool(x < 1.0)
    with pytest.raises(TypeError, match="may not use sin"):
        np.sin(x)


def test_stages_hold_what_their_tables_say() -> None:
    graph = Graph()
    (k,), (s,), (c,), (y,) = (graph.inputs(name, 1) for name in ("given", "setting", "compartments", "states"))
    found = staged(graph, [operators.exp(k) * s + operators.exp(c) / k - y / (k + 1.0)])
    kinds = {stage: [found.graph.nodes[place].kind for place in found.nodes(stage)] for stage in range(4)}
    assert kinds[SETTING] == ["input", "multiply"]
    # divisions by what a patient keeps have become products
    assert "divide" not in kinds[DRUG] + kinds[STATE]
    assert kinds[PATIENT].count("divide") == 2
    assert set(kinds[STATE]) == {"input", "multiply", "subtract"}


# --- the functions that processors lack -------------------------------------------------------------------------------

FUNCTIONS = ("exp", "log", "expm1", "log1p", "tanh", "sqrt", "absolute", "negative")


def compiled_functions(x: Array) -> dict[str, Array]:
    """Evaluate each function at x by a program whose only rates they are: one step of size 1 from 0."""
    graph = Graph()
    (given_x,) = graph.inputs("given", 1)
    graph.inputs("states", len(FUNCTIONS))
    rates = [getattr(np, name)(given_x) for name in FUNCTIONS]
    shape = Shape(1, 1, len(FUNCTIONS), 1, 1, ((0, 0),))
    zeros = np.zeros((len(FUNCTIONS), len(x)))
    work = compiled.Work(
        rows=np.array([[0, 0, 0, 1]], dtype=np.int32),
        smallest=1.0,
        sizes=1,
        settings=np.zeros((1, 1)),
        matrices=np.zeros((1, len(x), 1, 1)),
        jumps=np.zeros((1, 1, 1, len(x))),
        decay=zeros,
        start=zeros,
        given=x[None],
        outputs=2,
    )
    states, _ = compiled.integrate(compiled.build(shape, staged(graph, rates)), work)
    return dict(zip(FUNCTIONS, states[1], strict=True))


def test_functions_have_all_their_digits() -> None:
    sizes = np.exp(np.linspace(-40.0, 6.5, 400))
    x = np.concatenate([sizes, -sizes, np.linspace(-3.0, 3.0, 401), [0.0, 1.0, -1.0, 1e300]])
    found = compiled_functions(x)
    for name in FUNCTIONS:
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(x)
        inside = np.isfinite(expected) & (np.abs(expected) > 1e-300) if name == "exp" else np.isfinite(expected)
        inside &= ~((name in ("log1p", "log", "sqrt")) & (x < 0.0))
        inside &= np.abs(x) < 700.0 if name in ("exp", "expm1") else True
        # the weights of the stages add up to 1 but for rounding
        np.testing.assert_allclose(found[name][inside], expected[inside], rtol=4e-15, atol=1e-300, err_msg=name)


def test_functions_keep_what_is_no_number() -> None:
    found = compiled_functions(np.array([np.nan, -1.0, -np.inf, np.inf, 0.0, 2.0, 2.0, 2.0]))
    assert all(np.isnan(values[0]) for values in found.values())
    assert np.isnan(found["log"][1])
    assert np.isnan(found["sqrt"][1])
    assert not np.isfinite(found["log"][4])
    assert all(np.isfinite(values[5]) for values in found.values())


@functools.cache
def choices() -> compiled.Program:
    """Return a program whose rates are choices between two numbers that a patient keeps."""
    graph = Graph()
    one, other = graph.inputs("given", 2)
    rates = [np.maximum(one, other), np.minimum(one, other), np.where(one < other, one, 3.0), np.maximum(one, 0.0)]
    return compiled.build(Shape(1, 1, 4, 2, 1, ((0, 0),)), staged(graph, rates))


@settings(max_examples=30, deadline=None)
@given(
    parts=st.lists(
        st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)) | st.just((float("nan"), 1.0)) | st.just((1.0, np.nan)),
        min_size=8,
        max_size=8,
    )
)
def test_the_larger_and_the_smaller_are_those_of_numpy(parts: list[tuple[float, float]]) -> None:
    x, y = np.asarray(parts).T
    zeros = np.zeros((4, 8))
    work = compiled.Work(
        np.array([[0, 0, 0, 1]], dtype=np.int32),
        1.0,
        1,
        np.zeros((1, 1)),
        np.zeros((1, 8, 1, 1)),
        np.zeros((1, 1, 1, 8)),
        zeros,
        zeros,
        np.stack([x, y]),
        2,
    )
    found = compiled.integrate(choices(), work)[0][1]
    expected = [np.maximum(x, y), np.minimum(x, y), np.where(x < y, x, 3.0), np.maximum(x, 0.0)]
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=1e-300)


# --- the engines against each other -----------------------------------------------------------------------------------


def difference(mine: Array, other: Array, absolute: float = 1e-9) -> float:
    """Largest |a − b| over |b| + 0.001 of its peak, and over `absolute` where something hardly moves."""
    scale = np.abs(other) + 1e-3 * np.abs(other).max(axis=0)
    return float((np.abs(mine - other) / np.maximum(scale, absolute)).max())


@pytest.mark.parametrize("variant", some(VARIANTS, "standard", "node_pair"))
def test_both_engines_are_one(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference.few_programs(monkeypatch, steps=1024, outputs=256)
    course = build_course(everything(), SAMPLED, COARSE)
    states, contents = integrate(course, SAMPLED, VARIANTS[variant], engine="compiled")
    others, amounts = integrate(course, SAMPLED, VARIANTS[variant], engine="jax")
    # what hardly leaves rest is rounding, of which nothing is a share
    assert difference(states, others, absolute=1e-5) < 1e-10
    assert difference(contents, amounts) < 1e-10


@pytest.mark.parametrize("kinetics", ["kamp2020", "otto2021", "perezruixo2021", "simons2022"])
def test_both_engines_are_one_under_published_kinetics(kinetics: str) -> None:
    people = sample_people(None, 8, 1)
    drug = "esketamine" if kinetics != "kamp2020" else "ketamine"
    route, rest = ("intranasal", "56 mg") if kinetics == "perezruixo2021" else ("iv", "0.3 mg/kg, duration: 40 min")
    dose = f"{{drug: {drug}, route: {route}, amount: {rest}, at: [1 h]}}"
    protocol = reference.protocol(f"masking: open\ndoses:\n- {dose}\n", horizon="1 d")
    course = build_course(protocol, people, COARSE, kinetics)
    _, contents = integrate(course, people, STANDARD, engine="compiled")
    # the chain is the same for all kinetics: what differs between them is solved by other means, too
    assert difference(contents, propagate(course)[course.outputs]) < 1e-10
    assert np.abs(contents).max() > 0.1


@pytest.mark.parametrize("count", [1, 3, 8, 17])
def test_a_person_does_not_depend_on_who_else_is_there(count: int) -> None:
    protocol = load_protocol("single_infusion")
    whole = integrate(build_course(protocol, SAMPLED, COARSE), SAMPLED, STANDARD, engine="compiled")
    people = sample_people(None, count, 0, parameters=PRIORS)
    part = integrate(build_course(protocol, people, COARSE), people, STANDARD, engine="compiled")
    for mine, other in zip(part, whole, strict=True):
        np.testing.assert_array_equal(mine, other[..., :count])


def test_threads_change_nothing() -> None:
    people = sample_people(None, 70, 0)
    course = build_course(load_protocol("single_infusion"), people, COARSE)
    one = integrate(course, people, STANDARD, engine="compiled", threads=1)
    three = integrate(course, people, STANDARD, engine="compiled", threads=3)
    for mine, other in zip(one, three, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_another_count_dose_time_or_grid_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Shape] = []
    real = compiled_chain.build

    def counted(shape: Shape, equations: Any) -> Any:
        built.append(shape)
        return real(shape, equations)

    monkeypatch.setattr(compiled_chain, "build", counted)
    compiled_chain._program.cache_clear()
    for count, hours, resolution in ((5, 1, COARSE), (16, 1, COARSE), (40, 7, COARSE), (8, 30, Resolution(4, 16, 16))):
        people = sample_people(None, count, count)
        dose = (
            f"{{drug: ketamine, route: iv, amount: 0.{count} mg/kg, duration: 40 min, at: [{hours} h, {2 * hours} h]}}"
        )
        protocol = reference.protocol(f"masking: open\ndoses:\n- {dose}\n", horizon="4 d")
        integrate(build_course(protocol, people, resolution), people, STANDARD, engine="compiled")
    assert len(built) == 1


def test_an_engine_that_there_is_not_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="'fast' is not known; known: compiled, jax"):
        engine_in_use("fast")
    assert engine_in_use() == "compiled"
    monkeypatch.setattr("kapsim.solving.compiled_available", lambda: False)
    assert engine_in_use() == "jax"
    with pytest.raises(InputError, match="needs llvmlite"):
        engine_in_use("compiled")


def test_damaged_machine_code_is_not_run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: tmp_path)
    x = np.linspace(0.1, 2.0, 8)
    first = compiled_functions(x)
    (kept,) = (tmp_path / "programs").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(content[:-40] + bytes(40))
    again = compiled_functions(x)
    for name in FUNCTIONS:
        np.testing.assert_array_equal(first[name], again[name])
    assert kept.read_bytes() == content


# --- the error that a finer grid finds --------------------------------------------------------------------------------


def checked(resolution: Resolution, *, finer: int = 4, count: int = 8) -> SolutionError:
    protocol = load_protocol("single_infusion")
    dataset = simulate_people(protocol, SAMPLED, resolution=resolution)
    return solution_error(dataset, protocol, SAMPLED, resolution=resolution, finer=finer, count=count)


def test_the_reported_error_falls_with_refinement() -> None:
    """Fourth order: half the step leaves a sixteenth, of which a fifth is asked for here."""
    coarse, middle, fine = (checked(COARSE.finer(factor)) for factor in (1, 2, 4))
    assert middle.largest < coarse.largest / 5.0
    assert fine.largest < middle.largest / 5.0
    assert fine.points < middle.points < coarse.points


def test_the_reported_error_is_that_against_a_far_finer_grid() -> None:
    near, far = checked(COARSE, finer=4), checked(COARSE, finer=16)
    assert near.largest == pytest.approx(far.largest, rel=0.1)
    assert (near.variable, near.patient, near.sentinels) == (far.variable, far.patient, far.sentinels)


def test_the_reported_error_agrees_with_another_solver() -> None:
    protocol = load_protocol("single_infusion")
    # a person whose error is above what the other solver leaves
    found = checked(COARSE, count=24)
    course = build_course(protocol, SAMPLED, COARSE)
    states, amounts = integrate(course, SAMPLED, STANDARD)
    other = reference.solve_reference(protocol, course, SAMPLED, STANDARD, patient=found.patient)
    own = reference.relative_errors(states[:, :, found.patient], amounts[..., found.patient], other)
    assert 0.1 < own.max() / found.largest < 10.0


def test_sentinels_are_the_extremes_and_some_of_everybody() -> None:
    chosen = sentinels(SAMPLED)
    assert len(chosen) == len(set(chosen)) == 8
    assert int(np.argmax(SAMPLED.values["plasticity.bdnf_gain"])) in chosen
    assert int(np.argmin(SAMPLED.values["glutamate.tau"])) in chosen
    assert sentinels(sample_people(None, 1, 0)) == (0,)


@given(places=st.lists(st.integers(0, 23), min_size=1, max_size=6, unique=True))
@settings(max_examples=10, deadline=None)
def test_some_of_the_people_are_who_they_were(places: list[int]) -> None:
    part = some_of(SAMPLED, places)
    for name, values in SAMPLED.values.items():
        np.testing.assert_array_equal(part.values[name], values[places])
    own = part.keyed.normal("occasion:0", len(places))
    np.testing.assert_array_equal(own, SAMPLED.keyed.normal("occasion:0", 24)[places])


def test_a_run_says_how_far_it_is_off() -> None:
    dataset = simulate("single_infusion", draws=5)
    error = SolutionError.from_json(dataset.attrs["solution_error"])
    assert SolutionError.from_json(error.to_json()) == error
    assert 0.0 < error.largest < 1e-4
    with io.StringIO() as text:
        print_summary(dataset, endpoints(dataset), console=Console(file=text, width=200))
        assert error.line() in text.getvalue()
    assert "MADRS within" in error.line()


#: Twenty-two mg/kg within a minute: BDNF rises so far that a spine of a strong responder lives for minutes.
TOO_FAST = """\
doses:
- {drug: ketamine, route: iv, amount: 8 mg/kg, at: [0 min]}
- {drug: ketamine, route: iv, amount: 14 mg/kg, at: [1 min]}
"""


#: Whose synapses respond eight times as much as is usual.
@pytest.mark.parametrize("together", [1, 40, 1000])
def test_the_decay_of_a_state_hangs_not_on_which_are_moved_with_it(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = sample_people(None, 10, 0)
    usual = prepare(people, STANDARD).known["decay"]
    assert (usual > 0.0).any()
    monkeypatch.setattr(solving, "MOVED_TOGETHER", together)
    np.testing.assert_array_equal(prepare(people, STANDARD).known["decay"], usual)


QUICK = Patient.model_validate({"schema_version": 1, "sensitivities": {"plasticity": 8}})


@pytest.mark.parametrize("engine", ["compiled", "jax"])
def test_steps_that_are_too_long_are_no_solution(engine: str) -> None:
    """What swings between finite numbers is marked, and nobody else is."""
    protocol, people = reference.protocol(TOO_FAST, horizon="10 d"), sample_people(QUICK, 8, 184)
    hours = [1.0, 24.0, 72.0, 168.0, 240.0]
    usual, fine = (build_course(protocol, people, Resolution().finer(factor), at=hours) for factor in (1, 4))
    states, _ = integrate(usual, people, STANDARD, keep_failures=True, engine=engine)
    exact, _ = integrate(fine, people, STANDARD)
    marked = ~np.isfinite(states).all(axis=(0, 1))
    assert 0 < marked.sum() < people.size
    assert np.isfinite(exact).all()
    ticks = [set(course.grid.ticks[course.outputs].tolist()) for course in (usual, fine)]
    both = [np.isin(course.grid.ticks[course.outputs], list(ticks[0] & ticks[1])) for course in (usual, fine)]
    assert difference(states[both[0]][..., ~marked], exact[both[1]][..., ~marked]) < 1e-2


def test_who_is_too_fast_for_the_steps_is_solved_on_finer_ones() -> None:
    protocol, people = reference.protocol(TOO_FAST, horizon="10 d"), sample_people(QUICK, 8, 184)
    dataset = simulate_people(protocol, people)
    error = solution_error(dataset, protocol, people, count=8)
    assert len(error.sentinels) == 8
    assert error.largest < 1e-2
    assert error.points < 1e-2


# --- populations block by block ---------------------------------------------------------------------------------------


def streamed(count: int, block: int, **options: Any) -> list[Block]:
    return list(stream_population(load_protocol("single_infusion"), count, block=block, resolution=COARSE, **options))


@pytest.mark.parametrize(("block", "workers"), [(10, 1), (20, 3), (100, 2)])
def test_blocks_are_the_same_people_whatever_their_size(block: int, workers: int) -> None:
    count = 45
    blocks = streamed(count, block, workers=workers)
    assert [item.first for item in blocks] == list(range(0, count, block))
    protocol = load_protocol("single_infusion")
    whole = simulate_people(
        protocol,
        sample_people(None, count, 0),
        at=population_hours(protocol).tolist(),
        resolution=COARSE,
    )
    expected = endpoints(whole)
    for name, endpoint in expected.items():
        found = np.concatenate([item.endpoints[name].values for item in blocks])
        np.testing.assert_array_equal(found, endpoint.values, err_msg=name)
    numbers = np.concatenate([item.dataset["patient"].values for item in blocks])
    np.testing.assert_array_equal(numbers, np.arange(count))
    draws = np.concatenate([item.dataset["parameter_draw"].values for item in blocks])
    np.testing.assert_array_equal(draws, whole["parameter_draw"].values)
    assert "solution_error" in blocks[0].dataset.attrs


def test_no_more_blocks_are_held_than_there_are_workers() -> None:
    drawn: list[int] = []

    def draw(first: int, size: int) -> People:
        drawn.append(first)
        return people_from(None, first, size, 0)

    coming = stream_population(load_protocol("no_treatment"), 400, block=10, draw=draw, workers=2, resolution=COARSE)
    next(coming)
    assert len(drawn) <= 4
    coming.close()  # type: ignore[attr-defined]
    assert len(drawn) <= 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0, "block": 10}, "count: 0 is not"),
        ({"count": 5, "block": 7}, "block: 7 is no positive multiple of 10"),
    ],
)
def test_numbers_of_a_stream_that_cannot_be_are_errors(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        streamed(**options)
    with pytest.raises(InputError, match="first: 5 is no multiple of 10"):
        people_from(None, 5, 10, 0)
