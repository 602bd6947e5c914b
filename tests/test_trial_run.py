"""Trials from the outside: shards, resuming, operating characteristics, the search for a size, commands and pages."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dask_processes import scheduler, worker
from kapsim.cli import main
from kapsim.errors import InputError
from kapsim.report.trial_tables import structure_sentences
from kapsim.statements import DISCLAIMER, SAFE_MESSAGING
from kapsim.trial import power as power_module
from kapsim.trial import shards as shards_module
from kapsim.trial.analysis import COLUMNS, analyse_primary
from kapsim.trial.conduct import Settings, conduct, under_control
from kapsim.trial.design import load_design
from kapsim.trial.operating import characteristics, mean_figure, share_figure, under_variants
from kapsim.trial.power import find_size, fit_curve
from kapsim.trial.running import RUN_FOLDER, run_trial
from kapsim.trial.shards import Plan, TrialWork
from made_up_work import fingerprint
from trials import PARALLEL, design, made_up

EXAMPLES = Path(__file__).parent.parent / "examples"


def ordered(table):
    keys = [table[name].astype(str) for name in ("look", "contrast", "analysis", "replicate", "scenario")]
    order = np.lexsort(keys)
    return {name: values[order] for name, values in table.items()}


def test_results_do_not_hang_on_the_size_of_a_shard(monkeypatch):
    trial = design()
    plan = Plan(12, 5, 3, ("fixed", "null"), truth=False)
    whole = run_trial(TrialWork(trial, plan))
    monkeypatch.setattr(shards_module, "_PEOPLE", 24)
    assert TrialWork(trial, plan).shards == 6
    split = run_trial(TrialWork(trial, plan))
    first, second = ordered(whole), ordered(split)
    for name in COLUMNS:
        if first[name].dtype == object:
            assert (first[name] == second[name]).all(), name
        else:
            np.testing.assert_allclose(first[name], second[name], rtol=1e-9, err_msg=name)


def test_a_run_goes_on_where_it_stopped_and_only_as_the_same_trial(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(shards_module, "_PEOPLE", 24)
    work = TrialWork(design(), Plan(12, 4, 3, ("fixed",), truth=False))
    whole = run_trial(work, tmp_path)
    with pytest.raises(InputError, match="--resume"):
        run_trial(work, tmp_path)
    gone = sorted((tmp_path / RUN_FOLDER / "shards").iterdir())[0]
    content = gone.read_bytes()
    gone.unlink()
    again = run_trial(work, tmp_path, resume=True)
    assert gone.read_bytes() == content
    for name in COLUMNS:
        np.testing.assert_array_equal(whole[name], again[name])
    with pytest.raises(InputError, match="holds another run"):
        run_trial(TrialWork(design(visits="[1 wk, 3 wk]"), work.plan), tmp_path, resume=True)


def rows(scenario, analysis, values, p, look=0, contrast="ketamine - saline"):
    count = len(values)
    filled = {name: np.zeros(count) for name in COLUMNS}
    return {
        **filled,
        "replicate": np.arange(count),
        "scenario": np.full(count, scenario, dtype=object),
        "analysis": np.full(count, analysis, dtype=object),
        "contrast": np.full(count, contrast, dtype=object),
        "look": np.full(count, look),
        "value": np.asarray(values, dtype=float),
        "error": np.ones(count),
        "low": np.asarray(values) - 2.0,
        "high": np.asarray(values) + 2.0,
        "p": np.asarray(p, dtype=float),
    }


def stacked(*parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def test_operating_characteristics_are_counted_from_the_rows():
    table = stacked(
        rows("fixed", "ancova", [-4.0, -2.0, 1.0, np.nan], [0.01, 0.2, 0.04, np.nan]),
        rows("fixed", "truth", [-3.0, -3.0], [np.nan] * 2),
        rows("fixed", "truth_blind", [-1.0, -1.0], [np.nan] * 2),
    )
    (found,) = characteristics(design(), 20, table)
    assert (found.rejects.value, found.rejects.replicates) == (0.5, 4)
    assert found.wrong.value == 0.25
    assert found.unestimated == 0.25
    assert found.estimate.value == pytest.approx(-5.0 / 3.0)
    assert found.bias.value == pytest.approx(-5.0 / 3.0 + 3.0)
    assert found.unblinding.value == -2.0
    assert found.coverage.value == pytest.approx(2.0 / 3.0)


def test_what_variants_differ_by_is_counted_over_the_trials_of_each():
    def by_third(numbers):
        return ["one" if number % 3 else "other" for number in numbers]

    p = np.where(np.arange(90) % 3, 0.01, np.where(np.arange(90) < 45, 0.01, 0.9))
    table = stacked(
        rows("fixed", "ancova", -np.ones(90), p),
        rows("fixed", "truth", -np.ones(6), [np.nan] * 6),
        rows("null", "ancova", np.zeros(90), np.full(90, 0.9)),
    )
    found = under_variants(design(), 20, table, by_third)
    assert list(found) == ["fixed"]
    shares = found["fixed"]["ketamine - saline"]
    assert {name: (share.value, share.replicates) for name, share in shares.items()} == {
        "other": (0.5, 30), "one": (1.0, 60),
    }  # fmt: skip
    (sentence,) = structure_sentences(found)
    assert "found in 50.0 (" in sentence
    assert sentence.endswith("under one, of 2 variants")
    few = {name: column[:30] for name, column in table.items()}
    assert list(under_variants(design(), 20, few, by_third)["fixed"]["ketamine - saline"]) == ["one"]


def test_trials_average_over_variants_by_default_and_say_what_these_differ_by(file, tmp_path, capsys):
    command = ["trial", str(file), "--patients", "12", "--replicates", "60", "--scenario", "fixed", "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["provenance"]["variant"] == "average"
    shares = told["structure"]["fixed"]["ketamine - saline"]
    assert shares
    assert all(share["replicates"] >= 20 for share in shares.values())
    assert main([*command, "--replicates", "4", "--variant", "standard"]) == 0
    assert json.loads(capsys.readouterr().out)["structure"] == {}


def test_a_trial_stops_at_the_first_look_that_crosses_its_level():
    trial = design(interim="{fractions: [0.5], spending: pocock}")
    table = stacked(
        rows("fixed", "ancova", [-4.0, -2.0, 1.0], [0.001, 0.04, 0.5]),
        rows("fixed", "ancova", [-4.0, -2.0, 1.0], [0.2, 0.001, 0.04], look=1),
    )
    (found,) = characteristics(trial, 20, table)
    # 0.04 crosses neither level: they are near 0.03 at both looks
    assert found.looks == pytest.approx((1 / 3, 2 / 3))
    assert found.rejects.value == pytest.approx(2 / 3)
    assert found.people == pytest.approx((10 + 20 + 20) / 3)


def test_figures_have_the_interval_of_their_monte_carlo_error():
    test = stats.binomtest(30, 200).proportion_ci(method="wilson")
    assert share_figure(30, 200)[:3] == pytest.approx((0.15, test.low, test.high))
    assert math.isnan(share_figure(0, 0).value)
    figure = mean_figure(np.array([1.0, 2.0, 3.0, np.nan]))
    assert (figure.value, figure.replicates) == (2.0, 3)
    assert figure.high - figure.value == pytest.approx(1.959964 / math.sqrt(3))


def test_a_curve_of_power_is_found_again():
    generator, sizes = np.random.default_rng(4), np.array([20.0, 40.0, 80.0, 120.0])
    found = generator.random((4000, 4)) < stats.norm.cdf(-1.9 + 0.3 * np.sqrt(sizes))
    assert fit_curve(sizes, found) == pytest.approx((-1.9, 0.3), abs=0.12)


def test_the_search_finds_the_size_that_theory_gives(monkeypatch):
    def normal(trial, settings, replicates):
        # each replicate and person keyed, as conduct has them
        keys = [np.random.default_rng([int(number), settings.seed]) for number in replicates]
        noise = np.stack([key.normal(size=(settings.patients, 3)) for key in keys])
        group = np.tile(np.arange(settings.patients) % 2, (len(keys), 1))
        change = 8.0 * noise - 4.0 * (group == 0)[..., None]
        return made_up(trial, np.concatenate([np.full((*group.shape, 1), 30.0), 30.0 + change], axis=-1), group)

    monkeypatch.setattr(power_module, "conduct", normal)
    found = find_size(design(analysis="{covariates: []}"), 0.9, replicates=400)
    # two-sample t test, difference of half a standard deviation: 86 an arm
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 172 <= found.high
    assert found.size == pytest.approx(172, abs=20)
    unreachable = find_size(design(analysis="{covariates: []}"), 0.9, replicates=100, most=60)
    assert unreachable.size is None
    assert unreachable.most == 60


def test_without_an_effect_trials_find_one_as_often_as_their_level_says():
    found = conduct(under_control(design(dropout="none")), Settings(24, 1), np.arange(80))
    (item,) = analyse_primary(found)
    assert stats.binomtest(int((item.estimate.p < 0.05).sum()), 80, 0.05).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ancova", "mmrm"])
def test_power_under_the_null_design_is_the_level(method):
    trial = design(PARALLEL.replace("[24 h, 1 wk, 2 wk]", "[24 h, 1 wk, 2 wk, 4 wk]"), analysis=f"{{method: {method}}}")
    table = run_trial(TrialWork(trial, Plan(100, 1000, 2, ("null",), truth=False)), scheduler="local")
    found = next(item for item in characteristics(trial, 100, table) if item.primary)
    assert stats.binomtest(round(1000 * found.rejects.value), 1000, 0.05).pvalue > 0.01


def test_a_published_trial_has_its_reported_standard_error():
    # ASPIRE II (Ionescu 2021): a difference of -3.9 with a standard error of 1.39 at 24 h, 227 people
    trial = load_design(EXAMPLES / "published_aspire2.yaml")
    (item,) = analyse_primary(conduct(trial, Settings(227, 1), np.arange(2)))
    assert item.estimate.error.mean() == pytest.approx(1.39, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "patients", "error"),
    [
        ("aspire2", 227, 1.39),
        # KARMA-Dep 2 (Jelovac 2025): an interval of -8.54 to 2.22 at 4 weeks
        ("karma_dep2", 62, (8.54 + 2.22) / (2 * 1.959964)),
        # TRANSFORM-3 (Ochs-Ross 2020): an interval of -7.2 to 0.07 at day 27
        ("transform3", 137, (7.2 + 0.07) / (2 * 1.959964)),
    ],
)
def test_published_trials_have_their_reported_standard_errors(name, patients, error):
    trial = load_design(EXAMPLES / f"published_{name}.yaml")
    (item,) = analyse_primary(conduct(trial, Settings(patients, 2, "ensemble"), np.arange(40)))
    assert item.estimate.error.mean() == pytest.approx(error, rel=0.25)


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(PARALLEL)
    return path


def test_the_command_writes_a_report_a_summary_and_the_data_of_one_trial(file, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    out = tmp_path / "results"
    command = [
        "trial",
        str(file),
        "--patients",
        "12",
        "--replicates",
        "6",
        "--scenario",
        "fixed",
        "--scheduler",
        "serial",
    ]
    assert main([*command, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert DISCLAIMER in " ".join(shown.out.split())
    assert sorted(path.name for path in out.iterdir()) == [
        "data.csv", "data.parquet", "report.html", "run", "summary.json",
    ]  # fmt: skip
    page = (out / "report.html").read_text()
    for words in (
        SAFE_MESSAGING[0].heading,
        "Operating characteristics",
        "Course by arm",
        "Estimates",
        "Power by size",
    ):
        assert words in page
    assert page.count("as a table</summary>") == 4
    assert "http://" not in page.split("<main")[1].split("</main>")[0]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["provenance"]["replicates"] == 6
    assert str(tmp_path) not in summary["provenance"]["command"]
    power = next(item for item in summary["characteristics"] if item["primary"])
    assert (power["scenario"], power["contrast"]) == ("fixed", "ketamine - saline")
    assert power["truth"]["value"] < 0.0
    assert summary["flow"]["ketamine"]["randomised"] == 6.0
    assert len((out / "data.csv").read_text().splitlines()) == 1 + 12 * 4
    # it is there already
    assert main([*command, "--out", str(out)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*command, "--out", str(out), "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["characteristics"] == summary["characteristics"]


def test_a_cluster_conducts_the_same_trials(file, tmp_path):
    pytest.importorskip("distributed")
    command = ["trial", str(file), "--patients", "12", "--replicates", "41", "--scenario", "fixed"]
    assert main([*command, "--scheduler", "serial", "--out", str(tmp_path / "here")]) == 0
    with scheduler() as (_, address), worker(address, tmp_path), worker(address, tmp_path):
        assert main([*command, "--scheduler", address, "--out", str(tmp_path / "there")]) == 0
    here, there = (fingerprint(tmp_path / name / RUN_FOLDER) for name in ("here", "there"))
    assert here == there
    assert len([name for name in here if name.endswith(".parquet")]) > 1


def test_the_commands_hand_kinetics_on(file, capsys, monkeypatch):
    pytest.importorskip("pyarrow")
    own = ["--kinetics", "kamp2020"]
    small = ["--patients", "6", "--replicates", "1", "--scenario", "fixed", "--scheduler", "serial", "--json"]
    found = []
    for more in ([], own):
        assert main(["trial", str(file), *small, *more]) == 0
        found.append(json.loads(capsys.readouterr().out)["provenance"])
    assert [about["kinetics"] for about in found] == ["default", "kamp2020"]
    assert ["--kinetics kamp2020" in about["command"] for about in found] == [False, True]
    asked: list[str] = []
    shares = (share_figure(100, 200), share_figure(185, 200))
    answer = power_module.Power(0.9, "fixed", "ketamine - saline", (40, 80), shares, (-1.9, 0.37), 74, 66, 84, 80, 200)
    monkeypatch.setattr(power_module, "find_size", lambda *_, kinetics, **__: asked.append(kinetics) or answer)
    assert main(["power", str(file), "--json", *own]) == 0
    assert asked == ["kamp2020"]


def test_the_search_command_says_what_it_found_and_how_sure_it_is(file, tmp_path, capsys, monkeypatch):
    shares = (share_figure(100, 200), share_figure(185, 200))
    found = power_module.Power(0.9, "fixed", "ketamine - saline", (40, 80), shares, (-1.9, 0.37), 74, 66, 84, 80, 200)
    monkeypatch.setattr(power_module, "find_size", lambda *_, **__: found)
    assert main(["power", str(file), "--out", str(tmp_path / "p")]) == 0
    assert "needs 74 people (95 % interval 66 to 84)" in " ".join(capsys.readouterr().out.split())
    assert "needs 74 people" in (tmp_path / "p" / "power.html").read_text()
    assert main(["power", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["searches"][0]["size"] == 74


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trial", "gone.yaml"], "gone.yaml"),
        (["trial", "FILE", "--patients", "3"], "patients: 3 is not between 4 and 20000"),
        (["trial", "FILE", "--replicates", "0"], "replicates: 0 is not between 1"),
        (["trial", "FILE", "--scenario", "nul"], "unknown scenario 'nul'; nearest valid scenario 'null'"),
        (["trial", "FILE", "--variant", "strange"], "unknown variant 'strange'"),
        (["trial", "FILE", "--kinetics", "strange"], "'strange'"),
        (["trial", "FILE", "--kinetics", "simons2022"], "ketamine"),
        (["power", "FILE", "--kinetics", "simons2022"], "ketamine"),
        (["trial", "FILE", "--scheduler", "slurm", "--json"], "slurm"),
        (["trial", "FILE", "--resume", "--json"], "--resume goes on with a folder"),
        (["trial", "FILE", "--seed", "-1"], "seed: -1 is not between"),
        (["power", "FILE", "--target", "0.01"], "target: 0.01 is no power to aim at"),
        (["power", "FILE", "--replicates", "5"], "replicates: 5 is not between 50"),
        (["power", "FILE", "--most", "4"], "most: 4 is not between"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_and_leaves_nothing(arguments, words, file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([str(file) if word == "FILE" else word for word in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert shown.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
