"""Laws that hold whatever the parameters: superposition, time shift, rest, bounds, keyed people, ratings.

Mass balance, made-up protocols and bit-for-bit independence of the batch stand in test_laws_strict.py.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kapsim
from kapsim.course import build_course
from kapsim.model import VARIANTS, state_names
from kapsim.patient.sampling import sample_people
from kapsim.protocol import Protocol, parse_protocol
from kapsim.results import label
from kapsim.scales import CONVERTED, from_madrs, to_madrs, window_mean
from kapsim.simulation import provenance
from kapsim.solving import integrate

ROUTES = {
    "iv": "0.5 mg/kg, duration: 40 min",
    "im": "1 mg/kg",
    "sc": "0.7 mg/kg",
    "intranasal": "56 mg",
    "sublingual": "200 mg",
    "oral": "100 mg",
    "oral, form: extended_release": "120 mg",
    "inhaled": "50 mg",
}


#: Every rating is a node of the grid, so these times can be compared between runs.
RATINGS = ", ".join(f"{hours} h" for hours in (2, 4, 6, 10, 12, 14, 16, 20, 24, 30, 34, 40, 44, 60))


def protocol(doses: str, *, horizon: str = "2 wk", more: str = "") -> Protocol:
    head = f"schema_version: 1\nname: law\ntitle: law\ndescription: law\nhorizon: {horizon}\nmasking: open\n"
    return parse_protocol(f"{head}doses:\n{doses}\nratings: [{RATINGS}]\n{more}" if doses else f"{head}{more}")


def one_dose(route: str, at: str = "0 h", amount: str | None = None, drug: str = "ketamine") -> str:
    return f"- {{drug: {drug}, route: {route}, amount: {amount or ROUTES[route]}, at: {at}}}"


def solve(given: Protocol, draws: int = 12, seed: int = 4, variant: str = "standard", spread: bool = True) -> Any:
    people = sample_people(None, draws, seed, spread=spread)
    course = build_course(given, people)
    return people, course, *integrate(course, people, VARIANTS[variant])


@pytest.mark.parametrize("route", ROUTES)
def test_doses_superpose_and_scale(route: str) -> None:
    """Kinetics are linear: two doses add, a double dose doubles (but for sprays, whose later devices do less)."""
    both = protocol(f"{one_dose(route)}\n{one_dose(route, '10 h')}", horizon="3 d")
    runs = [solve(item, spread=False, draws=1) for item in (both, protocol(one_dose(route), horizon="3 d"))]
    (_, course, _, together), (_, single, _, alone) = runs
    ticks, ticks_alone = course.grid.ticks[course.outputs], single.grid.ticks[single.outputs]
    shift = 10 * 960
    common = [t for t in ticks if t in ticks_alone and (t - shift) in ticks_alone and t > shift]
    assert len(common) > 5
    at = {int(t): k for k, t in enumerate(ticks)}
    of = {int(t): k for k, t in enumerate(ticks_alone)}
    for t in common:
        expected = alone[of[t]] + alone[of[t - shift]]
        assert np.allclose(together[at[t]], expected, rtol=1e-9, atol=1e-9)
    if route != "intranasal":
        number, unit = ROUTES[route].split(" ", 1)
        double = solve(
            protocol(one_dose(route, amount=f"{2 * float(number)} {unit}"), horizon="3 d"), spread=False, draws=1
        )
        assert np.allclose(double[3], 2 * alone, rtol=1e-9, atol=1e-12)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hours=st.integers(min_value=1, max_value=72))
def test_time_shift(hours: int) -> None:
    """Waiting first changes nothing: the whole chain is shifted."""
    now = solve(protocol(one_dose("iv"), horizon="10 d"), draws=3)
    later = solve(protocol(one_dose("iv", f"{hours} h"), horizon=f"{240 + hours} h"), draws=3)
    first = {int(t): k for k, t in enumerate(now[1].grid.ticks[now[1].outputs])}
    shifted = {int(t) - hours * 960: k for k, t in enumerate(later[1].grid.ticks[later[1].outputs])}
    kept = [k for k, name in enumerate(state_names()) if not name.startswith("mood.")]
    common = sorted(set(first) & set(shifted))
    assert len(common) > 20
    for t in common:
        assert np.allclose(now[2][first[t]][kept], later[2][shifted[t]][kept], rtol=1e-5, atol=1e-8)


def test_a_control_is_no_drug() -> None:
    run = kapsim.simulate("saline_infusion", draws=20, seed=1)
    for name in ("nmda_block", "plasma_ketamine_arterial", "cadss", "sedation", "systolic_pressure"):
        assert float(np.abs(run[name]).max()) == 0.0
    for name in ("glutamate", "bdnf", "spine_density", "tnf", "dmn_activity"):
        assert float(np.abs(run[name] - run[name].isel(time=0)).max()) < 1e-9
    assert float(run["expectancy"].max()) > 0.01
    # relief that expectancy brought teaches, whatever it came from
    assert float((run["schema"] - run["schema"].isel(time=0)).max()) < 1e-9


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_drifts_over_a_year(variant: str) -> None:
    run = kapsim.simulate("no_treatment", draws=100, seed=2, variant=variant)
    assert run.time.values[-1] >= 52 * 168
    for name, values in run.data_vars.items():
        start = values.isel(time=0)
        assert float((np.abs(values - start) / (np.abs(start) + 1e-3)).max()) < 1e-6, name
    assert np.allclose(run["madrs"].values, run["baseline_madrs"].values[:, None], atol=1e-6)


def test_biology_returns_to_rest_after_a_dose() -> None:
    _, _, states, _ = solve(protocol(one_dose("iv"), horizon="2 a"), draws=100)
    for k, name in enumerate(state_names()):
        if name.split(".")[0] in ("network", "glutamate", "plasticity", "inflammation", "acute"):
            moved = np.abs(states[:, k] - states[0, k]).max(axis=0)
            left = np.abs(states[-1, k] - states[0, k])
            assert np.all(left <= 1e-3 * moved + 1e-9), name


HOSTILE = """
therapy:
- {kind: cbt, duration: 90 min, every: 2 d, from: 1 h, until: 12 d}
stressors: [{at: 30 h, duration: 72 h, intensity: 1.0}]
co_medication: [{drug: memantine}, {drug: rapamycin}]
"""


@pytest.mark.parametrize("variant", ["standard", "direct", "hnk", "fast_tnf", "slow_down", "il6_up"])
def test_bounds(variant: str) -> None:
    doses = "- {drug: ketamine, route: iv, amount: 4 mg/kg, every: 1 d, from: 0 h, until: 6 d}\n"
    doses += "- {drug: esketamine, route: intranasal, amount: 84 mg, every: 2 d, from: 12 h, until: 12 d}"
    run = kapsim.simulate(protocol(doses, more=HOSTILE), draws=60, seed=3, variant=variant)
    unit = ["nmda_block", "nmda_block_interneuron", "negative_belief", "schema", "rumination", "expectancy"]
    unit += ["plasticity_window", "sedation", "loss_of_consciousness", "nausea", "dissociation_tolerance"]
    _within(run, unit, 0.0, 1.0)
    _within(run, ["madrs", "madrs_momentary"], 0.0, 60.0)
    _within(run, ["hama", "hama_momentary"], 0.0, 56.0)
    others = [
        "plasma_",
        "glutamate",
        "bdnf",
        "spine",
        "tnf",
        "il6",
        "crp",
        "microglia",
        "dmn_",
        "sgacc",
        "glx",
        "cadss",
    ]
    positive = [name for name in run.data_vars if any(str(name).startswith(word) for word in others)]
    _within(run, positive, 0.0, np.inf)
    assert all(np.isfinite(values).all() for values in run.data_vars.values())


def _within(run: xr.Dataset, names: list[str], low: float, high: float) -> None:
    for name in names:
        values = run[name].values
        assert values.min() >= low - 1e-12, (name, values.min())
        assert values.max() <= high + 1e-12, (name, values.max())


def test_the_same_seed_gives_the_same_bits() -> None:
    code = (
        "import kapsim, hashlib; run = kapsim.simulate('kap_sublingual', draws=9, seed=8); "
        "print(hashlib.sha256(b''.join(run[k].values.tobytes() for k in run.data_vars)).hexdigest())"
    )
    prints = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(prints) == 1
    assert len(prints.pop().strip()) == 64


def test_the_same_people_stand_in_every_arm() -> None:
    runs = [kapsim.simulate(name, draws=15, seed=6) for name in ("single_infusion", "saline_infusion", "therapy_only")]
    for other in runs[1:]:
        for name in ("weight", "age", "female", "baseline_madrs", "parameter_draw"):
            assert np.array_equal(runs[0][name].values, other[name].values)


def test_ratings_average_since_the_last_dose_or_rating() -> None:
    hours = np.linspace(0.0, 400.0, 4001)
    score = (20.0 + 5.0 * np.sin(hours / 30.0))[:, None]
    integral = (20.0 * hours - 150.0 * (np.cos(hours / 30.0) - 1.0))[:, None]
    anchors, recall = [0.0, 100.0, 130.0], 168.0
    rated = window_mean(hours, integral, score, anchors, recall)
    for at in (50.0, 100.0, 115.0, 130.0, 250.0, 400.0):
        begin = max([a for a in anchors if a < at] + [at - recall])
        fine = np.linspace(begin, at, 20001)
        expected = np.trapezoid(20.0 + 5.0 * np.sin(fine / 30.0), fine) / (at - begin)
        assert rated[round(at * 10), 0] == pytest.approx(expected, abs=1e-6)
    assert rated[0, 0] == score[0, 0]


@given(score=st.floats(min_value=0.5, max_value=26.0))
def test_conversions_round_trip(score: float) -> None:
    for scale in CONVERTED:
        madrs = to_madrs(scale, score)
        assert float(from_madrs(scale, np.asarray([madrs]))[0]) == pytest.approx(score, rel=1e-9)
        higher = float(from_madrs(scale, np.asarray([madrs + 1.0]))[0])
        assert higher >= score - 1e-9


def test_a_read_out_that_is_no_number_names_the_patient() -> None:
    """States may be whole where a read-out is not: that patient is named too."""
    people = sample_people(None, 4, 0)
    people.values["acute.pressor.systolic"][2] = np.nan
    given_protocol = protocol(one_dose("iv"))
    course = build_course(given_protocol, people)
    states, amounts = integrate(course, people, VARIANTS["standard"])
    with pytest.raises(kapsim.SolverError, match=r"patient 2.*systolic_pressure"):
        label(given_protocol, None, people, course, states, amounts, provenance("standard", 0, 4))
