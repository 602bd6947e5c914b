"""What variants answer to perturbations: the right people, the right hours, and what a study would have found."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kapsim.cli import main
from kapsim.errors import InputError
from kapsim.evidence import load_evidence
from kapsim.perturbations import HOURS, PERTURBATIONS, PLAIN, Answer, _found, perturb

TRIED = ("standard", "cytokines_off", "opioid_gate", "expectancy_only", "hnk")


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, str, float], Answer]:
    return {(a.perturbation, a.variant, a.hour): a for a in perturb(TRIED, draws=3)}


def test_every_perturbation_is_answered_by_every_variant_at_every_hour(
    answers: dict[tuple[str, str, float], Answer],
) -> None:
    assert set(answers) == {(p.name, v, h) for p in PERTURBATIONS for v in TRIED for h in HOURS}
    for answer in answers.values():
        assert np.isfinite([answer.relief, answer.change, answer.low, answer.high]).all()
        assert answer.low <= answer.high
        assert (answer.agrees is None) == (answer.seen is None)


@pytest.mark.parametrize("perturbation", [PLAIN, *PERTURBATIONS], ids=lambda p: p.name)
def test_a_perturbation_is_a_protocol_and_what_was_seen_is_on_record(perturbation: object) -> None:
    evidence = load_evidence()
    assert perturbation in (PLAIN, *PERTURBATIONS)
    for item in PERTURBATIONS:
        if item is perturbation:
            assert item.protocol() != PLAIN.protocol() or item.without
            for seen in item.seen:
                assert seen.hour in HOURS
                assert evidence[seen.evidence].n == seen.people


def test_variants_that_are_alike_answer_alike(answers: dict[tuple[str, str, float], Answer]) -> None:
    for perturbation in PERTURBATIONS:
        for hour in HOURS:
            one, other = (answers[perturbation.name, name, hour] for name in ("standard", "cytokines_off"))
            assert one._replace(variant="") == other._replace(variant="")


def test_a_medicine_acts_only_where_its_link_is_on(answers: dict[tuple[str, str, float], Answer]) -> None:
    assert answers["naltrexone", "standard", 24.0].change == 0.0
    assert answers["naltrexone", "opioid_gate", 24.0].change > 1.0
    assert answers["no_hnk", "standard", 24.0].change == 0.0
    assert answers["no_hnk", "hnk", 24.0].change > 0.0
    assert answers["rapamycin", "expectancy_only", 24.0].change == 0.0
    assert answers["masking", "expectancy_only", 24.0].change > 0.0


@pytest.mark.parametrize(("shift", "people", "found"), [(5.0, 20, "less"), (-5.0, 20, "more"), (5.0, 3, "same")])
def test_a_study_finds_what_its_size_allows(shift: float, people: int, found: str) -> None:
    plain = np.random.default_rng(0).normal(20.0, 5.0, 400)
    assert _found(plain + shift, plain, people) == found


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(InputError, match="nearest: 'standard'"):
        perturb(("standrad",))


def test_the_command_tells_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kapsim.perturbations.PERTURBATIONS", PERTURBATIONS[:2])
    monkeypatch.setattr("kapsim.perturbations.perturb.__defaults__", (("standard", "opioid_gate"),))
    monkeypatch.setitem(perturb.__kwdefaults__, "draws", 2)
    assert main(["variants", "--perturbations"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "naltrexone beside ketamine" in shown
    assert "seen in 12 people at 24 h: less relief (opioid.naltrexone.antidepressant)" in shown
    assert "never a recommended dose" in shown
    assert main(["variants", "--perturbations", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["variant"] for row in told["answers"]} == {"standard", "opioid_gate"}
    assert told["provenance"]["seed"] == "0"
    assert main(["variants", "--json"]) == 2
    assert "goes with --perturbations" in capsys.readouterr().err
