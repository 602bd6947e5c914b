"""Evidence files: the shipped ones are valid, and each rule is reported once when it is broken once."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kapsim.errors import InputError
from kapsim.evidence import (
    DATA,
    OBSERVABLES,
    check_all,
    check_files,
    evidence_hash,
    evidence_version,
    load_evidence,
    load_observed,
)
from kapsim.evidence import check as check_module
from kapsim.evidence._files import evidence_files

PARAMETER: dict[str, Any] = {
    "id": "test.parameter",
    "quantity": "something measured",
    "value": 0.71,
    "unit": "uM",
    "spread": {"kind": "sd", "value": 0.3},
    "n": 12,
    "species": "human",
    "source": {"author": "Gilling", "year": 2009, "journal": "Neuropharmacology", "doi": None, "where": "abstract"},
    "confidence": "read",
    "note": None,
}
OBSERVED: dict[str, Any] = {
    "id": "test.observed",
    "study": {
        "author": "Murrough",
        "year": 2013,
        "journal": "Am J Psychiatry",
        "doi": None,
        "design": "randomised",
        "population": "adults",
        "n": 72,
    },
    "group": {
        "diagnosis": "trd",
        "age_years": 46.9,
        "weight_kg": None,
        "female_fraction": 0.5,
        "baseline": {"scale": "madrs", "mean": 32, "sd": 6},
    },
    "arm": "ketamine",
    "regimen": {
        "doses": [
            {"drug": "ketamine", "route": "iv", "amount": 0.5, "unit": "mg/kg", "duration_min": 40, "at_h": [0, 72]}
        ],
        "therapy": [{"kind": "cbt", "minutes": 50, "at_h": [24]}],
        "with": ["usual_care"],
        "assumed": ["doses.duration_min"],
    },
    "outcome": {
        "observable": "scale.madrs",
        "statistic": "change",
        "against": "baseline",
        "definition": None,
        "central": "mean",
        "sampling": None,
        "unit": "points",
    },
    "points": [
        {"time_h": 24, "value": -16.5, "se": 1.6, "n": 47},
        {"time_h": 72, "value": -14, "ci95": [-16, -12], "n": 45},
    ],
    "confidence": "read",
    "use": "quantitative",
    "note": None,
}

Change = Callable[[dict[str, Any]], object]


def put(path: str, value: Any) -> Change:
    """A change that sets one place of a record, such as ``regimen.doses.0.unit``."""

    def change(record: dict[str, Any]) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = record
        for part in way:
            place = place[part]
        place[last] = value

    return change


def drop(path: str) -> Change:
    """A change that removes one key of a record."""

    def change(record: dict[str, Any]) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = record
        for part in way:
            place = place[part]
        del place[last]

    return change


def both(*changes: Change) -> Change:
    """Several changes as one."""
    return lambda record: [change(record) for change in changes]


def check_one(tmp_path: Path, name: str, record: Any, text: str | None = None) -> list[str]:
    path = tmp_path / name
    path.write_text(yaml.safe_dump([record]) if text is None else text, encoding="utf-8")
    return check_files([path])


def test_shipped_files_are_valid() -> None:
    assert check_all() == []


def test_shipped_files_hold_what_they_held() -> None:
    files = evidence_files()
    assert len(files) == 16
    assert len(load_evidence()) + len(load_observed()) == 1178


def test_the_sample_records_are_valid(tmp_path: Path) -> None:
    assert check_one(tmp_path, "parameters-x.yaml", PARAMETER) == []
    assert check_one(tmp_path, "observed-x.yaml", OBSERVED) == []


PARAMETER_FAULTS: list[tuple[str, Change, str, str]] = [
    ("missing key", drop("n"), "n", "missing"),
    ("unknown key", put("valeu", 1), "valeu", "unknown key; nearest valid key 'value'"),
    ("id not text", put("id", 7), "id", "dotted lower case"),
    ("id in capitals", put("id", "Test.Parameter"), "id", "dotted lower case"),
    ("id with newline", put("id", "test\n"), "id", "dotted lower case"),
    ("empty quantity", put("quantity", " "), "quantity", "not a text"),
    ("value is text", put("value", "0.7"), "value", "not a number"),
    ("value is truth", put("value", True), "value", "not a number"),
    ("value not finite", put("value", float("nan")), "value", "not a number"),
    ("unit missing", put("unit", None), "unit", "not a text"),
    ("unit unknown", put("unit", "uMol"), "unit", "unknown unit 'uMol'"),
    ("spread not a mapping", put("spread", 3), "spread", "not a mapping"),
    ("spread without kind", put("spread", {"value": 3}), "spread.kind", "missing"),
    ("spread with more", put("spread", {"kind": "sd", "value": 3, "n": 1}), "spread.n", "unknown key"),
    ("spread pair is a number", put("spread", {"kind": "ci95", "value": 3}), "spread.value", "not a pair"),
    ("spread pair upside down", put("spread", {"kind": "cri95", "value": [3, 2]}), "spread.value", "upside down"),
    ("spread pair of texts", put("spread", {"kind": "iqr", "value": ["a", 2]}), "spread.value", "not a number"),
    ("spread number is a pair", put("spread", {"kind": "sd", "value": [1, 2]}), "spread.value", "not a number"),
    ("spread kind not text", put("spread", {"kind": 3, "value": 2}), "spread.kind", "not a text"),
    ("n negative", put("n", -1), "n", "out of range"),
    ("species not text", put("species", 3), "species", "not a text"),
    ("source not a mapping", put("source", "Gilling 2009"), "source", "not a mapping"),
    ("source lacks doi", drop("source.doi"), "source.doi", "missing"),
    ("confidence", put("confidence", "reed"), "confidence", "nearest 'read'"),
    ("note not text", put("note", 3), "note", "not a text"),
]

DOSE, POINT = "regimen.doses.0", "points.0"
OBSERVED_FAULTS: list[tuple[str, Change, str, str]] = [
    ("missing key", drop("arm"), "arm", "missing"),
    ("unknown key", put("armm", 1), "armm", "unknown key; nearest valid key 'arm'"),
    ("id", put("id", "Bad Id"), "id", "dotted lower case"),
    ("study not a mapping", put("study", None), "study", "not a mapping"),
    ("study lacks a key", drop("study.n"), "study.n", "missing"),
    ("author", put("study.author", None), "study.author", "not a text"),
    ("year out of range", put("study.year", 1800), "study.year", "out of range"),
    ("journal", put("study.journal", 3), "study.journal", "not a text"),
    ("doi", put("study.doi", ""), "study.doi", "not a text"),
    ("design", put("study.design", None), "study.design", "not a text"),
    ("population", put("study.population", None), "study.population", "not a text"),
    ("study n", put("study.n", 0), "study.n", "out of range"),
    ("diagnosis", put("group.diagnosis", "mmd"), "group.diagnosis", "nearest 'mdd'"),
    ("age", put("group.age_years", 130), "group.age_years", "out of range"),
    ("weight", put("group.weight_kg", 0), "group.weight_kg", "out of range"),
    ("female fraction", put("group.female_fraction", 50), "group.female_fraction", "out of range"),
    ("baseline lacks sd", drop("group.baseline.sd"), "group.baseline.sd", "missing"),
    ("baseline scale alone", put("group.baseline.mean", None), "group.baseline.scale", "together"),
    ("baseline scale unknown", put("group.baseline.scale", "mardrs"), "group.baseline.scale", "nearest 'madrs'"),
    ("baseline mean", put("group.baseline.mean", "32"), "group.baseline.mean", "not a number"),
    ("baseline sd", put("group.baseline.sd", -1), "group.baseline.sd", "out of range"),
    ("arm", put("arm", ""), "arm", "not a text"),
    ("regimen lacks with", drop("regimen.with"), "regimen.with", "missing"),
    ("doses not a list", put("regimen.doses", {}), "regimen.doses", "not a list"),
    ("doses null", put("regimen.doses", None), "regimen.doses", "not a list"),
    ("therapy not a list", put("regimen.therapy", "cbt"), "regimen.therapy", "not a list"),
    ("with not a list", put("regimen.with", "ect"), "regimen.with", "not a list"),
    ("assumed not a list", put("regimen.assumed", None), "regimen.assumed", "not a list"),
    ("dose not a mapping", put(DOSE, 3), "regimen.doses[0]", "not a mapping"),
    ("dose lacks a key", drop(f"{DOSE}.route"), "regimen.doses[0].route", "missing"),
    ("drug", put(f"{DOSE}.drug", "ketamin"), "regimen.doses[0].drug", "nearest 'ketamine'"),
    ("route", put(f"{DOSE}.route", ["iv"]), "regimen.doses[0].route", "not allowed"),
    ("dose unit", put(f"{DOSE}.unit", "g"), "regimen.doses[0].unit", "not allowed"),
    ("amount negative", put(f"{DOSE}.amount", -1), "regimen.doses[0].amount", "out of range"),
    ("duration negative", put(f"{DOSE}.duration_min", -1), "regimen.doses[0].duration_min", "out of range"),
    ("no hours", put(f"{DOSE}.at_h", []), "regimen.doses[0].at_h", "not a list of hours"),
    ("hours of text", put(f"{DOSE}.at_h", ["0"]), "regimen.doses[0].at_h", "not a number"),
    ("hours out of order", put(f"{DOSE}.at_h", [72, 0]), "regimen.doses[0].at_h", "not in order"),
    (
        "rate without duration",
        both(put(f"{DOSE}.unit", "mg/h"), put(f"{DOSE}.duration_min", 0)),
        "regimen.doses[0].duration_min",
        "needs a duration",
    ),
    ("drug of nothing", put(f"{DOSE}.amount", 0), "regimen.doses[0].amount", "0 of ketamine"),
    ("saline of something", put(f"{DOSE}.drug", "saline"), "regimen.doses[0].amount", "0.5 of saline"),
    ("therapy lacks a key", drop("regimen.therapy.0.minutes"), "regimen.therapy[0].minutes", "missing"),
    ("therapy kind", put("regimen.therapy.0.kind", "cbtt"), "regimen.therapy[0].kind", "nearest 'cbt'"),
    ("therapy minutes", put("regimen.therapy.0.minutes", 0), "regimen.therapy[0].minutes", "out of range"),
    ("therapy hours", put("regimen.therapy.0.at_h", 3), "regimen.therapy[0].at_h", "not a list of hours"),
    ("with", put("regimen.with", ["etc"]), "regimen.with", "nearest 'ect'"),
    ("assumed", put("regimen.assumed", ["doses.at"]), "regimen.assumed", "not allowed"),
    ("outcome lacks a key", drop("outcome.unit"), "outcome.unit", "missing"),
    ("observable", put("outcome.observable", "scale.mardrs"), "outcome.observable", "not allowed"),
    ("statistic", put("outcome.statistic", "chnge"), "outcome.statistic", "nearest 'change'"),
    ("central", put("outcome.central", "mode"), "outcome.central", "not allowed"),
    ("sampling", put("outcome.sampling", "capillary"), "outcome.sampling", "not allowed"),
    ("against", put("outcome.against", 3), "outcome.against", "not a text"),
    ("definition", put("outcome.definition", ""), "outcome.definition", "not a text"),
    ("outcome unit", put("outcome.unit", None), "outcome.unit", "not a text"),
    ("needs against", put("outcome.against", None), "outcome.against", "change needs against"),
    ("sampling outside plasma", put("outcome.sampling", "venous"), "outcome.sampling", "outside plasma"),
    ("confidence", put("confidence", None), "confidence", "not allowed"),
    ("use", put("use", "qualitativ"), "use", "nearest 'qualitative'"),
    ("note", put("note", ""), "note", "not a text"),
    ("use none without reason", put("use", "none"), "use", "Not simulated"),
    (
        "quantitative sign",
        both(
            put("outcome.statistic", "sign"),
            put("points", [{"time_h": 24, "value": 1, "n": None}]),
        ),
        "use",
        "a sign cannot be quantitative",
    ),
    ("no points", put("points", []), "points", "no points"),
    ("points not a list", put("points", None), "points", "not a list"),
    ("point not a mapping", put(POINT, 3), "points[0]", "not a mapping"),
    ("point lacks n", drop(f"{POINT}.n"), "points[0].n", "missing"),
    ("point unknown key", put(f"{POINT}.sem", 1), "points[0].sem", "unknown key"),
    ("two spreads", put(f"{POINT}.sd", 1), "points[0]", "more than one spread"),
    ("pair of three", put("points.1.ci95", [1, 2, 3]), "points[1].ci95", "not a pair"),
    ("pair upside down", put("points.1.ci95", [2, 1]), "points[1].ci95", "upside down"),
    ("negative spread", put(f"{POINT}.se", -1), "points[0].se", "out of range"),
    ("null spread", put(f"{POINT}.se", None), "points[0].se", "leave the key out"),
    ("time of text", put(f"{POINT}.time_h", "24"), "points[0].time_h", "not a number"),
    ("value null", put(f"{POINT}.value", None), "points[0].value", "not a number"),
    ("n of nobody", put(f"{POINT}.n", 0), "points[0].n", "out of range"),
    ("without a time", put(f"{POINT}.time_h", None), "points[0].time_h", "change without a time"),
    (
        "sign of two",
        both(
            put("outcome.statistic", "sign"),
            put("use", "qualitative"),
            put("points", [{"time_h": 24, "value": 2, "n": None}]),
        ),
        "points[0].value",
        "sign is 2",
    ),
    (
        "share above 100",
        both(
            put("outcome.statistic", "response"),
            put("outcome.unit", "%"),
            put("points", [{"time_h": 24, "value": 101, "n": None}]),
        ),
        "points[0].value",
        "share out of 0 to 100",
    ),
    ("times out of order", put(f"{POINT}.time_h", 100), "points", "not in order"),
    ("times repeat", put(f"{POINT}.time_h", 72), "points", "repeat"),
]


def assert_one_line(found: list[str], file: str, key: str, says: str) -> None:
    assert len(found) == 1, found
    assert found[0].startswith(f"{file}: ")
    assert re.search(rf": {re.escape(key)}[.:]", found[0]), found[0]
    assert says in found[0]
    assert "\n" not in found[0]


@pytest.mark.parametrize(("change", "key", "says"), [pytest.param(*f[1:], id=f[0]) for f in PARAMETER_FAULTS])
def test_a_broken_parameter_is_reported(tmp_path: Path, change: Change, key: str, says: str) -> None:
    record = copy.deepcopy(PARAMETER)
    change(record)
    assert_one_line(check_one(tmp_path, "parameters-x.yaml", record), "parameters-x.yaml", key, says)


@pytest.mark.parametrize(("change", "key", "says"), [pytest.param(*f[1:], id=f[0]) for f in OBSERVED_FAULTS])
def test_a_broken_observed_record_is_reported(tmp_path: Path, change: Change, key: str, says: str) -> None:
    record = copy.deepcopy(OBSERVED)
    change(record)
    assert_one_line(check_one(tmp_path, "observed-x.yaml", record), "observed-x.yaml", key, says)


def test_a_record_that_is_no_mapping_is_named_by_its_place(tmp_path: Path) -> None:
    assert check_one(tmp_path, "parameters-x.yaml", 3) == ["parameters-x.yaml: record 1: the record is not a mapping"]


def test_ids_are_unique_over_files(tmp_path: Path) -> None:
    (tmp_path / "parameters-a.yaml").write_text(yaml.safe_dump([PARAMETER]), encoding="utf-8")
    (tmp_path / "observed-b.yaml").write_text(yaml.safe_dump([{**OBSERVED, "id": PARAMETER["id"]}]), encoding="utf-8")
    found = check_files([tmp_path / "parameters-a.yaml", tmp_path / "observed-b.yaml"])
    assert found == ["observed-b.yaml: test.parameter: id: also in parameters-a.yaml"]


def test_several_findings_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    record = copy.deepcopy(OBSERVED)
    both(put("use", "none"), put(f"{POINT}.time_h", 72))(record)
    assert len(check_one(tmp_path, "observed-x.yaml", record)) == 2


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("notes-x.yaml", "[]", "is neither"),
        ("parameters-x.yaml", "a: 1", "not a list of records"),
        ("parameters-x.yaml", "", "not a list of records"),
        ("parameters-x.yaml", "- [", "not YAML"),
        ("parameters-x.yaml", "- {a: 1, a: 2}", "stands twice"),
        ("parameters-x.yaml", "- !!python/object:os.system x", "not YAML"),
        ("parameters-x.yaml", "- 2020-99-99", "cannot be read"),
        ("parameters-x.yaml", "[" * 5000, "parameters-x.yaml"),
        ("parameters-x.yaml", "- {? [a] : 1}", "parameters-x.yaml"),
    ],
)
def test_a_malformed_file_gives_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    found = check_one(tmp_path, name, None, text)
    assert len(found) == 1
    assert found[0].startswith(name)
    assert says in found[0]
    assert "\n" not in found[0]


def test_bytes_that_are_no_text_and_missing_files_give_one_line(tmp_path: Path) -> None:
    (tmp_path / "parameters-x.yaml").write_bytes(b"\xff\xfe\x00")
    found = check_files([tmp_path / "parameters-x.yaml", tmp_path / "parameters-none.yaml"])
    assert [line.partition(":")[0] for line in found] == ["parameters-x.yaml", "parameters-none.yaml"]


def test_loaders_refuse_what_the_check_reports(tmp_path: Path) -> None:
    path = tmp_path / "parameters-x.yaml"
    path.write_text(yaml.safe_dump([{**PARAMETER, "value": "x", "unit": "y"}]), encoding="utf-8")
    with pytest.raises(InputError, match=r"^parameters-x.yaml: test.parameter: value: .*\(and 1 more\)$"):
        load_evidence([path])
    path.write_text(yaml.safe_dump([PARAMETER]), encoding="utf-8")
    assert load_evidence([path])["test.parameter"].value == 0.71
    observed = tmp_path / "observed-x.yaml"
    observed.write_text(yaml.safe_dump([OBSERVED]), encoding="utf-8")
    record = load_observed([observed])[0]
    assert record.regimen.accompaniments == ("usual_care",)
    assert record.regimen.doses[0].at_h == (0, 72)


def test_the_vocabulary_is_the_one_that_people_read() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8").split("## Observables", 1)[1]
    assert dict(re.findall(r"^- `([a-z0-9_.]+)` (.*)$", readme, re.M)) == dict(OBSERVABLES)


def test_version_and_hash() -> None:
    assert re.fullmatch(r"20\d\d\.\d+(\.\d+)?", evidence_version())
    assert re.fullmatch(r"[0-9a-f]{64}", evidence_hash())


def test_the_command_prints_problems_and_a_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "parameters-x.yaml"
    path.write_text(yaml.safe_dump([{**PARAMETER, "n": -1}]), encoding="utf-8")
    assert check_module.main([str(path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 files, 1 problems"
    path.write_text(yaml.safe_dump([PARAMETER]), encoding="utf-8")
    assert check_module.main([str(path)]) == 0
    assert check_module.main(["--help"]) == 0
