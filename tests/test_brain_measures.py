"""Measures, fit and working point: against their definitions, simulated scans and the records."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from kapsim.brain import ATLASES, empirical_connectivity, load_atlas
from kapsim.brain.constants import number
from kapsim.brain.fit import baselines, fit, pattern_correlation, shuffled, shuffled_by_length
from kapsim.brain.fixed_point import follow, rest
from kapsim.brain.haemodynamics import Balloon
from kapsim.brain.mean_field import MeanField, RegionalInputs
from kapsim.brain.measures import (
    CONNECTIVITY,
    activity_change,
    compare,
    connectivity_measure,
    connectivity_measures,
    drawn_effect,
    effective_samples,
    fisher_z,
    global_connectivity,
    mean_link,
    relative_activity,
    simulated_scans,
    task_response,
)
from kapsim.brain.moments import bold_connectivity, seen_covariance
from kapsim.brain.working_point import NORMALISATION, RECORDS, WorkingPoint, working_point
from kapsim.errors import FixedPointError, InputError

Array = NDArray[np.float64]
ROOT = Path(__file__).resolve().parent.parent
DECO = MeanField.build()
BALLOON = Balloon.build()


def random_correlation(seed: int, regions: int = 8) -> Array:
    series = np.random.default_rng(seed).normal(size=(40, regions))
    return np.corrcoef((series + 0.5 * series[:, :1]).T)


# ---- measures


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_links_are_means_over_pairs(seed: int) -> None:
    matrix = random_correlation(seed)
    one, other = np.array([0, 2, 5]), np.array([2, 6])
    within = [np.arctanh(matrix[a, b]) for a, b in [(0, 2), (0, 5), (2, 5)]]
    assert mean_link(matrix, one, one) == pytest.approx(np.mean(within))
    between = [np.arctanh(matrix[a, b]) for a, b in [(0, 2), (0, 6), (2, 6), (5, 2), (5, 6)]]
    assert mean_link(matrix, one, other) == pytest.approx(np.mean(between))
    stacked = np.stack([matrix, random_correlation(seed + 1)])
    assert mean_link(stacked, one, other)[0] == pytest.approx(mean_link(matrix, one, other))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_global_connectivity_is_the_mean_over_all_others(seed: int) -> None:
    matrix = random_correlation(seed)
    expected = [np.mean([np.arctanh(matrix[a, b]) for b in range(8) if b != a]) for a in range(8)]
    np.testing.assert_allclose(global_connectivity(matrix), expected)
    assert global_connectivity(matrix).mean() == pytest.approx(float(mean_link(matrix, np.arange(8), np.arange(8))))


@pytest.mark.parametrize("name", ATLASES)
def test_every_measure_is_there_where_its_sets_are(name: str) -> None:
    regions, measured = load_atlas(name).regions, empirical_connectivity(name)
    found = connectivity_measures(measured, regions)
    lacking = {"schaefer100": {"pcc_subgenual", "subgenual_dmn"}, "schaefer200": set()}.get(name, {"pcc_dmpfc"})
    assert set(CONNECTIVITY) - set(found) == lacking
    for measure in lacking:
        with pytest.raises(InputError, match="no set of regions"):
            connectivity_measure(measured, regions, measure)
    # what everyone finds: the network hangs together, its hubs more than it does with attention
    assert found["dmn_within"] > found["global"]
    assert found["pcc_mpfc"] > found["dmn_attention"]


def test_unknown_measures_and_lone_regions_are_refused() -> None:
    regions = load_atlas().regions
    with pytest.raises(InputError, match="no measure of connectivity 'dmn': it is one of dmn_within, pcc_mpfc"):
        connectivity_measure(np.eye(68), regions, "dmn")
    with pytest.raises(InputError, match="needs two different regions"):
        mean_link(np.eye(4), np.array([1]), np.array([1]))
    assert np.isfinite(fisher_z(np.eye(2))).all()


def test_activity_is_against_rest_and_against_the_cortex() -> None:
    regions = load_atlas("dk82").regions
    before, after = np.full(82, 3.0), np.full(82, 3.3)
    default = regions.members("default")
    after[default] = 3.6
    after[~regions.cortical] = 99.0
    change = activity_change(before, after, regions)
    cortex = (18 * 3.6 + 50 * 3.3) / 68
    assert change["set"] == pytest.approx(0.2)
    assert change["cortex"] == pytest.approx(cortex / 3.0 - 1.0)
    assert change["beyond_cortex"] == pytest.approx(3.6 / cortex - 1.0)
    assert relative_activity(before, regions) == pytest.approx(1.0)


def test_a_task_raises_what_it_drives() -> None:
    connectome = load_atlas("schaefer100")
    point = rest(DECO, working_point().scaled(connectome))
    found = task_response(point, connectome.regions, 0.003)
    assert found["driven_rate"] > 0.5
    assert found["driven_bold"] > 0.0
    # excitatory connections alone cannot silence the default network; stated in the docs
    assert 0.0 < found["seen_rate"] < 0.5 * found["driven_rate"]
    assert task_response(point, connectome.regions, 0.0)["driven_rate"] == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(FixedPointError, match="the low branch ends"):
        task_response(point, connectome.regions, 0.1)


# ---- what a scan and a study would see


def test_effective_samples_are_those_of_simulated_series() -> None:
    # Unlinked regions: the spread of their correlation over many series with the model's own spectrum.
    point = rest(DECO, np.zeros((4, 4)) + 0.0 * np.eye(4))
    seconds, tr = 600.0, 1.0
    samples = effective_samples(point, seconds)
    assert 30.0 < samples < 0.5 * seconds / tr
    from kapsim.brain.fixed_point import slopes
    from kapsim.brain.moments import cross_spectrum, transfer

    count = int(seconds / tr)
    hertz = np.fft.rfftfreq(count, tr)[1:]
    at = slopes(DECO, point.coupling, point.gating, point.inputs)
    neural = cross_spectrum(at, point.coupling, DECO.noise, hertz)[:, 0, 0].real
    off = (hertz**2 - 0.001) / (0.09 * hertz)
    density = neural * np.abs(transfer(BALLOON, point.gating.excitatory, hertz)[:, 0]) ** 2 / (1 + off**4) ** 2
    rng = np.random.default_rng(5)
    shape = (2, 4000, len(hertz))
    spectra = np.sqrt(density) * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    one, other = np.fft.irfft(np.concatenate([np.zeros((2, 4000, 1)), spectra], axis=-1), n=count)
    correlations = (one * other).sum(-1) / np.sqrt((one**2).sum(-1) * (other**2).sum(-1))
    assert 1.0 / correlations.var() == pytest.approx(samples, rel=0.07)
    assert effective_samples(point, 2 * seconds) == pytest.approx(2 * samples)


def test_simulated_scans_have_the_textbook_spread_of_fisher_z() -> None:
    true = np.array([[1.0, 0.4, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]])
    scans = simulated_scans(4.0 * true, 60.0, 6000, seed=1)
    z = fisher_z(scans)
    assert z[:, 0, 1].mean() == pytest.approx(np.arctanh(0.4) + 0.4 / (2 * 59), abs=0.01)
    assert z[:, 0, 1].std() == pytest.approx(1.0 / np.sqrt(57), rel=0.04)
    assert z[:, 0, 2].std() == pytest.approx(1.0 / np.sqrt(57), rel=0.04)
    np.testing.assert_array_equal(scans, simulated_scans(4.0 * true, 60.0, 6000, seed=1))
    with pytest.raises(InputError, match="3 effective samples is too short"):
        simulated_scans(true, 3.0, 10, seed=1)


@pytest.mark.parametrize("paired", [True, False])
def test_power_is_what_repeated_studies_find(paired: bool) -> None:
    rng = np.random.default_rng(2)
    sampling, between, correlated, shift, persons = 0.3, 0.4, 0.6, 0.25, 14
    draws = 4000
    effect = compare(
        rng.normal(0.0, sampling, 100_000), rng.normal(shift, sampling, 100_000), persons,
        paired=paired, between_sd=between, correlated=correlated,
    )  # fmt: skip
    both = between * rng.multivariate_normal([0, 0], [[1, correlated], [correlated, 1]], (draws, persons))
    first = both[..., 0] + rng.normal(0.0, sampling, (draws, persons))
    own = both[..., 1] if paired else between * rng.normal(size=(draws, persons))
    second = shift + own + rng.normal(0.0, sampling, (draws, persons))
    test = stats.ttest_rel(second, first, axis=1) if paired else stats.ttest_ind(second, first, axis=1)
    assert effect.power == pytest.approx((test.pvalue < 0.05).mean(), abs=0.03)
    spread = np.sqrt(2 * sampling**2 + 2 * between**2 * (1 - correlated)) if paired else np.hypot(sampling, between)
    assert effect.size == pytest.approx(shift / spread, rel=0.02)


def test_nothing_is_found_where_nothing_is() -> None:
    same = np.random.default_rng(3).normal(size=50)
    effect = compare(same, same, 20, paired=False)
    assert effect == (0.0, 0.0, pytest.approx(0.05))
    for options, message in (
        ({"persons": 1}, "1 persons are too few"),
        ({"persons": 9, "between_sd": -1.0}, "a spread between persons is 0 or more"),
    ):
        with pytest.raises(InputError, match=message):
            compare(same, same, paired=True, **options)


def test_effects_grow_with_the_scan() -> None:
    connectome = load_atlas()
    point = rest(DECO, working_point().scaled(connectome))
    drugged = follow(point, point.inputs._replace(onto_interneurons=0.96))
    states = [seen_covariance(DECO, at.coupling, at.gating, at.inputs, BALLOON) for at in (point, drugged)]

    def within(connectivity: Array) -> Array:
        return connectivity_measure(connectivity, connectome.regions, "dmn_within")

    short, long = (
        drawn_effect(*states, within, samples=effective_samples(point, seconds), persons=20, paired=True, seed=4)
        for seconds in (300.0, 1200.0)
    )
    assert long.size == pytest.approx(2.0 * short.size, rel=0.3)
    assert short.difference == pytest.approx(long.difference, rel=0.3)
    assert long.difference > 0.0


# ---- fit


@pytest.mark.parametrize("name", ["dk68", "schaefer100"])
def test_shuffling_keeps_what_it_should_and_destroys_the_rest(name: str) -> None:
    connectome = load_atlas(name)
    kept = shuffled(connectome, 1)
    np.testing.assert_allclose(kept.weights.sum(axis=1), connectome.weights.sum(axis=1), rtol=0.02)
    assert abs(pattern_correlation(kept.weights, connectome.weights)) < 0.35
    by_length = shuffled_by_length(connectome, 1)
    upper = np.triu_indices(len(connectome), 1)
    np.testing.assert_allclose(np.sort(by_length.weights[upper]), np.sort(connectome.weights[upper]))
    far = connectome.distances()[upper]
    for low, high in ((0, 30), (30, 60), (60, 200)):
        inside = (far >= low) & (far < high)
        assert by_length.weights[upper][inside].mean() == pytest.approx(
            connectome.weights[upper][inside].mean(), rel=0.2
        )
    assert not np.array_equal(by_length.weights, connectome.weights)
    np.testing.assert_array_equal(shuffled(connectome, 1).weights, kept.weights)


def test_a_model_that_knows_the_answer_beats_all_and_one_that_copies_does_not() -> None:
    connectome, measured = load_atlas(), empirical_connectivity("dk68")
    perfect = fit(
        connectome, measured, lambda one: measured if one is connectome else one.weights, others=measured, draws=3
    )
    assert perfect.model == pytest.approx(1.0)
    assert perfect.ceiling == pytest.approx(1.0)
    assert perfect.beats_all
    copy = fit(connectome, measured, lambda one: one.weights, draws=3)
    assert copy.model == pytest.approx(copy.baselines["counts"])
    assert not copy.beats_all
    assert copy.nulls["shuffled"].mean() < copy.model
    assert copy.best_baseline == ("sqrt_counts", max(baselines(connectome, measured).values()))
    with pytest.raises(InputError, match="68 and 100 regions have no common pairs"):
        pattern_correlation(measured, empirical_connectivity("schaefer100"))


# ---- the working point


def test_the_working_point_leaves_the_room_that_its_rule_asks_for() -> None:
    cut = 2.0 * number("brain.circuit.reduced_ei", "1")
    for name in ("dk68", "schaefer100", "schaefer200"):
        point = rest(DECO, working_point().scaled(load_atlas(name)))
        assert follow(point, point.inputs._replace(onto_interneurons=1.0 - cut)).margin > 0.0


def test_the_working_point_is_above_the_matrix_and_nearness_where_it_was_fitted_and_held_back() -> None:
    for name, holdout in (("dk68", False), ("schaefer100", False), ("schaefer100", True), ("schaefer200", False)):
        connectome, measured = load_atlas(name), empirical_connectivity(name, holdout=holdout)
        point = rest(DECO, working_point().scaled(connectome))
        found, without = pattern_correlation(bold_connectivity(point), measured), baselines(connectome, measured)
        assert found > max(without["counts"], without["nearness"]), name
        assert not holdout or found < without["sqrt_counts"]  # and the docs say so


def test_the_page_and_the_records_are_of_one_run() -> None:
    point = working_point()
    page = (ROOT / "docs" / "brain.md").read_text(encoding="utf-8")
    assert f"Power {point.exponent:g}, coupling {point.coupling:g}; gradient {point.gradient:+g}" in page
    connectome, measured = load_atlas(), empirical_connectivity()
    found = pattern_correlation(bold_connectivity(rest(DECO, point.scaled(connectome))), measured)
    assert f"| dk68 | in sample | alike | kept | **{found:.3f}** |" in page


@pytest.mark.slow
def test_the_rule_still_chooses_the_working_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import brain_working_point as script

    table, point = script.choose()
    assert point == working_point()
    assert script.records(point, table) == RECORDS.read_text(encoding="utf-8")
    del sys.modules["brain_working_point"]


def test_the_gradient_follows_the_map_and_needs_it() -> None:
    connectome = load_atlas()
    point = WorkingPoint(0.5, 1.0, 0.1)
    strength = point.heterogeneous(connectome).strength
    assert strength.mean() == pytest.approx(1.0)
    assert strength.std() == pytest.approx(0.1)
    assert np.corrcoef(strength, connectome.regions.map_values("t1wt2w"))[0, 1] == pytest.approx(1.0)
    twice = point.heterogeneous(connectome, RegionalInputs(0.0, strength=2.0)).strength
    np.testing.assert_allclose(twice, 2.0 * strength)
    with pytest.raises(InputError, match="map 't1wt2w' has no value for L_accumb"):
        point.heterogeneous(load_atlas("dk82"))
    scaled = point.scaled(connectome)
    np.testing.assert_allclose(scaled, 0.5 * connectome.normalised(NORMALISATION))
    with pytest.raises(InputError, match="no exponent 0 of weights"):
        connectome.normalised(exponent=0.0)
