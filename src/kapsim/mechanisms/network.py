"""Network: block → firing and the default mode network (clauses S3, S5), by one of two descriptions.

By default one cortical and one DMN node with assumed gains. Block of interneurons lifts pyramidal firing, block of
pyramidal cells lowers it: an inverted U over dose. The DMN's activity relative to the cortex rises with subgenual
efficacy and with lost synaptic strength; what block adds to it acutely has no agreed sign (`dmn_firing` may be
negative).

The variant `whole_brain` reads the cortex at full size from a response surface (`response_surface.py`) instead. There
block takes a small share of NMDA current, `f_E` of it among pyramidal cells and `f_I` of it onto interneurons: AMPA
carries the rest, and passing occupancy one for one would throw the cortex onto its high branch. Rates, DMN activity and
connectivity are then what that model gives, whatever their sign. Only a part of the cortex' recurrence takes part in a
change of strength (`strength_share`). Outside the surface's box its variables stop at the edge, and `beyond` says so.
It is no default because, with the cuts of published circuits, firing and glutamate hardly rise (docs/model.md).

In both, local inhibition drifts until firing is back at its set point, in hours; a slow change of synaptic strength is
balanced as it grows and moves no rate (were it not, strength → firing → glutamate → strength would be a loop without
a rest to return to). All outputs are 1 in a healthy person at rest. Contested: where NMDA loss acts (Cavanagh 2020
fits pyramidal cells), and every DMN sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Mark, Mechanism, Setting, parameter, unmarked
from kapsim.mechanisms.operators import Value, exp, log
from kapsim.mechanisms.receptor import Block
from kapsim.mechanisms.response_surface import Cortex, shipped_surface
from kapsim.mechanisms.switches import Switches


class NetworkState(NamedTuple):
    """Local inhibition, 1 where it holds the mean rate at its set point without drug."""

    inhibition: Value


class Activity(NamedTuple):
    """Firing and default-mode measures, healthy at rest = 1, and how far the response surface was left."""

    interneuron: Value
    pyramidal: Value
    dmn: Value
    dmn_connectivity: Value
    sgacc_dmn: Value
    beyond: Value  # 0 inside its box, else the distance in widths of its edges


class Logarithms(NamedTuple):
    """Logarithms of the read-outs, by one of the two descriptions."""

    interneuron: Value
    pyramidal: Value
    dmn: Value
    dmn_connectivity: Value
    sgacc_dmn: Value


@dataclass(frozen=True)
class Network(Mechanism):
    """Cortex and default mode network."""

    f_e: Value = parameter("network.block.f_e", "1")
    f_i: Value = parameter("network.block.f_i", "1")
    strength_share: Value = parameter("network.strength_share", "1")
    tau_inhibition: Value = parameter("network.tau_inhibition", "h")
    benzodiazepine: Value = parameter("network.benzodiazepine", "1")
    disinhibition: Value = parameter("network.disinhibition", "1")
    pyramidal_loss: Value = parameter("network.pyramidal_loss", "1")
    interneuron_loss: Value = parameter("network.interneuron_loss", "1")
    dmn_subgenual: Value = parameter("network.dmn_subgenual", "1")
    dmn_strength: Value = parameter("network.dmn_strength", "1")
    dmn_firing: Value = parameter("network.dmn_firing", "1")
    connectivity_strength: Value = parameter("network.connectivity_strength", "1")
    connectivity_firing: Value = parameter("network.connectivity_firing", "1")
    sgacc_strength: Value = parameter("network.sgacc_strength", "1")

    def rest(self, template: Value) -> NetworkState:
        """Inhibition at which firing is at its set-point, shaped like `template`."""
        return NetworkState(inhibition=1.0 + 0.0 * template)

    def cortex(self, state: NetworkState, block: Block, strength: Value, subgenual: Value, setting: Setting) -> Cortex:
        """What acts on the cortex at full size: shares of NMDA current cut, and factors on inhibition and recurrence.

        `strength` and `subgenual` are the person's synaptic strength and excitatory efficacy at the subgenual node,
        healthy = 1.
        """
        spared = 1.0 - self.benzodiazepine * setting.benzodiazepine
        return Cortex(
            pyramidal_cut=self.f_e * block.pyramidal,
            interneuron_cut=self.f_i * spared * block.interneuron,
            inhibition=log(state.inhibition),
            strength=1.0 + self.strength_share * (strength - 1.0),
            subgenual=subgenual,
        )

    def rates(
        self,
        state: NetworkState,
        block: Block,
        subgenual: Value,
        setting: Setting,
        switches: Switches,
        mark: Mark = unmarked,
    ) -> NetworkState:
        """Homeostatic drift of inhibition until the pyramidal rate is back at its set point, per hour."""
        reduced = self.excitation(block, setting) - state.inhibition
        if _plainly_off(switches):
            return NetworkState(inhibition=reduced / self.tau_inhibition)
        surface = shipped_surface()
        cortex = self.cortex(state, block, 1.0, subgenual, setting)
        variables = mark("balance_at", surface.variables(cortex))
        surplus = surface.logarithm("pyramidal", mark("balance_inside", surface.bounded(variables)))
        # inhibition at which the surplus is gone, were it to go on falling as it does at rest
        whole = state.inhibition * surplus / surface.feedback
        drift = reduced + switches.whole_brain * (whole - reduced)
        return NetworkState(inhibition=drift / self.tau_inhibition)

    def activity(
        self,
        state: NetworkState,
        block: Block,
        strength: Value,
        subgenual: Value,
        setting: Setting,
        switches: Switches,
        mark: Mark = unmarked,
    ) -> Activity:
        """Read-outs; `subgenual` is the person's excitatory efficacy at the subgenual node, healthy = 1."""
        reduced = self.reduced(state, block, strength, subgenual, setting)
        if _plainly_off(switches):
            return Activity(**{name: exp(value) for name, value in reduced._asdict().items()}, beyond=0.0 * strength)
        surface = shipped_surface()
        variables = mark("surface_at", surface.variables(self.cortex(state, block, strength, subgenual, setting)))
        inside = mark("surface_inside", surface.bounded(variables))
        whole = Logarithms(*(surface.logarithm(name, inside) for name in Logarithms._fields))
        mixed = Logarithms(*(a + switches.whole_brain * (b - a) for a, b in zip(reduced, whole, strict=True)))
        beyond = switches.whole_brain * surface.beyond(variables)
        return Activity(**{name: exp(value) for name, value in mixed._asdict().items()}, beyond=beyond)

    # --- the pair of nodes ----------------------------------------------------------------------------------------

    def excitation(self, block: Block, setting: Setting) -> Value:
        """Excitatory drive of the cortical node before local inhibition answers; 1 without drug."""
        freed = self.disinhibition * (1.0 - self.benzodiazepine * setting.benzodiazepine) * block.interneuron
        kept = exp(self.pyramidal_loss * log(1.0 - block.pyramidal))
        return (1.0 + freed) * kept

    def reduced(
        self, state: NetworkState, block: Block, strength: Value, subgenual: Value, setting: Setting
    ) -> Logarithms:
        """Logarithms of the read-outs of the pair of nodes.

        Gains act on the logarithm: to first order the same as a sum, and never below zero. What block adds to the DMN
        acutely has no agreed sign (`dmn_firing` may be negative).
        """
        pyramidal = self.excitation(block, setting) / state.inhibition
        surplus, lost = pyramidal - 1.0, 1.0 - strength
        return Logarithms(
            interneuron=-self.interneuron_loss * block.interneuron,
            pyramidal=log(pyramidal),
            dmn=self.dmn_subgenual * (subgenual - 1.0) + self.dmn_strength * lost + self.dmn_firing * surplus,
            dmn_connectivity=self.connectivity_strength * lost + self.connectivity_firing * surplus,
            sgacc_dmn=log(subgenual) + self.sgacc_strength * lost,
        )


def _plainly_off(switches: Switches) -> bool:
    """Whether the surface is switched off by a plain number: then its costly polynomials are not needed."""
    return isinstance(switches.whole_brain, float) and switches.whole_brain == 0.0
