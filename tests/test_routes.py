"""Routes, forms and interactions: exposure by arithmetic on the rate matrices, held against the published figures."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kapsim.course import rate_matrix
from kapsim.evidence import load_evidence, load_observed, load_parameters
from kapsim.mechanisms.pharmacokinetics import (
    COMPARTMENTS,
    CYP_DRUGS,
    GUT_AND_LIVER,
    LIVER_ALONE,
    Pharmacokinetics,
)
from kapsim.patient.sampling import People, sample_people

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
