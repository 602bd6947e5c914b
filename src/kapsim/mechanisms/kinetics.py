"""What any description of ketamine's kinetics must say, so that the chain does not depend on one of them.

Kinetics are linear: compartments, flows between them, inputs from outside, and concentrations read off them. The chain
asks for those four things by name and knows nothing else, so that another published model can stand in the default's
place. A compartment whose name begins with `pump` holds a rate (umol/h), not drug.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, NamedTuple, Self

from kapsim.errors import InputError
from kapsim.mechanisms.base import Mechanism
from kapsim.mechanisms.operators import Value

#: A compartment that holds a rate begins with this; `pump` alone is the running infusion.
PUMP = "pump"


class Flow(NamedTuple):
    """Drug moving from `source` to `target` (None: out of the body) at `rate` per hour; `copies` leaves the source."""

    source: str
    target: str | None
    rate: Value
    copies: bool = False


class Body(NamedTuple):
    """Covariates that kinetics depend on, shape (patient,)."""

    weight: Value  # kg
    age: Value  # years
    female: Value  # 1 or 0


class Input(NamedTuple):
    """A share of a dose on its way into a compartment.

    `delay` hours after the dose it enters at once, or at a constant rate over `duration` hours where that is above 0.
    The share and the duration may differ between people; the delay does not.
    """

    compartment: str
    share: Value
    duration: Value = 0.0
    delay: float = 0.0


#: Standard normal deviates of one dose for a purpose, shape (patient,); the empty purpose is the dose itself.
Deviate = Callable[[str], Value]


def pump_of(compartment: str) -> str:
    """Return the name of the compartment that holds the rate of release into `compartment`."""
    return PUMP if compartment == "central" else f"{PUMP}_{compartment}"


def holds_drug(compartment: str, followers: Sequence[str]) -> bool:
    """Return whether `compartment` holds drug: neither a rate nor a concentration that only follows another."""
    return not compartment.startswith(PUMP) and compartment not in followers


class Kinetics(Mechanism):
    """Linear kinetics of one enantiomer at a time; `Mechanism` fields hold the parameters.

    Every set has the compartments `pump`, `central` (what an infusion enters) and `effect` (umol/L); `norketamine` and
    `hydroxynorketamine` where it has those metabolites.
    """

    #: Name to select the set by, and what it is in one line.
    name: ClassVar[str]
    structure: ClassVar[str]
    #: Where the blood was drawn that the set describes.
    sites: ClassVar[tuple[str, ...]] = ("arterial", "venous")
    #: Drugs of ketamine and routes that the set knows.
    drugs: ClassVar[tuple[str, ...]]
    routes: ClassVar[tuple[str, ...]]
    #: Of these, what the set of an extension brings along: drugs, each with its share of S-ketamine, and routes.
    own_drugs: ClassVar[Mapping[str, float]] = {}
    own_routes: ClassVar[tuple[str, ...]] = ()
    #: Medicines whose effect on breakdown the set knows.
    interacting: ClassVar[tuple[str, ...]] = ()
    #: Compartments that follow another without taking drug from it.
    followers: ClassVar[tuple[str, ...]] = ("effect",)
    #: What the set lacks, a few words each.
    gaps: ClassVar[tuple[str, ...]] = ()

    molar_mass: Value  # g/mol
    midazolam_half_life: Value  # h
    midazolam_reference: Value  # mg/kg

    @classmethod
    @abstractmethod
    def compartments(cls, routes: frozenset[str]) -> tuple[str, ...]:
        """Return the compartments that a protocol with `routes` needs: unused depots cost time, not truth."""

    @abstractmethod
    def flows(self, enantiomer: str, body: Body, taken: frozenset[str] = frozenset()) -> Iterator[Flow]:
        """Yield every flow of `enantiomer` ('s' or 'r') in a person who takes the CYP drugs `taken`."""

    @abstractmethod
    def inputs(
        self, drug: str, route: str, milligrams: Value, deviate: Deviate, earlier: Value = 0.0
    ) -> Sequence[Input]:
        """Return where a dose of ketamine goes; what is in no input is not absorbed.

        `deviate` gives the deviates of this one dose, by purpose; `earlier` is what was given the same way before, in
        the same session (mg).
        """

    @abstractmethod
    def concentrations(self, amounts: Mapping[str, Value], body: Body) -> dict[str, Value]:
        """Total concentrations in umol/L from compartment contents.

        They are `arterial`, `venous`, `effect`, `norketamine` and `hydroxynorketamine`; a metabolite that the set lacks
        is zero, and a site that it lacks shows the other.
        """

    @abstractmethod
    def metabolite_volumes(self, body: Body) -> tuple[Value, Value]:
        """Volumes of norketamine and hydroxynorketamine, L; 1 where the set lacks the metabolite."""

    @classmethod
    def records(cls) -> tuple[str, ...]:
        """Return the ids of the evidence records that the set reads past the registry."""
        return ()

    def of(self, part: Any) -> Self:
        """Return the same kinetics of some of the people; `part` indexes them."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(self, **{name: value[part] if hasattr(value, "ndim") else value for name, value in own.items()})

    @classmethod
    def check_dose(cls, drug: str, route: str) -> None:
        """Raise InputError for a dose of ketamine that the set does not know."""
        if drug not in cls.drugs:
            raise InputError(f"kinetics {cls.name!r} knows no {drug}; it knows {', '.join(cls.drugs)}")
        if route not in cls.routes:
            raise InputError(f"kinetics {cls.name!r} knows no {route} dose; it knows {', '.join(cls.routes)}")

    @classmethod
    def check_taken(cls, taken: frozenset[str]) -> None:
        """Raise InputError for a medicine whose effect on breakdown the set does not know."""
        strangers = sorted(taken - set(cls.interacting))
        if strangers:
            known = ", ".join(cls.interacting) or "none"
            raise InputError(f"kinetics {cls.name!r} knows no effect of {strangers[0]}; of such drugs it knows {known}")
