"""What the whole must show, in the typical person and in the middle of a population: the patterns known of the drug.

These bounds are wide on purpose. A line that fails is a finding about the model, not a bound to be moved.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from kapsim.evidence import load_parameters
from kapsim.patient import parse_patient
from kapsim.protocol import load_protocol, parse_protocol
from kapsim.simulation import simulate

END_OF_INFUSION = 40.0 / 60.0
INFUSION = "{drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: 0 h}"
MEN_OF_70_KG = "schema_version: 1\nweight: 70 kg\nsex: male"
ANYBODY = "schema_version: 1"


@functools.cache
def run(
    dose: str = INFUSION, *more: str, horizon: str = "4 wk", variant: str = "standard", patient: str = ANYBODY
) -> Any:
    """Simulate the typical person; `more` are further lines of the protocol."""
    lines = ["schema_version: 1", "name: test", "title: test", f"horizon: {horizon}", f"doses: [{dose}]", *more]
    what, who = parse_protocol("\n".join(lines)), parse_patient(patient)
    return simulate(what, who, variant=variant, draws=1, spread=False)


@functools.cache
def named(name: str) -> Any:
    return simulate(load_protocol(name), draws=1, spread=False)


@functools.cache
def population() -> Any:
    """Fifty people of 70 kg, with everything that is not known and everything in which people differ."""
    return simulate(load_protocol("single_infusion"), parse_patient("schema_version: 1\nweight: 70 kg"), draws=50)


def course(dataset: Any, variable: str, hours: Any) -> np.ndarray:
    """Return a variable of each person at some hours, shape (patient, len(hours))."""
    times = dataset["time"].values
    return np.stack([np.interp(hours, times, values) for values in dataset[variable].values])


def at(dataset: Any, variable: str, hours: float) -> float:
    """Return the median over people at one time."""
    return float(np.median(course(dataset, variable, [hours])))


def peak(dataset: Any, variable: str) -> float:
    """Return the median over people of their highest value."""
    return float(np.median(dataset[variable].values.max(axis=1)))


def benefit(dataset: Any, hours: Any, variable: str = "madrs_momentary") -> np.ndarray:
    """Return the fall of a score below its start, in points, in the median person."""
    return np.median(course(dataset, variable, [0.0]) - course(dataset, variable, hours), axis=0)


PEOPLE = pytest.mark.parametrize("who", ["typical", "population"])


def people(who: str) -> Any:
    return run(patient=MEN_OF_70_KG) if who == "typical" else population()


# --- within hours ---------------------------------------------------------------------------------------------------


@PEOPLE
def test_venous_ketamine_at_the_end_of_an_infusion(who: str) -> None:
    assert 130.0 < at(people(who), "plasma_ketamine_venous", END_OF_INFUSION) < 250.0


@PEOPLE
def test_block_is_partial_at_an_antidepressant_dose(who: str) -> None:
    assert 0.10 < peak(people(who), "nmda_block") < 0.30


@PEOPLE
def test_dissociation_peaks_at_the_end_of_the_infusion(who: str) -> None:
    dataset = people(who)
    highest = dataset["time"].values[dataset["cadss"].values.argmax(axis=1)]
    assert abs(float(np.median(highest)) - END_OF_INFUSION) <= 10.0 / 60.0


@PEOPLE
def test_dissociation_is_over_two_hours_after_the_start_of_the_infusion(who: str) -> None:
    """Below a tenth of each person's own peak CADSS."""
    dataset = people(who)
    left = course(dataset, "cadss", [2.0])[:, 0] / dataset["cadss"].values.max(axis=1)
    assert float(np.median(left)) < 0.10


@PEOPLE
def test_pressure_rises_and_is_back_within_four_hours(who: str) -> None:
    dataset = people(who)
    assert peak(dataset, "systolic_pressure") > 5.0
    left = course(dataset, "systolic_pressure", [4.0])[:, 0] / dataset["systolic_pressure"].values.max(axis=1)
    assert float(np.median(left)) < 0.15


