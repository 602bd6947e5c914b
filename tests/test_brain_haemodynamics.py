"""Balloon and clean-up, against equations written apart, a linearised transfer function and plain regressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from kapsim.brain.haemodynamics import Balloon, BalloonState, band_pass, remove_global_signal
from kapsim.errors import InputError
from kapsim.evidence import load_evidence
from kapsim.units import dimension

Array = NDArray[np.float64]
FRISTON = Balloon.build()
STEP = 0.001


def written_apart(drive: Any, times: Array) -> Array:
    """Friston 2003 in the logarithms of flow, volume and deoxyhaemoglobin, by SciPy; BOLD at `times`."""
    kappa, gamma, tau, alpha, rho, v0 = 0.65, 0.41, 0.98, 0.32, 0.34, 0.02

    def slopes(t: float, y: Array) -> list[float]:
        s, log_f, log_v, log_q = y
        f, v = np.exp(log_f), np.exp(log_v)
        out = v ** (1.0 / alpha)
        return [
            drive(t) - kappa * s - gamma * (f - 1.0),
            s / f,
            (f - out) / (tau * v),
            (f * (1.0 - (1.0 - rho) ** (1.0 / f)) / (rho * np.exp(log_q)) - out / v) / tau,
        ]

    found = solve_ivp(slopes, (0.0, times[-1]), [0.0] * 4, t_eval=times, rtol=1e-10, atol=1e-12, max_step=0.05)
    v, q = np.exp(found.y[2]), np.exp(found.y[3])
    signal: Array = v0 * (7.0 * rho * (1.0 - q) + 2.0 * (1.0 - q / v) + (2.0 * rho - 0.2) * (1.0 - v))
    return signal


def stepped(drive: Any, seconds: float, every: int = 500, step_s: float = STEP) -> tuple[Array, Array]:
    """BOLD of our own steps and its times."""
    state, times, bold = FRISTON.rest(np.zeros(1)), [], []
    for step in range(round(seconds / step_s)):
        state = FRISTON.step(state, drive((step + 0.5) * step_s), step_s)
        if (step + 1) % every == 0:
            times.append((step + 1) * step_s)
            bold.append(float(np.squeeze(FRISTON.bold(state))))
    return np.array(times), np.array(bold)


def test_every_constant_is_an_evidence_record_in_a_unit_that_fits() -> None:
    evidence = load_evidence()
    for item in Balloon.read():
        assert dimension(item.metadata["unit"]) == dimension(evidence[item.metadata["record"]].unit), item.name
    # the trap: rates, not times
    assert (FRISTON.decay, FRISTON.elimination) == (0.65, 0.41)


@pytest.mark.parametrize(
    "drive",
    [
        pytest.param(lambda t: 0.5 * (1.0 < t < 2.0), id="pulse"),
        pytest.param(lambda t: 0.3 + 0.2 * np.sin(0.8 * t), id="wave"),
    ],
)
def test_bold_is_that_of_the_equations_written_apart(drive: Any) -> None:
    times, ours = stepped(drive, 20.0)
    theirs = written_apart(drive, times)
    np.testing.assert_allclose(ours, theirs, atol=3e-5 * np.abs(theirs).max())


def test_response_to_a_pulse_has_the_known_shape() -> None:
    times, bold = stepped(lambda t: 1.0 * (t < 1.0), 30.0, every=10, step_s=0.01)
    peak = times[np.argmax(bold)]
    assert 3.0 < peak < 6.0
    assert bold.max() > 0.005
    after = bold[times > peak + 2.0]
    assert after.min() < -0.05 * bold.max()  # undershoot
    assert abs(bold[-1]) < 0.02 * bold.max()


@given(st.floats(0.0, 1.0))
def test_a_steady_drive_has_steady_vessels(drive: float) -> None:
    for slope in FRISTON.rates(FRISTON.steady(np.array([drive])), np.array([drive])):
        np.testing.assert_allclose(slope, 0.0, atol=1e-14)
    assert float(FRISTON.bold(FRISTON.rest(np.zeros(1)))[0]) == 0.0


@pytest.mark.parametrize("hertz", [0.02, 0.05, 0.1])
def test_a_small_wave_comes_out_as_the_linearised_transfer_function_says(hertz: float) -> None:
    level, size, omega = 0.2, 1e-4, 2.0 * np.pi * hertz
    rest = np.array([float(part[0]) for part in FRISTON.steady(np.array([level]))])

    def rates(y: Array, z: float) -> Array:
        return np.array(FRISTON.rates(BalloonState(*y), z), dtype=float)

    def bold(y: Array) -> float:
        return float(FRISTON.bold(BalloonState(*y)))

    h = 1e-6
    jacobian = np.stack([(rates(rest + h * e, level) - rates(rest - h * e, level)) / (2 * h) for e in np.eye(4)], 1)
    gradient = np.array([(bold(rest + h * e) - bold(rest - h * e)) / (2 * h) for e in np.eye(4)])
    transfer = gradient @ np.linalg.solve(1j * omega * np.eye(4) - jacobian, np.array([1.0, 0, 0, 0]))
    state, step, period = BalloonState(*rest), 0.01, 1.0 / hertz
    start, wave = 60.0, []
    for index in range(round((start + period) / step)):
        state = FRISTON.step(state, level + size * np.sin(omega * (index + 0.5) * step), step)
        if index * step >= start:
            wave.append((omega * (index + 1) * step, bold(np.array(state, dtype=float)) - bold(rest)))
    phase, values = np.array(wave).T
    found = 2.0 * np.mean(values * np.exp(-1j * phase)) * 1j
    assert found == pytest.approx(size * transfer, rel=5e-3)


# --- clean-up -------------------------------------------------------------------------------------------------------


def test_the_filter_passes_its_band_and_stops_the_rest_without_a_shift() -> None:
    t = 2.0 * np.arange(600)
    inside, slow, fast = (np.sin(2 * np.pi * f * t) for f in (0.04, 0.002, 0.2))
    kept = band_pass((inside + slow + fast + 3.0)[:, None], 2.0, 0.01, 0.1)[:, 0]
    middle = slice(100, -100)
    np.testing.assert_allclose(kept[middle], inside[middle], atol=0.03)
    edge = band_pass(np.sin(2 * np.pi * 0.1 * t)[:, None], 2.0, 0.01, 0.1)[middle, 0]
    assert np.std(edge) == pytest.approx(0.5 * np.std(inside), rel=0.05)


def test_the_filter_refuses_a_band_that_does_not_fit_and_a_short_series() -> None:
    with pytest.raises(InputError, match=r"0\.01 to 0\.3 Hz does not fit a TR of 2 s; .* between 0 and 0\.25 Hz"):
        band_pass(np.zeros((100, 2)), 2.0, 0.01, 0.3)
    with pytest.raises(InputError, match="9 volumes are too few to filter; 16 or more are needed"):
        band_pass(np.zeros((9, 2)), 2.0, 0.01, 0.1)


@given(st.integers(0, 1000))
def test_what_is_left_of_the_global_signal_is_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = rng.normal(size=(3, 80, 5)) + rng.normal(size=(3, 80, 1)) * rng.uniform(0.5, 2.0, 5) + 4.0
    left = remove_global_signal(series)
    signal = series.mean(-1)
    for row in range(3):
        design = np.column_stack([np.ones(80), signal[row]])
        fitted = design @ np.linalg.lstsq(design, series[row], rcond=None)[0]
        np.testing.assert_allclose(left[row], series[row] - fitted, atol=1e-12)
    np.testing.assert_allclose(left.mean(-1), 0.0, atol=1e-12)
    assert np.isfinite(remove_global_signal(np.ones((10, 2)))).all()
