"""Target-controlled infusion: the profile of any linear system, and the pump that knows the typical person."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import reference
from kapsim.course import build_course
from kapsim.engine.grid import TICKS_PER_HOUR
from kapsim.engine.target import GROWTH, step_ends, target_rates
from kapsim.errors import InputError
from kapsim.model import VARIANTS
from kapsim.outcomes import endpoints
from kapsim.patient import parse_patient
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import Protocol, parse_protocol
from kapsim.pumps import PUMP_TICKS
from kapsim.simulation import simulate
from kapsim.solving import integrate

Array = NDArray[np.float64]


# --- any linear system ----------------------------------------------------------------------------------------------


@st.composite
def systems(draw: st.DrawFn) -> Array:
    """A compartment model that loses drug everywhere, the first compartment exchanging with the others."""
    n = draw(st.integers(1, 4))
    rate = st.floats(0.05, 20.0)
    matrix = np.diag([-draw(rate) for _ in range(n)])
    for k in range(1, n):
        there, back = draw(rate), draw(rate)
        matrix[k, 0], matrix[0, 0] = there, matrix[0, 0] - there
        matrix[0, k], matrix[k, k] = back, matrix[k, k] - back
    return matrix


def levels(matrix: Array, volume: float, hours: list[float], rates: Array) -> Array:
    """Observed value at the end of each step, by a solver that shares nothing with the profile."""
    content, found = np.zeros(len(matrix)), []
    inlet = np.eye(len(matrix))[0]
    for step, rate in zip(hours, rates, strict=True):
        # the system is linear, and LSODA finds no first step where all is smaller than normal numbers
        size = max(float(np.abs(content).max()), float(rate)) or 1.0
        content = (
            size
            * solve_ivp(
                lambda _, x, rate=rate / size: matrix @ x + inlet * rate,
                (0.0, step),
                content / size,
                method="LSODA",
                rtol=1e-11,
                atol=1e-12,
            ).y[:, -1]
        )
        found.append(content[0] / volume)
    return np.asarray(found)


steps = st.lists(st.tuples(st.floats(0.01, 0.5), st.floats(0.0, 500.0)), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(matrix=systems(), volume=st.floats(0.5, 50.0), wanted=steps)
@example(matrix=np.diag([-18.0]), volume=1.0, wanted=[(0.5, 2.225073858507e-311), (0.5, 0.0)])
@example(
    matrix=np.array([[-18.0, 1.0, 1.0, 1.0], [1.0, -2.0, 0.0, 0.0], [1.0, 0.0, -2.0, 0.0], [15.0, 0.0, 0.0, -2.0]]),
    volume=1.0,
    wanted=[(0.5, 2.225073858507e-311), (0.5, 0.0)],
)
def test_the_value_is_on_target_or_above_it_with_the_pump_off(
    matrix: Array, volume: float, wanted: list[tuple[float, float]]
) -> None:
    hours, targets = [float(step) for step, _ in wanted], [float(target) for _, target in wanted]
    weights = np.eye(len(matrix))[0] / volume
    rates = target_rates(matrix, np.eye(len(matrix))[0], weights, hours, targets)
    assert rates.shape == (len(wanted),)
    assert (rates >= 0.0).all()
    found = levels(matrix, volume, hours, rates)
    scale = 1e-7 * max(max(targets), 1.0)
    for value, target, rate in zip(found, targets, rates, strict=True):
        assert value >= target - scale
        assert rate == 0.0 or value == pytest.approx(target, abs=scale)


@settings(max_examples=40, deadline=None)
@given(matrix=systems(), wanted=steps)
def test_several_people_are_solved_as_each_alone(matrix: Array, wanted: list[tuple[float, float]]) -> None:
    hours, targets = [step for step, _ in wanted], [target for _, target in wanted]
    inlet = np.eye(len(matrix))[0]
    both = np.stack([matrix, 0.5 * matrix])
    together = target_rates(both, inlet, np.stack([inlet, 2.0 * inlet]), hours, targets)
    for k, weight in ((0, 1.0), (1, 2.0)):
        alone = target_rates(both[k], inlet, weight * inlet, hours, targets)
        np.testing.assert_allclose(together[:, k], alone, rtol=1e-9, atol=1e-9)


@given(start=st.integers(0, 10**6), length=st.integers(1, 7 * 24 * TICKS_PER_HOUR), first=st.integers(1, 64))
def test_steps_cover_a_target_and_are_few(start: int, length: int, first: int) -> None:
    ends = step_ends(start, start + length, first)
    sizes = np.diff([start, *ends])
    assert ends[-1] == start + length
    assert (sizes > 0).all()
    assert (sizes <= np.maximum((np.asarray([start, *ends[:-1]]) - start) / GROWTH, first)).all()
    assert (sizes[:-1] >= first).all()
    assert len(ends) <= GROWTH * (2 + max(length / first, 1.0).__ceil__().bit_length())


# --- the pump -------------------------------------------------------------------------------------------------------


def plan(*doses: str, horizon: str = "12 h", more: str = "") -> Protocol:
    lines = "\n".join(f"- {{{dose}}}" for dose in doses)
    return parse_protocol(f"schema_version: 1\nname: x\ntitle: x\nhorizon: {horizon}\n{more}doses:\n{lines}\n")


def target(amount: float, at: str, duration: str, drug: str = "esketamine") -> str:
    return f"drug: {drug}, route: iv, amount: {amount} ng/mL, duration: {duration}, at: {at}"


def solved(given_plan: Protocol, people: People) -> tuple[Any, Array]:
    """A course and its compartments at every node."""
    laid_out = build_course(given_plan, people)
    course = replace(laid_out, outputs=np.arange(len(laid_out.grid.ticks)))
    return course, integrate(course, people, VARIANTS["standard"])[1]


def plasma(course: Any, amounts: Array, people: People) -> Array:
    """Ketamine in arterial plasma at every node, both enantiomers, ng/mL, shape (node, patient)."""
    volume = people.values["pk.v1"] * people.body.weight / people.values["pk.reference_weight"]
    content = amounts[:, :2, course.compartments.index("central")].sum(axis=1)
    return np.asarray(content / volume * people.values["pk.molar_mass.ketamine"])


UNALIKE = [
    "schema_version: 1",
    "schema_version: 1\nweight: 120 kg\nage: 80 a\nsex: female",
    "schema_version: 1\nweight: 45 kg\nage: 25 a\nsex: male",
]


@pytest.mark.parametrize("drug", ["ketamine", "esketamine", "arketamine"])
@pytest.mark.parametrize("who", UNALIKE)
def test_the_pump_holds_the_target_in_whoever_is_typical_for_their_body(drug: str, who: str) -> None:
    people = sample_people(parse_patient(who), 1, 0, spread=False)
    course, amounts = solved(plan(target(100, "30 min", "2 h", drug)), people)
    level, ticks = plasma(course, amounts, people)[:, 0], course.grid.ticks
    ends = step_ends(TICKS_PER_HOUR // 2, 5 * TICKS_PER_HOUR // 2, PUMP_TICKS)
    assert set(ends) <= set(ticks.tolist())
    np.testing.assert_allclose(level[np.isin(ticks, ends)], 100.0, rtol=1e-9)
    # between the ends as well, once the first step is over
    held = (ticks >= ends[0]) & (ticks <= ends[-1])
    np.testing.assert_allclose(level[held], 100.0, rtol=0.002)
    assert level[ticks > ends[-1] + 2 * TICKS_PER_HOUR].max() < 50.0


def test_rising_targets_reckon_with_what_is_there_and_falling_ones_wait() -> None:
    people = sample_people(None, 1, 0, spread=False)
    stages = [(50, 0), (100, 15), (200, 30), (100, 45)]
    course, amounts = solved(plan(*(target(level, f"{at} min", "15 min") for level, at in stages)), people)
    level, minutes = plasma(course, amounts, people)[:, 0], course.grid.ticks / PUMP_TICKS
    for wanted, at in stages[:3]:
        inside = (minutes >= at + 1) & (minutes <= at + 15)
        np.testing.assert_allclose(level[inside], wanted, rtol=0.03)
        assert level[minutes == at + 15][0] == pytest.approx(wanted, rel=1e-9)
    pump = amounts[:, 0, course.compartments.index("pump"), 0]
    assert (pump >= -1e-9).all()
    falling = (minutes > 45) & (minutes < 60)
    waiting = falling & (pump <= 1e-9)
    # once the target is reached the pump runs again and holds it
    assert waiting.sum() > 3
    assert (level[waiting] > 100.0 - 1e-6).all()
    reached = falling & (pump > 1e-9)
    assert minutes[waiting].max() < minutes[reached].min() + 1e-9
    assert level[minutes == 60][0] == pytest.approx(100.0, rel=1e-9)


def test_a_second_target_hours_later_needs_less() -> None:
    """The pump remembers what it gave; it knows nothing of other routes."""
    people = sample_people(None, 1, 0, spread=False)

    def given_mg(*doses: str) -> float:
        return float(build_course(plan(*doses), people).given[0])

    first, second = target(100, "0 h", "30 min"), target(100, "2 h", "30 min")
    alone = given_mg(first)
    assert 1.2 * alone < given_mg(first, second) < 1.9 * alone
    muscle = "drug: esketamine, route: im, amount: 20 mg, at: 0 h"
    assert given_mg(muscle, second) == pytest.approx(20.0 + alone, rel=1e-9)
    other = target(100, "2 h", "30 min", "ketamine")
    assert given_mg(first, other) == pytest.approx(alone + given_mg(target(100, "0 h", "30 min", "ketamine")), rel=1e-9)


def test_in_people_who_are_not_typical_the_target_is_missed() -> None:
    people = sample_people(None, 200, 0)
    course, amounts = solved(plan(target(100, "0 h", "1 h")), people)
    reached = plasma(course, amounts, people)[course.grid.ticks == TICKS_PER_HOUR][0]
    assert 0.7 < np.median(reached) / 100.0 < 1.4
    assert np.std(np.log(reached)) > 0.1


def test_milligrams_are_counted_for_each_patient() -> None:
    """What a run says was given is what left the pump, and what an infusion of that many mg would give."""
    people = sample_people(None, 6, 2)
    mixed = plan(target(150, "0 h", "1 h", "ketamine"), "drug: ketamine, route: im, amount: 0.5 mg/kg, at: 3 h")
    course = build_course(mixed, people)
    pump, total, last = course.compartments.index("pump"), np.zeros(6), 0
    rate = np.zeros(6)
    for tick in sorted(course.jumps):
        total += rate * (tick - last) / TICKS_PER_HOUR
        rate, last = rate + course.jumps[tick][:2, pump].sum(axis=0), tick
    np.testing.assert_allclose(rate, 0.0, atol=1e-9)
    milligrams = total * people.values["pk.molar_mass.ketamine"] / 1000.0
    np.testing.assert_allclose(course.given, milligrams + 0.5 * people.body.weight, rtol=1e-9)
    run = simulate(mixed, draws=6, seed=2)
    np.testing.assert_allclose(endpoints(run)["cumulative_ketamine"].values, course.given, rtol=1e-12)
    assert run["ketamine_given"].attrs["units"] == "mg"
    assert json.loads(run.attrs["doses"])[0]["label"] == "ketamine 150 ng/mL iv"
    event = mixed.dose_events()[0]
    assert (event.amount, event.unit, event.is_target) == (150.0, "ng/mL", True)
    with pytest.raises(InputError, match="ketamine_given"):
        event.milligrams(70.0)


def test_other_doses_are_counted_as_before() -> None:
    doses = ["drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: 0 h"]
    doses += [
        "drug: esketamine, route: intranasal, amount: 56 mg, at: 2 h",
        "drug: midazolam, route: iv, amount: 3 mg, at: 4 h",
    ]
    doses += ["drug: saline, route: iv, amount: 0 mg, at: 6 h"]
    people = sample_people(None, 5, 1)
    np.testing.assert_allclose(build_course(plan(*doses), people).given, 0.5 * people.body.weight + 56.0, rtol=1e-12)


def test_a_target_file_goes_there_and_back() -> None:
    protocol = plan(target(100, "0 h", "40 min"))
    assert parse_protocol(protocol.to_yaml()) == protocol
    assert "amount: 100.0 ng/mL" in protocol.to_yaml() or "amount: 100 ng/mL" in protocol.to_yaml()
    micro = plan("drug: ketamine, route: iv, amount: 0.1 mg/L, duration: 40 min, at: 0 h")
    assert micro.dose_events()[0].amount == pytest.approx(100.0)


def test_the_solver_agrees_with_the_reference_on_a_target() -> None:
    people = sample_people(None, 1, 0, spread=False)
    given_plan = plan(
        target(200, "0 h", "20 min", "ketamine"), target(60, "20 min", "20 min", "ketamine"), horizon="1 d"
    )
    course = build_course(given_plan, people)
    states, amounts = integrate(course, people, VARIANTS["standard"])
    there = reference.solve_reference(given_plan, course, people, VARIANTS["standard"])
    assert reference.relative_errors(states[..., 0], amounts[..., 0], there).max() < 1e-5


def test_the_grid_stays_small() -> None:
    people = sample_people(None, 1, 0, spread=False)
    course = build_course(plan(target(100, "0 h", "2 h")), people)
    assert len(course.jumps) < 70
    assert len(course.grid.ticks) < 800