def test_an_anaesthetic_bolus_takes_consciousness_and_an_infusion_does_not() -> None:
    assert peak(named("anaesthetic_bolus"), "loss_of_consciousness") > 0.5
    assert peak(named("single_infusion"), "loss_of_consciousness") < 0.05
    assert peak(population(), "loss_of_consciousness") < 0.05


def test_saline_does_none_of_this() -> None:
    saline = named("saline_infusion")
    for variable in (
        "plasma_ketamine_venous",
        "nmda_block",
        "cadss",
        "sedation",
        "loss_of_consciousness",
        "nausea",
        "systolic_pressure",
        "diastolic_pressure",
        "mean_arterial_pressure",
        "heart_rate",
        "cardiac_output",
        "plasticity_window",
    ):
        assert np.abs(saline[variable].values).max() < 1e-9, variable
    for variable in ("glutamate", "pyramidal_rate", "bdnf", "spine_density"):
        values = saline[variable].values
        assert np.abs(values - values[:, :1]).max() < 1e-9, variable
    # whom it relieves by expectancy learns from that, and nobody gets worse
    assert (saline["rumination"].values - saline["rumination"].values[:, :1]).max() < 1e-9


def test_glutamate_is_an_inverted_u_over_dose() -> None:
    """At the end of the infusion: more with more drug at first, then less, and below rest when deeply anaesthetised.

    The highest level of the whole course is no inverted U: after a large dose concentrations pass the best one on the
    way down.
    """
    doses = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    levels = np.asarray([at(run(INFUSION.replace("0.5", f"{dose:g}")), "glutamate", END_OF_INFUSION) for dose in doses])
    top = int(levels.argmax())
    assert 0 < top < len(doses) - 1
    assert (np.diff(levels[: top + 1]) > 0.0).all()
    assert (np.diff(levels[top:]) < 0.0).all()
    rest = at(run(), "glutamate", 0.0)
    assert levels[top] > rest + 0.03
    assert levels[-1] < rest


# --- days to weeks after one dose -----------------------------------------------------------------------------------


@PEOPLE
def test_mood_is_better_within_four_hours(who: str) -> None:
    dataset = people(who)
    assert benefit(dataset, [4.0])[0] > 1.0
    assert benefit(dataset, [4.0], "madrs")[0] > 1.0


@PEOPLE
def test_the_effect_is_fullest_after_a_day_or_two(who: str) -> None:
    dataset = people(who)
    fullest = dataset["time"].values[dataset["madrs_momentary"].values.argmin(axis=1)]
    assert 12.0 <= float(np.median(fullest)) <= 48.0


def kept_at_day_14(who: str) -> float:
    """Return the part of the largest effect that is left."""
    hours = np.arange(0.0, 15.0 * 24.0, 4.0)
    gained = benefit(people(who), hours)
    return float(gained[hours == 336.0][0] / gained.max())


@PEOPLE
def test_some_of_the_effect_is_gone_by_day_14(who: str) -> None:
    assert 0.2 < kept_at_day_14(who) < 0.9


@PEOPLE
def test_half_of_the_effect_is_gone_by_day_14(who: str) -> None:
    assert kept_at_day_14(who) <= 0.5


def test_the_rated_course_follows_the_momentary_one() -> None:
    """A rating looks back, so it lags, but it tells the same story."""
    dataset = run()
    assert benefit(dataset, [24.0], "madrs")[0] > 5.0
    for hour in (72.0, 168.0, 336.0):
        assert benefit(dataset, [hour], "madrs")[0] >= benefit(dataset, [hour])[0]


@pytest.mark.xfail(strict=True, reason="a fifth is gone: expectancy, most of an open dose, stays for weeks")
def test_half_of_the_rated_effect_is_gone_by_day_14() -> None:
    dataset = run()
    assert benefit(dataset, [336.0], "madrs")[0] <= 0.5 * benefit(dataset, [24.0], "madrs")[0]


