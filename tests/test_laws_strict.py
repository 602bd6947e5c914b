"""Laws, held tightly: drug conserved to 1e-6, courses shifted and people reordered, made-up protocols within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import reference
from kapsim.course import MICRO_PER_MILLI, build_course
from kapsim.engine.grid import TICKS_PER_HOUR
from kapsim.errors import InputError
from kapsim.mechanisms.pharmacokinetics import COMPARTMENTS, DEPOTS, FOLLOWERS, S_SHARE, Pharmacokinetics
from kapsim.model import VARIANTS, state_names, variant_switches
from kapsim.patient import parse_patient
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import Protocol, load_protocol
from kapsim.scales import window_mean
from kapsim.simulation import simulate
from kapsim.solving import integrate
from selection import some

Array = NDArray[np.float64]

SAMPLED = sample_people(None, 8, 0)
SAME_EACH_TIME = reference.without_occasions(SAMPLED)
#: Integrals of the momentary scores: at rest they grow.
INTEGRALS = [state_names().index(name) for name in ("mood.depression", "mood.anxiety")]
OTHERS = [k for k in range(len(state_names())) if k not in INTEGRALS]


@pytest.fixture(scope="module", autouse=True)
def _few_programs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        reference.few_programs(patch, steps=2048, outputs=512)
        yield


def run(plan: Protocol, people: People, variant: str = "standard") -> tuple[Array, Array, Array]:
    """Ticks of the outputs, states and compartments."""
    course = build_course(plan, people)
    states, amounts = integrate(course, people, variant_switches(variant))
    return course.grid.ticks[course.outputs], states, amounts


DOSES = {
    "iv": "drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, ",
    "bolus": "drug: ketamine, route: iv, amount: 2 mg/kg, ",
    "im": "drug: ketamine, route: im, amount: 1 mg/kg, ",
    "sc": "drug: esketamine, route: sc, amount: 0.5 mg/kg, ",
    "intranasal": "drug: esketamine, route: intranasal, amount: 84 mg, ",
    "sublingual": "drug: ketamine, route: sublingual, amount: 200 mg, ",
    "oral": "drug: arketamine, route: oral, amount: 150 mg, ",
    "extended_release": "drug: ketamine, route: oral, amount: 120 mg, form: extended_release, ",
    "inhaled": "drug: esketamine, route: inhaled, amount: 50 mg, ",
}


@pytest.mark.parametrize("name", DOSES)
def test_what_is_in_the_body_and_what_has_left_it_make_the_absorbed_dose(name: str) -> None:
    plan = reference.protocol(f"doses: [{{{DOSES[name]}at: [1 h]}}]\n", horizon="3 d")
    laid_out = build_course(plan, SAMPLED)
    course = replace(laid_out, outputs=np.arange(len(laid_out.grid.ticks)))
    _, amounts = integrate(course, SAMPLED, variant_switches("standard"))
    kinetics = Pharmacokinetics.build(SAMPLED.values)
    event = plan.dose_events()[0]
    milligrams = event.amount * (SAMPLED.body.weight if event.unit == "mg/kg" else np.ones(SAMPLED.size))
    occasion = SAMPLED.keyed.normal("occasion:0", SAMPLED.size)
    shares = kinetics.entry(event.drug, event.pathway, milligrams, occasion).values()
    assert all((np.asarray(share) >= 0.0).all() for share in shares)
    total = sum(shares) * milligrams * MICRO_PER_MILLI / kinetics.molar_mass
    holds = np.array([name != "pump" and name not in FOLLOWERS for name in COMPARTMENTS])
    step = np.diff(course.grid.hours)[:, None]
    for m, system in enumerate(course.systems):
        leaving = np.zeros((len(COMPARTMENTS), SAMPLED.size))
        for flow in kinetics.flows(system, SAMPLED.body):
            if flow.target is None and flow.source not in FOLLOWERS:
                leaving[COMPARTMENTS.index(flow.source)] += flow.rate
        start, end = amounts[:-1, m].copy(), amounts[1:, m]
        for tick, jump in course.jumps.items():
            start[np.searchsorted(course.grid.ticks, tick)] += jump[m]
        # the trapezoidal rule over every step, corrected by the slopes at both ends
        turn = np.einsum("bij,tjb->tib", course.matrices[m], start - end)
        outflow = 0.5 * step * ((start + end) * leaving).sum(axis=1) + step**2 / 12.0 * (turn * leaving).sum(axis=1)
        gone, held = outflow.sum(axis=0), amounts[-1, m, holds].sum(axis=0)
        share = S_SHARE[event.drug] if system == "s" else 1.0 - S_SHARE[event.drug]
        np.testing.assert_allclose(gone + held, share * total, rtol=2e-6, atol=1e-12)
        assert (gone >= 0.5 * share * total).all()  # most has left: the balance is not of one compartment


@pytest.mark.parametrize("name", ["iv", "im", "intranasal", "sublingual"])
def test_two_doses_of_sampled_people_are_the_sum_of_single_doses(name: str) -> None:
    dose = DOSES[name]
    # a control in place of the other dose keeps the time grid the same
    control = "drug: saline, route: iv, amount: 0 mg, " + ("duration: 40 min, " if name == "iv" else "")
    plans = [
        f"doses: [{{{first}at: [1 h]}}, {{{second}at: [9 h]}}]\n"
        for first, second in ((dose, control), (control, dose), (dose, dose))
    ]
    first, second, both = (run(reference.protocol(plan, horizon="3 d"), SAME_EACH_TIME) for plan in plans)
    np.testing.assert_array_equal(first[0], both[0])
    np.testing.assert_array_equal(second[0], both[0])
    np.testing.assert_allclose(first[2] + second[2], both[2], rtol=1e-10, atol=1e-13)
    assert both[2].max() > 1.0


COURSE = """\
doses:
- {{drug: ketamine, route: im, amount: 1 mg/kg, at: [{0} h, {1} h]}}
therapy:
- {{kind: kap, duration: 1 h, at: [{2} h]}}
stressors:
- {{at: {3} h, duration: 12 h, intensity: 0.5}}
"""


@pytest.mark.parametrize("shift", [8, 31])
def test_a_course_that_starts_later_is_the_same_course_later(shift: int) -> None:
    hours = (0, 72, 24, 48)
    now = run(reference.protocol(COURSE.format(*hours), horizon="120 h"), SAME_EACH_TIME)
    later = run(
        reference.protocol(COURSE.format(*(at + shift for at in hours)), horizon=f"{120 + shift} h"), SAME_EACH_TIME
    )
    ticks = np.intersect1d(now[0], later[0] - shift * TICKS_PER_HOUR)
    assert len(ticks) >= 40
    here, there = np.searchsorted(now[0], ticks), np.searchsorted(later[0], ticks + shift * TICKS_PER_HOUR)
    np.testing.assert_allclose(later[2][there], now[2][here], rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(later[1][there][:, OTHERS], now[1][here][:, OTHERS], rtol=1e-7, atol=1e-10)
    waited = shift * np.stack([SAMPLED.traits.madrs, SAMPLED.traits.hama])
    np.testing.assert_allclose(later[1][there][:, INTEGRALS] - waited, now[1][here][:, INTEGRALS], rtol=1e-7, atol=1e-8)
    before = later[1][later[0] <= shift * TICKS_PER_HOUR][:, OTHERS]
    np.testing.assert_allclose(before, np.broadcast_to(before[0], before.shape), atol=1e-11)


UNUSUAL = {
    "healthy": "diagnosis: healthy",
    "worst": "baseline: {scale: madrs, score: 60}\nanxiety: {scale: hama, score: 56}\ncrp: 50 mg/L\nepisode: 240 mo",
    "sensitive": "baseline: {scale: madrs, score: 1}\nweight: 40 kg\nage: 90 a\nsex: female\nexpectancy: 1.0\n"
    "sensitivities: {plasticity: 10, therapy: 10, pressor: 10, dissociation: 0.1}",
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_people_do_not_drift_over_a_year(name: str) -> None:
    people = sample_people(parse_patient(f"schema_version: 1\n{UNUSUAL[name]}\n"), 200, 3)
    ticks, states, amounts = run(load_protocol("no_treatment"), people)
    assert ticks[-1] == 52 * 168 * TICKS_PER_HOUR
    assert not amounts.any()
    scale = np.maximum(np.abs(states[0, OTHERS]), 1.0)
    assert (np.abs(states[:, OTHERS] - states[0, OTHERS]) / scale).max() < 1e-9
    hours = (ticks / TICKS_PER_HOUR)[:, None]
    for state, baseline in zip(INTEGRALS, (people.traits.madrs, people.traits.hama), strict=True):
        np.testing.assert_allclose(states[:, state], hours * baseline, rtol=1e-9, atol=1e-9)


SHARES = (
    "nmda_block", "nmda_block_interneuron", "plasticity_window", "negative_belief", "schema", "rumination",
    "expectancy", "sedation", "loss_of_consciousness", "nausea", "dissociation_tolerance",
)  # fmt: skip
AT_LEAST_ZERO = (
    "glutamate", "pyramidal_rate", "interneuron_rate", "ampa_drive", "bdnf", "blood_bdnf", "spine_density",
    "potentiation", "neurogenesis", "tnf", "il6", "crp", "microglia", "cadss", "hydroxynorketamine",
    *(f"plasma_{drug}_{site}" for drug in ("ketamine", "s_ketamine", "r_ketamine", "norketamine")
      for site in ("arterial", "venous")),
)  # fmt: skip
TOPS = {"madrs": 60, "madrs_momentary": 60, "hama": 56, "hama_momentary": 56, "hdrs17": 52}
TOPS |= {"qids": 27, "phq9": 27, "bdi": 63, "gad7": 21}


def out_of_bounds(results: xr.Dataset) -> dict[str, tuple[float, float]]:
    """Variables that leave their bounds, with their range."""
    bounds = dict.fromkeys(SHARES, (0.0, 1.0)) | dict.fromkeys(AT_LEAST_ZERO, (0.0, np.inf))
    bounds |= {name: (0.0, float(top)) for name, top in TOPS.items()}
    found = {}
    for name in results.data_vars:
        values = results[name].values
        low, high = bounds.get(str(name), (-np.inf, np.inf))
        rounding = 1e-12 * max(1.0, float(np.abs(values).max()))
        if not (np.isfinite(values).all() and values.min() >= low - rounding and values.max() <= high + rounding):
            found[str(name)] = (float(values.min()), float(values.max()))
    return found


HOSTILE = {
    "daily_anaesthesia": """\
