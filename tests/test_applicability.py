"""How far a run stands from the evidence: each side by its own rule, on records whose answer is known."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapsim.applicability import Applicability, Side, applicability
from kapsim.errors import InputError
from kapsim.evidence import ObservedRecord, load_observed
from kapsim.patient import Patient, parse_patient
from kapsim.protocol import Protocol, load_protocol, named_protocols, parse_protocol
from kapsim.report.summary import evidence_lines

INFUSION = "{drug: ketamine, route: iv, amount: %s mg/kg, duration: 40 min, at: 0 h}"


def protocol(dose: str = INFUSION % "0.5", *more: str, horizon: str = "2 wk") -> Protocol:
    lines = ["schema_version: 1", "name: test", "title: test", f"horizon: {horizon}", f"doses: [{dose}]", *more]
    return parse_protocol("\n".join(lines))


def patient(*lines: str) -> Patient:
    return parse_patient("\n".join(["schema_version: 1", *lines]))


def side(found: Applicability, name: str) -> Side:
    (only,) = (item for item in found.sides if item.name == name)
    return only


@pytest.fixture(scope="module")
def template() -> ObservedRecord:
    """One infusion of 0.5 mg/kg, rated to 24 h."""
    (record,) = (item for item in load_observed() if item.id == "murrough2013a.ketamine.madrs")
    assert [(d.drug, d.route, d.amount, d.at_h) for d in record.regimen.doses] == [("ketamine", "iv", 0.5, (0.0,))]
    return record


def study(template: ObservedRecord, number: int, amount: float = 0.5, assumed: tuple[str, ...] = ()) -> ObservedRecord:
    """The template as another study's, with another dose."""
    regimen = template.regimen
    dose = regimen.doses[0].model_copy(update={"amount": amount})
    return template.model_copy(
        update={
            "id": f"study{number}",
            "study": template.study.model_copy(update={"author": f"Author {number}"}),
            "regimen": regimen.model_copy(update={"doses": (dose,), "assumed": assumed}),
        }
    )


@given(below=st.integers(0, 5), above=st.integers(0, 5), usual=st.integers(0, 4))
def test_a_dose_stands_by_the_studies_on_either_side(
    template: ObservedRecord, below: int, above: int, usual: int
) -> None:
    records = [study(template, k, 0.4) for k in range(below)]
    records += [study(template, 10 + k, 0.6) for k in range(above)]
    records += [study(template, 20 + k, 0.5, ("doses.amount",)) for k in range(usual)]
    found = side(applicability(protocol(), records=records), "dose").standing
    fewest = min(below, above)
    assert found == ("inside" if fewest >= 3 else "edge" if fewest + usual else "outside")


def test_two_records_of_one_study_count_once(template: ObservedRecord) -> None:
    one = [study(template, 1).model_copy(update={"id": f"study1.{k}"}) for k in range(5)]
    assert side(applicability(protocol(), records=one), "route").standing == "edge"
    three = [study(template, k) for k in range(3)]
    assert side(applicability(protocol(), records=three), "route").standing == "inside"


def test_what_a_record_supposes_is_an_edge_however_often(template: ObservedRecord) -> None:
    supposed = [study(template, k, assumed=("doses.route", "doses.amount")) for k in range(9)]
    found = applicability(protocol(), records=supposed)
    assert side(found, "route").standing == side(found, "dose").standing == "edge"
    assert "9 more" in side(found, "dose").text


def test_the_nearest_records_are_the_nearest(template: ObservedRecord) -> None:
    records = [study(template, k, amount) for k, amount in enumerate((0.1, 0.45, 2.0, 0.6, 1.0))]
    found = side(applicability(protocol(), records=records), "dose")
    assert found.nearest == ("study1", "study3", "study0")


def test_other_observables_do_not_count(template: ObservedRecord) -> None:
    outcome = template.outcome.model_copy(update={"observable": "acute.cadss"})
    others = [study(template, k).model_copy(update={"outcome": outcome}) for k in range(5)]
    assert applicability(protocol(), records=others).standing == "outside"


