"""Contested links and perturbations: each changes what it should, in its direction, and nothing upstream of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from kapsim.evidence import load_parameters
from kapsim.mechanisms.switches import VARIANTS
from kapsim.patient import parse_patient
from kapsim.patient.sampling import sample_people
from kapsim.protocol import parse_protocol
from kapsim.results import VARIABLES
from kapsim.simulation import simulate, simulate_people

PRIORS = load_parameters(chain=False)
LITTLE_LEFT = pytest.mark.xfail(
    strict=True,
    reason="the calibration leaves the typical person little relief by the surge that a drug could take away",
)

# --- runs of the typical person -------------------------------------------------------------------------------------

INFUSION = "{drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: 0 h}"
SALINE = "{drug: saline, route: iv, amount: 0 mg, duration: 40 min, at: 0 h}"
BOLUS = "{drug: ketamine, route: iv, amount: 2 mg/kg, at: 0 h}"
ORAL = "{drug: ketamine, route: oral, amount: 0.5 mg/kg, at: 0 h}"
THERAPY = "therapy: [{kind: kap, duration: 1 h, at: [24 h, 72 h]}]"


@functools.cache
def run(
    dose: str = INFUSION,
    *more: str,
    variant: str = "standard",
    patient: str = "schema_version: 1",
    taught_by_relief: bool = True,
) -> Any:
    """Simulate two weeks of the typical person at the priors; `more` are further lines of the protocol.

    What a link does is asked where every link is felt; how much of it the trials leave is asked of the whole.
    """
    lines = ["schema_version: 1", "name: test", "title: test", "horizon: 2 wk", f"doses: [{dose}]", *more]
    who = parse_patient(patient)
    people = sample_people(who, 1, 0, spread=False, parameters=PRIORS)
    if not taught_by_relief:
        people.values["mind.everyday_rate"] = np.zeros(1)
    return simulate_people(parse_protocol("\n".join(lines)), people, who, variant=variant)


def taking(*drugs: str) -> str:
    return f"co_medication: [{', '.join(f'{{drug: {drug}}}' for drug in drugs)}]"


def change(a: Any, b: Any, variable: str) -> float:
    """Largest difference of a variable between two runs, as a share of its largest value."""
    x, y = a[variable].values, b[variable].values
    return float(np.abs(x - y).max() / max(np.abs(x).max(), np.abs(y).max(), 1e-12))


def differing(a: Any, b: Any) -> set[str]:
    """Variables in which two runs differ by more than rounding."""
    return {str(variable) for variable in a.data_vars if change(a, b, str(variable)) > 1e-10}


def at(dataset: Any, variable: str, hours: float) -> float:
    return float(np.interp(hours, dataset["time"].values, dataset[variable].values[0]))


def peak(dataset: Any, variable: str) -> float:
    return float(dataset[variable].values.max())


def lowest(dataset: Any, variable: str) -> float:
    return float(dataset[variable].values.min())


def area(dataset: Any, variable: str) -> float:
    return float(np.trapezoid(dataset[variable].values[0], dataset["time"].values))


def of(*links: str) -> set[str]:
    return {variable for variable, (link, _, _) in VARIABLES.items() if link in links}


#: What each part of the chain shows.
KINETICS, BLOCK, ACUTE, MOOD = of("pharmacokinetics"), of("receptor"), of("acute"), of("mood")
FIRING = {"interneuron_rate", "pyramidal_rate"}
GLUTAMATE = {"glutamate"}
#: Default-mode measures and spectroscopy follow synaptic strength: they are downstream of the synapse.
SYNAPSE = of("plasticity") | {"glx_mrs"} | of("network") - FIRING
INFLAMMATION = of("inflammation")
EXPECTANCY = {"expectancy"}
CARE = {"care"}
#: What time brings hangs on nothing that is done.
TIME = {"recovery"}
MIND = of("mind") - EXPECTANCY - CARE - TIME
EVERYTHING = set(VARIABLES)
#: What comes before the synapse, and what never depends on it.
UPSTREAM = KINETICS | BLOCK | ACUTE | FIRING | GLUTAMATE | INFLAMMATION | EXPECTANCY | CARE | TIME
#: What must move when the synapse does.
CORE = {"bdnf", "spine_density", "plasticity_window", "potentiation", "ampa_drive", "rumination", "madrs", "hama"}


def test_the_parts_are_the_whole() -> None:
    assert UPSTREAM | SYNAPSE | MIND | MOOD == EVERYTHING
    assert sum(map(len, (KINETICS, BLOCK, ACUTE, FIRING, GLUTAMATE, INFLAMMATION, EXPECTANCY, CARE, TIME))) == len(
        UPSTREAM
    )


def check(a: Any, b: Any, *, same: Iterable[str] = (), moved: Iterable[str] = ()) -> None:
    found = differing(a, b)
    assert not found & set(same), f"moved, but lies upstream: {sorted(found & set(same))}"
    assert set(moved) <= found, f"did not move: {sorted(set(moved) - found)}"


# --- variants -------------------------------------------------------------------------------------------------------

#: Variant → (what else is done, variables that must not move, variables that must).
EXPECTED: dict[str, tuple[tuple[str, ...], set[str], set[str]]] = {
    "standard": ((THERAPY,), EVERYTHING, set()),
    "cytokines_off": ((THERAPY,), EVERYTHING, set()),
    "equal_affinity": (
        (),
        KINETICS | ACUTE | INFLAMMATION | EXPECTANCY,
        BLOCK | FIRING | GLUTAMATE | CORE,
    ),
    "indirect": ((), UPSTREAM, CORE),
    "direct": ((), UPSTREAM, CORE),
    "hnk": ((), UPSTREAM, CORE),
    "opioid_gate": ((taking("naltrexone"),), UPSTREAM, {"potentiation", "ampa_drive", "madrs", "hama"}),
    "mtor_elimination": ((taking("rapamycin"),), UPSTREAM, CORE),
    "fast_tnf": ((), KINETICS | BLOCK | ACUTE | FIRING | EXPECTANCY, INFLAMMATION | {"glutamate", "bdnf", "madrs"}),
    "slow_down": ((), KINETICS | BLOCK | ACUTE | FIRING | EXPECTANCY, INFLAMMATION | {"glutamate", "bdnf", "madrs"}),
    "il6_up": ((), KINETICS | BLOCK | ACUTE | FIRING | EXPECTANCY, INFLAMMATION | {"glutamate", "bdnf", "madrs"}),
    "dmn_silent": ((), UPSTREAM | SYNAPSE, MIND | MOOD),
    "additive_therapy": ((THERAPY,), UPSTREAM | SYNAPSE, MIND | MOOD),
    "expectancy_only": ((THERAPY,), UPSTREAM | SYNAPSE, MIND | MOOD),
    "node_pair": (
        (),
        KINETICS | BLOCK | ACUTE | INFLAMMATION | EXPECTANCY,
        FIRING | GLUTAMATE | of("network") - {"surface_excess"} | CORE,
    ),
}


def test_every_variant_has_an_expectation() -> None:
    assert set(EXPECTED) == set(VARIANTS)


@pytest.mark.parametrize("variant", EXPECTED)
def test_a_variant_changes_what_it_should_and_nothing_upstream(variant: str) -> None:
    done, same, moved = EXPECTED[variant]
    check(run(INFUSION, *done), run(INFUSION, *done, variant=variant), same=same, moved=moved)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_leaves_an_untreated_person_alone(variant: str) -> None:
    """Without drug, contact or therapy nothing drifts, whatever is switched."""
    lines = "schema_version: 1\nname: test\ntitle: test\nhorizon: 2 wk"
    quiet = simulate(parse_protocol(lines), variant=variant, draws=1, spread=False)
    for variable in quiet.data_vars:
        values = quiet[variable].values
        np.testing.assert_allclose(values, values[:, :1] + 0 * values, rtol=1e-8, atol=1e-10, err_msg=str(variable))


@pytest.mark.parametrize("variant", ["opioid_gate", "mtor_elimination"])
def test_a_gate_is_open_until_its_drug_is_taken(variant: str) -> None:
    assert not differing(run(INFUSION, THERAPY), run(INFUSION, THERAPY, variant=variant))


def test_one_arm_alone_carries_translation_without_the_other() -> None:
    """AMPA blockade takes the indirect arm and leaves the direct one."""
    for variant, spared in (("indirect", False), ("direct", True), ("standard", False)):
        plain, blocked = run(variant=variant), run(INFUSION, taking("ampa_blocker"), variant=variant)
        gain = [peak(d, "bdnf") - at(d, "bdnf", 0.0) for d in (plain, blocked)]
        assert gain[1] == pytest.approx(gain[0], rel=1e-9) if spared else gain[1] < 0.75 * gain[0], variant


def test_hydroxynorketamine_adds_to_the_gain() -> None:
    assert peak(run(variant="hnk"), "bdnf") > peak(run(), "bdnf")
    assert lowest(run(variant="hnk"), "madrs_momentary") < lowest(run(), "madrs_momentary")


def test_cytokine_switches_move_cytokines_in_their_direction() -> None:
    standard = run()
    assert change(standard, run(SALINE), "tnf") < 1e-10
    assert lowest(run(variant="fast_tnf"), "tnf") < lowest(standard, "tnf") - 0.01
    assert lowest(run(variant="slow_down"), "tnf") < lowest(standard, "tnf") - 1e-4
    assert at(run(variant="slow_down"), "tnf", 72.0) < at(standard, "tnf", 72.0)
    assert peak(run(variant="il6_up"), "il6") > peak(standard, "il6") + 0.01


def test_without_the_window_therapy_does_less_and_nothing_else_changes() -> None:
    """The window's part in therapy is what `additive_therapy` takes away; without therapy hardly anything is left.

    What is left is consolidation of the belief that rumination has moved, which the window also hastens. What relief
    teaches, with the same gain, is left out here.
    """
    plain, closed = ({"variant": variant, "taught_by_relief": False} for variant in ("standard", "additive_therapy"))
    treated, additive = run(INFUSION, THERAPY, **plain), run(INFUSION, THERAPY, **closed)
    assert at(additive, "negative_belief", 96.0) > at(treated, "negative_belief", 96.0) + 0.02
    assert at(additive, "madrs_momentary", 336.0) > at(treated, "madrs_momentary", 336.0)
    assert differing(run(**plain), run(**closed)) <= MIND | MOOD
    for variable in sorted(MIND | MOOD):
        alone = change(run(**plain), run(**closed), variable)
        assert alone < 0.1 * change(treated, additive, variable), variable


def test_the_window_lets_relief_teach_more() -> None:
    open_, closed = run(), run(variant="additive_therapy")
    assert at(closed, "negative_belief", 168.0) > at(open_, "negative_belief", 168.0)


def test_without_the_window_therapy_does_half_a_point_less() -> None:
    treated, additive = run(INFUSION, THERAPY), run(INFUSION, THERAPY, variant="additive_therapy")
    assert at(additive, "madrs_momentary", 336.0) > at(treated, "madrs_momentary", 336.0) + 0.5


def test_expectancy_alone_moves_mood_by_expectancy_alone() -> None:
    """The logit of what can be reached of the MADRS moves by weight times expectancy and by nothing else."""
    dataset, parameters = run(variant="expectancy_only"), PRIORS
    score = dataset["madrs_momentary"].values[0]
    floor = parameters["patient.untouched"].value * score[0]
    share = (score - floor) / (parameters["mood.madrs.maximum"].value - floor)
    logit = np.log(share / (1.0 - share))
    moved = -parameters["mood.weight.expectancy"].value * dataset["expectancy"].values[0]
    np.testing.assert_allclose(logit - logit[0], moved, rtol=1e-9, atol=1e-10)
    assert moved.min() < -0.1


def test_expectancy_alone_without_expectancy_is_nothing() -> None:
    dataset = run(INFUSION, THERAPY, variant="expectancy_only", patient="schema_version: 1\nexpectancy: 0")
    for variable in sorted(MOOD):
        values = dataset[variable].values
        np.testing.assert_allclose(values, values[:, :1] + 0 * values, rtol=1e-9, err_msg=variable)


def test_nearly_equal_affinity_spares_the_racemate_and_trades_one_enantiomer_for_the_other() -> None:
    """The racemate's half-block value is measured and stays; what moves is how it is shared."""

    def highest(drug: str, variant: str) -> float:
        return peak(
            run(f"{{drug: {drug}, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: 0 h}}", variant=variant),
            "nmda_block",
        )

    assert highest("ketamine", "equal_affinity") == pytest.approx(highest("ketamine", "standard"), rel=0.03)
    assert highest("esketamine", "equal_affinity") < 0.8 * highest("esketamine", "standard")
    assert highest("arketamine", "equal_affinity") > 1.8 * highest("arketamine", "standard")
    ratio = highest("esketamine", "equal_affinity") / highest("arketamine", "equal_affinity")
    assert 0.9 < ratio < 1.3


