"""The command line: what a person types, what comes back, and what is left behind."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kapsim
from commands import fill_disk_at_second_file
from kapsim import strict_yaml
from kapsim.cli import main
from kapsim.cli.listings import SWITCH_TEXTS
from kapsim.cli.options import shown_path
from kapsim.cli.runs import command_line
from kapsim.mechanisms.switches import VARIANTS, Switches
from kapsim.protocol import load_protocol, named_protocols
from kapsim.statements import DISCLAIMER

GOLDEN = Path(__file__).parent / "golden" / "run_keys.json"
DATA = Path(kapsim.__file__).parent / "evidence" / "data"
HEAVY = ("jax", "plotly", "scipy", "sympy", "xarray")
COMMANDS = (
    (),
    ("run",),
    ("compare",),
    ("demo",),
    ("events",),
    ("check",),
    ("validate",),
    ("calibrate",),
    ("protocols",),
    ("protocols", "show"),
    ("populations",),
    ("variants",),
    ("kinetics",),
    ("parameters",),
    ("parameters", "show"),
    ("equations",),
    ("cite",),
    ("doctor",),
)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder of its own, where what is left behind shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of ten people."""
    folder = tmp_path_factory.mktemp("run")
    assert main(["run", "single_infusion", "--draws", "10", "--out", str(folder)]) == 0
    return folder


def left(folder: Path) -> list[str]:
    """What lies in a folder and below it."""
    return sorted(item.relative_to(folder).as_posix() for item in folder.rglob("*"))


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 2) -> str:
    """Run a command that must fail and return its one line."""
    assert main(arguments) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("kapsim: error: ")
    assert shown.err.count("\n") == 1
    return shown.err


# --- help and listings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_text_ends_with_what_the_software_is_not(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert words.startswith(" ".join(("Usage: kapsim", *command)))
    assert words.endswith(DISCLAIMER)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["protocols"],
        ["protocols", "show", "single_infusion"],
        ["populations"],
        ["variants"],
        ["kinetics"],
        ["parameters", "show", "receptor.hill"],
        ["check", "protocol.yaml", "parameters-mind.yaml"],
        ["run", "no_such_protocol"],
    ],
    ids=" ".join,
)
def test_light_commands_load_nothing_heavy(arguments: list[str], in_empty_folder: Path) -> None:
    (in_empty_folder / "protocol.yaml").write_text(load_protocol("single_infusion").to_yaml())
    (in_empty_folder / "parameters-mind.yaml").write_bytes((DATA / "parameters-mind.yaml").read_bytes())
    code = (
        "import sys\nfrom kapsim.cli import main\nmain(sys.argv[1:])\n"
        f"print('loaded:', *[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_version_names_the_evidence_too(capsys: pytest.CaptureFixture[str]) -> None:
    from kapsim.evidence import evidence_version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kapsim {kapsim.__version__}, evidence {evidence_version()}\n"


def test_protocols_are_listed_and_shown_so_that_they_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocols"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(named_protocols())
    assert main(["protocols", "show", "kap_six_sessions"]) == 0
    Path("own.yaml").write_text(capsys.readouterr().out)
    assert load_protocol(Path("own.yaml")) == load_protocol("kap_six_sessions")


def test_every_variant_is_one_line_that_says_what_it_switches(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(SWITCH_TEXTS) == set(Switches._fields)
    assert main(["variants"]) == 0
    lines = capsys.readouterr().out.splitlines()
    # how each is scored stands in a line below it
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(VARIANTS)
    assert f"on: {SWITCH_TEXTS['hnk']}" in next(line for line in lines if line.startswith("hnk "))
    assert f"off: {SWITCH_TEXTS['direct']}" in next(line for line in lines if line.startswith("indirect "))


def test_parameters_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parameters", "--status", "assumed"]) == 0
    assert "assumed" in capsys.readouterr().out
    assert main(["parameters", "show", "receptor.hill"]) == 0
    assert capsys.readouterr().out.startswith("receptor.hill: ")


def test_equations_of_a_link_are_printed_as_text_and_latex(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equations", "receptor"]) == 0
    assert "receptor" in capsys.readouterr().out
    assert main(["equations", "receptor", "--format", "latex"]) == 0
    assert "\\frac" in capsys.readouterr().out


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "kap_six_session"], "nearest valid name 'kap_six_sessions'"),
        (["run", "missing.yaml"], "missing.yaml: no such file"),
        (["run", "single_infusion", "--variant", "indirct"], "'indirect'"),
        (["run", "single_infusion", "--patient", "nobody.yaml"], "nobody.yaml: no such file"),
        (["run", "single_infusion", "--draws", "0"], "draws: 0 is not between 1 and"),
        (["run", "single_infusion", "--draws", "1000000000"], "draws: 1000000000 is not between 1 and"),
        (["run", "single_infusion", "--seed", "-1"], "seed: -1 is not between 0 and"),
        (["run", "single_infusion", "--seed", "1" + "0" * 30], "is not between 0 and"),
        (["run", "single\ninfusion"], "unknown protocol"),
        (["compare", "single_infusion"], "give two protocols or more"),
        (["compare", "single_infusion", "single_infusion"], "'single_infusion' is given twice"),
        (["compare", "single_infusion", "single_infusion@hkn"], "'hnk'"),
        (["compare", "single_infusion", "saline_infuson"], "nearest valid name 'saline_infusion'"),
        (["protocols", "show", "single_infusio"], "nearest valid name 'single_infusion'"),
        (["parameters", "show", "receptor.hil"], "'receptor.hill'"),
        (["parameters", "--link", "receptr"], "'receptor'"),
        (["cite", "nowhere"], "nowhere: no such file"),
        (["cite", "nowhere", "--format", "word"], "it is one of text, bibtex"),
        (["equations", "--format", "word"], "it is one of text, latex"),
        (["equations", "receptr"], "'receptor'"),
        (["check", "missing.yaml"], "missing.yaml: no such file"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], in_empty_folder: Path
) -> None:
    assert words in error_of(capsys, *arguments)
    assert left(in_empty_folder) == []


