"""The calibration of the cortex: records of mechanism alone, their errors, and the mode that is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from kapsim.evidence import load_observed, load_parameters
from kapsim.evidence._files import CALIBRATIONS, CORTEX_CALIBRATION
from kapsim.evidence.calibration import load_calibration
from kapsim.evidence.registry import load_priors
from kapsim.inference.cortex import (
    FALL,
    FREE,
    ILLNESS,
    RISES,
    Problem,
    Reported,
    fit,
    held,
    inputs_hash,
    problem,
    without,
)
from kapsim.inference.mode import HeavyTails, find_mode
from kapsim.validation.run import validate

SHIPPED = load_calibration(CORTEX_CALIBRATION)
RECORDS = {record.id: record for record in load_observed()}


def test_it_is_that_of_the_shipped_records() -> None:
    assert SHIPPED.inputs == inputs_hash(), "run scripts/calibrate_cortex.py"


def test_no_mood_record_and_no_rating_has_a_say() -> None:
    assert set(SHIPPED.records) == {*RISES, ILLNESS, FALL}
    observables = {RECORDS[name].outcome.observable for name in SHIPPED.records}
    assert observables == {"glutamate.gln_cycling", "brain.cmro2", "dmn.connectivity", "glutamate.extracellular"}


def test_two_calibrations_move_no_parameter_twice() -> None:
    moved = [item.id for path in CALIBRATIONS for item in load_calibration(path).parameters]
    assert len(moved) == len(set(moved))
    assert {item.id for item in SHIPPED.parameters} == set(FREE)


def test_calibrated_parameters_carry_prior_and_records() -> None:
    priors, parameters = load_priors(), load_parameters()
    for item in SHIPPED.parameters:
        assert parameters[item.id].status == "calibrated"
        assert parameters[item.id].value == item.value
        assert parameters[item.id].fitted_to == SHIPPED.records
        prior = parameters[item.id].prior
        assert prior is not None
        assert prior.value == priors[item.id].value
        assert 0.0 < item.kept <= 1.0


def test_the_spread_of_oxygen_metabolism_is_a_standard_error() -> None:
    """The abstract does not say what its spread is; its p values do, with nine degrees of freedom."""
    for name, p in zip(RISES[1:], (0.026, 0.01, 0.258), strict=True):
        point = RECORDS[name].points[0]
        assert point.plusminus is not None
        assert 2.0 * t.sf(point.value / point.plusminus, 9) == pytest.approx(p, abs=0.003)


def test_errors_are_those_that_were_published() -> None:
    task = problem()
    found = dict(zip(task.names, zip(task.likelihood().observed, task.likelihood().width, strict=True), strict=True))
    assert found[RISES[0]][0] == pytest.approx(np.log(1.13))
    # t = 2.4 on the difference itself
    assert 13.0 / (113.0 * found[RISES[0]][1]) == pytest.approx(2.4, abs=0.01)
    assert found[ILLNESS] == pytest.approx((-0.246, 0.0875), abs=1e-4)
    assert found[FALL][0] == -1.0
    assert task.member().sum(axis=0).tolist() == [1.0, 3.0]


def test_an_anaesthetic_concentration_is_held() -> None:
    arm = held()
    assert not arm.group.depressed
    assert arm.treatment.doses[0].amount == pytest.approx(1783.0, rel=1e-3)  # 7.5 uM


@given(st.floats(-3.0, 3.0), st.floats(0.1, 2.0), st.sampled_from([-1.0, 1.0]))
def test_slopes_of_the_likelihood(at: float, width: float, sign: float) -> None:
    both = Reported(np.array([sign, 0.4]), np.full(2, width), np.array([True, False]))
    heavy = HeavyTails(np.array([sign, 0.4]), width, 4.0)
    step = 1e-5
    for likelihood in (both, heavy):
        expected = np.array([at, 0.3 * at])
        for k in range(2):
            up, down = expected.copy(), expected.copy()
            up[k] += step
            down[k] -= step
            slope = -(likelihood.cost(up) - likelihood.cost(down)) / (2 * step)
            assert likelihood.pull(expected)[k] == pytest.approx(slope, rel=1e-5, abs=1e-6)
        bend = -(both.pull(expected + step) - both.pull(expected - step)) / (2 * step)
        np.testing.assert_allclose(both.weight(expected), bend, rtol=1e-4, atol=1e-6)


def test_the_mode_of_a_linear_problem_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    matrix, observed, width = rng.normal(size=(6, 3)), rng.normal(size=6), rng.uniform(0.2, 0.5, 6)
    member, between = np.eye(6)[:, :2], 0.3
    found = find_mode(
        lambda z: z @ matrix.T, Reported(observed, width, np.zeros(6, bool)), member, between, np.zeros(3)
    )
    # an effect of a study is an error of what it reports
    noise = np.diag(width**2) + between**2 * member @ member.T
    precision = np.eye(3) + matrix.T @ np.linalg.solve(noise, matrix)
    np.testing.assert_allclose(found.z, np.linalg.solve(precision, matrix.T @ np.linalg.solve(noise, observed)))
    np.testing.assert_allclose(found.sd, np.sqrt(np.diag(np.linalg.inv(precision))))


def test_records_of_metabolism_count_as_fitted_and_are_held_out() -> None:
    """Their abstract names no author, so that no other record of it is known by the study's name."""
    found = {record.id: record for record in validate(study="unnamed (ISMRM").records}
    for name in RISES[1:]:
        assert found[name].status == "scored"
        assert found[name].independence == "fitted"
        assert found[name].held_out
        assert found[name].held_out != found[name].points


@pytest.mark.slow
def test_a_fit_finds_what_made_the_data() -> None:
    task = without(problem(), (FALL,))
    truth = np.array([0.5, -0.5, 1.0, -0.5])
    made = task.predict(truth[None])[0]

    class Made(Problem):
        def likelihood(self) -> Reported:
            return Reported(made, np.full(len(made), 1e-3), np.zeros(len(made), bool))

    own = {**task.parameters}
    own["observation.cortex.between_study"] = own["observation.cortex.between_study"].model_copy(update={"value": 1e-3})
    result = fit(Made(task.records, own))
    assert max(map(abs, result.residuals.values())) < 3e-3
    strength = FREE.index("network.strength_share")
    assert result.z[strength] == pytest.approx(truth[strength], abs=0.1)
