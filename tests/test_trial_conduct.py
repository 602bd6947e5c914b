"""Trials as they are conducted: nobody hangs on the others, and each thing that happens to people shows in the data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from kapsim.averaging import AVERAGE, variants_at
from kapsim.engine.grid import Resolution
from kapsim.errors import InputError
from kapsim.trial import solving
from kapsim.trial.conduct import Settings, conduct, under_control
from kapsim.trial.design import load_design
from kapsim.trial.draws import TrialDeviates, distinct
from kapsim.trial.endpoints import changes, outcome, period_changes, relapse_times, used
from kapsim.trial.recruits import draw, intake, unable_to_tell
from kapsim.trial.regimen import Fate, regimen
from kapsim.trial.solving import Chain, expected_scores
from kapsim.trial.table import COLUMNS, csv_bytes, parquet_bytes, table
from trials import PARALLEL, design, made_up

FOLDER = Path(__file__).parent.parent / "examples"


def same(first, second, rows, people):
    for name in ("group", "site", "stratum", "age", "weight", "female", "missed", "stopped_h", "rescued_h", "seen"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name)[rows, :people], err_msg=name)
    for scale, values in first.ratings.items():
        np.testing.assert_array_equal(values, second.ratings[scale][rows, :people], err_msg=scale)


@pytest.mark.parametrize(
    ("parameters", "variant"), [("fixed", "standard"), ("ensemble", "standard"), ("ensemble", AVERAGE)]
)
def test_a_replicate_is_the_same_whatever_is_computed_beside_it(parameters, variant):
    trial = design(
        sites="{count: 3, sd: 2.0}", stratify="[site, severity]", adherence="{missed: 0.2}",
        rescue="{from: 1 wk, at_least: 30}", population="trd_trial",
    )  # fmt: skip
    whole = conduct(trial, Settings(24, 5, parameters, variant), [0, 1, 2, 3])
    same(conduct(trial, Settings(24, 5, parameters, variant), [2]), whole, slice(2, 3), 24)
    same(conduct(trial, Settings(24, 5, parameters, variant), [3, 1]), whole, [3, 1], 24)
    # a smaller trial is the beginning of a larger one
    same(conduct(trial, Settings(10, 5, parameters, variant), [1]), whole, slice(1, 2), 10)
    same(whole.first(10), whole, slice(None), 10)
    other = conduct(trial, Settings(24, 6, parameters, variant), [2])
    assert not np.array_equal(other.age, whole.age[2:3])


def test_replicates_share_the_parameters_when_fixed_and_each_has_its_own_in_the_ensemble():
    who = intake(design())
    for parameters, count in (("fixed", 1), ("ensemble", 5)):
        people = draw(who, 0, np.arange(5), 4, parameters)
        assert len(np.unique(people.values["mind.tau_care"])) == count
        rows = people.values["mind.tau_care"].reshape(5, 4)
        np.testing.assert_array_equal(rows, np.repeat(rows[:, :1], 4, axis=1))


def test_under_the_average_each_replicate_has_a_variant_of_its_own():
    numbers = np.arange(6)
    names = variants_at(numbers)
    assert len(set(names)) > 1
    mixed = conduct(design(), Settings(10, 5, "fixed", AVERAGE), numbers)
    for number, name in zip(numbers, names, strict=True):
        alone = conduct(design(), Settings(10, 5, "fixed", name), [number])
        np.testing.assert_array_equal(mixed.age[[number]], alone.age)
        np.testing.assert_allclose(mixed.ratings["madrs"][[number]], alone.ratings["madrs"], atol=1.0, equal_nan=True)


def test_deviates_are_standard_normal_and_told_apart_by_purpose_replicate_and_person():
    keyed = TrialDeviates(3, np.repeat(np.arange(200), 50), np.tile(np.arange(50), 200), "fixed")
    first, second = keyed.normal("one", 10_000), keyed.normal("two", 10_000)
    assert abs(first.mean()) < 0.04
    assert abs(first.std() - 1.0) < 0.03
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    means = first.reshape(200, 50).mean(axis=1)
    assert means.std() * np.sqrt(50) == pytest.approx(1.0, abs=0.2)
    np.testing.assert_array_equal(keyed.of(np.array([777])).normal("one", 1), first[777:778])
    assert distinct(np.array([3, 3, 1, 2, 1])).tolist() == [3, 1, 2]


def test_arms_are_balanced_in_their_ratio_within_every_stratum():
    text = PARALLEL.replace("protocol: single_infusion}", "protocol: single_infusion, ratio: 2}")
    found = conduct(design(text, stratify="[sex]"), Settings(60, 1), [0, 1])
    for row in range(2):
        for stratum in (0, 1):
            arms = found.group[row][found.stratum[row] == stratum]
            blocks = len(arms) // 6
            assert abs(int((arms[: 6 * blocks] == 0).sum()) - 4 * blocks) == 0


def test_rated_severity_at_entry_is_that_of_the_recruits():
    trial = design(recruits="{age: 60 a, female: 0.9, baseline: {scale: madrs, mean: 31, sd: 4}}", dropout="none")
    found = conduct(trial, Settings(400, 2), [0])
    assert found.ratings["madrs"][..., 0].mean() == pytest.approx(31.0, abs=0.8)
    assert found.ratings["madrs"][..., 0].std() == pytest.approx(4.0, abs=0.6)
    assert found.female.mean() == pytest.approx(0.9, abs=0.05)
    assert found.age.mean() == pytest.approx(60.0, abs=3.0)


def test_sites_shift_later_ratings_and_not_those_at_entry():
    plain = conduct(design(sites="{count: 2}"), Settings(40, 3), [0])
    shifted = conduct(design(sites="{count: 2, sd: 8.0}"), Settings(40, 3), [0])
    np.testing.assert_array_equal(plain.ratings["madrs"][..., 0], shifted.ratings["madrs"][..., 0])
    moved = (shifted.ratings["madrs"] - plain.ratings["madrs"])[0, :, 1]
    by_site = [moved[plain.site[0] == number] for number in (0, 1)]
    assert all(np.ptp(part) <= 3.0 or (np.abs(part) > 0).any() for part in by_site)
    assert by_site[0].mean() != by_site[1].mean()


def test_the_drug_works_and_under_the_null_arms_get_the_same():
    trial = design(dropout="none")
    found = conduct(trial, Settings(200, 4), [0])
    change = changes(found, "madrs")[0, :, 0]
    assert change[found.group[0] == 0].mean() < change[found.group[0] == 1].mean() - 1.5
    null = conduct(under_control(trial), Settings(200, 4), [0])
    np.testing.assert_array_equal(null.group, found.group)
    control = found.group == 1
    np.testing.assert_array_equal(null.ratings["madrs"][control], found.ratings["madrs"][control])


def felt_and_not():
    """Scores of the same people where they can feel what they are given, and where they cannot."""
    people = draw(intake(design()), 0, np.arange(1), 64, "fixed")
    plan, chain = regimen(design(), Fate(0)), Chain("standard")
    return [expected_scores(plan, who, ["madrs"], chain)["madrs"] for who in (people, unable_to_tell(people))]


def test_who_cannot_feel_anything_has_less_of_the_difference_that_expectation_makes():
    felt, unfelt = felt_and_not()
    assert felt[:, 2].mean() < unfelt[:, 2].mean()
    np.testing.assert_array_equal(felt[:, 0], unfelt[:, 0])


def test_feeling_the_drug_is_worth_a_tenth_of_a_point():
    felt, unfelt = felt_and_not()
    assert felt[:, 2].mean() < unfelt[:, 2].mean() - 0.1


def test_scores_of_the_coarse_grid_are_those_of_the_fine_one():
    people = draw(intake(design()), 0, np.arange(1), 64, "ensemble")
    plan, chain = regimen(design(), Fate(0)), Chain("standard")
    coarse = expected_scores(plan, people, ["madrs", "hama"], chain)
    fine = expected_scores(plan, people, ["madrs", "hama"], chain, Resolution())
    for scale, values in coarse.items():
        assert np.abs(values - fine[scale]).max() < 0.1, scale


def test_a_solution_that_breaks_down_is_that_persons_and_stays_missing_with_a_flag(monkeypatch):
    real = solving.integrate

    def breaking(course, people, switches, **options):
        states, amounts = real(course, people, switches, **options)
        states[3:, :, people.keyed.person == 2] = np.nan
        return states, amounts

    monkeypatch.setattr(solving, "integrate", breaking)
    trial = design(dropout="none")
    broken = conduct(trial, Settings(12, 1), [0])
    monkeypatch.undo()
    sound = conduct(trial, Settings(12, 1), [0])
    assert broken.failed[0].tolist() == [person == 2 for person in range(12)]
    others = np.arange(12) != 2
    np.testing.assert_array_equal(broken.ratings["madrs"][0, others], sound.ratings["madrs"][0, others])
    rows = table(broken, 0)
    mine = [place for place, subject in enumerate(rows["SUBJID"]) if subject == 3 and rows["AVISITN"][place] > 0]
    assert {rows["DTYPE"][place] for place in mine} == {"SOLVER"}
    assert {rows["AVAL"][place] for place in mine} == {None}


def test_missed_visits_and_giving_up_come_as_often_as_the_design_says():
    text = PARALLEL.replace("single_infusion", "twice_weekly_infusions").replace("[24 h, 1 wk, 2 wk]", "[1 wk, 2 wk]")
    found = conduct(design(text, adherence="{missed: 0.25}", dropout="none"), Settings(160, 1), [0])
    treated = found.group == 0
    starts = len(regimen(found.trial, Fate(0)).dose_events())
    assert found.missed[treated].mean() == pytest.approx(0.25 * starts, abs=0.5)
    left = conduct(design(text, discontinuation="{weekly: 0.5}", dropout="none"), Settings(160, 1), [0])
    assert 0.2 < np.isfinite(left.stopped_h[treated]).mean() < 0.8
    worse = (
        left.ratings["madrs"][0, :, -1]
        - conduct(design(text, dropout="none"), Settings(160, 1), [0]).ratings["madrs"][0, :, -1]
    )
    stopped = np.isfinite(left.stopped_h[0]) & treated[0]
    assert worse[stopped].mean() > 0.3
    assert np.abs(worse[~stopped]).max() == 0.0


def test_rescue_follows_a_bad_rating_and_changes_only_what_comes_after():
    plain = conduct(design(dropout="none"), Settings(60, 1), [0])
    found = conduct(design(dropout="none", rescue="{from: 24 h, at_least: 32}"), Settings(60, 1), [0])
    due = plain.ratings["madrs"][0][:, 1:-1] >= 32
    np.testing.assert_array_equal(np.isfinite(found.rescued_h[0]), due.any(axis=1))
    first = np.where(due.any(axis=1), due.argmax(axis=1) + 1, 3)
    for person in range(60):
        before, after = found.ratings["madrs"][0, person], plain.ratings["madrs"][0, person]
        np.testing.assert_array_equal(before[: first[person] + 1], after[: first[person] + 1])
    rescued = np.isfinite(found.rescued_h[0])
    assert found.ratings["madrs"][0, rescued, -1].mean() < plain.ratings["madrs"][0, rescued, -1].mean()


def test_estimands_count_ratings_after_rescue_as_they_say():
    ratings = np.array([[[30.0, 28.0, 20.0, 10.0], [30.0, 20.0, 12.0, 8.0]]])
    group, hours = np.array([[0, 1]]), np.array([[24.0, np.inf]])
    rule = "{from: 24 h, at_least: 25, strategy: %s}"
    expected = {
        "treatment_policy": [-2.0, -10.0, -20.0],
        "hypothetical": [-2.0, np.nan, np.nan],
        "composite": [-2.0, 0.0, 0.0],
    }
    for strategy, values in expected.items():
        found = made_up(design(rescue=rule % strategy), ratings, group, rescued_h=hours)
        np.testing.assert_array_equal(changes(found, "madrs")[0, 0], values)
        np.testing.assert_array_equal(changes(found, "madrs")[0, 1], [-10.0, -18.0, -22.0])
        response = design(rescue=rule % strategy, primary="{scale: madrs, visit: 2 wk, measure: response}")
        yes = outcome(made_up(response, ratings, group, rescued_h=hours)).values[0, 0]
        assert np.isnan(yes) if strategy == "hypothetical" else yes == float(strategy == "treatment_policy")
        assert used(found)[0, 0].tolist() == [True, True, *[strategy == "treatment_policy"] * 2]


def test_who_is_lost_is_missing_in_a_change_and_no_responder():
    ratings = np.array([[[30.0, 10.0, 10.0, 10.0], [30.0, 10.0, 10.0, 10.0]]])
    seen = np.array([[[True, True, False, False], [True] * 4]])
    group = np.array([[0, 1]])
    assert np.isnan(outcome(made_up(design(), ratings, group, seen)).values[0, 0])
    response = design(primary="{scale: madrs, visit: 1 wk, measure: response}")
    assert outcome(made_up(response, ratings, group, seen)).values[0].tolist() == [0.0, 1.0]


def test_the_second_period_of_a_crossover_begins_where_a_person_stands():
    trial = load_design(FOLDER / "trial_crossover.yaml")
    found = conduct(trial, Settings(64, 1), [0])
    values, bases = period_changes(found)
    first = found.group[0] == 0
    np.testing.assert_array_equal(bases[0, :, 0], found.ratings["madrs"][0, :, 0])
    # after a dose two weeks ago people stand lower than at entry, after saline the less so
    fallen = bases[0, :, 1] - bases[0, :, 0]
    assert np.nanmean(fallen[first]) < 0.0
    here = np.isfinite(values[0]).all(axis=-1)
    gain = values[0, :, 0] - values[0, :, 1]
    assert gain[here & first].mean() < gain[here & ~first].mean()


def test_only_responders_of_the_run_in_are_randomised_and_followed_to_relapse():
    trial = load_design(FOLDER / "trial_withdrawal.yaml")
    found = conduct(trial, Settings(60, 1), [0])
    scores, chosen = found.ratings["madrs"][0], found.group[0] >= 0
    well = scores[:, 1] <= 0.5 * scores[:, 0]
    assert not (chosen & ~well).any()
    assert 5 < chosen.sum() < 60
    assert np.isnan(scores[~chosen, 2:]).all()
    time, event = relapse_times(found)
    assert np.isnan(time[0, ~chosen]).all()
    assert not event[0, ~chosen].any()
    for person in np.flatnonzero(event[0]):
        visit = found.hours.index(672.0 + time[0, person])
        assert scores[person, visit] >= 22.0
        assert (scores[person, 2:visit] < 22.0).all()


def test_a_data_set_has_a_row_for_each_person_scale_and_visit():
    trial = design(scales="[madrs, hama]", primary="{scale: madrs, visit: 1 wk}")
    found = conduct(trial, Settings(8, 1), [4])
    rows = table(found, 4)
    assert list(rows) == list(COLUMNS)
    assert {len(values) for values in rows.values()} == {8 * 2 * 4}
    assert len(set(zip(rows["USUBJID"], rows["PARAMCD"], rows["AVISITN"], strict=True))) == 8 * 2 * 4
    for place, value in enumerate(rows["AVAL"]):
        if rows["CHG"][place] is not None:
            assert rows["CHG"][place] == value - rows["BASE"][place]
        assert (value is None) == (rows["DTYPE"][place] in ("LOST", "SOLVER"))
    analysed = [place for place, flag in enumerate(rows["ANL01FL"]) if flag == "Y"]
    assert {rows["AVISIT"][place] for place in analysed} == {"Week 1"}
    assert {rows["PARAMCD"][place] for place in analysed} == {"MADRS"}
    assert len(analysed) == int(np.isfinite(outcome(found).values).sum())
    text = csv_bytes(rows).decode()
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert len(text.splitlines()) == 1 + 8 * 2 * 4
    with pytest.raises(InputError, match="replicate 5 is not among those conducted"):
        table(found, 5)


def test_the_parquet_file_holds_the_rows_of_the_csv():
    parquet = pytest.importorskip("pyarrow.parquet")
    import io

    rows = table(conduct(design(), Settings(8, 1), [0]), 0)
    content = parquet_bytes(rows)
    assert content == parquet_bytes(rows)
    back = parquet.read_table(io.BytesIO(content))
    assert back.column_names == list(COLUMNS)
    assert back.to_pydict() == rows
    assert back.schema.field("AVAL").metadata[b"description"].startswith(b"rating, points")


def test_people_of_a_population_differ_between_replicates_and_take_their_medicines():
    trial = dataclasses.replace(design(population="older_adults"))
    found = conduct(trial, Settings(20, 1), [0, 1])
    assert (found.age >= 60.0).all()
    assert not np.array_equal(found.age[0], found.age[1])


def test_a_trial_takes_the_kinetics_that_it_is_given():
    settings = Settings(40, 6)
    usual = conduct(design(), settings, [0])
    other = conduct(design(), dataclasses.replace(settings, kinetics="kamp2020"), [0])
    # who is in it does not hang on the kinetics, what the drug does to them does
    np.testing.assert_array_equal(usual.group, other.group)
    change = np.abs(usual.ratings["madrs"] - other.ratings["madrs"]).max()
    assert change > 0.0
    with pytest.raises(InputError, match="kinetics"):
        conduct(design(), dataclasses.replace(settings, kinetics="no_such"), [0])
