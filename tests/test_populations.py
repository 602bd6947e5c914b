"""Populations: what is drawn has the published figures, belongs together, and is nobody else's in another batch."""

from __future__ import annotations

import csv
import functools
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import kapsim
from kapsim.cli import main
from kapsim.errors import InputError
from kapsim.evidence import DATA, load_observed
from kapsim.patient import parse_patient
from kapsim.patient.sampling import Keyed, sample_people
from kapsim.population import (
    TRAITS,
    Population,
    check,
    load_population,
    named_populations,
    parse_population,
    read_table,
    reweighted,
    write_table,
)
from kapsim.population.body import completed
from kapsim.population.checking import VERDICTS
from kapsim.population.copula import implied, latent
from kapsim.population.laws import Law, law_of_mean, law_of_median, law_of_share
from kapsim.population.reweighting import LEAST_EFFECTIVE, balanced
from kapsim.population.schema import Target
from kapsim.population.table import parse_table, table_csv

NAMES = tuple(named_populations())
#: What chance may do to a statistic of drawn people, in its standard errors; one in two million tries is beyond.
CHANCE = 5.0

OWN = """\
schema_version: 1
name: own
title: Of my own
diagnosis: mdd
marginals:
  age: {law: normal, mean: 40 a, sd: 10 a, low: 18 a, high: 70 a, status: assumed, width: 2 a}
  female: {law: share, share: 0.6, status: assumed, width: 0.3}
  weight: {law: lognormal, mean: 80 kg, sd: 15 kg, status: measured, sources: [my records]}
  crp: {law: lognormal, median: 1.2 mg/L, log_sd: 1.1, status: assumed, width: 0.2}
correlations:
- {between: [age, weight], r: 0.3, status: assumed, width: 0.2}
- {between: [female, weight], r: -0.4, status: measured, sources: [my records], n: 120}
"""

TABLE = """\
id,weight [kg],age [a],sex,phq9 [points],benzodiazepine,crp [mg/L]
ann,70,40,female,15,yes,0.8
bob,90,51,.,20,no,NA
cem,120,.,male,.,.,
dan,64,33,male,9,no,5.5
"""


@pytest.fixture(scope="module")
def trial() -> Population:
    """The population of trials in resistant depression."""
    return load_population("trd_trial")


def own(text: str, folder: Path, name: str = "own.yaml") -> Path:
    """A file with this text."""
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two sets of columns are equal to the last bit."""
    return list(first) == list(second) and all(np.array_equal(first[name], second[name]) for name in first)


# --- laws ----------------------------------------------------------------------------------------------------------


@given(
    kind=st.sampled_from(["normal", "lognormal"]),
    mean=st.floats(1.0, 100.0),
    relative=st.floats(0.02, 0.5),
    below=st.floats(2.5, 8.0),
    above=st.floats(2.5, 8.0),
)
@settings(max_examples=60, deadline=None)
def test_a_truncated_law_has_the_moments_that_were_printed(
    kind: str, mean: float, relative: float, below: float, above: float
) -> None:
    sd = relative * mean
    low, high = mean - below * sd, mean + above * sd
    low = max(low, 1e-3 * mean) if kind == "lognormal" else low
    try:
        law = law_of_mean(kind, mean, sd, low, high)
    except InputError:
        # a long tail may not fit between narrow bounds; then it is said, not bent
        assert kind == "lognormal"
        return
    # not by the same formula: the values of evenly spread people
    shares = (np.arange(200_000) + 0.5) / 200_000
    from scipy.special import ndtri

    values = law.values(ndtri(shares))
    assert values.mean() == pytest.approx(mean, abs=2e-3 * sd)
    assert values.std() == pytest.approx(sd, rel=4e-3)
    assert low <= values.min()
    assert values.max() <= high
    assert (law.mean, law.sd) == pytest.approx((mean, sd), rel=1e-5)


@given(st.floats(-3, 3), st.sampled_from([law_of_mean("normal", 45, 13, 18, 85), law_of_median(1.3, 1.35, 0.05, 30)]))
def test_scores_undo_values(deviate: float, law: Law) -> None:
    assert law.scores(law.values(np.asarray([deviate])))[0] == pytest.approx(deviate, abs=1e-6)


def test_values_beyond_the_bounds_stand_far_out_and_stay_finite() -> None:
    law = law_of_mean("normal", 45, 13, 18, 85)
    assert law.scores(np.asarray([10.0, 18.0, 85.0, 300.0])).tolist() == [-5.0, -5.0, 5.0, 5.0]


@pytest.mark.parametrize(("mean", "sd", "low", "high"), [(20, 5, 25, 60), (45, 60, 18, 85), (45, -1, 18, 85)])
def test_laws_that_cannot_be_are_refused(mean: float, sd: float, low: float, high: float) -> None:
    with pytest.raises(InputError, match="other bounds"):
        law_of_mean("normal", mean, sd, low, high)


@given(st.floats(0.02, 0.98), st.floats(-2, 2))
@settings(max_examples=30, deadline=None)
def test_a_share_moves_with_its_log_odds(share: float, shift: float) -> None:
    deviates = np.random.Generator(np.random.Philox(1)).standard_normal(20_000)
    moved = law_of_share(share).values(deviates, np.full(20_000, shift)).mean()
    odds = share / (1 - share) * math.exp(shift)
    wanted = odds / (1 + odds)
    assert moved == pytest.approx(wanted, abs=CHANCE * math.sqrt(wanted * (1 - wanted) / 20_000) + 1e-3)


# --- traits together -----------------------------------------------------------------------------------------------

PAIRS = {
    "numbers": (law_of_mean("normal", 45, 13, 18, 85), law_of_median(1.3, 1.35, 0.05, 30)),
    "a number and a share": (law_of_share(0.65), law_of_mean("lognormal", 28, 5.8, 15, 60)),
    "two shares": (law_of_share(0.3), law_of_share(0.6)),
}


@given(pair=st.sampled_from(list(PAIRS)), correlation=st.floats(-0.45, 0.45))
@settings(max_examples=15, deadline=None)
def test_the_latent_correlation_gives_the_printed_one(pair: str, correlation: float) -> None:
    first, second = PAIRS[pair]
    rho = latent(first, second, correlation)
    assert implied(first, second, rho) == pytest.approx(correlation, abs=1e-6)
    assert latent(second, first, correlation) == pytest.approx(rho, abs=1e-6)
    # the less normal the laws, the further from each other
    assert abs(rho) >= abs(correlation) - 1e-6


def test_two_lognormal_laws_have_the_correlation_of_the_textbook() -> None:
    first, second = Law("lognormal", 0.3, 0.5, 0.0, math.inf), Law("lognormal", 1.0, 0.8, 0.0, math.inf)
    grown = math.expm1(0.4 * 0.5 * 0.8) / math.sqrt(math.expm1(0.25) * math.expm1(0.64))
    assert implied(first, second, 0.4) == pytest.approx(grown, rel=1e-6)


@pytest.mark.parametrize("pair", PAIRS)
def test_drawn_values_have_the_implied_correlation(pair: str) -> None:
    first, second = PAIRS[pair]
    random = np.random.Generator(np.random.Philox(7))
    one, other = random.standard_normal((2, 200_000))
    values = first.values(one), second.values(0.5 * one + math.sqrt(0.75) * other)
    assert np.corrcoef(*values)[0, 1] == pytest.approx(implied(first, second, 0.5), abs=CHANCE / math.sqrt(200_000))


def test_correlations_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="at most 0"):
        latent(law_of_share(0.02), law_of_share(0.9), 0.8)


# --- named populations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_named_population_has_what_was_published_of_it(name: str) -> None:
    found = check(load_population(name), 40_000, seed=11)
    assert found.n == 40_000
    for row in found.rows:
        assert row.verdict in VERDICTS
        if row.status == "assumed":
            assert row.verdict == "as assumed", row
        elif row.used and row.stated is not None:
            assert row.verdict in ("agrees", "within its error"), row
    for pair in found.pairs:
        assert pair.verdict in ("as assumed", "agrees"), pair
    assert sum(found.counts.values()) == len(found.rows) + len(found.pairs)


@functools.cache
def raw_records() -> dict[str, Any]:
    """Every record of the evidence as its file has it, by id."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = {}
    for path in [*DATA.glob("observed-*.yaml"), *DATA.glob("parameters-*.yaml")]:
        found.update({record["id"]: record for record in yaml.load(path.read_bytes(), Loader=loader)})
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_source_is_a_record_that_holds_the_figure(name: str) -> None:
    records = raw_records()
    file = load_population(name).file
    for trait, marginal in file.marginals.items():
        assert marginal.status == "assumed" or marginal.sources
        assert all(source in records for source in marginal.sources), (trait, marginal.sources)
        for figure in marginal.published:
            record = records[figure.source]
            told = set(re.findall(r"\d+(?:\.\d+)?", json.dumps(record)))
            value = figure.value if isinstance(figure.value, float) else figure.value.value
            shown = {f"{value:g}", f"{100 * value:g}", f"{float(value)}", f"{100 * value:.0f}"}
            count = None if figure.n is None else round(value * figure.n)
            # the share of women among four groups is not printed: a test of its own
            pooled = name == "older_adults" and figure.statistic == "share"
            assert told & shown or str(count) in told or pooled, (trait, figure, told)
    for item in file.correlations:
        assert item.status == "assumed" or all(source in records for source in item.sources)


