"""Heart and pressure: what is measured beside systolic pressure, held against the published figures."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from kapsim.evidence import load_evidence, load_observed
from kapsim.evidence.schema import ObservedRecord
from kapsim.patient import parse_patient
from kapsim.protocol import parse_protocol
from kapsim.simulation import simulate

EVIDENCE = load_evidence()


def observed(name: str) -> ObservedRecord:
    return next(record for record in load_observed() if record.id == name)


@functools.cache
def ramp() -> Any:
    """The published regimen of the record of cardiac output, in the typical healthy person, without spread."""
    doses = "\n".join(
        f"- {{drug: {dose.drug}, route: {dose.route}, amount: {dose.amount} {dose.unit}, "
        f"duration: {dose.duration_min} min, at: {at} h}}"
        for dose in observed(RAMP).regimen.doses
        for at in dose.at_h
    )
    plan = parse_protocol(f"schema_version: 1\nname: x\ntitle: x\nhorizon: 1 d\nratings: [1 h, 2 h]\ndoses:\n{doses}\n")
    return simulate(plan, parse_patient("schema_version: 1\ndiagnosis: healthy"), draws=1, spread=False)


RAMP = next(record.id for record in load_observed() if record.outcome.observable == "acute.cardiac_output")


def test_cardiac_output_rises_by_what_a_ramp_was_seen_to_bring() -> None:
    run, (point,) = ramp(), observed(RAMP).points
    at = int(np.argmin(np.abs(run["time"].values - point.time_h)))
    level = run["plasma_s_ketamine_arterial"].values[0, at]
    assert level == pytest.approx(320.0, rel=1e-6)
    low, high = EVIDENCE["cardiac_output.rise.s_ketamine320"].spread.value
    assert low <= run["cardiac_output"].values[0, at] <= high
    # the last step of the ramp is its highest, and an earlier one is lower
    half = int(np.argmin(np.abs(run["time"].values - 1.0)))
    assert 0.0 < run["cardiac_output"].values[0, half] < run["cardiac_output"].values[0, at]


def test_r_ketamine_moves_neither_output_nor_pressure() -> None:
    plan = parse_protocol(
        "schema_version: 1\nname: x\ntitle: x\nhorizon: 1 d\ndoses:\n"
        "- {drug: arketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: 0 h}\n"
    )
    run = simulate(plan, draws=4)
    assert EVIDENCE["cardiac_output.r_ketamine_effect"].value == 0.0
    for name in ("cardiac_output", "systolic_pressure", "diastolic_pressure", "mean_arterial_pressure", "heart_rate"):
        assert not run[name].values.any(), name


def test_pressures_keep_their_order_and_the_published_proportion() -> None:
    run = simulate("single_infusion", draws=50, seed=3)
    systolic, diastolic, mean = (
        run[name].values for name in ("systolic_pressure", "diastolic_pressure", "mean_arterial_pressure")
    )
    np.testing.assert_allclose(mean, (systolic + 2.0 * diastolic) / 3.0, rtol=1e-12)
    raised = systolic > 1e-6
    assert raised.any()
    typical = simulate("single_infusion", draws=1, spread=False)
    rise = float(typical["diastolic_pressure"].max())
    low, high = EVIDENCE["clinical.safety.iv.dbp_rise"].spread.value
    assert low <= rise <= high
    ratio = rise / float(typical["systolic_pressure"].max())
    nasal = EVIDENCE["dbp.rise.intranasal"].value / EVIDENCE["sbp.rise.intranasal"].value
    assert ratio == pytest.approx(nasal, rel=0.15)


def test_who_is_sensitive_to_the_pressor_effect_is_so_in_all_of_it() -> None:
    plain, sensitive = (
        simulate("single_infusion", parse_patient(f"schema_version: 1\n{more}"), draws=1, spread=False)
        for more in ("", "sensitivities: {pressor: 2}\n")
    )
    for name in ("systolic_pressure", "diastolic_pressure", "mean_arterial_pressure", "heart_rate", "cardiac_output"):
        np.testing.assert_allclose(sensitive[name].values, 2.0 * plain[name].values, rtol=1e-9)
        assert plain[name].values.max() > 1.0
