"""Mind: network, window and experience → belief and rumination (clauses S5, S8).

A labile negative belief, a consolidated schema, rumination, expectancy, and what care and an oral antidepressant bring
in weeks: trials give them beside the drug, and their control arms improve by them. Corrective experience in therapy and
adverse experience both learn with one gain, which the plasticity window opens and the precision of the default mode
network closes; consolidation is gated by the window too. Depression sits in the prior (schema and precision), not in
learning rates. Relief lets a person take part in life again, and that teaches, too, with the same gain: what treatment
began can outlast it. During a visit expectancy rises to a level: the readiness to expect help, a part of it by the
visit itself and the rest as far as the person believes to have been given the drug. No number of visits makes saline as
convincing as a drug that is felt. Between visits it fades. On a ward care acts within days, because a crisis passes
there, and no further than it would in time anywhere else. Episodes also end of their own accord, sooner or later, but
for those that resist treatment.
The window can harm: a stressor inside it makes things worse. What the person feels is the belief shifted by the
window; the shift is a state and is not consolidated. Belief, window and precision are constructs. Contested: the path
from the default mode network, which may be zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Mechanism, Setting, parameter
from kapsim.mechanisms.operators import Value, exp, expit, hill, positive_part
from kapsim.mechanisms.switches import Switches

#: Expectancy rises up to the level that a visit speaks for, care on a ward up to its part; this near to it the rise
#: bends.
_EDGE = 0.03


class MindState(NamedTuple):
    """Negative belief, schema, rumination, expectancy, the part of care, and recovery of one's own, each 0 to 1."""

    belief: Value
    schema: Value
    rumination: Value
    expectancy: Value
    care: Value
    recovery: Value