# --- perturbations --------------------------------------------------------------------------------------------------


def test_naltrexone_does_nothing_without_the_opioid_gate() -> None:
    assert not differing(run(), run(INFUSION, taking("naltrexone")))


def test_naltrexone_takes_part_of_the_benefit_behind_the_gate_and_no_dissociation() -> None:
    plain, taken = run(variant="opioid_gate"), run(INFUSION, taking("naltrexone"), variant="opioid_gate")
    check(plain, taken, same=UPSTREAM, moved={"potentiation", "madrs"})
    assert peak(taken, "potentiation") < 0.6 * peak(plain, "potentiation")
    assert at(taken, "madrs_momentary", 24.0) > at(plain, "madrs_momentary", 24.0) + 2.0


def shipped(*more: str, variant: str = "standard") -> Any:
    """Simulate two weeks of the typical person with the posterior of the chain."""
    lines = ["schema_version: 1", "name: test", "title: test", "horizon: 2 wk", f"doses: [{INFUSION}]", *more]
    return simulate(parse_protocol("\n".join(lines)), variant=variant, draws=1, spread=False)


@pytest.mark.parametrize(
    ("drug", "variant", "points"),
    [
        ("naltrexone", "opioid_gate", 2.0),
        pytest.param("ampa_blocker", "standard", 1.0, marks=LITTLE_LEFT),
        pytest.param("benzodiazepine", "standard", 1.0, marks=LITTLE_LEFT),
    ],
)
def test_a_medicine_takes_as_much_from_the_shipped_typical_person(drug: str, variant: str, points: float) -> None:
    plain, taken = shipped(variant=variant), shipped(taking(drug), variant=variant)
    assert at(taken, "madrs_momentary", 24.0) > at(plain, "madrs_momentary", 24.0) + points


