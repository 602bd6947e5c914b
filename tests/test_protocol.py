"""Protocols: the library, the shorthands, the events they stand for, and one clear line for each mistake."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kapsim import strict_yaml
from kapsim.errors import InputError
from kapsim.patient import parse_patient
from kapsim.protocol import DoseEvent, Protocol, SessionEvent, load_protocol, named_protocols, parse_protocol

NAMED = (
    "anaesthetic_bolus",
    "esketamine_induction",
    "kap_six_sessions",
    "kap_sublingual",
    "midazolam_infusion",
    "no_treatment",
    "saline_infusion",
    "single_infusion",
    "single_infusion_with_training",
    "therapy_only",
    "thrice_weekly_infusions",
    "twice_weekly_infusions",
)
BASE = """\
schema_version: 1
name: base
title: A protocol to break
horizon: 12 wk
masking: open
doses:
- drug: ketamine
  route: iv
  amount: 0.5 mg/kg
  duration: 40 min
  at: [1 wk, 2 wk]
therapy:
- kind: kap
  duration: 60 min
  relative:
    place: integration
    offset: 24 h
practice:
  level: 0.05
  from: 0 h
  until: 12 wk
co_medication:
- drug: naltrexone
  from: 1 d
  until: 2 wk
stressors:
- at: 24 h
  duration: 24 h
  intensity: 0.5
