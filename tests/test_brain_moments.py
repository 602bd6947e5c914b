"""Fixed points and moments: against closed forms, SciPy, automatic differentiation and long simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, linalg

from kapsim.brain import load_atlas
from kapsim.brain.fit import pattern_correlation
from kapsim.brain.fixed_point import (
    FixedPoint,
    Slopes,
    arriving,
    follow,
    jacobian,
    margin,
    rest,
    slopes,
    steepest_gating,
)
from kapsim.brain.haemodynamics import Balloon, BalloonState, band_pass
from kapsim.brain.mean_field import Gating, MeanField, RegionalInputs
from kapsim.brain.moments import (
    bold_connectivity,
    bold_covariance,
    correlation,
    cross_spectrum,
    gating_covariance,
    lyapunov,
    moved_gating,
    quadrature,
    seen_covariance,
    transfer,
    without_global_signal,
)
from kapsim.brain.simulation import simulate
from kapsim.brain.working_point import working_point
from kapsim.engine.runtime import jax_numpy
from kapsim.errors import FixedPointError, InputError

Array = NDArray[np.float64]
DECO = MeanField.build()
BALLOON = Balloon.build()
BAND = (0.01, 0.1)


def coupling(seed: int, regions: int = 5, strength: float = 0.8) -> Array:
    """A random symmetric connectome whose largest eigenvalue is `strength`."""
    weights = np.triu(np.random.default_rng(seed).random((regions, regions)) ** 3, 1)
    weights += weights.T
    return weights * strength / np.linalg.eigvalsh(weights)[-1]


def varied(seed: int, regions: int = 5, width: float = 0.05) -> RegionalInputs:
    """Inputs that differ by region in every field."""
    rng = np.random.default_rng(seed)
    return RegionalInputs(
        0.0, *rng.uniform(1 - width, 1 + width, (6, regions)), current=rng.uniform(-0.002, 0.002, regions)
    )


def flat(point: FixedPoint, x: Array) -> Array:
    """Change of gating at a state given as one vector, per ms."""
    half = len(x) // 2
    state = Gating(x[:half], x[half:])
    return np.concatenate(point.model.rates(state, arriving(point.coupling, state), point.inputs))


# ---- fixed points


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0))
@settings(max_examples=25, deadline=None)
def test_rest_stands_still_at_its_target(seed: int, strength: float) -> None:
    point = rest(DECO, coupling(seed, strength=strength), varied(seed))
    assert np.abs(flat(point, np.concatenate(point.gating))).max() < 1e-14
    assert point.firing.excitatory == pytest.approx(np.full(5, 3.0631), abs=1e-4)
    assert point.eigenvalues().real.max() < 0.0 < point.margin


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0))
@settings(max_examples=25, deadline=None)
def test_followed_points_stand_still_or_are_refused(seed: int, strength: float) -> None:
    start = rest(DECO, coupling(seed, strength=strength))
    wanted = varied(seed)._replace(inhibition=start.inputs.inhibition)
    try:
        point = follow(start, wanted)
    except FixedPointError:
        return
    assert np.abs(flat(point, np.concatenate(point.gating))).max() < 1e-13
    assert point.eigenvalues().real.max() < 0.0 < point.margin
    # and the way does not matter: half of it, then the other half
    half = RegionalInputs(*(0.5 * (a + b) for a, b in zip(start.inputs, wanted, strict=True)))
    again = follow(follow(start, half), wanted)
    np.testing.assert_allclose(again.gating.excitatory, point.gating.excitatory, rtol=1e-9)


def test_where_the_low_branch_ends_is_where_integration_leaves_it() -> None:
    # Independent of Newton and of the criterion: the equations integrated until they settle.
    start = rest(DECO, coupling(3, 6, 1.15))

    def settled(cut: float) -> float:
        inputs = start.inputs._replace(onto_interneurons=np.full(6, 1.0 - cut))
        point = FixedPoint(DECO, start.coupling, inputs, start.gating, 0.0)
        end = integrate.solve_ivp(
            lambda _, x: flat(point, x), (0.0, 6e4), np.concatenate(start.gating), method="LSODA", rtol=1e-9
        ).y[:, -1]
        return float(DECO.firing(Gating(end[:6], end[6:]), start.coupling @ end[:6], inputs).excitatory.max())

    def kept(cut: float) -> bool:
        try:
            follow(start, start.inputs._replace(onto_interneurons=1.0 - cut))
        except FixedPointError:
            return False
        return True

    low, high = 0.0, 0.2
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if kept(middle) else (low, middle)
    assert 0.005 < low < 0.05
    assert settled(low - 0.001) < 6.0
    assert settled(high + 0.001) > 8.0


def test_leaving_the_low_branch_is_refused_with_a_reason() -> None:
    weights = load_atlas("schaefer100").normalised("spectral")
    with pytest.raises(FixedPointError, match=r"the resting state is not stable \(margin -.* per ms\)"):
        rest(DECO, 1.5 * weights)
    start = rest(DECO, 1.0 * weights)
    with pytest.raises(FixedPointError, match=r"the low branch ends 1[0-9.]+ % of the way .* Hz.*lower the coupling"):
        follow(start, start.inputs._replace(onto_interneurons=0.8))
    with pytest.raises(FixedPointError, match="the target rate lies on the high branch"):
        rest(DECO, 0.1 * weights, target=0.02)


def test_a_region_that_glides_up_without_a_fold_is_refused_too() -> None:
    # A single pair of weakly coupled regions has no fold: its rate rises without a break.
    start = rest(DECO, np.array([[0.0, 0.01], [0.01, 0.0]]))
    with pytest.raises(FixedPointError, match="the low branch ends"):
        follow(start, start.inputs._replace(current=0.3))


@pytest.mark.parametrize("uptake", [0.8, 1.0, 1.2])
def test_the_steepest_point_of_gating(uptake: float) -> None:
    inputs = RegionalInputs(0.0, glutamate_uptake=uptake)
    current = np.linspace(0.35, 0.5, 300_001)
    opened = DECO.gamma / uptake * DECO.tau_e * DECO.rate_e(current) / 1000.0
    gating = opened / (1.0 + opened)
    assert float(steepest_gating(DECO, inputs)) == pytest.approx(gating[np.gradient(gating).argmax()], abs=1e-4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_the_jacobian_is_the_derivative(seed: int) -> None:
    jax = jax_numpy()
    point = rest(DECO, coupling(seed), varied(seed))
    x = jax.numpy.concatenate([jax.numpy.asarray(part) for part in point.gating])

    def change(x: object) -> object:
        state = Gating(x[:5], x[5:])  # type: ignore[index]
        moved = DECO.rates(state, arriving(jax.numpy.asarray(point.coupling), state), point.inputs)
        return jax.numpy.concatenate(moved)

    np.testing.assert_allclose(point.jacobian(), jax.jacfwd(change)(x), rtol=1e-11, atol=1e-15)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.3))
@settings(max_examples=60, deadline=None)
def test_the_margin_has_the_sign_of_stability(seed: int, strength: float) -> None:
    # Slopes of any size, far beyond those of the model, oscillating ones among them.
    rng = np.random.default_rng(seed)
    at = Slopes(
        rng.uniform(-0.3, 0.1, 4),
        rng.uniform(0.1, 1.0, 4),
        -rng.uniform(0, 0.6, 4),
        rng.uniform(0, 0.6, 4),
        -rng.uniform(0.05, 0.3, 4),
    )
    matrix = coupling(seed, 4, strength)
    identity = np.eye(4)
    full = np.block(
        [
            [np.diag(at.excitatory) + at.arriving[:, None] * matrix, np.diag(at.inhibited)],
            [np.diag(at.driven), identity * at.inhibitory],
        ]
    )
    slowest = np.linalg.eigvals(full).real.max()
    if abs(slowest) > 1e-9:
        assert (margin(at, matrix) > 0.0) == (slowest < 0.0)


# ---- covariance and spectra


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
@settings(max_examples=25, deadline=None)
def test_lyapunov_agrees_with_scipy(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(size, size)) * 0.02
    matrix -= (np.linalg.eigvals(matrix).real.max() + 0.002) * np.eye(size)
    root = rng.normal(size=(size, size))
    expected = linalg.solve_continuous_lyapunov(matrix, -root @ root.T)
    np.testing.assert_allclose(lyapunov(matrix, root @ root.T), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


def two_nodes(decay: float, link: float) -> Slopes:
    """Two excitatory pools with decay and link, inhibition cut off."""
    return Slopes(np.full(2, -decay), np.full(2, link), np.zeros(2), np.zeros(2), np.full(2, -0.1))


PAIR = np.array([[0.0, 1.0], [1.0, 0.0]])


@given(st.floats(1e-3, 0.05), st.floats(0.0, 0.95))
@settings(max_examples=25, deadline=None)
def test_two_linked_nodes_have_the_closed_form(decay: float, share: float) -> None:
    link, noise = share * decay, 0.01
    matrix = np.array([[-decay, link], [link, -decay]])
    covariance = lyapunov(matrix, noise**2 * np.eye(2))
    variance = noise**2 * decay / (2.0 * (decay**2 - link**2))
    assert covariance == pytest.approx(variance * np.array([[1.0, share], [share, 1.0]]), rel=1e-9)
    # and seen through blood: sum and difference are independent, with rates decay ∓ link
    over = quadrature(None, 400)
    vessels = transfer(BALLOON, np.full(2, 0.16), over.nodes)
    gain = np.abs(vessels[:, 0]) ** 2

    def power(rate: float) -> float:
        angular = 2 * np.pi * over.nodes / 1000.0
        return float((gain * over.weights / (angular**2 + rate**2)).sum())

    together, apart = power(decay - link), power(decay + link)
    found = correlation(bold_covariance(two_nodes(decay, link), PAIR, noise, vessels, over))
    assert found[0, 1] == pytest.approx((together - apart) / (together + apart), rel=1e-6, abs=1e-9)


def test_the_spectrum_integrates_to_the_covariance() -> None:
    point = rest(DECO, coupling(1), varied(1))
    at = slopes(DECO, point.coupling, point.gating, point.inputs)
    hertz = np.concatenate([[0.0], np.geomspace(1e-3, 1e6, 4000)])
    density = cross_spectrum(at, point.coupling, DECO.noise, hertz).real
    found = 2.0 * integrate.simpson(density, x=hertz / 1000.0, axis=0)
    np.testing.assert_allclose(found, gating_covariance(point)[:5, :5], rtol=1e-4)


def test_transfer_is_the_linearised_balloon() -> None:
    jax = jax_numpy()
    for drive in (0.05, 0.164, 0.4):
        rest_state = BALLOON.steady(jax.numpy.asarray(drive))

        def change(x: object, z: object) -> object:
            return jax.numpy.stack(BALLOON.rates(BalloonState(*x), z))  # type: ignore[misc]

        x = jax.numpy.stack(rest_state)
        matrix, source = (np.asarray(part) for part in jax.jacfwd(change, (0, 1))(x, drive))
        read_out = np.asarray(jax.grad(lambda x: BALLOON.bold(BalloonState(*x)))(x))
        hertz = np.array([0.0, 0.01, 0.05, 0.2, 1.0])
        found = transfer(BALLOON, np.array([drive]), hertz)[:, 0]
        expected = [read_out @ np.linalg.solve(2j * np.pi * f * np.eye(4) - matrix, source) for f in hertz]
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_quadrature_is_over_all_frequencies() -> None:
    over = quadrature(None)
    found = float((over.weights * 2.0 / (1.0 + (over.nodes / 0.1) ** 2) ** 2).sum())
    assert found == pytest.approx(0.1 * np.pi / 2.0, rel=1e-6)


@pytest.mark.parametrize("band", [None, BAND])
def test_the_quadrature_is_fine_enough(band: tuple[float, float] | None) -> None:
    point = rest(DECO, load_atlas("dk68").normalised("spectral") * 1.1)
    at = slopes(DECO, point.coupling, point.gating, point.inputs)

    def found(nodes: int | None) -> Array:
        over = quadrature(band) if nodes is None else quadrature(band, nodes)
        vessels = transfer(BALLOON, point.gating.excitatory, over.nodes)
        return np.asarray(correlation(bold_covariance(at, point.coupling, DECO.noise, vessels, over)))

    assert np.abs(found(None) - found(80)).max() < 1e-5


def test_bold_covariance_is_that_of_the_whole_linear_system() -> None:
    # The network and its vessels as one linear system of 6 states a region, by SciPy's Lyapunov solver.
    count = 4
    point = rest(DECO, coupling(2, count), varied(2, count))
    jax = jax_numpy()
    blocks, outputs = [], []
    for drive in point.gating.excitatory:
        x = jax.numpy.stack(BALLOON.steady(jax.numpy.asarray(drive)))
        change = lambda x, z: jax.numpy.stack(BALLOON.rates(BalloonState(*x), z))  # noqa: E731
        blocks.append([np.asarray(part) for part in jax.jacfwd(change, (0, 1))(x, drive)])
        outputs.append(np.asarray(jax.grad(lambda x: BALLOON.bold(BalloonState(*x)))(x)))
    whole = np.zeros((6 * count, 6 * count))
    whole[: 2 * count, : 2 * count] = point.jacobian() * 1000.0  # per second
    read_out = np.zeros((count, 6 * count))
    for region, ((matrix, source), output) in enumerate(zip(blocks, outputs, strict=True)):
        own = slice(2 * count + 4 * region, 2 * count + 4 * region + 4)
        whole[own, own], whole[own, region], read_out[region, own] = matrix, source, output
    noise = np.zeros((6 * count, 6 * count))
    noise[: 2 * count, : 2 * count] = np.eye(2 * count) * DECO.noise**2 * 1000.0
    expected = read_out @ linalg.solve_continuous_lyapunov(whole, -noise) @ read_out.T
    found = seen_covariance(DECO, point.coupling, point.gating, point.inputs, BALLOON, None)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6 * expected.max())


def test_the_band_is_that_of_the_filter_that_is_run() -> None:
    # Weights of the quadrature against the response of the digital filter, both ways, at a short TR.
    over = quadrature(BAND, 60)
    impulse = np.zeros((40_001, 1))
    impulse[20_000] = 1.0
    response = np.abs(np.fft.rfft(band_pass(impulse, 0.2, *BAND)[:, 0])) ** 2
    hertz = np.fft.rfftfreq(40_001, 0.2)
    smooth = np.exp(-((np.log(hertz[1:] / 0.03)) ** 2))
    total = float((response[1:] * smooth).sum() * hertz[1])
    assert float((over.weights * np.exp(-(np.log(over.nodes / 0.03) ** 2))).sum()) == pytest.approx(total, rel=5e-3)
    with pytest.raises(InputError, match=r"no band from 0.1 to 0.01 Hz"):
        quadrature((0.1, 0.01))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_removing_the_global_signal_is_what_regression_does(seed: int) -> None:
    series = np.random.default_rng(seed).normal(size=(300, 6)) @ np.random.default_rng(seed + 1).normal(size=(6, 6))
    series -= series.mean(axis=0)
    mean = series.mean(axis=1, keepdims=True)
    residual = series - mean * (mean.T @ series) / (mean.T @ mean)
    found = without_global_signal(np.cov(series.T))
    np.testing.assert_allclose(found, np.cov(residual.T), rtol=1e-8, atol=1e-10)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0))
@settings(max_examples=15, deadline=None)
def test_connectivity_is_a_correlation(seed: int, strength: float) -> None:
    point = rest(DECO, coupling(seed, strength=strength), varied(seed))
    for global_signal in (True, False):
        found = bold_connectivity(point, BALLOON, global_signal=global_signal)
        assert np.array_equal(found, found.T)
        assert np.array_equal(np.diag(found), np.ones(5))
        assert np.linalg.eigvalsh(found).min() > -1e-9
        assert np.abs(found).max() <= 1.0


# ---- gradients


def test_gradients_equal_finite_differences() -> None:
    jax = jax_numpy()
    matrix, given_inputs = coupling(4), varied(4)
    start = rest(DECO, matrix, given_inputs)
    inputs = follow(start, start.inputs._replace(onto_interneurons=start.inputs.onto_interneurons * 0.99)).inputs
    spread = np.random.default_rng(0).normal(size=(5, 5))

    def parts(x: object) -> tuple[object, RegionalInputs]:
        scaled = matrix * x[0]  # type: ignore[index]
        changed = inputs._replace(onto_interneurons=inputs.onto_interneurons * x[1], strength=inputs.strength * x[2:7])  # type: ignore[index]
        return scaled, changed

    point = follow(start, inputs)

    def smooth(x: object) -> object:
        scaled, changed = parts(x)
        gating = moved_gating(DECO, scaled, point, RegionalInputs(*map(jax.numpy.asarray, changed)))
        seen = correlation(seen_covariance(DECO, scaled, gating, changed, BALLOON))
        return (seen * spread).sum() + 10.0 * gating.excitatory.sum()

    def plain(x: Array) -> float:
        scaled, changed = parts(x)
        solved = follow(FixedPoint(DECO, scaled, point.inputs, point.gating, 0.0), changed)
        seen = correlation(seen_covariance(DECO, scaled, solved.gating, solved.inputs, BALLOON))
        return float((seen * spread).sum() + 10.0 * solved.gating.excitatory.sum())

    at = np.ones(7)
    value, slope = jax.jit(jax.value_and_grad(smooth))(jax.numpy.asarray(at))
    assert float(value) == pytest.approx(plain(at), rel=1e-10)
    step = 1e-5
    expected = [(plain(at + step * one) - plain(at - step * one)) / (2 * step) for one in np.eye(7)]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


# ---- against simulation


def simulated(point: FixedPoint, seconds: float, runs: int, step_ms: float, seed: int) -> tuple[Array, Array]:
    """Covariance of excitatory gating and of filtered BOLD over runs, by Euler-Maruyama and the balloon's own steps."""
    rng = np.random.default_rng(seed)
    state = Gating(*(np.tile(part, (runs, 1)) for part in point.gating))
    vessels = BalloonState(*(np.tile(part, (runs, 1)) for part in BALLOON.steady(point.gating.excitatory)))
    root = point.model.noise * np.sqrt(step_ms)
    every, tr = 10, 0.5
    bold, gating = [], []
    for index in range(int(seconds * 1000 / step_ms)):
        change = point.model.rates(state, state.excitatory @ point.coupling, point.inputs)
        state = Gating(*(x + step_ms * d + root * rng.normal(size=x.shape) for x, d in zip(state, change, strict=True)))
        if index % every == every - 1:
            vessels = BALLOON.step(vessels, state.excitatory, every * step_ms / 1000.0)
            gating.append(state.excitatory)
        if (index + 1) % int(tr * 1000 / step_ms) == 0:
            bold.append(BALLOON.bold(vessels))
    filtered = band_pass(np.swapaxes(np.array(bold), 0, 1), tr, *BAND)
    kept = filtered[:, len(bold) // 4 : -len(bold) // 8].reshape(-1, filtered.shape[-1])
    late = np.array(gating)[len(gating) // 4 :].reshape(-1, filtered.shape[-1])
    return np.cov(late.T), np.cov(kept.T)


@pytest.mark.parametrize(
    ("seconds", "runs", "tolerance"),
    [(90.0, 100, 0.08), pytest.param(400.0, 400, 0.03, marks=pytest.mark.slow)],
    ids=["small", "large"],
)
def test_moments_agree_with_long_simulations(seconds: float, runs: int, tolerance: float) -> None:
    # Noise far below the source's, where the network is linear.
    model = MeanField.build(noise=DECO.noise / 30.0)
    point = rest(model, coupling(7, 3, 1.0), varied(7, 3))
    gating, bold = simulated(point, seconds, runs, 2.0, seed=11)
    np.testing.assert_allclose(correlation(gating), correlation(gating_covariance(point)[:3, :3]), atol=tolerance)
    np.testing.assert_allclose(gating, gating_covariance(point)[:3, :3], rtol=0.1)
    expected = bold_connectivity(point, BALLOON)
    assert expected[~np.eye(3, dtype=bool)].max() > 0.3
    np.testing.assert_allclose(correlation(bold), expected, atol=2.0 * tolerance)


@pytest.mark.parametrize(
    ("name", "seconds", "runs", "step_ms"),
    [("dk68", 300.0, 3, 1.0), pytest.param("schaefer100", 1200.0, 5, 0.1, marks=pytest.mark.slow)],
    ids=["small", "twenty minutes"],
)
def test_the_formula_agrees_with_simulations_better_than_they_with_each_other(
    name: str, seconds: float, runs: int, step_ms: float
) -> None:
    # With the source's own noise, at the working point.
    point = rest(DECO, working_point().scaled(load_atlas(name)))
    run = simulate(
        point.coupling, coupling=1.0, duration_s=seconds, repetition_s=1.0, seed=3, simulations=runs, step_ms=step_ms
    )
    seen = [np.corrcoef(band_pass(bold, 1.0, *BAND).T) for bold in run.bold]
    with_each_other = [pattern_correlation(seen[a], seen[b]) for a in range(runs) for b in range(a)]
    formula = bold_connectivity(point, BALLOON)
    with_formula = [pattern_correlation(formula, one) for one in seen]
    assert np.mean(with_formula) > np.mean(with_each_other)
    # a series without error would agree with a noisy one as the root of what two noisy ones agree
    assert np.mean(with_formula) > np.sqrt(np.mean(with_each_other)) - 0.06


def test_jax_and_numpy_compute_the_same() -> None:
    jax = jax_numpy()
    point = rest(DECO, coupling(9), varied(9))
    gating = Gating(*map(jax.numpy.asarray, point.gating))
    inputs = RegionalInputs(*map(jax.numpy.asarray, point.inputs))
    matrix = jax.numpy.asarray(point.coupling)
    np.testing.assert_allclose(jacobian(DECO, matrix, gating, inputs), point.jacobian(), rtol=1e-12)
    np.testing.assert_allclose(
        seen_covariance(DECO, matrix, gating, inputs, BALLOON),
        seen_covariance(DECO, point.coupling, point.gating, point.inputs, BALLOON),
        rtol=1e-9,
    )
    both = jax.jit(lyapunov)(jax.numpy.asarray(point.jacobian()), 1e-4 * np.eye(10))
    np.testing.assert_allclose(both, gating_covariance(point), rtol=1e-9)