def test_without_the_window_belief_stays_higher_in_the_shipped_typical_person() -> None:
    treated, additive = shipped(THERAPY), shipped(THERAPY, variant="additive_therapy")
    assert at(additive, "negative_belief", 96.0) > at(treated, "negative_belief", 96.0) + 0.02


def test_ampa_blockade_takes_a_quarter_of_translation_from_the_shipped_typical_person() -> None:
    gain = [peak(d, "bdnf") - at(d, "bdnf", 0.0) for d in (shipped(), shipped(taking("ampa_blocker")))]
    assert gain[1] < 0.75 * gain[0]


def test_rapamycin_halves_translation_or_spares_spines() -> None:
    plain, taken = run(), run(INFUSION, taking("rapamycin"))
    check(plain, taken, same=UPSTREAM, moved=CORE)
    assert peak(taken, "bdnf") < peak(plain, "bdnf")
    assert at(taken, "madrs_momentary", 24.0) > at(plain, "madrs_momentary", 24.0) + 1.0
    spared = run(INFUSION, taking("rapamycin"), variant="mtor_elimination")
    assert at(spared, "spine_density", 168.0) > at(run(variant="mtor_elimination"), "spine_density", 168.0)
    assert at(spared, "madrs_momentary", 168.0) < at(run(), "madrs_momentary", 168.0)


