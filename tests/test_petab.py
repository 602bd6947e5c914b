"""PEtab: clean under its own checker, and the objective of another tool equal to kapsim's."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

from kapsim.cli import main
from kapsim.errors import InputError
from kapsim.evidence import load_parameters
from kapsim.exchange import (
    Dosing,
    EventTable,
    Observation,
    Subject,
    measured_events,
    protocol_events,
    simulate_events,
    write_events,
)
from kapsim.exchange.likelihood import log_sd, negative_log_likelihood
from kapsim.exchange.petab import petab_files
from kapsim.protocol import load_protocol

OBSERVED = ("plasma_ketamine_venous", "plasma_norketamine_venous")


@pytest.fixture(scope="module")
def table():
    """Three people with an infusion, one with an injection into the muscle and a second one after."""
    asked = protocol_events(
        load_protocol("single_infusion"), None, subjects=3, seed=1, at=[0.25, 0.7, 2, 8], observed=OBSERVED
    )
    rows = (
        Dosing(0.0, 70.0, "im", additional=1, interval_h=12.0),
        Observation(1.0, "plasma_ketamine_venous"),
        Observation(14.0, "plasma_ketamine_venous"),
    )
    more = Subject(9, rows, weight_kg=95.0, age_years=70.0, female=1.0)
    return measured_events(simulate_events(EventTable((*asked.subjects, more)), seed=1))


@pytest.fixture(scope="module")
def problem(table, tmp_path_factory):
    import petab.v1 as petab

    folder = tmp_path_factory.mktemp("petab")
    for name, content in petab_files(table).items():
        (folder / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return petab.Problem.from_yaml(str(folder / "problem.yaml"))


def test_petablint_has_nothing_to_say(problem):
    import petab.v1 as petab

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert petab.lint_problem(problem) is False


def test_pypesto_gives_the_same_objective(problem, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pypesto.petab import PetabImporter

        importer = PetabImporter(problem, simulator_type="roadrunner")
        objective = importer.create_objective_creator(simulator_type="roadrunner").create_objective()
        objective.solver_options.relative_tolerance = 1e-10
        objective.solver_options.absolute_tolerance = 1e-12
        nominal = np.asarray(problem.x_nominal_free_scaled)
        assert len(nominal) >= 10
        assert objective(nominal) == pytest.approx(negative_log_likelihood(table), rel=1e-6)
        moved = nominal + 0.03 * np.cos(np.arange(len(nominal)))
        theirs = objective(moved)
        unscaled = problem.unscale_parameters(dict(zip(problem.x_free_ids, moved, strict=True)))
    by_id = {name.replace(".", "_"): name for name in load_parameters()}
    values = {by_id[name]: float(value) for name, value in unscaled.items()}
    assert theirs == pytest.approx(negative_log_likelihood(table, values=values), rel=1e-6)
    assert theirs != pytest.approx(negative_log_likelihood(table), rel=1e-3)


def test_likelihood_is_that_of_lognormal_errors(table):
    """Against the formula, with the typical predictions of an event table."""
    from kapsim.exchange.simulating import residual_sd

    predictions = simulate_events(table, spread=False)
    total = 0.0
    for row, predicted in zip(predictions.observations, predictions.pred, strict=True):
        sd = log_sd(float(residual_sd([row])[0]))
        z = (math.log(row.value) - math.log(predicted)) / sd
        total += z * z / 2 + math.log(sd * row.value * math.sqrt(2 * math.pi))
    assert negative_log_likelihood(table) == pytest.approx(total, rel=1e-9)


def test_chosen_parameters_alone_are_estimated(table):
    files = petab_files(table, estimate=["pk.v1"])
    assert len(files["parameters.tsv"].decode().strip().splitlines()) == 2


def test_unknown_parameter_is_named(table):
    with pytest.raises(InputError, match="cannot be estimated here"):
        petab_files(table, estimate=["pk.nonsense"])
    with pytest.raises(InputError, match="no parameter of the default kinetics"):
        negative_log_likelihood(table, values={"pk.nonsense": 1.0})


def _with_row(table, row):
    first = table.subjects[0]
    return EventTable((replace(first, records=(row, *first.records)), *table.subjects[1:]), source="t.csv")


def test_what_cannot_be_measured_is_named(table):
    early = Observation(0.0, "plasma_ketamine_venous", value=5.0, line=7)
    with pytest.raises(InputError, match=r"t\.csv:7: DV: no drug is there at 0 h"):
        negative_log_likelihood(_with_row(table, early))
    none = EventTable((Subject(1, (Dosing(0.0, 10.0), Observation(1.0))),), source="t.csv")
    with pytest.raises(InputError, match="nothing was measured"):
        petab_files(none)
    zero = EventTable((Subject(1, (Dosing(0.0, 10.0), Observation(1.0, value=0.0, line=3))),), source="t.csv")
    with pytest.raises(InputError, match=r"t\.csv:3: DV: 0 has no logarithm"):
        negative_log_likelihood(zero)


def test_command_writes_the_whole_problem(table, tmp_path, capsys):
    events, out = tmp_path / "events.csv", tmp_path / "problem"
    write_events(table, events)
    assert main(["export", "petab", str(events), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(petab_files(table))
    assert "research" in capsys.readouterr().out.lower()
    assert main(["export", "petab", str(tmp_path / "none.csv"), "--out", str(tmp_path / "x")]) == 2
    assert not (tmp_path / "x").exists()


def test_published_kinetics_make_a_problem_without_estimates():
    rows = (Dosing(0.0, 20.0, drug="esketamine", rate=30.0), Observation(1.0, "plasma_ketamine_arterial", value=90.0))
    table = EventTable((Subject(1, rows, weight_kg=70.0),))
    files = petab_files(table, "kamp2020")
    assert files["parameters.tsv"].decode().strip().count("\n") == 0
    assert math.isfinite(negative_log_likelihood(table, "kamp2020"))
