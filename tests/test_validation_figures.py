"""From an observed record to the same figure of the model: its regimen, group, arms, figure and independence."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from kapsim.concentrations import NAMES
from kapsim.evidence import load_evidence, load_observed, load_parameters
from kapsim.evidence.schema import Group, ObservedRecord
from kapsim.evidence.vocabulary import OBSERVABLES, STATISTICS
from kapsim.protocol import Protocol
from kapsim.ratings.rated import Ratings
from kapsim.results import VARIABLES
from kapsim.scales import from_madrs, gad7_from_hama, to_madrs
from kapsim.validation import run as running
from kapsim.validation.arms import Arm, Settings, Want
from kapsim.validation.cases import people_per_arm, prepare
from kapsim.validation.domains import DOMAINS
from kapsim.validation.figures import Figure, Subject, figure, points_to_score
from kapsim.validation.groups import (
    DRAWS,
    PATIENTS,
    GroupKey,
    chosen_by_score,
    enrolment,
    group_key,
    virtual_group,
)
from kapsim.validation.independence import (
    INDEPENDENCE,
    fitted_studies,
    independence_of,
    parameters_from,
    record_study,
    source_studies,
    study_name,
)
from kapsim.validation.observables import MISSING, SIMULATED
from kapsim.validation.regimens import (
    NotSimulableError,
    Treatment,
    intravenous,
    masking_of,
    study_drugs,
    treatment,
    untreated,
    without_drug,
    without_interaction,
    without_therapy,
)

RECORDS = {record.id: record for record in load_observed()}
PARAMETERS = load_parameters()
CASES = {case.record.id: case for case in prepare(list(RECORDS.values()), PARAMETERS)}
HUMAN = [record for record in RECORDS.values() if record.group.diagnosis not in ("rodent", "primate")]

MOOD = "murrough2013a.ketamine.madrs"  # 0.5 mg/kg iv over 40 min, change of MADRS from baseline at 24 h
INTERACTION = "peltoniemi2012sjw.cmax"  # oral esketamine 0.3 mg/kg with St John's wort
WITHDRAWAL = "sustain1.esk.responders.hr"  # nasal esketamine from 16 weeks before randomisation


def changed(of: str, *, points: Any = None, **parts: dict[str, Any]) -> ObservedRecord:
    """Return a copy of a shipped record with other entries in some of its parts."""
    data = RECORDS[of].model_dump(by_alias=True, exclude_unset=True)
    for name, entries in parts.items():
        data[name] = {**data[name], **entries}
    if points is not None:
        data["points"] = points
    return ObservedRecord.model_validate(data)


def asked(statistic: str, observable: str = "scale.madrs", *, of: str = MOOD, **more: Any) -> ObservedRecord:
    """Return a record with one point of a statistic."""
    time, value = more.pop("time", 24), more.pop("value", 1)
    outcome = {"against": None, "definition": None, "central": None, "sampling": None, "unit": "points"}
    outcome |= {key: more.pop(key) for key in tuple(more) if key in outcome}
    return changed(
        of,
        points=[{"time_h": time, "value": value, "n": 20}],
        outcome={**outcome, "statistic": statistic, "observable": observable},
        **more,
    )


def doses(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual = {"drug": "ketamine", "route": "iv", "amount": 0.5, "unit": "mg/kg", "duration_min": 40, "at_h": [0]}
    return {"doses": [{**usual, **item} for item in items], **more}


class Fake:
    """Answers made up for each arm and variable: the same question gets the same answer, and no other does."""

    def __init__(self, low: float = 5.0, high: float = 45.0, draws: int = 3, people: int = 10) -> None:
        self.low, self.high, self.shape = low, high, (draws, people)
        self.calls: list[tuple[Arm, Want]] = []

    def __call__(self, arm: Arm, want: Want) -> Any:
        self.calls.append((arm, want))
        return np.stack([self.one(arm, want, hour) for hour in want.hours or (None,)], axis=-1)

    def one(self, arm: Arm, want: Want, hour: float | None) -> Any:
        hours = (float(hour or 0.0),) if want.how == "at" else tuple(map(float, want.hours))
        key = repr((arm, want.variable, want.how, hours))
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        return rng.uniform(self.low, self.high, self.shape)

    def at(self, arm: Arm, variable: str, hour: float) -> Any:
        return self(arm, Want(variable, "at", (float(hour),)))[..., 0]


def subject(record: ObservedRecord) -> Subject:
    return Subject(record, Arm("A 2020", group_key(record.group), treatment(record, "open")[0]))


def ask(record: ObservedRecord, fake: Any) -> tuple[Figure, Any, Arm]:
    """Return the figure of a record's first point, its value in each draw, and the record's own arm."""
    own = subject(record)
    found = figure(own, record.points[0], fake)
    return found, found.join(*found.parts), own.arm


def refused(record: ObservedRecord) -> str:
    with pytest.raises(NotSimulableError) as caught:
        ask(record, Fake())
    assert str(caught.value).strip()
    return str(caught.value)


# --- observables ------------------------------------------------------------------------------------------------------


def test_every_observable_is_simulated_or_missing_and_not_both() -> None:
    assert set(SIMULATED) | set(MISSING) == set(OBSERVABLES)
    assert not set(SIMULATED) & set(MISSING)
    assert all(reason.strip() for reason in MISSING.values())


def test_every_simulated_variable_exists() -> None:
    for name, observable in SIMULATED.items():
        if observable.variable.startswith("plasma_"):
            assert {f"{observable.variable}_{site}" for site in ("arterial", "venous")} <= set(NAMES), name
        else:
            assert observable.variable in VARIABLES, name
        assert observable.direction in (-1, 1)


def test_every_noise_parameter_exists_and_is_relative_or_in_the_unit_of_its_variable() -> None:
    for name, observable in SIMULATED.items():
        if observable.noise:
            assert observable.noise in PARAMETERS, name
            assert PARAMETERS[observable.noise].unit in ("1", VARIABLES[observable.variable][1]), name


# --- levels and changes -----------------------------------------------------------------------------------------------

CENTRALS: dict[str | None, Callable[[Any], Any]] = {
    "mean": lambda a: a.mean(axis=-1),
    "least_squares_mean": lambda a: a.mean(axis=-1),
    None: lambda a: a.mean(axis=-1),
    "median": lambda a: (np.sort(a, axis=-1)[:, 4] + np.sort(a, axis=-1)[:, 5]) / 2,
    "geometric_mean": lambda a: np.prod(a, axis=-1) ** 0.1,
}


@pytest.mark.parametrize("central", CENTRALS)
def test_a_level_is_averaged_as_its_record_says(central: str | None) -> None:
    fake = Fake()
    found, value, arm = ask(asked("mean", central=central), fake)
    assert np.allclose(value, CENTRALS[central](fake.at(arm, "madrs", 24)))
    assert (found.scale, found.noise) == ("points", (0.0,))


@pytest.mark.parametrize("central", CENTRALS)
@pytest.mark.parametrize(("sampling", "site"), [("arterial", "arterial"), ("venous", "venous"), (None, "venous")])
def test_a_concentration_is_of_the_vessel_it_was_drawn_from(central: Any, sampling: Any, site: str) -> None:
    fake = Fake()
    record = asked("mean", "plasma.s_ketamine", sampling=sampling, central=central, unit="ug/mL", time=2)
    found, value, arm = ask(record, fake)
    assert np.allclose(value, CENTRALS[central](fake.at(arm, f"plasma_s_ketamine_{site}", 2)) / 1000)
    assert found.scale == "log"
    assert found.relative
    assert found.noise == (PARAMETERS[f"pk.residual.ketamine_{site}"].value,)


@pytest.mark.parametrize("central", ["mean", "median"])
def test_a_change_is_of_each_person(central: str) -> None:
    fake = Fake()
    found, value, arm = ask(asked("change", against="baseline", central=central), fake)
    fall = fake.at(arm, "madrs", 24) - fake.at(arm, "madrs", 0)
    assert np.allclose(value, CENTRALS[central](fall))
    assert (found.scale, found.paired) == ("points", True)


def test_changes_in_percent_and_ratios_are_of_the_means() -> None:
    fake = Fake()
    percent, value, arm = ask(asked("percent_change", against="baseline", unit="%"), fake)
    ratio = fake.at(arm, "madrs", 24).mean(-1) / fake.at(arm, "madrs", 0).mean(-1)
    assert np.allclose(value, 100 * ratio - 100)
    assert percent.scale == "percent"
    found, value, _ = ask(asked("ratio_to_baseline", against="baseline", unit="1"), fake)
    assert np.allclose(value, ratio)
    assert found.scale == "log"
    _, value, arm = ask(asked("percent_change", "glutamate.gln_cycling", against="placebo", unit="%"), fake)
    other = subject(RECORDS[MOOD]).other(without_drug(arm.treatment, "placebo"))
    ratio = fake.at(arm, "glutamate", 24).mean(-1) / fake.at(other, "glutamate", 24).mean(-1)
    assert np.allclose(value, 100 * ratio - 100)


@pytest.mark.parametrize("name", ["sbp", "dbp", "map", "hr"])
def test_pressure_and_rate_are_changes_already(name: str) -> None:
    fake = Fake()
    variable = SIMULATED[f"acute.{name}"].variable
    found, value, arm = ask(
        asked("change", f"acute.{name}", against="baseline", unit=VARIABLES[variable][1], central="mean"), fake
    )
    assert np.allclose(value, fake.at(arm, variable, 24).mean(-1))
    assert not found.relative
    refused(asked("percent_change", f"acute.{name}", against="baseline", unit="%"))


def test_a_level_of_pressure_is_refused_because_the_model_has_its_change() -> None:
    refused(asked("mean", "acute.sbp", unit="mm[Hg]", central="mean"))


def test_cardiac_output_is_a_change_in_percent() -> None:
    fake = Fake()
    found, value, arm = ask(asked("percent_change", "acute.cardiac_output", against="baseline", unit="%"), fake)
    percent = fake.at(arm, "cardiac_output", 24)
    assert np.allclose(value, percent.mean(-1))
    assert found.scale == "percent"
    try:
        found, value, _ = ask(asked("ratio_to_baseline", "acute.cardiac_output", against="baseline", unit="1"), fake)
    except NotSimulableError:
        return
    assert np.allclose(value, 1 + percent.mean(-1) / 100)
    assert found.scale == "log"


@pytest.mark.parametrize(
    ("statistic", "observable", "unit", "against"),
    [
        ("mean", "immune.il6", "ng/mL", None),
        ("mean", "immune.tnf", "pg/mL", None),
        ("change", "immune.il6", "pg/mL", "baseline"),
        ("difference", "plasticity.bdnf_blood", "ng/mL", "placebo"),
        ("change", "acute.cardiac_output", "L/min", "baseline"),
    ],
)
def test_a_figure_in_a_unit_that_the_model_lacks_is_refused(
    statistic: str, observable: str, unit: str, against: str | None
) -> None:
    assert refused(asked(statistic, observable, unit=unit, against=against))


def test_every_scored_level_is_in_the_unit_of_the_model() -> None:
    wrong = [
        name
        for name, case in CASES.items()
        if case.subject is not None
        and case.frame.statistic in ("mean", "change", "difference")
        and not case.subject.observable.variable.startswith("plasma_")
        and case.frame.unit != VARIABLES[case.subject.observable.variable][1]
    ]
    assert wrong == []


# --- comparisons ------------------------------------------------------------------------------------------------------


def placebo_of(arm: Arm) -> Arm:
    return arm._replace(treatment=without_drug(arm.treatment, "placebo"))


@pytest.mark.parametrize(("definition", "sign"), [(None, 1), ("benefit positive; MADRS", -1)])
def test_a_difference_of_ratings_is_one_of_changes(definition: str | None, sign: int) -> None:
    fake = Fake()
    found, value, arm = ask(asked("difference", against="placebo", definition=definition), fake)
    other = placebo_of(arm)
    falls = [(fake.at(a, "madrs", 24) - fake.at(a, "madrs", 0)).mean(-1) for a in (arm, other)]
    assert np.allclose(value, sign * (falls[0] - falls[1]))
    assert (found.scale, found.paired) == ("points", False)


def test_a_difference_of_anything_else_is_one_of_levels() -> None:
    fake = Fake()
    _, value, arm = ask(asked("difference", "acute.cadss", against="placebo", time=0.667), fake)
    assert np.allclose(value, fake.at(arm, "cadss", 0.667).mean(-1) - fake.at(placebo_of(arm), "cadss", 0.667).mean(-1))


@pytest.mark.parametrize(("definition", "sign"), [(None, 1), ("Benefit positive; improvement", -1)])
@pytest.mark.parametrize("against", ["placebo", "before"])
def test_a_standardised_difference_is_over_the_pooled_spread(definition: Any, sign: int, against: str) -> None:
    fake = Fake()
    found, value, arm = ask(asked("standardised_difference", against=against, definition=definition, unit="1"), fake)
    a = fake.at(arm, "madrs", 24)
    b = fake.at(arm, "madrs", 0) if against == "before" else fake.at(placebo_of(arm), "madrs", 24)
    pooled = np.sqrt((((a.T - a.mean(-1)) ** 2).sum(0) + ((b.T - b.mean(-1)) ** 2).sum(0)) / 18)
    assert np.allclose(value, sign * (a.mean(-1) - b.mean(-1)) / pooled)
    assert found.scale == "effect"
    assert found.paired is (against == "before")


def test_a_crossover_compares_people_with_themselves() -> None:
    for design, paired in (("randomised double-blind crossover", True), ("randomised double-blind", False)):
        record = asked("difference", "acute.cadss", against="placebo", study={"design": design})
        assert ask(record, Fake())[0].paired is paired


def sign_record(observable: str, against: str = "baseline", definition: str | None = None) -> ObservedRecord:
    data = asked("change", observable, against=against, definition=definition, unit="1").model_dump(
        by_alias=True, exclude_unset=True
    )
    data["use"] = "qualitative"
    data["outcome"]["statistic"] = "sign"
    return ObservedRecord.model_validate(data)


@pytest.mark.parametrize(
    ("observable", "variable", "definition", "flip"),
    [
        ("plasticity.spine_density", "spine_density", None, 1),
        ("mind.self_association", "negative_belief", None, -1),
        ("scale.madrs", "madrs", "benefit positive; MADRS", -1),
        ("dmn.connectivity", "dmn_connectivity", None, 1),
    ],
)
def test_a_sign_is_of_the_mean_difference_in_the_direction_of_the_observable(
    observable: str, variable: str, definition: str | None, flip: int
) -> None:
    fake = Fake()
    found, value, arm = ask(sign_record(observable, definition=definition), fake)
    assert np.allclose(value, flip * (fake.at(arm, variable, 24) - fake.at(arm, variable, 0)).mean(-1))
    assert found.scale == "sign"
    assert found.paired


def test_a_percent_change_of_a_reversed_observable_never_has_the_wrong_sign() -> None:
    fake = Fake()
    for name, observable in SIMULATED.items():
        if observable.direction < 0:
            record = asked("percent_change", name, against="baseline", unit="%")
            try:
                _, value, arm = ask(record, fake)
            except NotSimulableError:
                continue
            rise = (fake.at(arm, observable.variable, 24) - fake.at(arm, observable.variable, 0)).mean(-1)
            assert np.array_equal(np.sign(value), -np.sign(rise)), name


def test_the_healthy_are_other_people_left_alone() -> None:
    fake = Fake()
    found, value, arm = ask(sign_record("dmn.connectivity", "healthy"), fake)
    (other,) = {one for one, _ in fake.calls if one != arm}
    assert not other.group.depressed
    assert (other.treatment.doses, other.treatment.therapy) == ((), ())
    assert not found.paired
    assert np.allclose(value, (fake.at(arm, "dmn_connectivity", 24) - fake.at(other, "dmn_connectivity", 24)).mean(-1))


def test_an_hour_is_the_same_arm_then() -> None:
    fake = Fake()
    _, value, arm = ask(asked("difference", "acute.cadss", against="2 h"), fake)
    assert np.allclose(value, (fake.at(arm, "cadss", 24) - fake.at(arm, "cadss", 2)).mean(-1))


def test_usual_care_is_the_same_course_without_therapy() -> None:
    fake = Fake()
    record = RECORDS["wilkinson2021.cbt.d_madrs"]
    found, value, arm = ask(record, fake)
    other = arm._replace(treatment=Treatment(arm.treatment.doses, (), arm.treatment.co_medication, "open"))
    a, b = fake.at(arm, "madrs", 2856), fake.at(other, "madrs", 2856)
    assert np.allclose(value, (b.mean(-1) - a.mean(-1)) / np.sqrt((a.var(-1, ddof=1) + b.var(-1, ddof=1)) / 2))
    assert found.scale == "effect"


# --- shares -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "counts"),
    [
        (None, lambda score, before: score <= 0.5 * before),
        ("at least 50 % fall", lambda score, before: score <= 0.5 * before),
        ("at least 30 % fall", lambda score, before: score <= 0.7 * before),
        ("total <= 12 and at least 50 % fall", lambda score, before: (score <= 12) & (score <= 0.5 * before)),
        ("total <= 20 and at least 30 % fall", lambda score, before: (score <= 20) & (score <= 0.7 * before)),
    ],
)
def test_a_response_is_counted_by_its_definition(definition: str | None, counts: Any) -> None:
    fake = Fake(people=60)
    found, value, arm = ask(asked("response", definition=definition, unit="%"), fake)
    expected = 100 * counts(fake.at(arm, "madrs", 24), fake.at(arm, "madrs", 0)).mean(-1)
    assert 0 < expected.min() < expected.max() < 100
    assert np.allclose(value, expected)
    assert found.scale == "share"
    _, value, _ = ask(asked("response", definition=definition, unit="1"), fake)
    assert np.allclose(value, expected / 100)


@pytest.mark.parametrize(
    "definition", ["at any visit of the two weeks", "over 35 % fall, in 2 weeks", "at least 50 % fall at any point"]
)
def test_a_response_at_any_visit_counts_each_visit_up_to_the_point(definition: str) -> None:
    fake = Fake(people=60)
    found, value, arm = ask(asked("response", definition=definition, unit="%", time=336), fake)
    (hours,) = {want.hours for one, want in fake.calls if one == arm and len(want.hours) > 1}
    assert min(hours) > 0
    assert max(hours) == 336
    assert {168, 336} <= set(hours)
    share = 0.35 if "35" in definition else 0.5
    before = fake.at(arm, "madrs", 0)
    ever = np.any([fake.at(arm, "madrs", hour) <= (1 - share) * before for hour in hours], axis=0)
    assert np.allclose(value, 100 * ever.mean(-1))
    assert found.parts[0].shape == (3, 60)


def test_every_shipped_response_at_any_time_is_looked_for_at_several_visits() -> None:
    wrong = []
    for name, case in CASES.items():
        if case.subject is None or "any" not in (case.record.outcome.definition or "").split():
            continue
        if case.frame.statistic != "response":
            continue
        fake = Fake()
        figure(case.subject, case.points[0], fake)
        if max(len(want.hours) for _, want in fake.calls) < 2:
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize(
    ("observable", "definition", "counts"),
    [
        ("madrs", None, lambda score: score <= 10),
        ("madrs", "total <= 12", lambda score: score <= 12),
        ("madrs", "total < 10", lambda score: score < 10),
        ("phq9", "total < 5", lambda score: score < 5),
        ("phq9", "total <= 5", lambda score: score <= 5),
        # 20 points of the HDRS-17 stand for 26 of the MADRS
        ("hdrs17", None, lambda score: score <= 10 * 20 / 26),
        ("hama", "total <= 7", lambda score: score <= 7),
    ],
)
def test_a_remission_is_a_total_at_or_below_its_cut(observable: str, definition: str | None, counts: Any) -> None:
    class Whole(Fake):
        def one(self, arm: Arm, want: Want, hour: float | None) -> Any:
            return np.floor(super().one(arm, want, hour))

    fake = Whole(low=0, high=20, people=200)
    _, value, arm = ask(asked("remission", f"scale.{observable}", definition=definition, unit="%"), fake)
    expected = 100 * counts(fake.at(arm, observable, 24)).mean(-1)
    assert 0 < expected.min() < 100
    assert np.allclose(value, expected)


@pytest.mark.parametrize("observable", ["hama", "gad7", "hdrs21", "hdrs24", "hdrs6"])
def test_a_remission_without_a_known_cut_is_refused(observable: str) -> None:
    assert "cut" in refused(asked("remission", f"scale.{observable}", unit="%"))


@pytest.mark.parametrize("observable", ["hdrs21", "hdrs24", "hdrs6"])
def test_a_cut_of_a_longer_or_shorter_form_is_not_held_against_the_form_of_17_items(observable: str) -> None:
    assert refused(asked("remission", f"scale.{observable}", definition="total <= 10", unit="%"))


def test_an_odds_ratio_has_half_a_person_more_on_either_side() -> None:
    fake = Fake()
    found, value, arm = ask(asked("odds_ratio", against="placebo", unit="1"), fake)
    expected = []
    for draw in range(3):
        odds = []
        for one in (arm, placebo_of(arm)):
            yes = sum(fake.at(one, "madrs", 24)[draw] <= 0.5 * fake.at(one, "madrs", 0)[draw])
            odds.append((yes + 0.5) / (10 - yes + 0.5))
        expected.append(odds[0] / odds[1])
    assert np.allclose(value, expected)
    assert (found.scale, found.paired) == ("log", False)
    refused(asked("odds_ratio", against="baseline", unit="1"))


# --- relapse ----------------------------------------------------------------------------------------------------------


class Course(Fake):
    """Scores of each person written out: at the start, at entry, then at weekly visits."""

    def __init__(self, rows: dict[bool, list[list[float]]], *, start: float, begin: float, variable: str = "madrs"):
        super().__init__()
        self.rows = {drug: np.asarray([given]) for drug, given in rows.items()}
        self.start, self.begin, self.variable = start, begin, variable

    def one(self, arm: Arm, want: Want, hour: float | None) -> Any:
        assert want.variable == self.variable
        assert hour is not None
        later = [d for d in arm.treatment.doses if max(d.at_h) > self.begin]
        drug = any(dose.amount > 0 for dose in later)
        rows = self.rows[drug if len(self.rows) > 1 else next(iter(self.rows))]
        week = (hour - self.begin) / 168
        column = 0 if hour == self.start else 1 + math.ceil(week - 1e-9)
        return rows[..., column]


def relapsing(statistic: str, time: float | None, **more: Any) -> ObservedRecord:
    return asked(statistic, of=WITHDRAWAL, time=time, **more)


#: start, entry, weeks 1 to 4: relapse at 22 or more, entry at half of the start or less
ROWS = [
    [40.0, 10.0, 10.0, 23.0, 10.0, 10.0],  # lost in week 2
    [40.0, 20.0, 21.9, 21.9, 21.9, 21.9],  # never lost
    [40.0, 21.0, 40.0, 40.0, 40.0, 40.0],  # never entered
    [30.0, 15.0, 22.0, 10.0, 10.0, 10.0],  # lost in week 1
    [30.0, 10.0, 10.0, 10.0, 10.0, 30.0],  # lost in week 4
]


def test_relapse_is_the_share_of_those_who_had_responded() -> None:
    fake = Course({True: ROWS}, start=-2688, begin=0)
    found, value, _ = ask(relapsing("relapse", 672, unit="%"), fake)
    assert value == pytest.approx([100 * 3 / 4])
    assert found.scale == "share"
    _, value, _ = ask(relapsing("relapse", 336, unit="%"), fake)
    assert value == pytest.approx([100 * 2 / 4])


def test_a_hazard_ratio_is_of_relapses_over_the_time_under_risk() -> None:
    calm = [[40.0, 10.0, *([10.0] * 200)] for _ in range(5)]
    wild = [[40.0, 10.0, 30.0, *([30.0] * 199)] for _ in range(4)] + [[40.0, 39.0, *([39.0] * 200)]]
    fake = Course({True: calm, False: wild}, start=-2688, begin=0)
    found, value, arm = ask(relapsing("hazard_ratio", 672, against="placebo", unit="1"), fake)
    # nobody of 5 lost in 4 weeks; 4 of 4 lost in week 1, who then are no longer at risk
    assert value == pytest.approx([(0.5 / (5 * 672)) / (4.5 / (4 * 168))])
    assert (found.scale, found.paired) == ("log", False)
    (other,) = {one for one, _ in fake.calls if one != arm}
    given = {(dose.drug, time) for dose in other.treatment.doses for time in dose.at_h}
    own = [time for dose in arm.treatment.doses for time in dose.at_h]
    assert given == {("esketamine" if time < 0 else "placebo_nasal", time) for time in own}


@pytest.mark.parametrize(
    ("weeks", "median"),
    [
        ([1, 2, 3], 2),
        ([1, 2, 3, 4], 2.5),
        ([1, 2, 3, None, None], 3),
        # half of them are lost in week 2, and the other half never
        ([1, 2, None, None], 2),
    ],
)
def test_the_median_time_is_that_by_which_half_are_lost(weeks: list[int | None], median: float) -> None:
    rows = [[40.0, 10.0, *(30.0 if week and k >= week else 10.0 for k in range(1, 5))] for week in weeks]
    rows.append([40.0, 39.0, *([39.0] * 4)])
    fake = Course({True: rows}, start=-2688, begin=0)
    found, value, _ = ask(relapsing("median_time", 672, unit="d"), fake)
    if median == 2.5:
        # by week 2 or, as some count, between weeks 2 and 3
        assert 14 <= value[0] <= 21
    else:
        assert value == pytest.approx([7 * median])
    assert found.scale == "log"


def test_where_fewer_than_half_are_lost_the_median_is_that_of_the_hazard() -> None:
    rows = [[40.0, 10.0, 10.0, 30.0, 30.0, 30.0], *([40.0, *([10.0] * 5)] for _ in range(4))]
    fake = Course({True: rows}, start=-2688, begin=0)
    _, value, _ = ask(relapsing("median_time", 672, unit="h"), fake)
    assert value == pytest.approx([math.log(2) * (336 + 4 * 672) / 1.5])


@pytest.mark.parametrize(
    ("statistic", "unit", "against"),
    [("relapse", "%", None), ("median_time", "d", None), ("hazard_ratio", "1", "placebo")],
)
def test_where_nobody_enters_a_phase_there_is_no_figure(statistic: str, unit: str, against: str | None) -> None:
    rows = [[40.0, 39.0, *([39.0] * 4)] for _ in range(5)]
    fake = Course({True: rows, False: rows}, start=-2688, begin=0)
    _, value, _ = ask(relapsing(statistic, 672, unit=unit, against=against), fake)
    assert np.isnan(value).all()


def test_still_in_response_is_counted_among_those_who_were() -> None:
    fake = Course({True: ROWS}, start=-408, begin=0, variable="phq9")
    record = RECORDS["mcinnes2022.ketamine.sustained"]
    own = subject(record)
    found = figure(own, record.points[0], fake)
    # at 672 h: 10, 21.9, (never entered), 10 and 30, against a cut of half the start
    assert found.join(*found.parts) == pytest.approx([100 * 2 / 4])
    assert found.scale == "share"


def test_relapse_without_a_length_or_on_another_scale_is_refused() -> None:
    assert "length" in refused(lengthless())
    refused(relapsing("relapse", 672, observable="acute.cadss", unit="%"))


def lengthless() -> ObservedRecord:
    data = RECORDS["sustain1.esk.remitters.relapse"].model_dump(by_alias=True, exclude_unset=True)
    data["points"] = [{"time_h": None, "value": 26.7, "n": 90}]
    data["use"] = "qualitative"
    return ObservedRecord.model_validate(data)


# --- exposure ---------------------------------------------------------------------------------------------------------


def exposure(statistic: str, *given: dict[str, Any], **more: Any) -> ObservedRecord:
    known = {"observable": "plasma.ketamine", "central": "geometric_mean", "unit": "ng/mL", "time": None}
    known |= more
    return asked(statistic, known.pop("observable"), regimen=doses(*(given or ({},))), **known)


def window_of(record: ObservedRecord) -> tuple[float, ...]:
    fake = Fake()
    ask(record, fake)
    ((_, want),) = fake.calls
    return want.hours


@pytest.mark.parametrize("central", ["mean", "median", "geometric_mean"])
def test_a_peak_is_averaged_over_people_and_converted(central: str) -> None:
    fake = Fake()
    found, value, arm = ask(exposure("cmax", central=central, unit="ug/mL", sampling="arterial"), fake)
    ((_, want),) = fake.calls
    assert (want.variable, want.how) == ("plasma_ketamine_arterial", "cmax")
    assert np.allclose(value, CENTRALS[central](fake(arm, want)[..., 0]) / 1000)
    assert found.scale == "log"
    assert found.noise == (PARAMETERS["pk.residual.ketamine_arterial"].value,)


def test_a_time_of_peak_has_no_noise_and_its_own_unit() -> None:
    fake = Fake()
    found, value, arm = ask(exposure("tmax", unit="min", observable="plasma.norketamine"), fake)
    ((_, want),) = fake.calls
    assert (want.variable, want.how) == ("plasma_norketamine_venous", "tmax")
    assert np.allclose(value, CENTRALS["geometric_mean"](fake(arm, want)[..., 0]) * 60)
    assert found.noise == (0.0,)


def test_a_peak_is_looked_for_in_the_occasion_it_belongs_to() -> None:
    low, high = window_of(exposure("cmax"))
    assert low == 0
    assert high > 40 / 60 + 12
    weekly = {"route": "im", "duration_min": 0, "at_h": [0, 72, 168]}
    assert window_of(exposure("cmax", weekly)) == (0, 72)
    assert window_of(exposure("cmax", weekly, time=72.5)) == (72, 168)
    low, high = window_of(exposure("cmax", weekly, time=169))
    assert low == 168
    assert high >= 180


def test_devices_minutes_apart_are_one_occasion() -> None:
    spray = {"drug": "esketamine", "route": "intranasal", "amount": 28, "unit": "mg", "duration_min": 0}
    low, high = window_of(exposure("cmax", {**spray, "at_h": [0, 0.083, 0.167]}, time=0.6))
    assert low == 0
    assert high > 12
    low, high = window_of(exposure("cmax", *({**spray, "at_h": [t]} for t in (0, 0.083, 72, 72.083)), time=72.6))
    assert (low, high > 84) == (72, True)


def test_the_peak_of_a_bolus_is_its_first_sample() -> None:
    assert window_of(exposure("cmax", {"duration_min": 0}, time=0.033))[0] == 0.033
    assert window_of(exposure("cmax", {"duration_min": 30}, time=0.033))[0] == 0


@pytest.mark.parametrize(("time", "end"), [(None, math.inf), (8, 8)])
def test_an_area_ends_where_its_record_says(time: float | None, end: float) -> None:
    fake = Fake()
    _, value, arm = ask(exposure("auc", unit="ng*h/mL", time=time), fake)
    want = Want("plasma_ketamine_venous", "auc", (end,))
    assert (arm, want) in fake.calls
    assert np.allclose(value, CENTRALS["geometric_mean"](fake(arm, want)[..., 0]))
    _, value, _ = ask(exposure("auc", unit="ug*min/mL", time=time), fake)
    assert np.allclose(value, CENTRALS["geometric_mean"](fake(arm, want)[..., 0]) * 60 / 1000)


GIVEN = [
    ([{}], lambda w: 0.5 * w),
    ([{"unit": "mg", "amount": 30}], lambda w: 30 + 0 * w),
    ([{"unit": "mg/kg/h", "amount": 0.4, "duration_min": 90}], lambda w: 0.6 * w),
    ([{"unit": "mg/h", "amount": 20, "duration_min": 120}], lambda w: 40 + 0 * w),
    ([{"at_h": [0, 48, 96]}, {"unit": "mg", "amount": 5, "at_h": [1]}], lambda w: 1.5 * w + 5),
    ([{}, {"drug": "midazolam", "amount": 0.045, "at_h": [30]}], lambda w: 0.5 * w),
]


@pytest.mark.parametrize(("given", "milligrams"), GIVEN)
def test_an_area_per_mg_is_over_all_that_was_given(given: Any, milligrams: Any) -> None:
    fake = Fake()
    _, value, arm = ask(exposure("auc", *given, unit="ng*h/mL/mg"), fake)
    weight = fake(arm, Want("weight", "trait"))[..., 0]
    area = fake(arm, Want("plasma_ketamine_venous", "auc", (math.inf,)))[..., 0]
    assert np.allclose(value, CENTRALS["geometric_mean"](area / milligrams(weight)))


@pytest.mark.parametrize(("given", "milligrams"), GIVEN)
def test_a_clearance_is_the_dose_over_the_area(given: Any, milligrams: Any) -> None:
    fake = Fake()
    _, value, arm = ask(exposure("clearance", *given, unit="L/h"), fake)
    weight = fake(arm, Want("weight", "trait"))[..., 0]
    area = fake(arm, Want("plasma_ketamine_venous", "auc", (math.inf,)))[..., 0]
    litres = milligrams(weight) * 1e6 / area / 1000
    assert np.allclose(value, CENTRALS["geometric_mean"](litres))
    _, value, _ = ask(exposure("clearance", *given, unit="mL/min/kg"), fake)
    assert np.allclose(value, CENTRALS["geometric_mean"](litres * 1000 / 60 / weight))


@pytest.mark.parametrize(
    ("drug", "observable", "share"),
    [
        ("ketamine", "s_ketamine", 0.5),
        ("ketamine", "r_ketamine", 0.5),
        ("esketamine", "s_ketamine", 1.0),
        ("arketamine", "r_ketamine", 1.0),
        ("esketamine", "ketamine", 1.0),
    ],
)
def test_the_clearance_of_an_enantiomer_is_of_its_share_of_the_dose(drug: str, observable: str, share: float) -> None:
    fake = Fake()
    record = exposure("clearance", {"drug": drug}, observable=f"plasma.{observable}", unit="L/h/kg")
    _, value, arm = ask(record, fake)
    area = fake(arm, Want(f"plasma_{observable}_venous", "auc", (math.inf,)))[..., 0]
    assert np.allclose(value, CENTRALS["geometric_mean"](share * 0.5 * 1e6 / area / 1000))


def test_a_half_life_is_in_its_own_unit_and_a_volume_is_clearance_over_its_rate() -> None:
    fake = Fake()
    _, value, arm = ask(exposure("half_life", unit="min"), fake)
    half_life = fake(arm, Want("plasma_ketamine_venous", "half_life"))[..., 0]
    assert np.allclose(value, CENTRALS["geometric_mean"](half_life * 60))
    _, value, _ = ask(exposure("volume", unit="L/kg"), fake)
    area = fake(arm, Want("plasma_ketamine_venous", "auc", (math.inf,)))[..., 0]
    assert np.allclose(value, CENTRALS["geometric_mean"](0.5 * 1e6 / area / 1000 * half_life / math.log(2)))


@pytest.mark.parametrize("central", ["mean", "geometric_mean"])
def test_bioavailability_is_the_area_over_that_of_the_same_amount_into_a_vein(central: str) -> None:
    fake = Fake()
    record = exposure(
        "bioavailability",
        {"route": "oral", "duration_min": 0},
        against="iv",
        unit="1",
        time=8,
        central=central,
    )
    found, value, arm = ask(record, fake)
    (other,) = {one for one, _ in fake.calls if one != arm}
    (dose,) = other.treatment.doses
    assert (dose.route, dose.amount, dose.unit, dose.drug, dose.at_h) == ("iv", 0.5, "mg/kg", "ketamine", (0,))
    want = Want("plasma_ketamine_venous", "auc", (8.0,))
    assert np.allclose(value, CENTRALS[central](fake(arm, want)[..., 0] / fake(other, want)[..., 0]))
    assert found.paired


@pytest.mark.parametrize("what", ["auc", "cmax"])
def test_an_interaction_is_the_ratio_of_the_same_people_with_and_without_it(what: str) -> None:
    fake = Fake()
    record = changed(INTERACTION, outcome={"definition": f"{what}, treatment over control"})
    found, value, arm = ask(record, fake)
    (other,) = {one for one, _ in fake.calls if one != arm}
    assert other == arm._replace(treatment=without_interaction(arm.treatment))
    assert (arm.treatment.co_medication, other.treatment.co_medication) == (("st_johns_wort",), ())
    (want,) = {want for _, want in fake.calls}
    assert want.how == what
    geometric = CENTRALS["geometric_mean"]
    assert np.allclose(value, geometric(fake(arm, want)[..., 0]) / geometric(fake(other, want)[..., 0]))
    assert (found.scale, found.paired) == ("log", True)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_every_missing_observable_is_refused_with_its_reason() -> None:
    for name, reason in MISSING.items():
        assert refused(sign_record(name)) == reason


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (lambda: asked("correlation", unit="1"), "correlation"),
        (lambda: asked("fraction", unit="%", definition="in an improving trajectory"), "in an improving trajectory"),
        (lambda: asked("response", unit="patients"), "patients"),
        (lambda: asked("difference", against="non_responders"), "non_responders"),
        (lambda: asked("mean", "mind.rumination"), "unit"),
        (lambda: asked("difference", "dmn.connectivity", against="placebo", unit="1"), "unit"),
        (lambda: exposure("auc", unit="ng/mL"), "unit"),
        (lambda: exposure("cmax", unit="nmol/L"), "unit"),
        (lambda: exposure("cmax", observable="scale.madrs", unit="points"), "concentrations"),
        (lambda: exposure("half_life", observable="immune.crp", unit="h"), "concentrations"),
        (
            lambda: exposure("clearance", {"unit": "ng/mL", "amount": 150, "duration_min": 60}, unit="L/h"),
            "target-controlled",
        ),
        (lambda: changed(INTERACTION, outcome={"definition": "half-life, treatment over control"}), "half-life"),
        (lambda: changed(INTERACTION, regimen={"with": []}), "interacting"),
    ],
)
def test_what_the_model_cannot_say_is_refused_with_a_reason(record: Any, says: str) -> None:
    assert says in refused(record())


def test_every_statistic_gives_a_figure_or_a_reason() -> None:
    for statistic in sorted(STATISTICS - {"sign"}):
        for observable in ("scale.madrs", "plasma.ketamine", "acute.cadss", "glutamate.glx_mrs", "scale.hama"):
            for against in ("baseline", "placebo", "elsewhere"):
                for unit in ("1", "%", "points", "ng/mL"):
                    try:
                        found, value, _ = ask(asked(statistic, observable, against=against, unit=unit), Fake())
                    except NotSimulableError:
                        continue
                    assert value.shape == (3,)
                    assert len(found.noise) == len(found.parts)


def test_only_points_after_time_zero_and_those_without_a_time_are_scored() -> None:
    record = changed(MOOD, points=[{"time_h": t, "value": -1, "n": 9} for t in (-1, 0, 0.5, 24)])
    assert [point.time_h for point in points_to_score(record.points)] == [0.5, 24]
    timeless = RECORDS[INTERACTION].points
    assert points_to_score(timeless) == list(timeless)


# --- regimens ---------------------------------------------------------------------------------------------------------


def simulable(record: ObservedRecord) -> bool:
    return (
        all(dose.drug not in ("endotoxin", "infliximab") for dose in record.regimen.doses)
        and all(dose.route not in ("rectal", "ip") for dose in record.regimen.doses)
        and not {"ect", "quetiapine"} & set(record.regimen.accompaniments)
    )


SIMULABLE = [record for record in HUMAN if simulable(record)]
#: One record for each regimen.
REGIMENS = list({repr(record.regimen): record for record in SIMULABLE}.values())


def test_what_the_model_has_no_word_for_is_refused() -> None:
    assert len(REGIMENS) > 60
    for record in RECORDS.values():
        if record not in SIMULABLE:
            with pytest.raises(NotSimulableError, match=r"\w"):
                treatment(record, "open")


def check_doses(record: ObservedRecord, protocol: Protocol, start: float) -> None:
    left = list(protocol.dose_events())
    for dose in record.regimen.doses:
        hours = dose.duration_min / 60 if dose.route == "iv" else 0.0
        total = dose.amount * (dose.duration_min / 60 if dose.unit.endswith("/h") else 1)
        unit = dose.unit.removesuffix("/h")
        route = "oral" if dose.route == "none" else dose.route
        for time in dose.at_h:
            own = [
                event
                for event in left
                if (event.drug, event.route, event.unit) == (dose.drug, route, unit)
                and (event.duration_h > 0) == (hours > 0)
                and time - start - 1e-6 <= event.start_h <= time - start + max(hours - 1e-6, 1e-6)
            ]
            assert own, (record.id, dose, time)
            if unit == "ng/mL":
                assert [event.amount for event in own] == [total]
            else:
                assert sum(event.amount for event in own) == pytest.approx(total, rel=1e-6)
                # a chain has one rate, and no gap
                assert all(event.amount == pytest.approx(total / len(own), rel=1e-6) for event in own)
            assert own[0].start_h == pytest.approx(time - start, abs=1e-6)
            assert own[-1].end_h == pytest.approx(time - start + hours, abs=1e-5)
            for before, after in pairwise(own):
                assert after.start_h == pytest.approx(before.end_h, abs=1e-5)
            left = [event for event in left if event not in own]
    assert left == []


@pytest.mark.parametrize("record", REGIMENS, ids=lambda record: record.id)
def test_a_protocol_does_what_its_record_says(record: ObservedRecord) -> None:
    own, caveats = treatment(record, "open")
    times = [time for dose in record.regimen.doses for time in dose.at_h]
    times += [time for item in record.regimen.therapy for time in item.at_h]
    start = min([0.0, *times])
    assert own.start_h == start
    visits = [point.time_h for point in record.points if point.time_h is not None and point.time_h > 0] or [24.0]
    horizon = max(*visits, own.end_h) + 1
    protocol = own.protocol("validation", horizon, visits)
    assert protocol.horizon_h == pytest.approx(horizon - start)
    assert protocol.rating_times() == pytest.approx([time - start for time in visits])
    check_doses(record, protocol, start)
    words = {"mbrp_or_education": "mbrp"}
    sessions = sorted(
        (round(time - start, 6), words.get(item.kind, item.kind), round(item.minutes / 60, 6))
        for item in record.regimen.therapy
        for time in item.at_h
    )
    found = [(round(event.start_h, 6), event.kind, round(event.duration_h, 6)) for event in protocol.session_events()]
    assert sorted(found) == sessions
    left_out = set(record.regimen.accompaniments) - {item.drug for item in protocol.co_medications()}
    told = left_out - {"extended_release"}
    assert all(any(word.split("_")[0] in caveat for caveat in caveats) for word in told)


def test_hours_before_zero_are_shifted() -> None:
    own, _ = treatment(changed(MOOD, regimen=doses({"at_h": [-72, 0]})), "open")
    assert (own.start_h, own.occasions) == (-72, 2)
    protocol = own.protocol("x", 24, [-80, -72, -24, 24])
    assert [event.start_h for event in protocol.dose_events()] == [0, 72]
    assert protocol.horizon_h == 96
    # visits before the start are of the state that a patient is made from
    assert protocol.rating_times() == (48, 96)


@pytest.mark.parametrize(
    ("given", "amount", "unit", "hours"),
    [
        ({"unit": "mg/kg/h", "amount": 1.2, "duration_min": 4320}, 86.4, "mg/kg", 72),
        ({"unit": "mg/h", "amount": 20, "duration_min": 120}, 40, "mg", 2),
        ({"unit": "mg/kg", "amount": 2.0, "duration_min": 600}, 2.0, "mg/kg", 10),
        ({"unit": "mg/kg/h", "amount": 0.3, "duration_min": 20}, 0.1, "mg/kg", 1 / 3),
    ],
)
def test_rates_and_long_infusions_give_the_same_total(given: Any, amount: float, unit: str, hours: float) -> None:
    own, _ = treatment(changed(MOOD, regimen=doses({**given, "at_h": [0, 200]})), "open")
    events = own.protocol("x", 400, [400]).dose_events()
    for start in (0, 200):
        part = [event for event in events if start <= event.start_h < start + hours]
        assert sum(event.amount for event in part) == pytest.approx(amount)
        assert sum(event.duration_h for event in part) == pytest.approx(hours)
        assert {event.unit for event in part} == {unit}
        assert max(event.duration_h for event in part) <= 4 + 1e-9


def test_extended_release_is_a_form_of_oral_ketamine_alone() -> None:
    oral = {"route": "oral", "unit": "mg", "amount": 60, "duration_min": 0}
    own, _ = treatment(changed(MOOD, regimen=doses(oral, {"at_h": [30]}, **{"with": ["extended_release"]})), "open")
    assert [event.form for event in own.protocol("x", 48, [48]).dose_events()] == ["extended_release", "immediate"]
    control = without_drug(own, "placebo").protocol("x", 48, [48]).dose_events()
    assert [(event.drug, event.form) for event in control] == [("placebo", "immediate"), ("saline", "immediate")]


AGAINST_MIDAZOLAM = [record for record in REGIMENS if record.outcome.against == "midazolam"]


@pytest.mark.parametrize(
    ("control", "record"),
    [("placebo", record) for record in REGIMENS] + [("midazolam", record) for record in AGAINST_MIDAZOLAM],
    ids=lambda item: item if isinstance(item, str) else item.id,
)
def test_a_control_keeps_times_visits_and_therapy(control: str, record: ObservedRecord) -> None:
    own, _ = treatment(record, "saline")
    other = without_drug(own, control)
    assert [dose.at_h for dose in other.doses] == [dose.at_h for dose in own.doses]
    assert (other.therapy, other.co_medication, other.masking) == (own.therapy, own.co_medication, own.masking)
    assert (other.start_h, other.occasions) == (own.start_h, 0)
    assert not {dose.drug for dose in other.doses} & {"ketamine", "esketamine", "arketamine"}
    end = max(own.end_h, other.end_h) + 30
    mine, theirs = (item.protocol("x", end, [end - 1]) for item in (own, other))
    assert mine.rating_times() == theirs.rating_times()
    assert mine.session_events() == theirs.session_events()
    if control == "placebo":
        assert [event.start_h for event in theirs.dose_events()] == pytest.approx(
            [event.start_h for event in mine.dose_events()]
        ) or any(dose.duration_min > 240 or dose.unit == "ng/mL" for dose in own.doses)
        assert all(event.amount == 0 or event.drug == "midazolam" for event in theirs.dose_events())


def test_other_arms_leave_out_one_thing_each() -> None:
    record = changed(
        MOOD,
        regimen=doses(
            {"at_h": [0, 72]},
            therapy=[{"kind": "cbt", "minutes": 50, "at_h": [24, 96]}],
            **{"with": ["rifampicin", "naltrexone", "usual_care"]},
        ),
    )
    own, caveats = treatment(record, "open")
    assert caveats == ()
    assert without_therapy(own).therapy == ()
    assert without_therapy(own).doses == own.doses
    assert without_therapy(own, sham=True).therapy == (("sham_training", 50, (24, 96)),)
    assert without_interaction(own).co_medication == ("naltrexone", "usual_care")
    assert untreated(own).protocol("x", 24, [24]).dose_events() == ()
    assert (untreated(own).therapy, untreated(own).co_medication) == ((), ())
    reference = intravenous(treatment(changed(MOOD, regimen=doses({"route": "oral", "duration_min": 0})), "open")[0])
    (event,) = reference.protocol("x", 24, [24]).dose_events()
    assert (event.route, event.amount, event.unit, event.duration_h) == ("iv", 0.5, "mg/kg", 0.5)


@pytest.mark.parametrize(
    ("name", "masking"),
    [
        # double-blind against saline
        ("wilkinson2018.ketamine.madrs", "saline"),
        # randomised against midazolam
        (MOOD, "midazolam"),
        # open label by design
        ("mcinnes2022.ketamine.sustained", "open"),
        ("phillips2019.repeated.response", "open"),
        ("milak2016.ketamine.glx", "open"),
        # spray against spray
        (WITHDRAWAL, "nasal_placebo"),
        # under anaesthesia nobody knows
        ("obesesurgery2008.ketamine.il6", "anaesthesia"),
        # 'observational case-control, unblinded'
        ("bottemanne2022.ketamine.belief_update_bias", "open"),
        # everybody had ketamine, and the randomisation was of the music or of CBT
        ("greenway2025.montreal_model.depression_percent_change", "open"),
        ("wilkinson2021.open.response", "open"),
    ],
)
def test_masking_is_that_of_the_study(name: str, masking: str) -> None:
    record = RECORDS[name]
    drugs = study_drugs(RECORDS.values())[record_study(record)]
    assert masking_of(record, drugs) == masking


@pytest.mark.parametrize(
    ("design", "drugs", "masking"),
    [
        ("randomised double-blind crossover", {"ketamine", "saline"}, "saline"),
        ("randomised double-blind crossover", {"ketamine", "midazolam"}, "midazolam"),
        ("double-blind, active control midazolam", {"ketamine"}, "midazolam"),
        ("open label", {"ketamine"}, "open"),
        ("case series", {"ketamine"}, "open"),
        ("randomised, rater-blind, open label", {"ketamine"}, "open"),
        ("chart review", {"ketamine"}, "open"),
    ],
)
def test_masking_is_read_off_the_design_and_the_arms(design: str, drugs: set[str], masking: str) -> None:
    assert masking_of(changed(MOOD, study={"design": design}), drugs) == masking


# --- groups -----------------------------------------------------------------------------------------------------------

KEYS = list(dict.fromkeys(group_key(record.group) for record in SIMULABLE))
PEOPLE = {key: virtual_group(key, PARAMETERS, 0) for key in KEYS}
COUNT = DRAWS * PATIENTS
KNOWN = {
    "age": lambda people: people.body.age,
    "weight": lambda people: people.body.weight,
    "female": lambda people: people.body.female,
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_virtual_group_has_the_means_of_its_record(name: str) -> None:
    wrong = []
    for key, people in PEOPLE.items():
        mean = getattr(key, name)
        if mean is None:
            continue
        values = KNOWN[name](people)
        assert values.shape == (COUNT,)
        error = 3 * values.std(ddof=1) / math.sqrt(COUNT)
        if abs(values.mean() - mean) > error + 1e-9:
            wrong.append((mean, round(float(values.mean()), 2), round(error, 2)))
    assert wrong == []


def points_of(scale: str, people: Any) -> Any:
    """Return the expected score at entry of a group's own scale."""
    if scale in ("hama", "gad7"):
        return people.traits.hama if scale == "hama" else gad7_from_hama(people.traits.hama)
    return people.traits.madrs if scale == "madrs" else from_madrs(scale, people.traits.madrs)


