"""Simulation of a cortex: two engines, one result; chunks, batches and threads change nothing; errors are one line."""

from __future__ import annotations

import tracemalloc
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from kapsim.brain import load_atlas
from kapsim.brain.engines import jax_engine
from kapsim.brain.haemodynamics import Balloon, BalloonState
from kapsim.brain.mean_field import Gating, MeanField, RegionalInputs
from kapsim.brain.noise import simulation_keys, step_noise
from kapsim.brain.simulation import BrainRun, simulate
from kapsim.engine.runtime import jax_numpy
from kapsim.errors import InputError

ENGINES = ("numba", "jax")
BOTH = pytest.mark.parametrize("engine", ENGINES)
REGIONS = 11
FIELD = MeanField.build()


def weights(regions: int = REGIONS) -> Any:
    """Return a connectome with no two directions alike."""
    matrix = np.random.default_rng(1).random((regions, regions)) ** 4
    np.fill_diagonal(matrix, 0.0)
    return matrix / matrix.max()


def lengths(regions: int = REGIONS) -> Any:
    return np.random.default_rng(2).uniform(5.0, 120.0, (regions, regions))


def varied(simulations: int) -> RegionalInputs:
    rng = np.random.default_rng(3)
    factors = rng.uniform(0.9, 1.1, (6, simulations, REGIONS))
    return RegionalInputs(
        rng.uniform(1.0, 1.5, (simulations, REGIONS)), *factors, current=rng.uniform(0, 0.01, REGIONS)
    )


def short(engine: str = "numba", **settings: Any) -> BrainRun:
    chosen: dict[str, Any] = {"coupling": 0.5, "duration_s": 0.6, "repetition_s": 0.1, "discard_s": 0.0, "seed": 4}
    return simulate(weights(), engine=engine, **{**chosen, **settings})