# --- therapy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["madrs", "madrs_momentary"])
@pytest.mark.parametrize(
    "day",
    [14, 28],
)
def test_training_in_the_window_makes_the_effect_last(score: str, day: int) -> None:
    alone, trained = named("single_infusion"), named("single_infusion_with_training")
    assert benefit(trained, [24.0 * day], score)[0] > benefit(alone, [24.0 * day], score)[0] + 1.0


def test_training_prolongs_more_than_it_deepens() -> None:
    alone, trained = (benefit(named(n), np.arange(0.0, 28.0 * 24.0, 4.0)) for n in NAMES)
    deepened = trained.max() / alone.max()
    prolonged = trained[84] / alone[84]  # day 14
    assert prolonged > deepened
    assert deepened < 1.5


@pytest.mark.xfail(strict=True, reason="1.1 times: without training, too, most of the effect is left by then")
def test_training_makes_half_as_much_again_last_to_day_14() -> None:
    alone, trained = (benefit(named(n), np.asarray([336.0])) for n in NAMES)
    assert trained[0] > 1.5 * alone[0]


NAMES = ("single_infusion", "single_infusion_with_training")


def test_sham_training_is_no_therapy() -> None:
    sham = "therapy: [{kind: sham_training, duration: 20 min, at: [24 h, 30 h, 48 h, 54 h]}]"
    nobody = "schema_version: 1\nexpectancy: 0"
    plain, trained = run(patient=nobody), run(INFUSION, sham, patient=nobody)
    hours = np.arange(0.0, 28.0 * 24.0, 8.0)
    # the sessions are further nodes of the grid, so the two runs differ by the error of their steps
    np.testing.assert_allclose(benefit(trained, hours), benefit(plain, hours), atol=0.02)


# --- expectancy -----------------------------------------------------------------------------------------------------


def test_expectancy_alone_is_all_that_is_left_of_expectancy_only() -> None:
    believing = run(variant="expectancy_only")
    assert benefit(believing, [24.0])[0] > 1.0
    indifferent = run(variant="expectancy_only", patient="schema_version: 1\nexpectancy: 0")
    for score in ("madrs", "madrs_momentary", "hama", "hama_momentary"):
        values = indifferent[score].values
        assert np.abs(values - values[:, :1]).max() < 1e-6, score


def test_expectancy_alone_is_less_than_an_open_dose() -> None:
    assert benefit(run(variant="expectancy_only"), [24.0])[0] < benefit(run(), [24.0])[0]


def test_expectancy_is_at_most_three_fifths_of_an_open_dose() -> None:
    assert benefit(run(variant="expectancy_only"), [24.0])[0] < 0.6 * benefit(run(), [24.0])[0]


def test_no_number_of_visits_makes_saline_as_convincing_as_the_drug() -> None:
    every = "{drug: saline, route: iv, amount: 0 mg/kg, duration: 40 min, every: 12 h, from: 0 h, until: 14 d}"
    believer = "schema_version: 1\nexpectancy: 0.6"
    saline = run(every, "masking: saline", patient=believer)["expectancy"].values
    once = run(INFUSION, "masking: saline", patient=believer)["expectancy"].values
    visit, blinded = (load_parameters()[f"mind.{name}"].value for name in ("visit_share", "credence_blinded"))
    level = 0.6 * (visit + (1.0 - visit) * blinded)
    assert 0.9 * level < saline.max() < level
    assert saline.max() < once.max() < 0.6


def test_drowsiness_convinces_of_ketamine_less_than_dissociation_does() -> None:
    believer = "schema_version: 1\nexpectancy: 0.6"
    drowsy = "{drug: midazolam, route: iv, amount: 0.045 mg/kg, duration: 40 min, at: 0 h}"
    nothing = "{drug: saline, route: iv, amount: 0 mg/kg, duration: 40 min, at: 0 h}"
    # one way of masking for all, so that only what is felt differs
    saline, midazolam, ketamine = (
        run(dose, "masking: midazolam", patient=believer)["expectancy"].values.max()
        for dose in (nothing, drowsy, INFUSION)
    )
    assert saline < midazolam < ketamine
    assert midazolam - saline < 0.5 * (ketamine - saline)


