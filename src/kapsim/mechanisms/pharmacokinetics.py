"""Pharmacokinetics: dose → concentrations of both enantiomers, norketamine and hydroxynorketamine (clause S2).

S- and R-ketamine run side by side without inversion; all of it is linear. A dose enters the central (arterial)
compartment from a vein or a depot; what is swallowed goes through gut and liver, whose first pass forms norketamine
straight away. Norketamine follows ketamine after a transit delay, hydroxynorketamine follows norketamine. Venous
blood is a mix of arterial blood and blood that has equilibrated with the arm: published models differ most by where
blood was drawn. The brain follows arterial blood with a half-time of minutes. Amounts are in umol, so metabolites need
no factors; the flows below are the one description from which both the matrix and the ODE form are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kapsim.errors import InputError
from kapsim.mechanisms.base import parameter
from kapsim.mechanisms.kinetics import Body, Deviate, Flow, Input, Kinetics
from kapsim.mechanisms.operators import Value, exp, maximum, minimum

#: Compartments that hold drug (umol); depots come first. `pump` is the running infusion (umol/h).
DEPOTS = ("muscle", "tissue", "nose", "lung", "film", "mouth", "tablet", "swallowed", "gut")
BODY = (
    "central", "rapid", "slow",
    "transit_1", "transit_2", "norketamine", "norketamine_deep", "hydroxynorketamine", "hydroxynorketamine_deep",
)  # fmt: skip
#: Concentrations that follow the central compartment without taking drug from it (umol/L).
FOLLOWERS = ("venous", "effect")
COMPARTMENTS = ("pump", *DEPOTS, *BODY, *FOLLOWERS)

#: Share of S-ketamine by drug, and the depots by route (for a form that releases in its own time: route_form).
S_SHARE = {"ketamine": 0.5, "esketamine": 1.0, "arketamine": 0.0}
ROUTES = {
    "iv": (),
    "im": ("muscle",),
    "sc": ("tissue",),
    "intranasal": ("nose", "swallowed", "gut"),
    "sublingual": ("film", "mouth", "swallowed", "gut"),
    "oral": ("swallowed", "gut"),
    "oral_extended_release": ("tablet", "swallowed", "gut"),
    "inhaled": ("lung",),
}
#: Medicines and foods that change first pass, with the wall of the gut where that is known, or without.
GUT_AND_LIVER = ("clarithromycin", "grapefruit_juice", "st_johns_wort")
LIVER_ALONE = ("ticlopidine", "itraconazole")
CYP_DRUGS = (*GUT_AND_LIVER, *LIVER_ALONE, "rifampicin")


class Interaction(NamedTuple):
    """Factors by which other medicines change what becomes of ketamine."""

    gut: Value  # on the share that passes the wall of the gut
    liver: Value  # on the share that passes the liver
    clearance: Value  # of ketamine
    norketamine: Value  # on the clearance of norketamine


@dataclass(frozen=True)
class Pharmacokinetics(Kinetics):
    """The default kinetics: both enantiomers, both sites, every route."""

    name = "default"
    structure = "three compartments of each enantiomer, norketamine and hydroxynorketamine of two each"
    drugs = tuple(S_SHARE)
    routes = tuple(ROUTES)
    interacting = CYP_DRUGS
    followers = FOLLOWERS

    molar_mass: Value = parameter("pk.molar_mass.ketamine", "g/mol")
    v1: Value = parameter("pk.v1", "L")
    v2: Value = parameter("pk.v2", "L")
    v3: Value = parameter("pk.v3", "L")
    q2: Value = parameter("pk.q2", "L/h")
    q3: Value = parameter("pk.q3", "L/h")
    cl_s: Value = parameter("pk.cl.s", "L/h")
    cl_r_over_s: Value = parameter("pk.cl.r_over_s", "1")
    formation: Value = parameter("pk.formation.norketamine", "1")
    delay: Value = parameter("pk.norketamine.delay", "h")
    cl_norketamine: Value = parameter("pk.norketamine.cl", "L/h")
    v1_norketamine: Value = parameter("pk.norketamine.v1", "L")
    v2_norketamine: Value = parameter("pk.norketamine.v2", "L")
    q_norketamine: Value = parameter("pk.norketamine.q", "L/h")
    formation_hnk: Value = parameter("pk.formation.hydroxynorketamine", "1")
    cl_hnk: Value = parameter("pk.hydroxynorketamine.cl", "L/h")
    v1_hnk: Value = parameter("pk.hydroxynorketamine.v1", "L")
    v2_hnk: Value = parameter("pk.hydroxynorketamine.v2", "L")
    q_hnk: Value = parameter("pk.hydroxynorketamine.q", "L/h")
    im_bioavailability: Value = parameter("pk.im.bioavailability", "1")
    im_ka: Value = parameter("pk.im.ka", "1/h")
    sc_ka: Value = parameter("pk.sc.ka", "1/h")
    nasal_share: Value = parameter("pk.nasal.share", "1")
    nasal_later: Value = parameter("pk.nasal.later_devices", "1")
    nasal_device: Value = parameter("pk.nasal.device", "mg")
    nasal_racemate: Value = parameter("pk.nasal.racemate_share", "1")
    nasal_ka: Value = parameter("pk.nasal.ka", "1/h")
    mouth_share: Value = parameter("pk.sublingual.share", "1")
    mouth_release: Value = parameter("pk.sublingual.release", "h")
    mouth_ka: Value = parameter("pk.sublingual.ka", "1/h")
    oral_release: Value = parameter("pk.oral.release", "h")
    inhaled_share: Value = parameter("pk.inhaled.share", "1")
    inhaled_ka: Value = parameter("pk.inhaled.ka", "1/h")
    gut_delay: Value = parameter("pk.gut.delay", "h")
    gut_ka: Value = parameter("pk.gut.ka", "1/h")
    gut_escape: Value = parameter("pk.gut.escape", "1")
    liver_escape: Value = parameter("pk.liver.escape", "1")
    liver_flow: Value = parameter("pk.liver.flow", "L/h")
    liver_flow_age: Value = parameter("pk.liver.flow_age", "L/(h.a)")
    sex: Value = parameter("pk.sex.clearance", "1")
    reference_weight: Value = parameter("pk.reference_weight", "kg")
    old_age: Value = parameter("pk.old_age", "a")
    allometry: Value = parameter("pk.allometry.clearance", "1")
    venous_direct: Value = parameter("pk.venous.direct", "1")
    venous_rate: Value = parameter("pk.venous.rate", "1/h")
    effect_half_time: Value = parameter("pk.effect.half_time", "h")
    midazolam_half_life: Value = parameter("pk.midazolam.half_life", "h")
    midazolam_reference: Value = parameter("pk.midazolam.reference", "mg/kg")
    occasion: Value = parameter("pk.variability.occasion", "1")
    clarithromycin: Value = parameter("pk.interaction.clarithromycin", "1")
    clarithromycin_gut: Value = parameter("pk.interaction.clarithromycin_gut", "1")
    grapefruit_juice: Value = parameter("pk.interaction.grapefruit_juice", "1")
    grapefruit_juice_gut: Value = parameter("pk.interaction.grapefruit_juice_gut", "1")
    st_johns_wort: Value = parameter("pk.interaction.st_johns_wort", "1")
    st_johns_wort_gut: Value = parameter("pk.interaction.st_johns_wort_gut", "1")
    ticlopidine: Value = parameter("pk.interaction.ticlopidine", "1")
    itraconazole: Value = parameter("pk.interaction.itraconazole", "1")
    rifampicin_oral: Value = parameter("pk.interaction.rifampicin_oral", "1")
    rifampicin_iv: Value = parameter("pk.interaction.rifampicin_iv", "1")
    rifampicin_norketamine: Value = parameter("pk.interaction.rifampicin_norketamine", "1")

    @classmethod
    def compartments(cls, routes: frozenset[str]) -> tuple[str, ...]:
        """Return the compartments that a protocol with `routes` needs, see `compartments`."""
        return compartments(routes)

    def interactions(self, taken: frozenset[str]) -> Interaction:
        """Return what the CYP drugs `taken` do, together.

        Oral exposure to ketamine goes with what passes gut and liver, exposure to norketamine with what passes the gut
        alone (the liver turns the rest into norketamine sooner or later): where both are published, they say how much
        of a drug's effect on first pass sits in the wall of the gut.
        """
        gut, liver, clearance, norketamine = 1.0, 1.0, 1.0, 1.0
        for name in GUT_AND_LIVER:
            if name in taken:
                gut = gut * getattr(self, f"{name}_gut")
                liver = liver * getattr(self, name) / getattr(self, f"{name}_gut")
        for name in LIVER_ALONE:
            if name in taken:
                liver = liver * getattr(self, name)
        if "rifampicin" in taken:
            liver = liver * self.rifampicin_oral / self.rifampicin_iv
            clearance = clearance / self.rifampicin_iv
            norketamine = norketamine * (1.0 + self.rifampicin_norketamine)
        return Interaction(gut, liver, clearance, norketamine)

    def volume(self, body: Body) -> Value:
        """Central volume of a person, L."""
        return self.v1 * body.weight / self.reference_weight

    def flows(self, enantiomer: str, body: Body, taken: frozenset[str] = frozenset()) -> Iterator[Flow]:
        """Yield every flow of `enantiomer` ('s' or 'r') in a person who takes the CYP drugs `taken`."""
        size = body.weight / self.reference_weight
        scale = size**self.allometry
        flow_left = 1.0 + self.liver_flow_age * maximum(body.age - self.old_age, 0.0) / self.liver_flow
        factors = self.interactions(taken)
        own = 1.0 if enantiomer == "s" else self.cl_r_over_s
        clearance = self.cl_s * own * scale * flow_left * (1.0 + self.sex * body.female) * factors.clearance
        yield Flow("pump", "central", 1.0, copies=True)
        yield Flow("muscle", "central", self.im_ka)
        yield Flow("tissue", "central", self.sc_ka)
        yield Flow("nose", "central", self.nasal_ka)
        yield Flow("film", "mouth", 1.0 / self.mouth_release)
        yield Flow("mouth", "central", self.mouth_ka)
        yield Flow("lung", "central", self.inhaled_ka)
        yield Flow("tablet", "swallowed", 1.0 / self.oral_release)
        yield Flow("swallowed", "gut", 1.0 / self.gut_delay)
        # no more than everything can pass: several inhibitors, or one in a person with a slow liver, meet that end
        gut = 1.0 - maximum(1.0 - self.gut_escape * factors.gut, 0.0)
        liver = 1.0 - maximum(1.0 - self.liver_escape * factors.liver, 0.0)
        yield Flow("gut", "central", self.gut_ka * gut * liver)
        yield Flow("gut", "norketamine", self.gut_ka * gut * (1.0 - liver) * self.formation)
        lost = 1.0 - gut * (liver + (1.0 - liver) * self.formation)
        yield Flow("gut", None, self.gut_ka * lost)
        v1, v2, v3 = self.v1 * size, self.v2 * size, self.v3 * size
        yield Flow("central", "rapid", self.q2 * scale / v1)
        yield Flow("rapid", "central", self.q2 * scale / v2)
        yield Flow("central", "slow", self.q3 * scale / v1)
        yield Flow("slow", "central", self.q3 * scale / v3)
        yield Flow("central", "transit_1", clearance * self.formation / v1)
        yield Flow("central", None, clearance * (1.0 - self.formation) / v1)
        yield Flow("transit_1", "transit_2", 2.0 / self.delay)
        yield Flow("transit_2", "norketamine", 2.0 / self.delay)
        n1, n2 = self.v1_norketamine * size, self.v2_norketamine * size
        cl_n = self.cl_norketamine * scale * factors.norketamine
        yield Flow("norketamine", "norketamine_deep", self.q_norketamine * scale / n1)
        yield Flow("norketamine_deep", "norketamine", self.q_norketamine * scale / n2)
        yield Flow("norketamine", "hydroxynorketamine", cl_n * self.formation_hnk / n1)
        yield Flow("norketamine", None, cl_n * (1.0 - self.formation_hnk) / n1)
        h1, h2 = self.v1_hnk * size, self.v2_hnk * size
        yield Flow("hydroxynorketamine", "hydroxynorketamine_deep", self.q_hnk * scale / h1)
        yield Flow("hydroxynorketamine_deep", "hydroxynorketamine", self.q_hnk * scale / h2)
        yield Flow("hydroxynorketamine", None, self.cl_hnk * scale / h1)
        yield Flow("central", "venous", self.venous_rate / v1, copies=True)
        yield Flow("venous", None, self.venous_rate)
        effect_rate = LOG_2 / self.effect_half_time
        yield Flow("central", "effect", effect_rate / v1, copies=True)
        yield Flow("effect", None, effect_rate)

    def entry(
        self, drug: str, route: str, milligrams: Value, occasion: Value, earlier: Value = 0.0
    ) -> dict[str, Value]:
        """Share of a dose that enters each depot; the rest of an extravascular dose is not absorbed.

        `occasion` is the occasion's standard normal deviate, on the odds of the share absorbed outside the gut;
        `earlier` is what was given the same way before, in the same session (mg).
        """
        if route == "iv":
            return {"central": 1.0}
        if route in ("im", "sc"):
            depot = ROUTES[route][0]
            return {depot: self.shifted(self.im_bioavailability, occasion)}
        if route == "oral":
            return {"swallowed": 1.0}
        if route == "oral_extended_release":
            return {"tablet": 1.0}
        if route == "inhaled":
            # what is lost stays in the device or is breathed out
            return {"lung": self.shifted(self.inhaled_share, occasion)}
        if route == "sublingual":
            share = self.shifted(self.mouth_share, occasion)
            return {"film": share, "swallowed": 1.0 - share}
        if route == "intranasal":
            if drug == "ketamine":
                share = self.nasal_racemate
            else:
                share = self.sprayed(earlier + milligrams) - self.sprayed(earlier)
                share = share * self.nasal_device / milligrams
            share = self.shifted(share, occasion)
            return {"nose": share, "swallowed": 1.0 - share}
        raise InputError(f"route {route!r} has no kinetics; known: {', '.join(ROUTES)}")

    def inputs(
        self, drug: str, route: str, milligrams: Value, deviate: Deviate, earlier: Value = 0.0
    ) -> Sequence[Input]:
        """Return where a dose goes, see `entry`; all of it enters at once."""
        shares = self.entry(drug, route, milligrams, deviate(""), earlier)
        return [Input(depot, share) for depot, share in shares.items()]

    def sprayed(self, milligrams: Value) -> Value:
        """Devices' worth of esketamine that the mucosa takes up of `milligrams` given in one session."""
        devices = milligrams / self.nasal_device
        return self.nasal_share * (minimum(devices, 1.0) + self.nasal_later * maximum(devices - 1.0, 0.0))

    def shifted(self, share: Value, occasion: Value) -> Value:
        """Move `share` by one occasion's deviate, on the odds scale."""
        odds = share / (1.0 - share) * exp(self.occasion * occasion)
        return odds / (1.0 + odds)

    def concentrations(self, amounts: Mapping[str, Value], body: Body) -> dict[str, Value]:
        """Total concentrations in umol/L from compartment contents."""
        size = body.weight / self.reference_weight
        arterial = amounts["central"] / (self.v1 * size)
        return {
            "arterial": arterial,
            "venous": self.venous_direct * arterial + (1.0 - self.venous_direct) * amounts["venous"],
            "effect": amounts["effect"],
            "norketamine": amounts["norketamine"] / (self.v1_norketamine * size),
            "hydroxynorketamine": amounts["hydroxynorketamine"] / (self.v1_hnk * size),
        }

    def metabolite_volumes(self, body: Body) -> tuple[Value, Value]:
        """Central volumes of norketamine and hydroxynorketamine, L."""
        size = body.weight / self.reference_weight
        return self.v1_norketamine * size, self.v1_hnk * size


#: Half-life times rate.

LOG_2 = 0.6931471805599453


def compartments(routes: frozenset[str]) -> tuple[str, ...]:
    """Return the compartments that a protocol with `routes` needs, in order: unused depots cost time, not truth."""
    depots = {depot for route in routes for depot in ROUTES[route]}
    return ("pump", *(depot for depot in DEPOTS if depot in depots), *BODY, *FOLLOWERS)
