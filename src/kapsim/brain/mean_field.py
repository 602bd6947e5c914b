"""Mean field: one excitatory and one inhibitory pool a region, the dynamic mean field of Deco 2014.

Excitatory pools couple by slow NMDA gating, within a region and along the connectome; inhibitory pools by GABA, within
a region. The source has one constant for three kinds of NMDA synapse. Ketamine needs them apart, so recurrent,
long-range and onto-interneuron synapses have a factor each, 1 without drug. The constant also stands for fast AMPA
excitation, so a receptor's occupancy must not be passed to a factor one for one. Slow changes enter as regional
inputs: synaptic strength and efficacy scale local recurrence, inhibition is the weight J_i, uptake clears the glutamate
that opens NMDA channels (as the concentration does in Naskar 2021, which stands in the place of gamma).

Feedback inhibition gives every region the same excitatory input and thus the same rate. J_i then has a closed form: the
gating of both pools is known from the target, and the balance of currents is linear in J_i.

Currents are in nA, rates in Hz, time constants in ms; gating is a share, 0 to 1. All of it is plain arithmetic over the
last axis, the regions, for whichever array library the values belong to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.brain.constants import Constants
from kapsim.mechanisms.operators import Value, rectified, rectified_slope
from kapsim.mechanisms.published.base import published

MS_PER_S = 1000.0
#: Steps of Newton's method for inhibitory gating. It climbs to the root from below and doubles its digits; ten are
#: enough for float64 over any input that leaves gating below 1.
NEWTON_STEPS = 12


class Gating(NamedTuple):
    """State: share of synaptic channels open in both pools, 0 to 1, shape (..., region) each."""

    excitatory: Value  # S_E, NMDA
    inhibitory: Value  # S_I, GABA


class Firing(NamedTuple):
    """Firing rates of both pools, Hz, shape (..., region) each."""

    excitatory: Value
    inhibitory: Value


class RegionalInputs(NamedTuple):
    """What acts on the regions besides each other, shape (..., region) or a number for all.

    Factors are 1 in a healthy person without drug; `inhibition` comes from `MeanField.balanced_inhibition`.
    """

    inhibition: Value  # J_i, nA
    recurrent: Value = 1.0  # factor on local excitatory-to-excitatory NMDA
    long_range: Value = 1.0  # factor on NMDA of arriving connections
    onto_interneurons: Value = 1.0  # factor on excitatory-to-inhibitory NMDA
    strength: Value = 1.0  # synaptic strength, factor on w+
    efficacy: Value = 1.0  # excitatory efficacy (subgenual in depression), a further factor on w+
    glutamate_uptake: Value = 1.0  # 0.9 is slower clearance
    current: Value = 0.0  # onto the excitatory pool, nA: a task, a stimulus


@dataclass(frozen=True)
class MeanField(Constants):
    """The excitatory-inhibitory dynamic mean field; constants are those of Deco 2014 unless changed."""

    external: Value = published("brain.dmf.i0", "nA")
    external_e: Value = published("brain.dmf.w_e", "1")
    external_i: Value = published("brain.dmf.w_i", "1")
    w_plus: Value = published("brain.dmf.w_plus", "1")
    j_nmda: Value = published("brain.dmf.j_nmda", "nA")
    tau_e: Value = published("brain.dmf.tau_nmda", "ms")
    tau_i: Value = published("brain.dmf.tau_gaba", "ms")
    gamma: Value = published("brain.dmf.gamma", "1")
    gain_e: Value = published("brain.dmf.g_e", "1/nC")
    threshold_e: Value = published("brain.dmf.i_thr_e", "nA")
    curvature_e: Value = published("brain.dmf.d_e", "s")
    gain_i: Value = published("brain.dmf.g_i", "1/nC")
    threshold_i: Value = published("brain.dmf.i_thr_i", "nA")
    curvature_i: Value = published("brain.dmf.d_i", "s")
    noise: Value = published("brain.dmf.sigma", "nA")  # per square root of a ms, on gating: see the record's note
    target_input: Value = published("brain.fic.target_input", "nA")

    # --- transfer functions ---------------------------------------------------------------------------------------

    def rate_e(self, current: Value) -> Value:
        """Excitatory rate (Hz) at an input current (nA)."""
        return rectified(self.curvature_e * self.gain_e * (current - self.threshold_e)) / self.curvature_e

    def rate_i(self, current: Value) -> Value:
        """Inhibitory rate (Hz) at an input current (nA)."""
        return rectified(self.curvature_i * self.gain_i * (current - self.threshold_i)) / self.curvature_i

    def slope_e(self, current: Value) -> Value:
        """Derivative of `rate_e` (Hz/nA) at an input current (nA)."""
        return self.gain_e * rectified_slope(self.curvature_e * self.gain_e * (current - self.threshold_e))

    def slope_i(self, current: Value) -> Value:
        """Derivative of `rate_i` (Hz/nA) at an input current (nA)."""
        return self.gain_i * rectified_slope(self.curvature_i * self.gain_i * (current - self.threshold_i))

    # --- currents, rates and their change -------------------------------------------------------------------------

    def current_e(self, state: Gating, arriving: Value, inputs: RegionalInputs) -> Value:
        """Input current of the excitatory pools (nA).

        Parameters
        ----------
        state : Gating
        arriving : array, shape (..., region)
            Gating that arrives by long-range connections: G Σ_j C_ij S_E,j.
        inputs : RegionalInputs
        """
        recurrence = self.w_plus * inputs.strength * inputs.efficacy * inputs.recurrent
        return (
            self.external_e * self.external
            + recurrence * self.j_nmda * state.excitatory
            + inputs.long_range * self.j_nmda * arriving
            - inputs.inhibition * state.inhibitory
            + inputs.current
        )

    def current_i(self, state: Gating, inputs: RegionalInputs) -> Value:
        """Input current of the inhibitory pools (nA), which inhibit themselves with a weight of 1 nA."""
        excitation = inputs.onto_interneurons * self.j_nmda * state.excitatory
        return self.external_i * self.external + excitation - state.inhibitory

    def firing(self, state: Gating, arriving: Value, inputs: RegionalInputs) -> Firing:
        """Rates of both pools (Hz); arguments as for `current_e`."""
        return Firing(
            excitatory=self.rate_e(self.current_e(state, arriving, inputs)),
            inhibitory=self.rate_i(self.current_i(state, inputs)),
        )

    def change(self, state: Gating, firing: Firing, inputs: RegionalInputs) -> Gating:
        """Change of gating per ms, without noise, at the rates `firing`."""
        opening = self.gamma / inputs.glutamate_uptake / MS_PER_S
        return Gating(
            excitatory=-state.excitatory / self.tau_e + (1.0 - state.excitatory) * opening * firing.excitatory,
            inhibitory=-state.inhibitory / self.tau_i + firing.inhibitory / MS_PER_S,
        )

    def rates(self, state: Gating, arriving: Value, inputs: RegionalInputs) -> Gating:
        """Change of gating per ms, without noise; arguments as for `current_e`."""
        return self.change(state, self.firing(state, arriving, inputs), inputs)

    # --- feedback inhibition --------------------------------------------------------------------------------------

    def balanced_gating(self, inputs: RegionalInputs, target: Value | None = None) -> Gating:
        """Gating of both pools where the excitatory input stands at its target.

        Parameters
        ----------
        inputs : RegionalInputs
            `inhibition` is not used.
        target : array, shape (..., region), optional
            Excitatory input current over its threshold (nA); the source's −0.026 nA, about 3.06 Hz, if left out.
        """
        excess = self.target_input if target is None else target
        opened = self.gamma / inputs.glutamate_uptake * self.tau_e * self.rate_e(self.threshold_e + excess) / MS_PER_S
        excitatory = opened / (1.0 + opened)
        driven = self.external_i * self.external + inputs.onto_interneurons * self.j_nmda * excitatory
        inhibitory = 0.0 * driven
        # S − tau r(driven − S) is concave and rising, so from 0 every step stays below the root
        for _ in range(NEWTON_STEPS):
            over = inhibitory - self.tau_i * self.rate_i(driven - inhibitory) / MS_PER_S
            inhibitory = inhibitory - over / (1.0 + self.tau_i * self.slope_i(driven - inhibitory) / MS_PER_S)
        return Gating(excitatory=excitatory, inhibitory=inhibitory)

    def balanced_inhibition(self, coupling: Value, inputs: RegionalInputs, target: Value | None = None) -> Value:
        """Inhibition J_i (nA) that holds every region's excitatory input at its target, in closed form.

        Parameters
        ----------
        coupling : array, shape (region, region)
            Long-range weights G C, row = receiving region.
        inputs : RegionalInputs
            `inhibition` is not used.
        target : array, shape (..., region), optional
            As for `balanced_gating`.

        Returns
        -------
        array, shape (..., region)
        """
        excess = self.target_input if target is None else target
        state = self.balanced_gating(inputs, target)
        everywhere = state.excitatory + 0.0 * coupling[0]
        arriving = (coupling @ everywhere[..., None])[..., 0]
        open_loop = self.current_e(state._replace(inhibitory=0.0), arriving, inputs)
        return (open_loop - self.threshold_e - excess) / state.inhibitory
