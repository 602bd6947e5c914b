"""What is said of calibrations of other seeds, on made-up accounts."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import calibration_seeds

MADE_BY = {"evidence_hash": "e", "kapsim_version": "0", "variant": "standard", "rows": 8, "people": 4, "seed": 0}
ACCOUNT: dict[str, Any] = {
    "made_by": MADE_BY,
    "parameters": [
        {"id": name, "moved": 0.5, "kept": 0.8, "effective_sample": 800.0} for name in ("a", "b", "c")
    ],
    "left_out": [
        {
            "study": study,
            "log_density": -3.0,
            "figures": [
                {"figure": f"{study}.points", "kind": "points", "predicted": -10.0, "sd": 2.0},
                {"figure": f"{study}.share", "kind": "share", "predicted": 0.1, "sd": 0.5},
                {"figure": f"{study}.effect", "kind": "effect", "predicted": 0.7, "sd": 0.2},
            ],
        }
        for study in ("A", "B")
    ],
}  # fmt: skip


def other(seed: int = 1) -> dict[str, Any]:
    found = copy.deepcopy(ACCOUNT)
    found["made_by"] = {**MADE_BY, "seed": seed}
    return found


def test_a_calibration_is_nothing_apart_from_itself() -> None:
    found = calibration_seeds.compared(ACCOUNT, other())
    assert found["middles apart, posterior SD (median, largest)"] == "0.00, 0.00"
    assert found["log density of studies left out"] == "+0.0 ± 0.0"
    assert found["by the sampler alone"] == "0.05"


def test_distances_are_in_posterior_deviations_and_in_units_of_figures() -> None:
    moved = other()
    moved["parameters"][0]["moved"] += 0.8
    del moved["parameters"][2]
    moved["left_out"][0]["log_density"] = -1.0
    for study in moved["left_out"]:
        study["figures"][0]["predicted"] += 1.0
    found = calibration_seeds.compared(ACCOUNT, moved)
    assert found["free parameters in common"] == "2 of 3"
    assert found["middles apart, posterior SD (median, largest)"] == "0.50, 1.00"
    assert found["log density of studies left out"] == "+2.0 ± 2.0"
    assert found["predictions apart, points (RMS)"] == "1.00"


def test_calibrations_of_other_records_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = other()
    strange["made_by"]["evidence_hash"] = "f"
    for name, account in (("own", ACCOUNT), ("strange", strange)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "calibration.json").write_text(json.dumps(account))
    monkeypatch.setattr(sys, "argv", ["calibration_seeds.py", str(tmp_path / "own"), str(tmp_path / "strange")])
    with pytest.raises(SystemExit):
        calibration_seeds.main()
    assert "evidence_hash is 'f', not 'e'" in capsys.readouterr().err
