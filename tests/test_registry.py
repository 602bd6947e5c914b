"""The registry: parameters, laws, formulas, derivations, citations and the commands that show them."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from kapsim.errors import InputError
from kapsim.evidence import (
    STATUSES,
    Law,
    Reference,
    check_files,
    derivation,
    load_evidence,
    load_observed,
    load_parameters,
    references,
    to_bibtex,
    to_text,
)
from kapsim.evidence.arithmetic import evaluate, formula_ids, substitute
from kapsim.evidence.cli import app

EVIDENCE = load_evidence()
MEASURED = "nmda.ic50.ketamine.human_rec"
if MEASURED not in EVIDENCE:
    MEASURED = next(identity for identity, record in EVIDENCE.items() if record.unit == "uM" and record.value)
VALUE = EVIDENCE[MEASURED].value or 0.0

RECORD: dict[str, Any] = {
    "id": "test.value",
    "link": "receptor",
    "name": "a value",
    "symbol": None,
    "value": VALUE * 1000,
    "unit": "nM",
    "status": "measured",
    "sources": [MEASURED],
    "formula": None,
    "uncertainty": {"law": "lognormal", "sd": 0.15},
    "between_subject": None,
    "inert": None,
    "note": None,
}


def write(tmp_path: Path, *records: dict[str, Any]) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(yaml.safe_dump(list(records)), encoding="utf-8")
    return path


def test_a_measured_value_follows_its_source_through_the_unit(tmp_path: Path) -> None:
    assert check_files([write(tmp_path, RECORD)]) == []
    path = write(tmp_path, {**RECORD, "value": VALUE * 1000 * (1 + 1e-5)})
    assert "measured as" in check_files([path])[0]


def test_a_derived_value_follows_its_formula(tmp_path: Path) -> None:
    record = {**RECORD, "status": "derived", "formula": f"2 * {{{MEASURED} in nM}} / (1 + 1)"}
    assert check_files([write(tmp_path, record)]) == []
    assert check_files([write(tmp_path, {**record, "value": VALUE * 1000 * 1.004})]) == []
    assert "the formula gives" in check_files([write(tmp_path, {**record, "value": VALUE * 1000 * 1.006})])[0]


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        ({"id": "Test"}, "id", "dotted lower case"),
        ({"link": "receptors"}, "link", "nearest 'receptor'"),
        ({"name": ""}, "name", "not a text"),
        ({"value": None}, "value", "not a number"),
        ({"value": math.inf}, "value", "not a number"),
        ({"unit": "nMol"}, "unit", "unknown unit"),
        ({"unit": "ng/mL"}, "unit", "cannot convert"),
        ({"status": "guessed"}, "status", "not allowed"),
        ({"sources": []}, "sources", "at least one evidence record"),
        ({"sources": None}, "sources", "at least one evidence record"),
        ({"sources": "x"}, "sources", "not a list"),
        ({"sources": [MEASURED + "x"]}, "sources", f"nearest '{MEASURED}'"),
        ({"formula": "1"}, "formula", "only a derived value"),
        ({"status": "derived"}, "formula", "needs a formula"),
        ({"status": "derived", "formula": "{no.such}"}, "formula", "no evidence record"),
        ({"status": "derived", "formula": f"{{{MEASURED} in h}}"}, "formula", "cannot convert"),
        ({"status": "derived", "formula": "__import__('os')"}, "formula", "not allowed"),
        ({"status": "assumed", "uncertainty": None}, "uncertainty", "needs an uncertainty"),
        ({"status": "assumed", "uncertainty": {"law": "normal", "sd": 0}}, "uncertainty", "needs an uncertainty"),
        ({"uncertainty": {"law": "normal"}}, "uncertainty.sd", "missing"),
        ({"uncertainty": {"law": "normal", "sd": -1}}, "uncertainty.sd", "out of range"),
        ({"uncertainty": {"law": "log_normal", "sd": 1}}, "uncertainty.law", "nearest 'lognormal'"),
        ({"uncertainty": {"law": "normal", "sd": 1, "hihg": 1}}, "uncertainty.hihg", "nearest valid key 'high'"),
        ({"uncertainty": {"law": "logit_normal", "sd": 1}}, "uncertainty.law", "between 0 and 1"),
        ({"uncertainty": {"law": "normal", "sd": 1, "low": 2, "high": 1}}, "uncertainty.low", "upside down"),
        ({"uncertainty": {"law": "normal", "sd": 1, "low": 1e9}}, "uncertainty.low, high", "outside the bounds"),
        (
            {"between_subject": {"law": "normal", "sd": 1, "sources": ["no.such"]}},
            "between_subject.sources",
            "no evidence",
        ),
        ({"symbl": "x"}, "symbl", "nearest valid key 'symbol'"),
    ],
)
def test_each_rule_of_the_model_file_is_reported(tmp_path: Path, change: dict[str, Any], key: str, says: str) -> None:
    found = check_files([write(tmp_path, {**RECORD, **change})])
    assert len(found) == 1, found
    name = "Test" if "id" in change else "test.value"
    assert found[0].startswith(f"model.yaml: {name}: {key}: "), found[0]
    assert says in found[0]
    assert "\n" not in found[0]


def test_a_repeated_parameter_is_reported_and_not_loaded(tmp_path: Path) -> None:
    path = write(tmp_path, RECORD, copy.deepcopy(RECORD))
    assert check_files([path]) == ["model.yaml: test.value: id: also in model.yaml"]
    with pytest.raises(InputError, match="stands twice"):
        load_parameters(path)


def test_optional_keys_may_be_left_out(tmp_path: Path) -> None:
    keys = ("id", "link", "name", "value", "unit", "status", "sources")
    path = write(tmp_path, {key: RECORD[key] for key in keys})
    assert check_files([path]) == []
    assert load_parameters(path)["test.value"].uncertainty is None


def test_the_loader_stops_at_the_first_problem_and_counts_the_rest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^model.yaml: test.value: name: .*\(and 1 more\)$"):
        load_parameters(write(tmp_path, {**RECORD, "name": 3, "unit": "x"}))


def test_numbers_with_a_bare_exponent_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(
        "- {id: a, link: mood, name: n, value: 1e3, unit: h, status: assumed, uncertainty: {law: normal, sd: 1e-6}}"
    )
    parameter = load_parameters(path)["a"]
    assert parameter.value == 1000
    assert parameter.uncertainty is not None
    assert parameter.uncertainty.sd == 1e-6


LAWS = st.sampled_from(["lognormal", "normal", "logit_normal", "half_normal"])
DEVIATES = st.lists(st.floats(-8, 8), min_size=1, max_size=20).map(np.array)


@given(law=LAWS, sd=st.floats(0, 3), value=st.floats(0.01, 0.99), z=DEVIATES)
def test_laws_are_centred_finite_and_rise_with_the_deviate(law: str, sd: float, value: float, z: Any) -> None:
    drawn = Law(law=law, sd=sd).apply(value, z)
    assert drawn.shape == z.shape
    assert np.all(np.isfinite(drawn))
    assert Law(law=law, sd=sd).apply(value, 0.0) == pytest.approx(value)
    ordered = Law(law=law, sd=sd).apply(value, np.sort(np.abs(z)))
    assert np.all(np.diff(ordered) >= 0)
    if law == "logit_normal":
        assert np.all((drawn >= 0) & (drawn <= 1))


@given(law=LAWS, z=DEVIATES)
def test_bounds_hold(law: str, z: Any) -> None:
    drawn = Law(law=law, sd=2, low=0.4, high=0.6).apply(0.5, z)
    assert np.all((drawn >= 0.4) & (drawn <= 0.6))


def test_laws_have_the_spread_that_they_state() -> None:
    z = np.random.default_rng(1).standard_normal(200_000)
    assert np.std(np.log(Law(law="lognormal", sd=0.3).apply(25, z))) == pytest.approx(0.3, rel=0.01)
    assert np.median(Law(law="lognormal", sd=0.3).apply(25, z)) == pytest.approx(25, rel=0.01)
    assert np.std(Law(law="normal", sd=2).apply(5, z)) == pytest.approx(2, rel=0.01)
    share = Law(law="logit_normal", sd=0.5).apply(0.2, z)
    assert np.std(np.log(share / (1 - share))) == pytest.approx(0.5, rel=0.01)
    assert np.mean(Law(law="half_normal", sd=1).apply(3, z)) == pytest.approx(3 + math.sqrt(2 / math.pi), rel=0.01)


def test_laws_broadcast_and_describe_themselves() -> None:
    assert Law(law="normal", sd=1).apply(np.ones((3, 1)), np.zeros(4)).shape == (3, 4)
    assert Law(law="lognormal", sd=0.29, low=5, high=60).describe("L") == "lognormal, sd 0.29 (log scale), 5 to 60 L"
    assert Law(law="normal", sd=2, low=0).describe("h") == "normal, sd 2 h, at least 0 h"
    with pytest.raises(InputError, match="between 0 and 1"):
        Law(law="logit_normal", sd=1).apply([0.5, 1.0], 0.0)
    assert Law(law="logit_normal", sd=1000).apply(0.5, 8.0) == 1


@pytest.mark.parametrize(
    ("formula", "right"),
    [
        ("1 + 2 * 3", 7),
        ("-2 ** 2", -4),
        ("(1 + 2) / 4", 0.75),
        ("exp(log(5)) + sqrt(16)", 9),
        (f"{{{MEASURED}}} * 2", 2 * VALUE),
        (f"{{{MEASURED} in nM}} - 1", 1000 * VALUE - 1),
        (f"1 / {{{MEASURED}}} ** 2", 1 / VALUE**2),
    ],
)
def test_formulas_compute(formula: str, right: float) -> None:
    assert evaluate(formula, EVIDENCE) == pytest.approx(right)


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "1 +",
        "1; 2",
        "__import__('os')",
        "(1).real",
        "x",
        "reference_0",
        "sin(1)",
        "exp(1, 2)",
        "exp(x=1)",
        "[1][0]",
        "1 if 1 else 2",
        "True",
        "'a' * 3",
        "1 // 2",
        "1 < 2",
        "1 / 0",
        "9 ** 9 ** 9",
        "log(0)",
        "(-8) ** (1 / 3)",
        "1e999",
        "{no.such}",
        "lambda: 1",
        "(" * 300 + "1" + ")" * 300,
        "1 + " * 400 + "1",
    ],
)
def test_everything_else_is_refused(formula: str) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(formula, EVIDENCE)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="0123456789+-*/()., explogsqrt{}_", max_size=40))
def test_any_text_computes_or_is_refused(formula: str) -> None:
    with contextlib.suppress(InputError):
        assert math.isfinite(evaluate(formula, EVIDENCE))


def test_formulas_show_their_numbers() -> None:
    formula = f"2 * {{{MEASURED} in nM}} / {{{MEASURED}}}"
    assert formula_ids(formula) == (MEASURED,)
    assert substitute(formula, EVIDENCE) == f"2 * {VALUE * 1000:.6g} [nM] / {VALUE:.6g} [uM]"


def test_every_shipped_parameter_has_a_derivation() -> None:
    for parameter in load_parameters().values():
        text = derivation(parameter)
        assert text.startswith(parameter.id)
        assert parameter.status in STATUSES


def test_a_derivation_ends_in_the_value() -> None:
    derived = next(parameter for parameter in load_parameters().values() if parameter.status == "derived")
    lines = derivation(derived.id).splitlines()
    assert len(lines) == 3
    assert "recorded as" in lines[-1]
    with pytest.raises(InputError, match="did you mean"):
        derivation(derived.id + "x")


def test_loading_is_cached_and_leaves_the_caller_free() -> None:
    first = load_parameters()
    first.clear()
    assert load_parameters()


def test_loading_the_parameters_is_quick_and_reads_no_evidence() -> None:
    code = (
        "import sys, time, kapsim.evidence.registry as registry\n"
        "start = time.process_time(); registry.load_parameters(); spent = time.process_time() - start\n"
        "heavy = {'numpy', 'jax', 'xarray', 'plotly', 'sympy', 'kapsim.evidence.schema'} & set(sys.modules)\n"
        "print(spent, sorted(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    spent, _, heavy = out.partition(" ")
    assert heavy.strip() == "[]"
    # The aim is 80 ms; the margin is for a busy machine.
    assert float(spent) < 0.4


def test_references_name_every_source_once() -> None:
    parameters = load_parameters()
    found = references(parameters)
    assert len({reference.key for reference in found}) == len(found)
    named = {identity for reference in found for identity in reference.ids}
    fitted = {record for parameter in parameters.values() for record in parameter.fitted_to}
    assert fitted
    assert named == {source for parameter in parameters.values() for source in parameter.all_sources} | fitted
    assert len(to_text(found).splitlines()) == len(found)


def test_references_of_all_evidence_invent_nothing() -> None:
    observed = load_observed()
    found = references([*EVIDENCE, *(record.id for record in observed)])
    recorded = {(record.source.year, record.source.journal, record.source.doi) for record in EVIDENCE.values()}
    recorded |= {(record.study.year, record.study.journal, record.study.doi) for record in observed}
    assert {(reference.year, reference.journal, reference.doi) for reference in found} == recorded
    for reference in found:
        assert reference.author is None or not any(
            word in reference.author.lower() for word in ("recalled", "not shown", "not seen", "unnamed")
        )
        assert reference.author is not None or reference.own or reference.remark


def test_bibtex_is_balanced_escaped_and_marks_doubt() -> None:
    reference = Reference(
        "A2020", None, 2020, "J & K_{x}", "10.1/a_b", ("100 %",), ("a_b",), True, "author to be found"
    )
    text = to_bibtex([reference])
    assert "author =" not in text
    assert r"journal = {J \& K\_\{x\}}" in text
    assert r"100 \%" in text
    assert "doi = {10.1/a_b}" in text
    assert "author to be found" in text
    assert "quoted by another paper" in text
    everything = to_bibtex(references(EVIDENCE)).replace(r"\{", "").replace(r"\}", "")
    assert everything.count("{") == everything.count("}")
    assert "[author not shown] (2020)" in to_text([reference])


def test_an_unknown_reference_is_named() -> None:
    with pytest.raises(InputError, match="nearest"):
        references([MEASURED + "x"])


RUNNER = CliRunner()


def test_the_command_lists_filters_and_prints_json() -> None:
    everything = json.loads(RUNNER.invoke(app, ["--json"]).stdout)
    assert [item["id"] for item in everything] == list(load_parameters())
    some = json.loads(RUNNER.invoke(app, ["--json", "--link", "receptor", "--status", "derived"]).stdout)
    assert some
    assert {(item["link"], item["status"]) for item in some} == {("receptor", "derived")}
    table = RUNNER.invoke(app, ["--link", "receptor"])
    assert table.exit_code == 0
    assert "receptor." in table.stdout
    assert "assumed" in table.stdout


def test_the_command_explains_one() -> None:
    derived = next(parameter for parameter in load_parameters().values() if parameter.status == "derived")
    shown = RUNNER.invoke(app, ["show", derived.id])
    assert shown.exit_code == 0
    for word in (derived.name, "recorded as", "References", derived.sources[0]):
        assert word in shown.stdout
    content = json.loads(RUNNER.invoke(app, ["show", derived.id, "--json"]).stdout)
    assert content["id"] == derived.id
    assert content["references"]
    assert content["derivation"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["show", "pk.v11"], "did you mean"), (["--link", "receptr"], "'receptor'"), (["--status", "xyzzy"], "one of")],
)
def test_unknown_words_are_input_errors(arguments: list[str], says: str) -> None:
    error = RUNNER.invoke(app, arguments).exception
    assert isinstance(error, InputError)
    assert says in str(error)
