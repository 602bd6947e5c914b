"""SBML: valid to the last unit, and run by other engines to kapsim's own numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import ENGINES, worst
from kapsim.cli import main
from kapsim.engine.grid import Resolution
from kapsim.errors import InputError
from kapsim.exchange.sbml.archive import sedml_text
from kapsim.exchange.sbml.chain import RATED
from kapsim.exchange.sbml.document import antimony_text, problems, sbml_text
from kapsim.exchange.sbml.exporting import export_system, one_person
from kapsim.exchange.sbml.solution import quiet_times, solved_states
from kapsim.exchange.sbml.unit_definitions import Dimension, Literals, UnitError
from kapsim.mechanisms.switches import VARIANTS
from kapsim.protocol import load_protocol, named_protocols, parse_protocol
from kapsim.simulation import simulate_people
from selection import some

FINE = Resolution().finer(16)
TOLERANCE = 1e-5
FILM = """schema_version: 1
name: film
title: a film and a vein
horizon: 48 h
doses:
  - {drug: esketamine, route: sublingual, amount: 100 mg, at: 1 h}
  - {drug: esketamine, route: iv, amount: 20 mg, duration: 30 min, at: 20 h}
"""
TARGET = """schema_version: 1
name: target
title: a target-controlled infusion over a bolus, with an inhibitor
horizon: 30 h
doses:
  - {drug: ketamine, route: iv, amount: 20 mg, at: 0 h}
  - {drug: esketamine, route: iv, amount: 100 ng/mL, duration: 20 min, at: 2 h}