# --- repeated doses -------------------------------------------------------------------------------------------------


def test_repeated_doses_add_and_then_plateau() -> None:
    every = "{drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, every: 84 h, from: 0 h, until: 28 d}"
    dataset = run(every, horizon="6 wk")
    starts = np.arange(0.0, 28.0 * 24.0, 84.0)
    after_a_day = benefit(dataset, starts + 24.0)
    gains = np.diff(after_a_day)
    assert (gains[:3] > 0.0).all(), "the first doses add"
    assert gains[-1] < 0.15 * gains[0], "and the last hardly does"
    assert after_a_day[-1] > benefit(run(), [24.0])[0]


@pytest.mark.xfail(
    strict=True, reason="0.4 points: the limit that all relief shares leaves a second dose little to add"
)
def test_a_second_dose_adds_two_points() -> None:
    twice = "{drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, every: 84 h, from: 0 h, until: 85 h}"
    first, second = benefit(run(twice), np.asarray([24.0, 108.0]))
    assert second > first + 2.0


def test_dissociation_wears_off_over_repeated_doses() -> None:
    every = "{drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, every: 84 h, from: 0 h, until: 28 d}"
    dataset = run(every, horizon="6 wk")
    peaks = course(dataset, "cadss", np.arange(0.0, 28.0 * 24.0, 84.0) + END_OF_INFUSION)[0]
    assert (np.diff(peaks) < 0.01).all()
    assert peaks[-1] < peaks[0] - 0.5


# --- the window can harm --------------------------------------------------------------------------------------------


def harm(stress_at: str, days: float, *, dose: str = INFUSION, patient: str = ANYBODY) -> np.ndarray:
    """What a day of stress adds to belief, schema and MADRS, some days after it began."""
    stressor = f"stressors: [{{at: {stress_at}, duration: 24 h, intensity: 0.8}}]"
    stressed, spared = (run(dose, *more, horizon="5 wk", patient=patient) for more in ((stressor,), ()))
    begin = float(stress_at.split()[0]) * 24.0
    variables = ("negative_belief", "schema", "madrs_momentary")
    return np.asarray([at(stressed, v, begin + 24.0 * days) - at(spared, v, begin + 24.0 * days) for v in variables])


UNREACHED = "while relief is full a score lies near what no treatment reaches, and moves less than the belief behind it"


@pytest.mark.parametrize("days", [1.0, 3.0, 7.0])
def test_stress_in_the_window_does_more_harm_than_outside(days: float) -> None:
    inside, outside = harm("1 d", days), harm("21 d", days)
    assert (outside > 0.0).all()
    assert (inside[:2] > outside[:2]).all()


@pytest.mark.parametrize(
    "days", [*(pytest.param(days, marks=pytest.mark.xfail(strict=True, reason=UNREACHED)) for days in (1.0, 3.0)), 7.0]
)
def test_stress_in_the_window_raises_the_score_more_than_outside(days: float) -> None:
    assert harm("1 d", days)[2] > harm("21 d", days)[2]


@pytest.mark.xfail(
    strict=True, reason="belief and rumination do, the score 0.4 to 1.2 times: it lies near what no treatment reaches"
)
@pytest.mark.parametrize("days", [1.0, 3.0, 7.0])
def test_stress_in_the_window_does_half_as_much_again(days: float) -> None:
    assert (harm("1 d", days) > 1.5 * harm("21 d", days)).all()


def test_without_drug_or_expectancy_it_does_not_matter_when_stress_comes() -> None:
    saline = "{drug: saline, route: iv, amount: 0 mg, duration: 40 min, at: 0 h}"
    early, late = (harm(when, 7.0, dose=saline, patient="schema_version: 1\nexpectancy: 0") for when in ("1 d", "21 d"))
    # the two runs differ by the error of their steps
    np.testing.assert_allclose(early, late, rtol=1e-3)
