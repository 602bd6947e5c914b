"""Acute effects: what is felt and measured within hours of a dose (clause S1).

Dissociation (CADSS) and sedation are sigmoid in the effect-site concentration of S-ketamine with R-ketamine at a
quarter of its potency (Oye 1992); pressure, heart rate and cardiac output rise with S-ketamine towards a limit and are
opposed by S-norketamine (Kamp 2021). Dissociation wears off over repeated doses: its half-effect concentration rises
with a slow memory of past dissociation. It feeds expectancy, because a person who feels the drug knows it, and nothing
else: dissociation is not shown to cause the benefit. Drowsiness on midazolam is taken for ketamine in part only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Drugs, Mechanism, parameter
from kapsim.mechanisms.operators import Value, hill


class AcuteState(NamedTuple):
    """Memory of past dissociation, 0 to 1."""

    tolerance: Value


class AcuteEffects(NamedTuple):
    """What a monitor or a rating would show at one moment."""

    cadss: Value  # points
    sedation: Value  # share of the most, 1
    loss_of_consciousness: Value  # probability, 1
    nausea: Value  # probability, 1
    systolic_pressure: Value  # change, mm[Hg]
    diastolic_pressure: Value  # change, mm[Hg]
    mean_arterial_pressure: Value  # change, mm[Hg]
    heart_rate: Value  # change, /min
    cardiac_output: Value  # change, %


@dataclass(frozen=True)
class Acute(Mechanism):
    """Effect-site concentration to acute effects."""

    weight_ketamine: Value = parameter("pk.molar_mass.ketamine", "g/mol")
    weight_norketamine: Value = parameter("pk.molar_mass.norketamine", "g/mol")
    c50_dissociation: Value = parameter("acute.dissociation.c50", "ng/mL")
    slope_dissociation: Value = parameter("acute.dissociation.slope", "1")
    r_potency: Value = parameter("acute.r_potency", "1")
    cadss_maximum: Value = parameter("acute.cadss.maximum", "points")
    tolerance_gain: Value = parameter("acute.tolerance.gain", "1")
    tau_tolerance: Value = parameter("acute.tolerance.tau", "h")
    c50_sedation_s: Value = parameter("acute.sedation.c50_s", "ng/mL")
    c50_sedation_r: Value = parameter("acute.sedation.c50_r", "ng/mL")
    slope_sedation: Value = parameter("acute.sedation.slope", "1")
    midazolam_c50: Value = parameter("acute.midazolam.c50", "1")
    midazolam_convincing: Value = parameter("acute.midazolam.convincing", "1")
    unconscious_drive: Value = parameter("acute.unconscious.drive", "1")
    slope_unconscious: Value = parameter("acute.unconscious.slope", "1")
    nausea_c50: Value = parameter("acute.nausea.c50", "ng/mL")
    pressor: Value = parameter("acute.pressor.systolic", "mm[Hg].mL/ng")
    diastolic: Value = parameter("acute.pressor.diastolic", "1")
    cardiac: Value = parameter("acute.pressor.heart_rate", "mL/(min.ng)")
    output: Value = parameter("acute.pressor.cardiac_output", "%.mL/ng")
    opposition: Value = parameter("acute.pressor.norketamine", "1")
    pressor_limit: Value = parameter("acute.pressor.limit", "ng/mL")

    def rest(self, template: Value) -> AcuteState:
        """No memory of past dissociation."""
        return AcuteState(tolerance=0.0 * template)

    def dissociation(self, state: AcuteState, drugs: Drugs) -> Value:
        """Share of the most dissociation, 0 to 1."""
        level = self.weight_ketamine * (drugs.s_ketamine + self.r_potency * drugs.r_ketamine)
        return hill(
            level / (self.c50_dissociation * (1.0 + self.tolerance_gain * state.tolerance)), self.slope_dissociation
        )

    def rates(self, state: AcuteState, drugs: Drugs) -> AcuteState:
        """Tolerance follows dissociation slowly, per hour."""
        return AcuteState(tolerance=(self.dissociation(state, drugs) - state.tolerance) / self.tau_tolerance)

    def _sedation_drive(self, drugs: Drugs) -> Value:
        ketamine = drugs.s_ketamine / self.c50_sedation_s + drugs.r_ketamine / self.c50_sedation_r
        return self.weight_ketamine * ketamine

    def felt(self, state: AcuteState, drugs: Drugs) -> Value:
        """How far what is felt speaks for ketamine, 0 to 1: dissociation, and part of what midazolam does."""
        dissociated, drowsy = self.dissociation(state, drugs), hill(drugs.midazolam / self.midazolam_c50)
        taken = self.midazolam_convincing * drowsy
        return dissociated + taken - dissociated * taken

    def effects(self, state: AcuteState, drugs: Drugs) -> AcuteEffects:
        """Read-outs, all 0 without drug."""
        drive = self._sedation_drive(drugs)
        drowsy = hill(drugs.midazolam / self.midazolam_c50)
        sedation = hill(drive, self.slope_sedation)
        s_level = self.weight_ketamine * drugs.s_ketamine
        raised = s_level / (1.0 + s_level / self.pressor_limit)
        net = raised / (1.0 + self.opposition * self.weight_norketamine * drugs.s_norketamine / self.pressor_limit)
        systolic = self.pressor * net
        diastolic = self.diastolic * systolic
        return AcuteEffects(
            cadss=self.cadss_maximum * self.dissociation(state, drugs),
            sedation=sedation + drowsy - sedation * drowsy,
            loss_of_consciousness=hill(drive / self.unconscious_drive, self.slope_unconscious),
            nausea=hill(self.weight_ketamine * (drugs.s_ketamine + drugs.r_ketamine) / self.nausea_c50),
            systolic_pressure=systolic,
            diastolic_pressure=diastolic,
            # the clinical convention: the heart spends two thirds of its time in diastole
            mean_arterial_pressure=(systolic + 2.0 * diastolic) / 3.0,
            heart_rate=self.cardiac * net,
            cardiac_output=self.output * net,
        )