def test_the_pooled_figures_of_older_adults_follow_from_the_four_groups() -> None:
    groups = [r for r in load_observed() if re.fullmatch(r"transform3\.(esk|pbo)\.(women|men)\.madrs", r.id)]
    assert len(groups) == 4
    # the sizes at baseline stand in the notes
    sizes = [int(re.search(r"n (\d+)\)", record.note or "")[1]) for record in groups]  # type: ignore[index]
    means = [record.group.baseline.mean or 0.0 for record in groups]
    spreads = [record.group.baseline.sd or 0.0 for record in groups]
    whole = sum(sizes)
    mean = sum(n * value for n, value in zip(sizes, means, strict=True)) / whole
    squares = sum((n - 1) * sd**2 + n * (value - mean) ** 2 for n, value, sd in zip(sizes, means, spreads, strict=True))
    file = load_population("older_adults").file
    madrs, women = file.marginals["madrs"], file.marginals["female"]
    assert madrs.mean is not None
    assert madrs.sd is not None
    assert madrs.mean.value == pytest.approx(mean, abs=0.01)
    assert madrs.sd.value == pytest.approx(math.sqrt(squares / (whole - 1)), abs=0.01)
    female = [n for n, record in zip(sizes, groups, strict=True) if record.group.female_fraction == 1]
    assert women.share == pytest.approx(sum(female) / whole, abs=0.005)


def test_bounds_hold_and_body_measures_belong_together() -> None:
    for name in NAMES:
        people = load_population(name).draw(5000, 3)
        for trait, values in people.items():
            assert np.all(np.isfinite(values))
            assert values.min() >= TRAITS[trait].low
            assert values.max() <= TRAITS[trait].high
            if TRAITS[trait].yes_no:
                assert set(np.unique(values)) <= {0.0, 1.0}
        assert people["weight"] == pytest.approx(people["bmi"] * people["height"] ** 2)
        if "episode" in people:
            assert np.all(people["episode"] <= 12.01 * people["age"])
    assert load_population("older_adults").draw(2000, 1)["age"].min() >= 65.0


# --- nobody else in another batch ----------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**40), first=st.integers(0, 3000), size=st.integers(1, 60), shared=st.sampled_from([None, 7])
)
@settings(max_examples=25, deadline=None)
def test_a_block_of_people_is_the_same_as_in_the_whole(seed: int, first: int, size: int, shared: int | None) -> None:
    population = load_population("trd_trial")
    whole = population.draw(first + size, seed, per_draw=shared)
    block = population.draw(size, seed, first, per_draw=shared)
    assert same({name: values[first:] for name, values in whole.items()}, block)


def test_rows_of_a_table_and_weighted_people_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    targets = {"age": Target.model_validate({"mean": "50 a"})}
    table = load_population(own(TABLE, tmp_path, "people.csv"))
    for population in (table, reweighted(load_population("trd_trial"), targets)):
        whole = population.draw(700, 5)
        parts = [population.draw(100, 5, first) for first in range(0, 700, 100)]
        assert same(whole, {name: np.concatenate([part[name] for part in parts]) for name in whole})
        assert not same(whole, population.draw(700, 6))


