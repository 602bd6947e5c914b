"""The machinery that fits the chain to records, on problems whose answer is known without the chain."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from kapsim.errors import InputError
from kapsim.evidence import load_observed, load_parameters
from kapsim.evidence.calibration import load_calibration, load_left_out
from kapsim.evidence.ensemble import load_ensemble
from kapsim.inference.chain.calibrating import Posterior, as_shipped, corrected, design_of, joined, sound, too_few
from kapsim.inference.chain.contest import Contestant, distinct, scored, stacking, table
from kapsim.inference.chain.design import Design, candidates, evaluate, spread
from kapsim.inference.chain.emulator import Emulator, fit_emulator, with_difference
from kapsim.inference.chain.leave_out import RELIABLE, LeftOut, leave_one_out, smoothed
from kapsim.inference.chain.new_studies import Own, Scatter, by_the_model, scatter_by_kind, scatter_of_new_studies
from kapsim.inference.chain.posterior import (
    BETWEEN,
    Draws,
    Sampler,
    Sampling,
    block_log_likelihood,
    blocks,
    sign_log_likelihood,
    study_log_likelihood,
)
from kapsim.inference.chain.sbc import made_up, ranks
from kapsim.inference.chain.screening import learned, screened
from kapsim.inference.chain.shipping import (
    SCATTER,
    SHIPPED_DRAWS,
    calibration,
    ensemble,
    moved,
    without_studies,
)
from kapsim.inference.chain.targets import Targets, fitted
from kapsim.inference.people import Even
from kapsim.validation.cases import prepare

Array = NDArray[np.float64]
SHORT = Sampling(chains=2, warmup=300, draws=500)


def some_targets(kinds: tuple[str, ...], studies: tuple[str, ...], seed: int = 0) -> Targets:
    rng = np.random.default_rng(seed)
    observed = rng.standard_normal(len(kinds))
    observed = np.where(np.asarray(kinds) == "sign", np.sign(observed), observed)
    keys = tuple(f"record:{k}" for k in range(len(kinds)))
    arms = tuple(f"{study}{k // 2 % 2}" for k, study in enumerate(studies))
    return Targets(
        keys, studies, kinds, arms, np.zeros(len(kinds), dtype=bool), observed, rng.uniform(0.5, 1.5, len(kinds))
    )


def alone(studies: tuple[str, ...], kinds: tuple[str, ...], observed: Array, sampling: Array) -> Targets:
    """Targets of which each is of an arm of its own."""
    each = tuple(f"r:{k}" for k in range(len(kinds)))
    return Targets(each, studies, kinds, each, np.zeros(len(kinds), dtype=bool), observed, sampling)


def linear(slopes: Array, error: float = 0.1) -> Emulator:
    """An emulator that is a plane: figures = z @ slopes."""
    size, figures = slopes.shape
    names = tuple(f"p{k}" for k in range(size))
    nothing, no_rows = np.zeros(figures), np.zeros((0, size))
    return Emulator(
        names, np.zeros(size), np.ones(size), nothing, slopes, no_rows, no_rows @ slopes, nothing + error, nothing + 1.0
    )


# --- deviates -------------------------------------------------------------------------------------------------------


@given(rows=st.integers(1, 5), people=st.sampled_from([4, 8, 16]))
@settings(max_examples=20, deadline=None)
def test_the_same_people_stand_in_every_row_and_parameters_in_their_own(rows: int, people: int) -> None:
    even = Even(rows, {"a.b": np.arange(rows, dtype=float)})
    found = even.normal("between:a.b", rows * people).reshape(rows, people)
    assert (found == found[0]).all()
    assert abs(found[0].sum()) < 1e-9
    np.testing.assert_array_equal(even.normal("uncertainty:a.b", rows), np.arange(rows))
    np.testing.assert_array_equal(even.normal("uncertainty:c.d", rows), np.zeros(rows))


# --- design ---------------------------------------------------------------------------------------------------------


def test_settings_fill_the_priors_evenly() -> None:
    z = spread([f"p{k}" for k in range(7)], 256, 1)
    assert np.abs(z.mean(axis=0)).max() < 0.02
    assert np.abs(z.std(axis=0) - 1.0).max() < 0.03
    assert not np.array_equal(z, spread([f"p{k}" for k in range(7)], 256, 2))


def test_what_may_move_is_of_the_slow_chain_and_no_definition() -> None:
    parameters = load_parameters(chain=False)
    names = candidates(parameters)
    assert {"plasticity.bdnf_gain", "mind.learning_rate", "mood.weight.care", "patient.belief"} <= set(names)
    assert not {"mood.recall.madrs", "patient.madrs", "pk.cl.s", "network.block.f_e", "acute.cadss.maximum"} & set(
        names
    )
    assert all(parameters[name].uncertainty for name in names)


@pytest.fixture(scope="module")
def murrough() -> tuple[object, ...]:
    cases = fitted(prepare(load_observed(), load_parameters(chain=False)))
    return tuple(case for case in cases if case.frame.study == "Murrough 2013")


def test_a_design_goes_on_where_it_was_interrupted(murrough: tuple[object, ...], tmp_path: Path) -> None:
    """Shards that are there are not computed again, and give the same bits; those of another design are refused."""
    parameters = load_parameters(chain=False)
    names = candidates(parameters)
    z = spread(names, 8, 0)
    said: list[str] = []
    options = {"people": 8, "shard": 4}
    whole = evaluate(murrough, parameters, names, z, folder=tmp_path, progress=said.append, **options)  # type: ignore[arg-type]
    assert whole.targets.keys == (
        "murrough2013a.ketamine.madrs:0",
        "murrough2013a.ketamine.madrs:0:spread",
        "murrough2013a.midazolam.madrs:0",
        "murrough2013a.midazolam.madrs:0:spread",
        "murrough2013a.ketamine.response:0",
        "murrough2013a.midazolam.response:0",
    )
    assert whole.figures.shape == (8, 6)
    assert np.isfinite(whole.figures).all()
    assert len(said) == 4  # two arms, two shards
    (tmp_path / "shard-001.npz").unlink()
    said.clear()
    again = evaluate(murrough, parameters, names, z, folder=tmp_path, progress=said.append, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.figures, whole.figures)
    assert len(said) == 2
    assert all("rows 5 to 8" in text for text in said)
    np.testing.assert_array_equal(again.targets.sampling, whole.targets.sampling)
    with pytest.raises(InputError, match="another calibration; name another folder, or remove it"):
        evaluate(murrough, parameters, names, z + 0.1, folder=tmp_path, **options)  # type: ignore[arg-type]
    (tmp_path / "shard-000.npz").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"shard-000.npz: cannot be read .*; remove it"):
        evaluate(murrough, parameters, names, z, folder=tmp_path, **options)  # type: ignore[arg-type]
    # a stronger effect of the synapse on mood shows in the drug's arm, and not in the control's
    moved = evaluate(murrough, parameters, ("mood.weight.anhedonia",), np.array([[-2.0], [2.0]]), people=8, shard=2)  # type: ignore[arg-type]
    assert moved.figures[1, 0] < moved.figures[0, 0] - 1.0
    assert abs(moved.figures[1, 2] - moved.figures[0, 2]) < 0.1
    wider = evaluate(murrough, parameters, ("patient.spread.unspecific",), np.array([[-2.0], [2.0]]), people=8, shard=2)  # type: ignore[arg-type]
    assert wider.figures[1, 1] > wider.figures[0, 1] + 0.05


# --- emulator and screening -----------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_a_quadratic_is_emulated_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((200, 4))
    slopes, curve = rng.uniform(0.5, 2.0, 4), rng.standard_normal((4, 4))

    def curved(z: Array) -> Array:
        return np.asarray(z @ slopes + np.einsum("ri,ij,rj->r", z, curve, z))

    found = fit_emulator([f"p{k}" for k in range(4)], z, np.stack([1.0 + z @ slopes, curved(z)], axis=1))
    fresh = rng.standard_normal((50, 4))
    assert np.abs(found(fresh)[:, 1] - curved(fresh)).max() < 0.05 * np.abs(curved(fresh)).max()
    assert (found.explained > 0.99).all()


def test_the_error_of_an_emulator_is_that_of_rows_it_has_not_seen() -> None:
    """What other parameters do is noise of a known size; the error left out finds it, the fit's own would not."""
    rng = np.random.default_rng(3)

    def figures(z: Array) -> Array:
        return (z[:, :1] + 0.4 * rng.standard_normal((len(z), 1))) * np.ones((1, 8))

    z, fresh = rng.standard_normal((120, 10)), rng.standard_normal((2000, 10))
    found = fit_emulator([f"p{k}" for k in range(10)], z, figures(z))
    seen = float(np.sqrt(np.mean((found(fresh) - figures(fresh)) ** 2)))
    assert float(found.error.mean()) == pytest.approx(seen, rel=0.15)


