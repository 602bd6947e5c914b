"""The average over variants: everybody under a variant of their own, in one batch, and what variants differ by."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import reference
from kapsim import averaging
from kapsim.averaging import (
    AVERAGE,
    drawn_under,
    registry_under,
    structural_spread,
    switches_for,
    variant_weights,
    variants_of,
)
from kapsim.cli import main
from kapsim.course import build_course
from kapsim.engine.grid import Resolution
from kapsim.errors import InputError
from kapsim.evidence import load_parameters
from kapsim.evidence._files import CHAIN_CALIBRATION
from kapsim.evidence.calibration import Moved, OfVariant, load_calibration, load_of_variants
from kapsim.exchange.sbml.exporting import one_person
from kapsim.mechanisms.switches import VARIANTS
from kapsim.outcomes import endpoints
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import load_protocol
from kapsim.report.html import report_html
from kapsim.report.summary import print_summary, structure_lines
from kapsim.sentinels import some_of
from kapsim.simulation import simulate, simulate_people
from kapsim.solving import integrate
from kapsim.streaming import people_from

WEIGHTS = {"standard": 0.4, "node_pair": 0.3, "additive_therapy": 0.2, "il6_up": 0.1}


@pytest.fixture
def weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up weights in the place of those that ship."""
    for home in ("kapsim.averaging", "kapsim.results"):
        monkeypatch.setattr(f"{home}.variant_weights", lambda: WEIGHTS)