def test_another_trait_moves_nobody() -> None:
    population = load_population("trd_trial")
    fewer = {name: item for name, item in population.file.marginals.items() if name not in ("crp", "hama")}
    kept = tuple(item for item in population.file.correlations if not set(item.between) & {"crp", "hama"})
    smaller = replace(population, file=population.file.model_copy(update={"marginals": fewer, "correlations": kept}))
    before, after = population.draw(300, 9), smaller.draw(300, 9)
    assert all(np.allclose(before[name], after[name], rtol=1e-12) for name in ("age", "weight", "madrs", "female"))


def test_numbers_that_cannot_be_are_refused(trial: Population) -> None:
    for numbers in ((-1, 0, 0), (1, -1, 0), (1, 0, -1), (1, 2**63, 0)):
        with pytest.raises(InputError, match="cannot be"):
            trial.draw(*numbers)
    assert trial.draw(0, 1)["age"].shape == (0,)


# --- what is not known of the laws ---------------------------------------------------------------------------------


def test_widths_move_whole_draws_by_as_much_as_they_say(trial: Population) -> None:
    people = trial.draw(120_000, 4, per_draw=100)
    centres = people["hama"].reshape(-1, 100).mean(axis=1)
    expected = math.sqrt(2.0**2 + 6.0**2 / 100)
    # an SD of 1,200 numbers
    assert centres.std() == pytest.approx(expected, rel=CHANCE / math.sqrt(2 * 1200))
    # what is measured stays where it is
    centres = people["age"].reshape(-1, 100).mean(axis=1)
    assert centres.std() == pytest.approx(13.33 / 10.0, rel=CHANCE / math.sqrt(2 * 1200))
    # where the correlation of two traits is not known, it differs between draws by more than chance
    together = [
        np.corrcoef(a, b)[0, 1]
        for a, b in zip(people["madrs"].reshape(-1, 100), people["hama"].reshape(-1, 100), strict=True)
    ]
    alone = trial.draw(120_000, 4)
    steady = [
        np.corrcoef(a, b)[0, 1]
        for a, b in zip(alone["madrs"].reshape(-1, 100), alone["hama"].reshape(-1, 100), strict=True)
    ]
    assert np.std(together) > 1.5 * np.std(steady)


# --- given what is known -------------------------------------------------------------------------------------------


def test_people_drawn_given_something_are_those_who_have_it(trial: Population) -> None:
    everybody = trial.draw(150_000, 8)
    heavy = (np.abs(everybody["weight"] - 110.0) < 2.0) & (everybody["female"] == 1.0)
    known = trial.draw(4000, 9, given={"weight": 110.0, "female": 1.0})
    assert np.all(known["weight"] == 110.0)
    assert np.all(known["female"] == 1.0)
    for trait in ("bmi", "height", "crp", "age", "madrs", "benzodiazepine"):
        chosen = everybody[trait][heavy]
        error = math.hypot(chosen.std() / math.sqrt(len(chosen)), known[trait].std() / math.sqrt(4000))
        # the logarithm of the weight stands in for a truncated law
        assert known[trait].mean() == pytest.approx(chosen.mean(), abs=CHANCE * error + 0.01 * abs(chosen.mean())), (
            trait
        )


def test_a_known_side_of_a_share_tells_of_the_rest(trial: Population) -> None:
    everybody = trial.draw(60_000, 8)
    users = everybody["hama"][everybody["benzodiazepine"] == 1.0]
    known = trial.draw(20_000, 9, given={"benzodiazepine": 1.0})["hama"]
    assert known.mean() == pytest.approx(
        users.mean(), abs=CHANCE * 6.0 * math.hypot(1 / math.sqrt(len(users)), 1 / 141)
    )
    assert known.mean() > everybody["hama"].mean() + 0.5


def test_the_middle_is_the_median(trial: Population) -> None:
    people, middle = trial.draw(20_000, 1), trial.middle(3)
    heavy = trial.middle(1, given={"weight": 130.0})
    assert heavy["bmi"] == pytest.approx(130.0 / middle["height"][:1] ** 2)
    for trait, values in middle.items():
        assert values.shape == (3,)
        assert values[0] == values[2]
        if not TRAITS[trait].yes_no:
            assert values[0] == pytest.approx(np.median(people[trait]), rel=0.03)


# --- rows of covariates --------------------------------------------------------------------------------------------


def test_rows_are_kept_and_the_rest_is_drawn(tmp_path: Path) -> None:
    population = load_population(own(TABLE, tmp_path, "people.csv"), one_to_one=True)
    people = population.draw(4, 2)
    assert people["weight"].tolist() == [70, 90, 120, 64]
    assert people["age"][[0, 1, 3]].tolist() == [40, 51, 33]
    assert people["female"][[0, 2, 3]].tolist() == [1, 0, 0]
    assert people["benzodiazepine"][[0, 1, 3]].tolist() == [1, 0, 0]
    assert people["crp"][[0, 3]].tolist() == [0.8, 5.5]
    # a PHQ-9 as the MADRS that it stands for
    assert people["madrs"][0] == pytest.approx(kapsim.scales.to_madrs("phq9", 15))  # type: ignore[attr-defined]
    assert all(np.all(np.isfinite(values)) for values in people.values())
    assert population.diagnosis == "trd"
    with pytest.raises(InputError, match="holds 4 people"):
        population.draw(5, 2)


def test_one_person_is_a_table_too(tmp_path: Path) -> None:
    for one_to_one in (True, False):
        population = load_population(own("age [a],sex\n40,female\n", tmp_path, "one.csv"), one_to_one=one_to_one)
        found = check(population, 50)
        assert found.n == (1 if one_to_one else 50)
        assert [row.verdict for row in found.rows if row.trait == "age"] == ["agrees", "agrees"]
        from kapsim.report.population_page import population_html

        assert "one.csv" in population_html(found, population.draw(found.n, 0))


def test_rows_come_back_as_often_as_each_other(tmp_path: Path) -> None:
    population = load_population(own(TABLE, tmp_path, "people.csv"))
    weights = population.draw(20_000, 3)["weight"]
    for value in (70, 90, 120, 64):
        assert np.mean(weights == value) == pytest.approx(0.25, abs=CHANCE * math.sqrt(0.25 * 0.75 / 20_000))


@given(seed=st.integers(0, 1000), name=st.sampled_from(NAMES))
@settings(max_examples=12, deadline=None)
def test_a_written_table_reads_back_the_same(seed: int, name: str) -> None:
    people = load_population(name).draw(40, seed)
    table = parse_table(table_csv(people))
    assert list(table.columns) == list(people)
    assert same(table.columns, people)


