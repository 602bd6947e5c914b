"""Patterns of the clinical record: each rule on made-up answers, and every figure with a home in the evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kapsim.cli.application import main
from kapsim.errors import InputError
from kapsim.evidence import load_evidence, load_observed, load_parameters
from kapsim.report.patterns_page import COLUMNS, counts_text, pattern_rows
from kapsim.validation.arms import Arm, Want
from kapsim.validation.groups import DRAWS, PATIENTS, virtual_group
from kapsim.validation.patterns.courses import ELDERLY, OLDEST
from kapsim.validation.patterns.criteria import ORDER_SHARE, Criterion, Judged, Pattern, judge, verdict
from kapsim.validation.patterns.one_dose import FAVA_FULL, FAVA_HIGH, FAVA_LOW
from kapsim.validation.patterns.readings import Published, control_of, dosed, masked, typical
from kapsim.validation.patterns.run import Patterns, account, patterns, published, requests
from kapsim.validation.regimens import NotSimulableError
from kapsim.validation.subject import Ask, Figure

Array = NDArray[np.float64]
PARAMETERS = load_parameters()
EVIDENCE = load_evidence()
RECORDS = {record.id: record for record in load_observed()}
EXCLUDED = {14, 16}
GOLDEN = Path(__file__).parent / "golden" / "patterns_keys.json"
PAGE = Path(__file__).parents[1] / "docs" / "validation.md"
#: Severity before and its spread between people, points of the MADRS.
BEFORE, SD = 34.0, 5.0


@pytest.fixture(scope="module")
def known() -> Published:
    return published(PARAMETERS)


@pytest.fixture(scope="module")
def every(known: Published) -> dict[int, Pattern]:
    return {pattern.number: pattern for pattern in patterns(known)}


def never(arm: Arm, want: Want) -> Array:
    raise AssertionError(f"nothing should be asked of {arm.study}: {want}")


# --- the rules -------------------------------------------------------------------------------------------------------


def spread_around(mean: float, sd: float = SD, seed: int = 1) -> Array:
    """Return made-up people of every draw, each draw with the same mean and spread."""
    values = np.random.default_rng(seed).normal(size=(DRAWS, PATIENTS))
    values -= values.mean(axis=-1, keepdims=True)
    return np.asarray(mean + sd * values / values.std(axis=-1, keepdims=True))


def one(rule: Any, figure: Callable[[Ask], Figure], published: float = math.nan, n: int = 25) -> Judged:
    return judge(Pattern(1, "made up", (Criterion("it", rule, (), figure, "points", published, n),)), never, 0)


def mean_of(values: Array) -> Callable[[Ask], Figure]:
    return lambda ask: Figure((values,), lambda a: a.mean(axis=-1), "points", True, (0.0,))


@pytest.mark.parametrize(("errors", "holds"), [(0.0, True), (1.4, True), (-1.4, True), (2.1, False), (-2.1, False)])
def test_a_published_figure_is_held_against_what_a_study_of_its_size_would_report(errors: float, holds: bool) -> None:
    error = SD / math.sqrt(25)
    (part,) = one("inside", mean_of(spread_around(-10.0)), -10.0 + errors * error).parts
    assert part.holds == holds
    assert part.low is not None
    assert part.high is not None
    # 90 % of a normal error of that size
    assert part.high - part.low == pytest.approx(2 * 1.645 * error, rel=0.1)


@pytest.mark.parametrize(
    ("held", "holds"), [(1.0, True), (ORDER_SHARE, True), (ORDER_SHARE - 1 / DRAWS, False), (0.0, False)]
)
def test_an_order_holds_in_nine_draws_of_ten(held: float, holds: bool) -> None:
    sizes = np.where(np.arange(DRAWS) < round(held * DRAWS), 1.0, -1.0)
    (part,) = one("order", lambda ask: Figure((sizes,), lambda a: a, "points", True, (0.0,))).parts
    assert part.share == pytest.approx(held)
    assert part.holds == holds


def test_a_draw_without_a_size_does_not_show_an_order() -> None:
    sizes = np.where(np.arange(DRAWS) < DRAWS // 2, 1.0, np.nan)
    (part,) = one("order", lambda ask: Figure((sizes,), lambda a: a, "points", True, (0.0,))).parts
    assert part.share == pytest.approx(0.5)
    assert not part.holds


@pytest.mark.parametrize(("effect", "sign"), [(0.0, 0.0), (-0.4, 0.0), (-0.7, -1.0), (0.7, 1.0)])
def test_a_study_sees_what_its_size_lets_it_see(effect: float, sign: float) -> None:
    """Of 25 people an arm a difference of 0.55 standard deviations is detected at 5 %."""
    parts = spread_around(effect * SD), spread_around(0.0, seed=2)

    def figure(ask: Ask) -> Figure:
        return Figure(parts, lambda a, b: (a - b).mean(axis=-1), "sign", False, (0.0, 0.0))

    for wanted in (-1.0, 0.0, 1.0):
        (part,) = one("seen", figure, wanted).parts
        assert part.holds == (wanted == sign)


@pytest.mark.parametrize(
    ("holds", "wanted"),
    [([True, True], "met"), ([True, False], "partly"), ([False, False], "not met"), ([], "input, excluded")],
)
def test_a_verdict_weighs_no_part_above_another(holds: list[bool], wanted: str) -> None:
    assert verdict(holds) == wanted


def test_what_cannot_be_computed_does_not_hold_and_says_why() -> None:
    def refused(ask: Ask) -> Figure:
        raise NotSimulableError("its simulation failed")

    judged = one("inside", refused, 0.0)
    assert judged.verdict == "not met"
    assert judged.parts[0].reason == "its simulation failed"
    nobody = np.full((DRAWS, PATIENTS), np.nan)
    judged = one("inside", lambda ask: Figure((nobody,), lambda a: a[..., 0], "points", True, (0.0,)), 0.0)
    assert "nobody" in (judged.parts[0].reason or "")
    assert not judged.parts[0].holds


# --- the nineteen ----------------------------------------------------------------------------------------------------


def test_every_row_is_there_and_inputs_are_excluded(every: dict[int, Pattern]) -> None:
    assert list(every) == list(range(1, 20))
    assert {number for number, pattern in every.items() if not pattern.criteria} == EXCLUDED
    for number in EXCLUDED:
        assert judge(every[number], never, 0).verdict == "input, excluded"


def test_every_figure_stands_in_the_evidence(every: dict[int, Pattern]) -> None:
    for pattern in every.values():
        for criterion in pattern.criteria:
            assert criterion.cited
            for cited in criterion.cited:
                if cited.id in EVIDENCE:
                    assert cited.value == EVIDENCE[cited.id].value
                else:
                    points = [(p.time_h, p.value) for p in RECORDS[cited.id].points]
                    spreads = [p.sd for p in RECORDS[cited.id].points]
                    assert (cited.time_h, cited.value) in points or cited.value in spreads


def test_figures_held_against_are_the_cited_ones(every: dict[int, Pattern]) -> None:
    for pattern in every.values():
        for criterion in pattern.criteria:
            if criterion.rule == "inside" and len(criterion.cited) == 1:
                assert criterion.published == criterion.cited[0].value
            if criterion.rule == "seen":
                assert criterion.published in (-1.0, 0.0, 1.0)


def test_doses_and_ages_that_are_set_in_code_stand_in_the_words_of_their_records() -> None:
    note = RECORDS["fava2018.dose0p1.d"].note or ""
    assert f"{FAVA_FULL} (n=22) and {FAVA_HIGH} mg/kg (n=20) beat midazolam" in note
    assert f"{FAVA_LOW} (n=20) did not" in note
    assert f"age {OLDEST:.0f} and over" in EVIDENCE["clinical.modifier.age.esk_75plus"].quantity
    assert f"{ELDERLY:.0f} years and over" in RECORDS["transform3.diff"].study.population


def test_a_reference_must_name_one_figure(known: Published) -> None:
    assert known.value("wilkinson2018.ketamine.madrs@72") == RECORDS["wilkinson2018.ketamine.madrs"].points[3].value
    with pytest.raises(InputError, match="5 figures answer to it"):
        known.point("wilkinson2018.ketamine.madrs")
    with pytest.raises(InputError, match="0 figures answer to it"):
        known.point("wilkinson2018.ketamine.madrs@25")


def test_a_pool_carries_the_error_that_it_prints(known: Published) -> None:
    ratio = known.pool("r", "clinical.relapse.esk.hr_remitters", lambda ask: Figure((), lambda: 0.5, "log", True, ()))
    low, high = 0.29, 0.84
    assert ratio.figure(never).shared == pytest.approx(math.log(high / low) / (2 * 1.96), rel=1e-4)
    share = known.pool(
        "s", "clinical.effect.pooled_response.24h", lambda ask: Figure((), lambda: 0.5, "share", True, ())
    )
    assert share.figure(never).shared == 0.0
    assert share.n == 184
    with pytest.raises(InputError, match="of how many people"):
        known.pool("o", "clinical.effect.iv_single.onset_min", mean_of(spread_around(0.0)))


def test_arms_are_what_their_words_say(known: Published) -> None:
    own = known.arm("murrough2013a.ketamine.madrs")
    (dose,) = own.treatment.doses
    assert dosed(own, 1.0).treatment.doses[0].amount == 1.0
    assert control_of(own, "midazolam").treatment == known.arm("murrough2013a.midazolam.madrs").treatment
    assert masked(own, "saline").treatment.masking == "saline"
    usual = typical(known.arm("wilkinson2018.ketamine.madrs"), "pool")
    assert usual.group.madrs is None
    assert usual.group.chosen
    assert usual.treatment.doses[0].amount == dose.amount


def test_the_elderly_are_all_of_their_age(every: dict[int, Pattern], known: Published) -> None:
    ages = set()
    for arm in requests(known, [every[15]]):
        if arm.group.age is not None:
            people = virtual_group(arm.group, PARAMETERS, 0)
            assert np.ptp(people.body.age) == 0.0
            ages.add(float(people.body.age[0]))
    assert ages == {0.5 * (ELDERLY + OLDEST), OLDEST}


def test_all_that_is_judged_is_asked_for_beforehand(known: Published, every: dict[int, Pattern]) -> None:
    wanted = requests(known, list(every.values()))

    def ask(arm: Arm, want: Want) -> Array:
        assert want in wanted[arm]
        return np.ones((DRAWS, PATIENTS, max(len(want.hours), 1)))

    for pattern in every.values():
        judge(pattern, ask, 0)


# --- whole patterns on made-up answers -------------------------------------------------------------------------------


def trial(relief: Callable[[Arm], float], widening: Callable[[Arm], float] = lambda arm: 1.0) -> Ask:
    """Return answers in which every arm falls from `BEFORE` by its relief at once, people spread by `SD`."""

    def ask(arm: Arm, want: Want) -> Array:
        severity = spread_around(BEFORE, SD)
        after = spread_around(BEFORE - relief(arm), SD * widening(arm), seed=3)
        return np.stack([severity if hour <= 0.0 else after for hour in want.hours], axis=-1)

    return ask


def of_drug(arm: Arm) -> bool:
    return any(dose.amount > 0.0 for dose in arm.treatment.doses)


def amount(arm: Arm) -> float:
    return max(dose.amount for dose in arm.treatment.doses)


def test_the_dose_response_of_the_nose_is_met_by_the_published_means_alone(every: dict[int, Pattern]) -> None:
    means = {
        mg: -next(p.value for p in RECORDS[f"daly2018.{name}.p1.madrs"].points if p.time_h == 168.0)
        for mg, name in ((0.0, "placebo"), (28.0, "esk28"), (56.0, "esk56"), (84.0, "esk84"))
    }
    assert judge(every[12], trial(lambda arm: means[amount(arm)]), 0).verdict == "met"
    flat = judge(every[12], trial(lambda arm: means[56.0]), 0)
    assert flat.verdict == "partly"
    assert not flat.parts[-1].holds
    assert judge(every[12], trial(lambda arm: 40.0), 0).verdict == "not met"


def test_patients_must_split_and_not_shift(every: dict[int, Pattern]) -> None:
    def relief(arm: Arm) -> float:
        return 14.0 if of_drug(arm) else 4.0

    wide = judge(every[6], trial(relief, lambda arm: (12.3 if of_drug(arm) else 9.3) / SD), 0)
    assert wide.verdict == "met"
    assert judge(every[6], trial(relief), 0).verdict == "not met"


def test_twice_must_equal_thrice(every: dict[int, Pattern]) -> None:
    def times(arm: Arm) -> int:
        return len(arm.treatment.doses[0].at_h)

    alike = judge(every[8], trial(lambda arm: 18.0 if of_drug(arm) else 4.5, lambda arm: 2.0), 0)
    assert alike.verdict == "met"
    apart = judge(every[8], trial(lambda arm: 3.0 * times(arm) if of_drug(arm) else 4.5), 0)
    assert not apart.parts[-1].holds


# --- how they are shown -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made_up(every: dict[int, Pattern]) -> Patterns:
    """Return every pattern judged on answers in which any drug brings 14 points and any control 4."""
    ask = trial(lambda arm: 14.0 if of_drug(arm) else 4.0)
    judged = tuple(judge(pattern, ask, 0) for pattern in every.values())
    return Patterns(judged, (), {"seed": "0"})


def test_the_data_keep_their_keys(made_up: Patterns) -> None:
    found = json.loads(json.dumps(account(made_up), allow_nan=False))
    part = found["patterns"][1]["parts"][0]
    keys = {
        "keys": sorted(found),
        "pattern": sorted(found["patterns"][0]),
        "part": sorted(part),
        "cited": sorted(part["cited"][0]),
    }
    assert keys == json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert sum(found["counts"].values()) == 19
    assert [item["number"] for item in found["patterns"]] == list(range(1, 20))


def test_the_table_has_a_row_for_every_part_and_for_what_is_left_out(made_up: Patterns) -> None:
    rows = pattern_rows(made_up)
    assert all(list(row) and set(row) == {key for key, _ in COLUMNS} for row in rows)
    assert [row["number"] for row in rows if row["number"]] == [str(number) for number in range(1, 20)]
    assert len(rows) == sum(len(p.parts) + bool(p.left_out) for p in made_up.judged)
    by_number = {row["number"]: row for row in rows}
    for number in EXCLUDED:
        assert by_number[str(number)]["verdict"] == "input, excluded"
    assert "murrough2013a.ketamine.madrs" in by_number["2"]["evidence"]
    assert by_number["2"]["published"] == "−16.5 points"
    assert counts_text(made_up).endswith("2 are inputs and excluded.")


def test_every_verdict_can_come_of_the_made_up_answers(made_up: Patterns) -> None:
    assert {"met", "partly", "input, excluded"} <= set(made_up.counts)


def test_the_command_shows_and_writes_them(
    made_up: Patterns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def judged(**given: Any) -> Patterns:
        asked.update(given)
        return made_up

    monkeypatch.setattr("kapsim.validation.patterns.judge_patterns", judged)
    data, page = tmp_path / "p.json", tmp_path / "p.html"
    assert main(["validate", "--patterns", "--seed", "3", "--json", str(data), "--html", str(page)]) == 0
    assert asked["seed"] == 3
    shown = capsys.readouterr().out
    assert "Full size by 24 h" in shown
    assert counts_text(made_up) in shown
    assert json.loads(data.read_text(encoding="utf-8")) == account(made_up)
    text = page.read_text(encoding="utf-8")
    assert "Patients split, not shift" in text
    assert "clinical.control.d_vs_saline" in text


@pytest.mark.parametrize("given", [["--only", "plasma_iv"], ["--study", "Otto"]])
def test_patterns_choose_their_own_records(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--patterns", *given]) == 2
    error = capsys.readouterr().err
    assert f"leave {given[0]} out" in error
    assert error.count("\n") == 1


def test_the_page_holds_all_of_them() -> None:
    block = PAGE.read_text(encoding="utf-8").partition("<!-- patterns: begin -->")[2].partition("<!-- patterns: end")[0]
    rows = [line.split("|") for line in block.splitlines() if line.startswith("|")]
    assert [cell[1].strip() for cell in rows[2:] if cell[1].strip()] == [str(number) for number in range(1, 20)]
    assert block.strip().startswith("Of 17 patterns: ")