def rated_at_entry(key: GroupKey, people: Any, parameters: Any = PARAMETERS) -> Any:
    assert key.scale is not None
    ratings = Ratings(people.keyed, people.size, enrolment(key, parameters), parameters)
    return ratings.at_entry(key.scale, points_of(key.scale, people))


def printed(scale: str) -> list[tuple[GroupKey, float, float | None]]:
    """Return groups with a baseline on a scale, with the mean and spread that their records print."""
    found = {}
    for record in SIMULABLE:
        own = record.group.baseline
        if own.scale == scale and own.mean is not None and group_key(record.group).depressed:
            for chosen in (True, False):
                found[group_key(record.group, chosen=chosen)] = (own.mean, own.sd)
    return [(key, *numbers) for key, numbers in found.items()]


@pytest.mark.parametrize("scale", ["madrs", "phq9", "hdrs17", "qids"])
def test_a_virtual_group_is_rated_as_its_record_prints(scale: str) -> None:
    wrong = []
    for key, mean, sd in printed(scale):
        rated = rated_at_entry(key, virtual_group(key, PARAMETERS, 0))
        width = rated.std(ddof=1)
        if abs(rated.mean() - mean) > 3 * width / math.sqrt(COUNT) + 0.02:
            wrong.append((key, round(float(rated.mean()), 2)))
        # whole points widen the spread by the variance of rounding, a twelfth of a point squared
        if sd is not None and abs(width / math.hypot(sd, 12**-0.5) - 1) > 3 / math.sqrt(2 * COUNT):
            wrong.append((key, round(float(width), 2)))
    assert wrong == []


