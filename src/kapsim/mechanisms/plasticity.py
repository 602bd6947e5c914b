"""Plasticity: glutamate → translation, BDNF, new connections, and the window in which learning is easier (S4, S7).

Two arms feed translation: *indirect*, AMPA throughput above what the same synapses pass at resting glutamate, and
*direct*, block of receptors at rest. Translation makes BDNF; BDNF makes fast potentiation (hours to days), then spines
(days to two weeks), opens the plasticity window and feeds neurogenesis. Everything is driven by excess over the
person's own rest. Potentiation has a fast part, receptors that the signal of both arms brings to the synapse while it
lasts, and one that waits for BDNF: trials see relief at the first rating, 40 minutes to two hours after a dose, and in
people rapamycin left what is seen on the first day as it was. The indirect arm counts the excess of *glutamate* seen
through AMPA receptors rather than the excess of the AMPA drive itself: with the loop drive → translation → BDNF →
potentiation → drive closed at rest, a pulse of an hour that is to leave days of potentiation needs a gain far above 1,
and nothing would ever return. Contested: which arm carries the effect; whether mTOR drives growth or elimination; HNK;
an opioid gate; neurogenesis in adults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Mechanism, Setting, parameter
from kapsim.mechanisms.operators import Value, hill, positive_part
from kapsim.mechanisms.switches import Switches


class PlasticityState(NamedTuple):
    """Slow state of the synapse; `bdnf` and `spines` are 1 in health, the others 0 at rest except `neurogenesis` (1).

    `potentiation` and `window` are pools without an upper bound; what they do saturates (see `strength`, `opening`).
    """

    translation: Value
    bdnf: Value
    potentiation: Value
    spines: Value
    window: Value
    neurogenesis: Value


@dataclass(frozen=True)
class Plasticity(Mechanism):
    """Translation, BDNF, potentiation, spines, window and neurogenesis."""

    indirect_gain: Value = parameter("plasticity.indirect_gain", "1")
    direct_gain: Value = parameter("plasticity.direct_gain", "1")
    direct_share: Value = parameter("plasticity.direct_share", "1")
    threshold: Value = parameter("plasticity.ampa_threshold", "1")
    hnk_gain: Value = parameter("plasticity.hnk_gain", "1/uM")
    tau_translation: Value = parameter("plasticity.tau_translation", "h")
    bdnf_gain: Value = parameter("plasticity.bdnf_gain", "1")
    bdnf_inflammation: Value = parameter("plasticity.bdnf_inflammation", "1")
    tau_bdnf: Value = parameter("plasticity.tau_bdnf", "h")
    potentiation_gain: Value = parameter("plasticity.potentiation_gain", "1")
    potentiation_fast: Value = parameter("plasticity.potentiation_fast", "1")
    potentiation_limit: Value = parameter("plasticity.potentiation_limit", "1")
    tau_potentiation: Value = parameter("plasticity.tau_potentiation", "h")
    formation: Value = parameter("plasticity.spine_formation", "1/h")
    formation_gain: Value = parameter("plasticity.spine_formation_gain", "1")
    maximum: Value = parameter("plasticity.spine_maximum", "1")
    elimination_inflammation: Value = parameter("plasticity.elimination_inflammation", "1")
    window_gain: Value = parameter("plasticity.window_gain", "1")
    tau_window: Value = parameter("plasticity.tau_window", "h")
    neurogenesis_gain: Value = parameter("plasticity.neurogenesis_gain", "1")
    tau_neurogenesis: Value = parameter("plasticity.tau_neurogenesis", "h")
    blood_gain: Value = parameter("plasticity.blood_bdnf_gain", "1")
    rapamycin: Value = parameter("plasticity.rapamycin_effect", "1")
    ampa_block: Value = parameter("plasticity.ampa_block", "1")
    naltrexone: Value = parameter("plasticity.naltrexone_effect", "1")

    def rest(self, spines: Value, bdnf: Value) -> PlasticityState:
        """Rest of a person whose spine density and central BDNF are `spines` and `bdnf` (healthy = 1)."""
        zero, one = 0.0 * spines, 1.0 + 0.0 * spines
        return PlasticityState(zero, bdnf + zero, zero, spines, zero, one)

    def strength(self, state: PlasticityState) -> Value:
        """Synaptic strength, healthy = 1: spines times their potentiation, which saturates."""
        return state.spines * (1.0 + self.potentiation_limit * hill(state.potentiation / self.potentiation_limit))

    def opening(self, state: PlasticityState) -> Value:
        """Opening of the plasticity window, from 0 (shut) towards 1."""
        return hill(state.window)

    def ampa_drive(self, state: PlasticityState, glutamate: Value, setting: Setting) -> Value:
        """AMPA drive on pyramidal cells, healthy at rest = 1."""
        return glutamate * self.strength(state) * (1.0 - self.ampa_block * setting.ampa_blocker)

    def gate(self, setting: Setting, switches: Switches) -> Value:
        """Share of the opioid-dependent part that naltrexone leaves; 1 unless the opioid gate is switched on."""
        return 1.0 - switches.opioid_gate * self.naltrexone * setting.naltrexone

    def translation_drive(
        self,
        state: PlasticityState,
        surge: Value,
        block: Value,
        tone: Value,
        hydroxynorketamine: Value,
        setting: Setting,
        switches: Switches,
    ) -> Value:
        """Sum of both arms, 0 at rest; `surge` is glutamate above rest, `tone` the NMDA tone that block relieves."""
        hnk = switches.hnk * self.hnk_gain * hydroxynorketamine
        evoked = self.ampa_drive(state, surge + hnk, setting)
        indirect = switches.indirect * (1.0 - self.direct_share)
        direct = switches.direct * self.direct_share
        arms = switches.surge * indirect * self.indirect_gain * positive_part(evoked, self.threshold)
        arms = arms + switches.resting_block * direct * self.direct_gain * tone * block
        return arms / (indirect + direct)

    def rates(
        self,
        state: PlasticityState,
        rest: PlasticityState,
        *,
        surge: Value,
        block: Value,
        tone: Value,
        hydroxynorketamine: Value,
        microglia: Value,
        microglia_rest: Value,
        setting: Setting,
        switches: Switches,
    ) -> PlasticityState:
        """Rates of change per hour, all zero at `rest` without drug or stressor."""
        signal = self.translation_drive(state, surge, block, tone, hydroxynorketamine, setting, switches)
        drive = signal * (1.0 - (1.0 - switches.mtor_elimination) * self.rapamycin * setting.rapamycin)
        excess = state.bdnf / rest.bdnf - 1.0
        # both parts have the same area after a dose: the share sets how soon receptors are there, not how many
        fast = self.potentiation_fast
        fed = fast * self.bdnf_gain * signal / (1.0 + signal) + (1.0 - fast) * excess
        synthesis = (1.0 + self.bdnf_inflammation * (microglia_rest - 1.0)) / (
            1.0 + self.bdnf_inflammation * (microglia - 1.0)
        )
        # elimination that keeps the person's own spine density at rest: their chronic stress and inflammation
        chronic = self.formation * (self.maximum - rest.spines) / rest.spines
        healthy = self.formation * (self.maximum - 1.0)
        added = setting.stressor + self.elimination_inflammation * (microglia - microglia_rest)
        spared = 1.0 - switches.mtor_elimination * self.rapamycin * setting.rapamycin
        return PlasticityState(
            translation=(drive / (1.0 + drive) - state.translation) / self.tau_translation,
            bdnf=(rest.bdnf * synthesis * (1.0 + self.bdnf_gain * state.translation) - state.bdnf) / self.tau_bdnf,
            potentiation=(self.potentiation_gain * self.gate(setting, switches) * fed - state.potentiation)
            / self.tau_potentiation,
            spines=self.formation * (1.0 + self.formation_gain * excess) * (self.maximum - state.spines)
            - (chronic + healthy * added) * spared * state.spines,
            window=(self.window_gain * excess - state.window) / self.tau_window,
            neurogenesis=(1.0 + self.neurogenesis_gain * excess - state.neurogenesis) / self.tau_neurogenesis,
        )

    def blood_bdnf(self, state: PlasticityState, rest: PlasticityState) -> Value:
        """BDNF in blood, healthy = 1: an image of central BDNF with its own, small gain.

        A power, because the gain may be drawn below zero: a line would take blood BDNF below zero after a large dose.
        """
        return rest.bdnf * (state.bdnf / rest.bdnf) ** self.blood_gain