def test_what_many_parameters_do_is_told_from_fewer_rows_than_terms() -> None:
    """Sixty parameters have 1,891 terms of second degree; a few matter, and 400 rows find their curvature, too."""
    rng = np.random.default_rng(24)

    def figures(z: Array) -> Array:
        few = 2.0 * z[:, 0] - z[:, 1] + 0.7 * z[:, 0] * z[:, 1] + 0.4 * z[:, 2] ** 2 + 0.3 * z[:, 2]
        return np.stack([few + 0.1 * z[:, 5:].sum(axis=1), few - 0.1 * z[:, 5:].sum(axis=1)], axis=1)

    z, fresh = rng.standard_normal((400, 60)), rng.standard_normal((500, 60))
    found = fit_emulator([f"p{k}" for k in range(60)], z, figures(z))
    left = (found(fresh) - figures(fresh)).std(axis=0) / figures(fresh).std(axis=0)
    # the first five alone would leave a third
    assert (left < 0.2).all(), left
    np.testing.assert_allclose(found.error, (found(fresh) - figures(fresh)).std(axis=0), rtol=0.15)


def test_a_figure_that_nothing_moves_is_emulated_as_it_is() -> None:
    z = np.random.default_rng(25).standard_normal((40, 3))
    found = fit_emulator(("a", "b", "c"), z, np.full((40, 2), 7.0))
    np.testing.assert_allclose(found(z), 7.0)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-9)