def test_true_severity_is_lower_and_less_spread_than_rated_where_a_rating_decided() -> None:
    for key, _, _ in printed("madrs"):
        assert key.madrs is not None
        people = virtual_group(key, PARAMETERS, 0)
        rated = rated_at_entry(key, people)
        fall = rated.mean() - people.traits.madrs.mean()
        if key.chosen:
            entry = enrolment(key, PARAMETERS)
            assert entry is not None
            assert 0.2 < entry.regression < 2.0
            assert fall == pytest.approx(entry.regression, abs=0.25)
        else:
            assert enrolment(key, PARAMETERS) is None
            assert abs(fall) < 0.25
        assert people.traits.madrs.std() < rated.std()


@pytest.mark.parametrize(
    ("design", "chosen"),
    [
        ("randomised double-blind crossover", True),
        ("open label, single infusion", True),
        ("a clinical trial, single-blind", True),
        ("retrospective chart review", False),
        ("clinic records, telehealth at home", False),
        ("case series, group KAP", False),
    ],
)
def test_clinics_take_whoever_comes(design: str, chosen: bool) -> None:
    assert chosen_by_score(design) is chosen
    record = changed(MOOD, study={"design": design})
    (case,) = prepare([record], PARAMETERS)
    assert case.subject is not None
    assert case.subject.arm.group.chosen is chosen


