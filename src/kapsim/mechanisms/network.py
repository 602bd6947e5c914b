"""Network: block → firing and the default mode network (clauses S3, S5), by one of two descriptions.

By default the cortex at full size, read from a response surface (`response_surface.py`). Block takes a small share of
NMDA current, `f_E` of it among pyramidal cells and `f_I` of it onto interneurons: AMPA carries the rest, and passing
occupancy one for one would throw the cortex onto its high branch. Rates, DMN activity and connectivity are then what
that model gives, whatever their sign. Only a part of the cortex' recurrence takes part in a change of strength
(`strength_share`). The three, and the drive of interneurons, are calibrated on records of mechanism, of whose rises of
firing they reach a third: the surface ends before the cortex leaves its low branch (docs/model.md). Outside its box
its variables stop at the edge, and `beyond` says so.

The variant `node_pair` has one cortical and one DMN node with assumed gains instead. Block of interneurons lifts
pyramidal firing, block of pyramidal cells lowers it: an inverted U over dose. The DMN's activity relative to the cortex
rises with subgenual efficacy and with lost synaptic strength; what block adds to it acutely has no agreed sign
(`dmn_firing` may be negative).

In both, local inhibition drifts until firing is back at its set point, in hours; a slow change of synaptic strength is
balanced as it grows and moves no rate (were it not, strength → firing → glutamate → strength would be a loop without
a rest to return to). All outputs are 1 in a healthy person at rest. Contested: where NMDA loss acts (Cavanagh 2020
fits pyramidal cells), and every DMN sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Mark, Mechanism, Setting, parameter, unmarked
from kapsim.mechanisms.operators import Value, exp, log
from kapsim.mechanisms.receptor import Block
from kapsim.mechanisms.response_surface import Cortex, Variables, shipped_surface
from kapsim.mechanisms.switches import Switches


class NetworkState(NamedTuple):
    """Local inhibition, 1 where it holds the mean rate at its set point without drug."""

    inhibition: Value


class Place(NamedTuple):
    """Where the cortex stands on the response surface."""

    variables: Variables
    inside: Variables  # as the polynomials see them
    pyramidal: Value  # logarithm of the pyramidal rate


class Activity(NamedTuple):
    """What other links go by, healthy at rest = 1."""

    pyramidal: Value
    dmn: Value


class Imaging(NamedTuple):
    """What is only looked at, healthy at rest = 1, and how far the response surface was left."""

    interneuron: Value
    dmn_connectivity: Value
    sgacc_dmn: Value
    beyond: Value  # 0 inside its box, else the distance in widths of its edges


class Logarithms(NamedTuple):
    """Logarithms of all read-outs of the pair of nodes."""

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

    def place(
        self,
        state: NetworkState,
        block: Block,
        strength: Value,
        subgenual: Value,
        setting: Setting,
        switches: Switches,
        mark: Mark = unmarked,
    ) -> Place | None:
        """Return where the cortex stands on the response surface; None where a plain number switches that off.

        `strength` and `subgenual` as for `cortex`.
        """
        if _plainly(switches, 0.0):
            return None
        surface = shipped_surface()
        variables = mark("surface_at", surface.variables(self.cortex(state, block, strength, subgenual, setting)))
        past = mark("surface_past", surface.past(variables))
        inside = mark("surface_inside", surface.bounded(variables, past))
        return Place(variables, inside, mark("surface_pyramidal", surface.logarithm("pyramidal", inside)))

    def rates(
        self, state: NetworkState, block: Block, setting: Setting, switches: Switches, place: Place | None
    ) -> NetworkState:
        """Homeostatic drift of inhibition until the pyramidal rate is back at its set point, per hour.

        `place` is from the method of that name; the rate there knows no strength.
        """
        reduced = 0.0 if _plainly(switches, 1.0) else self.excitation(block, setting) - state.inhibition
        if place is None:
            return NetworkState(inhibition=reduced / self.tau_inhibition)
        # inhibition at which the surplus is gone, were it to go on falling as it does at rest
        whole = state.inhibition * place.pyramidal / shipped_surface().feedback
        return NetworkState(inhibition=_mixed(reduced, whole, switches) / self.tau_inhibition)

    def activity(
        self,
        state: NetworkState,
        block: Block,
        strength: Value,
        subgenual: Value,
        setting: Setting,
        switches: Switches,
        place: Place | None,
    ) -> Activity:
        """Return pyramidal rate and default-mode activity; `place` is from the method of that name."""
        reduced = None
        if not _plainly(switches, 1.0):
            logarithms = self.reduced(state, block, strength, subgenual, setting)
            reduced = Activity(logarithms.pyramidal, logarithms.dmn)
        whole = None if place is None else Activity(place.pyramidal, shipped_surface().logarithm("dmn", place.inside))
        return Activity(*map(exp, _joined(reduced, whole, switches)))

    def imaging(
        self,
        state: NetworkState,
        block: Block,
        strength: Value,
        subgenual: Value,
        setting: Setting,
        switches: Switches,
        place: Place | None,
    ) -> Imaging:
        """Return what nothing else depends on; arguments as for `activity`."""
        surface, names = shipped_surface(), ("interneuron", "dmn_connectivity", "sgacc_dmn")
        reduced = whole = None
        if not _plainly(switches, 1.0):
            logarithms = self.reduced(state, block, strength, subgenual, setting)
            reduced = tuple(getattr(logarithms, name) for name in names)
        beyond = 0.0 * strength
        if place is not None:
            whole = tuple(surface.logarithm(name, place.inside) for name in names)
            beyond = _mixed(0.0, surface.beyond(place.variables), switches)
        interneuron, dmn, sgacc = map(exp, _joined(reduced, whole, switches))
        return Imaging(interneuron, dmn, sgacc, beyond)

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


def _plainly(switches: Switches, value: float) -> bool:
    """Whether the surface's switch is plainly a number: what it switches off is then not needed."""
    return isinstance(switches.whole_brain, float) and switches.whole_brain == value


def _mixed(reduced: Value, whole: Value, switches: Switches) -> Value:
    """Return a quantity between the two descriptions, as far as the switch says."""
    return whole if _plainly(switches, 1.0) else reduced + switches.whole_brain * (whole - reduced)


def _joined(reduced: Sequence[Value] | None, whole: Sequence[Value] | None, switches: Switches) -> Sequence[Value]:
    """Return the logarithms of both descriptions mixed, or of the one that there is."""
    if reduced is None or whole is None:
        found = whole if reduced is None else reduced
        assert found is not None
        return found
    return [_mixed(one, other, switches) for one, other in zip(reduced, whole, strict=True)]
