"""`kapsim calibrate` from the command line, in its smallest form."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from kapsim.cli import main
from kapsim.evidence.calibration import load_calibration, load_left_out
from kapsim.evidence.ensemble import load_ensemble
from kapsim.inference.chain.shipping import SCATTER

QUICK = ["calibrate", "--quick", "--study", "Murrough"]


def test_every_stage_works_and_a_second_run_takes_up_the_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fit"
    assert main([*QUICK, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "not to be believed" in shown
    assert "never a recommended dose" in " ".join(shown.split())
    told = json.loads((out / "calibration.json").read_text())
    with (out / "posterior.csv").open() as file:
        names, *rows = csv.reader(file)
    assert names == [one["id"] for one in told["parameters"]]
    assert len(rows) == 300
    assert told["figures"] == 6
    assert told["sampler"]["largest_r_hat"] < 1.2
    assert {one["study"] for one in told["left_out"]} == {"Murrough 2013"}
    ordered = {one["id"]: one["low"] < one["median"] < one["high"] for one in told["parameters"]}
    assert all(ordered.values()), [one for one in told["parameters"] if not ordered[one["id"]]]
    shipped = load_calibration(out / "calibration-chain.yaml")
    assert [item.id for item in shipped.parameters] == [*names, *(name for pair in SCATTER.values() for name in pair)]
    assert [item.study for item in load_left_out(out / "left-out-chain.yaml")] == ["Murrough 2013"]
    assert list(load_ensemble(out / "ensemble-chain.csv")) == names
    before = (out / "posterior.csv").read_bytes()
    parts = sorted(path.name for path in (out / "parts").rglob("*.npz"))
    assert "shard-000.npz" in parts
    # without --resume the parts of a calibration are not touched
    assert main([*QUICK, "--out", str(out)]) == 2
    assert "add --resume to go on with them" in capsys.readouterr().err
    stamps = {path: path.stat().st_mtime_ns for path in (out / "parts").rglob("*.npz")}
    assert main([*QUICK, "--out", str(out), "--resume"]) == 0
    assert (out / "posterior.csv").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in (out / "parts").rglob("*.npz")} == stamps


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--study", "Nobody"], "--study: no record by Nobody; `kapsim validate` names the studies"),
        (["--variant", "standrad"], "unknown variant 'standrad'; nearest: 'standard'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "--quick", "--out", str(tmp_path / "fit"), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "fit").exists()


def test_a_folder_must_have_a_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--out", str(tmp_path / "no" / "fit")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    file = tmp_path / "file"
    file.write_text("")
    assert main([*QUICK, "--out", str(file)]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err