co_medication: [{drug: clarithromycin, from: 0 h, until: 30 h}]
"""


@pytest.fixture(scope="module")
def single_infusion():
    return export_system("single_infusion")


def agreement(protocol, variant="standard", kinetics="default", person=None):
    """Return the largest difference of each engine, over the states at 200 times."""
    plan = protocol if not isinstance(protocol, str) else load_protocol(protocol)
    people = one_person(None, person, 0, variant)
    system = export_system(plan, variant=variant, kinetics=kinetics, person=person)
    hours = quiet_times(plan, people, 200, kinetics)
    assert len(hours) == 200
    text = sbml_text(system)
    assert problems(text) == []
    own = solved_states(plan, people, hours, variant=variant, kinetics=kinetics, resolution=FINE)
    assert {name for name in own if np.any(own[name])} <= set(system.states)
    return {name: worst(own, run(text, system, hours)) for name, run in ENGINES.items()}


@pytest.mark.parametrize(
    ("protocol", "variant"),
    [
        ("single_infusion", "standard"),
        pytest.param("kap_sublingual", "il6_up", marks=pytest.mark.slow),
        pytest.param("single_infusion", "node_pair", marks=pytest.mark.slow),
    ],
)
def test_other_engines_agree_state_by_state(protocol, variant):
    found = agreement(protocol, variant)
    assert all(difference < TOLERANCE for _, difference in found.values()), found


@pytest.mark.slow
@pytest.mark.parametrize("protocol", named_protocols())
def test_other_engines_agree_on_every_named_protocol(protocol):
    found = agreement(protocol, person=7)
    assert all(difference < TOLERANCE for _, difference in found.values()), found


@pytest.mark.slow
@pytest.mark.parametrize(("text", "kinetics"), [(FILM, "simons2022"), (TARGET, "default")])
def test_published_kinetics_and_pumps_are_exported_alike(text, kinetics):
    found = agreement(parse_protocol(text), kinetics=kinetics, person=2)
    assert all(difference < TOLERANCE for _, difference in found.values()), found


def test_a_wrong_constant_would_be_seen(single_infusion):
    plan, people = load_protocol("single_infusion"), one_person(None, None, 0)
    hours = quiet_times(plan, people, 20)
    own = solved_states(plan, people, hours, resolution=FINE)
    altered = replace(
        single_infusion,
        constants=tuple(
            replace(item, value=1.001 * item.value) if item.id == "plasticity_tau_bdnf" else item
            for item in single_infusion.constants
        ),
    )
    _, difference = worst(own, ENGINES["copasi"](sbml_text(altered), altered, hours))
    assert difference > 10 * TOLERANCE


@pytest.mark.parametrize("variant", some(VARIANTS, "direct", "node_pair", "expectancy_only"))
def test_variants_differ_in_their_switches_and_their_own_fit_alone(variant, single_infusion, monkeypatch):
    monkeypatch.setattr("kapsim.averaging._own", lambda _: {})
    system = export_system("single_infusion", variant=variant)
    switches = {item.id: item.value for item in system.constants if item.id.startswith("switch_")}
    wanted = {f"switch_{name}": value for name, value in VARIANTS[variant]._asdict().items()}
    assert switches == {name: wanted[name] for name in switches}

    def rest(whole):
        kept = tuple(item for item in whole.constants if not item.id.startswith("switch_"))
        return replace(whole, id="", name="", constants=kept)

    assert rest(system) == rest(single_infusion)


@pytest.mark.parametrize("protocol", some(named_protocols(), "kap_six_sessions", "midazolam_infusion", "no_treatment"))
def test_every_protocol_is_valid_with_units(protocol):
    assert problems(sbml_text(export_system(protocol))) == []


def test_units_are_really_checked(single_infusion):
    text = sbml_text(single_infusion)
    wrong = re.sub(r'(<parameter[^>]*id="glutamate_tau"[^>]*units=")h(")', r"\1nM\2", text)
    assert wrong != text
    assert any("unit" in line.lower() for line in problems(wrong))


@pytest.mark.slow
def test_ratings_in_another_engine_are_those_of_a_run():
    import roadrunner

    plan = load_protocol("single_infusion")
    people = one_person(None, None, 0)
    engine = roadrunner.RoadRunner(sbml_text(export_system(plan)))
    engine.integrator.relative_tolerance = 1e-9
    results = simulate_people(plan, people)
    visits = [hours for hours in plan.rating_times() if 0.0 < hours < plan.horizon_h]
    assert visits
    engine.timeCourseSelections = ["time", *RATED]
    states = len(export_system(plan).states)
    engine.integrator.setValue("absolute_tolerance", [1e-10] * states)
    found = np.asarray(engine.simulate(times=[0.0, *(hours + 0.01 for hours in visits)]))[1:]
    for place, scale in enumerate(RATED, start=1):
        own = results[scale].sel(time=visits, method="nearest").to_numpy()[0]
        assert found[:, place] == pytest.approx(own, rel=2e-4)


def test_dimensions_of_numbers_follow_from_the_sides():
    import sympy

    hours, level, litre = sympy.symbols("hours level litre", real=True)
    literals = Literals({"hours": "h", "level": "uM", "litre": "nM"})
    assert dict(literals.numbers(hours + 3, Dimension.of("h"))) == {(0,): Dimension.of("h")}
    factor = dict(literals.numbers(1000 * level / litre, Dimension.of("1")))
    assert [part.size for part in factor.values() if not part.is_pure] == [pytest.approx(1e-3)]
    with pytest.raises(UnitError):
        list(literals.numbers(hours + level, Dimension.of("h")))
    with pytest.raises(UnitError):
        list(literals.numbers(7 * level / litre, Dimension.of("1")))


@settings(max_examples=8, deadline=None)
@given(
    milligrams=st.floats(1.0, 500.0),
    start=st.integers(0, 40),
    route=st.sampled_from(["iv", "im", "oral", "intranasal", "sublingual", "sc"]),
)
def test_any_dose_is_exported_whole(milligrams, start, route):
    plan = parse_protocol(
        "schema_version: 1\nname: any\ntitle: any\nhorizon: 60 h\n"
        f"doses: [{{drug: ketamine, route: {route}, amount: {milligrams!r} mg, at: {start} h}}]\n"
    )
    system = export_system(plan, drug_only=True)
    values = {item.id: item.value for item in system.constants}
    assert values["dose_1"] == pytest.approx(milligrams)
    per = [value for name, value in values.items() if re.fullmatch(r"dose_1_[sr]_\w+", name)]
    absorbed = sum(per) * values["pk_molar_mass_ketamine"] / 1000.0
    assert 0.0 < absorbed <= 1.0 + 1e-12


def test_antimony_and_sedml_say_what_the_model_says(single_infusion):
    text = antimony_text(single_infusion)
    assert "pyramidal_rate :=" in text
    assert "state_mood_depression' = madrs_momentary" in text
    experiment = sedml_text(single_infusion)
    assert experiment.count("<plot2D") == 6
    assert 'source="model.xml"' in experiment


def test_copasi_opens_the_archive_and_draws_the_main_figure(tmp_path):
    import COPASI

    assert main(["export", "archive", "single_infusion", "--out", str(tmp_path / "a.omex")]) == 0
    model = COPASI.CRootContainer.addDatamodel()
    assert model.openCombineArchive(str(tmp_path / "a.omex"))
    assert model.getNumPlotSpecifications() == 6
    task = model.getTask("Time-Course")
    assert task.getProblem().getDuration() == pytest.approx(load_protocol("single_infusion").horizon_h)
    assert task.process(True)
    own = simulate_people(load_protocol("single_infusion"), one_person(None, None, 0))
    values = {item.getSBMLId(): item.getValue() for item in model.getModel().getModelValues()}
    for name in ("glutamate", "spine_density", "rumination", "madrs"):
        end = values[name]
        assert end == pytest.approx(float(own[name][0, -1]), rel=1e-3), name


@pytest.mark.parametrize("form", ["sbml", "antimony", "archive"])
def test_export_writes_one_whole_file(form, tmp_path, capsys):
    path = tmp_path / "out"
    assert main(["export", form, "single_infusion", "--variant", "direct", "--out", str(path)]) == 0
    said = capsys.readouterr().out
    assert "not medical advice" in said.lower() or "research" in said.lower()
    assert path.stat().st_size > 10_000
    if form == "sbml":
        # the other forms are made of it
        first = path.read_bytes()
        assert main(["export", form, "single_infusion", "--variant", "direct", "--out", str(path)]) == 0
        assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sbml", "no_such"], "unknown protocol 'no_such'"),
        (["sbml", "single_infusion", "--variant", "dirct"], "nearest: 'direct'"),
        (["sbml", "single_infusion", "--kinetics", "kamp"], "did you mean 'kamp2020'"),
        (["sbml", "kap_six_sessions", "--kinetics", "kamp2020"], "knows no im dose"),
        (["sbml", "single_infusion", "--person", "-1"], "person: -1 is not between"),
    ],
)
def test_bad_input_is_one_line(words, message, tmp_path, capsys):
    path = tmp_path / "model.xml"
    assert main(["export", *words, "--out", str(path)]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1
    assert not path.exists()


def test_a_missing_library_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "libsbml", None)
    with pytest.raises(InputError, match=r"python-libsbml.*kapsim\[exchange\]"):
        sbml_text(export_system("no_treatment"))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys):
    assert main(["export", "sbml", "no_treatment", "--out", str(tmp_path / "no" / "model.xml")]) == 2
    assert "cannot be" in capsys.readouterr().err
