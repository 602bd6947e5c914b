"""From the chain to the cortex: what block, drift and slow states do to the inputs of the regions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from kapsim.brain import load_atlas
from kapsim.brain.cerebrum import Cerebrum
from kapsim.brain.mean_field import MeanField
from kapsim.brain.states import CorticalStates, followed, one_of
from kapsim.brain.working_point import working_point
from kapsim.brain_study import placebo_of, settled, study_states
from kapsim.errors import InputError
from kapsim.mechanisms.response_surface import Cortex
from kapsim.patient import Patient
from kapsim.protocol import load_protocol

CORTEX = load_atlas("dk68")
COUPLING = working_point().scaled(CORTEX)


def made(people: int = 2, **changed: Any) -> CorticalStates:
    column, one = np.ones((people, 1)), np.ones(people)
    start = CorticalStates(np.zeros(1), *(0.0 * column for _ in range(4)), column, column, one, one)
    return dataclasses.replace(start, **changed)


@pytest.fixture(scope="module")
def study() -> dict[str, CorticalStates]:
    return study_states(load_protocol("single_infusion"), [0.67, 24.0], subjects=12)[1]


def test_a_healthy_person_without_drug_rests_at_the_set_point() -> None:
    states = made()
    point = settled(states, 0, COUPLING, CORTEX.regions, MeanField.build())[0]
    assert point is not None
    np.testing.assert_allclose(point.firing.excitatory, point.firing.excitatory[0], rtol=1e-9)


def test_zero_cuts_change_nothing_bit_for_bit() -> None:
    plain, zero = made(), made(drift_interneuron=np.zeros((2, 1)), cut_excitatory=np.zeros((2, 1)))
    for one, other in zip(*(s.inputs(0, COUPLING, CORTEX.regions) for s in (plain, zero)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_efficacies_leave_the_mean_rate_at_its_set_point() -> None:
    """Both efficacies together, up and down: the regions move, the cortex' mean rate does not."""
    states = made(3, subgenual=np.array([1.1, 0.9, 1.05]), default=np.array([0.97, 1.02, 1.0]))
    points = settled(states, 0, COUPLING, CORTEX.regions, MeanField.build())
    home = settled(made(1), 0, COUPLING, CORTEX.regions, MeanField.build())[0]
    assert home is not None
    for point in points:
        assert point is not None
        assert point.firing.excitatory.mean() == pytest.approx(home.firing.excitatory.mean(), rel=1e-9)
        assert np.ptp(point.firing.excitatory) > 0.05


def test_a_study_and_the_response_surface_see_one_cortex() -> None:
    """The same cuts, strength and subgenual efficacy give the same fixed point by both ways."""
    cut, strength, subgenual = (0.004, 0.02), 0.93, 1.06
    states = made(
        1,
        cut_excitatory=np.full((1, 1), cut[0]),
        cut_interneuron=np.full((1, 1), cut[1]),
        strength=np.full((1, 1), strength),
        subgenual=np.array([subgenual]),
    )
    point = settled(states, 0, COUPLING, CORTEX.regions, MeanField.build())[0]
    other = Cerebrum.at_working_point(CORTEX).state(Cortex(*cut, 0.0, strength, subgenual))
    assert point is not None
    np.testing.assert_allclose(point.firing.excitatory, other.firing.excitatory, rtol=1e-9)


def test_efficacies_beyond_the_low_branch_are_told() -> None:
    states = made(1, subgenual=np.array([3.0]))
    assert np.isnan(states.held(0, COUPLING, CORTEX.regions)).all()
    assert np.isfinite(states.inputs(0, COUPLING, CORTEX.regions).inhibition).all()
    assert settled(states, 0, COUPLING, CORTEX.regions, MeanField.build()) == [None]


def test_inhibition_that_has_followed_the_whole_block_brings_every_region_back() -> None:
    cut = np.full((2, 1), 0.03)
    states = made(cut_interneuron=cut, drift_interneuron=cut, cut_excitatory=0.3 * cut, drift_excitatory=0.3 * cut)
    moved = settled(states, 0, COUPLING, CORTEX.regions, MeanField.build())[0]
    home = settled(made(), 0, COUPLING, CORTEX.regions, MeanField.build())[0]
    assert moved is not None
    assert home is not None
    np.testing.assert_allclose(moved.firing.excitatory, home.firing.excitatory, rtol=1e-9)


