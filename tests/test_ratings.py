"""Ratings: their error and what of it lasts, change of people's own accord, entry by a score, and who is still seen."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kapsim
from kapsim.cli.application import main
from kapsim.evidence import load_parameters
from kapsim.patient.sampling import Keyed
from kapsim.ratings.dropout import seen
from kapsim.ratings.enrolment import enrolled, entered
from kapsim.ratings.own_course import own_course
from kapsim.ratings.rated import Ratings
from kapsim.ratings.rating_error import SCALES, as_rated, rating_error
from kapsim.scales import maximum

PARAMETERS = load_parameters()
MANY = 40_000
#: Far enough from both ends that no rating is cut off.
MIDDLE = {"madrs": 30.0, "hdrs17": 25.0, "qids": 13.0, "phq9": 13.0, "bdi": 30.0, "hama": 28.0, "gad7": 10.0}
ROUNDING = 1.0 / 12.0


def with_values(**values: float) -> Any:
    """Return the registry with other values, by what follows `observation.`."""
    registry = dict(PARAMETERS)
    for name, value in values.items():
        registry[f"observation.{name}"] = registry[f"observation.{name}"].model_copy(update={"value": value})
    return registry


#: Nobody changes of their own accord: what is left is the error of ratings.
STILL = with_values(**{"own_course.sd": 0.0})


def without_error() -> Any:
    nothing = {f"rating.{scale}": 0.0 for scale in SCALES} | {"own_course.sd": 0.0}
    return with_values(**nothing, **{f"scatter.{scale}": 0.0 for scale in ("hdrs17", "qids", "phq9", "bdi", "gad7")})


def ratings(seed: int = 0, size: int = MANY, **more: Any) -> Ratings:
    return Ratings(Keyed(seed, True), size, **more)


def visits(own: Ratings, scale: str, hours: tuple[float, ...], level: float | None = None) -> Any:
    """Return ratings of people whose expected score stays where it is, shape (visit, patient)."""
    score = np.full(own.size, MIDDLE[scale] if level is None else level)
    return np.stack([own.at_visit(scale, score, hour, entry=score) for hour in hours])


# --- the error of a rating --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_ratings_have_the_spread_of_their_error_and_its_correlation_between_visits(scale: str) -> None:
    error = rating_error(scale)
    one, other, far = visits(ratings(parameters=STILL), scale, (24.0, 48.0, 2000.0))
    wanted = error.sd**2 + ROUNDING
    for rated in (one, other, far):
        assert rated.var() == pytest.approx(wanted, rel=4 * math.sqrt(2 / MANY))
        assert rated.mean() == pytest.approx(MIDDLE[scale], abs=4 * math.sqrt(wanted / MANY))
    for a, b in ((one, other), (one, far)):
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(error.lasting**2 / wanted, abs=4 / math.sqrt(MANY))
    assert error.correlation == pytest.approx(error.lasting**2 / error.sd**2)
    # what is new at each visit is what two ratings of an unchanged person differ by
    assert (other - one).var() == pytest.approx(2 * (error.visit**2 + ROUNDING), rel=0.03)


def test_two_ratings_of_an_untreated_person_differ_as_after_saline() -> None:
    seen_once, again = visits(ratings(parameters=STILL), "madrs", (0.5, 24.0))
    # 2.7 points between two days on saline in non-responders, rounding of both totals included
    assert (again - seen_once).std() == pytest.approx(2.7, rel=0.03)


@given(
    scale=st.sampled_from(list(SCALES)),
    share=st.floats(0.0, 1.0),
    hour=st.floats(-5000.0, 50_000.0),
    seed=st.integers(0, 2**40),
)
@settings(max_examples=60, deadline=None)
def test_ratings_are_whole_points_within_the_scale(scale: str, share: float, hour: float, seed: int) -> None:
    end = maximum(scale)
    score = np.full(300, share * end)
    for rated in (
        ratings(seed, 300).at_visit(scale, score, hour, entry=score),
        ratings(seed, 300, enrolment=enrolled(scale, 0.6 * end, 0.1 * end, rating_error(scale).sd, 1.5)).at_entry(
            scale, score
        ),
    ):
        assert ((rated >= 0) & (rated <= end)).all()
        assert np.array_equal(rated, np.round(rated))


@given(scale=st.sampled_from(list(SCALES)), share=st.floats(0.0, 1.0), seed=st.integers(0, 2**40))
@settings(max_examples=40, deadline=None)
def test_without_error_a_rating_is_the_expected_score_in_whole_points(scale: str, share: float, seed: int) -> None:
    score = np.full(20, share * maximum(scale))
    own = Ratings(Keyed(seed, True), 20, parameters=without_error())
    for rated in (own.at_entry(scale, score), own.at_visit(scale, score, 24.0, entry=score)):
        assert np.array_equal(rated, as_rated(scale, score))
        assert (np.abs(rated - score) <= 0.5 + 1e-9).all()
    # the typical person has no deviate, and so no error
    typical = Ratings(Keyed(seed, False), 20)
    assert np.array_equal(typical.at_visit(scale, score, 24.0, entry=score), as_rated(scale, score))


@pytest.mark.parametrize(("score", "written"), [(10.49, 10), (10.5, 11), (11.5, 12), (-0.3, 0), (71.0, 60)])
def test_a_rater_rounds_halves_up_and_stays_on_the_scale(score: float, written: int) -> None:
    assert as_rated("madrs", np.asarray([score]))[0] == written


@given(seed=st.integers(0, 2**62), few=st.integers(1, 300), more=st.integers(1, 600), hour=st.floats(0.1, 9000))
@settings(max_examples=40, deadline=None)
def test_a_rating_does_not_depend_on_how_many_people_or_what_else_is_asked(
    seed: int, few: int, more: int, hour: float
) -> None:
    entry = enrolled("madrs", 35.0, 5.2, rating_error("madrs").sd, 1.5)
    score = np.linspace(5.0, 50.0, few + more)

    def asked(size: int, *, first: bool) -> Any:
        own = ratings(seed, size, enrolment=entry)
        if first:
            own.at_visit("hama", score[:size], 3.0, entry=score[:size])
        return own.at_visit("madrs", score[:size], hour, entry=score[:size]), own.at_entry("madrs", score[:size])

    alone, among = asked(few, first=False), asked(few + more, first=True)
    for one, many in zip(alone, among, strict=True):
        assert np.array_equal(one, many[:few])


def test_visits_scales_and_periods_have_errors_of_their_own() -> None:
    own, score = ratings(parameters=STILL), np.full(MANY, 30.0)
    first = own.at_visit("madrs", score, 24.0, entry=score)
    assert np.array_equal(first, own.at_visit("madrs", score, 24.0 + 1e-5, entry=score))
    assert not np.array_equal(first, own.at_visit("madrs", score, 24.5, entry=score))
    period = own.at_visit("madrs", score, 24.0, entry=score, occasion="period 2")
    lasting = rating_error("madrs").lasting ** 2 / (rating_error("madrs").sd ** 2 + ROUNDING)
    assert np.corrcoef(first, period)[0, 1] == pytest.approx(lasting, abs=0.02)
    anxious = own.at_visit("hama", score, 24.0, entry=score)
    assert abs(np.corrcoef(first, anxious)[0, 1]) < 4 / math.sqrt(MANY)


def test_a_converted_score_scatters_more_than_its_rating_and_keeps_that() -> None:
    for scale in ("hdrs17", "qids", "phq9", "bdi", "gad7"):
        bare = rating_error(scale, with_values(**{f"scatter.{scale}": 0.0}))
        scattered = rating_error(scale)
        assert scattered.visit == bare.visit
        around = PARAMETERS[f"observation.scatter.{scale}"].value
        assert scattered.lasting**2 == pytest.approx(bare.lasting**2 + around**2)
        assert scattered.correlation > bare.correlation


# --- change of their own accord ---------------------------------------------------------------------------------------

OWN = own_course("madrs")


@pytest.mark.parametrize("apart", [0.0, 24.0, 168.0, 336.0, 1000.0, 8760.0])
def test_two_moments_are_as_alike_as_an_exponential_in_their_distance(apart: float) -> None:
    """Changes since entry of a stationary process: var(t) = 2 σ² (1 − ρ(t)), and ρ falls to 1/e in τ."""
    keyed = Keyed(3, True)
    moved = OWN.change(lambda wave: keyed.normal(wave, MANY), apart)
    wanted = 2 * OWN.sd**2 * (1 - math.exp(-apart / OWN.tau))
    assert moved.mean() == pytest.approx(0.0, abs=4 * math.sqrt(wanted / MANY))
    assert moved.var() == pytest.approx(wanted, rel=5 * math.sqrt(2 / MANY), abs=1e-12)


def test_a_person_s_course_is_the_same_on_every_scale_and_another_in_every_period() -> None:
    free = without_error() | {"observation.own_course.sd": PARAMETERS["observation.own_course.sd"]}
    own = ratings(parameters=free)
    hour = 2 * OWN.tau
    depressed, anxious = (
        own.at_visit(scale, level, hour, entry=level) - level
        for scale, level in ((name, np.full(MANY, MIDDLE[name])) for name in ("madrs", "hama"))
    )
    assert np.corrcoef(depressed, anxious)[0, 1] > 0.98
    assert anxious.std() / depressed.std() == pytest.approx(maximum("hama") / maximum("madrs"), rel=0.03)
    level = np.full(MANY, MIDDLE["madrs"])
    again = own.at_visit("madrs", level, hour, entry=level, occasion="period 2") - level
    assert abs(np.corrcoef(depressed, again)[0, 1]) < 4 / math.sqrt(MANY)


def test_nobody_has_moved_when_they_come_in() -> None:
    free = without_error() | {"observation.own_course.sd": PARAMETERS["observation.own_course.sd"]}
    level = np.full(50, 30.0)
    own = ratings(size=50, parameters=free, begin=-672.0)
    assert np.array_equal(own.at_visit("madrs", level, -672.0, entry=level), level)


def test_an_unknown_scale_is_refused_in_one_line() -> None:
    with pytest.raises(kapsim.InputError, match=r"^no error of a rating is known on 'ssi'; known: madrs, .*gad7$"):
        rating_error("ssi")


# --- entry by a rated score -------------------------------------------------------------------------------------------


def screened(mean: float, sd: float, error: float, share: float, cut: float, seed: int = 5) -> Any:
    """Return true score, rating at entry and at the next visit of those whose rating passed the cut, by brute force."""
    rng = np.random.default_rng(seed)
    true = mean + math.sqrt(sd**2 - error**2) * rng.standard_normal(2_000_000)
    lasting = math.sqrt(share) * error * rng.standard_normal(true.size)
    new = math.sqrt(1 - share) * error
    first = true + lasting + new * rng.standard_normal(true.size)
    again = true + lasting + new * rng.standard_normal(true.size)
    passed = first >= cut
    return true[passed], first[passed], again[passed]


@pytest.mark.parametrize(
    ("mean", "sd", "error", "cut"), [(30, 7, 2.5, 28), (24, 8, 4, 30), (33, 5, 2.5, 20), (18, 6, 3, 22)]
)
def test_entry_by_a_cut_is_what_screening_gives(mean: float, sd: float, error: float, cut: float) -> None:
    share = PARAMETERS["observation.rating.lasting"].value
    true, first, again = screened(mean, sd, error, share, cut)
    printed_mean, printed_sd = float(first.mean()), float(first.std())
    found = enrolled("madrs", printed_mean, printed_sd, error, (printed_mean - cut) / printed_sd)
    tolerance = 6 * printed_sd / math.sqrt(len(first))
    assert found.true_mean == pytest.approx(true.mean(), abs=3 * tolerance)
    assert found.true_sd == pytest.approx(true.std(), rel=0.02)
    assert found.regression == pytest.approx((first - true).mean(), abs=3 * tolerance)
    cov = np.cov(true, first)
    assert found.slope == pytest.approx(cov[0, 1] / cov[0, 0], abs=0.02)
    # regression to the mean: the next rating falls by what was new in the error, and nobody was treated
    assert (1 - share) * found.regression == pytest.approx((first - again).mean(), abs=3 * tolerance)


def test_people_who_came_in_by_a_rating_regress_at_the_next_visit() -> None:
    error, share = rating_error("madrs"), rating_error("madrs").correlation
    entry = enrolled("madrs", 35.0, 5.18, error.sd, 1.5)
    true = entry.true_mean + entry.true_sd * np.random.default_rng(3).standard_normal(MANY)
    own = ratings(enrolment=entry)
    first = own.at_entry("madrs", true)
    later = [own.at_visit("madrs", true, hour, entry=true) for hour in (24.0, 672.0)]
    near = 4 * 5.18 / math.sqrt(MANY)
    assert first.mean() == pytest.approx(35.0, abs=near)
    assert first.std() == pytest.approx(5.18, rel=0.02)
    for rated in later:
        assert first.mean() - rated.mean() == pytest.approx((1 - share) * entry.regression, abs=near)
    # it happens once: from the next visit on nothing falls
    assert later[0].mean() == pytest.approx(later[1].mean(), abs=near)
    # another scale did not decide, and its ratings regress nowhere
    assert own.at_entry("hama", true).mean() == pytest.approx(true.mean(), abs=near)
    unchosen = ratings()
    before = unchosen.at_entry("madrs", true).mean()
    assert before == pytest.approx(unchosen.at_visit("madrs", true, 24.0, entry=true).mean(), abs=near)


@given(
    mean=st.floats(5, 50),
    sd=st.floats(0.1, 12),
    error=st.floats(0, 12),
    distance=st.one_of(st.just(math.inf), st.floats(1.1, 6)),
)
@settings(max_examples=150, deadline=None)
def test_those_who_came_in_are_never_iller_than_rated_and_their_ratings_add_up(
    mean: float, sd: float, error: float, distance: float
) -> None:
    found = enrolled("madrs", mean, sd, error, distance)
    assert found.regression >= -1e-9
    # mean and spread of the ratings made from true scores are those printed
    assert found.true_mean + found.regression == pytest.approx(mean)
    spread = math.hypot(found.slope * found.true_sd, found.residual)
    assert spread == pytest.approx(sd, rel=1e-6)
    if math.isinf(distance):
        # a cut can squeeze ratings more than the true scores behind them; without one these are the narrower
        assert 0.0 <= found.true_sd <= sd + 1e-9
        assert found.regression == pytest.approx(0.0, abs=1e-9)
    if error == 0.0:
        assert found.true_sd == pytest.approx(sd)
        assert found.regression == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((35.0, -1.0, 2.0), "negative"),
        ((35.0, 5.0, -2.0), "negative"),
        ((35.0, 5.0, 2.0, 0.8), "more than 1"),
        ((35.0, 5.0, 2.0, 1.0001), "too near"),
    ],
)
def test_impossible_entries_are_refused(numbers: Any, said: str) -> None:
    with pytest.raises(kapsim.InputError, match=said) as caught:
        enrolled("madrs", *numbers)
    assert "\n" not in str(caught.value)


def test_a_population_of_ratings_becomes_one_of_true_scores() -> None:
    registry, entry = entered(PARAMETERS)
    madrs, hama = registry["patient.madrs"], registry["patient.hama"]
    assert entry.mean == PARAMETERS["patient.madrs"].value
    assert madrs.value == entry.true_mean < entry.mean
    assert madrs.between_subject is not None
    assert madrs.between_subject.sd == entry.true_sd < entry.sd
    # anxiety did not decide: its mean stays, its spread loses the error
    assert hama.value == PARAMETERS["patient.hama"].value
    assert hama.between_subject is not None
    assert hama.between_subject.sd == pytest.approx(math.sqrt(6.0**2 - rating_error("hama").sd ** 2))
    assert set(registry) == set(PARAMETERS)


# --- who is still seen ------------------------------------------------------------------------------------------------

WEEKS = tuple(168.0 * week for week in range(5))


def course(fall: float, count: int = MANY, hours: tuple[float, ...] = WEEKS) -> Any:
    """Return ratings that fall by a share of the baseline at once and stay there."""
    rated = np.full((count, len(hours)), 30.0 * (1.0 - fall))
    rated[:, 0] = 30.0
    return rated


def test_a_trial_keeps_as_many_as_the_one_its_hazard_comes_from() -> None:
    registry = with_values(**{"dropout.first": 0.0, "dropout.informative": 0.0})
    stay = seen(Keyed(1, True), WEEKS, course(0.35), parameters=registry)
    # 80 % completed four weeks
    assert stay[:, -1].mean() == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / MANY))
    clinic = seen(Keyed(1, True), (0.0, 2190.0), course(0.35, hours=(0.0, 1.0)), setting="clinic", parameters=registry)
    assert clinic[:, -1].mean() == pytest.approx(0.18, abs=4 * math.sqrt(0.15 / MANY))


def test_those_who_do_not_get_better_leave_more_often() -> None:
    left = [1.0 - seen(Keyed(2, True), WEEKS, course(fall))[:, -1].mean() for fall in (-0.2, 0.0, 0.5, 0.9)]
    assert all(worse > better + 0.01 for worse, better in pairwise(left))
    # the same people: whoever leaves when better would have left when worse
    worse, better = (seen(Keyed(2, True), WEEKS, course(fall)) for fall in (0.0, 0.9))
    assert (worse <= better).all()


@given(
    seed=st.integers(0, 2**62),
    count=st.integers(1, 400),
    gaps=st.lists(st.floats(1.0, 1000.0), min_size=0, max_size=8),
    level=st.floats(0.0, 60.0),
)
@settings(max_examples=60, deadline=None)
def test_everybody_starts_nobody_comes_back_and_the_batch_does_not_matter(
    seed: int, count: int, gaps: list[float], level: float
) -> None:
    hours = tuple(np.concatenate([[0.0], np.cumsum(gaps)]))
    rated = np.full((count + 50, len(hours)), level)
    stay = seen(Keyed(seed, True), hours, rated)
    assert stay[:, 0].all()
    assert (np.diff(stay.astype(int), axis=1) <= 0).all()
    assert np.array_equal(stay[:count], seen(Keyed(seed, True), hours, rated[:count]))


def test_more_visits_change_nobodys_fate_where_improvement_stays() -> None:
    registry = with_values(**{"dropout.first": 0.0})
    few = seen(Keyed(3, True), (0.0, 672.0), course(0.0, hours=(0.0, 672.0)), parameters=registry)
    many = seen(Keyed(3, True), WEEKS, course(0.0), parameters=registry)
    assert np.array_equal(few[:, -1], many[:, -1])


def test_the_first_visit_loses_people_of_its_own() -> None:
    registry = with_values(**{"dropout.trial": 1e-9})
    stay = seen(Keyed(4, True), WEEKS, course(0.0), parameters=registry)
    assert 1 - stay[:, 1].mean() == pytest.approx(PARAMETERS["observation.dropout.first"].value, abs=0.005)
    assert np.array_equal(stay[:, 1], stay[:, -1])


def test_visits_that_do_not_fit_are_refused() -> None:
    with pytest.raises(kapsim.InputError, match="ascending"):
        seen(Keyed(0, True), (0.0, 24.0, 24.0), course(0.0, 3, (0.0, 1.0, 2.0)))
    with pytest.raises(kapsim.InputError, match=r"shape \(3, 2\) does not fit 3 visits"):
        seen(Keyed(0, True), (0.0, 24.0, 48.0), course(0.0, 3, (0.0, 1.0)))


# --- a run with the error of ratings ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rated_run() -> Any:
    return kapsim.simulate("single_infusion", draws=60, seed=2, rating_error=True)


def test_a_run_holds_ratings_beside_the_expected_scores(rated_run: Any) -> None:
    hours, visits = rated_run["time"].values, rated_run["visit"].values
    assert visits[0] == 0.0
    assert visits[-1] == hours[-1]
    assert {4.0, 24.0, 168.0} <= set(visits)
    for scale in SCALES:
        expected, rated = rated_run[scale], rated_run[f"{scale}_rated"]
        assert "expected" in expected.attrs["long_name"]
        assert "as rated" in rated.attrs["long_name"]
        assert rated.dims == ("patient", "visit")
        assert ((rated >= 0) & (rated <= maximum(scale))).all()
        at = [int(np.argmin(np.abs(hours - visit))) for visit in visits]
        apart = rated.values - expected.values[:, at]
        # the error as it should be, but for ratings at the floor
        inside = (expected.values[:, at] > 4 * rating_error(scale).sd).all(axis=1)
        if inside.sum() > 20:
            course = own_course(scale)
            wandered = 2 * course.sd**2 * (1 - np.exp(-visits[1:] / course.tau)).mean()
            width = apart[inside][:, 1:].std()
            assert width == pytest.approx(math.sqrt(rating_error(scale).sd ** 2 + wandered), rel=0.35), scale


def test_without_the_option_a_run_is_what_it_was_and_its_scores_carry_no_error() -> None:
    plain = kapsim.simulate("single_infusion", draws=12, seed=2)
    assert "visit" not in plain.dims
    assert not [name for name in plain.data_vars if str(name).endswith("_rated")]
    assert "rating_error" not in plain.attrs
    assert np.allclose(plain["madrs"].values[:, 0], plain["baseline_madrs"].values)


def test_ratings_of_a_run_do_not_depend_on_how_many_people_it_holds(rated_run: Any) -> None:
    few = kapsim.simulate("single_infusion", draws=10, seed=2, rating_error=True)
    for scale in SCALES:
        assert np.array_equal(few[f"{scale}_rated"].values, rated_run[f"{scale}_rated"].values[:10]), scale


def test_endpoints_are_counted_on_ratings_where_there_are_some(rated_run: Any) -> None:
    rated = rated_run["madrs_rated"].values
    day = int(np.argmin(np.abs(rated_run["visit"].values - 24.0)))
    found = kapsim.endpoints(rated_run)
    assert np.array_equal(found["madrs_change_24h"].values, rated[:, day] - rated[:, 0])
    assert np.array_equal(found["response_24h"].values, rated[:, day] <= 0.5 * rated[:, 0])
    assert np.array_equal(found["remission_end"].values, rated[:, -1] <= 10)
    expected = kapsim.endpoints(rated_run.drop_vars([f"{scale}_rated" for scale in SCALES]))
    assert not np.array_equal(expected["madrs_change_24h"].values, found["madrs_change_24h"].values)
    assert np.array_equal(expected["peak_cadss"].values, found["peak_cadss"].values)


def test_a_run_with_ratings_is_of_people_who_came_in_by_one(rated_run: Any, tmp_path: Any) -> None:
    _, entry = entered(PARAMETERS)
    many = kapsim.simulate("single_infusion", draws=60, seed=2)
    fall = many["baseline_madrs"].values.mean() - rated_run["baseline_madrs"].values.mean()
    assert fall == pytest.approx(entry.regression, abs=0.3)
    patient = tmp_path / "patient.yaml"
    patient.write_text("schema_version: 1\nbaseline: {scale: madrs, score: 31}\n", encoding="utf-8")
    known = kapsim.simulate("single_infusion", patient, draws=10, rating_error=True)
    # a score that is given is the expected one
    assert np.allclose(known["baseline_madrs"].values, 31.0)
    assert known["madrs_rated"].values[:, 0].std() > 1.0


def test_results_with_ratings_are_stored_and_read_back(rated_run: Any, tmp_path: Any) -> None:
    kapsim.save_results(rated_run, tmp_path / "results.nc")
    again = kapsim.load_results(tmp_path / "results.nc")
    assert np.array_equal(again["madrs_rated"].values, rated_run["madrs_rated"].values)
    one, other = kapsim.endpoints(rated_run), kapsim.endpoints(again)
    assert all(np.array_equal(one[name].values, other[name].values, equal_nan=True) for name in one)


def test_a_run_with_ratings_names_what_they_rest_on(rated_run: Any) -> None:
    used = json.loads(rated_run.attrs["parameters_used"])
    assert {"observation.rating.madrs", "observation.scatter.qids", "observation.enrolment.distance"} <= set(used)
    assert not [name for name in used if name.startswith(("observation.dropout", "observation.noise"))]
    assert len(used) == len(set(used))


def test_the_command_line_rates_where_asked_and_says_so(capsys: Any) -> None:
    shown = {}
    for more in ((), ("--rating-error",)):
        assert main(["run", "single_infusion", "--draws", "10", "--json", *more]) == 0
        shown[more] = json.loads(capsys.readouterr().out)
    plain, rated = shown.values()
    assert "--rating-error" not in plain["provenance"]["command"]
    assert "--rating-error" in rated["provenance"]["command"].split()
    assert float(rated["endpoints"]["madrs_end"]["median"]) % 0.5 == 0.0
    assert plain["endpoints"]["peak_cadss"] == rated["endpoints"]["peak_cadss"]
    assert main(["run", "--events", "table.csv", "--rating-error"]) == 2
    assert "--rating-error goes with a protocol" in " ".join(capsys.readouterr().err.split())