def draws_of(z: Array) -> Draws:
    scatter = np.ones((len(z), len(BETWEEN)))
    size = z.shape[1]
    return Draws(tuple(f"p{k}" for k in range(size)), z, scatter, scatter, scatter, np.ones(size), np.ones(size), 0)


def test_screening_takes_what_has_moved_or_is_narrower() -> None:
    rng = np.random.default_rng(4)
    z = rng.standard_normal((2000, 40))
    z[:, 5], z[:, 17] = 0.5 * z[:, 5], z[:, 17] + 0.6
    draws = draws_of(z)
    assert screened(draws, 2) == ("p5", "p17")
    found = learned(draws)
    # of normal laws: log 2 - 3/8, and half the square of how far it moved
    assert found[5] == pytest.approx(np.log(2.0) - 0.375, rel=0.1)
    assert found[17] == pytest.approx(0.18, rel=0.2)
    assert (found >= 0.0).all()
    assert np.delete(found, [5, 17]).max() < 0.01
    assert draws.some(("p17", "p5")).z.tolist() == z[:, [17, 5]].tolist()


def test_the_model_is_checked_as_it_ships() -> None:
    """Free parameters are draws of the posterior with what they have in common, the others fill their priors."""
    rng = np.random.default_rng(26)
    z = 3.0 + 0.1 * rng.standard_normal((300, 4))
    z[:, 1] = z[:, 3]
    found = as_shipped(draws_of(z), ("p1", "p3"), 64, 0)
    np.testing.assert_array_equal(found[:, 1], found[:, 3])
    assert set(found[:, 1]) <= set(z[:, 1])
    assert np.abs(found[:, [0, 2]].mean(axis=0)).max() < 0.1


def test_the_first_design_serves_until_the_others_have_rows_enough() -> None:
    targets = some_targets(("points",), ("a",))

    def rows(count: int, value: float) -> Design:
        return Design(("p", "q"), np.full((count, 2), value), np.full((count, 1), value), targets)

    assert len(design_of(rows(8, 0.0), [rows(6, 1.0)], []).z) == 14
    assert set(design_of(rows(8, 0.0), [rows(6, 1.0), rows(6, 2.0)], []).z.ravel()) == {1.0, 2.0}