doses: [{drug: ketamine, route: iv, amount: 20 mg/kg, every: 1 d, from: 0 h, until: 9 d}]
""",
    "all_routes_at_once": """\
doses:
- {drug: ketamine, route: iv, amount: 2000 mg, at: [0 h, 5 d]}
- {drug: esketamine, route: intranasal, amount: 2000 mg, at: [0 h, 1 min]}
- {drug: arketamine, route: oral, amount: 20 mg/kg, at: [0 h]}
- {drug: ketamine, route: sublingual, amount: 2000 mg, at: [0 h]}
co_medication: [{drug: clarithromycin}, {drug: ticlopidine}, {drug: itraconazole}, {drug: memantine}]
""",
    "pump_up_and_down": """\
doses:
- {drug: ketamine, route: iv, amount: 3000 ng/mL, duration: 1 h, every: 1 d, from: 0 h, until: 4 d}
- {drug: ketamine, route: iv, amount: 100 ng/mL, duration: 7 h, every: 1 d, from: 1 h, until: 4 d}
- {drug: esketamine, route: inhaled, amount: 500 mg, at: 30 h}
- {drug: ketamine, route: oral, amount: 500 mg, form: extended_release, every: 12 h, from: 0 h, until: 9 d}
co_medication: [{drug: grapefruit_juice}, {drug: clarithromycin}]
""",
    "stress_in_the_window": """\