def test_memantine_blocks_beside_ketamine_and_changes_no_kinetics() -> None:
    plain, taken = run(), run(INFUSION, taking("memantine"))
    check(plain, taken, same=KINETICS | EXPECTANCY | ACUTE, moved=BLOCK | FIRING)
    assert at(plain, "nmda_block", 0.0) == 0.0
    assert at(taken, "nmda_block", 0.0) > 0.1
    assert peak(taken, "nmda_block") > peak(plain, "nmda_block")
    # both compete for one site: what ketamine adds is less
    added = peak(taken, "nmda_block") - at(taken, "nmda_block", 300.0)
    assert added < peak(plain, "nmda_block")


def test_ampa_blockade_leaves_glutamate_and_takes_the_benefit() -> None:
    plain, taken = run(), run(INFUSION, taking("ampa_blocker"))
    check(plain, taken, same=UPSTREAM, moved=CORE)
    assert peak(taken, "ampa_drive") < peak(plain, "ampa_drive")
    assert at(taken, "madrs_momentary", 24.0) > at(plain, "madrs_momentary", 24.0) + 0.5


@pytest.mark.xfail(
    strict=True, reason="0.8 points: what an open dose is expected to do takes most of what can be gained"
)
@pytest.mark.parametrize("drug", ["ampa_blocker", "benzodiazepine"])
def test_a_medicine_takes_a_point_of_the_benefit(drug: str) -> None:
    plain, taken = run(), run(INFUSION, taking(drug))
    assert at(taken, "madrs_momentary", 24.0) > at(plain, "madrs_momentary", 24.0) + 1.0


