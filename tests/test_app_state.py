"""The explorer's state: what a browser may say, its way through the address, and the courses it stands for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kapsim.app import address
from kapsim.app.address import View
from kapsim.app.controls import (
    DRUGS,
    FIRST,
    MASKINGS,
    NAMES,
    OTHER_DRUGS,
    ROUTES,
    THERAPIES,
    Controls,
    checked,
    is_named,
    patient_of,
    preset_controls,
    protocol_of,
)
from kapsim.app.course_page import PEOPLE_INPUTS, SLIDERS, bounds
from kapsim.app.solving import BusyError, Desk
from kapsim.errors import InputError
from kapsim.mechanisms.switches import VARIANTS
from kapsim.patient.sampling import sample_people
from kapsim.protocol import load_protocol, named_protocols

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Made = TypeVar("Made")
WHOLE = ("doses", "preparation", "weekly")


def _numbers(name: str) -> st.SearchStrategy[Any]:
    low, high = bounds(name)
    if name in WHOLE:
        return st.integers(int(low), int(high))
    inside = st.floats(low, high, allow_nan=False)
    return st.none() | inside if name in PEOPLE_INPUTS else inside


@st.composite
def controls(draw: st.DrawFn) -> Controls:
    """Any controls that a page could send."""
    values: dict[str, Any] = {name: draw(_numbers(name)) for name in (*SLIDERS, *PEOPLE_INPUTS)}
    values |= {
        "preset": draw(st.sampled_from(sorted(named_protocols()))),
        "drug": draw(st.sampled_from(DRUGS)),
        "route": draw(st.sampled_from(ROUTES)),
        "therapy": draw(st.sampled_from(THERAPIES)),
        "masking": draw(st.sampled_from(MASKINGS)),
        "beside": draw(st.booleans()),
        "others": draw(st.lists(st.sampled_from(OTHER_DRUGS), max_size=4, unique=True)),
        "variant": draw(st.sampled_from(sorted(VARIANTS))),
    }
    return checked(values)


def or_line(make: Callable[[], Made], about: str) -> Made | None:
    """What is made, or None where it is refused in one line that holds `about`."""
    try:
        return make()
    except InputError as error:
        line = str(error)
    assert "\n" not in line
    assert about in line
    return None


@given(controls(), st.none() | controls(), st.sampled_from(address.WINDOWS))
@QUICK
def test_a_link_reproduces_the_view(first: Controls, second: Controls | None, window: address.Window) -> None:
    view = View(first, second, window)
    assert address.read(address.written(view)) == view
    assert address.read("?" + address.written(view)) == view


@given(controls())
@QUICK
def test_controls_give_a_protocol_or_one_clear_line(found: Controls) -> None:
    protocol = or_line(lambda: protocol_of(found), "this course")
    if protocol is None:
        return
    assert protocol.horizon_h <= 52 * 168 + 1e-6
    if not is_named(found) and found.drug != "none":
        doses = protocol.dose_events()
        assert len(doses) == found.doses
        assert {dose.route for dose in doses} == {found.route}
    if not is_named(found) and found.therapy == "none":
        assert not protocol.session_events()


@given(st.text(max_size=120))
@QUICK
def test_any_text_as_an_address_is_a_view_or_one_clear_line(text: str) -> None:
    view = or_line(lambda: address.read(text), "")
    assert view is None or address.read(address.written(view)) == view


@given(
    st.dictionaries(
        st.sampled_from(NAMES) | st.text(max_size=8),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.lists(st.integers()),
        max_size=6,
    )
)
@QUICK
def test_any_values_are_controls_or_one_clear_line(values: dict[str, Any]) -> None:
    found = or_line(lambda: checked(values), ":")
    if found is None:
        return
    for name in (*SLIDERS, *PEOPLE_INPUTS):
        low, high = bounds(name)
        value = getattr(found, name)
        assert value is None or low <= value <= high


@pytest.mark.parametrize(
    ("values", "about"),
    [
        ({"per_kg": 500.0}, "per_kg"),
        ({"per_kg": float("nan")}, "per_kg"),
        ({"doses": 10_000}, "doses"),
        ({"weeks": 5000.0}, "weeks"),
        ({"doses": "many"}, "doses"),
        ({"preset": "../../etc/passwd"}, "preset"),
        ({"variant": "__class__"}, "variant"),
        ({"others": ["naltrexone"] * 5}, "others"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"beside": "yes"}, "beside"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(values: dict[str, Any], about: str) -> None:
    with pytest.raises(InputError, match=f"^{about}:"):
        checked(values)


@pytest.mark.parametrize("name", sorted(named_protocols()))
def test_a_preset_is_the_named_protocol_itself(name: str) -> None:
    found = preset_controls(name)
    assert is_named(found)
    assert protocol_of(found) == load_protocol(name)
    # and with somebody described, it still is
    assert protocol_of(checked({**found.model_dump(), "weight": 90.0})) == load_protocol(name)


@pytest.mark.parametrize("name", ["kap_six_sessions", "kap_sublingual", "single_infusion", "saline_infusion"])
def test_a_moved_control_changes_that_thing_alone(name: str) -> None:
    usual, named = preset_controls(name), load_protocol(name)
    longer = protocol_of(checked({**usual.model_dump(), "weeks": usual.weeks + 1.0}))
    assert longer.dose_events() == named.dose_events()
    assert [(s.start_h, s.place, s.end_h) for s in longer.session_events()] == [
        (s.start_h, s.place, s.end_h) for s in named.session_events()
    ]
    assert longer.horizon_h == named.horizon_h + 168.0


def test_preparation_moves_the_first_dose_where_it_must() -> None:
    base = preset_controls("single_infusion").model_dump()
    protocol = protocol_of(checked({**base, "therapy": "kap", "preparation": 3, "first": 0.0}))
    assert protocol.dose_events()[0].start_h == 240.0
    assert [session.start_h for session in protocol.session_events()] == [0.0, 72.0, 168.0]


def test_what_is_said_of_the_people_reaches_them() -> None:
    base = preset_controls(FIRST).model_dump()
    said = {"severity": 35.0, "crp": 8.0, "episode": 60.0, "weight": 90.0, "age": 60.0, "expectancy": 0.25}
    people = sample_people(patient_of(checked({**base, **said})), 8, 0)
    for found, value in (
        (people.traits.madrs, 35.0),
        (people.traits.crp, 8.0),
        (people.body.weight, 90.0),
        (people.body.age, 60.0),
        (people.traits.expectation, 0.25),
    ):
        assert found == pytest.approx([value] * 8)
    assert patient_of(checked(base)) is None


def test_an_answer_is_worked_out_once_and_kept() -> None:
    desk, calls = Desk(), []
    try:
        answers = [desk.ask("key", lambda: calls.append(1) or len(calls), 10.0) for _ in range(3)]
    finally:
        desk.close()
    assert answers == [1, 1, 1]


def test_a_late_answer_is_an_error_that_says_so_and_is_there_later() -> None:
    desk, gate = Desk(), threading.Event()
    try:
        with pytest.raises(BusyError, match="no answer within"):
            desk.ask("slow", lambda: gate.wait(20.0), 0.05)
        gate.set()
        assert desk.ask("slow", lambda: pytest.fail("asked twice"), 20.0) is True
    finally:
        gate.set()
        desk.close()


def test_too_many_questions_are_turned_away() -> None:
    desk, gate = Desk(workers=1, waiting=2), threading.Event()
    try:
        for key in range(2):
            desk.begin(key, lambda: gate.wait(20.0))
        with pytest.raises(BusyError, match="too much to do"):
            desk.begin("one more", lambda: None)
    finally:
        gate.set()
        desk.close()


def test_old_answers_go_and_errors_are_not_kept() -> None:
    desk, calls = Desk(kept=3), []

    def fail() -> None:
        calls.append(1)
        raise InputError("no")

    try:
        for key in range(20):
            desk.ask(key, lambda: 0, 10.0)
        assert len(desk._answers) <= 4
        for _ in range(2):
            with pytest.raises(InputError):
                desk.ask("bad", fail, 10.0)
            time.sleep(0.05)
    finally:
        desk.close()
    assert len(calls) == 2
