"""The mean field: its constants, its transfer functions, feedback inhibition in closed form, and the NMDA split."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq

from kapsim.brain.mean_field import Gating, MeanField, RegionalInputs
from kapsim.engine.runtime import jax_numpy
from kapsim.evidence import load_evidence, references
from kapsim.mechanisms.operators import rectified, rectified_slope
from kapsim.units import dimension

Array = NDArray[np.float64]
DECO = MeanField.build()
FACTORS = st.floats(0.7, 1.3)


def matrix(seed: int, regions: int = 6) -> Array:
    """Return a random connectome without self-connections, largest weight 1."""
    weights = np.random.default_rng(seed).random((regions, regions)) ** 3
    np.fill_diagonal(weights, 0.0)
    return weights / weights.max()


def varied(seed: int, regions: int = 6) -> RegionalInputs:
    """Return inputs that differ by region in every field."""
    rng = np.random.default_rng(seed)
    factors = rng.uniform(0.7, 1.3, (6, regions))
    return RegionalInputs(0.0, *factors, current=rng.uniform(-0.02, 0.02, regions))


# --- constants ------------------------------------------------------------------------------------------------------


def test_every_constant_is_an_evidence_record_in_a_unit_that_fits() -> None:
    evidence = load_evidence()
    for item in MeanField.read():
        record = evidence[item.metadata["record"]]
        assert dimension(item.metadata["unit"]) == dimension(record.unit), item.name
    assert references(MeanField.records())
    assert MeanField.build(w_plus=1.5).w_plus == 1.5


# --- transfer functions ---------------------------------------------------------------------------------------------


@given(st.floats(-600.0, 600.0))
def test_rectification_is_the_formula_and_its_slope_the_derivative(x: float) -> None:
    precise = sympy.Float(x, 60)
    q = sympy.exp(-precise)
    tiny = abs(x) < 1e-9  # where sixty digits no longer hold the difference from 1
    exact = 1.0 + x / 2.0 if tiny else float(precise / (1 - q))
    slope = 0.5 + x / 6.0 if tiny else float((1 - q - precise * q) / (1 - q) ** 2)
    assert rectified(x) == pytest.approx(exact, rel=1e-13, abs=1e-12)
    assert rectified_slope(x) == pytest.approx(slope, rel=1e-11, abs=1e-9)


def test_rectification_is_one_at_zero_under_every_library() -> None:
    jax = jax_numpy()
    assert float(rectified(0.0)) == 1.0
    assert float(jax.grad(lambda x: rectified(x))(jax.numpy.asarray(0.0))) == 0.5
    x = sympy.Symbol("x")
    assert rectified(x) == x / (1 - sympy.exp(-x))
    assert rectified_slope(x).subs(x, 2.0) == pytest.approx(float(rectified_slope(2.0)))


@pytest.mark.parametrize("pool", ["e", "i"])
def test_gradients_of_rates_are_finite_everywhere_and_equal_the_slopes(pool: str) -> None:
    jax = jax_numpy()
    rate, slope = getattr(DECO, f"rate_{pool}"), getattr(DECO, f"slope_{pool}")
    currents = jax.numpy.concatenate([jax.numpy.linspace(-2.0, 2.0, 401), jax.numpy.asarray([DECO.threshold_e])])
    np.testing.assert_allclose(jax.vmap(jax.grad(rate))(currents), slope(np.asarray(currents)), rtol=1e-9, atol=1e-9)


# --- feedback inhibition --------------------------------------------------------------------------------------------


def test_an_isolated_region_has_the_rate_of_the_source_at_the_target() -> None:
    record = load_evidence()["brain.fic.target_rate"]
    assert float(DECO.rate_e(DECO.threshold_e + DECO.target_input)) == pytest.approx(record.value, abs=5e-5)


@given(st.integers(0, 10_000), st.floats(0.0, 3.0), st.floats(-0.05, 0.05))
def test_balanced_inhibition_makes_the_target_a_fixed_point(seed: int, coupling: float, target: float) -> None:
    weights, inputs = coupling * matrix(seed), varied(seed)
    state = DECO.balanced_gating(inputs, target)
    inputs = inputs._replace(inhibition=DECO.balanced_inhibition(weights, inputs, target))
    arriving = weights @ state.excitatory
    np.testing.assert_allclose(DECO.current_e(state, arriving, inputs) - DECO.threshold_e, target, atol=1e-14)
    for change in DECO.rates(state, arriving, inputs):
        np.testing.assert_allclose(change, 0.0, atol=1e-16)


@given(st.integers(0, 10_000))
def test_inhibitory_gating_at_the_target_is_the_root_that_another_method_finds(seed: int) -> None:
    inputs = varied(seed)
    state = DECO.balanced_gating(inputs)
    for region in range(6):
        driven = DECO.external_i * DECO.external
        driven += inputs.onto_interneurons[region] * DECO.j_nmda * state.excitatory[region]

        def imbalance(gating: float, driven: float = driven) -> float:
            x = DECO.gain_i * (driven - gating - DECO.threshold_i)
            return gating - DECO.tau_i / 1000.0 * x / (1.0 - math.exp(-DECO.curvature_i * x))

        assert state.inhibitory[region] == pytest.approx(brentq(imbalance, 0.0, 1.0, xtol=1e-15), rel=1e-10)


def test_inhibition_is_balanced_for_a_batch_of_inputs_as_for_each() -> None:
    weights, many = 0.9 * matrix(1), [varied(seed) for seed in range(4)]
    stacked = RegionalInputs(
        *(np.stack([np.broadcast_to(value, 6) for value in column]) for column in zip(*many, strict=True))
    )
    together = DECO.balanced_inhibition(weights, stacked)
    for row, inputs in zip(together, many, strict=True):
        np.testing.assert_allclose(row, DECO.balanced_inhibition(weights, inputs), rtol=1e-14)


# --- one definition -------------------------------------------------------------------------------------------------


def test_numpy_and_jax_give_the_same_rates() -> None:
    jax = jax_numpy()
    weights, inputs = 0.8 * matrix(3), varied(3)._replace(inhibition=np.full(6, 1.2))
    state = Gating(np.linspace(0.05, 0.6, 6), np.linspace(0.01, 0.2, 6))
    arriving = weights @ state.excitatory
    traced: Any = jax.jit(DECO.rates)(state, arriving, inputs)
    for ours, theirs in zip(DECO.rates(state, arriving, inputs), traced, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@given(FACTORS)
def test_the_three_nmda_factors_act_on_the_current_they_name(factor: float) -> None:
    state, arriving, plain = Gating(0.2, 0.05), 0.3, RegionalInputs(inhibition=1.0)
    before_e, before_i = DECO.current_e(state, arriving, plain), DECO.current_i(state, plain)
    recurrent = DECO.w_plus * DECO.j_nmda * 0.2
    expected = {
        "recurrent": (recurrent, 0.0),
        "strength": (recurrent, 0.0),
        "efficacy": (recurrent, 0.0),
        "long_range": (DECO.j_nmda * 0.3, 0.0),
        "onto_interneurons": (0.0, DECO.j_nmda * 0.2),
        "glutamate_uptake": (0.0, 0.0),
    }
    for field, (on_e, on_i) in expected.items():
        changed = plain._replace(**{field: factor})
        assert DECO.current_e(state, arriving, changed) - before_e == pytest.approx((factor - 1) * on_e, abs=1e-15)
        assert DECO.current_i(state, changed) - before_i == pytest.approx((factor - 1) * on_i, abs=1e-15)


@given(st.floats(0.5, 0.99))
def test_slower_uptake_opens_more_channels_at_the_same_rate(uptake: float) -> None:
    state, plain = Gating(0.2, 0.05), RegionalInputs(inhibition=1.0)
    firing = DECO.firing(state, 0.3, plain)
    slow = DECO.change(state, firing, plain._replace(glutamate_uptake=uptake))
    assert slow.excitatory > DECO.change(state, firing, plain).excitatory
    assert slow.inhibitory == DECO.change(state, firing, plain).inhibitory