@pytest.mark.parametrize("arguments", [["simulate"], ["run"], ["run", "single_infusion", "--draws", "many"], ["--no"]])
def test_wrong_usage_exits_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Error: " in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 2, "/x: no space left on device; check"),
        (PermissionError(errno.EACCES, "Permission denied"), 2, "permission denied; check"),
        (MemoryError(), 1, "not enough memory; use fewer draws"),
        (kapsim.SolverError(3, 12.0, "mood"), 1, "patient 3 broke down after 12 h"),
    ],
)
def test_what_goes_wrong_inside_is_one_line(
    raised: BaseException,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    in_empty_folder: Path,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr("kapsim.simulation.simulate", fail)
    assert line in error_of(capsys, "run", "single_infusion", status=status)
    assert left(in_empty_folder) == []


def test_interruption_exits_with_130_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_empty_folder: Path
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kapsim.simulation.simulate", interrupt)
    assert main(["run", "single_infusion"]) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert left(in_empty_folder) == []


def test_reader_that_goes_away_is_no_error() -> None:
    command = f"'{sys.executable}' -m kapsim parameters | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_behind_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kapsim", "protocols"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "kapsim: error: no space left on device; check space and permissions\n"


# --- checking files ------------------------------------------------------------------------------------------------


def test_check_tells_protocols_patients_and_evidence_apart(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text(load_protocol("kap_six_sessions").to_yaml())
    Path("b.yaml").write_text("schema_version: 1\nweight: 70 kg\nage: 45 a\n")
    Path("c.yaml").write_text("schema_version: 1\n")
    assert main(["check", "a.yaml", "b.yaml", "c.yaml", str(DATA / "parameters-mind.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a.yaml: protocol kap_six_sessions, right (doses: 6, therapy sessions: ")
    assert lines[1:3] == ["b.yaml: patient, right", "c.yaml: patient, right"]
    assert lines[3].endswith("parameters-mind.yaml: evidence, right")


def test_check_knows_trial_designs(capsys: pytest.CaptureFixture[str]) -> None:
    design = Path(__file__).parent.parent / "examples" / "trial_factorial.yaml"
    Path("bad.yaml").write_text(design.read_text().replace("control:", "contol:"))
    assert main(["check", str(design), "bad.yaml"]) == 2
    shown = capsys.readouterr()
    assert shown.out.endswith("trial_factorial.yaml: trial design ketamine_by_training, right (arms: 4, factorial)\n")
    assert "bad.yaml:" in shown.err
    assert "contol: unknown key; nearest valid key 'control'" in shown.err


def test_check_reports_every_bad_file_with_line_and_key(capsys: pytest.CaptureFixture[str]) -> None:
    text = load_protocol("single_infusion").to_yaml()
    Path("good.yaml").write_text(text)
    Path("bad.yaml").write_text(text.replace("duration:", "duraton:"))
    Path("who.yaml").write_text("schema_version: 1\nweight: 70 lightyears\n")
    Path("parameters-x.yaml").write_text("- id: x\n")
    Path("list.yaml").write_text("- 1\n")
    names = ["bad.yaml", "who.yaml", "parameters-x.yaml", "list.yaml", "good.yaml"]
    assert main(["check", *names]) == 2
    shown = capsys.readouterr()
    assert shown.out.startswith("good.yaml: protocol single_infusion, right")
    lines = shown.err.splitlines()
    assert all(line.startswith("kapsim: error: ") for line in lines)
    assert any("bad.yaml:" in line and "'duration'" in line for line in lines)
    assert any("who.yaml:2: weight" in line for line in lines)
    assert any("parameters-x.yaml: x" in line for line in lines)
    assert any("list.yaml:1" in line and "parameters-*.yaml" in line for line in lines)


# --- runs ----------------------------------------------------------------------------------------------------------


def test_run_writes_results_and_report(a_run: Path) -> None:
    assert left(a_run) == ["report.html", "results.nc"]
    results = kapsim.load_results(a_run)
    assert results.sizes["patient"] == 10
    assert results.attrs["command"] == "kapsim run single_infusion --variant average --draws 10 --seed 0"
    page = (a_run / "report.html").read_text()
    assert results.attrs["command"] in page
    assert DISCLAIMER in page
    assert str(a_run.parent) not in page


def test_run_shows_a_table_and_where_the_files_are(capsys: pytest.CaptureFixture[str], in_empty_folder: Path) -> None:
    assert main(["run", "single_infusion", "--draws", "10"]) == 0
    shown = capsys.readouterr()
    assert "change of MADRS at the end" in shown.out
    assert DISCLAIMER in " ".join(shown.out.split())
    assert "report:  kapsim-results/single_infusion/report.html" in shown.out
    assert shown.err == ""
    assert left(in_empty_folder / "kapsim-results" / "single_infusion") == ["report.html", "results.nc"]


def test_no_run_takes_the_folder_of_another(in_empty_folder: Path) -> None:
    words = ["run", "single_infusion", "--draws", "2"]
    (in_empty_folder / "me.yaml").write_text("schema_version: 1\n")
    for more in ([], ["--population", "kap_clinic"], ["--patient", "me.yaml", "--variant", "hnk"], ["--rating-error"]):
        assert main([*words, *more]) == 0
    found = sorted(path.name for path in (in_empty_folder / "kapsim-results").iterdir())
    assert found == ["single_infusion", "single_infusion-kap_clinic", "single_infusion-me-hnk", "single_infusion-rated"]


def test_the_recorded_command_gives_the_same_results(a_run: Path, in_empty_folder: Path) -> None:
    command = kapsim.load_results(a_run).attrs["command"].split()
    assert main([*command[1:], "--out", "again"]) == 0
    assert (in_empty_folder / "again" / "results.nc").read_bytes() == (a_run / "results.nc").read_bytes()


def test_json_has_stable_keys(capsys: pytest.CaptureFixture[str], in_empty_folder: Path) -> None:
    assert main(["run", "single_infusion", "--draws", "10", "--seed", "3", "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    keys = {
        "keys": sorted(found),
        "provenance": sorted(found["provenance"]),
        "endpoint": sorted({key for endpoint in found["endpoints"].values() for key in endpoint}),
        "units": {name: endpoint["unit"] for name, endpoint in found["endpoints"].items()},
    }
    assert keys == json.loads(GOLDEN.read_text())
    assert all(set(endpoint) == set(keys["endpoint"]) for endpoint in found["endpoints"].values())
    assert found["disclaimer"] == DISCLAIMER
    assert found["provenance"]["seed"] == 3
    assert found["provenance"]["draws"] == 10
    assert found["files"] == {}
    assert left(in_empty_folder) == []
    block = found["endpoints"]["peak_nmda_block"]
    assert 0 < block["p5"] < block["median"] < block["p95"] < 1
    assert block["n"] == 10
    # Nobody is treated, so nobody responds or relapses: the median over no one is null, not a number.
    assert main(["run", "saline_infusion", "--draws", "1", "--json", "--out", "there"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["endpoints"]["time_to_relapse"] | {"long_name": ""} == {
        "median": None, "p5": None, "p95": None, "mean": None, "n": 0, "unit": "h", "long_name": "",
    }  # fmt: skip
    assert again["files"] == {"results": "there/results.nc", "report": "there/report.html"}
    assert left(in_empty_folder / "there") == ["report.html", "results.nc"]


def test_own_files_run_and_no_path_of_this_machine_is_kept(in_empty_folder: Path) -> None:
    protocol = in_empty_folder / "mine.yaml"
    protocol.write_text(load_protocol("single_infusion").to_yaml().replace("single_infusion", "mine"))
    patient = in_empty_folder / "who.yaml"
    patient.write_text("schema_version: 1\nweight: 61 kg\n")
    assert main(["run", str(protocol), "--patient", str(patient), "--draws", "10", "--out", "out"]) == 0
    results = kapsim.load_results("out")
    assert results.attrs["protocol_name"] == "mine"
    assert set(results["weight"].values) == {61.0}
    assert results.attrs["command"] == ("kapsim run mine.yaml --patient who.yaml --variant average --draws 10 --seed 0")
    assert str(in_empty_folder) not in (in_empty_folder / "out" / "report.html").read_text()
    assert str(in_empty_folder).encode() not in (in_empty_folder / "out" / "results.nc").read_bytes()


def test_shown_paths_keep_no_folders_of_a_person() -> None:
    assert shown_path("single_infusion") == "single_infusion"
    assert shown_path("protocols/mine.yaml") == "protocols/mine.yaml"
    assert shown_path(Path.home() / "secret" / "mine.yaml") == "mine.yaml"
    assert shown_path("../../someone/mine.yaml") == "mine.yaml"
    assert command_line(["run", "a b.yaml"], None, "hnk", "default", 5, 1).startswith(
        "kapsim run 'a b.yaml' --variant hnk"
    )


# --- when there is no room -----------------------------------------------------------------------------------------


def test_full_disk_keeps_the_older_run_whole(
    a_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_empty_folder: Path
) -> None:
    folder = in_empty_folder / "out"
    folder.mkdir()
    for name in ("results.nc", "report.html"):
        (folder / name).write_bytes((a_run / name).read_bytes())
    fill_disk_at_second_file(monkeypatch)
    line = error_of(capsys, "run", "single_infusion", "--draws", "10", "--seed", "9", "--out", "out")
    assert "no space left on device" in line
    assert left(folder) == ["report.html", "results.nc"]
    for name in ("results.nc", "report.html"):
        assert (folder / name).read_bytes() == (a_run / name).read_bytes()


def test_truly_full_disk_leaves_nothing(capsys: pytest.CaptureFixture[str], in_empty_folder: Path) -> None:
    folder = in_empty_folder / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk is not allowed here")
    try:
        line = error_of(capsys, "run", "single_infusion", "--draws", "10", "--out", "disk/out")
        assert "no space left on device" in line
        assert left(folder) == []
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        line = error_of(capsys, "run", "single_infusion", "--draws", "10", "--out", "disk/out")
        assert "read-only file system" in line
        assert left(folder) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_file_in_the_place_of_the_folder_is_one_line(capsys: pytest.CaptureFixture[str], in_empty_folder: Path) -> None:
    (in_empty_folder / "out").write_text("mine")
    assert "out: cannot be used for results" in error_of(capsys, "run", "single_infusion", "--out", "out")
    assert (in_empty_folder / "out").read_text() == "mine"


# --- what stands on a run ------------------------------------------------------------------------------------------


def test_cite_prints_the_publications_behind_a_run(a_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cite", str(a_run)]) == 0
    text = capsys.readouterr().out
    assert "doi:" in text
    assert main(["cite", str(a_run / "results.nc"), "--format", "bibtex"]) == 0
    bibtex = capsys.readouterr().out
    assert bibtex.count("\n@") == len(text.splitlines())


def test_cite_leaves_out_what_this_version_does_not_know(a_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = kapsim.load_results(a_run)
    kapsim.save_results(results.assign_attrs(parameters_used='["receptor.hill", "gone.id", 3]'), "old.nc")
    assert main(["cite", "old.nc"]) == 0
    assert "2 of 3 parameters are unknown to this version" in capsys.readouterr().err


def test_compare_shows_and_writes_the_difference(capsys: pytest.CaptureFixture[str], in_empty_folder: Path) -> None:
    arms = ["single_infusion", "saline_infusion", "single_infusion@expectancy_only"]
    assert main(["compare", *arms, "--draws", "10"]) == 0
    shown = capsys.readouterr()
    assert "saline_infusion" in shown.out
    assert DISCLAIMER in " ".join(shown.out.split())
    assert left(in_empty_folder / "kapsim-results") == ["comparison", "comparison/comparison.html"]
    assert DISCLAIMER in (in_empty_folder / "kapsim-results" / "comparison" / "comparison.html").read_text()


def test_compare_in_json_pairs_the_same_people(capsys: pytest.CaptureFixture[str], in_empty_folder: Path) -> None:
    assert main(["compare", "single_infusion", "saline_infusion", "--draws", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found) == ["differences", "disclaimer", "files", "reference", "runs"]
    assert found["reference"] == "single_infusion"
    assert list(found["runs"]) == ["single_infusion", "saline_infusion"]
    gap = next(item for item in found["differences"] if item["endpoint"] == "madrs_change_24h")
    assert gap["paired"]
    assert gap["arm"] == "saline_infusion"
    # Ketamine lowers the score more than saline does.
    assert gap["mean"] > 0
    assert left(in_empty_folder) == []


def test_file_with_the_sign_of_a_variant_in_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a@b.yaml").write_text(load_protocol("saline_infusion").to_yaml())
    assert main(["compare", "single_infusion", "a@b.yaml", "--draws", "10", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["runs"]) == ["single_infusion", "saline_infusion"]


def test_demo_leaves_a_report(capsys: pytest.CaptureFixture[str], in_empty_folder: Path) -> None:
    assert main(["demo", "--draws", "10"]) == 0
    assert "report:  demo/report.html" in capsys.readouterr().out
    assert left(in_empty_folder / "demo") == ["report.html", "results.nc"]
    results = kapsim.load_results("demo")
    assert results.attrs["protocol_name"] == "kap_six_sessions"
    assert strict_yaml.parse(results.attrs["protocol"]).data["name"] == "kap_six_sessions"
