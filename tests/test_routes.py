"""Routes, forms and interactions: exposure by arithmetic on the rate matrices, held against the published figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm

from kapsim.evidence import load_evidence, load_observed, load_parameters
from kapsim.kinetic_sets import rate_matrix
from kapsim.mechanisms.pharmacokinetics import (
    COMPARTMENTS,
    CYP_DRUGS,
    GUT_AND_LIVER,
    LIVER_ALONE,
    Pharmacokinetics,
)
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import parse_protocol
from kapsim.simulation import simulate

Array = NDArray[np.float64]

TYPICAL = sample_people(None, 1, 0, spread=False)
EVIDENCE = load_evidence()
#: Compartments that hold drug: the pump is a rate, not an amount.
HELD = COMPARTMENTS[1:]


def starts(route: str, people: People = TYPICAL) -> Array:
    """Amounts right after one unit of esketamine, shape (compartment, patient)."""
    entry = Pharmacokinetics.build(people.values).entry(
        "esketamine", route, np.ones(people.size), np.zeros(people.size)
    )
    amounts = np.zeros((len(HELD), people.size))
    for depot, share in entry.items():
        amounts[HELD.index(depot)] += share
    return amounts


def areas(route: str, taken: frozenset[str] = frozenset(), people: People = TYPICAL, system: str = "s") -> Array:
    """Area under each compartment's content to infinity for one unit by `route`, shape (compartment, patient)."""
    matrix = rate_matrix(Pharmacokinetics.build(people.values), system, people, COMPARTMENTS, taken)[:, 1:, 1:]
    return -np.linalg.solve(matrix, starts(route, people).T[..., None])[..., 0].T


def exposure(name: str, route: str, drug: str, people: People = TYPICAL) -> Array:
    """Area of a compartment with a medicine over without."""
    at = HELD.index(name)
    return np.asarray(areas(route, frozenset({drug}), people)[at] / areas(route, people=people)[at])


# --- interactions ---------------------------------------------------------------------------------------------------

ORAL = {name: f"pk.interaction.{name}" for name in (*GUT_AND_LIVER, *LIVER_ALONE)}
ORAL["rifampicin"] = "pk.interaction.rifampicin_oral"


def test_every_interaction_is_held_against_its_figure() -> None:
    assert set(ORAL) == set(CYP_DRUGS)


@pytest.mark.parametrize("drug", ORAL)
def test_oral_exposure_changes_by_the_parameter(drug: str) -> None:
    wanted = load_parameters()[ORAL[drug]].value
    for compartment in ("central", "venous", "effect"):
        assert exposure(compartment, "oral", drug)[0] == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("drug", GUT_AND_LIVER)
def test_norketamine_follows_what_passes_the_gut(drug: str) -> None:
    wanted = load_parameters()[f"pk.interaction.{drug}_gut"].value
    assert exposure("norketamine", "oral", drug)[0] == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(
    ("drug", "record"),
    [("clarithromycin", "pk.ddi.clarithromycin.nk_ratio"), ("grapefruit_juice", "pk.ddi.grapefruit_juice.nk_ratio")],
)
def test_the_ratio_of_metabolite_to_drug_falls_as_published(drug: str, record: str) -> None:
    fall = exposure("norketamine", "oral", drug)[0] / exposure("central", "oral", drug)[0]
    assert fall == pytest.approx(1.0 + EVIDENCE[record].value / 100.0, rel=0.02)


@pytest.mark.parametrize("drug", [*GUT_AND_LIVER, *LIVER_ALONE])
def test_what_acts_on_first_pass_leaves_an_injection_alone(drug: str) -> None:
    for route in ("iv", "im"):
        np.testing.assert_allclose(areas(route, frozenset({drug})), areas(route), rtol=1e-12)


def test_no_gut_or_liver_passes_more_than_everything() -> None:
    """Everybody's escape ends at 1, with all inhibitors at once and in people of any liver."""
    people = sample_people(None, 300, 5)
    inhibitors = frozenset(CYP_DRUGS) - {"rifampicin", "st_johns_wort"}
    central = HELD.index("central")
    injected, swallowed = areas("iv", people=people)[central], areas("oral", inhibitors, people)[central]
    assert (swallowed <= injected * (1.0 + 1e-9)).all()
    assert (swallowed > areas("oral", people=people)[central]).all()
    # the wall of the gut alone cannot make the published rise: most of it is the liver's
    assert 1.0 / load_parameters()["pk.gut.escape"].value < load_parameters()["pk.interaction.grapefruit_juice"].value


