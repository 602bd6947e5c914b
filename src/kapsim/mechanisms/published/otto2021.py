"""Otto 2021: S-ketamine and S-norketamine in venous blood after an infusion.

S-ketamine has the three compartments of Fanta 2015, the best of five published models on Otto's data, with differences
between people estimated anew (so Fanta's own 13 % on clearance is not used). All that is cleared becomes S-norketamine
of two compartments, without delay. Its volume and clearance were fitted to mass concentrations with no conversion of
molar mass: they absorb the fraction formed and the ratio of masses, and are apparent. Only central volumes and
elimination clearances grow with weight. Fanta's clearance stands as recorded, 95 L/h; Otto prints 95.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kapsim.mechanisms.base import parameter
from kapsim.mechanisms.kinetics import Body, Deviate, Flow, Input
from kapsim.mechanisms.operators import Value
from kapsim.mechanisms.published.base import Published, Shared, Spread, published


@dataclass(frozen=True)
class Otto2021(Published):
    """Fanta's S-ketamine with Otto's S-norketamine."""

    name = "otto2021"
    structure = "three compartments of S-ketamine (Fanta 2015), all of which forms S-norketamine of two"
    sites = ("venous",)
    drugs = ("esketamine",)
    routes = ("iv",)
    gaps = ("R-ketamine", "hydroxynorketamine")

    molar_mass_norketamine: Value = parameter("pk.molar_mass.norketamine", "g/mol")
    v1: Value = published("pk.fanta2015.s.v1", "L", Spread("pk.otto2021.s.omega2_v1", "variance"))
    cl: Value = published(
        "pk.fanta2015.s.cl",
        "L/h",
        Spread(
            "pk.otto2021.s.omega2_cl",
            "variance",
            Shared("v1", "pk.otto2021.s.omega2_v1", "pk.otto2021.s.omega_cov_v1_cl"),
        ),
    )
    vp1: Value = published("pk.fanta2015.s.vp1", "L")
    q1: Value = published("pk.fanta2015.s.q1", "L/h")
    vp2: Value = published("pk.fanta2015.s.vp2", "L")
    q2: Value = published("pk.fanta2015.s.q2", "L/h")
    v_norketamine: Value = published("pk.otto2021.snk.v", "L", Spread("pk.otto2021.snk.omega2_v", "variance"))
    cl_norketamine: Value = published(
        "pk.otto2021.snk.cl",
        "L/h",
        Spread(
            "pk.otto2021.snk.omega2_cl",
            "variance",
            Shared("v_norketamine", "pk.otto2021.snk.omega2_v", "pk.otto2021.snk.omega_cov_v_cl"),
        ),
    )
    vp_norketamine: Value = published("pk.otto2021.snk.vp", "L")
    q_norketamine: Value = published("pk.otto2021.snk.q", "L/h")
    allometry: Value = published("pk.otto2021.allometry_cl", "1")

    @classmethod
    def compartments(cls, routes: frozenset[str]) -> tuple[str, ...]:
        """Return the compartments, which are the same for every protocol."""
        return ("pump", "central", "slow", "rapid", "norketamine", "norketamine_deep", "effect")

    def flows(self, enantiomer: str, body: Body, taken: frozenset[str] = frozenset()) -> Iterator[Flow]:
        """Yield every flow of S-ketamine."""
        size = body.weight / self.reference_weight
        scale = size**self.allometry
        v1, n1 = self.v1 * size, self.v_norketamine * size
        yield Flow("pump", "central", 1.0, copies=True)
        yield Flow("central", "slow", self.q1 / v1)
        yield Flow("slow", "central", self.q1 / self.vp1)
        yield Flow("central", "rapid", self.q2 / v1)
        yield Flow("rapid", "central", self.q2 / self.vp2)
        yield Flow("central", "norketamine", self.cl * scale / v1)
        yield Flow("norketamine", "norketamine_deep", self.q_norketamine / n1)
        yield Flow("norketamine_deep", "norketamine", self.q_norketamine / self.vp_norketamine)
        yield Flow("norketamine", None, self.cl_norketamine * scale / n1)
        yield from self.effect_flows(v1)

    def inputs(
        self, drug: str, route: str, milligrams: Value, deviate: Deviate, earlier: Value = 0.0
    ) -> Sequence[Input]:
        """Return where a dose goes: into blood."""
        self.check_dose(drug, route)
        return [Input("central", 1.0)]

    def concentrations(self, amounts: Mapping[str, Value], body: Body) -> dict[str, Value]:
        """Total concentrations in umol/L; venous blood stands at both sites."""
        venous = amounts["central"] / (self.v1 * body.weight / self.reference_weight)
        return self.one_site(venous, amounts["effect"], amounts["norketamine"] / self.metabolite_volumes(body)[0])

    def metabolite_volumes(self, body: Body) -> tuple[Value, Value]:
        """Volume of norketamine for amounts in umol, L: the published one is for the mass of its parent."""
        volume = self.v_norketamine * body.weight / self.reference_weight
        return volume * self.molar_mass_norketamine / self.molar_mass, 1.0