@dataclass(frozen=True)
class Mind(Mechanism):
    """Learning, consolidation, rumination and expectancy."""

    tau_belief: Value = parameter("mind.tau_belief", "h")
    tau_schema: Value = parameter("mind.tau_schema", "h")
    tau_healthy: Value = parameter("mind.tau_healthy", "h")
    schema_healthy: Value = parameter("mind.schema_healthy", "1")
    learning: Value = parameter("mind.learning_rate", "1/h")
    everyday: Value = parameter("mind.everyday_rate", "1/h")
    relief_scale: Value = parameter("mind.relief_scale", "1")
    adverse: Value = parameter("mind.adverse_rate", "1/h")
    precision: Value = parameter("mind.precision", "1")
    precision_rumination: Value = parameter("mind.precision_rumination", "1")
    relaxation: Value = parameter("mind.relaxation", "1")
    relaxation_scale: Value = parameter("mind.relaxation_scale", "1")
    window_learning: Value = parameter("mind.window_learning", "1")
    window_consolidation: Value = parameter("mind.window_consolidation", "1")
    felt_shift: Value = parameter("mind.felt_shift", "1")
    dmn_rumination: Value = parameter("mind.dmn_rumination", "1")
    rumination_half: Value = parameter("mind.rumination_half", "1")
    rumination_width: Value = parameter("mind.rumination_width", "1")
    tau_rumination: Value = parameter("mind.tau_rumination", "h")
    expectancy_rate: Value = parameter("mind.expectancy_rate", "1/h")
    tau_expectancy: Value = parameter("mind.tau_expectancy", "h")
    credence_blinded: Value = parameter("mind.credence_blinded", "1")
    credence_felt: Value = parameter("mind.credence_felt", "1")
    credence_open: Value = parameter("mind.credence_open", "1")
    visit_share: Value = parameter("mind.visit_share", "1")
    care_share: Value = parameter("mind.care_share", "1")
    tau_care: Value = parameter("mind.tau_care", "h")
    tau_ward: Value = parameter("mind.tau_ward", "h")
    tau_recovery: Value = parameter("mind.tau_recovery", "h")

    def rumination_target(self, felt: Value, dmn: Value, switches: Switches) -> Value:
        """Rumination in balance with the felt belief and default-mode activity."""
        push = felt + switches.dmn * self.dmn_rumination * (dmn - 1.0)
        return expit((push - self.rumination_half) / self.rumination_width)

    def rest(self, belief: Value, dmn: Value, switches: Switches) -> MindState:
        """Rest of a person who holds `belief` (at least the healthy schema), with default-mode activity `dmn`."""
        fast, slow = 1.0 / self.tau_schema, 1.0 / self.tau_healthy
        schema = (belief * fast + self.schema_healthy * slow) / (fast + slow)
        zero = 0.0 * belief
        return MindState(belief, schema, self.rumination_target(belief, dmn, switches), zero, zero, zero)

    def felt(self, state: MindState, window: Value) -> Value:
        """Belief as felt now: lightened while the window is open, not consolidated."""
        return state.belief * exp(-self.felt_shift * window)

    def gain(self, state: MindState, window: Value, dmn_fall: Value, switches: Switches) -> Value:
        """Gain on experience, opened by the window and closed by the precision of the default mode network."""
        loosened = hill(positive_part(dmn_fall, self.relaxation_scale) / self.relaxation_scale)
        precision = (
            self.precision
            * (1.0 + switches.dmn * self.precision_rumination * state.rumination)
            * (1.0 - switches.dmn * switches.window * self.relaxation * loosened)
        )
        return (1.0 + switches.window * self.window_learning * window) / (1.0 + precision)

    def rates(
        self,
        state: MindState,
        rest: MindState,
        *,
        window: Value,
        dmn: Value,
        dmn_rest: Value,
        felt_drug: Value,
        relief: Value,
        alliance: Value,
        expectation: Value,
        remitting: Value,
        setting: Setting,
        switches: Switches,
    ) -> MindState:
        """Rates of change per hour, all zero at `rest` without therapy, contact or stressor, but for recovery.

        `relief` is the share of the baseline severity that treatment has taken: what recovery teaches is in its own
        rate. `alliance` scales corrective experience in therapy, `expectation` the person's readiness to expect help;
        `remitting` is 1 where the episode ends of its own accord in time and 0 where it does not; all per person.
        """
        dmn = dmn - (1.0 - switches.quieting) * (dmn - dmn_rest)
        gain = self.gain(state, window, dmn_rest - dmn, switches)
        corrective = switches.therapy * self.learning * alliance * (setting.therapy + setting.practice)
        corrective = corrective + self.everyday * positive_part(relief, self.relief_scale)
        # negative thinking that keeps the person's own belief at rest
        negative = (rest.belief - rest.schema) / (self.tau_belief * rest.rumination * (1.0 - rest.belief))
        shift = state.belief - state.schema
        # the window hastens the consolidation of what experience has changed, not of the standing balance
        changed = state.belief - state.schema * rest.belief / rest.schema
        consolidated = (shift + switches.window * self.window_consolidation * window * changed) / self.tau_schema
        noticed = self.credence_felt * felt_drug * (1.0 - setting.masked)
        suspected = self.credence_blinded + (1.0 - self.credence_blinded) * noticed
        credence = setting.blinded * suspected + (1.0 - setting.blinded) * self.credence_open
        hoped = expectation * (self.visit_share + (1.0 - self.visit_share) * credence)
        target = self.rumination_target(self.felt(state, window), dmn, switches)
        anywhere = setting.care + setting.ward - setting.care * setting.ward
        cared = 1.0 - (1.0 - setting.antidepressant) * (1.0 - self.care_share * anywhere)
        # what a ward adds is how soon care acts, not how far
        lacking = positive_part(self.care_share - state.care, _EDGE)
        return MindState(
            belief=-shift / self.tau_belief
            - gain * corrective * state.belief
            + (negative * state.rumination + gain * self.adverse * setting.stressor) * (1.0 - state.belief),
            schema=consolidated - (state.schema - self.schema_healthy) / self.tau_healthy,
            rumination=(target - state.rumination) / self.tau_rumination,
            expectancy=self.expectancy_rate * setting.contact * positive_part(hoped - state.expectancy, _EDGE)
            - state.expectancy / self.tau_expectancy,
            care=(cared - state.care) / self.tau_care + setting.ward * lacking / self.tau_ward,
            recovery=(remitting - state.recovery) / self.tau_recovery,
        )