def group(diagnosis: str = "trd", scale: str | None = None, mean: float | None = None, sd: float | None = None) -> Any:
    return Group.model_validate(
        {
            "diagnosis": diagnosis,
            "age_years": None,
            "weight_kg": None,
            "female_fraction": None,
            "baseline": {"scale": scale, "mean": mean, "sd": sd},
        }
    )


def test_baselines_are_converted_to_the_scales_of_the_model() -> None:
    found = group_key(group(scale="hdrs17", mean=20, sd=4))
    # 20 points of the HDRS-17 stand for 26 of the MADRS
    assert found.madrs == pytest.approx(26, rel=1e-3)
    assert found.madrs_sd == pytest.approx(4 * 26 / 20, rel=1e-3)
    people = virtual_group(found._replace(chosen=False), PARAMETERS, 0)
    assert people.traits.madrs.mean() == pytest.approx(26, abs=0.5)
    found = group_key(group(scale="madrs", mean=33, sd=5))
    assert (found.madrs, found.madrs_sd) == (33, 5)
    assert group_key(group(scale="phq9", mean=15)).madrs == pytest.approx(to_madrs("phq9", 15))
    assert group_key(group(scale="gad7", mean=12, sd=3)).hama == pytest.approx(20)
    assert group_key(group(scale="gad7", mean=12, sd=3)).hama_sd == pytest.approx(5)
    found = group_key(group(scale="hama", mean=25, sd=6))
    assert (found.hama, found.hama_sd, found.scale, found.chosen) == (25, 6, "hama", True)
    assert group_key(group(scale="hdrs24", mean=30)).madrs is None