# --- likelihood -----------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_effects_of_studies_and_arms_are_integrated_out_as_a_covariance_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds, studies = ("points",) * 4 + ("share",) * 2 + ("points",) * 4, ("a",) * 6 + ("b",) * 2 + ("a",) * 2
    targets = some_targets(kinds, studies, seed)
    # of one arm: 0, 1 and 8; a difference between arms: 9
    targets = replace(targets, arms=("x", "x", "y", "y", "x", "y", "x", "y", "x", "x"), apart=np.arange(10) == 9)
    predicted, error = rng.standard_normal(10), rng.uniform(0.0, 0.5, 10)
    between, arms, within = (rng.uniform(0.1, 2.0, len(BETWEEN)) for _ in range(3))
    shared = blocks(targets)
    found = block_log_likelihood(predicted, error, (between, arms, within), targets, shared, np)
    assert shared.study == ("a", "a", "b")
    for k, at in enumerate(([0, 1, 2, 3, 8, 9], [4, 5], [6, 7])):
        kind = list(BETWEEN).index(targets.kinds[at[0]])
        apart, arm = targets.apart[at], np.asarray(targets.arms)[at]
        covariance = np.diag(targets.sampling[at] ** 2 + error[at] ** 2 + within[kind] ** 2)
        covariance += np.where(apart[:, None] | apart, 0.0, between[kind] ** 2)
        same = (arm[:, None] == arm) & (apart[:, None] == apart)
        covariance += same * np.where(apart, 2.0, 1.0) * arms[kind] ** 2
        expected = multivariate_normal(predicted[at], covariance).logpdf(targets.observed[at])
        assert found[k] == pytest.approx(expected)


def test_the_three_outcomes_of_a_sign_have_probabilities_that_sum_to_one() -> None:
    for predicted in (-3.0, 0.0, 2.5):
        total = 0.0
        for seen in (-1.0, 0.0, 1.0):
            targets = alone(("a",), ("sign",), np.array([seen]), np.ones(1))
            args = (np.array([predicted]), np.array([0.3]), targets, blocks(targets), norm.cdf, np)
            total += float(np.exp(sign_log_likelihood(*args))[0])
        assert total == pytest.approx(1.0)


# --- sampling -------------------------------------------------------------------------------------------------------


def test_the_posterior_of_a_line_is_that_of_the_formula() -> None:
    """One parameter, many figures of one study each: precision adds up, and what nothing speaks of keeps its prior."""
    count = 30
    slopes = np.zeros((2, count))
    slopes[0] = 1.0
    studies = tuple(f"s{k}" for k in range(count))
    found = 0.8 + 0.2 * np.random.default_rng(5).standard_normal(count)
    targets = alone(studies, ("effect",) * count, found, np.full(count, 0.2))
    draws = Sampler(linear(slopes, 0.0), targets, SHORT)(seed=1)
    assert draws.r_hat.max() < 1.05
    assert draws.divergences < 20
    assert draws.z[:, 0].mean() == pytest.approx(float(targets.observed.mean()), abs=0.05)
    scatter = np.sqrt(targets.sampling[0] ** 2 + draws.between[:, 3] ** 2 + draws.within[:, 3] ** 2).mean()
    assert draws.z[:, 0].std() == pytest.approx(scatter / np.sqrt(count), rel=0.2)
    assert abs(draws.z[:, 1].mean()) < 0.15
    assert draws.z[:, 1].std() == pytest.approx(1.0, abs=0.12)


def test_a_study_left_out_is_predicted_by_the_others() -> None:
    """Weights and a fit without the study agree where the weights may be trusted."""
    slopes = np.ones((1, 12))
    studies = tuple(f"s{k // 2}" for k in range(12))
    observed = np.random.default_rng(6).normal(0.5, 0.3, 12)
    targets = alone(studies, ("effect",) * 12, observed, np.full(12, 0.3))
    emulator = linear(slopes, 0.05)
    sampler = Sampler(emulator, targets, SHORT)
    draws = sampler(seed=2)
    found = leave_one_out(emulator, targets, draws, None)
    assert [one.study for one in found] == list(dict.fromkeys(studies))
    reliable = [one for one in found if one.shape < RELIABLE]
    assert len(reliable) >= 4
    for one in reliable[:2]:
        others = sampler(seed=3, without=one.study)
        density = study_log_likelihood(others, np.asarray(emulator(others.z)), emulator.error, targets)[one.study]
        assert one.log_density == pytest.approx(float(np.logaddexp.reduce(density) - np.log(len(density))), abs=0.25)
        assert one.predicted[0] == pytest.approx(float(others.z.mean()), abs=0.06)


def test_weights_with_a_heavy_tail_are_told() -> None:
    rng = np.random.default_rng(7)
    assert smoothed(0.1 * rng.standard_normal(2000))[1] < 0.5
    assert smoothed(1.5 * rng.exponential(size=2000))[1] > 0.7


