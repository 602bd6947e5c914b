"""The shipped posterior: what it was made from, and how people are drawn from it."""

from __future__ import annotations

import numpy as np
import pytest

from kapsim.evidence import load_observed, load_parameters
from kapsim.evidence._files import CHAIN_CALIBRATION
from kapsim.evidence.calibration import load_calibration, load_left_out
from kapsim.evidence.ensemble import load_ensemble
from kapsim.inference.chain.design import candidates
from kapsim.inference.chain.shipping import SCATTER, SHIPPED_DRAWS, inputs_hash
from kapsim.inference.chain.targets import fitted
from kapsim.patient.sampling import PATIENTS_PER_DRAW, SPREADS, Keyed, sample_people
from kapsim.validation.cases import prepare

SHIPPED = load_calibration(CHAIN_CALIBRATION)
PRIORS = load_parameters(chain=False)


def test_it_is_that_of_the_shipped_records_and_priors() -> None:
    assert SHIPPED.inputs == inputs_hash(PRIORS, fitted(prepare(load_observed(), PRIORS))), "run kapsim calibrate"


def test_draws_and_middles_are_of_the_same_parameters() -> None:
    joint = load_ensemble()
    # what figures of studies scatter is no part of a person's chain
    scattered = {name for pair in SCATTER.values() for name in pair}
    assert list(joint) == [item.id for item in SHIPPED.parameters if item.id not in scattered]
    assert set(joint) <= set(candidates(PRIORS))
    assert {len(values) for values in joint.values()} == {SHIPPED_DRAWS}
    assert SHIPPED.sampled is not None
    assert SHIPPED.sampled.r_hat < 1.05
    assert SHIPPED.sampled.effective > 400


def test_every_fitted_study_was_left_out_once() -> None:
    told = [record for item in load_left_out() for record in item.records]
    assert sorted(told) == sorted(SHIPPED.records)


def test_the_registry_holds_the_posterior_beside_its_prior() -> None:
    parameters = load_parameters()
    for item in SHIPPED.parameters:
        now, before = parameters[item.id], PRIORS[item.id]
        assert (now.value, now.status) == (item.value, "calibrated")
        assert now.prior is not None
        assert now.prior.value == before.value
        assert before.uncertainty is not None
        low, high = before.uncertainty.low, before.uncertainty.high
        assert low is None or now.value >= low
        assert high is None or now.value <= high
    others = set(parameters) - {item.id for item in SHIPPED.parameters}
    assert all(parameters[name] == PRIORS[name] for name in others)


def test_one_draw_decides_all_parameters_of_a_person() -> None:
    """Every person's parameters are a row of the ensemble, whole."""
    people = sample_people(None, 200, 5)
    joint = load_ensemble()
    names = [name for name in joint if PRIORS[name].between_subject is None and name not in SPREAD_IDS]
    rows = {tuple(row) for row in np.round(np.stack([joint[name] for name in names], axis=1), 6)}
    keyed = Keyed(5, True)
    drawn = np.stack([keyed.normal(f"uncertainty:joint:{name}", 20) for name in names], axis=1)
    assert all(tuple(row) in rows for row in np.round(drawn, 6))
    registry = load_parameters()
    for k, name in enumerate(names):
        law = registry[name].uncertainty
        assert law is not None
        expected = law.apply(registry[name].value, drawn[:, k])
        np.testing.assert_allclose(people.values[name][::PATIENTS_PER_DRAW], expected)


SPREAD_IDS = set(SPREADS)


def test_what_parameters_have_in_common_is_kept() -> None:
    joint = load_ensemble()
    names = list(joint)
    keyed = Keyed(0, True)
    drawn = np.corrcoef([keyed.normal(f"uncertainty:joint:{name}", 20_000) for name in names])
    np.testing.assert_allclose(drawn, np.corrcoef([joint[name] for name in names]), atol=0.04)


def test_the_start_of_a_longer_sample_is_the_shorter() -> None:
    name = f"uncertainty:joint:{SHIPPED.parameters[0].id}"
    short, long = (Keyed(1, True).normal(name, count) for count in (300, 1000))
    np.testing.assert_array_equal(short, long[:300])
    places = np.array([999, 0, 299, 300])
    np.testing.assert_array_equal(Keyed(1, True).at(name, places), long[places])


def test_at_the_priors_people_are_drawn_as_if_nothing_was_learned() -> None:
    people, keyed = sample_people(None, 50, 2, parameters=PRIORS), Keyed(2, True)
    for item in SHIPPED.parameters:
        if item.id in SPREAD_IDS or (law := PRIORS[item.id].uncertainty) is None or PRIORS[item.id].between_subject:
            continue
        expected = law.apply(PRIORS[item.id].value, keyed.normal(f"uncertainty:{item.id}", 5))
        np.testing.assert_allclose(people.values[item.id][::PATIENTS_PER_DRAW], expected)


def test_the_typical_person_has_the_middles() -> None:
    people = sample_people(None, 1, 0, spread=False)
    for item in SHIPPED.parameters:
        assert people.values[item.id][0] == pytest.approx(item.value)
