"""``kapsim brain``: its numbers, its files and its errors, on short scans."""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from kapsim.brain import load_atlas
from kapsim.brain_study import Scan, run_study, sign_sentence, study_states, warnings_of
from kapsim.cli import main
from kapsim.cli.brain import parse_hours
from kapsim.errors import InputError
from kapsim.exchange.bids import bids_files, write_bids
from kapsim.protocol import load_protocol
from kapsim.report.brain_figures import glass_brain
from kapsim.report.brain_page import brain_html
from kapsim.store import results_bytes

SCAN = Scan(minutes=0.6, repetition_s=1.0)


@pytest.fixture(scope="module")
def states():
    return study_states(load_protocol("single_infusion"), [0.67], subjects=2)[1]


@pytest.fixture(scope="module")
def study(states):
    found = run_study(states, load_atlas("dk68"), SCAN)
    return found.assign_attrs(protocol_name="single_infusion", variant="standard", seed="0", draws="2", command="x")


def test_placebo_in_both_arms_gives_the_same_bits(states) -> None:
    alike = run_study({"placebo": states["placebo"], "drug": states["placebo"]}, load_atlas("dk68"), SCAN)
    for name in ("bold", "connectivity", "rate"):
        np.testing.assert_array_equal(alike[name].values[:, 0], alike[name].values[:, 1])
    np.testing.assert_array_equal(alike["value"].values[:, :, 0], alike["value"].values[:, :, 1])
    assert "unchanged" in sign_sentence(alike)[0]


def test_a_study_is_labelled_and_moves_with_the_drug(study) -> None:
    assert study["bold"].dims == ("subject", "arm", "hour", "volume", "region")
    assert study["region"].values[0] == "L_bankssts"
    assert not np.array_equal(study["bold"].values[:, 0], study["bold"].values[:, 1])
    np.testing.assert_allclose(np.diagonal(study["connectivity"].values[0, 0, 0]), 1.0)
    assert study.attrs["simulated_data"] == "true"
    assert results_bytes(study).startswith(b"CDF")
    assert all("low branch" in line for line in warnings_of(study))


def test_the_glass_brain_is_a_picture_where_there_are_centroids(study) -> None:
    picture = glass_brain(study, 0)
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000
    assert glass_brain(study.drop_vars(["x", "y", "z"]), 0) is None


def test_the_folder_reads_back(study, tmp_path: Path) -> None:
    folder = write_bids(study, tmp_path / "bids")
    said = json.loads((folder / "dataset_description.json").read_text())
    assert said["SimulatedData"] is True
    assert said["GeneratedBy"][0]["Name"] == "kapsim"
    stem = folder / "sub-02/ses-drug/func/sub-02_ses-drug_task-rest_run-1_seg-dk68_timeseries"
    with stem.with_suffix(".tsv").open(newline="") as stream:
        header, *lines = csv.reader(stream, delimiter="\t")
    assert header == list(study["region"].values)
    np.testing.assert_array_equal(np.array(lines, dtype=float), study["bold"].values[1, 1, 0])
    sidecar = json.loads(stem.with_suffix(".json").read_text())
    assert sidecar["RepetitionTime"] * sidecar["SamplingFrequency"] == 1.0
    assert sidecar["SimulatedData"] is True
    write_bids(study, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bids"]


def test_a_folder_of_others_is_not_touched(study, tmp_path: Path) -> None:
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="kapsim did not write"):
        write_bids(study, tmp_path / "bids")
    assert (tmp_path / "bids" / "thesis.txt").read_text() == "mine"


def test_half_a_folder_is_never_left(study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_text", _full)
    with pytest.raises(InputError, match="cannot be written"):
        write_bids(study, tmp_path / "bids")
    assert not list(tmp_path.iterdir())


def _full(*_: object, **__: object) -> int:
    raise OSError(28, "No space left on device")


def test_the_page_holds_a_table_for_each_figure_and_the_limits(study) -> None:
    page = brain_html(study)
    assert page.count("<figcaption>") >= 4
    assert page.count("<details>") >= 4
    assert "not a medical device" in page
    assert "as the model gives it" in page


def test_bids_names_have_no_separators_in_labels(study) -> None:
    odd = study.assign_attrs(connectome="my own_atlas")
    assert any("seg-myownatlas_" in name for name in bids_files(odd))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["saline_infusion"], "gives no ketamine"),
        (["single_infusion", "--at", "9999h"], "is outside the protocol"),
        (["single_infusion", "--at", "soon"], "give times such as"),
        (["single_infusion", "--at=-1h"], "before the start"),
        (["single_infusion", "--connectome", "dk86"], "did you mean"),
        (["single_infusion", "--minutes", "0.1"], "out of range"),
        (["single_infusion", "--tr", "0"], "TR of 0 s"),
    ],
)
def test_errors_are_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["brain", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_hours_are_read_in_any_unit() -> None:
    assert parse_hours("24h,40 min,1 d") == [pytest.approx(2.0 / 3.0), 24.0]


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["brain", "single_infusion", "--at", "0.67h", "--subjects", "2", "--minutes", "0.6", "--tr", "1", "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["hours"][0]["measures"][0]["measure"] == "dmn_within"
    assert {"placebo", "drug", "difference", "effect_size", "power"} <= set(said["hours"][0]["measures"][0])


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).parents[1] / "docs" / "examples" / "brain_dmn.py"), run_name="__main__")
    assert "default mode network at 0.67 h" in capsys.readouterr().out