@pytest.mark.parametrize(
    ("what", "name", "standing"),
    [
        (protocol(INFUSION % "0.5"), "dose", "inside"),
        (protocol(INFUSION % "2"), "dose", "outside"),
        (protocol("{drug: ketamine, route: iv, amount: 100 ng/mL, duration: 40 min, at: 0 h}"), "dose", "outside"),
        (protocol("{drug: ketamine, route: inhaled, amount: 20 mg, at: 0 h}"), "route", "outside"),
        (protocol("{drug: arketamine, route: iv, amount: 0.5 mg/kg, at: 0 h}"), "route", "outside"),
        (protocol("{drug: ketamine, route: im, amount: 1 mg/kg, at: 0 h}"), "dose", "edge"),
        (protocol(INFUSION % "0.5", "co_medication: [{drug: memantine}]"), "combination", "outside"),
        (protocol(INFUSION % "0.5", horizon="4 wk"), "horizon", "inside"),
        (protocol(INFUSION % "0.5", horizon="200 wk"), "horizon", "outside"),
    ],
)
def test_known_corners_of_the_evidence(what: Protocol, name: str, standing: str) -> None:
    assert side(applicability(what), name).standing == standing


def test_people_are_held_against_the_evidence_too() -> None:
    assert side(applicability(protocol(), patient("age: 90 a")), "age").standing == "outside"
    assert side(applicability(protocol(), patient("diagnosis: trd")), "diagnosis").standing == "inside"
    assert side(applicability(protocol(), patient("diagnosis: hepatitis")), "diagnosis").standing == "outside"
    # the same milligrams are another dose for another weight
    spray = "{drug: esketamine, route: intranasal, amount: 84 mg, at: 0 h}"
    light, heavy = (side(applicability(protocol(spray), patient(f"weight: {kg} kg")), "dose") for kg in (40, 80))
    assert (light.standing, heavy.standing) == ("outside", "edge")


@pytest.mark.parametrize("name", named_protocols())
def test_every_named_protocol_is_placed_the_same_way_twice_and_quickly(name: str) -> None:
    what = load_protocol(name)
    first = applicability(what)
    start = time.process_time()
    assert applicability(what) == first
    assert time.process_time() - start < 0.05
    known = {record.id for record in load_observed()}
    assert {place for item in first.sides for place in item.nearest} <= known
    drugged = any(dose.drug.endswith("ketamine") for dose in what.dose_events())
    assert ({"route", "dose", "doses"} <= {item.name for item in first.sides}) == drugged


def test_text_and_back() -> None:
    found = applicability(load_protocol("kap_six_sessions"))
    assert Applicability.from_json(found.to_json()) == found
    assert json.loads(found.to_json())["standing"] == found.standing == "edge"
    assert [line.split(":")[0] for line in found.lines()] == ["edge", "inside"]
    for broken in ("", "[]", '{"sides": [{}]}', found.to_json().replace('"edge"', '"fine"')):
        with pytest.raises(InputError, match="applicability"):
            Applicability.from_json(broken)


def test_a_run_carries_it_to_summary_and_report() -> None:
    from kapsim.outcomes import endpoints
    from kapsim.report.html import report_html
    from kapsim.simulation import simulate

    run = simulate(protocol(INFUSION % "2", horizon="2 d"), draws=2)
    own = Applicability.from_json(run.attrs["applicability"])
    assert side(own, "dose").standing == "outside"
    assert evidence_lines(run)[0].startswith("evidence, outside: dose (ketamine iv, 2 mg/kg)")
    page = report_html(run, endpoints=endpoints(run))
    assert "How far from the evidence" in page
    for item in own.sides:
        assert item.text in page
    older = run.assign_attrs()
    del older.attrs["applicability"]
    assert evidence_lines(older) == []
    assert "These results do not say." in report_html(older, endpoints=endpoints(older))
