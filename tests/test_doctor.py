"""``kapsim doctor``: fine where all is well, and one clear line for each thing that would spoil results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kapsim.cli import main
from kapsim.doctor import examination, examine
from kapsim.doctor.caches import caches
from kapsim.doctor.environment import packages
from kapsim.doctor.reference import GOLDEN, Reference, compare, golden, solve
from kapsim.engine.compiled import programs_folder
from kapsim.errors import SolverError


def moved(wanted: Reference, part: str, name: str, factor: float) -> Reference:
    """Return figures of which one row is multiplied by `factor`."""
    rows = dict(getattr(wanted, part))
    rows[name] = tuple(value * factor for value in rows[name])
    return replace(wanted, **{part: rows})


def test_this_machine_computes_the_figures_that_are_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    # fails too where equations or evidence changed: then run scripts/doctor_reference.py
    assert main(["doctor"]) == 0, capsys.readouterr().out
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "results are reproducible here"
    assert not [line for line in lines if line.startswith("problem: ")]


def test_json_says_the_same_and_its_keys_are_stable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found) == [
        "caches", "devices", "engine", "evidence", "extras", "fine", "kapsim_version", "notes", "packages", "problems",
        "python", "reference",
    ]  # fmt: skip
    assert found["fine"]
    assert found["problems"] == []
    assert found["evidence"]["as_shipped"]
    assert found["reference"]["same_on_one_core"]
    assert {name: part["holds"] for name, part in found["reference"]["parts"].items()} == {
        "people": True,
        "results": True,
    }


def test_the_file_is_what_the_script_would_write() -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    assert Reference.from_json(text).to_json() == text
    wanted = golden()
    assert len(wanted.results["madrs"]) == 2 * len(wanted.hours)
    # the course has an effect and the people differ, so that figures which stand still are not what is compared
    assert wanted.results["madrs"][0] != wanted.results["madrs"][len(wanted.hours) - 1]
    assert wanted.people["pk.v1"][0] != wanted.people["pk.v1"][1]


@pytest.mark.parametrize(
    ("part", "name", "tolerance"), [("people", "pk.v1", 1e-12), ("results", "madrs", 1e-9), ("results", "cadss", 1e-9)]
)
def test_a_difference_beyond_rounding_is_seen(part: str, name: str, tolerance: float) -> None:
    wanted = golden()
    within, beyond = (moved(wanted, part, name, 1.0 + factor * tolerance) for factor in (0.5, 2.0))
    assert all(item.holds for item in compare(within, wanted))
    assert {item.part: item.holds for item in compare(beyond, wanted)} == {
        each: each != part for each in ("people", "results")
    }


def test_numbers_that_are_none_and_rows_that_lack_do_not_agree() -> None:
    wanted = golden()
    _, nothing = compare(moved(wanted, "results", "madrs", float("nan")), wanted)
    assert not nothing.holds
    assert nothing.where == "madrs"
    fewer = replace(wanted, results={name: row for name, row in wanted.results.items() if name != "bdnf"})
    assert compare(fewer, wanted)[1].lacking == ("bdnf",)
    assert not compare(fewer, wanted)[1].holds


@pytest.mark.parametrize(
    ("part", "name", "words"),
    [("people", "pk.v1", "the people drawn differ"), ("results", "madrs", "the numbers solved differ")],
)
def test_other_numbers_are_a_problem_that_names_where(
    part: str, name: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examination, "golden", lambda: moved(golden(), part, name, 1.001))
    assert main(["doctor"]) == 1
    problems = [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem: ")]
    assert len(problems) == 1
    assert words in problems[0]
    assert name in problems[0]


def test_other_evidence_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "golden", lambda: replace(golden(), evidence_hash="0" * 64))
    found = examine()
    assert not found.fine
    assert found.problems[0].startswith("evidence: ")
    assert not found.to_dict()["evidence"]["as_shipped"]


def test_numbers_that_depend_on_cores_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_one(engine: str | None = None, threads: int | None = None) -> Reference:
        found = solve(engine, threads)
        return found if threads is None else moved(found, "results", "madrs", 1.0 + 2e-16)

    monkeypatch.setattr(examination, "solve", on_one)
    assert [line for line in examine().problems if "on one core" in line]


def test_a_course_that_breaks_down_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> Reference:
        raise SolverError(0, 1.0, "madrs")

    monkeypatch.setattr(examination, "solve", fail)
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert "cannot be solved here" in found["problems"][0]
    assert found["reference"]["parts"] == {}


def test_packages_that_lack_or_do_not_fit_are_problems_and_those_of_extras_notes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from importlib import metadata

    versions = {"numpy": "1.26.4", "pandas": "1.0"}
    monkeypatch.setattr("kapsim.doctor.environment.version", lambda name: versions.get(name) or metadata.version(name))
    found = examine()
    assert [line for line in found.problems if line.startswith("numpy: 1.26.4 is installed, and kapsim ")]
    assert [line for line in found.notes if line.startswith("extra trial: pandas 1.0 is outside ")]
    assert not found.to_dict()["extras"]["trial"]["complete"]


def test_every_package_and_extra_of_the_project_is_looked_at() -> None:
    import tomllib

    root = Path(__file__).resolve().parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needed, extras = packages()
    assert len(needed) == len(project["dependencies"])
    assert {name: len(own) for name, own in extras.items()} == {
        name: len(own) for name, own in project["optional-dependencies"].items()
    }


def test_damaged_programs_and_folders_that_cannot_be_written_are_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    programs = programs_folder()
    programs.mkdir(parents=True)
    (programs / "damaged.o").write_bytes(b"\0" * 100)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(in_the_way))
    by_name = {item.name: item for item in caches()}
    assert (by_name["programs"].files, by_name["programs"].damaged, by_name["programs"].writable) == (1, 1, True)
    assert not by_name["jax"].writable
    found = examine()
    assert found.fine
    assert "cache programs: 1 of 1 files are damaged and are made anew" in found.notes
    assert [line for line in found.notes if line.startswith("cache jax: ") and "cannot be written to" in line]


def test_looking_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    found = {item.name: item for item in caches()}
    assert found["programs"].writable
    assert found["programs"].files == 0
    assert list(tmp_path.iterdir()) == []


def test_jax_that_does_not_start_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise RuntimeError("no\nbackend")

    monkeypatch.setattr("kapsim.doctor.environment.jax_numpy", fail)
    found = examine()
    assert found.fine
    assert [line for line in found.notes if "RuntimeError: no backend" in line]
