"""Network: block → firing and the default mode network, as one cortical node and one DMN node (clauses S3, S5).

The reduced stand-in for the whole-brain response surface, behind the same interface. Block of interneurons lifts
pyramidal firing, block of pyramidal cells lowers it: an inverted U over dose. Local inhibition drifts until firing is
back at its set-point, in hours; a slow change of synaptic strength is balanced as it grows and moves no rate (were it
not, strength → firing → glutamate → strength would be a loop without a rest to return to). The DMN's activity relative
to the cortex rises with subgenual efficacy and with lost synaptic strength; what block adds to it acutely has no agreed
sign (`dmn_firing` may be negative). All outputs are 1 in a healthy person at rest. Contested: where NMDA loss acts
(Cavanagh 2020 fits pyramidal cells), and every DMN sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Mechanism, Setting, parameter
from kapsim.mechanisms.operators import Value, exp, log
from kapsim.mechanisms.receptor import Block


class NetworkState(NamedTuple):
    """Local inhibition, healthy = 1."""

    inhibition: Value


class Activity(NamedTuple):
    """Firing and default-mode measures, healthy at rest = 1."""

    interneuron: Value
    pyramidal: Value
    dmn: Value
    dmn_connectivity: Value
    sgacc_dmn: Value


@dataclass(frozen=True)
class Network(Mechanism):
    """Cortex and default mode network as a pair of nodes."""

    disinhibition: Value = parameter("network.disinhibition", "1")
    pyramidal_loss: Value = parameter("network.pyramidal_loss", "1")
    interneuron_loss: Value = parameter("network.interneuron_loss", "1")
    tau_inhibition: Value = parameter("network.tau_inhibition", "h")
    benzodiazepine: Value = parameter("network.benzodiazepine", "1")
    dmn_subgenual: Value = parameter("network.dmn_subgenual", "1")
    dmn_strength: Value = parameter("network.dmn_strength", "1")
    dmn_firing: Value = parameter("network.dmn_firing", "1")
    connectivity_strength: Value = parameter("network.connectivity_strength", "1")
    connectivity_firing: Value = parameter("network.connectivity_firing", "1")
    sgacc_strength: Value = parameter("network.sgacc_strength", "1")

    def rest(self, template: Value) -> NetworkState:
        """Inhibition at which firing is at its set-point, shaped like `template`."""
        return NetworkState(inhibition=1.0 + 0.0 * template)

    def excitation(self, block: Block, setting: Setting) -> Value:
        """Excitatory drive before local inhibition answers; 1 without drug."""
        freed = self.disinhibition * (1.0 - self.benzodiazepine * setting.benzodiazepine) * block.interneuron
        kept = exp(self.pyramidal_loss * log(1.0 - block.pyramidal))
        return (1.0 + freed) * kept

    def rates(self, state: NetworkState, block: Block, setting: Setting) -> NetworkState:
        """Homeostatic drift of inhibition towards the excitation that it has to balance, per hour."""
        return NetworkState(inhibition=(self.excitation(block, setting) - state.inhibition) / self.tau_inhibition)

    def activity(
        self, state: NetworkState, block: Block, strength: Value, subgenual: Value, setting: Setting
    ) -> Activity:
        """Read-outs; `subgenual` is the person's excitatory efficacy at the subgenual node, healthy = 1.

        Gains act on the logarithm: to first order the same as a sum, and never below zero.
        """
        pyramidal = self.excitation(block, setting) / state.inhibition
        surplus, lost = pyramidal - 1.0, 1.0 - strength
        activity = self.dmn_subgenual * (subgenual - 1.0) + self.dmn_strength * lost + self.dmn_firing * surplus
        return Activity(
            interneuron=exp(-self.interneuron_loss * block.interneuron),
            pyramidal=pyramidal,
            dmn=exp(activity),
            dmn_connectivity=exp(self.connectivity_strength * lost + self.connectivity_firing * surplus),
            sgacc_dmn=subgenual * exp(self.sgacc_strength * lost),
        )