def test_a_population_of_its_own_rows_is_the_same_people(trial: Population, tmp_path: Path) -> None:
    people = trial.draw(60, 2)
    write_table(people, tmp_path / "drawn.csv")
    again = load_population(tmp_path / "drawn.csv", one_to_one=True).draw(60, 99)
    assert same(people, again)
    assert all(row.verdict in ("agrees", "follows") for row in check(load_population(tmp_path / "drawn.csv")).rows)


def test_units_and_spaces_of_a_header(tmp_path: Path) -> None:
    table = read_table(
        own("\n weight [g] , age [mo],height [cm]\n70000,480,170\n\n80000,600,1.8e2\n", tmp_path, "a.csv")
    )
    assert table.columns["weight"] == pytest.approx([70, 80])
    assert table.columns["age"] == pytest.approx([40, 50])
    assert table.columns["height"] == pytest.approx([1.7, 1.8])
    assert completed(table.columns)["bmi"] == pytest.approx([70 / 1.7**2, 80 / 1.8**2])


HEADER = TABLE.splitlines()[0]
CSV_MISTAKES = [
    ("weight [kg]", "wieght [kg]", "1: wieght", "nearest valid column 'weight'"),
    ("weight [kg]", "weight", "1: weight", "write 'weight [kg]'"),
    ("weight [kg]", "weight [lb]", "1: weight", "unknown unit"),
    ("weight [kg]", "weight [L]", "1: weight", "a unit of volume, not of mass"),
    ("weight [kg]", "weight (kg)", "1: weight (kg)", "is no heading"),
    ("weight [kg]", "Weight [kg]", "1: Weight [kg]", "is no heading"),
    ("weight [kg]", "", "1: column 2", "is no heading"),
    ("weight [kg]", "age [mo]", "1: age", "stands twice"),
    ("weight [kg]", "madrs [points]", "1: phq9", "gives the same as column madrs"),
    ("sex", "sex [1]", "1: sex", "has no unit"),
    ("sex", "female", "1: female", "is no column"),
    ("phq9 [points]", "phq9 [%]", "1: phq9", "not of points"),
    ("ann,70", "ann,seventy", "2: weight", "is not a number"),
    ("ann,70", "ann,7", "2: weight", "at least 25 and at most 350"),
    ("ann,70", "ann,nan", "2: weight", "is not a number"),
    ("ann,70", "ann,inf", "2: weight", "is not a number"),
    ("ann,70", "ann," + "7" * 40, "2: weight", "is not a number"),
    ("ann,70", "ann,1e999", "2: weight", "is not a number"),
    ("70,40,", "70,12,", "2: age", "at least 18"),
    ("female", "f", "2: sex", "write female, male"),
    ("female,15", "female,28", "2: phq9", "runs from 0 to 27"),
    ("15,yes", "15,maybe", "2: benzodiazepine", "write yes, 1, no, 0"),
    ("0.8", "0", "2: crp", "more than 0"),
    ("0.8", "0.8,1", "2: (row)", "has 8 cells and the header 7"),
    ("dan,64,33,male,9,no,5.5", "dan,64", "5: (row)", "has 2 cells"),
    ("ann", '"ann', "2: (row)", "is not CSV"),
    ("ann,70", 'ann,"7"0', "2: (row)", "is not CSV"),
    (TABLE, "", "1: (header)", "is missing"),
    (TABLE, HEADER, "2: (row)", "no person follows"),
    (HEADER, "id", "1: (header)", "names no trait"),
    (HEADER, "id,id,age [a],sex,phq9 [points],benzodiazepine,crp [mg/L]", "1: id", "stands twice"),
]