def test_benzodiazepine_blunts_the_surge_and_the_benefit() -> None:
    plain, taken = run(), run(INFUSION, taking("benzodiazepine"))
    check(plain, taken, same=KINETICS | BLOCK | ACUTE | EXPECTANCY | INFLAMMATION, moved={"pyramidal_rate"} | CORE)
    assert at(plain, "glutamate", 0.0) < peak(taken, "glutamate") < peak(plain, "glutamate")
    assert at(taken, "madrs_momentary", 24.0) > at(plain, "madrs_momentary", 24.0) + 0.5


def test_an_antidepressant_and_care_relieve_over_weeks_and_touch_nothing_upstream() -> None:
    plain, begun, cared = run(SALINE), run(SALINE, taking("oral_antidepressant")), run(SALINE, taking("usual_care"))
    check(plain, begun, same=EVERYTHING - CARE - MIND - MOOD, moved=CARE | MIND | MOOD)
    falls = [at(plain, "madrs_momentary", h) - at(begun, "madrs_momentary", h) for h in (24.0, 168.0, 336.0)]
    assert 0.0 < falls[0] < 1.0
    assert falls[2] > 1.5 * falls[1] > 6.0 * falls[0]
    assert (
        at(begun, "madrs_momentary", 336.0) < at(cared, "madrs_momentary", 336.0) < at(plain, "madrs_momentary", 336.0)
    )
    both = run(SALINE, taking("oral_antidepressant", "usual_care"))
    assert not differing(both, begun)
    stopped = "co_medication: [{drug: oral_antidepressant, until: 168 h}]"
    assert at(run(SALINE, stopped), "care", 336.0) < at(begun, "care", 168.0)


def test_a_ward_hastens_care_and_adds_nothing_to_it() -> None:
    cared, ward = run(SALINE, taking("usual_care")), run(SALINE, taking("inpatient_care"))
    check(cared, ward, same=EVERYTHING - CARE - MIND - MOOD, moved=CARE | MIND | MOOD)
    assert at(ward, "care", 24.0) > 5.0 * at(cared, "care", 24.0)
    share = load_parameters()["mind.care_share"].value
    assert at(cared, "care", 336.0) < at(ward, "care", 336.0) < share
    assert at(ward, "care", 336.0) == pytest.approx(share, rel=0.05)
    left = run(SALINE, "co_medication: [{drug: inpatient_care, until: 168 h}]")
    assert at(left, "care", 336.0) < at(ward, "care", 168.0)
    # an antidepressant goes on from where the ward stops
    assert at(run(SALINE, taking("oral_antidepressant", "inpatient_care")), "care", 336.0) > at(ward, "care", 336.0)
    # named twice it is the same care
    assert not differing(run(SALINE, taking("usual_care", "inpatient_care")), ward)


def test_part_of_the_potentiation_waits_for_neither_translation_nor_bdnf() -> None:
    """What follows the signal itself is there within two hours; after two days both have brought about the same."""
    protocol = parse_protocol(f"schema_version: 1\nname: test\ntitle: test\nhorizon: 2 wk\ndoses: [{INFUSION}]")
    courses = {}
    for share in (0.0, 1.0):
        people = sample_people(None, 1, 0, spread=False)
        people.values["plasticity.potentiation_fast"] = np.full(1, share)
        courses[share] = simulate_people(protocol, people)
    slow, fast = ({h: at(courses[share], "potentiation", h) for h in (2.0, 48.0)} for share in (0.0, 1.0))
    assert fast[2.0] > 5.0 * slow[2.0]
    assert 0.8 < fast[48.0] / slow[48.0] < 1.0