ratings: [24 h, 1 wk]
"""


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_protocol(text, source="file.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message
    return message


# ---------------------------------------------------------------------------------------------------- the library


def test_the_library_is_complete() -> None:
    assert tuple(sorted(named_protocols())) == NAMED
    assert all(title and title == load_protocol(name).title for name, title in named_protocols().items())


@pytest.mark.parametrize("name", NAMED)
def test_named_protocols_load_resolve_and_round_trip(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.name == name
    assert protocol.description
    assert parse_protocol(protocol.to_yaml()) == protocol
    ends = [event.end_h for event in protocol.dose_events()] + [event.end_h for event in protocol.session_events()]
    starts = [event.start_h for event in protocol.dose_events()]
    assert all(0 <= end <= protocol.horizon_h for end in ends)
    assert starts == sorted(starts)
    assert protocol.rating_times()[-1] <= protocol.horizon_h


@pytest.mark.parametrize(
    ("name", "count", "milligrams", "horizon_weeks"),
    [
        ("single_infusion", 1, 35, 4),
        ("twice_weekly_infusions", 8, 280, 12),
        ("thrice_weekly_infusions", 6, 210, 8),
        ("esketamine_induction", 12, 56 + 11 * 84, 12),
        ("kap_six_sessions", 6, 420, 12),
        ("kap_sublingual", 6, 1200, 12),
        ("therapy_only", 0, 0, 26),
        ("saline_infusion", 1, 0, 4),
        ("midazolam_infusion", 1, 3.15, 4),
        ("anaesthetic_bolus", 1, 140, 2),
        ("no_treatment", 0, 0, 52),
    ],
)
def test_named_protocols_give_the_doses_they_say(name: str, count: int, milligrams: float, horizon_weeks: int) -> None:
    protocol = load_protocol(name)
    events = protocol.dose_events()
    assert len(events) == count
    assert protocol.horizon_h == horizon_weeks * 168
    assert sum(event.milligrams(70) for event in events) == pytest.approx(milligrams)


def test_esketamine_induction_is_twice_weekly_then_weekly() -> None:
    days = [event.start_h / 24 for event in load_protocol("esketamine_induction").dose_events()]
    assert days == [0, 3, 7, 10, 14, 17, 21, 24, 28, 35, 42, 49]


def test_kap_prepares_twice_then_integrates_each_dose() -> None:
    protocol = load_protocol("kap_six_sessions")
    places = [(event.place, event.start_h / 24) for event in protocol.session_events()]
    assert places[:4] == [("preparation", 0), ("preparation", 4), ("in_session", 7), ("integration", 8)]
    assert len(places) == 14
    assert places[-1][1] == 43
    assert protocol.practice is not None
    assert list(protocol.practice) == [0.05, 168, 2016]
    assert protocol.practice.level == 0.05


def test_training_is_twice_daily_on_four_days() -> None:
    days = [int(event.start_h // 24) for event in load_protocol("single_infusion_with_training").session_events()]
    assert days == [1, 1, 2, 2, 3, 3, 4, 4]


# ----------------------------------------------------------------------------------------------------- resolution


def doses_at(schedule: str, horizon: str = "12 wk") -> list[float]:
    dose = f"doses:\n- drug: ketamine\n  route: im\n  amount: 50 mg\n{schedule}"
    text = f"schema_version: 1\nname: x\ntitle: x\nhorizon: {horizon}\n{dose}"
    return [event.start_h for event in parse_protocol(text).dose_events()]


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ("  at: 30 min\n", [0.5]),
        ("  at: [1 wk, 0 h, 2 d]\n", [0, 48, 168]),
        ("  every: 1 wk\n  until: 3 wk\n", [0, 168, 336, 504]),
        ("  every: 1 wk\n  from: 1 d\n  until: 3 wk\n", [24, 192, 360]),
        ("  every: 0.1 h\n  until: 0.3 h\n", [0, 0.1, 0.2, 0.3]),
        ("  weekdays: [thu, mon]\n  weeks: 2\n", [0, 72, 168, 240]),
        ("  weekdays: [mon]\n  weeks: 1\n  from: 9 h\n", [9]),
        ("  weekdays: [mon, thu]\n  weeks: 1\n  from: 1 d\n", [72, 168]),
        ("  weekdays: [mon, tue]\n  weeks: 1\n  from: 33 h\n", [33, 177]),
    ],
)
def test_schedules(schedule: str, hours: list[float]) -> None:
    assert doses_at(schedule) == pytest.approx(hours)


def test_dose_events_are_plain_numbers() -> None:
    event = parse_protocol(BASE).dose_events()[0]
    assert event == DoseEvent("ketamine", "iv", 0.5, "mg/kg", 168.0, 40 / 60)
    assert event.milligrams(80) == 40
    assert DoseEvent("ketamine", "im", 50, "mg", 0, 0).milligrams(80) == 50
    other = parse_protocol(BASE.replace("0.5 mg/kg", "500 ug/kg")).dose_events()[0]
    assert other.amount == pytest.approx(0.5)
    assert other.unit == "mg/kg"
    grams = parse_protocol(BASE.replace("0.5 mg/kg", "0.05 g")).dose_events()[0]
    assert grams.amount == pytest.approx(50)
    assert grams.unit == "mg"
    with pytest.raises(InputError, match="weight"):
        event.milligrams(math.nan)


@pytest.mark.parametrize(
    ("place", "starts"),
    [
        ("place: preparation, offset: 24 h", [144, 312]),
        ("place: in_session, offset: 15 min", [168.25, 336.25]),
        ("place: integration, offset: 1 d", [192, 360]),
        ("place: integration, offset: 1 d, doses: first", [192]),
        ("place: preparation, offset: 7 d, doses: all", [0, 168]),
    ],
)
def test_sessions_around_doses(place: str, starts: list[float]) -> None:
    text = re.sub(r"  relative:\n.*\n.*\n", f"  relative: {{{place}}}\n", BASE)
    events = parse_protocol(text).session_events()
    assert [event.start_h for event in events] == starts
    assert {event.place for event in events} == {place.split()[1].rstrip(",")}


def test_sessions_count_two_drugs_at_one_time_as_one_occasion() -> None:
    second = "- drug: esketamine\n  route: im\n  amount: 20 mg\n  at: 1 wk\ntherapy:\n"
    assert len(parse_protocol(BASE.replace("therapy:\n", second)).session_events()) == 2


def test_other_events() -> None:
    protocol = parse_protocol(BASE)
    assert protocol.session_events()[0] == SessionEvent("kap", 192, 1, "integration")
    (medicine,), (stressor,) = protocol.co_medications(), protocol.stressor_events()
    assert (medicine.drug, medicine.start_h, medicine.end_h) == ("naltrexone", 24, 336)
    assert (stressor.start_h, stressor.duration_h, stressor.intensity) == (24, 24, 0.5)
    assert protocol.rating_times() == (24, 168)
    assert protocol.masking == "open"
    whole = parse_protocol(BASE.replace("  from: 1 d\n  until: 2 wk\n", "")).co_medications()[0]
    assert (whole.start_h, whole.end_h) == (0, 2016)


def test_default_ratings() -> None:
    text = (
        BASE.replace("ratings: [24 h, 1 wk]\n", "").replace("at: [1 wk, 2 wk]", "at: [1 wk]").replace("12 wk", "25 d")
    )
    assert parse_protocol(text).rating_times() == (192, 336, 504, 600)
    bare = "schema_version: 1\nname: x\ntitle: x\nhorizon: 12 h\n"
    assert parse_protocol(bare).rating_times() == (12,)
    assert parse_protocol(bare).practice is None


# --------------------------------------------------------------------------------------------------- one-line errors

MISTAKES = [
    # what is written, what is written instead, line and path, words of the message
    ("masking: open", "maskin: open", "5: maskin", "nearest valid key 'masking'"),
    ("title: A", "titel: A", "3: titel", "nearest valid key 'title'"),
    ("  route: iv", "  rout: iv", "8: doses[0].rout", "nearest valid key 'route'"),
    ("    offset: 24 h", "    ofset: 24 h", "17: therapy[0].relative.ofset", "nearest valid key 'offset'"),
    ("  level: 0.05", "  leve: 0.05", "19: practice.leve", "nearest valid key 'level'"),
    ("  from: 0 h", "  from_: 0 h", "20: practice.from_", "nearest valid key 'from'"),
    ("horizon: 12 wk", "horizon: 12 wk\npractice_: 1", "5: practice_", "nearest valid key 'practice'"),
    ("  intensity: 0.5", "  zzz: 0.5", "29: stressors[0].zzz", "valid keys: at, duration, intensity"),
    ("schema_version: 1", "schema_version: 2", "1: schema_version", "this release reads"),
    ("schema_version: 1", "schema_version: true", "1: schema_version", "this release reads"),
    ("schema_version: 1\n", "", "1: schema_version", "is missing"),
    ("  amount: 0.5 mg/kg\n", "", "7: doses[0].amount", "is missing"),
    ("name: base", "name: Base Case", "2: name", "is not a name"),
    ("name: base", "name: 12", "2: name", "found a number where text is needed; put it in quotes"),
    ("title: A protocol to break", 'title: "two\\nlines"', "3: title", "line of plain text"),
    ("title: A protocol to break", f"title: {'x' * 201}", "3: title", "over 200 characters"),
    ("drug: ketamine", "drug: ketamin", "7: doses[0].drug", "nearest valid value 'ketamine'"),
    ("route: iv", "route: nasal", "8: doses[0].route", "nearest valid value 'intranasal'"),
    ("kind: kap", "kind: hypnosis", "13: therapy[0].kind", "not known here"),
    ("masking: open", "masking: [open]", "5: masking", "not known here"),
    ("drug: naltrexone", "drug: naltrexon", "23: co_medication[0].drug", "nearest valid value 'naltrexone'"),
    ("amount: 0.5 mg/kg", "amount: -0.5 mg/kg", "9: doses[0].amount", "is negative"),
    ("amount: 0.5 mg/kg", "amount: 0 mg", "9: doses[0].amount", "is 0"),
    ("drug: ketamine", "drug: saline", "9: doses[0].amount", "holds no drug"),
    ("amount: 0.5 mg/kg", "amount: 50 mg/kg", "9: doses[0].amount", "not a possible dose"),
    ("amount: 0.5 mg/kg", "amount: 2001 mg", "9: doses[0].amount", "not a possible dose"),
    ("amount: 0.5 mg/kg", "amount: 0.5", "9: doses[0].amount", "a number with its unit is needed"),
    ("amount: 0.5 mg/kg", "amount:", "9: doses[0].amount", "not nothing"),
    ("amount: 0.5 mg/kg", "amount: 0.5 mgg/kg", "9: doses[0].amount", "unknown unit"),
    ("amount: 0.5 mg/kg", "amount: 5 %", "9: doses[0].amount", "not of mass"),
    ("amount: 0.5 mg/kg", "amount: 40 min", "9: doses[0].amount", "quantity of time"),
    ("amount: 0.5 mg/kg", "amount: 1e999 mg", "9: doses[0].amount", "finite"),
    ("duration: 40 min", "duration: 40 mg", "10: doses[0].duration", "quantity of mass"),
    ("duration: 40 min", "duration: -40 min", "10: doses[0].duration", "out of range"),
    ("route: iv", "route: im", "10: doses[0].duration", "only an iv infusion"),
    ("0.5 mg/kg\n  duration: 40 min", "100 ng/mL", "9: doses[0].amount", "how long to hold it; add 'duration"),
    ("0.5 mg/kg\n  duration: 40 min", "100 ng/mL\n  duration: 0 min", "9: doses[0].amount", "how long to hold it"),
    (
        "iv\n  amount: 0.5 mg/kg\n  duration: 40 min",
        "im\n  amount: 100 ng/mL",
        "9: doses[0].amount",
        "gives iv, not by the route 'im'",
    ),
    (
        "ketamine\n  route: iv\n  amount: 0.5 mg/kg",
        "midazolam\n  route: iv\n  amount: 1 ng/mL",
        "9: doses[0].amount",
        "knows ketamine, esketamine, arketamine, not 'midazolam'",
    ),
    (
        "ketamine\n  route: iv\n  amount: 0.5 mg/kg",
        "saline\n  route: iv\n  amount: 0 ng/mL",
        "9: doses[0].amount",
        "knows ketamine, esketamine, arketamine, not 'saline'",
    ),
    ("amount: 0.5 mg/kg", "amount: 0 ng/mL", "9: doses[0].amount", "is 0"),
    ("amount: 0.5 mg/kg", "amount: 0.1 mg/mL", "9: doses[0].amount", "not a possible dose"),
    (
        "0.5 mg/kg\n  duration: 40 min\n  at: [1 wk, 2 wk]",
        "1 ng/mL\n  duration: 1 min\n  every: 1 h\n  until: 10 d",
        "6: doses",
        "over 200 target-controlled",
    ),
    ("route: iv", "route: rectal", "8: doses[0].route", "nearest valid value 'oral'"),
    ("duration: 40 min", "form: extended_release", "10: doses[0].form", "only an oral dose has the form"),
    (
        "drug: ketamine\n  route: iv\n  amount: 0.5 mg/kg\n  duration: 40 min",
        "drug: midazolam\n  route: oral\n  amount: 5 mg\n  form: extended_release",
        "10: doses[0].form",
        "midazolam has no extended release",
    ),
    ("duration: 40 min", "form: slow", "10: doses[0].form", "valid values: immediate, extended_release"),
    ("duration: 40 min", "duration: 8 d", "10: doses[0].duration", "out of range"),
    ("at: [1 wk, 2 wk]", "at: [1 wk, 7 d]", "11: doses[0].at[1]", "stands twice"),
    ("at: [1 wk, 2 wk]", "at: [1 wk, 10081 min]", "11: doses[0].at", "starts before the one at"),
    ("at: [1 wk, 2 wk]", "at: [-1 h]", "11: doses[0].at[0]", "out of range"),
    ("at: [1 wk, 2 wk]", "at: []", "11: doses[0].at", "empty list"),
    ("at: [1 wk, 2 wk]", "at: 1 kg", "11: doses[0].at", "quantity of mass"),
    ("at: [1 wk, 2 wk]", "at: 3", "11: doses[0].at", "a list is needed"),
    ("at: [1 wk, 2 wk]", "at: 12 wk", "11: doses[0].at", "beyond the horizon"),
    ("  at: [1 wk, 2 wk]\n", "", "7: doses[0]", "has no time"),
    ("at: [1 wk, 2 wk]", "at: 1 wk\n  every: 1 wk", "12: doses[0].every", "cannot stand beside 'at'"),
    ("at: [1 wk, 2 wk]", "at: 1 wk\n  from: 0 h", "12: doses[0].from", "goes with 'every' or 'weekdays'"),
    ("at: [1 wk, 2 wk]", "every: 1 wk", "11: doses[0].every", "needs 'until'"),
    ("at: [1 wk, 2 wk]", "every: 0 h\n  until: 1 wk", "11: doses[0].every", "more than 0"),
    ("at: [1 wk, 2 wk]", "every: 1 s\n  until: 10 wk", "11: doses[0].every", "repeats over"),
    ("at: [1 wk, 2 wk]", "every: 1 wk\n  from: 3 wk\n  until: 2 wk", "13: doses[0].until", "before 'from'"),
    ("at: [1 wk, 2 wk]", "every: 1 wk\n  until: 12 wk", "12: doses[0].until", "beyond the horizon"),
    ("at: [1 wk, 2 wk]", "weekdays: [mon]", "11: doses[0].weekdays", "needs 'weeks'"),
    ("at: [1 wk, 2 wk]", "weekdays: [mon, mon]\n  weeks: 2", "11: doses[0].weekdays[1]", "stands twice"),
    ("at: [1 wk, 2 wk]", "weekdays: [monday]\n  weeks: 2", "11: doses[0].weekdays[0]", "nearest valid value 'mon'"),
    ("at: [1 wk, 2 wk]", "weekdays: [mon]\n  weeks: 2.5", "12: doses[0].weeks", "a whole number"),
    ("at: [1 wk, 2 wk]", "weekdays: [mon]\n  weeks: 0", "12: doses[0].weeks", "at least 1"),
    ("at: [1 wk, 2 wk]", "weekdays: [mon]\n  weeks: 20", "12: doses[0].weeks", "beyond the horizon"),
    ("horizon: 12 wk", "horizon: 6 a", "4: horizon", "out of range"),
    ("horizon: 12 wk", "horizon: 0 h", "4: horizon", "more than 0"),
    ("horizon: 12 wk", "horizon: 3", "4: horizon", "a number with its unit"),
    ("place: integration", "place: preparation", "17: therapy[0].relative.offset", None),
    ("offset: 24 h", "offset: 11 wk", "15: therapy[0].relative", "beyond the horizon"),
    ("offset: 24 h", "offset: 24 h\n  at: 0 h", "15: therapy[0].relative", "cannot stand beside 'at'"),
    ("duration: 60 min", "duration: 0 min", "14: therapy[0].duration", "more than 0"),
    ("level: 0.05", "level: 1.05", "19: practice.level", "at most 1"),
    ("level: 0.05", "level: a lot", "19: practice.level", "a number is needed"),
    ("level: 0.05", "level: .inf", "19: practice.level", "a number is needed"),
    ("  until: 12 wk", "  until: 13 wk", "21: practice.until", "beyond the horizon"),
    ("  from: 1 d", "  from: 2 wk", "24: co_medication[0].from", "end after the start"),
    ("drug: naltrexone", "drug: rifampicin", "24: co_medication[0].from", "span the whole horizon"),
    ("stressors:", "- drug: naltrexone\nstressors:", "26: co_medication[1].drug", "stands twice"),
    ("intensity: 0.5", "intensity: 0", "29: stressors[0].intensity", "more than 0"),
    ("- at: 24 h", "- at: 12 wk", "27: stressors[0].at", "beyond the horizon"),
    ("ratings: [24 h, 1 wk]", "ratings: [24 h, 1 d]", "30: ratings[1]", "stands twice"),
    ("ratings: [24 h, 1 wk]", "ratings: [24 h, 13 wk]", "30: ratings[1]", "beyond the horizon"),
    ("doses:\n", "doses: 5\ndose:\n", "7: dose", "nearest valid key 'doses'"),
    ("ratings: [24 h, 1 wk]", "ratings: {a: 24 h}", "30: ratings", "a list is needed"),
    ("practice:\n  level: 0.05\n  from: 0 h\n  until: 12 wk", "practice: 1", "18: practice", "keys and values"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "place", "words"), MISTAKES)
def test_each_mistake_gives_one_line(right: str, wrong: str, place: str, words: str | None) -> None:
    assert BASE.count(right) >= 1
    text = BASE.replace(right, wrong, 1)
    if words is None:
        # A preparation at 24 h before the dose is fine: only one before time 0 is not.
        text = text.replace("offset: 24 h", "offset: 8 d")
        words = "move the first dose to 8 d or later"
    message = refusal(text)
    assert message.startswith(f"file.yaml:{place}: "), message
    assert words in message, message


def test_preparation_must_end_before_the_dose() -> None:
    text = BASE.replace("place: integration", "place: preparation").replace("offset: 24 h", "offset: 30 min")
    assert "therapy[0].relative.offset: a preparation of 60 min that starts 30 min before" in refusal(text)


def test_sessions_must_not_overlap_and_need_doses() -> None:
    more = "- kind: cbt\n  duration: 50 min\n  at: [192.5 h]\npractice:\n"
    assert refusal(BASE.replace("practice:\n", more)).startswith("file.yaml:20: therapy[1].at: the session at 192.5 h")
    bare = "schema_version: 1\nname: x\ntitle: x\nhorizon: 1 wk\ntherapy:\n- kind: cbt\n  duration: 1 h\n"
    assert "there are no doses" in refusal(bare + "  relative: {place: in_session, offset: 0 h}\n")


@pytest.mark.parametrize("text", ["", "- a\n", "text\n", "5\n"])
def test_what_is_not_keys_and_values(text: str) -> None:
    assert refusal(text).startswith("file.yaml:1: (file): the file must hold keys and values")


def test_errors_of_the_yaml_itself_come_through() -> None:
    assert refusal(BASE.replace("masking: open", "name: again")).startswith("file.yaml:5: name: the key stands twice")
    assert refusal(BASE.replace("0.5 mg/kg", "&x 0.5 mg/kg")).startswith("file.yaml:9: doses[0].amount: anchors")


# ------------------------------------------------------------------------------------------------------- loading


def test_load_by_name_or_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(BASE, encoding="utf-8")
    assert load_protocol(file) == load_protocol(str(file)) == parse_protocol(BASE)
    assert load_protocol("single_infusion") is load_protocol("single_infusion")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("single_infusio", "unknown protocol 'single_infusio'; nearest valid name 'single_infusion'"),
        ("qqqq", "valid names: anaesthetic_bolus"),
        ("none.yaml", "none.yaml: no such file"),
        ("some/where", "some/where: no such file"),
        ("", "is a directory"),
        ("a\0b", "unknown protocol 'a b'"),
        ("x" * 5000, "unknown protocol"),
        ("two\nlines", "unknown protocol 'two lines'"),
    ],
)
def test_unknown_names(name: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load_protocol(name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_protocols_are_frozen_and_strict() -> None:
    protocol = parse_protocol(BASE)
    with pytest.raises(ValidationError):
        protocol.name = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Protocol.model_validate({"schema_version": 1, "name": "x", "title": "x", "horizon": "1 wk", "extra": 1})
    assert hash(protocol) == hash(parse_protocol(BASE))


def test_loading_needs_no_heavy_package() -> None:
    code = (
        "import sys, kapsim.protocol as p, kapsim.patient; p.load_protocol('kap_six_sessions').session_events();"
        "print([m for m in ('jax', 'numpy', 'xarray', 'plotly', 'sympy', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------------- any protocol at all

UNITS_OF_TIME = st.sampled_from(["min", "h", "d", "wk", "mo"])
NUMBERS = st.one_of(st.integers(0, 40), st.floats(0.001, 40, allow_nan=False))


@st.composite
def times(draw: st.DrawFn) -> str:
    return f"{draw(NUMBERS)!r} {draw(UNITS_OF_TIME)}"


SPANS = st.builds("{!r} {}".format, st.floats(0.01, 40), UNITS_OF_TIME)
TITLES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
SCHEDULES = st.one_of(
    st.fixed_dictionaries({"at": times() | st.lists(times(), min_size=1, max_size=4)}),
    st.fixed_dictionaries({"every": SPANS, "until": times()}, optional={"from": times()}),
    st.fixed_dictionaries(
        {
            "weekdays": st.lists(st.sampled_from(["mon", "tue", "thu", "sun"]), min_size=1, max_size=3, unique=True),
            "weeks": st.integers(1, 4),
        },
        optional={"from": times()},
    ),
)
RELATIVE = st.fixed_dictionaries(
    {
        "relative": st.fixed_dictionaries(
            {"place": st.sampled_from(["preparation", "in_session", "integration"]), "offset": times()},
            optional={"doses": st.sampled_from(["first", "all"])},
        )
    }
)


def joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return first | second


DOSES = st.builds(
    joined,
    st.one_of(
        st.fixed_dictionaries(
            {
                "drug": st.sampled_from(["ketamine", "esketamine", "arketamine", "midazolam"]),
                "route": st.sampled_from(["im", "sc", "intranasal", "sublingual", "oral"]),
                "amount": st.sampled_from(["0.5 mg/kg", "1e-3 g", "84 mg", "0.1 mg/kg"]),
            }
        ),
        st.fixed_dictionaries(
            {"drug": st.just("saline"), "route": st.just("iv"), "amount": st.just("0 mg")},
            optional={"duration": st.sampled_from(["0 min", "10 min", "1 h"])},
        ),
    ),
    SCHEDULES,
)
THERAPY = st.builds(
    joined,
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["cbt", "kap", "met"]), "duration": st.sampled_from(["5 min", "0.1 h"])}
    ),
    SCHEDULES | RELATIVE,
)
PROTOCOLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "schema_version": st.just(1),
        "name": st.from_regex(r"\A[a-z][a-z0-9_]{0,12}\Z"),
        "title": TITLES,
        "horizon": st.just("5 a"),
    },
    optional={
        "description": st.text(st.characters(exclude_categories=["C"], include_characters="\n"), max_size=40),
        "masking": st.sampled_from(["open", "saline", "midazolam", "nasal_placebo", "anaesthesia"]),
        "doses": st.lists(DOSES, max_size=2),
        "therapy": st.lists(THERAPY, max_size=2),
        "practice": st.fixed_dictionaries({"level": st.floats(0, 1)}, optional={"until": st.just("1 a")}),
        "co_medication": st.lists(
            st.fixed_dictionaries({"drug": st.sampled_from(["memantine", "rifampicin"])}), max_size=1
        ),
        "stressors": st.lists(
            st.fixed_dictionaries({"at": times(), "duration": SPANS, "intensity": st.floats(0.01, 1)}), max_size=2
        ),
        "ratings": times() | st.lists(times(), min_size=1, max_size=3),
    },
)


def attempt(text: str) -> tuple[Protocol | None, str]:
    try:
        return parse_protocol(text, source="file.yaml"), ""
    except InputError as error:
        return None, str(error)


@settings(max_examples=120, deadline=None)
@given(PROTOCOLS)
def test_any_protocol_round_trips_or_is_refused_in_one_line(data: dict[str, Any]) -> None:
    protocol, message = attempt(strict_yaml.dump(data))
    if protocol is None:
        assert re.match(r"file\.yaml:\d+: [a-z]", message)
        assert "\n" not in message
        return
    again = parse_protocol(protocol.to_yaml())
    assert again == protocol
    assert again.to_yaml() == protocol.to_yaml()
    # Shorthands stay: what was `every` is not written out as a list of times.
    for written, read in zip(
        data.get("doses", []), strict_yaml.parse(protocol.to_yaml()).data.get("doses", []), strict=True
    ):
        assert written.keys() - {"duration"} == read.keys() - {"duration"}
    for events in (protocol.dose_events(), protocol.session_events()):
        starts = [event.start_h for event in events]
        assert starts == sorted(starts)
        assert all(math.isfinite(start) and start >= -1e-9 for start in starts)
        assert all(event.end_h <= protocol.horizon_h + 1e-6 for event in events)


# --------------------------------------------------------------------------------------------------- documentation

DOCUMENTATION = Path(__file__).parent.parent / "docs" / "protocols.md"


def test_the_examples_of_the_documentation_load() -> None:
    blocks = re.findall(r"```yaml\n(schema_version.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    first, second, third = blocks
    named = load_protocol("kap_six_sessions")
    shown = parse_protocol(first)
    assert shown == named.model_copy(update={"description": None})
    assert parse_protocol(second).co_medications()[0].end_h == 24
    assert parse_patient(third).age_years == 45
