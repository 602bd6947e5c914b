"""Event tables as files: strict reading, each problem by line and column, and the commands that read and write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kapsim
from commands import EVENT_HEADER, EVENT_TABLE, fill_disk_at_second_file
from kapsim.cli import main
from kapsim.concentrations import NAMES
from kapsim.exchange import (
    DRUGS,
    OBSERVABLES,
    ROUTES,
    Dosing,
    EventTable,
    Observation,
    Subject,
    parse_events,
    predictions_csv,
    read_events,
    simulate_events,
    write_events,
)
from kapsim.exchange import reading as reader
from kapsim.mechanisms.pharmacokinetics import ROUTES as PATHWAYS
from kapsim.mechanisms.pharmacokinetics import S_SHARE
from kapsim.protocol import load_protocol
from kapsim.statements import DISCLAIMER

GOLDEN = json.loads((Path(__file__).parent / "golden" / "event_tables.json").read_text())


# --- words ---------------------------------------------------------------------------------------------------------


def test_columns_and_numbers_are_stable() -> None:
    """Tables outlive versions: a number never changes its meaning."""
    assert {key: GOLDEN[key] for key in ("routes", "drugs", "observables")} == {
        "routes": ROUTES,
        "drugs": DRUGS,
        "observables": OBSERVABLES,
    }
    table = parse_events(EVENT_TABLE)
    assert write_events(table).splitlines()[0] == GOLDEN["table"]
    assert predictions_csv(simulate_events(table)).splitlines()[0] == GOLDEN["predictions"]
    numbers = [*ROUTES.values(), *OBSERVABLES.values()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {"iv" if name == "central" else name for name in ROUTES} == set(PATHWAYS)
    assert set(DRUGS) == set(S_SHARE)
    assert set(OBSERVABLES) == {name for name in NAMES if not name.startswith("effect_")}


def test_the_document_lists_every_number() -> None:
    text = (Path(__file__).parent.parent / "docs" / "event_tables.md").read_text(encoding="utf-8")
    for name, number in (ROUTES | OBSERVABLES | DRUGS).items():
        assert f"{number} `{name}`" in text, name
    assert GOLDEN["predictions"] in text


# --- reading -------------------------------------------------------------------------------------------------------


def test_a_table_reads_as_it_says_and_writes_back() -> None:
    table = parse_events(EVENT_TABLE)
    first, second = table.subjects
    assert first.doses == (Dosing(0.0, 35.0, rate=52.5),)
    assert first.doses[0].duration_h == pytest.approx(2.0 / 3.0)
    assert [row.value for row in first.observations] == [150.0, 55.5]
    assert (first.weight_kg, first.age_years, first.female) == (70.0, 40.0, 1.0)
    assert [event.start_h for event in second.dose_events()] == [0.0, 24.0]
    assert second.observations == (
        Observation(1.0, value=120.0),
        Observation(25.0, "plasma_norketamine_venous", missing=True),
    )
    assert parse_events(write_events(table)) == table


def test_what_is_left_out_has_its_usual_meaning() -> None:
    """Only ID and TIME must be there; a dose is a row with an amount, into blood, of the racemate."""
    table = parse_events("id,time,amt\n7,0,20\n7,1,.\n7,2,0\n7,3,NA\n")
    (person,) = table.subjects
    assert person == Subject(7, (Dosing(0.0, 20.0), *(Observation(time) for time in (1.0, 2.0, 3.0))))
    assert parse_events("﻿ID,TIME,AMT\r\n7,0,20\r\n7,1,.\r\n") == EventTable((Subject(7, person.records[:2]),))
    assert parse_events('ID,TIME,"AMT",NOTE\n1,0,5,"a, b"\n1,1,,c\n', ignore=["note"]).subjects[0].number == 1
    assert parse_events("ID,TIME,AMT,SEX\n1,0,5,male\n1,1,.,M\n2,0,5,F\n").subjects[1].female == 1.0


def test_other_rows_and_missing_values_are_predicted_and_not_measured() -> None:
    table = parse_events("ID,TIME,EVID,MDV,AMT,DV\n1,0,1,1,20,.\n1,1,0,0,.,100\n1,2,0,1,.,3\n1,3,2,.,.,.\n")
    found = simulate_events(table, spread=False)
    assert [(row.event, row.missing) for row in found.observations] == [(0, False), (0, True), (2, True)]
    assert (found.pred > 0).all()
    np.testing.assert_array_equal(np.isnan(found.dv), [False, True, True])
    assert [line.split(",")[-1] == "." for line in predictions_csv(found).splitlines()[1:]] == [False, True, True]


ROW = "1,0,1,1,35,0,1,1,0,0,.,70,40,1"
LOOK = "1,1,0,0,0,0,9,0,0,0,5,70,40,1"


def changed(row: str, column: str, value: str) -> str:
    cells = row.split(",")
    cells[EVENT_HEADER.split(",").index(column)] = value
    return ",".join(cells)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([changed(ROW, "ID", "x"), LOOK], "2: ID: 'x' is not a number"),
        ([changed(ROW, "ID", "0"), LOOK], "2: ID: 0 is not a whole number from 1 to"),
        ([changed(ROW, "ID", "1.5"), LOOK], "2: ID: 1.5 is not a whole number"),
        ([changed(ROW, "ID", "."), LOOK], "2: ID: is empty; number the people from 1"),
        ([ROW, LOOK, changed(LOOK, "ID", "2"), LOOK], "5: ID: 1 stood before, up to line 3; keep the rows of one"),
        ([changed(ROW, "TIME", "-1"), LOOK], "2: TIME: -1 is not between 0 and"),
        ([changed(ROW, "TIME", "."), LOOK], "2: TIME: is empty; give hours"),
        ([changed(ROW, "TIME", "12:30"), LOOK], "2: TIME: '12:30' is not a number"),
        ([changed(ROW, "TIME", "1e9"), LOOK], "2: TIME: 1e+09 is not between"),
        ([changed(ROW, "TIME", "nan"), LOOK], "2: TIME: 'nan' is not a number"),
        ([changed(ROW, "TIME", "1e999"), LOOK], "2: TIME: '1e999' is not a number"),
        ([changed(ROW, "TIME", "2"), LOOK], "3: TIME: 1 h comes after 2 h; sort the rows of ID 1 by time"),
        ([ROW, changed(LOOK, "TIME", "0")], "3: TIME: asks for the moment of the bolus on line 2"),
        ([changed(ROW, "EVID", "3"), LOOK], "2: EVID: 3 is a reset, which is not known"),
        ([changed(ROW, "EVID", "4"), LOOK], "2: EVID: 4 is a reset with a dose"),
        ([changed(ROW, "EVID", "5"), LOOK], "2: EVID: 5 is not a whole number from 0 to 4"),
        ([changed(ROW, "EVID", "0"), LOOK], "2: AMT: 35 stands in a row with EVID 0, which gives no dose"),
        ([ROW, changed(LOOK, "ADDL", "2")], "3: ADDL: 2 stands in a row with EVID 0"),
        ([ROW, changed(LOOK, "RATE", "2")], "3: RATE: 2 stands in a row with EVID 0"),
        ([changed(ROW, "MDV", "0"), LOOK], "2: MDV: a dose (EVID 1) is no observation; write 1"),
        ([ROW, changed(changed(LOOK, "EVID", "2"), "MDV", "0")], "3: MDV: EVID 2 is no observation"),
        ([changed(ROW, "AMT", "0"), LOOK], "2: AMT: 0 mg is no dose; give mg of ketamine base"),
        ([changed(ROW, "AMT", "-5"), LOOK], "2: AMT: -5 mg is no dose"),
        ([changed(ROW, "AMT", "."), LOOK], "2: AMT: nothing is no dose"),
        ([changed(ROW, "AMT", "35000"), LOOK], "2: AMT: 35000 mg is no dose"),
        ([changed(ROW, "AMT", "35 mg"), LOOK], "2: AMT: '35 mg' is not a number"),
        ([changed(ROW, "RATE", "-1"), LOOK], "2: RATE: -1 is a rate that the model estimates"),
        ([changed(ROW, "RATE", "-2"), LOOK], "2: RATE: -2 is a duration that the model estimates"),
        ([changed(ROW, "RATE", "-7"), LOOK], "2: RATE: -7 is no rate"),
        ([changed(ROW, "RATE", "0.01"), LOOK], "2: RATE: 35 mg at 0.01 mg/h take over a week"),
        ([changed(changed(ROW, "RATE", "35"), "CMT", "oral"), LOOK], "2: RATE: 'oral' is absorbed in its own time"),
        ([changed(ROW, "CMT", "9"), LOOK], "2: CMT: '9' is not known; a dose goes into one of 1 central, 2 im"),
        ([changed(ROW, "CMT", "rectal"), LOOK], "2: CMT: 'rectal' is not known"),
        ([ROW, changed(LOOK, "CMT", "2")], "3: CMT: '2' is not known; an observation is of one of 1 central, 9 plasma"),
        ([changed(ROW, "DRUG", "midazolam"), LOOK], "2: DRUG: 'midazolam' is not known; the drug is one of 1 ketamine"),
        ([changed(ROW, "ADDL", "1"), LOOK], "2: II: 0 h is no interval between 2 doses"),
        ([changed(ROW, "ADDL", "-1"), LOOK], "2: ADDL: -1 is not a whole number"),
        ([changed(ROW, "II", "-1"), LOOK], "2: II: -1 h is no interval"),
        ([changed(changed(ROW, "ADDL", "400"), "II", "1000"), LOOK], "2: ADDL: the last dose would be after"),
        ([ROW, changed(LOOK, "DV", "-2")], "3: DV: -2 ng/mL is below 0"),
        ([ROW, changed(LOOK, "DV", "<LLOQ")], "3: DV: '<LLOQ' is not a number"),
        ([changed(ROW, "WT", "7000"), LOOK], "2: WT: 7000 is not possible; give 25 to 350 kg"),
        ([changed(ROW, "WT", "-99"), LOOK], "2: WT: -99 is not possible; give 25 to 350 kg, or '.'"),
        ([changed(ROW, "AGE", "17"), LOOK], "2: AGE: 17 is not possible; give 18 to 110 years"),
        ([changed(ROW, "FEMALE", "2"), LOOK], "2: FEMALE: 2 is not possible; write 0 or 1"),
        (
            [ROW, LOOK, changed(changed(ROW, "TIME", "24"), "WT", "72")],
            "4: WT: changes from 70 (line 2) to 72 within ID 1",
        ),
        ([ROW, LOOK + ",1"], "3: (row): has 15 of 14 columns"),
        ([ROW, "1,1,0"], "3: (row): has 3 of 14 columns; the file may be cut off"),
        ([ROW, '"1,1,0'], "3: (row): is not CSV"),
        ([ROW, changed(LOOK, "DV", '"1\n2"')], "3: DV: '1 2' is not a number"),
        ([ROW], "2: EVID: no row asks for anything"),
        ([], "1: (file): has no rows under its header"),
    ],
)
def test_every_malformed_row_is_named_by_line_and_column(lines: list[str], message: str) -> None:
    with pytest.raises(kapsim.InputError) as caught:
        parse_events("\n".join([EVENT_HEADER, *lines]) + "\n", source="t.csv")
    assert str(caught.value).startswith(f"t.csv:{message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("ID,TME,AMT", "(header): unknown column 'TME'; nearest valid column 'TIME'; or ignore it"),
        ("ID,AMT", "TIME: this column is missing"),
        ("TIME,AMT", "ID: this column is missing"),
        ("ID,TIME,AMT,amt", "AMT: stands twice in the header"),
        ("ID,TIME,AMT,ALAG1", "ALAG1: a lag belongs to the kinetics here"),
        ("ID,TIME,AMT,F1", "F1: bioavailability belongs to the kinetics here"),
        ("ID,TIME,AMT,TINF", "TINF: the duration of an infusion is AMT over RATE"),
        ("ID,TIME,AMT,SEX,FEMALE", "SEX: stands beside FEMALE"),
        ('"",ID,TIME,AMT', "(header): a column has no name; R writes row names into one"),
        ("ID;TIME;AMT", "(header): 'ID;TIME;AMT' is no list of columns; separate"),
        ("schema_version: 1", "(header): 'schema_version: 1' is no list of columns"),
        ("", "(header): unknown column ''"),
    ],
)
def test_wrong_columns_are_one_line(header: str, message: str) -> None:
    with pytest.raises(kapsim.InputError) as caught:
        parse_events(f"{header}\n1,0,5\n1,1,.\n" if header else "\n1,0,5\n", source="t.csv")
    assert message.split(";")[0] in str(caught.value) or not header
    assert str(caught.value).startswith("t.csv:1: ")


def test_codes_that_tools_read_differently_are_refused() -> None:
    for cell, words in (("1", "SEX: '1' is neither male nor female; numbers go into FEMALE"), ("x", "SEX: 'x'")):
        with pytest.raises(kapsim.InputError, match=words):
            parse_events(f"ID,TIME,AMT,SEX\n1,0,5,{cell}\n1,1,.,{cell}\n")
    with pytest.raises(kapsim.InputError, match=r"<table>:2: SS: steady state is not known here"):
        parse_events("ID,TIME,AMT,SS,II\n1,0,5,1,12\n1,1,.,.,.\n")


def test_a_file_that_is_cut_off_anywhere_is_refused() -> None:
    """A table cut at the end of a line is a shorter table; cut anywhere else, it is no table."""
    whole = EVENT_TABLE.encode()
    for end in range(len(whole)):
        part = whole[:end]
        if part.endswith(b"\n") and part.count(b"\n") > 2:
            parse_events(part)
        else:
            with pytest.raises(kapsim.InputError):
                parse_events(part)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([b"", EVENT_HEADER.encode() + b"\n", EVENT_TABLE.encode()]))
def test_no_file_makes_anything_but_a_table_or_one_line(content: bytes, before: bytes) -> None:
    problem = None
    try:
        parse_events(before + content, source="t.csv")
    except kapsim.InputError as error:
        problem = str(error)
    assert problem is None or (problem.startswith("t.csv:") and "\n" not in problem)


def test_files_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_ROWS", 5)
    with pytest.raises(kapsim.InputError, match=r"<table>:7: \(file\): has over 5 rows"):
        parse_events(EVENT_TABLE)
    monkeypatch.setattr(reader, "MOST_BYTES", 100)
    with pytest.raises(kapsim.InputError, match="is over 0 MB; split it by ID"):
        parse_events(EVENT_TABLE)
    with pytest.raises(kapsim.InputError, match=r"<table>:2: ADDL: 500 is not a whole number from 0 to 499"):
        parse_events("ID,TIME,AMT,II,ADDL\n1,0,5,1,500\n1,1,.,.,.\n")
    with pytest.raises(kapsim.InputError, match=r"<table>:3: ADDL: ID 1 would have over 500 doses"):
        parse_events("ID,TIME,AMT,II,ADDL\n1,0,5,1,499\n1,0,5,0,0\n1,1,.,.,.\n")


def test_a_data_set_for_fitting_has_measurements() -> None:
    assert parse_events(EVENT_TABLE, observed=True).subjects
    with pytest.raises(kapsim.InputError, match=r":3: DV: an observation without a value"):
        parse_events(EVENT_TABLE.replace(",150,", ",.,"), observed=True)
    with pytest.raises(kapsim.InputError, match="nothing was observed"):
        parse_events("ID,TIME,AMT,MDV\n1,0,5,1\n1,1,.,1\n", observed=True)


# --- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohort.csv").write_text(EVENT_TABLE)
    return tmp_path


def left(folder: Path) -> list[str]:
    return sorted(item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file())


def test_run_writes_predictions_and_their_record(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--events", "cohort.csv", "--draws", "3", "--seed", "2"]) == 0
    assert DISCLAIMER in capsys.readouterr().out
    folder = here / "kapsim-results" / "cohort"
    assert left(folder) == ["predictions.csv", "predictions.json"]
    lines = (folder / "predictions.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 4
    record = json.loads((folder / "predictions.json").read_text())
    assert record["disclaimer"] == DISCLAIMER
    assert list(record["columns"]) == GOLDEN["predictions"].split(",")
    assert record["provenance"]["command"] == "kapsim run --events cohort.csv --draws 3 --seed 2"
    assert main([*record["provenance"]["command"].split()[1:], "--out", "again"]) == 0
    for name in left(folder):
        assert (here / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_json_of_a_table_has_the_rows_and_leaves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--events", str(here / "cohort.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == {}
    assert found["rows"]["ID"] == [1, 1, 2, 2]
    assert found["rows"]["DV"][3] is None
    assert str(here) not in json.dumps(found)
    assert left(here) == ["cohort.csv"]
    assert main(["run", "--events", "cohort.csv", "--json", "--out", "o"]) == 0
    assert json.loads(capsys.readouterr().out)["files"]["predictions"] == "o/predictions.csv"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--events", "nowhere.csv"], "nowhere.csv: no such file"),
        (["run", "--events", "."], ".: is a directory; give a CSV file"),
        (["run", "--events", "cut.csv"], "cut.csv:5: (row): does not end its line"),
        (["run", "--events", "binary.csv"], "binary.csv:1: (file): is not text"),
        (["run", "--events", "empty.csv"], "empty.csv:1: (file): is empty"),
        (["run", "--events", "plan.csv"], "plan.csv:1: (header): 'schema_version: 1' is no list of columns"),
        (["run", "--events", "extra.csv"], "extra.csv:1: (header): unknown column 'CRCL'"),
        (["run", "--events", "cohort.csv", "--kinetics", "kamp2020"], "cohort.csv:5: CMT: kinetics 'kamp2020'"),
        (["run", "--events", "cohort.csv", "--kinetics", "kamp"], "did you mean 'kamp2020'"),
        (["run", "--events", "cohort.csv", "--draws", "0"], "draws: 0 is not between 1 and"),
        (["run", "--events", "cohort.csv", "--draws", "99999999"], "draws: 99999999 is not between 1 and"),
        (["run", "--events", "cohort.csv", "--seed", "-1"], "seed: -1 is not between 0"),
        (["check", "cut.csv"], "cut.csv:5: (row): does not end its line"),
        (["events", "single_infusio", "--out", "x.csv"], "nearest valid name 'single_infusion'"),
        (["events", "single_infusion", "--out", "no/x.csv"], "no/x.csv: cannot be written"),
        (["events", "single_infusion", "--out", "x.csv", "--at", "1;2"], "'1;2' is not a list of hours"),
        (["events", "single_infusion", "--out", "x.csv", "--subjects", "0"], "subjects: 0 is not between"),
    ],
)
def test_a_mistake_is_one_line_with_status_two_and_leaves_nothing(
    arguments: list[str], words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "cut.csv").write_text(EVENT_TABLE[: EVENT_TABLE.index("im,keta")])
    (here / "binary.csv").write_bytes(bytes(range(256)) * 20)
    (here / "empty.csv").write_bytes(b"")
    (here / "plan.csv").write_text(load_protocol("single_infusion").to_yaml())
    (here / "extra.csv").write_text("ID,TIME,AMT,CRCL\n1,0,5,90\n1,1,.,90\n")
    before = left(here)
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("kapsim: error: ")
    assert shown.err.count("\n") == 1
    assert words in shown.err
    assert left(here) == before
    assert not (here / "kapsim-results").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "single_infusion", "--events", "cohort.csv"],
        ["run", "--events", "cohort.csv", "--variant", "hnk"],
        ["run", "--events", "cohort.csv", "--patient", "who.yaml"],
        ["run", "single_infusion", "--ignore", "WT"],
        ["events", "single_infusion"],
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    arguments: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "Error: " in capsys.readouterr().err
    assert left(here) == ["cohort.csv"]


def test_events_writes_a_table_that_checks_and_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--subjects", "3", "--at", "1,2", "--observe", "hydroxynorketamine"]
    assert main(["events", "single_infusion", "--out", "t.csv", *options]) == 0
    assert main(["check", "t.csv"]) == 0
    assert "t.csv: event table, right (people: 3, dose rows: 3, other rows: 6)" in capsys.readouterr().out
    assert main(["run", "--events", "t.csv", "--out", "o"]) == 0
    assert main(["events", "single_infusion", "--out", "d.csv", "--dv", *options]) == 0
    data = read_events("d.csv", observed=True)
    lines = [line.split(",") for line in (here / "o" / "predictions.csv").read_text().splitlines()[1:]]
    assert [row.value for one in data.subjects for row in one.observations] == [float(line[-1]) for line in lines]


def test_columns_may_be_passed_over(here: Path) -> None:
    (here / "extra.csv").write_text("ID,TIME,AMT,CRCL\n1,0,5,90\n1,1,.,90\n")
    assert main(["run", "--events", "extra.csv", "--ignore", "CRCL", "--out", "o"]) == 0
    assert "--ignore CRCL" in json.loads((here / "o" / "predictions.json").read_text())["provenance"]["command"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check", "cohort.csv"], 0),
        (["run", "--events", "cut.csv"], 2),
        (["run", "--events", "cohort.csv"], 0),
        (["events", "single_infusion", "--out", "t.csv"], 0),
    ],
)
def test_tables_load_nothing_heavy(arguments: list[str], status: int, here: Path) -> None:
    (here / "cut.csv").write_text(EVENT_TABLE[:-3])
    code = (
        "import sys\nfrom kapsim.cli import main\nstatus = main(sys.argv[1:])\n"
        "print(status, *[name for name in ('jax', 'plotly', 'sympy', 'xarray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(status)


def test_full_disk_keeps_the_older_predictions_whole(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--events", "cohort.csv", "--out", "o"]) == 0
    before = {name: (here / "o" / name).read_bytes() for name in left(here / "o")}
    fill_disk_at_second_file(monkeypatch)
    assert main(["run", "--events", "cohort.csv", "--seed", "5", "--out", "o"]) == 2
    assert "no space left on device" in capsys.readouterr().err
    assert {name: (here / "o" / name).read_bytes() for name in left(here / "o")} == before
