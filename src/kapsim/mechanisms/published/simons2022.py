"""Simons 2022: S-ketamine from an oral thin film and the vein, with two metabolites, in arterial blood.

Of a film a share enters the mucosa at a constant rate and blood from there. What is swallowed is released at a constant
rate into the gut and goes by a delay straight into hepatic metabolism: it never becomes S-ketamine in blood. Metabolism
is a chain of two delays, out of which four fifths (fixed by the authors) form S-norketamine; of that, after another
chain, seven tenths (fixed) form S-hydroxynorketamine. S-norketamine has the central volume of S-ketamine.

Readings that the paper leaves open, settled as the re-implementation did because only they meet the paper's table: a
mean transit time is that of a whole chain, and the swallowed input, 1.16, is a factor on the full dose. It is no
fraction: with the mucosal share 1.42 of a dose enters, the scale of the metabolite volumes, so metabolites after a vein
stand on another footing than after a film. Exponents of weight are not printed; the usual ones are used.
Absorption differed between visits: the shares and durations do so here, by dose; the rates of absorption and the gut
delay cannot, since they are rates of a linear system, and differ between people instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kapsim.mechanisms.base import parameter
from kapsim.mechanisms.kinetics import Body, Deviate, Flow, Input
from kapsim.mechanisms.operators import Value, exp
from kapsim.mechanisms.published.base import Published, Spread, published

#: Depots of each route.
DEPOTS: dict[str, tuple[str, ...]] = {
    "iv": (),
    "sublingual": ("pump_mouth", "pump_gut", "mouth", "gut", "portal"),
}
BODY = (
    "central", "rapid", "slow",
    "transit_1", "transit_2", "norketamine", "norketamine_deep",
    "transit_3", "transit_4", "hydroxynorketamine", "hydroxynorketamine_deep",
    "effect",
)  # fmt: skip


@dataclass(frozen=True)
class Simons2022(Published):
    """S-ketamine, S-norketamine and S-hydroxynorketamine."""

    name = "simons2022"
    structure = "three compartments of S-ketamine, S-norketamine and S-hydroxynorketamine of two each, chains between"
    sites = ("arterial",)
    drugs = ("esketamine",)
    routes = tuple(DEPOTS)
    gaps = ("R-ketamine", "S-ketamine in blood from what is swallowed")

    allometry: Value = parameter("pk.allometry.clearance", "1")
    f1: Value = published("pk.simons2022.s.f1_mucosal", "1")
    d1: Value = published("pk.simons2022.s.d1", "h")
    ka1: Value = published("pk.simons2022.s.ka1", "1/h", Spread("pk.simons2022.iov2.ka1", "variance"))
    f2: Value = published("pk.simons2022.s.f2_gut", "1")
    d2: Value = published("pk.simons2022.s.d2", "h")
    ka2: Value = published("pk.simons2022.s.ka2", "1/h", Spread("pk.simons2022.iov2.ka2", "variance"))
    mtt_gut: Value = published("pk.simons2022.s.mtt_gut", "h", Spread("pk.simons2022.iov2.mtt_gut", "variance"))
    occasion_f1: Value = published("pk.simons2022.iov2.f1", "1")
    occasion_d1: Value = published("pk.simons2022.iov2.d1", "1")
    occasion_f2: Value = published("pk.simons2022.iov2.f2", "1")
    occasion_d2: Value = published("pk.simons2022.iov2.d2", "1")
    vk1: Value = published("pk.simons2022.s.vk1", "L", Spread("pk.simons2022.omega2.vk1", "variance"))
    vk2: Value = published("pk.simons2022.s.vk2", "L")
    vk3: Value = published("pk.simons2022.s.vk3", "L")
    clk1: Value = published("pk.simons2022.s.clk1", "L/h", Spread("pk.simons2022.omega2.clk1", "variance"))
    clk2: Value = published("pk.simons2022.s.clk2", "L/h")
    clk3: Value = published("pk.simons2022.s.clk3", "L/h", Spread("pk.simons2022.omega2.clk3", "variance"))
    mtt_nk: Value = published("pk.simons2022.s.mtt_k_nk", "h", Spread("pk.simons2022.omega2.mtt_k_nk", "variance"))
    formed_nk: Value = published("pk.simons2022.s.fm_nk", "1")
    vn2: Value = published("pk.simons2022.s.vn2", "L")
    cln1: Value = published("pk.simons2022.s.cln1", "L/h", Spread("pk.simons2022.omega2.cln1", "variance"))
    cln2: Value = published("pk.simons2022.s.cln2", "L/h")
    mtt_hnk: Value = published("pk.simons2022.s.mtt_nk_hnk", "h")
    formed_hnk: Value = published("pk.simons2022.s.fm_hnk", "1")
    vh1: Value = published("pk.simons2022.s.vh1", "L", Spread("pk.simons2022.omega2.vh1", "variance"))
    vh2: Value = published("pk.simons2022.s.vh2", "L")
    clh1: Value = published("pk.simons2022.s.clh1", "L/h", Spread("pk.simons2022.omega2.clh1", "variance"))
    clh2: Value = published("pk.simons2022.s.clh2", "L/h", Spread("pk.simons2022.omega2.clh2", "variance"))

    @classmethod
    def compartments(cls, routes: frozenset[str]) -> tuple[str, ...]:
        """Return the compartments that a protocol with `routes` needs."""
        return ("pump", *(depot for route, depots in DEPOTS.items() if route in routes for depot in depots), *BODY)

    def flows(self, enantiomer: str, body: Body, taken: frozenset[str] = frozenset()) -> Iterator[Flow]:
        """Yield every flow of S-ketamine."""
        size = body.weight / self.reference_weight
        scale = size**self.allometry
        v1, v2, v3, n2 = self.vk1 * size, self.vk2 * size, self.vk3 * size, self.vn2 * size
        h1, h2 = self.vh1 * size, self.vh2 * size
        yield Flow("pump", "central", 1.0, copies=True)
        yield Flow("pump_mouth", "mouth", 1.0, copies=True)
        yield Flow("pump_gut", "gut", 1.0, copies=True)
        yield Flow("mouth", "central", self.ka1)
        yield Flow("gut", "portal", self.ka2)
        yield Flow("portal", "transit_1", 1.0 / self.mtt_gut)
        yield Flow("central", "rapid", self.clk2 * scale / v1)
        yield Flow("rapid", "central", self.clk2 * scale / v2)
        yield Flow("central", "slow", self.clk3 * scale / v1)
        yield Flow("slow", "central", self.clk3 * scale / v3)
        yield Flow("central", "transit_1", self.clk1 * scale / v1)
        yield Flow("transit_1", "transit_2", 2.0 / self.mtt_nk)
        yield Flow("transit_2", "norketamine", 2.0 / self.mtt_nk * self.formed_nk)
        yield Flow("transit_2", None, 2.0 / self.mtt_nk * (1.0 - self.formed_nk))
        yield Flow("norketamine", "norketamine_deep", self.cln2 * scale / v1)
        yield Flow("norketamine_deep", "norketamine", self.cln2 * scale / n2)
        yield Flow("norketamine", "transit_3", self.cln1 * scale / v1)
        yield Flow("transit_3", "transit_4", 2.0 / self.mtt_hnk)
        yield Flow("transit_4", "hydroxynorketamine", 2.0 / self.mtt_hnk * self.formed_hnk)
        yield Flow("transit_4", None, 2.0 / self.mtt_hnk * (1.0 - self.formed_hnk))
        yield Flow("hydroxynorketamine", "hydroxynorketamine_deep", self.clh2 * scale / h1)
        yield Flow("hydroxynorketamine_deep", "hydroxynorketamine", self.clh2 * scale / h2)
        yield Flow("hydroxynorketamine", None, self.clh1 * scale / h1)
        yield from self.effect_flows(v1)

    def inputs(
        self, drug: str, route: str, milligrams: Value, deviate: Deviate, earlier: Value = 0.0
    ) -> Sequence[Input]:
        """Return where a dose goes; shares and durations of a film differ from dose to dose."""
        self.check_dose(drug, route)
        if route == "iv":
            return [Input("central", 1.0)]

        def today(value: Value, variance: Value, purpose: str) -> Value:
            return value * exp(variance**0.5 * deviate(purpose))

        return [
            Input("mouth", today(self.f1, self.occasion_f1, "f1"), today(self.d1, self.occasion_d1, "d1")),
            Input("gut", today(self.f2, self.occasion_f2, "f2"), today(self.d2, self.occasion_d2, "d2")),
        ]

    def concentrations(self, amounts: Mapping[str, Value], body: Body) -> dict[str, Value]:
        """Total concentrations in umol/L; arterial blood stands at both sites."""
        norketamine, hydroxynorketamine = self.metabolite_volumes(body)
        return self.one_site(
            amounts["central"] / norketamine,
            amounts["effect"],
            amounts["norketamine"] / norketamine,
            amounts["hydroxynorketamine"] / hydroxynorketamine,
        )

    def metabolite_volumes(self, body: Body) -> tuple[Value, Value]:
        """Central volumes of S-norketamine, which is that of S-ketamine, and of S-hydroxynorketamine, L."""
        size = body.weight / self.reference_weight
        return self.vk1 * size, self.vh1 * size