def same_bits(one: BrainRun, two: BrainRun) -> None:
    for name in ("bold", "gating", "rate"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    for first, second in zip(one.final, two.final, strict=True):
        np.testing.assert_array_equal(first, second)


# --- engines --------------------------------------------------------------------------------------------------------


def test_engines_agree_on_the_same_noise_over_ten_seconds() -> None:
    runs = [
        simulate(load_atlas("schaefer100"), coupling=0.5, duration_s=10.0, repetition_s=1.0, discard_s=0.0, engine=name)
        for name in ENGINES
    ]
    assert runs[0].bold.std() > 1e-4
    for name in ("bold", "gating", "rate"):
        ours, theirs = (getattr(run, name) for run in runs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, err_msg=f"{name}: closer in fact")


@pytest.mark.parametrize(
    "settings",
    [
        {"inputs": varied(3), "coupling": [0.2, 0.5, 0.8]},
        {"speed_m_s": 4.0, "lengths_mm": lengths()},
        {"noise": np.random.default_rng(5).normal(size=(6000, 2, REGIONS))},
        {"dtype": "float32"},
        {"trace": True, "vessel_step_ms": 0.5, "step_ms": 0.25, "discard_s": 0.3},
    ],
    ids=["inputs", "delays", "noise", "float32", "trace"],
)
def test_engines_agree_in_every_setting(settings: dict[str, Any]) -> None:
    ours, theirs = (short(name, **settings) for name in ENGINES)
    close = 2e-4 if settings.get("dtype") == "float32" else 1e-10
    for name in ("bold", "gating", "rate", "trace"):
        one, two = getattr(ours, name), getattr(theirs, name)
        assert (one is None) == (two is None)
        if one is not None:
            np.testing.assert_allclose(one, two, rtol=close, err_msg=name)
    np.testing.assert_allclose(ours.final.inhibitory, theirs.final.inhibitory, rtol=close)


def test_a_run_is_what_the_equations_say_step_by_step() -> None:
    """A plain loop over `MeanField.rates` and `Balloon.step`, with the noise as it is documented."""
    inputs = RegionalInputs(*(part[0] if np.ndim(part) == 2 else part for part in varied(1)))
    run = short(inputs=inputs, duration_s=0.2)
    balloon, matrix = Balloon.build(), 0.5 * weights()
    key = [words[0] for words in simulation_keys(4, np.array([0]))]
    steps, numbers = np.arange(2000, dtype=np.uint32), np.arange(REGIONS, dtype=np.uint32)
    on_e, on_i = step_noise((key[0], key[1]), steps, numbers)
    state = FIELD.balanced_gating(inputs)
    state = Gating(state.excitatory + np.zeros(REGIONS), state.inhibitory + np.zeros(REGIONS))
    vessels, bold, rates = balloon.steady(state.excitatory), [], []
    for step in range(2000):
        arriving = matrix @ state.excitatory
        fired = FIELD.firing(state, arriving, inputs).excitatory
        change = FIELD.rates(state, arriving, inputs)
        moved = [
            np.clip(x + 0.1 * d + FIELD.noise * np.sqrt(0.1) * z[step], 0.0, 1.0)
            for x, d, z in zip(state, change, (on_e, on_i), strict=True)
        ]
        state = Gating(*moved)
        if step % 10 == 9:
            vessels = balloon.step(vessels, state.excitatory, 0.001)
            rates.append(fired)
        if step % 1000 == 999:
            bold.append(balloon.bold(vessels))
    np.testing.assert_allclose(run.bold[0], bold, rtol=1e-11)
    np.testing.assert_allclose(run.final.excitatory[0], state.excitatory, rtol=1e-11)
    np.testing.assert_allclose(run.rate[0], np.reshape(rates, (2, 100, REGIONS)).mean(1), rtol=1e-11)


# --- the same bits --------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("delayed", [False, True], ids=["at once", "delayed"])
def test_chunks_change_no_bit(engine: str, delayed: bool) -> None:
    settings = {"speed_m_s": 4.0, "lengths_mm": lengths()} if delayed else {}
    same_bits(short(engine, chunk=64, **settings), short(engine, chunk=2, **settings))
    if engine == "numba":  # every size is a program of its own to jax
        same_bits(short(engine, chunk=64, **settings), short(engine, chunk=5, **settings))


@BOTH
def test_batches_and_threads_change_no_bit(engine: str) -> None:
    whole = short(engine, simulations=5, threads=1)
    same_bits(whole, short(engine, simulations=5, threads=3))
    for number in (0, 3, 4):
        alone = short(engine, simulations=[number])
        np.testing.assert_array_equal(alone.bold[0], whole.bold[number])
    assert len(np.unique(whole.bold[:, -1, 0])) == 5


@BOTH
def test_what_is_discarded_is_only_not_kept(engine: str) -> None:
    whole, later = short(engine), short(engine, discard_s=0.2, duration_s=0.4)
    np.testing.assert_array_equal(later.bold, whole.bold[:, 2:])
    np.testing.assert_array_equal(later.final.excitatory, whole.final.excitatory)
    assert later.time_s[0] == pytest.approx(0.1)
    assert short(engine, discard_s=None, duration_s=0.1).provenance["discarded_s"] == pytest.approx(20.0)


def test_memory_does_not_grow_with_the_steps() -> None:
    def peak(seconds: float) -> int:
        tracemalloc.start()
        run = short(duration_s=seconds, chunk=2)
        kept = sum(part.nbytes for part in (run.bold, run.gating, run.rate))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most - 4 * kept  # of what is kept, BOLD has four parts

    short(duration_s=0.2)
    assert abs(peak(8.0) - peak(0.8)) < 100_000  # the noise alone would be 14 MB


def test_a_region_has_the_same_noise_whatever_the_number_of_regions() -> None:
    still = {"coupling": 0.0, "duration_s": 0.2, "repetition_s": 0.1, "discard_s": 0.0}
    small, large = (simulate(weights(count), engine="numba", **still) for count in (5, 30))  # type: ignore[arg-type]
    np.testing.assert_array_equal(small.bold, large.bold[..., :5])


def test_the_block_of_simulations_on_an_accelerator_gives_the_same_as_one_by_one() -> None:
    """The program of an accelerator, run on the processor."""
    jax = jax_numpy()
    alone = short("jax", simulations=3, trace=True, noise=np.zeros((6000, 2, REGIONS)), inputs=varied(3))
    with patch.object(jax, "default_backend", return_value="gpu"), patch.object(jax_engine, "SIDE_BY_SIDE", 2):
        together = short("jax", simulations=3, trace=True, noise=np.zeros((6000, 2, REGIONS)), inputs=varied(3))
    for name in ("bold", "gating", "rate", "trace"):
        np.testing.assert_allclose(getattr(together, name), getattr(alone, name), rtol=1e-11)


# --- what it should do ----------------------------------------------------------------------------------------------


@BOTH
def test_without_noise_the_balanced_state_stays(engine: str) -> None:
    run = short(engine, field=MeanField.build(noise=0.0))
    expected = float(FIELD.rate_e(FIELD.threshold_e + FIELD.target_input))
    np.testing.assert_allclose(run.rate, expected, rtol=1e-9)
    np.testing.assert_allclose(np.ptp(run.bold, axis=1), 0.0, atol=1e-12)


def test_noise_spreads_gating_as_its_unit_says() -> None:
    """An inhibitory pool that nothing drives is an Ornstein-Uhlenbeck process of variance σ² τ / 2 about its mean."""
    field = MeanField.build(gain_i=1e-9, gain_e=1e-9, noise=0.002)  # rates that do not answer to input
    level = Gating(0.5, 10.0 / 1000.0 / field.curvature_i)
    run = short(field=field, inputs=RegionalInputs(0.0), initial=level, duration_s=20.0, trace=True, vessel_step_ms=0.1)
    assert run.trace is not None
    inhibitory = run.trace[0, :, 1]
    assert inhibitory.var() == pytest.approx(0.002**2 * 10.0 / 2.0, rel=0.1)
    lagged = np.corrcoef(inhibitory[:-100].ravel(), inhibitory[100:].ravel())[0, 1]
    assert lagged == pytest.approx(np.exp(-1.0), abs=0.08)


@BOTH
def test_a_wild_input_stays_within_bounds(engine: str) -> None:
    run = short(engine, inputs=RegionalInputs(0.0, current=np.linspace(-50.0, 50.0, REGIONS)), trace=True)
    assert run.trace is not None
    assert run.trace.min() >= 0.0
    assert run.trace.max() <= 1.0


def test_the_jax_engine_has_gradients_that_differences_confirm() -> None:
    jax = jax_numpy()
    run = {"coupling": 0.5, "duration_s": 0.1, "repetition_s": 0.05, "discard_s": 0.0}
    captured: dict[str, Any] = {}

    def keep(plan: Any, **_: Any) -> Any:
        captured["plan"] = plan
        raise KeyboardInterrupt

    with patch.object(jax_engine, "run", keep), pytest.raises(KeyboardInterrupt):
        simulate(weights(), engine="jax", **run)  # type: ignore[arg-type]
    plan = captured["plan"]
    acting, carried = jax_engine.start_of(plan, 0)
    firsts = np.arange(2, dtype=np.uint32) * np.uint32(plan.steps_per_volume)

    def last(coupling: Any) -> Any:
        changed = acting._replace(coupling=coupling)
        _, sums, _ = jax_engine.volumes(jax_engine.program_of(plan), changed, carried, firsts, np.zeros((2, 0)))
        return Balloon.build().bold(BalloonState(*sums[-1, 2:])).sum()

    value, slope, h = jax.jit(last), float(jax.jit(jax.grad(last))(acting.coupling)), 1e-5
    assert slope == pytest.approx(float(value(0.5 + h) - value(0.5 - h)) / (2 * h), rel=1e-5)


def test_auto_takes_the_compiled_engine_and_says_why_it_does_not() -> None:
    assert short("auto").provenance["engine"] == "numba"
    with patch("kapsim.brain.simulation.find_spec", return_value=None):
        run = short("auto", duration_s=0.1)
        assert (run.provenance["engine"], run.provenance["engine_reason"]) == ("jax", "numba is not installed")
        with pytest.raises(InputError, match=r"engine 'numba' needs numba, .* pip install 'kapsim\[brain\]'"):
            short("numba")


def test_results_are_labelled_and_say_how_they_were_made() -> None:
    connectome = load_atlas("dk68")
    run = simulate(connectome, coupling=0.5, duration_s=0.2, repetition_s=0.1, discard_s=0.0, simulations=[7, 2])
    assert run.regions == connectome.regions.names
    assert run.bold.shape == run.gating.shape == run.rate.shape == (2, 2, 68)
    assert list(run.simulations) == [7, 2]
    assert run.provenance["normalisation"] == "maximum"
    assert short().provenance["normalisation"] == "as given"


# --- errors ---------------------------------------------------------------------------------------------------------

NAN = np.full(REGIONS, np.nan)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"engine": "nmuba"}, r"no engine 'nmuba'; did you mean 'numba'\? known: auto, jax, numba"),
        ({"dtype": "float16"}, "no dtype 'float16'; it is one of float64, float32"),
        ({"duration_s": 0.25}, r"duration_s 0\.25 is 2\.5 volumes of 0\.1 s; give a whole number of them"),
        ({"duration_s": -1.0}, "duration_s -1 is out of range; give a number above 0"),
        ({"discard_s": 0.25}, r"discard_s 0\.25 is 2\.5 volumes"),
        ({"repetition_s": 0.0005}, r"repetition_s 0\.0005 is 0\.5 vessel steps of 1 ms"),
        ({"vessel_step_ms": 0.25}, r"vessel_step_ms 0\.25 is 2\.5 steps of 0\.1 ms"),
        ({"duration_s": 1e6}, "too many steps"),
        ({"coupling": -0.1}, r"coupling: -0\.1 is out of range; give numbers of 0 or more"),
        ({"coupling": np.ones(3), "simulations": 2}, r"coupling has shape \(3,\); give a number, or a shape that fits"),
        ({"inputs": RegionalInputs(NAN)}, r"inputs\.inhibition: nan is out of range"),
        ({"inputs": RegionalInputs(1.0, glutamate_uptake=0.0)}, "0 clears nothing"),
        ({"initial": Gating(1.5, 0.0)}, r"initial\.excitatory: 1\.5 is out of range; give numbers from 0 to 1"),
        ({"speed_m_s": 5.0}, "delays need tract lengths"),
        ({"speed_m_s": 0.0}, "speed_m_s 0 is out of range"),
        ({"speed_m_s": 1e-6, "lengths_mm": lengths()}, "the most is 10000 ms"),
        ({"lengths_mm": np.zeros((2, 2))}, r"lengths_mm have shape \(2, 2\)"),
        ({"noise": np.zeros((5, 2, REGIONS))}, r"noise has shape \(5, 2, 11\); give \(6000, 2, 11\)"),
        ({"simulations": 0}, "give how many there are, 1 or more"),
        ({"simulations": [0.5]}, "give how many there are"),
        ({"threads": 0}, "threads 0 is out of range"),
        ({"chunk": 0}, "chunk 0 is out of range"),
        ({"seed": -3}, "seed -3 is out of range"),
    ],
)
def test_every_misfit_is_one_clear_line(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        short(**settings)
    assert "\n" not in str(caught.value)


def test_a_matrix_that_is_no_connectome_is_refused() -> None:
    rest: dict[str, Any] = {"coupling": 0.5, "duration_s": 0.1, "repetition_s": 0.1}
    with pytest.raises(InputError, match=r"weights of shape \(2, 3\) are no connectome"):
        simulate(np.zeros((2, 3)), **rest)
    bad = weights()
    bad[2, 4] = -1.0
    with pytest.raises(InputError, match=r"weights: row 3, column 5 is -1; give 0 or more"):
        simulate(bad, **rest)