def test_studies_left_out_are_predicted_by_the_model_and_not_by_its_emulator() -> None:
    rng = np.random.default_rng(20)
    emulated = rng.standard_normal((40, 3))
    own = Own(emulated + np.array([1.0, -2.0, 0.0]) + 0.1 * rng.standard_normal((40, 3)), emulated)
    left = LeftOut("a", 0.0, 0.1, False, np.array([0, 1]), np.zeros(2), np.full(2, 9.0), np.zeros(1), np.ones(1))
    (found,) = by_the_model([left], own)
    np.testing.assert_allclose(found.predicted, [1.0, -2.0], atol=0.1)
    np.testing.assert_allclose(found.sd, own.figures[:, :2].std(axis=0, ddof=1))


@pytest.mark.parametrize(("between", "arms", "within"), [(4.0, 0.5, 0.5), (0.5, 3.0, 0.5), (1.0, 0.5, 2.0)])
def test_the_scatter_of_studies_left_out_is_found(between: float, arms: float, within: float) -> None:
    rng = np.random.default_rng(21)
    studies = tuple(f"s{k // 4}" for k in range(240))
    targets = some_targets(("points",) * 240, studies, seed=22)
    # two arms a study, two figures an arm
    shared = np.repeat(between * rng.standard_normal(60), 4) + np.repeat(arms * rng.standard_normal(120), 2)
    error = shared + within * rng.standard_normal(240) + targets.sampling * rng.standard_normal(240)
    # draws of the model that hang together in a study: part of the prediction, no scatter of studies
    figures = np.repeat(0.8 * rng.standard_normal((400, 60)), 4, axis=1)
    predicted = targets.observed - error - np.repeat(0.8 * rng.standard_normal(60), 4)
    left = [
        LeftOut(f"s{k}", 0.0, 0.1, False, np.arange(4 * k, 4 * k + 4), predicted[4 * k : 4 * k + 4], np.ones(4),
                np.zeros(1), np.ones(1))
        for k in range(60)
    ]  # fmt: skip
    own = Own(figures, figures)
    found = scatter_of_new_studies(left, targets, own, "points")
    assert found is not None
    assert min(found.between.min(), found.arms.min(), found.within.min()) > 0.0
    for sampled, truth in ((found.between, between), (found.arms, arms), (found.within, within)):
        low, high = np.quantile(sampled, [0.005, 0.995])
        assert low < truth < high
        assert high - low < 3.5
    np.testing.assert_allclose(found.own, np.sqrt(found.arms**2 + found.within**2))
    assert scatter_of_new_studies(left[:2], targets, own, "points") is None
    assert list(scatter_by_kind(left, targets, own)) == ["points"]


def test_the_sampler_finds_what_made_the_data_as_often_as_it_says() -> None:
    slopes = np.random.default_rng(8).standard_normal((2, 14))
    kinds = ("points",) * 6 + ("effect",) * 4 + ("sign",) * 4
    targets = some_targets(kinds, tuple(f"s{k // 2}" for k in range(14)))
    emulator = linear(slopes, 0.2)
    truth, data = made_up(emulator, targets, 0)
    assert truth.shape == (2,)
    assert set(data.observed[10:]) <= {-1.0, 0.0, 1.0}
    found = ranks(emulator, targets, 6, Sampling(chains=1, warmup=150, draws=150))
    assert found.shape == (6, 2)
    assert 0.1 < found.mean() < 0.9


# --- bookkeeping ----------------------------------------------------------------------------------------------------


def test_figures_that_failed_are_left_out_of_both_designs() -> None:
    targets = some_targets(("points",) * 3, ("a", "b", "c"))
    z = np.zeros((2, 1))
    first = Design(("p",), z, np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0]]), targets)
    second = Design(("p",), z, np.array([[1.0, 2.0, np.nan], [1.0, 2.0, 3.0]]), targets)
    both = joined(sound(first), sound(second))
    assert both.targets.keys == ("record:0",)
    assert both.figures.shape == (4, 1)


def test_a_row_that_broke_down_takes_no_figure_with_it() -> None:
    targets = some_targets(("points",) * 2, ("a", "b"))
    z, figures = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]])
    kept = sound(Design(("p",), z, figures, targets))
    assert kept.targets.keys == targets.keys
    assert kept.z.tolist() == [[0.0], [2.0]]
    # many people broke down in a row where a few did not: the rows that both have are compared
    many = sound(Design(("p",), z[:2], np.array([[np.nan, np.nan], [7.0, 8.0]]), targets))
    told = too_few([Design(("p",), z, figures[[0, 0, 2]], targets)] * 2, [many] * 2, targets)
    assert told.offset.tolist() == [6.0, 6.0]


