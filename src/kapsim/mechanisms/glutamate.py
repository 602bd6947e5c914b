"""Glutamate: pyramidal firing → extracellular glutamate (clause S3).

Release follows pyramidal firing; uptake clears it in minutes and is slower where microglia are active. Because firing
is an inverted U over block, so is glutamate: rats show a rise at 10 to 30 mg/kg and a fall at 200 (Moghaddam 1997). In
people 13C cycling rises by 13 %, spectroscopy finds a rise or none: spectroscopy (MRS) is a read-out of its own, a
dilute image of extracellular glutamate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Mechanism, parameter
from kapsim.mechanisms.operators import Value, exp


class GlutamateState(NamedTuple):
    """Extracellular glutamate, healthy = 1."""

    level: Value


@dataclass(frozen=True)
class Glutamate(Mechanism):
    """Release, uptake and the spectroscopy signal."""

    tau: Value = parameter("glutamate.tau", "h")
    uptake_loss: Value = parameter("glutamate.uptake_loss", "1")
    mrs_gain: Value = parameter("glutamate.mrs_gain", "1")
    mrs_strength: Value = parameter("glutamate.mrs_strength", "1")

    def uptake(self, microglia: Value) -> Value:
        """Uptake relative to health, falling with microglial activation (healthy = 1)."""
        return 1.0 / (1.0 + self.uptake_loss * (microglia - 1.0))

    def rest(self, microglia: Value) -> GlutamateState:
        """Level at which release at resting firing and uptake balance."""
        return GlutamateState(level=1.0 / self.uptake(microglia))

    def rates(self, state: GlutamateState, pyramidal: Value, microglia: Value) -> GlutamateState:
        """Approach to release over uptake, per hour."""
        return GlutamateState(level=(pyramidal / self.uptake(microglia) - state.level) / self.tau)

    def glx_mrs(self, state: GlutamateState, rest: GlutamateState, strength: Value) -> Value:
        """Glutamate plus glutamine by spectroscopy, healthy = 1: lower with lost synapses, moved little by release."""
        return exp(self.mrs_gain * (state.level - rest.level) - self.mrs_strength * (1.0 - strength))
