"""The average over variants: everybody under a variant of their own, in one batch, and what variants differ by."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import reference
from kapsim import averaging
from kapsim.averaging import AVERAGE, structural_spread, switches_for, variant_weights, variants_of
from kapsim.cli import main
from kapsim.course import build_course
from kapsim.engine.grid import Resolution
from kapsim.errors import InputError
from kapsim.mechanisms.switches import VARIANTS
from kapsim.outcomes import endpoints
from kapsim.patient.sampling import sample_people
from kapsim.protocol import load_protocol
from kapsim.report.html import report_html
from kapsim.report.summary import print_summary, structure_lines
from kapsim.sentinels import some_of
from kapsim.simulation import simulate, simulate_people
from kapsim.solving import integrate

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