def test_a_figure_that_hardly_any_row_lacks_stays_without_them() -> None:
    targets = some_targets(("points",) * 3, ("a", "b", "c"))
    figures = np.ones((40, 3))
    figures[7, 1], figures[:4, 2] = np.nan, np.nan
    kept = sound(Design(("p",), np.arange(40.0)[:, None], figures, targets))
    assert kept.targets.keys == targets.keys[:2]
    assert kept.z.ravel().tolist() == [row for row in range(40) if row != 7]


def test_somebody_whose_solution_breaks_down_spoils_a_row_and_not_an_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    from kapsim import simulation

    solve = simulation.simulate_people

    def broken(*args: object, **options: object) -> object:
        found = solve(*args, **options)  # type: ignore[arg-type]
        assert options["keep_failures"]
        found["madrs"].values[9] = np.nan  # of the second row
        return found

    parameters = load_parameters(chain=False)
    records = [r for r in load_observed() if r.id.startswith("murrough2013a.ketamine")]
    cases, z = fitted(prepare(records, parameters)), np.zeros((3, 1))
    whole = evaluate(cases, parameters, ("mood.weight.anhedonia",), z, people=8, shard=3)
    monkeypatch.setattr(simulation, "simulate_people", broken)
    found = evaluate(cases, parameters, ("mood.weight.anhedonia",), z, people=8, shard=3)
    assert np.isnan(found.figures[1]).all()
    np.testing.assert_array_equal(found.figures[[0, 2]], whole.figures[[0, 2]])
    assert found.failures == ("rows 1 to 3: 1 in which somebody's solution broke down",)


def test_many_people_tell_what_a_few_are_off_by() -> None:
    targets = some_targets(("points",) * 3, ("a", "b", "c"))
    rng = np.random.default_rng(10)
    z, figures = rng.standard_normal((6, 1)), rng.standard_normal((6, 3))
    off, noise = np.array([1.0, -2.0, 0.0]), rng.standard_normal((4, 3))
    few, many = Design(("p",), z, figures, targets), Design(("p",), z[:4], figures[:4] + off + noise, targets)
    told = too_few([few], [many], targets)
    np.testing.assert_allclose(told.offset, off + noise.mean(axis=0))
    np.testing.assert_allclose(told.sd, noise.std(axis=0, ddof=1))
    emulator = linear(np.ones((1, 3)), 0.5)
    better = corrected(emulator, told)
    np.testing.assert_allclose(better(z) - emulator(z), np.broadcast_to(told.offset, (6, 3)))
    np.testing.assert_allclose(better.error, np.sqrt(0.25 + told.sd**2))
    # a figure that the crowd could not have is in neither
    assert joined(few, Design(("p",), z[:4], figures[:4, :2], targets.some([0, 1])), rows=False).figures.shape == (6, 2)


# --- what ships -----------------------------------------------------------------------------------------------------


def posterior(z: Array) -> Posterior:
    names = ("plasticity.bdnf_gain", "mind.relaxation", "mood.weight.neurogenesis")
    scatter = np.random.default_rng(12).uniform(1.0, 4.0, (len(z), len(BETWEEN)))
    emulator, targets = linear(np.ones((3, 2))), some_targets(("points",) * 2, ("a", "b"))
    draws = Draws(names, z, scatter, scatter, scatter, np.full(3, 1.01), np.full(3, 400.0), 2)
    return Posterior(draws, names, emulator, targets, Own(np.zeros((4, 2)), np.zeros((4, 2))), 0.4, ())


@given(st.floats(-2.0, 2.0), st.floats(0.1, 1.0))
def test_a_posterior_ships_as_middle_and_width_of_its_own_law(middle: float, width: float) -> None:
    parameters = load_parameters(chain=False)
    for name in ("plasticity.bdnf_gain", "mind.relaxation", "patient.chronicity"):
        prior, told = parameters[name], moved(parameters[name], middle, width)
        law = prior.uncertainty
        assert law is not None
        # a deviate of the posterior is the value of the prior at the deviate that it stands for
        after = law.model_copy(update={"sd": told["sd"]}).apply(told["value"], 1.3)
        assert float(after) == pytest.approx(float(law.apply(prior.value, middle + 1.3 * width)), rel=1e-4, abs=1e-5)


def test_the_end_of_a_half_normal_law_stays() -> None:
    prior = load_parameters(chain=False)["mood.weight.neurogenesis"]
    told = moved(prior, 0.0, 0.8)
    assert prior.uncertainty is not None
    assert (told["value"], told["sd"]) == (prior.value, pytest.approx(0.8 * prior.uncertainty.sd))


