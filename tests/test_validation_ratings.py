"""Ratings in validation: answers as rated, what studies share, and the spread of people beside what records print."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kapsim.evidence.schema import Point
from kapsim.patient import Patient
from kapsim.patient.sampling import People, sample_people
from kapsim.ratings.own_course import own_course
from kapsim.ratings.rated import Ratings
from kapsim.ratings.rating_error import SCALES, rating_error
from kapsim.scales import from_madrs
from kapsim.validation.arms import Answers, Arm, Settings, Want
from kapsim.validation.figures import Figure
from kapsim.validation.groups import GroupKey, enrolment, group_registry
from kapsim.validation.predictive import predict
from kapsim.validation.spreads import printed_spread, spread
from kapsim.validation.study_effect import own_scatter, scatter_of
from test_validation_figures import MOOD, PARAMETERS, RECORDS, Fake, asked, changed, placebo_of, subject
from test_validation_figures import ask as figure_of

TAU, OMEGA = (PARAMETERS[f"observation.mood.{part}_study"].value for part in ("between", "within"))
BOTH = math.hypot(TAU, OMEGA)
SHAPE = (4, 40)

# --- answers ----------------------------------------------------------------------------------------------------------


def few(group: GroupKey) -> People:
    patient = Patient(schema_version=1, diagnosis="trd" if group.depressed else "healthy")
    registry = group_registry(group, PARAMETERS)
    return sample_people(patient, SHAPE[0] * SHAPE[1], 3, per_draw=SHAPE[1], parameters=registry)


NOW, LATER = Want("madrs", "at", (0.0, 24.0, 168.0)), Want("qids", "at", (24.0,))


def answers(*arms: Arm, rating_error: bool = True) -> Answers:
    settings = Settings(PARAMETERS, seed=3, rating_error=rating_error)
    return Answers(settings, {arm: {NOW, LATER} for arm in arms}, people_of=few, shape=SHAPE)


@pytest.fixture(scope="module")
def arms() -> tuple[Arm, Arm]:
    own = subject(RECORDS[MOOD]).arm
    return own, placebo_of(own)


@pytest.fixture(scope="module")
def rated(arms: tuple[Arm, Arm]) -> Answers:
    return answers(*arms)


@pytest.fixture(scope="module")
def expected(arms: tuple[Arm, Arm]) -> Answers:
    return answers(*arms, rating_error=False)


def test_answers_are_what_raters_write_down(arms: tuple[Arm, Arm], rated: Answers, expected: Answers) -> None:
    own, _ = arms
    people, entry = few(own.group), enrolment(own.group, PARAMETERS)
    made = Ratings(people.keyed, people.size, entry, PARAMETERS)
    score, written = expected(own, NOW).reshape(-1, 3), rated(own, NOW).reshape(-1, 3)
    assert np.array_equal(written, np.round(written))
    assert not np.array_equal(score, np.round(score))
    assert np.array_equal(written[:, 0], made.at_entry("madrs", score[:, 0]))
    # the error is of the size of one rating, in another scale of that scale's own, and people go their own ways
    for want in (NOW, LATER):
        error = (rated(own, want) - expected(own, want))[..., -1]
        course = own_course(want.variable)
        wandered = course.sd * math.sqrt(2 * (1 - math.exp(-want.hours[-1] / course.tau)))
        assert error.std() == pytest.approx(math.hypot(rating_error(want.variable).sd, wandered), rel=0.2)
    assert expected(own, NOW)[..., 0] == pytest.approx(people.traits.madrs.reshape(SHAPE))


def test_the_arms_share_the_rating_at_entry_and_what_lasts_but_not_the_visit(
    arms: tuple[Arm, Arm], rated: Answers, expected: Answers
) -> None:
    own, other = arms
    assert np.array_equal(rated(own, NOW)[..., 0], rated(other, NOW)[..., 0])
    one, two = ((rated(arm, NOW) - expected(arm, NOW))[..., 2].ravel() for arm in arms)
    assert not np.array_equal(one, two)
    correlation = float(np.corrcoef(one, two)[0, 1])
    lasting = rating_error("madrs").lasting ** 2 / one.var()
    assert correlation == pytest.approx(lasting, abs=4 / math.sqrt(one.size))


# --- what studies share -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_a_mean_and_a_change_of_ratings_scatter_by_all_of_it(scale: str) -> None:
    size = math.hypot(*scatter_of(scale))
    for statistic, against in (("mean", None), ("change", "baseline")):
        record = asked(statistic, f"scale.{scale}", against=against, central="mean")
        found, _, _ = figure_of(record, Fake(low=6.0, high=14.0))
        assert found.shared == pytest.approx(size), statistic
    assert scatter_of("madrs") == (TAU, OMEGA)
    if scale in ("hdrs17", "phq9"):
        assert size == pytest.approx(BOTH * float(from_madrs(scale, np.asarray([30.0]))[0]) / 30.0)


def test_a_difference_between_arms_of_a_study_has_what_each_arm_has_for_itself() -> None:
    found, _, _ = figure_of(asked("difference", against="placebo", definition="symptoms"), Fake())
    assert found.shared == pytest.approx(math.sqrt(2) * OMEGA)
    effect, _, _ = figure_of(asked("standardised_difference", against="placebo", definition="symptoms"), Fake())
    assert effect.shared == pytest.approx(math.hypot(*own_scatter("effect")))
    record = asked("difference", against="placebo")
    sign = record.model_copy(update={"outcome": record.outcome.model_copy(update={"statistic": "sign"})})
    assert figure_of(sign, Fake())[0].shared == 0.0


def test_a_share_scatters_by_its_own_on_the_scale_of_logits() -> None:
    found, _, _ = figure_of(asked("response", unit="%", against=None), Fake())
    share = float(found.join(*found.parts).mean()) / 100
    assert 0.05 < share < 0.95
    size = 1e-3 * math.hypot(*own_scatter("share"))
    moved = 1 / (1 + math.exp(-math.log(share / (1 - share)) - size))
    assert found.shared == pytest.approx(1e5 * (moved - share), rel=1e-3)


def test_a_percent_change_is_a_ratio_and_moves_on_its_logarithm() -> None:
    fake = Fake()
    found, _, arm = figure_of(asked("percent_change", unit="%", against="baseline"), fake)
    level = fake.at(arm, "madrs", 24).mean(-1)
    ratios = [np.log((level + size) / (level - size)).mean() for size in (TAU, OMEGA)]
    assert found.shared == pytest.approx(0.5 * math.hypot(*ratios))


def test_other_observables_share_nothing_of_it() -> None:
    record = asked("change", "acute.cadss", against="baseline", central="mean")
    assert figure_of(record, Fake())[0].shared == 0.0


@pytest.mark.parametrize("likely", [0.0, 0.03, 0.5, 1.0])
def test_a_share_with_an_effect_of_its_study_stays_a_share(likely: float) -> None:
    rng = np.random.default_rng(0)
    counted = (rng.uniform(size=(40, 32)) < likely).astype(float)
    figure = Figure((counted,), lambda a: 100 * a.mean(axis=-1), "share", True, (0.0,))
    narrow = predict(figure, 200, 0, "key")
    wide = predict(figure._replace(shared=12.0), 200, 0, "key")
    assert 0.0 <= wide.low <= wide.high <= 100.0
    assert wide.high - wide.low > narrow.high - narrow.low + 5.0
    assert wide.sampling_sd == pytest.approx(math.hypot(narrow.sampling_sd, 12.0), rel=0.02)


# --- how people spread ------------------------------------------------------------------------------------------------


def point(**entries: Any) -> Point:
    return Point.model_validate({"time_h": 24, "value": -16.5, "n": 40, **entries})


def test_the_printed_spread_is_the_sd_or_that_of_the_standard_error() -> None:
    assert printed_spread(point(sd=11.0)) == 11.0
    assert printed_spread(point(se=1.6, n=47)) == pytest.approx(11.0, abs=0.05)
    assert printed_spread(point(se=1.6, n=None)) is None
    assert printed_spread(point(sd=0.0)) is None
    assert printed_spread(point(ci95=[-20.0, -13.0])) is None


def test_the_spread_of_a_change_is_that_of_the_changes() -> None:
    record, fake = changed(MOOD, points=[{"time_h": 24, "value": -16.5, "sd": 11.0, "n": 40}]), Fake(people=200)
    found, _, arm = figure_of(record, fake)
    around = spread(subject(record), record.points[0], found, 40, 0, "key")
    assert around is not None
    widths = (fake.at(arm, "madrs", 24) - fake.at(arm, "madrs", 0)).std(-1, ddof=1)
    assert around.observed == 11.0
    assert around.predicted == pytest.approx(float(np.exp(np.median(np.log(widths)))))
    # a standard deviation of 40 people has a relative error of about an eighth
    assert around.low < 0.92 * around.predicted < 1.08 * around.predicted < around.high
    assert around.high / around.low < 2.5
    mean = changed(MOOD, points=record.points, outcome={"statistic": "mean", "against": None})
    level, _, _ = figure_of(mean, fake)
    around = spread(subject(mean), mean.points[0], level, 40, 0, "key")
    assert around is not None
    widths = fake.at(arm, "madrs", 24).std(-1, ddof=1)
    assert around.predicted == pytest.approx(float(np.exp(np.median(np.log(widths)))))


def test_no_spread_where_none_is_printed_or_none_is_meant() -> None:
    record = asked("difference", against="placebo", definition="symptoms")
    found, _, _ = figure_of(record, Fake())
    assert spread(subject(record), point(sd=11.0), found, 40, 0, "key") is None
    record = changed(MOOD)
    found, _, _ = figure_of(record, Fake())
    assert spread(subject(record), point(), found, 40, 0, "key") is None
    assert spread(subject(record), point(sd=11.0), found, 1, 0, "key") is None
