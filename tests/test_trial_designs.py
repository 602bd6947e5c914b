"""Designs as files: what they say, and one clear line for each thing that they cannot mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapsim.errors import InputError
from kapsim.trial.design import load_design, parse_design
from kapsim.trial.regimen import Fate, occasion_starts, regimen
from trials import PARALLEL, design

EXAMPLES = sorted(Path(__file__).parent.parent.joinpath("examples").glob("trial_*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_designs_of_each_kind(path):
    trial = load_design(path)
    assert path.stem == f"trial_{trial.design.kind}"
    assert len(trial.digest()) == 64
    assert trial.identity()["name"] == trial.design.name


def test_there_is_an_example_of_each_kind():
    assert [path.stem for path in EXAMPLES] == [
        "trial_crossover",
        "trial_factorial",
        "trial_parallel",
        "trial_withdrawal",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"control": "placebo"}, "control: 'placebo' is no arm; give one of ketamine, saline"),
        ({"visits": "[24 h, 1 d]"}, "visits[1]: '1 d' stands twice"),
        ({"visits": "[0 h, 1 wk]"}, "visits: a visit at the start is the baseline"),
        ({"primary": "{scale: madrs, visit: 3 wk}"}, "primary.visit: '3 wk' is no visit; give one of 24 h, 1 wk, 2 wk"),
        ({"primary": "{scale: hama, visit: 1 wk}"}, "primary.scale: 'hama' is not among the scales"),
        ({"primary": "{scale: madrs, visit: 1 wk, measure: responder}"}, "nearest valid value 'response'"),
        ({"maskin": "open"}, "maskin: unknown key; nearest valid key 'masking'"),
        ({"kind": "crossover"}, "'kind: crossover' needs 'crossover: {washout: 2 wk}'"),
        ({"crossover": "{washout: 2 wk}"}, "crossover: goes with 'kind: crossover', not with 'parallel'"),
        ({"kind": "factorial"}, "a factorial has four arms"),
        ({"stratify": "[site]"}, "stratify: 'site' needs sites"),
        ({"stratify": "[sex, sex]"}, "stratify[1]: 'sex' stands twice"),
        ({"interim": "{fractions: [0.7, 0.5]}"}, "interim.fractions[1]: looks come one after the other"),
        ({"rescue": "{from: 3 wk, at_least: 30}"}, "rescue.from: is after the last visit"),
        ({"population": "trd_trail"}, "nearest valid name 'trd_trial'"),
        ({"analysis": "{alpha: 2}"}, "analysis.alpha: 2 is out of range"),
        ({"sites": "{count: 0}"}, "sites.count: 0 is out of range"),
        ({"recruits": "{age: 12 a}"}, "recruits.age: '12 a' is out of range"),
        ({"adherence": "{missed: 1.0}"}, "adherence.missed: 1.0 is out of range"),
    ],
)
def test_what_a_design_cannot_mean_is_told_in_one_line(changes, words):
    with pytest.raises(InputError) as caught:
        design(**changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("<design>:")


def test_an_arm_names_one_protocol_and_a_missing_one_is_found_by_its_line(tmp_path):
    with pytest.raises(InputError, match=r"arms\[0\]: needs one of 'protocol'"):
        design(PARALLEL.replace("{name: ketamine, protocol: single_infusion}", "{name: ketamine}"))
    path = tmp_path / "mine.yaml"
    path.write_text(PARALLEL.replace("single_infusion", "single_infusio"))
    with pytest.raises(InputError, match=r"mine.yaml:7: arms\[0\].protocol: .*nearest valid name 'single_infusion'"):
        load_design(path)
    path.write_text(PARALLEL.replace("single_infusion", "gone.yaml"))
    with pytest.raises(InputError, match=r"mine.yaml:7: arms\[0\].protocol"):
        load_design(path)


def test_a_protocol_file_is_looked_for_beside_the_design(tmp_path):
    from kapsim.protocol import load_protocol

    (tmp_path / "own.yaml").write_text(load_protocol("single_infusion").to_yaml())
    (tmp_path / "mine.yaml").write_text(PARALLEL.replace("single_infusion", "own.yaml"))
    assert load_design(tmp_path / "mine.yaml").digest() == design().digest()


_TEXTS = [path.read_text() for path in EXAMPLES if "parallel" not in path.stem] + [PARALLEL]
_PIECES = st.sampled_from(
    ["", ":", "- ", "[", "]", "{", "}", "-1", "1e400", "0 h", "nan", "null", "true", "~", "&a", "*a", "!x", "'", '"',
     "\t",
     "kind: crossover", "24", "999 wk", "madrs", "\u2028", "\x00", "masking: open", "arms: []", "  ", "\n\n", "é"]
)  # fmt: skip


@given(text=st.sampled_from(_TEXTS), data=st.data())
@settings(max_examples=320, deadline=None)
def test_a_damaged_design_is_a_design_or_one_clear_line(text, data):
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(start + data.draw(st.integers(0, 12)), len(text))
        text = text[:start] + data.draw(_PIECES) + text[end:]
    found = "<design>:"
    try:
        parse_design(text)
    except InputError as error:
        found = str(error)
    assert found.startswith("<design>:")
    assert "\n" not in found


def test_a_crossover_is_one_long_protocol_for_each_sequence():
    trial = load_design(next(path for path in EXAMPLES if "crossover" in path.stem))
    first, second = (regimen(trial, Fate(group)) for group in (0, 1))
    assert [dose.drug for dose in first.dose_events()] == ["ketamine", "saline"]
    assert [dose.drug for dose in second.dose_events()] == ["saline", "ketamine"]
    assert first.dose_events()[1].start_h == 336.0 == trial.second_start
    assert first.rating_times() == (24.0, 72.0, 168.0, 336.0, 360.0, 408.0, 504.0)


def test_a_run_in_is_open_and_what_follows_is_masked():
    trial = load_design(next(path for path in EXAMPLES if "withdrawal" in path.stem))
    plan = regimen(trial, Fate(1))
    assert (plan.masking_at(0.0), plan.masking_at(671.0), plan.masking_at(672.0)) == ("open", "open", "nasal_placebo")
    drugs = [dose.drug for dose in plan.dose_events()]
    assert drugs == ["esketamine"] * 8 + ["placebo_nasal"] * 16
    assert regimen(trial, Fate(0), until=trial.second_start).horizon_h == 672.0


def test_a_missed_visit_takes_its_dose_and_sessions_and_who_stops_gets_nothing_more():
    trial = load_design(next(path for path in EXAMPLES if "factorial" in path.stem))
    starts = occasion_starts(trial, 0)
    assert starts == (0.0, 24.0, 30.0, 48.0, 54.0, 72.0, 78.0, 96.0, 102.0)
    without = regimen(trial, Fate(0, missed=(0, 2)))
    assert not without.dose_events()
    assert [session.start_h for session in without.session_events()] == [24.0, 48.0, 54.0, 72.0, 78.0, 96.0, 102.0]
    stopped = regimen(trial, Fate(0, stopped_h=54.0, rescued_h=168.0))
    assert [session.start_h for session in stopped.session_events()] == [24.0, 30.0, 48.0]
    assert [(item.drug, item.start_h) for item in stopped.co_medications()] == [("oral_antidepressant", 168.0)]
    relative = design(
        PARALLEL.replace("single_infusion", "kap_six_sessions").replace("[24 h, 1 wk, 2 wk]", "[1 wk, 8 wk]")
    )
    plan = regimen(relative, Fate(0, missed=(0,)))
    # two preparations, the first dose, its session and its integration go together
    assert (len(plan.dose_events()), len(plan.session_events())) == (5, 10)