@pytest.mark.parametrize(
    ("diagnosis", "scale", "depressed"),
    [
        ("trd", None, True),
        ("mdd", None, True),
        ("healthy", None, False),
        ("pain", None, False),
        ("pain", "madrs", True),
    ],
)
def test_the_depressed_are_those_with_a_diagnosis_or_a_baseline(diagnosis: str, scale: Any, depressed: bool) -> None:
    assert group_key(group(diagnosis, scale, 30 if scale else None)).depressed is depressed


def test_a_group_of_given_means_keeps_its_deviates() -> None:
    base = GroupKey(True, None, None, None, None, None, None, None)
    light, heavy = (
        virtual_group(base._replace(weight=weight, age=40, madrs=madrs, madrs_sd=4), PARAMETERS, 3)
        for weight, madrs in ((60, 30), (90, 36))
    )
    usual = virtual_group(base, PARAMETERS, 3)
    inside = (light.body.weight > 41) & (heavy.body.weight < 159)
    assert inside.mean() > 0.95
    assert np.allclose(heavy.body.weight[inside] / light.body.weight[inside], 1.5)
    for one in (light, heavy):
        assert np.array_equal(one.parameter_draw, usual.parameter_draw)
        for name, values in one.values.items():
            # what was not given stays as it was, but for what hangs on severity or age
            if name in ("patient.weight", "patient.age", "patient.madrs"):
                continue
            assert np.array_equal(values, usual.values[name]), name
    assert list(usual.parameter_draw[[0, 31, 32, COUNT - 1]]) == [0, 0, 1, DRAWS - 1]


