"""Perez-Ruixo 2021: nasal, oral and intravenous esketamine and noresketamine in venous blood of 820 people.

Drug meets a hepato-portal compartment, out of which it is metabolised; what is swallowed enters there, so that its
first pass forms noresketamine straight away. Of each nasal device a fraction is absorbed through the mucosa, less from
the second device on, and the rest is swallowed: released at a constant rate into the gut, absorbed from there, in part
lost in its wall. Devices follow each other by the wait that the instructions for use ask for. Weight was no covariate.

Known errata: units of the rate constants and signs of two printed equations, repaired as the re-implementation did;
between-subject variability of the formation of noresketamine is missing from the table, so it has none here; and the
printed parameters over-predict the paper's own noresketamine AUC by 1.4 to 1.5 while they meet its peak (two
re-implementations found the same). Nothing is tuned: trust the paper's noresketamine exposures, not this metabolite.
Volumes of noresketamine are apparent, for mass concentrations without conversion of molar mass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kapsim.mechanisms.base import parameter
from kapsim.mechanisms.kinetics import Body, Deviate, Flow, Input
from kapsim.mechanisms.operators import Value, maximum
from kapsim.mechanisms.published.base import Published, Spread, published

#: Depots of each route.
DEPOTS: dict[str, tuple[str, ...]] = {
    "iv": (),
    "intranasal": ("pump_swallowed", "nose", "swallowed"),
    "oral": ("pump_solution", "solution"),
}
BODY = ("central", "shallow", "deep", "liver", "norketamine", "norketamine_deep", "effect")


@dataclass(frozen=True)
class PerezRuixo2021(Published):
    """Esketamine by nose, mouth and vein, with a liver that it passes."""

    name = "perezruixo2021"
    structure = "three compartments of esketamine and a liver that forms noresketamine of two"
    sites = ("venous",)
    drugs = ("esketamine",)
    routes = tuple(DEPOTS)
    gaps = ("R-ketamine", "hydroxynorketamine", "race", "a noresketamine AUC that agrees with the paper's")

    molar_mass_norketamine: Value = parameter("pk.molar_mass.norketamine", "g/mol")
    old_age: Value = parameter("pk.old_age", "a")
    device: Value = published("pk.esketamine_spray.device", "mg")
    interval: Value = published("pk.esketamine_spray.interval", "h")
    nasal: Value = published("pk.perezruixo2021.frn", "1", Spread("pk.perezruixo2021.bsv.frn", "logit"))
    later: Value = published("pk.perezruixo2021.frn_dose_effect", "1")
    ka_nasal: Value = published("pk.perezruixo2021.ka_nasal", "1/h", Spread("pk.perezruixo2021.bsv.ka_nasal", "cv"))
    d_swallowed: Value = published("pk.perezruixo2021.d_swallowed", "h")
    ka_swallowed: Value = published(
        "pk.perezruixo2021.ka_swallowed", "1/h", Spread("pk.perezruixo2021.bsv.ka_swallowed", "cv")
    )
    d_oral: Value = published("pk.perezruixo2021.d_oral", "h")
    ka_oral: Value = published("pk.perezruixo2021.ka_oral", "1/h", Spread("pk.perezruixo2021.bsv.ka_oral", "cv"))
    gut: Value = published("pk.perezruixo2021.fgut", "1")
    vc: Value = published("pk.perezruixo2021.vc", "L", Spread("pk.perezruixo2021.bsv.vc", "cv"))
    q1: Value = published("pk.perezruixo2021.q1", "L/h")
    vp1: Value = published("pk.perezruixo2021.vp1", "L", Spread("pk.perezruixo2021.bsv.vp1", "cv"))
    q2: Value = published("pk.perezruixo2021.q2", "L/h")
    vp2: Value = published("pk.perezruixo2021.vp2", "L")
    qh: Value = published("pk.perezruixo2021.qh", "L/h", Spread("pk.perezruixo2021.bsv.qh", "cv"))
    qh_typical: Value = published("pk.perezruixo2021.qh", "L/h")
    qh_age: Value = published("pk.perezruixo2021.qh_age", "L/(h.a)")
    vh: Value = published("pk.perezruixo2021.vh", "L", Spread("pk.perezruixo2021.bsv.vh", "cv"))
    kel: Value = published("pk.perezruixo2021.kel", "1/h", Spread("pk.perezruixo2021.bsv.kel", "cv"))
    kmet: Value = published("pk.perezruixo2021.kmet", "1/h")
    v_norketamine: Value = published("pk.perezruixo2021.vcn", "L", Spread("pk.perezruixo2021.bsv.vcn", "cv"))
    cl_norketamine: Value = published("pk.perezruixo2021.cln", "L/h", Spread("pk.perezruixo2021.bsv.cln", "cv"))
    vp_norketamine: Value = published("pk.perezruixo2021.vpn", "L")
    q_norketamine: Value = published("pk.perezruixo2021.q3", "L/h")

    @classmethod
    def compartments(cls, routes: frozenset[str]) -> tuple[str, ...]:
        """Return the compartments that a protocol with `routes` needs."""
        return ("pump", *(depot for route, depots in DEPOTS.items() if route in routes for depot in depots), *BODY)

    def flows(self, enantiomer: str, body: Body, taken: frozenset[str] = frozenset()) -> Iterator[Flow]:
        """Yield every flow of esketamine."""
        # the fall with age acts on the typical flow, so that a person's own factor never turns the flow around
        aged = 1.0 + self.qh_age * maximum(body.age - self.old_age, 0.0) / self.qh_typical
        qh = self.qh * aged
        yield Flow("pump", "central", 1.0, copies=True)
        yield Flow("pump_swallowed", "swallowed", 1.0, copies=True)
        yield Flow("pump_solution", "solution", 1.0, copies=True)
        yield Flow("nose", "central", self.ka_nasal)
        yield Flow("swallowed", "liver", self.ka_swallowed)
        yield Flow("solution", "liver", self.ka_oral)
        yield Flow("central", "shallow", self.q1 / self.vc)
        yield Flow("shallow", "central", self.q1 / self.vp1)
        yield Flow("central", "deep", self.q2 / self.vc)
        yield Flow("deep", "central", self.q2 / self.vp2)
        yield Flow("central", "liver", qh / self.vc)
        yield Flow("liver", "central", qh / self.vh)
        yield Flow("liver", "norketamine", self.kmet)
        yield Flow("liver", None, self.kel)
        yield Flow("norketamine", "norketamine_deep", self.q_norketamine / self.v_norketamine)
        yield Flow("norketamine_deep", "norketamine", self.q_norketamine / self.vp_norketamine)
        yield Flow("norketamine", None, self.cl_norketamine / self.v_norketamine)
        yield from self.effect_flows(self.vc)

    def inputs(
        self, drug: str, route: str, milligrams: Value, deviate: Deviate, earlier: Value = 0.0
    ) -> Sequence[Input]:
        """Return where a dose goes; a nasal one is given device by device, the last of them perhaps not full."""
        self.check_dose(drug, route)
        if route == "iv":
            return [Input("central", 1.0)]
        if route == "oral":
            return [Input("solution", self.gut, self.d_oral)]
        devices = milligrams / self.device
        found = []
        for k in range(int(np.ceil(np.max(devices)))):
            part = np.clip(devices - k, 0.0, 1.0) / devices
            absorbed = np.where(np.rint(earlier / self.device) + k > 0, self.nasal * self.later, self.nasal)
            delay = k * float(np.max(self.interval))
            found.append(Input("nose", part * absorbed, delay=delay))
            found.append(Input("swallowed", part * (1.0 - absorbed) * self.gut, self.d_swallowed, delay))
        return found

    def concentrations(self, amounts: Mapping[str, Value], body: Body) -> dict[str, Value]:
        """Total concentrations in umol/L; venous blood stands at both sites."""
        norketamine = amounts["norketamine"] / self.metabolite_volumes(body)[0]
        return self.one_site(amounts["central"] / self.vc, amounts["effect"], norketamine)

    def metabolite_volumes(self, body: Body) -> tuple[Value, Value]:
        """Volume of norketamine for amounts in umol, L: the published one is for the mass of its parent."""
        return self.v_norketamine * self.molar_mass_norketamine / self.molar_mass, 1.0
