"""Scores, rivals, predictive distributions, limits and accounts of a validation, against formulas written out here."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kapsim.validation.account import account
from kapsim.validation.figures import Figure
from kapsim.validation.limits import limits
from kapsim.validation.predictive import predict
from kapsim.validation.rivals import RIVALS, rival_entries, rival_scores
from kapsim.validation.run import Validation
from kapsim.validation.scoring import PointScore, RecordScore, Scores, entries, score, weights
from kapsim.validation.summary import immune_signs, misfits, summaries

# --- hand-made points and records -------------------------------------------------------------------------------------


def point(observed: float, predicted: float, scale: str = "log", **more: Any) -> PointScore:
    known = {"time_h": 1.0, "low": predicted - 1.0, "high": predicted + 1.0, "sd": 0.5, "sampling_sd": 0.2}
    return PointScore(observed=observed, predicted=predicted, scale=scale, **{**known, **more})


def record(*points: PointScore, name: str = "a.one", study: str = "A 2020", **more: Any) -> RecordScore:
    known = {
        "domain": "plasma_iv",
        "independence": "independent",
        "observable": "plasma.ketamine",
        "statistic": "mean",
        "use": "quantitative",
        "status": "scored",
        "unit": "ng/mL",
    }
    return RecordScore(id=name, study=study, points=points, **{**known, **more})


def scored(*points: PointScore) -> Scores:
    return score([("A 2020", "a.one", item) for item in points])


def each(observed: float, predicted: float, scale: str = "log", **more: Any) -> Scores:
    return scored(point(observed, predicted, scale, **more))


# --- one point --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observed", "predicted", "scale", "error", "fold"),
    [
        (100.0, 200.0, "log", math.log(2.0), 2.0),
        (200.0, 100.0, "log", -math.log(2.0), 0.5),
        (-20.0, 60.0, "percent", math.log(1.6 / 0.8), 2.0),
        (25.0, 0.0, "percent", -math.log(1.25), 0.8),
        (-10.0, -16.0, "points", -6.0, None),
        (50.0, 65.0, "share", 15.0, None),
        (-0.8, -0.3, "effect", 0.5, None),
    ],
)
def test_an_error_is_counted_on_its_own_scale(
    observed: float, predicted: float, scale: str, error: float, fold: float | None
) -> None:
    found = point(observed, predicted, scale)
    assert found.error == pytest.approx(error)
    assert found.fold == (None if fold is None else pytest.approx(fold))
    assert found.standardised == pytest.approx(error / 0.5)
    assert found.misfit == pytest.approx(abs(error) / 0.5)


@pytest.mark.parametrize("scale", ["log", "percent"])
def test_what_has_no_ratio_has_no_fold(scale: str) -> None:
    for observed, predicted in ((-150.0, 10.0), (10.0, -150.0)):
        found = point(observed, predicted, scale)
        assert math.isnan(found.error)
        assert found.fold is None
        alone = scored(found)
        assert (alone.n_points, alone.gmfe, alone.mdape, alone.within_twofold) == (1, None, None, None)


def test_the_ends_of_an_interval_are_inside() -> None:
    for observed, inside in ((9.0, True), (11.0, True), (8.999, False), (11.001, False)):
        assert point(observed, 10.0, "points").inside is inside


@settings(deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.05, 20))
def test_the_log_density_is_that_of_a_normal_law(observed: float, predicted: float, sd: float) -> None:
    from scipy.stats import norm

    found = point(observed, predicted, "points", sd=sd)
    assert found.log_density == pytest.approx(norm.logpdf(observed, predicted, sd))
    if min(observed, predicted) > 0.01:
        on_log = point(observed, predicted, "log", sd=sd)
        assert on_log.log_density == pytest.approx(norm.logpdf(math.log(observed), math.log(predicted), sd))


def test_signs_and_figures_without_spread_have_no_density() -> None:
    assert point(1.0, 1.0, "sign").log_density is None
    assert point(1.0, 1.0, "points", sd=0.0).log_density is None
    assert (point(1.0, 1.0, "sign").misfit, point(1.0, 0.0, "sign").misfit) == (0.0, 3.0)


# --- many points ------------------------------------------------------------------------------------------------------


def test_ratios_are_scored_as_written_out() -> None:
    pairs = [(100.0, 125.0), (100.0, 50.0), (10.0, 26.0), (4.0, 4.0), (80.0, 70.0)]
    found = scored(*(point(o, p) for o, p in pairs))
    assert found.gmfe == pytest.approx((1.25 * 2.0 * 2.6 * 1.0 * 80 / 70) ** 0.2)
    # absolute errors in order: 0, 12.5, 25, 50 and 160 %
    assert found.mdape == pytest.approx(25.0)
    assert found.within_twofold == pytest.approx(4 / 5)
    assert found.within_1_25 == pytest.approx(3 / 5)
    assert (found.n_points, found.n_records, found.n_studies) == (5, 1, 1)
    assert (found.rmse, found.bias, found.rate_mae, found.effect_mae, found.signs_right) == (None,) * 5


def test_points_shares_effects_and_signs_are_scored_apart() -> None:
    found = scored(
        *(point(o, p, "points") for o, p in ((-10.0, -13.0), (-6.0, -2.0))),
        *(point(o, p, "share") for o, p in ((60.0, 50.0), (20.0, 40.0))),
        *(point(o, p, "effect") for o, p in ((-0.5, -0.9), (0.2, 0.4))),
        *(point(o, p, "sign") for o, p in ((1.0, 1.0), (0.0, 0.0), (-1.0, 0.0), (-1.0, 1.0))),
    )
    assert found.rmse == pytest.approx(math.sqrt((9 + 16) / 2))
    assert found.bias == pytest.approx((-3 + 4) / 2)
    assert found.rate_mae == pytest.approx(15.0)
    assert found.effect_mae == pytest.approx(0.3)
    assert found.signs_right == pytest.approx(0.5)
    assert (found.gmfe, found.within_twofold) == (None, None)


def test_coverage_leaves_signs_out_and_the_log_score_is_a_mean() -> None:
    points = [point(o, 10.0, "points") for o in (10.0, 10.9, 11.5, 5.0)]
    found = scored(*points, point(1.0, -1.0, "sign", low=-1.0, high=-1.0))
    assert found.coverage90 == pytest.approx(0.5)
    densities = [-0.5 * ((o - 10) / 0.5) ** 2 - math.log(0.5 * math.sqrt(2 * math.pi)) for o in (10, 10.9, 11.5, 5)]
    assert found.log_score == pytest.approx(sum(densities) / 4)


def test_noise_alone_would_leave_the_mean_size_of_a_normal_error() -> None:
    sizes = np.abs(np.random.default_rng(3).standard_normal(400_000))
    assert each(1.0, 1.0, sampling_sd=0.3).noise_fold == pytest.approx(math.exp(0.3 * sizes.mean()), rel=0.01)
    assert each(1.0, 1.0, "share", sampling_sd=8.0).noise_rate == pytest.approx(8.0 * sizes.mean(), rel=0.01)
    two = scored(point(1.0, 1.0, "points", sampling_sd=3.0), point(1.0, 1.0, "points", sampling_sd=4.0))
    assert two.noise_points == pytest.approx(math.sqrt(12.5))


def test_nothing_scored_is_no_score() -> None:
    assert score([]) == Scores(n_records=0, n_points=0, n_studies=0)


@pytest.mark.parametrize("predicted", [200.0, 50.0])
def test_exactly_twofold_is_within_twofold(predicted: float) -> None:
    assert each(100.0, predicted).within_twofold == 1.0
    assert each(100.0, 100.0 * (predicted / 100.0) ** 1.001).within_twofold == 0.0


@settings(deadline=None)
@given(st.floats(1.0, 1e6))
def test_the_bounds_of_both_folds_are_within_at_any_size(size: float) -> None:
    for factor in (1.25, 0.8):
        assert each(size, size * factor).within_1_25 == 1.0
    for factor in (2.0, 0.5):
        assert each(size, size * factor).within_twofold == 1.0


def test_each_study_weighs_the_same() -> None:
    many = [("many", f"m.{k}", point(100.0, 100.0)) for k in range(9)]
    found = score([*many, ("one", "o.1", point(100.0, 400.0))])
    assert found.gmfe == pytest.approx(2.0)
    assert found.within_twofold == pytest.approx(0.5)
    assert weights([*many, ("one", "o.1", point(1.0, 1.0))]).sum() == pytest.approx(1.0)


def test_the_weight_of_a_study_is_shared_by_its_points_of_that_kind_alone() -> None:
    # study B has one fold and many signs: its fold still weighs as much as all of A's
    found = score(
        [
            ("A", "a", point(1.0, 1.0)),
            ("A", "a", point(1.0, 1.0)),
            ("B", "b", point(1.0, math.e**2)),
            *(("B", "b", point(1.0, 1.0, "sign")) for _ in range(7)),
        ]
    )
    assert found.gmfe == pytest.approx(math.e)


POSITIVE = st.floats(0.01, 1e4)
SCALES = st.sampled_from(["log", "percent", "points", "share", "effect", "sign"])
POINTS = st.builds(
    point,
    POSITIVE,
    POSITIVE,
    SCALES,
    sd=st.floats(0.01, 3),
    sampling_sd=st.floats(0, 3),
    low=st.floats(0.01, 10),
    high=st.floats(10, 1e4),
)
ENTRIES = st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["r", "s"]), POINTS), min_size=1, max_size=12)


def same(one: Scores, other: Scores, *names: str) -> bool:
    # the number of points may differ; a name that is left out must not
    found = []
    for name in names or [name for name in vars(one) if name != "n_points"]:
        a, b = getattr(one, name), getattr(other, name)
        found.append((a is None) == (b is None) and (a is None or a == pytest.approx(b, rel=1e-9, abs=1e-12)))
    return all(found)


@settings(deadline=None)
@given(ENTRIES, st.sampled_from("ABC"), st.integers(2, 4))
def test_duplicating_the_points_of_one_study_leaves_scores_unchanged(found: Any, study: str, times: int) -> None:
    again = [entry for entry in found for _ in range(times if entry[0] == study else 1)]
    assert same(score(found), score(again))


@settings(deadline=None)
@given(ENTRIES)
def test_order_does_not_matter(found: Any) -> None:
    assert same(score(found), score(found[::-1]))
    assert score(found).n_points == len(found)


PAIRS = st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=9)
FOLDS = ("gmfe", "mdape", "within_1_25", "within_twofold")


def off_the_bounds(pairs: Any) -> bool:
    return all(abs(abs(math.log(p / o)) - math.log(bound)) > 1e-6 for o, p in pairs for bound in (2.0, 1.25))


@settings(deadline=None)
@given(PAIRS.filter(off_the_bounds), st.floats(0.001, 1000))
def test_a_change_of_unit_leaves_fold_scores_unchanged(pairs: Any, factor: float) -> None:
    one = scored(*(point(o, p) for o, p in pairs))
    other = scored(*(point(o * factor, p * factor) for o, p in pairs))
    assert same(one, other, *FOLDS)


@settings(deadline=None)
@given(PAIRS.filter(off_the_bounds))
def test_swapping_predicted_and_observed_inverts_the_fold_and_flips_the_bias(pairs: Any) -> None:
    for observed, predicted in pairs:
        assert point(observed, predicted).fold == pytest.approx(1.0 / (point(predicted, observed).fold or math.nan))
    one, other = (
        scored(*(point(*pair[::way], kind) for pair in pairs for kind in ("log", "points"))) for way in (1, -1)
    )
    assert same(one, other, "gmfe", "within_1_25", "within_twofold", "rmse")
    assert one.bias == pytest.approx(-(other.bias or 0.0), abs=1e-9)


@settings(deadline=None)
@given(PAIRS.filter(off_the_bounds))
def test_a_percent_change_scores_as_the_ratio_that_it_stands_for(pairs: Any) -> None:
    ratios = scored(*(point(o, p) for o, p in pairs))
    changes = scored(*(point(100 * (o - 1), 100 * (p - 1), "percent") for o, p in pairs))
    for name in FOLDS:
        assert getattr(ratios, name) == pytest.approx(getattr(changes, name), rel=1e-5, abs=1e-6)


@settings(deadline=None)
@given(PAIRS)
def test_scores_lie_where_they_can(pairs: Any) -> None:
    found = scored(*(point(o, p) for o, p in pairs), *(point(o, p, "points") for o, p in pairs))
    assert (found.gmfe or 0.0) >= 1.0
    assert (found.mdape or 0.0) >= 0.0
    assert (found.rmse or 0.0) >= abs(found.bias or 0.0) - 1e-9
    assert 0.0 <= (found.within_1_25 or 0.0) <= (found.within_twofold or 0.0) <= 1.0 + 1e-12


# --- rivals -----------------------------------------------------------------------------------------------------------


def dosed(value: float, mg: float, name: str, **more: Any) -> RecordScore:
    return record(point(value, 1.0), name=name, study=name, dose_mg=mg, hours_since_dose=(1.0,), **more)


def test_dose_only_is_exact_where_figures_are_proportional_to_the_dose() -> None:
    found = rival_scores([dosed(7.3 * mg, mg, f"r{mg}") for mg in (10.0, 25.0, 70.0, 140.0)])["dose_only"]
    assert found.gmfe == pytest.approx(1.0)
    assert found.n_points == 4


def test_dose_only_leaves_the_residual_of_a_mean_on_the_logarithm() -> None:
    # level = mean of log(figure / dose) = mean(0, 0, log 8) = log 2: errors log 2, log 2 and log 4
    found = rival_scores([dosed(mg * k, mg, f"r{mg}") for mg, k in ((10.0, 1.0), (20.0, 1.0), (30.0, 8.0))])
    assert found["dose_only"].gmfe == pytest.approx(2 ** (4 / 3))


def test_dose_only_needs_three_figures_of_one_kind() -> None:
    assert "dose_only" not in rival_scores([dosed(1.0, 1.0, "a"), dosed(2.0, 2.0, "b")])
    mixed = [
        dosed(1.0, 1.0, "a"),
        dosed(2.0, 2.0, "b"),
        dosed(9.0, 3.0, "c", observable="plasma.norketamine"),
    ]
    assert "dose_only" not in rival_scores(mixed)


@pytest.mark.parametrize("half_life", [0.25, 2.0, 64.0, 2048.0])
@pytest.mark.parametrize("scale", ["log", "points"])
def test_exponential_decay_is_exact_where_its_grid_has_the_half_life(half_life: float, scale: str) -> None:
    hours = tuple(half_life * k for k in (0.3, 1.0, 1.7, 3.0))
    points = [point(12.0 * 2 ** (-hour / half_life), 1.0, scale, time_h=hour) for hour in hours]
    found = rival_scores([record(*points, statistic="change", hours_since_dose=hours)])["exponential_decay"]
    assert (found.gmfe if scale == "log" else 1.0 + (found.rmse or 0.0)) == pytest.approx(1.0, abs=1e-6)


def test_exponential_decay_counts_from_the_last_dose() -> None:
    # the same hour on the clock, other hours since the dose
    records = [
        record(point(80.0 * 2 ** (-hours / 4.0), 1.0, time_h=100.0), name=f"r{hours}", hours_since_dose=(hours,))
        for hours in (1.0, 4.0, 12.0)
    ]
    assert rival_scores(records)["exponential_decay"].gmfe == pytest.approx(1.0)


def test_the_placebo_mean_is_the_mean_of_the_control_arms() -> None:
    change = {"statistic": "change", "observable": "scale.madrs", "unit": "points", "domain": "mood_single"}
    records = [
        record(point(-4.0, 0.0, "points"), name="p1", study="P", control=True, **change),
        record(point(-8.0, 0.0, "points"), name="p2", study="Q", control=True, **change),
        record(point(-16.0, 0.0, "points"), name="k", study="K", **change),
    ]
    found = rival_scores(records)["placebo_mean"]
    assert found.rmse == pytest.approx(math.sqrt((4 + 4 + 100) / 3))
    assert found.bias == pytest.approx((-2 + 2 + 10) / 3)
    assert "placebo_mean" not in rival_scores(records[2:])


def test_the_last_value_is_the_figure_before_and_at_first_no_change() -> None:
    moods = record(*(point(v, 0.0, "points") for v in (-10.0, -7.0, -7.0)), statistic="change", unit="points")
    found = rival_scores([moods])["last_value"]
    # predicted 0, −10, −7
    assert found.rmse == pytest.approx(math.sqrt((100 + 9 + 0) / 3))
    assert found.bias == pytest.approx((10 - 3 + 0) / 3)
    ratio = rival_scores([record(point(2.5, 1.0), statistic="ratio", unit="1")])["last_value"]
    assert ratio.gmfe == pytest.approx(2.5)
    percent = rival_scores([record(point(-20.0, 1.0, "percent"), statistic="percent_change", unit="%")])["last_value"]
    assert percent.gmfe == pytest.approx(1.25)


def test_the_last_value_says_nothing_of_a_first_level() -> None:
    found = rival_scores([record(point(100.0, 1.0), point(50.0, 1.0))])["last_value"]
    assert (found.n_points, found.gmfe) == (1, pytest.approx(2.0))
    assert "last_value" not in rival_scores([record(point(100.0, 1.0))])


@settings(deadline=None)
@given(st.lists(st.tuples(POSITIVE, st.floats(0, 200), st.floats(0, 500), st.booleans(), SCALES), max_size=12))
def test_a_rival_gives_figures_and_never_an_interval_or_a_sign(rows: Any) -> None:
    records = [
        record(
            point(value, 1.0, scale),
            name=f"r{k}",
            study=f"S{k % 3}",
            statistic="change",
            dose_mg=mg,
            control=control,
            hours_since_dose=(hours,),
        )
        for k, (value, mg, hours, control, scale) in enumerate(rows)
    ]
    found = rival_scores(records)
    assert set(found) <= set(RIVALS)
    for scores in found.values():
        assert (scores.coverage90, scores.signs_right) == (None, None)
        assert scores.n_points <= sum(row[4] != "sign" for row in rows)


@pytest.mark.parametrize("name", [name for name in RIVALS if name != "last_value"])
def test_a_rival_held_out_is_what_it_makes_of_the_other_studies(name: str) -> None:
    known = {"statistic": "change", "observable": "scale.madrs", "unit": "points", "domain": "mood_single"}
    records = [
        record(
            point(value, 0.0, "points"), name=f"r{k}", study=f"S{k}", dose_mg=mg, control=mg == 0.0,
            hours_since_dose=(hours,), **known,
        )
        for k, (value, mg, hours) in enumerate(
            [(-3.0, 0.0, 24.0), (-9.0, 20.0, 48.0), (-7.0, 0.0, 72.0), (-16.0, 40.0, 24.0), (-12.0, 80.0, 200.0)]
        )
    ]  # fmt: skip
    told = {entry[0]: entry[2] for entry in rival_entries(records, held_out=True)[name]}
    for study, own in told.items():
        # the study's own figure may say anything
        changed = [
            replace(r, points=(replace(r.points[0], observed=99.0),)) if r.study == study else r for r in records
        ]
        again = {entry[0]: entry[2] for entry in rival_entries(changed, held_out=True)[name]}
        assert (again[study].predicted, again[study].sd) == (own.predicted, own.sd)
        rest = rival_entries([r for r in records if r.study != study], held_out=True)
        if name in rest and len(rest[name]) == len(records) - 1:
            assert own.sd == pytest.approx(math.sqrt(np.mean([entry[2].error ** 2 for entry in rest[name]])))


def test_a_rival_held_out_says_nothing_of_what_no_other_study_has() -> None:
    records = [dosed(7.3 * mg, mg, f"r{mg}", observable="plasma.norketamine") for mg in (10.0, 25.0, 70.0)]
    alone = [replace(found, study="one") for found in records]
    assert rival_entries(alone, held_out=True) == {}
    assert rival_entries(alone)["dose_only"]
    # three others are learned from, and three more, each left out in turn, say how far it is off
    more = [dosed(7.3 * mg, mg, f"r{mg}", observable="plasma.norketamine") for mg in (140.0, 200.0)]
    assert "dose_only" not in rival_entries([*records, more[0]], held_out=True)
    assert rival_scores([*records, *more], held_out=True)["dose_only"].gmfe == pytest.approx(1.0)


def test_the_mean_of_other_studies_is_of_the_same_kind_and_time() -> None:
    def arm(name: str, value: float, hours: float, **kept: Any) -> RecordScore:
        found = record(point(value, 1.0, "points"), name=name, study=name, statistic="mean", baseline=30.0, **kept)
        return replace(found, points=(replace(found.points[0], time_h=hours),))

    arms = [
        arm("one", 20.0, 24.0, dose_mg=35.0, route="iv"),
        arm("two", 16.0, 24.0, dose_mg=35.0, route="iv"),
        arm("late", 26.0, 168.0, dose_mg=35.0, route="iv"),
        arm("nasal", 24.0, 24.0, dose_mg=84.0, route="intranasal"),
        arm("control", 28.0, 24.0, control=True),
    ]
    found = {entry[1]: entry[2] for entry in rival_entries(arms)["class_time_mean"]}
    assert found["one"].predicted == pytest.approx(16.0)
    assert found["two"].predicted == pytest.approx(20.0)
    # no other study has its time, none its route, none its control: ever wider
    assert found["nasal"].predicted == pytest.approx(18.0)
    assert found["late"].predicted == pytest.approx(20.0)
    assert found["control"].predicted == pytest.approx((20.0 + 16.0 + 26.0 + 24.0) / 4)


def test_a_mean_of_others_starts_from_the_own_baseline() -> None:
    def arm(name: str, value: float, baseline: float) -> RecordScore:
        return record(point(value, 1.0, "points"), name=name, study=name, statistic="mean", baseline=baseline)

    found = {e[1]: e[2] for e in rival_entries([arm("mild", 15.0, 20.0), arm("severe", 30.0, 40.0)])["class_time_mean"]}
    assert found["mild"].predicted == pytest.approx(10.0)
    assert found["severe"].predicted == pytest.approx(35.0)


def test_a_rival_is_as_wide_as_its_errors() -> None:
    found = rival_entries([dosed(mg * k, mg, f"r{mg}") for mg, k in ((10.0, 1.0), (20.0, 1.0), (30.0, 8.0))])
    points = [point for *_, point in found["dose_only"]]
    assert len({point.sd for point in points}) == 1
    assert points[0].sd == pytest.approx(np.sqrt(np.mean([point.error**2 for point in points])))


def test_a_rival_does_not_see_what_the_model_predicted() -> None:
    one = [dosed(7.3 * mg + 5, mg, f"r{mg}") for mg in (10.0, 25.0, 70.0)]
    other = [replace(item, points=(replace(item.points[0], predicted=99.0),)) for item in one]
    assert rival_scores(one) == rival_scores(other)


# --- predictive distributions -----------------------------------------------------------------------------------------

DRAWN, PATIENTS = 4000, 32


def mean(a: Any) -> Any:
    return np.mean(a, axis=-1)


def people(tau: float, s: float, *, level: float = 0.0, seed: int = 5, draws: int = DRAWN) -> Any:
    rng = np.random.default_rng(seed)
    between = tau * rng.standard_normal((draws, 1))
    return level + between + s * rng.standard_normal((draws, PATIENTS))


def one_part(part: Any, noise: float = 0.0, scale: Any = "points", join: Any = mean) -> Figure:
    return Figure((part,), join, scale, True, (noise,), relative=False)


@pytest.mark.parametrize("n", [1, 8, 20, 31, 32, 33, 64, 400])
@pytest.mark.parametrize(("tau", "s"), [(1.0, 0.0), (0.0, 2.0), (1.0, 2.0), (0.3, 3.0)])
def test_the_spread_of_a_prediction_is_that_of_draws_and_of_a_study_of_its_size(n: int, tau: float, s: float) -> None:
    found = predict(one_part(people(tau, s)), n, 0, "key")
    right = math.sqrt(tau**2 + s**2 / n)
    # the spread between draws is what is left of their variance without that of their few patients: known so well
    known = 3.0 * math.sqrt(2.0 / DRAWN) * (tau**2 + s**2 / PATIENTS)
    assert found.sd**2 == pytest.approx(right**2, rel=0.1, abs=known)
    width = (found.high - found.low) / (2 * 1.6449)
    assert width**2 == pytest.approx(right**2, rel=0.12, abs=known)
    assert found.centre == pytest.approx(0.0, abs=5 * math.sqrt(tau**2 + s**2 / PATIENTS) / math.sqrt(DRAWN) + 1e-9)


def test_a_figure_that_no_draw_has_is_no_number() -> None:
    nobody = Figure((people(1.0, 1.0),), lambda a: np.full(a.shape[:-1], np.nan), "share", True, (0.0,))
    found = predict(nobody, 10, 0, "key")
    assert math.isnan(found.centre)


@pytest.mark.parametrize("n", [4, 16, 32, 64, 400])
@pytest.mark.parametrize("tau", [0.0, 1.0, 2.0])
def test_noise_of_a_measurement_adds_as_its_variance_over_n(n: int, tau: float) -> None:
    found = predict(one_part(people(tau, 0.0), noise=3.0), n, 0, "key")
    assert found.sd == pytest.approx(math.sqrt(tau**2 + 9.0 / n), rel=0.05)
    assert found.sampling_sd == pytest.approx(3.0 / math.sqrt(n), rel=0.05)


@pytest.mark.parametrize("n", [4, 16, 31, 32, 64, 400])
def test_sampling_is_what_people_and_measurements_add_whatever_the_draws(n: int) -> None:
    found = predict(one_part(people(1.0, 2.0), noise=1.5), n, 0, "key")
    assert found.sampling_sd == pytest.approx(math.sqrt((2.0**2 + 1.5**2) / n), rel=0.06)


def test_a_larger_study_is_predicted_more_narrowly_whatever_the_size_of_the_virtual_group() -> None:
    figure = one_part(people(0.1, 2.0), noise=1.0)
    widths = [predict(figure, n, 0, "key").sd for n in (2, 8, 16, 30, 32, 40, 80, 200, 1000)]
    assert all(later < earlier for earlier, later in pairwise(widths))


def test_noise_of_a_ratio_is_relative_and_adds_on_the_logarithm() -> None:
    part = 200.0 * np.exp(people(0.1, 0.0))

    def geometric(a: Any) -> Any:
        return np.exp(np.log(a).mean(axis=-1))

    found = predict(Figure((part,), geometric, "log", True, (0.3,)), 9, 0, "key")
    assert found.sd == pytest.approx(math.sqrt(0.1**2 + 0.3**2 / 9), rel=0.05)
    assert found.centre == pytest.approx(200.0, rel=0.02)
    assert 0.0 < found.low < found.centre < found.high


def test_paired_people_are_the_same_people() -> None:
    start = people(0.0, 5.0)
    after = start - 3.0 + people(0.0, 1.0, seed=6)

    def fall(a: Any, b: Any) -> Any:
        return mean(a) - mean(b)

    paired = predict(Figure((after, start), fall, "points", True, (0.0, 0.0)), 10, 0, "key")
    apart = predict(Figure((after, start), fall, "points", False, (0.0, 0.0)), 10, 0, "key")
    assert paired.centre == pytest.approx(-3.0, abs=0.05)
    assert paired.sd == pytest.approx(math.sqrt(1.0 / 10), rel=0.05)
    # the two arms of the virtual group are the same people, those of a study are not
    assert apart.sd > 4 * paired.sd


@pytest.mark.parametrize("n", [3, 12, 32, 60, 500])
@pytest.mark.parametrize("p", [0.02, 0.5, 0.97])
def test_shares_stay_within_0_and_100(n: int, p: float) -> None:
    part = (np.random.default_rng(2).random((DRAWN // 4, PATIENTS)) < p).astype(float)
    found = predict(one_part(part, scale="share", join=lambda a: 100.0 * mean(a)), n, 0, "key")
    assert 0.0 <= found.low <= found.centre <= found.high <= 100.0
    assert found.centre == pytest.approx(100 * p, abs=1.0)


@pytest.mark.parametrize("n", [6, 20, 200])
def test_a_share_spreads_as_a_binomial(n: int) -> None:
    part = (np.random.default_rng(2).random((DRAWN, PATIENTS)) < 0.4).astype(float)
    found = predict(one_part(part, scale="share", join=lambda a: 100.0 * mean(a)), n, 0, "key")
    assert found.sd == pytest.approx(100 * math.sqrt(0.4 * 0.6 / n), rel=0.06)


def test_an_interval_depends_on_its_key_and_seed_alone() -> None:
    figure = one_part(people(1.0, 2.0, draws=40))
    first = predict(figure, 10, 3, "a:0")
    for key in ("b:0", "b:1", "c:0"):
        predict(figure, 10, 3, key)
    assert predict(figure, 10, 3, "a:0") == first
    assert predict(figure, 10, 3, "a:1") != first
    assert predict(figure, 10, 4, "a:0") != first


def exact(level: float, sd: float) -> Any:
    """Return people whose mean and standard deviation are exactly these, in every draw."""
    values = np.linspace(-1.0, 1.0, PATIENTS)
    return np.tile(level + sd * values / values.std(ddof=1), (6, 1))


def fell(a: Any, b: Any) -> Any:
    return mean(a - b)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("n", [7, 20, 150])
@pytest.mark.parametrize("paired", [True, False])
def test_a_sign_is_called_at_1_96_standard_errors(sign: float, n: int, paired: bool) -> None:
    noise = (0.5, 1.2)
    if paired:
        # the difference within people has the standard deviation 2
        base, variance = exact(50.0, 9.0), 2.0**2 + 0.5**2 + 1.2**2
        differ = exact(0.0, 2.0)
    else:
        variance = 3.0**2 + 4.0**2 + 0.5**2 + 1.2**2
    for z, called in ((1.9599, 0.0), (1.9601, sign)):
        effect = sign * z * math.sqrt(variance / n)
        a, b = (base + differ + effect, base) if paired else (exact(50.0 + effect, 3.0), exact(50.0, 4.0))
        found = predict(Figure((a, b), fell, "sign", paired, noise, relative=False), n, 0, "key")
        assert found.centre == called
        assert found.sampling_sd == pytest.approx(math.sqrt(variance / n))


def test_a_small_study_sees_nothing_and_a_large_one_sees_the_sign() -> None:
    a, b = exact(9.0, 3.0), exact(10.0, 3.0)
    figure = Figure((a, b), fell, "sign", False, (0.0, 0.0))
    assert predict(figure, 5, 0, "key").centre == 0.0
    assert predict(figure, 500, 0, "key").centre == -1.0
    assert predict(figure._replace(join=lambda a, b: -fell(a, b)), 500, 0, "key").centre == 1.0


def test_no_effect_at_all_is_no_sign() -> None:
    figure = Figure((exact(1.0, 0.0), exact(1.0, 0.0)), fell, "sign", True, (0.0, 0.0))
    assert predict(figure, 10_000, 0, "key").centre == 0.0


# --- domains ----------------------------------------------------------------------------------------------------------


def validation(*records: RecordScore, **more: Any) -> Validation:
    known = {"variants": {}, "failures": (), "settings": {"seed": "0"}}
    return Validation(records=records, **{**known, **more})


BLOOD = {"domain": "immune", "observable": "immune.tnf", "statistic": "ratio", "unit": "1"}


def test_contested_records_stay_out_of_the_scores_of_their_domain() -> None:
    settled = record(point(1.0, 2.0), name="a", **BLOOD)
    disputed = record(point(1.0, 64.0), name="b", contested=True, independence="fitted", **BLOOD)
    found = summaries(validation(settled, disputed))["immune"]
    assert found.scores.gmfe == pytest.approx(2.0)
    assert found.scores.n_records == 1
    assert set(found.by_independence) == {"independent"}
    assert found.contested is not None
    assert found.contested.gmfe == pytest.approx(64.0)
    assert found.rivals["last_value"].n_points == 1
    assert summaries(validation(settled))["immune"].contested is None


def test_each_class_of_independence_is_scored_apart() -> None:
    records = [
        record(point(1.0, fold), name=name, study=name, independence=name)
        for name, fold in (("independent", 8.0), ("parameter_source", 2.0), ("fitted", 1.0))
    ]
    found = summaries(validation(*records))["plasma_iv"]
    classes = {name: scores.gmfe for name, scores in found.by_independence.items()}
    assert classes == {k: pytest.approx(v) for k, v in (("independent", 8), ("parameter_source", 2), ("fitted", 1))}
    assert found.scores.gmfe == pytest.approx(16 ** (1 / 3))


def test_records_held_out_are_scored_by_what_was_predicted_without_their_study() -> None:
    own = record(point(1.0, 1.0), name="a", held_out=(point(1.0, 3.0),), independence="fitted")
    other = record(point(1.0, 1.0), name="b", not_testable="no other study of the tablet", independence="fitted")
    found = summaries(validation(own, other))["plasma_iv"]
    assert found.scores.gmfe == pytest.approx(1.0)
    assert found.held_out is not None
    assert (found.held_out.gmfe, found.held_out.n_records) == (pytest.approx(3.0), 1)
    assert found.n_not_testable == 1


def test_what_cannot_be_simulated_is_counted_and_not_scored() -> None:
    refused = record(name="b", status="cannot", reason="no compartment")
    found = summaries(validation(record(point(1.0, 1.0)), refused))["plasma_iv"]
    assert (found.n_cannot, found.scores.n_records) == (1, 1)
    alone = summaries(validation(refused))["plasma_iv"]
    assert (alone.scores.n_points, alone.scores.gmfe, alone.rivals) == (0, None, {})


def test_domains_come_in_the_order_of_the_chain() -> None:
    records = [record(point(1.0, 1.0), domain=name) for name in ("therapy", "plasma_oral", "acute", "plasma_iv")]
    assert list(summaries(validation(*records))) == ["plasma_iv", "plasma_oral", "acute", "therapy"]


def test_the_worst_misfit_comes_first() -> None:
    close = record(point(1.0, 1.1), name="close")
    far = record(point(1.0, 1.0), point(1.0, 9.0), name="far")
    wrong = record(point(1.0, -1.0, "sign"), name="wrong")
    refused = record(name="refused", status="cannot", reason="no")
    assert [item.id for item in misfits([close, refused, wrong, far])] == ["far", "wrong", "close"]


def test_immune_signs_are_told_for_each_setting() -> None:
    right, wrong = (record(point(1.0, sign, "sign"), **BLOOD) for sign in (1.0, 0.0))
    found = immune_signs(validation(right, variants={"fast_tnf": (right, right), "il6_up": (right, wrong), "off": ()}))
    assert found == {"fast_tnf": 1.0, "il6_up": 0.5, "off": None}


# --- limits -----------------------------------------------------------------------------------------------------------


def limit(records: Any, name: str, evidence: str = "independent") -> Any:
    (found,) = [item for item in limits(records) if item.name == name and item.evidence == evidence]
    return found


def test_each_limit_is_told_for_independent_records_and_for_those_held_out() -> None:
    found = limits([])
    assert len(found) == len({(item.name, item.evidence) for item in found})
    names = {item.name for item in found}
    for name in names:
        kinds = {item.evidence for item in found if item.name == name}
        own = {"held_out"} if name.startswith("mood") else {"independent", "held_out"}
        assert kinds in (own, {"all"})
    assert all((item.found, item.met, item.n_points, item.beyond) == (None, None, 0, ()) for item in found)


@pytest.mark.parametrize(("folds", "met"), [((1.2, 1.4), True), ((1.3, 1.35), False)])
def test_the_fold_error_of_intravenous_ketamine_is_limited(folds: tuple[float, ...], met: bool) -> None:
    records = [record(point(100.0, 100.0 * f), name=f"r{f}", study=f"S{f}") for f in folds]
    found = limit(records, "iv, ketamine: fold error")
    assert found.found == pytest.approx(math.sqrt(folds[0] * folds[1]))
    assert found.met is met
    assert found.n_points == 2


def test_the_worst_point_and_its_record_are_named() -> None:
    records = [
        record(point(100.0, 190.0), name="near"),
        record(point(100.0, 100.0), point(100.0, 40.0), point(100.0, 30.0), name="far", statistic="cmax"),
        record(point(100.0, 900.0), name="metabolite", observable="plasma.norketamine"),
        record(point(100.0, 900.0), name="learned", independence="parameter_source"),
        record(point(100.0, 900.0), name="by mouth", domain="plasma_oral"),
    ]
    found = limit(records, "iv, ketamine: worst point")
    assert found.found == pytest.approx(100 / 30)
    assert (found.met, found.beyond, found.n_points) == (False, ("far",), 4)
    assert limit(records[:1], "iv, ketamine: worst point").met is True


def test_a_limit_is_told_without_weak_figures_too() -> None:
    records = [
        record(point(100.0, 110.0), name="sound"),
        record(
            point(100.0, 300.0), name="weak", weakness="the peak of a bolus hangs on when the first sample was drawn"
        ),
    ]
    found = limit(records, "iv, ketamine: worst point")
    assert (found.met, found.met_sound) == (False, True)
    assert found.found_sound == pytest.approx(1.1)


def test_areas_of_intravenous_ketamine_lie_within_a_quarter() -> None:
    def found(predicted: float) -> Any:
        return limit([record(point(100.0, predicted), statistic="auc")], "iv, ketamine: area")

    assert [found(p).met for p in (81.0, 124.0, 79.0, 126.0)] == [True, True, False, False]
    assert found(126.0).beyond == ("a.one",)


@settings(deadline=None)
@example(size=17225.0, rule=(1.25, "auc", "area"), below=True)
@given(st.floats(1.0, 1e5), st.sampled_from([(1.25, "auc", "area"), (2.0, "mean", "worst point")]), st.booleans())
def test_a_limit_is_met_at_its_very_bound(size: float, rule: tuple[float, str, str], below: bool) -> None:
    factor, statistic, name = rule
    predicted = size / factor if below else size * factor
    found = limit([record(point(size, predicted), statistic=statistic)], f"iv, ketamine: {name}")
    assert found.beyond == ()
    assert found.met is True


def test_other_routes_and_norketamine_are_limited_by_the_share_within_twofold() -> None:
    folds = (1.1, 1.2, 0.6, 1.9, 2.5)
    records = [
        record(point(10.0, 10.0 * fold), name=f"r{fold}", study=f"S{fold}", domain="plasma_oral", statistic="cmax")
        for fold in folds
    ]
    name = "other routes and norketamine"
    share = limit(records, f"{name}: share within twofold")
    assert (share.found, share.met, share.beyond) == (pytest.approx(0.8), True, ("r2.5",))
    assert limit(records[1:], f"{name}: share within twofold").met is False
    error = limit(records, f"{name}: fold error")
    assert error.found == pytest.approx((1.1 * 1.2 / 0.6 * 1.9 * 2.5) ** 0.2)
    assert error.met is False
    metabolite = record(point(10.0, 10.0), observable="plasma.norketamine", statistic="auc")
    assert limit([metabolite], f"{name}: fold error").met is True


@pytest.mark.parametrize(
    ("observed", "predicted", "met"), [(1.0, 1.9, True), (0.1, 0.34, True), (0.1, 0.36, False), (2.0, 4.1, False)]
)
def test_a_time_of_peak_lies_within_twofold_or_a_quarter_of_an_hour(
    observed: float, predicted: float, met: bool
) -> None:
    found = limit([record(point(observed, predicted), statistic="tmax", domain="plasma_im")], "time of peak")
    assert found.met is met
    assert found.beyond == (() if met else ("a.one",))


def test_interactions_are_limited_whatever_their_study_taught() -> None:
    records = [
        record(
            point(3.0, 3.0 * fold),
            name=f"r{fold}",
            statistic="ratio",
            definition=f"{what}, treatment over control",
            independence=kind,
            domain="plasma_oral",
        )
        for fold, kind, what in (
            (1.4, "independent", "auc"),
            (1.6, "parameter_source", "auc"),
            (9.0, "independent", "cmax"),
        )
    ]
    found = limit(records, "interactions: area ratio", "all")
    assert (found.n_points, found.met, found.beyond) == (2, False, ("r1.6",))
    assert limit(records[:1], "interactions: area ratio", "all").met is True


@pytest.mark.parametrize(("inside", "met"), [(7, False), (8, True), (9, True), (10, False)])
def test_intervals_are_neither_too_narrow_nor_too_wide(inside: int, met: bool) -> None:
    points = [point(10.0, 10.0 if k < inside else 10.1, low=9.95, high=10.05) for k in range(10)]
    records = [record(replace(item, observed=item.predicted), name=f"r{k}") for k, item in enumerate(points)]
    found = limit(records, "concentrations: 90 % interval")
    assert found.found == pytest.approx(inside / 10)
    assert found.met is met
    assert found.beyond == tuple(f"r{k}" for k in range(inside, 10))


def test_records_held_out_are_limited_by_their_held_out_points() -> None:
    own = record(point(1.0, 1.0), held_out=(point(1.0, 5.0),), independence="fitted")
    assert limit([own], "iv, ketamine: worst point").found is None
    found = limit([own], "iv, ketamine: worst point", "held_out")
    assert (found.found, found.met, found.beyond) == (pytest.approx(5.0), False, ("a.one",))


def moods(errors: Sequence[float], **more: Any) -> list[RecordScore]:
    """Changes of as many studies, each predicted with an error of its own."""
    known = {"domain": "mood_single", "statistic": "change", "observable": "scale.madrs", "unit": "points"}
    return [
        record(point(-10.0 - k, -10.0 - k + error, "points", sd=2.0), name=f"r{k}", study=f"S{k}", **{**known, **more})
        for k, error in enumerate(errors)
    ]


def test_mood_is_held_against_the_rival_that_does_best() -> None:
    # whatever it is: the means of other studies are off by more than half a point, no change by ten and more
    good = limit(moods([0.5, -0.5] * 6), "mood, points: error against the best rival", "held_out")
    assert good.met is True
    assert good.found is not None
    others = [np.mean([-10.0 - j for j in range(12) if j != k]) - (-10.0 - k) for k in range(12)]
    assert good.found == pytest.approx(0.5 / math.sqrt(np.mean(np.square(others))))
    bad = limit(moods([9.0, -9.0] * 6), "mood, points: error against the best rival", "held_out")
    assert bad.met is False
    assert limit(moods([0.5] * 12), "mood: log score against every rival", "held_out").met is True
    assert limit(moods([9.0] * 12), "mood: log score against every rival", "held_out").met is False


@pytest.mark.parametrize(("errors", "met"), [((1.0, 1.9), True), ((1.2, 2.0), False), ((-3.0, 3.0), True)])
def test_the_bias_of_mood_is_limited(errors: tuple[float, ...], met: bool) -> None:
    assert limit(moods(errors), "mood, points: bias", "held_out").met is met


def test_mood_is_limited_by_what_was_predicted_without_the_own_study() -> None:
    name = "mood, points: bias"
    assert limit(moods([0.1], independence="fitted"), name, "held_out").found is None
    own = moods([0.1], independence="fitted", held_out=(point(-10.0, -3.0, "points"),))
    assert limit(own, name, "held_out").found == pytest.approx(7.0)


def test_mood_is_held_against_rivals_that_saw_the_figures_too() -> None:
    # on its own figures the regression is exact; without the study it is off where the studies bend away from it
    doses = [0.0, 10.0, 30.0, 100.0] * 3
    bent = [-2.0 * math.log1p(mg) + (k % 5) for k, mg in enumerate(doses)]
    records = [
        replace(found, dose_mg=mg, study=f"S{k}", points=(point(value, value + 0.5, "points", sd=2.0),))
        for k, (found, mg, value) in enumerate(zip(moods([0.5] * 12), doses, bent, strict=True))
    ]
    named = "mood, points: error against the best rival"
    without, on_it = (limit(records, named + words, "held_out").found for words in ("", ", fitted on the very figures"))
    assert without is not None
    assert on_it is not None
    assert without < on_it


def test_few_figures_say_nothing_of_a_rival() -> None:
    assert limit(moods([0.5] * 9), "mood, points: error against the best rival", "held_out").found is None


def test_a_record_that_cannot_be_scored_tests_no_limit() -> None:
    assert all(item.found is None for item in limits([record(point(1.0, 9.0), status="cannot", reason="no")]))


# --- the account ------------------------------------------------------------------------------------------------------

HOSTILE = (
    record(point(100.0, 120.0), point(50.0, 30.0, time_h=None), name="plain", caveats=("care is not modelled",)),
    record(point(-5.0, math.nan, low=-math.inf, high=math.inf), name="broken", study="B"),
    record(point(1.0, 1.0, sd=0.0), name="narrow", study="C", held_out=(point(1.0, 2.0),)),
    record(point(1.0, -1.0, "sign"), name="sign", contested=True, **BLOOD),
    record(name="refused", status="cannot", reason="no kinetics of it", domain="plasma_oral"),
    record(point(50.0, 60.0, "share"), name="share", domain="mood_single", statistic="response", unit="%"),
    record(point(-9.0, -7.0, "points"), name="fall", domain="mood_single", statistic="change", unit="points"),
)
POINT_KEYS = {"time_h", "observed", "predicted", "low", "high"}
RECORD_KEYS = {"id", "study", "domain", "independence", "observable", "statistic", "use", "status", "reason", "points"}
DOMAIN_KEYS = {
    "n_records", "n_points", "gmfe", "mdape", "within_twofold", "rmse", "bias", "rate_mae", "coverage90",
    "signs_right", "log_score", "rivals",
}  # fmt: skip


def test_an_account_is_plain_json_with_stable_keys() -> None:
    found = account(validation(*HOSTILE, variants={"fast_tnf": (HOSTILE[3],)}, failures=("A: broke",)))
    found = json.loads(json.dumps(found, allow_nan=False))
    assert set(found) >= {"records", "domains", "limits", "immune_by_variant", "failures", "settings", "disclaimer"}
    for item in found["records"]:
        assert set(item) >= RECORD_KEYS
        for one in item["points"] + item["held_out"]:
            assert set(one) >= POINT_KEYS
    for domain in found["domains"].values():
        assert set(domain) >= DOMAIN_KEYS
        for rival in domain["rivals"].values():
            assert set(rival) >= DOMAIN_KEYS - {"rivals"}
    assert set(found["domains"]) == {"plasma_iv", "plasma_oral", "immune", "mood_single"}


def test_an_account_tells_the_figures_of_its_records() -> None:
    found = account(validation(*HOSTILE, variants={"fast_tnf": (HOSTILE[3],)}))
    by_id = {item["id"]: item for item in found["records"]}
    assert list(by_id) == [item.id for item in HOSTILE]
    first = by_id["plain"]["points"][0]
    assert (first["observed"], first["predicted"], first["low"], first["high"]) == (100.0, 120.0, 119.0, 121.0)
    assert (first["inside"], first["bias"], first["fold_error"]) == (False, 20.0, pytest.approx(1.2))
    assert by_id["plain"]["points"][1]["time_h"] is None
    broken = by_id["broken"]["points"][0]
    assert (broken["predicted"], broken["low"], broken["fold_error"], broken["log_score"]) == (None,) * 4
    assert (by_id["refused"]["status"], by_id["refused"]["reason"]) == ("cannot", "no kinetics of it")
    assert by_id["refused"]["points"] == []
    assert by_id["sign"]["points"][0]["bias"] is None
    assert found["domains"]["mood_single"]["bias"] == 2.0
    assert found["domains"]["mood_single"]["rate_mae"] == 10.0
    assert found["domains"]["plasma_oral"]["n_cannot"] == 1
    assert found["domains"]["immune"]["contested"]["signs_right"] == 0.0
    assert found["domains"]["immune"]["signs_right"] is None
    assert found["immune_by_variant"] == {"fast_tnf": 0.0}


ANY = st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.builds(
            point,
            st.floats(-1e6, 1e6),
            st.floats(-1e9, 1e9) | st.just(math.nan),
            SCALES,
            low=ANY,
            high=ANY,
            sd=st.just(0.0) | st.floats(1e-6, 10),
        ),
        max_size=5,
    )
)
def test_no_number_of_an_account_is_one_that_json_does_not_know(points: Any) -> None:
    found = account(validation(record(*points, statistic="change")))
    json.dumps(found, allow_nan=False)


def test_entries_are_of_points_or_of_points_held_out() -> None:
    own = record(point(1.0, 1.0), point(1.0, 2.0), held_out=(point(1.0, 3.0),))
    assert [entry[2].predicted for entry in entries([own])] == [1.0, 2.0]
    assert [entry[2].predicted for entry in entries([own], held_out=True)] == [3.0]