@pytest.mark.parametrize(("right", "wrong", "place", "words"), CSV_MISTAKES)
def test_each_mistake_in_a_table_gives_one_line(right: str, wrong: str, place: str, words: str) -> None:
    assert right in TABLE
    with pytest.raises(InputError) as caught:
        parse_table(TABLE.replace(right, wrong, 1), source="people.csv")
    message = str(caught.value)
    assert message.startswith(f"people.csv:{place}: "), message
    assert words in message, message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("weight [kg],bmi [kg/m2]\n80,25\n200,11\n", "3: height", "would be 4.26 m"),
        ("weight [kg],height [m]\n30,2.2\n", "2: bmi", "would be 6.2 kg/m2"),
        ("weight [kg],height [m],bmi [kg/m2]\n80,1.8,24.7\n80,1.8,29\n", "3: bmi", "which give 24.69"),
        ("age [a],episode [a]\n40,2\n20,25\n", "3: episode", "longer than a life of 20 years"),
    ],
)
def test_numbers_of_a_person_must_belong_together(text: str, place: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_table(text, source="people.csv")
    assert str(caught.value).startswith(f"people.csv:{place}: ")
    assert words in str(caught.value)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a directory; give a CSV file"):
        read_table(tmp_path)
    (tmp_path / "binary.csv").write_bytes(b"age [a]\n40\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"binary\.csv:3: \(file\): is not text in UTF-8"):
        read_table(tmp_path / "binary.csv")


def test_size_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kapsim.population.table.MOST_ROWS", 3)
    with pytest.raises(InputError, match=r"5: .row.: is beyond 3 people"):
        parse_table(TABLE, source="people.csv")
    monkeypatch.setattr("kapsim.population.table.MOST_BYTES", 20)
    with pytest.raises(InputError, match="is over"):
        parse_table(TABLE, source="people.csv")


def tried(reading: Callable[[], Any]) -> tuple[Any, str]:
    """What a reader returns, or None and its error in words; any other error is a failure of the test."""
    try:
        return reading(), ""
    except InputError as error:
        return None, str(error)


PIECES = st.sampled_from(
    [",", "\n", '"', ".", "NA", "[", "]", "kg", "-1", "1e9", "\0", "é", "age [a]", "sex", "id", "70", "yes"]
)


@given(st.lists(st.tuples(st.integers(0, len(TABLE)), st.integers(0, 12), st.lists(PIECES, max_size=3)), max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_mangled_table_is_read_or_refused_in_one_line(changes: list[tuple[int, int, list[str]]]) -> None:
    text = TABLE
    for place, width, pieces in changes:
        text = text[:place] + "".join(pieces) + text[place + width :]
    table, message = tried(lambda: parse_table(text, source="people.csv"))
    if table is None:
        assert message.startswith("people.csv:"), message
        assert "\n" not in message
        return
    assert table.rows >= 1
    for trait, values in table.columns.items():
        known = values[~np.isnan(values)]
        assert np.all((known >= TRAITS[trait].low) & (known <= TRAITS[trait].high))


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert "\n" not in tried(lambda: parse_table(raw, source="people.csv"))[1]


# --- files of laws -------------------------------------------------------------------------------------------------


def test_a_file_of_laws_reads_back(tmp_path: Path) -> None:
    file = parse_population(OWN)
    assert parse_population(file.to_yaml()) == file
    population = load_population(own(OWN, tmp_path))
    assert population.traits == ("female", "age", "weight", "crp")
    people = population.draw(30_000, 1)
    assert people["weight"].mean() == pytest.approx(80, abs=CHANCE * 15 / math.sqrt(30_000))
    assert np.corrcoef(people["female"], people["weight"])[0, 1] == pytest.approx(-0.4, abs=CHANCE / math.sqrt(30_000))


YAML_MISTAKES = [
    ("title: Of my own", "tilte: Of my own", "3: tilte", "nearest valid key 'title'"),
    ("diagnosis: mdd\n", "", "1: diagnosis", "is missing"),
    ("diagnosis: mdd", "diagnosis: mddd", "4: diagnosis", "nearest valid value 'mdd'"),
    ("  weight: {", "  weihgt: {", "8: marginals.weihgt", "valid trait 'weight'"),
    ("law: normal", "law: gamma", "6: marginals.age.law", "not known here"),
    ("mean: 40 a", "mean: 40", "6: marginals.age.mean", "a number with its unit is needed"),
    ("mean: 40 a", "mean: 40 kg", "6: marginals.age.mean", "a quantity of mass, not of time"),
    ("mean: 40 a", "mean: 400 a", "6: marginals.age.mean", "runs from 18 to 110"),
    ("mean: 40 a, sd: 10 a", "mean: 40 a", "6: marginals.age.law", "needs mean and sd; found mean"),
    ("sd: 10 a", "sd: 0 a", "6: marginals.age.sd", "is no spread"),
    ("sd: 10 a", "sd: 50 a", "6: marginals.age", "give a smaller one, or other bounds"),
    ("low: 18 a, high: 70 a", "low: 70 a, high: 18 a", "6: marginals.age.low", "upside down"),
    ("status: assumed, width: 2 a", "status: assumed", "6: marginals.age.width", "needs a width"),
    ("width: 2 a", "width: 0 a", "6: marginals.age.width", "more than 0"),
    ("width: 2 a", "width: 2", "6: marginals.age.width", "a number with its unit is needed"),
    ("width: 0.3", "width: 0.3 a", "7: marginals.female.width", "a plain number"),
    ("share: 0.6", "share: 60", "7: marginals.female.share", "must be less than 1"),
    ("law: share, share: 0.6", "law: normal, mean: 3 a, sd: 1 a", "7: marginals.female.law", "does not fit female"),
    ("share: 0.6", "share: 0.6, low: 0 a", "7: marginals.female.low", "a share has no bounds"),
    (", sources: [my records]}", "}", "8: marginals.weight.sources", "needs sources"),
    ("log_sd: 1.1", "log_sd: 9", "9: marginals.crp.log_sd", "at most 4"),
    ("between: [age, weight]", "between: [age, bmi]", "11: correlations[0].between", "'bmi' has no marginal"),
    (
        "between: [age, weight]",
        "between: [age, wieght]",
        "11: correlations[0].between[1]",
        "nearest valid trait 'weight'",
    ),
    ("between: [age, weight]", "between: [age, age]", "11: correlations[0].between", "stands twice; name two"),
    ("between: [female, weight]", "between: [weight, age]", "12: correlations[1].between", "this pair stands twice"),
    ("r: 0.3", "r: 1.3", "11: correlations[0].r", "less than 1"),
    ("r: -0.4", "r: -0.95", "10: correlations", "at most -0"),
    ("diagnosis: mdd", "based_on: trd_trail", "4: based_on", "nearest valid name 'trd_trial'"),
    ("diagnosis: mdd", "diagnosis: mdd\ntargets: {age: {mean: 50 a}}", "5: targets", "name it with 'based_on"),
]


@pytest.mark.parametrize(("right", "wrong", "place", "words"), YAML_MISTAKES)
def test_each_mistake_in_a_file_of_laws_gives_one_line(
    right: str, wrong: str, place: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert right in OWN
    monkeypatch.chdir(tmp_path)
    own(OWN.replace(right, wrong, 1), tmp_path)
    with pytest.raises(InputError) as caught:
        load_population("own.yaml")
    message = str(caught.value)
    assert message.startswith(f"own.yaml:{place}: "), message
    assert words in message, message
    assert "\n" not in message


@given(
    st.lists(
        st.tuples(st.integers(0, len(OWN)), st.integers(0, 9), st.sampled_from(list("a0:-[]{}#\n ,'\""))), max_size=3
    )
)
@settings(max_examples=200, deadline=None)
def test_a_mangled_file_of_laws_is_read_or_refused_in_one_line(changes: list[tuple[int, int, str]]) -> None:
    text = OWN
    for place, width, piece in changes:
        text = text[:place] + piece + text[place + width :]
    found, message = tried(lambda: parse_population(text, source="own.yaml"))
    assert found is not None or message.startswith("own.yaml:"), message
    assert "\n" not in message


def test_correlations_must_hold_together(tmp_path: Path) -> None:
    text = OWN.replace(
        "correlations:\n",
        "correlations:\n"
        "- {between: [age, crp], r: 0.5, status: assumed, width: 0.1}\n"
        "- {between: [weight, crp], r: -0.5, status: assumed, width: 0.1}\n",
    ).replace("r: 0.3", "r: 0.8")
    with pytest.raises(InputError, match=r"own\.yaml:10: correlations: they cannot all hold together"):
        load_population(own(text, tmp_path))


def test_a_chain_of_files_that_never_ends_is_refused(tmp_path: Path) -> None:
    text = "schema_version: 1\nname: a\ntitle: A\nbased_on: own.yaml\n"
    with pytest.raises(InputError, match="chain of over") as caught:
        load_population(own(text, tmp_path))
    assert "\n" not in str(caught.value)


def test_what_a_file_does_not_say_it_inherits(tmp_path: Path) -> None:
    text = """\
schema_version: 1
name: younger
title: Younger people
based_on: trd_trial
marginals:
  age: {law: normal, mean: 25 a, sd: 4 a, low: 18 a, high: 35 a, status: assumed, width: 1 a}
correlations:
- {between: [bmi, age], r: 0.0, status: assumed, width: 0.05}
"""
    base, found = load_population("trd_trial"), load_population(own(text, tmp_path))
    assert (found.name, found.diagnosis, found.traits) == ("younger", "trd", base.traits)
    people = found.draw(4000, 1)
    assert people["age"].max() <= 35
    assert np.array_equal(people["female"], base.draw(4000, 1)["female"])
    assert len(found.file.correlations) == len(base.file.correlations)
    assert found.digest != base.digest


# --- reweighting ---------------------------------------------------------------------------------------------------


@given(mean=st.floats(40.0, 52.0), sd=st.floats(10.0, 14.5), share=st.floats(0.4, 0.8), bmi=st.floats(26.0, 30.0))
@settings(max_examples=10, deadline=None)
def test_reweighting_meets_its_targets(mean: float, sd: float, share: float, bmi: float) -> None:
    targets = {
        "age": Target.model_validate({"mean": f"{mean!r} a", "sd": f"{sd!r} a"}),
        "female": Target.model_validate({"share": share}),
        "bmi": Target.model_validate({"mean": f"{bmi!r} kg/m2"}),
    }
    found = reweighted(load_population("trd_trial"), targets)
    assert found.table is not None
    assert found.weights is not None
    weights, pool = found.weights, found.table.columns
    assert weights.sum() == pytest.approx(1.0)
    assert np.all(weights > 0.0)
    assert weights @ pool["age"] == pytest.approx(mean, abs=1e-4)
    assert math.sqrt(weights @ (pool["age"] - mean) ** 2) == pytest.approx(sd, abs=1e-4)
    assert weights @ pool["female"] == pytest.approx(share, abs=1e-5)
    assert weights @ pool["bmi"] == pytest.approx(bmi, abs=1e-4)
    assert found.effective_size == pytest.approx(1.0 / np.sum(weights**2))
    people = found.draw(8000, 3)
    assert people["age"].mean() == pytest.approx(mean, abs=CHANCE * sd / math.sqrt(8000))
    assert people["female"].mean() == pytest.approx(share, abs=CHANCE * 0.5 / math.sqrt(8000))


def test_of_all_weights_that_meet_a_share_the_nearest_are_equal_within_each_side() -> None:
    values = np.asarray([1.0, 1.0, 0.0, 0.0, 0.0])
    weights = balanced(values[None], np.asarray([0.7]), np.full(5, 0.2), ["a share"])
    assert weights == pytest.approx([0.35, 0.35, 0.1, 0.1, 0.1])


def test_what_is_met_already_is_left_alone() -> None:
    values = np.arange(11.0)
    weights = balanced(values[None], np.asarray([5.0]), np.full(11, 1 / 11), ["a mean"])
    assert weights == pytest.approx(np.full(11, 1 / 11))


REWEIGHTED = "schema_version: 1\nname: mine\ntitle: Mine\nbased_on: trd_trial\ntargets: {%s}\n"


@pytest.mark.parametrize(
    ("targets", "place", "words"),
    [
        ("age: {mean: 95 a}", "5: targets", "a mean age of 95 a is out of reach"),
        ("age: {mean: 78 a}", "5: targets", "would count, and at least 1000 must"),
        ("age: {mean: 40 a, sd: 60 a}", "5: targets", "is out of reach"),
        ("age: {mean: 20 a, sd: 30 a}", "5: targets", "cannot be had together"),
        ("age: {mean: 50 kg}", "5: targets.age.mean", "a quantity of mass"),
        ("age: {share: 0.5}", "5: targets.age", "needs a mean"),
        ("female: {mean: 50 a}", "5: targets.female", "needs a share"),
        ("female: {share: 0.5, sd: 1 a}", "5: targets.female.sd", "a share has no sd"),
        ("female: {}", "5: targets.female", "is needed"),
        ("agee: {mean: 50 a}", "5: targets.agee", "nearest valid trait 'age'"),
    ],
)
def test_targets_that_cannot_be_met_give_one_line(targets: str, place: str, words: str, tmp_path: Path) -> None:
    path = own(REWEIGHTED % targets, tmp_path, "mine.yaml")
    with pytest.raises(InputError) as caught:
        load_population(path)
    assert f"mine.yaml:{place}: " in str(caught.value), caught.value
    assert words in str(caught.value), caught.value
    assert "\n" not in str(caught.value)


def test_too_few_rows_are_not_reweighted(tmp_path: Path) -> None:
    own(TABLE, tmp_path, "people.csv")
    text = "schema_version: 1\nname: mine\ntitle: Mine\nbased_on: people.csv\ntargets: {weight: {mean: 80 kg}}\n"
    with pytest.raises(InputError, match=f"only 4 would count, and at least {LEAST_EFFECTIVE:.0f} must"):
        load_population(own(text, tmp_path))


def test_rows_of_covariates_are_reweighted(trial: Population, tmp_path: Path) -> None:
    write_table(trial.draw(400, 1), tmp_path / "people.csv")
    text = "schema_version: 1\nname: mine\ntitle: Mine\nbased_on: people.csv\ntargets: {age: {mean: 50 a}}\n"
    found = load_population(own(text, tmp_path))
    assert found.table is not None
    assert found.table.rows == 400
    assert found.draw(5000, 1)["age"].mean() == pytest.approx(50, abs=CHANCE * 13 / math.sqrt(5000))
    rows = [row for row in check(found, 5000).rows if row.status == "target"]
    assert [row.verdict for row in rows] == ["agrees"]
    with pytest.raises(InputError, match="has no rows to take one to one"):
        load_population(tmp_path / "own.yaml", one_to_one=True)


# --- runs ----------------------------------------------------------------------------------------------------------


def test_without_a_population_people_are_as_they_were() -> None:
    plain = sample_people(None, 40, 5)
    assert plain.covariates == {}
    given_back = {
        "weight": plain.body.weight,
        "age": plain.body.age,
        "female": plain.body.female,
        **{name: plain.values[f"patient.{name}"] for name in ("madrs", "hama", "crp", "episode")},
    }
    again = sample_people(None, 40, 5, covariates=given_back)  # type: ignore[arg-type]
    assert list(plain.values) == list(again.values)
    assert all(np.array_equal(plain.values[name], again.values[name]) for name in plain.values)
    assert all(np.array_equal(a, b) for a, b in zip(plain.traits, again.traits, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(plain.body, again.body, strict=True))


@pytest.fixture(scope="module")
def run(trial: Population) -> Any:
    """A run of the population of trials."""
    return kapsim.simulate("single_infusion", population=trial, draws=40, seed=3)


def test_a_run_without_a_population_says_nothing_of_one(run: Any) -> None:
    plain = kapsim.simulate("single_infusion", draws=40, seed=3)
    assert "population" not in plain.attrs
    assert set(run.coords) - set(plain.coords) == {
        "height", "bmi", "baseline_hama", "baseline_crp", "episode", "antidepressant", "benzodiazepine",
    }  # fmt: skip
    people = sample_people(None, 40, 3)
    assert np.array_equal(plain.weight.values, people.body.weight)
    # all that no trait touches is drawn as ever
    assert np.array_equal(run.parameter_draw.values, plain.parameter_draw.values)


def test_a_run_uses_the_traits_of_its_people(run: Any, trial: Population) -> None:
    people = trial.draw(40, 3, per_draw=10)
    for trait, name in (("weight", "weight"), ("age", "age"), ("female", "female"), ("madrs", "baseline_madrs")):
        assert run[name].values == pytest.approx(people[trait])
    assert run.ketamine_given.values == pytest.approx(0.5 * people["weight"])
    assert run.madrs.values[:, 0] == pytest.approx(people["madrs"], abs=1e-6)
    assert run.hama.values[:, 0] == pytest.approx(people["hama"], abs=1e-6)
    assert run.crp.values[:, 0] == pytest.approx(people["crp"], rel=1e-6)
    assert run.baseline_crp.attrs["units"] == "mg/L"
    about = json.loads(run.attrs["population"])
    assert (about["name"], about["sha256"]) == ("trd_trial", trial.digest)
    assert "clinical.bmi.trd.sustain2" in json.loads(run.attrs["records_used"])


def test_a_longer_episode_makes_belief_more_precise() -> None:
    both = sample_people(None, 20, 1, covariates={"episode": np.tile([2.0, 200.0], 10)})
    plain = sample_people(None, 20, 1, covariates={"episode": np.full(20, 14.14)})
    ratio = both.values["mind.precision"] / plain.values["mind.precision"]
    exponent = both.values["patient.chronicity"]
    assert ratio == pytest.approx((np.tile([2.0, 200.0], 10) / 14.14) ** exponent)


def test_only_those_who_take_a_benzodiazepine_are_blunted(trial: Population) -> None:
    from kapsim.population.medicines import with_own_medicines
    from kapsim.protocol import load_protocol, parse_protocol
    from kapsim.simulation import simulate_people

    protocol = load_protocol("single_infusion")
    takes = np.tile([0.0, 1.0], 20)
    people = replace(sample_people(None, 40, 2), covariates={"benzodiazepine": takes})
    nobody = replace(people, covariates={})
    some, none = (simulate_people(protocol, who, seed=2) for who in (people, nobody))
    given_to_all = parse_protocol(
        protocol.to_yaml().replace("doses:\n", "co_medication:\n- drug: benzodiazepine\ndoses:\n", 1)
    )
    everybody = simulate_people(given_to_all, nobody, seed=2)
    glutamate = [run.glutamate.max("time").values for run in (some, none, everybody)]
    assert glutamate[0][::2] == pytest.approx(glutamate[1][::2], rel=2e-3)
    assert glutamate[0][1::2] == pytest.approx(glutamate[2][1::2], rel=2e-3)
    assert np.all(np.abs(glutamate[0][1::2] - glutamate[1][1::2]) > 1e-5)
    assert glutamate[0][1::2].mean() < glutamate[1][1::2].mean()
    # a protocol that names it speaks for everybody
    assert with_own_medicines(given_to_all, people) == (given_to_all, people)
    assert with_own_medicines(protocol, nobody) == (protocol, nobody)


def test_what_a_patient_file_gives_goes_first() -> None:
    patient = parse_patient("schema_version: 1\nweight: 120 kg\nsex: female\n")
    found = kapsim.simulate("single_infusion", patient, population="trd_trial", draws=40, seed=3)
    assert np.all(found.weight.values == 120.0)
    assert np.all(found.female.values == 1)
    assert found.bmi.values == pytest.approx(120.0 / found.height.values**2)
    sick = parse_patient("schema_version: 1\ndiagnosis: trd\n")
    with pytest.raises(InputError, match="leave one of them out"):
        kapsim.simulate("single_infusion", sick, population="healthy", draws=10)


def test_the_typical_person_is_the_middle_of_the_population(trial: Population) -> None:
    found = kapsim.simulate("single_infusion", population=trial, draws=10, spread=False)
    assert np.all(found.weight.values == trial.middle(1)["weight"][0])
    assert np.all(found.baseline_madrs.values == pytest.approx(35.0, abs=0.1))


def test_applicability_is_that_of_the_population() -> None:
    from kapsim.applicability import Applicability

    found = kapsim.simulate("single_infusion", population="older_adults", draws=40, seed=1)
    sides = {side.name: side for side in Applicability.from_json(found.attrs["applicability"]).sides}
    assert re.fullmatch(r"7\d(\.\d)? years", sides["age"].value)
    assert load_population("healthy").typical.diagnosis == "healthy"
    assert load_population("healthy").typical.weight_kg == pytest.approx(73, abs=1)


def test_people_who_came_in_by_a_rating_are_truly_less_ill() -> None:
    found = kapsim.simulate("single_infusion", population="trd_trial", draws=40, seed=3, rating_error=True)
    plain = kapsim.simulate("single_infusion", population="trd_trial", draws=40, seed=3)
    assert found.baseline_madrs.mean() < plain.baseline_madrs.mean()
    population = load_population("trd_trial")
    from kapsim.evidence import load_parameters
    from kapsim.ratings.rated import Ratings
    from kapsim.recruiting import truly

    true, entry = truly(population, load_parameters())
    assert entry is not None
    severity = true.draw(20_000, 6)["madrs"]
    rated = Ratings(Keyed(6, True), 20_000, entry).at_entry("madrs", severity)
    assert rated.mean() == pytest.approx(35.0, abs=0.15)
    assert rated.std() == pytest.approx(5.18, abs=0.15)
    # clients of a clinic are not chosen by a score
    clinic = load_population("kap_clinic")
    assert truly(clinic, load_parameters()) == (clinic, None)


def test_results_of_a_population_are_saved_and_loaded(run: Any, tmp_path: Path) -> None:
    kapsim.save_results(run, tmp_path / "results.nc")
    again = kapsim.load_results(tmp_path / "results.nc")
    assert again.attrs["population"] == run.attrs["population"]
    assert np.array_equal(again.bmi.values, run.bmi.values)


# --- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_populations_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["populations"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(NAMES)
    assert main(["populations", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["populations"] == named_populations()


def test_a_population_is_shown_with_the_source_of_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["populations", "trd_trial", "--people", "4000", "--csv", "drawn.csv", "--html", "page.html"]) == 0
    shown = capsys.readouterr().out
    for words in ("clinical.bmi.trd.sustain2", "assumed, width 2", "agrees", "another study", "madrs and hama"):
        assert words in shown, words
    rows = list(csv.reader((folder / "drawn.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 4001
    assert rows[0][0] == "sex"
    assert sorted(item.name for item in folder.iterdir()) == ["drawn.csv", "page.html"]


def test_a_population_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["populations", "healthy", "--people", "2000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 2000
    assert set(found["counts"]) == set(VERDICTS)
    assert {"trait", "stated", "drawn", "drawn_error", "source", "verdict", "width"} <= set(found["rows"][0])
    assert len(found["matrix"]) == len(found["traits"])
    again = json.loads(json.dumps(check(load_population("healthy"), 2000).as_data()))
    assert found["rows"] == again["rows"]


def test_the_page_holds_every_figure_as_a_table_too() -> None:
    from kapsim.report.population_page import distribution_spec, marginal_rows, population_html
    from test_report import page_checks

    population = load_population("kap_clinic")
    found = check(population, 2000)
    people = population.draw(2000, 0)
    page = page_checks(population_html(found, people, command="kapsim populations kap_clinic"))
    words = " ".join(page.text.split())
    for row in marginal_rows(found):
        assert row["drawn"] in words
    assert words.count("as a table") == 2
    for trait in found.traits:
        assert TRAITS[trait].use in words
    axes = {name: axis for name, axis in distribution_spec(found, people)["layout"].items() if name.startswith("xaxis")}
    assert all(re.search(r"\([^()]+\)$", axis["title"]["text"]) for axis in axes.values())
    # on a narrow screen the page lays figures with such a strip out anew, in rows over one time axis
    assert "domain" not in distribution_spec(found, people)["layout"]["yaxis"]


def test_a_run_with_a_table_keeps_no_folder_and_gives_the_same_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own(TABLE, folder, "people.csv")
    arguments = ["run", "single_infusion", "--population", str(folder / "people.csv"), "--one-to-one", "--json"]
    assert main(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["provenance"]["draws"] == 4
    assert first["provenance"]["population"]["rows"] == 4
    command = first["provenance"]["command"]
    assert command.startswith("kapsim run single_infusion --population people.csv --one-to-one ")
    assert str(folder) not in json.dumps(first)
    assert main([*command.split()[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["populations", "trd_trail"], "nearest valid name 'trd_trial'"),
        (["populations", "missing.yaml"], "missing.yaml: no such file"),
        (["populations", "missing.csv"], "missing.csv: no such file"),
        (["populations", "trd_trial", "--people", "1"], "people: 1 is not between 20 and"),
        (["populations", "trd_trial", "--people", "9999999"], "is not between 20 and"),
        (["populations", "trd_trial", "--seed", "-1"], "with seed -1 cannot be"),
        (["populations", "trd_trial", "--one-to-one"], "has no rows to take one to one"),
        (["populations", "trd_trial", "--based-on", "healthy"], "--based-on goes with a CSV file"),
        (["populations", "trd_trial", "--html", "none/page.html"], "there is no folder 'none'"),
        (["run", "single_infusion", "--population", "trd_trail"], "nearest valid name 'trd_trial'"),
        (["run", "single_infusion", "--population", "bad.csv"], "bad.csv:2: age: 'old' is not a number"),
        (["run", "single_infusion", "--population", "bad.yaml"], "bad.yaml:1: title: is missing"),
        (["run", "single_infusion", "--population", "good.csv", "--based-on", "good.csv"], "holds rows itself"),
        (["run", "single_infusion", "--population", "good.csv", "--one-to-one", "--draws", "9"], "holds 2 people"),
        (["run", "single_infusion", "--population", "trd_trial", "--draws", "1000000000"], "draws: 1000000000 is not"),
        (["check", "bad.csv", "bad.yaml"], "'old' is not a number"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own("age [a]\nold\n", folder, "bad.csv")
    own("age [a]\n40\n50\n", folder, "good.csv")
    own("schema_version: 1\nname: bad\nbased_on: trd_trial\n", folder, "bad.yaml")
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert all(line.startswith("kapsim: error: ") for line in shown.err.splitlines())
    assert len(shown.err.splitlines()) == (2 if arguments[0] == "check" else 1)
    assert sorted(item.name for item in folder.iterdir()) == ["bad.csv", "bad.yaml", "good.csv"]


def test_check_tells_populations_and_covariates_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own(OWN, folder)
    own(TABLE, folder, "people.csv")
    assert main(["check", "own.yaml", "people.csv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "own.yaml: population own, right (traits: female, age, weight, crp)",
        "people.csv: covariates, right (people: 4, traits: female, age, weight, madrs, crp, benzodiazepine)",
    ]


def test_options_of_a_population_need_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "single_infusion", "--one-to-one"]) == 2
    assert "go with --population FILE.csv" in capsys.readouterr().err


# --- the page about them -------------------------------------------------------------------------------------------

DOCS = (Path(__file__).parent.parent / "docs" / "populations.md").read_text(encoding="utf-8")


def test_the_documented_files_are_right(tmp_path: Path) -> None:
    laws, targets = re.findall(r"```yaml\n(.*?)```", DOCS, re.S)
    assert load_population(own(laws, tmp_path)).traits == ("female", "age", "weight", "crp")
    assert load_population(own(targets, tmp_path)).effective_size == pytest.approx(11376, abs=1)
    rows = re.search(r"```\n(id,.*?)```", DOCS, re.S)
    assert rows is not None
    assert parse_table(rows[1]).rows == 2


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_names_every_population_and_trait(name: str) -> None:
    assert f"`{name}`" in DOCS
    assert all(f"`{trait}`" in DOCS for trait in TRAITS)