def test_another_arm_holds_the_same_people() -> None:
    record = RECORDS[MOOD]
    own = subject(record)
    control = own.other(without_drug(own.arm.treatment, "midazolam"))
    one, other = (virtual_group(arm.group, PARAMETERS, 5) for arm in (own.arm, control))
    assert all(np.array_equal(values, other.values[name]) for name, values in one.values.items())
    again = virtual_group(own.arm.group, PARAMETERS, 6)
    assert not np.array_equal(again.body.weight, one.body.weight)


# --- independence -----------------------------------------------------------------------------------------------------


def test_a_doi_decides_over_author_and_year() -> None:
    one = study_name("Smith", 2020, "10.1/a")
    assert one.same(study_name("Jones", 1999, "10.1/A"))
    assert not one.same(study_name("Smith", 2020, "10.1/b"))
    assert one.same(study_name("Smith (name recalled; not displayed)", 2020, None))
    assert not one.same(study_name("Smith", 2021, None))
    assert not one.same(study_name("Jones", 2020, None))
    assert study_name("de la Salle", 2016, None).same(study_name("De La Salle", 2016, None))


@pytest.mark.parametrize("word", ["not shown", "recalled", "not seen", "unnamed"])
def test_studies_without_a_known_author_are_not_one(word: str) -> None:
    one, other = study_name(f"{word} (PMC1)", 2020, None), study_name(f"{word} (PMC2)", 2020, None)
    assert not one.same(other)
    assert not study_name(word, None, None).same(study_name(word, None, None))
    assert study_name(word, 2020, "10.1/a").same(study_name(word, 2020, "10.1/a"))


