"""`kapsim validate` from the outside: files in, scores out, every record accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kapsim.cli.application import main
from kapsim.engine.grid import Resolution
from kapsim.errors import SolverError
from kapsim.evidence import DATA, load_observed, load_parameters
from kapsim.evidence.calibration import load_calibration
from kapsim.evidence.registry import load_priors
from kapsim.evidence.schema import ObservedRecord
from kapsim.inference.chain.design import RESOLUTION as DESIGN
from kapsim.patient.sampling import sample_people
from kapsim.protocol import load_protocol
from kapsim.simulation import simulate_people
from kapsim.solving import integrate
from kapsim.validation import validate
from kapsim.validation.arms import RESOLUTION
from kapsim.validation.run import Validation

GOLDEN = Path(__file__).parent / "golden" / "validate_keys.json"
SHIPPED = {record.id: record for record in load_observed()}


def raw(identity: str) -> dict[str, Any]:
    """Return a shipped record as it stands in its file."""
    for path in DATA.glob("observed-*.yaml"):
        for item in yaml.safe_load(path.read_text(encoding="utf-8")):
            if item["id"] == identity:
                return dict(item)
    raise KeyError(identity)


def own_file(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "observed-mine.yaml"
    path.write_text(yaml.safe_dump(list(records), sort_keys=False), encoding="utf-8")
    return path


def invented(identity: str = "otto2021.s.k", **changes: Any) -> dict[str, Any]:
    """Return a record like a shipped one, of a study that nobody knows."""
    record = raw(identity)
    record["study"] = {**record["study"], "author": "Nobody", "year": 2031, "doi": None}
    return {**record, "id": f"nobody2031.{identity.split('.', 1)[1]}", **changes}


def parsed(record: dict[str, Any]) -> ObservedRecord:
    return ObservedRecord.model_validate(record)


@pytest.fixture(scope="module")
def of_otto() -> Validation:
    return validate(study="Otto")


def test_every_shipped_record_is_scored_or_told_why_not() -> None:
    from kapsim.validation.cases import prepare

    cases = prepare(list(SHIPPED.values()), load_parameters())
    assert [case.record.id for case in cases] == list(SHIPPED)
    for case in cases:
        assert (case.subject is None) == (case.frame.status == "cannot") == bool(case.frame.reason)
    assert sum(case.frame.status == "scored" for case in cases) > 200


def test_files_and_table_come_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, page = tmp_path / "v.json", tmp_path / "v.html"
    assert main(["validate", "--study", "otto", "--json", str(found), "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "plasma_iv" in shown
    assert "no advice for any person" in " ".join(shown.split())
    content = json.loads(found.read_text(encoding="utf-8"))
    keys = {
        "keys": sorted(content),
        "record": sorted(content["records"][0]),
        "point": sorted(content["records"][0]["points"][0]),
        "domain": sorted(content["domains"]["plasma_iv"]),
        "limit": sorted(content["limits"][0]),
    }
    assert keys == json.loads(GOLDEN.read_text(encoding="utf-8"))
    text = page.read_text(encoding="utf-8")
    assert "otto2021.s.k" in text
    assert "Limits of use" in text
    assert 'src="http' not in text


def test_seed_decides_everything(of_otto: Validation) -> None:
    assert validate(study="Otto").records == of_otto.records
    assert validate(study="Otto", seed=1).records != of_otto.records


def test_scoring_alone_or_among_others_makes_no_difference(of_otto: Validation) -> None:
    among = {record.id: record for record in validate(only="plasma_iv", hold_out=False).records}
    for record in of_otto.records:
        assert among[record.id].points == record.points


def test_the_model_is_right_about_itself() -> None:
    first = validate([parsed(invented())], hold_out=False).records[0]
    record = invented()
    for point, predicted in zip(record["points"], first.points, strict=True):
        point["value"] = predicted.predicted
    again = validate([parsed(record)], hold_out=False).records[0]
    assert again.independence == "independent"
    for point in again.points:
        assert point.inside
        assert point.fold == pytest.approx(1.0)


def test_a_misfit_is_seen() -> None:
    record = invented()
    for point in record["points"]:
        point["value"] *= 5.0
    found = validate([parsed(record)], hold_out=False).records[0]
    assert not any(point.inside for point in found.points)
    assert all(point.fold < 0.4 for point in found.points if point.fold is not None)


def test_blood_from_an_artery_is_richer_while_drug_runs_in() -> None:
    venous, arterial = invented(), invented()
    arterial["id"], arterial["outcome"] = "nobody2031.arterial", {**arterial["outcome"], "sampling": "arterial"}
    found = validate([parsed(venous), parsed(arterial)], hold_out=False).records
    assert found[1].points[0].predicted > 1.2 * found[0].points[0].predicted


def test_a_target_is_held_in_the_group() -> None:
    record = invented()
    record["regimen"] = {
        **record["regimen"],
        "doses": [
            {"drug": "esketamine", "route": "iv", "amount": 100, "unit": "ng/mL", "duration_min": 60, "at_h": [0]}
        ],
    }
    record["outcome"] = {**record["outcome"], "sampling": "arterial"}
    record["points"] = [{"time_h": 0.9, "value": 100.0, "n": 30}]
    point = validate([parsed(record)], hold_out=False).records[0].points[0]
    assert point.predicted == pytest.approx(100.0, rel=0.15)


def test_points_at_or_before_time_zero_are_not_scored() -> None:
    record = invented("wilkinson2018.ketamine.madrs")
    assert record["points"][0]["time_h"] == 0
    found = validate([parsed(record)]).records[0]
    assert [point.time_h for point in found.points] == [p["time_h"] for p in record["points"] if p["time_h"] > 0]
    record["points"] = record["points"][:1]
    found = validate([parsed(record)]).records[0]
    assert found.status == "cannot"
    assert "before treatment" in (found.reason or "")


def test_a_figure_that_is_itself_a_parameter_is_not_scored() -> None:
    found = {record.id: record for record in validate(only="plasma_oral", hold_out=False).records}
    assert found["peltoniemi2011.ticlopidine.auc"].status == "cannot"
    assert "pk.interaction.ticlopidine" in (found["peltoniemi2011.ticlopidine.auc"].reason or "")
    assert found["hagelberg2010.clarithromycin.cmax"].status == "scored"


def test_a_control_arm_has_no_drug_to_measure() -> None:
    saline = invented()
    saline["regimen"] = raw("zarate2012.saline.ever_response")["regimen"]
    per_mg = {**saline, "id": "nobody2031.per_mg"}
    per_mg["outcome"] = {**saline["outcome"], "statistic": "auc", "unit": "ng*h/mL/mg"}
    found = validate([parsed(saline), parsed(per_mg)], hold_out=False).records
    assert all(point.predicted < 1e-9 for point in found[0].points)
    assert "no dose to divide by" in (found[1].reason or "")


def test_the_control_changes_what_ketamine_is_worth() -> None:
    difference = invented("murrough2013a.ketamine.madrs")
    difference["outcome"] = {**difference["outcome"], "statistic": "difference", "against": "midazolam"}
    found = validate([parsed(difference)]).records[0].points[0]
    change = validate([parsed(invented("murrough2013a.ketamine.madrs"))]).records[0].points[0]
    assert change.predicted < found.predicted < 0.0


def test_a_solver_that_fails_is_told_and_the_rest_is_scored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise SolverError(7, 1.5, "plasticity.bdnf")

    monkeypatch.setattr("kapsim.simulation.simulate_people", broken)
    path = own_file(tmp_path, invented(), invented("murrough2013a.ketamine.madrs"))
    target = tmp_path / "v.json"
    assert main(["validate", str(path), "--no-hold-out", "--json", str(target)]) == 1
    assert "patient 7" in capsys.readouterr().out
    content = json.loads(target.read_text(encoding="utf-8"))
    assert [record["status"] for record in content["records"]] == ["scored", "cannot"]
    assert "patient 7" in content["records"][1]["reason"]
    assert len(content["failures"]) == 1


def test_who_is_too_fast_for_the_grid_is_solved_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[int, int]] = []
    marked: list[int] = []
    lost = 7

    def noted(course: Any, people: Any, *rest: Any, **how: Any) -> Any:
        steps.append((people.size, len(course.grid.size_index)))
        return integrate(course, people, *rest, **how)

    def too_fast(course: Any, people: Any, *rest: Any, **how: Any) -> Any:
        states, amounts = noted(course, people, *rest, **how)
        states[1:, :, lost] = np.nan
        # the coarse grid is too coarse for the odd strong responder, too
        marked.append(int((~np.isfinite(states).all(axis=(0, 1))).sum()))
        return states, amounts

    record = parsed(invented("murrough2013a.ketamine.madrs"))
    whole = validate([record], hold_out=False).records[0]
    monkeypatch.setattr("kapsim.simulation.integrate", too_fast)
    monkeypatch.setattr("kapsim.sentinels.integrate", noted)
    found = validate([record], hold_out=False)
    assert found.failures == ()
    (everybody, coarse), (one, fine) = steps
    assert (everybody, one) == (1280, marked[0])
    assert 1 <= one < 10
    assert fine > 2 * coarse
    # the person has the same ratings, but for the error of the coarser grid
    assert found.records[0].points[0].predicted == pytest.approx(whole.points[0].predicted, abs=0.002)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arm": 3}, ("nobody2031.s.k", "arm", "not a text")),
        ({"use": "perhaps"}, ("nobody2031.s.k", "use", "perhaps")),
        ({"points": []}, ("nobody2031.s.k", "points", "no points")),
        ({"surprise": 1}, ("nobody2031.s.k", "surprise")),
    ],
)
def test_a_malformed_file_is_one_line(
    change: dict[str, Any], words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own_file(tmp_path, invented(**change))
    assert main(["validate", str(path), "--json", str(tmp_path / "v.json")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in ("observed-mine.yaml", *words):
        assert word in said
    assert not (tmp_path / "v.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "plasma_vi"], ("--only", "plasma_iv")),
        (["--study", "Nobody At All"], ("no record", "Nobody At All")),
        (["--variant", "indirekt"], ("indirect",)),
        (["--kinetics", "kamp"], ("kamp2020",)),
        (["--json", "no/such/folder/v.json"], ("no/such/folder", "make it first")),
        (["no-such-file.yaml"], ("no-such-file.yaml", "cannot be read")),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in words:
        assert word in said


def test_a_published_model_says_what_it_cannot() -> None:
    found = validate(only="plasma_intranasal", kinetics="kamp2020").records
    assert found
    assert all(record.status == "cannot" for record in found)
    assert any("kamp2020" in (record.reason or "") for record in found)


def test_immune_signs_are_told_for_every_setting() -> None:
    found = validate(study="Zhan")
    assert set(found.variants) == {"cytokines_off", "fast_tnf", "slow_down", "il6_up"}
    signs = {
        name: {record.observable: record.points[0].predicted for record in records if record.points}
        for name, records in found.variants.items()
    }
    assert signs["il6_up"]["immune.il6"] >= signs["cytokines_off"]["immune.il6"]
    assert signs["slow_down"]["immune.tnf"] <= signs["cytokines_off"]["immune.tnf"]


@pytest.mark.parametrize(
    ("resolution", "person", "group"), [(RESOLUTION, 0.05, 0.01), (DESIGN, 0.2, 0.05)], ids=["validation", "design"]
)
@pytest.mark.parametrize("name", ["esketamine_induction", "anaesthetic_bolus"])
def test_a_coarse_grid_is_fine_enough(name: str, resolution: Resolution, person: float, group: float) -> None:
    people, protocol = sample_people(None, 32, 3), load_protocol(name)
    hours = protocol.rating_times()
    fine, coarse = (simulate_people(protocol, people, at=hours, resolution=how) for how in (None, resolution))
    for scale in ("madrs", "hama"):
        rated = [dataset[scale].sel(time=list(hours), method="nearest").values for dataset in (fine, coarse)]
        off = rated[1] - rated[0]
        assert 0.0 < np.abs(off).max() < person
        assert np.abs(off.mean(axis=0)).max() < group


# --- what was learned from whom --------------------------------------------------------------------------------------


def test_the_calibration_is_that_of_the_shipped_records() -> None:
    from kapsim.inference.kinetics import inputs_hash

    assert load_calibration().inputs == inputs_hash(load_priors()), "run scripts/calibrate_kinetics.py"


def test_calibrated_parameters_carry_their_prior() -> None:
    priors, parameters = load_priors(), load_parameters()
    for item in load_calibration().parameters:
        parameter = parameters[item.id]
        assert parameter.status == "calibrated"
        assert parameter.value == item.value
        assert parameter.prior is not None
        assert parameter.prior.value == priors[item.id].value
        assert parameter.fitted_to == load_calibration().records
        assert 0.0 < item.kept <= 1.0


def test_fitted_records_are_held_out_or_told_why_not() -> None:
    calibration = load_calibration()
    reached = {record for item in calibration.leave_one_study_out for record in item.records}
    assert reached >= set(calibration.records)
    found = {record.id: record for record in validate(only="plasma_im").records}
    assert found["hirlinger1984.im_050"].independence == "fitted"
    assert "im has this study alone" in (found["hirlinger1984.im_050"].not_testable or "")
    assert not found["hirlinger1984.im_050"].held_out


def test_holding_out_changes_the_prediction(of_otto: Validation) -> None:
    for record in of_otto.records:
        assert record.independence == "fitted"
        assert len(record.held_out) == len(record.points)
        assert record.held_out != record.points
    assert validate(study="Otto", hold_out=False).records[0].held_out == ()


def test_what_a_study_measured_starts_vague_without_it() -> None:
    left_out = {item.study: item for item in load_calibration().leave_one_study_out}
    assert "pk.nasal.share" in left_out["Perez-Ruixo 2021"].dropped
    assert "pk.sublingual.share" in left_out["Simons 2022"].dropped
    assert "pk.nasal.share" not in left_out["Otto 2021"].dropped
    whole = {item.id: item for item in load_calibration().parameters}
    dropped = {item.id: item for item in left_out["Perez-Ruixo 2021"].parameters}["pk.nasal.share"]
    assert dropped.sd > whole["pk.nasal.share"].sd


@pytest.mark.slow
def test_a_fit_finds_what_made_the_data() -> None:
    from kapsim.inference.kinetics import fit, free_parameters, problem
    from kapsim.validation.cases import prepare

    priors = load_priors()
    task = problem(
        prepare([record for record in SHIPPED.values() if record.study.author in ("Otto", "Chong")], priors), priors
    )
    names = free_parameters(priors)
    truth = np.zeros((1, len(names)))
    truth[0, names.index("pk.liver.escape")], truth[0, names.index("pk.cl.s")] = 1.0, 1.2
    made = task.predict(priors, names, truth)[0]
    for case, value in zip([c for c in task.cases for _ in c.points], made, strict=True):
        assert np.isfinite(value), case.record.id
    result = fit(_Made(task, made), priors, steps=8)
    # two numbers made the data, and the prior pulls both towards zero
    assert result.z[names.index("pk.liver.escape")] > 0.4
    assert result.z[names.index("pk.cl.s")] > 0.4
    assert result.cost < fit(_Made(task, made), priors, steps=0).cost


class _Made:
    """A fitting problem with data of its own."""

    def __init__(self, task: Any, data: Any) -> None:
        self._task, self._data = task, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def observed(self) -> Any:
        return self._data