@given(st.floats(0.0, 0.04), st.floats(0.0, 0.04))
def test_the_goal_of_inhibition_is_linear_in_the_cuts(excitatory: float, interneuron: float) -> None:
    def goal(share: float) -> np.ndarray:
        whole = np.full((1, 1), share)
        states = made(1, drift_excitatory=whole * excitatory, drift_interneuron=whole * interneuron)
        return np.asarray(states.inputs(0, COUPLING, CORTEX.regions).inhibition)

    start, half, full = (goal(share) for share in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half - start, 0.5 * (full - start), atol=1e-3 * np.abs(start).max())


def test_what_follows_a_course_solves_its_equation() -> None:
    time = np.array([0.0, 0.5, 1.0, 4.0, 24.0])
    course, tau, at = np.array([[0.0, 1.0, 0.7, 0.1, 0.0]]), np.array([12.0]), np.array([0.7, 4.0, 20.0])
    solved = solve_ivp(
        lambda t, y: (np.interp(t, time, course[0]) - y) / 12.0, (0.0, 24.0), [0.0], t_eval=at, rtol=1e-9, atol=1e-12,
        max_step=0.05,
    )  # fmt: skip
    np.testing.assert_allclose(followed(time, course, tau, at)[0], solved.y[0], rtol=1e-5)


def test_regions_in_another_order_get_the_same_inputs() -> None:
    states = made(subgenual=np.array([1.1, 0.9]), default=np.array([1.02, 0.99]), cut_interneuron=np.full((2, 1), 0.02))
    order = np.random.default_rng(0).permutation(len(CORTEX))
    turned = CORTEX.subset(order)
    there = states.inputs(0, working_point().scaled(turned), turned.regions)
    here = states.inputs(0, COUPLING, CORTEX.regions)
    for one, other in zip(there, here, strict=True):
        np.testing.assert_allclose(np.broadcast_to(one, (2, 68)), np.broadcast_to(other, (2, 68))[:, order], rtol=1e-9)


def test_block_is_small_acute_and_gone_after_a_day(study: dict[str, CorticalStates]) -> None:
    drug = study["drug"]
    assert (drug.cut_interneuron[:, 0] > drug.cut_excitatory[:, 0]).all()
    assert (drug.cut_interneuron[:, 0] < 0.2).all()
    assert (drug.cut_interneuron[:, 1] < 0.05 * drug.cut_interneuron[:, 0]).all()
    assert not study["placebo"].drugged


def test_strength_is_lost_in_depression_and_comes_back_in_a_day(study: dict[str, CorticalStates]) -> None:
    assert (study["placebo"].strength < 1.0).all()
    assert (study["drug"].strength[:, 1] > study["placebo"].strength[:, 1]).all()


def test_the_healthy_have_no_efficacies_of_depression() -> None:
    _, states = study_states(
        load_protocol("single_infusion"), [1.0], patient=Patient(schema_version=1, diagnosis="healthy"), subjects=3
    )
    assert (states["drug"].default == 1.0).all()
    assert (states["drug"].subgenual == 1.0).all()


def test_people_of_both_signs_of_default_mode_efficacy(study: dict[str, CorticalStates]) -> None:
    assert (study["drug"].default > 1.0).any()
    assert (study["drug"].default < 1.0).any()


def test_placebo_holds_no_drug_and_keeps_its_times() -> None:
    protocol = load_protocol("kap_six_sessions")
    placebo = placebo_of(protocol)
    assert {dose.drug for dose in placebo.dose_events()} == {"saline"}
    assert [dose.start_h for dose in placebo.dose_events()] == [dose.start_h for dose in protocol.dose_events()]


def test_one_person_is_taken_out() -> None:
    one = one_of(made(3).inputs(0, COUPLING, CORTEX.regions), 2)
    assert all(np.ndim(value) == 0 or np.shape(value) == (68,) for value in one)


def test_hours_and_protocols_that_cannot_be() -> None:
    with pytest.raises(InputError, match="gives no ketamine"):
        study_states(load_protocol("saline_infusion"), [1.0])
    with pytest.raises(InputError, match="is outside the protocol"):
        study_states(load_protocol("single_infusion"), [1e5])
