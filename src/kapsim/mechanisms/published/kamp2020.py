"""Kamp 2020: three compartments in arterial blood, from the pooled raw data of 14 studies; both enantiomers alike.

The values come from a re-implementation (see the note of `pk.kamp2020.v1`), which scales volumes and clearances in
proportion to weight, so that a dose per kg gives the same concentrations in everybody. The paper has two venous delay
compartments and variability between people besides; their values were not found, so the set has neither. Metabolites,
and every route but the vein, are no part of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kapsim.mechanisms.kinetics import Body, Deviate, Flow, Input
from kapsim.mechanisms.operators import Value
from kapsim.mechanisms.published.base import Published, published


@dataclass(frozen=True)
class Kamp2020(Published):
    """The pooled arterial model."""

    name = "kamp2020"
    structure = "three compartments, the same for both enantiomers, clearance linear with weight"
    sites = ("arterial",)
    drugs = ("ketamine", "esketamine", "arketamine")
    routes = ("iv",)
    gaps = ("norketamine", "hydroxynorketamine", "differences between people besides weight")

    v1: Value = published("pk.kamp2020.v1", "L")
    v2: Value = published("pk.kamp2020.v2", "L")
    v3: Value = published("pk.kamp2020.v3", "L")
    cl: Value = published("pk.kamp2020.cl", "L/h")
    q2: Value = published("pk.kamp2020.q2", "L/h")
    q3: Value = published("pk.kamp2020.q3", "L/h")

    @classmethod
    def compartments(cls, routes: frozenset[str]) -> tuple[str, ...]:
        """Return the compartments, which are the same for every protocol."""
        return ("pump", "central", "rapid", "slow", "effect")

    def flows(self, enantiomer: str, body: Body, taken: frozenset[str] = frozenset()) -> Iterator[Flow]:
        """Yield every flow; both enantiomers have the same."""
        yield Flow("pump", "central", 1.0, copies=True)
        # volumes and clearances grow alike, so that rates do not depend on weight
        yield Flow("central", "rapid", self.q2 / self.v1)
        yield Flow("rapid", "central", self.q2 / self.v2)
        yield Flow("central", "slow", self.q3 / self.v1)
        yield Flow("slow", "central", self.q3 / self.v3)
        yield Flow("central", None, self.cl / self.v1)
        yield from self.effect_flows(self._volume(body))

    def inputs(
        self, drug: str, route: str, milligrams: Value, deviate: Deviate, earlier: Value = 0.0
    ) -> Sequence[Input]:
        """Return where a dose goes: into blood."""
        self.check_dose(drug, route)
        return [Input("central", 1.0)]

    def concentrations(self, amounts: Mapping[str, Value], body: Body) -> dict[str, Value]:
        """Total concentrations in umol/L; arterial blood stands at both sites."""
        return self.one_site(amounts["central"] / self._volume(body), amounts["effect"])

    def metabolite_volumes(self, body: Body) -> tuple[Value, Value]:
        """Volumes of the metabolites, of which there are none."""
        return 1.0, 1.0

    def _volume(self, body: Body) -> Value:
        return self.v1 * body.weight / self.reference_weight