def test_anaesthesia_masks_what_is_felt() -> None:
    """Credence cannot rise from feeling the drug: under the mask ketamine and saline are expected to help alike."""
    masked, blinded = "masking: anaesthesia", "masking: saline"
    np.testing.assert_allclose(
        run(INFUSION, masked)["expectancy"], run(SALINE, masked)["expectancy"], rtol=1e-10, atol=1e-12
    )
    assert peak(run(INFUSION, blinded), "expectancy") > peak(run(SALINE, blinded), "expectancy") + 0.01
    check(
        run(INFUSION, blinded),
        run(INFUSION, masked),
        same=EVERYTHING - EXPECTANCY - MIND - MOOD,
        moved=EXPECTANCY | MOOD,
    )
    # given as a medicine to a person who is blinded it is the same mask
    assert not differing(run(INFUSION, blinded, taking("anaesthesia")), run(INFUSION, masked))


@pytest.mark.xfail(strict=True, reason="0.017 at the priors: what is felt is over before it has convinced")
def test_feeling_the_drug_adds_two_hundredths_to_expectancy() -> None:
    blinded = "masking: saline"
    assert peak(run(INFUSION, blinded), "expectancy") > peak(run(SALINE, blinded), "expectancy") + 0.02


def test_who_knows_expects_more_than_who_guesses() -> None:
    order = [run(INFUSION), run(INFUSION, "masking: saline"), run(SALINE, "masking: saline")]
    heights = [peak(dataset, "expectancy") for dataset in order]
    assert heights == sorted(heights, reverse=True)
    assert heights[2] > 0.0


@pytest.mark.parametrize(
    ("drug", "dose", "factor"),
    [
        ("clarithromycin", ORAL, "pk.interaction.clarithromycin"),
        ("ticlopidine", ORAL, "pk.interaction.ticlopidine"),
        ("itraconazole", ORAL, "pk.interaction.itraconazole"),
        ("grapefruit_juice", ORAL, "pk.interaction.grapefruit_juice"),
        ("st_johns_wort", ORAL, "pk.interaction.st_johns_wort"),
        ("rifampicin", ORAL, "pk.interaction.rifampicin_oral"),
        ("rifampicin", INFUSION, "pk.interaction.rifampicin_iv"),
    ],
)
def test_drugs_of_the_liver_change_exposure_by_the_registrys_factor(drug: str, dose: str, factor: str) -> None:
    plain, taken = run(dose), run(dose, taking(drug))
    ratio = area(taken, "plasma_ketamine_venous") / area(plain, "plasma_ketamine_venous")
    assert ratio == pytest.approx(load_parameters()[factor].value, rel=0.03)


@pytest.mark.parametrize("drug", ["clarithromycin", "ticlopidine", "itraconazole", "grapefruit_juice", "st_johns_wort"])
def test_inhibitors_of_first_pass_leave_an_infusion_alone(drug: str) -> None:
    assert not differing(run(), run(INFUSION, taking(drug)))


def test_rifampicin_lowers_what_the_brain_sees() -> None:
    plain, taken = run(), run(INFUSION, taking("rifampicin"))
    for variable in ("plasma_ketamine_venous", "plasma_norketamine_venous", "nmda_block", "cadss"):
        assert area(taken, variable) < area(plain, variable), variable
    assert peak(taken, "bdnf") < peak(plain, "bdnf")


def test_an_anaesthetic_dose_takes_consciousness_and_lowers_firing() -> None:
    plain, deep = run(), run(BOLUS)
    assert peak(deep, "loss_of_consciousness") > 0.5 > 0.05 > peak(plain, "loss_of_consciousness")
    assert peak(deep, "nmda_block") > 0.5 > peak(plain, "nmda_block")
    assert lowest(deep, "pyramidal_rate") < min(lowest(plain, "pyramidal_rate"), 0.99)
    for variable in ("sedation", "systolic_pressure", "cadss"):
        assert peak(deep, variable) > peak(plain, variable), variable


@pytest.mark.xfail(
    strict=True,
    reason="2 %: the records that the cortex is calibrated on ask for a rise at 0.5 mg/kg and a fall here at once",
)
def test_an_anaesthetic_dose_takes_a_tenth_of_firing() -> None:
    plain, deep = run(), run(BOLUS)
    assert lowest(deep, "pyramidal_rate") < 0.9 * lowest(plain, "pyramidal_rate")


def test_a_run_says_which_variant_it_is() -> None:
    for variant in ("standard", "dmn_silent"):
        assert run(variant=variant).attrs["variant"] == variant
    assert json.loads(run().attrs["doses"])[0]["drug"] == "ketamine"
