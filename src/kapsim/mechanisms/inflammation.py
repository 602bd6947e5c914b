"""Inflammation: cytokines, microglia and kynurenine tone (clause S6).

A TNF-like drive with a slow brake, IL-6 after it, CRP as a read-out, microglial activation and the quinolinate to
kynurenate tone. People differ in a set-point, read from their CRP. What ketamine does to it is contested and off by
default: the switches `fast_tnf` (a fall within hours), `slow_down` (a fall over a course) and `il6_up` (a rise) are
there to be compared. CRP drives nothing: after endotoxin it peaks at 24 h, when symptoms are gone. Sickness follows the
logarithm of IL-6, which spans two orders of magnitude between rest and endotoxin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Mechanism, parameter
from kapsim.mechanisms.operators import Value, exp, log, positive_part
from kapsim.mechanisms.switches import Switches


class InflammationState(NamedTuple):
    """Healthy = 1 for all but the brake and the drug trace (0)."""

    tnf: Value
    il6: Value
    brake: Value
    crp: Value
    microglia: Value
    quinolinate: Value
    drug_trace: Value


@dataclass(frozen=True)
class Inflammation(Mechanism):
    """Cytokine cascade and its outputs to synapse and mood."""

    k_tnf: Value = parameter("inflammation.k_tnf", "1/h")
    k_il6: Value = parameter("inflammation.k_il6", "1/h")
    k_brake: Value = parameter("inflammation.k_brake", "1/h")
    k_crp: Value = parameter("inflammation.k_crp", "1/h")
    k_microglia: Value = parameter("inflammation.k_microglia", "1/h")
    k_quinolinate: Value = parameter("inflammation.k_quinolinate", "1/h")
    il6_gain: Value = parameter("inflammation.il6_gain", "1")
    il6_half: Value = parameter("inflammation.il6_half", "1")
    brake_gain: Value = parameter("inflammation.brake_gain", "1")
    corner: Value = parameter("inflammation.brake_corner", "1")
    crp_exponent: Value = parameter("inflammation.crp_exponent", "1")
    crp_healthy: Value = parameter("inflammation.crp_healthy", "mg/L")
    microglia_gain: Value = parameter("inflammation.microglia_gain", "1")
    quinolinate_gain: Value = parameter("inflammation.quinolinate_gain", "1")
    tone_quinolinate: Value = parameter("inflammation.tone_quinolinate", "1")
    tau_drug_trace: Value = parameter("inflammation.tau_drug_trace", "h")
    fast_tnf: Value = parameter("inflammation.fast_tnf", "1")
    slow_down: Value = parameter("inflammation.slow_down", "1")
    il6_up: Value = parameter("inflammation.il6_up", "1")

    def il6_target(self, tnf: Value) -> Value:
        """IL-6 in balance with `tnf`, 1 where that is 1."""
        at_health = 1.0 + self.il6_gain / (1.0 + self.il6_half)
        return tnf * (1.0 + self.il6_gain * tnf / (tnf + self.il6_half)) / at_health

    def brake_target(self, tnf: Value, il6: Value) -> Value:
        """Brake (IL-10, cortisol) in balance with both cytokines, 0 in health."""
        return self.brake_gain * (positive_part(tnf - 1.0, self.corner) + positive_part(il6 - 1.0, self.corner))

    def rest(self, crp: Value, microglia_offset: Value) -> InflammationState:
        """Rest of a person with `crp` mg/L and a microglial offset, solved back from CRP to the TNF set-point."""
        il6 = exp(log(crp / self.crp_healthy) / self.crp_exponent)
        scaled = il6 * (1.0 + self.il6_gain / (1.0 + self.il6_half))
        half, lead = self.il6_half - scaled, 1.0 + self.il6_gain
        root = exp(0.5 * log(half * half + 4.0 * lead * scaled * self.il6_half))
        tnf = (root - half) / (2.0 * lead)
        il6 = self.il6_target(tnf)
        microglia = 1.0 + microglia_offset + self.microglia_gain * (il6 - 1.0)
        return InflammationState(
            tnf=tnf,
            il6=il6,
            brake=self.brake_target(tnf, il6),
            crp=exp(self.crp_exponent * log(il6)),
            microglia=microglia,
            quinolinate=1.0 + self.quinolinate_gain * (microglia - 1.0),
            drug_trace=0.0 * tnf,
        )

    def rates(
        self, state: InflammationState, rest: InflammationState, block: Value, switches: Switches
    ) -> InflammationState:
        """Rates of change per hour; `block` stands for the drug where a switch lets it act."""
        fall = (1.0 - switches.fast_tnf * self.fast_tnf * block) * (
            1.0 - switches.slow_down * self.slow_down * state.drug_trace
        )
        source = rest.tnf * (1.0 + rest.brake) * fall / (1.0 + state.brake)
        rise = 1.0 + switches.il6_up * self.il6_up * block
        offset = rest.microglia - self.microglia_gain * (rest.il6 - 1.0)
        return InflammationState(
            tnf=self.k_tnf * (source - state.tnf),
            il6=self.k_il6 * (self.il6_target(state.tnf) * rise - state.il6),
            brake=self.k_brake * (self.brake_target(state.tnf, state.il6) - state.brake),
            crp=self.k_crp * (exp(self.crp_exponent * log(state.il6)) - state.crp),
            microglia=self.k_microglia * (offset + self.microglia_gain * (state.il6 - 1.0) - state.microglia),
            quinolinate=self.k_quinolinate
            * (1.0 + self.quinolinate_gain * (state.microglia - 1.0) - state.quinolinate),
            drug_trace=(block - state.drug_trace) / self.tau_drug_trace,
        )

    def tone(self, state: InflammationState) -> Value:
        """NMDA agonist tone, healthy = 1."""
        return 1.0 + self.tone_quinolinate * (state.quinolinate - 1.0)

    def sickness(self, state: InflammationState) -> Value:
        """Sickness drive on anhedonia and fatigue, healthy = 0."""
        return log(state.il6)

    def crp_level(self, state: InflammationState) -> Value:
        """CRP in mg/L."""
        return self.crp_healthy * state.crp
