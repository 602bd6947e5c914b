"""What every link of the chain is made of: parameters with a home in the registry, a state, and rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, NamedTuple, Self

from kapsim.mechanisms.operators import Value


def parameter(identifier: str, unit: str) -> Any:
    """Declare a field whose value is the registry's parameter `identifier`, in `unit`."""
    return field(metadata={"id": identifier, "unit": unit})


@dataclass(frozen=True)
class Mechanism:
    """A link: a frozen set of parameters, each a field declared with `parameter`."""

    @classmethod
    def declared(cls) -> tuple[Field[Any], ...]:
        """Return the fields that are registry parameters, in order."""
        return tuple(item for item in fields(cls) if "id" in item.metadata)

    @classmethod
    def build(cls, values: Mapping[str, Value]) -> Self:
        """Make the link from `values`, which maps registry ids to numbers, arrays (one per patient) or symbols."""
        return cls(**{item.name: values[item.metadata["id"]] for item in cls.declared()})


def missing_methods(kind: type[Mechanism]) -> list[str]:
    """Return what is abstract in a kind of mechanism and not given by it, by name."""
    return sorted(name for name in dir(kind) if getattr(getattr(kind, name), "__isabstractmethod__", False))


#: Called with the name and the value (or tuple of values) of every intermediate quantity; what it returns is used on.
#: Whoever writes equations down for another tool can so put a symbol in its place.
Mark = Callable[[str, Any], Any]


def unmarked(name: str, value: Any) -> Any:
    """Return an intermediate quantity as it is."""
    del name
    return value


class Drugs(NamedTuple):
    """Concentrations that reach the chain at one moment, shape (patient,) each.

    Effect-site values are total (bound and unbound) concentrations at the effect site; the others are arterial plasma.
    """

    s_ketamine: Value  # uM, effect site
    r_ketamine: Value  # uM, effect site
    s_norketamine: Value  # uM
    r_norketamine: Value  # uM
    hydroxynorketamine: Value  # uM, both enantiomers
    midazolam: Value  # in units of the reference dose, 0.045 mg/kg


class Setting(NamedTuple):
    """What is done to a person besides the drug, at one moment; constant between two events of the protocol."""

    therapy: Value  # corrective experience in a session, 0 to 1
    practice: Value  # corrective experience between sessions, 0 to 1
    contact: Value  # 1 during a treatment visit
    blinded: Value  # 1 where the person does not know what is given
    masked: Value  # 1 where the drug cannot be felt (given under anaesthesia)
    stressor: Value  # intensity of an adverse event, 0 and up
    naltrexone: Value  # 1 while taken; the same below
    rapamycin: Value
    memantine: Value
    ampa_blocker: Value
    benzodiazepine: Value
    antidepressant: Value  # an oral antidepressant
    care: Value  # 1 while in usual care
    ward: Value  # 1 while in inpatient care


REST = Setting(*([0.0] * len(Setting._fields)))
"""No therapy, no contact, no co-medication."""
