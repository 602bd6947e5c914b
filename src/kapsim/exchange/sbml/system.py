"""A course for one person as named equations: what every format that holds equations is written from.

Expressions are SymPy, and every symbol in them is the id of something here or `TIME`. Units are spelled as everywhere
in kapsim. Nothing in this file knows of a file format.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy

#: The symbol of time, h.
TIME = "time"


@dataclass(frozen=True)
class Constant:
    """Something that does not change: a `value`, or an `expression` of other constants."""

    id: str
    name: str
    unit: str
    value: float | None = None
    expression: sympy.Expr | None = None


@dataclass(frozen=True)
class Compartment:
    """A place in the body that holds drug; `volume` is None where only amounts in it mean anything."""

    id: str
    name: str
    volume: sympy.Expr | None = None


@dataclass(frozen=True)
class Amount:
    """An amount of drug (umol) in a compartment; `start` is what was given at time 0."""

    id: str
    name: str
    compartment: str
    start: sympy.Expr


@dataclass(frozen=True)
class Transfer:
    """Drug moving from one amount to another, or out of the body (None), at `rate` (umol/h)."""

    id: str
    name: str
    source: str | None
    target: str | None
    rate: sympy.Expr


@dataclass(frozen=True)
class Integrated:
    """A state with a rate of change (its unit per hour), beginning at `start`."""

    id: str
    name: str
    unit: str
    start: sympy.Expr
    rate: sympy.Expr


@dataclass(frozen=True)
class Switched:
    """Something that is constant between events."""

    id: str
    name: str
    unit: str
    start: sympy.Expr


@dataclass(frozen=True)
class Derived:
    """Something that follows from the others at every moment."""

    id: str
    name: str
    unit: str
    expression: sympy.Expr


@dataclass(frozen=True)
class Function:
    """A function that a derived quantity is computed with; `arguments` are names inside it."""

    id: str
    name: str
    arguments: tuple[str, ...]
    body: sympy.Expr


@dataclass(frozen=True)
class Event:
    """What is set anew at an hour; all of it from the values just before."""

    id: str
    name: str
    hour: float
    assignments: dict[str, sympy.Expr]


@dataclass(frozen=True)
class System:
    """The whole, in the order in which it is best read."""

    id: str
    name: str
    notes: tuple[str, ...]
    horizon_h: float
    constants: tuple[Constant, ...]
    compartments: tuple[Compartment, ...]
    amounts: tuple[Amount, ...]
    transfers: tuple[Transfer, ...]
    integrated: tuple[Integrated, ...]
    switched: tuple[Switched, ...]
    derived: tuple[Derived, ...]
    functions: tuple[Function, ...]
    events: tuple[Event, ...]

    def __post_init__(self) -> None:
        """Check that no two things have one id."""
        parts = (self.constants, self.compartments, self.amounts, self.transfers, self.integrated, self.switched)
        ids = [item.id for part in (*parts, self.derived, self.functions) for item in part] + [TIME]
        twice = {name for name in ids if ids.count(name) > 1}
        assert not twice, f"ids used twice: {sorted(twice)}"

    @cached_property
    def units(self) -> dict[str, str]:
        """Unit of every id, and of time."""
        return {
            TIME: "h",
            **{item.id: item.unit for item in self.constants},
            **{item.id: item.unit for item in self.integrated},
            **{item.id: item.unit for item in self.switched},
            **{item.id: item.unit for item in self.derived},
            **{item.id: "umol" for item in self.amounts},
        }

    @property
    def states(self) -> tuple[str, ...]:
        """Ids of everything that is integrated over time, drug first."""
        return (*(item.id for item in self.amounts), *(item.id for item in self.integrated))