masking: saline
doses: [{drug: ketamine, route: im, amount: 5 mg/kg, every: 2 d, from: 0 h, until: 8 d}]
stressors: [{at: 12 h, duration: 9 d, intensity: 1.0}]
""",
    "endless_therapy": """\
doses: [{drug: esketamine, route: sc, amount: 5 mg/kg, every: 2 d, from: 0 h, until: 8 d}]
therapy: [{kind: kap, duration: 24 h, every: 1 d, from: 0 h, until: 9 d}]
practice: {level: 1.0}
co_medication: [{drug: rapamycin}, {drug: naltrexone}, {drug: ampa_blocker}, {drug: benzodiazepine}]
""",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("variant", some(["standard", "hnk", "fast_tnf", "slow_down", "il6_up"], "standard"))
def test_hostile_protocols_stay_within_bounds(name: str, variant: str) -> None:
    assert not out_of_bounds(simulate(reference.protocol(HOSTILE[name], horizon="10 d"), variant=variant, draws=8))


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_people_stay_within_bounds(name: str) -> None:
    person = parse_patient(f"schema_version: 1\n{UNUSUAL[name]}\n")
    plan = reference.protocol(HOSTILE["stress_in_the_window"], horizon="10 d")
    assert not out_of_bounds(simulate(plan, person, draws=8))


minutes = st.integers(0, 9 * 24 * 60)
lengths = st.integers(1, 1440).map(lambda length: f"{length} min")
doses = st.fixed_dictionaries(
    {
        "drug": st.sampled_from(["ketamine", "esketamine", "arketamine"]),
        "route": st.sampled_from(["iv", "im", "sc", "intranasal", "sublingual", "oral", "inhaled"]),
        "amount": st.floats(1e-3, 20.0).map(lambda amount: f"{amount} mg/kg"),
        "at": minutes.map(lambda at: f"[{at} min]"),
    }
)
stressors = st.fixed_dictionaries(
    {"at": minutes.map(lambda at: f"{at} min"), "duration": lengths, "intensity": st.floats(1e-3, 1.0)}
)
sessions = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["kap", "cbt", "sham_training"]),
        "duration": lengths,
        "at": minutes.map(lambda at: f"[{at} min]"),
    }
)
drugs = st.sampled_from(["naltrexone", "rapamycin", "memantine", "ampa_blocker", "benzodiazepine", "anaesthesia"])


def flow_style(items: list[dict[str, object]]) -> str:
    return "[" + ", ".join("{" + ", ".join(f"{k}: {v}" for k, v in item.items()) + "}" for item in items) + "]"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(
    dose_list=st.lists(doses, min_size=1, max_size=4),
    stressor_list=st.lists(stressors, max_size=2),
    session_list=st.lists(sessions, max_size=2),
    taken=st.lists(drugs, max_size=3, unique=True),
    masking=st.sampled_from(["open", "saline", "midazolam", "nasal_placebo"]),
    variant=st.sampled_from(list(VARIANTS)),
    seed=st.integers(0, 2**31),
)
@example(  # blood BDNF once fell below zero where its gain was drawn below zero
    dose_list=[{"drug": "ketamine", "route": "iv", "amount": "3.0 mg/kg", "at": "[0 min]"}],
    stressor_list=[],
    session_list=[],
    taken=[],
    masking="open",
    variant="standard",
    seed=80,
)
@example(  # spines of strong responders once swung below zero where steps were too long for them
    dose_list=[
        {"drug": "ketamine", "route": "iv", "amount": "8.0 mg/kg", "at": "[0 min]"},
        {"drug": "ketamine", "route": "iv", "amount": "14.0 mg/kg", "at": "[1 min]"},
    ],
    stressor_list=[],
    session_list=[],
    taken=["naltrexone", "rapamycin"],
    masking="open",
    variant="equal_affinity",
    seed=161,
)
def test_made_up_protocols_stay_within_bounds(
    dose_list: list[dict[str, object]],
    stressor_list: list[dict[str, object]],
    session_list: list[dict[str, object]],
    taken: list[str],
    masking: str,
    variant: str,
    seed: int,
) -> None:
    body = (
        f"masking: {masking}\ndoses: {flow_style(dose_list)}\nstressors: {flow_style(stressor_list)}\n"
        f"therapy: {flow_style(session_list)}\nco_medication: {flow_style([{'drug': name} for name in taken])}\n"
    )
    try:
        plan = reference.protocol(body, horizon="10 d")
    except InputError:
        assume(False)
    assert not out_of_bounds(simulate(plan, variant=variant, draws=8, seed=seed))


def test_padding_and_unused_depots_change_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load_protocol("single_infusion")
    padded = run(plan, SAMPLED)
    for name, size in (("STEP_BLOCK", 512), ("OUTPUT_BLOCK", 128), ("EVENT_BLOCK", 32)):
        monkeypatch.setattr(f"kapsim.solving.{name}", size)
    needed = tuple(name for name in COMPARTMENTS if name not in DEPOTS)
    monkeypatch.setattr("kapsim.mechanisms.pharmacokinetics.compartments", lambda _: needed)
    shipped = run(plan, SAMPLED)
    np.testing.assert_array_equal(padded[0], shipped[0])
    np.testing.assert_allclose(padded[1], shipped[1], rtol=1e-11, atol=1e-14)


def test_a_small_run_is_the_start_of_a_large_one_bit_for_bit() -> None:
    plan = reference.protocol(COURSE.format(0, 72, 24, 48), horizon="1 wk")
    few, many = simulate(plan, draws=7, seed=4), simulate(plan, draws=70, seed=4)
    xr.testing.assert_equal(few.drop_attrs(), many.isel(patient=slice(7)).drop_attrs())


def test_the_order_of_people_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(SAMPLED.size)
    plan = reference.protocol(COURSE.format(0, 72, 24, 48), horizon="1 wk")
    here, there = run(plan, SAME_EACH_TIME), run(plan, reference.select(SAME_EACH_TIME, order))
    np.testing.assert_array_equal(there[1], here[1][:, :, order])
    np.testing.assert_array_equal(there[2], here[2][..., order])


@settings(max_examples=20, deadline=None)
@given(few=st.integers(1, 40), more=st.integers(1, 300), seed=st.integers(0, 2**63 - 1))
def test_people_do_not_depend_on_how_many_are_drawn(few: int, more: int, seed: int) -> None:
    small, large = sample_people(None, few, seed), sample_people(None, few + more, seed)
    for name, values in small.values.items():
        np.testing.assert_array_equal(values, large.values[name][:few], err_msg=name)
    for mine, theirs in zip((*small.traits, *small.body), (*large.traits, *large.body), strict=True):
        np.testing.assert_array_equal(mine, theirs[:few])


@settings(deadline=None)
@given(
    anchors=st.lists(st.floats(0.5, 400.0), min_size=1, max_size=8),
    rated=st.lists(st.floats(0.5, 400.0), min_size=1, max_size=8),
    recall=st.sampled_from([24.0, 168.0, 336.0]),
    bends=st.tuples(st.floats(-0.1, 0.1), st.floats(-1e-4, 1e-4)),
)
def test_a_rating_is_the_mean_since_the_last_anchor(
    anchors: list[float], rated: list[float], recall: float, bends: tuple[float, float]
) -> None:
    """Against a brute-force mean; a quadratic course, whose integral the interpolation follows exactly."""
    hours = np.unique([*np.arange(0.0, 400.0, 8.0), *rated])
    assume(np.diff(hours).min() > 1e-2)

    def score(at: Array) -> Array:
        return np.asarray(30.0 + bends[0] * at + bends[1] * at**2)

    integral = 30.0 * hours + bends[0] * hours**2 / 2.0 + bends[1] * hours**3 / 3.0
    found = window_mean(hours, integral[:, None], score(hours)[:, None], anchors, recall)[:, 0]
    assert found[0] == score(hours[:1])[0]
    for hour, value in zip(hours[1:], found[1:], strict=True):
        start = max(*(anchor for anchor in (0.0, *anchors) if anchor < hour - 1e-3), hour - recall)
        middles = start + (np.arange(2000) + 0.5) / 2000 * (hour - start)
        assert value == pytest.approx(float(score(middles).mean()), abs=2e-4)
