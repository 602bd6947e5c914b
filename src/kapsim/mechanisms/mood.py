"""Mood: what a rating scale would say (clause S9).

Depression and anxiety are latent traits on a logistic scale, so that ratings stay within their bounds. Each moves from
the person's own baseline with lost synaptic strength (anhedonia), felt belief, rumination, sickness, expectancy and
care; neurogenesis has a weight of zero by default, because its role in adults is contested. A share of each person's
severity is untouched by all of them: drug, repetition, expectancy and care share what is left, so that effects which
would add up to more than that person can gain saturate together, and people split into those whom treatment helps and
those whom it hardly moves. An episode that ends of its own accord takes the same share of all that is left. A rating
averages since the last dose or the last rating, at most over the recall period of its scale, as the difference of two
values of an integral state; other scales are read off the MADRS by published tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kapsim.mechanisms.base import Mechanism, parameter
from kapsim.mechanisms.operators import Value, expit, log
from kapsim.mechanisms.switches import Switches


class MoodState(NamedTuple):
    """Integrals over time of the momentary scores, in points times hours."""

    depression: Value
    anxiety: Value


class Carriers(NamedTuple):
    """What moves mood, at one moment."""

    anhedonia: Value  # lost synaptic strength, healthy = 0
    belief: Value  # felt negative belief, 0 to 1
    rumination: Value  # 0 to 1
    sickness: Value  # logarithm of IL-6, healthy = 0
    neurogenesis: Value  # healthy = 1
    expectancy: Value  # 0 to 1
    care: Value  # 0 to 1


@dataclass(frozen=True)
class Mood(Mechanism):
    """Weights from mechanism to latent severity, and the scales' bounds."""

    anhedonia: Value = parameter("mood.weight.anhedonia", "1")
    belief: Value = parameter("mood.weight.belief", "1")
    rumination: Value = parameter("mood.weight.rumination", "1")
    sickness: Value = parameter("mood.weight.sickness", "1")
    neurogenesis: Value = parameter("mood.weight.neurogenesis", "1")
    expectancy: Value = parameter("mood.weight.expectancy", "1")
    care: Value = parameter("mood.weight.care", "1")
    anxiety_synaptic: Value = parameter("mood.anxiety.synaptic", "1")
    anxiety_cognitive: Value = parameter("mood.anxiety.cognitive", "1")
    anxiety_expectancy: Value = parameter("mood.anxiety.expectancy", "1")
    madrs_maximum: Value = parameter("mood.madrs.maximum", "points")
    hama_maximum: Value = parameter("mood.hama.maximum", "points")

    def rest(self, template: Value) -> MoodState:
        """Integrals start at zero."""
        return MoodState(0.0 * template, 0.0 * template)

    def shifts(self, now: Carriers, rest: Carriers, gate: Value, switches: Switches) -> tuple[Value, Value, Value]:
        """Latent shift from baseline by synapses, by thought, by expectancy and care (logits, negative = better)."""
        grown = self.anhedonia * (now.anhedonia - rest.anhedonia) * gate
        grown = grown - self.neurogenesis * (now.neurogenesis - rest.neurogenesis)
        synaptic = switches.connections * grown + self.sickness * (now.sickness - rest.sickness)
        thought = self.belief * (now.belief - rest.belief) + self.rumination * (now.rumination - rest.rumination)
        unspecific = -switches.expectancy * (self.expectancy * now.expectancy + self.care * now.care)
        return switches.links * synaptic, switches.links * thought, unspecific

    def treated(
        self,
        now: Carriers,
        rest: Carriers,
        *,
        madrs_rest: Value,
        hama_rest: Value,
        untouched: Value,
        gate: Value,
        switches: Switches,
        added: tuple[Value, Value] | None = None,
    ) -> tuple[Value, Value]:
        """MADRS and HAM-A in points as treatment leaves them: the baseline at rest, never below its untouched share.

        `added` are shifts of depression and anxiety by links from outside (logits).
        """
        synaptic, thought, unspecific = self.shifts(now, rest, gate, switches)
        anxious = (
            self.anxiety_synaptic * synaptic + self.anxiety_cognitive * thought + self.anxiety_expectancy * unspecific
        )
        depressed = synaptic + thought + unspecific
        if added is not None:
            depressed, anxious = depressed + switches.links * added[0], anxious + switches.links * added[1]
        return (
            _moved(madrs_rest, self.madrs_maximum, untouched, depressed),
            _moved(hama_rest, self.hama_maximum, untouched, anxious),
        )

    def scores(self, treated: tuple[Value, Value], recovery: Value) -> tuple[Value, Value]:
        """Momentary MADRS and HAM-A in points: time takes the same share of both, of what no treatment reaches, too."""
        left = 1.0 - recovery
        return left * treated[0], left * treated[1]


def _moved(baseline: Value, maximum: Value, untouched: Value, shift: Value) -> Value:
    """Score after a latent shift: logistic between the untouched part of the baseline and the end of the scale."""
    floor = untouched * baseline
    return floor + (maximum - floor) * expit(log((baseline - floor) / (maximum - baseline)) + shift)