def fitted(record: str) -> dict[str, Any]:
    some = next(iter(PARAMETERS))
    return {**PARAMETERS, some: PARAMETERS[some].model_copy(update={"fitted_to": (record,)})}


def test_fitted_beats_source_of_a_parameter_and_that_beats_independent() -> None:
    bare = {name: item.model_copy(update={"fitted_to": ()}) for name, item in PARAMETERS.items()}
    sources = source_studies(bare)
    evidence = load_evidence()
    origin = next(
        evidence[item.sources[0]].source
        for item in bare.values()
        if item.sources and evidence[item.sources[0]].source.doi
    )
    record = changed(MOOD, study={"author": origin.author, "year": origin.year, "doi": origin.doi})
    assert parameters_from(record_study(record), sources)
    assert independence_of(record, (), sources) == "parameter_source"
    assert independence_of(record, {(record_study(record), False)}, sources) == "fitted"
    # what a study says of concentrations is fitted apart
    assert independence_of(record, {(record_study(record), True)}, sources) == "parameter_source"
    other = changed(MOOD, study={"author": "Nobody", "year": 2031, "doi": "10.9999/none"})
    assert parameters_from(record_study(other), sources) == []
    assert independence_of(other, (), sources) == "independent"
    assert independence_of(other, fitted_studies(fitted(MOOD)), sources) == "independent"
    assert independence_of(RECORDS[MOOD], fitted_studies(fitted(MOOD)), sources) == "fitted"