def test_observed_records_and_parameters_tell_the_same() -> None:
    observed = {record.id: record.points[0].value for record in load_observed()}
    for record, parameter in (
        ("peltoniemi2012gfj.auc", "pk.interaction.grapefruit_juice"),
        ("peltoniemi2012sjw.auc", "pk.interaction.st_johns_wort"),
        ("peltoniemi2012sjw.nk_auc", "pk.interaction.st_johns_wort_gut"),
        ("hagelberg2010.clarithromycin.auc", "pk.interaction.clarithromycin"),
    ):
        assert observed[record] == load_parameters()[parameter].value


# --- forms and routes -----------------------------------------------------------------------------------------------


def course_of(route: str, hours: Array, drug: str = "s") -> dict[str, Array]:
    """Content of every compartment over time for one unit by `route` in the typical person."""
    matrix = rate_matrix(Pharmacokinetics.build(TYPICAL.values), drug, TYPICAL, COMPARTMENTS, frozenset())[0, 1:, 1:]
    step, content = expm(matrix * (hours[1] - hours[0])), [starts(route)[:, 0]]
    for _ in hours[1:]:
        content.append(step @ content[-1])
    return dict(zip(HELD, np.asarray(content).T, strict=True))


def test_extended_release_gives_the_same_in_all_but_later_and_lower() -> None:
    hours = np.linspace(0.0, 48.0, 961)
    at_once, slowly = course_of("oral", hours), course_of("oral_extended_release", hours)
    for name in ("central", "norketamine"):
        at = HELD.index(name)
        np.testing.assert_allclose(areas("oral_extended_release")[at], areas("oral")[at], rtol=1e-12)
        assert slowly[name].max() < 0.6 * at_once[name].max()
        assert hours[slowly[name].argmax()] > hours[at_once[name].argmax()] + 1.0
    # most is released within the time over which the source saw release, and not at once
    left = slowly["tablet"]
    assert np.interp(10.0, hours, left) < 0.2
    assert np.interp(1.0, hours, left) > 0.7


def share_as_norketamine() -> float:
    """Norketamine's share of the area of extended release, by mass, of ketamine and norketamine, racemate."""
    mass = {name: load_parameters()[f"pk.molar_mass.{name}"].value for name in ("ketamine", "norketamine")}
    kinetics = Pharmacokinetics.build(TYPICAL.values)
    total = areas("oral_extended_release", system="s") + areas("oral_extended_release", system="r")
    ketamine = float(total[HELD.index("central")][0] / kinetics.v1[0]) * mass["ketamine"]
    norketamine = float(total[HELD.index("norketamine")][0] / kinetics.v1_norketamine[0]) * mass["norketamine"]
    return norketamine / (ketamine + norketamine)


def test_extended_release_circulates_mostly_as_norketamine() -> None:
    assert 0.75 < share_as_norketamine() < 1.0


@pytest.mark.xfail(
    strict=True,
    reason="0.80: the calibration is on oral solutions, of which more passes the liver (Chong 2006, Grant 1981)",
)
def test_extended_release_circulates_as_norketamine_as_much_as_published() -> None:
    assert share_as_norketamine() == pytest.approx(EVIDENCE["pk.route.oral.cr_nk_share"].value, abs=0.06)


def test_what_is_inhaled_arrives_as_published_and_is_not_swallowed() -> None:
    central = HELD.index("central")
    bioavailability = areas("inhaled")[central] / areas("iv")[central]
    assert bioavailability[0] == pytest.approx(EVIDENCE["pk.jonkman2017.f_inhaled"].value, rel=1e-9)
    hours = np.linspace(0.0, 4.0, 401)
    content = course_of("inhaled", hours)
    assert not content["swallowed"].any()
    assert not content["gut"].any()
    per_minute = -np.log(content["lung"][100] / content["lung"][0]) / 60.0
    assert per_minute == pytest.approx(EVIDENCE["pk.jonkman2017.ka_slow"].value, rel=1e-9)


def test_a_run_knows_routes_and_forms() -> None:
    lines = "schema_version: 1\nname: x\ntitle: x\nhorizon: 2 d\ndoses:\n- {drug: ketamine, amount: 100 mg, at: 0 h, "
    at_once = simulate(parse_protocol(f"{lines}route: oral}}"), draws=1, spread=False)
    slowly = simulate(parse_protocol(f"{lines}route: oral, form: extended_release}}"), draws=1, spread=False)
    inhaled = simulate(parse_protocol(f"{lines}route: inhaled}}"), draws=1, spread=False)
    highest = [float(run["plasma_ketamine_venous"].max()) for run in (slowly, at_once, inhaled)]
    assert 0.0 < highest[0] < 0.6 * highest[1] < 0.6 * highest[2]
    assert json.loads(slowly.attrs["doses"])[0]["label"] == "ketamine 100 mg oral extended release"
    assert json.loads(at_once.attrs["doses"])[0]["label"] == "ketamine 100 mg oral"
    assert "form: extended_release" in slowly.attrs["protocol"]
    assert "form" not in at_once.attrs["protocol"]