def test_what_ships_is_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    z = rng.multivariate_normal([0.5, -1.0, 0.0], [[0.5, 0.3, 0.0], [0.3, 0.4, 0.0], [0.0, 0.0, 1.0]], 2000)
    found, parameters = posterior(z), load_parameters(chain=False)
    left = LeftOut("a", 0.0, 0.1, False, np.array([0]), np.zeros(1), np.ones(1), z.mean(axis=0), z.std(axis=0))
    (tmp_path / "chain.yaml").write_text(calibration(found, parameters, (), {}, seed=3), encoding="utf-8")
    (tmp_path / "left.yaml").write_text(without_studies(found, [left], parameters, ()), encoding="utf-8")
    (tmp_path / "ensemble.csv").write_text(ensemble(found.draws.names, z), encoding="utf-8")
    shipped = load_calibration(tmp_path / "chain.yaml")
    assert shipped.sampled is not None
    assert (shipped.sampled.seed, shipped.sampled.draws, shipped.sampled.divergences) == (3, SHIPPED_DRAWS, 2)
    chain, scattered = shipped.parameters[:3], shipped.parameters[3:]
    assert [item.id for item in chain] == list(found.draws.names)
    assert [item.id for item in scattered] == [name for names in SCATTER.values() for name in names]
    sides = (found.draws.between, np.hypot(found.draws.arms, found.draws.within))
    wide_as = [side[:, list(BETWEEN).index(kind)] for kind in SCATTER for side in sides]
    for item, sampled in zip(scattered, wide_as, strict=True):
        assert item.value == pytest.approx(np.exp(np.log(sampled).mean()), rel=1e-4)
        assert item.sd == pytest.approx(np.log(sampled).std(), rel=1e-4)
    assert shipped.parameters[0].kept == pytest.approx(z[:, 0].std(), rel=1e-4)
    assert load_left_out(tmp_path / "left.yaml")[0].parameters == tuple(chain)
    joint = load_ensemble(tmp_path / "ensemble.csv")
    assert list(joint) == list(found.draws.names)
    for values in joint.values():
        assert (values.mean(), values.std()) == (pytest.approx(0.0, abs=1e-4), pytest.approx(1.0, abs=1e-4))
    together = np.corrcoef(joint["plasticity.bdnf_gain"], joint["mind.relaxation"])[0, 1]
    assert together == pytest.approx(0.3 / np.sqrt(0.2), abs=0.05)
    # what studies left out scatter by goes before what the fitted ones do
    wide = Scatter(np.full(9, 6.0), np.full(9, 1.2), np.full(9, 1.6))
    text = calibration(found, parameters, (), {"share": wide}, seed=3)
    (tmp_path / "wide.yaml").write_text(text, encoding="utf-8")
    again = {item.id: item.value for item in load_calibration(tmp_path / "wide.yaml").parameters}
    assert [again[name] for name in SCATTER["share"]] == [pytest.approx(6.0), pytest.approx(2.0)]
    assert [again[name] for name in SCATTER["points"]] == [scattered[0].value, scattered[1].value]


@pytest.mark.parametrize(("text", "said"), [("a,b\n1.0\n", "one column"), ("a,b\n1.0,x\n", "cannot be read")])
def test_a_broken_ensemble_is_one_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        load_ensemble(tmp_path / "broken.csv")


# --- variants -------------------------------------------------------------------------------------------------------


def test_a_plane_of_differences_is_found_exactly() -> None:
    rng = np.random.default_rng(12)
    z = rng.standard_normal((32, 3))
    emulator, slopes = linear(rng.standard_normal((3, 2)), 0.3), rng.standard_normal((3, 2))
    moved_by = with_difference(emulator, z, 1.5 + z @ slopes)
    fresh = rng.standard_normal((5, 3))
    np.testing.assert_allclose(moved_by(fresh) - emulator(fresh), 1.5 + fresh @ slopes, atol=0.15)
    noisy = with_difference(emulator, z, rng.standard_normal((32, 2)))
    # what is no plane is an error
    assert (noisy.error > 0.8).all()
    assert np.abs(noisy(fresh) - emulator(fresh)).max() < 1.0


