"""Receptor: drug at the pore → share of NMDA channels blocked (clause S2).

Ketamine enters the open channel and is trapped when it closes. Binding takes seconds and the drug minutes, so block
follows concentration at once. The scale is the unbound plasma concentration that halves MK-801 binding in the living
rat (Shaffer 2014), split over enantiomers by their affinities in homogenate (Ebert 1997). Two populations:
interneurons fire more and are less blocked by magnesium, so they see `rho` times the drive. What is contested: the S:R
ratio (4.7, or 1.2 under the switch `equal_affinity`; the racemate's block is the same under both), `rho` (assumed), and
how occupancy scales to current.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Drugs, Mechanism, Setting, parameter
from kapsim.mechanisms.operators import Value, hill
from kapsim.mechanisms.switches import Switches


class Block(NamedTuple):
    """Share of NMDA receptors blocked, 0 to 1."""

    pyramidal: Value
    interneuron: Value


@dataclass(frozen=True)
class Receptor(Mechanism):
    """Competing ligands at one site of the channel."""

    ic50_s_ketamine: Value = parameter("receptor.ic50.s_ketamine", "nM")
    ic50_r_ketamine: Value = parameter("receptor.ic50.r_ketamine", "nM")
    ic50_s_norketamine: Value = parameter("receptor.ic50.s_norketamine", "nM")
    ic50_r_norketamine: Value = parameter("receptor.ic50.r_norketamine", "nM")
    equal_s: Value = parameter("receptor.equal_affinity.s", "1")
    equal_r: Value = parameter("receptor.equal_affinity.r", "1")
    unbound: Value = parameter("receptor.unbound_fraction", "1")
    slope: Value = parameter("receptor.hill", "1")
    rho: Value = parameter("receptor.interneuron_drive", "1")
    memantine: Value = parameter("receptor.memantine_drive", "1")

    def drive(self, drugs: Drugs, setting: Setting, switches: Switches) -> Value:
        """Pore drive, the sum of unbound concentrations over their half-block values (1)."""
        to_nanomolar = 1000.0 * self.unbound
        ic50_s = self.ic50_s_ketamine * (1.0 + switches.equal_affinity * (self.equal_s - 1.0))
        ic50_r = self.ic50_r_ketamine * (1.0 + switches.equal_affinity * (self.equal_r - 1.0))
        return (
            to_nanomolar
            * (
                drugs.s_ketamine / ic50_s
                + drugs.r_ketamine / ic50_r
                + drugs.s_norketamine / self.ic50_s_norketamine
                + drugs.r_norketamine / self.ic50_r_norketamine
            )
            + self.memantine * setting.memantine
        )

    def shares(self, drive: Value) -> Block:
        """Share blocked in both populations at a pore `drive`, 0 to 1."""
        return Block(pyramidal=hill(drive, self.slope), interneuron=hill(self.rho * drive, self.slope))

    def block(self, drugs: Drugs, setting: Setting, switches: Switches) -> Block:
        """Share blocked in pyramidal cells and interneurons, 0 to 1."""
        return self.shares(self.drive(drugs, setting, switches))