def test_every_record_of_a_study_that_a_parameter_was_fitted_to_is_fitted() -> None:
    named = {name for parameter in PARAMETERS.values() for name in parameter.fitted_to}
    assert named <= set(RECORDS)
    kinds = {(record_study(RECORDS[name]), RECORDS[name].outcome.observable.startswith("plasma.")) for name in named}
    # a study without an author is known by its records alone
    known = {kind for kind in kinds if kind[0].author or kind[0].doi}
    for name, case in CASES.items():
        kind = (record_study(RECORDS[name]), RECORDS[name].outcome.observable.startswith("plasma."))
        assert (case.frame.independence == "fitted") == (name in named or kind in known), name


# --- cases ------------------------------------------------------------------------------------------------------------


def test_every_shipped_record_is_scored_or_told_why_not() -> None:
    assert [case.record.id for case in CASES.values()] == list(RECORDS)
    for name, case in CASES.items():
        assert case.frame.id == name
        assert case.frame.status in ("scored", "cannot"), name
        assert (case.frame.status == "scored") == (case.frame.reason is None), name
        assert (case.frame.status == "scored") == (case.subject is not None), name
        if case.frame.status == "cannot":
            assert (case.frame.reason or "").strip(), name
        assert case.frame.domain in DOMAINS
        assert case.frame.independence in INDEPENDENCE
        assert (case.frame.observable, case.frame.unit) == (case.record.outcome.observable, case.record.outcome.unit)


def test_what_weighs_as_one_study_is_one_study() -> None:
    names: dict[str, set[str]] = {}
    for case in CASES.values():
        if case.record.study.doi:
            names.setdefault(case.frame.study, set()).add(case.record.study.doi.lower())
    assert {study: dois for study, dois in names.items() if len(dois) > 1} == {}


def test_what_a_record_says_cannot_be_simulated_is_not() -> None:
    for case in CASES.values():
        if case.record.use == "none" or case.record.outcome.observable in MISSING:
            assert case.frame.status == "cannot"
    assert sum(case.frame.status == "scored" for case in CASES.values()) > 150


def test_no_point_at_or_before_time_zero_is_asked_for() -> None:
    for name, case in CASES.items():
        if case.subject is None:
            continue
        assert case.points, name
        assert all(point.time_h is None or point.time_h > 0 for point in case.points), name
        assert len(case.frame.hours_since_dose) == len(case.points), name
        assert {point.value for point in case.points} <= {point.value for point in case.record.points}


def test_a_record_of_its_state_before_treatment_alone_cannot_be_scored() -> None:
    (case,) = prepare([changed(MOOD, points=[{"time_h": 0, "value": 30, "n": 9}])], PARAMETERS)
    assert case.frame.status == "cannot"
    assert "before treatment" in (case.frame.reason or "")


def test_a_record_is_made_ready_alike_alone_and_among_others() -> None:
    study = [record for record in RECORDS.values() if record.study.author == "Murrough"]
    for case in prepare(study, PARAMETERS):
        assert case == CASES[case.record.id]


def test_the_people_behind_a_figure_are_those_printed_or_a_share_of_the_study() -> None:
    def people(n: float | None, design: str, study: float | None) -> int:
        record = changed(MOOD, points=[{"time_h": 24, "value": -1, "n": n}], study={"design": design, "n": study})
        return people_per_arm(record, record.points[0])

    assert people(17, "randomised double-blind", 60) == 17
    assert people(None, "randomised double-blind", 60) == 30
    assert people(None, "randomised double-blind crossover", 60) == 60
    assert people(None, "open label", 60) == 60
    assert people(None, "open label", None) == round(PARAMETERS["observation.usual_n"].value)


class Made(Fake):
    """In place of simulations: the whole virtual group, made up."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(draws=DRAWS, people=PATIENTS)
        self.failures: list[str] = []


def test_a_score_does_not_depend_on_which_other_records_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "Answers", Made)
    settings = Settings(PARAMETERS, seed=4)
    some = [case for case in CASES.values() if case.frame.domain in ("plasma_im", "mood_single", "acute")]
    together, _ = running.run(some, settings)
    assert [item.id for item in together] == [case.record.id for case in some]
    alone = [running.run([case], settings)[0][0] for case in some[::-1]]
    assert alone[::-1] == together
    assert any(item.points for item in together)


def test_points_keep_the_figures_of_their_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "Answers", Made)
    case = CASES[MOOD]
    ((item,), failures) = running.run([case], Settings(PARAMETERS))
    assert failures == []
    (point,) = item.points
    assert (point.time_h, point.observed, point.scale) == (24, -16.5, "points")
    assert point.low < point.predicted < point.high