def test_stacking_weights_are_those_of_the_best_mixture() -> None:
    np.testing.assert_allclose(
        stacking([{"a": 0.0, "b": 0.0}, {"a": -3.0, "b": -2.0}], resamples=0), [1.0, 0.0], atol=1e-6
    )
    np.testing.assert_allclose(
        stacking([{"a": 0.0, "b": -9.0}, {"a": -9.0, "b": 0.0}], resamples=0), [0.5, 0.5], atol=1e-6
    )
    rng = np.random.default_rng(13)
    densities = [{str(k): float(value) for k, value in enumerate(rng.standard_normal(9))} for _ in range(3)]
    table_of = np.exp([[one[str(k)] for k in range(9)] for one in densities])

    def score(weights: Array) -> float:
        return float(np.log(weights @ table_of).sum())

    best = stacking(densities, resamples=0)
    for weights in rng.dirichlet(np.ones(3), 200):
        assert score(weights) <= score(best) + 1e-6


def test_variants_that_studies_cannot_tell_apart_share_their_weight() -> None:
    rng = np.random.default_rng(23)
    usual, chance, worse = rng.normal(-8.0, 2.0, 40), 0.3 * rng.standard_normal((2, 40)), rng.uniform(1.0, 5.0, 40)
    densities = [
        {str(k): float(value) for k, value in enumerate(one)}
        for one in (usual + chance[0], usual + chance[1], usual - worse)
    ]
    alike, other, far = stacking(densities)
    assert min(alike, other) > 0.15
    assert far < 0.01
    assert alike + other + far == pytest.approx(1.0)
    # one that predicts some studies far better than the others keeps its share, however the studies are drawn
    split = [{str(k): float(4.0 * (k % 2 == which)) for k in range(40)} for which in (0, 1)]
    np.testing.assert_allclose(stacking(split), 0.5, atol=0.03)


def test_variants_that_are_alike_are_scored_once() -> None:
    assert "cytokines_off" not in distinct("standard")
    assert {"opioid_gate", "expectancy_only"} <= set(distinct("standard"))
    assert "standard" in distinct("hnk")


@dataclass(frozen=True)
class MadeUp:
    """One variant is the standard chain, one is off by a constant that the records refuse, and one lacks a figure."""

    emulator: Emulator
    targets: Targets

    def __call__(self, rows: Array, stage: str, variant: str) -> Design:
        of = np.asarray(self.emulator(rows)) + (2.0 if variant == "off" else 0.0)
        kept = range(5 if variant == "lacks" else 6)
        return Design(("p0",), rows, of[:, kept], self.targets.some(kept))


@functools.cache
def contestants(scheduler: str) -> tuple[tuple[Contestant, ...], list[str]]:
    kinds, studies = ("effect",) * 6, tuple(f"s{k // 2}" for k in range(6))
    targets = alone(studies, kinds, np.zeros(6), np.full(6, 0.2))
    emulator, z = linear(0.1 * np.ones((1, 6)), 0.02), np.random.default_rng(14).standard_normal((16, 1))
    near = Design(("p0",), z, np.asarray(emulator(z)), targets)
    effort, said = Sampling(chains=1, warmup=150, draws=200), list[str]()
    found = scored(
        "standard", ("alike", "off", "lacks"), emulator, near, targets, (8, 4), MadeUp(emulator, targets), effort, 0,
        said.append, scheduler,
    )  # fmt: skip
    return found, said


def test_variants_are_scored_by_the_figures_that_all_have() -> None:
    found, said = contestants("local")
    assert [one.name for one in found] == ["standard", "alike", "off", "lacks"]
    assert len(said) == 5
    for one in found:
        assert sum(len(item.places) for item in one.left_out) == 5
    rows = {row["name"]: row for row in table(found)}
    assert rows["off"]["behind"] > 5.0
    assert rows["alike"]["behind"] < 1.0
    assert rows["off"]["weight"] < 0.01
    assert sum(row["weight"] for row in rows.values()) == pytest.approx(1.0, abs=1e-3)
    assert table(()) == []


@pytest.mark.slow
def test_variants_are_scored_alike_in_this_process_and_in_others() -> None:
    (here, _), (there, said) = contestants("serial"), contestants("local")
    assert len(said) == 5
    assert [one.name for one in there] == [one.name for one in here]
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.draws.z, other.draws.z)
        assert one.densities == other.densities


def test_draws_carry_their_names() -> None:
    draws = Draws(("a",), np.zeros((1, 1)), *(np.zeros((1, 4)),) * 3, np.ones(1), np.ones(1), 0)
    assert len(draws.names) == draws.z.shape[1]
