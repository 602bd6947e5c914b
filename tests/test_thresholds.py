"""From concentration to block, dissociation and loss of consciousness, with bounds that the evidence sets.

Levels are held by a pump in the typical healthy person, so that the effect site has the concentration of the record.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from kapsim.evidence import load_evidence, load_observed, load_parameters
from kapsim.evidence.schema import EvidenceParameter
from kapsim.mechanisms.base import REST
from kapsim.mechanisms.receptor import Receptor
from kapsim.mechanisms.switches import VARIANTS
from kapsim.model import NO_DRUG
from kapsim.patient import parse_patient
from kapsim.protocol import parse_protocol
from kapsim.simulation import simulate

EVIDENCE, PARAMETERS = load_evidence(), load_parameters()
MASS = PARAMETERS["pk.molar_mass.ketamine"].value  # ng/nmol, which is also ng/mL for 1 uM
BOTH = pytest.mark.parametrize("variant", ["standard", "equal_affinity"])


def interval(identifier: str) -> tuple[float, float]:
    """Return the interval that a record gives beside its value, in the record's unit."""
    spread = record(identifier).spread
    assert spread is not None
    low, high = spread.value  # type: ignore[misc]
    return float(low), float(high)


def record(identifier: str) -> EvidenceParameter:
    return EVIDENCE[identifier]


def seen_at_antidepressant_doses() -> tuple[float, float]:
    """Venous ketamine at the end of 0.5 mg/kg over 40 min: the interval of the record that gives one, ng/mL."""
    (point,) = next(item for item in load_observed() if item.id == "krystal1994.pk.range").points
    assert point.range is not None
    return point.range


@functools.cache
def held(drug: str, level: float, variant: str = "standard") -> dict[str, float]:
    """Read-outs after an hour at a plasma level (ng/mL) held by a pump."""
    plan = parse_protocol(
        "schema_version: 1\nname: x\ntitle: x\nhorizon: 1 d\nratings: [1 h]\ndoses:\n"
        f"- {{drug: {drug}, route: iv, amount: {level} ng/mL, duration: 1 h, at: 0 h}}\n"
    )
    who = parse_patient("schema_version: 1\ndiagnosis: healthy")
    run = simulate(plan, who, variant=variant, draws=1, spread=False)
    at = int(np.argmin(np.abs(run["time"].values - 1.0)))
    found = {str(name): float(run[name].values[0, at]) for name in run.data_vars}
    assert found["plasma_ketamine_arterial"] == pytest.approx(level, rel=1e-6)
    return found


def block_of(level: float, half: float, bound: float) -> float:
    """Share blocked by racemate of `level` ng/mL with a half-block value in nM and a bound share, by hand."""
    drive = level / MASS * 1000.0 * (1.0 - bound) / half
    return drive / (1.0 + drive)


# --- block ----------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("level", [50.0, 185.0, 600.0, 2000.0])
def test_the_racemate_blocks_by_the_measured_value_whatever_the_ratio(variant: str, level: float) -> None:
    receptor = Receptor.build({name: item.value for name, item in PARAMETERS.items()})
    half = level / MASS / 2.0
    drugs = NO_DRUG._replace(s_ketamine=half, r_ketamine=half)
    wanted = block_of(level, record("nmda.occ50.ketamine.unbound_plasma").value, record("pk.binding.esketamine").value)
    assert receptor.block(drugs, REST, VARIANTS[variant]).pyramidal == pytest.approx(wanted, rel=1e-3)


@BOTH
def test_block_at_an_antidepressant_dose_is_partial(variant: str) -> None:
    """Between what the lowest level with the weakest affinity and the highest with the strongest would give."""
    weakest, strongest = interval("nmda.occ50.ketamine.unbound_plasma")[::-1]
    low, high = seen_at_antidepressant_doses()
    least, most = interval("pk.binding.esketamine")
    run = simulate("single_infusion", variant=variant, draws=1, spread=False)
    found = float(run["nmda_block"].max())
    assert block_of(low, weakest, most) < found < block_of(high, strongest, least)
    # and the bounds that the model set itself before it was built
    assert 0.10 < found < 0.30