@pytest.mark.parametrize("engine", ["compiled", "jax"])
def test_everybody_is_who_they_are_under_their_own_variant(
    engine: str, weighed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference.few_programs(monkeypatch, steps=1024, outputs=256)
    people = sample_people(None, 40, 5, per_draw=4)
    course = build_course(load_protocol("single_infusion_with_training"), people, Resolution(8, 64, 8))
    states, amounts = integrate(course, people, switches_for(AVERAGE, people), engine=engine)
    own = np.asarray(variants_of(people))
    assert set(own) == set(WEIGHTS)
    for name in WEIGHTS:
        alone, contents = integrate(course, people, VARIANTS[name], engine=engine)
        here = own == name
        scale = np.maximum(np.abs(alone[..., here]).max(axis=0), 1e-3)
        assert (np.abs(states[..., here] - alone[..., here]) / scale).max() < 1e-10
        np.testing.assert_allclose(amounts[..., here], contents[..., here], rtol=1e-12)


def test_results_say_whose_variant_is_which(weighed: None) -> None:
    people = sample_people(None, 24, 5, per_draw=4)
    found = simulate_people(load_protocol("single_infusion"), people, variant=AVERAGE, check_solution=True)
    names = found["variant_number"].attrs["flag_meanings"].split()
    assert [names[number] for number in found["variant_number"].values] == variants_of(people)
    assert found.attrs["variant"] == AVERAGE
    alone = simulate_people(load_protocol("single_infusion"), people, variant="node_pair")
    here = np.asarray(variants_of(people)) == "node_pair"
    assert here.any()
    np.testing.assert_allclose(found["madrs"].values[here], alone["madrs"].values[here], atol=1e-8)


@pytest.fixture
def fitted(weighed: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Made-up fits of two variants in the place of those that ship."""
    fits = [
        OfVariant(variant=name, parameters=(Moved(id=PARAMETER, value=value, sd=0.2, moved=0.0, kept=0.3),))
        for name, value in (("node_pair", 50.0), ("il6_up", 0.02))
    ]
    monkeypatch.setattr("kapsim.evidence.calibration.load_of_variants", lambda: tuple(fits))
    averaging._own.cache_clear()
    yield
    averaging._own.cache_clear()


PARAMETER = "mood.weight.anhedonia"


def test_a_variant_has_the_parameters_of_its_own_fit(fitted: None) -> None:
    assert registry_under("standard") is None
    # alike in its switches to the standard chain, or not fitted: as the standard chain
    assert registry_under("cytokines_off") is registry_under("additive_therapy") is None
    own, usual = registry_under("node_pair"), load_parameters()
    assert own is not None
    assert own[PARAMETER].value == 50.0
    assert {name for name in usual if own[name] != usual[name]} == {PARAMETER}
    # a registry of other people keeps them
    old = usual["patient.age"].model_copy(update={"value": 71.0})
    others = registry_under("il6_up", {**usual, "patient.age": old})
    assert others is not None
    assert (others["patient.age"].value, others[PARAMETER].value) == (71.0, 0.02)


def test_people_are_drawn_by_the_fit_of_their_variant(fitted: None) -> None:
    """The same deviates under all; under the average everybody is who they are under their own variant."""

    def people(variant: str) -> People:
        return drawn_under(variant, lambda own: sample_people(None, 60, 3, per_draw=2, parameters=own))

    usual, node_pair, mixed = people("standard"), people("node_pair"), people(AVERAGE)
    assert np.log(node_pair.values[PARAMETER] / usual.values[PARAMETER]).mean() > 1.5
    same = set(usual.values) - {PARAMETER}
    assert all(np.array_equal(usual.values[name], node_pair.values[name]) for name in same)
    names = np.asarray(variants_of(mixed))
    assert set(names) == set(WEIGHTS)
    for name in WEIGHTS:
        here, alone = names == name, people(name)
        np.testing.assert_array_equal(mixed.values[PARAMETER][here], alone.values[PARAMETER][here])
        np.testing.assert_array_equal(mixed.traits.untouched[here], alone.traits.untouched[here])


def test_runs_exports_and_populations_take_the_fit_of_the_variant(fitted: None) -> None:
    usual, own = (
        float(simulate("single_infusion", variant=name, draws=20)["madrs"].sel(time=24.0, method="nearest").mean())
        for name in ("standard", "il6_up")
    )
    # synapses hardly weigh on mood by that fit, so the drug hardly relieves
    assert own > usual + 1.0
    assert one_person(None, None, 0, "node_pair").values[PARAMETER][0] == 50.0
    block = people_from(None, 20, 10, 0, variant="node_pair").values[PARAMETER]
    whole = people_from(None, 0, 30, 0, variant="node_pair").values[PARAMETER]
    np.testing.assert_array_equal(block, whole[20:])
    assert np.exp(np.log(whole).mean()) > 10.0


def test_predictions_average_over_variants_by_default(weighed: None) -> None:
    """The typical person has no draw to be spread by, and is that of the standard chain."""
    assert simulate("single_infusion", draws=4).attrs["variant"] == AVERAGE
    assert simulate("single_infusion", draws=1, spread=False).attrs["variant"] == "standard"


def test_the_fits_that_ship_are_of_every_variant_that_was_scored() -> None:
    shipped = load_calibration(CHAIN_CALIBRATION)
    scored = {one.name for one in shipped.variants} - {"standard"}
    assert {one.variant for one in load_of_variants()} == scored
    free = [item.id for item in shipped.parameters if not item.id.startswith("observation.")]
    for one in load_of_variants():
        assert [item.id for item in one.parameters] == free
        assert registry_under(one.variant) is not None


@settings(max_examples=30, deadline=None)
@given(places=st.lists(st.integers(0, 119), min_size=1, max_size=8, unique=True), seed=st.integers(0, 99))
def test_a_variant_does_not_hang_on_who_else_is_there(places: list[int], seed: int) -> None:
    people = PEOPLE
    whole = variants_of(people, WEIGHTS)
    assert variants_of(some_of(people, places), WEIGHTS) == [whole[place] for place in places]


PEOPLE = sample_people(None, 120, 0, per_draw=1)


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6))
def test_draws_are_spread_as_the_weights_say(parts: list[float]) -> None:
    names = list(VARIANTS)[: len(parts)]
    weights = {name: part / sum(parts) for name, part in zip(names, parts, strict=True)}
    found = variants_of(PEOPLE, weights)
    for name in names:
        assert abs(found.count(name) / len(found) - weights[name]) < 0.05


def test_spread_between_variants_is_told_from_chance() -> None:
    generator = np.random.default_rng(0)
    names, draws = ["a", "b"] * 2000, np.arange(4000)
    values = generator.normal(0.0, 5.0, 4000)
    same = structural_spread(names, draws, values)
    apart = structural_spread(names, draws, values + 3.0 * (np.asarray(names) == "b"))
    assert same is not None
    assert apart is not None
    assert same.spread < 0.3
    assert apart.spread == pytest.approx(1.5, abs=0.2)
    assert apart.means["b"] - apart.means["a"] == pytest.approx(3.0, abs=0.5)
    assert structural_spread(names[:30], draws[:30], values[:30]) is None


def test_the_summary_tells_what_variants_differ_by(weighed: None) -> None:
    found = simulate("single_infusion", variant=AVERAGE, draws=300)
    with io.StringIO() as text:
        print_summary(found, endpoints(found), console=Console(file=text, width=200))
        assert "structure: madrs_change_24h from -" in text.getvalue()
    page = report_html(found, endpoints=endpoints(found))
    table = page[page.index('id="structure"') :].split("</table>")[0]
    assert all(f'class="n">{name}</th>' in table for name in WEIGHTS)
    assert table.count("<tr>") == 1 + len(structure_lines(found, endpoints(found)))
    assert 'id="structure"' not in report_html(
        simulate("single_infusion", draws=20), endpoints=endpoints(simulate("single_infusion", draws=20))
    )


def test_without_weights_there_is_no_average(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Any) -> None:
    variant_weights.cache_clear()
    monkeypatch.setattr("kapsim.evidence._files.CHAIN_CALIBRATION", tmp_path / "none.yaml")
    with pytest.raises(InputError, match="needs weights, and the calibration of this version has none"):
        averaging.check_variant(AVERAGE)
    variant_weights.cache_clear()
    assert main(["explain", "single_infusion", "--variant", AVERAGE]) == 2
    shown = capsys.readouterr().err
    assert "'average' is no single model" in shown
    assert shown.count("\n") == 1