@BOTH
def test_half_of_the_receptors_are_blocked_at_anaesthetic_levels_only(variant: str) -> None:
    least, most = (level * MASS for level in interval("anaesthesia.conc.racemate"))
    assert held("ketamine", seen_at_antidepressant_doses()[1], variant)["nmda_block"] < 0.5
    assert held("ketamine", round(least, 6), variant)["nmda_block"] >= 0.5
    assert held("ketamine", round(most, 6), variant)["nmda_block"] >= 0.5
    # the half-block level lies between the two, by the record alone
    half = record("nmda.occ50.ketamine.unbound_plasma").value / 1000.0 * MASS
    assert seen_at_antidepressant_doses()[1] < half / (1.0 - record("pk.binding.esketamine").value) < least


# --- what is felt ---------------------------------------------------------------------------------------------------


def test_s_ketamine_is_felt_at_the_level_where_effects_are_consistent() -> None:
    """At the threshold, the share of the most is what ratings linear in concentration would put there.

    They were linear from 50 to 200 ng/mL of racemate and reached 37 to 89 % of the scale at the top; S-ketamine counts
    fourfold, so that racemate is worth five eighths of its S-ketamine in weight.
    """
    threshold = record("pk.brain.hartvig1995.plasma_threshold").value
    potency = record("nmda.potency_ratio.s_over_r.human_binding").value
    top = interval("psychedelic.conc_linear_range")[1] * (1.0 + 1.0 / potency) / 2.0
    low, high = (share / 100.0 * threshold / top for share in interval("psychedelic.max_effect_fraction"))
    share = held("esketamine", threshold)["cadss"] / PARAMETERS["acute.cadss.maximum"].value
    assert low <= share <= high
    # and the threshold is where another group put half of the drug high
    half = record("drug_high.c50.s_ketamine")
    assert half.value * MASS == pytest.approx(threshold, rel=0.05)


def test_ratings_at_the_top_of_the_linear_range_are_those_that_were_given() -> None:
    low, high = interval("psychedelic.conc_linear_range")
    most = PARAMETERS["acute.cadss.maximum"].value
    least_share, most_share = (share / 100.0 for share in interval("psychedelic.max_effect_fraction"))
    assert least_share <= held("ketamine", high)["cadss"] / most <= most_share
    assert held("ketamine", low)["cadss"] / most < least_share


def test_dissociation_is_there_long_before_consciousness_goes() -> None:
    threshold = held("esketamine", record("pk.brain.hartvig1995.plasma_threshold").value)
    assert threshold["loss_of_consciousness"] < 1e-3
    assert threshold["cadss"] > 0.2 * PARAMETERS["acute.cadss.maximum"].value


# --- consciousness --------------------------------------------------------------------------------------------------


def test_consciousness_goes_at_anaesthetic_levels_only() -> None:
    """Volunteers were awake at the top of the ramp to 320 ng/mL and at 250 of racemate, asleep at the levels named."""
    ramp = next(item for item in load_observed() if item.outcome.observable == "acute.cardiac_output")
    awake = max(dose.amount for dose in ramp.regimen.doses)
    assert held("esketamine", awake)["loss_of_consciousness"] < 0.5
    assert held("ketamine", seen_at_antidepressant_doses()[1])["loss_of_consciousness"] < 0.5
    assert held("esketamine", record("anaesthesia.conc.s_ketamine").value)["loss_of_consciousness"] > 0.5
    for level in interval("anaesthesia.conc.racemate"):
        assert held("ketamine", round(level * MASS, 6))["loss_of_consciousness"] > 0.5


def test_s_ketamine_takes_consciousness_at_a_lower_level_than_racemate() -> None:
    """By the published potency: the racemate at half of the S-ketamine it holds is weaker."""
    potency = record("anaesthesia.potency_ratio.s_over_r").value
    level = record("anaesthesia.eeg_ic50.s").value * 1000.0
    assert potency > 1.0
    assert held("esketamine", level)["sedation"] > held("ketamine", level)["sedation"]
    assert held("esketamine", level)["loss_of_consciousness"] > held("ketamine", level)["loss_of_consciousness"]
